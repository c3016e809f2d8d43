//! Where a question was written out as text, its answer is text too: it is read as the choice that it is, before
//! anything else looks at it.

use super::TurnRun;
use crate::message::reply::Choice;
use crate::store::{Claim, ContactRef, StoreError, Waiting};

impl TurnRun<'_> {
    /// Reads the claimed messages that answer the open question. What was found out is durable when this returns.
    pub(super) async fn read_choices(&self, claim: &mut Claim) -> Result<(), StoreError> {
        // Of a reply that is on its way some may have left: that would have ended the question.
        if claim.question.is_none() || claim.outgoing.is_some() {
            return Ok(());
        }
        if let Some(peer) = ContactRef::of_claim(claim)
            && self.tools.store.contact_state(&peer).await?.pause(self.tools.clock.now()).is_some()
        {
            // A person answers, and may have asked something else.
            return Ok(());
        }
        let mut messages = std::mem::take(&mut claim.messages);
        let read = self.read_choices_in(claim, &mut messages).await;
        claim.messages = messages;
        read
    }

    /// The same with messages that have come while the handler is at work.
    pub(super) async fn read_choices_in(&self, claim: &Claim, messages: &mut [Waiting]) -> Result<(), StoreError> {
        for waiting in messages {
            if let Some(choice) = chosen(claim, waiting) {
                self.tools.store.choose(claim, waiting.seq, &choice).await?;
                waiting.inbound.content.choose(&choice);
            }
        }
        Ok(())
    }
}

/// The messages as they will be read.
pub(super) fn with_choices(claim: &Claim, mut messages: Vec<Waiting>) -> Vec<Waiting> {
    for waiting in &mut messages {
        if let Some(choice) = chosen(claim, waiting) {
            waiting.inbound.content.choose(&choice);
        }
    }
    messages
}

/// What a message chooses of the conversation's open question. One that was dead was read when it came first.
fn chosen(claim: &Claim, waiting: &Waiting) -> Option<Choice> {
    let question = claim.question.as_ref().filter(|_| !waiting.replayed)?;
    question.answered_by(&waiting.inbound, waiting.accepted).cloned()
}
