//! Replies on their way out, and what becomes of their parts.

use super::{Fault, Known, Ledger};
use crate::message::clock::Timestamp;
use crate::message::{BotName, Conversation, DeliveryStatus, MessageId, PartKey, Question};
use crate::store::disk::records::{self, Hash};
use crate::store::disk::tree::KeyChanges;
use crate::store::parts::{self, OnItsWay, StatusEffect, Trace, advance, failed_code, take_apart};
use crate::store::{FailedPart, Outgoing, OutgoingPart, PartState, SentPart, StatusOutcome};
use crate::store::{question, record};

impl Ledger {
    /// Records what is about to be sent, in the place of what was.
    pub(in crate::store::disk) fn intend(
        &mut self,
        conversation: &Conversation,
        outgoing: &Outgoing,
        record: &[u8],
    ) -> Result<(), Fault> {
        let place = Hash::of_conversation(conversation);
        let mut changes = KeyChanges::default();
        let stays = |key: &PartKey| outgoing.parts.iter().any(|part| part.key == *key);
        if let Some(before) = self.outgoing(place)? {
            for part in before.parts.iter().filter(|part| !stays(&part.key)) {
                self.lose(&mut changes, conversation, part)?;
            }
        }
        for OutgoingPart { key, state, .. } in &outgoing.parts {
            if self.on_its_way(conversation, key)?.is_none() {
                self.write_trace(&mut changes, key, &Trace::Outgoing(OnItsWay::new(key, conversation)))?;
            }
            if let PartState::Sent { message } = state {
                name(&mut changes, &conversation.bot, outgoing, message, key);
            }
        }
        self.tree.replace(&mut changes, &records::of_conversation(b'o', place), record)?;
        self.tree.stage(changes);
        Ok(())
    }

    /// Records what became of one part, and says what holds now.
    pub(in crate::store::disk) fn mark(
        &mut self,
        conversation: &Conversation,
        part: usize,
        state: PartState,
        now: Timestamp,
    ) -> Result<PartState, Fault> {
        let place = Hash::of_conversation(conversation);
        let mut outgoing = self.outgoing(place)?;
        let mut holds = parts::mark(outgoing.as_mut(), part, state, now)?;
        let echo = outgoing.as_mut().and_then(parts::decide);
        if let Some(decided) = outgoing.as_ref().and_then(|outgoing| outgoing.parts.get(part)) {
            holds = decided.state.clone();
        }
        let mut changes = KeyChanges::default();
        if let Some(outgoing) = &outgoing {
            self.tree.replace(&mut changes, &records::of_conversation(b'o', place), &record::encode(outgoing)?)?;
            if let PartState::Sent { message } = &holds {
                name(&mut changes, &conversation.bot, outgoing, message, &outgoing.parts[part].key);
            }
        }
        self.tree.stage(changes);
        self.take_over(echo, now)?;
        Ok(holds)
    }

    /// Takes in reports, all of them or none.
    pub(in crate::store::disk) fn apply_statuses(
        &mut self,
        statuses: &[DeliveryStatus],
        now: Timestamp,
    ) -> Result<Vec<(StatusOutcome, StatusEffect)>, Fault> {
        let noted = statuses.iter().map(|status| self.note_one(status, now)).collect::<Result<_, _>>();
        noted.map_err(|fault| match fault {
            // What is written here was read from records, and can be written. Were it refused all the same, some
            // reports would be staged and others not: the end of the store is what keeps them together.
            Fault::Refused(error) => Fault::damaged(&error.to_string()),
            fault => fault,
        })
    }

    fn note_one(&mut self, status: &DeliveryStatus, now: Timestamp) -> Result<(StatusOutcome, StatusEffect), Fault> {
        const UNKNOWN: (StatusOutcome, StatusEffect) = (StatusOutcome::Unknown, StatusEffect::Nothing);
        let mut changes = KeyChanges::default();
        let trace = self.trace_of(status)?.filter(|trace| trace.conversation().bot == status.bot);
        let (conversation, noted, failed) = match trace {
            None => return Ok(UNKNOWN),
            Some(Trace::Sent(mut sent)) => {
                let noted = advance(&mut sent.stage, &status.stage);
                if noted == StatusOutcome::Known {
                    return Ok((noted, StatusEffect::Nothing));
                }
                self.write_trace(&mut changes, &sent.key, &Trace::Sent(sent.clone()))?;
                let failed = failed_code(&sent.stage).map(|code| FailedPart { sent: SentPart::clone(&sent), code });
                (sent.conversation, noted, failed)
            }
            Some(Trace::Outgoing(mut on_its_way)) => {
                let conversation = on_its_way.conversation.clone();
                let place = Hash::of_conversation(&conversation);
                let Some(mut outgoing) = self.outgoing(place)? else { return Ok(UNKNOWN) };
                let Some(reported) = parts::report(&mut outgoing, &mut on_its_way, status, now) else {
                    return Ok(UNKNOWN);
                };
                let key = on_its_way.key.clone();
                self.write_trace(&mut changes, &key, &Trace::Outgoing(on_its_way))?;
                if reported.settled {
                    let echo = parts::decide(&mut outgoing);
                    let record = record::write(&outgoing)?;
                    self.tree.replace(&mut changes, &records::of_conversation(b'o', place), &record)?;
                    if reported.noted == StatusOutcome::Settled {
                        name(&mut changes, &status.bot, &outgoing, &status.message, &key);
                    }
                    self.end_hold_back(&mut changes, place)?;
                    self.tree.stage(changes);
                    self.take_over(echo, now)?;
                    return Ok((reported.noted, StatusEffect::GoOn(conversation)));
                }
                (conversation, reported.noted, reported.failed)
            }
        };
        let stir = match failed {
            Some(failed) => {
                let place = Hash::of_conversation(&conversation);
                self.add_failed(&mut changes, place, &[failed])?;
                if self.known(place)?.is_none() {
                    // It was swept out while what it had sent was still known.
                    self.write_known(&mut changes, place, &Known::new(conversation.clone(), now))?;
                }
                StatusEffect::Failed(conversation)
            }
            None => StatusEffect::Nothing,
        };
        self.tree.stage(changes);
        Ok((noted, stir))
    }

    /// What is known of a part that has left.
    pub(in crate::store::disk) fn part(&self, key: &PartKey) -> Result<Option<SentPart>, Fault> {
        Ok(self.trace(Hash::of_part(key))?.and_then(Trace::sent))
    }

    /// Takes apart what is outgoing as it is settled, after so many failed parts have been seen to. Says whether there
    /// are failed parts left.
    pub(super) fn close_outgoing(
        &self,
        changes: &mut KeyChanges,
        conversation: &Conversation,
        sent: &[(usize, MessageId)],
        seen_to: usize,
        question: &mut Option<Question>,
        now: Timestamp,
    ) -> Result<bool, Fault> {
        let place = Hash::of_conversation(conversation);
        let failed = self.tree.stems(&records::of_conversation(b'f', place))?;
        let seen_to = seen_to.min(failed.len());
        for key in &failed[..seen_to] {
            self.tree.take_out(changes, key)?;
        }
        let more = seen_to < failed.len();
        let Some(outgoing) = self.outgoing(place)? else { return Ok(more) };
        self.tree.take_out(changes, &records::of_conversation(b'o', place))?;
        let reported = |key: &PartKey| Ok(self.on_its_way(conversation, key)?.and_then(|part| part.reported));
        let left = take_apart::<Fault>(conversation, &outgoing, sent, now, reported)?;
        question::settle(question, &outgoing, &left);
        for part in outgoing.parts.iter().filter(|part| left.never.contains(&part.key)) {
            self.lose(changes, conversation, part)?;
        }
        for part in left.sent {
            if let Some(message) = &part.message {
                name(changes, &conversation.bot, &outgoing, message, &part.key);
            }
            let key = part.key.clone();
            self.write_trace(changes, &key, &Trace::Sent(Box::new(part)))?;
        }
        self.add_failed(changes, place, &left.failed)?;
        Ok(more || !left.failed.is_empty())
    }

    /// What is outgoing in a conversation.
    pub(super) fn outgoing(&self, place: Hash) -> Result<Option<Outgoing>, Fault> {
        match self.tree.record(&records::of_conversation(b'o', place))? {
            Some(record) => Ok(Some(record::decode(&record)?)),
            None => Ok(None),
        }
    }

    /// Takes out a part that has left.
    pub(super) fn forget_part(&self, changes: &mut KeyChanges, key: &[u8], part: &SentPart) -> Result<(), Fault> {
        self.tree.take_out(changes, key)?;
        if let Some(message) = &part.message {
            self.unname(changes, &part.conversation.bot, message, &part.key)?;
        }
        Ok(())
    }

    pub(super) fn trace(&self, part: Hash) -> Result<Option<Trace>, Fault> {
        match self.tree.record(&records::part(part))? {
            Some(record) => Ok(Some(record::decode(&record)?)),
            None => Ok(None),
        }
    }

    /// What is kept of the part that a report is about.
    fn trace_of(&self, status: &DeliveryStatus) -> Result<Option<Trace>, Fault> {
        if let Some(key) = &status.key
            && let Some(trace) = self.trace(Hash::of_part(key))?
        {
            return Ok(Some(trace));
        }
        match self.tree.value(&records::name(Hash::of_message(&status.bot, &status.message)))? {
            Some(part) => self.trace(records::hash(&part)?),
            None => Ok(None),
        }
    }

    pub(super) fn on_its_way(&self, conversation: &Conversation, key: &PartKey) -> Result<Option<OnItsWay>, Fault> {
        Ok(match self.trace(Hash::of_part(key))? {
            Some(Trace::Outgoing(part)) if part.conversation == *conversation => Some(part),
            _ => None,
        })
    }

    pub(super) fn write_trace(&self, changes: &mut KeyChanges, key: &PartKey, trace: &Trace) -> Result<(), Fault> {
        self.tree.replace(changes, &records::part(Hash::of_part(key)), &record::write(trace)?)
    }

    /// Takes out what is kept of a part that is not on its way any longer.
    fn lose(&self, changes: &mut KeyChanges, conversation: &Conversation, part: &OutgoingPart) -> Result<(), Fault> {
        if self.on_its_way(conversation, &part.key)?.is_some() {
            self.tree.take_out(changes, &records::part(Hash::of_part(&part.key)))?;
            if let PartState::Sent { message } = &part.state {
                self.unname(changes, &conversation.bot, message, &part.key)?;
            }
        }
        Ok(())
    }

    fn add_failed(&self, changes: &mut KeyChanges, place: Hash, failed: &[FailedPart]) -> Result<(), Fault> {
        if failed.is_empty() {
            return Ok(());
        }
        let next = self.newest(b'f', place)?.map_or(0, |newest| newest + 1);
        for (count, failed) in (next..).zip(failed) {
            changes.put(&records::failed(place, count), &record::write(failed)?);
        }
        Ok(())
    }

    fn unname(&self, changes: &mut KeyChanges, bot: &BotName, message: &MessageId, key: &PartKey) -> Result<(), Fault> {
        let name = records::name(Hash::of_message(bot, message));
        if self.tree.value(&name)?.is_some_and(|named| *named == Hash::of_part(key).0) {
            changes.remove(name);
        }
        Ok(())
    }
}

/// Has a part found by the upstream's name for it, where that is what reports go by.
fn name(changes: &mut KeyChanges, bot: &BotName, outgoing: &Outgoing, message: &MessageId, key: &PartKey) {
    if !outgoing.reports_carry_key && !message.as_str().is_empty() {
        changes.insert(records::name(Hash::of_message(bot, message)), &Hash::of_part(key).0);
    }
}
