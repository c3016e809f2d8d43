//! What is to be said unasked: it waits in its conversation like a message, and leaves when its turn comes.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Seq, Waiting};
use crate::message::clock::Timestamp;
use crate::message::{Address, BotName, Contact, Content, Inbound, MessageId, MessageRef, Part, PartKey};

/// What is to be said unasked.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct ProactiveMessage {
    /// What is said, in the form that the upstream takes.
    pub parts: Vec<Part>,
    /// Whether it is left unsaid while a person answers.
    #[serde(default)]
    pub unless_paused: bool,
    /// What its parts are known by, if it has been dead since: they keep their names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl fmt::Debug for ProactiveMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Errand({} parts)", self.parts.len())
    }
}

/// By what a proactive message is known when it is asked for again.
#[derive(Clone)]
pub struct IdempotencyKey {
    /// The bot that is to say it.
    pub bot: BotName,
    /// The key of whoever asked.
    pub key: String,
    /// Stands for all that was asked.
    pub fingerprint: [u8; 16],
}

/// The key may be anything, a phone number included.
impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Asked({}, …)", self.bot)
    }
}

impl IdempotencyKey {
    /// What stands in the place of an upstream's name for a message.
    pub(super) fn mark(&self) -> MessageId {
        MessageId::new(format!("errand:{}", self.key))
    }
}

/// A proactive message on its way in.
#[derive(Clone, Debug)]
pub struct NewProactive {
    /// By what it is known.
    pub asked: IdempotencyKey,
    /// To whom it goes.
    pub to: Address,
    /// What is said.
    pub proactive: ProactiveMessage,
}

impl NewProactive {
    /// The proactive message, as something that waits: what stands in the place of a message only says where it goes.
    pub(super) fn stand_in(&self, now: Timestamp) -> Inbound {
        let Address { chat, group, sender, phone } = self.to.clone();
        let (bot, message) = (self.asked.bot.clone(), self.asked.mark());
        Inbound {
            at: MessageRef { bot, chat, group, sender, phone, aliases: Vec::new(), message, time: now },
            contact: Contact::default(),
            content: Content::Unknown { what: "errand".into(), raw: Value::Null },
            quotes: None,
            forwarded: false,
            referral: None,
            quoted: None,
            product: None,
        }
    }
}

/// What stands of a proactive message that was taken in, for as long as messages are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its number.
    pub seq: Seq,
    /// When it was taken in.
    pub accepted: Timestamp,
    /// How many parts it has.
    pub parts: u64,
}

impl Receipt {
    /// The keys of its parts, in order.
    pub fn keys(&self) -> Vec<PartKey> {
        keys(&name(self.accepted, self.seq), self.parts)
    }
}

/// What [`Inbox::enqueue`](super::Inbox::enqueue) says of a proactive message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enqueued {
    /// It is new.
    New(Receipt),
    /// It had been taken in before.
    Known(Receipt),
    /// Its key was that of another proactive message.
    Taken,
}

/// Where somebody is written to who is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownAddress {
    /// Where.
    pub address: Address,
    /// When the newest of what waits for an answer there was written, by the upstream's clock.
    pub heard: Option<Timestamp>,
}

impl KnownAddress {
    /// With what waits there.
    pub(super) fn new(address: Address, waiting: &[Waiting]) -> Self {
        let heard = waiting.iter().filter(|waiting| waiting.proactive.is_none()).map(|waiting| waiting.inbound.at.time);
        Self { address, heard: heard.max() }
    }
}

/// What is kept of a proactive message by its mark.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct KeyRecord {
    pub(super) receipt: Receipt,
    pub(super) fingerprint: [u8; 16],
}

impl KeyRecord {
    /// What this says of one that goes by the same mark.
    pub(super) fn answer(self, asked: &IdempotencyKey) -> Enqueued {
        if self.fingerprint == asked.fingerprint { Enqueued::Known(self.receipt) } else { Enqueued::Taken }
    }
}

impl Waiting {
    /// What the answer to a message, and whatever else is after it, is known by: never the same for two.
    pub fn name(&self) -> String {
        let kept = self.proactive.as_ref().and_then(|proactive| proactive.name.clone());
        kept.unwrap_or_else(|| name(self.accepted, self.seq))
    }

    /// The keys of a proactive message's parts, in order; of a message, none.
    pub fn keys(&self) -> Vec<PartKey> {
        let parts = self.proactive.as_ref().map_or(0, |proactive| proactive.parts.len());
        keys(&self.name(), parts as u64)
    }
}

fn name(accepted: Timestamp, seq: Seq) -> String {
    format!("{}{:x}-{seq}", PartKey::PREFIX, accepted.0)
}

fn keys(name: &str, parts: u64) -> Vec<PartKey> {
    (0..parts).map(|part| PartKey::new(format!("{name}-{part}"))).collect()
}
