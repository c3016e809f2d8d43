//! What we call a message of Linq's, and what may be said about it.
//!
//! Linq names whole messages, by UUID. One message may carry several media, each of which is a message of its own to
//! us; and an edit or a reaction is news about a message that has no name at all. Both get the message's name with
//! something after a `#`, which no UUID has, so that whatever answers them still finds the message, and the part.

use crate::message::{Address, ChatId, ContactId, MessageId, MessageRef};

/// Where somebody is written to who has not written, by phone number or e-mail. Until Linq has said what it calls the
/// chat, it goes by that.
pub(super) fn address(contact: &str) -> Option<Address> {
    let contact = contact.trim();
    let digits: String = contact.chars().filter(|c| !c.is_whitespace() && !"+-()./".contains(*c)).collect();
    if (7..=15).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit()) {
        let handle = ContactId::new(format!("+{digits}"));
        let chat = ChatId::new(digits);
        return Some(Address { chat, group: false, sender: handle.clone(), phone: Some(handle) });
    }
    let (user, host) = contact.split_once('@')?;
    let is_email = !user.is_empty() && host.contains('.') && !contact.contains(char::is_whitespace);
    let (chat, sender) = (ChatId::new(contact), ContactId::new(contact));
    is_email.then_some(Address { chat, group: false, sender, phone: None })
}

/// Whether the chat with a person has no name of Linq's yet.
pub(super) fn is_new(to: &MessageRef) -> bool {
    !to.group && to.sender.as_str().trim_start_matches('+') == to.chat.as_str()
}

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
