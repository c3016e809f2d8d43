//! One webhook event, in either of the forms that Linq writes.
//!
//! | | `2026-02-03` | `2025-01-01` |
//! |---|---|---|
//! | the message | `data` itself | `data.message` |
//! | the chat | `data.chat.id`, `.is_group` | `data.chat_id`, `data.is_group` |
//! | who wrote it | `data.sender_handle` | `data.from_handle`, or the bare `data.from` |
//! | our line | `data.chat.owner_handle` | `data.recipient_phone` |
//! | whether it is ours | `data.direction` | `data.is_from_me` |
//!
//! The form is told by what is there, not by `webhook_version`, which older deliveries lack.

use crate::message::clock::Timestamp;
use crate::message::{ChatId, ContactId};
use crate::provider::lenient::{Object, Shallow};

/// One event.
pub(super) struct LinqEvent<'a> {
    /// What it is about.
    pub(super) data: Object<'a>,
    /// Where the message's own fields are.
    pub(super) message: Object<'a>,
    /// Its identifier: the same when it is delivered again.
    id: Option<String>,
    /// When it was written, or else when it came.
    time: Timestamp,
}

impl<'a> LinqEvent<'a> {
    pub(super) fn new(envelope: &Shallow<'_>, data: Object<'a>, received: Timestamp) -> Self {
        Self {
            data,
            message: data.object("message").unwrap_or(data),
            id: envelope.text("event_id"),
            time: envelope.text("created_at").as_deref().and_then(moment).unwrap_or(received),
        }
    }

    fn both(&self) -> [Object<'a>; 2] {
        [self.message, self.data]
    }

    /// The first of `keys` that holds a time; when the event was written, if none does.
    pub(super) fn time(&self, keys: &[&str]) -> Timestamp {
        let places = keys.iter().flat_map(|key| self.both().map(|object| object.text(key)));
        places.flatten().find_map(|text| moment(&text)).unwrap_or(self.time)
    }

    /// What tells this event from others about the same message: its identifier, or else the time under `when`.
    pub(super) fn name(&self, when: &str) -> Option<String> {
        self.id.clone().or_else(|| self.data.text(when))
    }

    /// The chat that it stands in.
    pub(super) fn chat(&self) -> Option<ChatId> {
        let named = self.data.object("chat").and_then(|chat| chat.text("id"));
        named.or_else(|| self.data.text("chat_id")).map(ChatId::new)
    }

    /// Whether that chat is a group. Linq may leave this out; then the chat counts as one with a single person.
    pub(super) fn is_group(&self) -> bool {
        self.data.object("chat").is_some_and(|chat| chat.flag("is_group")) || self.data.flag("is_group")
    }

    /// How Linq finds the chat, and since when, if it says so.
    pub(super) fn health(&self) -> Option<(String, Option<Timestamp>)> {
        let chat = self.data.object("chat").unwrap_or(self.data);
        let health = chat.object("health_status")?;
        Some((health.text("status")?, health.text("updated_at").as_deref().and_then(moment)))
    }

    /// The customer's number, in an event about a message of ours, if it says so.
    pub(super) fn recipient(&self) -> Option<ContactId> {
        self.data.text("recipient_phone").filter(|_| self.is_ours()).map(ContactId::new)
    }

    /// Whether it is history that was found again.
    pub(super) fn is_reconciled(&self) -> bool {
        self.both().iter().any(|object| object.get("reconciled_at").is_some())
    }

    /// Which of our numbers it concerns, if it says so.
    pub(super) fn line(&self) -> Option<String> {
        let owner = self.data.object("chat").and_then(|chat| chat.object("owner_handle"));
        // Of a message of ours, the recipient is the customer.
        let recipient = || self.data.text("recipient_phone").filter(|_| !self.is_ours());
        owner.and_then(|owner| owner.text("handle")).or_else(recipient)
    }

    fn handle(&self) -> Option<Object<'a>> {
        let places = self.both().map(|object| object.object("sender_handle").or(object.object("from_handle")));
        places.into_iter().flatten().next()
    }

    /// Who did it: a phone number, an e-mail address, or whatever a sender may call itself.
    pub(super) fn sender(&self) -> Option<ContactId> {
        let handle = self.handle().and_then(|handle| handle.text("handle"));
        let bare = || self.both().into_iter().find_map(|object| object.text("from"));
        handle.or_else(bare).map(ContactId::new)
    }

    /// Whether it was done from our side.
    pub(super) fn is_ours(&self) -> bool {
        let outbound = self.data.text("direction").is_some_and(|direction| direction == "outbound");
        let me = self.handle().is_some_and(|handle| handle.flag("is_me"));
        outbound || me || self.both().iter().any(|object| object.flag("is_from_me"))
    }

    /// Whether it says outright that it was done from the other side.
    pub(super) fn is_theirs(&self) -> bool {
        let inbound = self.data.text("direction").is_some_and(|direction| direction == "inbound");
        let says_so = |object: &Object<'a>| object.get("is_from_me").is_some() && !object.flag("is_from_me");
        inbound || self.both().iter().any(says_so)
    }

    /// Whether it is history that was found again, or a message whose words Linq does not keep: neither wants an
    /// answer.
    pub(super) fn is_past(&self) -> bool {
        self.is_reconciled() || self.both().iter().any(|object| object.flag("zero_retention"))
    }
}

/// A time as RFC 3339 writes it; without a zone it is UTC.
fn moment(text: &str) -> Option<Timestamp> {
    let without_zone = || {
        let time = text.parse::<jiff::civil::DateTime>().ok()?;
        Some(time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    };
    let time = text.parse::<jiff::Timestamp>().ok().or_else(without_zone)?;
    u64::try_from(time.as_millisecond()).ok().map(Timestamp)
}
