//! Opens an engine so that nothing it is known for keeps the store from starting, or lets it start silently empty.
//!
//! sled 0.34 takes a half-written snapshot for the newest one and never opens again; on some damaged files an engine
//! panics, or reads for ever. So: half-written snapshots go first; the opening runs on a thread of its own, under a
//! deadline, with panics caught; what waits is read; and what cannot be used is moved aside, never deleted.
//!
//! That the data is to blame must have been seen. A process that was killed while it opened the store, however often,
//! says nothing about the data: it may have been an impatient supervisor.
//!
//! | in the store's directory | |
//! |---|---|
//! | `store.lock` | locked by the process that has the store open |
//! | `STUCK` | how many openings in a row came to a standstill; gone once one has not |
//! | `SUSPECT` | says that damage was met at work: the next opening reads everything |
//! | `sled/` or `redb/` | the engine's files, and `format`, which says that there is data and how it is written |
//! | `sled.new/`, `sled.old/` and so on | while the files are replaced: those that come, and those that go |
//! | `bad-…/` | what was moved aside, and when, in seconds since 1970 |

use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use super::check::{CheckFindings, check};
use super::engine::{EngineKind, Progress};
use super::examine::examine;
use super::fault::Fault;
use super::files;
use super::ledger::Ledger;
use super::open::{DiskSettings, OpenError, Opened, Quarantine};
use super::records::{FORMAT, LAST};
use super::tree::{KeyChanges, Tree};
use crate::message::clock::Timestamp;
use crate::store::Seq;
use crate::store::record::VERSION;

/// Openings that came to a standstill, after which the data is taken for the cause.
const STUCK_OPENINGS: u32 = 2;

/// A store that is open.
pub(super) struct Guarded {
    pub(super) ledger: Ledger,
    pub(super) found: CheckFindings,
    /// Keeps other processes out for as long as it is open.
    pub(super) lock: Arc<File>,
    pub(super) opened: Opened,
    pub(super) place: StorePaths,
}

/// Opens a store.
pub(super) fn open(settings: &DiskSettings, now: Timestamp) -> Result<Guarded, OpenError> {
    let place = StorePaths::new(settings);
    let io = |error| place.io(error);
    files::create_directory(&place.directory).map_err(io)?;
    let lock = Arc::new(place.lock(&place.lock, settings.lock_timeout)?);
    place.refuse_others(settings.kind)?;
    place.finish_rebuild().map_err(io)?;

    let mut quarantine = None;
    let mut stuck = place.stuck().map_err(io)?;
    if stuck >= STUCK_OPENINGS {
        quarantine = place.quarantine("its opening came to a standstill, time and again", now).map_err(io)?;
        stuck = 0;
    }
    let mut tree = place.open_tree(settings, &lock);
    if let Err(OpenError::Damaged { reason, .. }) = &tree
        && quarantine.is_none()
    {
        quarantine = place.quarantine(reason, now).map_err(io)?;
        tree = place.open_tree(settings, &lock);
    }
    match &tree {
        Err(OpenError::TooSlow { .. }) => files::write(&place.marker, &(stuck + 1).to_string()).map_err(io)?,
        _ => files::remove(&place.marker).map_err(io)?,
    }
    let (ledger, found) = tree?;
    files::remove(&place.suspicion).map_err(io)?;
    let waiting = found.unfinished.iter().map(|unfinished| unfinished.work.messages).sum();
    Ok(Guarded { ledger, found, lock, opened: Opened { waiting, quarantine }, place })
}

/// Where things are.
pub(super) struct StorePaths {
    directory: PathBuf,
    lock: PathBuf,
    marker: PathBuf,
    pub(super) suspicion: PathBuf,
    /// The engine's files.
    pub(super) tree: PathBuf,
    /// The one of them that holds the data.
    data: PathBuf,
    format: PathBuf,
    /// The files that are to take the place of the engine's, until they do.
    pub(super) new: PathBuf,
    /// Those whose place has been taken, until they are gone.
    pub(super) old: PathBuf,
}

impl StorePaths {
    pub(super) fn new(settings: &DiskSettings) -> Self {
        let directory = &settings.path;
        let tree = directory.join(settings.kind.name());
        Self {
            directory: directory.clone(),
            lock: directory.join("store.lock"),
            marker: directory.join("STUCK"),
            suspicion: directory.join("SUSPECT"),
            data: tree.join("db"),
            format: tree.join("format"),
            new: directory.join(format!("{}.new", settings.kind.name())),
            old: directory.join(format!("{}.old", settings.kind.name())),
            tree,
        }
    }

    /// Fails if there is data of another engine: it would be forgotten, or be old one day.
    fn refuse_others(&self, wanted: EngineKind) -> Result<(), OpenError> {
        match EngineKind::ALL.into_iter().find(|kind| *kind != wanted && kind.is_in(&self.directory)) {
            Some(found) => Err(OpenError::Foreign { path: self.directory.clone(), found, wanted }),
            None => Ok(()),
        }
    }

    pub(super) fn lock(&self, file: &Path, patience: Duration) -> Result<File, OpenError> {
        let lock = files::lock(file, patience).map_err(|error| self.io(error))?;
        lock.ok_or_else(|| OpenError::Locked { path: file.to_owned() })
    }

    /// How many openings in a row came to a standstill.
    fn stuck(&self) -> io::Result<u32> {
        let marker = files::read(&self.marker)?;
        // What cannot be read was being written when the power failed: one opening.
        Ok(marker.map_or(0, |count| count.trim().parse().unwrap_or(1)))
    }

    /// Moves the data aside, if there is any.
    fn quarantine(&self, reason: &str, now: Timestamp) -> io::Result<Option<Quarantine>> {
        if !self.tree.exists() {
            return Ok(None);
        }
        let name = format!("bad-{}", now.0 / 1000);
        let mut aside = self.directory.join(&name);
        for number in 2.. {
            if !aside.exists() {
                break;
            }
            aside = self.directory.join(format!("{name}-{number}"));
        }
        fs::rename(&self.tree, &aside)?;
        files::sync_directory(&self.directory)?;
        tracing::error!(
            moved_to = %aside.display(),
            reason,
            "the store cannot use its data, has moved it aside, and starts empty"
        );
        Ok(Some(Quarantine { moved_to: aside, reason: reason.to_owned() }))
    }

    /// How many times data was moved aside, and is still there.
    pub(super) fn moved_aside(&self) -> io::Result<usize> {
        let mut count = 0;
        for entry in fs::read_dir(&self.directory)? {
            count += usize::from(entry?.file_name().as_encoded_bytes().starts_with(b"bad-"));
        }
        Ok(count)
    }

    fn open_tree(&self, settings: &DiskSettings, lock: &Arc<File>) -> Result<(Ledger, CheckFindings), OpenError> {
        let written = self.format()?;
        files::create_directory(&self.tree).map_err(|error| self.io(error))?;
        settings.kind.prepare(&self.tree).map_err(|error| self.io(error))?;
        if self.data.exists() {
            // Threads of sled's that this process has just let go of may still hold sled's own lock.
            drop(self.lock(&self.data, settings.lock_timeout)?);
        }
        let opened = self.in_time(settings, written, lock)?;
        if !written {
            files::write(&self.format, &VERSION.to_string()).map_err(|error| self.io(error))?;
        }
        Ok(opened)
    }

    /// Whether there is data, in a format that we know.
    fn format(&self) -> Result<bool, OpenError> {
        match files::read(&self.format).map_err(|error| self.io(error))? {
            None => Ok(false),
            Some(format) => match format.trim().parse::<u8>() {
                Ok(format) if format > VERSION => {
                    Err(OpenError::Newer { path: self.directory.clone(), format, known: VERSION })
                }
                Ok(_) => Ok(true),
                Err(_) => Err(self.trouble(Fault::damaged("its format is not a number"))),
            },
        }
    }

    /// Opens and reads the tree on a thread of its own, for as long as that makes progress.
    fn in_time(
        &self,
        settings: &DiskSettings,
        written: bool,
        lock: &Arc<File>,
    ) -> Result<(Ledger, CheckFindings), OpenError> {
        let (sender, news) = mpsc::channel();
        let (tree, settings, after) = (self.tree.clone(), settings.clone(), settings.open_timeout);
        let suspect = self.suspicion.exists();
        // If it never ends, nobody else shall open the same files.
        let lock = lock.clone();
        let opening = move || {
            let news = sender.clone();
            let progress: Progress = Arc::new(move || drop(news.send(FileNews::Progress)));
            let opened =
                catch_unwind(AssertUnwindSafe(|| open_and_read(&tree, &settings, written, suspect, &progress)));
            let opened = opened.unwrap_or_else(|_| Err(Fault::damaged("its engine panicked while it was opened")));
            // Without a receiver the deadline has passed, and the tree is closed right here.
            drop(sender.send(FileNews::End(opened)));
            drop(lock);
        };
        std::thread::Builder::new().name("store-open".to_owned()).spawn(opening).map_err(|error| self.io(error))?;
        loop {
            match news.recv_timeout(after) {
                Ok(FileNews::Progress) => {}
                Ok(FileNews::End(opened)) => return opened.map_err(|fault| self.trouble(fault)),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    return Err(OpenError::TooSlow { path: self.directory.clone(), after });
                }
            }
        }
    }

    fn io(&self, error: io::Error) -> OpenError {
        OpenError::Io { path: self.directory.clone(), error }
    }

    fn trouble(&self, fault: Fault) -> OpenError {
        match fault {
            Fault::Disk(error) => self.io(error),
            Fault::Newer(format) => OpenError::Newer { path: self.directory.clone(), format, known: VERSION },
            Fault::Unsupported(reason) => OpenError::Unsupported { path: self.directory.clone(), reason },
            fault => OpenError::Damaged { path: self.directory.clone(), reason: fault.to_string() },
        }
    }
}

enum FileNews {
    Progress,
    End(Result<(Ledger, CheckFindings), Fault>),
}

/// Opens a tree, reads what waits, or all of it if there is a suspicion, and makes it durable.
fn open_and_read(
    path: &Path,
    settings: &DiskSettings,
    written: bool,
    suspect: bool,
    progress: &Progress,
) -> Result<(Ledger, CheckFindings), Fault> {
    let engine = settings.kind.open(path, settings.cache_bytes, progress)?;
    progress();
    if suspect && let Some(trouble) = examine(&*engine, &**progress, &mut |_| {}).trouble() {
        return Err(Fault::Damaged(trouble));
    }
    let mut tree = Tree::new(engine);
    let found = match check(&tree, &**progress)? {
        Some(found) => found,
        None if written => return Err(Fault::damaged("there was data, and there is none")),
        None => {
            let mut first = KeyChanges::default();
            first.insert(LAST.to_vec(), &Seq::default().0.to_be_bytes());
            tree.stage(first);
            CheckFindings::default()
        }
    };
    if tree.value(FORMAT)?.is_none() {
        let mut version = KeyChanges::default();
        version.insert(FORMAT.to_vec(), &[VERSION]);
        tree.stage(version);
    }
    tree.apply()?;
    tree.sync()?;
    files::secure(path)?;
    Ok((Ledger::new(tree, found.last, settings.history_kept), found))
}
