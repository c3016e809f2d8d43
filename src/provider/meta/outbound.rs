//! What one part of a reply looks like on Meta's wire (Meta's page "Send messages").

use serde_json::{Map, Value, json};

use crate::message::{MessageRef, Part, PartKey};
use crate::provider::whatsapp::payload::{self, NotUploaded};
use crate::provider::{ErrorCode, ProviderError};

/// The body of the call that sends `part` in answer to `to`.
pub(super) fn body(to: &MessageRef, part: &Part, key: &PartKey) -> Result<Value, ProviderError> {
    let in_hand =
        |NotUploaded| ProviderError::Rejected { code: ErrorCode::Local("the medium has to be uploaded first") };
    let (kind, object) = payload::object(&part.payload, &to.message).map_err(in_hand)?;
    let mut body = recipient(to);
    body.insert("messaging_product".to_owned(), "whatsapp".into());
    body.insert("type".to_owned(), kind.into());
    body.insert(kind.to_owned(), object);
    // Comes back in every status of this message: by it a send is found again whose answer was lost.
    body.insert("biz_opaque_callback_data".to_owned(), key.as_str().into());
    if part.quote && payload::can_quote(&part.payload) {
        body.insert("context".to_owned(), json!({ "message_id": to.message.as_str() }));
    }
    Ok(body.into())
}

fn recipient(to: &MessageRef) -> Map<String, Value> {
    let (kind, field, value) = match &to.phone {
        _ if to.group => ("group", "to", to.chat.as_str().to_owned()),
        // Without the plus Meta may put our own country's code in front: the message would go to a stranger.
        Some(phone) => ("individual", "to", format!("+{}", phone.as_str().trim_start_matches('+'))),
        None => ("individual", "recipient", to.sender.as_str().to_owned()),
    };
    Map::from_iter([("recipient_type".to_owned(), kind.into()), (field.to_owned(), value.into())])
}
