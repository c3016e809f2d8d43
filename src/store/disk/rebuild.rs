//! Writes the data anew, into files that hold nothing else: what is deleted stays in an engine's files.
//!
//! The new files are complete and durable before they take the place of the old ones, which is done by two renames. A
//! crash at any point leaves the old files or the new ones, and the next opening ends what it interrupted.
//!
//! | a crash leaves | and the next opening |
//! |---|---|
//! | `sled`, and a `sled.new` | removes `sled.new` |
//! | `sled.old`, and a `sled.new` with its `format` | goes on with `sled.new` |
//! | `sled`, and a `sled.old` | removes `sled.old` |
//!
//! With another engine, its name stands for sled's.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::engine::KvEngine;
use super::fault::Fault;
use super::files;
use super::guard::StorePaths;
use super::ledger::Ledger;
use super::open::{DiskSettings, OpenError};
use super::tree::{OmittedKeys, Tree};
use crate::store::record::VERSION;

/// How long threads of an engine's may go on after their owner has let go of its files.
const LETTING_GO: Duration = Duration::from_secs(10);

/// How much room the opening of a copy may take, beside what it replaces: a disk that has no more than the copy itself
/// would end the store in between.
pub(super) const OPENING: u64 = 16 << 20;

/// Copies a tree without what is left out. Durable when it returns, and `has_room` for being opened.
pub(super) fn copy(
    place: &StorePaths,
    settings: &DiskSettings,
    tree: &Tree,
    without: &OmittedKeys,
    has_room: &dyn Fn() -> bool,
) -> Result<(), Fault> {
    let no_room = || Err(io::Error::from(io::ErrorKind::StorageFull).into());
    let copied = if has_room() { copy_files(place, settings, tree, without) } else { no_room() };
    let copied = copied.and_then(|()| if has_room() { Ok(()) } else { no_room() });
    if copied.is_err() {
        // What is left of it is removed at the next opening at the latest.
        drop(files::remove_directory(&place.new));
    }
    copied
}

fn copy_files(place: &StorePaths, settings: &DiskSettings, tree: &Tree, without: &OmittedKeys) -> Result<(), Fault> {
    files::remove_directory(&place.new)?;
    files::create_directory(&place.new)?;
    let mut engine = open(&place.new, settings)?;
    tree.copy_into(&mut *engine, without)?;
    drop(engine);
    wait_until_closed(place, &place.new)?;
    files::secure(&place.new)?;
    // Says that the rest is there.
    files::write(&place.new.join("format"), &VERSION.to_string())?;
    Ok(())
}

/// Puts the copy in the place of what it was made of, and goes on with it.
pub(super) fn swap(place: &StorePaths, settings: &DiskSettings, ledger: Ledger) -> Result<Ledger, Fault> {
    let closed = ledger.close();
    wait_until_closed(place, &place.tree)?;
    files::rename(&place.tree, &place.old)?;
    files::rename(&place.new, &place.tree)?;
    let tree = Tree::new(open(&place.tree, settings)?);
    tree.sync()?;
    files::secure(&place.tree)?;
    Ok(closed.open(tree))
}

/// Removes what the copy has replaced.
pub(super) fn remove_old(place: &StorePaths) -> io::Result<()> {
    files::remove_directory(&place.old)?;
    let aside = place.moved_aside()?;
    if aside > 0 {
        tracing::warn!(
            directories = aside,
            "data that was moved aside as damaged was not searched, and is still there"
        );
    }
    Ok(())
}

impl StorePaths {
    /// Ends what a crash has interrupted.
    pub(super) fn finish_rebuild(&self) -> io::Result<()> {
        if !self.tree.exists() {
            if self.new.join("format").exists() {
                files::rename(&self.new, &self.tree)?;
            } else if self.old.exists() {
                files::rename(&self.old, &self.tree)?;
            }
        }
        files::remove_directory(&self.new)?;
        files::remove_directory(&self.old)
    }
}

/// Opens the files of an engine that was closed properly, or makes new ones.
fn open(directory: &Path, settings: &DiskSettings) -> Result<Box<dyn KvEngine>, Fault> {
    settings.kind.open(directory, settings.cache_bytes, &(Arc::new(|| {}) as _))
}

/// sled's threads may hold its files for a moment longer than its owner does. However long a command waits for others:
/// these are our own.
fn wait_until_closed(place: &StorePaths, tree: &Path) -> Result<(), Fault> {
    match place.lock(&tree.join("db"), LETTING_GO) {
        Ok(_) => Ok(()),
        Err(OpenError::Io { error, .. }) => Err(Fault::Disk(error)),
        Err(_) => Err(Fault::damaged("the engine does not let go of its files")),
    }
}
