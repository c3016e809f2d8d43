//! What we call a message of Linq's, and what may be said about it.
//!
//! Linq names whole messages, by UUID. One message may carry several media, each of which is a message of its own to
//! us; and an edit or a reaction is news about a message that has no name at all. Both get the message's name with
//! something after a `#`, which no UUID has, so that whatever answers them still finds the message, and the part.

use crate::message::MessageId;

/// The name of what one part of a message says.
pub(super) fn of_part(message: &str, part: usize) -> MessageId {
    MessageId::new(format!("{message}#{part}"))
}

/// The name of something that happened to a message: the same again if it is delivered again.
pub(super) fn of_event(message: &str, event: &str) -> MessageId {
    MessageId::new(format!("{message}#event-{event}"))
}

/// What a name of ours stands for on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    pub(super) message: &'a str,
    pub(super) part: Option<u32>,
}

impl<'a> Target<'a> {
    pub(super) fn of(name: &'a MessageId) -> Self {
        match name.as_str().split_once('#') {
            Some((message, rest)) => Self { message, part: rest.parse().ok() },
            None => Self { message: name.as_str(), part: None },
        }
    }
}
