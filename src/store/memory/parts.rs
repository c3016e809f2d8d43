//! Replies on their way out, and what becomes of their parts.

use super::ledger::Ledger;
use crate::message::clock::Timestamp;
use crate::message::{BotName, Conversation, DeliveryStatus, MessageId, PartKey};
use crate::store::parts::{self, OnItsWay, StatusEffect, Trace, advance, failed_code, take_apart};
use crate::store::{FailedPart, Outgoing, PartState, SentPart, StatusOutcome, StoreError};
use crate::store::{question, record};

impl Ledger {
    /// Records what is about to be sent, in the place of what was.
    pub(super) fn intend(
        &mut self,
        conversation: &Conversation,
        outgoing: &Outgoing,
        record: Vec<u8>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let known = self.known(conversation, now);
        let before = known.outgoing()?;
        known.outgoing = Some(record);
        let stays = |key: &PartKey| outgoing.parts.iter().any(|part| part.key == *key);
        for part in before.iter().flat_map(|before| &before.parts).filter(|part| !stays(&part.key)) {
            self.lose(conversation, &part.key);
        }
        for part in &outgoing.parts {
            if !self.is_on_its_way(conversation, &part.key) {
                self.parts.insert(part.key.clone(), Trace::Outgoing(OnItsWay::new(&part.key, conversation)));
            }
            if let PartState::Sent { message } = &part.state {
                self.name(&conversation.bot, outgoing, message, &part.key);
            }
        }
        Ok(())
    }

    /// Records what became of one part, and says what holds now.
    pub(super) fn mark(
        &mut self,
        conversation: &Conversation,
        part: usize,
        state: PartState,
        now: Timestamp,
    ) -> Result<PartState, StoreError> {
        let known = self.known(conversation, now);
        let mut outgoing = known.outgoing()?;
        let mut holds = parts::mark(outgoing.as_mut(), part, state, now)?;
        let echo = outgoing.as_mut().and_then(parts::decide);
        if let Some(decided) = outgoing.as_ref().and_then(|outgoing| outgoing.parts.get(part)) {
            holds = decided.state.clone();
        }
        known.outgoing = outgoing.as_ref().map(record::encode).transpose()?;
        self.take_over(echo, now)?;
        if let (PartState::Sent { message }, Some(outgoing)) = (&holds, &outgoing) {
            self.name(&conversation.bot, outgoing, message, &outgoing.parts[part].key);
        }
        Ok(holds)
    }

    /// Takes in a report.
    pub(super) fn apply_statuses(
        &mut self,
        status: &DeliveryStatus,
        now: Timestamp,
    ) -> Result<(StatusOutcome, StatusEffect), StoreError> {
        const UNKNOWN: (StatusOutcome, StatusEffect) = (StatusOutcome::Unknown, StatusEffect::Nothing);
        let by_key = status.key.as_ref().filter(|key| self.parts.contains_key(key));
        let by_name = || self.names.get(&(status.bot.clone(), status.message.clone()));
        let Some(key) = by_key.or_else(by_name).cloned() else { return Ok(UNKNOWN) };
        let trace = self.parts.get_mut(&key).filter(|trace| trace.conversation().bot == status.bot);
        let (conversation, noted, failed) = match trace {
            None => return Ok(UNKNOWN),
            Some(Trace::Sent(sent)) => {
                let noted = advance(&mut sent.stage, &status.stage);
                let code = failed_code(&sent.stage).filter(|_| noted == StatusOutcome::Failed);
                let failed = code.map(|code| FailedPart { sent: SentPart::clone(sent), code });
                (sent.conversation.clone(), noted, failed)
            }
            Some(Trace::Outgoing(on_its_way)) => {
                let conversation = on_its_way.conversation.clone();
                let known = self.conversations.get_mut(&conversation);
                let outgoing = known.as_deref().map(|known| known.outgoing()).transpose()?.flatten();
                let (Some(known), Some(mut outgoing)) = (known, outgoing) else { return Ok(UNKNOWN) };
                let Some(reported) = parts::report(&mut outgoing, on_its_way, status, now) else {
                    return Ok(UNKNOWN);
                };
                if reported.settled {
                    let echo = parts::decide(&mut outgoing);
                    known.outgoing = Some(record::write(&outgoing)?);
                    if reported.noted == StatusOutcome::Settled {
                        self.name(&status.bot, &outgoing, &status.message, &key);
                    }
                    self.take_over(echo, now)?;
                    return Ok((reported.noted, StatusEffect::GoOn(conversation)));
                }
                (conversation, reported.noted, reported.failed)
            }
        };
        let Some(failed) = failed else { return Ok((noted, StatusEffect::Nothing)) };
        self.known(&conversation, now).failed.push_back(failed);
        Ok((noted, StatusEffect::Failed(conversation)))
    }

    /// Takes apart what is outgoing as it is settled, after so many failed parts have been seen to.
    pub(super) fn close_outgoing(
        &mut self,
        conversation: &Conversation,
        sent: &[(usize, MessageId)],
        seen_to: usize,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let known = self.known(conversation, now);
        known.failed.drain(..seen_to.min(known.failed.len()));
        let Some(outgoing) = known.outgoing()? else { return Ok(()) };
        known.outgoing = None;
        self.take_over(parts::decide_in_the_end(&outgoing, sent), now)?;
        let reported = |key: &PartKey| match self.parts.get(key) {
            Some(Trace::Outgoing(part)) if part.conversation == *conversation => Ok(part.reported.clone()),
            _ => Ok(None),
        };
        let left = take_apart::<StoreError>(conversation, &outgoing, sent, now, reported)?;
        question::settle(&mut self.known(conversation, now).question, &outgoing, &left);
        for key in left.never {
            self.lose(conversation, &key);
        }
        for part in left.sent {
            if let Some(message) = &part.message {
                self.name(&conversation.bot, &outgoing, message, &part.key);
            }
            self.parts.insert(part.key.clone(), Trace::Sent(Box::new(part)));
        }
        self.known(conversation, now).failed.extend(left.failed);
        Ok(())
    }

    /// Forgets a part that is not on its way any longer.
    pub(super) fn lose(&mut self, conversation: &Conversation, key: &PartKey) {
        if self.is_on_its_way(conversation, key) {
            self.parts.remove(key);
            self.names.retain(|_, named| named != key);
        }
    }

    fn is_on_its_way(&self, conversation: &Conversation, key: &PartKey) -> bool {
        matches!(self.parts.get(key), Some(Trace::Outgoing(part)) if part.conversation == *conversation)
    }

    /// Has a part found by the upstream's name for it, where that is what reports go by.
    fn name(&mut self, bot: &BotName, outgoing: &Outgoing, message: &MessageId, key: &PartKey) {
        if !outgoing.reports_carry_key && !message.as_str().is_empty() {
            self.names.insert((bot.clone(), message.clone()), key.clone());
        }
    }
}
