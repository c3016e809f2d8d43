//! What the gateway takes (its OpenAPI file and the guide on sending), in words for a handler's author.

use url::Url;

use super::media::LARGEST_INLINE;
use crate::message::reply::{Media, MediaSource, Payload};
use crate::message::{MediaKind, Part};
use crate::provider::InvalidPart;
use crate::provider::whatsapp::limits;

/// Says whether the gateway would take `part`.
pub(super) fn check(part: &Part) -> Result<(), InvalidPart> {
    match &part.payload {
        Payload::Text { .. } | Payload::Location { .. } | Payload::Reaction { .. } => limits::check(part),
        Payload::Media(media) => medium(media),
        Payload::Buttons { .. } | Payload::List { .. } => rule(
            false,
            "WhatsApp Gateway promises of no button and no list that a phone shows it: write the choices out",
        ),
        Payload::ApprovedTemplate { .. } => {
            rule(false, "WhatsApp Gateway has no approved templates: they belong to Meta's Cloud API. Send a text")
        }
    }
}

fn medium(media: &Media) -> Result<(), InvalidPart> {
    let caption = media.caption.as_deref().unwrap_or_default();
    match media.kind {
        MediaKind::Audio | MediaKind::Voice => rule(caption.is_empty(), "a sound takes no caption")?,
        MediaKind::Sticker => rule(caption.is_empty(), "a sticker takes no caption")?,
        MediaKind::Image | MediaKind::Video | MediaKind::Document => {
            let length = caption.chars().count();
            let most = limits::CAPTIONS.length;
            rule(length <= most, &format!("the caption has {length} characters: WhatsApp takes 0 to {most}"))?;
        }
    }
    match &media.source {
        MediaSource::Link(link) => {
            let https = Url::parse(link).is_ok_and(|url| url.scheme() == "https");
            rule(https, "the link to the medium is not an https address")
        }
        MediaSource::Uploaded(name) => rule(!name.is_empty(), "the medium's name is empty"),
        MediaSource::Bytes { data, mime } => {
            rule(!data.is_empty(), "the medium is empty")?;
            rule(is_mime(mime), "the MIME type is not one")?;
            let size = data.len();
            let refusal = format!(
                "the medium has {size} bytes: in hand it may have {LARGEST_INLINE}. Give an https link instead, \
                 which WhatsApp Gateway follows up to 16 MiB"
            );
            rule(size <= LARGEST_INLINE, &refusal)
        }
    }
}

/// Whether it can stand in a `data:` address: a type, a subtype, and nothing that would end the first part early.
pub(super) fn is_mime(mime: &str) -> bool {
    let (main, sub) = mime.split_once('/').unwrap_or_default();
    !main.is_empty() && !sub.is_empty() && mime.chars().all(|c| (' '..='~').contains(&c) && c != ',')
}

fn rule(kept: bool, refusal: &str) -> Result<(), InvalidPart> {
    kept.then_some(()).ok_or_else(|| InvalidPart(refusal.to_owned()))
}
