//! When a person answers, as a turn sees it.

use std::future::pending;

use super::{Tools, TurnRun};
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

impl TurnRun<'_> {
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
