//! The callbacks that NXCloud makes: a customer's message, and the statuses of the bot's. Flat, with Meta's objects in.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::send::Names;
use crate::sandbox::draft::Says;
use crate::sandbox::meta::{pass_on_says, seconds};
use crate::sandbox::phone::{Customer, Side};
use crate::sandbox::settings::SandboxSettings;
use crate::sandbox::upstream::{News, Written};

/// A customer's message.
pub(super) fn message(settings: &SandboxSettings, written: &Written<'_>) -> Value {
    let Written { customer, id, draft, quoted_from, at } = *written;
    let (kind, object) = says(&draft.says);
    // The number of somebody who hides it is there, and empty.
    let number = if customer.hides_phone { "" } else { customer.id.as_str() };
    let mut message = Map::from_iter([
        ("from".to_owned(), json!(number)),
        ("id".to_owned(), json!(id.as_str())),
        ("timestamp".to_owned(), seconds(at)),
        ("type".to_owned(), json!(kind)),
        ("cost".to_owned(), cost(id.as_str(), 2)),
        (kind.to_owned(), object),
    ]);
    if let Some(group) = &customer.group {
        message.insert("group_id".to_owned(), json!(group));
    }
    if let Some(quoted) = &draft.quotes {
        let from = if quoted_from == Some(Side::Customer) { number } else { &settings.display_phone_number };
        message.insert("context".to_owned(), json!({ "from": from, "id": quoted.as_str() }));
    }
    let mut callback = envelope(settings);
    callback["contacts"] = json!([contact(customer, number)]);
    callback["messages"] = json!([message]);
    callback
}

/// A status of a message of the bot's.
pub(super) fn status(settings: &SandboxSettings, news: &News<'_>) -> Value {
    let names = Names::read(news.key);
    let metas = news.id.as_str();
    let mut status = json!({
        "id": names.given.as_deref().unwrap_or(metas),
        "status": news.status,
        "timestamp": seconds(news.at),
        "recipient_id": if news.customer.hides_phone { "" } else { news.customer.id.as_str() },
    });
    if names.given.is_some() {
        status["meta_message_id"] = json!(metas);
    }
    if let Some(opaque) = names.opaque {
        status["biz_opaque_callback_data"] = json!(opaque);
    }
    if news.status == "sent" {
        status["conversation"] = json!({ "id": "sandbox", "origin": { "type": "service" } });
        status["costs"] = json!([cost(metas, 1)]);
    }
    if let Some(code) = news.error {
        status["errors"] = json!([{ "code": 9099, "meta_code": code, "title": "Message was not delivered" }]);
    }
    let mut callback = envelope(settings);
    callback["statuses"] = json!([status]);
    callback
}

fn envelope(settings: &SandboxSettings) -> Value {
    json!({
        "app_id": settings.account_id,
        "business_phone": settings.display_phone_number,
        "merchant_phone": settings.display_phone_number,
        "channel": 2,
        "messaging_product": "whatsapp",
        "wabaId": settings.account_id,
        "metadata": {
            "display_phone_number": settings.display_phone_number,
            "phone_number_id": settings.phone_number_id,
        },
    })
}

fn contact(customer: &Customer, number: &str) -> Value {
    let mut profile = json!({ "name": customer.name });
    if let Some(username) = &customer.username {
        profile["username"] = json!(username);
    }
    json!({ "wa_id": number, "user_id": customer.user_id, "profile": profile })
}

fn cost(message: &str, direction: u8) -> Value {
    json!({
        "currency": "USD",
        "price": 0,
        "foreign_price": 0,
        "cdr_type": 7,
        "message_id": message,
        "direction": direction,
    })
}

/// The type of a message, and the object of that name: Meta's, but for media.
fn says(says: &Says) -> (&str, Value) {
    let Says::Media { kind, mime, data, caption, medium } = says else { return pass_on_says(says) };
    // The digest in hexadecimal digits, where Meta has base64; a voice note of the older form.
    let digest = hex::encode(Sha256::digest(data));
    let mut object = json!({ "id": medium, "mime_type": mime, "sha256": digest });
    if let Some(caption) = caption {
        object["caption"] = json!(caption);
    }
    (kind, object)
}
