//! redb 4, and what it takes until its word can be relied on.
//!
//! redb keeps its word about power cuts by itself. A batch is committed without durability, so that it is seen at once
//! and nobody waits for the disk meanwhile; the commit behind it is durable when it returns, and takes all along.
//!
//! redb verifies the checksums of its pages only where a file was not closed properly, so every value here carries one
//! of its own, which is held against it whenever it is read. A file that was not closed properly is repaired as it is
//! opened: redb reads all of it, and goes back to its last whole commit.

mod backend;
#[cfg(test)]
mod tests;

use std::path::Path;

use redb::{
    Builder, Database, DatabaseError, Durability, ReadOnlyTable, ReadableDatabase, ReadableTableMetadata,
    StorageBackend, StorageError, TableDefinition, TableError,
};
use sha2::{Digest, Sha256};

use super::disk::engine::{KeyChange, KeyValue, KvEngine, Pairs, Progress};
use super::disk::fault::Fault;
use backend::Watched;

/// The one table.
const TABLE: TableDefinition<&[u8], &[u8]> = TableDefinition::new("threedots");

/// How much is applied at once, at most, in bytes: redb holds it in memory until it is written.
const MOST_UNSYNCED: usize = 4 * 1024 * 1024;

/// The length of a value's checksum, in bytes.
const CHECKSUM: usize = 8;

/// redb's data.
pub(super) struct Redb {
    // Before the database: a snapshot keeps it from being closed properly.
    snapshot: Option<Snapshot>,
    db: Database,
}

/// The table as it was after the last change.
type Snapshot = ReadOnlyTable<&'static [u8], &'static [u8]>;

impl Redb {
    /// Opens, or makes, the data in a directory.
    pub(super) fn open(directory: &Path, cache: u64, progress: &Progress) -> Result<Self, Fault> {
        Self::over(Watched::open(&directory.join("db"), progress.clone())?, cache)
    }

    fn over(backend: impl StorageBackend, cache: u64) -> Result<Self, Fault> {
        let mut builder = Builder::new();
        builder.set_cache_size(usize::try_from(cache).unwrap_or(usize::MAX));
        let db = builder.create_with_backend(backend)?;
        if let Err(TableError::TableDoesNotExist(_)) = db.begin_read()?.open_table(TABLE) {
            let write = db.begin_write()?;
            write.open_table(TABLE)?;
            write.commit()?;
        }
        let mut engine = Self { snapshot: None, db };
        engine.look()?;
        Ok(engine)
    }

    /// Takes a new snapshot, and lets go of the old one.
    fn look(&mut self) -> Result<(), Fault> {
        self.snapshot = None;
        self.snapshot = Some(self.db.begin_read()?.open_table(TABLE)?);
        Ok(())
    }

    fn snapshot(&self) -> Result<&Snapshot, Fault> {
        self.snapshot.as_ref().ok_or_else(|| Fault::damaged("it was being changed when it failed"))
    }
}

impl KvEngine for Redb {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        match self.snapshot()?.get(key)? {
            Some(value) => Ok(Some(checked(key, value.value())?)),
            None => Ok(None),
        }
    }

    fn range(&self, first: &[u8], end: Option<&[u8]>) -> Result<Pairs<'_>, Fault> {
        let range = match end {
            Some(end) if end <= first => return Ok(Box::new(std::iter::empty())),
            Some(end) => self.snapshot()?.range(first..end)?,
            None => self.snapshot()?.range(first..)?,
        };
        Ok(Box::new(range.map(|pair| -> Result<KeyValue, Fault> {
            let (key, value) = pair?;
            Ok((key.value().to_vec(), checked(key.value(), value.value())?))
        })))
    }

    fn apply(&mut self, changes: &mut dyn Iterator<Item = KeyChange>) -> Result<(), Fault> {
        let mut write = self.db.begin_write()?;
        write.set_durability(Durability::None)?;
        let mut table = write.open_table(TABLE)?;
        for (key, value) in changes {
            match value {
                Some(value) => drop(table.insert(&*key, &*with_checksum(&key, value))?),
                None => drop(table.remove(&*key)?),
            }
        }
        drop(table);
        write.commit()?;
        self.look()
    }

    fn sync(&self) -> Result<(), Fault> {
        let mut write = self.db.begin_write()?;
        write.set_durability(Durability::Immediate)?;
        Ok(write.commit()?)
    }

    fn most_unsynced(&self) -> usize {
        MOST_UNSYNCED
    }

    fn count(&self) -> Result<Option<u64>, Fault> {
        Ok(Some(self.snapshot()?.len()?))
    }
}

/// A value with its checksum behind it.
fn with_checksum(key: &[u8], mut value: Vec<u8>) -> Vec<u8> {
    let checksum = checksum(key, &value);
    value.extend_from_slice(&checksum);
    value
}

/// A value without its checksum, if that is right.
fn checked(key: &[u8], stored: &[u8]) -> Result<Vec<u8>, Fault> {
    match stored.split_last_chunk() {
        Some((value, found)) if *found == checksum(key, value) => Ok(value.to_vec()),
        _ => Err(Fault::damaged("a value is not what was written")),
    }
}

fn checksum(key: &[u8], value: &[u8]) -> [u8; CHECKSUM] {
    let length = (key.len() as u64).to_be_bytes();
    let digest = Sha256::new().chain_update(length).chain_update(key).chain_update(value).finalize();
    let mut checksum = [0; CHECKSUM];
    checksum.copy_from_slice(&digest[..CHECKSUM]);
    checksum
}

/// Every error of redb's, by way of the one that holds them all.
macro_rules! fault_from {
    ($($error:ty)*) => {$(
        impl From<$error> for Fault {
            fn from(error: $error) -> Self {
                of(error.into())
            }
        }
    )*};
}

fault_from! {
    StorageError DatabaseError redb::TransactionError TableError redb::CommitError redb::SetDurabilityError
}

fn of(error: redb::Error) -> Fault {
    use std::io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    match error {
        // What redb says when a file is too short, or not one of its own.
        redb::Error::Io(error) if matches!(error.kind(), UnexpectedEof | InvalidData | InvalidInput) => {
            Fault::Damaged(error.to_string())
        }
        redb::Error::Io(error) => Fault::Disk(error),
        redb::Error::UpgradeRequired(format) => Fault::Unsupported(format!("it is of redb's file format {format}")),
        other => Fault::Damaged(other.to_string()),
    }
}
