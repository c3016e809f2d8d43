//! How the stores write a value down: a version byte, then JSON.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{DeadLetter, ProactiveMessage, Seq, StoreError, Waiting};
use crate::message::clock::Timestamp;
use crate::message::reply::Choice;
use crate::message::{Content, Inbound};

/// The version that is written. A store's data may hold this one and earlier ones.
pub(super) const VERSION: u8 = 1;

const UNWRITABLE: StoreError = StoreError::Invalid("a value has no lasting form");

/// The longest record that is taken in, in bytes.
pub(super) const LIMIT: usize = 1024 * 1024;

/// Writes a value down.
///
/// Reads it back at once, for JSON has no infinite numbers and no bottomless nesting: what cannot be read again is
/// better refused than found at the next start.
pub(super) fn encode<T: Serialize + DeserializeOwned>(value: &T) -> Result<Vec<u8>, StoreError> {
    let record = write(value)?;
    if record.len() > LIMIT {
        return Err(StoreError::TooLarge { limit: LIMIT });
    }
    decode::<T>(&record).map_err(|Unreadable| UNWRITABLE)?;
    Ok(record)
}

/// Writes a value down, however long it is, that was read from a record.
pub(super) fn write<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    let mut record = vec![VERSION];
    serde_json::to_writer(&mut record, value).map_err(|_| UNWRITABLE)?;
    Ok(record)
}

/// Reads a value.
pub(super) fn decode<T: DeserializeOwned>(record: &[u8]) -> Result<T, Unreadable> {
    match record.split_first() {
        Some((&VERSION, json)) => serde_json::from_slice(json).map_err(|_| Unreadable),
        _ => Err(Unreadable),
    }
}

/// What is written of a waiting message: its number stands beside it.
#[derive(Serialize, Deserialize)]
pub(super) struct Arrival<'a> {
    pub(super) accepted: Timestamp,
    /// Borrowed while it is written, and owned once it has been read.
    pub(super) inbound: Cow<'a, Inbound>,
    #[serde(default)]
    pub(super) replayed: bool,
    /// What is to be said unasked, if it is no message.
    #[serde(default, rename = "errand", skip_serializing_if = "Option::is_none")]
    pub(super) proactive: Option<Cow<'a, ProactiveMessage>>,
}

impl<'a> Arrival<'a> {
    /// A message as it comes in.
    pub(super) fn new(inbound: &'a Inbound, accepted: Timestamp) -> Self {
        Self { accepted, inbound: Cow::Borrowed(inbound), replayed: false, proactive: None }
    }

    /// A proactive message as it comes in, and where it goes.
    pub(super) fn of_proactive(proactive: &'a ProactiveMessage, to: &'a Inbound, accepted: Timestamp) -> Self {
        Self { proactive: Some(Cow::Borrowed(proactive)), ..Self::new(to, accepted) }
    }

    /// A message that was dead, as it comes in again.
    pub(super) fn again(letter: DeadLetter, accepted: Timestamp) -> Self {
        let name = letter.message.name();
        let proactive =
            letter.message.proactive.map(|proactive| Cow::Owned(ProactiveMessage { name: Some(name), ..proactive }));
        Self { accepted, inbound: Cow::Owned(letter.message.inbound), replayed: true, proactive }
    }

    /// Adds what is said in it, if it is a medium.
    pub(super) fn transcribe(&mut self, words: &str) {
        if let Content::Media(media) = &mut self.inbound.to_mut().content {
            media.transcript = Some(words.to_owned());
        }
    }

    /// Has its words choose this option, if it is a text.
    pub(super) fn choose(&mut self, choice: &Choice) {
        self.inbound.to_mut().content.choose(choice);
    }

    /// The message, under its number.
    pub(super) fn numbered(self, seq: Seq) -> Waiting {
        let (inbound, proactive) = (self.inbound.into_owned(), self.proactive.map(Cow::into_owned));
        Waiting { seq, accepted: self.accepted, inbound, replayed: self.replayed, proactive }
    }
}

/// A record does not hold what it should.
#[derive(Debug)]
pub(super) struct Unreadable;
