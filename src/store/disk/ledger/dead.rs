//! Dead letters.

use std::collections::HashMap;

use super::{Arriving, Fault, Known, Ledger, write_mark};
use crate::message::clock::Timestamp;
use crate::message::{BotName, Conversation};
use crate::store::disk::committer::Moment;
use crate::store::disk::records::{self, Hash, LAST};
use crate::store::disk::tree::KeyChanges;
use crate::store::record::{self, Arrival};
use crate::store::{Accepted, DeadLetter, Seq, StoreError};

impl Ledger {
    /// Dead letters behind `after`.
    pub(in crate::store::disk) fn dead(&self, after: Option<Seq>, most: usize) -> Result<Vec<DeadLetter>, Fault> {
        let first = Seq(after.map_or(0, |seq| seq.0.saturating_add(1)));
        let letters = self.tree.records_between(&records::dead(first), b"y").take(most);
        letters.map(|entry| Ok(record::decode(&entry?.1)?)).collect()
    }

    /// Makes a dead letter wait again, under a new number; `admit` is asked whether there is room for it.
    pub(in crate::store::disk) fn replay(
        &mut self,
        letter: Seq,
        now: Timestamp,
        admit: impl FnOnce(&[&BotName]) -> Result<(), StoreError>,
    ) -> Result<Option<Conversation>, Fault> {
        let key = records::dead(letter);
        let Some(record) = self.tree.record(&key)? else { return Ok(None) };
        let dead: DeadLetter = record::decode(&record)?;
        if dead.unread {
            return Err(StoreError::Invalid(DeadLetter::NOTHING_TO_REPLAY).into());
        }
        let arrival = Arrival::again(dead, now);
        admit(&[&arrival.inbound.at.bot])?;
        let conversation = arrival.inbound.at.conversation();
        let place = Hash::of_conversation(&conversation);
        let last = Seq(self.last.0 + 1);
        let mut changes = KeyChanges::default();
        if arrival.proactive.is_some() {
            let keys = record::decode::<Arrival>(&record::write(&arrival)?)?.numbered(last).keys();
            self.expect(&mut changes, &conversation, &keys, last)?;
        }
        self.tree.take_out(&mut changes, &key)?;
        // No limit here, as none when it died.
        changes.put(&records::message(place, last), &record::write(&arrival)?);
        changes.insert(LAST.to_vec(), &last.0.to_be_bytes());
        // It may have been swept out in the meantime.
        let mut known = self.known(place)?.unwrap_or_else(|| Known::new(conversation.clone(), now));
        known.meet(&arrival.inbound.at);
        self.write_known(&mut changes, place, &known)?;
        self.tree.stage(changes);
        self.last = last;
        Ok(Some(conversation))
    }

    /// Keeps messages that could not be read, each once and for its reason.
    pub(in crate::store::disk) fn bury(
        &mut self,
        letters: &[(Arriving, String)],
        Moment { now, aged }: Moment,
    ) -> Result<Vec<Accepted>, Fault> {
        let mut changes = KeyChanges::default();
        let (mut last, mut here, mut answers) = (self.last, HashMap::new(), Vec::with_capacity(letters.len()));
        for (letter, reason) in letters {
            let known = match here.get(&letter.mark) {
                Some(seq) => Some(*seq),
                None => self.marked(letter.mark, aged, &mut changes)?,
            };
            if let Some(seq) = known {
                answers.push(Accepted::Duplicate(seq));
                continue;
            }
            last = Seq(last.0 + 1);
            here.insert(letter.mark, last);
            answers.push(Accepted::New(last));
            changes.insert(records::mark(letter.mark), &write_mark(last, aged));
            changes.insert(records::expiry(records::hour(aged), letter.mark), &[]);
            let message = record::decode::<Arrival>(&letter.record)?.numbered(last);
            let dead = DeadLetter { message, reason: reason.clone(), since: now, unread: true };
            changes.put(&records::dead(last), &record::write(&dead)?);
        }
        if last > self.last {
            changes.insert(LAST.to_vec(), &last.0.to_be_bytes());
            self.tree.stage(changes);
            self.last = last;
        }
        Ok(answers)
    }

    /// Throws a dead letter away. Whether there was one.
    pub(in crate::store::disk) fn discard(&mut self, letter: Seq) -> Result<bool, Fault> {
        let mut changes = KeyChanges::default();
        self.tree.take_out(&mut changes, &records::dead(letter))?;
        let found = changes.len() > 0;
        self.tree.stage(changes);
        Ok(found)
    }

    /// Makes a dead letter of a waiting message, which is left to be taken out.
    pub(super) fn write_dead(
        &self,
        changes: &mut KeyChanges,
        key: &[u8],
        seq: Seq,
        reason: String,
        since: Timestamp,
    ) -> Result<(), Fault> {
        let Some(record) = self.tree.record(key)? else { return Ok(()) };
        let message = record::decode::<Arrival>(&record)?.numbered(seq);
        // No limit here: what was taken in must find an end.
        let letter = record::write(&DeadLetter { message, reason, since, unread: false })?;
        changes.put(&records::dead(seq), &letter);
        Ok(())
    }
}
