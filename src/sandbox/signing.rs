//! The bytes of a webhook, and their signature.

use std::fmt::Write as _;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::{Sha256, Sha512};

/// JSON as the upstream writes it: every character outside ASCII as `\uXXXX` with lower-case digits, and every slash
/// with a backslash.
pub(super) fn to_wire(value: &Value) -> Bytes {
    let plain = value.to_string();
    let mut wire = String::with_capacity(plain.len() + 16);
    for character in plain.chars() {
        match character {
            '/' => wire.push_str("\\/"),
            ascii if ascii.is_ascii() => wire.push(ascii),
            // JSON has them inside strings alone, so a replacement anywhere is one inside a string.
            other => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    let _ = write!(wire, "\\u{unit:04x}");
                }
            }
        }
    }
    Bytes::from(wire)
}

/// HMAC-SHA256 over exactly these bytes, in lower-case hexadecimal digits.
pub(super) fn sha256_hex(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

/// HMAC-SHA512 over exactly these bytes, in lower-case hexadecimal digits.
pub(super) fn sha512_hex(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha512>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}
