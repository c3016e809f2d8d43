//! What an answer means. It may be JSON, XML, HTML or text (Wawp's stop-typing page lists them all), success may have a
//! failure inside, and Wawp hands on what WAHA says.

use std::time::Duration;

use serde_json::Value;

use super::message_id;
use crate::message::clock::Timestamp;
use crate::message::{MessageId, PartKey};
use crate::provider::answer::{LONGEST_WAIT, Repeat, by_status, retry_after};
use crate::provider::exchange::FullResponse;
use crate::provider::lenient::Object;
use crate::provider::{ErrorCode, ProviderError};

/// Reads an upstream's answers.
pub(super) struct Reading {
    pub(super) now: Timestamp,
    /// What calling again would mean.
    pub(super) repeat: Repeat,
    /// Whether these words of a 404, in lower case, speak of the session; otherwise the address is wrong.
    pub(super) session_is_gone: fn(&str) -> bool,
}

impl Reading {
    /// What a refused call means.
    pub(super) fn refusal(&self, answer: &FullResponse) -> ProviderError {
        let object = answer.object().unwrap_or_default();
        self.meaning(answer.status, Object(&object), answer)
    }

    /// The name of the message that a send has made. A name is not always told: then ours stands for it.
    pub(super) fn sent(&self, answer: &FullResponse, key: &PartKey) -> Result<MessageId, ProviderError> {
        let object = answer.object().unwrap_or_default();
        let object = Object(&object);
        let id = message_id::find(object);
        if is_failure(object, id.is_some()) {
            return Err(self.failure(object, answer));
        }
        Ok(MessageId::new(id.unwrap_or_else(|| key.as_str().to_owned())))
    }

    /// A failure that came with a status of success. It may say which status it should have had.
    fn failure(&self, object: Object<'_>, answer: &FullResponse) -> ProviderError {
        let inner = object.object("data").and_then(|data| data.int("status"));
        let stated = inner.or_else(|| object.int("statusCode")).or_else(|| object.int("status"));
        match stated.and_then(|status| u16::try_from(status).ok()).filter(|status| (400..600).contains(status)) {
            Some(status) => self.meaning(status, object, answer),
            None => by_slug(object, self.repeat)
                .unwrap_or(self.repeat.doubtful(ErrorCode::Network("the answer says that it failed"))),
        }
    }

    fn meaning(&self, status: u16, object: Object<'_>, answer: &FullResponse) -> ProviderError {
        let code = ErrorCode::Status(status);
        let words = String::from_utf8_lossy(&answer.body).to_lowercase();
        // The engine has no such thing: certainly nothing was done.
        let is_gap = || words.contains("not implemented") || words.contains("not supported");
        let by_status = || by_status(status, self.wait(object, answer), self.repeat);
        match status {
            401 | 403 | 429 => by_status(),
            404 if (self.session_is_gone)(&words) => ProviderError::SessionDown { code },
            408 => self.repeat.doubtful(code),
            422 => match object.text("status").as_deref() {
                Some("STARTING") => ProviderError::Transient { code },
                Some(word) if is_down(word) => ProviderError::SessionDown { code },
                _ if is_gap() => ProviderError::Unsupported { code },
                _ => ProviderError::Rejected { code },
            },
            500 | 501 if is_gap() => ProviderError::Unsupported { code },
            _ => by_slug(object, self.repeat).unwrap_or_else(by_status),
        }
    }

    /// How long to stay away: by the header, or by what the body says in seconds; the longer of both.
    fn wait(&self, object: Object<'_>, answer: &FullResponse) -> Option<Duration> {
        const NAMES: [&str; 4] = ["retryAfterSeconds", "retryAfter", "retry_after", "retry_after_seconds"];
        let places = [Some(object), object.object("details"), object.object("data")];
        let stated =
            places.into_iter().flatten().find_map(|place| NAMES.into_iter().find_map(|name| place.float(name)));
        let stated = stated.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        stated.map(|wait| wait.min(LONGEST_WAIT)).max(retry_after(&answer.headers, self.now))
    }
}

/// Whether an answer of success says that it is none (users of Wawp's report such).
fn is_failure(object: Object<'_>, names_message: bool) -> bool {
    let denies = |key: &str| object.get(key).is_some_and(|value| value == &Value::Bool(false) || value == "false");
    let code = object.text("code").map(|code| code.to_lowercase());
    let is_praise = |code: &str| code.starts_with('2') || matches!(code, "ok" | "success");
    let complains = code.is_some_and(|code| !is_praise(&code)) && object.get("message").is_some();
    denies("success") || denies("result") || (complains && !names_message)
}

/// By Wawp's own words for what went wrong, as far as they are known.
fn by_slug(object: Object<'_>, repeat: Repeat) -> Option<ProviderError> {
    Some(match object.text("code")?.as_str() {
        "invalid_session" => ProviderError::SessionDown { code: ErrorCode::Status(404) },
        "subscription_required" => ProviderError::Unauthorized { code: ErrorCode::Status(403) },
        "wawp_upstream_error" => repeat.doubtful(ErrorCode::Status(502)),
        _ => return None,
    })
}

/// The states of a session that only its owner can change (WAHA's page "Events").
fn is_down(status: &str) -> bool {
    matches!(status, "FAILED" | "STOPPED" | "SCAN_QR_CODE" | "PASSKEY_REQUIRED" | "PASSKEY_CONFIRMATION_REQUIRED")
}
