//! What Wawp answers: messages as the web client has them, and errors in JSON, XML, text and HTML, as its stop-typing
//! page lists them.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::message::MessageId;
use crate::sandbox::Sandbox;
use crate::sandbox::fault::Failure;
use crate::sandbox::phone::Customer;
use crate::sandbox::upstream::{Denial, UpstreamAnswer};
use crate::sandbox::web::webhook::me;
use crate::sandbox::web::{Unfit, names};

/// Why a call is refused.
pub(super) enum Refusal {
    Token(&'static str),
    NoSession,
    Nowhere,
    Unfit(Unfit),
}

impl From<Unfit> for Refusal {
    fn from(unfit: Unfit) -> Self {
        Self::Unfit(unfit)
    }
}

impl Refusal {
    pub(super) fn denial(self) -> Denial {
        match self {
            Self::Token(message) => error(401, "unauthorized", message),
            Self::NoSession => error(404, "invalid_session", "Session Does Not Exist"),
            Self::Nowhere => error(404, "rest_no_route", "No route was found matching the URL and request method"),
            Self::Unfit(Unfit::Missing(field)) => {
                error(400, "missing_parameter", &format!("Missing Required Parameter(s): {field}"))
            }
            Self::Unfit(Unfit::Invalid(what)) => xml(400, what),
            Self::Unfit(Unfit::NoSuchChat) => plain(400, "Invalid Number (Unknown)"),
        }
    }
}

/// What an ordered failure looks like.
pub(super) fn trouble(failure: Failure) -> Denial {
    match failure {
        Failure::TooMany { retry_after } => {
            let mut denial = error(429, "rate_limit_exceeded", "Rate Limit Exceeded");
            if let Some(seconds) = retry_after {
                denial.answer = denial.answer.with("retry-after", seconds.to_string());
            }
            denial
        }
        Failure::TooManyToOne => error(429, "rate_limit_exceeded", "Rate Limit Exceeded"),
        Failure::Token => xml(401, "Invalid or Missing Access Token"),
        Failure::Refused => plain(400, "Invalid Number (Egypt)"),
        Failure::SessionDown => error(404, "invalid_session", "Session Does Not Exist"),
        Failure::Unknown => xml(502, "Connection Failed to Upstream"),
        Failure::Broken | Failure::Undeliverable | Failure::Reset | Failure::Hang => Denial::page(500),
    }
}

fn error(status: u16, slug: &str, message: &str) -> Denial {
    let body = json!({ "code": slug, "message": message, "data": { "status": status } });
    Denial { status, code: None, answer: UpstreamAnswer::json(status, &body) }
}

fn xml(status: u16, message: &str) -> Denial {
    let body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><error><message>{message}</message></error>");
    Denial { status, code: None, answer: UpstreamAnswer::new(status, "application/xml", Bytes::from(body)) }
}

fn plain(status: u16, message: &str) -> Denial {
    let body = Bytes::from(format!("Error {status}: {message}"));
    Denial { status, code: None, answer: UpstreamAnswer::new(status, "text/plain; charset=utf-8", body) }
}

/// A message that has been taken, as the web client shows its own: empty lists look like empty objects.
pub(super) fn sent(sandbox: &Sandbox, customer: &Customer, id: &MessageId, kind: &str, words: &str) -> UpstreamAnswer {
    UpstreamAnswer::json(200, &message(sandbox, customer, id.as_str(), names::stanza_of(id), kind, words))
}

/// What a call is answered with that sends nothing: Wawp's page shows somebody's picture there, and no more than that
/// is known.
pub(super) fn done(sandbox: &Sandbox, customer: &Customer) -> UpstreamAnswer {
    let whole = "true_000000000000@c.us_MSG_ID_123456";
    UpstreamAnswer::json(200, &message(sandbox, customer, whole, "MSG_ID_123456", "image", "BASE64_IMAGE_DATA"))
}

fn message(sandbox: &Sandbox, customer: &Customer, id: &str, stanza: &str, kind: &str, words: &str) -> Value {
    let (chat, me, seconds) = (names::chat(customer), me(sandbox), sandbox.clock.now().0 / 1000);
    let id = json!({ "fromMe": true, "remote": chat, "id": stanza, "_serialized": id });
    let kind = if kind == "text" { "chat" } else { kind };
    json!({
        "_data": { "id": id, "viewed": false, "body": words, "type": kind, "t": seconds, "ack": 0, "links": {} },
        "id": id,
        "ack": 0,
        "hasMedia": matches!(kind, "image" | "video" | "voice" | "document"),
        "body": words,
        "type": kind,
        "timestamp": seconds,
        "from": me,
        "to": chat,
        "deviceType": "android",
        "isForwarded": false,
        "forwardingScore": 0,
        "isStatus": false,
        "isStarred": false,
        "fromMe": true,
        "hasQuotedMsg": false,
        "hasReaction": false,
        "vCards": {},
        "mentionedIds": {},
        "groupMentions": {},
        "isGif": false,
        "links": {},
    })
}
