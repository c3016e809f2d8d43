//! What is said unasked: no handler is asked, and nothing is marked as read. Dots precede it where the upstream wants
//! them before every text.
//!
//! It leaves in its turn among the messages that wait. No pause and no quiet hours keep it, unless whoever asked for it
//! wants it to be left unsaid while a person answers; a control word does not call it off. Whoever has opted out is
//! sent nothing of it.

use crate::delivery::outbox;
use crate::message::{MessageId, Part, Payload};
use crate::store::{Claim, ContactRef, Ending, Outgoing, PartState, Settled, StoreError};
use crate::turn::takeover::A_PERSON;
use crate::turn::window::CLOSED;
use crate::turn::{GiveBackReason, TurnOutcome, TurnReport, TurnRun, endings, history};

/// Why nothing is sent.
pub(in crate::turn) const OPTED_OUT: &str = "the contact has opted out";

impl TurnRun<'_> {
    /// Says the first of what is to be said unasked.
    pub(in crate::turn) async fn send_proactive(mut self, claim: Claim) -> Result<TurnReport, StoreError> {
        let Some(waiting) = claim.proactive_messages.first() else {
            let now = self.tools.clock.now();
            return self.give_back(claim, now, GiveBackReason::NothingToSay).await;
        };
        let carries_key = self.bot.provider.abilities().statuses_carry_key;
        let Some(mut outgoing) = outbox::proactive(waiting, carries_key) else {
            let seq = waiting.seq;
            let done = Settled { endings: vec![(seq, Ending::Silent)], ..Settled::default() };
            return self.settle(claim, TurnOutcome::Silent, Some("it says nothing".into()), done).await;
        };
        // What was dead and waits again may have left in part.
        let mut left = Vec::new();
        for part in &outgoing.parts {
            left.push(self.tools.store.part(&part.key).await?.is_some());
        }
        let mut left = left.into_iter();
        outgoing.parts.retain(|_| !left.next().unwrap_or_default());
        if outgoing.parts.is_empty() {
            let endings = vec![(claim.proactive_messages[0].seq, Ending::Answered)];
            let done = Settled { endings, ..Settled::default() };
            return self.settle(claim, TurnOutcome::Answered, Some("all of it had left".into()), done).await;
        }
        let peer = ContactRef::of(&outgoing.to);
        let standing = self.tools.store.contact_state(&peer).await?;
        if standing.opted_out().is_some() {
            return self.leave_unsaid(claim, outgoing, Vec::new(), OPTED_OUT.to_owned()).await;
        }
        if !outgoing.despite_pause && standing.pause(self.tools.clock.now()).is_some() {
            return self.leave_unsaid(claim, outgoing, Vec::new(), A_PERSON.to_owned()).await;
        }
        self.open_until = self.open_to(&claim, &peer).await?;
        if self.is_closed() && outgoing.parts.iter().any(|part| !is_approved(&part.part)) {
            return self.leave_unsaid(claim, outgoing, Vec::new(), CLOSED.to_owned()).await;
        }
        self.send_unanswered(claim, outgoing).await
    }

    /// Makes a dead letter of it. What has left of it was said.
    pub(in crate::turn) async fn leave_unsaid(
        self,
        claim: Claim,
        outgoing: Outgoing,
        unrecorded: Vec<(usize, MessageId)>,
        why: String,
    ) -> Result<TurnReport, StoreError> {
        let mut left = Outgoing { parts: Vec::new(), ..outgoing.clone() };
        for (number, part) in outgoing.parts.iter().enumerate() {
            let state = self.tools.store.under_way(&part.key).await?.map(|(_, state)| state);
            let has_left = matches!(state, Some(PartState::Sent { .. }));
            if has_left || unrecorded.iter().any(|(named, _)| *named == number) {
                left.parts.push(part.clone());
            }
        }
        let named = self.named(&left, &[]).await?;
        let said = history::said(&claim, &left, &named, self.tools.clock.now());
        let endings = endings(&outgoing, Some(&why));
        let done = Settled { endings, said, sent: unrecorded, failed: outgoing.makes_up_for, ..Settled::default() };
        self.settle(claim, TurnOutcome::Dead, Some(why), done).await
    }
}

/// Whether a message may be sent at any time.
fn is_approved(part: &Part) -> bool {
    matches!(part.payload, Payload::ApprovedTemplate { .. })
}
