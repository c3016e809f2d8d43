//! WhatsApp Gateway, from its own side: the calls that a bot makes, answered as the gateway answers them.
//!
//! Sources: the gateway's OpenAPI file, its guides on events and webhooks, and its rules for a send's body. Where those
//! leave a question open, the stricter answer is taken. The session's budget of sends is unlimited: trouble of that
//! sort is to be ordered.

mod address;
mod body;
mod error;
mod send;
mod webhook;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::fault::Failure;
use super::ids::Ids;
use super::phone::{Call, Customer, CustomerId, DotsRules, Side, What};
use super::settings::SandboxSettings;
use super::upstream::{
    ACCESS_TOKEN, Asked, Denial, Echoed, News, UpstreamAnswer, UpstreamRequest, WEBHOOK_SECRET, Wire, Written,
};
use super::{Sandbox, signing};
use crate::message::MessageId;
use body::Fields;
use error::Refusal;

/// Where a call goes, below `/api/v1`.
enum Target {
    Messages { session: String },
    Reaction { session: String, message: MessageId },
    Presence { session: String, chat: String },
    Read { session: String, chat: String },
    Nowhere,
}

/// WhatsApp Gateway.
pub(super) struct Gateway;

impl Wire for Gateway {
    fn name(&self) -> &'static str {
        "gateway"
    }

    fn title(&self) -> &'static str {
        "WhatsApp Gateway"
    }

    fn habits(&self) -> &'static str {
        "The gateway marks messages as read by itself, before the bot hears of them. The dots last some 10 seconds, until \
         a reply, or until a call takes them off; they can say \u{201c}recording\u{201d} too."
    }

    fn dots(&self) -> DotsRules {
        DotsRules { lifetime: Duration::from_secs(10), cooldown: Duration::ZERO }
    }

    fn message_id(&self, ids: &Ids, _: &Customer, from: Side) -> MessageId {
        // A phone's own messages begin with 3A.
        let beginning = if from == Side::Bot { "3EB0" } else { "3A" };
        MessageId::new(format!("{beginning}{:0>20}", ids.token().to_uppercase()))
    }

    fn asks(&self, sandbox: &Sandbox, request: &UpstreamRequest) -> Asked {
        let body = request.json();
        let says = |key: &str| body.as_ref().and_then(|body| body[key].as_str());
        let in_chat = |chat: Option<&str>| chat.and_then(|chat| address::find(sandbox, chat)).map(|found| found.id);
        let (call, about) = match (target(request), request.method.as_str()) {
            (Target::Messages { .. }, "POST") => (Call::Send, in_chat(says("to"))),
            (Target::Reaction { .. }, "POST" | "DELETE") => (Call::Send, in_chat(says("chat"))),
            (Target::Read { chat, .. }, "POST") => (Call::Read, in_chat(Some(&chat))),
            (Target::Presence { chat, .. }, "PUT") => {
                let call = match says("state") {
                    Some("composing") => Call::Typing,
                    Some("recording") => Call::Recording,
                    Some("paused") => Call::Stop,
                    _ => Call::Unknown,
                };
                (call, in_chat(Some(&chat)))
            }
            _ => (Call::Unknown, None),
        };
        Asked { call, about }
    }

    fn perform(
        &self,
        sandbox: &Arc<Sandbox>,
        request: &UpstreamRequest,
        deliverable: bool,
    ) -> Result<UpstreamAnswer, Denial> {
        Desk(sandbox).perform(request, deliverable)
    }

    fn trouble(&self, _: &Sandbox, failure: Failure) -> Denial {
        Refusal::injected(failure).map_or_else(|| Denial::page(502), Refusal::denial)
    }

    fn message(&self, sandbox: &Sandbox, written: &Written<'_>) -> Bytes {
        webhook::message(sandbox, written)
    }

    fn echo(&self, sandbox: &Sandbox, echoed: &Echoed<'_>) -> Option<Bytes> {
        Some(webhook::echo(sandbox, echoed))
    }

    fn status(&self, sandbox: &Sandbox, news: &News<'_>) -> Option<Bytes> {
        Some(webhook::status(sandbox, news))
    }

    fn headers(&self, sandbox: &Sandbox, body: &[u8]) -> Vec<(String, String)> {
        let header = |name: &str, value: String| (name.to_owned(), value);
        let mut headers = vec![
            header("x-webhook-timestamp", sandbox.clock.now().0.to_string()),
            header("x-webhook-hmac", signing::sha512_hex(&sandbox.settings.app_secret, body)),
            header("x-webhook-hmac-algorithm", "sha512".to_owned()),
        ];
        headers.extend(webhook::event_id(body).map(|id| header("x-webhook-request-id", id)));
        headers
    }

    /// The session's own habits. A reaction is no message to them.
    fn on_arrival(&self, sandbox: &Arc<Sandbox>, customer: &CustomerId, message: &MessageId) {
        if !sandbox.settings.auto_read || sandbox.phone.message(message).is_none() {
            return;
        }
        let read = sandbox.phone.mark_read(message);
        // The dots come with the receipt, and without it not at all.
        if read.is_ok() && sandbox.settings.presence_typing {
            sandbox.light(customer, false);
        }
    }

    fn provider_table(&self, settings: &SandboxSettings, base_url: &str) -> String {
        format!(
            r#"kind = "gateway"
            base_url = "{base_url}"
            session = "{}"
            access_token = "env:{ACCESS_TOKEN}"
            webhook_secret = "env:{WEBHOOK_SECRET}"
            presence_typing = {}"#,
            settings.account_id,
            settings.auto_read && settings.presence_typing
        )
    }
}

/// Where the gateway's answers are made, with everything of the sandbox's at hand.
#[derive(Clone, Copy)]
struct Desk<'a>(&'a Arc<Sandbox>);

impl Deref for Desk<'_> {
    type Target = Arc<Sandbox>;

    fn deref(&self) -> &Arc<Sandbox> {
        self.0
    }
}

impl Desk<'_> {
    fn perform(self, request: &UpstreamRequest, deliverable: bool) -> Result<UpstreamAnswer, Denial> {
        self.check_key(request).map_err(Refusal::denial)?;
        match (target(request), request.method.as_str()) {
            (Target::Messages { session }, "POST") => {
                // The body is judged before the session, and the key is looked up last.
                let judged = Fields::read(request).and_then(|body| self.judge(body));
                let message = judged.and_then(|message| self.check_session(&session).map(|()| message));
                self.send(request.header("idempotency-key"), message.map_err(Refusal::denial)?, deliverable)
            }
            (target, method) => self.act(request, target, method, deliverable).map_err(Refusal::denial),
        }
    }

    /// Does whatever is not a message of its own.
    fn act(
        self,
        request: &UpstreamRequest,
        target: Target,
        method: &str,
        deliverable: bool,
    ) -> Result<UpstreamAnswer, Refusal> {
        match (target, method) {
            (Target::Reaction { session, message }, method @ ("POST" | "DELETE")) => {
                let body = Fields::read(request)?;
                self.check_session(&session)?;
                self.react(message, body, method == "DELETE", deliverable)
            }
            (Target::Presence { session, chat }, "PUT") => {
                let state = Fields::read(request)?.only(&["state"])?.required("state")?.to_owned();
                self.check_session(&session)?;
                self.presence(&chat, &state)
            }
            (Target::Read { session, chat }, "POST") => {
                self.check_session(&session)?;
                // The gateway's own count of unread messages, of which no phone shows anything.
                self.chat(&chat).map(|_| UpstreamAnswer::empty(204))
            }
            _ => Err(Refusal::not_found("resource not found")),
        }
    }

    /// Either header will do; the key is the same.
    fn check_key(self, request: &UpstreamRequest) -> Result<(), Refusal> {
        let bearer = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let key = bearer.or_else(|| request.header("x-api-key")).map(str::trim);
        if key == Some(self.settings.access_token.as_str()) { Ok(()) } else { Err(Refusal::unauthorized()) }
    }

    fn check_session(self, session: &str) -> Result<(), Refusal> {
        if session == self.settings.account_id { Ok(()) } else { Err(Refusal::not_found("session not found")) }
    }

    /// The customer whose chat has this address, if anybody's has.
    fn chat(self, chat: &str) -> Result<Option<Customer>, Refusal> {
        if !address::is_one(chat) {
            return Err(Refusal::validation("invalid chat JID"));
        }
        Ok(address::find(&self, chat))
    }

    fn presence(self, chat: &str, state: &str) -> Result<UpstreamAnswer, Refusal> {
        let customer = self.chat(chat)?;
        match (state, customer.map(|customer| customer.id)) {
            ("composing", Some(customer)) => self.light(&customer, false),
            ("recording", Some(customer)) => self.light(&customer, true),
            ("paused", Some(customer)) => drop(self.phone.stop_typing(&customer)),
            // It goes out, and nobody gets it: the gateway does not know either.
            ("composing" | "recording" | "paused", None) => {
                self.phone.enter(None, What::Noted { note: "the presence is for a chat that nobody has" });
            }
            _ => return Err(Refusal::validation("state must be one of composing, paused, recording")),
        }
        Ok(UpstreamAnswer::empty(204))
    }
}

/// Reads a path such as `/api/v1/sessions/01J0/chats/12125550101@s.whatsapp.net/presence`.
fn target(request: &UpstreamRequest) -> Target {
    let segments: Vec<String> = request.target().0.split('/').skip(1).map(address::decode).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let own = |text: &str| text.to_owned();
    match segments[..] {
        ["api", "v1", "sessions", session, "messages"] => Target::Messages { session: own(session) },
        ["api", "v1", "sessions", session, "messages", message, "reaction"] => {
            Target::Reaction { session: own(session), message: MessageId::new(message) }
        }
        ["api", "v1", "sessions", session, "chats", chat, "presence"] => {
            Target::Presence { session: own(session), chat: own(chat) }
        }
        ["api", "v1", "sessions", session, "chats", chat, "read"] => {
            Target::Read { session: own(session), chat: own(chat) }
        }
        _ => Target::Nowhere,
    }
}
