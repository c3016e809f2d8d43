//! What a refused call means: by HTTP's status first, by Linq's code second (Linq's page on error codes).
//!
//! | status | code | what the caller does |
//! |---|---|---|
//! | 429 | any; 1007 and 1015 with any status | waits for as long as Linq says |
//! | 401 | any; 2004 with any status of the 400s | stops the bot: the key |
//! | 403 | 2005, none | stops the bot: what the key may do |
//! | 403, 409 | 2015, 2027 | stops the bot: the line may not send, which its operator has to know |
//! | 4xx | 2024 | gives the message up: the person has opted out |
//! | 403 | 2008, 2026 and all others | gives the message up |
//! | 408, 5xx | any | repeats, if that can show nothing twice |
//! | other 3xx, 4xx | any | gives the message up; a 409 is a refusal here and no race |

use std::time::Duration;

use crate::message::clock::Timestamp;
use crate::provider::answer::{LONGEST_WAIT, Repeat, retry_after};
use crate::provider::exchange::FullResponse;
use crate::provider::lenient::Object;
use crate::provider::{ErrorCode, ProviderError, Scope};

/// What an answer says that is none of success.
pub(super) struct LinqRefusal {
    status: u16,
    code: Option<i64>,
    wait: Option<Duration>,
}

impl LinqRefusal {
    /// What `answer` refuses; none if it is one of success. One with a status of success may still say otherwise.
    pub(super) fn of(answer: &FullResponse, now: Timestamp) -> Option<Self> {
        let object = answer.object();
        let object = object.as_ref().map(Object);
        let error = object.and_then(|object| object.object("error"));
        let denied = object.is_some_and(|object| object.get("success").is_some() && !object.flag("success"));
        if answer.is_success() && error.is_none() && !denied {
            return None;
        }
        let named = error.and_then(|error| error.int("status")).and_then(|status| u16::try_from(status).ok());
        let status = if answer.is_success() { named.unwrap_or(500) } else { answer.status };
        let seconds = error.and_then(|error| error.int("retry_after")).and_then(|wait| u64::try_from(wait).ok());
        let asked = seconds.map(|seconds| Duration::from_secs(seconds).min(LONGEST_WAIT));
        Some(Self {
            status,
            code: error.and_then(|error| error.int("code")),
            wait: asked.max(retry_after(&answer.headers, now)),
        })
    }

    /// What the caller can do about it.
    pub(super) fn meaning(&self, repeat: Repeat) -> ProviderError {
        let code = self.code();
        match (self.status, self.code) {
            (429, _) | (_, Some(1007 | 1015)) => {
                ProviderError::RateLimited { retry_after: self.wait, scope: Scope::Pair, code }
            }
            (408 | 500.., _) => repeat.doubtful(code),
            (401, _) | (_, Some(2004 | 2005 | 2015 | 2027)) | (403, None) => ProviderError::Unauthorized { code },
            (300.., Some(2024)) => ProviderError::OptedOut { code },
            (300.., _) => ProviderError::Rejected { code },
            // A status that no refusal has.
            _ => repeat.doubtful(code),
        }
    }

    /// Whether it says of a typing call that there is no such thing in this chat: with 2005 too, which is what Linq's
    /// page shows for a group. The codes that forbid for another reason say nothing about typing.
    pub(super) fn is_no_typing(&self) -> bool {
        self.status == 403 && !matches!(self.code, Some(2004 | 2008 | 2024 | 2026 | 2027))
    }

    pub(super) fn code(&self) -> ErrorCode {
        self.code.map_or(ErrorCode::Status(self.status), ErrorCode::Upstream)
    }
}

/// What it means that a store of files refuses: not Linq itself, so nothing about the bot.
pub(super) fn of_files(answer: &FullResponse) -> ProviderError {
    let code = ErrorCode::Status(answer.status);
    match answer.status {
        408 | 429 | 500.. => ProviderError::Transient { code },
        _ => ProviderError::Rejected { code },
    }
}
