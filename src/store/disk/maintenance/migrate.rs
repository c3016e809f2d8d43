//! Takes a store from one engine to another.
//!
//! The copy is complete, durable and compared before anything is moved. It is moved in first, and what it was made of
//! moved out then; whoever opens a store that holds the data of two engines is told to migrate again, which ends what
//! was interrupted.

use std::path::{Path, PathBuf};

use super::super::examine::examine;
use super::{DiskSettings, EngineKind, KvEngine, MaintenanceError, at, close, files, lock, open, the_one, unusable};
use crate::store::record::VERSION;

/// How much is copied at a time, in bytes.
const AT_ONCE: usize = 1024 * 1024;

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// The engine that the data was taken from.
    pub from: EngineKind,
    /// How many entries were copied, and found to be the same.
    pub entries: u64,
    /// A store with the data as it was.
    pub kept: PathBuf,
}

/// Copies a store's data to another engine, compares the copy with it, and puts it in its place. Nothing, if the data
/// is of that engine already.
///
/// # Errors
/// When there is no store, when it is in use, and when some of it cannot be read; then it is as it was.
pub fn migrate(settings: &DiskSettings, to: EngineKind) -> Result<Option<Migrated>, MaintenanceError> {
    let store = &settings.path;
    let _lock = lock(settings)?;
    let target = store.join(to.name());
    let Some(from) = EngineKind::ALL.into_iter().find(|kind| *kind != to && kind.is_in(store)) else {
        return Ok(None);
    };
    let source = store.join(from.name());
    let engine = open(from, &source, settings)?;
    let entries = if to.is_in(store) {
        // An earlier migration came this far.
        compare(&*engine, &source, to, &target, settings).map_err(|error| match error {
            MaintenanceError::Unlike => MaintenanceError::Ambiguous(store.clone()),
            error => error,
        })?
    } else {
        the_one(store)?;
        let new = store.join(format!("{}.new", to.name()));
        files::remove_directory(&new).map_err(at(&new))?;
        files::create_directory(&new).map_err(at(&new))?;
        copy(&*engine, &source, to, &new, settings)?;
        let entries = compare(&*engine, &source, to, &new, settings)?;
        files::write(&new.join("format"), &VERSION.to_string()).map_err(at(&new))?;
        files::secure(&new).map_err(at(&new))?;
        files::rename(&new, &target).map_err(at(&target))?;
        entries
    };
    close(engine, &source, settings)?;
    let kept = put_away(store, &source, from, to)?;
    Ok(Some(Migrated { from, entries, kept }))
}

fn copy(
    source: &dyn KvEngine,
    from: &Path,
    to: EngineKind,
    target: &Path,
    settings: &DiskSettings,
) -> Result<(), MaintenanceError> {
    let report = examine(source, &|| {}, &mut |_| {});
    if let Some(trouble) = report.trouble() {
        return Err(MaintenanceError::Damaged { path: settings.path.clone(), trouble });
    }
    let mut engine = open(to, target, settings)?;
    let (mut batch, mut size) = (Vec::new(), 0);
    for pair in source.range(&[], None).map_err(|fault| unusable(from, &fault))? {
        let (key, value) = pair.map_err(|fault| unusable(from, &fault))?;
        size += key.len() + value.len();
        batch.push((key, Some(value)));
        if size > AT_ONCE {
            engine
                .apply(&mut batch.drain(..))
                .and_then(|()| engine.sync())
                .map_err(|fault| unusable(target, &fault))?;
            size = 0;
        }
    }
    engine.apply(&mut batch.into_iter()).and_then(|()| engine.sync()).map_err(|fault| unusable(target, &fault))?;
    close(engine, target, settings)
}

/// Reads both again, and says how many entries they have.
fn compare(
    source: &dyn KvEngine,
    from: &Path,
    to: EngineKind,
    target: &Path,
    settings: &DiskSettings,
) -> Result<u64, MaintenanceError> {
    let copy = open(to, target, settings)?;
    let mut copied = copy.range(&[], None).map_err(|fault| unusable(target, &fault))?;
    let mut entries = 0;
    for pair in source.range(&[], None).map_err(|fault| unusable(from, &fault))? {
        let pair = pair.map_err(|fault| unusable(from, &fault))?;
        match copied.next() {
            Some(Ok(copied)) if copied == pair => entries += 1,
            _ => return Err(MaintenanceError::Unlike),
        }
    }
    if copied.next().is_some() {
        return Err(MaintenanceError::Unlike);
    }
    drop(copied);
    close(copy, target, settings)?;
    Ok(entries)
}

/// Moves an engine's files into a store of their own, beside the one that they were in.
fn put_away(store: &Path, source: &Path, from: EngineKind, to: EngineKind) -> Result<PathBuf, MaintenanceError> {
    let name = format!("{}.before-{}", store.display(), to.name());
    let mut kept = PathBuf::from(&name);
    for number in 2.. {
        if !kept.exists() {
            break;
        }
        kept = PathBuf::from(format!("{name}-{number}"));
    }
    files::create_directory(&kept).map_err(at(&kept))?;
    files::rename(source, &kept.join(from.name())).map_err(at(&kept))?;
    files::sync_directory(store).map_err(at(store))?;
    Ok(kept)
}
