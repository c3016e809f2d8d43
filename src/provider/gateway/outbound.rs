//! What one part of a reply looks like on the gateway's wire (its OpenAPI file: `SendRequest` and the reaction calls).

use serde_json::{Map, Value, json};

use super::media;
use crate::message::reply::{Media, MediaSource};
use crate::message::{Address, ChatId, ContactId, MediaKind, MessageId, MessageRef, Part, Payload};
use crate::provider::{ErrorCode, ProviderError};

/// The call that says one part.
pub(super) enum GatewaySend {
    /// To where messages are sent.
    Message(Value),
    /// To a message: sets an emoji on it.
    Reaction(MessageId, Value),
    /// To a message: takes the emoji away.
    NoReaction(MessageId, Value),
}

/// Where a person is written to who has not written: by phone number, or by the name of the chat.
pub(super) fn address(contact: &str) -> Option<Address> {
    let contact = contact.trim();
    let digits: String = contact.chars().filter(|c| !c.is_whitespace() && !"+-()./".contains(*c)).collect();
    let is_number = (7..=15).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit());
    let name = match contact.split_once('@') {
        None if is_number => format!("{digits}@{PERSON}"),
        Some((user, PERSON | "lid")) if !user.is_empty() => contact.to_owned(),
        _ => return None,
    };
    let phone = name.strip_suffix(PERSON).and_then(|user| user.strip_suffix('@')).map(ContactId::new);
    Some(Address { chat: ChatId::new(name.as_str()), group: false, sender: ContactId::new(name), phone })
}

/// What stands behind the number of a person.
const PERSON: &str = "s.whatsapp.net";

/// What says `part` in answer to `to`.
pub(super) fn said(to: &MessageRef, part: &Part) -> Result<GatewaySend, ProviderError> {
    let mut body = match &part.payload {
        Payload::Text { body } => json!({ "type": "text", "text": body }),
        Payload::Media(media) => medium(media)?,
        Payload::Location { latitude, longitude, name, address } => {
            let label: Vec<&str> = [name, address].into_iter().flatten().map(String::as_str).collect();
            let mut body = json!({ "type": "location", "latitude": latitude, "longitude": longitude });
            // There is one field for what is written under the pin.
            if !label.is_empty() {
                body["name"] = label.join(", ").into();
            }
            body
        }
        Payload::Reaction { message, emoji } => return Ok(reaction(to, message.as_ref(), emoji)),
        Payload::Buttons { .. } | Payload::List { .. } => return Err(unsupported("no buttons and no lists")),
        Payload::ApprovedTemplate { .. } => return Err(unsupported("no approved templates")),
    };
    body["to"] = to.chat.as_str().into();
    // A place takes no quote.
    if part.quote && !matches!(part.payload, Payload::Location { .. }) {
        body["replyTo"] = to.message.as_str().into();
    }
    Ok(GatewaySend::Message(body))
}

/// The message is the customer's, whichever it is: its author is the one who is answered.
fn reaction(to: &MessageRef, message: Option<&MessageId>, emoji: &str) -> GatewaySend {
    let message = message.unwrap_or(&to.message).clone();
    let mut body = json!({ "chat": to.chat.as_str(), "sender": to.sender.as_str() });
    if emoji.is_empty() {
        return GatewaySend::NoReaction(message, body);
    }
    body["emoji"] = emoji.into();
    GatewaySend::Reaction(message, body)
}

fn medium(media: &Media) -> Result<Value, ProviderError> {
    let mut wire = match &media.source {
        MediaSource::Link(link) => json!({ "url": link }),
        MediaSource::Uploaded(name) => {
            let (mime, data) = media::from_name(name).ok_or(rejected("the medium is not one of this bot's"))?;
            json!({ "data": data, "mimetype": mime })
        }
        MediaSource::Bytes { .. } => return Err(rejected("the medium has to be uploaded first")),
    };
    put(&mut wire, "caption", media.caption.as_deref());
    let kind = match media.kind {
        MediaKind::Image => "image",
        MediaKind::Video => "video",
        // The gateway has one type for all sounds.
        MediaKind::Audio | MediaKind::Voice => "audio",
        MediaKind::Document => {
            put(&mut wire, "filename", media.filename.as_deref());
            "document"
        }
        MediaKind::Sticker => "sticker",
    };
    Ok(Map::from_iter([("type".to_owned(), kind.into()), ("media".to_owned(), wire)]).into())
}

fn put(wire: &mut Value, key: &str, value: Option<&str>) {
    if let Some(value) = value.filter(|value| !value.is_empty()) {
        wire[key] = value.into();
    }
}

fn rejected(what: &'static str) -> ProviderError {
    ProviderError::Rejected { code: ErrorCode::Local(what) }
}

fn unsupported(what: &'static str) -> ProviderError {
    ProviderError::Unsupported { code: ErrorCode::Local(what) }
}
