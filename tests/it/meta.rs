//! Meta's Cloud API, from outside: webhooks in, calls out.

mod calls;
mod deliveries;
mod errors;
mod fixtures;
mod forged;
mod handshake;
mod hostile;
mod limits;
mod loopback;
mod media;
mod secrets;
mod signature;

use std::sync::Arc;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::SecretString;
use serde_json::json;
use sha2::Sha256;
use threedots::message::clock::{Clock, Timestamp};
use threedots::message::{BotName, ChatId, ContactId, MessageId, MessageRef};
use threedots::provider::meta::{Meta, MetaSettings};
use threedots::provider::{Events, Method, Provider, Received, WebhookError, WebhookRequest};
use threedots::runtime::http::Headers;

use crate::upstream::{self, Upstream};

const SECRET: &str = "test_app_secret";
const TOKEN: &str = "fictional-access-token";
const VERIFY_TOKEN: &str = "fictional verify+token";
pub(crate) const NUMBER: &str = "109900000000001";
const RECEIVED: Timestamp = Timestamp(1_767_225_700_000);

fn settings() -> MetaSettings {
    let secret = |text: &str| SecretString::from(text);
    MetaSettings::new(NUMBER, secret(TOKEN), secret(SECRET), secret(VERIFY_TOKEN))
}

/// A number that makes no calls.
fn meta() -> Meta {
    meta_on(settings(), Upstream::answering([]))
}

fn meta_on(settings: MetaSettings, upstream: Arc<Upstream>) -> Meta {
    Meta::new(BotName::new("bakery"), settings, upstream, Clock::System)
}

/// The header that Meta would send with `body`.
fn signature(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length will do");
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

fn post(body: &[u8], headers: Headers) -> WebhookRequest {
    let (query, body) = (String::new(), Bytes::copy_from_slice(body));
    WebhookRequest { method: Method::Post, query, headers, body, received: RECEIVED }
}

fn post_with(body: &[u8], header: &str) -> WebhookRequest {
    post(body, [("X-Hub-Signature-256", header)].into_iter().collect())
}

fn signed(body: &[u8]) -> WebhookRequest {
    post_with(body, &signature(SECRET, body))
}

/// What a signed delivery comes to.
pub(crate) fn receives(body: &[u8]) -> Events {
    deliver(body).expect("a delivery of Meta's form")
}

/// What a delivery with a good signature comes to.
fn deliver(body: &[u8]) -> Result<Events, WebhookError> {
    match meta().receive(&signed(body))? {
        Received::Events(events) => Ok(events),
        Received::Challenge(_) => panic!("a delivery is no handshake"),
    }
}

/// A delivery of `messages`, as JSON text each, from a person who stands in the contacts.
fn delivery_of(messages: &[&str]) -> String {
    let value = json!({
        "messaging_product": "whatsapp",
        "metadata": { "display_phone_number": "12025550100", "phone_number_id": NUMBER },
        "contacts": [{ "wa_id": "12025550123", "user_id": "US.FICTION00000000000123" }],
        "messages": ["HERE"],
    });
    let changes = json!([{ "field": "messages", "value": value }]);
    let whole =
        json!({ "object": "whatsapp_business_account", "entry": [{ "id": "990000000000001", "changes": changes }] });
    whole.to_string().replace("\"HERE\"", &messages.join(","))
}

fn text_message(id: &str, body: &str) -> String {
    json!({ "from": "12025550123", "id": id, "timestamp": "1767225600", "type": "text", "text": { "body": body } })
        .to_string()
}

/// The identifiers of the messages that came through.
fn ids(events: &Events) -> Vec<&str> {
    events.messages.iter().map(|message| message.at.message.as_str()).collect()
}

/// A message of a person whose phone number is known.
fn received_message() -> MessageRef {
    MessageRef {
        bot: BotName::new("bakery"),
        chat: ChatId::new("US.FICTION00000000000123"),
        group: false,
        sender: ContactId::new("US.FICTION00000000000123"),
        phone: Some(ContactId::new("12025550123")),
        aliases: Vec::new(),
        message: MessageId::new("wamid.FICTIONAL-TEXT"),
        time: Timestamp::from_secs(1_767_225_600),
    }
}
