//! How a bot's turns are held, and how the messages of a burst become one.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::{Timestamp, in_words};
use crate::store::Waiting;

/// A constant writer is answered after so many quiet windows.
const MOST_QUIET_WINDOWS: u32 = 5;

/// How a bot's turns are held. The `turn` table of a bot's configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TurnConfig {
    /// How long the handler may take.
    #[serde(with = "in_words")]
    pub timeout: Duration,
    /// How much of a conversation the handler is given, in things said.
    pub history: usize,
    /// How large a medium may be that the handler asks for, in bytes.
    pub media_limit: u64,
}

impl Default for TurnConfig {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(90), history: 100, media_limit: 16 << 20 }
    }
}

/// How the messages of a burst become one turn. The `merge` table of a bot's configuration.
///
/// Messages that arrive during a turn become the next one together in any case.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MergeConfig {
    /// How long it must be quiet after a message before the turn begins. A constant writer is answered after five
    /// times as long all the same.
    #[serde(with = "in_words")]
    pub quiet: Duration,
}

impl MergeConfig {
    /// Until when to wait for more messages, if it is worth waiting.
    pub(super) fn wait_for_quiet(&self, waiting: &[Waiting], now: Timestamp) -> Option<Timestamp> {
        let (oldest, newest) = (waiting.first()?.accepted, waiting.last()?.accepted);
        let quiet = newest.plus(self.quiet).min(oldest.plus(self.quiet * MOST_QUIET_WINDOWS));
        (now < quiet).then_some(quiet)
    }
}
