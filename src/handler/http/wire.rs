//! What a turn and its reply look like in JSON, version 1. `openapi.json` describes it field by field; a test holds the
//! two together.
//!
//! Fields are added in a version, never taken away or given another meaning.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::handler::{Turn, one_line};
use crate::message::clock::Timestamp;
use crate::message::content::{ContactCard, OrderItem};
use crate::message::json;
use crate::message::reply::{Choice, Media, MediaSource, Section};
use crate::message::{
    Content, Format, HistoryEntry, Inbound, MediaKind, MediaRef, MessageId, Part, Payload, Product, Quoted, Referral,
    Reply, Speaker,
};

/// The version of all this.
const VERSION: u32 = 1;

/// Where a handler answers later, and with which token.
#[derive(Serialize)]
pub(super) struct Callback<'a> {
    /// Where a reply is posted.
    pub(super) url: String,
    /// What is shown there.
    pub(super) token: &'a str,
}

#[derive(Serialize)]
struct WireTurn<'a> {
    version: u32,
    id: &'a str,
    bot: &'a str,
    contact: WireContact<'a>,
    text: String,
    messages: Vec<WireMessage<'a>>,
    history: Vec<WireSaid<'a>>,
    now: String,
    deadline: String,
    callback: Callback<'a>,
}

#[derive(Serialize)]
struct WireContact<'a> {
    name: Option<&'a str>,
    username: Option<&'a str>,
}

#[derive(Serialize)]
struct WireMessage<'a> {
    id: &'a str,
    time: String,
    chat: &'a str,
    group: bool,
    sender: &'a str,
    phone: Option<&'a str>,
    name: Option<&'a str>,
    quotes: Option<&'a str>,
    quoted: Option<&'a Quoted>,
    forwarded: bool,
    referral: Option<&'a Referral>,
    product: Option<&'a Product>,
    content: WireContent<'a>,
}

#[derive(Serialize)]
struct WireSaid<'a> {
    by: &'static str,
    text: &'a str,
    time: String,
    sender: Option<&'a str>,
    name: Option<&'a str>,
    transcript: bool,
}

/// What a message says: its kind, and what that has.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum WireContent<'a> {
    Text { text: &'a str },
    Image(WireMedia<'a>),
    Video(WireMedia<'a>),
    Audio(WireMedia<'a>),
    Voice(WireMedia<'a>),
    Document(WireMedia<'a>),
    Sticker(WireMedia<'a>),
    Location { latitude: f64, longitude: f64, name: Option<&'a str>, address: Option<&'a str>, url: Option<&'a str> },
    Contacts { cards: &'a [ContactCard] },
    Choice { id: &'a str, title: &'a str, text: Option<&'a str>, description: Option<&'a str> },
    Form { name: Option<&'a str>, answers: &'a Value, text: Option<&'a str> },
    Order { catalog: Option<&'a str>, text: Option<&'a str>, items: &'a [OrderItem] },
    Poll { question: Option<&'a str>, options: &'a [String], selectable: Option<u32> },
    Vote { message: &'a str, options: &'a [String] },
    Reaction { message: &'a str, emoji: Option<&'a str> },
    Edit { message: &'a str, content: Box<WireContent<'a>> },
    Revoke { message: &'a str },
    System { event: &'a str, text: Option<&'a str> },
    Welcome,
    Unsupported { what: Option<&'a str> },
    Unknown { what: &'a str },
}

#[derive(Serialize)]
struct WireMedia<'a> {
    /// Threedots' own address: no upstream's token is needed there.
    url: String,
    expires: String,
    mime: Option<&'a str>,
    filename: Option<&'a str>,
    size: Option<u64>,
    text: Option<&'a str>,
    /// What is said in it, as a machine has understood it.
    transcript: Option<&'a str>,
}

/// Lends out a medium: its address, and until when it can be had there.
pub(super) type Lend<'a> = &'a dyn Fn(&MediaRef) -> (String, Timestamp);

/// A turn, as its handler is sent it.
pub(super) fn turn(turn: &Turn, deadline: Timestamp, callback: Callback<'_>, lend: Lend<'_>) -> Vec<u8> {
    let wire = WireTurn {
        version: VERSION,
        id: &turn.id,
        bot: turn.bot.as_str(),
        contact: WireContact { name: turn.contact.name.as_deref(), username: turn.contact.username.as_deref() },
        text: turn.text(),
        messages: turn.messages.iter().map(|inbound| message(inbound, lend)).collect(),
        history: turn.history.iter().map(said).collect(),
        now: turn.now.to_utc(),
        deadline: deadline.to_utc(),
        callback,
    };
    serde_json::to_vec(&wire).expect("text, numbers and lists have a form in JSON")
}

fn said(HistoryEntry { by, words, time, who, name, transcript, .. }: &HistoryEntry) -> WireSaid<'_> {
    let by = match by {
        Speaker::Customer => "customer",
        Speaker::Bot => "bot",
        Speaker::Person => "person",
    };
    let sender = who.as_ref().map(|who| who.as_str());
    WireSaid { by, text: words, time: time.to_utc(), sender, name: name.as_deref(), transcript: *transcript }
}

fn message<'a>(inbound: &'a Inbound, lend: Lend<'_>) -> WireMessage<'a> {
    let at = &inbound.at;
    WireMessage {
        id: at.message.as_str(),
        time: at.time.to_utc(),
        chat: at.chat.as_str(),
        group: at.group,
        sender: at.sender.as_str(),
        phone: at.phone.as_ref().map(|phone| phone.as_str()),
        name: inbound.contact.name.as_deref(),
        quotes: inbound.quotes.as_ref().map(|message| message.as_str()),
        quoted: inbound.quoted.as_ref(),
        forwarded: inbound.forwarded,
        referral: inbound.referral.as_ref(),
        product: inbound.product.as_ref(),
        content: content(&inbound.content, lend),
    }
}

fn content<'a>(content: &'a Content, lend: Lend<'_>) -> WireContent<'a> {
    match content {
        Content::Text { body } => WireContent::Text { text: body },
        Content::Media(media) => {
            let (url, expires) = lend(media);
            let (mime, filename) = (media.mime.as_deref(), media.filename.as_deref());
            let (text, transcript) = (media.caption.as_deref(), media.transcript.as_deref());
            let wire = WireMedia { url, expires: expires.to_utc(), mime, filename, size: media.size, text, transcript };
            match media.kind {
                MediaKind::Image => WireContent::Image(wire),
                MediaKind::Video => WireContent::Video(wire),
                MediaKind::Audio => WireContent::Audio(wire),
                MediaKind::Voice => WireContent::Voice(wire),
                MediaKind::Document => WireContent::Document(wire),
                MediaKind::Sticker => WireContent::Sticker(wire),
            }
        }
        Content::Location { latitude, longitude, name, address, url } => WireContent::Location {
            latitude: *latitude,
            longitude: *longitude,
            name: name.as_deref(),
            address: address.as_deref(),
            url: url.as_deref(),
        },
        Content::Contacts { cards } => WireContent::Contacts { cards },
        Content::Choice { id, title, written, description } => {
            WireContent::Choice { id, title, text: written.as_deref(), description: description.as_deref() }
        }
        Content::Form { name, answers, text } => {
            WireContent::Form { name: name.as_deref(), answers, text: text.as_deref() }
        }
        Content::Order { catalog, text, items } => {
            WireContent::Order { catalog: catalog.as_deref(), text: text.as_deref(), items }
        }
        Content::Poll { question, options, selectable } => {
            WireContent::Poll { question: question.as_deref(), options, selectable: *selectable }
        }
        Content::Vote { message, options } => WireContent::Vote { message: message.as_str(), options },
        Content::Reaction { message, emoji } => {
            WireContent::Reaction { message: message.as_str(), emoji: emoji.as_deref() }
        }
        Content::Edit { message, content: edited } => {
            WireContent::Edit { message: message.as_str(), content: Box::new(self::content(edited, lend)) }
        }
        Content::Revoke { message } => WireContent::Revoke { message: message.as_str() },
        Content::System { event, body } => WireContent::System { event, text: body.as_deref() },
        Content::Welcome => WireContent::Welcome,
        Content::Unsupported { what, .. } => WireContent::Unsupported { what: what.as_deref() },
        Content::Unknown { what, .. } => WireContent::Unknown { what },
    }
}

/// A handler's answer: one of these, and nothing else.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireReply {
    text: Option<String>,
    format: Option<Format>,
    parts: Option<Vec<WirePart>>,
    silence: Option<bool>,
    handover: Option<String>,
}

/// One message of a reply.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum WirePart {
    Text {
        text: String,
        #[serde(default)]
        format: Format,
        #[serde(default)]
        quote: bool,
    },
    Image(WireOutMedia),
    Video(WireOutMedia),
    Audio(WireOutMedia),
    Voice(WireOutMedia),
    Document(WireOutMedia),
    Sticker(WireOutMedia),
    Buttons {
        text: String,
        footer: Option<String>,
        buttons: Vec<Choice>,
        #[serde(default)]
        format: Format,
        #[serde(default)]
        quote: bool,
    },
    List {
        text: String,
        button: String,
        footer: Option<String>,
        sections: Vec<Section>,
        #[serde(default)]
        format: Format,
        #[serde(default)]
        quote: bool,
    },
    Location {
        latitude: f64,
        longitude: f64,
        name: Option<String>,
        address: Option<String>,
        #[serde(default)]
        quote: bool,
    },
    Reaction {
        emoji: String,
        message: Option<String>,
    },
    ApprovedTemplate {
        name: String,
        language: String,
        #[serde(default)]
        components: Vec<Value>,
    },
}

/// A medium: by its address, or in hand.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireOutMedia {
    url: Option<String>,
    data: Option<String>,
    mime: Option<String>,
    text: Option<String>,
    filename: Option<String>,
    #[serde(default)]
    format: Format,
    #[serde(default)]
    quote: bool,
}

/// Reads a handler's answer.
///
/// # Errors
/// What is wrong with it, without a word of what stands in it.
pub(super) fn reply(body: &[u8]) -> Result<Reply, String> {
    const FORM: &str = "send one of {\"text\": …}, {\"parts\": […]}, {\"silence\": true}, {\"handover\": \"why\"}";
    let wire: WireReply = read(body, FORM)?;
    if wire.format.is_some() && wire.text.is_none() {
        return Err("format is that of text: parts have one each".to_owned());
    }
    let format = wire.format.unwrap_or_default();
    match (wire.text, wire.parts, wire.silence, wire.handover) {
        (Some(text), None, None, None) => Ok(Part::text(text).written_in(format).into()),
        (None, Some(parts), None, None) => Ok(Reply::Send(self::parts(parts)?)),
        (None, None, Some(true), None) => Ok(Reply::Silence),
        (None, None, None, Some(reason)) => Ok(Reply::Handover { reason: one_line(&reason) }),
        _ => Err(FORM.to_owned()),
    }
}

/// Reads what has one of several forms, in all of which its fields are known.
///
/// # Errors
/// Where it is not so, or `form` if that is no place.
pub(super) fn read<T: DeserializeOwned>(body: &[u8], form: &str) -> Result<T, String> {
    let body = json::whole_bytes(body);
    let deserializer = &mut serde_json::Deserializer::from_slice(&body);
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        // Its own words may quote what a customer is to read.
        let place = error.path().to_string();
        if place == "." { form.to_owned() } else { format!("{place} is not of the form that openapi.json says") }
    })
}

/// The messages of a reply, in order.
///
/// # Errors
/// Which one is wrong, and what about it.
pub(super) fn parts(parts: Vec<WirePart>) -> Result<Vec<Part>, String> {
    let parts = parts.into_iter().enumerate();
    parts.map(|(number, part)| self::part(part).map_err(|problem| format!("parts[{number}]: {problem}"))).collect()
}

fn part(part: WirePart) -> Result<Part, &'static str> {
    let (payload, quote, format) = match part {
        WirePart::Text { text, format, quote } => (Payload::Text { body: text }, quote, format),
        WirePart::Image(wire) => return media(MediaKind::Image, wire),
        WirePart::Video(wire) => return media(MediaKind::Video, wire),
        WirePart::Audio(wire) => return media(MediaKind::Audio, wire),
        WirePart::Voice(wire) => return media(MediaKind::Voice, wire),
        WirePart::Document(wire) => return media(MediaKind::Document, wire),
        WirePart::Sticker(wire) => return media(MediaKind::Sticker, wire),
        WirePart::Buttons { text, footer, buttons, format, quote } => {
            (Payload::Buttons { body: text, footer, buttons }, quote, format)
        }
        WirePart::List { text, button, footer, sections, format, quote } => {
            (Payload::List { body: text, button, footer, sections }, quote, format)
        }
        WirePart::Location { latitude, longitude, name, address, quote } => {
            (Payload::Location { latitude, longitude, name, address }, quote, Format::Plain)
        }
        WirePart::Reaction { emoji, message } => {
            (Payload::Reaction { emoji, message: message.map(MessageId::new) }, false, Format::Plain)
        }
        WirePart::ApprovedTemplate { name, language, components } => {
            (Payload::ApprovedTemplate { name, language, components }, false, Format::Plain)
        }
    };
    Ok(Part { quote, format, ..payload.into() })
}

fn media(kind: MediaKind, wire: WireOutMedia) -> Result<Part, &'static str> {
    let source = match (wire.url, wire.data, wire.mime) {
        (Some(url), None, None) => MediaSource::Link(url),
        (None, Some(data), Some(mime)) => {
            let data = BASE64_STANDARD.decode(data).map_err(|_| "data is not base64")?;
            MediaSource::Bytes { data: data.into(), mime }
        }
        _ => return Err("a medium has either url, or data and mime"),
    };
    let payload = Payload::Media(Media { kind, source, caption: wire.text, filename: wire.filename });
    Ok(Part { quote: wire.quote, format: wire.format, ..payload.into() })
}
