//! What a message says. WAHA's payload has no type of its own: what there is tells, and where the engine's word for it
//! came along (`_data.type` of the web client), that too.

use serde_json::{Map, Value};

use crate::message::content::{Content, MediaKind, MediaRef};
use crate::provider::lenient::{Object, is_within};
use crate::provider::vcard;

/// How many levels of the engine's JSON a message may carry on.
const DEEPEST: usize = 64;

/// The web client's words for what nobody has said: notices, calls, and messages whose key has yet to come, which come
/// again under the same name.
const UNSAID: [&str; 12] = [
    "broadcast_notification",
    "call_log",
    "ciphertext",
    "debug",
    "e2e_notification",
    "gp2",
    "newsletter_notification",
    "notification",
    "notification_template",
    "pinned_message",
    "protocol",
    "revoked",
];

/// What `payload` says. The inner none is something that nobody has said.
pub(super) fn read(payload: Object<'_>) -> Option<Option<Content>> {
    let unsaid = word(payload).is_some_and(|word| UNSAID.contains(&&*word));
    if unsaid { Some(None) } else { said(payload).map(Some) }
}

/// What `payload` says, where it is certain that somebody has said it.
pub(super) fn said(payload: Object<'_>) -> Option<Content> {
    let word = word(payload);
    location(payload)
        .or_else(|| contacts(payload))
        .or_else(|| poll(payload))
        .or_else(|| media(payload, word.as_deref()))
        .or_else(|| payload.text("body").map(Content::text))
        .or_else(|| unknown(payload, word))
}

/// The engine's word for what it is.
fn word(payload: Object<'_>) -> Option<String> {
    payload.text("type").or_else(|| payload.object("_data")?.text("type"))
}

/// Comes first: the body beside it is a small picture of the map.
fn location(payload: Object<'_>) -> Option<Content> {
    let wire = payload.object("location")?;
    Some(Content::Location {
        latitude: wire.float("latitude")?,
        longitude: wire.float("longitude")?,
        name: wire.text("name").or_else(|| wire.text("description")),
        address: wire.text("address"),
        url: wire.text("url"),
    })
}

fn contacts(payload: Object<'_>) -> Option<Content> {
    let cards: Vec<_> = payload.list("vCards").filter_map(Value::as_str).map(vcard::read).collect();
    (!cards.is_empty()).then_some(Content::Contacts { cards })
}

/// A poll: as the web client has it, as the protocol has it (NOWEB's and GOWS's), or beside the words.
fn poll(payload: Object<'_>) -> Option<Content> {
    const CREATED: [&str; 4] =
        ["pollCreationMessage", "pollCreationMessageV2", "pollCreationMessageV3", "pollCreationMessageV5"];
    let data = payload.object("_data");
    let engines = ["message", "Message"].into_iter().filter_map(|key| data?.object(key));
    let created = engines.flat_map(|message| CREATED.iter().filter_map(move |key| message.object(key)));
    let mut found = created.chain(payload.object("poll")).chain(data).filter_map(|wire| {
        let options =
            ["pollOptions", "options"].map(|key| wire.options(key)).into_iter().find(|all| !all.is_empty())?;
        let counts = ["selectableOptionsCount", "pollSelectableOptionsCount", "selectableCount"];
        let selectable = counts.iter().find_map(|key| wire.int(key)).and_then(|most| u32::try_from(most).ok());
        let question = wire.text("pollName").or_else(|| wire.text("name")).or_else(|| payload.text("body"));
        Some(Content::Poll { question, options, selectable: selectable.filter(|most| *most > 0) })
    });
    found.next()
}

/// A medium, even one that has no address because nobody fetched it from WhatsApp.
fn media(payload: Object<'_>, word: Option<&str>) -> Option<Content> {
    let wire = payload.object("media").filter(|wire| wire.get("url").or(wire.get("mimetype")).is_some());
    if !payload.flag("hasMedia") && wire.is_none() {
        return None;
    }
    let text = |key: &str| wire.and_then(|wire| wire.text(key));
    let mime = text("mimetype");
    let kind = kind(word, mime.as_deref());
    Some(Content::Media(MediaRef {
        url: text("url"),
        mime,
        caption: payload.text("body"),
        filename: text("filename"),
        size: wire.and_then(|wire| u64::try_from(wire.int("filesize")?).ok()),
        ..MediaRef::of(kind)
    }))
}

/// By the engine's word, else by the MIME type: WhatsApp has stickers in WebP and voice notes in Opus alone.
fn kind(word: Option<&str>, mime: Option<&str>) -> MediaKind {
    match word {
        Some("image") => return MediaKind::Image,
        Some("video" | "ptv" | "gif") => return MediaKind::Video,
        Some("audio") => return MediaKind::Audio,
        Some("ptt" | "voice") => return MediaKind::Voice,
        Some("sticker") => return MediaKind::Sticker,
        Some("document") => return MediaKind::Document,
        _ => {}
    }
    let mime = mime.unwrap_or_default().to_ascii_lowercase();
    match mime.split('/').next() {
        Some("image") if mime.starts_with("image/webp") => MediaKind::Sticker,
        Some("image") => MediaKind::Image,
        Some("video") => MediaKind::Video,
        Some("audio") if mime.contains("opus") => MediaKind::Voice,
        Some("audio") => MediaKind::Audio,
        _ => MediaKind::Document,
    }
}

fn unknown(payload: Object<'_>, word: Option<String>) -> Option<Content> {
    // What the engine keeps for itself is large, and changes with every release.
    let raw: Map<_, _> =
        payload.0.iter().filter(|(key, _)| *key != "_data").map(|(k, v)| (k.clone(), v.clone())).collect();
    let raw = Value::Object(raw);
    is_within(&raw, DEEPEST).then(|| Content::Unknown { what: word.unwrap_or_else(|| "message".to_owned()), raw })
}
