//! What HTTP alone says about a call: for answers without a code of the upstream's, and for no answer at all.

use std::time::Duration;

use super::{ErrorCode, ProviderError, Scope};
use crate::message::clock::Timestamp;
use crate::runtime::http::{self, CallError, Headers};

/// Whoever asks for more than a day means that something else is wrong.
pub const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// What it would mean to make the same call again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// The customer might see something twice.
    Doubles,
    /// Nothing.
    Harmless,
}

impl Repeat {
    /// A failure of which nobody knows whether it took effect.
    pub fn doubtful(self, code: ErrorCode) -> ProviderError {
        match self {
            Self::Doubles => ProviderError::Ambiguous { code },
            Self::Harmless => ProviderError::Transient { code },
        }
    }
}

/// What a call without an answer comes to.
pub fn unanswered(error: CallError, repeat: Repeat) -> ProviderError {
    match error {
        CallError::NotSent(what) => ProviderError::Transient { code: ErrorCode::Network(what) },
        // The bot's own settings: no other call can do better, and its operator has to act.
        CallError::Unaskable(what) => ProviderError::Unauthorized { code: ErrorCode::Network(what) },
        CallError::Unfit(what) => ProviderError::Rejected { code: ErrorCode::Network(what) },
        CallError::Unanswered(what) => repeat.doubtful(ErrorCode::Network(what)),
        CallError::TooLarge => match repeat {
            Repeat::Doubles => ProviderError::Ambiguous { code: ErrorCode::Network("the answer is too large") },
            Repeat::Harmless => ProviderError::Rejected { code: ErrorCode::Network("the answer is too large") },
        },
    }
}

/// What an HTTP status means that is not one of success.
pub fn by_status(status: u16, retry_after: Option<Duration>, repeat: Repeat) -> ProviderError {
    let code = ErrorCode::Status(status);
    match status {
        429 => ProviderError::RateLimited { retry_after, scope: Scope::Number, code },
        401 | 403 => ProviderError::Unauthorized { code },
        // A redirect is never followed: it would carry the token elsewhere.
        300..=499 => ProviderError::Rejected { code },
        _ => repeat.doubtful(code),
    }
}

/// How long `Retry-After` asks us to wait, a day at most: a number of seconds, or a date.
pub fn retry_after(headers: &Headers, now: Timestamp) -> Option<Duration> {
    http::retry_after(headers.get("retry-after")?, now).map(|wait| wait.min(LONGEST_WAIT))
}
