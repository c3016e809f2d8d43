//! What may be sent, in words for the handler's author. Wawp's page on text messages takes 4096 characters; captions
//! have WhatsApp's own limit.

use url::Url;

use super::file;
use crate::message::{Media, MediaKind, MediaSource, Part, Payload};
use crate::provider::InvalidPart;
use crate::provider::whatsapp::limits::CAPTIONS;

/// The longest text message, in characters.
pub(super) const TEXT: usize = 4096;

/// What one of the two takes and the other does not.
#[derive(Clone, Copy)]
pub(super) struct Takes {
    pub(super) stickers: bool,
    pub(super) places: bool,
}

/// Says whether `part` can be sent.
pub(super) fn check(part: &Part, takes: Takes) -> Result<(), InvalidPart> {
    match &part.payload {
        Payload::Text { body } => length("the text", body, 1, TEXT),
        Payload::Media(media) => medium(media, takes),
        Payload::Location { latitude, longitude, .. } => {
            rule(takes.places, "this upstream has no verified way to send a place")?;
            rule((-90.0..=90.0).contains(latitude), "the latitude is not within 90 degrees")?;
            rule((-180.0..=180.0).contains(longitude), "the longitude is not within 180 degrees")
        }
        Payload::Buttons { .. } | Payload::List { .. } => {
            refuse("WhatsApp Web shows no buttons and lists: write the choices out as text")
        }
        Payload::Reaction { .. } => Ok(()),
        Payload::ApprovedTemplate { .. } => {
            refuse("there are no approved templates here: they belong to the Cloud API. Send text")
        }
    }
}

fn medium(media: &Media, takes: Takes) -> Result<(), InvalidPart> {
    let caption = media.caption.as_deref().unwrap_or_default();
    match media.kind {
        MediaKind::Sticker => {
            rule(takes.stickers, "this upstream has no documented way to send a sticker: send an image")?;
            rule(caption.is_empty(), "a sticker takes no caption")?;
        }
        MediaKind::Audio | MediaKind::Voice => rule(caption.is_empty(), "a sound takes no caption")?,
        MediaKind::Image | MediaKind::Video | MediaKind::Document => {
            length("the caption", caption, 0, CAPTIONS.length)?
        }
    }
    match &media.source {
        MediaSource::Link(link) => {
            let https = Url::parse(link).is_ok_and(|url| url.scheme() == "https");
            rule(https, "the link to the medium is not an https address")
        }
        MediaSource::Uploaded(id) => rule(file::parse(id).is_some(), "the medium's identifier is none of ours"),
        MediaSource::Bytes { data, .. } => {
            rule(!data.is_empty(), "the medium is empty")?;
            let refusal = || {
                let (size, most) = (data.len(), file::LARGEST);
                InvalidPart(format!(
                    "the medium has {size} bytes and there is no upload: give a link, or {most} at most"
                ))
            };
            (data.len() <= file::LARGEST).then_some(()).ok_or_else(refusal)
        }
    }
}

fn length(what: &str, text: &str, least: usize, most: usize) -> Result<(), InvalidPart> {
    let length = text.chars().count();
    let refusal = || InvalidPart(format!("{what} has {length} characters: WhatsApp takes {least} to {most}"));
    (least..=most).contains(&length).then_some(()).ok_or_else(refusal)
}

fn rule(kept: bool, refusal: &str) -> Result<(), InvalidPart> {
    if kept { Ok(()) } else { refuse(refusal) }
}

fn refuse(refusal: &str) -> Result<(), InvalidPart> {
    Err(InvalidPart(refusal.to_owned()))
}
