//! Wawp, from outside: webhooks in, calls out. What WAHA shares with it is tested here.

mod answers;
pub(crate) mod calls;
mod configuration;
mod deliveries;
mod fixtures;
mod limits;
mod media;
mod secrets;
mod signature;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use threedots::message::clock::{Clock, Timestamp};
use threedots::message::{BotName, ChatId, ContactId, MessageId, MessageRef};
use threedots::provider::wawp::WawpConfig;
use threedots::provider::{
    AnyProviderConfig, Events, Method, Provider, ProviderConfig, ProviderContext, Received, WebhookError,
    WebhookRequest,
};
use threedots::runtime::http::{Headers, Transport};

use crate::upstream::Upstream;

pub(crate) const SECRET: &str = "fictional-webhook-secret";
pub(crate) const TOKEN: &str = "fictional+access/token";
const INSTANCE: &str = "fiction000001";
const URL_TOKEN: &str = "fictional url&token";
pub(crate) const RECEIVED: Timestamp = Timestamp(1_767_225_700_000);

/// What everybody has to fill in.
pub(crate) const REQUIRED: &str = r#"
    instance_id = "env:INSTANCE"
    access_token = "env:TOKEN"
    webhook_secret = "env:SECRET"
"#;

pub(crate) fn env(name: &str) -> Option<String> {
    let secrets = [("INSTANCE", INSTANCE), ("TOKEN", TOKEN), ("SECRET", SECRET), ("URL_TOKEN", URL_TOKEN)];
    secrets.iter().find(|(known, _)| *known == name).map(|(_, secret)| (*secret).to_owned())
}

/// A provider by what its table says, or what is wrong with the table.
pub(crate) fn connect<C: ProviderConfig>(
    table: &str,
    transport: Arc<dyn Transport>,
    clock: Clock,
) -> Result<Arc<dyn Provider>, Vec<(String, String)>> {
    let config: C = toml::from_str(table).expect("a table of this kind");
    let around = ProviderContext { bot: BotName::new("bakery"), transport, clock };
    AnyProviderConfig::connect(&config, &env, around)
}

/// Wawp with `more` settings.
fn wawp(more: &str, upstream: &Arc<Upstream>) -> Arc<dyn Provider> {
    connect::<WawpConfig>(&format!("{REQUIRED}{more}"), upstream.clone(), Clock::tokio()).expect("a sound table")
}

/// A number on Wawp as a configuration without any extras has it.
#[allow(dead_code, reason = "for the suite over all providers")]
pub(crate) fn provider(transport: Arc<dyn Transport>, clock: Clock) -> Arc<dyn Provider> {
    connect::<WawpConfig>(REQUIRED, transport, clock).expect("a sound table")
}

pub(crate) fn post(body: &[u8], query: &str, headers: &[(&str, &str)]) -> WebhookRequest {
    let headers: Headers = headers.iter().copied().collect();
    let body = Bytes::copy_from_slice(body);
    WebhookRequest { method: Method::Post, query: query.to_owned(), headers, body, received: RECEIVED }
}

fn mac(secret: &str, body: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length will do");
    mac.update(body);
    mac.finalize().into_bytes().to_vec()
}

/// An authentic delivery.
pub(crate) fn signed(body: &[u8]) -> WebhookRequest {
    post(body, "", &[("X-Wawp-Signature", &hex::encode(mac(SECRET, body)))])
}

/// What an authentic delivery comes to.
pub(crate) fn events(provider: &dyn Provider, request: &WebhookRequest) -> Result<Events, WebhookError> {
    match provider.receive(request)? {
        Received::Events(events) => Ok(events),
        Received::Challenge(_) => panic!("there is no handshake"),
    }
}

/// What an authentic delivery comes to, for the suite over all providers.
pub(crate) fn receives(body: &[u8]) -> Events {
    deliver(body).expect("a delivery of Wawp's form")
}

fn deliver(body: &[u8]) -> Result<Events, WebhookError> {
    events(&*wawp("", &Upstream::answering([])), &signed(body))
}

/// The bytes of one payload of `kind`.
pub(crate) fn fixture(kind: &str, name: &str) -> Vec<u8> {
    std::fs::read(folder(kind).join(name).with_extension("json")).expect("the fixture is there")
}

fn folder(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(kind)
}

/// The names of all payloads of `kind`, in order.
pub(crate) fn fixtures(kind: &str) -> Vec<String> {
    let files = std::fs::read_dir(folder(kind)).expect("the fixtures are there");
    let name = |file: PathBuf| file.file_stem().expect("files have names").to_string_lossy().into_owned();
    let mut names: Vec<String> = files.map(|file| name(file.expect("readable").path())).collect();
    names.sort();
    names
}

/// A message of a person's.
pub(crate) fn received_message() -> MessageRef {
    MessageRef {
        bot: BotName::new("bakery"),
        chat: ChatId::new("12025550123@c.us"),
        group: false,
        sender: ContactId::new("12025550123@c.us"),
        phone: Some(ContactId::new("12025550123")),
        aliases: Vec::new(),
        message: MessageId::new("false_12025550123@c.us_3EB0AA"),
        time: Timestamp::from_secs(1_767_225_600),
    }
}

/// A message in a group, from somebody whose number is hidden.
pub(crate) fn received_in_group() -> MessageRef {
    MessageRef {
        chat: ChatId::new("120363000000000017@g.us"),
        group: true,
        sender: ContactId::new("90000000000123@lid"),
        phone: None,
        message: MessageId::new("false_120363000000000017@g.us_3EB0BB_90000000000123@lid"),
        ..received_message()
    }
}
