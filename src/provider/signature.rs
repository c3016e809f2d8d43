//! Proof that a request comes from the upstream: HMAC-SHA256 and HMAC-SHA512 over raw bytes, and tokens. All in
//! constant time.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq;

/// A secret as an HMAC-SHA256 key.
#[derive(Clone)]
pub(crate) struct SigningKey(Option<Hmac<Sha256>>);

impl SigningKey {
    /// A key of any length. An empty one vouches for nothing: everybody knows it.
    pub(crate) fn new(secret: &[u8]) -> Self {
        Self((!secret.is_empty()).then(|| Hmac::new_from_slice(secret).expect("HMAC takes a key of any length")))
    }

    /// Whether `signature` is the one that this key gives for `parts`, read as one message.
    pub(crate) fn vouches_for(&self, parts: &[&[u8]], signature: &[u8]) -> bool {
        let Some(mut mac) = self.0.clone() else { return false };
        for part in parts {
            mac.update(part);
        }
        mac.verify_slice(signature).is_ok()
    }
}

/// A secret as an HMAC-SHA512 key.
#[derive(Clone)]
pub(crate) struct SigningKey512(Option<Hmac<Sha512>>);

impl SigningKey512 {
    /// A key of any length. An empty one vouches for nothing.
    pub(crate) fn new(secret: &[u8]) -> Self {
        Self((!secret.is_empty()).then(|| Hmac::new_from_slice(secret).expect("HMAC takes a key of any length")))
    }

    /// Whether `signature` is the one that this key gives for `message`.
    pub(crate) fn vouches_for(&self, message: &[u8], signature: &[u8]) -> bool {
        let Some(mut mac) = self.0.clone() else { return false };
        mac.update(message);
        mac.verify_slice(signature).is_ok()
    }
}

/// The 32 bytes that 64 hexadecimal digits write.
pub(crate) fn from_hex(digits: &str) -> Option<[u8; 32]> {
    let mut signature = [0; 32];
    hex::decode_to_slice(digits, &mut signature).ok()?;
    Some(signature)
}

/// Whether two tokens are the same, without telling by the time it takes how long ours is or where they differ.
pub(crate) fn same_token(theirs: &str, ours: &str) -> bool {
    Sha256::digest(theirs).ct_eq(&Sha256::digest(ours)).into()
}
