//! How a delivery ends.

use crate::delivery::typing::SendPermit;
use crate::message::MessageId;
use crate::message::clock::Timestamp;
use crate::provider::ProviderError;
use crate::store::StoreError;

/// How a delivery ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The upstream has every part.
    Delivered,
    /// Not yet.
    Later {
        /// When to go on.
        at: Timestamp,
        /// What it waits for.
        why: HoldReason,
    },
    /// The bot cannot send at all: go on when its operator has acted.
    Down(ProviderError),
    /// The customer's last message is too old for a free-form reply.
    WindowClosed,
    /// A person has taken over: nothing more leaves.
    TakenOver {
        /// How many parts, counted from the first, had left by then.
        left: usize,
    },
    /// It was to be said unasked, and the contact has opted out of that: nothing more leaves.
    OptedOut,
    /// It will not be delivered.
    Refused {
        /// Why, in codes.
        reason: String,
    },
}

/// What a reply waits for that does not leave yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldReason {
    /// Its time, for the bot keeps to what the upstream takes.
    Pace,
    /// The upstream has asked for time.
    RateLimited,
    /// The upstream to be there again.
    Unavailable,
    /// Whether a part has been delivered.
    Unknown,
}

/// What came of sending what could be sent.
#[derive(Debug)]
pub struct SendOutcome {
    /// How it ended.
    pub delivery: Delivery,
    /// The parts that have left and whose records do not say so yet, by number: the settlement does that.
    pub unrecorded: Vec<(usize, MessageId)>,
    /// How a part of which nobody knew whether it was delivered was settled, if there was one.
    pub settled_by: Option<SettledBy>,
}

/// Why nothing more was sent.
pub enum Undelivered {
    /// The store has failed, or the claim is no longer held.
    Store(StoreError),
    /// The store takes no such record. Nothing was sent: who holds the dots may send something else.
    Unrecordable(StoreError, SendPermit),
}

impl Undelivered {
    pub(super) fn of(error: StoreError, dots: SendPermit) -> Self {
        match error {
            StoreError::TooLarge { .. } | StoreError::Invalid(_) => Self::Unrecordable(error, dots),
            error => Self::Store(error),
        }
    }
}

impl From<StoreError> for Undelivered {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// How a part was settled of which nobody knew whether it was delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettledBy {
    /// It was sent again with its key, which the upstream knows.
    Key,
    /// The upstream has reported it.
    Report,
    /// The upstream has not reported it, as it would have: it was sent again.
    NoReport,
    /// By the bot's policy.
    Policy,
}

impl SendOutcome {
    /// Nothing was sent, and nothing will be.
    pub fn refused(reason: String) -> Self {
        Self { delivery: Delivery::Refused { reason }, unrecorded: Vec::new(), settled_by: None }
    }
}

impl SettledBy {
    /// The word for it in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Report => "report",
            Self::NoReport => "no_report",
            Self::Policy => "policy",
        }
    }
}
