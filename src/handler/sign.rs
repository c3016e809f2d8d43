//! The signature of what leaves for a handler: the Standard Webhooks scheme, version 1, symmetric.
//!
//! The receiver computes HMAC-SHA256 over `{webhook-id}.{webhook-timestamp}.{body}` with the secret's bytes, and
//! compares the base64 of that with what follows `v1,` in `webhook-signature`. Libraries for it exist in most
//! languages.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use crate::message::clock::Timestamp;

/// What a secret begins with.
const PREFIX: &str = "whsec_";
/// How long it may be, decoded, in bytes.
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;

/// The key that a handler's requests are signed with.
pub(super) struct RequestSigningKey(Zeroizing<Vec<u8>>);

impl RequestSigningKey {
    /// The key in a secret, written as the scheme wants it.
    pub(super) fn new(secret: &SecretString) -> Result<Self, String> {
        let written = secret.expose_secret().strip_prefix(PREFIX);
        let key = written.and_then(|key| BASE64_STANDARD.decode(key).ok()).map(Zeroizing::new);
        key.filter(|key| LENGTHS.contains(&key.len())).map(Self).ok_or_else(|| {
            "must be \"whsec_\" and 24 to 64 bytes in base64: `echo whsec_$(openssl rand -base64 32)` makes one".into()
        })
    }

    /// The value of `webhook-signature`.
    pub(super) fn sign(&self, id: &str, time: Timestamp, body: &[u8]) -> String {
        let seconds = (time.0 / 1000).to_string();
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("a key of any length will do");
        for piece in [id.as_bytes(), b".", seconds.as_bytes(), b".", body] {
            mac.update(piece);
        }
        format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_signs_as_the_schemes_own_example_does() {
        // The example of the scheme's specification and its libraries.
        let key =
            RequestSigningKey::new(&"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned().into()).expect("a secret");
        let signed = key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", Timestamp(1_614_265_330_999), b"{\"test\": 2432232314}");
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn what_is_no_such_secret_is_told_how_to_make_one() {
        for wrong in ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_c2hvcnQ=", "whsec_!!!!"] {
            let refused = RequestSigningKey::new(&wrong.to_owned().into()).err().expect("it is refused");
            assert!(refused.contains("openssl rand") && !refused.contains("c2hvcnQ"), "{refused}");
        }
    }
}
