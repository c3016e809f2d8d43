//! How a store on disk is opened: where it is, what was found there, and why it may not be possible.

use std::path::PathBuf;
use std::time::Duration;

use super::engine::EngineKind;
use super::room::SpaceProbe;
use crate::runtime::meters::Meters;
use crate::store::{StoreConfig, StoreKind};

/// Where a [`Disk`](super::Disk) keeps its data, and its limits.
#[derive(Clone, Debug)]
pub struct DiskSettings {
    /// The engine.
    pub kind: EngineKind,
    /// The directory; made if need be.
    pub path: PathBuf,
    /// How much memory the engine may use for its pages, in bytes.
    pub cache_bytes: u64,
    /// How long the opening may go without progress.
    pub open_timeout: Duration,
    /// How long to wait for another process to let go of the directory.
    pub lock_timeout: Duration,
    /// How many messages may wait, all conversations together.
    pub max_waiting: usize,
    /// How many things said are kept of each conversation.
    pub history_kept: usize,
    /// How much of the disk stays free, in bytes, though a quarter of it at the most; 0: nobody looks.
    pub reserve: u64,
    /// Who knows how much of it is free.
    pub space: SpaceProbe,
    /// Who counts commits.
    pub meters: Meters,
}

impl Default for DiskSettings {
    fn default() -> Self {
        Self {
            kind: EngineKind::Sled,
            path: PathBuf::from("data"),
            cache_bytes: 32 * 1024 * 1024,
            open_timeout: Duration::from_secs(20),
            lock_timeout: Duration::from_secs(10),
            max_waiting: 100_000,
            history_kept: 200,
            reserve: StoreConfig::default().reserve,
            space: SpaceProbe::default(),
            meters: Meters::default(),
        }
    }
}

impl DiskSettings {
    /// What the configuration asks for; nothing, if that is a store in memory.
    pub fn of(config: &StoreConfig) -> Option<Self> {
        let kind = match config.kind {
            StoreKind::Memory => return None,
            StoreKind::Sled => EngineKind::Sled,
            StoreKind::Redb => EngineKind::Redb,
        };
        Some(Self {
            kind,
            path: config.path.clone(),
            cache_bytes: config.cache,
            max_waiting: config.max_waiting,
            history_kept: config.history,
            reserve: config.reserve,
            ..Self::default()
        })
    }
}

/// What was found when a store was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// How many messages were waiting.
    pub waiting: usize,
    /// What was moved aside because it could not be used, if anything was.
    pub quarantine: Option<Quarantine>,
}

/// Data that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantine {
    /// The directory that it was moved to.
    pub moved_to: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Somebody else has it open.
    #[error("{} is locked: another process uses this store", path.display())]
    Locked {
        /// The file that is locked.
        path: PathBuf,
    },
    /// It was written by a newer threedots.
    #[error(
        "the store in {} has version {format}, and this threedots knows none above {known}: start a newer threedots, \
         or another `store.path`; the data is as it was",
        path.display()
    )]
    Newer {
        /// The store's directory.
        path: PathBuf,
        /// The format it has.
        format: u8,
        /// The newest format that this program knows.
        known: u8,
    },
    /// It holds another engine's data.
    #[error(
        "the store in {} holds data of {}, and `store.kind` is \"{}\": say \"{}\" there, or take the data along with \
         `threedots store migrate --to {}`",
        path.display(), found.name(), wanted.name(), found.name(), wanted.name()
    )]
    Foreign {
        /// The store's directory.
        path: PathBuf,
        /// The engine whose data it holds.
        found: EngineKind,
        /// The engine that it was to be opened with.
        wanted: EngineKind,
    },
    /// It was written with other settings of the engine's than ours.
    #[error("the store in {} was written otherwise: {reason}", path.display())]
    Unsupported {
        /// The store's directory.
        path: PathBuf,
        /// What the engine says.
        reason: String,
    },
    /// The opening made no progress. Tried again, it is found out whether the data is to blame.
    #[error("opening the store in {} made no progress for {after:?}", path.display())]
    TooSlow {
        /// The store's directory.
        path: PathBuf,
        /// For how long.
        after: Duration,
    },
    /// Not even an empty store can be used.
    #[error("the store in {} cannot be used: {reason}", path.display())]
    Damaged {
        /// The store's directory.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The file system refused something.
    #[error("the store in {} cannot be opened: {error}", path.display())]
    Io {
        /// The store's directory.
        path: PathBuf,
        /// What it said.
        #[source]
        error: std::io::Error,
    },
}
