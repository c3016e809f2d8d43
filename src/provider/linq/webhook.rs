//! Who is calling: Standard Webhooks' signature, and the one that Linq sent before it and still sends along.
//!
//! Both are HMAC-SHA256, and both cover the time of sending: the raw body after `{id}.{timestamp}.`, in base64, or
//! after `{timestamp}.`, in hexadecimal digits (Linq's webhook guide).

use std::time::Duration;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use crate::message::clock::Timestamp;
use crate::provider::signature::{SigningKey, from_hex};
use crate::provider::{SigningSecret, WebhookError, WebhookRequest};
use crate::runtime::http::Headers;

/// With padding or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What the key of the older signature is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LegacyKey {
    /// The secret as it is written, `whsec_` included.
    #[default]
    Full,
    /// The bytes that the secret stands for.
    Decoded,
}

/// Which signatures are accepted, and for how long.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    /// How far a signature's time may lie from now, on either side.
    pub(super) tolerance: Duration,
    /// What the older signature is checked with; none if it is not accepted.
    pub(super) legacy: Option<LegacyKey>,
}

/// What vouches for a request.
pub(super) struct LinqVerifier {
    keys: Vec<LinqKeys>,
    rules: Rules,
}

/// What one secret comes to. A scheme that it is no good for has an empty key, which vouches for nothing.
struct LinqKeys {
    standard: SigningKey,
    legacy: SigningKey,
    until: Option<Timestamp>,
}

impl LinqVerifier {
    pub(super) fn new(secrets: &[SigningSecret], rules: Rules) -> Self {
        let keys = |secret: &SigningSecret| {
            let (full, decoded) = (secret.secret.expose_secret(), decoded(secret).unwrap_or_default());
            let legacy = match rules.legacy {
                Some(LegacyKey::Full) => full.as_bytes(),
                Some(LegacyKey::Decoded) => &decoded,
                None => &[],
            };
            LinqKeys { standard: SigningKey::new(&decoded), legacy: SigningKey::new(legacy), until: secret.until }
        };
        Self { keys: secrets.iter().map(keys).collect(), rules }
    }

    /// Whether a delivery is signed by a secret that has not ended, at about this time, over exactly the bytes that
    /// arrived.
    pub(super) fn verify(&self, request: &WebhookRequest) -> Result<(), WebhookError> {
        let legacy = self.rules.legacy.and_then(|_| Proof::legacy(&request.headers));
        let proofs: Vec<Proof<'_>> = Proof::standard(&request.headers).into_iter().chain(legacy).collect();
        if proofs.is_empty() {
            return Err(WebhookError::Unsigned);
        }
        let mut good = proofs.iter().filter(|proof| self.vouches_for(proof, request)).peekable();
        good.peek().ok_or(WebhookError::WrongSignature)?;
        good.any(|proof| self.is_fresh(proof, request.received)).then_some(()).ok_or(WebhookError::Stale)
    }

    fn vouches_for(&self, proof: &Proof<'_>, request: &WebhookRequest) -> bool {
        let mut live = self.keys.iter().filter(|keys| keys.until.is_none_or(|until| request.received < until));
        let (timestamp, body) = (proof.timestamp.as_bytes(), &*request.body);
        live.any(|keys| match proof.id {
            Some(id) => {
                let parts = [id.as_bytes(), b".", timestamp, b".", body];
                keys.standard.vouches_for_any(&parts, &proof.signatures)
            }
            None => keys.legacy.vouches_for_any(&[timestamp, b".", body], &proof.signatures),
        })
    }

    fn is_fresh(&self, proof: &Proof<'_>, now: Timestamp) -> bool {
        proof.timestamp.trim().parse().map(Timestamp::from_secs).is_ok_and(|sent| {
            let apart = now.since(sent).max(sent.since(now));
            apart <= self.rules.tolerance
        })
    }
}

/// The bytes that a secret stands for: what follows `whsec_`, in base64.
pub(super) fn decoded(secret: &SigningSecret) -> Option<Vec<u8>> {
    let secret = secret.secret.expose_secret();
    BASE64.decode(secret.strip_prefix("whsec_").unwrap_or(secret)).ok().filter(|key| !key.is_empty())
}

/// What a request shows for itself.
struct Proof<'a> {
    /// The delivery's identifier, which the older signature does not cover.
    id: Option<&'a str>,
    timestamp: &'a str,
    /// One of them has to be right.
    signatures: Vec<Vec<u8>>,
}

impl<'a> Proof<'a> {
    fn standard(headers: &'a Headers) -> Option<Self> {
        let signatures = headers.get("webhook-signature")?.split_whitespace();
        // Other versions are signatures of another sort, for others to check.
        let signatures = signatures.filter_map(|signature| BASE64.decode(signature.strip_prefix("v1,")?).ok());
        Some(Self {
            id: Some(headers.get("webhook-id")?),
            timestamp: headers.get("webhook-timestamp")?,
            signatures: signatures.collect(),
        })
    }

    fn legacy(headers: &'a Headers) -> Option<Self> {
        let digits = headers.get("x-webhook-signature")?;
        let signature = from_hex::<32>(digits.strip_prefix("sha256=").unwrap_or(digits));
        Some(Self {
            id: None,
            timestamp: headers.get("x-webhook-timestamp")?,
            signatures: signature.into_iter().map(Vec::from).collect(),
        })
    }
}
