//! The webhooks that Linq sends: what a customer does, and how the bot's messages fare. In the form of 2026-02-03, or
//! in that of 2025-01-01 if the address of the webhook asks for it with `?version=2025-01-01`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value, json};
use sha2::Sha256;

use super::files::FETCH_WITHIN;
use super::send::opted_out;
use super::{names, reaction};
use crate::message::clock::Timestamp;
use crate::sandbox::Sandbox;
use crate::sandbox::draft::Says;
use crate::sandbox::phone::{Body, Customer, Source};
use crate::sandbox::upstream::{Echoed, News, Written};

const NEWER: &str = "2026-02-03";
const OLDER: &str = "2025-01-01";

/// What a customer did.
pub(super) fn message(sandbox: &Sandbox, written: &Written<'_>) -> Value {
    let Written { customer, id, draft, at, .. } = *written;
    if let Some((to, emoji)) = draft.reaction_to() {
        let kind = if emoji.is_empty() { "reaction.removed" } else { "reaction.added" };
        // Which one was taken off is no longer known here, and one of iMessage's own is the likeliest.
        let (name, custom) = if emoji.is_empty() { ("like", None) } else { reaction::named(emoji) };
        let data = json!({
            "chat_id": names::chat_of(customer),
            "message_id": to.as_str(),
            "part_index": 0,
            "reaction_type": name,
            "custom_emoji": reaction::custom(custom),
            "from": names::handle(customer),
            "from_handle": handle(customer),
            "is_from_me": false,
            "reacted_at": moment(at),
            "service": "iMessage",
            "sticker": null,
        });
        return envelope(sandbox, kind, id.as_str(), data);
    }
    let parts = says(sandbox, &draft.says);
    let reply_to = draft.quotes.as_ref().map(|quoted| json!({ "message_id": quoted.as_str(), "part_index": 0 }));
    let data = if is_older(sandbox) {
        let mut data = older(sandbox, customer, false, json!({ "id": id.as_str(), "parts": parts }));
        data["received_at"] = moment(at);
        data["message"]["reply_to"] = json!(reply_to);
        data
    } else {
        let mut data = newer(sandbox, customer, "inbound", parts);
        data["id"] = json!(id.as_str());
        data["sender_handle"] = handle(customer);
        data["reply_to"] = json!(reply_to);
        data["sent_at"] = moment(at);
        data
    };
    envelope(sandbox, "message.received", id.as_str(), data)
}

/// A message that somebody has written from our side with another client of Linq's: it goes by no key of the bot's.
pub(super) fn echo(sandbox: &Sandbox, echoed: &Echoed<'_>) -> Value {
    let Echoed { customer, id, words, at } = *echoed;
    let parts = json!([{ "type": "text", "value": words, "reactions": null }]);
    let data = if is_older(sandbox) {
        older(sandbox, customer, true, json!({ "id": id.as_str(), "parts": parts, "sent_at": moment(at) }))
    } else {
        let mut data = newer(sandbox, customer, "outbound", Vec::new());
        data["id"] = json!(id.as_str());
        data["parts"] = parts;
        data["sender_handle"] = owner(sandbox);
        data["sent_at"] = moment(at);
        data
    };
    envelope(sandbox, "message.sent", &format!("{} sent", id.as_str()), data)
}

/// How a message of the bot's fares.
pub(super) fn status(sandbox: &Sandbox, news: &News<'_>) -> Value {
    let id = news.id.as_str();
    let event = format!("{id} {}", news.status);
    if let Some(code) = news.error {
        let data = json!({
            "chat_id": names::chat_of(news.customer),
            "message_id": id,
            "code": code,
            "reason": "The message could not be delivered",
            "failed_at": moment(news.at),
        });
        return envelope(sandbox, "message.failed", &event, data);
    }
    let ours = sandbox.phone.message(news.id);
    let parts = ours.as_ref().map(|message| parts_of(sandbox, &message.body)).unwrap_or_default();
    let sent = ours.map_or(news.at, |message| message.at);
    let reached = |stages: &[&str]| if stages.contains(&news.status) { moment(news.at) } else { Value::Null };
    let times = [
        ("sent_at", moment(sent)),
        ("delivered_at", reached(&["delivered", "read"])),
        ("read_at", reached(&["read"])),
        ("idempotency_key", json!(news.key)),
    ];
    let mut data = if is_older(sandbox) {
        older(sandbox, news.customer, true, json!({ "id": id, "parts": parts }))
    } else {
        let mut data = newer(sandbox, news.customer, "outbound", parts);
        data["id"] = json!(id);
        data["sender_handle"] = owner(sandbox);
        data
    };
    let place = if is_older(sandbox) { &mut data["message"] } else { &mut data };
    times.into_iter().for_each(|(key, value)| place[key] = value);
    envelope(sandbox, &format!("message.{}", news.status), &event, data)
}

/// The headers of a webhook with this body that leaves now: the delivery's own, and the deprecated ones.
pub(super) fn headers(sandbox: &Sandbox, body: &[u8]) -> Vec<(String, String)> {
    let envelope: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |key: &str| envelope[key].as_str().map(str::to_owned);
    let id = text("event_id").unwrap_or_else(|| sandbox.ids.uuid());
    let timestamp = (sandbox.clock.now().0 / 1000).to_string();
    let key = sandbox.settings.app_secret.as_bytes();
    let tag = sha256(key, &[id.as_bytes(), b".", timestamp.as_bytes(), b".", body]);
    // The older one takes the secret as it is written for its key.
    let written = signing_secret(&sandbox.settings.app_secret);
    let older = sha256(written.as_bytes(), &[timestamp.as_bytes(), b".", body]);
    let headers = [
        ("webhook-id", id),
        ("webhook-timestamp", timestamp.clone()),
        ("webhook-signature", format!("v1,{}", STANDARD.encode(tag))),
        ("x-webhook-event", text("event_type").unwrap_or_default()),
        ("x-webhook-subscription-id", names::uuid_of("subscription")),
        ("x-webhook-timestamp", timestamp),
        ("x-webhook-signature", hex::encode(older)),
    ];
    headers.map(|(name, value)| (name.to_owned(), value)).to_vec()
}

/// A subscription's secret as Linq shows it.
pub(in crate::sandbox) fn signing_secret(secret: &str) -> String {
    format!("whsec_{}", STANDARD.encode(secret))
}

pub(super) fn sha256(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

fn is_older(sandbox: &Sandbox) -> bool {
    let query = sandbox.settings.webhook_url.split_once('?').map_or("", |(_, query)| query);
    query.split('&').any(|pair| pair == "version=2025-01-01")
}

/// One event. `about` tells it from all others, so that it keeps its identifier however often it is delivered.
fn envelope(sandbox: &Sandbox, kind: &str, about: &str, data: Value) -> Value {
    json!({
        "api_version": "v3",
        "webhook_version": if is_older(sandbox) { OLDER } else { NEWER },
        "event_type": kind,
        "event_id": names::uuid_of(&format!("{kind} {about}")),
        "created_at": moment(sandbox.clock.now()),
        "trace_id": names::uuid_of(&sandbox.ids.token()).replace('-', ""),
        "partner_id": sandbox.settings.account_id,
        "data": data,
    })
}

fn newer(sandbox: &Sandbox, customer: &Customer, direction: &str, parts: Vec<Value>) -> Value {
    let opted_out = opted_out(sandbox, customer);
    json!({
        "direction": direction,
        "service": "iMessage",
        "preferred_service": null,
        "chat": {
            "id": names::chat_of(customer),
            "is_group": customer.group.is_some(),
            "owner_handle": owner(sandbox),
            "health_status": {
                "status": if opted_out.is_some() { "OPTED_OUT" } else { "HEALTHY" },
                "doc_url": "https://docs.linqapp.com/guides/chats/chat-health/",
                "updated_at": moment(opted_out.unwrap_or(sandbox.phone.started())),
            },
        },
        "parts": parts,
        "effect": null,
        "reply_to": null,
        "sent_at": null,
        "delivered_at": null,
        "read_at": null,
        "idempotency_key": null,
    })
}

fn older(sandbox: &Sandbox, customer: &Customer, from_me: bool, message: Value) -> Value {
    let (line, person) = (format!("+{}", sandbox.settings.display_phone_number), names::handle(customer));
    let (from, to) = if from_me { (line, person) } else { (person, line) };
    json!({
        "chat_id": names::chat_of(customer),
        "from": from,
        "recipient_phone": to,
        "is_from_me": from_me,
        "is_group": customer.group.is_some(),
        "service": "iMessage",
        "message": message,
    })
}

/// The bot's own line.
pub(super) fn owner(sandbox: &Sandbox) -> Value {
    let line = format!("+{}", sandbox.settings.display_phone_number);
    json!({ "id": names::uuid_of(&line), "handle": line, "is_me": true, "service": "iMessage", "status": "active" })
}

fn handle(customer: &Customer) -> Value {
    let handle = names::handle(customer);
    json!({ "id": names::uuid_of(&handle), "handle": handle, "is_me": false, "service": "iMessage", "status": "active" })
}

/// What a customer says, in parts. What Linq has no part for goes as words.
fn says(sandbox: &Sandbox, says: &Says) -> Vec<Value> {
    let text = |words: &str| json!({ "type": "text", "value": words });
    match says {
        Says::Text(words) => vec![text(words)],
        Says::Media { mime, data, caption, medium, .. } => {
            let ending = mime.split(['/', ';']).nth(1).unwrap_or("bin");
            let part = media(sandbox, medium, mime, &format!("attachment.{ending}"), data.len());
            std::iter::once(part).chain(caption.as_deref().map(text)).collect()
        }
        Says::Location { latitude, longitude, name, .. } => {
            let map = format!("https://maps.apple.com/?ll={latitude},{longitude}");
            vec![text(&name.as_ref().map_or(map.clone(), |name| format!("{name}\n{map}")))]
        }
        Says::Choice { choice, .. } => vec![text(&choice.title)],
        Says::Reaction { emoji, .. } => vec![text(emoji)],
        Says::Raw { kind, object } => {
            let mut part = object.as_object().cloned().unwrap_or_else(Map::new);
            part.insert("type".to_owned(), json!(kind));
            vec![part.into()]
        }
    }
}

fn media(sandbox: &Sandbox, medium: &str, mime: &str, filename: &str, size: usize) -> Value {
    let ticket = sandbox.ids.token();
    sandbox.media.issue_until(ticket.clone(), medium, sandbox.clock.now().plus(FETCH_WITHIN));
    json!({
        "type": "media",
        "id": names::attachment(medium),
        "url": format!("{}/files/{ticket}", sandbox.settings.api_url),
        "filename": filename,
        "mime_type": mime,
        "size_bytes": size,
    })
}

/// What stands on the phone, in parts again.
pub(super) fn parts_of(sandbox: &Sandbox, body: &Body) -> Vec<Value> {
    let text = |words: &str| json!({ "type": "text", "value": words, "reactions": null });
    match body {
        Body::Media { source, caption, .. } => {
            let part = match source {
                Source::Stored(medium) => {
                    let kept = sandbox.media.get(medium, sandbox.clock.now());
                    let (mime, size) = kept.map_or((String::new(), 0), |kept| (kept.mime, kept.data.len()));
                    media(sandbox, medium, &mime, "attachment", size)
                }
                Source::Link(url) => json!({ "type": "media", "id": names::uuid_of(url), "url": url }),
            };
            std::iter::once(part).chain(caption.as_deref().map(text)).collect()
        }
        other => vec![text(other.words())],
    }
}

/// A time as Linq writes it.
pub(super) fn moment(at: Timestamp) -> Value {
    let millisecond = i64::try_from(at.0).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millisecond).map_or(Value::Null, |time| json!(time.to_string()))
}
