//! What a message's parts say.
//!
//! A message of Linq's is a list of parts, ours is one thing with one caption. So that nothing of what a person wrote
//! is lost: all its words, links included, become one text; with media in it, that text is the caption of the first
//! medium, and every further medium is a message of its own.

use serde_json::Value;

use crate::message::{Content, MediaKind, MediaRef};
use crate::provider::lenient::{Object, is_within};

/// How many levels of Linq's own JSON a message may carry on.
const DEEPEST: usize = 64;

/// What a message says.
pub(super) struct LinqMessage {
    /// What goes by the message's own name.
    pub(super) first: Content,
    /// Each further medium, with the number of its part.
    pub(super) more: Vec<(usize, MediaRef)>,
    /// How many parts of a type that nobody knows were left out.
    pub(super) unknown: usize,
    /// How many parts made no sense.
    pub(super) malformed: usize,
}

/// What `parts` say; none if they say nothing at all.
pub(super) fn read<'a>(parts: impl Iterator<Item = &'a Value>) -> Option<LinqMessage> {
    let (mut words, mut media, mut strange, mut malformed) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for (number, part) in parts.enumerate() {
        match part.as_object().map(Object).and_then(part_of) {
            Some(LinqPart::Words(text)) => words.push(text),
            Some(LinqPart::Medium(medium)) => media.push((number, medium)),
            Some(LinqPart::Unknown(content)) => strange.push(content),
            None => malformed += 1,
        }
    }
    let caption = Some(words.join("\n")).filter(|words| !words.is_empty());
    let mut media = media.into_iter();
    let first = match (media.next(), caption) {
        (Some((_, medium)), caption) => Content::Media(MediaRef { caption, ..medium }),
        (None, Some(body)) => Content::Text { body },
        (None, None) => {
            let mut strange = strange.into_iter();
            let first = strange.next()?;
            return Some(LinqMessage { first, more: Vec::new(), unknown: strange.len(), malformed });
        }
    };
    Some(LinqMessage { first, more: media.collect(), unknown: strange.len(), malformed })
}

/// Something that nobody knows, as it came.
pub(super) fn unknown(what: String, wire: Object<'_>) -> Option<Content> {
    let raw = Value::Object(wire.0.clone());
    is_within(&raw, DEEPEST).then_some(Content::Unknown { what, raw })
}

enum LinqPart {
    Words(String),
    Medium(MediaRef),
    Unknown(Content),
}

fn part_of(part: Object<'_>) -> Option<LinqPart> {
    let kind = part.text("type")?;
    match kind.as_str() {
        "text" | "link" | "app_clip" => part.text("value").map(LinqPart::Words),
        "media" => medium(part).map(LinqPart::Medium),
        "imessage_app" => card(part).map(LinqPart::Words).or_else(|| unknown(kind, part).map(LinqPart::Unknown)),
        _ => unknown(kind, part).map(LinqPart::Unknown),
    }
}

fn medium(part: Object<'_>) -> Option<MediaRef> {
    let (id, url) = (part.text("id").or_else(|| part.text("attachment_id")), part.text("url"));
    if id.is_none() && url.is_none() {
        return None;
    }
    let mime = part.text("mime_type").or_else(|| part.text("content_type"));
    let kind = match mime.as_deref().and_then(|mime| mime.split('/').next()) {
        Some("image") => MediaKind::Image,
        Some("video") => MediaKind::Video,
        // Nothing tells a voice memo from any other sound.
        Some("audio") => MediaKind::Audio,
        _ => MediaKind::Document,
    };
    let size = part.int("size_bytes").and_then(|size| u64::try_from(size).ok());
    Some(MediaRef { id, url, mime, filename: part.text("filename"), size, ..MediaRef::of(kind) })
}

/// The words on an app's card and where it leads; a `data:` address is the app's own state and means nothing here.
fn card(part: Object<'_>) -> Option<String> {
    let label = |layout: Object<'_>| {
        let labels = ["caption", "subcaption", "trailing_caption", "trailing_subcaption"];
        let labels: Vec<String> = labels.into_iter().filter_map(|key| layout.text(key)).collect();
        (!labels.is_empty()).then(|| labels.join("\n"))
    };
    let words = part.object("layout").and_then(label).or_else(|| part.text("fallback_text"));
    let url = part.text("url").filter(|url| url.starts_with("https://"));
    let lines: Vec<String> = words.into_iter().chain(url).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}
