//! redb's file: as redb's own backend would have it, and with an eye on whether its opening comes forward.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use redb::StorageBackend;

use crate::store::disk::engine::Progress;

/// After so many bytes read, progress is reported.
const STEP: u64 = 1024 * 1024;

/// A repair reads the whole file three times. What reads it much more often than that has lost its way, and no longer
/// comes forward.
const MOST_READINGS: u64 = 16;

/// A file that tells of being read.
pub(super) struct Watched {
    file: File,
    progress: Progress,
    read: AtomicU64,
}

impl Watched {
    /// Opens or makes a file.
    pub(super) fn open(path: &Path, progress: Progress) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file, progress, read: AtomicU64::new(0) }),
            Err(TryLockError::Error(error)) => Err(error),
            Err(TryLockError::WouldBlock) => Err(io::Error::new(io::ErrorKind::ResourceBusy, "the file is in use")),
        }
    }
}

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watched")
    }
}

impl StorageBackend for Watched {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, offset)?;
        let length = out.len() as u64;
        let before = self.read.fetch_add(length, Ordering::Relaxed);
        let after = before.saturating_add(length);
        if before / STEP != after / STEP && after <= MOST_READINGS * self.len()? {
            (self.progress)();
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_all_at(data, offset)
    }
}
