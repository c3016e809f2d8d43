//! How a turn ends whose reply was sent, in whole, in part, or not at all.

use crate::delivery::outbox::{Delivery, SendOutcome, SettledBy};
use crate::store::{Claim, Outgoing, Settled, StoreError};
use crate::turn::steps::send_proactive::OPTED_OUT;
use crate::turn::takeover::A_PERSON;
use crate::turn::window::CLOSED;
use crate::turn::{GiveBackReason, TurnOutcome, TurnReport, TurnRun, answered, endings, history};

impl TurnRun<'_> {
    /// Ends the turn by what became of its reply.
    pub(in crate::turn) async fn close(
        mut self,
        claim: Claim,
        outgoing: Outgoing,
        sent: SendOutcome,
    ) -> Result<TurnReport, StoreError> {
        let now = self.tools.clock.now();
        let SendOutcome { delivery, unrecorded, settled_by } = sent;
        let failed = outgoing.makes_up_for;
        self.report.messages = outgoing.answers.len();
        self.report.parts = outgoing.parts.len();
        self.report.settled_by = settled_by.map(SettledBy::as_str);
        if matches!(delivery, Delivery::Delivered | Delivery::Refused { .. } | Delivery::WindowClosed) {
            self.bot.health.recover();
        }
        let reason = match (delivery, outgoing.failure.clone()) {
            (Delivery::Later { at, why }, _) => return self.give_back(claim, at, GiveBackReason::Held(why)).await,
            (Delivery::Down(error), _) => {
                let until = self.bot.health.suffer(&error).unwrap_or(now);
                return self.give_back(claim, until, GiveBackReason::BotDown).await;
            }
            (Delivery::TakenOver { left }, _) if !outgoing.unasked => {
                return Box::pin(self.call_off(claim, &outgoing, left, A_PERSON)).await;
            }
            (Delivery::TakenOver { .. }, _) => A_PERSON.to_owned(),
            (Delivery::OptedOut, _) => OPTED_OUT.to_owned(),
            (Delivery::WindowClosed, _) if !outgoing.unasked && self.template_may_follow(&outgoing) => {
                return Box::pin(self.send_template(claim, outgoing)).await;
            }
            (Delivery::Delivered, None) => {
                let named = self.named(&outgoing, &unrecorded).await?;
                let (endings, said) = (answered(&outgoing), history::said(&claim, &outgoing, &named, now));
                let done = Settled { endings, said, sent: unrecorded, failed, ..Settled::default() };
                let reason = outgoing.fallback.or(outgoing.left_out).or(self.report.reason.take());
                return self.settle(claim, TurnOutcome::Answered, reason, done).await;
            }
            (Delivery::WindowClosed, failure) => {
                failure.map_or(CLOSED.to_owned(), |failure| format!("{failure}; {CLOSED}"))
            }
            (Delivery::Delivered, Some(failure)) => failure,
            (Delivery::Refused { reason }, None) => match &outgoing.fallback {
                Some(fallback) => format!("{fallback}; and the reply in the place of an answer was not sent: {reason}"),
                None => reason,
            },
            (Delivery::Refused { reason }, Some(failure)) => {
                format!("{failure}; and the failure reply was not sent: {reason}")
            }
        };
        if outgoing.unasked {
            return Box::pin(self.leave_unsaid(claim, outgoing, unrecorded, reason)).await;
        }
        let failure_replied = outgoing.failure.is_some().then_some(now);
        let endings = endings(&outgoing, Some(&reason));
        let done = Settled { endings, failure_replied, sent: unrecorded, failed, ..Settled::default() };
        self.settle(claim, TurnOutcome::Dead, Some(reason), done).await
    }
}
