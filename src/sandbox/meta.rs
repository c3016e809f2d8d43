//! Meta's Cloud API, from Meta's side: the calls that a bot makes, answered as Meta answers them.
//!
//! Source: Meta's pages on messages, typing, media and error codes. Where those leave a question open, the stricter
//! answer is taken, so that what works here works there.

mod error;
mod media;
mod multipart;
mod read;
mod send;
mod webhook;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use error::Refusal;
use serde_json::{Value, json};
use tokio::sync::oneshot;
pub(super) use webhook::message_webhook;

use super::fault::{Failure, Trouble};
use super::phone::{Call, CustomerId, What};
use super::{Sandbox, pause};
use crate::message::MessageId;

/// A call to the upstream, as it arrived.
#[derive(Clone)]
pub struct UpstreamRequest {
    /// `GET`, `POST` or `DELETE`.
    pub method: String,
    /// The path, with or without the `/graph` under which the sandbox serves it, and the query.
    pub path_and_query: String,
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl UpstreamRequest {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

impl fmt::Debug for UpstreamRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UpstreamRequest({}, {} bytes)", self.method, self.body.len())
    }
}

/// What becomes of a call.
#[derive(Clone)]
pub enum UpstreamAnswer {
    /// An answer.
    Whole {
        /// The HTTP status.
        status: u16,
        /// The headers, `content-type` among them.
        headers: Vec<(String, String)>,
        /// The body.
        body: Bytes,
    },
    /// None: the connection is to be broken off.
    Reset,
}

impl UpstreamAnswer {
    fn json(value: &Value) -> Self {
        Self::new(200, "application/json; charset=UTF-8", Bytes::from(value.to_string()))
    }

    fn new(status: u16, content_type: &str, body: Bytes) -> Self {
        Self::Whole { status, headers: vec![("content-type".to_owned(), content_type.to_owned())], body }
    }
}

impl fmt::Debug for UpstreamAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole { status, body, .. } => write!(f, "UpstreamAnswer({status}, {} bytes)", body.len()),
            Self::Reset => f.write_str("UpstreamAnswer(reset)"),
        }
    }
}

/// Where a call goes.
enum Target {
    Messages { number: String },
    Media { number: String },
    Medium { id: String, number: Option<String> },
    Download { ticket: String },
    Nowhere,
}

/// A call, taken apart as far as it can be without judging it.
struct Parsed {
    target: Target,
    call: Call,
    body: Option<Value>,
    about: Option<CustomerId>,
}

impl Sandbox {
    /// Answers a call. Once it has come in it takes its course, even if the caller gives up and drops this future.
    pub async fn handle(self: &Arc<Self>, request: UpstreamRequest) -> UpstreamAnswer {
        let parsed = self.parse(&request);
        let (call, what, about) =
            (self.phone.called(parsed.about.as_ref(), parsed.call), parsed.call, parsed.about.clone());
        let trouble = self.faults.for_call(what);
        let (mut answer, answered) = oneshot::channel();
        let sandbox = Arc::clone(self);
        self.spawn(async move {
            let result = sandbox.take_its_course(&request, &parsed, &trouble).await;
            if let (Some(Failure::Hang), Ok(UpstreamAnswer::Reset)) = (&trouble.failure, &result) {
                answer.closed().await;
            }
            let moment = match &result {
                _ if answer.is_closed() => What::CallUnanswered { call, what },
                Ok(UpstreamAnswer::Whole { .. }) => What::Answered { call, what },
                Ok(UpstreamAnswer::Reset) => What::CallUnanswered { call, what },
                Err(refusal) => What::CallRefused { call, what, status: refusal.status, code: refusal.code },
            };
            sandbox.phone.enter(about.as_ref(), moment);
            // A caller who is gone wants no answer.
            let _ = answer.send(result.unwrap_or_else(|refusal| refusal.answer(&sandbox.ids.token())));
        });
        answered.await.unwrap_or(UpstreamAnswer::Reset)
    }

    /// First the effect, then the delay, then the answer.
    async fn take_its_course(
        self: &Arc<Self>,
        request: &UpstreamRequest,
        parsed: &Parsed,
        trouble: &Trouble,
    ) -> Result<UpstreamAnswer, Refusal> {
        pause(trouble.before).await;
        let result = match &trouble.failure {
            None | Some(Failure::Undeliverable) => self.perform(request, parsed, trouble.failure.is_none()),
            Some(failure) => {
                let refused = if trouble.takes_effect { self.perform(request, parsed, true).err() } else { None };
                match (refused, failure) {
                    (Some(refusal), _) => Err(refusal),
                    (None, Failure::Reset | Failure::Hang) => Ok(UpstreamAnswer::Reset),
                    (None, failure) => Err(Refusal::injected(failure)),
                }
            }
        };
        pause(trouble.after).await;
        result
    }

    fn perform(
        self: &Arc<Self>,
        request: &UpstreamRequest,
        parsed: &Parsed,
        deliverable: bool,
    ) -> Result<UpstreamAnswer, Refusal> {
        self.check_token(request)?;
        match (&parsed.target, request.method.as_str()) {
            (Target::Messages { number }, "POST") => {
                self.check_number(number)?;
                let body = parsed.body.as_ref().ok_or_else(|| Refusal::invalid("the body is not JSON"))?;
                if body["messaging_product"] != "whatsapp" {
                    return Err(Refusal::invalid("`messaging_product` has to be `whatsapp`"));
                }
                match parsed.call {
                    Call::Read | Call::Typing => self.read(body),
                    _ => self.send(body, deliverable),
                }
            }
            (Target::Media { number }, "POST") => {
                self.check_number(number)?;
                self.upload(request)
            }
            (Target::Medium { id, number }, "GET") => {
                number.as_deref().map_or(Ok(()), |number| self.check_number(number))?;
                self.resolve(request, id)
            }
            (Target::Medium { id, .. }, "DELETE") => self.delete(id),
            (Target::Download { ticket }, "GET") => self.download(ticket),
            _ => Err(Refusal::no_such_object()),
        }
    }

    fn check_token(&self, request: &UpstreamRequest) -> Result<(), Refusal> {
        let token = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        if token.map(str::trim) == Some(self.settings.access_token.as_str()) { Ok(()) } else { Err(Refusal::token()) }
    }

    fn check_number(&self, number: &str) -> Result<(), Refusal> {
        if number == self.settings.phone_number_id { Ok(()) } else { Err(Refusal::no_such_object()) }
    }

    fn parse(&self, request: &UpstreamRequest) -> Parsed {
        let target = target(&request.path_and_query);
        let body: Option<Value> = match target {
            Target::Messages { .. } => serde_json::from_slice(&request.body).ok(),
            _ => None,
        };
        let call = match (&target, &body, request.method.as_str()) {
            (Target::Messages { .. }, Some(body), "POST") if !body["typing_indicator"].is_null() => Call::Typing,
            (Target::Messages { .. }, Some(body), "POST") if !body["status"].is_null() => Call::Read,
            (Target::Messages { .. }, Some(_), "POST") => Call::Send,
            (Target::Media { .. }, _, "POST") => Call::Upload,
            (Target::Medium { .. }, _, "GET") => Call::Resolve,
            (Target::Medium { .. }, _, "DELETE") => Call::Delete,
            (Target::Download { .. }, _, "GET") => Call::Download,
            _ => Call::Unknown,
        };
        let about = body.as_ref().and_then(|body| match call {
            Call::Send => self.recipient(body).ok().map(|(customer, _)| customer.id),
            _ => body["message_id"].as_str().and_then(|id| self.phone.chat_of(&MessageId::new(id))),
        });
        Parsed { target, call, body, about }
    }
}

/// Reads a path such as `/graph/v25.0/1065/messages`; the version may be missing.
fn target(path_and_query: &str) -> Target {
    let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
    let mut segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    if segments.first() == Some(&"graph") {
        segments.remove(0);
    }
    if segments.first().is_some_and(|first| is_version(first)) {
        segments.remove(0);
    }
    match segments[..] {
        [number, "messages"] => Target::Messages { number: number.to_owned() },
        [number, "media"] => Target::Media { number: number.to_owned() },
        ["download", ticket] => Target::Download { ticket: ticket.to_owned() },
        [id] => {
            let number = query.split('&').find_map(|pair| pair.strip_prefix("phone_number_id="));
            Target::Medium { id: id.to_owned(), number: number.map(str::to_owned) }
        }
        _ => Target::Nowhere,
    }
}

fn is_version(segment: &str) -> bool {
    segment.strip_prefix('v').is_some_and(|number| number.starts_with(|first: char| first.is_ascii_digit()))
}

/// What Meta answers where there is nothing to tell.
fn success() -> UpstreamAnswer {
    UpstreamAnswer::json(&json!({ "success": true }))
}
