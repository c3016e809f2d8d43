//! What a refused call means: by NXCloud's code, by Meta's inside it, and by HTTP's status where there is neither.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::message::clock::Timestamp;
use crate::provider::answer::{Repeat, by_status, retry_after};
use crate::provider::exchange::FullResponse;
use crate::provider::lenient::Object;
use crate::provider::whatsapp::codes;
use crate::provider::{ErrorCode, ProviderError};

/// The `ts` of the call is more than a minute off NXCloud's clock. Nothing was done.
pub(super) const CLOCK: i64 = 1004;

/// What Meta said is in `data.error`.
const META: i64 = 9099;

/// NXCloud's code, if the answer has one.
pub(super) fn code(answer: &FullResponse) -> Option<i64> {
    Object(&answer.object()?).int("code")
}

/// What the answer brings, if it is one of success: that takes a code of zero and no error in the data, for an error of
/// Meta's may come with "success" around it (NXCloud's typing page).
pub(super) fn data(answer: &FullResponse, now: Timestamp, repeat: Repeat) -> Result<Map<String, Value>, ProviderError> {
    let wait = retry_after(&answer.headers, now);
    let by_status = || by_status(answer.status, wait, repeat);
    let mut object = answer.object().unwrap_or_default();
    let code = Object(&object).int("code");
    let data = match object.remove("data") {
        Some(Value::Object(data)) => data,
        _ => Map::new(),
    };
    let error = Object(&data).get("error");
    match code {
        Some(0) if error.is_none() && answer.is_success() => Ok(data),
        Some(0) if error.is_none() => Err(by_status()),
        Some(0 | META) => {
            let error = error.and_then(Value::as_object).map(Object);
            Err(metas(error, answer.status, wait, repeat))
        }
        Some(code) => Err(own(code, repeat).unwrap_or_else(|| unknown(by_status(), code, repeat))),
        None if answer.is_success() => Err(repeat.doubtful(ErrorCode::Status(answer.status))),
        None => Err(by_status()),
    }
}

/// NXCloud's own codes (its pages on each call, and "API interface call convention").
fn own(number: i64, repeat: Repeat) -> Option<ProviderError> {
    let code = ErrorCode::Upstream(number);
    Some(match number {
        // The credentials, the clock, the action.
        1000..=1009 => ProviderError::Unauthorized { code },
        // The number, the application, its binding, its quota, the balance.
        9002 | 9003 | 9005 | 9006 | 9009 | 10003 => ProviderError::Unauthorized { code },
        // A parameter; no price for the customer's country.
        9000 | 9004 => ProviderError::Rejected { code },
        // Something failed, on the way or behind it: whether before or after the message went on is not said.
        -1 | 9001 | 9007 => repeat.doubtful(code),
        _ => return None,
    })
}

/// What Meta said, passed on.
fn metas(error: Option<Object<'_>>, status: u16, wait: Option<Duration>, repeat: Repeat) -> ProviderError {
    let Some(code) = error.and_then(|error| error.int("code")) else {
        return repeat.doubtful(ErrorCode::Upstream(META));
    };
    codes::meaning(code, (400..500).contains(&status), wait, repeat).unwrap_or_else(|| {
        // A code from after our table.
        let transient = error.is_some_and(|error| error.flag("is_transient"));
        let code = ErrorCode::Upstream(code);
        if transient { ProviderError::Transient { code } } else { repeat.doubtful(code) }
    })
}

/// A code from after our table, with what its status says.
fn unknown(by_status: ProviderError, code: i64, repeat: Repeat) -> ProviderError {
    let code = ErrorCode::Upstream(code);
    match by_status {
        ProviderError::RateLimited { retry_after, scope, .. } => {
            ProviderError::RateLimited { retry_after, scope, code }
        }
        ProviderError::Unauthorized { .. } => ProviderError::Unauthorized { code },
        ProviderError::Rejected { .. } => ProviderError::Rejected { code },
        _ => repeat.doubtful(code),
    }
}
