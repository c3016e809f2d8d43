//! What a delivery carries: one event in an envelope (the gateway's page on the shape of its events).
//!
//! A delivery holds one event, so there are no neighbours to spoil; only a receipt names several messages.

use serde_json::{Map, Value};

use super::content;
use crate::message::clock::Timestamp;
use crate::message::{
    BotName, ChatId, Contact, ContactId, DeliveryStatus, Echo, Inbound, MessageId, MessageRef, Quoted, Stage, rendering,
};
use crate::provider::lenient::{self, Object, Shallow};
use crate::provider::{Elsewhere, Events, Unread, WebhookError};

/// Whose delivery it is, and when it came.
pub(super) struct GatewayReader<'a> {
    pub(super) bot: &'a BotName,
    /// The session that deliveries have to be from; none if any will do.
    pub(super) session: Option<&'a str>,
    pub(super) received: Timestamp,
}

/// What an event is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum EventKind {
    Message,
    Reaction,
    Edit,
    Revoke,
    Vote,
}

impl GatewayReader<'_> {
    /// What `body` carries for this bot.
    pub(super) fn read(&self, body: &[u8]) -> Result<Events, WebhookError> {
        let body = lenient::whole(body).ok_or(WebhookError::Malformed)?;
        let envelope = Shallow::read(&body).ok_or(WebhookError::Malformed)?;
        let mut events = Events::default();
        let session = envelope.text("session");
        let elsewhere = self.session.is_some_and(|ours| session.is_some_and(|theirs| theirs != ours));
        if elsewhere {
            events.leave_out(Elsewhere::by("session"));
        } else if self.event(&envelope, &mut events).is_none() {
            match unread(&body, &envelope) {
                Some(unread) => events.not_read(unread),
                None => events.ignored.malformed += 1,
            }
        }
        Ok(events)
    }

    fn event(&self, envelope: &Shallow<'_>, events: &mut Events) -> Option<()> {
        let event = envelope.text("event")?;
        let kind = match event.as_str() {
            // A tap on a button that somebody else has sent is as much a message as any.
            "message" | "message.from_me" | "message.interactive_reply" => EventKind::Message,
            "message.reaction" => EventKind::Reaction,
            "message.edited" => EventKind::Edit,
            "message.revoked" => EventKind::Revoke,
            "poll.vote" => EventKind::Vote,
            "message.status" => return self.receipt(Object(&envelope.object("payload")?), events),
            _ => {
                events.ignored.other += 1;
                return Some(());
            }
        };
        let payload = envelope.object("payload")?;
        // Rare, and better than the time of arrival: a delivery may be hours late.
        let time = millis(Object(&payload), "timestamp").or_else(|| written(envelope)).unwrap_or(self.received);
        let is_ours = event == "message.from_me" || Object(&payload).flag("fromMe");
        self.message(kind, &payload, is_ours, time, events)
    }

    fn message(
        &self,
        kind: EventKind,
        payload: &Map<String, Value>,
        is_ours: bool,
        time: Timestamp,
        events: &mut Events,
    ) -> Option<()> {
        let wire = Object(payload);
        let (chat, message) = (wire.text("chatJid")?, MessageId::new(wire.text("waMessageId")?));
        if is_public(&chat) || is_notice(wire) || (is_ours && kind != EventKind::Message) {
            events.ignored.other += 1;
            return Some(());
        }
        if is_ours {
            // In a group the customer is not one person.
            let number = phone(&chat).or_else(|| others(wire, &TO).iter().find_map(|other| phone(other)));
            let phone = number.filter(|_| !chat.ends_with("@g.us")).map(ContactId::new);
            let (bot, chat, words) = (self.bot.clone(), Some(ChatId::new(chat)), wire.text("body"));
            let told = content::read(wire).as_ref().and_then(rendering::by_person);
            events.echoes.push(Echo { bot, chat, phone, message, words, told, time });
            return Some(());
        }
        let target = || wire.text("targetId").map(MessageId::new);
        let content = match kind {
            EventKind::Message => content::read(wire)?,
            EventKind::Reaction => content::reaction(target()?, wire),
            EventKind::Edit => content::edit(target()?, wire)?,
            EventKind::Revoke => content::revoke(target()?),
            EventKind::Vote => content::vote(target()?, wire),
        };
        let group = chat.ends_with("@g.us");
        let sender = wire.text("senderJid").or_else(|| wire.text("senderLid"));
        // With one person, the chat is that person.
        let sender = sender.or_else(|| (!group).then(|| chat.clone()))?;
        let others = others(wire, if group { &PARTICIPANT } else { &FROM });
        let number = phone(&sender).or_else(|| phone(&chat).filter(|_| !group));
        let number = number.or_else(|| others.iter().find_map(|other| phone(other)));
        let aliases =
            others.iter().filter(|other| **other != sender).map(|other| ContactId::new(other.as_str())).collect();
        events.messages.push(Inbound {
            at: MessageRef {
                bot: self.bot.clone(),
                chat: ChatId::new(chat),
                group,
                phone: number.map(ContactId::new),
                sender: ContactId::new(sender),
                aliases,
                message,
                time,
            },
            contact: Contact { name: wire.text("pushName"), username: None },
            content,
            quotes: wire.text("quotedMessageId").map(MessageId::new),
            quoted: quoted(wire),
            forwarded: false,
            referral: None,
            product: None,
        });
        Some(())
    }

    /// One receipt, for several messages. It may name some that are none of ours: whoever keeps statuses knows.
    fn receipt(&self, payload: Object<'_>, events: &mut Events) -> Option<()> {
        let stage = match payload.text("status")?.as_str() {
            "sent" => Stage::Sent,
            "delivered" => Stage::Delivered,
            "read" => Stage::Read,
            "played" => Stage::Played,
            "failed" => Stage::Failed(None),
            // `pending` says that nothing has happened yet.
            _ => {
                events.ignored.other += 1;
                return Some(());
            }
        };
        let time = millis(payload, "timestamp").unwrap_or(self.received);
        for id in payload.get("messageIds")?.as_array()? {
            let Some(id) = id.as_str().filter(|id| !id.is_empty()) else {
                events.ignored.malformed += 1;
                continue;
            };
            let (bot, message) = (self.bot.clone(), MessageId::new(id));
            events.statuses.push(DeliveryStatus { bot, message, key: None, stage: stage.clone(), time });
        }
        Some(())
    }
}

/// Where the other name of whoever writes to us may stand, of a group's member who does, and of whom we write to.
const FROM: [&str; 7] = ["senderJid", "senderLid", "senderAlt", "SenderAlt", "senderPn", "remoteJidAlt", "chatAlt"];
const PARTICIPANT: [&str; 6] = ["senderJid", "senderLid", "senderAlt", "SenderAlt", "senderPn", "participantAlt"];
const TO: [&str; 6] = ["recipientJid", "recipientAlt", "RecipientAlt", "recipientPn", "remoteJidAlt", "chatAlt"];

/// What somebody is called, wherever the payload says so: by a number, and by a hidden name.
fn others(payload: Object<'_>, keys: &[&str]) -> Vec<String> {
    let named = keys.iter().filter_map(|key| payload.text(key));
    let mut others = Vec::new();
    for name in named.filter(|name| phone(name).is_some() || name.ends_with("@lid")) {
        if !others.contains(&name) {
            others.push(name);
        }
    }
    others
}

/// An event that makes no sense, if it is a message of somebody else's.
fn unread(body: &str, envelope: &Shallow<'_>) -> Option<Unread> {
    let event = envelope.text("event")?;
    let is_own = |payload: &Shallow<'_>| payload.get("fromMe").is_some_and(|own| own == "true");
    let is_message = event.starts_with("message") && event != "message.status" && event != "message.from_me";
    if !is_message || envelope.shallow("payload").as_ref().is_some_and(is_own) {
        return None;
    }
    let payload = envelope.get("payload").unwrap_or_default();
    Some(Unread::new(body).with(payload, &["waMessageId"], &["senderJid", "senderLid", "chatJid"]))
}

/// Stories, broadcast lists and channels: nobody there has written to us.
fn is_public(chat: &str) -> bool {
    chat.ends_with("@broadcast") || chat.ends_with("@newsletter")
}

/// A notice of WhatsApp's own, without anything in it.
fn is_notice(payload: Object<'_>) -> bool {
    payload.text("type").is_some_and(|kind| kind == "system")
}

/// What stands of a quoted message beside its name.
fn quoted(wire: Object<'_>) -> Option<Quoted> {
    wire.text("quotedMessageId")?;
    let by_us = wire.get("quotedFromMe").and_then(Value::as_bool);
    let writers = ["quotedSenderJid", "quotedSenderLid"].map(|key| wire.text(key).filter(|_| by_us != Some(true)));
    let known = wire.object("mentions");
    let shown = |writer: &String| known?.object(writer)?.text("pushName");
    let name = writers.iter().flatten().find_map(shown);
    let sender = writers.into_iter().flatten().next().map(ContactId::new);
    Quoted { words: wire.text("quotedBody"), by_us, sender, name }.if_anything()
}

/// Milliseconds since the Unix epoch.
fn millis(object: Object<'_>, key: &str) -> Option<Timestamp> {
    object.int(key).and_then(|millis| u64::try_from(millis).ok()).filter(|millis| *millis > 0).map(Timestamp)
}

/// When the envelope was written.
fn written(envelope: &Shallow<'_>) -> Option<Timestamp> {
    envelope.text("timestamp")?.parse().ok().map(Timestamp)
}

/// The digits of the phone number that an address is, if it is one: `@lid` is none.
fn phone(address: &str) -> Option<String> {
    let user = address.strip_suffix("@s.whatsapp.net").or_else(|| address.strip_suffix("@c.us"))?;
    // One of several devices of one number: `digits:device`.
    let digits = user.split(':').next().unwrap_or_default();
    (!digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())).then(|| digits.to_owned())
}
