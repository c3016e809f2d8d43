//! What is to be said unasked, and to whom, in JSON: a whole answer's `text` or `parts`, with a name beside them.

use serde::Deserialize;

use super::wire::{self, WirePart};
use crate::message::{Format, Part, Payload};

/// What is to be said unasked, and to whom.
pub struct Unasked {
    /// To whom.
    pub to: To,
    /// Whether it is left unsaid while a person answers.
    pub unless_paused: bool,
    /// What is said.
    pub parts: Vec<Part>,
}

/// To whom something is said.
pub enum To {
    /// A person: a phone number, or an identifier of the upstream's.
    Contact(String),
    /// A chat that the bot knows: with a person, or a group.
    Chat(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProactiveJson {
    contact: Option<String>,
    chat: Option<String>,
    #[serde(default)]
    unless_paused: bool,
    text: Option<String>,
    format: Option<Format>,
    parts: Option<Vec<WirePart>>,
}

/// Reads it.
///
/// # Errors
/// What is wrong with it, without a word of what stands in it.
pub fn unasked(body: &[u8]) -> Result<Unasked, String> {
    const FORM: &str = "send {\"contact\": …} or {\"chat\": …}, with \"text\" or \"parts\"";
    let ProactiveJson { contact, chat, unless_paused, text, format, parts } = wire::read(body, FORM)?;
    let to = match (contact, chat) {
        (Some(contact), None) => To::Contact(contact),
        (None, Some(chat)) => To::Chat(chat),
        _ => return Err(FORM.to_owned()),
    };
    let parts = match (text, parts) {
        (Some(text), None) => vec![Part::text(text).written_in(format.unwrap_or_default())],
        (None, Some(_)) if format.is_some() => return Err("format is that of text: parts have one each".to_owned()),
        (None, Some(parts)) => wire::parts(parts)?,
        _ => return Err(FORM.to_owned()),
    };
    for (number, part) in parts.iter().enumerate() {
        if part.quote {
            return Err(format!("parts[{number}]: there is no message to quote"));
        }
        if let Payload::Reaction { message: None, .. } = part.payload {
            return Err(format!("parts[{number}]: a reaction has to name its message"));
        }
    }
    Ok(Unasked { to, unless_paused, parts })
}
