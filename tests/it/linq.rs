//! Linq's Partner API, from outside: webhooks in, calls out.

mod calls;
mod configured;
mod consent;
mod errors;
mod fixtures;
mod groups;
mod limits;
mod loopback;
mod media;
mod parts;
mod reactions;
mod signature;

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use threedots::message::clock::{Clock, Timestamp};
use threedots::message::{BotName, ChatId, ContactId, MessageId, MessageRef, PartKey};
use threedots::provider::linq::LinqConfig;
use threedots::provider::{
    AnyProviderConfig, Events, Method, Provider, ProviderContext, Received, WebhookError, WebhookRequest,
};
use threedots::runtime::http::{Headers, Transport};

use crate::upstream::Upstream;

const KEY: &str = "fictional-linq-key";
const SECRET: &str = "whsec_c2hoaC10aGlzLWlzLWEtdGVzdC1zZWNyZXQtdmFsdWU=";
const CHAT: &str = "5f0c2a6e-1b3d-4e5f-8a9b-0c1d2e3f4a5b";
const MESSAGE: &str = "11111111-2222-4333-8444-000000000001";
/// When the signatures of the known vectors were made.
const SIGNED: Timestamp = Timestamp(1_770_319_873_000);

fn env(name: &str) -> Option<String> {
    match name {
        "KEY" => Some(KEY.into()),
        "SECRET" => Some(SECRET.into()),
        _ => None,
    }
}

/// The table of a bot on Linq, with `more` in it.
fn config(more: &Value) -> LinqConfig {
    let mut table = json!({ "api_key": "env:KEY", "webhook_secret": "env:SECRET" });
    let more = more.as_object().expect("a table").clone();
    table.as_object_mut().expect("a table").extend(more);
    serde_json::from_value(table).expect("a table of Linq's")
}

fn connect(more: &Value, transport: Arc<dyn Transport>, clock: Clock) -> Arc<dyn Provider> {
    let around = ProviderContext { bot: BotName::new("bakery"), transport, clock };
    AnyProviderConfig::connect(&config(more), &env, around).expect("a sound configuration")
}

/// A line on Linq, as it is without any setting.
#[allow(dead_code, reason = "for suites over all providers")]
pub(crate) fn provider(transport: Arc<dyn Transport>, clock: Clock) -> Arc<dyn Provider> {
    connect(&json!({}), transport, clock)
}

fn linq(upstream: &Arc<Upstream>) -> Arc<dyn Provider> {
    connect(&json!({}), upstream.clone(), Clock::System)
}

fn tag(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length will do");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

/// The entry that Linq would put among the signatures of `body`.
fn signature(secret: &str, id: &str, timestamp: &str, body: &[u8]) -> String {
    let key = BASE64_STANDARD.decode(secret.trim_start_matches("whsec_")).expect("base64");
    let tag = tag(&key, &[id.as_bytes(), b".", timestamp.as_bytes(), b".", body]);
    format!("v1,{}", BASE64_STANDARD.encode(tag))
}

fn post(body: &[u8], headers: &[(&str, &str)], received: Timestamp) -> WebhookRequest {
    let (query, body) = ("version=2026-02-03".to_owned(), Bytes::copy_from_slice(body));
    let headers: Headers = headers.iter().copied().collect();
    WebhookRequest { method: Method::Post, query, headers, body, received }
}

fn signed_at(body: &[u8], time: Timestamp) -> WebhookRequest {
    let timestamp = (time.0 / 1000).to_string();
    let signature = signature(SECRET, "msg_fiction", &timestamp, body);
    let headers =
        [("webhook-id", "msg_fiction"), ("webhook-timestamp", &*timestamp), ("webhook-signature", &*signature)];
    post(body, &headers, time)
}

/// An authentic delivery of these bytes, now.
#[allow(dead_code, reason = "for suites over all providers")]
pub(crate) fn signed(body: &[u8]) -> WebhookRequest {
    signed_at(body, Clock::System.now())
}

/// What an authentic delivery comes to.
pub(crate) fn receives(body: &[u8]) -> Events {
    deliver(body).expect("a delivery of Linq's form")
}

/// What an authentic delivery comes to for a bot with these settings.
fn deliver_to(more: &Value, body: &[u8]) -> Result<Events, WebhookError> {
    match connect(more, Upstream::answering([]), Clock::System).receive(&signed_at(body, SIGNED))? {
        Received::Events(events) => Ok(events),
        Received::Challenge(_) => panic!("Linq knows no handshake"),
    }
}

fn deliver(body: &[u8]) -> Result<Events, WebhookError> {
    deliver_to(&json!({}), body)
}

fn view(events: &Events) -> Value {
    assert!(events.echoes.is_empty(), "all of ours in these files have our key");
    json!({
        "messages": events.messages,
        "statuses": events.statuses,
        "ignored": {
            "not_ours": events.ignored.not_ours,
            "other": events.ignored.other,
            "malformed": events.ignored.malformed,
        },
    })
}

/// A message of a person's.
fn received_message() -> MessageRef {
    MessageRef {
        bot: BotName::new("bakery"),
        chat: ChatId::new(CHAT),
        group: false,
        sender: ContactId::new("+12025550147"),
        phone: Some(ContactId::new("+12025550147")),
        aliases: Vec::new(),
        message: MessageId::new(MESSAGE),
        time: SIGNED,
    }
}

fn key() -> PartKey {
    PartKey::new("3d-19c2f1-7-0")
}
