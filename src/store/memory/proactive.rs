//! What is to be said unasked.

use super::ledger::{Known, Ledger, Mark};
use crate::message::clock::Timestamp;
use crate::message::{BotName, Conversation, PartKey};
use crate::store::parts::{self, OnItsWay, Trace};
use crate::store::people::address;
use crate::store::proactive::{KeyRecord, Receipt};
use crate::store::record::{self, Arrival};
use crate::store::{Enqueued, IdempotencyKey, KnownAddress, NewProactive, PartState, Seq, StoreError, Waiting};

impl Ledger {
    /// What is known of a proactive message by its key.
    pub(super) fn enqueued(&self, asked: &IdempotencyKey) -> Option<Enqueued> {
        self.proactive_messages.get(&mark(asked)).map(|kept| kept.answer(asked))
    }

    /// Takes a proactive message in that is not known, and says in which conversation it waits.
    pub(super) fn enqueue(
        &mut self,
        new_proactive: &NewProactive,
        now: Timestamp,
        aged: Timestamp,
    ) -> Result<(Receipt, Conversation), StoreError> {
        let stand_in = new_proactive.stand_in(now);
        let record = record::encode(&Arrival::of_proactive(&new_proactive.proactive, &stand_in, now))?;
        let seq = Seq(self.last.0 + 1);
        let receipt = Receipt { seq, accepted: now, parts: new_proactive.proactive.parts.len() as u64 };
        let mark = mark(&new_proactive.asked);
        self.last = seq;
        self.expiry.push_back((aged, mark.clone()));
        self.proactive_messages.insert(mark, KeyRecord { receipt, fingerprint: new_proactive.asked.fingerprint });
        self.add(seq, &stand_in.at, record, now);
        let conversation = stand_in.at.conversation();
        self.expect(&conversation, &receipt.keys());
        Ok((receipt, conversation))
    }

    /// Has parts be known that wait to be sent.
    pub(super) fn expect(&mut self, conversation: &Conversation, keys: &[PartKey]) {
        for key in keys {
            let trace = || Trace::Outgoing(OnItsWay::new(key, conversation));
            self.parts.entry(key.clone()).or_insert_with(trace);
        }
    }

    /// How far a part has come that has not left.
    pub(super) fn under_way(&self, key: &PartKey) -> Result<Option<(Conversation, PartState)>, StoreError> {
        let Some(Trace::Outgoing(part)) = self.parts.get(key) else { return Ok(None) };
        let known = self.conversations.get(&part.conversation);
        let outgoing = known.map(Known::outgoing).transpose()?.flatten();
        Ok(Some((part.conversation.clone(), parts::under_way(outgoing.as_ref(), key))))
    }

    /// Where a chat is written to, or a person.
    pub(super) fn resolve_address(&self, bot: &BotName, name: &str) -> Result<Option<KnownAddress>, StoreError> {
        let Some(conversation) = self.addressed(bot, name)? else { return Ok(None) };
        let Some(known) = self.conversations.get(&conversation) else { return Ok(None) };
        let waiting = known.first_waiting(Seq(0), &mut 0)?;
        Ok(Some(KnownAddress::new(address(&conversation.chat, known.people.iter()), &waiting)))
    }
}

/// Those that wait, and those of them that are proactive messages apart.
pub(super) fn apart(waiting: Vec<Waiting>) -> (Vec<Waiting>, Vec<Waiting>) {
    waiting.into_iter().partition(|waiting| waiting.proactive.is_none())
}

fn mark(asked: &IdempotencyKey) -> Mark {
    (asked.bot.clone(), asked.mark())
}
