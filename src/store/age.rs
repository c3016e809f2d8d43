//! The clock by which marks age: nobody can set it.

use tokio::time::Instant;

use crate::message::clock::Timestamp;

/// Goes on from where it stood when the store was last open, as fast as time passes while the process runs: a time of
/// day that jumps, forwards or back, moves it nowhere. So it falls behind the time of day by as long as nothing ran,
/// and what ages by it is kept for longer, never shorter.
#[derive(Clone, Copy)]
pub(super) struct AgeClock {
    stood_at: Timestamp,
    since: Instant,
}

impl AgeClock {
    /// Goes on from `stood_at`.
    pub(super) fn from(stood_at: Timestamp) -> Self {
        Self { stood_at, since: Instant::now() }
    }

    /// Where it stands.
    pub(super) fn now(&self) -> Timestamp {
        self.stood_at.plus(self.since.elapsed())
    }
}
