//! What a customer can send.

use std::fmt;

use bytes::Bytes;
use serde_json::Value;

use super::phone::{Body, Choice, Source};
use crate::message::MessageId;

/// A picture that every customer has.
const PICTURE: &[u8] = include_bytes!("assets/picture.png");
/// Two seconds of silence that every customer has: Ogg Opus, mono.
const VOICE: &[u8] = include_bytes!("assets/voice.ogg");

/// Something that a customer is about to send.
#[derive(Clone)]
pub struct Draft {
    pub(super) says: Says,
    pub(super) quotes: Option<MessageId>,
}

#[derive(Clone)]
pub(super) enum Says {
    Text(String),
    Media { kind: &'static str, mime: &'static str, data: Bytes, caption: Option<String>, medium: String },
    Location { latitude: f64, longitude: f64, name: Option<String>, address: Option<String> },
    Choice { choice: Choice, description: Option<String>, from_list: bool },
    Reaction { to: MessageId, emoji: String },
    Raw { kind: String, object: Value },
}

impl Draft {
    /// Words.
    pub fn text(words: impl Into<String>) -> Self {
        Says::Text(words.into()).into()
    }

    /// The built-in picture.
    pub fn image(caption: Option<&str>) -> Self {
        Self::medium("image", "image/png", Bytes::from_static(PICTURE), caption)
    }

    /// The built-in voice note.
    pub fn voice() -> Self {
        Self::medium("voice", "audio/ogg; codecs=opus", Bytes::from_static(VOICE), None)
    }

    fn medium(kind: &'static str, mime: &'static str, data: Bytes, caption: Option<&str>) -> Self {
        Says::Media { kind, mime, data, caption: caption.map(str::to_owned), medium: String::new() }.into()
    }

    /// A place.
    pub fn location(latitude: f64, longitude: f64, name: Option<&str>, address: Option<&str>) -> Self {
        let (name, address) = (name.map(str::to_owned), address.map(str::to_owned));
        Says::Location { latitude, longitude, name, address }.into()
    }

    /// The choice of this id, out of the buttons or the list of a message of the bot's.
    pub fn choice(offer: &super::phone::Message, id: &str) -> Option<Self> {
        let says = match &offer.body {
            Body::Buttons { buttons, .. } => {
                let choice = buttons.iter().find(|button| button.id == id)?.clone();
                Says::Choice { choice, description: None, from_list: false }
            }
            Body::List { sections, .. } => {
                let row = sections.iter().flat_map(|section| &section.rows).find(|row| row.choice.id == id)?;
                Says::Choice { choice: row.choice.clone(), description: row.description.clone(), from_list: true }
            }
            _ => return None,
        };
        Some(Self { says, quotes: Some(offer.id.clone()) })
    }

    /// A reaction; an empty emoji takes an earlier one away.
    pub fn reaction(to: &MessageId, emoji: &str) -> Self {
        Says::Reaction { to: to.clone(), emoji: emoji.to_owned() }.into()
    }

    /// Any other type of message, with the upstream's object for it.
    pub fn raw(kind: &str, object: Value) -> Self {
        Says::Raw { kind: kind.to_owned(), object }.into()
    }

    /// The same, quoting a message.
    pub fn quoting(mut self, message: &MessageId) -> Self {
        self.quotes = Some(message.clone());
        self
    }

    /// The same, with its medium, if it has one, kept under the id that `keep` gives.
    pub(super) fn with_medium(mut self, keep: impl FnOnce(&'static str, Bytes) -> String) -> Self {
        if let Says::Media { mime, data, medium, .. } = &mut self.says {
            *medium = keep(mime, data.clone());
        }
        self
    }

    /// To what, and with what, if it is a reaction.
    pub(super) fn reaction_to(&self) -> Option<(&MessageId, &str)> {
        match &self.says {
            Says::Reaction { to, emoji } => Some((to, emoji)),
            _ => None,
        }
    }

    /// As it stands in the chat.
    pub(super) fn body(&self) -> Body {
        match &self.says {
            Says::Text(words) => Body::Text(words.clone()),
            Says::Media { kind, caption, medium, .. } => {
                Body::Media { kind, source: Source::Stored(medium.clone()), caption: caption.clone(), filename: None }
            }
            Says::Location { latitude, longitude, name, address } => Body::Location {
                latitude: *latitude,
                longitude: *longitude,
                name: name.clone(),
                address: address.clone(),
            },
            Says::Choice { choice, description, from_list } => {
                Body::Choice { choice: choice.clone(), description: description.clone(), from_list: *from_list }
            }
            Says::Reaction { emoji, .. } => Body::Text(emoji.clone()),
            Says::Raw { kind, .. } => Body::Other { frame: super::phone::Frame::default(), kind: kind.clone() },
        }
    }
}

impl From<Says> for Draft {
    fn from(says: Says) -> Self {
        Self { says, quotes: None }
    }
}

impl From<&str> for Draft {
    fn from(words: &str) -> Self {
        Self::text(words)
    }
}

impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Draft(…)")
    }
}
