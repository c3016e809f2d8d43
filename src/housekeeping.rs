//! Throws away what has been kept for long enough, in steps too small to notice, for as long as the process lives.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::store::{Retention, Store, StoreError, Swept};

/// Between two steps of a round.
const STEP: Duration = Duration::from_secs(1);
/// Between two rounds, and after a step that could not be made.
const ROUND: Duration = Duration::from_secs(60);

/// Goes round and round over all that is kept, until it is stopped or the store takes nothing in any longer.
pub async fn run(store: &dyn Store, retention: &Retention, stopped: &CancellationToken) {
    let mut round = Swept::default();
    loop {
        let pause = match store.sweep(retention).await {
            Ok(swept) => {
                round.conversations += swept.conversations;
                round.sent += swept.sent;
                round.dead += swept.dead;
                if swept.round {
                    tell(&std::mem::take(&mut round));
                    ROUND
                } else {
                    STEP
                }
            }
            // The worker meets the same error, and ends the process.
            Err(StoreError::Closed | StoreError::Failed(_)) => return,
            Err(error) => {
                warn!(%error, "what was kept for long enough could not be thrown away: the next attempt is in a minute");
                ROUND
            }
        };
        if stopped.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return;
        }
    }
}

/// One line for a round in which anything went.
fn tell(round: &Swept) {
    let Swept { conversations, sent, dead, .. } = *round;
    if conversations + sent + dead > 0 {
        info!(conversations, sent, dead, "thrown away: it was kept for long enough");
    }
}
