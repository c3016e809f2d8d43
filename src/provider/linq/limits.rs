//! Linq's limits on what we send (the comments of Linq's Python SDK on message parts and attachments).

use url::Url;

use crate::message::reply::{Media, MediaSource, Payload};
use crate::message::{MediaKind, Part};
use crate::provider::InvalidPart;

/// The longest text in one part, in characters (Linq's page "Key Concepts").
pub(super) const TEXT: usize = 10_000;

/// The largest upload, in bytes. What Linq fetches by a link may have a tenth of that, which nobody can tell from the
/// link.
const UPLOAD: usize = 100_000_000;

/// The kinds of file that Linq says it refuses. What it takes is a longer list, and a growing one.
const REFUSED: [&str; 6] = ["audio/ogg", "audio/opus", "application/ogg", "video/ogg", "audio/flac", "audio/x-flac"];

/// What a bot's settings say about limits.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) text: usize,
    /// Whether a voice note goes out as a voice memo, which takes no words.
    pub(super) voice_memos: bool,
}

impl Limits {
    /// Says whether Linq would take `part`.
    pub(super) fn check(&self, part: &Part) -> Result<(), InvalidPart> {
        match &part.payload {
            Payload::Text { body } => self.length("the text", body, 1),
            Payload::Media(media) => self.medium(media),
            Payload::Reaction { .. } => Ok(()),
            Payload::Buttons { .. } => refused("Linq has no buttons: write the choices into the text"),
            Payload::List { .. } => refused("Linq has no lists: write the choices into the text"),
            Payload::Location { .. } => refused("Linq has no places: send a link to a map"),
            Payload::ApprovedTemplate { .. } => {
                refused("Linq has no approved templates: they are WhatsApp's, and a plain text does here")
            }
        }
    }

    fn medium(&self, media: &Media) -> Result<(), InvalidPart> {
        let caption = media.caption.as_deref().unwrap_or_default();
        if media.kind == MediaKind::Voice && self.voice_memos {
            rule(caption.is_empty(), "a voice memo takes no caption")?;
        }
        self.length("the caption", caption, 0)?;
        match &media.source {
            MediaSource::Link(link) => {
                let https = Url::parse(link).is_ok_and(|url| url.scheme() == "https");
                rule(https, "the link to the medium is not an https address")
            }
            MediaSource::Uploaded(id) => rule(!id.is_empty(), "the medium's identifier is empty"),
            MediaSource::Bytes { data, mime } => in_hand(data.len(), mime),
        }
    }

    fn length(&self, what: &str, text: &str, least: usize) -> Result<(), InvalidPart> {
        let (length, most) = (text.chars().count(), self.text);
        let refusal = || InvalidPart(format!("{what} has {length} characters: Linq takes {least} to {most}"));
        (least..=most).contains(&length).then_some(()).ok_or_else(refusal)
    }
}

fn in_hand(size: usize, mime: &str) -> Result<(), InvalidPart> {
    let plain = mime.split(';').next().unwrap_or_default().trim();
    rule(plain.contains('/'), "the medium's MIME type is not one")?;
    let taken = !REFUSED.iter().any(|known| known.eq_ignore_ascii_case(plain));
    rule(taken, "Linq takes neither OGG nor FLAC: use MP3 or M4A, of type audio/mpeg or audio/x-m4a")?;
    rule(size > 0, "the medium is empty")?;
    let refusal = || InvalidPart(format!("the medium has {size} bytes: Linq takes at most {UPLOAD}"));
    (size <= UPLOAD).then_some(()).ok_or_else(refusal)
}

fn rule(kept: bool, refusal: &str) -> Result<(), InvalidPart> {
    if kept { Ok(()) } else { refused(refusal) }
}

fn refused(refusal: &str) -> Result<(), InvalidPart> {
    Err(InvalidPart(refusal.to_owned()))
}
