//! What one part of a reply looks like on NXCloud's wire (NXCloud's page "Send message"): Meta's objects, with names of
//! NXCloud's own around them.

use serde_json::{Map, Value, json};

use super::NxCloudConfig;
use crate::message::{MessageRef, Part, PartKey, Payload};
use crate::provider::whatsapp::payload::{self, NotUploaded};
use crate::provider::{ErrorCode, ProviderError};

/// The body of the call that sends `part` in answer to `to`, but for who sends it.
pub(super) fn body(
    config: &NxCloudConfig,
    to: &MessageRef,
    part: &Part,
    key: &PartKey,
) -> Result<Map<String, Value>, ProviderError> {
    let in_hand =
        |NotUploaded| ProviderError::Rejected { code: ErrorCode::Local("the medium has to be uploaded first") };
    let (kind, mut object) = payload::object(&part.payload, &to.message).map_err(in_hand)?;
    let kind = match part.payload {
        Payload::Reaction { .. } => &*config.reaction_type,
        Payload::ApprovedTemplate { .. } => {
            // Meta no longer asks for it; NXCloud does.
            object["language"]["policy"] = "deterministic".into();
            kind
        }
        _ => kind,
    };
    let mut body = recipient(config, to);
    body.insert("type".to_owned(), kind.into());
    body.insert(kind.to_owned(), object);
    // One becomes the message's name, the other comes back in its statuses: by them a send is found again whose answer
    // was lost.
    body.insert("cus_message_id".to_owned(), key.as_str().into());
    body.insert("biz_opaque_callback_data".to_owned(), key.as_str().into());
    if part.quote && payload::can_quote(&part.payload) {
        body.insert("context".to_owned(), json!({ (&*config.quote_field): to.message.as_str() }));
    }
    Ok(body)
}

fn recipient(config: &NxCloudConfig, to: &MessageRef) -> Map<String, Value> {
    let plus = if config.plus { "+" } else { "" };
    let (kind, field, value) = match &to.phone {
        _ if to.group => ("group", "to", to.chat.as_str().to_owned()),
        Some(phone) => ("individual", "to", format!("{plus}{}", phone.as_str().trim_start_matches('+'))),
        None => ("individual", &*config.user_id_field, to.sender.as_str().to_owned()),
    };
    Map::from_iter([("recipient_type".to_owned(), kind.into()), (field.to_owned(), value.into())])
}
