//! What was said in a conversation, and what is counted beside it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{ContactId, Inbound, MessageId, rendering};
use crate::message::clock::Timestamp;

/// Something that was said in a conversation.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// By whom.
    pub by: Speaker,
    /// The words, with what else was in the message before them in square brackets, such as `[image]`: see
    /// [`rendering`].
    pub words: String,
    /// When.
    pub time: Timestamp,
    /// Which customer, in a group.
    #[serde(default)]
    pub who: Option<ContactId>,
    /// The name that this customer shows, in a group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The message, if its name is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageId>,
    /// Whether the words were spoken, and are what a machine has understood: mistakes are to be expected.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub transcript: bool,
    /// What a model is told, where that is something else than `words`: see [`told`](rendering::told).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<String>,
}

impl HistoryEntry {
    /// What the history keeps of a customer's message.
    pub fn heard(inbound: &Inbound) -> Self {
        let at = &inbound.at;
        let (words, told) = (rendering::said(inbound), rendering::told(inbound));
        Self {
            by: Speaker::Customer,
            told: (told != words).then_some(told),
            words,
            time: at.time,
            who: at.group.then(|| at.sender.clone()),
            name: at.group.then(|| rendering::speaker(inbound)),
            message: Some(at.message.clone()),
            transcript: inbound.content.transcript().is_some_and(|said| !said.is_empty()),
        }
    }

    /// How much memory it takes, in bytes, or a little more.
    pub(crate) fn size(&self) -> u64 {
        let ids = self.message.as_ref().map_or(0, |message| message.as_str().len())
            + self.who.as_ref().map_or(0, |who| who.as_str().len());
        let besides = [&self.name, &self.told].into_iter().flatten().map(String::len).sum::<usize>();
        (size_of::<Self>() + self.words.len() + besides + ids) as u64
    }
}

impl fmt::Debug for HistoryEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HistoryEntry({:?})", self.by)
    }
}

/// Who said something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Speaker {
    /// The customer.
    Customer,
    /// The bot.
    Bot,
    /// A person of the business, from its own phone.
    Person,
}

/// What was said in a conversation, in short.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The words.
    pub words: String,
    /// The time of the last thing said that is in it.
    pub until: Timestamp,
}

/// A customer's words are in it.
impl fmt::Debug for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Summary(…)")
    }
}

/// Something to add to a counter.
#[derive(Clone, PartialEq, Eq)]
pub struct Count {
    /// The counter's name. It may hold a person's: it is kept as a hash.
    pub name: String,
    /// How much is added; less than nothing takes away.
    pub by: i64,
    /// How far the counter may go, if adding is to have a limit.
    pub most: Option<u64>,
    /// When the counter ends: it is forgotten in the hour after that.
    pub until: Timestamp,
}

/// The name may hold a person's.
impl fmt::Debug for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Count({})", self.by)
    }
}

impl Count {
    /// What a counter that stands at `now` comes to; nothing if that is over the limit.
    pub fn added_to(&self, now: u64) -> Option<u64> {
        let sum = now.saturating_add_signed(self.by);
        (self.by <= 0 || self.most.is_none_or(|most| sum <= most)).then_some(sum)
    }
}
