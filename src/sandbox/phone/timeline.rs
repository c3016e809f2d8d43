//! What happened, in order: what the customer saw, and what the upstream was asked.

use std::fmt;
use std::time::Duration;

use super::chat::{CustomerId, Refused};
use crate::message::MessageId;
use crate::message::clock::Timestamp;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// When.
    pub at: Timestamp,
    /// On whose phone; none if it concerns nobody whom the sandbox knows.
    pub customer: Option<CustomerId>,
    /// What.
    pub what: What,
}

/// What can happen.
#[derive(Clone, PartialEq, Eq)]
pub enum What {
    /// The customer sent a message or a reaction.
    CustomerWrote {
        /// It.
        message: MessageId,
    },
    /// The bot's webhook answered, or did not.
    WebhookAnswered {
        /// The message that the webhook was about.
        message: Option<MessageId>,
        /// What it said of it: `message`, `echo`, or a status such as `delivered`, or `injected`.
        event: &'static str,
        /// The status of the answer.
        status: Option<u16>,
        /// How long the answer took.
        took: Duration,
    },
    /// A call came in. Its effect, if it has one, may come later.
    Called {
        /// Which; the answer carries the same number.
        call: u64,
        /// What it asks for.
        what: Call,
    },
    /// The customer saw blue ticks on `message` and on everything before it.
    MarkedRead {
        /// The message that the call named.
        message: MessageId,
    },
    /// The dots came on.
    DotsOn {
        /// The message that the call named; the customer's newest, where calls name the chat.
        message: MessageId,
        /// Whether they said "recording" instead of "typing".
        recording: bool,
    },
    /// The dots went off.
    DotsOff {
        /// The message that they came on for.
        message: MessageId,
        /// Why.
        why: Why,
    },
    /// A typing call inside the cooldown: answered as a success, and nothing showed.
    TypingIgnored {
        /// The message that the call named.
        message: MessageId,
    },
    /// A message of the bot's reached the phone.
    Reply {
        /// It.
        message: MessageId,
        /// The bot's own name for it, from `biz_opaque_callback_data`.
        key: Option<String>,
        /// What kind it is: see [`Body::kind`](super::Body::kind).
        kind: String,
        /// Its words.
        text: String,
        /// The message that it quotes.
        quotes: Option<MessageId>,
    },
    /// A message reached the phone that a person wrote on the business's own.
    PersonWrote {
        /// It.
        message: MessageId,
    },
    /// The bot reacted to a message.
    Reacted {
        /// To which.
        message: MessageId,
        /// With what; empty if it took its reaction away.
        emoji: String,
    },
    /// A call was answered with success.
    Answered {
        /// Which.
        call: u64,
        /// What it asked for.
        what: Call,
    },
    /// A call was answered with an error.
    CallRefused {
        /// Which.
        call: u64,
        /// What it asked for.
        what: Call,
        /// The HTTP status.
        status: u16,
        /// The error's code; none if the answer has none.
        code: Option<i64>,
    },
    /// A call was never answered: the connection broke, or the caller gave up.
    CallUnanswered {
        /// Which.
        call: u64,
        /// What it asked for.
        what: Call,
    },
    /// Something that the real upstream would let pass, and that goes wrong there.
    Noted {
        /// What is odd.
        note: &'static str,
    },
}

impl What {
    /// Whether the customer could see it happen.
    pub fn is_visible(&self) -> bool {
        match self {
            Self::CustomerWrote { .. }
            | Self::MarkedRead { .. }
            | Self::DotsOn { .. }
            | Self::DotsOff { .. }
            | Self::Reply { .. }
            | Self::PersonWrote { .. }
            | Self::Reacted { .. } => true,
            Self::WebhookAnswered { .. }
            | Self::Called { .. }
            | Self::TypingIgnored { .. }
            | Self::Answered { .. }
            | Self::CallRefused { .. }
            | Self::CallUnanswered { .. }
            | Self::Noted { .. } => false,
        }
    }

    /// It in plain words, where `number` gives the number of a message. Holds nothing that anybody wrote.
    pub fn tell(&self, number: impl Fn(&MessageId) -> String) -> String {
        match self {
            Self::CustomerWrote { message } => format!("wrote {}", number(message)),
            Self::WebhookAnswered { message, event, status, .. } => {
                let about = message.as_ref().map(|message| format!(" {}", number(message))).unwrap_or_default();
                match status {
                    Some(status) => format!("webhook {event}{about}: {status}"),
                    None => format!("webhook {event}{about}: no answer"),
                }
            }
            Self::Called { call, what } => format!("call {call}: {what}"),
            Self::MarkedRead { message } => format!("read {}", number(message)),
            Self::DotsOn { message, recording: false } => format!("dots on, for {}", number(message)),
            Self::DotsOn { message, recording: true } => format!("recording on, for {}", number(message)),
            Self::DotsOff { why: Why::Reply, .. } => "dots off: reply".to_owned(),
            Self::DotsOff { why: Why::Lapsed, .. } => "dots off: lapsed".to_owned(),
            Self::DotsOff { why: Why::Stopped, .. } => "dots off: stopped".to_owned(),
            Self::TypingIgnored { message } => format!("typing ignored, for {}", number(message)),
            Self::Reply { message, kind, quotes, .. } => {
                let quotes = quotes.as_ref().map(|quoted| format!(", quotes {}", number(quoted))).unwrap_or_default();
                format!("reply {} ({kind}{quotes})", number(message))
            }
            Self::PersonWrote { message } => format!("a person wrote {}", number(message)),
            Self::Reacted { message, emoji } if emoji.is_empty() => format!("reaction off {}", number(message)),
            Self::Reacted { message, .. } => format!("reaction on {}", number(message)),
            Self::Answered { call, .. } => format!("call {call}: ok"),
            Self::CallRefused { call, status, code: Some(code), .. } => format!("call {call}: {status}, code {code}"),
            Self::CallRefused { call, status, code: None, .. } => format!("call {call}: {status}"),
            Self::CallUnanswered { call, .. } => format!("call {call}: no answer"),
            Self::Noted { note } => format!("note: {note}"),
        }
    }
}

impl fmt::Debug for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.tell(|_| "(…)".to_owned()))
    }
}

/// Why dots went off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// A message from the bot arrived.
    Reply,
    /// Their time was over.
    Lapsed,
    /// A call took them off.
    Stopped,
}

/// What a call to the upstream asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// Mark as read.
    Read,
    /// Mark as read, and show the dots.
    ReadAndTyping,
    /// Show the dots.
    Typing,
    /// Show that a voice message is being recorded.
    Recording,
    /// Take the dots off.
    Stop,
    /// Send something.
    Send,
    /// Take a medium in.
    Upload,
    /// Show a message.
    Look,
    /// Say where a medium is.
    Resolve,
    /// Hand a medium out.
    Download,
    /// Forget a medium.
    Delete,
    /// Nothing that the upstream knows.
    Unknown,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::ReadAndTyping => "read and typing",
            Self::Typing => "typing",
            Self::Recording => "recording",
            Self::Stop => "stop",
            Self::Send => "send",
            Self::Upload => "upload",
            Self::Look => "show a message",
            Self::Resolve => "resolve a medium",
            Self::Download => "download",
            Self::Delete => "delete a medium",
            Self::Unknown => "unknown",
        })
    }
}

impl From<Option<u16>> for Refused {
    fn from(status: Option<u16>) -> Self {
        status.map_or(Self::Unanswered, Self::Status)
    }
}
