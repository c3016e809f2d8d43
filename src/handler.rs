//! What answers: one trait, and what a turn gives to it.
//!
//! | module | what it is |
//! |---|---|
//! | [`demo`] | needs nothing, and shows the typing guard at work |
//! | [`llm`] | a language model behind an OpenAI-compatible address |
//! | [`http`] | yours, in any language, over HTTP |
//! | [`route`] | one of several, by what the customer wrote |
//!
//! A handler turns a [`Turn`] into a [`Reply`]. It cannot send, type or acknowledge by any other way than what the
//! turn gives it, and it may fail, hang, panic or be dropped at any await: the guard and the store see to the rest.
//! A closure is a handler:
//!
//! ```
//! use threedots::{Handler, Reply, Turn};
//! let echo = |turn: &Turn| Reply::text(format!("You said {}", turn.text()));
//! # fn is_handler(_: impl Handler) {}
//! # is_handler(echo);
//! ```

pub mod callbacks;
mod conversation_state;
pub mod demo;
pub mod http;
pub mod llm;
pub mod route;
mod sign;
mod way_out;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::message::clock::Timestamp;
use crate::message::{BotName, Contact, HistoryEntry, Inbound, MediaRef, Reply, rendering};
pub use conversation_state::{ConversationState, ConversationStateError, LateState};
pub use way_out::Egress;

/// Turns a turn into a reply.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Begins with what takes time before the first turn needs it. Called within the runtime, once the bot serves, and
    /// perhaps more than once; a handler that is only looked at, as by a check, is never started. It must not wait.
    fn start(&self) {}

    /// Answers everything that the conversation has waiting, with one reply.
    ///
    /// # Errors
    /// When there is no answer to be had. The customer sees the bot's failure reply at most, never the error.
    async fn reply(&self, turn: &Turn) -> Result<Reply, HandlerError>;
}

/// Why a handler has no answer. The text is for the operator's log: nothing that the customer wrote belongs in it.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct HandlerError {
    reason: String,
    may_pass: bool,
}

impl HandlerError {
    /// An error with a reason for the log: one line of it, 200 characters at most.
    pub fn new(reason: impl AsRef<str>) -> Self {
        Self { reason: one_line(reason.as_ref()), may_pass: false }
    }

    /// The same, of an error that may pass: the handler is asked again, after a back-off, while its time lasts. The
    /// dots stay on meanwhile.
    pub fn temporary(reason: impl AsRef<str>) -> Self {
        Self { may_pass: true, ..Self::new(reason) }
    }

    /// Whether it is worth asking again.
    pub fn may_pass(&self) -> bool {
        self.may_pass
    }
}

/// For a log: one line, 200 characters at most.
fn one_line(text: &str) -> String {
    text.chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A closure is a handler.
#[async_trait]
impl<F, R> Handler for F
where
    F: Fn(&Turn) -> R + Send + Sync + 'static,
    R: Into<Reply>,
{
    async fn reply(&self, turn: &Turn) -> Result<Reply, HandlerError> {
        Ok(self(turn).into())
    }
}

/// One go at answering: everything that a conversation has waiting.
#[derive(Clone)]
pub struct Turn {
    /// What it is known by: the same if it is held again with the same messages, after a crash as well. Safe to log.
    pub id: String,
    /// The bot that answers.
    pub bot: BotName,
    /// Who is being answered: the writer of the newest message.
    pub contact: Contact,
    /// What waits for an answer, oldest first; never empty.
    pub messages: Vec<Inbound>,
    /// What was said before, oldest first.
    pub history: Vec<HistoryEntry>,
    /// The time at which the turn began.
    pub now: Timestamp,
    /// When the handler's time is up. It is dropped then.
    pub deadline: Instant,
    /// Cancelled when nobody waits for the reply any longer.
    pub cancelled: CancellationToken,
    /// The customer's view of us while we work.
    pub presence: Presence,
    /// Where the media of the messages can be had.
    pub media: Arc<dyn FetchMedia>,
    /// What the upstream takes.
    pub fits: Arc<dyn Fits>,
}

impl Turn {
    /// The newest message: the one that is being answered.
    pub fn newest(&self) -> Option<&Inbound> {
        self.messages.last()
    }

    /// The words of all waiting messages, a line each. Of a voice note that was transcribed, what is said in it:
    /// whether a message's words are a transcript says its
    /// [`Content::transcript`](crate::message::Content::transcript). Of a place, contact cards, a form, an order, a
    /// poll and a vote, what a model would be told of them: see [`rendering::text`].
    pub fn text(&self) -> String {
        let words: Vec<_> = self.messages.iter().filter_map(|message| rendering::text(&message.content)).collect();
        words.join("\n")
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Turn({}, {} messages)", self.bot, self.messages.len())
    }
}

/// The handler's hand on the indicator. Requests, not calls: where the upstream has no such thing, nothing happens.
#[derive(Clone, Debug)]
pub struct Presence(mpsc::Sender<PresenceRequest>);

/// What a handler can ask of the indicator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PresenceRequest {
    /// Take the dots off for a moment, as a person does between looking and writing.
    Beat,
    /// Show "recording".
    Recording,
    /// Show "typing".
    Typing,
    /// Take the dots off and leave them off: somebody else takes over.
    Pause,
}

impl Presence {
    /// A hand, and the end at which its requests arrive.
    pub fn channel() -> (Self, mpsc::Receiver<PresenceRequest>) {
        let (sender, receiver) = mpsc::channel(8);
        (Self(sender), receiver)
    }

    /// Takes the dots off for a moment, where the upstream can: between "searching" and "found nothing", say.
    pub fn beat(&self) {
        self.ask(PresenceRequest::Beat);
    }

    /// Shows "recording" from now on, where the upstream can.
    pub fn recording(&self) {
        self.ask(PresenceRequest::Recording);
    }

    /// Shows "typing" from now on.
    pub fn typing(&self) {
        self.ask(PresenceRequest::Typing);
    }

    /// Takes the dots off and leaves them off, where the upstream can; shows none again in any case.
    pub fn pause(&self) {
        self.ask(PresenceRequest::Pause);
    }

    fn ask(&self, request: PresenceRequest) {
        // Full or closed: the indicator has more to do than a person could see, or has ended. Either way, no matter.
        let _ = self.0.try_send(request);
    }
}

/// Where the media of a turn's messages can be had.
#[async_trait]
pub trait FetchMedia: Send + Sync + 'static {
    /// A medium, in memory. What all handlers hold of media together has a limit (`worker.media_memory`): each medium
    /// counts for as long as its [`Fetched::data`] is held, and past that limit one waits for others to be let go.
    async fn fetch(&self, media: &MediaRef) -> Result<Fetched, MediaError>;

    /// A medium, into a new file; returns its length in bytes.
    async fn fetch_to(&self, media: &MediaRef, path: &Path) -> Result<u64, MediaError>;
}

/// What an upstream takes.
pub trait Fits: Send + Sync + 'static {
    /// Whether a reply can be sent as it is. Long texts can, in pieces.
    ///
    /// # Errors
    /// Which of the upstream's limits it breaks.
    fn fits(&self, reply: &Reply) -> Result<(), String>;
}

/// A medium in memory.
#[derive(Clone)]
pub struct Fetched {
    /// The medium.
    pub data: Bytes,
    /// Its MIME type.
    pub mime: String,
}

/// Why a medium cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("the medium cannot be fetched: {0}")]
pub struct MediaError(pub String);
