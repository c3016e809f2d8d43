//! WhatsApp's error codes, and what each lets us do (Meta's page "Error codes").
//!
//! The code decides, not the HTTP status, which varies, and not the title, which Meta means to drop.

use std::time::Duration;

use crate::provider::answer::Repeat;
use crate::provider::{ErrorCode, ProviderError, Scope};

/// A flow takes ten messages an hour; past that it is worth nothing to come back sooner.
const FLOW_THROTTLE: Duration = Duration::from_secs(3600);

/// What a code of WhatsApp's means for the call that it answers; none for a code that we do not know.
///
/// `retry_after` is what the answer's headers ask for. `client_error` says whether the HTTP status blames us.
pub(crate) fn meaning(
    code: i64,
    client_error: bool,
    retry_after: Option<Duration>,
    repeat: Repeat,
) -> Option<ProviderError> {
    let number = code;
    let code = ErrorCode::Upstream(number);
    let limited = |scope| ProviderError::RateLimited { retry_after, scope, code };
    Some(match number {
        131056 => limited(Scope::Pair),
        130429 => limited(Scope::Number),
        4 | 613 | 80007 => limited(Scope::Account),
        // Concerns one flow, not the number: the customer at hand waits, the others go on.
        132069 => {
            ProviderError::RateLimited { retry_after: retry_after.or(Some(FLOW_THROTTLE)), scope: Scope::Pair, code }
        }

        131047 => ProviderError::WindowClosed { code },
        // The person has stopped offers in WhatsApp's own menu.
        131050 => ProviderError::OptedOut { code },

        2 | 131016 | 131057 | 131208 | 133004 => ProviderError::Transient { code },
        // "Invalid request or possible server error": the status tells which.
        1 if client_error => ProviderError::Transient { code },
        1 | 131000 => repeat.doubtful(code),

        // The token, its permissions, a block.
        0 | 3 | 10 | 190 | 200..=299 | 368 | 131005 => ProviderError::Unauthorized { code },
        // The number: gone, not registered, not approved, in test mode, restricted, of the wrong sort.
        33 | 131030 | 131031 | 131037 | 131045 | 131048 | 131055 | 131063 | 131064 => {
            ProviderError::Unauthorized { code }
        }
        133000 | 133005 | 133006 | 133008 | 133009 | 133010 | 133015 | 133016 => ProviderError::Unauthorized { code },
        // Money and terms.
        131042 | 131044 | 134011 => ProviderError::Unauthorized { code },

        // The message, its recipient, its template: the same again would be refused again.
        100 | 130472 | 130497 | 130501 | 131008 | 131009 | 131020 | 131021 | 131026 | 131041 => rejected(code),
        131049 | 131051..=131053 | 131059 | 131062 | 131200..=131299 | 135000 | 137000 => rejected(code),
        132000 | 132001 | 132005 | 132007 | 132008 | 132012 | 132015 | 132016 | 132068 => rejected(code),
        // Calls, flows, block lists, usernames, the management of templates.
        138000..=139999 | 147000..=147999 | 2_388_000..=2_388_999 => rejected(code),
        _ => return None,
    })
}

/// What it means that a message which had been taken is reported as failed.
pub(crate) fn reported(code: Option<i64>) -> ProviderError {
    let known = code.and_then(|code| meaning(code, true, None, Repeat::Doubles));
    known.unwrap_or(rejected(code.map_or(ErrorCode::Local("reported as failed"), ErrorCode::Upstream)))
}

fn rejected(code: ErrorCode) -> ProviderError {
    ProviderError::Rejected { code }
}
