//! NXCloud: WhatsApp's Cloud API through a carrier, with an envelope, a signature and error codes of its own.
//!
//! | module | what it knows |
//! |---|---|
//! | `config`, `names` | what a number is configured with, and what may be left out of that |
//! | `sign` | the signature, of calls and callbacks |
//! | `webhook` | who is calling |
//! | `inbound` | what a callback carries |
//! | `call` | one signed call, and the clocks |
//! | `outbound` | what one part of a reply looks like on the wire |
//! | `media` | fetching and uploading |
//! | `errors` | what a refused call means |
//!
//! The indicator is Meta's: it belongs to a message, comes with its read receipt, goes away after 25 seconds or with a
//! reply, and cannot be taken off.

mod call;
mod config;
mod errors;
mod inbound;
mod media;
mod names;
mod outbound;
mod sign;
mod webhook;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use url::Url;

use super::answer::Repeat;
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
use crate::runtime::http::{Download, Transport};
use call::Operation;
pub use config::{NxCloudConfig, Signing};
use inbound::NxcloudReader;
pub use names::{Actions, CallbackHeaders, Paths};
use webhook::NxcloudVerifier;

/// How long the indicator shows (NXCloud's typing page).
const LIFETIME: Duration = Duration::from_secs(25);

/// One number on NXCloud.
struct NxCloud {
    bot: BotName,
    config: NxCloudConfig,
    /// Our own number, in digits.
    own: String,
    base_url: Url,
    access_key: SecretString,
    access_secret: SecretString,
    appkey: SecretString,
    verifier: NxcloudVerifier,
    media_hosts: Hosts,
    abilities: Abilities,
    transport: Arc<dyn Transport>,
    clock: Clock,
    /// How far NXCloud's clock is ahead of ours, in milliseconds, as far as we know.
    clock_offset: AtomicI64,
}

impl NxCloud {
    fn appkey(&self) -> &str {
        self.appkey.expose_secret()
    }
}

fn abilities(config: &NxCloudConfig) -> Abilities {
    Abilities {
        typing: TypingAbilities {
            keyed_by: KeyedBy::Message,
            lifetime: LIFETIME,
            refresh: config.typing_refresh.then_some(config.typing_refresh_every),
            max_refreshes: config.typing_refreshes,
            start_marks_read: true,
            lit_on_arrival: false,
            stop: None,
            recording: false,
            lead: Duration::ZERO,
            groups: GroupTyping::Show,
            large_groups: BTreeSet::new(),
        },
        reads: ReadReceipts::Message,
        limits: rates::sends(config.messages_per_second, config.pair_every, config.pair_burst),
        text_limit: limits::TEXT,
        captions: limits::CAPTIONS,
        choices: Some(limits::CHOICES),
        places: true,
        marks: true,
        // A message takes the name that we give it; whether a second one of that name is turned away is not said.
        idempotent_sends: false,
        statuses_carry_key: true,
        window: Some(Duration::from_hours(24)),
        opt_out_words: OptOutWords::NONE,
        acknowledgement: config.acknowledgement.clone().into(),
    }
}

#[async_trait]
impl Provider for NxCloud {
    fn name(&self) -> &'static str {
        "nxcloud"
    }

    fn abilities(&self) -> &Abilities {
        &self.abilities
    }

    fn receive(&self, request: &WebhookRequest) -> Result<Received, WebhookError> {
        if request.method == Method::Get {
            return Err(WebhookError::WrongMethod);
        }
        self.verifier.verify(request)?;
        let reader = NxcloudReader {
            bot: &self.bot,
            own: &self.own,
            own_number_fields: &self.config.own_number_fields,
            message_id_fields: &self.config.message_id_fields,
            received: request.received,
        };
        reader.read(&request.body).map(Received::Events)
    }

    async fn mark_read(&self, message: &MessageRef) -> Result<(), ProviderError> {
        let said = json!({
            "business_phone": self.own,
            "messaging_product": "whatsapp",
            "message_id": message.message.as_str(),
            "status": "read",
        });
        self.call(Operation::Read, said.into(), self.config.timeout, Repeat::Harmless).await.map(drop)
    }

    async fn start_typing(&self, message: &MessageRef, _: Activity) -> Result<(), ProviderError> {
        let said = json!({
            "appkey": self.appkey(),
            "messaging_product": "whatsapp",
            "business_phone": self.own,
            "status": "read",
            "message_id": message.message.as_str(),
            "typing_indicator": { "type": "text" },
        });
        self.call(Operation::Typing, said.into(), self.config.timeout, Repeat::Harmless).await.map(drop)
    }

    async fn stop_typing(&self, _: &MessageRef) -> Result<(), ProviderError> {
        Err(ProviderError::Unsupported { code: ErrorCode::Local("NXCloud has no call that takes the indicator off") })
    }

    fn check(&self, part: &Part) -> Result<(), InvalidPart> {
        limits::check(part)
    }

    fn address(&self, contact: &str) -> Option<Address> {
        address(contact)
    }

    async fn send(&self, to: &MessageRef, part: &Part, key: &PartKey) -> Result<MessageId, ProviderError> {
        let mut body = outbound::body(&self.config, to, part, key)?;
        body.insert("appkey".to_owned(), self.appkey().into());
        body.insert("business_phone".to_owned(), self.own.as_str().into());
        body.insert("messaging_product".to_owned(), "whatsapp".into());
        let answer =
            self.call(Operation::Send, serde_json::Value::from(body).into(), self.config.timeout, Repeat::Doubles);
        let answer = answer.await?;
        let id = Object(&answer).objects("messages").next().and_then(|message| message.text("id"));
        // It was taken: without a name of NXCloud's it is known by the one that we gave it.
        Ok(MessageId::new(id.unwrap_or_else(|| key.as_str().to_owned())))
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
