//! Meta's own WhatsApp Cloud API.
//!
//! | module | what it knows |
//! |---|---|
//! | `config`, `settings` | what a number is configured with, before and after its secrets are fetched |
//! | `webhook` | who is calling: handshake and signature |
//! | `inbound`, `sender` | what a delivery carries, and who wrote it |
//! | `outbound` | what one part of a reply looks like on the wire |
//! | `media` | fetching and uploading, and who may see the token |
//! | `errors` | what a refused call means |
//!
//! Everything a bot says goes to one address as JSON: messages, read receipts, and the indicator, which exists only
//! as part of a read receipt, goes away after 25 seconds or with a reply, and cannot be taken off.

mod config;
mod errors;
mod inbound;
mod media;
mod outbound;
mod sender;
mod settings;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::answer::{Repeat, unanswered};
use super::lenient::{self, Object};
use super::whatsapp::limits;
use super::{
    Abilities, Activity, Code, InvalidPart, Method, Provider, ProviderError, Received, TypingAbilities, WebhookError,
    WebhookRequest,
};
use crate::clock::Clock;
use crate::http::{Answer, Body, Call, CallError, Download, Headers, Transport};
use crate::message::{BotName, MediaRef, MessageId, MessageRef, Part, PartKey};
pub use config::{AppSecrets, EndingSecret, MetaConfig};
use errors::Refusal;
use inbound::Reader;
use media::MediaHosts;
pub use settings::{AppSecret, MetaSettings};
use webhook::Verifier;

/// How long the indicator shows, and inside which a second start shows nothing (Meta's typing page).
const LIFETIME: Duration = Duration::from_secs(25);

/// The longest answer that is read, in bytes. Meta's are some hundreds long.
const LONGEST_ANSWER: u64 = 256 << 10;

/// One number on Meta's Cloud API.
pub struct Meta {
    bot: BotName,
    settings: MetaSettings,
    verifier: Verifier,
    media_hosts: MediaHosts,
    abilities: Abilities,
    transport: Arc<dyn Transport>,
    clock: Clock,
}

impl Meta {
    /// A number, as configured. Makes no call.
    pub fn new(bot: BotName, settings: MetaSettings, transport: Arc<dyn Transport>, clock: Clock) -> Self {
        Self {
            verifier: Verifier::new(&settings.app_secrets, settings.verify_token.clone()),
            media_hosts: MediaHosts::new(&settings.media_hosts, &settings.base_url),
            abilities: abilities(&settings),
            bot,
            settings,
            transport,
            clock,
        }
    }

    /// `<base>/<version>/<segments>`
    fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.settings.base_url.clone();
        // An address that has no path is refused by the transport.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push(&self.settings.graph_version).extend(segments);
        }
        url
    }

    fn request(&self, method: &'static str, url: Url, body: Body) -> Call {
        let token = format!("Bearer {}", self.settings.access_token.expose_secret());
        Call { method, url, headers: vec![("authorization".into(), token)], body, timeout: self.settings.send_timeout }
    }

    /// Posts to the one address for everything that a bot says.
    async fn post(&self, body: &Value) -> Result<Map<String, Value>, ProviderError> {
        let url = self.url(&[&self.settings.phone_number_id, "messages"]);
        let call = self.request("POST", url, Body::Json(body.to_string().into()));
        self.call(call, Repeat::Doubles).await
    }

    /// A read receipt, alone or with the indicator.
    async fn receipt(&self, body: &Value) -> Result<(), ProviderError> {
        let answer = self.post(body).await?;
        let unsure = ProviderError::Ambiguous { code: Code::Network("the answer does not say that it was done") };
        Object(&answer).flag("success").then_some(()).ok_or(unsure)
    }

    /// Makes a call and reads the object that it is answered with, both within the call's timeout.
    async fn call(&self, call: Call, repeat: Repeat) -> Result<Map<String, Value>, ProviderError> {
        let deadline = Instant::now() + call.timeout;
        let answer = self.open(call, deadline, repeat).await?;
        let (status, headers) = (answer.status, answer.headers.clone());
        let object = read(answer, deadline).await.map_err(|error| unanswered(error, repeat))?;
        let object = object.ok_or(repeat.doubtful(Code::Status(status)))?;
        let refused = object.contains_key("error");
        if refused { Err(self.refusal(status, &headers, Some(&object), repeat)) } else { Ok(object) }
    }

    /// Makes a call whose answer is one of success, with a body that is still to be read.
    async fn open(&self, call: Call, deadline: Instant, repeat: Repeat) -> Result<Answer, ProviderError> {
        let answer = timeout_at(deadline, self.transport.call(call)).await;
        let answer = answer.unwrap_or(Err(CallError::Unanswered("timed out")));
        let answer = answer.map_err(|error| unanswered(error, repeat))?;
        if answer.is_success() {
            return Ok(answer);
        }
        let (status, headers) = (answer.status, answer.headers.clone());
        // Where the body says nothing, the status still does.
        let object = read(answer, deadline).await.ok().flatten();
        Err(self.refusal(status, &headers, object.as_ref(), repeat))
    }

    fn refusal(
        &self,
        status: u16,
        headers: &Headers,
        answer: Option<&Map<String, Value>>,
        repeat: Repeat,
    ) -> ProviderError {
        Refusal { status, headers, answer, now: self.clock.now() }.meaning(repeat)
    }
}

/// The object that an answer's body is, if it is one.
async fn read(answer: Answer, deadline: Instant) -> Result<Option<Map<String, Value>>, CallError> {
    let body = timeout_at(deadline, answer.bytes(LONGEST_ANSWER)).await;
    let body = body.unwrap_or(Err(CallError::Unanswered("timed out")))?;
    Ok(std::str::from_utf8(&body).ok().and_then(lenient::object))
}

fn abilities(settings: &MetaSettings) -> Abilities {
    Abilities {
        typing: TypingAbilities {
            lifetime: LIFETIME,
            refresh: settings.typing_refresh.map(|refresh| refresh.max(LIFETIME)),
            max_refreshes: settings.typing_max_refreshes,
            start_marks_read: true,
            stop: false,
            recording: false,
            lead: Duration::ZERO,
        },
        text_limit: limits::TEXT,
        idempotent_sends: false,
        statuses_carry_key: true,
    }
}

#[async_trait]
impl Provider for Meta {
    fn name(&self) -> &'static str {
        "meta"
    }

    fn abilities(&self) -> &Abilities {
        &self.abilities
    }

    fn receive(&self, request: &WebhookRequest) -> Result<Received, WebhookError> {
        if request.method == Method::Get {
            return self.verifier.handshake(&request.query).map(Received::Challenge);
        }
        self.verifier.verify(request, self.clock.now())?;
        let (bot, phone_number_id) = (&self.bot, self.settings.phone_number_id.as_str());
        Reader { bot, phone_number_id, received: request.received }.read(&request.body).map(Received::Events)
    }

    async fn mark_read(&self, message: &MessageRef) -> Result<(), ProviderError> {
        let id = message.message.as_str();
        self.receipt(&json!({ "messaging_product": "whatsapp", "status": "read", "message_id": id })).await
    }

    async fn start_typing(&self, message: &MessageRef, _: Activity) -> Result<(), ProviderError> {
        let body = json!({
            "messaging_product": "whatsapp",
            "status": "read",
            "message_id": message.message.as_str(),
            "typing_indicator": { "type": "text" },
        });
        self.receipt(&body).await
    }

    async fn stop_typing(&self, _: &MessageRef) -> Result<(), ProviderError> {
        Err(ProviderError::Unsupported { code: Code::Local("Meta has no call that takes the indicator off") })
    }

    fn check(&self, part: &Part) -> Result<(), InvalidPart> {
        limits::check(part)
    }

    async fn send(&self, to: &MessageRef, part: &Part, key: &PartKey) -> Result<MessageId, ProviderError> {
        let body = outbound::body(to, part, key)?;
        let answer = self.post(&body).await?;
        let id = Object(&answer).objects("messages").next().and_then(|message| message.text("id"));
        id.map(MessageId::new).ok_or(ProviderError::Ambiguous { code: Code::Network("the answer names no message") })
    }

    async fn fetch_media(&self, media: &MediaRef, limit: u64) -> Result<Download, ProviderError> {
        self.fetch(media, limit).await
    }

    async fn upload_media(&self, data: Bytes, mime: &str) -> Result<String, ProviderError> {
        self.upload(data, mime).await
    }
}
