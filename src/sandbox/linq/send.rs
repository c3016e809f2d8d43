//! Sends: what, to whom, under which key, and what becomes of it.

use std::time::Duration;

use serde_json::{Value, json};

use super::error::Refusal;
use super::webhook::{moment, owner};
use super::{Desk, names};
use crate::message::MessageId;
use crate::message::clock::Timestamp;
use crate::sandbox::Sandbox;
use crate::sandbox::phone::{Body, Customer, Side};
use crate::sandbox::upstream::{Course, Denial, UpstreamAnswer, UpstreamRequest};

/// So many messages go from one line to one person in so long.
const MOST: usize = 30;
const IN: Duration = Duration::from_secs(60);

/// The code of a message that was taken and did not arrive.
const UNDELIVERABLE: i64 = 4001;

impl Desk<'_> {
    /// Sends a message. If it is not `deliverable` it is taken, and reported as failed later. What was sent under a key
    /// is not sent again under it, whatever the call says then.
    pub(super) fn send(
        self,
        chat: &str,
        request: &UpstreamRequest,
        deliverable: bool,
    ) -> Result<UpstreamAnswer, Denial> {
        let denied = |refusal: Refusal| refusal.denial(self.0);
        let customer = self.chat(chat).map_err(denied)?;
        let body = self.body(request).map_err(denied)?;
        let key = text(&body["message"], "idempotency_key").map_err(denied)?;
        self.once(key.as_deref(), || self.send_once(&customer, &body, key.clone(), deliverable).map_err(denied))
    }

    /// Sends a message to somebody, in the chat with whom it stands or in one that begins with it.
    pub(super) fn begin(self, request: &UpstreamRequest, deliverable: bool) -> Result<UpstreamAnswer, Denial> {
        let denied = |refusal: Refusal| refusal.denial(self.0);
        let body = self.body(request).map_err(denied)?;
        if text(&body, "from").map_err(denied)? != Some(format!("+{}", self.settings.display_phone_number)) {
            return Err(denied(Refusal::invalid("from")));
        }
        let to = body["to"].as_array().and_then(|to| to.first()?.as_str().filter(|_| to.len() == 1));
        let customer = to.and_then(|to| names::reached(self.0, to)).ok_or_else(|| denied(Refusal::invalid("to")))?;
        // A stranger is sent no link first.
        let is_new = self.phone.messages(&customer.id).is_empty();
        if is_new && body["message"]["parts"].to_string().contains("://") {
            return Err(denied(Refusal::invalid("message")));
        }
        let key = text(&body["message"], "idempotency_key").map_err(denied)?;
        self.once(key.as_deref(), || {
            let answer = self.send_once(&customer, &body, key.clone(), deliverable).map_err(denied)?;
            let UpstreamAnswer::Whole { status, body, .. } = &answer else { return Ok(answer) };
            let sent: Value = serde_json::from_slice(body).unwrap_or_default();
            let chat = json!({
                "id": sent["chat_id"],
                "is_group": false,
                "service": "iMessage",
                "message": sent["message"],
            });
            Ok(UpstreamAnswer::json(*status, &json!({ "chat": chat })))
        })
    }

    fn send_once(
        self,
        customer: &Customer,
        body: &Value,
        key: Option<String>,
        deliverable: bool,
    ) -> Result<UpstreamAnswer, Refusal> {
        let message = &body["message"];
        if !message.is_object() {
            return Err(Refusal::missing("message"));
        }
        let said = self.parts(message)?;
        let quotes = self.quoted(&message["reply_to"])?;
        match text(message, "preferred_service")?.as_deref() {
            None | Some("iMessage" | "RCS" | "SMS") => {}
            Some(_) => return Err(Refusal::invalid("preferred_service")),
        }
        self.check_recipient(customer, body)?;
        let (id, now) = (MessageId::new(self.ids.uuid()), self.clock.now());
        let mut bodies = said.bodies.into_iter();
        if let (true, Some(first)) = (deliverable, bodies.next()) {
            self.phone.bot_writes(&customer.id, &id, first, quotes, key.clone());
        }
        for more in bodies.filter(|_| deliverable) {
            self.phone.bot_writes(&customer.id, &MessageId::new(self.ids.uuid()), more, None, None);
        }
        self.report(customer, &id, key, course(deliverable));
        let answer = json!({
            "chat_id": names::chat_of(customer),
            "message": {
                "id": id.as_str(),
                "created_at": moment(now),
                "delivery_status": "pending",
                "is_read": false,
                "parts": said.echo,
                "sent_at": null,
                "delivered_at": null,
                "from_handle": owner(self.0),
                "service": "iMessage",
            },
        });
        Ok(UpstreamAnswer::json(202, &answer))
    }

    /// Sends a voice memo. There is no key to send it under.
    pub(super) fn memo(
        self,
        chat: &str,
        request: &UpstreamRequest,
        deliverable: bool,
    ) -> Result<UpstreamAnswer, Refusal> {
        let customer = self.chat(chat)?;
        let body = self.body(request)?;
        let (kind, source) = self.source(&body, "voice_memo_url")?;
        if kind != "audio" {
            return Err(Refusal::content("a voice memo is a sound"));
        }
        self.check_recipient(&customer, &body)?;
        let (id, now) = (MessageId::new(self.ids.uuid()), self.clock.now());
        if deliverable {
            let memo = Body::Media { kind: "voice", source, caption: None, filename: None };
            self.phone.bot_writes(&customer.id, &id, memo, None, None);
        }
        self.report(&customer, &id, None, course(deliverable));
        let chat = json!({
            "id": names::chat_of(&customer),
            "is_group": customer.group.is_some(),
            "is_active": true,
            "service": "iMessage",
        });
        let memo = json!({
            "id": id.as_str(),
            "chat": chat,
            "created_at": moment(now),
            "from": format!("+{}", self.settings.display_phone_number),
            "to": [names::handle(&customer)],
            "status": "queued",
            "service": "iMessage",
        });
        Ok(UpstreamAnswer::json(202, &json!({ "voice_memo": memo })))
    }

    /// Whether that person may be written to now.
    fn check_recipient(self, customer: &Customer, body: &Value) -> Result<(), Refusal> {
        let overridden = match &body["override_optout"] {
            Value::Null => false,
            Value::Bool(overridden) => *overridden,
            _ => return Err(Refusal::invalid("override_optout")),
        };
        if !overridden && opted_out(self.0, customer).is_some() {
            return Err(Refusal::opted_out());
        }
        let messages = self.phone.messages(&customer.id);
        let now = self.clock.now();
        let recent = messages.iter().filter(|message| message.from == Side::Bot && now.since(message.at) < IN);
        let recent: Vec<Duration> = recent.map(|message| now.since(message.at)).collect();
        match recent.first() {
            Some(oldest) if self.settings.limits && recent.len() >= MOST => {
                Err(Refusal::too_many(Some((IN - *oldest).as_secs().max(1))))
            }
            _ => Ok(()),
        }
    }

    fn quoted(self, reply_to: &Value) -> Result<Option<MessageId>, Refusal> {
        if reply_to.is_null() {
            return Ok(None);
        }
        let id = text(reply_to, "message_id")?.ok_or_else(|| Refusal::missing("reply_to.message_id"))?;
        if !reply_to["part_index"].is_null() && !reply_to["part_index"].is_u64() {
            return Err(Refusal::invalid("reply_to.part_index"));
        }
        let id = MessageId::new(id);
        self.phone.message(&id).map(|_| Some(id)).ok_or(Refusal::not_found(2002))
    }
}

/// Since when a person is sent nothing; none if they are. Whatever else they write ends it, and groups are never held
/// back.
pub(super) fn opted_out(sandbox: &Sandbox, customer: &Customer) -> Option<Timestamp> {
    let messages = sandbox.phone().messages(&customer.id);
    let last = messages.into_iter().rfind(|message| message.from == Side::Customer)?;
    (customer.group.is_none() && is_opt_out(last.body.words())).then_some(last.at)
}

fn course(deliverable: bool) -> Course {
    if deliverable { Course::Whole } else { Course::Failed(UNDELIVERABLE) }
}

/// A text that may be missing, and may be nothing else.
fn text(object: &Value, key: &str) -> Result<Option<String>, Refusal> {
    match &object[key] {
        Value::Null => Ok(None),
        Value::String(text) if !text.is_empty() => Ok(Some(text.clone())),
        _ => Err(Refusal::invalid(key)),
    }
}

/// Whether these words, and nothing else, ask to be left alone.
fn is_opt_out(words: &str) -> bool {
    let words = words.trim();
    let loose: String = words.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
    matches!(words, "STOP" | "UNSUBSCRIBE" | "OPTOUT" | "CANCEL" | "END" | "QUIT")
        || loose.eq_ignore_ascii_case("optout")
}
