//! What we can say back.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Format, MediaKind, MessageId};

/// A handler's answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// Something to send: one part or several, in order. Each part is one message, and upstreams bill by the message.
    Send(Vec<Part>),
    /// Something to send in the place of an answer that was not to be had: the customer gets it, and the messages
    /// become dead letters, so that they can be replayed.
    Fallback {
        /// What is sent.
        parts: Vec<Part>,
        /// Why there is no answer, for the dead letter and the log: no customer's words in it.
        reason: String,
    },
    /// Nothing, on purpose.
    Silence,
    /// Nothing from the bot: a person takes over, and the bot keeps silent in this conversation for as long as its
    /// `people` table says.
    Handover {
        /// For the person who takes over, and for the log: no customer's words in it.
        reason: String,
    },
}

impl Reply {
    /// Words. Longer ones than the upstream takes in one message are split for you.
    pub fn text(body: impl Into<String>) -> Self {
        Part::text(body).into()
    }

    /// Words in Markdown, which the customer gets in WhatsApp's way of writing.
    pub fn markdown(body: impl Into<String>) -> Self {
        Part::text(body).written_in(Format::Markdown).into()
    }

    /// One medium.
    pub fn media(media: Media) -> Self {
        Part::from(Payload::Media(media)).into()
    }

    /// A question with buttons under it, each an identifier and what it says.
    pub fn buttons<I, T>(body: impl Into<String>, buttons: impl IntoIterator<Item = (I, T)>) -> Self
    where
        I: Into<String>,
        T: Into<String>,
    {
        let buttons = buttons.into_iter().map(|(id, title)| Choice { id: id.into(), title: title.into() });
        Part::from(Payload::Buttons { body: body.into(), footer: None, buttons: buttons.collect() }).into()
    }

    /// Nothing, on purpose. The indicator is taken off, or lapses.
    pub fn silence() -> Self {
        Self::Silence
    }

    /// Adds another part.
    #[must_use]
    pub fn and(self, part: impl Into<Part>) -> Self {
        let mut parts = match self {
            Self::Send(parts) => parts,
            Self::Fallback { mut parts, reason } => {
                parts.push(part.into());
                return Self::Fallback { parts, reason };
            }
            Self::Silence | Self::Handover { .. } => Vec::new(),
        };
        parts.push(part.into());
        Self::Send(parts)
    }

    /// Quotes the message that is being answered, in the first part.
    #[must_use]
    pub fn quoting(mut self) -> Self {
        if let Self::Send(parts) | Self::Fallback { parts, .. } = &mut self
            && let Some(first) = parts.first_mut()
        {
            first.quote = true;
        }
        self
    }
}

impl From<Part> for Reply {
    fn from(part: Part) -> Self {
        Self::Send(vec![part])
    }
}

impl From<String> for Reply {
    fn from(body: String) -> Self {
        Self::text(body)
    }
}

impl From<&str> for Reply {
    fn from(body: &str) -> Self {
        Self::text(body)
    }
}

/// One message of a reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// What it says.
    pub payload: Payload,
    /// Whether it quotes the message that is being answered.
    #[serde(default)]
    pub quote: bool,
    /// The choices that its words write out, in the order of their numbers: who answers with one of them has chosen it.
    /// The outbox writes them out; a handler leaves this empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub offers: Vec<Choice>,
    /// What the signs in its words mean: of a text, a caption, a question. The outbox writes them as the upstream shows
    /// them.
    #[serde(default, skip_serializing_if = "Format::is_plain")]
    pub format: Format,
}

impl Part {
    /// Words.
    pub fn text(body: impl Into<String>) -> Self {
        Payload::Text { body: body.into() }.into()
    }

    /// The same part, in another format.
    #[must_use]
    pub fn written_in(self, format: Format) -> Self {
        Self { format, ..self }
    }
}

impl From<Payload> for Part {
    fn from(payload: Payload) -> Self {
        Self { payload, quote: false, offers: Vec::new(), format: Format::Plain }
    }
}

/// What one message of ours says.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Payload {
    /// Words.
    Text {
        /// The words.
        body: String,
    },
    /// An image, a video, a sound, a document or a sticker.
    Media(Media),
    /// A question with up to a few buttons.
    Buttons {
        /// The question.
        body: String,
        /// Small print under it.
        #[serde(default)]
        footer: Option<String>,
        /// The buttons, in order.
        buttons: Vec<Choice>,
    },
    /// A question with a list to choose from.
    List {
        /// The question.
        body: String,
        /// What the button that opens the list says.
        button: String,
        /// Small print under the question.
        #[serde(default)]
        footer: Option<String>,
        /// The list.
        sections: Vec<Section>,
    },
    /// A place.
    Location {
        /// Degrees north.
        latitude: f64,
        /// Degrees east.
        longitude: f64,
        /// What the place is called.
        #[serde(default)]
        name: Option<String>,
        /// Its address.
        #[serde(default)]
        address: Option<String>,
    },
    /// An emoji on a message of the customer's.
    Reaction {
        /// On which; the one that is being answered if none is named.
        #[serde(default)]
        message: Option<MessageId>,
        /// The emoji; empty takes an earlier one away.
        emoji: String,
    },
    /// A message that WhatsApp has approved beforehand: the only kind that may be sent outside the 24-hour window.
    ApprovedTemplate {
        /// Its name.
        name: String,
        /// Its language, such as `en_US`.
        language: String,
        /// Its parameters, in the upstream's own form.
        #[serde(default)]
        components: Vec<Value>,
    },
}

impl Payload {
    /// The word for it in logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Text { .. } => "text",
            Self::Media(_) => "media",
            Self::Buttons { .. } => "buttons",
            Self::List { .. } => "list",
            Self::Location { .. } => "location",
            Self::Reaction { .. } => "reaction",
            Self::ApprovedTemplate { .. } => "approved_template",
        }
    }

    /// What a conversation's history keeps of it.
    pub fn words(&self) -> Option<&str> {
        match self {
            Self::Text { body } | Self::Buttons { body, .. } | Self::List { body, .. } => Some(body),
            Self::Media(media) => media.caption.as_deref(),
            Self::Location { .. } | Self::Reaction { .. } | Self::ApprovedTemplate { .. } => None,
        }
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({})", self.name())
    }
}

/// A button or a row: an identifier for us, and what it says.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// Comes back when it is chosen.
    pub id: String,
    /// What the customer reads.
    pub title: String,
}

impl fmt::Debug for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Choice(…)")
    }
}

/// A headed group of rows in a list.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// The heading.
    pub title: String,
    /// The rows.
    pub rows: Vec<Row>,
}

/// A row of a list.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Comes back when it is chosen.
    pub id: String,
    /// What the customer reads.
    pub title: String,
    /// Small print under the title.
    #[serde(default)]
    pub description: Option<String>,
}

/// A medium to send.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Media {
    /// What it is.
    pub kind: MediaKind,
    /// Where it is.
    pub source: MediaSource,
    /// What we write under it.
    #[serde(default)]
    pub caption: Option<String>,
    /// What a document is to be called.
    #[serde(default)]
    pub filename: Option<String>,
}

/// Where a medium to send is.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaSource {
    /// Where the upstream can fetch it: public, and https.
    Link(String),
    /// Already with the upstream, under this identifier.
    Uploaded(String),
    /// In hand: uploaded before the reply is recorded, so never part of a record.
    #[serde(skip)]
    Bytes {
        /// The medium.
        data: Bytes,
        /// Its MIME type.
        mime: String,
    },
}
