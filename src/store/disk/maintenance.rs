//! What is done to a store that nobody has open: looked through, taken to another engine, saved from damage.

mod migrate;
mod salvage;

use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::engine::{EngineKind, KvEngine};
pub use super::examine::StoreReport;
use super::examine::examine;
use super::fault::Fault;
use super::files;
use super::guard::StorePaths;
use super::open::DiskSettings;
pub use migrate::{Migrated, migrate};
pub use salvage::{Salvaged, salvage};

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum MaintenanceError {
    /// There is nothing to do it to.
    #[error("there is no store in {}", .0.display())]
    Nothing(PathBuf),
    /// A server uses it.
    #[error("the store in {} is in use: stop the threedots that serves it first", .0.display())]
    InUse(PathBuf),
    /// The directory that was to be written is there.
    #[error("{} is there already: name a directory that is not", .0.display())]
    Occupied(PathBuf),
    /// It cannot be read.
    #[error("the data in {} cannot be used: {reason}", path.display())]
    Unusable {
        /// Where it is.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Some of it is damaged, and is not taken along.
    #[error("the store in {} is damaged, and stays as it was ({trouble}): see `threedots store salvage`", path.display())]
    Damaged {
        /// Where it is.
        path: PathBuf,
        /// What is wrong.
        trouble: String,
    },
    /// Two engines have data there, and it differs.
    #[error("{} holds data of sled and of redb that differs: move one of the two away", .0.display())]
    Ambiguous(PathBuf),
    /// The copy is not what was copied.
    #[error("the copy is not what was copied; everything is as it was")]
    Unlike,
    /// The file system refused something.
    #[error("{}: {error}", path.display())]
    Io {
        /// What it was about.
        path: PathBuf,
        /// What it said.
        #[source]
        error: io::Error,
    },
}

/// Reads everything in a store, whatever its engine.
///
/// # Errors
/// When there is none, when it is in use, and when its engine cannot open it.
pub fn verify(settings: &DiskSettings) -> Result<StoreReport, MaintenanceError> {
    let _lock = lock(settings)?;
    let kind = the_one(&settings.path)?;
    let engine = open(kind, &settings.path.join(kind.name()), settings)?;
    Ok(examine(&*engine, &|| {}, &mut |_| {}))
}

/// Keeps everybody else away from a store, and ends a copying that a crash has interrupted in it.
fn lock(settings: &DiskSettings) -> Result<File, MaintenanceError> {
    let store = &settings.path;
    let places = EngineKind::ALL.map(|kind| (kind, StorePaths::new(&DiskSettings { kind, ..settings.clone() })));
    if !places.iter().any(|(kind, place)| kind.is_in(store) || place.old.exists()) {
        return Err(MaintenanceError::Nothing(store.clone()));
    }
    let lock = lock_file(store)?;
    for (_, place) in places.iter().filter(|(_, place)| place.old.exists()) {
        place.finish_rebuild().map_err(at(store))?;
    }
    Ok(lock)
}

fn lock_file(store: &Path) -> Result<File, MaintenanceError> {
    let lock = files::lock(&store.join("store.lock"), Duration::ZERO).map_err(at(store))?;
    lock.ok_or_else(|| MaintenanceError::InUse(store.to_owned()))
}

/// The engine that has data in a store.
fn the_one(store: &Path) -> Result<EngineKind, MaintenanceError> {
    match EngineKind::ALL.into_iter().filter(|kind| kind.is_in(store)).collect::<Vec<_>>()[..] {
        [kind] => Ok(kind),
        [] => Err(MaintenanceError::Nothing(store.to_owned())),
        _ => Err(MaintenanceError::Ambiguous(store.to_owned())),
    }
}

/// Opens an engine's files as they are, or makes new ones.
fn open(kind: EngineKind, directory: &Path, settings: &DiskSettings) -> Result<Box<dyn KvEngine>, MaintenanceError> {
    if directory.join("db").exists() {
        // Nobody else has the store: threads of sled's that this process has just let go of may still hold sled's own
        // lock.
        wait_for(directory, settings)?;
    }
    kind.prepare(directory).map_err(at(directory))?;
    let opened = catch_unwind(AssertUnwindSafe(|| kind.open(directory, settings.cache_bytes, &(Arc::new(|| {}) as _))));
    let opened = opened.unwrap_or_else(|_| Err(Fault::damaged("its engine panicked")));
    opened.map_err(|fault| unusable(directory, &fault))
}

/// Lets go of an engine's files, and waits until it has.
fn close(engine: Box<dyn KvEngine>, directory: &Path, settings: &DiskSettings) -> Result<(), MaintenanceError> {
    drop(engine);
    wait_for(directory, settings)
}

/// Waits until no thread holds an engine's files.
fn wait_for(directory: &Path, settings: &DiskSettings) -> Result<(), MaintenanceError> {
    match files::lock(&directory.join("db"), settings.lock_timeout).map_err(at(directory))? {
        Some(_) => Ok(()),
        None => Err(MaintenanceError::InUse(directory.to_owned())),
    }
}

fn unusable(path: &Path, fault: &Fault) -> MaintenanceError {
    MaintenanceError::Unusable { path: path.to_owned(), reason: fault.to_string() }
}

fn at(path: &Path) -> impl Fn(io::Error) -> MaintenanceError {
    let path = path.to_owned();
    move |error| MaintenanceError::Io { path: path.clone(), error }
}
