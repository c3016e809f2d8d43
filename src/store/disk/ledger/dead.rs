//! Dead letters.

use super::{Fault, Known, Ledger};
use crate::clock::Timestamp;
use crate::message::{BotName, Conversation};
use crate::store::disk::records::{self, Hash, LAST};
use crate::store::disk::tree::Changes;
use crate::store::record::{self, Arrival};
use crate::store::{DeadLetter, Seq, StoreError};

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
        let arrival = Arrival::again(record::decode(&record)?, now);
        admit(&[&arrival.inbound.at.bot])?;
        let conversation = arrival.inbound.at.conversation();
        let place = Hash::of_conversation(&conversation);
        let last = Seq(self.last.0 + 1);
        let mut changes = Changes::default();
        if arrival.errand.is_some() {
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

    /// Throws a dead letter away. Whether there was one.
    pub(in crate::store::disk) fn discard(&mut self, letter: Seq) -> Result<bool, Fault> {
        let mut changes = Changes::default();
        self.tree.take_out(&mut changes, &records::dead(letter))?;
        let found = changes.len() > 0;
        self.tree.stage(changes);
        Ok(found)
    }

    /// Makes a dead letter of a waiting message, which is left to be taken out.
    pub(super) fn write_dead(
        &self,
        changes: &mut Changes,
        key: &[u8],
        seq: Seq,
        reason: String,
        since: Timestamp,
    ) -> Result<(), Fault> {
        let Some(record) = self.tree.record(key)? else { return Ok(()) };
        let message = record::decode::<Arrival>(&record)?.numbered(seq);
        // No limit here: what was taken in must find an end.
        let letter = record::write(&DeadLetter { message, reason, since })?;
        changes.put(&records::dead(seq), &letter);
        Ok(())
    }
}
