//! What the operator is shown, and what he asks for: JSON on the wire, and the same for the command line.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ingress::proactive::ProactiveError;
use crate::message::{BotName, Content, ContentKind, Part, PartKey, Payload, Stage};
use crate::policy::takeover::Lasting;
use crate::store::{Backlog, DeadLetter, PartState, Receipt, SentPart, Seq, StoreError};

/// Which dead letters to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageQuery {
    /// Those behind this one; all if none.
    pub after: Option<Seq>,
    /// So many at the most.
    pub most: usize,
    /// Whether with what the customer wrote, and who that is.
    pub words: bool,
}

impl PageQuery {
    /// What one page has, if nothing is asked for.
    pub const USUAL: usize = 100;
    /// What one page may have. With words it may have no more than usual: one message can be a megabyte.
    pub const LONGEST: usize = 1000;

    /// Whether it may be asked for.
    pub fn is_fine(&self) -> bool {
        let longest = if self.words { Self::USUAL } else { Self::LONGEST };
        (1..=longest).contains(&self.most)
    }
}

impl Default for PageQuery {
    fn default() -> Self {
        Self { after: None, most: Self::USUAL, words: false }
    }
}

/// A page of dead letters.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Letters {
    /// The letters, in the order of their numbers.
    pub letters: Vec<Letter>,
    /// Where the next page begins, if there may be one: its `after`.
    pub next: Option<Seq>,
}

/// A message that should have had an answer and has none.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Letter {
    /// Its number: the one that the log has.
    pub letter: Seq,
    /// Whose it is.
    pub bot: BotName,
    /// Since when it is dead.
    pub since: String,
    /// When it was accepted.
    pub accepted: String,
    /// Why it is dead. Nothing of the customer's in it.
    pub reason: String,
    /// What kind of message it is; nothing, if it is something that was to be said unasked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ContentKind>,
    /// Whether it could not be read: then its content is what came, and it cannot be replayed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unread: bool,
    /// The parts of what was to be said unasked, by their keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<String>,
    /// What is the customer's, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Private>,
}

/// What is the customer's: never for a log.
#[derive(Clone, Serialize, Deserialize)]
pub struct Private {
    /// The name that the customer shows.
    pub name: Option<String>,
    /// The customer, by the upstream's identifier: what `forget` takes.
    pub sender: String,
    /// The customer's phone number, if the upstream gave it.
    pub phone: Option<String>,
    /// Whether it was said in a group.
    pub group: bool,
    /// When it was written, by the upstream's clock.
    pub written: String,
    /// The words in it.
    pub words: Option<String>,
    /// All of it.
    pub content: Content,
}

impl fmt::Debug for Private {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Private(…)")
    }
}

impl Letter {
    /// A letter as it is shown, with the customer's words or without.
    pub(super) fn of(letter: DeadLetter, words: bool) -> Self {
        let DeadLetter { message, reason, since, unread } = letter;
        let parts = message.keys().iter().map(|key| key.as_str().to_owned()).collect();
        let said = message.proactive.as_ref().map(|proactive| {
            let words = proactive.parts.iter().filter_map(|part| part.payload.words());
            words.collect::<Vec<_>>().join("\n")
        });
        let is_proactive = message.proactive.is_some();
        let inbound = message.inbound;
        let at = inbound.at;
        let private = |content: Content| Private {
            name: inbound.contact.name,
            sender: at.sender.as_str().to_owned(),
            phone: at.phone.map(|phone| phone.as_str().to_owned()),
            group: at.group,
            written: at.time.to_utc(),
            words: said.or_else(|| content.words().map(str::to_owned)),
            content,
        };
        Self {
            letter: message.seq,
            bot: at.bot,
            since: since.to_utc(),
            accepted: message.accepted.to_utc(),
            reason,
            kind: (!is_proactive).then(|| inbound.content.kind()),
            unread,
            parts,
            message: words.then(|| private(inbound.content)),
        }
    }
}

/// What became of the letters that were named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LettersChanged {
    /// These were replayed, or thrown away.
    pub done: Vec<Seq>,
    /// These are no dead letters (any longer).
    pub unknown: Vec<Seq>,
    /// These could not be read when they came, so there is nothing to replay.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<Seq>,
    /// Why the others were not looked at, if the store could not go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// For how long a person answers, in an operator's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PauseFor {
    /// So long, such as `"2h"`; if it is left out, until the operator has the bot go on.
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    pub lasts: Option<Lasting>,
}

/// What became of a conversation that was to be paused, or to go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactView {
    /// Whether a person answers in it now.
    pub paused: bool,
    /// Until when, in UTC; none if until the bot is told to go on, or if nobody does.
    pub until: Option<String>,
    /// Whether that is new. A pause that was there and lasts longer stays as it was.
    pub changed: bool,
}

/// Who is meant, and of whose data.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Whom {
    /// The bot.
    pub bot: String,
    /// The person: a phone number, or an identifier of the upstream's.
    pub contact: String,
}

impl fmt::Debug for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Whom(…)")
    }
}

/// What became of a part of a reply that has left.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PartOfReply {
    /// Our name for it.
    pub key: String,
    /// Whose it is.
    pub bot: BotName,
    /// When it left; nothing if it has not, or that is not known yet.
    pub sent: Option<String>,
    /// How far it has come: `waiting`, `sending`, `unknown` (it may have been delivered), `sent`, `delivered`, `read`,
    /// `played` or `failed`.
    pub stage: String,
    /// The upstream's code, if it failed and there is one.
    pub code: Option<i64>,
    /// Why it will not be sent, if it is a dead letter's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The dead letter that it is of, which can be replayed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub letter: Option<Seq>,
    /// What kind of part it is; nothing while it is on its way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The upstream's name for it, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// What it says, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
}

impl PartOfReply {
    /// A part as it is shown, with our words or without.
    pub(super) fn of(part: SentPart, words: bool) -> Self {
        let (stage, code) = match part.stage {
            Stage::Sent => ("sent", None),
            Stage::Delivered => ("delivered", None),
            Stage::Read => ("read", None),
            Stage::Played => ("played", None),
            Stage::Failed(code) => ("failed", code),
        };
        let payload: Payload = part.part.payload;
        Self {
            key: part.key.as_str().to_owned(),
            bot: part.conversation.bot,
            sent: Some(part.sent.to_utc()),
            stage: stage.to_owned(),
            code,
            reason: None,
            letter: None,
            kind: Some(payload.name().to_owned()),
            upstream: part.message.filter(|_| words).map(|message| message.as_str().to_owned()),
            words: payload.words().filter(|_| words).map(str::to_owned),
        }
    }
}

impl PartOfReply {
    /// A part that has not left, or of which nobody knows.
    pub(super) fn under_way(key: &PartKey, bot: BotName, state: &PartState) -> Self {
        let stage = match state {
            PartState::Waiting { .. } => "waiting",
            PartState::Sending { .. } => "sending",
            PartState::Sent { .. } => "sent",
            PartState::Unknown { .. } => "unknown",
            PartState::Failed { .. } => "failed",
        };
        let (key, stage) = (key.as_str().to_owned(), stage.to_owned());
        let (sent, code, reason, letter) = (None, None, None, None);
        Self { key, bot, sent, stage, code, reason, letter, kind: None, upstream: None, words: None }
    }

    /// A part of what was to be said unasked, and is dead; none if the letter has no such part.
    pub(super) fn dead(key: &PartKey, letter: DeadLetter, words: bool) -> Option<Self> {
        let DeadLetter { message, reason, .. } = letter;
        let number = message.keys().iter().position(|known| known == key)?;
        let Part { payload, .. } = message.proactive?.parts.into_iter().nth(number)?;
        Some(Self {
            reason: Some(reason),
            letter: Some(message.seq),
            kind: Some(payload.name().to_owned()),
            words: payload.words().filter(|_| words).map(str::to_owned),
            ..Self::under_way(key, message.inbound.at.bot, &PartState::Failed { reason: String::new() })
        })
    }
}

/// What a bot is to say unasked, and where to look what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnqueuedView {
    /// Its number: the one that the log has, and the dead letter if it comes to that.
    pub message: Seq,
    /// Its parts, in order.
    pub parts: Vec<SentAt>,
}

/// A part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentAt {
    /// Our name for it.
    pub key: String,
    /// Where the API says what has become of it.
    pub path: String,
}

impl EnqueuedView {
    pub(super) fn of(receipt: &Receipt) -> Self {
        let at = |key: &PartKey| SentAt { key: key.as_str().to_owned(), path: format!("/v1/parts/{}", key.as_str()) };
        Self { message: receipt.seq, parts: receipt.keys().iter().map(at).collect() }
    }
}

impl From<ProactiveError> for ApiError {
    fn from(refused: ProactiveError) -> Self {
        let status = match refused {
            ProactiveError::Key | ProactiveError::Form(_) => 400,
            ProactiveError::OptedOut | ProactiveError::Paused => 403,
            ProactiveError::UnknownBot | ProactiveError::UnknownChat => 404,
            ProactiveError::Taken => 409,
            ProactiveError::Unsendable(_) => 422,
            ProactiveError::Later(_) => 503,
        };
        Self::new(status, refused.to_string())
    }
}

/// How things stand.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StatusView {
    /// What waits, over all bots.
    pub waiting: Waits,
    /// The bots.
    pub bots: Vec<BotState>,
    /// Why the store takes nothing in any longer, if it does not.
    pub store_failure: Option<String>,
}

/// How much waits.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Waits {
    /// Messages that wait for an answer.
    pub messages: usize,
    /// Conversations that have something to do.
    pub conversations: usize,
}

impl From<Backlog> for Waits {
    fn from(backlog: Backlog) -> Self {
        Self { messages: backlog.messages, conversations: backlog.conversations }
    }
}

/// How a bot stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BotState {
    /// Its name.
    pub bot: BotName,
    /// Whether its upstream does not let it work.
    pub down: bool,
}

/// Why the operator did not get what he asked for. Nothing of his question stands in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct ApiError {
    /// The HTTP status.
    pub status: u16,
    /// What is wrong, and what to do.
    pub text: Cow<'static, str>,
}

/// Said of a bot that does not exist.
pub(super) const NO_BOT: ApiError = ApiError { status: 404, text: Cow::Borrowed("there is no bot of this name") };

impl ApiError {
    /// With this status and these words.
    pub fn new(status: u16, text: impl Into<Cow<'static, str>>) -> Self {
        Self { status, text: text.into() }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::new(503, error.to_string())
    }
}
