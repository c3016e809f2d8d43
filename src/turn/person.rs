//! A person has taken over: the bot says nothing, and what it was about to say stays unsaid.

use std::future::pending;

use super::{Attempt, Batch, Tools, TurnReport};
use crate::delivery::outbox::is_held_back_by;
use crate::store::{By, Claim, ContactChange, ContactRef, Outgoing, PartState, Pause, StoreError};

/// Why nothing is said.
pub(super) const A_PERSON: &str = "a person has taken over";

/// Waits until a person answers.
pub(super) async fn taken_over(tools: &Tools, claim: &Claim) -> Result<(), StoreError> {
    match ContactRef::of_claim(claim) {
        Some(peer) => tools.store.taken_over(&peer).await.map(drop),
        None => pending().await,
    }
}

impl Attempt<'_> {
    /// The pause that keeps the bot from answering what is claimed, if one does.
    pub(super) async fn pause(&self, claim: &mut Claim) -> Result<Option<Pause>, StoreError> {
        self.decide_about_echoes(claim).await?;
        let Some(peer) = ContactRef::of_claim(claim) else { return Ok(None) };
        let pause = self.tools.store.contact_state(&peer).await?.pause(self.tools.clock.now());
        Ok(pause.filter(|pause| claim.outgoing.as_ref().is_none_or(|outgoing| is_held_back_by(outgoing, pause))))
    }

    /// A process that ended in the middle of a send cannot say any more whether an echo is of that: it is decided by
    /// the words.
    async fn decide_about_echoes(&self, claim: &mut Claim) -> Result<(), StoreError> {
        let Some(mut outgoing) = claim.outgoing.take() else { return Ok(()) };
        if !outgoing.undecided.is_empty() {
            for (number, part) in outgoing.parts.iter_mut().enumerate() {
                if let PartState::Sending { attempts } = part.state {
                    let since = self.tools.clock.now();
                    let unknown = PartState::Unknown { attempts: attempts + 1, since };
                    part.state = self.tools.store.mark(claim, number, unknown).await?;
                }
            }
        }
        claim.outgoing = Some(outgoing);
        Ok(())
    }

    /// Says nothing, calls off what was to be said, and keeps what the customer has said meanwhile.
    pub(super) async fn stand_aside(mut self, mut claim: Claim) -> Result<TurnReport, StoreError> {
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

    /// Leaves the conversation to a person, and the messages without an answer.
    pub(super) async fn hand_over(
        mut self,
        claim: Claim,
        batch: &Batch,
        reason: String,
    ) -> Result<TurnReport, StoreError> {
        self.pause_by(&claim, By::Handler).await?;
        self.report.reason = Some(format!("handed over: {reason}"));
        self.keep_silent(claim, Some(batch)).await
    }

    /// Has a person answer from now on, for as long as the bot is set to.
    pub(super) async fn pause_by(&self, claim: &Claim, by: By) -> Result<(), StoreError> {
        let Some(peer) = ContactRef::of_claim(claim) else { return Ok(()) };
        let since = self.tools.clock.now();
        let pause = Pause { since, until: self.bot.people.pause.until(since), by };
        self.tools.store.update_contact(&peer, ContactChange::Pause(pause)).await.map(drop)
    }
}

/// How many parts of a reply have left: they leave in their order.
pub(super) fn sent(outgoing: &Outgoing) -> usize {
    outgoing.parts.iter().filter(|part| matches!(part.state, PartState::Sent { .. })).count()
}
