//! What is said unasked: no handler is asked, and nothing is marked as read. Dots precede it where the upstream wants
//! them before every text.
//!
//! It leaves in its turn among the messages that wait. No pause and no quiet hours keep it, unless whoever asked for it
//! wants it to be left unsaid while a person answers; a control word does not call it off. Whoever has opted out is
//! sent nothing of it.

use super::person::A_PERSON;
use super::window::CLOSED;
use super::{Attempt, Done, GiveBackReason, TurnOutcome, TurnReport, endings, history};
use crate::delivery::outbox;
use crate::message::clock::Timestamp;
use crate::message::{HistoryEntry, MessageId, Part, Payload, Speaker};
use crate::store::{Claim, ContactRef, Ending, Outgoing, PartState, StoreError};

/// Why nothing is sent.
pub(super) const OPTED_OUT: &str = "the contact has opted out";

/// So many things said last are looked at for the customer's last word.
const LOOKED_AT: usize = 200;

impl Attempt<'_> {
    /// Whether there is nothing to do but to say things unasked.
    pub(super) fn has_proactive_alone(claim: &Claim) -> bool {
        claim.messages.is_empty() && claim.outgoing.is_none() && claim.failed.is_empty()
    }

    /// Whether nothing that is claimed came before what is to be said unasked.
    pub(super) fn proactive_is_first(claim: &Claim) -> bool {
        let message = claim.messages.first().map(|waiting| waiting.seq);
        claim.proactive_messages.first().is_some_and(|proactive| message.is_none_or(|seq| proactive.seq < seq))
    }

    /// Leaves for later what came after the first of what is to be said unasked.
    pub(super) fn stop_at_proactive(claim: &mut Claim) {
        if let Some(proactive) = claim.proactive_messages.first() {
            claim.messages.retain(|waiting| waiting.seq < proactive.seq);
        }
    }

    /// Says the first of what is to be said unasked.
    pub(super) async fn send_proactive(mut self, claim: Claim) -> Result<TurnReport, StoreError> {
        let Some(waiting) = claim.proactive_messages.first() else {
            let now = self.tools.clock.now();
            return self.give_back(claim, now, GiveBackReason::NothingToSay).await;
        };
        let carries_key = self.bot.provider.abilities().statuses_carry_key;
        let Some(mut outgoing) = outbox::proactive(waiting, carries_key) else {
            let seq = waiting.seq;
            let done = Done { endings: vec![(seq, Ending::Silent)], ..Done::default() };
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
            let done = Done { endings, ..Done::default() };
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
    pub(super) async fn leave_unsaid(
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
        let done = Done { endings, said, unrecorded, failed: outgoing.makes_up_for, ..Done::default() };
        self.settle(claim, TurnOutcome::Dead, Some(why), done).await
    }

    /// Until when somebody may be sent free-form messages unasked: whoever has never written may not, where there is
    /// such a window.
    pub(super) async fn open_to(&self, claim: &Claim, peer: &ContactRef) -> Result<Option<Timestamp>, StoreError> {
        if self.bot.provider.abilities().window.is_none() {
            return Ok(None);
        }
        let history = self.history(claim, peer, LOOKED_AT).await?;
        let has_written = !claim.messages.is_empty() || history.iter().any(|said| said.by == Speaker::Customer);
        Ok(if has_written { self.window(claim, &history) } else { Some(Timestamp::default()) })
    }

    /// What was said in the conversation, and in the others that were had with the same person: to somebody who had
    /// never written something may have been said by the phone number, whom the upstream then calls otherwise.
    pub(super) async fn history(
        &self,
        claim: &Claim,
        peer: &ContactRef,
        most: usize,
    ) -> Result<Vec<HistoryEntry>, StoreError> {
        let store = &self.tools.store;
        let mut history = store.history(&claim.conversation, most).await?;
        for other in store.chats(peer).await?.chats.into_iter().filter(|other| *other != claim.conversation) {
            let said = store.history(&other, most).await?;
            if !said.is_empty() {
                history.extend(said);
                history.sort_by_key(|said| said.time);
            }
        }
        history.drain(..history.len().saturating_sub(most));
        history::put_in_order(&mut history);
        Ok(history)
    }
}

/// Whether a message may be sent at any time.
fn is_approved(part: &Part) -> bool {
    matches!(part.payload, Payload::ApprovedTemplate { .. })
}
