//! What a customer's message can say.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::MessageId;
use super::reply::Choice;

/// What an inbound message says.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Content {
    /// Words.
    Text {
        /// The words.
        body: String,
    },
    /// An image, a video, a sound, a document or a sticker, by reference.
    Media(MediaRef),
    /// A place.
    Location {
        /// Degrees north.
        latitude: f64,
        /// Degrees east.
        longitude: f64,
        /// What the place is called.
        name: Option<String>,
        /// Its address.
        address: Option<String>,
        /// Its page on the web.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url: Option<String>,
    },
    /// Contact cards.
    Contacts {
        /// The cards.
        cards: Vec<ContactCard>,
    },
    /// A tap on a button, or a choice from a list, that we had offered; or an answer to a question that was written
    /// out.
    Choice {
        /// The identifier that we gave the option.
        id: String,
        /// What the option said.
        title: String,
        /// What the customer wrote, if the question was written out as text: its number, or what the option says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        written: Option<String>,
        /// What stood below the option.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<String>,
    },
    /// A filled-in form.
    Form {
        /// The form's name.
        name: Option<String>,
        /// The answers, as the form names them.
        answers: Value,
        /// What stands in the chat for the answer: of an address, all of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
    },
    /// An order from a catalogue.
    Order {
        /// The catalogue.
        catalog: Option<String>,
        /// What the customer wrote with it.
        text: Option<String>,
        /// What was ordered.
        items: Vec<OrderItem>,
    },
    /// A question to the members of the chat, with answers to choose from.
    Poll {
        /// The question.
        question: Option<String>,
        /// The answers.
        options: Vec<String>,
        /// How many of them may be chosen; none if the upstream does not say, or any number may be.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        selectable: Option<u32>,
    },
    /// What somebody chooses in a poll.
    Vote {
        /// The poll.
        message: MessageId,
        /// All that is chosen now; nothing if a vote was taken back.
        options: Vec<String>,
    },
    /// An emoji on a message, or its removal.
    Reaction {
        /// The message that it is on.
        message: MessageId,
        /// The emoji; none if it was taken away.
        emoji: Option<String>,
    },
    /// A new wording for an earlier message.
    Edit {
        /// The earlier message.
        message: MessageId,
        /// What it says now.
        content: Box<Content>,
    },
    /// An earlier message was taken back.
    Revoke {
        /// The earlier message.
        message: MessageId,
    },
    /// A notice from the upstream about the contact: a new phone number, a new identity.
    System {
        /// The upstream's word for what happened.
        event: String,
        /// Its text.
        body: Option<String>,
    },
    /// The customer opened the chat and has written nothing yet.
    Welcome,
    /// The upstream could not hand the message over.
    Unsupported {
        /// The upstream's word for what it was.
        what: Option<String>,
        /// The upstream's error codes.
        codes: Vec<i64>,
    },
    /// A type that threedots does not know.
    Unknown {
        /// The upstream's word for it.
        what: String,
        /// The message as it came.
        raw: Value,
    },
}

/// The kinds of [`Content`], as a bot's configuration names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContentKind {
    /// Words.
    Text,
    /// An image.
    Image,
    /// A video.
    Video,
    /// A sound file.
    Audio,
    /// A voice note.
    Voice,
    /// A document.
    Document,
    /// A sticker.
    Sticker,
    /// A place.
    Location,
    /// Contact cards.
    Contacts,
    /// A button or a list choice.
    Choice,
    /// A filled-in form.
    Form,
    /// An order.
    Order,
    /// A poll.
    Poll,
    /// A vote in a poll.
    Vote,
    /// A reaction.
    Reaction,
    /// An edit.
    Edit,
    /// A message taken back.
    Revoke,
    /// A notice about the contact.
    System,
    /// The chat was opened.
    Welcome,
    /// Not handed over by the upstream.
    Unsupported,
    /// Not known to threedots.
    Unknown,
}

impl ContentKind {
    /// What a bot answers unless its configuration says otherwise: whatever a person wrote *to* it.
    pub const ANSWERED: [ContentKind; 14] = [
        ContentKind::Text,
        ContentKind::Image,
        ContentKind::Video,
        ContentKind::Audio,
        ContentKind::Voice,
        ContentKind::Document,
        ContentKind::Sticker,
        ContentKind::Location,
        ContentKind::Contacts,
        ContentKind::Choice,
        ContentKind::Form,
        ContentKind::Order,
        ContentKind::Poll,
        ContentKind::Vote,
    ];

    /// The word that configuration and logs use.
    pub fn as_str(self) -> &'static str {
        match self {
            ContentKind::Text => "text",
            ContentKind::Image => "image",
            ContentKind::Video => "video",
            ContentKind::Audio => "audio",
            ContentKind::Voice => "voice",
            ContentKind::Document => "document",
            ContentKind::Sticker => "sticker",
            ContentKind::Location => "location",
            ContentKind::Contacts => "contacts",
            ContentKind::Choice => "choice",
            ContentKind::Form => "form",
            ContentKind::Order => "order",
            ContentKind::Poll => "poll",
            ContentKind::Vote => "vote",
            ContentKind::Reaction => "reaction",
            ContentKind::Edit => "edit",
            ContentKind::Revoke => "revoke",
            ContentKind::System => "system",
            ContentKind::Welcome => "welcome",
            ContentKind::Unsupported => "unsupported",
            ContentKind::Unknown => "unknown",
        }
    }
}

impl Content {
    /// Words and nothing else.
    pub fn text(body: impl Into<String>) -> Self {
        Self::Text { body: body.into() }
    }

    /// Which kind it is.
    pub fn kind(&self) -> ContentKind {
        match self {
            Self::Text { .. } => ContentKind::Text,
            Self::Media(media) => match media.kind {
                MediaKind::Image => ContentKind::Image,
                MediaKind::Video => ContentKind::Video,
                MediaKind::Audio => ContentKind::Audio,
                MediaKind::Voice => ContentKind::Voice,
                MediaKind::Document => ContentKind::Document,
                MediaKind::Sticker => ContentKind::Sticker,
            },
            Self::Location { .. } => ContentKind::Location,
            Self::Contacts { .. } => ContentKind::Contacts,
            Self::Choice { .. } => ContentKind::Choice,
            Self::Form { .. } => ContentKind::Form,
            Self::Order { .. } => ContentKind::Order,
            Self::Poll { .. } => ContentKind::Poll,
            Self::Vote { .. } => ContentKind::Vote,
            Self::Reaction { .. } => ContentKind::Reaction,
            Self::Edit { .. } => ContentKind::Edit,
            Self::Revoke { .. } => ContentKind::Revoke,
            Self::System { .. } => ContentKind::System,
            Self::Welcome => ContentKind::Welcome,
            Self::Unsupported { .. } => ContentKind::Unsupported,
            Self::Unknown { .. } => ContentKind::Unknown,
        }
    }

    /// The words in it: a text, a caption, the title of a choice, the note on an order.
    pub fn words(&self) -> Option<&str> {
        match self {
            Self::Text { body } => Some(body),
            Self::Media(media) => media.caption.as_deref(),
            Self::Choice { title, .. } => Some(title),
            Self::Order { text, .. } => text.as_deref(),
            Self::Edit { content, .. } => content.words(),
            _ => None,
        }
    }

    /// Makes a text the choice that it is; anything else stays what it is.
    pub fn choose(&mut self, choice: &Choice) {
        if let Self::Text { body } = self {
            let written = Some(std::mem::take(body));
            let (id, title) = (choice.id.clone(), choice.title.clone());
            *self = Self::Choice { id, title, written, description: None };
        }
    }

    /// The earlier message that it is about: that has a reaction, a vote or a new wording, or was taken back.
    pub fn about(&self) -> Option<&MessageId> {
        match self {
            Self::Vote { message, .. }
            | Self::Reaction { message, .. }
            | Self::Edit { message, .. }
            | Self::Revoke { message } => Some(message),
            _ => None,
        }
    }

    /// What is said in a voice note or a sound file, as a machine has understood it: see [`MediaRef::transcript`].
    pub fn transcript(&self) -> Option<&str> {
        match self {
            Self::Media(media) => media.transcript.as_deref(),
            Self::Edit { content, .. } => content.transcript(),
            _ => None,
        }
    }

    /// What the customer has written, and what they have said.
    pub fn written_and_said(&self) -> impl Iterator<Item = &str> {
        let said = self.transcript().filter(|said| !said.is_empty());
        self.words().into_iter().chain(said)
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Content({})", self.kind().as_str())
    }
}

/// A medium that stays with the upstream until somebody asks for it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaRef {
    /// What it is.
    pub kind: MediaKind,
    /// The upstream's identifier for it.
    pub id: Option<String>,
    /// Where it can be fetched, if the upstream says so at once.
    #[serde(default)]
    pub url: Option<String>,
    /// Its MIME type, parameters included.
    #[serde(default)]
    pub mime: Option<String>,
    /// Its SHA-256, as the upstream writes it.
    #[serde(default)]
    pub sha256: Option<String>,
    /// What the customer wrote under it.
    #[serde(default)]
    pub caption: Option<String>,
    /// What the document is called.
    #[serde(default)]
    pub filename: Option<String>,
    /// How large it is, in bytes, if the upstream says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// What is said in it, as a machine has understood it: mistakes are to be expected. None if nobody has listened, or
    /// nothing could be understood; empty if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcript: Option<String>,
}

impl MediaRef {
    /// A medium of which nothing else is known yet.
    pub fn of(kind: MediaKind) -> Self {
        Self {
            kind,
            id: None,
            url: None,
            mime: None,
            sha256: None,
            caption: None,
            filename: None,
            size: None,
            transcript: None,
        }
    }
}

impl fmt::Debug for MediaRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MediaRef({:?})", self.kind)
    }
}

/// What a medium is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaKind {
    /// A picture.
    Image,
    /// A moving picture.
    Video,
    /// A sound file.
    Audio,
    /// A voice note.
    Voice,
    /// Any other file.
    Document,
    /// A sticker.
    Sticker,
}

/// A contact card.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContactCard {
    /// The name on it.
    pub name: Option<String>,
    /// The phone numbers on it.
    pub phones: Vec<String>,
    /// The mail addresses on it.
    pub emails: Vec<String>,
    /// The organisation on it.
    pub organisation: Option<String>,
    /// What the person does there.
    pub title: Option<String>,
    /// The postal addresses on it, each as one text.
    pub addresses: Vec<String>,
    /// The web addresses on it.
    pub urls: Vec<String>,
}

/// One line of an order.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderItem {
    /// The product.
    pub product: String,
    /// How many.
    pub quantity: f64,
    /// The price of one.
    pub price: Option<f64>,
    /// In which currency.
    pub currency: Option<String>,
}
