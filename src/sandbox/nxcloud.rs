//! NXCloud, from its own side: an envelope and a signature around what it passes on to Meta.
//!
//! Source: NXCloud's pages on each call, on its call convention and on its webhook. What they leave open is answered in
//! the stricter way; what NXCloud passes on, Meta's side of the sandbox judges.

mod door;
mod media;
mod read;
mod refusal;
mod send;
mod webhook;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::Sandbox;
use super::fault::Failure;
use super::ids::Ids;
use super::phone::{Call, Customer, CustomerId, DotsRules, Side};
use super::settings::SandboxSettings;
use super::upstream::{
    ACCESS_TOKEN, Asked, Denial, Echoed, News, UpstreamAnswer, UpstreamRequest, WEBHOOK_SECRET, Wire, Written,
};
use crate::message::MessageId;
use refusal::Refusal;

/// NXCloud. Its access key and its appkey are the settings' token, its access secret is their secret.
pub(super) struct NxCloud;

impl Wire for NxCloud {
    fn name(&self) -> &'static str {
        "nxcloud"
    }

    fn title(&self) -> &'static str {
        "NXCloud"
    }

    fn habits(&self) -> &'static str {
        "One call marks a message as read and shows Meta's dots, for 25 seconds or until the reply. No call takes them \
         off, and an error may come with success written around it."
    }

    fn dots(&self) -> DotsRules {
        let seconds = Duration::from_secs(25);
        DotsRules { lifetime: seconds, cooldown: seconds }
    }

    fn message_id(&self, ids: &Ids, _: &Customer, _: Side) -> MessageId {
        ids.message()
    }

    fn asks(&self, sandbox: &Sandbox, request: &UpstreamRequest) -> Asked {
        let body = request.json().unwrap_or_default();
        let call = match (request.method.as_str(), request.target().0) {
            ("POST", path) => operation(path).map_or(Call::Unknown, |(call, _)| call),
            ("GET", path) if path.starts_with(media::STORE) => Call::Download,
            _ => Call::Unknown,
        };
        let about = match call {
            Call::Send => send::recipient(sandbox, &body),
            _ => body["message_id"].as_str().and_then(|id| sandbox.phone.chat_of(&MessageId::new(id))),
        };
        Asked { call, about }
    }

    fn perform(
        &self,
        sandbox: &Arc<Sandbox>,
        request: &UpstreamRequest,
        deliverable: bool,
    ) -> Result<UpstreamAnswer, Denial> {
        let path = request.target().0;
        if let ("GET", Some(ticket)) = (request.method.as_str(), path.strip_prefix(media::STORE)) {
            return Desk(sandbox).download(ticket);
        }
        let known = operation(path).filter(|_| request.method == "POST");
        let (call, action) = known.ok_or_else(|| Denial::page(404))?;
        let done = Desk(sandbox).perform(request, call, action, deliverable);
        done.map_err(|refusal| refusal.denial(sandbox.clock.now()))
    }

    fn trouble(&self, sandbox: &Sandbox, failure: Failure) -> Denial {
        Refusal::injected(sandbox, failure).map_or_else(|| Denial::page(502), |it| it.denial(sandbox.clock.now()))
    }

    fn message(&self, sandbox: &Sandbox, written: &Written<'_>) -> Bytes {
        webhook::message(&sandbox.settings, written).to_string().into()
    }

    fn echo(&self, _: &Sandbox, _: &Echoed<'_>) -> Option<Bytes> {
        None
    }

    fn status(&self, sandbox: &Sandbox, news: &News<'_>) -> Option<Bytes> {
        Some(webhook::status(&sandbox.settings, news).to_string().into())
    }

    fn headers(&self, sandbox: &Sandbox, body: &[u8]) -> Vec<(String, String)> {
        door::headers(&sandbox.settings, body, sandbox.clock.now())
    }

    fn on_arrival(&self, _: &Arc<Sandbox>, _: &CustomerId, _: &MessageId) {}

    fn provider_table(&self, settings: &SandboxSettings, base_url: &str) -> String {
        format!(
            r#"kind = "nxcloud"
            business_phone = "{}"
            access_key = "env:{ACCESS_TOKEN}"
            access_secret = "env:{WEBHOOK_SECRET}"
            appkey = "env:{ACCESS_TOKEN}"
            base_url = "{base_url}""#,
            settings.display_phone_number
        )
    }
}

/// What a path is for, and the `action` that has to come with it.
fn operation(path: &str) -> Option<(Call, &'static str)> {
    Some(match path.strip_prefix("/api/wa/")? {
        "mt" => (Call::Send, "mt"),
        "typingIndicator" => (Call::ReadAndTyping, "read"),
        "markMessageAsRead" => (Call::Read, "read"),
        "getMedia" => (Call::Resolve, "getMedia"),
        "uploadMedia" => (Call::Upload, "uploadMedia"),
        _ => return None,
    })
}

/// Where NXCloud's answers are made, with everything of the sandbox's at hand.
#[derive(Clone, Copy)]
struct Desk<'a>(&'a Arc<Sandbox>);

impl Deref for Desk<'_> {
    type Target = Arc<Sandbox>;

    fn deref(&self) -> &Arc<Sandbox> {
        self.0
    }
}

impl Desk<'_> {
    fn perform(
        self,
        request: &UpstreamRequest,
        call: Call,
        action: &str,
        deliverable: bool,
    ) -> Result<UpstreamAnswer, Refusal> {
        let is_form = call == Call::Upload;
        door::check(&self.settings, request, action, is_form, self.clock.now())?;
        if is_form {
            return self.upload(request);
        }
        let body = request.json().filter(Value::is_object).ok_or_else(|| Refusal::parameter("body"))?;
        let number = if call == Call::ReadAndTyping { Refusal::OF_TYPING } else { Refusal::OF_NUMBER };
        self.check_fixed(&body, number)?;
        match call {
            Call::Send => self.send(&body, deliverable),
            Call::ReadAndTyping => self.read(&body, true),
            Call::Read => self.read(&body, false),
            _ => self.resolve(request, &body),
        }
    }

    /// What stands in every body.
    fn check_fixed(self, body: &Value, number: i64) -> Result<(), Refusal> {
        if text(body, "messaging_product")? != "whatsapp" {
            return Err(Refusal::parameter("messaging_product"));
        }
        self.check_number(text(body, "business_phone")?, number)
    }

    /// `code` says that the number is another's.
    fn check_number(self, number: &str, code: i64) -> Result<(), Refusal> {
        if !number.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(Refusal::own(9002, "Invalid business phone number"));
        }
        let ours = number == self.settings.display_phone_number;
        if ours { Ok(()) } else { Err(Refusal::own(code, "The number is not bound to the application")) }
    }

    fn check_appkey(self, body: &Value) -> Result<(), Refusal> {
        let ours = text(body, "appkey")? == self.settings.access_token;
        if ours { Ok(()) } else { Err(Refusal::own(9003, "The application does not exist or is disabled")) }
    }
}

/// A text that has to be there.
fn text<'a>(body: &'a Value, field: &str) -> Result<&'a str, Refusal> {
    body[field].as_str().filter(|text| !text.is_empty()).ok_or_else(|| Refusal::parameter(field))
}

/// An answer of success with `data` in it.
fn success(data: &Value) -> UpstreamAnswer {
    UpstreamAnswer::json(200, &json!({ "code": 0, "message": "success", "data": data }))
}
