//! How a turn ended, for its log line.

use std::collections::BTreeMap;
use std::time::Duration;

use super::night::QUIET;
use super::person::A_PERSON;
use crate::gate::TurnedAway;
use crate::outbox::Held;
use crate::store::Claim;

/// How a turn ended: its log line.
#[derive(Debug)]
pub struct Report {
    /// In one word.
    pub outcome: Outcome,
    /// Why, where there is a reason. Codes only.
    pub reason: Option<String>,
    /// Why, if it was given back.
    pub later: Option<Later>,
    /// How many messages it was about.
    pub messages: usize,
    /// How many of them have become dead letters.
    pub dead: usize,
    /// How many of them each gate turned away.
    pub turned_away: BTreeMap<TurnedAway, usize>,
    /// How many parts the reply had.
    pub parts: usize,
    /// How long the handler took.
    pub handler: Option<Duration>,
    /// How often the handler was asked again after an error that might pass.
    pub retries: u32,
    /// How often the handler was begun with anew because more had come.
    pub restarts: u32,
    /// How many voice notes were transcribed.
    pub transcribed: usize,
    /// How a part was settled of which nobody knew whether it had been delivered.
    pub settled_by: Option<&'static str>,
}

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A reply was delivered.
    Answered,
    /// Nothing was said, on purpose.
    Silent,
    /// There should have been a reply, and there is none: the messages are dead letters.
    Dead,
    /// Given back until later.
    Later,
}

impl Outcome {
    /// The word for it in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Silent => "silent",
            Self::Dead => "dead",
            Self::Later => "later",
        }
    }
}

/// Why a turn is given back until later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Later {
    /// The process ends.
    ShuttingDown,
    /// A control word has come.
    ControlWord,
    /// A person has taken over.
    Person,
    /// The upstream does not let the bot work.
    BotDown,
    /// Of a burst, not all may be there.
    MoreMayCome,
    /// It is night.
    QuietHours,
    /// There was something to be said unasked, and it is gone.
    NothingToSay,
    /// No reply could leave soon, so that the handler was not asked.
    Closed,
    /// The reply waits.
    Held(Held),
}

impl Later {
    /// The reason for logs.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::ShuttingDown => "shutting down",
            Self::ControlWord => "a control word has come",
            Self::Person => A_PERSON,
            Self::BotDown => "the bot is down",
            Self::MoreMayCome => "more may come",
            Self::QuietHours => QUIET,
            Self::NothingToSay => "there is nothing to say",
            Self::Closed | Self::Held(Held::Pace) => "nothing can be sent until then",
            Self::Held(Held::RateLimited) => "the upstream asked for time",
            Self::Held(Held::Unavailable) => "the upstream is not available",
            Self::Held(Held::Unknown) => "nobody knows yet whether a part was delivered",
        }
    }

    /// The word for it in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ShuttingDown => "shutdown",
            Self::ControlWord => "control_word",
            Self::Person => "person",
            Self::BotDown => "bot_down",
            Self::MoreMayCome => "more_may_come",
            Self::QuietHours => "quiet_hours",
            Self::NothingToSay => "nothing_to_say",
            Self::Closed | Self::Held(Held::Pace) => "pace",
            Self::Held(Held::RateLimited) => "rate_limited",
            Self::Held(Held::Unavailable) => "unavailable",
            Self::Held(Held::Unknown) => "unknown",
        }
    }
}

impl Report {
    pub(super) fn of(claim: &Claim) -> Self {
        Self {
            outcome: Outcome::Later,
            reason: None,
            later: None,
            messages: claim.messages.len(),
            dead: 0,
            turned_away: BTreeMap::new(),
            parts: 0,
            handler: None,
            retries: 0,
            restarts: 0,
            transcribed: 0,
            settled_by: None,
        }
    }
}
