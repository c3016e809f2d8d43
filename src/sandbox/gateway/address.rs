//! WhatsApp's addresses: of a phone number, of a person who hides it, of a group.

use crate::sandbox::Sandbox;
use crate::sandbox::phone::Customer;

/// The address of a phone number.
pub(super) fn of_number(digits: &str) -> String {
    format!("{digits}@s.whatsapp.net")
}

/// The address that says nothing about a customer's number.
pub(super) fn hidden(customer: &Customer) -> String {
    let digits: String = customer.user_id.chars().filter(char::is_ascii_digit).collect();
    format!("{}@lid", digits.trim_start_matches('0'))
}

/// A customer's own address, as far as the gateway knows it.
pub(super) fn of(customer: &Customer) -> String {
    if customer.hides_phone { hidden(customer) } else { of_number(customer.id.as_str()) }
}

/// The address of the chat with a customer.
pub(super) fn of_chat(customer: &Customer) -> String {
    match &customer.group {
        Some(group) if group.ends_with("@g.us") => group.clone(),
        Some(group) => format!("{group}@g.us"),
        None => of(customer),
    }
}

/// Whether it is of an address's form at all.
pub(super) fn is_one(address: &str) -> bool {
    let (user, server) = address.split_once('@').unwrap_or_default();
    !user.is_empty() && matches!(server, "s.whatsapp.net" | "lid" | "g.us")
}

/// The customer whose chat has this address. A chat with one person has two: both lead there.
pub(super) fn find(sandbox: &Sandbox, chat: &str) -> Option<Customer> {
    let is = |customer: &Customer| of_chat(customer) == chat || (customer.group.is_none() && hidden(customer) == chat);
    sandbox.phone.find_customer(is)
}

/// One piece of a path, without its escapes.
pub(super) fn decode(segment: &str) -> String {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = after.get(..2).filter(|_| *first == b'%').and_then(|digits| hex::decode(digits).ok());
        match escaped.as_deref() {
            Some([byte]) => {
                bytes.push(*byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
