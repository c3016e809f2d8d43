//! The upstreams: one trait, one table, one file for each.
//!
//! | Provider | `kind` | Webhooks verified by | Read receipts | Dots keyed by | last | lit again after | taken off by | with nothing behind them, at most | Recording | Same send twice | Groups |
//! |---|---|---|---|---|---|---|---|---|---|---|---|
//! | Meta Cloud API | `meta` | HMAC-SHA256 | with typing | message | 25 s | 26 s | a reply, time | 25 s | no | found by status | yes |
//! | NXCloud | `nxcloud` | MD5 over headers, body and secret | with typing | message | 25 s | 26 s | a reply, time | 25 s | no | found by status | yes |
//! | Wawp | `wawp` | HMAC-SHA256 or -SHA512, or a token | by message | chat | 20 s | 8 s | a reply, a call, time | 0 s; if its call fails 2 s, and 20 s if that fails three times | no | no | yes |
//! | WAHA | `waha` | HMAC-SHA512 | by message | chat | 10 s | 8 s | a reply, a call, time | 0 s; if its call fails 2 s, and 10 s if that fails three times | yes | no | yes |
//! | WhatsApp Gateway | `gateway` | HMAC-SHA512 | its own setting | chat | 20 s | 8 s | a reply, a call, time | 0 s; if its call fails 2 s, and 20 s if that fails three times | yes | by key | yes |
//! | Linq Partner API | `linq` | Standard Webhooks (HMAC-SHA256) | by chat | chat | 60 s | 45 s | a reply, a call, time | 0 s; if its call fails 2 s, and 60 s if that fails three times | no | by key | no dots |
//!
//! A provider is a pair of pure duties and a handful of calls. [`Provider::receive`] verifies and parses in one
//! step, synchronously and without I/O, so nobody can parse what was not verified and a fixture replays through it
//! without a server. Everything else is one call to the upstream, never retried here: what may be repeated, and
//! when, is the outbox's business, and [`ProviderError`] says what it needs to know.
//!
//! There are no default bodies. A default that does nothing and reports success is how an indicator comes to never
//! show: an upstream that cannot do a thing says so in [`Abilities`] and answers [`ProviderError::Unsupported`].

pub mod answer;
pub mod exchange;
pub(crate) mod files;
pub mod gateway;
pub mod health;
mod hosts;
mod kind;
mod lenient;
pub mod linq;
pub mod meta;
mod metered;
pub mod nxcloud;
mod part_limits;
mod rate;
mod resolve;
mod secrets;
pub mod signature;
mod unread;
mod vcard;
pub mod wawp;
mod whatsapp;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::message::clock::Timestamp;
use crate::message::{
    Address, ChatId, DeliveryStatus, Echo, Inbound, MarketingPreference, MediaRef, MessageId, MessageRef, OptOutWords,
    Part, PartKey, Renamed,
};
use crate::runtime::http::{Download, Headers};
pub(crate) use kind::ReadError;
pub use kind::{AnyProviderConfig, ProviderConfig, ProviderContext, ProviderKind};
pub use metered::Metered;
pub use part_limits::{CaptionLimits, ChoiceLimits, ListLimits};
pub use rate::{Rate, SendLimits};
pub use resolve::Resolve;
pub use secrets::{EndingSecret, Secrets, SigningSecret};
pub use unread::Unread;

/// The providers that come with threedots. A program adds its own with [`App::load_with`](crate::App::load_with).
pub const KINDS: [ProviderKind; 6] = [
    ProviderKind::of::<meta::MetaConfig>(),
    ProviderKind::of::<nxcloud::NxCloudConfig>(),
    ProviderKind::of::<wawp::WawpConfig>(),
    ProviderKind::of::<wawp::WahaConfig>(),
    ProviderKind::of::<gateway::GatewayConfig>(),
    ProviderKind::of::<linq::LinqConfig>(),
];

/// An upstream that carries messages.
#[async_trait]
pub trait Provider: Send + Sync + 'static {
    /// The word for it in configuration and logs, such as `meta`.
    fn name(&self) -> &'static str;

    /// What it can do, as plain data: the core reads this instead of asking which provider it is.
    fn abilities(&self) -> &Abilities;

    /// Verifies one webhook request and, only then, says what it carries.
    ///
    /// # Errors
    /// When the request is not authentic or is not of the upstream's form at all. An authentic request with parts
    /// that make no sense is no error: the parts are counted in [`Ignored`].
    fn receive(&self, request: &WebhookRequest) -> Result<Received, WebhookError>;

    /// Shows the customer that `message` has been read.
    async fn mark_read(&self, message: &MessageRef) -> Result<(), ProviderError>;

    /// Lights the indicator for `message`, or lights it again.
    async fn start_typing(&self, message: &MessageRef, activity: Activity) -> Result<(), ProviderError>;

    /// Takes the indicator off.
    async fn stop_typing(&self, message: &MessageRef) -> Result<(), ProviderError>;

    /// Says whether `part` keeps to the upstream's limits. Makes no call.
    ///
    /// # Errors
    /// The limit that it breaks, in words for the handler's author.
    fn check(&self, part: &Part) -> Result<(), InvalidPart>;

    /// Where somebody is written to who has never written, by a phone number as people write it or by an identifier of
    /// the upstream's. None if that cannot be. Makes no call.
    fn address(&self, contact: &str) -> Option<Address>;

    /// Sends one part in answer to `to`, or unasked to whom it names, and returns the upstream's name for it.
    async fn send(&self, to: &MessageRef, part: &Part, key: &PartKey) -> Result<MessageId, ProviderError>;

    /// Sends one part that confirms to a person that they have opted out: past the upstream's own refusal to send to
    /// such a person, where it has one and lets a last message through. Elsewhere the same as [`Provider::send`].
    async fn confirm_opt_out(&self, to: &MessageRef, part: &Part, key: &PartKey) -> Result<MessageId, ProviderError>;

    /// What it means that the upstream reports, after it has taken a message, that it failed with this code.
    fn reported(&self, code: Option<i64>) -> ProviderError;

    /// Opens a medium for reading. At most `limit` bytes can be read from it.
    async fn fetch_media(&self, media: &MediaRef, limit: u64) -> Result<Download, ProviderError>;

    /// Hands a medium to the upstream and returns the upstream's name for it. The customer sees nothing of this.
    async fn upload_media(&self, data: Bytes, mime: &str) -> Result<String, ProviderError>;
}

/// What an upstream can do.
#[derive(Clone, Debug)]
pub struct Abilities {
    /// How its typing indicator behaves.
    pub typing: TypingAbilities,
    /// What becomes of a read call.
    pub reads: ReadReceipts,
    /// How often it takes a message.
    pub limits: SendLimits,
    /// The longest text that one message takes, in characters.
    pub text_limit: usize,
    /// How long captions may be. What is longer, the outbox goes on with as text.
    pub captions: CaptionLimits,
    /// What it takes of buttons and lists; none if it shows none. What it does not take, the outbox gives another form,
    /// and in the end writes the choices out, with numbers.
    pub choices: Option<ChoiceLimits>,
    /// Whether it takes a place as a message. Where it does not, the outbox writes it out, with a link to a map.
    pub places: bool,
    /// Whether it shows WhatsApp's marks, such as `*bold*`. Where it does not, formatted words are sent without them.
    pub marks: bool,
    /// Whether a send that is repeated with the same key is delivered once.
    pub idempotent_sends: bool,
    /// Whether delivery statuses carry our key.
    pub statuses_carry_key: bool,
    /// How long after a customer's last message a free-form reply is taken; none if always.
    pub window: Option<Duration>,
    /// By which words the upstream itself takes the person in a direct chat for opted out, and then refuses to send to
    /// them: the bot takes them for an opt-out as well.
    pub opt_out_words: OptOutWords,
    /// What a delivery is answered with, beside 200. Most upstreams read nothing but the status.
    pub acknowledgement: Cow<'static, str>,
}

/// How an upstream's typing indicator behaves.
#[derive(Clone, Debug)]
pub struct TypingAbilities {
    /// What its calls name.
    pub keyed_by: KeyedBy,
    /// How long it shows if nothing takes it off.
    pub lifetime: Duration,
    /// How long after one start the next may follow so that the indicator goes on showing; none if never.
    pub refresh: Option<Duration>,
    /// How many times it may be started again for one message.
    pub max_refreshes: u32,
    /// Whether starting it also marks the message as read.
    pub start_marks_read: bool,
    /// Whether the upstream may have lit it by itself before the webhook arrived.
    pub lit_on_arrival: bool,
    /// How it can be taken off by a call; none if it cannot.
    pub stop: Option<StopAbilities>,
    /// Whether there is a second indicator for "recording a voice message".
    pub recording: bool,
    /// How long it should have shown before the reply arrives, the handler's own time included.
    pub lead: Duration,
    /// What is shown in groups.
    pub groups: GroupTyping,
    /// The groups that are so large that an indicator is noise: there it is shown sparingly at the most.
    pub large_groups: BTreeSet<ChatId>,
}

impl TypingAbilities {
    /// What is shown in the chat that `message` stands in.
    pub fn shown_in(&self, message: &MessageRef) -> GroupTyping {
        match self.groups {
            _ if !message.group => GroupTyping::Show,
            GroupTyping::Show if self.large_groups.contains(&message.chat) => GroupTyping::Sparingly,
            groups => groups,
        }
    }
}

/// What the calls of a typing indicator name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyedBy {
    /// A message of the customer's: the indicator belongs to the answer to that one.
    Message,
    /// A chat.
    Chat,
}

/// How many calls that take its indicator off a chat takes in one second. Wawp's page says so, for WhatsApp's sake; it
/// is kept on every upstream that has such a call.
pub const STOPS_PER_SECOND: u32 = 3;

/// How an indicator can be taken off by a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopAbilities {
    /// How many such calls a chat takes in one second; none if there is no limit.
    pub per_second: Option<u32>,
    /// Whether one should come before a reply leaves. Otherwise the reply alone takes the indicator off.
    pub before_send: bool,
}

/// What is shown in a group while a bot works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupTyping {
    /// The same as in any chat.
    Show,
    /// The indicator once, and only once the handler is certainly at work; taken off only if it certainly shows.
    Sparingly,
    /// No indicator.
    Skip,
}

/// What becomes of a read call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadReceipts {
    /// The customer sees that this message was read, and with it the earlier ones.
    Message,
    /// The customer sees that the whole chat was read.
    Chat,
    /// The customer sees nothing of it: it resets the upstream's own count of unread messages.
    CountOnly,
    /// There is no such call: the upstream marks messages as read by itself, or not at all.
    None,
}

/// What the indicator says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activity {
    /// Typing…
    #[default]
    Typing,
    /// Recording a voice message; where that does not exist, typing.
    Recording,
}

/// One HTTP request to a bot's webhook, as it arrived.
#[derive(Clone)]
pub struct WebhookRequest {
    /// Whether it delivers something or asks for a handshake.
    pub method: Method,
    /// The raw query string, without the question mark.
    pub query: String,
    /// The headers.
    pub headers: Headers,
    /// The body, byte for byte: signatures are over these bytes.
    pub body: Bytes,
    /// When it arrived.
    pub received: Timestamp,
}

impl fmt::Debug for WebhookRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookRequest({:?}, {} bytes)", self.method, self.body.len())
    }
}

/// The two methods that webhooks use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// A handshake.
    Get,
    /// A delivery.
    Post,
}

/// What an authentic webhook request carried.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "it is taken apart where it is made, and nearly always a delivery")]
pub enum Received {
    /// A handshake: answer with exactly this.
    Challenge(String),
    /// A delivery.
    Events(Events),
}

/// What a delivery carried.
#[derive(Debug, Default)]
pub struct Events {
    /// Messages from customers, in the order of the body.
    pub messages: Vec<Inbound>,
    /// News of messages of ours.
    pub statuses: Vec<DeliveryStatus>,
    /// Messages that were sent from the business's own phone.
    pub echoes: Vec<Echo>,
    /// What people have told the upstream about being sent things unasked.
    pub wishes: Vec<MarketingPreference>,
    /// Who has a new number or identifier, as the upstream tells it.
    pub renamed: Vec<Renamed>,
    /// What was left out.
    pub ignored: Ignored,
    /// Messages that could not be read. They are counted as well.
    pub unread: Vec<Unread>,
    /// For whom the first element is that was meant for another number than this bot's.
    pub elsewhere: Option<Elsewhere>,
}

impl Events {
    /// Leaves out an element that is meant for another number.
    pub(crate) fn leave_out(&mut self, elsewhere: Elsewhere) {
        self.ignored.not_ours += 1;
        self.elsewhere.get_or_insert(elsewhere);
    }
}

/// How a delivery says that it is meant for another number than this bot's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Elsewhere {
    /// The setting of the provider's that says which deliveries are this bot's, such as `phone_number_id`.
    pub setting: &'static str,
    /// What of both values may be shown, if anything.
    pub digits: Option<LastDigits>,
}

impl Elsewhere {
    /// By this setting, whose value is not shown.
    pub(crate) fn by(setting: &'static str) -> Self {
        Self { setting, digits: None }
    }
}

/// The last four digits of two identifiers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LastDigits {
    /// Of what the delivery names.
    pub theirs: String,
    /// Of what the setting says.
    pub ours: String,
}

impl LastDigits {
    /// Of these two. A sign that is no digit stands as a question mark.
    pub(crate) fn of(theirs: &str, ours: &str) -> Self {
        let last = |id: &str| {
            let start = id.char_indices().rev().nth(3).map_or(0, |(at, _)| at);
            id[start..].chars().map(|c| if c.is_ascii_digit() { c } else { '?' }).collect()
        };
        Self { theirs: last(theirs), ours: last(ours) }
    }
}

/// How many elements of a delivery were left out, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ignored {
    /// Meant for another number than this bot's.
    pub not_ours: usize,
    /// Of a sort that a bot has no use for.
    pub other: usize,
    /// Not of the upstream's form.
    pub malformed: usize,
}

/// Why a webhook request was refused. The text is for an operator: it never holds what would have been right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// It carries no signature.
    #[error("the request carries no signature")]
    Unsigned,
    /// Its signature is not the one that our secrets give.
    #[error("the signature does not match: check the bot's secret against the provider's")]
    WrongSignature,
    /// Its signature is one that our secrets give, for a time that is not now.
    #[error("the signature is too old or from the future: check this machine's clock, or widen the bot's tolerance")]
    Stale,
    /// The token, of a handshake or in the address, is not ours.
    #[error("the token does not match: check the bot's token against the one that the provider has")]
    WrongToken,
    /// It is authentic, or needs no signature, and makes no sense.
    #[error("the request is not of the provider's form")]
    Malformed,
    /// The upstream never uses this method.
    #[error("the provider does not use this method")]
    WrongMethod,
}

/// Why a call to an upstream did not do what it should, told by what the caller does next.
///
/// The texts hold codes, never bodies, addresses or secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// Refused for now, and certainly not delivered. Repeat after `retry_after`, or after a back-off.
    #[error("rate limited by the provider ({scope:?}, {code})")]
    RateLimited {
        /// When to come back, if the upstream says.
        retry_after: Option<Duration>,
        /// Whom the limit concerns.
        scope: Scope,
        /// The upstream's code.
        code: ErrorCode,
    },
    /// Failed for now, and certainly not delivered. Repeat after a back-off.
    #[error("the provider is not available ({code})")]
    Transient {
        /// The upstream's code.
        code: ErrorCode,
    },
    /// It may have been delivered, or not. Never repeat blindly.
    #[error("the provider's answer is unknown ({code})")]
    Ambiguous {
        /// The upstream's code.
        code: ErrorCode,
    },
    /// Refused for good. Never repeat.
    #[error("the provider refused ({code})")]
    Rejected {
        /// The upstream's code.
        code: ErrorCode,
    },
    /// The customer's last message is too old for a free-form reply.
    #[error("the 24-hour window is closed ({code})")]
    WindowClosed {
        /// The upstream's code.
        code: ErrorCode,
    },
    /// The upstream sends nothing of the kind to this person, who has told it so. Never repeat.
    #[error("the contact has opted out at the provider ({code})")]
    OptedOut {
        /// The upstream's code.
        code: ErrorCode,
    },
    /// The bot may not send at all: its operator has to act.
    #[error("the provider does not let this bot send ({code}): check its token, its permissions and its account")]
    Unauthorized {
        /// The upstream's code.
        code: ErrorCode,
    },
    /// The upstream has lost its own connection for this number.
    #[error("the provider has no connection for this number ({code})")]
    SessionDown {
        /// The upstream's code.
        code: ErrorCode,
    },
    /// This upstream has no such thing.
    #[error("the provider cannot do this ({code})")]
    Unsupported {
        /// The upstream's code.
        code: ErrorCode,
    },
}

impl ProviderError {
    /// The upstream's code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::RateLimited { code, .. }
            | Self::Transient { code }
            | Self::Ambiguous { code }
            | Self::Rejected { code }
            | Self::WindowClosed { code }
            | Self::OptedOut { code }
            | Self::Unauthorized { code }
            | Self::SessionDown { code }
            | Self::Unsupported { code } => *code,
        }
    }
}

/// Whom a rate limit concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// This customer alone.
    Pair,
    /// The bot's number.
    Number,
    /// The account, or all of the app's calls.
    Account,
}

/// Where an error comes from, in numbers that are safe to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// The upstream's own error code.
    Upstream(i64),
    /// An HTTP status without a code that we could read.
    Status(u16),
    /// No answer: what went wrong on the way.
    Network(&'static str),
    /// Found before any call was made.
    Local(&'static str),
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Upstream(code) => write!(f, "code {code}"),
            Self::Status(status) => write!(f, "HTTP {status}"),
            Self::Network(what) | Self::Local(what) => f.write_str(what),
        }
    }
}

/// A part that the upstream would refuse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidPart(pub String);
