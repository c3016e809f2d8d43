//! The events that a session of WhatsApp Web gives off, in WAHA's envelope, which is Wawp's as well.

use bytes::Bytes;
use serde_json::{Value, json};

use super::names;
use crate::message::clock::Timestamp;
use crate::sandbox::Sandbox;
use crate::sandbox::draft::{Draft, Says};
use crate::sandbox::phone::Side;
use crate::sandbox::upstream::{Echoed, News, Written};

/// What the two say differently in an event.
pub(in crate::sandbox) struct Accent {
    /// The engine.
    pub(in crate::sandbox) engine: &'static str,
    /// The session's name.
    pub(in crate::sandbox) session: String,
    /// Whether a quoted message goes by its whole name.
    pub(in crate::sandbox) whole_names: bool,
}

/// What a customer did.
pub(in crate::sandbox) fn message(sandbox: &Sandbox, accent: &Accent, written: &Written<'_>) -> Bytes {
    let Written { customer, id, draft, at, .. } = *written;
    let (chat, person) = (names::chat(customer), names::person(customer));
    let participant = customer.group.as_ref().map(|_| person.clone());
    let mut payload = json!({
        "id": id.as_str(),
        "timestamp": at.0 / 1000,
        "from": chat,
        "fromMe": false,
        "source": "app",
        "to": me(sandbox),
        "participant": participant,
    });
    if let Some((to, emoji)) = draft.reaction_to() {
        // Reactions have a fraction of a second, and always say who.
        payload["timestamp"] = json!(at.0 as f64 / 1000.0);
        payload["participant"] = json!(person);
        payload["reaction"] = json!({ "text": emoji, "messageId": to.as_str() });
        return envelope(sandbox, accent, "message.reaction", payload, at);
    }
    let (kind, body, media) = says(sandbox, draft);
    let empty = json!({ "hasMedia": false, "ack": 1, "ackName": "SERVER", "location": null, "vCards": [] });
    merge(&mut payload, empty);
    payload["body"] = json!(body);
    payload["hasMedia"] = json!(media.is_some());
    payload["media"] = media.unwrap_or_default();
    payload["replyTo"] = quoted(sandbox, accent, written).unwrap_or_default();
    if let Says::Location { latitude, longitude, name, address } = &draft.says {
        let words: Vec<&str> = [name, address].into_iter().flatten().map(String::as_str).collect();
        payload["location"] = json!({
            "latitude": latitude.to_string(),
            "longitude": longitude.to_string(),
            "description": words.join("\n"),
        });
    }
    payload["_data"] = match accent.engine {
        "WEBJS" => {
            json!({ "type": kind, "notifyName": customer.name, "from": chat, "isForwarded": false, "links": {} })
        }
        _ => json!({ "Info": { "PushName": customer.name, "IsGroup": customer.group.is_some() }, "Message": {} }),
    };
    envelope(sandbox, accent, "message", payload, at)
}

/// A message that somebody wrote on the phone of the session. `message` tells of customers' messages alone.
pub(in crate::sandbox) fn echo(sandbox: &Sandbox, accent: &Accent, echoed: &Echoed<'_>) -> Bytes {
    let payload = json!({
        "id": echoed.id.as_str(),
        "timestamp": echoed.at.0 / 1000,
        "from": me(sandbox),
        "fromMe": true,
        "source": "app",
        "to": names::chat(echoed.customer),
        "body": echoed.words,
        "hasMedia": false,
    });
    envelope(sandbox, accent, "message.any", payload, echoed.at)
}

/// How far a message of the bot's has come. A group's members each tell for themselves.
pub(in crate::sandbox) fn status(sandbox: &Sandbox, accent: &Accent, news: &News<'_>) -> Option<Bytes> {
    let (ack, name) = match news.status {
        "sent" => (1, "SERVER"),
        "delivered" => (2, "DEVICE"),
        "read" => (3, "READ"),
        "failed" => (-1, "ERROR"),
        _ => return None,
    };
    let told_by_member = news.customer.group.is_some() && ack > 1;
    let participant = told_by_member.then(|| names::person(news.customer));
    let payload = json!({
        "id": news.id.as_str(),
        "from": names::chat(news.customer),
        "to": me(sandbox),
        "participant": participant,
        "fromMe": true,
        "ack": ack,
        "ackName": name,
    });
    let event = if told_by_member { "message.ack.group" } else { "message.ack" };
    Some(envelope(sandbox, accent, event, payload, news.at))
}

/// The engine's word for a message, its words, and its medium.
fn says(sandbox: &Sandbox, draft: &Draft) -> (String, Option<String>, Option<Value>) {
    match &draft.says {
        Says::Text(words) => ("chat".to_owned(), Some(words.clone()), None),
        Says::Media { kind, mime, caption, medium, .. } => {
            let kind = if *kind == "voice" { "ptt" } else { kind };
            let url = format!("{}/api/files/{medium}", sandbox.settings().api_url);
            let media = json!({ "url": url, "mimetype": mime, "filename": null, "s3": null, "error": null });
            (kind.to_owned(), caption.clone(), Some(media))
        }
        // A small picture of the map, as the web client has it.
        Says::Location { .. } => ("location".to_owned(), Some("/9j/4AAQSkZJRgABAQ==".to_owned()), None),
        // There are no buttons to tap here: whoever taps one has written its words.
        Says::Choice { choice, .. } => ("chat".to_owned(), Some(choice.title.clone()), None),
        Says::Reaction { emoji, .. } => ("reaction".to_owned(), Some(emoji.clone()), None),
        Says::Raw { kind, .. } => (kind.clone(), None, None),
    }
}

fn quoted(sandbox: &Sandbox, accent: &Accent, written: &Written<'_>) -> Option<Value> {
    let id = written.draft.quotes.as_ref()?;
    let by_bot = written.quoted_from != Some(Side::Customer);
    let participant = if by_bot { me(sandbox) } else { names::person(written.customer) };
    let words = sandbox.phone().message(id).map(|message| message.body.words().to_owned());
    let id = if accent.whole_names { id.as_str() } else { names::stanza_of(id) };
    Some(json!({ "id": id, "participant": participant, "body": words, "_data": {} }))
}

fn envelope(sandbox: &Sandbox, accent: &Accent, event: &str, payload: Value, at: Timestamp) -> Bytes {
    let body = json!({
        "id": format!("evt_{}", sandbox.ids.token()),
        "timestamp": at.0,
        "session": accent.session,
        "metadata": {},
        "engine": accent.engine,
        "event": event,
        "payload": payload,
        "me": { "id": me(sandbox), "lid": "100000000000001@lid", "pushName": sandbox.settings().bot_name },
        "environment": { "version": "2026.7.1", "engine": accent.engine, "tier": "PLUS" },
    });
    Bytes::from(body.to_string())
}

/// Our own name.
pub(in crate::sandbox) fn me(sandbox: &Sandbox) -> String {
    format!("{}@c.us", sandbox.settings().display_phone_number)
}

fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        into.extend(more);
    }
}
