//! Where somebody is written to who has not written.

use super::sender;
use crate::message::{Address, ChatId, ContactId};

/// By phone number, or by an identifier of the business's own: two letters of a country, a dot, and what WhatsApp has
/// put behind it.
pub(crate) fn address(contact: &str) -> Option<Address> {
    let contact = contact.trim();
    let phone = sender::phone(contact).filter(|digits| (7..=15).contains(&digits.len()));
    let name = phone.clone().or_else(|| is_user_id(contact).then(|| contact.to_owned()))?;
    let (chat, sender) = (ChatId::new(name.as_str()), ContactId::new(name));
    Some(Address { chat, group: false, sender, phone: phone.map(ContactId::new) })
}

fn is_user_id(name: &str) -> bool {
    let Some((country, rest)) = name.split_once('.') else { return false };
    let is_country = country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase());
    is_country && (1..=128).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.')
}
