//! What a refused call means: by the gateway's code, which is made to be branched on, and by HTTP's status where a
//! proxy in front of it has answered instead.
//!
//! | code | status | a reply | the indicator |
//! |---|---|---|---|
//! | `validation_error`, `conflict` | 400, 422, 409 | rejected | rejected |
//! | `unauthorized` | 401 | unauthorized | unauthorized |
//! | `forbidden`: the key may not send | 403 | unauthorized | rejected |
//! | `not_found`: the session is none of ours | 404 | unauthorized | unauthorized |
//! | `rate_limited` | 429 | rate limited | rate limited |
//! | `not_implemented`: no connection to WhatsApp | 501 | session down | session down |
//! | `gateway_unavailable`, `internal` | 503, 500 | transient | transient |

use std::time::Duration;

use crate::message::clock::Timestamp;
use crate::provider::answer::{LONGEST_WAIT, Repeat, by_status, retry_after};
use crate::provider::exchange::FullResponse;
use crate::provider::lenient::Object;
use crate::provider::{ErrorCode, ProviderError, Scope};

/// What was asked of the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GatewayCall {
    /// To send something.
    Reply,
    /// To put an emoji on a message, or to take one away.
    Reaction,
    /// To show or to take off the indicator, or to reset the count of unread messages.
    Indicator,
    /// For a medium.
    Medium,
}

/// What the caller can do about a refusal. Nothing that is asked here shows twice when it is asked twice: a send
/// carries its key, and everything else sets a state.
pub(super) fn meaning(asked: GatewayCall, answer: &FullResponse, now: Timestamp) -> ProviderError {
    let status = answer.status;
    let code = ErrorCode::Status(status);
    let body = answer.object();
    let error = body.as_ref().and_then(|body| Object(body).object("error"));
    let word = error.and_then(|error| error.text("code"));
    // A proxy in front says it in statuses.
    let said = word.as_deref().unwrap_or(match status {
        429 => "rate_limited",
        501 => "not_implemented",
        401 => "unauthorized",
        403 => "forbidden",
        408 => "gateway_unavailable",
        // Nobody behind that address just now: the gateway itself says `not_found`.
        404 => "gateway_unavailable",
        _ => "",
    });
    match said {
        "validation_error" | "conflict" => ProviderError::Rejected { code },
        "forbidden" if matches!(asked, GatewayCall::Indicator | GatewayCall::Medium) => {
            ProviderError::Rejected { code }
        }
        // With a reaction it may be the message that is not found.
        "not_found" if matches!(asked, GatewayCall::Reaction | GatewayCall::Medium) => ProviderError::Rejected { code },
        "unauthorized" | "forbidden" | "not_found" => ProviderError::Unauthorized { code },
        "rate_limited" => {
            let details = error.and_then(|error| error.object("details"));
            let wait = details.and_then(asked_wait).or_else(|| retry_after(&answer.headers, now));
            ProviderError::RateLimited { retry_after: wait, scope: Scope::Number, code }
        }
        "not_implemented" => ProviderError::SessionDown { code },
        "gateway_unavailable" | "internal" => ProviderError::Transient { code },
        _ => by_status(status, None, Repeat::Harmless),
    }
}

/// Whole seconds, cut off: less than one is written as none.
fn asked_wait(details: Object<'_>) -> Option<Duration> {
    let wait = Duration::try_from_secs_f64(details.float("retryAfterSeconds")?).ok()?;
    Some(wait.clamp(Duration::from_secs(1), LONGEST_WAIT))
}
