//! Copies what can be read out of a damaged store into a fresh one.
//!
//! The damaged data itself is never touched: its engine works on a copy of its files.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::super::engine::KeyChange;
use super::super::examine::{WholeRecord, examine};
use super::super::fault::Fault;
use super::super::ledger;
use super::super::records::{self, FORMAT, Hash, LAST};
use super::super::tree::KeyChanges;
use super::{
    DiskSettings, EngineKind, KvEngine, MaintenanceError, StoreReport, at, close, files, lock_file, open, unusable,
};
use crate::store::Seq;
use crate::store::record::{self, VERSION};

/// How many changes are made at a time.
const AT_ONCE: usize = 1_000;

/// What a file of redb's begins with.
const REDB: &[u8] = b"redb";

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salvaged {
    /// The engine, which is that of the damaged data.
    pub kind: EngineKind,
    /// What was found: what is whole stands in the fresh store.
    pub found: StoreReport,
    /// How many conversations were put together again from their messages.
    pub restored: usize,
}

/// Copies what can be read in `from`, a store or what was moved aside of one, into a fresh store in `to`.
///
/// # Errors
/// When there is nothing in `from`, or it is in use; when `to` is there; and when nothing can be read at all.
pub fn salvage(from: &Path, to: &Path, settings: &DiskSettings) -> Result<Salvaged, MaintenanceError> {
    let (kind, damaged) = find(from)?;
    let in_store = damaged != from;
    let _lock = if in_store { Some(lock_file(from)?) } else { None };
    if to.exists() {
        return Err(MaintenanceError::Occupied(to.to_owned()));
    }
    files::create_directory(to).map_err(at(to))?;
    let working = to.join("damaged-copy");
    let salvaged = copy_files(&damaged, &working)
        .map_err(at(&working))
        .and_then(|()| pick(kind, &working, &to.join(kind.name()), settings));
    files::remove_directory(&working).map_err(at(&working))?;
    if salvaged.is_err() {
        files::remove_directory(to).map_err(at(to))?;
    }
    salvaged
}

/// Where the data is, and whose.
fn find(from: &Path) -> Result<(EngineKind, PathBuf), MaintenanceError> {
    if let Some(kind) = EngineKind::ALL.into_iter().find(|kind| from.join(kind.name()).join("db").exists()) {
        return Ok((kind, from.join(kind.name())));
    }
    let mut start = [0; REDB.len()];
    match fs::File::open(from.join("db")) {
        Ok(mut data) => {
            // Shorter than that, it is nobody's.
            let read = data.read(&mut start).map_err(at(from))?;
            let kind = if start[..read] == *REDB { EngineKind::Redb } else { EngineKind::Sled };
            Ok((kind, from.to_owned()))
        }
        Err(_) => Err(MaintenanceError::Nothing(from.to_owned())),
    }
}

fn copy_files(from: &Path, to: &Path) -> std::io::Result<()> {
    files::create_directory(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let copy = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy_files(&path, &copy)?;
        } else {
            fs::copy(&path, &copy)?;
        }
    }
    Ok(())
}

fn pick(kind: EngineKind, damaged: &Path, fresh: &Path, settings: &DiskSettings) -> Result<Salvaged, MaintenanceError> {
    let source = match open(kind, damaged, settings) {
        Ok(source) => source,
        Err(error) => {
            // sled can do without its snapshots: it reads its whole log then.
            if remove_snapshots(damaged).map_err(at(damaged))? == 0 {
                return Err(error);
            }
            open(kind, damaged, settings)?
        }
    };
    files::create_directory(fresh).map_err(at(fresh))?;
    let mut writer = Writer { engine: open(kind, fresh, settings)?, batch: Vec::new(), trouble: None };
    let mut salvage = Salvage::default();
    let found = examine(&*source, &|| {}, &mut |whole| salvage.take(whole, &mut writer));
    let restored = salvage.restore(&mut writer).map_err(|fault| unusable(fresh, &fault))?;
    writer.write();
    if let Some(fault) = writer.trouble {
        return Err(unusable(fresh, &fault));
    }
    writer.engine.sync().map_err(|fault| unusable(fresh, &fault))?;
    close(writer.engine, fresh, settings)?;
    files::secure(fresh).map_err(at(fresh))?;
    files::write(&fresh.join("format"), &VERSION.to_string()).map_err(at(fresh))?;
    drop(source);
    Ok(Salvaged { kind, found, restored })
}

fn remove_snapshots(directory: &Path) -> std::io::Result<usize> {
    let mut removed = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("snap.") {
            fs::remove_file(entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// What has to be known of the whole before it is complete.
#[derive(Default)]
struct Salvage {
    last: Seq,
    /// Conversations that are known.
    known: HashSet<Hash>,
    /// What is known of conversations by what they have to do.
    told: HashMap<Hash, ledger::Known>,
}

impl Salvage {
    fn take(&mut self, whole: WholeRecord, writer: &mut Writer) {
        let Some((key, value)) = whole.pairs.first() else { return };
        let place = records::hash(key.get(1..).unwrap_or_default()).ok();
        match whole.kind {
            b'l' => self.number(records::number(value).ok()),
            b'm' | b'x' => self.number(records::stem(key).and_then(records::number).ok()),
            b'd' => {
                let Ok((seq, accepted)) = ledger::read_mark(value) else { return };
                self.number(Some(seq.0));
                // Its twin by the hour may be lost, and it would be kept for ever.
                if let Some(mark) = place {
                    writer.change((records::expiry(records::hour(accepted), mark), Some(Vec::new())));
                }
            }
            _ => {}
        }
        if let Some(place) = place {
            match (whole.kind, whole.known) {
                (b'c', _) => drop(self.known.insert(place)),
                (_, Some(known)) => drop(self.told.entry(place).or_insert(known)),
                _ => {}
            }
        }
        if !matches!(whole.kind, b'l' | b'v' | b'e') {
            whole.pairs.into_iter().for_each(|(key, value)| writer.change((key, Some(value))));
        }
    }

    fn number(&mut self, number: Option<u64>) {
        self.last = self.last.max(Seq(number.unwrap_or(0)));
    }

    /// Writes what others have told, and what stands in every store. Says how many conversations that are.
    fn restore(self, writer: &mut Writer) -> Result<usize, Fault> {
        let mut changes = KeyChanges::default();
        let mut restored = 0;
        for (place, known) in self.told {
            if !self.known.contains(&place) {
                changes.put(&records::of_conversation(b'c', place), &record::write(&known)?);
                restored += 1;
            }
        }
        changes.insert(LAST.to_vec(), &self.last.0.to_be_bytes());
        changes.insert(FORMAT.to_vec(), &[VERSION]);
        changes.into_iter().for_each(|change| writer.change(change));
        Ok(restored)
    }
}

struct Writer {
    engine: Box<dyn KvEngine>,
    batch: Vec<KeyChange>,
    trouble: Option<Fault>,
}

impl Writer {
    fn change(&mut self, change: KeyChange) {
        self.batch.push(change);
        if self.batch.len() >= AT_ONCE {
            self.write();
        }
    }

    fn write(&mut self) {
        let written = self.engine.apply(&mut self.batch.drain(..)).and_then(|()| self.engine.sync());
        if let Err(fault) = written {
            self.trouble.get_or_insert(fault);
        }
    }
}
