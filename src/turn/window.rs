//! The 24-hour window: after it, a customer is sent nothing but an approved template.

use super::{Attempt, Batch, Done, TurnOutcome, TurnReport, endings};
use crate::delivery::outbox;
use crate::message::clock::Timestamp;
use crate::message::{HistoryEntry, Speaker};
use crate::store::{Claim, Outgoing, StoreError};

/// Why a reply was not sent.
pub(super) const CLOSED: &str = "the customer's last message is too old for a free-form reply";

impl Attempt<'_> {
    /// Until when the customer may be sent free-form replies: so long after their last message, waiting or answered.
    pub(super) fn window(&self, claim: &Claim, history: &[HistoryEntry]) -> Option<Timestamp> {
        let window = self.bot.provider.abilities().window?;
        let waiting = claim.messages.iter().map(|waiting| waiting.inbound.at.time);
        let said = history.iter().filter(|said| said.by == Speaker::Customer).map(|said| said.time);
        waiting.chain(said).max().map(|last| last.plus(window))
    }

    /// Whether no free-form reply may be sent any more.
    pub(super) fn is_closed(&self) -> bool {
        self.open_until.is_some_and(|until| until <= self.tools.clock.now())
    }

    /// Nothing that the handler could say would reach the customer: it is not asked, and nobody sees "read" or
    /// "typing". The bot's approved template goes out if it has one; else the messages are dead.
    pub(super) async fn window_closed(self, claim: Claim, batch: &Batch) -> Result<TurnReport, StoreError> {
        let Some(template) = &self.bot.delivery.window_template else {
            return self.bury(claim, batch, CLOSED.to_owned()).await;
        };
        let outgoing = batch.outgoing(vec![template.part()], None, 0, self.bot);
        self.send_unanswered(claim, outgoing).await
    }

    /// Whether the bot has a template to send in the place of a reply for which it has become too late.
    pub(super) fn template_may_follow(&self, outgoing: &Outgoing) -> bool {
        let template = self.bot.delivery.window_template.as_ref().map(outbox::WindowTemplate::part);
        template.is_some_and(|template| outgoing.parts.iter().all(|part| part.part != template))
    }

    /// Sends it, in the place of what has not left.
    pub(super) async fn send_template(self, claim: Claim, late: Outgoing) -> Result<TurnReport, StoreError> {
        let Some(template) = &self.bot.delivery.window_template else {
            // The caller has asked whether there is one.
            let done = Done { endings: endings(&late, Some(CLOSED)), ..Done::default() };
            return self.settle(claim, TurnOutcome::Dead, Some(CLOSED.to_owned()), done).await;
        };
        let outgoing = outbox::instead(&late, template.part(), self.bot.provider.abilities().statuses_carry_key);
        self.send_unanswered(claim, outgoing).await
    }

    /// Makes dead letters of what was to be answered.
    pub(super) async fn bury(self, claim: Claim, batch: &Batch, reason: String) -> Result<TurnReport, StoreError> {
        let outgoing = batch.outgoing(Vec::new(), Some(reason.clone()), 0, self.bot);
        let done = Done { endings: endings(&outgoing, Some(&reason)), ..Done::default() };
        self.settle(claim, TurnOutcome::Dead, Some(reason), done).await
    }
}
