//! Who is who: which conversations are with one person, and what becomes of it all when an upstream tells of a new
//! name.

use std::collections::BTreeSet;

use super::ledger::{Known, Ledger, decode};
use crate::message::clock::Timestamp;
use crate::message::{
    BotName, ChatId, ContactId, ContactIds, Conversation, HistoryEntry, MessageRef, Renamed, Speaker, Summary,
};
use crate::store::contact::ContactRecord;
use crate::store::people::{HEARD, MOST_FOLLOWED, MOST_KEPT, Succession, unite};
use crate::store::{ContactRef, KnownContact, StoreError};

impl Ledger {
    /// What chats there are with somebody, by every name that is known of theirs.
    pub(super) fn chats(&self, peer: &ContactRef) -> KnownContact {
        let (bot, mut names) = (&peer.bot, peer.names.clone());
        let (mut found, mut looked_at) = (Vec::<Conversation>::new(), BTreeSet::new());
        loop {
            let before = found.len();
            let listed = names.iter().take(MOST_FOLLOWED).filter_map(|name| self.people.get(&key(bot, name)).cloned());
            let also =
                found.iter().filter_map(|chat| self.conversations.get(chat)).flat_map(|known| known.also.clone());
            let chats = names.chats().into_iter().take(MOST_FOLLOWED).map(ChatId::new);
            let all: Vec<ChatId> = listed.chain(chats).chain(also).collect();
            for chat in all.into_iter().filter(|chat| looked_at.insert(chat.clone())) {
                let chat = Conversation { bot: bot.clone(), chat };
                let Some(known) = self.conversations.get(&chat) else { continue };
                names.merge(&known.names(&chat));
                found.push(chat);
            }
            if found.len() == before || found.len() >= MOST_KEPT {
                let mut former = ContactIds::default();
                let given_up =
                    found.iter().filter_map(|chat| self.conversations.get(chat)).flat_map(|known| &known.former);
                given_up.for_each(|id| former.add(id.as_str()));
                return KnownContact { chats: found, peer: ContactRef { bot: bot.clone(), names }, former };
            }
        }
    }

    /// The conversation that a name leads to, of several the one in which the customer was heard, and the newest of
    /// those: where nobody was heard, the name is what somebody else has written.
    pub(super) fn addressed(&self, bot: &BotName, name: &str) -> Result<Option<Conversation>, StoreError> {
        let names = ContactIds::known_as(name);
        let listed = names.iter().filter_map(|form| self.people.get(&key(bot, form)).cloned());
        let chats = [name.trim().to_owned()].into_iter().chain(names.chats()).map(ChatId::new);
        let mut ranked = Vec::new();
        for chat in listed.chain(chats) {
            let chat = Conversation { bot: bot.clone(), chat };
            let Some(known) = self.conversations.get(&chat) else { continue };
            let mut heard = !known.messages.is_empty();
            for record in known.said.iter().rev().take(HEARD) {
                heard |= decode::<HistoryEntry>(record)?.by == Speaker::Customer;
            }
            let gone = known.has_given_up(&chat, name);
            // Of equals the first.
            if ranked.iter().all(|(_, _, _, other)| *other != chat) {
                ranked.insert(0, (gone, heard, known.since, chat));
            }
        }
        Ok(ranked.into_iter().max_by_key(|(gone, heard, since, _)| (*gone, *heard, *since)).map(|found| found.3))
    }

    /// Takes note of whom a direct conversation is with.
    pub(super) fn meet(&mut self, at: &MessageRef, is_new: bool, now: Timestamp) {
        let chat = at.conversation();
        let known = self.known(&chat, now);
        let before = known.people.len();
        if !at.group {
            known.people.extend([&at.sender].into_iter().chain(&at.phone).chain(&at.aliases).cloned());
        }
        if known.people.len() == before && !is_new {
            return;
        }
        let (bot, listed, names) = (&chat.bot, known.listed_by(&chat), known.names(&chat));
        let own = key(bot, chat.chat.as_str());
        let others: Vec<Conversation> = listed
            .iter()
            .chain([&own.1])
            .filter_map(|name| Some((name, self.people.get(&key(bot, name))?)))
            .map(|(name, other)| (name, Conversation { bot: bot.clone(), chat: other.clone() }))
            .filter(|(name, other)| {
                // Whoever has given a name up, to somebody who is met under it now, is somebody else.
                self.conversations.get(other).is_some_and(|known| *other != chat && !known.has_given_up(other, name))
            })
            .map(|(_, other)| other)
            .collect();
        others.iter().for_each(|other| self.join(&chat, other));
        self.people.remove(&own);
        for name in listed {
            self.people.insert(key(bot, &name), chat.chat.clone());
        }
        let peer = ContactRef { bot: bot.clone(), names };
        if !at.group
            && let Some(kept) = unite(bot, &peer.names, &self.kept(&peer).cloned().collect::<Vec<_>>())
        {
            self.keep_standing(&kept);
        }
    }

    /// Notes that another conversation is with the same person.
    fn join(&mut self, chat: &Conversation, other: &Conversation) {
        let also = self.conversations.get(other).map(|known| known.also.clone()).unwrap_or_default();
        let Some(known) = self.conversations.get_mut(chat) else { return };
        for other in [other.chat.clone()].into_iter().chain(also).filter(|other| *other != chat.chat) {
            if !known.also.contains(&other) && known.also.len() < MOST_KEPT {
                known.also.push(other);
            }
        }
    }

    /// Keeps what stands about somebody under each of their names.
    pub(super) fn keep_standing(&mut self, kept: &ContactRecord) {
        for name in kept.peer.names.iter() {
            self.standings.insert(key(&kept.peer.bot, name), kept.clone());
        }
    }

    /// Forgets by which names conversations were found that are gone.
    pub(super) fn unlist(&mut self) {
        let conversations = &self.conversations;
        self.people.retain(|(bot, _), chat| {
            conversations.contains_key(&Conversation { bot: bot.clone(), chat: chat.clone() })
        });
    }

    /// The summary of a conversation, or a newer one of another with the same person.
    pub(super) fn summary(&self, chat: &Conversation) -> Option<Summary> {
        let known = self.conversations.get(chat)?;
        let mut chats = vec![chat.clone()];
        if !known.people.is_empty() {
            chats.extend(self.chats(&ContactRef { bot: chat.bot.clone(), names: known.names(chat) }).chats);
        }
        let summaries = chats.iter().filter_map(|chat| self.conversations.get(chat)?.summary.clone());
        summaries.rev().max_by_key(|summary| summary.until)
    }

    /// Hands what is known of somebody on to the name that they have now. Whether anything was, and had not been
    /// before.
    pub(super) fn rename(
        &mut self,
        renamed: &Renamed,
        history_kept: usize,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let Renamed { bot, former, now: address } = renamed;
        let chat = Conversation { bot: bot.clone(), chat: address.chat.clone() };
        let ids = ContactIds::at(address);
        let mut gone = ContactIds::default();
        former.iter().filter(|id| !ids.has(id.as_str())).for_each(|id| gone.add(id.as_str()));
        let Some(before) = ContactRef::new(bot, gone.clone()) else { return Ok(false) };
        let (has_met, given_up) = match self.conversations.get(&chat) {
            Some(known) => (!known.people.is_empty(), known.former.clone()),
            None => (false, Vec::new()),
        };
        // Told again, it would hand on what is somebody else's by now.
        if former.iter().all(|id| given_up.contains(id) || ids.has(id.as_str())) {
            return Ok(false);
        }
        let KnownContact { chats: mut old, peer: ContactRef { mut names, .. }, .. } = self.chats(&before);
        old.retain(|other| *other != chat);
        names.merge(&ids);
        let kept: Vec<ContactRecord> = self.kept(&ContactRef { bot: bot.clone(), names }).cloned().collect();
        if old.is_empty() && kept.is_empty() && !has_met {
            return Ok(false);
        }
        let (mut said, mut summary) = (Vec::new(), None::<Summary>);
        let mut people: Vec<ContactId> = vec![address.sender.clone()];
        people.extend(address.phone.clone());
        let (mut given_up, mut question) = (Vec::new(), None);
        self.known(&chat, now);
        for other in old.iter().chain([&chat]) {
            let Some(known) = self.conversations.get_mut(other) else { continue };
            people.extend(known.people.iter().cloned());
            given_up.extend(known.former.iter().cloned());
            question = known.question.take().or(question);
            for record in std::mem::take(&mut known.said) {
                said.push((decode::<HistoryEntry>(&record)?.time, record));
            }
            if let Some(theirs) =
                known.summary.take().filter(|new| summary.as_ref().is_none_or(|old| new.until >= old.until))
            {
                summary = Some(theirs);
            }
        }
        said.sort_by_key(|(time, _)| *time);
        said.drain(..said.len().saturating_sub(history_kept));
        given_up.extend(former.iter().cloned());
        let known = self.known(&chat, now);
        known.said = said.into_iter().map(|(_, record)| record).collect();
        (known.summary, known.question) = (summary, question);
        known.people = people.into_iter().filter(|id| !gone.has(id.as_str())).collect();
        for id in given_up.into_iter().filter(|id| !ids.has(id.as_str())) {
            if !known.former.contains(&id) {
                known.former.push(id);
            }
        }
        let surplus = known.former.len().saturating_sub(MOST_KEPT);
        known.former.drain(..surplus);
        let (names, listed) = (known.names(&chat), known.listed_by(&chat));
        for other in &old {
            if self.conversations.get(other).is_some_and(|known| !known.work().is_nothing()) {
                // What is being answered there is said there.
                self.join(&chat, other);
            } else {
                self.conversations.remove(other);
            }
        }
        self.unlist();
        for name in gone.iter() {
            self.standings.remove(&key(bot, name));
        }
        let Succession { now, left } = Succession::new(bot, names, gone, &kept);
        now.iter().chain(&left).for_each(|kept| self.keep_standing(kept));
        for name in listed {
            self.people.insert(key(bot, &name), chat.chat.clone());
        }
        self.people.remove(&key(bot, chat.chat.as_str()));
        if let Some(kept) = now.filter(|kept| kept.standing.paused.is_some()) {
            self.notices.tell(&kept.peer);
        }
        Ok(true)
    }
}

impl Known {
    /// All that whom it is with is known by now.
    pub(super) fn names(&self, chat: &Conversation) -> ContactIds {
        let mut names = ContactIds::known_as(chat.chat.as_str());
        self.people.iter().for_each(|id| names.add(id.as_str()));
        names
    }

    /// The same, and all that they were known by.
    pub(super) fn all_names(&self, chat: &Conversation) -> ContactIds {
        let mut names = self.names(chat);
        self.former.iter().for_each(|id| names.add(id.as_str()));
        self.also.iter().for_each(|chat| names.add(chat.as_str()));
        names
    }

    /// Whether a name was the person's, and is no longer.
    fn has_given_up(&self, chat: &Conversation, name: &str) -> bool {
        self.former.iter().any(|id| ContactIds::known_as(id.as_str()).has(name)) && !self.names(chat).has(name)
    }

    /// The names, former ones too, by which the conversation is found, but for the one that is the chat's own.
    fn listed_by(&self, chat: &Conversation) -> Vec<String> {
        let mut names = ContactIds::default();
        self.people.iter().chain(&self.former).for_each(|id| names.add(id.as_str()));
        names.iter().filter(|name| *name != chat.chat.as_str()).map(str::to_owned).collect()
    }
}

fn key(bot: &BotName, name: &str) -> (BotName, String) {
    (bot.clone(), name.to_owned())
}
