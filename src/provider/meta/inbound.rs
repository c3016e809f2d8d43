//! What a delivery carries: entries, in them changes, in them messages and statuses, a thousand and more.
//!
//! Read level by level, so that an element that makes no sense is counted and spoils none of its neighbours.

use super::sender::{Sender, phone};
use crate::clock::Timestamp;
use crate::message::{BotName, ChatId, DeliveryStatus, Inbound, MessageId, MessageRef, PartKey, Referral, Stage};
use crate::provider::lenient::{self, Object, Shallow};
use crate::provider::whatsapp::content;
use crate::provider::{Echo, Events, WebhookError};

/// Whose delivery it is, and when it came.
pub(super) struct Reader<'a> {
    pub(super) bot: &'a BotName,
    pub(super) phone_number_id: &'a str,
    pub(super) received: Timestamp,
}

/// What stands around the messages of one change.
struct Around {
    /// Our own phone number.
    own: Option<String>,
    contacts: Vec<Sender>,
    /// Error codes that belong to no message in particular.
    codes: Vec<i64>,
}

impl Reader<'_> {
    /// What `body` carries for this bot.
    pub(super) fn read(&self, body: &[u8]) -> Result<Events, WebhookError> {
        let body = std::str::from_utf8(body).map_err(|_| WebhookError::Malformed)?;
        let root = Shallow::read(body).ok_or(WebhookError::Malformed)?;
        let mut events = Events::default();
        if root.text("object").is_some_and(|object| object != "whatsapp_business_account") {
            events.ignored.other += 1;
            return Ok(events);
        }
        each(root.list("entry"), &mut events, |entry, events| {
            each(Shallow::read(entry)?.list("changes"), events, |change, events| self.change(change, events));
            Some(())
        });
        Ok(events)
    }

    fn change(&self, change: &str, events: &mut Events) -> Option<()> {
        let change = Shallow::read(change)?;
        let field = change.text("field")?;
        if field != "messages" && field != "smb_message_echoes" {
            events.ignored.other += 1;
            return Some(());
        }
        let value = change.shallow("value")?;
        let metadata = value.object("metadata")?;
        if Object(&metadata).text("phone_number_id")? != self.phone_number_id {
            events.ignored.not_ours += 1;
            return Some(());
        }
        if field == "smb_message_echoes" {
            each(value.list("message_echoes"), events, |echo, events| {
                events.echoes.push(self.echo(Object(&lenient::object(echo)?))?);
                Some(())
            });
            return Some(());
        }
        let own = Object(&metadata).text("display_phone_number").as_deref().and_then(phone);
        self.value(&value, own, events);
        Some(())
    }

    /// Goes by which of messages and statuses there are, never by the contacts: statuses have those too.
    fn value(&self, value: &Shallow<'_>, own: Option<String>, events: &mut Events) {
        let (messages, statuses) = (value.get("messages").is_some(), value.get("statuses").is_some());
        if messages {
            let contacts =
                value.objects("contacts").iter().map(|contact| Sender::of_contact(Object(contact))).collect();
            let codes = value.objects("errors").iter().filter_map(|error| Object(error).int("code")).collect();
            let around = Around { own, contacts, codes };
            each(value.list("messages"), events, |message, events| self.message(message, &around, events));
        }
        if statuses {
            each(value.list("statuses"), events, |status, events| {
                match self.status(Object(&lenient::object(status)?))? {
                    Some(status) => events.statuses.push(status),
                    None => events.ignored.other += 1,
                }
                Some(())
            });
        }
        // Neither: trouble with the account, of which no customer is part.
        events.ignored.other += usize::from(!messages && !statuses);
    }

    fn message(&self, message: &str, around: &Around, events: &mut Events) -> Option<()> {
        let message = lenient::object(message)?;
        let message = Object(&message);
        let sender = Sender::of_message(message, &around.contacts);
        if around.own.is_some() && sender.phone == around.own {
            events.echoes.push(self.echo(message)?);
            return Some(());
        }
        let context = message.object("context");
        let says = |what| context.is_some_and(|context| context.flag(what));
        let group = message.text("group_id");
        let id = sender.id()?;
        events.messages.push(Inbound {
            at: MessageRef {
                bot: self.bot.clone(),
                chat: group.as_deref().map_or_else(|| ChatId::new(id.as_str()), ChatId::new),
                group: group.is_some(),
                sender: id,
                phone: sender.phone.map(crate::message::ContactId::new),
                message: MessageId::new(message.text("id")?),
                time: self.time(message),
            },
            contact: sender.contact,
            content: content::read(message, &around.codes)?,
            quotes: context.and_then(|context| context.text("id")).map(MessageId::new),
            forwarded: says("forwarded") || says("frequently_forwarded"),
            referral: message.object("referral").map(referral),
        });
        Some(())
    }

    fn echo(&self, message: Object<'_>) -> Option<Echo> {
        Some(Echo { message: MessageId::new(message.text("id")?), time: self.time(message) })
    }

    /// The inner none is a word that says nothing about how far the message has come.
    fn status(&self, status: Object<'_>) -> Option<Option<DeliveryStatus>> {
        let message = MessageId::new(status.text("id")?);
        let stage = match status.text("status")?.as_str() {
            "sent" => Stage::Sent,
            "delivered" => Stage::Delivered,
            "read" => Stage::Read,
            "played" => Stage::Played,
            "failed" => Stage::Failed(content::codes(status).first().copied()),
            _ => return Some(None),
        };
        let key = status.text("biz_opaque_callback_data").map(PartKey::new);
        Some(Some(DeliveryStatus { bot: self.bot.clone(), message, key, stage, time: self.time(status) }))
    }

    /// When it happened; when it came, if it does not say.
    fn time(&self, object: Object<'_>) -> Timestamp {
        object.seconds("timestamp").unwrap_or(self.received)
    }
}

/// Reads the elements of a list, and counts those that make no sense; a list that is none counts once.
fn each(list: Option<Vec<&str>>, events: &mut Events, read: impl Fn(&str, &mut Events) -> Option<()>) {
    let Some(elements) = list else {
        events.ignored.malformed += 1;
        return;
    };
    for element in elements {
        if read(element, events).is_none() {
            events.ignored.malformed += 1;
        }
    }
}

fn referral(wire: Object<'_>) -> Referral {
    Referral {
        url: wire.text("source_url"),
        id: wire.text("source_id"),
        headline: wire.text("headline"),
        body: wire.text("body"),
    }
}
