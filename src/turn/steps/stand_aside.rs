//! A person answers: the bot says nothing, and what it was about to say stays unsaid.

use crate::store::{Claim, StoreError};
use crate::turn::takeover::{A_PERSON, sent};
use crate::turn::{TurnReport, TurnRun};

impl TurnRun<'_> {
    /// Says nothing, calls off what was to be said, and keeps what the customer has said meanwhile.
    pub(in crate::turn) async fn stand_aside(mut self, mut claim: Claim) -> Result<TurnReport, StoreError> {
        if let Some(outgoing) = claim.outgoing.take() {
            if outgoing.unasked {
                return self.leave_unsaid(claim, outgoing, Vec::new(), A_PERSON.to_owned()).await;
            }
            let left = sent(&outgoing);
            return self.call_off(claim, &outgoing, left, A_PERSON).await;
        }
        self.look_at_failed(&claim).await?;
        self.report.reason = Some(A_PERSON.to_owned());
        let batch = self.pass_gates(&claim.messages);
        self.keep_silent(claim, batch.as_ref()).await
    }
}
