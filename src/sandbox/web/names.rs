//! How WhatsApp Web names chats, people and messages (WAHA's pages "Receive messages" and "Events").

use crate::message::MessageId;
use crate::sandbox::ids::Ids;
use crate::sandbox::phone::{Customer, Side};

/// The name of a customer's chat: a group's, a hidden one, or one made of the number.
pub(in crate::sandbox) fn chat(customer: &Customer) -> String {
    match &customer.group {
        // An underscore would end the chat's part of a message's name.
        Some(group) if group.ends_with("@g.us") => group.replace('_', "-"),
        Some(group) => format!("{}@g.us", group.replace(['_', '@'], "-")),
        None => person(customer),
    }
}

/// The name of a customer.
pub(in crate::sandbox) fn person(customer: &Customer) -> String {
    if !customer.hides_phone {
        return format!("{}@c.us", customer.id.as_str());
    }
    let fold = |hash: u64, byte: u8| hash.wrapping_mul(31).wrapping_add(u64::from(byte));
    let hash = customer.user_id.bytes().fold(17, fold);
    format!("{:015}@lid", 100_000_000_000_000 + hash % 900_000_000_000_000)
}

/// A new message's name: whose it is, the chat, a stanza, and in groups the writer.
pub(in crate::sandbox) fn message(ids: &Ids, customer: &Customer, from: Side) -> MessageId {
    let (chat, stanza) = (chat(customer), stanza(ids));
    MessageId::new(match from {
        Side::Bot | Side::Person => format!("true_{chat}_{stanza}"),
        Side::Customer if customer.group.is_some() => format!("false_{chat}_{stanza}_{}", person(customer)),
        Side::Customer => format!("false_{chat}_{stanza}"),
    })
}

/// The part of a message's name that WhatsApp itself knows it by.
pub(in crate::sandbox) fn stanza_of(message: &MessageId) -> &str {
    message.as_str().split('_').nth(2).unwrap_or_default()
}

/// Hexadecimal digits, as WhatsApp Web begins them.
fn stanza(ids: &Ids) -> String {
    format!("3EB0{}", ids.token().to_uppercase())
}
