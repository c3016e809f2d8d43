//! Linq's Partner API V3: iMessage, RCS and SMS.
//!
//! | module | what it knows |
//! |---|---|
//! | `config` | what a line is configured with |
//! | `webhook` | who is calling: two signatures |
//! | `event`, `inbound` | what a delivery carries, in either form of the payload |
//! | `content`, `reaction` | what a message's parts say, and what a reaction says |
//! | `consent` | who has opted out at Linq |
//! | `names` | how we name what Linq has no name for |
//! | `outbound`, `limits` | what one part of a reply looks like on the wire, and how large it may be |
//! | `media` | fetching and uploading |
//! | `silent` | the groups that refuse the indicator |
//! | `errors` | what a refused call means |
//!
//! A chat has an identifier of its own, and read receipts and the indicator are the chat's: for iMessage alone, as far
//! as anybody sees. The indicator needs a message in the chat within the last five minutes, else the call is answered
//! with success and nothing shows. A send takes it off, and may be repeated under the same key.

mod config;
mod consent;
mod content;
mod errors;
mod event;
mod inbound;
mod limits;
mod media;
mod names;
mod outbound;
mod reaction;
mod silent;
mod webhook;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use url::Url;

use super::answer::Repeat;
use super::exchange::exchange;
use super::hosts::Hosts;
use super::lenient::Object;
use super::{
    Abilities, Activity, CaptionLimits, ErrorCode, GroupTyping, InvalidPart, KeyedBy, Method, Provider,
    ProviderContext, ProviderError, Rate, ReadReceipts, Received, STOPS_PER_SECOND, SendLimits, SigningSecret,
    StopAbilities, TypingAbilities, WebhookError, WebhookRequest,
};
use crate::message::clock::Clock;
use crate::message::reply::{Media, Payload};
use crate::message::{Address, BotName, ChatId, MediaKind, MediaRef, MessageId, MessageRef, Part, PartKey};
use crate::runtime::http::{Body, Call, Download, Transport};
pub use config::{GroupTypingPolicy, LinqConfig, PreferredService};
use errors::LinqRefusal;
use inbound::LinqReader;
use limits::Limits;
use names::Target;
use outbound::Envelope;
use silent::Silent;
pub use webhook::LegacyKey;
use webhook::LinqVerifier;

const NO_TYPING: ProviderError =
    ProviderError::Unsupported { code: ErrorCode::Local("Linq shows no typing in this group") };

/// One line on Linq's Partner API V3.
struct Linq {
    bot: BotName,
    api_key: SecretString,
    number: String,
    base_url: Url,
    timeout: Duration,
    service: PreferredService,
    verifier: LinqVerifier,
    media_hosts: Hosts,
    limits: Limits,
    silent: Silent,
    abilities: Abilities,
    transport: Arc<dyn Transport>,
    clock: Clock,
}

impl Linq {
    fn new(
        config: &LinqConfig,
        api_key: SecretString,
        secrets: &[SigningSecret],
        base_url: Url,
        around: ProviderContext,
    ) -> Self {
        Self {
            bot: around.bot,
            api_key,
            number: config.number.clone(),
            timeout: config.timeout,
            service: config.preferred_service,
            verifier: LinqVerifier::new(secrets, config.rules()),
            media_hosts: Hosts::new(&config.media_hosts, &base_url),
            limits: Limits { text: config.text_limit, voice_memos: config.voice_memos },
            silent: Silent::new(config.group_typing_pause),
            abilities: abilities(config),
            base_url,
            transport: around.transport,
            clock: around.clock,
        }
    }

    fn request(&self, method: &'static str, path: &[&str], body: Body) -> Call {
        let mut url = self.base_url.clone();
        // An address that has no path is refused by the transport.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        let key = format!("Bearer {}", self.api_key.expose_secret());
        Call { method, url, headers: vec![("authorization".into(), key)], body, timeout: self.timeout, in_clear: false }
    }

    /// Makes a call and reads what it is answered with, if that is an object; any status of success will do.
    async fn ask(
        &self,
        method: &'static str,
        path: &[&str],
        body: Body,
        repeat: Repeat,
    ) -> Result<Map<String, Value>, ProviderError> {
        let answer = exchange(&*self.transport, self.request(method, path, body), repeat).await?;
        match LinqRefusal::of(&answer, self.clock.now()) {
            Some(refusal) => Err(refusal.meaning(repeat)),
            None => Ok(answer.object().unwrap_or_default()),
        }
    }

    async fn post(&self, path: &[&str], body: Value, repeat: Repeat) -> Result<Map<String, Value>, ProviderError> {
        self.ask("POST", path, Body::Json(body.to_string().into()), repeat).await
    }

    /// Lights the indicator or takes it off.
    async fn typing(&self, method: &'static str, message: &MessageRef) -> Result<(), ProviderError> {
        if self.silent.holds(&message.chat, self.clock.now()) {
            return Err(NO_TYPING);
        }
        let call = self.request(method, &["v3", "chats", message.chat.as_str(), "typing"], Body::Empty);
        let answer = exchange(&*self.transport, call, Repeat::Harmless).await?;
        match LinqRefusal::of(&answer, self.clock.now()) {
            Some(refusal) if message.group && refusal.is_no_typing() => {
                self.silent.add(&message.chat, self.clock.now());
                Err(ProviderError::Unsupported { code: refusal.code() })
            }
            Some(refusal) => Err(refusal.meaning(Repeat::Harmless)),
            None => Ok(()),
        }
    }

    /// Sends one part, to somebody who has opted out too if it says so.
    async fn carry(
        &self,
        to: &MessageRef,
        part: &Part,
        key: &PartKey,
        despite_opt_out: bool,
    ) -> Result<MessageId, ProviderError> {
        let quotes = part.quote.then_some(&to.message);
        let around = Envelope { key, quotes, service: self.service, despite_opt_out };
        match &part.payload {
            Payload::Text { body } => self.say(to, vec![outbound::text(body)], &around).await,
            // A chat that there is not yet takes no memo.
            Payload::Media(memo) if memo.kind == MediaKind::Voice && self.limits.voice_memos && !names::is_new(to) => {
                self.say_memo(&to.chat, memo, key).await
            }
            Payload::Media(media) => self.say(to, outbound::medium(media)?, &around).await,
            Payload::Reaction { message, emoji } => {
                self.react(message.as_ref().unwrap_or(&to.message), emoji).await?;
                Ok(MessageId::new(key.as_str()))
            }
            Payload::Buttons { .. }
            | Payload::List { .. }
            | Payload::Location { .. }
            | Payload::ApprovedTemplate { .. } => {
                Err(ProviderError::Unsupported { code: ErrorCode::Local("Linq has no such message") })
            }
        }
    }

    /// Sends `parts` as one message. Whoever has never written has no chat yet: it begins with the message.
    async fn say(&self, to: &MessageRef, parts: Vec<Value>, around: &Envelope<'_>) -> Result<MessageId, ProviderError> {
        let mut body = around.around(parts);
        if !names::is_new(to) {
            let path = ["v3", "chats", to.chat.as_str(), "messages"];
            let answer = self.post(&path, body.into(), Repeat::Harmless).await?;
            return Ok(named(&answer, "message", around.key));
        }
        body.insert("from".to_owned(), self.number.as_str().into());
        body.insert("to".to_owned(), vec![to.sender.as_str()].into());
        let answer = self.post(&["v3", "chats"], body.into(), Repeat::Harmless).await?;
        let chat = Object(&answer).object("chat").filter(|chat| chat.object("message").is_some());
        let id = chat.unwrap_or(Object(&answer)).object("message").and_then(|message| message.text("id"));
        Ok(id.map_or_else(|| MessageId::new(around.key.as_str()), MessageId::new))
    }

    /// Sends a voice memo. Such a call carries no key.
    async fn say_memo(&self, chat: &ChatId, memo: &Media, key: &PartKey) -> Result<MessageId, ProviderError> {
        let path = ["v3", "chats", chat.as_str(), "voicememo"];
        let answer = self.post(&path, outbound::memo(memo)?, Repeat::Doubles).await?;
        Ok(named(&answer, "voice_memo", key))
    }

    /// Puts an emoji on a message, or takes ours away. Either may be repeated: a reaction is there or it is not.
    async fn react(&self, name: &MessageId, emoji: &str) -> Result<(), ProviderError> {
        let Target { message, part } = Target::of(name);
        let path = ["v3", "messages", message, "reactions"];
        if !emoji.is_empty() {
            return self.post(&path, reaction::add(emoji, part).into(), Repeat::Harmless).await.map(drop);
        }
        // A removal has to name what it removes.
        let shown = self.ask("GET", &path[..3], Body::Empty, Repeat::Harmless).await?;
        for removal in reaction::removals(Object(&shown), part) {
            self.post(&path, removal.into(), Repeat::Harmless).await?;
        }
        Ok(())
    }
}

/// What Linq calls the message that it took. It was taken even if it has no name: then ours stands in.
fn named(answer: &Map<String, Value>, under: &str, key: &PartKey) -> MessageId {
    let id = Object(answer).object(under).and_then(|message| message.text("id"));
    id.map_or_else(|| MessageId::new(key.as_str()), MessageId::new)
}

fn abilities(config: &LinqConfig) -> Abilities {
    Abilities {
        typing: TypingAbilities {
            keyed_by: KeyedBy::Chat,
            lifetime: config.typing_lifetime,
            refresh: Some(config.typing_refresh),
            max_refreshes: u32::MAX,
            start_marks_read: false,
            lit_on_arrival: false,
            stop: Some(StopAbilities { per_second: Some(STOPS_PER_SECOND), before_send: false }),
            recording: false,
            lead: Duration::ZERO,
            groups: match config.group_typing {
                GroupTypingPolicy::Skip => GroupTyping::Skip,
                GroupTypingPolicy::Try => GroupTyping::Show,
            },
            large_groups: BTreeSet::new(),
        },
        reads: ReadReceipts::Chat,
        limits: SendLimits {
            number: Vec::new(),
            pair: Rate::window(config.pair_messages, config.pair_period).into_iter().collect(),
        },
        text_limit: config.text_limit,
        captions: CaptionLimits {
            length: config.text_limit,
            // A voice note that goes out as a voice memo takes no words.
            never_on: if config.voice_memos { &[MediaKind::Voice] } else { &[] },
        },
        choices: None,
        places: false,
        marks: false,
        // A voice memo carries no key.
        idempotent_sends: !config.voice_memos,
        // A failure names the message alone.
        statuses_carry_key: false,
        window: None,
        opt_out_words: consent::WORDS,
        acknowledgement: "ok".into(),
    }
}

#[async_trait]
impl Provider for Linq {
    fn name(&self) -> &'static str {
        "linq"
    }

    fn abilities(&self) -> &Abilities {
        &self.abilities
    }

    fn receive(&self, request: &WebhookRequest) -> Result<Received, WebhookError> {
        if request.method == Method::Get {
            return Err(WebhookError::WrongMethod);
        }
        self.verifier.verify(request)?;
        let reader = LinqReader { bot: &self.bot, number: &self.number, received: request.received };
        reader.read(&request.body).map(Received::Events)
    }

    async fn mark_read(&self, message: &MessageRef) -> Result<(), ProviderError> {
        let path = ["v3", "chats", message.chat.as_str(), "read"];
        self.ask("POST", &path, Body::Empty, Repeat::Harmless).await.map(drop)
    }

    async fn start_typing(&self, message: &MessageRef, _: Activity) -> Result<(), ProviderError> {
        self.typing("POST", message).await
    }

    async fn stop_typing(&self, message: &MessageRef) -> Result<(), ProviderError> {
        self.typing("DELETE", message).await
    }

    fn check(&self, part: &Part) -> Result<(), InvalidPart> {
        self.limits.check(part)
    }

    fn address(&self, contact: &str) -> Option<Address> {
        names::address(contact)
    }

    async fn send(&self, to: &MessageRef, part: &Part, key: &PartKey) -> Result<MessageId, ProviderError> {
        self.carry(to, part, key, false).await
    }

    async fn confirm_opt_out(&self, to: &MessageRef, part: &Part, key: &PartKey) -> Result<MessageId, ProviderError> {
        self.carry(to, part, key, true).await
    }

    fn reported(&self, code: Option<i64>) -> ProviderError {
        ProviderError::Rejected { code: code.map_or(ErrorCode::Local("reported as failed"), ErrorCode::Upstream) }
    }

    async fn fetch_media(&self, media: &MediaRef, limit: u64) -> Result<Download, ProviderError> {
        self.fetch(media, limit).await
    }

    async fn upload_media(&self, data: Bytes, mime: &str) -> Result<String, ProviderError> {
        self.upload(data, mime).await
    }
}
