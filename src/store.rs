//! The durable side of everything: what came in, what is going out, what was said.
//!
//! | module | engine | survives |
//! |---|---|---|
//! | [`memory`] | none | nothing: for tests, and for handlers that are tried out |
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

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::message::clock::{Timestamp, in_words};
use crate::message::reply::Choice;
use crate::message::{
    BotName, ChatId, Content, Conversation, Count, DeliveryStatus, Echo, HistoryEntry, Inbound, MessageId, MessageRef,
    Part, PartKey, Question, Renamed, Stage, Summary,
};
pub use contact::KnownContact;
pub use contact::{By, ContactChange, ContactRef, ContactState, Opted, OptedBy, Pause};
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

/// The durable side of everything.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Takes in messages, each at most once. Durable when it returns; all of them, or none on an error.
    ///
    /// The answers stand in the order of the messages. A message is known by its bot and its identifier, for at
    /// least as long as the upstreams go on repeating themselves.
    async fn accept(&self, messages: &[Inbound]) -> Result<Vec<Accepted>, StoreError>;

    /// Keeps messages that could not be read, or not be kept as they are, as dead letters, each at most once and for
    /// its reason. The answers stand in their order. Durable when it returns; all of them, or none on an error.
    async fn bury(&self, messages: &[(Inbound, String)]) -> Result<Vec<Accepted>, StoreError>;

    /// Takes in something that is to be said unasked, at most once for its key: what it says is known for as long as a
    /// message is. It waits in its conversation behind what waits there, but no hold-back keeps it, unless a reply is
    /// on its way. Durable when it returns, whatever the answer.
    async fn enqueue(&self, new_proactive: &NewProactive) -> Result<Enqueued, StoreError>;

    /// What [`Store::enqueue`] would say of a proactive message that is known by its key; none if it is not. What
    /// is known is durable when it returns.
    async fn enqueued(&self, asked: &IdempotencyKey) -> Result<Option<Enqueued>, StoreError>;

    /// Where a chat of this name is written to, or the person who goes by it: a phone number, with or without a plus,
    /// or one of the upstream's own identifiers. None if nobody of that name has written.
    async fn resolve_address(&self, bot: &BotName, name: &str) -> Result<Option<KnownAddress>, StoreError>;

    /// Waits until a conversation has something to do that nobody else is doing, and leases it. A lease is how long a
    /// claim may go on without a sign of life: each of the claim's writes begins it anew.
    ///
    /// Of a long queue the claim holds the oldest messages, [`MOST_CLAIMED`] and [`MOST_CLAIMED_BYTES`] at the most;
    /// the others go on waiting, and are for the claims that follow.
    ///
    /// Cancel-safe. A bot's conversations are served in the order in which they became ready; the bots take turns. One
    /// of which `may` says no is passed over, and goes on waiting. Whoever waits here and says otherwise later asks
    /// again. All who claim from one store say the same.
    async fn claim_for(&self, lease: Duration, may: &MayClaim<'_>) -> Result<Claim, StoreError>;

    /// The same for all bots.
    async fn claim(&self, lease: Duration) -> Result<Claim, StoreError> {
        self.claim_for(lease, &|_| true).await
    }

    /// How many messages of a bot's may wait at the same time; 0: as many as leave room for the other bots that were
    /// named here; none: it is there no longer. Not durable: who opens the store says it.
    fn share(&self, bot: &BotName, waiting: Option<usize>);

    /// The conversations that were ready when the store was opened, and have not been claimed since: an earlier process
    /// may have been at work on them when it ended.
    fn inherited(&self) -> Vec<Conversation>;

    /// How many messages of a bot's wait.
    fn waiting(&self, bot: &BotName) -> usize;

    /// Waits until something has come into a claimed conversation whose number is over `after`, and returns it: some of
    /// what waits, oldest first. Waits for ever if nothing comes.
    ///
    /// Cancel-safe.
    async fn arrivals(&self, claim: &Claim, after: Seq) -> Result<Vec<Waiting>, StoreError>;

    /// Says whether a claim's part may leave now: the last look before every call that sends, with nothing awaited
    /// between it and the call. [`StoreError::Fenced`] if the lease has ended: then somebody else may be sending.
    ///
    /// From then on the store gives the conversation to nobody else, however long the call takes and whatever the clock
    /// does, until the claim's next write, which says what came of the call, or until the claim is dropped. The caller
    /// bounds the call.
    fn may_send(&self, claim: &Claim) -> Result<(), StoreError>;

    /// Begins a claim's lease anew, as each of its writes does: for whoever is at work and writes nothing meanwhile.
    /// [`StoreError::Fenced`] if it has ended.
    fn renew(&self, claim: &Claim) -> Result<(), StoreError>;

    /// Ends a conversation's hold-back, if it is held back: it is ready at once. Not durable: the next start knows of
    /// the hold-back again.
    fn make_ready(&self, conversation: &Conversation);

    /// Keeps what is said in a voice note or a sound file that waits, with the message: it comes along with every later
    /// claim, as a dead letter too, and goes with it. Of one that does not wait any longer, nothing is kept. Durable
    /// when it returns.
    async fn transcribe(&self, claim: &Claim, message: Seq, words: &str) -> Result<(), StoreError>;

    /// Keeps with a waiting message that its words choose this option of the conversation's open question: so it is for
    /// every later claim, as a dead letter too, whatever is asked meanwhile. Of one that does not wait any longer, or
    /// is no text, nothing is kept. Durable when it returns.
    async fn choose(&self, claim: &Claim, message: Seq, choice: &Choice) -> Result<(), StoreError>;

    /// Records what is about to be sent. Durable when it returns. Replaces what the conversation had outgoing.
    async fn intend(&self, claim: &Claim, outgoing: &Outgoing) -> Result<(), StoreError>;

    /// Records what became of one part of what is outgoing, and returns what now holds. Durable when it returns.
    ///
    /// Only forward: a part of which the upstream has said meanwhile that it has it stays [`PartState::Sent`], whatever
    /// the caller believes, and so does one that has failed.
    async fn mark(&self, claim: &Claim, part: usize, state: PartState) -> Result<PartState, StoreError>;

    /// Takes in what an upstream reports about messages of ours: by our key if a report carries it, else by the
    /// upstream's name for the message. The answers stand in the order of the reports; all of them count, or none on
    /// an error.
    ///
    /// - Of a part that is outgoing and not known to have left, any report but a failure says that the upstream has it:
    ///   it is [`PartState::Sent`] from now on. A failure makes it [`PartState::Failed`]. Either way the conversation,
    ///   if it is held back, is ready at once.
    /// - A part that has left moves forward, and never back. The first report that it has failed puts it into
    ///   [`Claim::failed`] and makes the conversation ready, as a message does: a hold-back goes on.
    /// - A part that has been delivered has not failed, and one that has failed is not delivered, whatever else is
    ///   reported.
    ///
    /// Takes effect at once. When it returns, the reports are durable if one of them settles a part or says that it has
    /// failed; else they are made so right behind. A report about nothing that is known is no error.
    async fn apply_statuses(&self, statuses: Vec<DeliveryStatus>) -> Result<Vec<StatusOutcome>, StoreError>;

    /// What stands about somebody, whatever is being said: under any of their names, in any form of a number. Where two
    /// say otherwise, an opt-out counts, and the longer pause.
    async fn contact_state(&self, peer: &ContactRef) -> Result<ContactState, StoreError>;

    /// Changes what stands about somebody, under every name of theirs that is known. Whether anything is different
    /// then. A pause ends the hold-back of the chat that goes by one of the names. Takes effect at once; durable when
    /// it returns.
    async fn update_contact(&self, peer: &ContactRef, change: ContactChange) -> Result<bool, StoreError>;

    /// What chats there are with somebody, by every name that is known of theirs, and by what names: a number may have
    /// two forms, and a person a chat for each of their names.
    async fn chats(&self, peer: &ContactRef) -> Result<KnownContact, StoreError>;

    /// Takes in that somebody has a new number or identifier: what was said with them, what stands about them and the
    /// summary go on under it, and whoever is forgotten by one of the names is forgotten by both. Under what they are
    /// not called any longer nothing stays but an opt-out: the next one who is called so is somebody else. Whether
    /// anything was known, and this was not. Durable when it returns.
    async fn rename(&self, renamed: &Renamed) -> Result<bool, StoreError>;

    /// Keeps an invitation to a bot, good until then, under the digest of its code. None if [`MOST_INVITATIONS`] of the
    /// bot are open. Durable when it returns.
    async fn invite(&self, bot: &BotName, digest: [u8; 32], until: Timestamp)
    -> Result<Option<Invitation>, StoreError>;

    /// Takes up the invitation of this digest by a message, and lets whoever wrote it in: both, or neither. Whether
    /// there is such an invitation; for the same message again, if it was taken up by that. Durable when it returns.
    async fn redeem_invitation(&self, peer: &ContactRef, digest: [u8; 32], by: Seq) -> Result<bool, StoreError>;

    /// A bot's invitations that are open.
    async fn invitations(&self, bot: &BotName) -> Result<Vec<Invitation>, StoreError>;

    /// Takes an invitation back that is open. Whether there was one. Durable when it returns.
    async fn withdraw(&self, bot: &BotName, number: u64) -> Result<bool, StoreError>;

    /// Those who are let in to a bot, `most` at most, behind the place where an earlier list ended; and where this one
    /// ends, if there may be more.
    async fn members(
        &self,
        bot: &BotName,
        after: Option<String>,
        most: usize,
    ) -> Result<(Vec<Member>, Option<String>), StoreError>;

    /// Waits until a person answers somebody in the bot's place, and returns the pause; at once if that is so. Waits
    /// for ever if it never comes to that.
    ///
    /// Cancel-safe.
    async fn taken_over(&self, peer: &ContactRef) -> Result<Pause, StoreError>;

    /// Takes in a message that was sent from the business's own phone. Unless it is one of ours, a person has taken
    /// over, for so long after it was written, or until somebody has the bot go on if none is given.
    ///
    /// A part of ours is known by the upstream's name for it, where reports go by that, and while its reply is on its
    /// way. An echo that comes while a part is being sent may be that part's: it is decided when the upstream's answer
    /// is there, before anything else can leave. Of a part that may have been delivered, an echo with the same words
    /// says that it was.
    ///
    /// Takes effect at once; durable when it returns.
    async fn echo(&self, echo: &Echo, lasts: Option<Duration>) -> Result<Echoed, StoreError>;

    /// Whether an echo has come since a conversation was claimed that may be of a part which is being sent. Whoever is
    /// about to send, and has not yet, marks the part as waiting first: then it is known whose the echo is.
    async fn overheard(&self, claim: &Claim) -> Result<bool, StoreError>;

    /// What is known of a part that has left, once its reply is settled, and for as long as it is kept.
    async fn part(&self, key: &PartKey) -> Result<Option<SentPart>, StoreError>;

    /// Whose part is on its way out, or waits for that, and how far it has come.
    async fn under_way(&self, key: &PartKey) -> Result<Option<(Conversation, PartState)>, StoreError>;

    /// Ends a claim. Takes effect at once, and is made durable right behind.
    async fn settle(&self, claim: Claim, settlement: Settlement) -> Result<(), StoreError>;

    /// The newest `most` things that were said in a conversation, oldest first: fewer, if they would take more than
    /// [`MOST_RECALLED_BYTES`].
    async fn history(&self, conversation: &Conversation, most: usize) -> Result<Vec<HistoryEntry>, StoreError>;

    /// Adds to all of these counters, or to none: says which one, by its place, would be over its limit. One that is
    /// not there begins at zero, and none goes below. Two of the same name that end at another time are two. Durable
    /// when it returns.
    async fn count(&self, counts: Vec<Count>) -> Result<Option<usize>, StoreError>;

    /// The summary of a conversation, if there is one: its own, or that of another with the same person, whichever is
    /// newer.
    async fn summary(&self, conversation: &Conversation) -> Result<Option<Summary>, StoreError>;

    /// Keeps the summary of a conversation, in the place of the one before; of one that is not known, nothing is kept.
    /// It goes when the conversation's history goes. Whoever is forgotten takes the summaries of all the bot's groups
    /// along: nobody can say whose words are in those. Durable when it returns.
    async fn summarise(&self, conversation: &Conversation, summary: &Summary) -> Result<(), StoreError>;

    /// Dead letters in the order of their numbers, beginning after `after`, `most` at most.
    async fn dead(&self, after: Option<Seq>, most: usize) -> Result<Vec<DeadLetter>, StoreError>;

    /// Makes a dead letter wait again, as if it had just been accepted, behind what waits in its conversation: it goes
    /// through a whole turn. None if there is no such letter. Durable when it returns.
    async fn replay(&self, letter: Seq) -> Result<Option<Conversation>, StoreError>;

    /// Throws a dead letter away. Whether there was one. Durable when it returns.
    async fn discard(&self, letter: Seq) -> Result<bool, StoreError>;

    /// Erases a person from a bot's data: their direct conversation, whatever of theirs waits or is dead, what they
    /// said in groups, and the marks of their messages. `contact` is a phone number, with or without a plus, or one of
    /// the upstream's own identifiers. Then compacts, so that nothing of it can be found in the files; data that was
    /// moved aside as damaged is left to the operator. Durable when it returns. A claim that somebody holds on such a
    /// conversation, or on a group in which something of the person's was to be done, is fenced. Writes wait meanwhile.
    ///
    /// What others said of the person, and a reply in a group that answers somebody else, is not theirs.
    async fn forget(&self, bot: &BotName, contact: &str) -> Result<Forgotten, StoreError>;

    /// Throws away some of what has lived long enough, in a step that is short enough for others not to notice. Call it
    /// again and again: it goes round and round over all that is kept.
    async fn sweep(&self, retention: &Retention) -> Result<Swept, StoreError>;

    /// How much waits.
    fn backlog(&self) -> Backlog;

    /// Why the store takes nothing in any longer, if it does not. It never recovers from that by itself.
    fn failure(&self) -> Option<String>;

    /// Whether the disk has too little room for anything new, which is refused with [`StoreError::OutOfSpace`] until
    /// there is more.
    fn is_out_of_space(&self) -> bool;

    /// Makes everything durable and lets go of the data. Every later call fails with [`StoreError::Closed`].
    async fn close(&self);
}

/// The number of a message, in the order of acceptance; never used twice by one store. Safe to log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What [`Store::accept`] says of a message.
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

/// One conversation, leased to whoever holds this. Dropped without [`Store::settle`], it is given back as it was.
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

/// What [`Store::apply_statuses`] says of a report.
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

/// What [`Store::echo`] says of a message from the business's own phone.
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

/// What [`Store::sweep`] threw away.
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

/// What [`Store::forget`] erased.
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
