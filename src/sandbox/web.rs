//! WhatsApp Web, as Wawp and WAHA both have it behind their APIs: its names, its events, and what calls do to a phone.
//!
//! Source: WAHA's pages and OpenAPI file, Wawp's pages on typing. Nothing here says how a call looks or is refused.

pub(super) mod names;
pub(super) mod webhook;

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value;

use super::Sandbox;
use super::media::Origin;
use super::phone::{Body, Call, Customer, Side, Source, What};
use super::upstream::Course;
use crate::message::MessageId;

/// The longest text, and the longest caption, in characters.
const TEXT: usize = 4096;
const CAPTION: usize = 1024;

/// How many calls that take the dots off a chat bears in one second (Wawp's page on it).
const STOPS: usize = 3;

/// Why a call is refused. Each API has its own words for it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unfit {
    /// Something has to be there.
    Missing(&'static str),
    /// Something is there and cannot be.
    Invalid(&'static str),
    /// Nobody has this number, and no group this name.
    NoSuchChat,
}

/// What a call does to the phones.
#[derive(Clone, Copy)]
pub(super) struct Web<'a>(pub(super) &'a Arc<Sandbox>);

/// A medium in a call.
pub(super) struct File<'a> {
    /// `image`, `video`, `voice`, `document` or `sticker`.
    pub(super) kind: &'static str,
    pub(super) mime: &'a str,
    pub(super) name: Option<&'a str>,
    pub(super) at: At<'a>,
    pub(super) caption: Option<&'a str>,
}

/// Where a medium is.
pub(super) enum At<'a> {
    Link(&'a str),
    Base64(&'a str),
}

/// A message in a call.
pub(super) struct Outgoing<'a> {
    pub(super) body: Body,
    pub(super) quotes: Option<&'a str>,
    /// The stanza that the caller wants it to have.
    pub(super) stanza: Option<&'a str>,
    pub(super) deliverable: bool,
}

impl Web<'_> {
    /// The customer in the chat that a call names. Blanks and a plus are passed over.
    pub(super) fn customer(self, body: &Value) -> Result<Customer, Unfit> {
        let named = text(body, "chatId")?.replace([' ', '+'], "");
        if named.ends_with("@s.whatsapp.net") {
            return Err(Unfit::Invalid("chatId has to end with @c.us"));
        }
        if !named.contains('@') {
            return Err(Unfit::Invalid("chatId has to end with @c.us, @g.us or @lid"));
        }
        self.0.phone.find_customer(|customer| names::chat(customer) == named).ok_or(Unfit::NoSuchChat)
    }

    /// Shows blue ticks: on the messages that are named, or on all if none is. In a group a receipt goes to the writer.
    pub(super) fn seen(self, customer: &Customer, body: &Value) -> Result<(), Unfit> {
        let ids = match &body["messageIds"] {
            Value::Null => Vec::new(),
            Value::Array(ids) if ids.iter().all(Value::is_string) => ids.iter().filter_map(Value::as_str).collect(),
            _ => return Err(Unfit::Invalid("messageIds has to be a list of names")),
        };
        if ids.is_empty() {
            self.0.phone.mark_chat_read(&customer.id);
            return Ok(());
        }
        if customer.group.is_some() && body["participant"] != names::person(customer) {
            self.note(customer, "a receipt in a group names no writer, or another: nothing is read");
            return Ok(());
        }
        for id in ids.into_iter().map(MessageId::new) {
            if self.0.phone.chat_of(&id).as_ref() != Some(&customer.id) || self.0.phone.mark_read(&id).is_err() {
                self.note(customer, "a receipt names a message that is not in this chat");
            }
        }
        Ok(())
    }

    /// Shows the dots, whoever has written in this chat.
    pub(super) fn start(self, customer: &Customer, recording: bool) {
        self.0.light(&customer.id, recording);
    }

    /// Takes the dots off.
    pub(super) fn stop(self, customer: &Customer) {
        let now = self.0.clock.now();
        // This call stands in the timeline already.
        let timeline = self.0.phone.timeline();
        let second = timeline.iter().rev().take_while(|moment| now.since(moment.at).as_millis() < 1000);
        let stops = second.filter(|moment| {
            matches!(moment.what, What::Called { what: Call::Stop, .. })
                && moment.customer.as_ref() == Some(&customer.id)
        });
        if stops.count() > STOPS {
            self.note(customer, "more than 3 calls in one second that take the dots off: the number loses trust");
        }
        self.0.phone.stop_typing(&customer.id);
    }

    /// A text.
    pub(super) fn text(self, words: &str) -> Result<Body, Unfit> {
        match words.chars().count() {
            0 => Err(Unfit::Missing("the text")),
            1..=TEXT => Ok(Body::Text(words.to_owned())),
            _ => Err(Unfit::Invalid("the text is longer than 4096 characters")),
        }
    }

    /// A medium: kept, if it came along.
    pub(super) fn medium(self, file: &File<'_>) -> Result<Body, Unfit> {
        if !file.mime.contains('/') {
            return Err(Unfit::Invalid("the MIME type is none"));
        }
        if file.caption.is_some_and(|caption| caption.chars().count() > CAPTION) {
            return Err(Unfit::Invalid("the caption is longer than 1024 characters"));
        }
        let source = match file.at {
            At::Link(url) if url.starts_with("https://") || url.starts_with("http://") => Source::Link(url.to_owned()),
            At::Link(_) => return Err(Unfit::Invalid("the file's url is no web address")),
            At::Base64(data) => {
                let data = STANDARD.decode(data).ok().filter(|data| !data.is_empty());
                let data = data.ok_or(Unfit::Invalid("the file's data is no base64"))?;
                let id = self.0.ids.medium();
                self.0.media.keep(id.clone(), file.mime, Bytes::from(data), Origin::Bot, self.0.clock.now());
                Source::Stored(id)
            }
        };
        let (caption, filename) = (file.caption.map(str::to_owned), file.name.map(str::to_owned));
        Ok(Body::Media { kind: file.kind, source, caption, filename: filename.filter(|_| file.kind == "document") })
    }

    /// Puts a message onto the phone, and returns its name.
    pub(super) fn send(self, customer: &Customer, outgoing: Outgoing<'_>) -> MessageId {
        let Outgoing { body, quotes, stanza, deliverable } = outgoing;
        let id = match stanza {
            Some(stanza) => MessageId::new(format!("true_{}_{stanza}", names::chat(customer))),
            None => names::message(&self.0.ids, customer, Side::Bot),
        };
        if self.0.phone.message(&id).is_some() {
            self.note(customer, "a message has the name of an earlier one: the phone shows it once");
            return id;
        }
        if !deliverable {
            self.0.report(customer, &id, None, Course::Failed(0));
            return id;
        }
        let quotes = quotes.map(MessageId::new);
        let quoted = quotes.filter(|id| {
            let known = self.0.phone.chat_of(id).as_ref() == Some(&customer.id);
            if !known {
                self.note(customer, "the message to quote is not in this chat: the reply shows without it");
            }
            known
        });
        self.0.phone.bot_writes(&customer.id, &id, body, quoted, None);
        self.0.report(customer, &id, None, Course::Whole);
        id
    }

    /// Whom a reaction concerns.
    pub(super) fn reacted(self, body: &Value) -> Option<Customer> {
        let chat = self.0.phone.chat_of(&MessageId::new(body["messageId"].as_str()?))?;
        self.0.phone.customer(&chat)
    }

    /// Puts a reaction on a message, or takes it off, and returns its name.
    pub(super) fn react(self, body: &Value, deliverable: bool) -> Result<MessageId, Unfit> {
        let to = MessageId::new(text(body, "messageId")?);
        let emoji = body["reaction"].as_str().ok_or(Unfit::Missing("reaction"))?;
        let customer = self.reacted(body).ok_or(Unfit::Invalid("messageId names no message"))?;
        if deliverable {
            self.0.phone.bot_reacts(&customer.id, &to, emoji);
        }
        Ok(names::message(&self.0.ids, &customer, Side::Bot))
    }

    fn note(self, customer: &Customer, note: &'static str) {
        self.0.phone.enter(Some(&customer.id), What::Noted { note });
    }
}

/// A field that has to be there, and to be text with something in it.
pub(super) fn text<'v>(body: &'v Value, key: &'static str) -> Result<&'v str, Unfit> {
    body[key].as_str().filter(|text| !text.is_empty()).ok_or(Unfit::Missing(key))
}
