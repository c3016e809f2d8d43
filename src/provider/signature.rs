//! Proof that a request comes from the upstream: HMAC over raw bytes, MD5 where an upstream knows nothing better, and
//! tokens. All compared in constant time.

use hmac::digest::block_api::EagerHash;
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq;

/// A secret as an HMAC key; HMAC-SHA256 if nothing else is said.
#[derive(Clone)]
pub struct SigningKey<H: EagerHash = Sha256>(Option<Hmac<H>>);

/// A secret as an HMAC-SHA512 key.
pub type SigningKey512 = SigningKey<Sha512>;

impl<H: EagerHash> SigningKey<H>
where
    Hmac<H>: KeyInit + Mac + Clone,
{
    /// A key of any length. An empty one vouches for nothing: everybody knows it.
    pub fn new(secret: &[u8]) -> Self {
        let key = |secret| <Hmac<H> as KeyInit>::new_from_slice(secret).expect("HMAC takes a key of any length");
        Self((!secret.is_empty()).then(|| key(secret)))
    }

    /// Whether `signature` is the one that this key gives for `parts`, read as one message.
    pub fn vouches_for(&self, parts: &[&[u8]], signature: &[u8]) -> bool {
        self.vouches_for_any(parts, &[signature])
    }

    /// Whether one of `signatures` is the one that this key gives for `parts`: they are read once, however many
    /// signatures a stranger may have sent along.
    pub fn vouches_for_any(&self, parts: &[&[u8]], signatures: &[impl AsRef<[u8]>]) -> bool {
        let Some(mut mac) = self.0.clone() else { return false };
        for part in parts {
            mac.update(part);
        }
        signatures.iter().any(|signature| mac.clone().verify_slice(signature.as_ref()).is_ok())
    }
}

/// The bytes that hexadecimal digits write, if they are `N`.
pub fn from_hex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let mut signature = [0; N];
    hex::decode_to_slice(digits, &mut signature).ok()?;
    Some(signature)
}

/// The MD5 of `parts`, read as one message, for an upstream that signs with it.
pub(crate) fn md5(parts: &[&[u8]]) -> [u8; 16] {
    let mut md5 = Md5::new();
    for part in parts {
        md5.update(part);
    }
    md5.finalize().into()
}

/// Whether the 32 hexadecimal `digits` write `digest`.
pub(crate) fn same_md5(digits: &str, digest: &[u8; 16]) -> bool {
    from_hex::<16>(digits).is_some_and(|theirs| theirs.ct_eq(digest).into())
}
