//! The parts of a message that a bot sends, judged by Linq's rules, and what they come to on the phone.

use serde_json::{Value, json};

use super::error::Refusal;
use super::{Desk, names};
use crate::sandbox::phone::{Body, Source};

/// Of all parts, and of those that name a medium by its address.
const MOST_PARTS: usize = 100;
const MOST_LINKS: usize = 40;
const LONGEST_TEXT: usize = 10_000;
const LONGEST_LINK: usize = 2048;

/// What the parts come to.
pub(super) struct Said {
    /// The messages on the phone: each medium is one, with all the words under the first.
    pub(super) bodies: Vec<Body>,
    /// The parts as Linq gives them back.
    pub(super) echo: Vec<Value>,
}

impl Desk<'_> {
    pub(super) fn parts(self, message: &Value) -> Result<Said, Refusal> {
        let parts = message["parts"].as_array().ok_or_else(|| Refusal::missing("message.parts"))?;
        if parts.is_empty() || parts.len() > MOST_PARTS {
            return Err(Refusal::content("a message has 1 to 100 parts"));
        }
        let kind = |part: &Value| part["type"].as_str().unwrap_or_default().to_owned();
        if parts.windows(2).any(|pair| kind(&pair[0]) == "text" && kind(&pair[1]) == "text") {
            return Err(Refusal::content("consecutive text parts are not allowed"));
        }
        if parts.len() > 1 && parts.iter().any(|part| kind(part) == "link") {
            return Err(Refusal::content("a link part must be the only part"));
        }
        if parts.iter().filter(|part| part["url"].is_string()).count() > MOST_LINKS {
            return Err(Refusal::content("at most 40 media by url"));
        }
        let (mut words, mut media, mut echo) = (Vec::new(), Vec::new(), Vec::new());
        for part in parts {
            match kind(part).as_str() {
                kind @ ("text" | "link") => {
                    let value = part["value"].as_str().ok_or_else(|| Refusal::missing("value"))?;
                    let most = if kind == "text" { LONGEST_TEXT } else { LONGEST_LINK };
                    if value.is_empty() || value.chars().count() > most {
                        return Err(Refusal::content("a text has 1 to 10000 characters, a link 2048 at most"));
                    }
                    words.push(value);
                    echo.push(json!({ "type": kind, "value": value, "reactions": null }));
                }
                "media" => {
                    let (kind, source) = self.medium(part)?;
                    media.push((kind, source));
                    echo.push(json!({ "type": "media", "id": part["attachment_id"], "url": part["url"] }));
                }
                _ => return Err(Refusal::content("unknown part type")),
            }
        }
        let words = words.join("\n");
        let mut caption = Some(words.clone()).filter(|words| !words.is_empty());
        let mut bodies: Vec<Body> = Vec::new();
        for (kind, source) in media {
            bodies.push(Body::Media { kind, source, caption: caption.take(), filename: None });
        }
        if bodies.is_empty() {
            bodies.push(Body::Text(words));
        }
        Ok(Said { bodies, echo })
    }

    fn medium(self, part: &Value) -> Result<(&'static str, Source), Refusal> {
        let (kind, source) = self.source(part, "url")?;
        match &part["sticker"] {
            Value::Null | Value::Bool(false) => Ok((kind, source)),
            Value::Bool(true) => Ok(("sticker", source)),
            _ => Err(Refusal::invalid("sticker")),
        }
    }

    /// Where a medium is: behind an https address or in the store, and not both.
    pub(super) fn source(self, named: &Value, link: &str) -> Result<(&'static str, Source), Refusal> {
        match (named[link].as_str(), named["attachment_id"].as_str()) {
            (Some(url), None) if url.starts_with("https://") => {
                let path = url.split(['?', '#']).next().unwrap_or_default();
                let ending = path.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
                Ok((by_ending(&ending), Source::Link(url.to_owned())))
            }
            (Some(_), None) => Err(Refusal::invalid(link)),
            (None, Some(id)) => {
                let medium = names::medium(id).ok_or_else(|| Refusal::invalid("attachment_id"))?;
                let kept = self.media.get(&medium, self.clock.now()).ok_or(Refusal::not_found(2003))?;
                Ok((by_type(&kept.mime), Source::Stored(medium)))
            }
            (Some(_), Some(_)) => Err(Refusal::content("either an address or an attachment_id, but not both")),
            (None, None) => Err(Refusal::missing(link)),
        }
    }
}

fn by_type(mime: &str) -> &'static str {
    match mime.split('/').next() {
        Some("image") => "image",
        Some("video") => "video",
        Some("audio") => "audio",
        _ => "document",
    }
}

/// The endings that Linq lists.
fn by_ending(ending: &str) -> &'static str {
    match ending {
        "jpg" | "jpeg" | "png" | "gif" | "heic" | "heif" | "tif" | "tiff" | "bmp" => "image",
        "mp4" | "mov" | "m4v" | "mpeg" | "mpg" | "3gp" => "video",
        "m4a" | "mp3" | "aac" | "caf" | "wav" | "aiff" | "amr" => "audio",
        _ => "document",
    }
}
