//! The webhooks that the gateway sends: one event each, in an envelope.

use bytes::Bytes;
use serde_json::{Value, json};

use super::address;
use crate::message::clock::Timestamp;
use crate::sandbox::Sandbox;
use crate::sandbox::draft::Says;
use crate::sandbox::phone::Side;
use crate::sandbox::upstream::{Echoed, News, Written};

/// A customer's message.
pub(super) fn message(sandbox: &Sandbox, written: &Written<'_>) -> Bytes {
    let Written { customer, id, draft, quoted_from, at } = *written;
    let (event, mut payload) = says(&draft.says);
    payload["waMessageId"] = json!(id.as_str());
    payload["chatJid"] = json!(address::of_chat(customer));
    if !customer.hides_phone {
        payload["senderJid"] = json!(address::of_number(customer.id.as_str()));
    }
    if customer.hides_phone || customer.group.is_some() {
        payload["senderLid"] = json!(address::hidden(customer));
    }
    payload["fromMe"] = json!(false);
    payload["timestamp"] = seconds(at);
    payload["pushName"] = json!(customer.name);
    if let Some(quoted) = &draft.quotes {
        payload["quotedMessageId"] = json!(quoted.as_str());
        match quoted_from {
            Some(Side::Bot | Side::Person) => {
                payload["quotedFromMe"] = json!(true);
                payload["quotedSenderJid"] = json!(address::of_number(&sandbox.settings.display_phone_number));
            }
            Some(Side::Customer) if customer.hides_phone => {
                payload["quotedSenderLid"] = json!(address::hidden(customer));
            }
            Some(Side::Customer) => payload["quotedSenderJid"] = json!(address::of(customer)),
            None => {}
        }
        let words = sandbox.phone.message(quoted).map(|quoted| quoted.body.words().to_owned());
        if let Some(words) = words.filter(|words| !words.is_empty()) {
            payload["quotedBody"] = json!(words);
        }
    }
    envelope(sandbox, event, &payload)
}

/// A message from the session's own number: the gateway does not say whether its own calls have sent it.
pub(super) fn echo(sandbox: &Sandbox, echoed: &Echoed<'_>) -> Bytes {
    let (_, mut payload) = says(&Says::Text(echoed.words.to_owned()));
    payload["waMessageId"] = json!(echoed.id.as_str());
    payload["chatJid"] = json!(address::of_chat(echoed.customer));
    payload["senderJid"] = json!(address::of_number(&sandbox.settings.display_phone_number));
    payload["fromMe"] = json!(true);
    payload["timestamp"] = seconds(echoed.at);
    envelope(sandbox, "message.from_me", &payload)
}

/// A receipt for a message of the bot's, or the gateway's own word of it.
pub(super) fn status(sandbox: &Sandbox, news: &News<'_>) -> Bytes {
    let customer = news.customer;
    let mut payload = json!({
        "chatJid": address::of_chat(customer),
        "messageIds": [news.id.as_str()],
        "status": news.status,
        "timestamp": seconds(news.at),
    });
    // Only what comes from a phone has a sender.
    if matches!(news.status, "delivered" | "read") && !customer.hides_phone {
        payload["senderJid"] = json!(address::of_number(customer.id.as_str()));
    }
    envelope(sandbox, "message.status", &payload)
}

/// The id of the event that a body carries.
pub(super) fn event_id(body: &[u8]) -> Option<String> {
    serde_json::from_slice::<Value>(body).ok()?["id"].as_str().map(str::to_owned)
}

fn envelope(sandbox: &Sandbox, event: &str, payload: &Value) -> Bytes {
    let event = json!({
        "schema": "v1",
        "id": format!("evt_01J0{:0>22}", sandbox.ids.token().to_uppercase()),
        "event": event,
        "session": sandbox.settings.account_id,
        "organization": "org_sandbox",
        "timestamp": sandbox.clock.now().0,
        "payload": payload,
    });
    to_wire(&event)
}

/// The event of a message, and its payload but for what all of them have. What is empty is left out, but for `media`,
/// which is always there and never anything.
fn says(says: &Says) -> (&'static str, Value) {
    let empty = |kind: &str, media: bool| json!({ "type": kind, "hasMedia": media, "media": null });
    let mut event = "message";
    let payload = match says {
        Says::Text(body) => {
            let mut payload = empty("text", false);
            payload["body"] = json!(body);
            payload
        }
        Says::Media { kind, caption, .. } => {
            // The gateway does not tell a voice note from a song.
            let mut payload = empty(if *kind == "voice" { "audio" } else { kind }, true);
            if let Some(caption) = caption {
                payload["body"] = json!(caption);
            }
            payload
        }
        Says::Location { latitude, longitude, name, address } => {
            let mut payload = empty("location", false);
            payload["location"] = json!({ "latitude": latitude, "longitude": longitude });
            for (key, value) in [("name", name), ("address", address)] {
                if let Some(value) = value {
                    payload["location"][key] = json!(value);
                }
            }
            payload
        }
        // A phone that is shown no buttons writes what it would have tapped.
        Says::Choice { choice, .. } => {
            let mut payload = empty("text", false);
            payload["body"] = json!(choice.title);
            payload
        }
        Says::Reaction { to, emoji } => {
            event = "message.reaction";
            let mut payload = empty("reaction", false);
            payload["targetId"] = json!(to.as_str());
            payload["reaction"] = json!(emoji);
            payload
        }
        Says::Raw { kind, object } => {
            let mut payload = empty(kind, false);
            payload[kind.as_str()] = object.clone();
            payload
        }
    };
    (event, payload)
}

/// WhatsApp counts whole seconds; the gateway writes them as milliseconds.
fn seconds(at: Timestamp) -> Value {
    json!(at.0 / 1000 * 1000)
}

/// JSON as Go writes it: three characters of HTML's and two line ends of Unicode's are escaped.
fn to_wire(value: &Value) -> Bytes {
    let plain = value.to_string();
    let mut wire = String::with_capacity(plain.len() + 16);
    for character in plain.chars() {
        match character {
            // JSON has them inside strings alone, so a replacement anywhere is one inside a string.
            '<' => wire.push_str("\\u003c"),
            '>' => wire.push_str("\\u003e"),
            '&' => wire.push_str("\\u0026"),
            '\u{2028}' => wire.push_str("\\u2028"),
            '\u{2029}' => wire.push_str("\\u2029"),
            other => wire.push(other),
        }
    }
    Bytes::from(wire)
}
