//! What a store on disk asks of a key-value engine. Everything above knows keys, values and batches; what an engine
//! needs besides, so that it keeps its word, is its own business.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::fault::Fault;

/// A key and its value.
pub(in crate::store) type KeyValue = (Vec<u8>, Vec<u8>);

/// Pairs in the order of their keys, from either end.
pub(in crate::store) type Pairs<'a> = Box<dyn DoubleEndedIterator<Item = Result<KeyValue, Fault>> + 'a>;

/// A change: a value that is set, or, without one, removed.
pub(in crate::store) type KeyChange = (Vec<u8>, Option<Vec<u8>>);

/// Called whenever the opening of an engine comes forward.
pub(in crate::store) type Progress = Arc<dyn Fn() + Send + Sync>;

/// Keys with values, in order, with one writer.
pub(in crate::store) trait KvEngine: Send + Sync {
    /// A value.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Fault>;

    /// The pairs from `first` up to, and without, `end`; up to the last one without an `end`.
    fn range(&self, first: &[u8], end: Option<&[u8]>) -> Result<Pairs<'_>, Fault>;

    /// Applies changes, all of them or none, whatever happens meanwhile. From then on they are seen.
    fn apply(&mut self, changes: &mut dyn Iterator<Item = KeyChange>) -> Result<(), Fault>;

    /// Makes everything durable that was applied. An error is the end: what it has lost cannot be told.
    fn sync(&self) -> Result<(), Fault>;

    /// How much may be applied before it is made durable, in bytes.
    fn most_unsynced(&self) -> usize;

    /// How many pairs there are, if the engine keeps count.
    fn count(&self) -> Result<Option<u64>, Fault>;
}

/// The engines that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    /// sled 0.34.7.
    Sled,
    /// redb 4.
    Redb,
}

impl EngineKind {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::Sled, Self::Redb];

    /// Its name, which is also that of its directory in the store's.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sled => "sled",
            Self::Redb => "redb",
        }
    }

    /// The engine of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether it has data in a store's directory.
    pub(super) fn is_in(self, store: &Path) -> bool {
        store.join(self.name()).join("format").exists()
    }

    /// Removes from its directory what would keep it from opening.
    pub(super) fn prepare(self, directory: &Path) -> io::Result<()> {
        match self {
            Self::Sled => crate::store::sled::prepare(directory),
            Self::Redb => Ok(()),
        }
    }

    /// Opens, or makes, the data in a directory of its own, of which the file `db` is the one that grows.
    pub(super) fn open(self, directory: &Path, cache: u64, progress: &Progress) -> Result<Box<dyn KvEngine>, Fault> {
        match self {
            Self::Sled => Ok(Box::new(crate::store::sled::Sled::open(directory, cache)?)),
            Self::Redb => Ok(Box::new(crate::store::redb::Redb::open(directory, cache, progress)?)),
        }
    }
}
