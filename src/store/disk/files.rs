//! The files around an engine's: their modes, the lock, and what it takes until they outlive a power cut.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

/// Makes a directory that nobody else can look into, unless it is there.
pub(in crate::store) fn create_directory(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    // The umask may have taken more away.
    fs::set_permissions(path, Permissions::from_mode(0o700))?;
    path.parent().map_or(Ok(()), sync_directory)
}

/// Writes a small file anew. Durable when it returns.
pub(in crate::store) fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = options().create(true).truncate(true).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    path.parent().map_or(Ok(()), sync_directory)
}

/// Reads a small file, if there is one.
pub(in crate::store) fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removes a file, if there is one. Durable when it returns.
pub(in crate::store) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Ok(()) => path.parent().map_or(Ok(()), sync_directory),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Removes a directory with all that is in it, if there is one. Durable when it returns.
pub(in crate::store) fn remove_directory(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Ok(()) => path.parent().map_or(Ok(()), sync_directory),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Gives a directory another name. Durable when it returns.
pub(in crate::store) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    to.parent().map_or(Ok(()), sync_directory)
}

/// Locks a file that is made if need be, waiting for whoever holds it; none, if that takes too long.
///
/// The lock is let go when the file is closed, however the process ends.
pub(in crate::store) fn lock(path: &Path, patience: Duration) -> io::Result<Option<File>> {
    let file = options().create(true).truncate(false).open(path)?;
    let deadline = Instant::now() + patience;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => return Ok(None),
            // Only while the process starts, and only while another one ends: there is no event to wait for.
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// Takes everything under a directory away from everybody but us, and makes it durable.
pub(in crate::store) fn secure(directory: &Path) -> io::Result<()> {
    fs::set_permissions(directory, Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            secure(&path)?;
        } else {
            fs::set_permissions(&path, Permissions::from_mode(0o600))?;
            File::open(&path)?.sync_all()?;
        }
    }
    sync_directory(directory)
}

/// Makes durable which files a directory holds.
pub(in crate::store) fn sync_directory(path: &Path) -> io::Result<()> {
    // A relative path of one part has an empty parent.
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    File::open(path)?.sync_all()
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}
