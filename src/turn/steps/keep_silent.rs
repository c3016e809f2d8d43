//! Nothing is said.

use crate::store::{Claim, Ending, Settled, StoreError};
use crate::turn::{Batch, TurnOutcome, TurnReport, TurnRun, history};

impl TurnRun<'_> {
    /// Says nothing. What was said to a bot that kept silent is part of the conversation; what was turned away is not.
    pub(in crate::turn) async fn keep_silent(
        self,
        claim: Claim,
        batch: Option<&Batch>,
    ) -> Result<TurnReport, StoreError> {
        let endings = claim.messages.iter().map(|waiting| (waiting.seq, Ending::Silent)).collect();
        let said = batch.map_or_else(Vec::new, |batch| {
            history::heard(&claim, |seq| batch.admitted.iter().any(|waiting| waiting.seq == seq))
        });
        let (reason, failed) = (self.report.reason.clone(), claim.failed.len());
        self.settle(claim, TurnOutcome::Silent, reason, Settled { endings, said, failed, ..Settled::default() }).await
    }
}
