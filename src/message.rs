//! The values that everything speaks: who wrote what, where, and what we say back.
//!
//! Nothing in here knows a provider, a store or a handler. What a person wrote, and every identifier that
//! is or contains a phone number, has a `Debug` that shows nothing of it: these values pass through code that logs.

pub mod clock;
mod contact_ids;
pub mod content;
mod format;
mod history;
pub mod json;
pub(crate) mod markdown;
pub(crate) mod marks;
mod mention;
mod phone;
pub mod question;
pub mod rendering;
pub mod reply;
pub mod secret;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::message::clock::Timestamp;
pub(crate) use contact_ids::written;
pub use contact_ids::{ContactIds, NotAContact, contact_key};
pub use content::{Content, ContentKind, MediaKind, MediaRef};
pub use format::Format;
pub use history::{Count, HistoryEntry, Speaker, Summary};
pub use question::Question;
pub use reply::{Media, MediaSource, Part, Payload, Reply};

/// The name of a bot: one number or line of ours on one provider. Chosen by the operator; safe to log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BotName(Arc<str>);

impl BotName {
    /// Wraps a name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An upstream's identifier which is, or contains, a phone number: usable, comparable, never printed.
macro_rules! private_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Wraps what the upstream sent.
            pub fn new(id: impl Into<Arc<str>>) -> Self {
                Self(id.into())
            }

            /// The identifier, for a wire or a store; never for a log.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    };
}

private_id! {
    /// A chat on the upstream: with one person, or a group. With a bot's name it makes a [`Conversation`].
    ChatId
}
private_id! {
    /// A person on the upstream, by the most lasting identifier that it gives.
    ContactId
}
private_id! {
    /// A message on the upstream.
    MessageId
}

/// Bot and chat: the unit of order, of memory, and of "typing".
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Conversation {
    /// Which bot.
    pub bot: BotName,
    /// Which chat of that bot's.
    pub chat: ChatId,
}

/// Everything any upstream needs in order to answer one message, to mark it as read, or to show "typing" for it.
///
/// Some upstreams key these calls by message, others by chat, others by phone number, so the reference carries them
/// all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageRef {
    /// The bot that received it.
    pub bot: BotName,
    /// The chat it stands in.
    pub chat: ChatId,
    /// Whether that chat is a group.
    #[serde(default)]
    pub group: bool,
    /// Who wrote it.
    pub sender: ContactId,
    /// The sender's phone number as the upstream gave it, if it gave one.
    #[serde(default)]
    pub phone: Option<ContactId>,
    /// What else the upstream calls the sender: they are found by it, and never written to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<ContactId>,
    /// The message.
    pub message: MessageId,
    /// When it was written, by the upstream's clock.
    pub time: Timestamp,
}

impl MessageRef {
    /// The conversation it belongs to.
    pub fn conversation(&self) -> Conversation {
        Conversation { bot: self.bot.clone(), chat: self.chat.clone() }
    }
}

/// Where somebody is written to who is not being answered.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The chat.
    pub chat: ChatId,
    /// Whether it is a group.
    pub group: bool,
    /// Whom it is with; of a group, the group itself.
    pub sender: ContactId,
    /// That person's phone number, if it is known.
    pub phone: Option<ContactId>,
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address(…)")
    }
}

/// Who wrote to us, as far as the upstream tells.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Contact {
    /// The name that the person shows.
    pub name: Option<String>,
    /// The person's username, on upstreams that have them.
    pub username: Option<String>,
}

impl fmt::Debug for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Contact(…)")
    }
}

/// A message from a customer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inbound {
    /// Where it stands, and how to answer it.
    pub at: MessageRef,
    /// Who wrote it.
    #[serde(default)]
    pub contact: Contact,
    /// What it says.
    pub content: Content,
    /// The message that it quotes.
    #[serde(default)]
    pub quotes: Option<MessageId>,
    /// Whether it was forwarded from another chat.
    #[serde(default)]
    pub forwarded: bool,
    /// What is known of the message that it quotes, or that it is about ([`Content::about`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quoted: Option<Quoted>,
    /// The advertisement through which the person came.
    #[serde(default)]
    pub referral: Option<Referral>,
    /// The product of a catalogue from whose page the person writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<Product>,
}

/// A message that another one quotes, as far as the upstream tells.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Quoted {
    /// Its words.
    pub words: Option<String>,
    /// Whether the business sent it, if the upstream says so.
    pub by_us: Option<bool>,
    /// Who wrote it, if it was not the business and that is known.
    pub sender: Option<ContactId>,
    /// The name that whoever wrote it shows, if it is known.
    pub name: Option<String>,
}

impl Quoted {
    /// The same, unless it says nothing.
    pub(crate) fn if_anything(self) -> Option<Self> {
        (self != Self::default()).then_some(self)
    }
}

impl fmt::Debug for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Quoted(…)")
    }
}

/// A product of a catalogue.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Product {
    /// The catalogue.
    pub catalog: Option<String>,
    /// The product, by the business's own identifier.
    pub product: String,
}

impl fmt::Debug for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Product(…)")
    }
}

/// The advertisement or post through which a person opened the chat.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Referral {
    /// Its address.
    pub url: Option<String>,
    /// The upstream's identifier for it.
    pub id: Option<String>,
    /// What it is: an `ad` or a `post`, as the upstream says.
    pub source_type: Option<String>,
    /// The identifier of the click: what a sale is reported to Meta with.
    pub ctwa_clid: Option<String>,
    /// What its medium is: `image` or `video`.
    pub media_type: Option<String>,
    /// Where its picture is, if it has one.
    pub image_url: Option<String>,
    /// Where its film is, if it has one.
    pub video_url: Option<String>,
    /// Where a small picture of its film is, if it has one.
    pub thumbnail_url: Option<String>,
    /// Its headline.
    pub headline: Option<String>,
    /// Its text.
    pub body: Option<String>,
    /// What the chat greeted the person with.
    pub welcome_message: Option<String>,
}

impl fmt::Debug for Referral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Referral(…)")
    }
}

/// Our own name for one part of one reply, sent along with it where the upstream echoes such a thing.
///
/// Contains nothing of the customer's: safe to log, and safe to hand to an upstream.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PartKey(String);

impl PartKey {
    /// What every key of the outbox's begins with, and no upstream's own identifier does.
    pub const PREFIX: &'static str = "3d-";

    /// Wraps a key.
    pub fn new(key: impl Into<String>) -> Self {
        Self(key.into())
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What an upstream reports about a message of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryStatus {
    /// The bot that sent it.
    pub bot: BotName,
    /// The upstream's name for it.
    pub message: MessageId,
    /// Our name for it, where the upstream echoes it.
    pub key: Option<PartKey>,
    /// How far it has come.
    pub stage: Stage,
    /// When, by the upstream's clock.
    pub time: Timestamp,
}

/// A message that was sent to a customer from the business's own number, and not by a customer: by a person on the
/// business's phone or, on upstreams that say no more than that, perhaps by us.
#[derive(Clone, PartialEq, Eq)]
pub struct Echo {
    /// The bot whose number it is.
    pub bot: BotName,
    /// The chat that it stands in, if the upstream says so.
    pub chat: Option<ChatId>,
    /// The customer's phone number, if the upstream gave it and the chat is no group.
    pub phone: Option<ContactId>,
    /// The message.
    pub message: MessageId,
    /// Its words, if it has any.
    pub words: Option<String>,
    /// What the history is told of it: its words, and what else is in it. See
    /// [`by_person`](crate::message::rendering::by_person).
    pub told: Option<String>,
    /// When it was written, by the upstream's clock.
    pub time: Timestamp,
}

impl fmt::Debug for Echo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Echo(…)")
    }
}

/// What a person has told the upstream about being sent things unasked.
#[derive(Clone, PartialEq, Eq)]
pub struct MarketingPreference {
    /// Whose messages it is about.
    pub bot: BotName,
    /// The person's chat, where the upstream has an identifier of its own for it.
    pub chat: Option<ChatId>,
    /// The person's phone number, if the upstream gave it.
    pub phone: Option<ContactId>,
    /// Whether they want none of it.
    pub opts_out: bool,
    /// Whether the upstream takes it so by a rule of its own, and the person has not said as much: what such a rule
    /// brings about it ends again, and nothing else.
    pub by_rule: bool,
    /// When they said so, by the upstream's clock.
    pub time: Timestamp,
}

/// Words by which an upstream takes somebody for opted out, where they are all that a message says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OptOutWords {
    /// Those that have to be written exactly so.
    pub exact: &'static [&'static str],
    /// Those for which small and capital letters, spaces and hyphens do not matter: written small, and without either.
    pub loose: &'static [&'static str],
}

impl OptOutWords {
    /// None.
    pub const NONE: Self = Self { exact: &[], loose: &[] };

    /// Whether `said` is one of them, and nothing else.
    pub fn are(&self, said: &str) -> bool {
        let said = said.trim();
        let squeezed = || said.chars().filter(|c| !matches!(c, ' ' | '-')).flat_map(char::to_lowercase);
        self.exact.contains(&said) || self.loose.iter().any(|word| squeezed().eq(word.chars()))
    }
}

impl fmt::Debug for MarketingPreference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wish({}, …)", if self.opts_out { "out" } else { "in" })
    }
}

/// What an upstream tells of somebody's new phone number or identifier.
#[derive(Clone, PartialEq, Eq)]
pub struct Renamed {
    /// Whose contact it is.
    pub bot: BotName,
    /// What they are not called any longer.
    pub former: Vec<ContactId>,
    /// What they are called now, and where they are written to.
    pub now: Address,
}

impl fmt::Debug for Renamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Renamed(…)")
    }
}

/// How far a message of ours has come. Ordered: a later stage replaces an earlier one, never the reverse.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The upstream has it.
    Sent,
    /// The customer's phone has it.
    Delivered,
    /// The customer has seen it.
    Read,
    /// The customer has listened to it.
    Played,
    /// It will not arrive. The upstream's error code, if it gave one.
    Failed(Option<i64>),
}
