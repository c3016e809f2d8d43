//! When a person takes over, and for how long the bot then keeps silent.

use std::str::FromStr;
use std::time::Duration;

use serde::de::Error;
use serde::de::value::StrDeserializer;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::message::clock::{Timestamp, in_words};

/// What follows when a person takes a conversation over. The `people` table of a bot's configuration.
///
/// A person takes over by a handler's [`Reply::Handover`](crate::Reply::Handover), by a control word that asks for one,
/// by the operator's hand, or by writing to the customer from the business's own phone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PeopleConfig {
    /// How long the bot keeps silent then. What a person writes from the phone begins it anew.
    pub pause: Lasting,
    /// Whether a message that a person writes from the business's own phone takes the conversation over, on upstreams
    /// that tell of such messages.
    pub echoes: bool,
}

impl Default for PeopleConfig {
    fn default() -> Self {
        Self { pause: Lasting::For(Duration::from_hours(12)), echoes: true }
    }
}

/// How long a pause lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasting {
    /// So long.
    For(Duration),
    /// Until somebody has the bot go on.
    UntilResumed,
}

/// How it is written down.
const UNTIL_RESUMED: &str = "until_resumed";

impl Lasting {
    /// How long; none if until somebody has the bot go on.
    pub fn duration(self) -> Option<Duration> {
        match self {
            Self::For(duration) => Some(duration),
            Self::UntilResumed => None,
        }
    }

    /// When it ends that begins at `since`; none if only when somebody has the bot go on.
    pub fn until(self, since: Timestamp) -> Option<Timestamp> {
        self.duration().map(|duration| since.plus(duration))
    }
}

impl Serialize for Lasting {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::For(duration) => in_words::serialize(duration, serializer),
            Self::UntilResumed => serializer.serialize_str(UNTIL_RESUMED),
        }
    }
}

impl FromStr for Lasting {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "is no duration: write for example \"2h\", or \"until_resumed\"";
        if text == UNTIL_RESUMED {
            return Ok(Self::UntilResumed);
        }
        let read = in_words::deserialize(StrDeserializer::<serde::de::value::Error>::new(text));
        read.ok().filter(|duration| !duration.is_zero()).map(Self::For).ok_or(WRONG)
    }
}

impl<'de> Deserialize<'de> for Lasting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
