//! A number on Wawp or on WAHA.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use super::answer::Reading;
use super::file;
use super::inbound::WawpReader;
use super::limits::{self, Takes};
use super::verifier::WawpVerifier;
use super::{chat, message_id};
use crate::message::clock::Clock;
use crate::message::{Address, BotName, ChatId, MediaRef, MessageId, MessageRef, OptOutWords, Part, PartKey, Payload};
use crate::provider::answer::Repeat;
use crate::provider::exchange::{FullResponse, download, exchange};
use crate::provider::hosts::Hosts;
use crate::provider::whatsapp::limits::CAPTIONS;
use crate::provider::{
    Abilities, Activity, ErrorCode, GroupTyping, InvalidPart, KeyedBy, Method, Provider, ProviderError, Rate,
    ReadReceipts, Received, Resolve, STOPS_PER_SECOND, SendLimits, StopAbilities, TypingAbilities, WebhookError,
    WebhookRequest,
};
use crate::runtime::http::{Body, Call, Download, Transport};

/// Which messages a read call names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    /// The one that is being answered.
    Message,
    /// None: whatever is unread in the chat.
    Chat,
}

/// A call before it has an address and credentials.
pub(super) struct WawpRequest {
    pub(super) method: &'static str,
    /// The segments of its path.
    pub(super) path: Vec<String>,
    pub(super) body: Map<String, Value>,
}

impl WawpRequest {
    pub(super) fn post(path: &[&str], body: Map<String, Value>) -> Self {
        Self { method: "POST", path: path.iter().map(|segment| (*segment).to_owned()).collect(), body }
    }
}

/// What the two say each in its own way.
pub(super) trait Dialect: Send + Sync + 'static {
    const NAME: &'static str;

    /// What it takes.
    const TAKES: Takes;

    /// Whether these words of a 404, in lower case, speak of the session.
    fn session_is_gone(words: &str) -> bool;

    /// The session that webhooks must name, where its name is known.
    fn session(&self) -> Option<&str>;

    fn seen(&self, message: &MessageRef) -> WawpRequest;
    fn typing(&self, message: &MessageRef, activity: Activity) -> WawpRequest;
    fn stop(&self, message: &MessageRef) -> WawpRequest;
    fn part(&self, to: &MessageRef, part: &Part, key: &PartKey) -> Result<WawpRequest, ProviderError>;

    /// The call itself.
    fn call(&self, request: WawpRequest) -> Call;

    /// The call that opens a medium.
    fn open(&self, url: Url) -> Call;
}

/// A number.
pub(super) struct WawpSession<D> {
    pub(super) bot: BotName,
    pub(super) dialect: D,
    pub(super) verifier: WawpVerifier,
    /// Whether `message.any` is read.
    pub(super) any: bool,
    pub(super) media_hosts: Hosts,
    pub(super) abilities: Abilities,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) clock: Clock,
}

impl<D: Dialect> WawpSession<D> {
    /// Makes a call. Whoever calls decides what its answer says.
    async fn exchange(&self, request: WawpRequest, repeat: Repeat) -> Result<FullResponse, ProviderError> {
        let answer = exchange(&*self.transport, self.dialect.call(request), repeat).await?;
        if answer.is_success() { Ok(answer) } else { Err(self.reading(repeat).refusal(&answer)) }
    }

    fn reading(&self, repeat: Repeat) -> Reading {
        Reading { now: self.clock.now(), repeat, session_is_gone: D::session_is_gone }
    }
}

#[async_trait]
impl<D: Dialect> Provider for WawpSession<D> {
    fn name(&self) -> &'static str {
        D::NAME
    }

    fn abilities(&self) -> &Abilities {
        &self.abilities
    }

    fn receive(&self, request: &WebhookRequest) -> Result<Received, WebhookError> {
        if request.method == Method::Get {
            return Err(WebhookError::WrongMethod);
        }
        self.verifier.verify(request)?;
        let (bot, session) = (&self.bot, self.dialect.session());
        WawpReader { bot, session, any: self.any, received: request.received }.read(&request.body).map(Received::Events)
    }

    async fn mark_read(&self, message: &MessageRef) -> Result<(), ProviderError> {
        self.exchange(self.dialect.seen(message), Repeat::Harmless).await.map(drop)
    }

    /// What is in the answer says nothing: Wawp's page prints a message there. A start without an answer may have lit
    /// the indicator, so that it counts as doubtful, although a second one does no harm.
    async fn start_typing(&self, message: &MessageRef, activity: Activity) -> Result<(), ProviderError> {
        self.exchange(self.dialect.typing(message, activity), Repeat::Doubles).await.map(drop)
    }

    async fn stop_typing(&self, message: &MessageRef) -> Result<(), ProviderError> {
        self.exchange(self.dialect.stop(message), Repeat::Harmless).await.map(drop)
    }

    fn check(&self, part: &Part) -> Result<(), InvalidPart> {
        limits::check(part, D::TAKES)
    }

    fn address(&self, contact: &str) -> Option<Address> {
        chat::address(contact)
    }

    async fn send(&self, to: &MessageRef, part: &Part, key: &PartKey) -> Result<MessageId, ProviderError> {
        // The same reaction again changes nothing.
        let is_reaction = matches!(part.payload, Payload::Reaction { .. });
        let repeat = if is_reaction { Repeat::Harmless } else { Repeat::Doubles };
        let answer = self.exchange(self.dialect.part(to, part, key)?, repeat).await?;
        self.reading(repeat).sent(&answer, key)
    }

    async fn confirm_opt_out(&self, to: &MessageRef, part: &Part, key: &PartKey) -> Result<MessageId, ProviderError> {
        self.send(to, part, key).await
    }

    fn reported(&self, code: Option<i64>) -> ProviderError {
        ProviderError::Rejected { code: code.map_or(ErrorCode::Local("reported as failed"), ErrorCode::Upstream) }
    }

    async fn fetch_media(&self, media: &MediaRef, limit: u64) -> Result<Download, ProviderError> {
        let rejected = |what| ProviderError::Rejected { code: ErrorCode::Local(what) };
        let url = media.url.as_deref().ok_or(rejected("the upstream has not fetched this medium from WhatsApp"))?;
        let allowed = Url::parse(url).ok().filter(|url| self.media_hosts.allow(url));
        let url = allowed.ok_or(rejected("the medium's address is on none of the media_hosts"))?;
        let opened = download(&*self.transport, self.dialect.open(url), limit).await?;
        opened.map_err(|refused| self.reading(Repeat::Harmless).refusal(&refused))
    }

    async fn upload_media(&self, data: Bytes, mime: &str) -> Result<String, ProviderError> {
        file::inline(&data, mime)
    }
}

/// What a configuration says about the indicator, the ticks and the pace, by the names that its keys have there.
pub(super) struct Manners<'a> {
    pub(super) seen: Seen,
    pub(super) recording: bool,
    pub(super) stop_before_send: bool,
    pub(super) lead: Duration,
    pub(super) typing_refresh: Duration,
    pub(super) typing_lifetime: Duration,
    pub(super) group_typing: GroupTyping,
    pub(super) large_groups: &'a [String],
    pub(super) messages_per_minute: u32,
}

impl Manners<'_> {
    pub(super) fn abilities(&self, takes: Takes, resolve: &mut Resolve<'_>) -> Abilities {
        let problem = "must be 3s or less: the dots should come 2 to 3 s before the text";
        resolve.require(self.lead <= Duration::from_secs(3), "lead", problem);
        let problem = "must be shorter than typing_lifetime: otherwise the dots go out in between";
        let fits = !self.typing_refresh.is_zero() && self.typing_refresh < self.typing_lifetime;
        resolve.require(fits, "typing_refresh", problem);
        Abilities {
            typing: TypingAbilities {
                keyed_by: KeyedBy::Chat,
                lifetime: self.typing_lifetime,
                refresh: Some(self.typing_refresh),
                // The guard has an end of its own.
                max_refreshes: u32::MAX,
                start_marks_read: false,
                lit_on_arrival: false,
                stop: Some(StopAbilities { per_second: Some(STOPS_PER_SECOND), before_send: self.stop_before_send }),
                recording: self.recording,
                lead: self.lead,
                groups: self.group_typing,
                large_groups: self.large_groups(resolve),
            },
            reads: match self.seen {
                Seen::Message => ReadReceipts::Message,
                Seen::Chat => ReadReceipts::Chat,
            },
            limits: SendLimits {
                number: Rate::window(self.messages_per_minute, Duration::from_secs(60)).into_iter().collect(),
                pair: Vec::new(),
            },
            text_limit: limits::TEXT,
            captions: CAPTIONS,
            choices: None,
            places: takes.places,
            marks: true,
            idempotent_sends: false,
            statuses_carry_key: false,
            window: None,
            opt_out_words: OptOutWords::NONE,
            acknowledgement: "ok".into(),
        }
    }

    fn large_groups(&self, resolve: &mut Resolve<'_>) -> BTreeSet<ChatId> {
        let mut groups = BTreeSet::new();
        for (number, written) in self.large_groups.iter().enumerate() {
            match chat::name(written).filter(|name| chat::is_group(name)) {
                Some(name) => {
                    groups.insert(ChatId::new(name));
                }
                None => resolve.wrong(&format!("large_groups[{number}]"), "must be a group: it ends with @g.us"),
            }
        }
        groups
    }
}

/// The fields of a read call beside the chat: which message, and in a group who wrote it.
pub(super) fn seen(message: &MessageRef, seen: Seen, body: &mut Map<String, Value>) {
    if seen == Seen::Message {
        body.insert("messageIds".to_owned(), vec![message_id::on_the_wire(&message.message)].into());
        if message.group {
            body.insert("participant".to_owned(), message.sender.as_str().into());
        }
    }
}

/// The message that a reaction goes on.
pub(super) fn reacted<'a>(to: &'a MessageRef, named: &'a Option<MessageId>) -> &'a str {
    message_id::on_the_wire(named.as_ref().unwrap_or(&to.message))
}

/// Lengthens `base` by `segments`.
pub(super) fn address<'a>(base: &Url, segments: impl IntoIterator<Item = &'a str>) -> Url {
    let mut url = base.clone();
    // An address that has no path is refused by the transport.
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

/// A call with a JSON body.
pub(super) fn json(method: &'static str, url: Url, body: Map<String, Value>, timeout: Duration) -> Call {
    let body = Body::Json(Value::Object(body).to_string().into());
    Call { method, url, headers: Vec::new(), body, timeout, in_clear: false }
}
