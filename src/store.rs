//! The durable side of everything: what came in, what is going out, what was said.
//!
//! | module | engine | survives |
//! |---|---|---|
//! | [`Disk::in_memory`](disk::Disk::in_memory) | none | nothing: for tests, and for handlers that are tried out |
//! | [`disk`] | sled 0.34.7, inside the guard that it needs, or redb 4 | kill -9 and power cuts |
//!
//! The trait is shaped by the flow, not by a key-value store: an operation is atomic within one conversation and
//! never over two; deduplication is a conditional insert; a claim is a lease whose token every later write of the
//! turn carries; waiting is by event, not by polling; nothing lists everything, what must be walked is walked by a
//! cursor. One contract suite runs against every implementation.

mod age;
mod allowance;
mod contact;
pub mod disk;
mod facets;
pub mod housekeeping;
mod invitations;
mod map;
mod parts;
mod people;
mod proactive;
mod question;
mod record;
mod redb;
mod schedule;
mod sled;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::message::clock::{Timestamp, in_words};
use crate::message::{
    BotName, ChatId, Content, Conversation, HistoryEntry, Inbound, MessageId, MessageRef, Part, PartKey, Question,
    Stage,
};
pub use contact::KnownContact;
pub use contact::{By, ContactChange, ContactRef, ContactState, Opted, OptedBy, Pause};
pub use facets::{Claims, Contacts, DeadLetters, Histories, Inbox, Maintenance, Pairing, SendLog, Store};
pub use invitations::{Invitation, MOST_INVITATIONS, Member};
pub use proactive::{Enqueued, IdempotencyKey, KnownAddress, NewProactive, ProactiveMessage, Receipt};
pub use schedule::Lease;

/// Where messages are kept. The `store` table of the configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// The engine.
    pub kind: StoreKind,
    /// The directory of what is kept.
    pub path: PathBuf,
    /// How much memory the engine may use for its cache, in bytes.
    pub cache: u64,
    /// How many messages may wait at the same time, over all bots; past that webhooks are answered with 503.
    pub max_waiting: usize,
    /// How many things said are kept of one conversation.
    pub history: usize,
    /// How much of the disk stays free, in bytes, though a quarter of it at the most; 0: nobody looks. With less,
    /// nothing new is taken in: what has begun is ended with it.
    pub reserve: u64,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            kind: StoreKind::Sled,
            path: "threedots-data".into(),
            cache: 32 << 20,
            max_waiting: 100_000,
            history: 200,
            reserve: 64 << 20,
        }
    }
}

/// What a store keeps its data with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreKind {
    /// Nothing: everything is forgotten at the end of the process, messages that were acknowledged included.
    Memory,
    /// sled, inside a guard: survives kill -9 and power cuts.
    Sled,
    /// redb: survives kill -9 and power cuts by itself.
    Redb,
}

/// Whether one more conversation of a bot's may be claimed.
pub type MayClaim<'a> = dyn Fn(&BotName) -> bool + Send + Sync + 'a;

/// The number of a message, in the order of acceptance; never used twice by one store. Safe to log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What [`Inbox::accept`] says of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It is new, and this is its number.
    New(Seq),
    /// It had been accepted before, under this number.
    Duplicate(Seq),
}

/// A message that waits for its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    /// Its number.
    pub seq: Seq,
    /// When it was accepted.
    pub accepted: Timestamp,
    /// The message.
    pub inbound: Inbound,
    /// Whether it was dead, and an operator has had it wait again: then it is not too old for an answer.
    #[serde(default)]
    pub replayed: bool,
    /// What is to be said unasked, if it is no message: `inbound` then only says where it goes.
    #[serde(default, rename = "errand", skip_serializing_if = "Option::is_none")]
    pub proactive: Option<ProactiveMessage>,
}

/// One conversation, leased to whoever holds this. Dropped without [`Claims::settle`], it is given back as it was.
#[derive(Debug)]
pub struct Claim {
    /// The conversation.
    pub conversation: Conversation,
    /// What waits for an answer, oldest first: all of it, or as much as one claim holds. Empty only if something is
    /// outgoing, is to be said unasked, or has failed.
    pub messages: Vec<Waiting>,
    /// What waits to be said unasked, oldest first. Its numbers tell where it stands among the messages.
    pub proactive_messages: Vec<Waiting>,
    /// What an earlier turn was sending when it stopped.
    pub outgoing: Option<Outgoing>,
    /// The question that was written out last, if nothing has been said since.
    pub question: Option<Question>,
    /// When the conversation was last sent a failure reply.
    pub failure_replied: Option<Timestamp>,
    /// Parts that had been sent, and of which the upstream has reported since that they failed: the first of them, if
    /// there are more than one claim holds.
    pub failed: Vec<FailedPart>,
    /// Whether the conversation was ready when the store was opened, and this is its first claim since: an earlier
    /// process may have been at work on it when it ended. What that process had held back until later it had given
    /// back.
    pub inherited: bool,
    /// How long all this is as it is stored, in bytes.
    pub size: usize,
    /// The lease, and the token that every write under this claim is checked against.
    pub lease: Lease,
}

/// A reply on its way out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outgoing {
    /// The message that is answered, in the upstream's terms.
    pub to: MessageRef,
    /// The waiting messages that end when this has been sent.
    pub answers: Vec<Seq>,
    /// The messages that a gate turned away in the same turn: they end with it, as silent.
    #[serde(default)]
    pub turned_away: Vec<Seq>,
    /// The parts, in order.
    pub parts: Vec<OutgoingPart>,
    /// Why the messages are dead all the same, if this is only a failure reply.
    #[serde(default)]
    pub failure: Option<String>,
    /// Why the messages are dead letters although they are answered, if this takes the place of an answer that was not
    /// to be had. Unlike a failure reply it is part of what was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
    /// What was left out of it and why, if something was: the newest message is a dead letter then, although it is
    /// answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<String>,
    /// Whether the upstream's reports carry our keys. Where they do not, a part is found by the upstream's own name.
    #[serde(default)]
    pub reports_carry_key: bool,
    /// How many of the conversation's failed parts this makes up for: they are dealt with when it has been sent.
    #[serde(default)]
    pub makes_up_for: usize,
    /// Whether it tells the customer, who has asked for one, that a person will answer: then it is not held back by
    /// that.
    #[serde(default)]
    pub announces_person: bool,
    /// Whether it confirms to the customer that they have opted out: then it leaves although the upstream holds back
    /// what is for such a person.
    #[serde(default)]
    pub confirms_opt_out: bool,
    /// Whether it is said unasked: then nothing of it leaves to somebody who has opted out.
    #[serde(default)]
    pub unasked: bool,
    /// Whether it leaves although a person answers.
    #[serde(default)]
    pub despite_pause: bool,
    /// Echoes of which nobody knows yet whether they are a person's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undecided: Vec<Undecided>,
}

/// An echo that may be of a part that is being sent.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undecided {
    /// The message.
    pub message: MessageId,
    /// Its words.
    pub words: Option<String>,
    /// What the history is told of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<String>,
    /// The chat that it stands in, if the upstream says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat: Option<ChatId>,
    /// To whom it went.
    pub peer: ContactRef,
    /// What follows if it is a person's.
    pub pause: Pause,
}

impl fmt::Debug for Undecided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Undecided(…)")
    }
}

impl Outgoing {
    /// Nobody is sending any of it yet.
    pub(crate) fn hold(&mut self) {
        self.parts.iter_mut().for_each(|part| part.state = PartState::Waiting { attempts: 0 });
    }
}

/// One part of a reply on its way out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutgoingPart {
    /// Our name for it, made durable before its first send.
    pub key: PartKey,
    /// What is sent.
    pub part: Part,
    /// How far it has come.
    pub state: PartState,
    /// When a question that is written out in it began to leave: what was written before does not answer it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub began: Timestamp,
}

fn is_zero(time: &Timestamp) -> bool {
    time.0 == 0
}

impl OutgoingPart {
    /// It is about to be sent. If it was tried before, and may have been delivered then, it began to leave then.
    pub(crate) fn begin(&mut self, now: Timestamp) {
        if !self.part.offers.is_empty() && (is_zero(&self.began) || matches!(self.state, PartState::Waiting { .. })) {
            self.began = now;
        }
    }
}

/// How far a part has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum PartState {
    /// Nobody has tried to send it, or it was certainly not delivered.
    Waiting {
        /// How often it has been tried.
        #[serde(default)]
        attempts: u32,
    },
    /// Somebody is sending it, or was when the process ended.
    Sending {
        /// How often it had been tried before.
        #[serde(default)]
        attempts: u32,
    },
    /// The upstream has it.
    Sent {
        /// The upstream's name for it.
        message: MessageId,
    },
    /// It may have been delivered.
    Unknown {
        /// How often it has been tried.
        #[serde(default)]
        attempts: u32,
        /// Since when nobody knows.
        #[serde(default)]
        since: Timestamp,
    },
    /// It will not be delivered.
    Failed {
        /// Why, in codes.
        reason: String,
    },
}

/// What a settlement records. The messages that it does not name go on waiting.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settled {
    /// What became of which message.
    pub endings: Vec<(Seq, Ending)>,
    /// What the conversation's history gains.
    pub said: Vec<HistoryEntry>,
    /// When a failure reply was sent, if one was.
    pub failure_replied: Option<Timestamp>,
    /// Parts that have left since they were last marked: by their place in what is outgoing, with the upstream's
    /// names for them. With those that are marked as sent they are kept as [`SentPart`]s.
    pub sent: Vec<(usize, MessageId)>,
    /// How many of [`Claim::failed`], counted from the first, have been dealt with.
    pub failed: usize,
}

/// How a claim ends.
#[derive(Clone, Debug, PartialEq)]
pub enum Settlement {
    /// These messages are done with, and nothing is outgoing any longer. The others go on waiting.
    Done(Settled),
    /// Everything goes on waiting, and nobody claims it before `at`.
    Later {
        /// When it may be claimed again.
        at: Timestamp,
    },
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was answered.
    Answered,
    /// It was left without an answer, on purpose.
    Silent,
    /// It has no answer and should have had one: kept as a dead letter.
    Dead {
        /// Why; nothing of the customer's in it.
        reason: String,
    },
}

/// A message that should have had an answer and has none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The message.
    pub message: Waiting,
    /// Why it is dead.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
    /// Whether it could not be read: then it is kept as it came, and there is nothing that could be replayed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unread: bool,
}

impl DeadLetter {
    /// What a message is that could not be read.
    pub const UNREAD: &str = "unread";

    /// What the sender of a message is called who could not be read either.
    pub const NOBODY: &str = "unknown";

    /// Why a letter that could not be read is not replayed.
    pub const NOTHING_TO_REPLAY: &str = "it could not be read when it came, so there is nothing to replay: look at it, write to its sender, and drop it";

    /// A letter that could not be read, as it came.
    pub(crate) fn raw(&self) -> Option<&str> {
        match &self.message.inbound.content {
            Content::Unknown { raw, .. } if self.unread => raw.as_str(),
            _ => None,
        }
    }
}

/// A part that has left, as long as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SentPart {
    /// Our name for it.
    pub key: PartKey,
    /// The conversation that it belongs to.
    pub conversation: Conversation,
    /// The message that it answers, in the upstream's terms.
    pub to: MessageRef,
    /// What it says.
    pub part: Part,
    /// The upstream's name for it, if it gave one.
    pub message: Option<MessageId>,
    /// How far it has come.
    pub stage: Stage,
    /// When it left.
    pub sent: Timestamp,
    /// Whether it was said unasked.
    #[serde(default)]
    pub unasked: bool,
}

/// A part of which the upstream has reported that it failed after all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FailedPart {
    /// The part.
    pub sent: SentPart,
    /// The upstream's code, if it gave one.
    pub code: Option<i64>,
}

/// What [`Inbox::apply_statuses`] says of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusOutcome {
    /// It is about nothing that is known.
    Unknown,
    /// It says nothing new.
    Known,
    /// A part that had been sent has come further.
    Moved,
    /// A part of which nobody knew whether it had been delivered has been.
    Settled,
    /// A part has failed.
    Failed,
}

/// What [`Inbox::echo`] says of a message from the business's own phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Echoed {
    /// It is one of ours.
    Ours,
    /// It is one of ours of which nobody had known whether it was delivered.
    Settled,
    /// It may be one of ours, which is being sent.
    Undecided,
    /// It is a person's, who has taken over.
    TakenOver,
    /// It is a person's, and changes nothing: it is known, too old, or goes nowhere that is known.
    Known,
}

/// How long what is kept, besides messages that wait. The `retention` table of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// What was said, since the conversation's last word.
    #[serde(with = "in_words")]
    pub history: Duration,
    /// What is known of parts that were sent.
    #[serde(with = "in_words")]
    pub sent: Duration,
    /// Dead letters.
    #[serde(with = "in_words")]
    pub dead: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        let days = |days: u64| Duration::from_hours(days * 24);
        Self { history: days(90), sent: days(8), dead: days(30) }
    }
}

/// What [`Maintenance::sweep`] threw away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Conversations, with all that was said in them.
    pub conversations: usize,
    /// What was known of parts that were sent.
    pub sent: usize,
    /// Dead letters.
    pub dead: usize,
    /// Whether this step has come to the end of a round.
    pub round: bool,
}

/// What [`Maintenance::forget`] erased.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forgotten {
    /// Conversations that are gone as a whole.
    pub conversations: usize,
    /// Messages that waited.
    pub waiting: usize,
    /// Replies that were on their way out.
    pub outgoing: usize,
    /// Things that were said.
    pub said: usize,
    /// Parts that had been sent.
    pub sent: usize,
    /// Dead letters.
    pub dead: usize,
}

/// How much waits, over all bots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Messages that wait for an answer.
    pub messages: usize,
    /// Conversations that have something to do.
    pub conversations: usize,
    /// Since when the message waits that has waited for the longest; of a long queue, perhaps one before it.
    pub oldest: Option<Timestamp>,
}

/// Why the store did not do what it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It has failed, and takes nothing in until the process is started anew.
    #[error("the store has failed: {0}")]
    Failed(String),
    /// As many messages wait as it will hold. Nothing was taken in.
    #[error("the store is full: too many messages wait")]
    Full,
    /// The disk has less room than is kept in reserve. Nothing was taken in.
    #[error("the store's disk is almost full: {free} bytes are left")]
    OutOfSpace {
        /// How many bytes were left.
        free: u64,
    },
    /// The claim's lease has ended, and somebody else may hold the conversation.
    #[error("the claim is no longer held")]
    Fenced,
    /// One record is larger than the store will hold. Nothing was taken in.
    #[error("a record is larger than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// What was asked cannot be done, or could not be read again once it was written. Nothing was done.
    #[error("the store cannot do this: {0}")]
    Invalid(&'static str),
    /// It was closed.
    #[error("the store is closed")]
    Closed,
}

/// How many messages a claim holds, and how many failed parts. A handler that is given more than this at once makes
/// nothing better of it.
pub const MOST_CLAIMED: usize = 100;

/// How many bytes of messages a claim holds, as they are stored, and how many of failed parts; of a first one that is
/// longer, all. Some 60,000 tokens of a model's.
pub const MOST_CLAIMED_BYTES: usize = 256 << 10;

/// The longest claim, in bytes as it is stored: a message, a reply on its way out and a failed part, each as long as
/// any record may be.
pub const LONGEST_CLAIM: usize = 3 * record::LIMIT;

/// How many bytes of what was said are read at once, as they are stored; of the newest that is longer, all.
pub const MOST_RECALLED_BYTES: usize = 128 << 10;

/// How long a message is known for, by a clock that nobody can set. Meta repeats itself for up to seven days, longer
/// than any other upstream.
pub const DEDUPLICATED_FOR: Duration = Duration::from_hours(8 * 24);
