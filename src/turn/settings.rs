//! How a bot's turns are held, and how the messages of a burst become one.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::interrupt::MOST_RESTARTS;
use crate::message::clock::{Timestamp, in_words};
use crate::store::Waiting;

/// A constant writer is answered after so many quiet windows.
const MOST_QUIET_WINDOWS: u32 = 5;

/// How a bot's turns are held. The `turn` table of a bot's configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TurnConfig {
    /// How long the handler may take, each time that it begins.
    #[serde(with = "in_words")]
    pub timeout: Duration,
    /// What happens to a message that comes while the handler is at work on earlier ones.
    pub on_new_message: OnNewMessage,
    /// How much of a conversation the handler is given, in things said.
    pub history: usize,
    /// How large a medium may be that the handler asks for, in bytes.
    pub media_limit: u64,
}

/// What happens to a message that comes while the handler is at work on earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnNewMessage {
    /// It waits for the next turn.
    Queue,
    /// The handler is cancelled and begins anew with all of them, twice in a turn at the most, and never once its reply
    /// is there.
    Restart,
}

impl TurnConfig {
    /// How long a turn's handler may take, restarts and the quiet before each of them included.
    pub fn longest(&self, merge: &MergeConfig) -> Duration {
        match self.on_new_message {
            OnNewMessage::Queue => self.timeout,
            OnNewMessage::Restart => {
                let restart = self.timeout.saturating_add(merge.longest());
                restart.saturating_mul(MOST_RESTARTS).saturating_add(self.timeout)
            }
        }
    }
}

impl Default for TurnConfig {
    fn default() -> Self {
        let on_new_message = OnNewMessage::Queue;
        Self { timeout: Duration::from_secs(90), on_new_message, history: 100, media_limit: 16 << 20 }
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
    /// How long to wait for more messages at the most.
    fn longest(&self) -> Duration {
        self.quiet.saturating_mul(MOST_QUIET_WINDOWS)
    }

    /// Until when to wait for more messages, if it is worth waiting.
    pub(super) fn wait_for_quiet(&self, waiting: &[Waiting], now: Timestamp) -> Option<Timestamp> {
        let (oldest, newest) = (waiting.first()?.accepted, waiting.last()?.accepted);
        let quiet = newest.plus(self.quiet).min(oldest.plus(self.longest()));
        (now < quiet).then_some(quiet)
    }
}
