//! The names of chats and people: `491700000@c.us`, `…@g.us`, `…@lid` (WAHA's page "Receive messages").
//!
//! `@s.whatsapp.net` is the engine's own way to write `@c.us`, which is the one that calls take.

use crate::message::{Address, ChatId, ContactId};
use crate::provider::lenient::Object;

/// The name of a chat or person as calls take it, however the engine wrote it; none if it is no name at all.
pub(super) fn name(written: &str) -> Option<String> {
    let written: String = written.chars().filter(|c| !c.is_whitespace() && *c != '+').collect();
    let (user, server) = match written.split_once('@') {
        Some(parts) => parts,
        // A bare number is somebody's.
        None if written.bytes().all(|byte| byte.is_ascii_digit()) => (written.as_str(), "c.us"),
        None => return None,
    };
    let server = if server == "s.whatsapp.net" { "c.us" } else { server };
    // `:7` names one of a person's devices.
    let user = if is_persons(server) { user.split(':').next().unwrap_or_default() } else { user };
    (!user.is_empty() && !server.is_empty()).then(|| format!("{user}@{server}"))
}

/// A name that stands in an object: as text, or taken apart as WhatsApp Web does it.
pub(super) fn named(object: Object<'_>, key: &str) -> Option<String> {
    let written = object.text(key).or_else(|| object.object(key)?.text("_serialized"))?;
    name(&written)
}

/// Where a person is written to who has not written: by phone number, or by the name of the chat.
pub(super) fn address(contact: &str) -> Option<Address> {
    let contact: String = contact.chars().filter(|c| !matches!(c, '-' | '(' | ')' | '/')).collect();
    let name = name(&contact).filter(|name| name.split_once('@').is_some_and(|(_, server)| is_persons(server)))?;
    let (chat, phone) = (ChatId::new(name.as_str()), phone(&name).map(ContactId::new));
    Some(Address { chat, group: false, sender: ContactId::new(name), phone })
}

/// Whether a chat is a group.
pub(super) fn is_group(chat: &str) -> bool {
    chat.ends_with("@g.us")
}

/// Whether a chat is a channel, a broadcast list or somebody's status: nobody waits for an answer there.
pub(super) fn is_public(chat: &str) -> bool {
    chat.ends_with("@newsletter") || chat.ends_with("@broadcast")
}

/// A person's phone number, where the name is made of it. A hidden name (`@lid`) is not.
pub(super) fn phone(person: &str) -> Option<&str> {
    person.strip_suffix("@c.us").filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()))
}

/// Whether a name is a person's.
pub(super) fn is_person(name: &str) -> bool {
    name.split_once('@').is_some_and(|(_, server)| is_persons(server))
}

fn is_persons(server: &str) -> bool {
    matches!(server, "c.us" | "lid")
}
