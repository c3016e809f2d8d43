//! What stands in a chat on the customer's phone.

use std::fmt;
use std::sync::Arc;

use crate::message::MessageId;
use crate::message::clock::Timestamp;

/// A customer, named by the digits of an invented phone number.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CustomerId(Arc<str>);

impl CustomerId {
    /// Wraps the digits, without a plus.
    pub fn new(digits: impl Into<Arc<str>>) -> Self {
        Self(digits.into())
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for CustomerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CustomerId(…)")
    }
}

impl From<&str> for CustomerId {
    fn from(digits: &str) -> Self {
        Self::new(digits)
    }
}

/// A person with a phone, in one chat with the bot.
#[derive(Clone, PartialEq, Eq)]
pub struct Customer {
    /// The digits of the phone number.
    pub id: CustomerId,
    /// The name that the profile shows.
    pub name: String,
    /// The business-scoped user id: two letters of a country, a dot, and up to 128 letters and digits.
    pub user_id: String,
    /// A username, for those who have adopted one.
    pub username: Option<String>,
    /// Whether the upstream keeps the phone number to itself and gives the bot the user id alone.
    pub hides_phone: bool,
    /// The group that the chat is, if it is one. The sandbox shows a group on the phone of one of its members.
    pub group: Option<String>,
}

impl Customer {
    /// A person who writes to the bot directly, phone number and all.
    pub fn new(digits: &str, name: &str) -> Self {
        // FNV-1a: a user id must not be the number again, and must be the same on every run.
        let hash = digits
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        Self {
            id: CustomerId::new(digits),
            name: name.to_owned(),
            user_id: format!("US.{hash:020}"),
            username: None,
            hides_phone: false,
            group: None,
        }
    }
}

impl fmt::Debug for Customer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Customer(…)")
    }
}

/// A message as it stands in a chat.
#[derive(Clone)]
pub struct Message {
    /// The upstream's name for it.
    pub id: MessageId,
    /// Its number on this phone, from 1: short enough for a reader.
    pub number: u64,
    /// Who wrote it.
    pub from: Side,
    /// When.
    pub at: Timestamp,
    /// What it says.
    pub body: Body,
    /// The message that it quotes.
    pub quotes: Option<MessageId>,
    /// How far the customer's own message has come.
    pub tick: Tick,
    /// The other side's reaction to it.
    pub reaction: Option<String>,
    /// The last answer of the bot's webhook, while it has not been 200.
    pub refused: Option<Refused>,
    /// Grows when anything above changes.
    pub revision: u64,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message(#{} {:?} {} {:?})", self.number, self.from, self.body.kind(), self.tick)
    }
}

/// How the bot's webhook did not take a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It answered with this status.
    Status(u16),
    /// It did not answer.
    Unanswered,
}

/// Which end of the chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The person with the phone.
    Customer,
    /// The bot.
    Bot,
    /// A person at the business's own phone.
    Person,
}

/// The mark beside a message of the customer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tick {
    /// The bot's webhook has not taken it yet.
    Pending,
    /// The bot's webhook has answered 200.
    Sent,
    /// The bot has marked it, or a later one, as read.
    Read,
}

impl Tick {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sent => "sent",
            Self::Read => "read",
        }
    }
}

/// What a message says, from either side.
#[derive(Clone, PartialEq)]
pub enum Body {
    /// Words.
    Text(String),
    /// A picture, a sound, a file.
    Media {
        /// The upstream's word for it: `image`, `video`, `audio`, `voice`, `document` or `sticker`.
        kind: &'static str,
        /// Where it is.
        source: Source,
        /// What stands under it.
        caption: Option<String>,
        /// What a document is called.
        filename: Option<String>,
    },
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
    },
    /// Contact cards, by their names.
    Contacts(Vec<String>),
    /// Words with up to three buttons.
    Buttons {
        /// The frame.
        frame: Frame,
        /// The buttons.
        buttons: Vec<Choice>,
    },
    /// Words with a list to choose from.
    List {
        /// The frame.
        frame: Frame,
        /// What the button that opens the list says.
        open: String,
        /// The groups of rows.
        sections: Vec<Section>,
    },
    /// Words with a button that opens a web page.
    Link {
        /// The frame.
        frame: Frame,
        /// What the button says.
        title: String,
        /// Where it leads.
        url: String,
    },
    /// Words with any other kind of button, by the upstream's word for it.
    Other {
        /// The frame.
        frame: Frame,
        /// The upstream's word.
        kind: String,
    },
    /// A tap on a button, or a row chosen from a list.
    Choice {
        /// What was chosen.
        choice: Choice,
        /// Small print under it.
        description: Option<String>,
        /// Whether it came from a list.
        from_list: bool,
    },
    /// A message that WhatsApp has approved beforehand.
    Template {
        /// Its name.
        name: String,
        /// Its language.
        language: String,
        /// What was filled in.
        values: Vec<String>,
    },
}

impl Body {
    /// The upstream's word for it.
    pub fn kind(&self) -> &str {
        match self {
            Self::Text(_) => "text",
            Self::Media { kind, .. } => kind,
            Self::Location { .. } => "location",
            Self::Contacts(_) => "contacts",
            Self::Buttons { .. } => "buttons",
            Self::List { .. } => "list",
            Self::Link { .. } => "link",
            Self::Other { kind, .. } => kind,
            Self::Choice { .. } => "choice",
            Self::Template { .. } => "template",
        }
    }

    /// Its words; empty if it has none.
    pub fn words(&self) -> &str {
        match self {
            Self::Text(words) => words,
            Self::Media { caption, .. } => caption.as_deref().unwrap_or_default(),
            Self::Location { name, .. } => name.as_deref().unwrap_or_default(),
            Self::Contacts(names) => names.first().map_or("", String::as_str),
            Self::Buttons { frame, .. }
            | Self::List { frame, .. }
            | Self::Link { frame, .. }
            | Self::Other { frame, .. } => &frame.body,
            Self::Choice { choice, .. } => &choice.title,
            Self::Template { name, .. } => name,
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({})", self.kind())
    }
}

/// Where a medium is.
#[derive(Clone, PartialEq, Eq)]
pub enum Source {
    /// In the sandbox, under this media id.
    Stored(String),
    /// Elsewhere. The sandbox never fetches it.
    Link(String),
}

/// The words around the buttons of an interactive message.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Frame {
    /// What stands above, if it is text.
    pub header: Option<String>,
    /// The words.
    pub body: String,
    /// Small print under them.
    pub footer: Option<String>,
}

/// A button: an identifier for the bot, and what it says.
#[derive(Clone, PartialEq, Eq)]
pub struct Choice {
    /// Comes back when it is chosen.
    pub id: String,
    /// What the customer reads.
    pub title: String,
}

/// A headed group of rows in a list.
#[derive(Clone, PartialEq, Eq)]
pub struct Section {
    /// The heading.
    pub title: String,
    /// The rows.
    pub rows: Vec<Row>,
}

/// A row of a list.
#[derive(Clone, PartialEq, Eq)]
pub struct Row {
    /// What comes back, and what the customer reads.
    pub choice: Choice,
    /// Small print under it.
    pub description: Option<String>,
}
