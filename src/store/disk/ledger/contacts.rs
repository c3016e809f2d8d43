//! Who is who: which conversations are with one person, and what becomes of it all when an upstream tells of a new
//! name.

use std::collections::HashSet;

use super::{Fault, Known, Ledger};
use crate::message::clock::Timestamp;
use crate::message::{BotName, ChatId, ContactId, ContactIds, Conversation, HistoryEntry, Renamed, Speaker, Summary};
use crate::store::contact::ContactRecord;
use crate::store::disk::records::{self, Hash};
use crate::store::disk::tree::KeyChanges;
use crate::store::people::{HEARD, MOST_FOLLOWED, MOST_KEPT, Succession, unite};
use crate::store::{ContactRef, KnownContact, Seq, record};

/// A conversation, and where it stands.
type KnownConversation = (Hash, Known);

impl Ledger {
    /// What chats there are with somebody, by every name that is known of theirs.
    pub(in crate::store::disk) fn chats(&self, peer: &ContactRef) -> Result<KnownContact, Fault> {
        let (found, names) = self.places(peer)?;
        let mut former = ContactIds::default();
        found.iter().flat_map(|(_, known)| &known.former).for_each(|id| former.add(id.as_str()));
        let chats = found.into_iter().map(|(_, known)| known.conversation).collect();
        Ok(KnownContact { chats, peer: ContactRef { bot: peer.bot.clone(), names }, former })
    }

    /// The same, with all that is known of each, and the names.
    fn places(&self, peer: &ContactRef) -> Result<(Vec<KnownConversation>, ContactIds), Fault> {
        let (bot, mut names) = (&peer.bot, peer.names.clone());
        let (mut found, mut looked_at, mut followed) =
            (Vec::<KnownConversation>::new(), HashSet::new(), HashSet::new());
        loop {
            let before = found.len();
            let mut places = Vec::new();
            for name in names.iter().take(MOST_FOLLOWED).filter(|name| followed.insert((*name).to_owned())) {
                if let Some(place) = self.tree.value(&records::person(Hash::of_name(bot, name)))? {
                    places.push(records::hash(&place)?);
                }
            }
            let also = found.iter().flat_map(|(_, known)| known.also.iter().cloned());
            let chats = names.chats().into_iter().take(MOST_FOLLOWED).map(ChatId::new).chain(also);
            places.extend(chats.map(|chat| Hash::of_conversation(&Conversation { bot: bot.clone(), chat })));
            for place in places.into_iter().filter(|place| looked_at.insert(*place)).collect::<Vec<_>>() {
                let Some(known) = self.known(place)? else { continue };
                names.merge(&known.names());
                found.push((place, known));
            }
            if found.len() == before || found.len() >= MOST_KEPT {
                return Ok((found, names));
            }
        }
    }

    /// The conversation that a name leads to, of several the one in which the customer was heard, and the newest of
    /// those: where nobody was heard, the name is what somebody else has written.
    pub(super) fn addressed(&self, bot: &BotName, name: &str) -> Result<Option<Known>, Fault> {
        let (names, mut places) = (ContactIds::known_as(name), Vec::new());
        for form in names.iter() {
            if let Some(place) = self.tree.value(&records::person(Hash::of_name(bot, form)))? {
                places.push(records::hash(&place)?);
            }
        }
        let chats = [name.trim().to_owned()].into_iter().chain(names.chats()).map(ChatId::new);
        places.extend(chats.map(|chat| Hash::of_conversation(&Conversation { bot: bot.clone(), chat })));
        let (mut found, mut looked_at) = (Vec::new(), HashSet::new());
        for place in places.into_iter().filter(|place| looked_at.insert(*place)) {
            found.extend(self.known(place)?);
        }
        if found.len() > 1 {
            let mut ranked = Vec::with_capacity(found.len());
            for known in found {
                let said = self.history(&known.conversation, HEARD)?;
                let heard = said.iter().any(|said| said.by == Speaker::Customer)
                    || !self.waiting(&known.conversation, Seq(0))?.is_empty();
                ranked.push((known.has_given_up(name), heard, known.since, known));
            }
            return Ok(ranked
                .into_iter()
                .rev()
                .max_by_key(|(gone, heard, since, _)| (*gone, *heard, *since))
                .map(|found| found.3));
        }
        Ok(found.pop())
    }

    /// Has a conversation be found by whom it is with, and what stands about them be one.
    pub(super) fn meet(&self, changes: &mut KeyChanges, place: Hash, known: &mut Known) -> Result<(), Fault> {
        let own = records::person(Hash::of_name(&known.conversation.bot, known.conversation.chat.as_str()));
        for (name, key) in
            known.listed_by().into_iter().chain([(known.conversation.chat.as_str().to_owned(), own.clone())])
        {
            let Some(found) = self.tree.value(&key)? else { continue };
            let other = records::hash(&found)?;
            if other == place {
                continue;
            }
            // Whoever has given a name up, to somebody who is met under it now, is somebody else.
            if let Some(other) = self.known(other)?
                && !other.has_given_up(&name)
            {
                known.join(&other);
            }
        }
        changes.remove(own);
        for (_, key) in known.listed_by() {
            changes.insert(key, &place.0);
        }
        let (bot, names) = (&known.conversation.bot, known.names());
        if let Some(peer) = ContactRef::new(bot, names.clone()).filter(|_| !known.people.is_empty())
            && let Some(kept) = unite(bot, &names, &self.kept(&peer)?)
        {
            self.keep_standing(changes, &kept)?;
        }
        Ok(())
    }

    /// Writes what stands about somebody under each of their names.
    pub(super) fn keep_standing(&self, changes: &mut KeyChanges, kept: &ContactRecord) -> Result<(), Fault> {
        let record = record::write(kept)?;
        for name in kept.peer.names.iter() {
            self.tree.replace(changes, &records::contact_state(Hash::of_name(&kept.peer.bot, name)), &record)?;
        }
        Ok(())
    }

    /// Hands what is known of somebody on to the name that they have now. Whether anything was, and had not been
    /// before.
    pub(in crate::store::disk) fn rename(&mut self, renamed: &Renamed, now: Timestamp) -> Result<bool, Fault> {
        let Renamed { bot, former, now: address } = renamed;
        let conversation = Conversation { bot: bot.clone(), chat: address.chat.clone() };
        let place = Hash::of_conversation(&conversation);
        let ids = ContactIds::at(address);
        let mut gone = ContactIds::default();
        former.iter().filter(|id| !ids.has(id.as_str())).for_each(|id| gone.add(id.as_str()));
        let mut known = self.known(place)?.unwrap_or_else(|| Known::new(conversation, now));
        let Some(before) = ContactRef::new(bot, gone.clone()) else { return Ok(false) };
        // Told again, it would hand on what is somebody else's by now.
        if former.iter().all(|id| known.former.contains(id) || ids.has(id.as_str())) {
            return Ok(false);
        }
        let (old, mut names) = self.places(&before)?;
        let old: Vec<KnownConversation> = old.into_iter().filter(|(other, _)| *other != place).collect();
        names.merge(&ids);
        let kept = self.kept(&ContactRef { bot: bot.clone(), names: names.clone() })?;
        if old.is_empty() && kept.is_empty() && known.people.is_empty() {
            return Ok(false);
        }
        let mut changes = KeyChanges::default();
        let people = old.iter().flat_map(|(_, known)| known.people.clone()).collect::<Vec<_>>();
        let all = people.into_iter().chain([address.sender.clone()]).chain(address.phone.clone());
        known.people.retain(|id| !gone.has(id.as_str()));
        for id in all.filter(|id| !gone.has(id.as_str())) {
            known.add_person(id);
        }
        let given_up = old.iter().flat_map(|(_, known)| known.former.clone()).collect::<Vec<_>>();
        for id in given_up.into_iter().chain(former.iter().cloned()).filter(|id| !ids.has(id.as_str())) {
            known.add_former(id);
        }
        known.question = known.question.take().or_else(|| old.iter().find_map(|(_, known)| known.question.clone()));
        self.hand_on(&mut changes, place, &mut known, &old)?;
        for name in gone.iter() {
            self.tree.take_out(&mut changes, &records::contact_state(Hash::of_name(bot, name)))?;
        }
        let Succession { now, left } = Succession::new(bot, known.names(), gone, &kept);
        for kept in now.iter().chain(&left) {
            self.keep_standing(&mut changes, kept)?;
        }
        for (_, key) in known.listed_by() {
            changes.insert(key, &place.0);
        }
        changes.remove(records::person(Hash::of_name(bot, known.conversation.chat.as_str())));
        self.write_known(&mut changes, place, &known)?;
        self.tree.stage(changes);
        if let Some(kept) = now.filter(|kept| kept.standing.paused.is_some()) {
            self.notices.tell(&kept.peer);
        }
        Ok(true)
    }

    /// Moves what was said in other chats into one, by time, with the newest of the summaries.
    fn hand_on(
        &self,
        changes: &mut KeyChanges,
        place: Hash,
        known: &mut Known,
        old: &[KnownConversation],
    ) -> Result<(), Fault> {
        let (mut said, mut summary) = (Vec::new(), None::<(Timestamp, Vec<u8>)>);
        for (other, _) in old.iter().map(|(other, known)| (*other, Some(known))).chain([(place, None)]) {
            for key in self.tree.stems(&records::of_conversation(b'h', other))? {
                let Some(record) = self.tree.record(&key)? else { continue };
                said.push((record::decode::<HistoryEntry>(&record)?.time, record));
                self.tree.take_out(changes, &key)?;
            }
            let key = records::of_conversation(b's', other);
            if let Some(record) = self.tree.record(&key)? {
                let until = record::decode::<Summary>(&record)?.until;
                if summary.as_ref().is_none_or(|(known, _)| until >= *known) {
                    summary = Some((until, record));
                }
                self.tree.take_out(changes, &key)?;
            }
        }
        said.sort_by_key(|(time, _)| *time);
        let kept = usize::try_from(self.history_kept).unwrap_or(usize::MAX);
        let next = self.newest(b'h', place)?.map_or(0, |newest| newest + 1);
        let newest = said.len().saturating_sub(kept);
        for (number, (_, record)) in (next..).zip(said.split_off(newest)) {
            changes.put(&records::said(place, number), &record);
        }
        if let Some((_, record)) = summary {
            changes.put(&records::of_conversation(b's', place), &record);
        }
        for (other, theirs) in old {
            if self.has_work(*other)? {
                // What is being answered there is said there.
                known.join(theirs);
                continue;
            }
            self.listed(*other, theirs)?.into_iter().for_each(|key| changes.remove(key));
            self.tree.take_out(changes, &records::of_conversation(b'c', *other))?;
        }
        Ok(())
    }
}

impl Known {
    /// All that whom it is with is known by now.
    pub(super) fn names(&self) -> ContactIds {
        let mut names = ContactIds::known_as(self.conversation.chat.as_str());
        self.people.iter().for_each(|id| names.add(id.as_str()));
        names
    }

    /// The same, and all that they were known by.
    pub(super) fn all_names(&self) -> ContactIds {
        let mut names = self.names();
        self.former.iter().for_each(|id| names.add(id.as_str()));
        self.also.iter().for_each(|chat| names.add(chat.as_str()));
        names
    }

    /// Whether a name was the person's, and is no longer.
    fn has_given_up(&self, name: &str) -> bool {
        self.former.iter().any(|id| ContactIds::known_as(id.as_str()).has(name)) && !self.names().has(name)
    }

    /// Notes that another conversation is with the same person.
    fn join(&mut self, other: &Self) {
        let chats = [&other.conversation.chat].into_iter().chain(&other.also);
        for chat in chats.filter(|chat| **chat != self.conversation.chat).cloned().collect::<Vec<_>>() {
            if !self.also.contains(&chat) && self.also.len() < MOST_KEPT {
                self.also.push(chat);
            }
        }
    }

    /// Adds a name of the person's. Whether it is new.
    pub(super) fn add_person(&mut self, id: ContactId) -> bool {
        let is_new = !self.people.contains(&id);
        if is_new {
            self.people.push(id);
        }
        is_new
    }

    fn add_former(&mut self, id: ContactId) {
        if !self.former.contains(&id) {
            self.former.push(id);
            let surplus = self.former.len().saturating_sub(MOST_KEPT);
            self.former.drain(..surplus);
        }
    }

    /// The names, former ones too, by which the conversation is found, but for the one that is the chat's own, and
    /// where each of them stands.
    pub(super) fn listed_by(&self) -> Vec<(String, Vec<u8>)> {
        let Conversation { bot, chat } = &self.conversation;
        let mut names = ContactIds::default();
        self.people.iter().chain(&self.former).for_each(|id| names.add(id.as_str()));
        let names = names.iter().filter(|name| *name != chat.as_str());
        names.map(|name| (name.to_owned(), records::person(Hash::of_name(bot, name)))).collect()
    }
}
