//! Linq's errors: a status, a code, and the envelope around them.

use serde_json::json;

use super::names;
use crate::sandbox::Sandbox;
use crate::sandbox::fault::Failure;
use crate::sandbox::upstream::{Denial, UpstreamAnswer};

/// A call that is refused.
#[derive(Debug)]
pub(super) struct Refusal {
    status: u16,
    code: i64,
    message: String,
    retry_after: Option<u64>,
}

impl Refusal {
    fn new(status: u16, code: i64, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry_after: None }
    }

    /// 1001: a field that has to be there.
    pub(super) fn missing(field: &str) -> Self {
        Self::new(400, 1001, format!("Missing required field: {field}"))
    }

    /// 1003: no JSON object.
    pub(super) fn bad_body() -> Self {
        Self::new(400, 1003, "Invalid request body")
    }

    /// 1004: parts that cannot be a message.
    pub(super) fn content(why: &str) -> Self {
        Self::new(400, 1004, format!("Invalid message content: {why}"))
    }

    /// 1005: a value that cannot be.
    pub(super) fn invalid(field: &str) -> Self {
        Self::new(400, 1005, format!("Invalid parameter value: {field}"))
    }

    /// 1007: too many messages between the two.
    pub(super) fn too_many(retry_after: Option<u64>) -> Self {
        Self { retry_after, ..Self::new(429, 1007, "Rate limit exceeded") }
    }

    /// 2001, 2002, 2003: no such chat, message, attachment.
    pub(super) fn not_found(code: i64) -> Self {
        let what = match code {
            2002 => "Message not found",
            2003 => "Attachment not found",
            _ => "Resource not found",
        };
        Self::new(404, code, what)
    }

    /// 2004: no key, or not the right one.
    pub(super) fn unauthorized() -> Self {
        Self::new(401, 2004, "Unauthorized - missing or invalid authentication token")
    }

    /// 2005: not allowed.
    pub(super) fn forbidden() -> Self {
        Self::new(403, 2005, "Access denied - insufficient permissions for this resource")
    }

    /// 2024: whoever is written to has asked to be left alone.
    pub(super) fn opted_out() -> Self {
        Self::new(403, 2024, "Recipient has opted out")
    }

    /// What a fault that was ordered looks like to the caller; none if it is no error of Linq's at all.
    pub(super) fn injected(failure: Failure) -> Option<Self> {
        Some(match failure {
            Failure::TooMany { retry_after } => Self::too_many(retry_after),
            Failure::TooManyToOne => Self::too_many(None),
            Failure::Token => Self::unauthorized(),
            Failure::Refused => Self::content("refused to order"),
            // The nearest thing that Linq has: a line that cannot do anything for now.
            Failure::SessionDown => Self::new(403, 2027, "Line is temporarily unable to produce activity"),
            Failure::Unknown => Self::new(500, 3006, "Internal server error"),
            Failure::Broken | Failure::Undeliverable | Failure::Reset | Failure::Hang => return None,
        })
    }

    /// It as the caller gets it.
    pub(super) fn denial(&self, sandbox: &Sandbox) -> Denial {
        let page = format!("https://docs.linqapp.com/error/codes/{}xxx/{}/", self.code / 1000, self.code);
        let mut error = json!({ "status": self.status, "code": self.code, "message": self.message, "doc_url": page });
        if let Some(seconds) = self.retry_after {
            error["retry_after"] = json!(seconds);
        }
        let trace = names::uuid_of(&sandbox.ids.token()).replace('-', "");
        let body = json!({ "success": false, "error": error, "trace_id": trace });
        let answer = UpstreamAnswer::json(self.status, &body).with("x-trace-id", trace);
        let answer = match self.retry_after {
            Some(seconds) => answer.with("retry-after", seconds.to_string()),
            None => answer,
        };
        Denial { status: self.status, code: Some(self.code), answer }
    }
}
