//! Sends: NXCloud looks at its own fields and passes the rest on to Meta.

use serde_json::{Map, Value, json};

use super::{Desk, Refusal, success, text};
use crate::sandbox::phone::CustomerId;
use crate::sandbox::upstream::UpstreamAnswer;
use crate::sandbox::{Sandbox, meta};

/// What NXCloud passes on. Contacts, and whatever else Meta takes, are not on its page.
const TYPES: [&str; 10] =
    ["text", "image", "video", "audio", "document", "location", "sticker", "template", "interactive", "reaction"];

impl Desk<'_> {
    /// Sends something. If it is not `deliverable` it is taken, and reported as failed later.
    pub(super) fn send(self, body: &Value, deliverable: bool) -> Result<UpstreamAnswer, Refusal> {
        self.check_appkey(body)?;
        if text(body, "recipient_type")? != "individual" {
            return Err(Refusal::parameter("recipient_type must be 'individual'"));
        }
        let kind = text(body, "type")?;
        if !TYPES.contains(&kind) || !body[kind].is_object() {
            return Err(Refusal::parameter("type"));
        }
        if kind == "template" && body["template"]["language"]["policy"] != "deterministic" {
            return Err(Refusal::parameter("template.language.policy must be 'deterministic'"));
        }
        let names = Names::of(body)?;
        let passed_on = in_metas_form(body, kind, names.key())?;
        let taken = meta::pass_on_send(&self, &passed_on, deliverable).map_err(Refusal::metas)?;
        self.report(&taken.customer, &taken.id, Some(names.written()), taken.course);
        let id = names.given.unwrap_or_else(|| taken.id.as_str().to_owned());
        Ok(success(&json!({ "messaging_product": "whatsapp", "messages": [{ "id": id }] })))
    }
}

/// What the bot calls a message of its own, beside Meta's name for it.
#[derive(Default)]
pub(super) struct Names {
    /// `cus_message_id`: the message's name in answers and statuses.
    pub(super) given: Option<String>,
    /// `biz_opaque_callback_data`: comes back in statuses.
    pub(super) opaque: Option<String>,
}

impl Names {
    fn of(body: &Value) -> Result<Self, Refusal> {
        let name = |field: &str| match &body[field] {
            Value::Null => Ok(None),
            Value::String(name) if !name.is_empty() => Ok(Some(name.clone())),
            _ => Err(Refusal::parameter(field)),
        };
        Ok(Self { given: name("cus_message_id")?, opaque: name("biz_opaque_callback_data")? })
    }

    fn key(&self) -> Option<&str> {
        self.opaque.as_deref().or(self.given.as_deref())
    }

    /// Both in one text, to travel with the news of the message.
    fn written(&self) -> String {
        json!([self.given, self.opaque]).to_string()
    }

    /// What [`Self::written`] wrote.
    pub(super) fn read(written: Option<&str>) -> Self {
        let both = written.and_then(|written| serde_json::from_str(written).ok());
        let (given, opaque) = both.unwrap_or_default();
        Self { given, opaque }
    }
}

/// The same message as Meta wants it.
fn in_metas_form(body: &Value, kind: &str, key: Option<&str>) -> Result<Value, Refusal> {
    let mut passed_on = Map::from_iter([
        ("messaging_product".to_owned(), json!("whatsapp")),
        ("recipient_type".to_owned(), json!("individual")),
        ("type".to_owned(), json!(kind)),
        (kind.to_owned(), body[kind].clone()),
    ]);
    match (body["to"].as_str(), &body["recipient"]) {
        (Some(to), _) => {
            if to.is_empty() || !to.bytes().all(|digit| digit.is_ascii_digit()) {
                return Err(Refusal::parameter("to"));
            }
            passed_on.insert("to".to_owned(), json!(format!("+{to}")));
        }
        // Customers without a number come in, so they have to be within reach: in Meta's field.
        (None, Value::String(user_id)) => {
            passed_on.insert("recipient".to_owned(), json!(user_id));
        }
        (None, _) => return Err(Refusal::parameter("to")),
    }
    if body["context"].is_object() {
        passed_on.insert("context".to_owned(), body["context"].clone());
    }
    if let Some(key) = key {
        passed_on.insert("biz_opaque_callback_data".to_owned(), json!(key));
    }
    Ok(passed_on.into())
}

/// The customer that a send names, if there is one.
pub(super) fn recipient(sandbox: &Sandbox, body: &Value) -> Option<CustomerId> {
    let user_id = body["recipient"].as_str();
    let found = match body["to"].as_str() {
        Some(to) => sandbox.phone.customer(&CustomerId::new(to)),
        None => sandbox.phone.find_customer(|customer| Some(customer.user_id.as_str()) == user_id),
    };
    found.map(|customer| customer.id)
}
