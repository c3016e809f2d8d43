//! Messages that have no place among those that wait: they could not be read, or not be kept as they are. They become
//! dead letters, so that nobody's message is gone without a trace.

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::message::clock::Timestamp;
use crate::message::{BotName, ChatId, Contact, ContactId, Content, Inbound, MessageId, MessageRef};
use crate::provider::Unread;
use crate::store::DeadLetter;

/// As much of a message that is too large is kept, in bytes.
const LONGEST: usize = 16 << 10;

/// A message that could not be read, as a letter, and why it is one.
pub(super) fn letter(bot: &BotName, unread: Unread, now: Timestamp) -> (Inbound, String) {
    let Unread { id, names, raw } = unread;
    let sender = names.first().cloned().unwrap_or_else(|| DeadLetter::NOBODY.to_owned());
    let is_phone = |name: &&String| {
        let digits = name.trim_start_matches('+');
        (7..=15).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit())
    };
    let at = MessageRef {
        bot: bot.clone(),
        chat: ChatId::new(&*sender),
        group: false,
        phone: names.iter().find(is_phone).map(|phone| ContactId::new(&**phone)),
        sender: ContactId::new(&*sender),
        aliases: names.iter().skip(1).map(|name| ContactId::new(&**name)).collect(),
        message: name(id.as_deref().unwrap_or(&raw)),
        time: now,
    };
    (around(at, raw), "it could not be read: it is not of the form that the provider's messages have".to_owned())
}

/// A message that cannot be kept as it is, as a letter, and why it is one.
pub(super) fn remains(message: &Inbound) -> (Inbound, String) {
    let mut raw = serde_json::to_string(&message.content).unwrap_or_default();
    raw.truncate(raw.floor_char_boundary(LONGEST));
    let at = MessageRef { message: name(message.at.message.as_str()), ..message.at.clone() };
    (around(at, raw), "it is too large or too deep to be kept whole: this is its beginning".to_owned())
}

fn around(at: MessageRef, raw: String) -> Inbound {
    let content = Content::Unknown { what: DeadLetter::UNREAD.to_owned(), raw: Value::String(raw) };
    Inbound {
        at,
        contact: Contact::default(),
        content,
        quotes: None,
        forwarded: false,
        referral: None,
        quoted: None,
        product: None,
    }
}

/// A name that is no message's: one that can be read later comes in under its own.
fn name(of: &str) -> MessageId {
    MessageId::new(format!("{}-{}", DeadLetter::UNREAD, hex::encode(&Sha256::digest(of)[..16])))
}
