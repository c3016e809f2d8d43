//! Meta's Cloud API, from Meta's side: the calls that a bot makes, answered as Meta answers them.
//!
//! Source: Meta's pages on messages, typing, media and error codes. Where those leave a question open, the stricter
//! answer is taken, so that what works here works there.

mod error;
mod media;
pub(super) mod multipart;
mod read;
mod send;
mod webhook;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use error::Refusal;
pub(super) use send::Taken;
use send::recipient;
use serde_json::{Value, json};
pub(super) use webhook::{says as pass_on_says, seconds};

use super::fault::Failure;
use super::ids::Ids;
use super::phone::{Call, Customer, CustomerId, DotsRules, Side};
use super::settings::SandboxSettings;
use super::upstream::{
    ACCESS_TOKEN, Asked, Denial, Echoed, News, UpstreamAnswer, UpstreamRequest, WEBHOOK_SECRET, Wire, Written,
};
use super::{Sandbox, signing};
use crate::message::MessageId;

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

/// Meta's Cloud API.
pub(super) struct Meta;

impl Wire for Meta {
    fn name(&self) -> &'static str {
        "meta"
    }

    fn title(&self) -> &'static str {
        "Meta Cloud API"
    }

    fn habits(&self) -> &'static str {
        "One call marks a message as read and shows the dots, for 25 seconds or until the reply. No call takes them off."
    }

    fn dots(&self) -> DotsRules {
        let seconds = Duration::from_secs(25);
        DotsRules { lifetime: seconds, cooldown: seconds }
    }

    fn message_id(&self, ids: &Ids, _: &Customer, _: Side) -> MessageId {
        ids.message()
    }

    fn asks(&self, sandbox: &Sandbox, request: &UpstreamRequest) -> Asked {
        let Parsed { call, about, .. } = Parsed::new(sandbox, request);
        Asked { call, about }
    }

    fn perform(
        &self,
        sandbox: &Arc<Sandbox>,
        request: &UpstreamRequest,
        deliverable: bool,
    ) -> Result<UpstreamAnswer, Denial> {
        let done = Desk(sandbox).perform(request, &Parsed::new(sandbox, request), deliverable);
        done.map_err(|refusal| refusal.denial(&sandbox.ids.token()))
    }

    fn trouble(&self, sandbox: &Sandbox, failure: Failure) -> Denial {
        Refusal::injected(failure).denial(&sandbox.ids.token())
    }

    fn message(&self, sandbox: &Sandbox, written: &Written<'_>) -> Bytes {
        signing::to_wire(&webhook::message(&sandbox.settings, written))
    }

    fn echo(&self, sandbox: &Sandbox, echoed: &Echoed<'_>) -> Option<Bytes> {
        Some(signing::to_wire(&webhook::echo(&sandbox.settings, echoed)))
    }

    fn status(&self, sandbox: &Sandbox, news: &News<'_>) -> Option<Bytes> {
        Some(signing::to_wire(&webhook::status(&sandbox.settings, news)))
    }

    fn headers(&self, sandbox: &Sandbox, body: &[u8]) -> Vec<(String, String)> {
        let signature = signing::sha256_hex(&sandbox.settings.app_secret, body);
        vec![
            ("user-agent".to_owned(), "facebookexternalua".to_owned()),
            ("x-hub-signature-256".to_owned(), format!("sha256={signature}")),
        ]
    }

    fn on_arrival(&self, _: &Arc<Sandbox>, _: &CustomerId, _: &MessageId) {}

    fn provider_table(&self, settings: &SandboxSettings, base_url: &str) -> String {
        format!(
            r#"kind = "meta"
            phone_number_id = "{}"
            access_token = "env:{ACCESS_TOKEN}"
            app_secret = "env:{WEBHOOK_SECRET}"
            verify_token = "env:{ACCESS_TOKEN}"
            base_url = "{base_url}""#,
            settings.phone_number_id
        )
    }
}

/// Where Meta's answers are made, with everything of the sandbox's at hand.
#[derive(Clone, Copy)]
struct Desk<'a>(&'a Arc<Sandbox>);

impl Deref for Desk<'_> {
    type Target = Arc<Sandbox>;

    fn deref(&self) -> &Arc<Sandbox> {
        self.0
    }
}

impl Desk<'_> {
    fn perform(self, request: &UpstreamRequest, parsed: &Parsed, deliverable: bool) -> Result<UpstreamAnswer, Refusal> {
        self.check_token(request)?;
        match (&parsed.target, request.method.as_str()) {
            (Target::Messages { number }, "POST") => {
                self.check_number(number)?;
                let body = parsed.body.as_ref().ok_or_else(|| Refusal::invalid("the body is not JSON"))?;
                if body["messaging_product"] != "whatsapp" {
                    return Err(Refusal::invalid("`messaging_product` has to be `whatsapp`"));
                }
                match parsed.call {
                    Call::Read | Call::ReadAndTyping => self.read(body),
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
}

impl Parsed {
    fn new(sandbox: &Sandbox, request: &UpstreamRequest) -> Self {
        let target = target(request);
        let body: Option<Value> = match target {
            Target::Messages { .. } => serde_json::from_slice(&request.body).ok(),
            _ => None,
        };
        let call = match (&target, &body, request.method.as_str()) {
            (Target::Messages { .. }, Some(body), "POST") if !body["typing_indicator"].is_null() => Call::ReadAndTyping,
            (Target::Messages { .. }, Some(body), "POST") if !body["status"].is_null() => Call::Read,
            (Target::Messages { .. }, Some(_), "POST") => Call::Send,
            (Target::Media { .. }, _, "POST") => Call::Upload,
            (Target::Medium { .. }, _, "GET") => Call::Resolve,
            (Target::Medium { .. }, _, "DELETE") => Call::Delete,
            (Target::Download { .. }, _, "GET") => Call::Download,
            _ => Call::Unknown,
        };
        let about = body.as_ref().and_then(|body| match call {
            Call::Send => recipient(sandbox, body).ok().map(|(customer, _)| customer.id),
            _ => body["message_id"].as_str().and_then(|id| sandbox.phone.chat_of(&MessageId::new(id))),
        });
        Self { target, call, body, about }
    }
}

/// Reads a path such as `/v25.0/1065/messages`; the version may be missing.
fn target(request: &UpstreamRequest) -> Target {
    let (path, query) = request.target();
    let mut segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
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
    UpstreamAnswer::json(200, &json!({ "success": true }))
}

/// An error of Meta's, for who passes it on: its code, and the object that it is.
pub(super) struct PassedOn {
    pub(super) code: i64,
    pub(super) error: Value,
}

impl PassedOn {
    fn new(sandbox: &Sandbox, refusal: &Refusal) -> Self {
        Self { code: refusal.code.unwrap_or_default(), error: refusal.error(&sandbox.ids.token()) }
    }
}

/// What Meta makes of a send that somebody passes on to it, in Meta's form. Its statuses are still to be reported.
pub(super) fn pass_on_send(sandbox: &Arc<Sandbox>, body: &Value, deliverable: bool) -> Result<Taken, PassedOn> {
    Desk(sandbox).take(body, deliverable).map_err(|refusal| PassedOn::new(sandbox, &refusal))
}

/// What Meta makes of a medium that somebody passes on to it: nothing, if it takes it.
pub(super) fn pass_on_medium(sandbox: &Sandbox, mime: &str, length: usize) -> Result<(), PassedOn> {
    media::check_size(mime, length).map_err(|refusal| PassedOn::new(sandbox, &refusal))
}

/// What Meta answers to an ordered failure, passed on.
pub(super) fn pass_on_trouble(sandbox: &Sandbox, failure: Failure) -> PassedOn {
    PassedOn::new(sandbox, &Refusal::injected(failure))
}
