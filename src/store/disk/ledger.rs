//! What the store knows: reads for everybody, and writes for the committer.
//!
//! There is one writer, so a write may read first. It stages its changes, all of them or none.

mod age;
mod contact_state;
mod contacts;
mod counts;
mod dead;
mod invitations;
mod parts;
mod people;
mod proactive;
mod summaries;
mod sweep;

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::committer::Moment;
use super::fault::Fault;
use super::records::{self, Hash, LAST};
use super::tree::{KeyChanges, Records, Tree};
use crate::message::clock::Timestamp;
use crate::message::reply::Choice;
use crate::message::{
    BotName, ChatId, ContactId, Conversation, HistoryEntry, Inbound, MessageId, MessageRef, Question,
};
use crate::store::allowance::Allowance;
use crate::store::contact::Notices;
use crate::store::parts::decide_in_the_end;
use crate::store::record::{self, Arrival};
use crate::store::{
    Accepted, DEDUPLICATED_FOR, Ending, FailedPart, MOST_CLAIMED, MOST_CLAIMED_BYTES, MOST_RECALLED_BYTES, Outgoing,
    Seq, StoreError, Waiting,
};
use age::KEPT_EVERY;
pub(super) use age::stood_at;
pub(super) use people::Erasure;
pub(super) use proactive::Enqueuing;
use proactive::apart;
use sweep::Cursor;

/// How many old marks are forgotten at a time; each is two keys.
const EXPIRED_AT_ONCE: usize = 250;

/// The data.
pub(super) struct Ledger {
    pub(super) tree: Tree,
    /// The number given to a message last.
    last: Seq,
    history_kept: u64,
    /// Who is told of pauses.
    pub(super) notices: Arc<Notices>,
    /// How far the sweep has come.
    cursor: Cursor,
}

/// What is left of a ledger while its tree is replaced.
pub(super) struct Closed {
    last: Seq,
    history_kept: u64,
    notices: Arc<Notices>,
}

impl Closed {
    /// Goes on with another tree.
    pub(super) fn open(self, tree: Tree) -> Ledger {
        let Self { last, history_kept, notices } = self;
        Ledger { tree, last, history_kept, notices, cursor: Cursor::default() }
    }
}

/// A message on its way in.
pub(super) struct Arriving {
    at: MessageRef,
    conversation: Conversation,
    place: Hash,
    mark: Hash,
    record: Vec<u8>,
}

/// What is known of a conversation, besides its messages.
#[derive(Serialize, Deserialize)]
pub(super) struct Known {
    pub(super) conversation: Conversation,
    #[serde(default)]
    pub(super) failure_replied: Option<Timestamp>,
    /// The question that was written out last, if nothing has been said since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) question: Option<Question>,
    #[serde(default)]
    pub(super) not_before: Timestamp,
    /// Since when there is such a conversation.
    #[serde(default)]
    pub(super) since: Timestamp,
    /// Whom a direct conversation is with, by all that this person is known by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) people: Vec<ContactId>,
    /// What this person was known by, and is no longer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) former: Vec<ContactId>,
    /// The other chats that were had with this person.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) also: Vec<ChatId>,
}

/// What a claim is made of.
#[derive(Default)]
pub(super) struct Loaded {
    pub(super) messages: Vec<Waiting>,
    pub(super) proactive_messages: Vec<Waiting>,
    pub(super) outgoing: Option<Outgoing>,
    pub(super) question: Option<Question>,
    pub(super) failure_replied: Option<Timestamp>,
    pub(super) failed: Vec<FailedPart>,
    /// How long all this is as it is stored, in bytes.
    pub(super) size: usize,
}

/// How a claim ends, ready to be written.
pub(super) struct Done {
    pub(super) endings: Vec<(Seq, Ending)>,
    pub(super) said: Vec<Vec<u8>>,
    pub(super) failure_replied: Option<Timestamp>,
    pub(super) sent: Vec<(usize, MessageId)>,
    pub(super) failed: usize,
}

impl Loaded {
    /// Whether there is nothing to do.
    pub(super) fn is_nothing(&self) -> bool {
        self.messages.is_empty()
            && self.proactive_messages.is_empty()
            && self.outgoing.is_none()
            && self.failed.is_empty()
    }
}

impl Known {
    /// A conversation of which nothing is known yet.
    pub(super) fn new(conversation: Conversation, since: Timestamp) -> Self {
        let (people, former, also) = (Vec::new(), Vec::new(), Vec::new());
        let (not_before, question) = (Timestamp::default(), None);
        Self { conversation, failure_replied: None, question, not_before, since, people, former, also }
    }

    /// Takes note of whom a direct conversation is with. Whether there was something new.
    pub(super) fn meet(&mut self, at: &MessageRef) -> bool {
        let ids = [&at.sender].into_iter().chain(&at.phone).chain(&at.aliases).filter(|_| !at.group);
        // Each of them is noted, also behind a new one.
        ids.map(|id| self.add_person(id.clone())).filter(|new| *new).count() > 0
    }
}

impl Arriving {
    /// Gets a message ready; the record is made here, on the caller's thread.
    pub(super) fn new(inbound: &Inbound, accepted: Timestamp) -> Result<Self, StoreError> {
        Ok(Self::with_record(inbound.at.clone(), record::encode(&Arrival::new(inbound, accepted))?))
    }

    fn with_record(at: MessageRef, record: Vec<u8>) -> Self {
        let conversation = at.conversation();
        let place = Hash::of_conversation(&conversation);
        let mark = Hash::of_message(&at.bot, &at.message);
        Self { at, conversation, place, mark, record }
    }

    /// How many bytes it has to write.
    pub(super) fn size(&self) -> usize {
        self.record.len()
    }

    /// The conversation it belongs to.
    pub(super) fn conversation(&self) -> &Conversation {
        &self.conversation
    }
}

impl Ledger {
    /// The data in a tree.
    pub(super) fn new(tree: Tree, last: Seq, history_kept: usize) -> Self {
        let history_kept = u64::try_from(history_kept).unwrap_or(u64::MAX);
        Self { tree, last, history_kept, notices: Arc::default(), cursor: Cursor::default() }
    }

    /// Lets go of the tree.
    pub(super) fn close(self) -> Closed {
        Closed { last: self.last, history_kept: self.history_kept, notices: self.notices }
    }

    /// Takes messages in, all of them or none; `admit` is asked whether there is room for the new ones,
    /// by their bots.
    pub(super) fn accept(
        &mut self,
        arriving: &[Arriving],
        moment: Moment,
        admit: impl FnOnce(&[&BotName]) -> Result<(), StoreError>,
    ) -> Result<Vec<Accepted>, Fault> {
        let mut changes = KeyChanges::default();
        let mut last = self.last;
        let mut here = HashMap::new();
        let mut new = Vec::new();
        let mut met = HashMap::new();
        let mut answers = Vec::with_capacity(arriving.len());
        for message in arriving {
            let known = match here.get(&message.mark) {
                Some(seq) => Some(*seq),
                None => self.marked(message.mark, moment.aged, &mut changes)?,
            };
            if let Some(seq) = known {
                answers.push(Accepted::Duplicate(seq));
                continue;
            }
            last = Seq(last.0 + 1);
            here.insert(message.mark, last);
            new.push(&message.conversation.bot);
            answers.push(Accepted::New(last));
            self.write_arriving(&mut changes, &mut met, message, last, moment)?;
        }
        if last > self.last {
            admit(&new)?;
            changes.insert(LAST.to_vec(), &last.0.to_be_bytes());
            self.tree.stage(changes);
            self.last = last;
        }
        Ok(answers)
    }

    /// What a claim of a conversation holds.
    pub(super) fn load(&self, conversation: &Conversation) -> Result<Loaded, Fault> {
        let place = Hash::of_conversation(conversation);
        // All of it may have been forgotten since it was leased.
        let Some(known) = self.known(place)? else { return Ok(Loaded::default()) };
        let mut size = 0;
        let (messages, proactive_messages) = apart(self.first_waiting(place, Seq(0), &mut size)?);
        let outgoing = self.tree.record(&records::of_conversation(b'o', place))?;
        size += outgoing.as_ref().map_or(0, Vec::len);
        let outgoing = outgoing.map(|record| record::decode(&record)).transpose()?;
        let failed = self.tree.records_under(&records::of_conversation(b'f', place));
        let failed = first_of(failed, &mut size, |_, record| Ok(record::decode(record)?))?;
        let Known { question, failure_replied, .. } = known;
        Ok(Loaded { messages, proactive_messages, outgoing, question, failure_replied, failed, size })
    }

    /// The oldest of what waits in a conversation, from behind a number on, as many as one claim holds.
    pub(super) fn waiting(&self, conversation: &Conversation, after: Seq) -> Result<Vec<Waiting>, Fault> {
        Ok(apart(self.first_waiting(Hash::of_conversation(conversation), after, &mut 0)?).0)
    }

    fn first_waiting(&self, place: Hash, after: Seq, size: &mut usize) -> Result<Vec<Waiting>, Fault> {
        let first = records::message(place, Seq(after.0.saturating_add(1)));
        let entries = self.tree.records_between(&first, &records::message(place, Seq(u64::MAX)));
        first_of(entries, size, |key, record| {
            Ok(record::decode::<Arrival>(record)?.numbered(Seq(records::number(key)?)))
        })
    }

    /// Keeps what is said in a waiting message with it.
    pub(super) fn transcribe(&mut self, conversation: &Conversation, seq: Seq, words: &str) -> Result<(), Fault> {
        let key = records::message(Hash::of_conversation(conversation), seq);
        let Some(record) = self.tree.record(&key)? else { return Ok(()) };
        let mut arrival: Arrival<'_> = record::decode(&record)?;
        arrival.transcribe(words);
        let mut changes = KeyChanges::default();
        self.tree.replace(&mut changes, &key, &record::encode(&arrival)?)?;
        self.tree.stage(changes);
        Ok(())
    }

    /// Keeps with a waiting message what it chooses.
    pub(super) fn choose(&mut self, conversation: &Conversation, seq: Seq, choice: &Choice) -> Result<(), Fault> {
        let key = records::message(Hash::of_conversation(conversation), seq);
        let Some(record) = self.tree.record(&key)? else { return Ok(()) };
        let mut arrival: Arrival<'_> = record::decode(&record)?;
        arrival.choose(choice);
        let mut changes = KeyChanges::default();
        self.tree.replace(&mut changes, &key, &record::encode(&arrival)?)?;
        self.tree.stage(changes);
        Ok(())
    }

    /// Ends messages, and with them what was outgoing. Says how many messages there were, and whether there are failed
    /// parts left.
    pub(super) fn done(
        &mut self,
        conversation: &Conversation,
        done: Done,
        now: Timestamp,
    ) -> Result<(usize, bool), Fault> {
        let place = Hash::of_conversation(conversation);
        let mut changes = KeyChanges::default();
        let mut ended = HashSet::new();
        for (seq, ending) in done.endings {
            let key = records::message(place, seq);
            if ended.contains(&seq) || !self.tree.take_out(&mut changes, &key)? {
                continue;
            }
            ended.insert(seq);
            if let Ending::Dead { reason } = ending {
                self.write_dead(&mut changes, &key, seq, reason, now)?;
            }
        }
        let echo = self.outgoing(place)?.and_then(|outgoing| decide_in_the_end(&outgoing, &done.sent));
        let mut known = known(&self.tree, place)?;
        let before = known.question.clone();
        let question = &mut known.question;
        let failed = self.close_outgoing(&mut changes, conversation, &done.sent, done.failed, question, now)?;
        self.write_said(&mut changes, place, &done.said)?;
        if known.question != before || done.failure_replied.is_some() || known.not_before != Timestamp::default() {
            known.failure_replied = done.failure_replied.or(known.failure_replied);
            known.not_before = Timestamp::default();
            self.write_known(&mut changes, place, &known)?;
        }
        self.tree.stage(changes);
        self.take_over(echo, now)?;
        Ok((ended.len(), failed))
    }

    /// Holds a conversation back.
    pub(super) fn later(&mut self, conversation: &Conversation, at: Timestamp) -> Result<(), Fault> {
        let place = Hash::of_conversation(conversation);
        let mut changes = KeyChanges::default();
        let known = Known { not_before: at, ..known(&self.tree, place)? };
        self.write_known(&mut changes, place, &known)?;
        self.tree.stage(changes);
        Ok(())
    }

    /// The newest `most` things that were said, oldest first, or as many of them as are read at once.
    pub(super) fn history(&self, conversation: &Conversation, most: usize) -> Result<Vec<HistoryEntry>, Fault> {
        let place = Hash::of_conversation(conversation);
        let Some(newest) = self.newest(b'h', place)? else { return Ok(Vec::new()) };
        let older = (newest + 1).saturating_sub(u64::try_from(most).unwrap_or(u64::MAX));
        let first = records::said(place, older);
        // They are found from the oldest on: those that turn out to be too many are let go on the way.
        let (mut said, mut bytes) = (VecDeque::new(), 0);
        for entry in self.tree.records_between(&first, &records::said(place, newest + 1)) {
            let (_, record) = entry?;
            bytes += record.len();
            said.push_back(record);
            while bytes > MOST_RECALLED_BYTES && said.len() > 1 {
                bytes -= said.pop_front().map_or(0, |record| record.len());
            }
        }
        said.iter().map(|record| Ok(record::decode(record)?)).collect()
    }

    /// Forgets some of the marks that have lived long enough, and of the counters that have ended.
    pub(super) fn expire(&mut self, Moment { now, aged }: Moment) -> Result<(), Fault> {
        let kept = u32::try_from(DEDUPLICATED_FOR.as_secs() / 3600).unwrap_or(u32::MAX);
        // Of the last hour before that, some may have a few minutes to live.
        let end = records::expiry_hour(records::hour(aged).saturating_sub(kept));
        let mut changes = KeyChanges::default();
        for key in self.tree.keys(b"e", &end, EXPIRED_AT_ONCE)? {
            changes.remove(records::mark(records::hash(key.get(5..).unwrap_or_default())?));
            changes.remove(key);
        }
        self.bring_back(&mut changes, aged)?;
        self.keep_age(&mut changes, aged, KEPT_EVERY)?;
        for key in self.tree.keys(b"n", &records::counter_hour(records::hour(now)), EXPIRED_AT_ONCE)? {
            changes.remove(key);
        }
        self.tree.stage(changes);
        Ok(())
    }

    /// The number of a message that was accepted lately. A mark that is too old is left for the changes to replace.
    fn marked(&self, mark: Hash, now: Timestamp, changes: &mut KeyChanges) -> Result<Option<Seq>, Fault> {
        let Some(value) = self.tree.value(&records::mark(mark))? else { return Ok(None) };
        let (seq, accepted) = read_mark(&value)?;
        if now.since(accepted) < DEDUPLICATED_FOR {
            return Ok(Some(seq));
        }
        changes.remove(records::expiry(records::hour(accepted), mark));
        Ok(None)
    }

    /// What is known of a conversation, if there is one.
    fn known(&self, place: Hash) -> Result<Option<Known>, Fault> {
        match self.tree.record(&records::of_conversation(b'c', place))? {
            Some(record) => Ok(Some(record::decode(&record)?)),
            None => Ok(None),
        }
    }

    /// The count of the newest record of a kind in a conversation.
    fn newest(&self, kind: u8, place: Hash) -> Result<Option<u64>, Fault> {
        match self.tree.last_key(&records::of_conversation(kind, place))? {
            Some(key) => Ok(Some(records::number(records::without_chunk(&key)?)?)),
            None => Ok(None),
        }
    }

    fn write_arriving(
        &self,
        changes: &mut KeyChanges,
        met: &mut HashMap<Hash, Known>,
        message: &Arriving,
        seq: Seq,
        Moment { now, aged }: Moment,
    ) -> Result<(), Fault> {
        changes.put(&records::message(message.place, seq), &message.record);
        changes.insert(records::mark(message.mark), &write_mark(seq, aged));
        changes.insert(records::expiry(records::hour(aged), message.mark), &[]);
        let (known, new) = match met.entry(message.place) {
            Entry::Occupied(known) => (known.into_mut(), false),
            Entry::Vacant(place) => match self.known(message.place)? {
                Some(known) => (place.insert(known), false),
                None => (place.insert(Known::new(message.conversation.clone(), now)), true),
            },
        };
        if known.meet(&message.at) || new {
            self.meet(changes, message.place, known)?;
            self.write_known(changes, message.place, known)?;
        }
        Ok(())
    }

    /// Ends what holds a conversation back.
    fn end_hold_back(&self, changes: &mut KeyChanges, place: Hash) -> Result<(), Fault> {
        match self.known(place)? {
            Some(known) if known.not_before != Timestamp::default() => {
                let known = Known { not_before: Timestamp::default(), ..known };
                self.write_known(changes, place, &known)
            }
            _ => Ok(()),
        }
    }

    /// Leaves a conversation to a person, who may ask something else: nothing holds it back, and no question is open.
    fn hand_over(&self, changes: &mut KeyChanges, place: Hash) -> Result<(), Fault> {
        match self.known(place)? {
            Some(known) if known.not_before != Timestamp::default() || known.question.is_some() => {
                let known = Known { not_before: Timestamp::default(), question: None, ..known };
                self.write_known(changes, place, &known)
            }
            _ => Ok(()),
        }
    }

    /// Adds to a conversation's history, and takes off at its other end what is too much.
    fn write_said(&self, changes: &mut KeyChanges, place: Hash, said: &[Vec<u8>]) -> Result<(), Fault> {
        if said.is_empty() {
            return Ok(());
        }
        let mut next = self.newest(b'h', place)?.map_or(0, |newest| newest + 1);
        let end = next + said.len() as u64;
        let kept = end.saturating_sub(self.history_kept);
        if kept > 0 {
            for key in self.tree.keys(&records::said(place, 0), &records::said(place, kept), usize::MAX)? {
                changes.remove(key);
            }
        }
        for record in said {
            if next >= kept {
                changes.put(&records::said(place, next), record);
            }
            next += 1;
        }
        Ok(())
    }

    fn write_known(&self, changes: &mut KeyChanges, place: Hash, known: &Known) -> Result<(), Fault> {
        let key = records::of_conversation(b'c', place);
        self.tree.replace(changes, &key, &record::encode(known)?)
    }
}

/// What is known of a conversation from which there has been a message.
pub(super) fn known(tree: &Tree, place: Hash) -> Result<Known, Fault> {
    match tree.record(&records::of_conversation(b'c', place))? {
        Some(record) => Ok(record::decode(&record)?),
        None => Err(Fault::damaged("a conversation is missing")),
    }
}

/// A mark's value: the message's number, and when it was accepted, by the clock by which marks age.
fn write_mark(seq: Seq, aged: Timestamp) -> Vec<u8> {
    [seq.0.to_be_bytes(), aged.0.to_be_bytes()].concat()
}

/// Reads a mark's value: the number, and since when it ages.
pub(super) fn read_mark(value: &[u8]) -> Result<(Seq, Timestamp), Fault> {
    match value.as_chunks() {
        // A proactive message's, too, and one from before there was a clock for this.
        ([seq, aged] | [seq, aged, _, _, _] | [seq, _, _, _, _, aged], []) => {
            Ok((Seq(u64::from_be_bytes(*seq)), Timestamp(u64::from_be_bytes(*aged))))
        }
        _ => Err(Fault::damaged("a mark has the wrong length")),
    }
}

/// The first of some records, as many as one claim holds. Adds their length to `size`.
fn first_of<T>(
    entries: Records<'_>,
    size: &mut usize,
    read: impl Fn(&[u8], &[u8]) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    // Nearly always one, and held for as long as a handler takes.
    let mut first = Vec::with_capacity(1);
    let mut allowance = Allowance::new(MOST_CLAIMED, MOST_CLAIMED_BYTES);
    for entry in entries {
        let (key, record) = entry?;
        if !allowance.takes(record.len()) {
            break;
        }
        first.push(read(&key, &record)?);
    }
    *size += allowance.taken();
    Ok(first)
}
