//! The webhooks that Meta sends: a customer's message, and the statuses of the bot's.

use serde_json::{Map, Value, json};

use crate::message::clock::Timestamp;
use crate::sandbox::draft::Says;
use crate::sandbox::media::sha256;
use crate::sandbox::phone::{Customer, Side};
use crate::sandbox::settings::SandboxSettings;
use crate::sandbox::upstream::{Echoed, News, Written};

/// A customer's message.
pub(super) fn message(settings: &SandboxSettings, written: &Written<'_>) -> Value {
    let Written { customer, id, draft, quoted_from, at } = *written;
    let (kind, object) = says(&draft.says);
    let mut message = Map::new();
    message.insert("id".to_owned(), json!(id.as_str()));
    message.insert("timestamp".to_owned(), seconds(at));
    message.insert("type".to_owned(), json!(kind));
    message.insert("from_user_id".to_owned(), json!(customer.user_id));
    if !customer.hides_phone {
        message.insert("from".to_owned(), json!(customer.id.as_str()));
    }
    if let Some(group) = &customer.group {
        message.insert("group_id".to_owned(), json!(group));
    }
    if let Some(quoted) = &draft.quotes {
        let mut context = json!({ "id": quoted.as_str() });
        match quoted_from {
            Some(Side::Customer) if customer.hides_phone => {}
            Some(Side::Customer) => context["from"] = json!(customer.id.as_str()),
            Some(Side::Bot | Side::Person) | None => context["from"] = json!(settings.display_phone_number),
        }
        message.insert("context".to_owned(), context);
    }
    message.insert(kind.to_owned(), object);
    envelope(settings, json!({ "contacts": [contact(customer)], "messages": [message] }))
}

/// A message that a person wrote in the business's app on the phone. Of those sent by the API, Meta does not tell.
pub(super) fn echo(settings: &SandboxSettings, echoed: &Echoed<'_>) -> Value {
    let Echoed { customer, id, words, at } = *echoed;
    let mut message = json!({
        "from": settings.display_phone_number,
        "to_user_id": customer.user_id,
        "id": id.as_str(),
        "timestamp": seconds(at),
        "type": "text",
        "text": { "body": words },
    });
    if !customer.hides_phone {
        message["to"] = json!(customer.id.as_str());
    }
    let mut body = envelope(settings, json!({ "message_echoes": [message] }));
    body["entry"][0]["changes"][0]["field"] = json!("smb_message_echoes");
    body
}

/// A status of a message of the bot's.
pub(super) fn status(settings: &SandboxSettings, news: &News<'_>) -> Value {
    let customer = news.customer;
    let mut status = json!({
        "id": news.id.as_str(),
        "status": news.status,
        "timestamp": seconds(news.at),
        "recipient_user_id": customer.user_id,
    });
    match &customer.group {
        Some(group) => {
            status["recipient_type"] = json!("group");
            status["recipient_id"] = json!(group);
        }
        None if customer.hides_phone => {}
        None => status["recipient_id"] = json!(customer.id.as_str()),
    }
    if let Some(key) = news.key {
        status["biz_opaque_callback_data"] = json!(key);
    }
    if matches!(news.status, "sent" | "delivered") {
        let (model, category) = ("PMP", "service");
        status["pricing"] =
            json!({ "billable": true, "pricing_model": model, "type": "regular", "category": category });
    }
    if let Some(code) = news.error {
        let title = "Message was not delivered";
        status["errors"] =
            json!([{ "code": code, "title": title, "message": title, "error_data": { "details": title } }]);
    }
    envelope(settings, json!({ "contacts": [contact(customer)], "statuses": [status] }))
}

fn envelope(settings: &SandboxSettings, mut value: Value) -> Value {
    value["messaging_product"] = json!("whatsapp");
    value["metadata"] = json!({
        "display_phone_number": settings.display_phone_number,
        "phone_number_id": settings.phone_number_id,
    });
    let change = json!({ "field": "messages", "value": value });
    json!({ "object": "whatsapp_business_account", "entry": [{ "id": settings.account_id, "changes": [change] }] })
}

fn contact(customer: &Customer) -> Value {
    let mut contact = json!({ "profile": { "name": customer.name }, "user_id": customer.user_id });
    if let Some(username) = &customer.username {
        contact["profile"]["username"] = json!(username);
    }
    if !customer.hides_phone {
        contact["wa_id"] = json!(customer.id.as_str());
    }
    contact
}

/// The type of a message, and the object of that name.
pub(in crate::sandbox) fn says(says: &Says) -> (&str, Value) {
    match says {
        Says::Text(body) => ("text", json!({ "body": body })),
        Says::Media { kind, mime, data, caption, medium } => {
            let mut object = json!({ "id": medium, "mime_type": mime, "sha256": sha256(data) });
            if let Some(caption) = caption {
                object["caption"] = json!(caption);
            }
            if *kind == "voice" {
                object["voice"] = json!(true);
                return ("audio", object);
            }
            (kind, object)
        }
        Says::Location { latitude, longitude, name, address } => {
            let mut object = json!({ "latitude": latitude, "longitude": longitude });
            for (key, value) in [("name", name), ("address", address)] {
                if let Some(value) = value {
                    object[key] = json!(value);
                }
            }
            ("location", object)
        }
        Says::Choice { choice, description, from_list } => {
            let kind = if *from_list { "list_reply" } else { "button_reply" };
            let mut reply = json!({ "id": choice.id, "title": choice.title });
            if let Some(description) = description {
                reply["description"] = json!(description);
            }
            ("interactive", json!({ "type": kind, kind: reply }))
        }
        Says::Reaction { to, emoji } => ("reaction", json!({ "message_id": to.as_str(), "emoji": emoji })),
        Says::Raw { kind, object } => (kind, object.clone()),
    }
}

/// Whole seconds, as text.
pub(in crate::sandbox) fn seconds(at: Timestamp) -> Value {
    json!((at.0 / 1000).to_string())
}
