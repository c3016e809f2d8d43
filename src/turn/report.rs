//! How a turn ended, for its log line.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::gate::TurnedAway;
use crate::store::Claim;

/// How a turn ended: its log line.
#[derive(Debug)]
pub struct Report {
    /// In one word.
    pub outcome: Outcome,
    /// Why, where there is a reason. Codes only.
    pub reason: Option<String>,
    /// How many messages it was about.
    pub messages: usize,
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

impl Report {
    pub(super) fn of(claim: &Claim) -> Self {
        Self {
            outcome: Outcome::Later,
            reason: None,
            messages: claim.messages.len(),
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
