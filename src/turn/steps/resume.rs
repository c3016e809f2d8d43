//! A reply that an earlier turn, or an earlier process, has left unfinished.

use crate::store::{Claim, ContactRef, StoreError};
use crate::turn::{TurnReport, TurnRun};

impl TurnRun<'_> {
    /// Goes on where an earlier turn, or an earlier process, stopped while it was sending.
    pub(in crate::turn) async fn resume(mut self, mut claim: Claim) -> Result<TurnReport, StoreError> {
        let Some(outgoing) = claim.outgoing.take() else { return self.keep_silent(claim, None).await };
        if outgoing.unasked {
            self.open_until = self.open_to(&claim, &ContactRef::of(&outgoing.to)).await?;
        } else if self.bot.provider.abilities().window.is_some() {
            // Only the window asks what was said.
            let history = self.tools.store.history(&claim.conversation, self.bot.turn.history).await?;
            self.open_until = self.window(&claim, &history);
        }
        self.send_waiting(claim, outgoing).await
    }
}
