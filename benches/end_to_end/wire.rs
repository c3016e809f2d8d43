//! The bytes on the wire: webhooks as Meta signs them, and the names by which messages are found again.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::board::Ticket;

pub(crate) const APP_SECRET: &str = "an app secret for a benchmark";
pub(crate) const ACCESS_TOKEN: &str = "an access token for a benchmark";
pub(crate) const GRAPH_VERSION: &str = "v25.0";

/// A bot, as the outside knows it: its webhook's path, and its number.
#[derive(Clone, Copy)]
pub(crate) struct Bot {
    pub(crate) name: &'static str,
    pub(crate) phone_number_id: &'static str,
}

/// Asks a language model.
pub(crate) const SHOP: Bot = Bot { name: "shop", phone_number_id: "109900000000001" };
/// Answers without one.
pub(crate) const SLOW: Bot = Bot { name: "slow", phone_number_id: "109900000000002" };

/// A keyed hash that has not seen anything yet.
pub(crate) fn signer() -> Hmac<Sha256> {
    Hmac::new_from_slice(APP_SECRET.as_bytes()).expect("HMAC takes a key of any length")
}

/// A whole request that carries one signed webhook.
pub(crate) fn webhook(signer: &Hmac<Sha256>, bot: Bot, ticket: Ticket, words: &str, into: &mut Vec<u8>) {
    let Ticket { message, sender } = ticket;
    let body = format!(
        concat!(
            r#"{{"object":"whatsapp_business_account","entry":[{{"id":"990000000000001","changes":[{{"value":"#,
            r#"{{"messaging_product":"whatsapp","metadata":{{"display_phone_number":"12025550100","#,
            r#""phone_number_id":"{}"}},"contacts":[{{"profile":{{"name":"Customer {sender}"}},"#,
            r#""wa_id":"1555{sender:07}","user_id":"US.BENCH{sender:07}"}}],"messages":[{{"from":"1555{sender:07}","#,
            r#""from_user_id":"US.BENCH{sender:07}","id":"wamid.BENCH{message:07}","timestamp":"{}","type":"text","#,
            r#""text":{{"body":"{}"}}}}]}},"field":"messages"}}]}}]}}"#
        ),
        bot.phone_number_id,
        seconds(),
        words,
        sender = sender,
        message = message,
    );
    let mut signed = signer.clone();
    signed.update(body.as_bytes());
    into.clear();
    let written = write!(
        into,
        "POST /webhooks/{} HTTP/1.1\r\nhost: bench\r\nuser-agent: facebookexternalua\r\ncontent-type: \
         application/json\r\nx-hub-signature-256: sha256={}\r\ncontent-length: {}\r\n\r\n{body}",
        bot.name,
        hex::encode(signed.finalize().into_bytes()),
        body.len(),
    );
    written.expect("writing to memory");
}

/// The number of a message, from its name.
pub(crate) fn message_number(id: &str) -> Option<usize> {
    id.strip_prefix("wamid.BENCH")?.parse().ok()
}

/// The number of a sender, from the phone number that a reply goes to.
pub(crate) fn sender_number(phone: &str) -> Option<usize> {
    phone.trim_start_matches('+').strip_prefix("1555")?.parse().ok()
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
