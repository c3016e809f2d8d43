//! What is shown while a bot works, and for how long: the `typing` table of its configuration.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::message::clock::in_words;

/// No upstream's lead is longer: what it takes off a turn's time is counted.
pub(super) const LONGEST_LEAD: Duration = Duration::from_secs(5);

/// What the customer sees while a bot works. The `typing` table of a bot's configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TypingConfig {
    /// What is shown.
    pub show: Show,
    /// How long one read or typing call may take. A reply waits for such a call no longer than this.
    #[serde(with = "in_words")]
    pub call_timeout: Duration,
    /// How long the dots may be kept on for one turn, whatever happens.
    #[serde(with = "in_words")]
    pub cap: Duration,
    /// How long the dots stay off in a beat that a handler asks for: long enough to be seen.
    #[serde(with = "in_words")]
    pub beat: Duration,
    /// How long a turn lasts before the dots are lit where no call takes them off again. What is decided sooner (an
    /// instant reply, silence, a handover) gets the read receipt alone, so that no dots are shown that nothing follows.
    /// Zero lights them at once.
    #[serde(with = "in_words")]
    pub delay: Duration,
}

impl TypingConfig {
    /// What the dots may add to a turn before and after the handler's own work, one typing call's timeout aside.
    pub fn longest_pause(&self) -> Duration {
        self.beat.max(LONGEST_LEAD).saturating_add(Duration::from_secs(1))
    }
}

impl Default for TypingConfig {
    fn default() -> Self {
        Self {
            show: Show::Typing,
            call_timeout: Duration::from_secs(3),
            cap: Duration::from_secs(120),
            beat: Duration::from_millis(600),
            delay: Duration::from_millis(300),
        }
    }
}

/// What the customer sees while a bot works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Show {
    /// That the message was read, and the dots.
    Typing,
    /// That the message was read.
    Read,
    /// Nothing.
    Nothing,
}
