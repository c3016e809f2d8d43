//! Identifiers in Linq's grammar: all of them are UUIDs.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::sandbox::Sandbox;
use crate::sandbox::phone::Customer;

/// The UUID of something that has a name already: the same on every run.
pub(super) fn uuid_of(name: &str) -> String {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&Sha256::digest(name)[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    dashed(&hex::encode(bytes))
}

pub(super) fn is_uuid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && text.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
}

/// The chat that a customer stands in. The members of a group share one.
pub(super) fn chat_of(customer: &Customer) -> String {
    match &customer.group {
        Some(group) => uuid_of(&format!("group {group}")),
        None => uuid_of(&format!("chat {}", customer.id.as_str())),
    }
}

/// Whose chat this is.
pub(super) fn customer(sandbox: &Sandbox, chat: &str) -> Option<Customer> {
    sandbox.phone.find_customer(|customer| chat_of(customer).eq_ignore_ascii_case(chat))
}

/// Who is reached by this handle.
pub(super) fn reached(sandbox: &Sandbox, by: &str) -> Option<Customer> {
    sandbox.phone.find_customer(|customer| customer.group.is_none() && handle(customer) == by)
}

/// How a person can be reached: by phone number, or by e-mail where the number is kept back.
pub(super) fn handle(customer: &Customer) -> String {
    if customer.hides_phone {
        return format!("{}@example.com", customer.user_id.to_ascii_lowercase());
    }
    format!("+{}", customer.id.as_str())
}

/// What Linq calls a medium that the sandbox knows by digits.
pub(super) fn attachment(medium: &str) -> String {
    dashed(&format!("{medium:0>32}"))
}

/// The digits behind [`attachment`].
pub(super) fn medium(attachment: &str) -> Option<String> {
    let digits = attachment.replace('-', "");
    is_uuid(attachment).then(|| digits.trim_start_matches('0').to_owned())
}

fn dashed(digits: &str) -> String {
    let mut uuid = String::with_capacity(36);
    for (at, digit) in digits.chars().enumerate() {
        if matches!(at, 8 | 12 | 16 | 20) {
            uuid.push('-');
        }
        let _ = write!(uuid, "{digit}");
    }
    uuid
}
