//! A directory that nobody else can look into, and that goes with whoever has made it.

use std::fs::DirBuilder;
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use tracing::warn;

use crate::message::secret::random;

/// So often it is looked for a name that is free.
const ATTEMPTS: u32 = 8;

/// The directory. Dropped, it is removed with all that is in it.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// Makes one inside `parent`, of its own: one that is there already, whoever has made it, is never taken.
    pub(super) fn make(parent: &Path) -> io::Result<Self> {
        for _ in 0..ATTEMPTS {
            // Nobody knows the name beforehand, so nobody can be there first.
            let path = parent.join(format!("threedots-{}", &random()[..16]));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(ErrorKind::AlreadyExists.into())
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A store that did not end in time may put one more file into it meanwhile.
        let removed = (0..ATTEMPTS)
            .map(|_| std::fs::remove_dir_all(&self.0))
            .find(|removed| removed.as_ref().map_or_else(|error| error.kind() == ErrorKind::NotFound, |()| true));
        if removed.is_none() {
            warn!("the sandbox's directory could not be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn it_is_for_its_owner_alone_and_goes_with_all_that_is_in_it() {
        let parent = tempfile::tempdir().expect("a directory");
        let (one, other) = (Scratch::make(parent.path()).expect("one"), Scratch::make(parent.path()).expect("another"));
        assert_ne!(one.path(), other.path());
        let mode = std::fs::metadata(one.path()).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o7777, 0o700);
        std::fs::create_dir(one.path().join("sled")).expect("a directory");
        std::fs::write(one.path().join("sled/data"), "words").expect("a file");
        let path = one.path().to_owned();
        drop(one);
        assert!(!path.exists() && other.path().exists());
        assert!(Scratch::make(&path).is_err(), "there is no such parent");
    }
}
