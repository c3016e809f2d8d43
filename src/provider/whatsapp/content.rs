//! What an inbound message says: its `type`, and the object of that name beside it.

use serde_json::Value;

use crate::message::MessageId;
use crate::message::content::{ContactCard, Content, MediaKind, MediaRef, OrderItem};
use crate::message::json;
use crate::provider::lenient::{Object, is_within};
use crate::provider::vcard;

/// How many levels of the upstream's own JSON a message may carry on.
const DEEPEST: usize = 64;

/// The parts of a postal address, as people write them.
const ADDRESS: [&str; 5] = ["street", "zip", "city", "state", "country"];

/// What `message` says; none if it lacks what its type needs and no error explains why.
///
/// `around` are the error codes that stand beside the message, where its own should be.
pub(crate) fn read(message: Object<'_>, around: &[i64]) -> Option<Content> {
    let kind = message.text("type")?;
    let mut codes = codes(message);
    codes.extend(around);
    codes.dedup();
    let content = match kind.as_str() {
        "text" => message.object("text").and_then(|text| text.text("body")).map(Content::text),
        "image" => media(message, &kind, MediaKind::Image),
        "video" => media(message, &kind, MediaKind::Video),
        "audio" => media(message, &kind, MediaKind::Audio),
        "voice" => media(message, &kind, MediaKind::Voice).or_else(|| media(message, "audio", MediaKind::Voice)),
        "document" => media(message, &kind, MediaKind::Document),
        "sticker" => media(message, &kind, MediaKind::Sticker),
        "location" => location(message),
        "contacts" => message.get("contacts").is_some_and(Value::is_array).then(|| contacts(message)),
        "interactive" => interactive(message),
        "button" => {
            message.object("button").and_then(|button| choice(button.text("payload"), button.text("text"), None))
        }
        "reaction" => reaction(message),
        "order" => message.object("order").and_then(|wire| order(wire).or_else(|| unknown(&kind, message))),
        "system" => message.object("system").map(system),
        "edit" => edit(message),
        "revoke" => original(message, "revoke").map(|message| Content::Revoke { message }),
        "request_welcome" => Some(Content::Welcome),
        "unsupported" => {
            let what = message.object("unsupported").and_then(|wire| wire.text("type"));
            return Some(Content::Unsupported { what, codes });
        }
        _ if codes.is_empty() => unknown(&kind, message),
        _ => None,
    };
    content.or_else(|| (!codes.is_empty()).then_some(Content::Unsupported { what: Some(kind), codes }))
}

/// The codes of an object's `errors`.
pub(crate) fn codes(object: Object<'_>) -> Vec<i64> {
    object.objects("errors").filter_map(|error| error.int("code")).collect()
}

fn media(message: Object<'_>, name: &str, kind: MediaKind) -> Option<Content> {
    let wire = message.object(name)?;
    let (id, url) = (wire.text("id"), wire.text("url"));
    if id.is_none() && url.is_none() {
        return None;
    }
    Some(Content::Media(MediaRef {
        kind: if wire.flag("voice") { MediaKind::Voice } else { kind },
        id,
        url,
        mime: wire.text("mime_type"),
        sha256: wire.text("sha256"),
        caption: wire.text("caption"),
        filename: wire.text("filename"),
        size: wire.int("file_size").and_then(|size| u64::try_from(size).ok()),
        transcript: None,
    }))
}

fn location(message: Object<'_>) -> Option<Content> {
    let wire = message.object("location")?;
    Some(Content::Location {
        latitude: wire.float("latitude")?,
        longitude: wire.float("longitude")?,
        name: wire.text("name"),
        address: wire.text("address"),
        url: wire.text("url"),
    })
}

fn contacts(message: Object<'_>) -> Content {
    let card = |wire: Object<'_>| {
        let name = wire.object("name").and_then(|name| {
            let parts = || [name.text("first_name"), name.text("last_name")].into_iter().flatten().collect::<Vec<_>>();
            name.text("formatted_name").or_else(|| Some(parts().join(" ")).filter(|name| !name.is_empty()))
        });
        let card = ContactCard {
            name,
            phones: wire.objects("phones").filter_map(|phone| phone.text("phone").or(phone.text("wa_id"))).collect(),
            emails: wire.objects("emails").filter_map(|email| email.text("email")).collect(),
            organisation: wire.object("org").and_then(|org| joined(org, &["company", "department"])),
            title: wire.object("org").and_then(|org| org.text("title")),
            addresses: wire.objects("addresses").filter_map(|address| joined(address, &ADDRESS)).collect(),
            urls: wire.objects("urls").filter_map(|url| url.text("url")).collect(),
        };
        match wire.text("vcard") {
            Some(whole) if card == ContactCard::default() => vcard::read(&whole),
            _ => card,
        }
    };
    Content::Contacts { cards: message.objects("contacts").map(card).collect() }
}

/// What stands under `keys`, in their order, as one text.
fn joined(wire: Object<'_>, keys: &[&str]) -> Option<String> {
    let parts: Vec<_> = keys.iter().filter_map(|key| wire.text(key)).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn interactive(message: Object<'_>) -> Option<Content> {
    let wire = message.object("interactive")?;
    let kind = wire.text("type")?;
    match kind.as_str() {
        "button_reply" | "list_reply" => {
            let chosen = wire.object(&kind)?;
            choice(chosen.text("id"), chosen.text("title"), chosen.text("description"))
        }
        "nfm_reply" => wire.object(&kind).map(form),
        _ => unknown(&kind, message),
    }
}

/// An option that says nothing but has an identifier is known by that, and the other way round.
fn choice(id: Option<String>, title: Option<String>, description: Option<String>) -> Option<Content> {
    let id = id.or_else(|| title.clone())?;
    Some(Content::Choice { title: title.unwrap_or_else(|| id.clone()), id, written: None, description })
}

/// The answers come as JSON inside a string. What cannot be read stays that string.
fn form(wire: Object<'_>) -> Content {
    let answers = match wire.get("response_json") {
        Some(Value::String(json)) => {
            let read = json::from_str(json).ok().filter(|answers| is_within(answers, DEEPEST));
            read.unwrap_or_else(|| Value::String(json.clone()))
        }
        Some(read) if is_within(read, DEEPEST) => read.clone(),
        _ => Value::Null,
    };
    Content::Form { name: wire.text("name"), answers, text: wire.text("body") }
}

fn reaction(message: Object<'_>) -> Option<Content> {
    let wire = message.object("reaction")?;
    Some(Content::Reaction { message: MessageId::new(wire.text("message_id")?), emoji: wire.text("emoji") })
}

/// None if a line of it cannot be read: an order with a line missing would be another order.
fn order(wire: Object<'_>) -> Option<Content> {
    let item = |line: &Value| {
        let line = Object(line.as_object()?);
        Some(OrderItem {
            product: line.text("product_retailer_id")?,
            quantity: line.float("quantity")?,
            price: line.float("item_price"),
            currency: line.text("currency"),
        })
    };
    Some(Content::Order {
        catalog: wire.text("catalog_id"),
        text: wire.text("text"),
        items: wire.list("product_items").map(item).collect::<Option<_>>()?,
    })
}

fn system(wire: Object<'_>) -> Content {
    Content::System { event: wire.text("type").unwrap_or_else(|| "system".to_owned()), body: wire.text("body") }
}

fn edit(message: Object<'_>) -> Option<Content> {
    let content = read(message.object("edit")?.object("message")?, &[])?;
    Some(Content::Edit { message: original(message, "edit")?, content: Box::new(content) })
}

fn original(message: Object<'_>, name: &str) -> Option<MessageId> {
    message.object(name)?.text("original_message_id").map(MessageId::new)
}

fn unknown(what: &str, message: Object<'_>) -> Option<Content> {
    let raw = Value::Object(message.0.clone());
    is_within(&raw, DEEPEST).then(|| Content::Unknown { what: what.to_owned(), raw })
}
