//! One part of a reply as WhatsApp's `type` and the object of that name.

use serde_json::{Map, Value, json};

use crate::message::reply::{Choice, Media, MediaSource, Payload, Row, Section};
use crate::message::{MediaKind, MessageId};

/// The `type` of `payload` and its object. A reaction that names no message goes on `answered`.
///
/// # Errors
/// When it is a medium in hand: that has to be uploaded first.
pub(crate) fn object(payload: &Payload, answered: &MessageId) -> Result<(&'static str, Value), NotUploaded> {
    Ok(match payload {
        Payload::Text { body } => ("text", json!({ "body": body, "preview_url": false })),
        Payload::Media(media) => medium(media)?,
        Payload::Buttons { body, footer, buttons } => {
            let buttons: Vec<Value> = buttons.iter().map(button).collect();
            ("interactive", interactive("button", body, footer.as_deref(), json!({ "buttons": buttons })))
        }
        Payload::List { body, button, footer, sections } => {
            let sections: Vec<Value> = sections.iter().map(section).collect();
            let action = json!({ "button": button, "sections": sections });
            ("interactive", interactive("list", body, footer.as_deref(), action))
        }
        Payload::Location { latitude, longitude, name, address } => {
            let mut wire =
                Map::from_iter([("latitude".to_owned(), json!(latitude)), ("longitude".to_owned(), json!(longitude))]);
            put(&mut wire, "name", name.as_deref());
            put(&mut wire, "address", address.as_deref());
            ("location", wire.into())
        }
        Payload::Reaction { message, emoji } => {
            let message = message.as_ref().unwrap_or(answered);
            ("reaction", json!({ "message_id": message.as_str(), "emoji": emoji }))
        }
        Payload::ApprovedTemplate { name, language, components } => {
            let mut wire = json!({ "name": name, "language": { "code": language } });
            if !components.is_empty() {
                wire["components"] = components.as_slice().into();
            }
            ("template", wire)
        }
    })
}

/// Whether a quote can stand above `payload`.
pub(crate) fn can_quote(payload: &Payload) -> bool {
    !matches!(payload, Payload::Reaction { .. } | Payload::ApprovedTemplate { .. })
}

/// A medium is still in hand.
#[derive(Debug)]
pub(crate) struct NotUploaded;

fn medium(media: &Media) -> Result<(&'static str, Value), NotUploaded> {
    let mut wire = Map::new();
    match &media.source {
        MediaSource::Link(link) => put(&mut wire, "link", Some(link)),
        MediaSource::Uploaded(id) => put(&mut wire, "id", Some(id)),
        MediaSource::Bytes { .. } => return Err(NotUploaded),
    }
    put(&mut wire, "caption", media.caption.as_deref());
    let kind = match media.kind {
        MediaKind::Image => "image",
        MediaKind::Video => "video",
        MediaKind::Audio => "audio",
        MediaKind::Voice => {
            wire.insert("voice".to_owned(), true.into());
            "audio"
        }
        MediaKind::Document => {
            put(&mut wire, "filename", media.filename.as_deref());
            "document"
        }
        MediaKind::Sticker => "sticker",
    };
    Ok((kind, wire.into()))
}

fn interactive(kind: &str, body: &str, footer: Option<&str>, action: Value) -> Value {
    let mut wire = json!({ "type": kind, "body": { "text": body }, "action": action });
    if let Some(footer) = footer.filter(|footer| !footer.is_empty()) {
        wire["footer"] = json!({ "text": footer });
    }
    wire
}

fn button(choice: &Choice) -> Value {
    json!({ "type": "reply", "reply": { "id": choice.id, "title": choice.title } })
}

fn section(section: &Section) -> Value {
    let rows: Vec<Value> = section.rows.iter().map(row).collect();
    let mut wire = Map::from_iter([("rows".to_owned(), rows.into())]);
    put(&mut wire, "title", Some(&section.title));
    wire.into()
}

fn row(row: &Row) -> Value {
    let mut wire = Map::new();
    put(&mut wire, "id", Some(&row.id));
    put(&mut wire, "title", Some(&row.title));
    put(&mut wire, "description", row.description.as_deref());
    wire.into()
}

/// Sets `key`, unless there is nothing to say.
fn put(wire: &mut Map<String, Value>, key: &str, value: Option<&str>) {
    if let Some(value) = value.filter(|value| !value.is_empty()) {
        wire.insert(key.to_owned(), value.into());
    }
}
