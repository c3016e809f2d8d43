//! What a delivery carries: one event in an envelope, `{event, payload, session, me, timestamp}` (WAHA's page
//! "Events"; Wawp's is the same). What each engine adds of its own lies in `payload._data`, and may be anything.

use serde_json::{Map, Value};

use super::{chat, content, message_id};
use crate::message::clock::Timestamp;
use crate::message::json;
use crate::message::{
    BotName, ChatId, Contact, ContactId, Content, DeliveryStatus, Echo, Inbound, MessageId, MessageRef, Quoted, Stage,
    rendering,
};
use crate::provider::lenient::{self, Object, Shallow};
use crate::provider::{Elsewhere, Events, Unread, WebhookError};

/// Times from here on, in seconds, lie in the year 5138: they are milliseconds.
const NO_SECONDS: f64 = 1e11;

/// Where engines have the other name of whoever writes to us, of a group's member who does, and of whom we write to.
/// GOWS calls it so in `_data.Info`, NOWEB in `_data.key`.
const FROM: [&str; 4] = ["SenderAlt", "remoteJidAlt", "senderPn", "senderLid"];
const PARTICIPANT: [&str; 4] = ["SenderAlt", "participantAlt", "participantPn", "participantLid"];
const TO: [&str; 3] = ["RecipientAlt", "remoteJidAlt", "recipientPn"];

/// Whose delivery it is, and when it came.
pub(super) struct WawpReader<'a> {
    pub(super) bot: &'a BotName,
    /// The session that is ours, where its name is known.
    pub(super) session: Option<&'a str>,
    /// Whether `message.any` is read as well.
    pub(super) any: bool,
    pub(super) received: Timestamp,
}

/// What stands around the payload.
struct EventContext {
    /// Whether it is a message of its own, not something about another.
    is_message: bool,
    id: Option<String>,
    time: Timestamp,
    /// Our own names: by number, and hidden.
    me: Vec<String>,
}

impl EventContext {
    /// What else the engine calls somebody, wherever it says so: their number beside a hidden name, or the other way
    /// round.
    fn others(&self, payload: Object<'_>, keys: &[&str]) -> Vec<String> {
        let data = payload.object("_data");
        let places = [data.and_then(|data| data.object("Info")), data.and_then(|data| data.object("key")), data];
        let places = places.into_iter().flatten().chain(payload.object("key")).chain([payload]);
        let named = places.flat_map(|place| keys.iter().filter_map(move |key| chat::named(place, key)));
        let mut others = Vec::new();
        for name in named.filter(|name| chat::is_person(name) && !self.me.contains(name)) {
            if !others.contains(&name) {
                others.push(name);
            }
        }
        others
    }

    /// The name of a quoted message; whole, if its writer is known.
    fn quoted(&self, quoted: Object<'_>, chat: &str) -> Option<MessageId> {
        let id = message_id::find(quoted)?;
        let writer = chat::named(quoted, "participant");
        let own = writer.as_ref().is_some_and(|writer| self.me.contains(writer));
        let whole = message_id::quoted(&id, chat, writer.as_deref(), own);
        Some(MessageId::new(whole.unwrap_or(id)))
    }

    /// What stands of it beside its name.
    fn words_of(&self, quoted: Object<'_>) -> Option<Quoted> {
        let writer = chat::named(quoted, "participant");
        let by_us = writer.as_ref().map(|writer| self.me.contains(writer)).filter(|_| !self.me.is_empty());
        let sender = writer.filter(|_| by_us != Some(true)).map(ContactId::new);
        Quoted { words: quoted.text("body"), by_us, sender, name: None }.if_anything()
    }
}

/// What an event comes to.
enum WawpEvent {
    Message(Box<Inbound>),
    Status(DeliveryStatus),
    Echo(Echo),
    /// Nothing that a bot has a use for.
    Other,
}

impl WawpReader<'_> {
    /// What `body` carries for this bot.
    pub(super) fn read(&self, body: &[u8]) -> Result<Events, WebhookError> {
        let body = lenient::whole(body).ok_or(WebhookError::Malformed)?;
        let envelope = Shallow::read(&body).ok_or(WebhookError::Malformed)?;
        let mut events = Events::default();
        let session = envelope.text("session");
        if self.session.is_some_and(|ours| session.is_some_and(|theirs| theirs != ours)) {
            events.leave_out(Elsewhere::by("session"));
            return Ok(events);
        }
        match self.event(&envelope) {
            Some(WawpEvent::Message(message)) => events.messages.push(*message),
            Some(WawpEvent::Status(status)) => events.statuses.push(status),
            Some(WawpEvent::Echo(echo)) => events.echoes.push(echo),
            Some(WawpEvent::Other) => events.ignored.other += 1,
            None => match unread(&body, &envelope) {
                Some(unread) => events.not_read(unread),
                None => events.ignored.malformed += 1,
            },
        }
        Ok(events)
    }

    fn event(&self, envelope: &Shallow<'_>) -> Option<WawpEvent> {
        let Some(event) = envelope.text("event") else {
            // News of the session in Wawp's older form, which has no envelope.
            return (envelope.get("status").is_some()).then_some(WawpEvent::Other);
        };
        let is_known = match event.as_str() {
            "message" | "message.reaction" | "message.edited" | "message.revoked" | "message.ack" | "poll.vote" => true,
            "message.any" => self.any,
            _ => false,
        };
        if !is_known {
            return Some(WawpEvent::Other);
        }
        let me = envelope.object("me").unwrap_or_default();
        let me = ["id", "lid", "jid"].iter().filter_map(|key| chat::named(Object(&me), key)).collect();
        let time = envelope.text("timestamp").and_then(|time| time.parse().ok()).and_then(timestamp);
        let time = time.unwrap_or(self.received);
        let is_message = matches!(event.as_str(), "message" | "message.any");
        let around = EventContext { is_message, id: envelope.text("id"), time, me };
        let payload = fields(envelope.get("payload")?)?;
        let payload = Object(&payload);
        match event.as_str() {
            "message.ack" => self.status(payload, &around),
            "message.revoked" => self.revoked(payload, &around),
            "message.edited" => self.edited(payload, &around),
            "poll.vote" => self.voted(payload, &around),
            "message.reaction" => {
                let reaction = payload.object("reaction")?;
                let content = || {
                    let message = MessageId::new(reaction.text("messageId")?);
                    Some(Content::Reaction { message, emoji: reaction.text("text") })
                };
                self.said(payload, &around, |id| Some(Some((MessageId::new(id), content()?))))
            }
            _ => self.said(payload, &around, |id| {
                Some(content::read(payload)?.map(|content| (MessageId::new(id), content)))
            }),
        }
    }

    /// Reads what somebody has done, unless it was us or nobody waits for an answer where it stands. `read` says under
    /// which name it goes and what it says; its inner none is something that nobody said.
    fn said(
        &self,
        payload: Object<'_>,
        around: &EventContext,
        read: impl FnOnce(&str) -> Option<Option<(MessageId, Content)>>,
    ) -> Option<WawpEvent> {
        let id = message_id::find(payload)?;
        let parts = message_id::MessageIdParts::of(&id);
        let time = time(payload).unwrap_or(around.time);
        let source = payload.text("source");
        let own = match payload.get("fromMe") {
            Some(_) => payload.flag("fromMe"),
            None => parts.is_some_and(|parts| parts.own),
        };
        if own || source.as_deref() == Some("api") {
            let to = chat::named(payload, "to").or_else(|| chat::name(parts?.chat));
            let by_hand = own && source.as_deref() == Some("app");
            if !by_hand || !around.is_message || to.as_deref().is_some_and(chat::is_public) {
                return Some(WawpEvent::Other);
            }
            let mut others =
                around.others(payload, &TO).into_iter().filter_map(|other| chat::phone(&other).map(ContactId::new));
            let is_group = to.as_deref().is_some_and(chat::is_group);
            return Some(WawpEvent::Echo(Echo {
                bot: self.bot.clone(),
                phone: to.as_deref().and_then(chat::phone).map(ContactId::new).or_else(|| others.find(|_| !is_group)),
                chat: to.map(ChatId::new),
                message: MessageId::new(&*id),
                words: payload.text("body"),
                told: read(&id).flatten().and_then(|(_, content)| rendering::by_person(&content)),
                time,
            }));
        }
        let chat = chat::named(payload, "from").or_else(|| chat::name(parts?.chat))?;
        if chat::is_public(&chat) {
            return Some(WawpEvent::Other);
        }
        let sender = if chat::is_group(&chat) {
            let named = chat::named(payload, "participant").or_else(|| chat::named(payload, "author"));
            named.or_else(|| chat::name(parts?.participant?))?
        } else {
            chat.clone()
        };
        let others = around.others(payload, if chat::is_group(&chat) { &PARTICIPANT } else { &FROM });
        let number = chat::phone(&sender).or_else(|| others.iter().find_map(|other| chat::phone(other)));
        let phone = number.map(ContactId::new);
        let aliases =
            others.iter().filter(|other| **other != sender).map(|other| ContactId::new(other.as_str())).collect();
        let Some((message, content)) = read(&id)? else { return Some(WawpEvent::Other) };
        let quotes = payload.object("replyTo").and_then(|quoted| around.quoted(quoted, &chat));
        let data = payload.object("_data");
        let forwarded = payload.flag("isForwarded") || data.is_some_and(|data| data.flag("isForwarded"));
        Some(WawpEvent::Message(Box::new(Inbound {
            at: MessageRef {
                bot: self.bot.clone(),
                group: chat::is_group(&chat),
                chat: ChatId::new(chat),
                phone,
                sender: ContactId::new(sender),
                aliases,
                message,
                time,
            },
            contact: contact(payload),
            content,
            quotes,
            quoted: payload.object("replyTo").and_then(|quoted| around.words_of(quoted)),
            forwarded,
            referral: None,
            product: None,
        })))
    }

    fn edited(&self, payload: Object<'_>, around: &EventContext) -> Option<WawpEvent> {
        self.said(payload, around, |id| {
            let edited = payload.text("editedMessageId").unwrap_or_else(|| id.to_owned());
            let edited = message_id::beside(id, &edited);
            let content = content::said(payload)?;
            let message = message_id::apart(id, &edited, around.id.as_deref());
            Some(Some((message, Content::Edit { message: MessageId::new(edited), content: Box::new(content) })))
        })
    }

    /// `vote` is the act of voting, `poll` the name of what is voted in.
    fn voted(&self, payload: Object<'_>, around: &EventContext) -> Option<WawpEvent> {
        let (vote, poll) = (payload.object("vote")?, message_id::find(payload.object("poll")?)?);
        self.said(vote, around, |id| {
            let options = vote.options("selectedOptions");
            let message = message_id::apart(id, &poll, around.id.as_deref());
            Some(Some((message, Content::Vote { message: MessageId::new(&*poll), options })))
        })
    }

    /// `after` is the act of revoking, `before` what was revoked, if the engine still has it.
    fn revoked(&self, payload: Object<'_>, around: &EventContext) -> Option<WawpEvent> {
        let act = payload.object("after").or_else(|| payload.object("before"))?;
        self.said(act, around, |id| {
            // An administrator may revoke what another wrote: where that is still known, it has its own name.
            let before = payload.object("before").and_then(message_id::find);
            let stanza = payload.text("revokedMessageId").unwrap_or_else(|| id.to_owned());
            let revoked = before.unwrap_or_else(|| message_id::beside(id, &stanza));
            let message = message_id::apart(id, &revoked, around.id.as_deref());
            Some(Some((message, Content::Revoke { message: MessageId::new(revoked) })))
        })
    }

    /// How far a message of ours has come. It says no time of its own.
    fn status(&self, payload: Object<'_>, around: &EventContext) -> Option<WawpEvent> {
        let id = message_id::find(payload)?;
        let ours = payload.get("fromMe").is_none() || payload.flag("fromMe");
        let stage = match (payload.text("ackName").as_deref(), payload.int("ack")) {
            (Some("ERROR"), _) | (None, Some(-1)) => Stage::Failed(None),
            (Some("SERVER"), _) | (None, Some(1)) => Stage::Sent,
            (Some("DEVICE"), _) | (None, Some(2)) => Stage::Delivered,
            (Some("READ"), _) | (None, Some(3)) => Stage::Read,
            (Some("PLAYED"), _) | (None, Some(4)) => Stage::Played,
            (None, None) => return None,
            // Not even on its way.
            _ => return Some(WawpEvent::Other),
        };
        if !ours {
            return Some(WawpEvent::Other);
        }
        let (bot, message, time) = (self.bot.clone(), MessageId::new(id), time(payload).unwrap_or(around.time));
        Some(WawpEvent::Status(DeliveryStatus { bot, message, key: None, stage, time }))
    }
}

/// An event that makes no sense, if it is a message of somebody else's.
fn unread(body: &str, envelope: &Shallow<'_>) -> Option<Unread> {
    let event = envelope.text("event")?;
    let is_own = |payload: &Shallow<'_>| payload.get("fromMe").is_some_and(|own| own == "true");
    if event == "message.ack" || envelope.shallow("payload").as_ref().is_some_and(is_own) {
        return None;
    }
    let payload = envelope.get("payload").unwrap_or_default();
    Some(Unread::new(body).with(payload, &["id", "message_id"], &["from", "participant", "author"]))
}

/// The fields of a payload, each read for itself: what an engine adds may be too deep, or broken.
fn fields(payload: &str) -> Option<Map<String, Value>> {
    #[rustfmt::skip]
    const FIELDS: [&str; 41] = [
        "id", "message_id", "key", "timestamp", "from", "fromMe", "source", "to", "participant",
        "author", "body", "type", "hasMedia", "media", "location", "vCards", "replyTo",
        "isForwarded", "pushName", "notifyName", "senderName", "ack", "ackName", "reaction",
        "editedMessageId", "revokedMessageId", "after", "before", "vote", "poll", "_data",
        "SenderAlt", "RecipientAlt", "remoteJidAlt", "participantAlt", "senderPn", "senderLid",
        "participantPn", "participantLid", "recipientPn", "recipientLid",
    ];
    let payload = Shallow::read(payload)?;
    let field = |key: &str| Some((key.to_owned(), json::from_str(payload.get(key)?).ok()?));
    Some(FIELDS.into_iter().filter_map(field).collect())
}

/// When it was written.
fn time(payload: Object<'_>) -> Option<Timestamp> {
    payload.float("timestamp").and_then(timestamp)
}

/// Seconds, with a fraction in reactions, or milliseconds, as in envelopes.
fn timestamp(written: f64) -> Option<Timestamp> {
    let milliseconds = if written < NO_SECONDS { written * 1000.0 } else { written };
    (milliseconds > 0.0).then_some(Timestamp(milliseconds.round() as u64))
}

/// The name that the person shows, wherever the engine has it.
fn contact(payload: Object<'_>) -> Contact {
    let names = |object: Object<'_>| {
        ["pushName", "notifyName", "senderName", "PushName"].into_iter().find_map(|key| object.text(key))
    };
    let data = payload.object("_data");
    let deeper = || data?.object("Info").and_then(names);
    Contact { name: names(payload).or_else(|| data.and_then(names)).or_else(deeper), username: None }
}
