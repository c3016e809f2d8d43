//! Throws away what has been kept for long enough, in steps too small to notice, for as long as the process lives.
//!
//! It takes a fiftieth of the time at most: the larger a step turns out, or the busier the store is, the longer the
//! pause behind it. So it keeps up with any inflow that the store keeps up with, and leaves a small store alone.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::store::{Maintenance, Retention, StoreError, Swept};

/// Between two steps of a round: so many times as long as the step took, within these bounds.
const SHARE: u32 = 50;
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Between two rounds, at the least, and after a step that could not be made.
const REST: Duration = Duration::from_secs(60);

/// Goes round and round over all that is kept, until it is stopped or the store takes nothing in any longer.
pub async fn run(store: &dyn Maintenance, retention: &Retention, stopped: &CancellationToken) {
    let mut round = Round::new();
    loop {
        let began = Instant::now();
        let pause = match store.sweep(retention).await {
            Ok(swept) => {
                round.add(&swept);
                if swept.round {
                    // As long again as it took: what is kept is read from one end to the other.
                    std::mem::replace(&mut round, Round::new()).end().max(REST)
                } else {
                    began.elapsed().saturating_mul(SHARE).clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
                }
            }
            // The worker meets the same error, and ends the process.
            Err(StoreError::Closed | StoreError::Failed(_)) => return,
            Err(error) => {
                warn!(%error, "what was kept for long enough could not be thrown away: the next attempt is in a minute");
                REST
            }
        };
        if stopped.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return;
        }
    }
}

/// What has gone since the last round.
struct Round {
    began: Instant,
    gone: Swept,
}

impl Round {
    fn new() -> Self {
        Self { began: Instant::now(), gone: Swept::default() }
    }

    fn add(&mut self, swept: &Swept) {
        self.gone.conversations += swept.conversations;
        self.gone.sent += swept.sent;
        self.gone.dead += swept.dead;
    }

    /// Says so, if anything has gone. Returns how long the round took.
    fn end(self) -> Duration {
        let Swept { conversations, sent, dead, .. } = self.gone;
        if conversations + sent + dead > 0 {
            info!(conversations, sent, dead, "thrown away: it was kept for long enough");
        }
        self.began.elapsed()
    }
}
