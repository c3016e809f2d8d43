//! What is to be said unasked.

use std::collections::HashMap;

use super::{Arriving, Fault, Known, Ledger, read_mark};
use crate::message::clock::Timestamp;
use crate::message::{BotName, Conversation, PartKey};
use crate::store::disk::committer::Moment;
use crate::store::disk::records::{self, Hash, LAST};
use crate::store::disk::tree::KeyChanges;
use crate::store::parts::{self, OnItsWay, Trace};
use crate::store::people::address;
use crate::store::proactive::{KeyRecord, Receipt};
use crate::store::record::{self, Arrival};
use crate::store::{
    DEDUPLICATED_FOR, Enqueued, IdempotencyKey, KnownAddress, NewProactive, PartState, Seq, StoreError, Waiting,
};

/// A proactive message on its way in.
pub(in crate::store::disk) struct Enqueuing {
    asked: IdempotencyKey,
    arriving: Arriving,
    parts: u64,
}

impl Enqueuing {
    /// Gets a proactive message ready; the record is made here, on the caller's thread.
    pub(in crate::store::disk) fn new(new_proactive: &NewProactive, now: Timestamp) -> Result<Self, StoreError> {
        let stand_in = new_proactive.stand_in(now);
        let record = record::encode(&Arrival::of_proactive(&new_proactive.proactive, &stand_in, now))?;
        let parts = new_proactive.proactive.parts.len() as u64;
        Ok(Self { asked: new_proactive.asked.clone(), arriving: Arriving::with_record(stand_in.at, record), parts })
    }

    /// How many bytes it has to write.
    pub(in crate::store::disk) fn size(&self) -> usize {
        self.arriving.size()
    }

    /// Where it waits.
    pub(in crate::store::disk) fn conversation(&self) -> &Conversation {
        self.arriving.conversation()
    }
}

impl Ledger {
    /// What is known of a proactive message by its key.
    pub(in crate::store::disk) fn enqueued(
        &self,
        asked: &IdempotencyKey,
        aged: Timestamp,
    ) -> Result<Option<Enqueued>, Fault> {
        let mark = Hash::of_message(&asked.bot, &asked.mark());
        let Some(value) = self.tree.value(&records::mark(mark))? else { return Ok(None) };
        let kept = read_proactive(&value)?;
        let (_, since) = read_mark(&value)?;
        let is_known = aged.since(since) < DEDUPLICATED_FOR;
        Ok(is_known.then(|| kept.answer(asked)))
    }

    /// Takes a proactive message in, unless its key is known; `admit` is asked whether there is room for it.
    pub(in crate::store::disk) fn enqueue(
        &mut self,
        proactive: &Enqueuing,
        moment: Moment,
        admit: impl FnOnce(&[&BotName]) -> Result<(), StoreError>,
    ) -> Result<Enqueued, Fault> {
        let Enqueuing { asked, arriving, parts } = proactive;
        if let Some(answer) = self.enqueued(asked, moment.aged)? {
            return Ok(answer);
        }
        admit(&[&proactive.conversation().bot])?;
        let mut changes = KeyChanges::default();
        // One that is too old is replaced.
        self.marked(arriving.mark, moment.aged, &mut changes)?;
        let seq = Seq(self.last.0 + 1);
        let receipt = Receipt { seq, accepted: moment.now, parts: *parts };
        let (place, conversation) = (arriving.place, arriving.conversation());
        let mut met = HashMap::new();
        let held_back = self.known(place)?.filter(|known| known.not_before != Timestamp::default());
        if let Some(known) = held_back
            && self.outgoing(place)?.is_none()
        {
            let known = Known { not_before: Timestamp::default(), ..known };
            self.write_known(&mut changes, place, &known)?;
            met.insert(place, known);
        }
        self.write_arriving(&mut changes, &mut met, arriving, seq, moment)?;
        let kept = KeyRecord { receipt, fingerprint: asked.fingerprint };
        changes.insert(records::mark(arriving.mark), &write_proactive(kept, moment.aged));
        self.expect(&mut changes, conversation, &receipt.keys(), seq)?;
        changes.insert(LAST.to_vec(), &seq.0.to_be_bytes());
        self.tree.stage(changes);
        self.last = seq;
        Ok(Enqueued::New(receipt))
    }

    /// Has the parts of a proactive message be known, which wait to be sent.
    pub(super) fn expect(
        &self,
        changes: &mut KeyChanges,
        conversation: &Conversation,
        keys: &[PartKey],
        proactive: Seq,
    ) -> Result<(), Fault> {
        for key in keys {
            // What had left before the proactive message was dead stays what it is.
            if !matches!(self.trace(Hash::of_part(key))?, Some(Trace::Sent(_))) {
                let part = OnItsWay { proactive: Some(proactive), ..OnItsWay::new(key, conversation) };
                self.write_trace(changes, key, &Trace::Outgoing(part))?;
            }
        }
        Ok(())
    }

    /// How far a part has come that has not left.
    pub(in crate::store::disk) fn under_way(&self, key: &PartKey) -> Result<Option<(Conversation, PartState)>, Fault> {
        match self.trace(Hash::of_part(key))? {
            Some(Trace::Outgoing(part)) => Ok(self.state(&part)?.map(|state| (part.conversation, state))),
            Some(Trace::Sent(_)) | None => Ok(None),
        }
    }

    /// How far it has come; none if it will not be sent.
    pub(super) fn state(&self, part: &OnItsWay) -> Result<Option<PartState>, Fault> {
        let place = Hash::of_conversation(&part.conversation);
        let outgoing = self.outgoing(place)?;
        let is_part_of_it = outgoing.iter().flat_map(|outgoing| &outgoing.parts).any(|known| known.key == part.key);
        let waits = |proactive| self.tree.any(&records::message(place, proactive));
        let known = is_part_of_it || part.proactive.map_or(Ok(false), waits)?;
        Ok(known.then(|| parts::under_way(outgoing.as_ref(), &part.key)))
    }

    /// Where a chat is written to, or a person.
    pub(in crate::store::disk) fn resolve_address(
        &self,
        bot: &BotName,
        name: &str,
    ) -> Result<Option<KnownAddress>, Fault> {
        let Some(known) = self.addressed(bot, name)? else { return Ok(None) };
        let waiting = self.first_waiting(Hash::of_conversation(&known.conversation), Seq(0), &mut 0)?;
        Ok(Some(KnownAddress::new(address(&known.conversation.chat, known.people.iter()), &waiting)))
    }

    /// By which keys a conversation is found.
    pub(super) fn listed(&self, place: Hash, known: &Known) -> Result<Vec<Vec<u8>>, Fault> {
        let mut keys = Vec::new();
        for (_, key) in known.listed_by() {
            // Somebody whose chat has another name by now is found there.
            if self.tree.value(&key)?.is_some_and(|found| *found == place.0) {
                keys.push(key);
            }
        }
        Ok(keys)
    }
}

/// Those that wait, and those of them that are proactive messages apart.
pub(super) fn apart(waiting: Vec<Waiting>) -> (Vec<Waiting>, Vec<Waiting>) {
    if waiting.iter().all(|waiting| waiting.proactive.is_none()) {
        return (waiting, Vec::new());
    }
    waiting.into_iter().partition(|waiting| waiting.proactive.is_none())
}

/// The value of a proactive message's mark: its number, when it was taken in by the time of day, the fingerprint, the
/// number of its parts, and since when the mark ages.
fn write_proactive(KeyRecord { receipt, fingerprint }: KeyRecord, aged: Timestamp) -> Vec<u8> {
    let Receipt { seq, accepted, parts } = receipt;
    let (seq, accepted) = (seq.0.to_be_bytes(), accepted.0.to_be_bytes());
    [&seq[..], &accepted, &fingerprint, &parts.to_be_bytes(), &aged.0.to_be_bytes()].concat()
}

fn read_proactive(value: &[u8]) -> Result<KeyRecord, Fault> {
    let (seq, _) = read_mark(value)?;
    let word = |at: usize| value.get(at..at + 8)?.try_into().ok().map(u64::from_be_bytes);
    let fingerprint = value.get(16..32).and_then(|bytes| bytes.try_into().ok());
    let (Some(accepted), Some(fingerprint), Some(parts)) = (word(8).map(Timestamp), fingerprint, word(32)) else {
        return Err(Fault::damaged("an errand's mark has the wrong length"));
    };
    Ok(KeyRecord { receipt: Receipt { seq, accepted, parts }, fingerprint })
}
