//! What a refused call means: by Meta's code, and by HTTP's status where there is none that we know.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::message::clock::Timestamp;
use crate::provider::answer::{LONGEST_WAIT, Repeat, by_status, retry_after};
use crate::provider::lenient::{self, Object};
use crate::provider::whatsapp::codes;
use crate::provider::{ErrorCode, ProviderError};
use crate::runtime::http::Headers;

/// Everything about an answer that may say why a call was refused.
pub(super) struct MetaRefusal<'a> {
    pub(super) status: u16,
    pub(super) headers: &'a Headers,
    /// The body, if it is an object.
    pub(super) answer: Option<&'a Map<String, Value>>,
    pub(super) now: Timestamp,
}

impl MetaRefusal<'_> {
    /// What the caller can do about it.
    pub(super) fn meaning(&self, repeat: Repeat) -> ProviderError {
        let wait = retry_after(self.headers, self.now).max(throttled(self.headers));
        let by_status = || by_status(self.status, wait, repeat);
        let client_error = (400..500).contains(&self.status);
        let Some(error) = self.answer.and_then(|answer| Object(answer).object("error")) else { return by_status() };
        let Some(code) = error.int("code") else { return by_status() };
        codes::meaning(code, client_error, wait, repeat).unwrap_or_else(|| {
            // A code from after our table.
            let code = ErrorCode::Upstream(code);
            match by_status() {
                ProviderError::Rejected { .. } if error.flag("is_transient") => ProviderError::Transient { code },
                ProviderError::RateLimited { retry_after, scope, .. } => {
                    ProviderError::RateLimited { retry_after, scope, code }
                }
                ProviderError::Unauthorized { .. } => ProviderError::Unauthorized { code },
                ProviderError::Rejected { .. } => ProviderError::Rejected { code },
                _ => repeat.doubtful(code),
            }
        })
    }
}

/// How long Meta says that the account stays throttled, a day at most: the longest of the minutes that it names.
fn throttled(headers: &Headers) -> Option<Duration> {
    let usage = lenient::object(headers.get("x-business-use-case-usage")?)?;
    let uses = usage.values().filter_map(Value::as_array).flatten().filter_map(Value::as_object).map(Object);
    let minutes = uses.filter_map(|one| one.int("estimated_time_to_regain_access")).max()?;
    let minutes = u64::try_from(minutes).ok().filter(|minutes| *minutes > 0)?;
    Some(Duration::from_secs(minutes.saturating_mul(60)).min(LONGEST_WAIT))
}
