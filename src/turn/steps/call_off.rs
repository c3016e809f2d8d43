//! A reply of which the rest stays unsent.

use crate::store::{Claim, Ending, Outgoing, Settled, StoreError};
use crate::turn::interrupt::GivenCommand;
use crate::turn::takeover::sent;
use crate::turn::{TurnOutcome, TurnReport, TurnRun, history};

impl TurnRun<'_> {
    /// A control word came while the reply was waiting to be sent.
    pub(in crate::turn) async fn call_off_by(
        self,
        mut claim: Claim,
        command: GivenCommand,
    ) -> Result<TurnReport, StoreError> {
        let Some(outgoing) = claim.outgoing.take() else { return self.keep_silent(claim, None).await };
        self.call_off(claim, &outgoing, sent(&outgoing), command.reason()).await
    }

    /// Leaves unsent what has not left of a reply, all but its first parts, so many. A control word, or what is said to
    /// a person, is for the next turn.
    pub(in crate::turn) async fn call_off(
        self,
        claim: Claim,
        outgoing: &Outgoing,
        left: usize,
        why: &str,
    ) -> Result<TurnReport, StoreError> {
        let parts = outgoing.parts.iter().take(left).cloned().collect();
        let left = Outgoing { parts, ..outgoing.clone() };
        let ending = match outgoing.failure.as_ref().or(outgoing.fallback.as_ref()) {
            Some(reason) => Ending::Dead { reason: reason.clone() },
            None if left.parts.is_empty() => Ending::Silent,
            None => Ending::Answered,
        };
        let answered = outgoing.answers.iter().map(|seq| (*seq, ending.clone()));
        let turned_away = outgoing.turned_away.iter().map(|seq| (*seq, Ending::Silent));
        let endings = answered.chain(turned_away).collect();
        let named = self.named(&left, &[]).await?;
        let said = history::said(&claim, &left, &named, self.tools.clock.now());
        let done = Settled { endings, said, failed: outgoing.makes_up_for, ..Settled::default() };
        self.settle(claim, TurnOutcome::Silent, Some(why.to_owned()), done).await
    }
}
