//! The handler leaves the conversation to a person.

use crate::store::{By, Claim, StoreError};
use crate::turn::{Batch, TurnReport, TurnRun};

impl TurnRun<'_> {
    /// Leaves the conversation to a person, and the messages without an answer.
    pub(in crate::turn) async fn hand_over(
        mut self,
        claim: Claim,
        batch: &Batch,
        reason: String,
    ) -> Result<TurnReport, StoreError> {
        self.pause_by(&claim, By::Handler).await?;
        self.report.reason = Some(format!("handed over: {reason}"));
        self.keep_silent(claim, Some(batch)).await
    }
}
