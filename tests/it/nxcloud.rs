//! NXCloud, from outside: callbacks in, calls out.

mod calls;
mod clocks;
mod configured;
mod errors;
mod fixtures;
mod media;
mod signature;
mod token;

use std::sync::Arc;

use bytes::Bytes;
use md5::{Digest, Md5};
use serde_json::{Value, json};
use threedots::message::clock::{Clock, Timestamp};
use threedots::message::{BotName, ChatId, ContactId, MessageId, MessageRef, PartKey};
use threedots::provider::nxcloud::NxCloudConfig;
use threedots::provider::{
    AnyProviderConfig, Events, Method, Provider, ProviderContext, Received, WebhookError, WebhookRequest,
};
use threedots::runtime::http::{Headers, Transport};

use crate::upstream::Upstream;

const ACCESS_KEY: &str = "fictionalAccessKey";
const ACCESS_SECRET: &str = "fictional access+secret";
const APPKEY: &str = "fictionalAppkey";
const CALLBACK_SECRET: &str = "fictional callback secret";
const TOKEN: &str = "fictional token/+&=1";
const NUMBER: &str = "12025550100";
const RECEIVED: Timestamp = Timestamp(1_767_225_700_000);

/// A configuration, as a file would have it.
fn config(changes: Value) -> NxCloudConfig {
    let mut table = json!({
        "business_phone": NUMBER,
        "access_key": "env:ACCESS_KEY",
        "access_secret": "env:ACCESS_SECRET",
        "appkey": "env:APPKEY",
    });
    table.as_object_mut().expect("a table").extend(changes.as_object().expect("a table").clone());
    serde_json::from_value(table).expect("a table of NXCloud's")
}

fn env(name: &str) -> Option<String> {
    let value = match name {
        "ACCESS_KEY" => ACCESS_KEY,
        "ACCESS_SECRET" => ACCESS_SECRET,
        "APPKEY" => APPKEY,
        "CALLBACK_SECRET" => CALLBACK_SECRET,
        "TOKEN" => TOKEN,
        "SHORT" => "guess me",
        // Of NXCloud's own examples.
        "SAMPLE_KEY" => "fme2na3kdi3ki",
        "SAMPLE_SECRET" => "abciiiko2k3",
        _ => return None,
    };
    Some(value.to_owned())
}

fn connected(
    config: &NxCloudConfig,
    transport: Arc<dyn Transport>,
    clock: Clock,
) -> Result<Arc<dyn Provider>, Vec<(String, String)>> {
    AnyProviderConfig::connect(config, &env, ProviderContext { bot: BotName::new("bakery"), transport, clock })
}

/// A number on `transport`.
pub(crate) fn provider(transport: Arc<dyn Transport>, clock: Clock) -> Arc<dyn Provider> {
    connected(&config(json!({})), transport, clock).expect("a sound configuration")
}

/// A number with some settings changed, on `upstream`.
fn with(changes: Value, upstream: &Arc<Upstream>) -> Arc<dyn Provider> {
    connected(&config(changes), upstream.clone(), Clock::System).expect("a sound configuration")
}

fn on(upstream: &Arc<Upstream>) -> Arc<dyn Provider> {
    with(json!({}), upstream)
}

/// A number that makes no calls.
fn receiver(changes: Value) -> Arc<dyn Provider> {
    with(changes, &Upstream::answering([]))
}

/// NXCloud's signature, written down a second time.
pub(crate) fn sign(key: &str, action: &str, biz_type: &str, ts: &str, body: &[u8], secret: &str) -> String {
    let mut whole = format!("accessKey={key}&action={action}&bizType={biz_type}&ts={ts}").into_bytes();
    if !body.is_empty() {
        whole.extend_from_slice(b"&body=");
        whole.extend_from_slice(body);
    }
    whole.extend_from_slice(b"&accessSecret=");
    whole.extend_from_slice(secret.as_bytes());
    hex::encode(Md5::digest(&whole))
}

fn post(body: &[u8], headers: Headers, received: Timestamp) -> WebhookRequest {
    let (query, body) = (String::new(), Bytes::copy_from_slice(body));
    WebhookRequest { method: Method::Post, query, headers, body, received }
}

/// A callback with these headers, as NXCloud's own sample writes their names.
fn post_with(body: &[u8], [key, action, biz_type, ts, sign]: [&str; 5]) -> WebhookRequest {
    let headers = [("accesskey", key), ("action", action), ("biztype", biz_type), ("ts", ts), ("sign", sign)];
    post(body, headers.into_iter().collect(), RECEIVED)
}

/// A callback that was signed with `secret` at `ts`.
fn signed_with(secret: &str, ts: Timestamp, body: &[u8]) -> WebhookRequest {
    let ts = ts.0.to_string();
    let sign = sign(ACCESS_KEY, "mo", "2", &ts, body, secret);
    post_with(body, [ACCESS_KEY, "mo", "2", &ts, &sign])
}

/// An authentic callback, now.
pub(crate) fn signed(body: &[u8]) -> WebhookRequest {
    let received = Clock::System.now();
    WebhookRequest { received, ..signed_with(ACCESS_SECRET, received, body) }
}

fn events(received: Result<Received, WebhookError>) -> Result<Events, WebhookError> {
    match received? {
        Received::Events(events) => Ok(events),
        Received::Challenge(_) => panic!("NXCloud has no handshake"),
    }
}

/// What a signed callback comes to.
pub(crate) fn receives(body: &[u8]) -> Events {
    deliver(body).expect("a callback of NXCloud's form")
}

/// What a callback with a good signature comes to.
fn deliver(body: &[u8]) -> Result<Events, WebhookError> {
    events(receiver(json!({})).receive(&signed_with(ACCESS_SECRET, RECEIVED, body)))
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

fn key() -> PartKey {
    PartKey::new("3d-19b7a5f0000-7-0")
}
