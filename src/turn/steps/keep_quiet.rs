//! Quiet hours: nobody sees "read" or "typing", and the handler is not asked.

use crate::message::{Part, Speaker};
use crate::policy::quiet_hours::QuietPeriod;
use crate::store::{Claim, StoreError};
use crate::turn::{GiveBackReason, TurnReport, TurnRun};

/// Why nothing is answered.
pub(in crate::turn) const QUIET: &str = "quiet hours";

/// Among so many things said last, it is looked for whether the customer was told already.
const LOOKED_AT: usize = 50;

impl TurnRun<'_> {
    /// Has the messages wait until the night is over; or says so once instead, and leaves it at that.
    pub(in crate::turn) async fn keep_quiet(
        mut self,
        claim: Claim,
        night: QuietPeriod,
    ) -> Result<TurnReport, StoreError> {
        let batch = std::mem::take(&mut self.batch);
        let words = self.bot.quiet.as_ref().and_then(|quiet| quiet.words(&batch.newest().inbound));
        let Some(words) = words else {
            return self.give_back(claim, night.ends, GiveBackReason::QuietHours).await;
        };
        self.report.reason = Some(QUIET.to_owned());
        let said = self.tools.store.history(&claim.conversation, LOOKED_AT).await?;
        if said.iter().any(|said| said.by == Speaker::Bot && said.time >= night.began && said.words == words) {
            return self.keep_silent(claim, Some(&batch)).await;
        }
        let outgoing = batch.outgoing(vec![Part::text(words)], None, 0, self.bot);
        self.send_unanswered(claim, outgoing).await
    }
}
