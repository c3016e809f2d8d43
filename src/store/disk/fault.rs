//! Why something could not be done with the tree: a refusal concerns one request, anything else ends the store.

use crate::store::StoreError;
use crate::store::record::{Unreadable, VERSION};

/// Why something could not be done.
#[derive(Debug)]
pub(in crate::store) enum Fault {
    /// It cannot be done, and nothing has been.
    Refused(StoreError),
    /// The disk failed us.
    Disk(std::io::Error),
    /// The data is not what it should be; or the engine is not.
    Damaged(String),
    /// The data is sound, and not of the kind that we write.
    Unsupported(String),
    /// The data is of a version that only a newer program knows.
    Newer(u8),
}

impl Fault {
    /// What is there is not what was written.
    pub(in crate::store) fn damaged(what: &str) -> Self {
        Self::Damaged(what.to_owned())
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

impl From<Unreadable> for Fault {
    fn from(_: Unreadable) -> Self {
        Self::damaged("a record cannot be read")
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self::Disk(error)
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(error) => error.fmt(f),
            Self::Disk(error) => write!(f, "the disk failed: {error}"),
            Self::Damaged(what) => write!(f, "the data is damaged: {what}"),
            Self::Unsupported(what) => write!(f, "the data was written otherwise: {what}"),
            Self::Newer(version) => write!(f, "the data is of version {version}, and {VERSION} is known"),
        }
    }
}
