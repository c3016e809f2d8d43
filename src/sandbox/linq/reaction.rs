//! Reactions, put on and taken off, and the look at a message that a bot has to take before that.

use serde_json::{Value, json};

use super::error::Refusal;
use super::webhook::{moment, owner, parts_of};
use super::{Desk, names};
use crate::message::MessageId;
use crate::sandbox::phone::{Message, Side};
use crate::sandbox::upstream::{UpstreamAnswer, UpstreamRequest};

/// What each of iMessage's own reactions looks like on a phone.
const TAPBACKS: [(&str, &str); 6] =
    [("love", "❤️"), ("like", "👍"), ("dislike", "👎"), ("laugh", "😂"), ("emphasize", "‼️"), ("question", "❓")];

/// The type of a reaction that shows as `emoji`, and the emoji if it is none of iMessage's own.
pub(super) fn named(emoji: &str) -> (&'static str, Option<&str>) {
    match TAPBACKS.iter().find(|(_, known)| *known == emoji) {
        Some((name, _)) => (name, None),
        None => ("custom", Some(emoji)),
    }
}

impl Desk<'_> {
    pub(super) fn react(self, message: &str, request: &UpstreamRequest) -> Result<UpstreamAnswer, Refusal> {
        let message = self.message(message)?;
        let body = self.body(request)?;
        let kind = body["type"].as_str().ok_or_else(|| Refusal::missing("type"))?;
        let emoji = match TAPBACKS.iter().find(|(name, _)| *name == kind) {
            Some((_, emoji)) => emoji,
            None if kind == "custom" => {
                let emoji = body["custom_emoji"].as_str().filter(|emoji| !emoji.is_empty());
                emoji.ok_or_else(|| Refusal::missing("custom_emoji"))?
            }
            None => return Err(Refusal::invalid("type")),
        };
        if !body["part_index"].is_null() && !body["part_index"].is_u64() {
            return Err(Refusal::invalid("part_index"));
        }
        let customer = self.phone.chat_of(&message.id).ok_or(Refusal::not_found(2002))?;
        match body["operation"].as_str() {
            Some("add") => self.phone.bot_reacts(&customer, &message.id, emoji),
            // Taking off what is not there takes nothing off.
            Some("remove") if message.reaction.as_deref() == Some(emoji) => {
                self.phone.bot_reacts(&customer, &message.id, "");
            }
            Some("remove") => {}
            Some(_) => return Err(Refusal::invalid("operation")),
            None => return Err(Refusal::missing("operation")),
        }
        let trace = names::uuid_of(&self.ids.token()).replace('-', "");
        let answer = json!({ "status": "accepted", "message": "Reaction processed", "trace_id": trace });
        Ok(UpstreamAnswer::json(202, &answer))
    }

    /// A message as Linq shows it, the reactions on it included.
    pub(super) fn show(self, id: &str) -> Result<UpstreamAnswer, Refusal> {
        let message = self.message(id)?;
        let customer = self.phone.chat_of(&message.id).and_then(|id| self.phone.customer(&id));
        let customer = customer.ok_or(Refusal::not_found(2002))?;
        let from_bot = message.from == Side::Bot;
        let mut parts = parts_of(self.0, &message.body);
        if let (Some(emoji), Some(first)) = (&message.reaction, parts.first_mut()) {
            let (kind, custom) = named(emoji);
            // Of a message of the customer's, the reaction is the bot's.
            let handle = if from_bot { json!({ "handle": names::handle(&customer) }) } else { owner(self.0) };
            first["reactions"] =
                json!([{ "is_me": !from_bot, "type": kind, "custom_emoji": custom, "handle": handle }]);
        }
        let at = moment(message.at);
        let answer = json!({
            "id": message.id.as_str(),
            "chat_id": names::chat_of(&customer),
            "created_at": at,
            "updated_at": at,
            "is_from_me": from_bot,
            "delivery_status": if from_bot { "delivered" } else { "received" },
            "parts": parts,
            "service": "iMessage",
        });
        Ok(UpstreamAnswer::json(200, &answer))
    }

    fn message(self, id: &str) -> Result<Message, Refusal> {
        if !names::is_uuid(id) {
            return Err(Refusal::invalid("messageId"));
        }
        self.phone.message(&MessageId::new(id)).ok_or(Refusal::not_found(2002))
    }
}

/// The value of `custom_emoji` in a webhook.
pub(super) fn custom(emoji: Option<&str>) -> Value {
    emoji.map_or(Value::Null, Value::from)
}
