//! NXCloud's refusals: always HTTP 200, and a code in the body; Meta's errors inside `data`.

use serde_json::{Value, json};

use crate::message::clock::Timestamp;
use crate::sandbox::Sandbox;
use crate::sandbox::fault::Failure;
use crate::sandbox::meta::{self, PassedOn};
use crate::sandbox::upstream::{Denial, UpstreamAnswer};

/// A call that is refused.
pub(super) struct Refusal {
    /// The code that the answer begins with.
    code: i64,
    message: String,
    /// Meta's error.
    error: Option<PassedOn>,
    retry_after: Option<u64>,
}

impl Refusal {
    /// The code for a number of somebody else's.
    pub(super) const OF_NUMBER: i64 = 9006;
    /// The typing call has a code of its own for that.
    pub(super) const OF_TYPING: i64 = 10003;

    /// One of NXCloud's own codes.
    pub(super) fn own(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), error: None, retry_after: None }
    }

    /// 9000: a parameter that is missing, or that cannot be.
    pub(super) fn parameter(name: &str) -> Self {
        Self::own(9000, format!("Invalid parameter ({name})"))
    }

    /// 9099: Meta's error, as a send gets it.
    pub(super) fn metas(error: PassedOn) -> Self {
        Self { error: Some(error), ..Self::own(9099, "WhatsApp error") }
    }

    /// 0, "success", and Meta's error all the same: what comes of read receipts that Meta refuses. The code inside is
    /// printed with a point.
    pub(super) fn in_success(code: i64, title: &str, details: String) -> Self {
        let error = json!({
            "code": code as f64,
            "message": title,
            "type": "OAuthException",
            "error_data": { "messaging_product": "whatsapp", "details": details },
        });
        Self { error: Some(PassedOn { code, error }), ..Self::own(0, "success") }
    }

    /// What a fault that was ordered looks like to the caller; none if it is no answer of NXCloud's at all.
    pub(super) fn injected(sandbox: &Sandbox, failure: Failure) -> Option<Self> {
        let metas = || Self::metas(meta::pass_on_trouble(sandbox, failure));
        Some(match failure {
            Failure::TooMany { retry_after } => Self { retry_after, ..metas() },
            Failure::TooManyToOne | Failure::Refused => metas(),
            Failure::Token => Self::own(1005, "Insufficient permissions"),
            Failure::SessionDown => Self::own(9007, "Downstream communication endpoint exception"),
            Failure::Unknown => Self::own(-1, "failure"),
            Failure::Broken | Failure::Undeliverable | Failure::Reset | Failure::Hang => return None,
        })
    }

    /// It as the caller gets it.
    pub(super) fn denial(self, now: Timestamp) -> Denial {
        let data = self.error.as_ref().map_or(Value::Null, |passed| json!({ "error": passed.error }));
        let body = json!({ "code": self.code, "message": self.message, "data": data });
        let mut answer = UpstreamAnswer::json(200, &body);
        if let Some(date) = http_date(now) {
            answer = answer.with("date", date);
        }
        if let Some(seconds) = self.retry_after {
            answer = answer.with("retry-after", seconds.to_string());
        }
        Denial { status: 200, code: Some(self.error.map_or(self.code, |passed| passed.code)), answer }
    }
}

/// NXCloud's clock, as every HTTP answer tells it.
fn http_date(now: Timestamp) -> Option<String> {
    let now = jiff::Timestamp::from_millisecond(i64::try_from(now.0).ok()?).ok()?;
    jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&now).ok()
}
