//! Meta's own WhatsApp Cloud API.
//!
//! | module | what it knows |
//! |---|---|
//! | `config`, `settings` | what a number is configured with, before and after its secrets are fetched |
//! | `webhook` | who is calling: handshake and signature |
//! | `inbound` | what a delivery carries |
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
mod settings;
mod webhook;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};
use url::Url;

use super::answer::Repeat;
use super::exchange::{FullResponse, exchange};
use super::hosts::Hosts;
use super::lenient::Object;
use super::whatsapp::address::address;
use super::whatsapp::{codes, limits, rates};
use super::{
    Abilities, Activity, ErrorCode, GroupTyping, InvalidPart, KeyedBy, Method, Provider, ProviderError, ReadReceipts,
    Received, TypingAbilities, WebhookError, WebhookRequest,
};
use crate::message::clock::Clock;
use crate::message::{Address, BotName, MediaRef, MessageId, MessageRef, OptOutWords, Part, PartKey};
use crate::runtime::http::{Body, Call, Download, Transport};
pub use config::MetaConfig;
use errors::MetaRefusal;
use inbound::MetaReader;
pub use settings::MetaSettings;
use webhook::MetaVerifier;

/// How long the indicator shows, and inside which a second start shows nothing (Meta's typing page).
const LIFETIME: Duration = Duration::from_secs(25);

/// One number on Meta's Cloud API.
pub struct Meta {
    bot: BotName,
    settings: MetaSettings,
    verifier: MetaVerifier,
    media_hosts: Hosts,
    abilities: Abilities,
    transport: Arc<dyn Transport>,
    clock: Clock,
}

impl Meta {
    /// A number, as configured. Makes no call.
    pub fn new(bot: BotName, settings: MetaSettings, transport: Arc<dyn Transport>, clock: Clock) -> Self {
        Self {
            verifier: MetaVerifier::new(&settings.app_secrets, settings.verify_token.clone()),
            media_hosts: Hosts::new(&settings.media_hosts, &settings.base_url),
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
        let headers = vec![("authorization".into(), token)];
        Call { method, url, headers, body, timeout: self.settings.send_timeout, in_clear: false }
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
        let unsure = ProviderError::Ambiguous { code: ErrorCode::Network("the answer does not say that it was done") };
        Object(&answer).flag("success").then_some(()).ok_or(unsure)
    }

    /// Makes a call and reads the object that it is answered with, both within the call's timeout.
    async fn call(&self, call: Call, repeat: Repeat) -> Result<Map<String, Value>, ProviderError> {
        let answer = exchange(&*self.transport, call, repeat).await?;
        let object = answer.object();
        if !answer.is_success() || object.as_ref().is_some_and(|object| object.contains_key("error")) {
            return Err(self.refusal(&answer, object.as_ref(), repeat));
        }
        object.ok_or(repeat.doubtful(ErrorCode::Status(answer.status)))
    }

    fn refusal(&self, answer: &FullResponse, object: Option<&Map<String, Value>>, repeat: Repeat) -> ProviderError {
        let FullResponse { status, headers, .. } = answer;
        MetaRefusal { status: *status, headers, answer: object, now: self.clock.now() }.meaning(repeat)
    }
}

fn abilities(settings: &MetaSettings) -> Abilities {
    Abilities {
        typing: TypingAbilities {
            keyed_by: KeyedBy::Message,
            lifetime: LIFETIME,
            refresh: settings.typing_refresh.map(|refresh| refresh.max(LIFETIME)),
            max_refreshes: settings.typing_max_refreshes,
            start_marks_read: true,
            lit_on_arrival: false,
            stop: None,
            recording: false,
            lead: Duration::ZERO,
            groups: GroupTyping::Show,
            large_groups: BTreeSet::new(),
        },
        reads: ReadReceipts::Message,
        limits: rates::sends(settings.messages_per_second, settings.pair_every, settings.pair_burst),
        text_limit: limits::TEXT,
        captions: limits::CAPTIONS,
        choices: Some(limits::CHOICES),
        places: true,
        marks: true,
        idempotent_sends: false,
        statuses_carry_key: true,
        window: Some(Duration::from_hours(24)),
        opt_out_words: OptOutWords::NONE,
        acknowledgement: "ok".into(),
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
        MetaReader { bot, phone_number_id, received: request.received }.read(&request.body).map(Received::Events)
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
        Err(ProviderError::Unsupported { code: ErrorCode::Local("Meta has no call that takes the indicator off") })
    }

    fn check(&self, part: &Part) -> Result<(), InvalidPart> {
        limits::check(part)
    }

    fn address(&self, contact: &str) -> Option<Address> {
        address(contact)
    }

    async fn send(&self, to: &MessageRef, part: &Part, key: &PartKey) -> Result<MessageId, ProviderError> {
        let body = outbound::body(to, part, key)?;
        let answer = self.post(&body).await?;
        let id = Object(&answer).objects("messages").next().and_then(|message| message.text("id"));
        id.map(MessageId::new)
            .ok_or(ProviderError::Ambiguous { code: ErrorCode::Network("the answer names no message") })
    }

    async fn confirm_opt_out(&self, to: &MessageRef, part: &Part, key: &PartKey) -> Result<MessageId, ProviderError> {
        self.send(to, part, key).await
    }

    fn reported(&self, code: Option<i64>) -> ProviderError {
        codes::reported(code)
    }

    async fn fetch_media(&self, media: &MediaRef, limit: u64) -> Result<Download, ProviderError> {
        self.fetch(media, limit).await
    }

    async fn upload_media(&self, data: Bytes, mime: &str) -> Result<String, ProviderError> {
        self.upload(data, mime).await
    }
}
