//! Who is meant when somebody is to be forgotten.

use super::contact::ContactRecord;
use super::{ContactRef, ContactState, Opted};
use crate::message::{Address, BotName, ChatId, ContactId, ContactIds, MessageRef};

/// A person, by every identifier of theirs that is known.
pub(super) struct Person(ContactIds);

impl Person {
    /// Whoever has this phone number or identifier; nobody, if it says nothing.
    pub(super) fn new(contact: &str) -> Option<Self> {
        Some(ContactIds::known_as(contact)).filter(|ids| !ids.is_empty()).map(Self)
    }

    /// Whether this is one of the person's identifiers.
    pub(super) fn is(&self, id: &str) -> bool {
        self.0.has(id)
    }

    /// Whether the person wrote a message, or has the chat that it stands in to themselves.
    pub(super) fn wrote(&self, at: &MessageRef) -> bool {
        let of_writer = [&at.sender].into_iter().chain(&at.phone).chain(&at.aliases);
        of_writer.map(ContactId::as_str).any(|id| self.is(id)) || (!at.group && self.is(at.chat.as_str()))
    }

    /// Whether one of the person's identifiers stands in what nobody could read, by itself and not as a part of
    /// another.
    pub(super) fn is_named_in(&self, raw: &str) -> bool {
        self.0.named_in(raw)
    }

    /// Learns the identifiers in a message that the person wrote. Whether one of them is new.
    pub(super) fn learn(&mut self, at: &MessageRef) -> bool {
        self.wrote(at) && self.add(&if at.group { ContactIds::of_writer(at) } else { ContactIds::of_chat(at) })
    }

    /// Learns by what names one person is known, if it is this one. Whether something is new.
    pub(super) fn learn_all(&mut self, ids: &ContactIds) -> bool {
        self.0.meets(ids) && self.add(ids)
    }

    /// Whether one of these names is the person's.
    pub(super) fn is_any(&self, ids: &ContactIds) -> bool {
        self.0.meets(ids)
    }

    fn add(&mut self, ids: &ContactIds) -> bool {
        let known = self.0.iter().count();
        self.0.merge(ids);
        self.0.iter().count() > known
    }
}

/// So many chats of one person are known to belong together, and so many names that the person has given up.
pub(super) const MOST_KEPT: usize = 16;

/// So many names of one person are followed to further names.
pub(super) const MOST_FOLLOWED: usize = 64;

/// So many things said last tell whether a customer was heard in a chat.
pub(super) const HEARD: usize = 50;

/// What becomes of what stands about somebody who has a new name.
pub(super) struct Succession {
    /// What stands under the names that the person has now; nothing if nothing stood.
    pub(super) now: Option<ContactRecord>,
    /// What stays under the names that they have given up, which somebody else may get: that nothing is to be sent
    /// there unasked, if they had said so.
    pub(super) left: Option<ContactRecord>,
}

impl Succession {
    /// Hands on what is `kept` under all these names.
    pub(super) fn new(bot: &BotName, now: ContactIds, gone: ContactIds, kept: &[ContactRecord]) -> Self {
        let standing = kept.iter().fold(ContactState::default(), |standing, kept| standing.and(kept.standing));
        let opted = standing.opted.filter(|Opted { out, .. }| *out);
        let left = opted.map(|opted| ContactState { opted: Some(opted), ..ContactState::default() });
        let kept_as = |names, standing| ContactRef::new(bot, names).map(|peer| ContactRecord { peer, standing });
        Self {
            now: if kept.is_empty() { None } else { kept_as(now, standing) },
            left: left.and_then(|left| kept_as(gone, left)),
        }
    }
}

/// Puts together what stands under the names of somebody of whom a further name was learnt; nothing if it stands so
/// already.
pub(super) fn unite(bot: &BotName, names: &ContactIds, kept: &[ContactRecord]) -> Option<ContactRecord> {
    let first = kept.first()?;
    let is_whole = kept.len() == names.iter().count() && kept.iter().all(|kept| kept.standing == first.standing);
    if is_whole {
        return None;
    }
    let standing = kept.iter().fold(ContactState::default(), |standing, kept| standing.and(kept.standing));
    let mut all = names.clone();
    kept.iter().for_each(|kept| all.merge(&kept.peer.names));
    Some(ContactRecord { peer: ContactRef { bot: bot.clone(), names: all }, standing })
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
    let digits = id.strip_prefix('+').unwrap_or(id);
    !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())
}
