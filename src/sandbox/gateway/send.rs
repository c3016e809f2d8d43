//! Sends: one place for every kind of message, told apart by `type`; and reactions.

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use bytes::Bytes;
use serde_json::{Value, json};

use super::error::Refusal;
use super::{Desk, Fields, address};
use crate::message::MessageId;
use crate::sandbox::media::Origin;
use crate::sandbox::phone::{Body, Customer, Side, Source, What};
use crate::sandbox::upstream::{Course, Denial, UpstreamAnswer};

/// The largest medium, in bytes.
const LARGEST: usize = 16 << 20;

/// Every field that a send can have, for whatever type.
const FIELDS: [&str; 16] = [
    "type",
    "to",
    "text",
    "replyTo",
    "mentions",
    "name",
    "options",
    "selectableCount",
    "pollEndTime",
    "pollHideVotes",
    "latitude",
    "longitude",
    "contact",
    "media",
    "medias",
    "caption",
];

/// A send that keeps to the rules.
pub(super) struct Judged {
    to: Customer,
    says: Says,
    quotes: Option<MessageId>,
}

enum Says {
    Body(Body),
    /// A medium that came along.
    Held {
        kind: &'static str,
        mime: String,
        data: Bytes,
        caption: Option<String>,
        filename: Option<String>,
    },
}

impl Desk<'_> {
    /// Looks at the body of a send, before anything else is looked at.
    pub(super) fn judge(self, body: Fields) -> Result<Judged, Refusal> {
        let body = body.only(&FIELDS)?;
        let kind = body.text("type")?.ok_or_else(|| Refusal::validation("send type is required"))?;
        let to = body.text("to")?.ok_or_else(|| Refusal::validation("recipient 'to' is required"))?;
        let says = match kind {
            "text" => Says::Body(Body::Text(body.required("text")?.to_owned())),
            "location" => location(&body)?,
            "contact" => contact(&body)?,
            "image" => medium("image", &body)?,
            "video" => medium("video", &body)?,
            "audio" => medium("audio", &body)?,
            "document" => medium("document", &body)?,
            "sticker" => medium("sticker", &body)?,
            // Polls and albums exist, and no phone here shows them.
            _ => return Err(Refusal::validation(format!("unknown send type \"{kind}\""))),
        };
        let to = self.chat(to)?.ok_or_else(|| Refusal::validation("the recipient is nobody on WhatsApp"))?;
        Ok(Judged { to, says, quotes: body.text("replyTo")?.map(MessageId::new) })
    }

    /// Sends something, once for each key. If it is not `deliverable` it is taken, and reported as failed later.
    pub(super) fn send(self, key: Option<&str>, message: Judged, deliverable: bool) -> Result<UpstreamAnswer, Denial> {
        let mut is_new = false;
        let answer = self.once(key, || {
            is_new = true;
            if let Some(seconds) = self.gateway_refuses() {
                return Err(Refusal::too_many(Some(seconds)).denial());
            }
            let id = self.bots_message(&message.to);
            let course = if deliverable { Course::Whole } else { Course::Failed(0) };
            let customer = message.to.clone();
            if deliverable {
                self.arrive(&id, message, key);
                self.echo_own(&customer, &id);
            }
            self.report(&customer, &id, None, course);
            Ok(self.sent(&id))
        })?;
        Ok(if is_new { answer } else { replayed(answer) })
    }

    /// Sets an emoji on a message, or takes it away.
    pub(super) fn react(
        self,
        target: MessageId,
        body: Fields,
        takes_away: bool,
        deliverable: bool,
    ) -> Result<UpstreamAnswer, Refusal> {
        let body = body.only(&["chat", "sender", "emoji"])?;
        let chat = body.required("chat")?;
        let emoji = if takes_away { "" } else { body.required("emoji")? };
        let customer = self.chat(chat)?.ok_or_else(|| Refusal::validation("the chat is nobody's on WhatsApp"))?;
        let message =
            self.phone.message(&target).filter(|_| self.phone.chat_of(&target).as_ref() == Some(&customer.id));
        // An author left out means the bot itself.
        let author = body.text("sender")?;
        let is_author = |message: &crate::sandbox::phone::Message| match message.from {
            Side::Bot | Side::Person => author.is_none(),
            Side::Customer => {
                author.is_some_and(|author| author == address::of(&customer) || author == address::hidden(&customer))
            }
        };
        if let Some(seconds) = self.gateway_refuses() {
            return Err(Refusal::too_many(Some(seconds)));
        }
        let id = self.bots_message(&customer);
        let course = match message {
            _ if !deliverable => Course::Failed(0),
            Some(message) if is_author(&message) => {
                self.phone.bot_reacts(&customer.id, &target, emoji);
                Course::SentOnly
            }
            Some(_) => {
                self.lost(&customer, "the reaction names another author than the message has: no phone shows it")
            }
            None => self.lost(&customer, "the reaction is to a message that is not in this chat: no phone shows it"),
        };
        self.report(&customer, &id, None, course);
        Ok(self.sent(&id))
    }

    /// WhatsApp takes it, and nothing comes of it.
    fn lost(self, customer: &Customer, note: &'static str) -> Course {
        self.phone.enter(Some(&customer.id), What::Noted { note });
        Course::SentOnly
    }

    fn bots_message(self, customer: &Customer) -> MessageId {
        self.settings.upstream.wire().message_id(&self.ids, customer, Side::Bot)
    }

    /// Puts what was sent onto the phone.
    fn arrive(self, id: &MessageId, message: Judged, key: Option<&str>) {
        let Judged { to, says, quotes } = message;
        let body = match says {
            Says::Body(body) => body,
            Says::Held { kind, mime, data, caption, filename } => {
                let medium = self.ids.medium();
                self.media.keep(medium.clone(), &mime, data, Origin::Bot, self.clock.now());
                Body::Media { kind, source: Source::Stored(medium), caption, filename }
            }
        };
        let in_chat = |quoted: &MessageId| self.phone.chat_of(quoted).as_ref() == Some(&to.id);
        if quotes.as_ref().is_some_and(|quoted| !in_chat(quoted)) {
            let note = "the message to quote is not in this chat: the reply shows without it";
            self.phone.enter(Some(&to.id), What::Noted { note });
        }
        self.phone.bot_writes(&to.id, id, body, quotes.filter(in_chat), key.map(str::to_owned));
    }

    /// What WhatsApp's acknowledgement becomes.
    fn sent(self, id: &MessageId) -> UpstreamAnswer {
        let now = self.clock.now().0;
        let sent = json!({ "mode": "sync", "waMessageId": id.as_str(), "status": "sent", "timestamp": now });
        UpstreamAnswer::json(200, &sent)
    }
}

/// The same answer again, to the same key.
fn replayed(answer: UpstreamAnswer) -> UpstreamAnswer {
    match answer {
        UpstreamAnswer::Whole { status, headers, body } => {
            let mut sent: Value = serde_json::from_slice(&body).unwrap_or_default();
            sent["replayed"] = true.into();
            UpstreamAnswer::Whole { status, headers, body: Bytes::from(sent.to_string()) }
        }
        UpstreamAnswer::Reset => answer,
    }
}

fn location(body: &Fields) -> Result<Says, Refusal> {
    let (latitude, longitude) = (body.number("latitude")?, body.number("longitude")?);
    if !(-90.0..=90.0).contains(&latitude) {
        return Err(Refusal::validation("latitude must be between -90 and 90"));
    }
    if !(-180.0..=180.0).contains(&longitude) {
        return Err(Refusal::validation("longitude must be between -180 and 180"));
    }
    Ok(Says::Body(Body::Location { latitude, longitude, name: body.owned("name")?, address: None }))
}

fn contact(body: &Fields) -> Result<Says, Refusal> {
    let contact = body.object("contact", &["name", "phone", "vcard"])?;
    let (name, phone, vcard) = (contact.owned("name")?, contact.text("phone")?, contact.text("vcard")?);
    if vcard.is_none() && (name.is_none() || phone.is_none()) {
        return Err(Refusal::validation("contact requires either a vcard or both name and phone"));
    }
    Ok(Says::Body(Body::Contacts(vec![name.unwrap_or_default()])))
}

fn medium(kind: &'static str, body: &Fields) -> Result<Says, Refusal> {
    let media = body.object("media", &["data", "url", "mimetype", "caption", "filename"])?;
    // Neither a sound nor a sticker has room for words: the gateway drops them.
    let caption = media.owned("caption")?.filter(|_| matches!(kind, "image" | "video" | "document"));
    let filename = media.owned("filename")?.filter(|_| kind == "document");
    match (media.text("data")?, media.text("url")?) {
        (Some(data), None) => {
            let (mime, data) = decoded(data)?;
            let mime = media.text("mimetype")?.or(mime).unwrap_or("application/octet-stream").to_owned();
            Ok(Says::Held { kind, mime, data, caption, filename })
        }
        (None, Some(url)) if url.starts_with("https://") || url.starts_with("http://") => {
            Ok(Says::Body(Body::Media { kind, source: Source::Link(url.to_owned()), caption, filename }))
        }
        (None, Some(_)) => Err(Refusal::validation("media.url must be a valid http(s) URL")),
        _ => {
            let message = format!("provide exactly one of media.data or media.url for type '{kind}'");
            Err(Refusal::validation(message))
        }
    }
}

/// Base64, with or without padding, or a `data:` address with a type in it.
fn decoded(data: &str) -> Result<(Option<&str>, Bytes), Refusal> {
    let (head, base64) = match data.strip_prefix("data:").and_then(|rest| rest.split_once(',')) {
        Some((head, base64)) => (head.split(';').next(), base64),
        None => (None, data),
    };
    let bytes = BASE64_STANDARD.decode(base64).or_else(|_| BASE64_STANDARD_NO_PAD.decode(base64));
    let bytes = bytes.map_err(|_| Refusal::validation("media.data must be valid base64"))?;
    match bytes.len() {
        0 => Err(Refusal::validation("media.data decoded to empty")),
        length if length > LARGEST => Err(Refusal::validation(format!("media exceeds the {LARGEST} byte limit"))),
        _ => Ok((head, Bytes::from(bytes))),
    }
}
