//! Meta's errors: a status, a code, and the body around them.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::sandbox::fault::Failure;
use crate::sandbox::upstream::{Denial, UpstreamAnswer};

/// A call that is refused.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    /// None if the answer is no error of Meta's at all.
    pub(super) code: Option<i64>,
    subcode: Option<i64>,
    title: &'static str,
    details: Option<String>,
    retry_after: Option<u64>,
    is_transient: bool,
}

impl Refusal {
    fn new(status: u16, code: i64, title: &'static str) -> Self {
        let (subcode, details, retry_after) = (None, None, None);
        Self { status, code: Some(code), subcode, title, details, retry_after, is_transient: false }
    }

    fn details(mut self, details: impl Into<String>) -> Self {
        self.details = Some(details.into());
        self
    }

    /// 190: no token, or not the right one.
    pub(super) fn token() -> Self {
        Self::new(401, 190, "The access token is not valid")
    }

    /// 100, subcode 33: the path names nothing that this token may see.
    pub(super) fn no_such_object() -> Self {
        Self { subcode: Some(33), ..Self::new(400, 100, "The object does not exist or does not take this request") }
    }

    /// 100: a parameter that cannot be.
    pub(super) fn invalid(details: impl Into<String>) -> Self {
        Self::new(400, 100, "(#100) Invalid parameter").details(details)
    }

    /// 131008: a parameter that has to be there.
    pub(super) fn missing(path: &str) -> Self {
        Self::new(400, 131_008, "(#131008) Required parameter is missing").details(format!("`{path}` is missing"))
    }

    /// 131009: a parameter whose value is out of bounds.
    pub(super) fn out_of_bounds(details: impl Into<String>) -> Self {
        Self::new(400, 131_009, "(#131009) Parameter value is not valid").details(details)
    }

    /// 130501: not for a group.
    pub(super) fn not_for_groups() -> Self {
        Self::new(400, 130_501, "(#130501) Message type is not supported").details("groups take text, media, templates")
    }

    /// 131021: to oneself.
    pub(super) fn to_oneself() -> Self {
        Self::new(400, 131_021, "(#131021) Recipient cannot be sender")
    }

    /// 131026: nobody there.
    pub(super) fn undeliverable() -> Self {
        Self::new(400, 131_026, "(#131026) Message undeliverable")
    }

    /// 131047: the customer last wrote more than 24 hours ago.
    pub(super) fn window_closed() -> Self {
        Self::new(400, 131_047, "(#131047) Re-engagement message")
            .details("more than 24 hours have passed since the customer last wrote")
    }

    /// 131051: no such type.
    pub(super) fn unsupported_type() -> Self {
        Self::new(400, 131_051, "(#131051) Message type is not supported")
    }

    /// 131053: a medium that cannot be taken in.
    pub(super) fn bad_medium(details: impl Into<String>) -> Self {
        Self::new(400, 131_053, "(#131053) Media upload error").details(details)
    }

    /// 404 without a body: an address that has run out.
    pub(super) fn gone() -> Self {
        Self { code: None, ..Self::new(404, 0, "") }
    }

    /// What a fault that was ordered looks like to the caller.
    pub(super) fn injected(failure: Failure) -> Self {
        match failure {
            Failure::TooMany { retry_after } => {
                Self { retry_after, ..Self::new(429, 130_429, "(#130429) Rate limit hit") }
            }
            Failure::TooManyToOne => Self::new(400, 131_056, "(#131056) Pair rate limit hit")
                .details("too many messages from this number to the same customer"),
            Failure::Token => Self::token(),
            Failure::Refused => Self::out_of_bounds("refused to order"),
            Failure::SessionDown => {
                Self { is_transient: true, ..Self::new(503, 131_016, "(#131016) Service unavailable") }
            }
            Failure::Unknown => {
                Self { is_transient: true, ..Self::new(500, 131_000, "(#131000) Something went wrong") }
            }
            Failure::Broken | Failure::Undeliverable | Failure::Reset | Failure::Hang => {
                Self { code: None, ..Self::new(500, 0, "") }
            }
        }
    }

    /// It as the caller gets it. `trace` is for Meta's support.
    pub(super) fn denial(&self, trace: &str) -> Denial {
        let Some(code) = self.code else {
            if self.status == 500 {
                return Denial::page(500);
            }
            let answer = UpstreamAnswer::new(self.status, "text/html; charset=utf-8", Bytes::new());
            return Denial { status: self.status, code: None, answer };
        };
        let answer = UpstreamAnswer::json(self.status, &json!({ "error": self.error(trace) }));
        let answer = match self.retry_after {
            Some(seconds) => answer.with("retry-after", seconds.to_string()),
            None => answer,
        };
        Denial { status: self.status, code: Some(code), answer }
    }

    /// The error as an object, without what stands around it.
    pub(super) fn error(&self, trace: &str) -> Value {
        let kind = if self.subcode == Some(33) { "GraphMethodException" } else { "OAuthException" };
        let mut error = json!({ "message": self.title, "type": kind, "code": self.code, "fbtrace_id": trace });
        if let Some(subcode) = self.subcode {
            error["error_subcode"] = json!(subcode);
        }
        if let Some(details) = &self.details {
            error["error_data"] = json!({ "messaging_product": "whatsapp", "details": details });
        }
        if self.is_transient {
            error["is_transient"] = json!(true);
        }
        error
    }
}
