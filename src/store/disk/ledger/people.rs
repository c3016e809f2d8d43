//! Finds all that is of one person. It is not deleted, for what is deleted stays in sled's files: everything else is
//! copied into new ones.

use std::collections::{HashMap, HashSet};

use super::{Fault, Known, Ledger, read_mark};
use crate::message::clock::Timestamp;
use crate::message::{BotName, Conversation, HistoryEntry, MessageRef, PartKey};
use crate::store::contact::ContactRecord;
use crate::store::disk::records::{self, Hash};
use crate::store::disk::tree::OmittedKeys;
use crate::store::parts::Trace;
use crate::store::people::Person;
use crate::store::record::{self, Arrival};
use crate::store::schedule::Work;
use crate::store::{DeadLetter, FailedPart, Forgotten, Outgoing, PartState, StoreError};

/// What is to be erased.
#[derive(Default)]
pub(in crate::store::disk) struct Erasure {
    /// Where it stands.
    pub(in crate::store::disk) left_out: OmittedKeys,
    /// How much that is.
    pub(in crate::store::disk) forgotten: Forgotten,
    /// What is left to do in the conversations that change.
    pub(in crate::store::disk) changed: Vec<(Conversation, Work)>,
}

impl Ledger {
    /// Finds what is to be erased of a bot's data so that a person is forgotten.
    pub(in crate::store::disk) fn erasure(&self, bot: &BotName, contact: &str) -> Result<Erasure, Fault> {
        let mut person = Person::new(contact).ok_or(StoreError::Invalid("nobody is named"))?;
        while self.learn(bot, &mut person)? {}
        let mut search = Search { ledger: self, bot, person: &person, found: ContactRecords::default() };
        search.conversations()?;
        search.waiting()?;
        search.outgoing()?;
        search.failed()?;
        search.said()?;
        search.parts()?;
        search.dead()?;
        search.standings()?;
        search.end()
    }

    /// Learns what else a person is known by. Whether there was something new.
    fn learn(&self, bot: &BotName, person: &mut Person) -> Result<bool, Fault> {
        let mut new = false;
        self.each::<Known>(b"c", |_, known| {
            if known.conversation.bot == *bot && !known.people.is_empty() {
                new |= person.learn_all(&known.all_names());
            }
            Ok(())
        })?;
        self.each::<ContactRecord>(b"q", |_, kept| {
            if kept.peer.bot == *bot {
                new |= person.learn_all(&kept.peer.names);
            }
            Ok(())
        })?;
        let mut learn = |at: &MessageRef| {
            new |= at.bot == *bot && person.learn(at);
            Ok(())
        };
        self.each::<Arrival>(b"m", |_, arrival| learn(&arrival.inbound.at))?;
        self.each::<Outgoing>(b"o", |_, outgoing| learn(&outgoing.to))?;
        self.each::<DeadLetter>(b"x", |_, letter| learn(&letter.message.inbound.at))?;
        self.each::<Trace>(b"p", |_, trace| trace.sent().map_or(Ok(()), |part| learn(&part.to)))?;
        Ok(new)
    }

    /// Reads all records of a kind.
    fn each<T: serde::de::DeserializeOwned>(
        &self,
        kind: &[u8],
        mut seen: impl FnMut(Vec<u8>, T) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        for entry in self.tree.records_under(kind) {
            let (key, record) = entry?;
            seen(key, record::decode(&record)?)?;
        }
        Ok(())
    }
}

/// What was found so far.
#[derive(Default)]
struct ContactRecords {
    erasure: Erasure,
    /// The conversations that go as a whole.
    whole: HashMap<Hash, Conversation>,
    /// The bot's groups.
    groups: HashSet<Hash>,
    /// The groups in which the person was asked something.
    asked: HashSet<Hash>,
    /// The groups that lose something that was to be done.
    touched: HashSet<Hash>,
    /// What is left to do.
    left: HashMap<Hash, Work>,
}

struct Search<'a> {
    ledger: &'a Ledger,
    bot: &'a BotName,
    person: &'a Person,
    found: ContactRecords,
}

impl Search<'_> {
    fn conversations(&mut self) -> Result<(), Fault> {
        let Self { ledger, bot, person, found } = self;
        ledger.each::<Known>(b"c", |key, known| {
            if known.conversation.bot != **bot {
                return Ok(());
            }
            let place = records::hash(&key[1..])?;
            let chat = known.conversation.chat.as_str();
            if person.is(chat) || (!known.people.is_empty() && person.is_any(&known.all_names())) {
                found.erasure.left_out.keys.extend(ledger.listed(place, &known)?);
                found.whole.insert(place, known.conversation);
                found.erasure.left_out.keys.insert(key);
                found.erasure.forgotten.conversations += 1;
                found.erasure.left_out.keys.insert(records::of_conversation(b's', place));
            } else if known.people.is_empty() {
                if known.question.is_some_and(|question| question.of.is_some_and(|of| person.is(of.as_str()))) {
                    found.asked.insert(place);
                }
                found.groups.insert(place);
                found.erasure.left_out.keys.insert(records::of_conversation(b's', place));
            }
            Ok(())
        })
    }

    fn waiting(&mut self) -> Result<(), Fault> {
        let ledger = self.ledger;
        ledger.each::<Arrival>(b"m", |key, arrival| {
            let place = records::hash(&key[1..])?;
            if self.is_theirs(place, &arrival.inbound.at) {
                self.found.erasure.forgotten.waiting += 1;
                self.found.touched.insert(place);
                self.found.erasure.left_out.keys.insert(key);
                self.unmark(&arrival.inbound.at)?;
            } else {
                self.found.left.entry(place).or_default().messages += 1;
            }
            Ok(())
        })
    }

    fn outgoing(&mut self) -> Result<(), Fault> {
        let ledger = self.ledger;
        ledger.each::<Outgoing>(b"o", |key, outgoing| {
            let place = records::hash(&key[1..])?;
            if !self.is_theirs(place, &outgoing.to) {
                self.found.left.entry(place).or_default().outgoing = true;
                return Ok(());
            }
            self.found.erasure.forgotten.outgoing += 1;
            self.found.touched.insert(place);
            self.found.erasure.left_out.keys.insert(key);
            self.unmark(&outgoing.to)?;
            let conversation = outgoing.to.conversation();
            for part in &outgoing.parts {
                if ledger.on_its_way(&conversation, &part.key)?.is_some() {
                    self.found.erasure.left_out.keys.insert(records::part(Hash::of_part(&part.key)));
                }
                if let PartState::Sent { message } = &part.state {
                    self.unname(message, &part.key)?;
                }
            }
            Ok(())
        })
    }

    fn failed(&mut self) -> Result<(), Fault> {
        let ledger = self.ledger;
        ledger.each::<FailedPart>(b"f", |key, failed| {
            let place = records::hash(&key[1..])?;
            if self.is_theirs(place, &failed.sent.to) {
                self.found.touched.insert(place);
                self.found.erasure.left_out.keys.insert(key);
            } else {
                self.found.left.entry(place).or_default().failed = true;
            }
            Ok(())
        })
    }

    fn said(&mut self) -> Result<(), Fault> {
        let Self { ledger, person, found, .. } = self;
        ledger.each::<HistoryEntry>(b"h", |key, said| {
            let place = records::hash(&key[1..])?;
            let theirs = said.who.is_some_and(|who| person.is(who.as_str()));
            if found.whole.contains_key(&place) || (theirs && found.groups.contains(&place)) {
                found.erasure.forgotten.said += 1;
                found.erasure.left_out.keys.insert(key);
            }
            Ok(())
        })
    }

    fn parts(&mut self) -> Result<(), Fault> {
        let ledger = self.ledger;
        ledger.each::<Trace>(b"p", |key, trace| {
            match trace {
                Trace::Sent(part) if self.is_theirs(Hash::of_conversation(&part.conversation), &part.to) => {
                    self.found.erasure.forgotten.sent += 1;
                    self.found.erasure.left_out.keys.insert(key);
                    self.unmark(&part.to)?;
                    if let Some(message) = &part.message {
                        self.unname(message, &part.key)?;
                    }
                }
                // Of what is to be said unasked, or was not said in the end.
                Trace::Outgoing(part) if self.found.whole.contains_key(&Hash::of_conversation(&part.conversation)) => {
                    self.found.erasure.left_out.keys.insert(key);
                }
                Trace::Sent(_) | Trace::Outgoing(_) => {}
            }
            Ok(())
        })
    }

    fn dead(&mut self) -> Result<(), Fault> {
        let ledger = self.ledger;
        ledger.each::<DeadLetter>(b"x", |key, letter| {
            let at = &letter.message.inbound.at;
            let is_named = at.bot == *self.bot && letter.raw().is_some_and(|raw| self.person.is_named_in(raw));
            if is_named || self.is_theirs(Hash::of_conversation(&at.conversation()), at) {
                self.found.erasure.forgotten.dead += 1;
                self.found.erasure.left_out.keys.insert(key);
                self.unmark(at)?;
            }
            Ok(())
        })
    }

    fn standings(&mut self) -> Result<(), Fault> {
        let Self { ledger, bot, person, found } = self;
        ledger.each::<ContactRecord>(b"q", |key, kept| {
            if kept.peer.bot == **bot && person.is_any(&kept.peer.names) {
                found.erasure.left_out.keys.insert(key);
            }
            Ok(())
        })
    }

    /// Says which conversations have changed, and how.
    fn end(self) -> Result<Erasure, Fault> {
        let ContactRecords { mut erasure, whole, touched, asked, left, .. } = self.found;
        for place in touched.union(&asked).filter(|place| !whole.contains_key(place)) {
            let Some(mut known) = self.ledger.known(*place)? else { continue };
            let work = left.get(place).copied().unwrap_or_default();
            let loses_work = touched.contains(place);
            if asked.contains(place) {
                known.question = None;
            }
            if loses_work && work.is_nothing() {
                // Nothing is held back any longer.
                known.not_before = Timestamp::default();
            }
            if asked.contains(place) || loses_work && work.is_nothing() {
                let key = records::of_conversation(b'c', *place);
                erasure.left_out.instead.put(&key, &record::write(&known)?);
                erasure.left_out.keys.insert(key);
            }
            if loses_work {
                erasure.changed.push((known.conversation, work));
            }
        }
        erasure.changed.extend(whole.into_values().map(|conversation| (conversation, Work::default())));
        // In the order in which every store tells the schedule.
        erasure.changed.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        Ok(erasure)
    }

    /// Whether something that stands in a conversation, and came of a message, is the person's.
    fn is_theirs(&self, place: Hash, at: &MessageRef) -> bool {
        at.bot == *self.bot && (self.found.whole.contains_key(&place) || self.person.wrote(at))
    }

    /// Has a message's mark erased.
    fn unmark(&mut self, at: &MessageRef) -> Result<(), Fault> {
        let mark = Hash::of_message(self.bot, &at.message);
        if let Some(value) = self.ledger.tree.value(&records::mark(mark))? {
            let (_, accepted) = read_mark(&value)?;
            self.found.erasure.left_out.keys.insert(records::expiry(records::hour(accepted), mark));
            self.found.erasure.left_out.keys.insert(records::mark(mark));
        }
        Ok(())
    }

    /// Has the upstream's name for a part erased.
    fn unname(&mut self, message: &crate::message::MessageId, key: &PartKey) -> Result<(), Fault> {
        let name = records::name(Hash::of_message(self.bot, message));
        if self.ledger.tree.value(&name)?.is_some_and(|named| *named == Hash::of_part(key).0) {
            self.found.erasure.left_out.keys.insert(name);
        }
        Ok(())
    }
}
