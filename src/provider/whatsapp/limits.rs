//! WhatsApp's limits on what we send (Meta's pages on each type of message). Texts are measured in characters.

use std::collections::HashSet;

use url::Url;

use crate::message::reply::{Choice, Media, MediaSource, Payload, Section};
use crate::message::{MediaKind, Part};
use crate::provider::{CaptionLimits, ChoiceLimits, InvalidPart, ListLimits};

/// The longest text message, in characters.
pub(crate) const TEXT: usize = 4096;

/// Captions.
pub(crate) const CAPTIONS: CaptionLimits =
    CaptionLimits { length: 1024, never_on: &[MediaKind::Audio, MediaKind::Voice, MediaKind::Sticker] };

/// Buttons, and lists below.
pub(crate) const CHOICES: ChoiceLimits =
    ChoiceLimits { buttons: 3, body: 1024, footer: 60, title: 20, id: 256, lists: Some(LISTS) };

const LISTS: ListLimits = ListLimits {
    // WhatsApp counts the rows of all sections together.
    rows: 10,
    sections: 10,
    body: 4096,
    button: 20,
    section_title: 24,
    title: 24,
    description: 72,
    id: 200,
};

const MIB: usize = 1 << 20;

/// Says whether WhatsApp would take `part`.
pub(crate) fn check(part: &Part) -> Result<(), InvalidPart> {
    match &part.payload {
        Payload::Text { body } => length("the text", body, 1, TEXT),
        Payload::Media(media) => medium(media),
        Payload::Buttons { body, footer, buttons: all } => {
            length("the question", body, 1, CHOICES.body)?;
            length("the footer", footer.as_deref().unwrap_or_default(), 0, CHOICES.footer)?;
            buttons(all)
        }
        Payload::List { body, button, footer, sections: all } => {
            length("the question", body, 1, LISTS.body)?;
            length("the button that opens the list", button, 1, LISTS.button)?;
            length("the footer", footer.as_deref().unwrap_or_default(), 0, CHOICES.footer)?;
            sections(all)
        }
        Payload::Location { latitude, longitude, .. } => {
            rule((-90.0..=90.0).contains(latitude), "the latitude is not within 90 degrees")?;
            rule((-180.0..=180.0).contains(longitude), "the longitude is not within 180 degrees")
        }
        Payload::Reaction { .. } => Ok(()),
        Payload::ApprovedTemplate { name, language, .. } => {
            rule(!name.is_empty(), "the approved template has no name")?;
            rule(!language.is_empty(), "the approved template has no language")
        }
    }
}

fn buttons(buttons: &[Choice]) -> Result<(), InvalidPart> {
    count("buttons", buttons.len(), CHOICES.buttons)?;
    for button in buttons {
        length("the title of a button", &button.title, 1, CHOICES.title)?;
        length("the identifier of a button", &button.id, 1, CHOICES.id)?;
    }
    rule(all_differ(buttons.iter().map(|button| &button.title)), "two buttons have the same title")?;
    rule(all_differ(buttons.iter().map(|button| &button.id)), "two buttons have the same identifier")
}

fn sections(sections: &[Section]) -> Result<(), InvalidPart> {
    count("sections", sections.len(), LISTS.sections)?;
    count("rows", sections.iter().map(|section| section.rows.len()).sum(), LISTS.rows)?;
    for section in sections {
        rule(!section.rows.is_empty(), "a section has no rows")?;
        // A lone section needs no heading.
        length("the title of a section", &section.title, usize::from(sections.len() > 1), LISTS.section_title)?;
        for row in &section.rows {
            length("the identifier of a row", &row.id, 1, LISTS.id)?;
            length("the title of a row", &row.title, 1, LISTS.title)?;
            length("the description of a row", row.description.as_deref().unwrap_or_default(), 0, LISTS.description)?;
        }
    }
    let rows = sections.iter().flat_map(|section| &section.rows);
    rule(all_differ(rows.map(|row| &row.id)), "two rows have the same identifier")
}

fn medium(media: &Media) -> Result<(), InvalidPart> {
    let caption = media.caption.as_deref().unwrap_or_default();
    match media.kind {
        MediaKind::Audio | MediaKind::Voice => rule(caption.is_empty(), "a sound takes no caption")?,
        MediaKind::Sticker => rule(caption.is_empty(), "a sticker takes no caption")?,
        MediaKind::Image | MediaKind::Video | MediaKind::Document => {
            length("the caption", caption, 0, CAPTIONS.length)?
        }
    }
    match &media.source {
        MediaSource::Link(link) => {
            let https = Url::parse(link).is_ok_and(|url| url.scheme() == "https");
            rule(https, "the link to the medium is not an https address")
        }
        MediaSource::Uploaded(id) => rule(!id.is_empty(), "the medium's identifier is empty"),
        MediaSource::Bytes { data, mime } => in_hand(media.kind, data.len(), mime),
    }
}

/// The types and sizes that an upload takes (Meta's page "Media": sizes there are in megabytes and kilobytes).
fn in_hand(kind: MediaKind, size: usize, mime: &str) -> Result<(), InvalidPart> {
    let (types, most): (&[&str], usize) = match kind {
        MediaKind::Image => (&["image/jpeg", "image/png"], 5 * MIB),
        MediaKind::Video => (&["video/mp4", "video/3gpp"], 16 * MIB),
        MediaKind::Audio => (&["audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg"], 16 * MIB),
        MediaKind::Voice => (&["audio/ogg"], 16 * MIB),
        // Whatever else there is usually passes as a document.
        MediaKind::Document => (&[], 100 * MIB),
        MediaKind::Sticker => (&["image/webp"], 500 << 10),
    };
    let plain = mime.split(';').next().unwrap_or_default().trim();
    let fits = types.is_empty() || types.iter().any(|known| known.eq_ignore_ascii_case(plain));
    rule(fits, "WhatsApp does not take this MIME type for this kind of medium")?;
    rule(size > 0, "the medium is empty")?;
    let refusal = || InvalidPart(format!("the medium has {size} bytes: WhatsApp takes at most {most}"));
    (size <= most).then_some(()).ok_or_else(refusal)
}

fn length(what: &str, text: &str, least: usize, most: usize) -> Result<(), InvalidPart> {
    let length = text.chars().count();
    let refusal = || InvalidPart(format!("{what} has {length} characters: WhatsApp takes {least} to {most}"));
    (least..=most).contains(&length).then_some(()).ok_or_else(refusal)
}

fn count(what: &str, count: usize, most: usize) -> Result<(), InvalidPart> {
    let refusal = || InvalidPart(format!("there are {count} {what}: WhatsApp takes 1 to {most}"));
    (1..=most).contains(&count).then_some(()).ok_or_else(refusal)
}

fn rule(kept: bool, refusal: &str) -> Result<(), InvalidPart> {
    kept.then_some(()).ok_or_else(|| InvalidPart(refusal.to_owned()))
}

fn all_differ<'a>(words: impl Iterator<Item = &'a String>) -> bool {
    let mut seen = HashSet::new();
    words.into_iter().all(|word| seen.insert(word))
}
