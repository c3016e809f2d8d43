//! The gateway's errors: a word to branch on, and the status that goes with it.

use serde_json::{Value, json};

use crate::sandbox::fault::Failure;
use crate::sandbox::upstream::{Denial, UpstreamAnswer};

/// A call that is refused.
#[derive(Debug)]
pub(super) struct Refusal {
    status: u16,
    code: &'static str,
    message: String,
    details: Option<Value>,
}

impl Refusal {
    fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), details: None }
    }

    /// 400: the body is not what it has to be.
    pub(super) fn validation(message: impl Into<String>) -> Self {
        Self::new(400, "validation_error", message)
    }

    /// 400: the body does not keep to the schema.
    pub(super) fn schema(error: impl Into<String>) -> Self {
        let details = json!({ "errors": [error.into()] });
        Self { details: Some(details), ..Self::validation("validation failed") }
    }

    /// 401: no key, or not the right one.
    pub(super) fn unauthorized() -> Self {
        Self::new(401, "unauthorized", "authentication required")
    }

    /// 404: it does not exist, or not for this key's organization.
    pub(super) fn not_found(message: &'static str) -> Self {
        Self::new(404, "not_found", message)
    }

    /// 429: too many from this session. There is no header: the details say for how long.
    pub(super) fn too_many(retry_after: Option<u64>) -> Self {
        Self {
            details: retry_after.map(|seconds| json!({ "retryAfterSeconds": seconds })),
            ..Self::new(429, "rate_limited", "send rate limit exceeded")
        }
    }

    /// What a fault that was ordered looks like to the caller; none if it is no error of the gateway's at all.
    pub(super) fn injected(failure: Failure) -> Option<Self> {
        Some(match failure {
            // There is one budget.
            Failure::TooMany { retry_after } => Self::too_many(retry_after),
            Failure::TooManyToOne => Self::too_many(None),
            Failure::Unknown => Self::new(500, "internal", "internal server error"),
            Failure::Token => Self::unauthorized(),
            Failure::Refused => Self::validation("refused to order"),
            Failure::SessionDown => Self::new(501, "not_implemented", "session has no connected client"),
            Failure::Broken | Failure::Undeliverable | Failure::Reset | Failure::Hang => return None,
        })
    }

    /// It as the caller gets it. The code is a word, so the timeline has none.
    pub(super) fn denial(self) -> Denial {
        let mut error = json!({ "code": self.code, "message": self.message });
        if let Some(details) = self.details {
            error["details"] = details;
        }
        let answer = UpstreamAnswer::json(self.status, &json!({ "error": error }));
        Denial { status: self.status, code: None, answer }
    }
}
