//! The customer's last message is too old: nothing free-form reaches them, an approved template does.

use crate::delivery::outbox;
use crate::store::{Claim, Outgoing, Settled, StoreError};
use crate::turn::window::CLOSED;
use crate::turn::{Batch, TurnOutcome, TurnReport, TurnRun, endings};

impl TurnRun<'_> {
    /// Nothing that the handler could say would reach the customer: it is not asked, and nobody sees "read" or
    /// "typing". The bot's approved template goes out if it has one; else the messages are dead.
    pub(in crate::turn) async fn window_closed(mut self, claim: Claim) -> Result<TurnReport, StoreError> {
        let batch = std::mem::take(&mut self.batch);
        let Some(template) = &self.bot.delivery.window_template else {
            return self.bury(claim, &batch, CLOSED.to_owned()).await;
        };
        let outgoing = batch.outgoing(vec![template.part()], None, 0, self.bot);
        self.send_unanswered(claim, outgoing).await
    }

    /// Whether the bot has a template to send in the place of a reply for which it has become too late.
    pub(in crate::turn) fn template_may_follow(&self, outgoing: &Outgoing) -> bool {
        let template = self.bot.delivery.window_template.as_ref().map(outbox::WindowTemplate::part);
        template.is_some_and(|template| outgoing.parts.iter().all(|part| part.part != template))
    }

    /// Sends it, in the place of what has not left.
    pub(in crate::turn) async fn send_template(self, claim: Claim, late: Outgoing) -> Result<TurnReport, StoreError> {
        let Some(template) = &self.bot.delivery.window_template else {
            // The caller has asked whether there is one.
            let done = Settled { endings: endings(&late, Some(CLOSED)), ..Settled::default() };
            return self.settle(claim, TurnOutcome::Dead, Some(CLOSED.to_owned()), done).await;
        };
        let outgoing = outbox::instead(&late, template.part(), self.bot.provider.abilities().statuses_carry_key);
        self.send_unanswered(claim, outgoing).await
    }

    /// Makes dead letters of what was to be answered.
    pub(in crate::turn) async fn bury(
        self,
        claim: Claim,
        batch: &Batch,
        reason: String,
    ) -> Result<TurnReport, StoreError> {
        let outgoing = batch.outgoing(Vec::new(), Some(reason.clone()), 0, self.bot);
        let done = Settled { endings: endings(&outgoing, Some(&reason)), ..Settled::default() };
        self.settle(claim, TurnOutcome::Dead, Some(reason), done).await
    }
}
