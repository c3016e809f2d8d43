//! How much room there is on the disk: a reserve of it stays free, so that a full disk is met before an engine meets
//! it.
//!
//! | free | what is refused |
//! |---|---|
//! | the reserve, and more | nothing |
//! | less | what is new: messages, proactive messages, replays, invitations |
//! | less than a quarter of it | reports and echoes too, which come again; and no turn begins |
//!
//! What ends what has begun is never refused: that is what the reserve is for. There is room again once there is a
//! quarter more than was too little, or twice as much before turns begin again: so nothing flutters.
//!
//! The committer looks before each batch, which is [`QUEUE_BYTES`](super::committer::QUEUE_BYTES) at the most: a look
//! costs a microsecond, and what follows it a sync.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::statvfs::statvfs;
use tokio::sync::Notify;

use crate::store::StoreError;

/// How much room there is where something is kept, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// What whoever runs this process may still use.
    pub free: u64,
    /// The whole file system.
    pub whole: u64,
}

/// Who knows how much room there is. By default the system.
#[derive(Clone)]
pub struct SpaceProbe(Arc<Probe>);

type Probe = dyn Fn(&Path) -> io::Result<Space> + Send + Sync;

impl SpaceProbe {
    /// Asks `probe`.
    pub fn new(probe: impl Fn(&Path) -> io::Result<Space> + Send + Sync + 'static) -> Self {
        Self(Arc::new(probe))
    }
}

impl SpaceProbe {
    /// How much room there is where `path` is.
    ///
    /// # Errors
    /// What the system says.
    pub fn ask(&self, path: &Path) -> io::Result<Space> {
        (self.0)(path)
    }
}

impl Default for SpaceProbe {
    fn default() -> Self {
        Self::new(|path| {
            let found = statvfs(path)?;
            #[allow(clippy::useless_conversion, reason = "they are narrower on other systems")]
            let bytes = |blocks| u64::from(blocks).saturating_mul(u64::from(found.fragment_size()));
            Ok(Space { free: bytes(found.blocks_available()), whole: bytes(found.blocks()) })
        })
    }
}

impl fmt::Debug for SpaceProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SpaceProbe")
    }
}

/// What the room is enough for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    /// To end what has begun.
    Exhausted,
    /// For all but what is new.
    Low,
    /// For everything.
    #[default]
    Plenty,
}

/// The room on the disk of one store.
pub(super) struct DiskSpace {
    path: PathBuf,
    reserve: u64,
    probe: SpaceProbe,
    state: Mutex<SpaceState>,
    /// Tells whoever waits that something else is refused from now on, or nothing.
    pub(super) changed: Notify,
}

#[derive(Default)]
struct SpaceState {
    level: Level,
    free: u64,
    /// Whether it was told that nobody knows.
    unknown: bool,
}

impl DiskSpace {
    /// The room where `path` is. Of a small disk no more than a quarter is kept in reserve.
    pub(super) fn new(path: PathBuf, reserve: u64, probe: SpaceProbe) -> Self {
        Self { path, reserve, probe, state: Mutex::default(), changed: Notify::new() }
    }

    /// Looks how much room there is, and tells once if that changes what is taken in.
    pub(super) fn look(&self) {
        if self.reserve == 0 {
            return;
        }
        let space = self.probe.ask(&self.path);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let space = match space {
            Ok(space) => space,
            Err(error) => {
                // Whoever cannot tell is no reason to turn anything away.
                if !std::mem::replace(&mut state.unknown, true) {
                    tracing::warn!(%error, "nobody knows how much room is left on the store's disk: it may run full");
                }
                state.level = Level::Plenty;
                return;
            }
        };
        state.unknown = false;
        state.free = space.free;
        let reserve = self.reserve.min(space.whole / 4);
        let level = state.level.after(space.free, reserve);
        let before = std::mem::replace(&mut state.level, level);
        if level != before {
            self.changed.notify_waiters();
        }
        match (before, state.level) {
            (before, level) if before == level => {}
            (_, Level::Exhausted) => tracing::error!(
                store.free = space.free,
                store.reserve = reserve,
                "the store's disk is full but for what ends the turns that have begun: webhooks are turned back with 503, \
                 and no turn begins, until there is room"
            ),
            (Level::Plenty, Level::Low) => tracing::error!(
                store.free = space.free,
                store.reserve = reserve,
                "the store's disk is almost full: webhooks are turned back with 503 until there is room"
            ),
            (_, Level::Low) => tracing::info!(store.free = space.free, "the store's disk has room for turns again"),
            (_, Level::Plenty) => {
                tracing::info!(store.free = space.free, "the store's disk has room again: webhooks are taken in");
            }
        }
    }

    /// Whether so many bytes are free right now; if nobody knows, they are.
    pub(super) fn has(&self, bytes: u64) -> bool {
        self.probe.ask(&self.path).map_or(true, |space| space.free >= bytes)
    }

    /// Whether there is room for something new, as of the last look.
    pub(super) fn admit(&self) -> Result<(), StoreError> {
        self.from(Level::Plenty)
    }

    /// Whether there is room for what comes again if it is turned back, as of the last look.
    pub(super) fn admit_repeatable(&self) -> Result<(), StoreError> {
        self.from(Level::Low)
    }

    fn from(&self, least: Level) -> Result<(), StoreError> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.level >= least { Ok(()) } else { Err(StoreError::OutOfSpace { free: state.free }) }
    }
}

impl Level {
    /// What it becomes with so much room.
    fn after(self, free: u64, reserve: u64) -> Self {
        if free < reserve / 4 || (self == Self::Exhausted && free < reserve / 2) {
            Self::Exhausted
        } else if free < reserve || (self != Self::Plenty && free < reserve + reserve / 4) {
            Self::Low
        } else {
            Self::Plenty
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Level::{Exhausted, Low, Plenty};

    #[test]
    fn it_becomes_tight_at_once_and_plenty_only_with_some_more() {
        let free = [100, 99, 100, 124, 125, 100, 25, 24, 49, 50, 99, 124, 125, 0, 125];
        let mut level = Plenty;
        let levels = free.map(|free| {
            level = level.after(free, 100);
            level
        });
        let expected = [
            Plenty, Low, Low, Low, Plenty, Plenty, Low, Exhausted, Exhausted, Low, Low, Low, Plenty, Exhausted, Plenty,
        ];
        assert_eq!(levels, expected);
    }
}
