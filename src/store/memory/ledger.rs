//! What the store knows.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::sweep::Cursor;
use crate::message::clock::Timestamp;
use crate::message::{BotName, ChatId, ContactId, Conversation, MessageId, MessageRef, PartKey, Question, Summary};
use crate::store::allowance::Allowance;
use crate::store::contact::{ContactRecord, Notices};
use crate::store::invitations::Invitations;
use crate::store::parts::Trace;
use crate::store::proactive;
use crate::store::record::{self, Arrival};
use crate::store::schedule::Work;
use crate::store::{
    DEDUPLICATED_FOR, DeadLetter, Ending, FailedPart, MOST_CLAIMED, MOST_CLAIMED_BYTES, Outgoing, Seq, StoreError,
    Waiting,
};

#[derive(Default)]
pub(super) struct Ledger {
    /// The number given last.
    pub(super) last: Seq,
    pub(super) marks: HashMap<Mark, Seq>,
    /// What was asked to be said unasked, by what it is known by.
    pub(super) proactive_messages: HashMap<Mark, proactive::KeyRecord>,
    /// The marks in the order in which they were set.
    pub(super) expiry: VecDeque<(Timestamp, Mark)>,
    pub(super) conversations: BTreeMap<Conversation, Known>,
    pub(super) dead: BTreeMap<Seq, DeadLetter>,
    pub(super) parts: BTreeMap<PartKey, Trace>,
    /// The keys of the parts that are reported by the upstream's names for them.
    pub(super) names: HashMap<Mark, PartKey>,
    /// What stands about people, by each of their names.
    pub(super) standings: BTreeMap<(BotName, String), ContactRecord>,
    /// The direct conversations, by the names of whom they are with that are not the chat's own.
    pub(super) people: BTreeMap<(BotName, String), ChatId>,
    /// Who is told of pauses.
    pub(super) notices: Arc<Notices>,
    /// Counters, by when they end and what they are called.
    pub(super) counters: BTreeMap<(Timestamp, String), u64>,
    /// Invitations to private bots.
    pub(super) invitations: BTreeMap<BotName, Invitations>,
    /// How far the sweep has come.
    pub(super) cursor: Cursor,
}

/// What a message is known by.
pub(super) type Mark = (BotName, MessageId);

/// What is known of a conversation.
#[derive(Default)]
pub(super) struct Known {
    /// Since when there is such a conversation.
    pub(super) since: Timestamp,
    /// Whom a direct conversation is with, by all that this person is known by.
    pub(super) people: BTreeSet<ContactId>,
    /// What this person was known by, and is no longer.
    pub(super) former: Vec<ContactId>,
    /// The other chats that were had with this person.
    pub(super) also: Vec<ChatId>,
    pub(super) messages: BTreeMap<Seq, Vec<u8>>,
    pub(super) outgoing: Option<Vec<u8>>,
    pub(super) question: Option<Question>,
    pub(super) failure_replied: Option<Timestamp>,
    pub(super) said: VecDeque<Vec<u8>>,
    pub(super) summary: Option<Summary>,
    pub(super) failed: VecDeque<FailedPart>,
}

impl Ledger {
    pub(super) fn known(&mut self, conversation: &Conversation, now: Timestamp) -> &mut Known {
        let new = || Known { since: now, ..Known::default() };
        self.conversations.entry(conversation.clone()).or_insert_with(new)
    }

    /// Adds a waiting message.
    pub(super) fn add(&mut self, seq: Seq, at: &MessageRef, record: Vec<u8>, now: Timestamp) {
        let is_new = !self.conversations.contains_key(&at.conversation());
        self.known(&at.conversation(), now).messages.insert(seq, record);
        self.meet(at, is_new, now);
    }

    /// Forgets the marks that have lived long enough.
    pub(super) fn expire(&mut self, now: Timestamp) {
        while let Some((_, mark)) = self.expiry.pop_front_if(|(set, _)| now.since(*set) >= DEDUPLICATED_FOR) {
            self.marks.remove(&mark);
            self.proactive_messages.remove(&mark);
        }
    }

    /// Ends messages of a conversation. Says how many there were, and which parts can have left at the most.
    pub(super) fn end(
        &mut self,
        conversation: &Conversation,
        endings: Vec<(Seq, Ending)>,
        now: Timestamp,
    ) -> Result<(usize, Vec<PartKey>), StoreError> {
        let (mut ended, mut keys) = (0, Vec::new());
        for (seq, ending) in endings {
            let Some(record) = self.known(conversation, now).messages.remove(&seq) else { continue };
            ended += 1;
            let message = decode::<Arrival>(&record)?.numbered(seq);
            keys.extend(message.keys());
            if let Ending::Dead { reason } = ending {
                self.dead.insert(seq, DeadLetter { message, reason, since: now, unread: false });
            }
        }
        Ok((ended, keys))
    }
}

impl Known {
    /// The messages that one claim holds, from behind a number on. Adds their length to `size`.
    pub(super) fn first_waiting(&self, after: Seq, size: &mut usize) -> Result<Vec<Waiting>, StoreError> {
        let mut allowance = Allowance::new(MOST_CLAIMED, MOST_CLAIMED_BYTES);
        let first = self.messages.range(Seq(after.0.saturating_add(1))..);
        let first = first.take_while(|(_, record)| allowance.takes(record.len()));
        let first = first.map(|(seq, record)| Ok(decode::<Arrival>(record)?.numbered(*seq))).collect();
        *size += allowance.taken();
        first
    }

    /// The failed parts that one claim holds. Adds their length to `size`.
    pub(super) fn first_failed(&self, size: &mut usize) -> Result<Vec<FailedPart>, StoreError> {
        let mut allowance = Allowance::new(MOST_CLAIMED, MOST_CLAIMED_BYTES);
        let mut first = Vec::new();
        for failed in &self.failed {
            if !allowance.takes(record::write(failed)?.len()) {
                break;
            }
            first.push(failed.clone());
        }
        *size += allowance.taken();
        Ok(first)
    }

    pub(super) fn outgoing(&self) -> Result<Option<Outgoing>, StoreError> {
        self.outgoing.as_deref().map(decode).transpose()
    }

    /// What there is to do.
    pub(super) fn work(&self) -> Work {
        Work { messages: self.messages.len(), outgoing: self.outgoing.is_some(), failed: !self.failed.is_empty() }
    }
}

/// Reads what `record::encode` had read back.
pub(super) fn decode<T: DeserializeOwned>(record: &[u8]) -> Result<T, StoreError> {
    record::decode(record).map_err(|_| StoreError::Invalid("a record cannot be read"))
}
