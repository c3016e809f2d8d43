//! WhatsApp Gateway, from outside: webhooks in, calls out.

mod calls;
mod configuration;
mod deliveries;
mod errors;
mod fixtures;
mod limits;
mod media;
mod signature;

use std::sync::Arc;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha512;
use threedots::message::clock::{Clock, Timestamp};
use threedots::message::{BotName, ChatId, ContactId, MessageId, MessageRef};
use threedots::provider::gateway::GatewayConfig;
use threedots::provider::{
    AnyProviderConfig, Events, Method, Provider, ProviderContext, Received, WebhookError, WebhookRequest,
};
use threedots::runtime::http::{Headers, Transport};

use crate::upstream::Upstream;

const TOKEN: &str = "wa_fictional-api-key";
const SECRET: &str = "fictional webhook+secret";
const SESSION: &str = "01J00000000000000000000001";
const RECEIVED: Timestamp = Timestamp(1_767_225_700_000);

/// The table of a bot, `more` after what it needs.
fn config(more: &str) -> GatewayConfig {
    let text = format!(
        "base_url = \"https://gateway.example\"\nsession = \"{SESSION}\"\naccess_token = \"env:TOKEN\"\n{more}\n"
    );
    toml::from_str(&text).expect("a table of the gateway's")
}

/// The same, and deliveries have to be signed.
fn signing(more: &str) -> GatewayConfig {
    config(&format!("webhook_secret = \"env:SECRET\"\n{more}"))
}

fn env(name: &str) -> Option<String> {
    match name {
        "TOKEN" => Some(TOKEN.into()),
        "SECRET" => Some(SECRET.into()),
        "WORD" => Some("fictional word&more".into()),
        _ => None,
    }
}

fn connect(
    config: &GatewayConfig,
    transport: Arc<dyn Transport>,
    clock: Clock,
) -> Result<Arc<dyn Provider>, Vec<(String, String)>> {
    let bot = BotName::new("bakery");
    AnyProviderConfig::connect(config, &env, ProviderContext { bot, transport, clock })
}

/// A number that makes its calls over `transport`.
pub(crate) fn provider(transport: Arc<dyn Transport>, clock: Clock) -> Arc<dyn Provider> {
    connect(&signing(""), transport, clock).expect("there is nothing wrong with it")
}

/// A number with these settings, on an upstream.
fn gateway_on(more: &str, upstream: Arc<Upstream>) -> Arc<dyn Provider> {
    connect(&signing(more), upstream, Clock::System).expect("there is nothing wrong with it")
}

/// A number that makes no calls.
fn gateway() -> Arc<dyn Provider> {
    provider(Upstream::answering([]), Clock::System)
}

/// The digits that the gateway would send with `body`.
fn digits(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha512>::new_from_slice(secret.as_bytes()).expect("any length will do");
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

fn post(body: &[u8], headers: &[(&str, &str)]) -> WebhookRequest {
    let (query, body) = (String::new(), Bytes::copy_from_slice(body));
    let headers: Headers = headers.iter().copied().collect();
    WebhookRequest { method: Method::Post, query, headers, body, received: RECEIVED }
}

/// An authentic delivery of these bytes, now.
pub(crate) fn signed(body: &[u8]) -> WebhookRequest {
    let sent = RECEIVED.0.to_string();
    post(
        body,
        &[
            ("X-Webhook-Request-Id", "evt_01J0EXAMPLE"),
            ("X-Webhook-Timestamp", &sent),
            ("X-Webhook-Hmac", &digits(SECRET, body)),
            ("X-Webhook-Hmac-Algorithm", "sha512"),
        ],
    )
}

fn events(received: Received) -> Events {
    match received {
        Received::Events(events) => events,
        Received::Challenge(_) => panic!("the gateway makes no handshake"),
    }
}

/// What a delivery with a good signature comes to.
fn deliver(body: &[u8]) -> Result<Events, WebhookError> {
    gateway().receive(&signed(body)).map(events)
}

/// What an authentic delivery comes to.
pub(crate) fn receives(body: &[u8]) -> Events {
    deliver(body).expect("a delivery of the gateway's form")
}

/// A message of a person whose phone number is known.
fn received_message() -> MessageRef {
    MessageRef {
        bot: BotName::new("bakery"),
        chat: ChatId::new("628111111111@s.whatsapp.net"),
        group: false,
        sender: ContactId::new("628111111111@s.whatsapp.net"),
        phone: Some(ContactId::new("628111111111")),
        aliases: Vec::new(),
        message: MessageId::new("3EB0EXAMPLE0001"),
        time: Timestamp(1_767_225_599_000),
    }
}

/// A message of a person in a group.
fn message_in_group() -> MessageRef {
    MessageRef { chat: ChatId::new("120363000000000001@g.us"), group: true, ..received_message() }
}
