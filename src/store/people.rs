//! Who is meant when somebody is to be forgotten.

use std::collections::HashSet;

use crate::message::{Address, ChatId, ContactId, MessageRef};

/// A person, by every identifier of theirs that is known.
pub(super) struct Person(HashSet<String>);

impl Person {
    /// Whoever has this phone number or identifier; nobody, if it says nothing.
    pub(super) fn new(contact: &str) -> Option<Self> {
        let contact = plain(contact.trim());
        (!contact.is_empty()).then(|| Self(HashSet::from([contact.to_owned()])))
    }

    /// Whether this is one of the person's identifiers.
    pub(super) fn is(&self, id: &str) -> bool {
        self.0.contains(plain(id))
    }

    /// Whether the person wrote a message, or has the chat that it stands in to themselves.
    pub(super) fn wrote(&self, at: &MessageRef) -> bool {
        let phone = at.phone.as_ref().is_some_and(|phone| self.is(phone.as_str()));
        phone || self.is(at.sender.as_str()) || (!at.group && self.is(at.chat.as_str()))
    }

    /// Learns the identifiers in a message that the person wrote. Whether one of them is new.
    pub(super) fn learn(&mut self, at: &MessageRef) -> bool {
        let chat = (!at.group).then(|| at.chat.as_str());
        let ids = chat.into_iter().chain([at.sender.as_str()]).chain(at.phone.iter().map(|phone| phone.as_str()));
        self.wrote(at) && self.add(ids)
    }

    /// Learns what a direct conversation with somebody is known by, if it is the person's. Whether something is new.
    pub(super) fn learn_all<'a>(&mut self, ids: impl Iterator<Item = &'a str> + Clone) -> bool {
        ids.clone().any(|id| self.is(id)) && self.add(ids)
    }

    fn add<'a>(&mut self, ids: impl Iterator<Item = &'a str>) -> bool {
        let known = self.0.len();
        self.0.extend(ids.map(plain).filter(|id| !id.is_empty()).map(str::to_owned));
        self.0.len() > known
    }
}

/// Where a chat is written to, by all that is known of whom it is with; a group, if that is nobody.
pub(super) fn address<'a>(chat: &ChatId, people: impl Iterator<Item = &'a ContactId> + Clone) -> Address {
    let is_phone = |id: &&ContactId| is_phone(id.as_str());
    let (phone, named) = (people.clone().find(is_phone), people.clone().find(|id| !is_phone(id)));
    let own = people.clone().find(|id| id.as_str() == chat.as_str());
    let sender = own.or(named).or(phone).cloned();
    Address {
        chat: chat.clone(),
        group: sender.is_none(),
        sender: sender.unwrap_or_else(|| ContactId::new(chat.as_str())),
        phone: phone.cloned(),
    }
}

/// Whether an identifier is a phone number.
fn is_phone(id: &str) -> bool {
    let digits = plain(id);
    !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())
}

/// A phone number is written with a plus by people and without one by upstreams.
pub(super) fn plain(id: &str) -> &str {
    id.strip_prefix('+').unwrap_or(id)
}
