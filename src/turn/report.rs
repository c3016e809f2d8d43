//! How a turn ended, for its log line.

use std::collections::BTreeMap;
use std::time::Duration;

use super::steps::keep_quiet::QUIET;
use super::takeover::A_PERSON;
use crate::delivery::outbox::HoldReason;
use crate::policy::gate::TurnedAway;
use crate::store::Claim;

/// How a turn ended: its log line.
#[derive(Debug)]
pub struct TurnReport {
    /// In one word.
    pub outcome: TurnOutcome,
    /// Why, where there is a reason. Codes only.
    pub reason: Option<String>,
    /// Why, if it was given back.
    pub later: Option<GiveBackReason>,
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
pub enum TurnOutcome {
    /// A reply was delivered.
    Answered,
    /// Nothing was said, on purpose.
    Silent,
    /// There should have been a reply, and there is none: the messages are dead letters.
    Dead,
    /// Given back until later.
    Later,
}

impl TurnOutcome {
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
pub enum GiveBackReason {
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
    Held(HoldReason),
}

impl GiveBackReason {
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
            Self::Closed | Self::Held(HoldReason::Pace) => "nothing can be sent until then",
            Self::Held(HoldReason::RateLimited) => "the upstream asked for time",
            Self::Held(HoldReason::Unavailable) => "the upstream is not available",
            Self::Held(HoldReason::Unknown) => "nobody knows yet whether a part was delivered",
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
            Self::Closed | Self::Held(HoldReason::Pace) => "pace",
            Self::Held(HoldReason::RateLimited) => "rate_limited",
            Self::Held(HoldReason::Unavailable) => "unavailable",
            Self::Held(HoldReason::Unknown) => "unknown",
        }
    }
}

impl TurnReport {
    pub(super) fn of(claim: &Claim) -> Self {
        Self {
            outcome: TurnOutcome::Later,
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
