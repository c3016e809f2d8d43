//! Forgets a person.

use std::collections::{BTreeSet, VecDeque};

use super::ledger::{Known, Ledger, Mark, decode};
use crate::message::{BotName, Conversation, HistoryEntry, MessageRef};
use crate::store::parts::Trace;
use crate::store::people::Person;
use crate::store::record::Arrival;
use crate::store::schedule::Work;
use crate::store::{Forgotten, StoreError};

/// What is left to do in the conversations that have changed.
type Changed = Vec<(Conversation, Work)>;

impl Ledger {
    /// Erases a person from a bot's data.
    pub(super) fn forget(&mut self, bot: &BotName, contact: &str) -> Result<(Forgotten, Changed), StoreError> {
        let mut person = Person::new(contact).ok_or(StoreError::Invalid("nobody is named"))?;
        while self.learn(bot, &mut person)? {}
        let mut forgotten = Forgotten::default();
        let mut changed = Vec::new();
        let mut gone = BTreeSet::new();
        let mut erased: Vec<MessageRef> = Vec::new();
        let mine = |conversation: &Conversation| conversation.bot == *bot;
        for (conversation, known) in self.conversations.iter_mut().filter(|(conversation, _)| mine(conversation)) {
            let all = known.is_with(conversation, &person);
            let before = known.work();
            if known.people.is_empty() {
                // Nobody can say whose words are in a group's.
                known.summary = None;
            }
            known.erase(&person, all, &mut forgotten, &mut erased)?;
            forgotten.conversations += usize::from(all);
            if all {
                gone.insert(conversation.clone());
            }
            if all || known.work() != before {
                changed.push((conversation.clone(), known.work()));
            }
        }
        self.conversations.retain(|conversation, _| !gone.contains(conversation));
        self.unlist();
        let of_person = |at: &MessageRef| at.bot == *bot && (person.wrote(at) || gone.contains(&at.conversation()));
        let on_its_way: Vec<_> = changed.iter().filter(|(_, work)| !work.outgoing).map(|(found, _)| found).collect();
        self.parts.retain(|_, trace| {
            let gone = match trace {
                Trace::Sent(part) => of_person(&part.to),
                Trace::Outgoing(part) => on_its_way.contains(&&part.conversation),
            };
            if let (true, Trace::Sent(part)) = (gone, trace) {
                erased.push(part.to.clone());
                forgotten.sent += 1;
            }
            !gone
        });
        self.names.retain(|_, key| self.parts.contains_key(key));
        self.standings.retain(|(of, _), kept| of != bot || !person.is_any(&kept.peer.names));
        self.dead.retain(|_, letter| {
            let at = &letter.message.inbound.at;
            let is_named = at.bot == *bot && letter.raw().is_some_and(|raw| person.is_named_in(raw));
            let gone = is_named || of_person(at);
            if gone {
                erased.push(letter.message.inbound.at.clone());
                forgotten.dead += 1;
            }
            !gone
        });
        for at in erased {
            let mark = (at.bot, at.message);
            self.marks.remove(&mark);
            self.proactive_messages.remove(&mark);
        }
        let (marks, proactive_messages) = (&self.marks, &self.proactive_messages);
        self.expiry.retain(|(_, mark): &(_, Mark)| marks.contains_key(mark) || proactive_messages.contains_key(mark));
        Ok((forgotten, changed))
    }

    /// Learns what else a person is known by. Whether there was something new.
    fn learn(&self, bot: &BotName, person: &mut Person) -> Result<bool, StoreError> {
        let mut new = false;
        let mine = self.conversations.iter().filter(|(conversation, _)| conversation.bot == *bot);
        for (conversation, known) in mine {
            if !known.people.is_empty() {
                new |= person.learn_all(&known.all_names(conversation));
            }
            for record in known.messages.values() {
                new |= person.learn(&decode::<Arrival>(record)?.inbound.at);
            }
            new |= known.outgoing()?.is_some_and(|outgoing| person.learn(&outgoing.to));
        }
        for kept in self.standings.values().filter(|kept| kept.peer.bot == *bot) {
            new |= person.learn_all(&kept.peer.names);
        }
        let sent = self.parts.values().filter_map(|trace| match trace {
            Trace::Sent(part) => Some(&part.to),
            Trace::Outgoing(_) => None,
        });
        let dead = self.dead.values().map(|letter| &letter.message.inbound.at);
        for at in sent.chain(dead).filter(|at| at.bot == *bot) {
            new |= person.learn(at);
        }
        Ok(new)
    }
}

impl Known {
    /// Whether a conversation is one with this person.
    fn is_with(&self, conversation: &Conversation, person: &Person) -> bool {
        person.is(conversation.chat.as_str())
            || (!self.people.is_empty() && person.is_any(&self.all_names(conversation)))
    }

    /// Takes out what is the person's, or all.
    fn erase(
        &mut self,
        person: &Person,
        all: bool,
        forgotten: &mut Forgotten,
        erased: &mut Vec<MessageRef>,
    ) -> Result<(), StoreError> {
        let mut theirs = Vec::new();
        for (seq, record) in &self.messages {
            let arrival = decode::<Arrival>(record)?;
            if all || person.wrote(&arrival.inbound.at) {
                theirs.push(*seq);
                erased.push(arrival.inbound.at.clone());
            }
        }
        forgotten.waiting += theirs.len();
        for seq in theirs {
            self.messages.remove(&seq);
        }
        if let Some(outgoing) = self.outgoing()?
            && (all || person.wrote(&outgoing.to))
        {
            self.outgoing = None;
            erased.push(outgoing.to);
            forgotten.outgoing += 1;
        }
        self.failed.retain(|part| !all && !person.wrote(&part.sent.to));
        if let Some(asked) = self.question.as_ref().and_then(|question| question.of.as_ref())
            && person.is(asked.as_str())
        {
            self.question = None;
        }
        let said = self.said.len();
        let mut kept = VecDeque::with_capacity(said);
        for record in std::mem::take(&mut self.said) {
            let who = decode::<HistoryEntry>(&record)?.who;
            if !all && !who.is_some_and(|who| person.is(who.as_str())) {
                kept.push_back(record);
            }
        }
        self.said = kept;
        forgotten.said += said - self.said.len();
        Ok(())
    }
}
