//! WhatsApp Gateway: a self-hosted bridge to WhatsApp's own protocol, on whatsmeow
//! (github.com/rama-adi/quick-whatsapp-gateway).
//!
//! | module | what it knows |
//! |---|---|
//! | `config` | what a number is configured with |
//! | `webhook` | who is calling |
//! | `inbound`, `content` | what a delivery carries |
//! | `outbound`, `limits` | what one part of a reply looks like on the wire, and what is too much |
//! | `media` | media inside messages, and fetching those that the gateway keeps |
//! | `errors` | what a refused call means |
//!
//! The indicator belongs to a chat: `composing` or `recording` lights it, `paused` takes it off, and a message or a few
//! seconds do too. What its calls answer is no proof that a phone shows anything. A read receipt cannot be asked for:
//! the session sends them by itself, or nobody does.

mod config;
mod content;
mod errors;
mod inbound;
mod limits;
mod media;
mod outbound;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use url::Url;

use super::answer::Repeat;
use super::exchange::exchange;
use super::hosts::Hosts;
use super::lenient::Object;
use super::{
    Abilities, Activity, ErrorCode, InvalidPart, KeyedBy, Method, Provider, ProviderError, Rate, ReadReceipts,
    Received, STOPS_PER_SECOND, SendLimits, StopAbilities, TypingAbilities, WebhookError, WebhookRequest,
};
use crate::message::clock::Clock;
use crate::message::{Address, BotName, MediaRef, MessageId, MessageRef, OptOutWords, Part, PartKey};
use crate::provider::whatsapp::limits::{CAPTIONS, TEXT};
use crate::runtime::http::{Body, Call, Download, Transport};
pub use config::{GatewayConfig, KeyTransport, MarkReadBy};
use errors::{GatewayCall, meaning};
use inbound::GatewayReader;
use outbound::GatewaySend;
use webhook::GatewayVerifier;

/// One number behind a gateway. [`GatewayConfig`] makes it.
struct Gateway {
    bot: BotName,
    base_url: Url,
    session: String,
    match_session: bool,
    access_token: SecretString,
    credentials: KeyTransport,
    encode_chat_id: bool,
    resend_failed: bool,
    read: MarkReadBy,
    timeout: Duration,
    verifier: GatewayVerifier,
    media_hosts: Hosts,
    abilities: Abilities,
    transport: Arc<dyn Transport>,
    clock: Clock,
}

impl Gateway {
    /// `<base>/api/v1/<segments>`
    fn api(&self, segments: &[&str]) -> Url {
        let mut url = self.base_url.clone();
        // An address that has no path is refused by the transport.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["api", "v1"]).extend(segments);
        }
        url
    }

    /// `<base>/api/v1/sessions/<session>/<segments>`
    fn in_session(&self, segments: &[&str]) -> Url {
        self.api(&[&["sessions", &self.session], segments].concat())
    }

    fn in_chat(&self, message: &MessageRef, what: &str) -> Url {
        let mut url = self.in_session(&["chats", message.chat.as_str(), what]);
        if self.encode_chat_id {
            let path = url.path().replace('@', "%40");
            url.set_path(&path);
        }
        url
    }

    fn request(&self, method: &'static str, url: Url, body: Body) -> Call {
        let token = self.access_token.expose_secret();
        let header = match self.credentials {
            KeyTransport::Bearer => ("authorization".into(), format!("Bearer {token}")),
            KeyTransport::XApiKey => ("x-api-key".into(), token.to_owned()),
        };
        let in_clear = self.media_hosts.in_clear(&url);
        Call { method, url, headers: vec![header], body, timeout: self.timeout, in_clear }
    }

    /// Shows a state to the chat. Any success will do, and says nothing.
    async fn presence(&self, message: &MessageRef, state: &str) -> Result<(), ProviderError> {
        let body = Body::Json(json!({ "state": state }).to_string().into());
        let call = self.request("PUT", self.in_chat(message, "presence"), body);
        self.call(call, GatewayCall::Indicator).await.map(drop)
    }

    /// Makes a call and reads its answer; what is no object is an empty one.
    async fn call(&self, call: Call, asked: GatewayCall) -> Result<Map<String, Value>, ProviderError> {
        let answer = exchange(&*self.transport, call, Repeat::Harmless).await?;
        let object = answer.object().unwrap_or_default();
        if !answer.is_success() || object.contains_key("error") {
            return Err(meaning(asked, &answer, self.clock.now()));
        }
        Ok(object)
    }

    /// Sends a message under `key`.
    ///
    /// The gateway remembers a send that failed under its key as it remembers one that went well, and never makes it
    /// again: while its own connection is down, every message that is sent then would be lost. So the next one goes out
    /// under the next key. Whoever walks this way again, after a crash too, finds the same keys in the same order.
    async fn post(&self, body: &Value, key: &PartKey) -> Result<MessageId, ProviderError> {
        for number in 1..=MOST_KEYS {
            let key = if number > 1 { format!("{}.{number}", key.as_str()) } else { key.as_str().to_owned() };
            let mut call = self.request("POST", self.in_session(&["messages"]), Body::Json(body.to_string().into()));
            call.headers.push(("idempotency-key".into(), key.clone()));
            let answer = self.call(call, GatewayCall::Reply).await?;
            match outcome(Object(&answer)) {
                GatewayOutcome::Sent(id) => return Ok(id.map_or_else(|| MessageId::new(key), MessageId::new)),
                GatewayOutcome::Failed => return Err(ProviderError::Transient { code: FAILED }),
                GatewayOutcome::FailedBefore if self.resend_failed => {}
                GatewayOutcome::FailedBefore => break,
            }
        }
        Err(ProviderError::Rejected { code: FAILED })
    }

    /// Puts an emoji on a message, or takes it away.
    async fn react(&self, method: &'static str, message: &MessageId, body: &Value) -> Result<MessageId, ProviderError> {
        let url = self.in_session(&["messages", message.as_str(), "reaction"]);
        let answer =
            self.call(self.request(method, url, Body::Json(body.to_string().into())), GatewayCall::Reaction).await?;
        match outcome(Object(&answer)) {
            GatewayOutcome::Sent(id) => Ok(id.map_or_else(|| message.clone(), MessageId::new)),
            GatewayOutcome::Failed | GatewayOutcome::FailedBefore => Err(ProviderError::Transient { code: FAILED }),
        }
    }
}

/// So many keys are tried for one message: a connection that is down for longer than this many attempts take loses it.
const MOST_KEYS: u32 = 60;

const FAILED: ErrorCode = ErrorCode::Network("the gateway could not send it");

/// What became of a send that was answered with success.
enum GatewayOutcome {
    /// It was sent, or will be. The gateway's best name for it, if it says one: one that is not there is no failure.
    Sent(Option<String>),
    /// It failed just now.
    Failed,
    /// It failed when it was first made with this key.
    FailedBefore,
}

fn outcome(answer: Object<'_>) -> GatewayOutcome {
    match answer.text("status").as_deref() {
        Some("failed") if answer.flag("replayed") => GatewayOutcome::FailedBefore,
        Some("failed") => GatewayOutcome::Failed,
        _ => GatewayOutcome::Sent(
            ["waMessageId", "messageId", "outboxId"].into_iter().find_map(|name| answer.text(name)),
        ),
    }
}

fn abilities(config: &GatewayConfig) -> Abilities {
    Abilities {
        typing: TypingAbilities {
            keyed_by: KeyedBy::Chat,
            lifetime: config.typing_lifetime,
            refresh: Some(config.typing_refresh_every),
            max_refreshes: u32::MAX,
            start_marks_read: false,
            lit_on_arrival: config.presence_typing,
            stop: Some(StopAbilities { per_second: Some(STOPS_PER_SECOND), before_send: false }),
            recording: true,
            lead: Duration::ZERO,
            groups: config.group_typing,
            large_groups: config.large_groups.clone(),
        },
        reads: match config.read {
            MarkReadBy::AutoRead => ReadReceipts::None,
            MarkReadBy::LocalReset => ReadReceipts::CountOnly,
        },
        limits: SendLimits {
            number: [(config.messages_per_minute, 60), (config.messages_per_hour, 3600)]
                .into_iter()
                .filter_map(|(most, seconds)| Rate::window(most, Duration::from_secs(seconds)))
                .collect(),
            pair: Vec::new(),
        },
        text_limit: TEXT,
        captions: CAPTIONS,
        // It has buttons and lists, and says itself that an accepted one may show nowhere.
        choices: None,
        places: true,
        marks: true,
        idempotent_sends: true,
        statuses_carry_key: false,
        window: None,
        opt_out_words: OptOutWords::NONE,
        acknowledgement: "ok".into(),
    }
}

#[async_trait]
impl Provider for Gateway {
    fn name(&self) -> &'static str {
        "gateway"
    }

    fn abilities(&self) -> &Abilities {
        &self.abilities
    }

    fn receive(&self, request: &WebhookRequest) -> Result<Received, WebhookError> {
        if request.method == Method::Get {
            return Err(WebhookError::WrongMethod);
        }
        self.verifier.verify(request)?;
        let session = self.match_session.then_some(self.session.as_str());
        GatewayReader { bot: &self.bot, session, received: request.received }.read(&request.body).map(Received::Events)
    }

    async fn mark_read(&self, message: &MessageRef) -> Result<(), ProviderError> {
        match self.read {
            MarkReadBy::AutoRead => {
                let code = ErrorCode::Local("the gateway's session marks messages as read by itself, or nobody does");
                Err(ProviderError::Unsupported { code })
            }
            MarkReadBy::LocalReset => {
                let call = self.request("POST", self.in_chat(message, "read"), Body::Empty);
                self.call(call, GatewayCall::Indicator).await.map(drop)
            }
        }
    }

    async fn start_typing(&self, message: &MessageRef, activity: Activity) -> Result<(), ProviderError> {
        let state = match activity {
            Activity::Typing => "composing",
            Activity::Recording => "recording",
        };
        self.presence(message, state).await
    }

    async fn stop_typing(&self, message: &MessageRef) -> Result<(), ProviderError> {
        self.presence(message, "paused").await
    }

    fn check(&self, part: &Part) -> Result<(), InvalidPart> {
        limits::check(part)
    }

    fn address(&self, contact: &str) -> Option<Address> {
        outbound::address(contact)
    }

    async fn send(&self, to: &MessageRef, part: &Part, key: &PartKey) -> Result<MessageId, ProviderError> {
        match outbound::said(to, part)? {
            GatewaySend::Message(body) => self.post(&body, key).await,
            GatewaySend::Reaction(message, body) => self.react("POST", &message, &body).await,
            GatewaySend::NoReaction(message, body) => self.react("DELETE", &message, &body).await,
        }
    }

    async fn confirm_opt_out(&self, to: &MessageRef, part: &Part, key: &PartKey) -> Result<MessageId, ProviderError> {
        self.send(to, part, key).await
    }

    fn reported(&self, code: Option<i64>) -> ProviderError {
        ProviderError::Rejected { code: code.map_or(ErrorCode::Local("reported as failed"), ErrorCode::Upstream) }
    }

    async fn fetch_media(&self, media: &MediaRef, limit: u64) -> Result<Download, ProviderError> {
        self.fetch(media, limit).await
    }

    async fn upload_media(&self, data: Bytes, mime: &str) -> Result<String, ProviderError> {
        media::name(&data, mime)
    }
}
