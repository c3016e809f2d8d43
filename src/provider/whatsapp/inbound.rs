//! Messages and statuses as they stand in a delivery's lists, whatever stands around those lists.

use super::content;
use super::sender::Sender;
use crate::message::clock::Timestamp;
use crate::message::{
    Address, BotName, ChatId, ContactId, Echo, Inbound, MessageId, MessageRef, Product, Quoted, Referral, Renamed,
    Stage,
};
use crate::provider::lenient::{Object, Shallow};
use crate::provider::{Events, Unread};

/// What stands around the messages of a delivery.
pub(crate) struct DeliveryContext<'a> {
    pub(crate) bot: &'a BotName,
    /// When the delivery came.
    pub(crate) received: Timestamp,
    /// Our own phone number, in digits.
    pub(crate) own: Option<String>,
    pub(crate) contacts: Vec<Sender>,
    /// Error codes that belong to no message in particular.
    pub(crate) codes: Vec<i64>,
}

impl DeliveryContext<'_> {
    /// Adds `message`, which our calls will name `id`, to what has happened; none if it makes no sense.
    pub(crate) fn message(&self, message: Object<'_>, id: String, events: &mut Events) -> Option<()> {
        let sender = Sender::of_message(message, &self.contacts);
        let (id, time) = (MessageId::new(id), time(message, self.received));
        if self.own.is_some() && sender.phone == self.own {
            // It does not say to whom.
            let (bot, words) = (self.bot.clone(), None);
            events.echoes.push(Echo { bot, chat: None, phone: None, message: id, words, told: None, time });
            return Some(());
        }
        let context = message.object("context");
        let says = |what| context.is_some_and(|context| context.flag(what));
        let group = message.text("group_id");
        // What a notice says of a new name is about whoever has it now.
        let (sender, former) = match message.object("system").and_then(|notice| sender.renamed(notice)) {
            Some((now, former)) => (now, former),
            None => (sender, Vec::new()),
        };
        let writer = sender.id()?;
        if !former.is_empty() {
            let (chat, phone) = (ChatId::new(writer.as_str()), sender.phone.as_deref().map(ContactId::new));
            let now = Address { chat, group: false, sender: writer.clone(), phone };
            events.renamed.push(Renamed { bot: self.bot.clone(), former, now });
        }
        events.messages.push(Inbound {
            at: MessageRef {
                bot: self.bot.clone(),
                chat: group.as_deref().map_or_else(|| ChatId::new(writer.as_str()), ChatId::new),
                group: group.is_some(),
                sender: writer,
                aliases: sender.aliases(),
                phone: sender.phone.map(ContactId::new),
                message: id,
                time,
            },
            contact: sender.contact,
            content: content::read(message, &self.codes)?,
            quotes: context.and_then(|context| context.text("id")).map(MessageId::new),
            quoted: context.and_then(|context| self.quoted(context)),
            forwarded: says("forwarded") || says("frequently_forwarded"),
            referral: message.object("referral").map(referral).filter(|found| *found != Referral::default()),
            product: context.and_then(|context| product(context.object("referred_product")?)),
        });
        Some(())
    }

    /// Whose a quoted message is: of its words nothing is told.
    fn quoted(&self, context: Object<'_>) -> Option<Quoted> {
        let (from, own) = (digits(&context.text("from")?), digits(self.own.as_deref()?));
        let by_us = Some(from == own).filter(|_| !from.is_empty());
        let writer = || self.contacts.iter().find(|contact| contact.phone.as_deref() == Some(from.as_str()));
        let (sender, name) = match by_us {
            Some(false) => (Some(ContactId::new(&*from)), writer().and_then(|writer| writer.contact.name.clone())),
            _ => (None, None),
        };
        Quoted { by_us, sender, name, words: None }.if_anything()
    }
}

fn digits(number: &str) -> String {
    number.chars().filter(char::is_ascii_digit).collect()
}

fn product(wire: Object<'_>) -> Option<Product> {
    Some(Product { catalog: wire.text("catalog_id"), product: wire.text("product_retailer_id")? })
}

/// When it happened; when it came, if it does not say.
pub(crate) fn time(object: Object<'_>, received: Timestamp) -> Timestamp {
    object.seconds("timestamp").unwrap_or(received)
}

/// How far a message of ours has come by a status's `word`, `code` being the reason if it failed; none if the word says
/// nothing about that.
pub(crate) fn stage(word: &str, code: Option<i64>) -> Option<Stage> {
    Some(match word {
        "sent" => Stage::Sent,
        "delivered" => Stage::Delivered,
        "read" => Stage::Read,
        "played" => Stage::Played,
        "failed" => Stage::Failed(code),
        _ => return None,
    })
}

/// Reads the elements of a list, and counts those that make no sense; a list that is none counts once.
pub(crate) fn each(list: Option<Vec<&str>>, events: &mut Events, read: impl Fn(&str, &mut Events) -> Option<()>) {
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

/// Reads the messages of a list, and has those kept that make no sense; so is a list that is none. A message is known
/// under one of `ids`.
pub(crate) fn each_message(
    value: &Shallow<'_>,
    ids: &[&str],
    events: &mut Events,
    read: impl Fn(&str, &mut Events) -> Option<()>,
) {
    let whole = value.get("messages").unwrap_or_default();
    let Some(messages) = value.list("messages") else {
        return events.not_read(Unread::new(whole));
    };
    for message in messages {
        if read(message, events).is_none() {
            events.not_read(Unread::new(message).with(message, ids, &SENDERS));
        }
    }
}

/// Where a message says who has written it.
const SENDERS: [&str; 3] = ["from", "from_user_id", "user_id"];

fn referral(wire: Object<'_>) -> Referral {
    Referral {
        url: wire.text("source_url"),
        id: wire.text("source_id"),
        source_type: wire.text("source_type"),
        ctwa_clid: wire.text("ctwa_clid"),
        media_type: wire.text("media_type"),
        image_url: wire.text("image_url"),
        video_url: wire.text("video_url"),
        thumbnail_url: wire.text("thumbnail_url"),
        headline: wire.text("headline"),
        body: wire.text("body"),
        welcome_message: wire
            .object("welcome_message")
            .and_then(|welcome| welcome.text("text"))
            .or(wire.text("welcome_message")),
    }
}
