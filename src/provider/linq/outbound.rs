//! What one part of a reply looks like on Linq's wire.

use serde_json::{Map, Value, json};

use super::config::PreferredService;
use super::names::Target;
use crate::message::reply::{Media, MediaSource};
use crate::message::{MediaKind, MessageId, PartKey};
use crate::provider::{ErrorCode, ProviderError};

/// What stands around the parts of a message.
pub(super) struct Envelope<'a> {
    pub(super) key: &'a PartKey,
    pub(super) quotes: Option<&'a MessageId>,
    pub(super) service: PreferredService,
    /// Whether it is sent to somebody who has opted out, too.
    pub(super) despite_opt_out: bool,
}

impl Envelope<'_> {
    /// The body of the call that sends `parts` as one message.
    pub(super) fn around(&self, parts: Vec<Value>) -> Map<String, Value> {
        // Linq delivers what it has under this key once, however often it is sent.
        let mut message = Map::from_iter([
            ("parts".to_owned(), parts.into()),
            ("idempotency_key".to_owned(), self.key.as_str().into()),
        ]);
        if let Some(Target { message: quoted, part }) = self.quotes.map(Target::of) {
            let mut quote = Map::from_iter([("message_id".to_owned(), quoted.into())]);
            if let Some(part) = part {
                quote.insert("part_index".to_owned(), part.into());
            }
            message.insert("reply_to".to_owned(), quote.into());
        }
        if let Some(service) = self.service.on_the_wire() {
            message.insert("preferred_service".to_owned(), service.into());
        }
        let mut body = Map::from_iter([("message".to_owned(), message.into())]);
        if self.despite_opt_out {
            body.insert("override_optout".to_owned(), true.into());
        }
        body
    }
}

pub(super) fn text(body: &str) -> Value {
    json!({ "type": "text", "value": body })
}

/// A medium, and the words under it: two parts of one message.
pub(super) fn medium(media: &Media) -> Result<Vec<Value>, ProviderError> {
    let (key, value) = source(media, "url")?;
    let mut wire = Map::from_iter([("type".to_owned(), "media".into()), (key.to_owned(), value.into())]);
    if media.kind == MediaKind::Sticker {
        wire.insert("sticker".to_owned(), true.into());
    }
    let caption = media.caption.as_deref().filter(|caption| !caption.is_empty()).map(text);
    Ok(std::iter::once(wire.into()).chain(caption).collect())
}

/// The body of the call that sends a voice memo with a bubble of its own.
pub(super) fn memo(media: &Media) -> Result<Value, ProviderError> {
    let (key, value) = source(media, "voice_memo_url")?;
    Ok(Map::from_iter([(key.to_owned(), value.into())]).into())
}

fn source<'a>(media: &'a Media, link_key: &'static str) -> Result<(&'static str, &'a str), ProviderError> {
    match &media.source {
        MediaSource::Link(link) => Ok((link_key, link)),
        MediaSource::Uploaded(id) => Ok(("attachment_id", id)),
        MediaSource::Bytes { .. } => {
            Err(ProviderError::Rejected { code: ErrorCode::Local("the medium has to be uploaded first") })
        }
    }
}
