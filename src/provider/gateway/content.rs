//! What an inbound message says: one flat payload, told apart by its `type`.

use serde_json::Value;

use crate::message::MessageId;
use crate::message::content::{ContactCard, Content, MediaKind, MediaRef};
use crate::provider::lenient::{Object, is_within};
use crate::provider::vcard;

/// How many levels of the gateway's own JSON a message may carry on.
const DEEPEST: usize = 64;

/// What `payload` says; none if it lacks what its type needs.
pub(super) fn read(payload: Object<'_>) -> Option<Content> {
    let kind = payload.text("type")?;
    match kind.as_str() {
        "text" => payload.text("body").map(Content::text),
        "image" => Some(media(payload, MediaKind::Image)),
        "video" => Some(media(payload, MediaKind::Video)),
        "audio" => Some(media(payload, MediaKind::Audio)),
        "voice" | "ptt" => Some(media(payload, MediaKind::Voice)),
        "document" => Some(media(payload, MediaKind::Document)),
        "sticker" => Some(media(payload, MediaKind::Sticker)),
        "location" => location(payload.object("location")?),
        "poll" => payload.object("poll").and_then(poll).or_else(|| unknown(kind, payload)),
        "contact" => Some(Content::Contacts { cards: vec![card(payload.object("contact")?)] }),
        "interactive_reply" => choice(payload.object("interactiveReply")?),
        _ => unknown(kind, payload),
    }
}

fn unknown(what: String, payload: Object<'_>) -> Option<Content> {
    let raw = Value::Object(payload.0.clone());
    is_within(&raw, DEEPEST).then_some(Content::Unknown { what, raw })
}

fn poll(wire: Object<'_>) -> Option<Content> {
    let options = wire.options("options");
    let selectable = wire.int("selectableCount").and_then(|most| u32::try_from(most).ok()).filter(|most| *most > 0);
    (!options.is_empty()).then(|| Content::Poll { question: wire.text("name"), options, selectable })
}

/// What is chosen in the poll `message` now.
pub(super) fn vote(message: MessageId, payload: Object<'_>) -> Content {
    Content::Vote { message, options: payload.options("selectedOptions") }
}

/// An emoji on `message`; an empty one, or none, takes it away.
pub(super) fn reaction(message: MessageId, payload: Object<'_>) -> Content {
    Content::Reaction { message, emoji: payload.text("reaction") }
}

/// A new wording for `message`.
pub(super) fn edit(message: MessageId, payload: Object<'_>) -> Option<Content> {
    Some(Content::Edit { message, content: Box::new(read(payload)?) })
}

/// `message` was taken back.
pub(super) fn revoke(message: MessageId) -> Content {
    Content::Revoke { message }
}

/// Announced, with the caption as the body. The description is there only where the gateway keeps media.
fn media(payload: Object<'_>, kind: MediaKind) -> Content {
    let described = payload.object("media");
    let says = |key| described.and_then(|described| described.text(key));
    Content::Media(MediaRef {
        id: says("id"),
        url: says("url"),
        mime: says("mimetype"),
        caption: payload.text("body"),
        filename: says("filename"),
        size: described.and_then(|described| u64::try_from(described.int("size")?).ok()),
        ..MediaRef::of(kind)
    })
}

fn location(wire: Object<'_>) -> Option<Content> {
    Some(Content::Location {
        latitude: wire.float("latitude")?,
        longitude: wire.float("longitude")?,
        name: wire.text("name"),
        address: wire.text("address"),
        url: wire.text("url"),
    })
}

/// A choice that says nothing is known by its identifier.
fn choice(wire: Object<'_>) -> Option<Content> {
    let id = wire.text("id")?;
    Some(Content::Choice {
        title: wire.text("title").unwrap_or_else(|| id.clone()),
        id,
        written: None,
        description: wire.text("description"),
    })
}

/// A card comes as a vCard, with its name beside it.
fn card(wire: Object<'_>) -> ContactCard {
    let card = vcard::read(&wire.text("vcard").unwrap_or_default());
    let name = wire.text("displayName").or(card.name);
    ContactCard { name, ..card }
}
