//! Who is calling. WAHA signs with HMAC-SHA512; what Wawp does is not certain, so its ways are configured, and a token
//! in the webhook's address stands beside them. Nothing signs a time: a replay is a duplicate by its message's name.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::message::secret::SecretRef;
use crate::message::secret::same_token;
use crate::provider::signature::{SigningKey, SigningKey512};
use crate::provider::{Resolve, WebhookError, WebhookRequest};

/// Where a signature stands, and what kind it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Signature {
    /// The header that carries it.
    pub header: String,
    /// How it is made.
    pub algorithm: Algorithm,
    /// How its bytes are written. Of no meaning for `plain`.
    pub encoding: Encoding,
    /// What stands before it in the header.
    pub prefix: String,
}

impl Default for Signature {
    fn default() -> Self {
        let header = "X-Wawp-Signature".to_owned();
        Self { header, algorithm: Algorithm::Sha256, encoding: Encoding::Hex, prefix: String::new() }
    }
}

/// How a signature is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// HMAC-SHA256 over the raw body.
    Sha256,
    /// HMAC-SHA512 over the raw body.
    Sha512,
    /// It is the secret itself.
    Plain,
}

impl Algorithm {
    fn word(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
            Self::Plain => "plain",
        }
    }
}

/// How a signature's bytes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// As hexadecimal digits.
    Hex,
    /// In base64.
    Base64,
}

impl Encoding {
    fn bytes(self, written: &str) -> Option<Vec<u8>> {
        match self {
            Self::Hex => hex::decode(written).ok(),
            Self::Base64 => BASE64_STANDARD.decode(written).ok(),
        }
    }
}

/// What a configuration says about who may call, by the names that its keys have there.
pub(super) struct Trust<'a> {
    pub(super) webhook_secret: &'a SecretRef,
    pub(super) signatures: &'a [Signature],
    pub(super) url_token: &'a SecretRef,
    pub(super) url_token_key: &'a str,
    pub(super) accept_unsigned: bool,
    /// A header that names the signature's algorithm, if it is there.
    pub(super) algorithm_header: Option<&'static str>,
}

/// What vouches for a request: one of these is enough.
pub(super) struct WawpVerifier {
    signed: Option<WawpKeys>,
    signatures: Vec<Signature>,
    algorithm_header: Option<&'static str>,
    token: Option<(String, SecretString)>,
    accept_unsigned: bool,
}

struct WawpKeys {
    short: SigningKey,
    long: SigningKey512,
    plain: SecretString,
}

impl WawpVerifier {
    pub(super) fn new(trust: &Trust<'_>, resolve: &mut Resolve<'_>) -> Self {
        let nothing = SecretRef::default();
        let (has_secret, has_token) = (*trust.webhook_secret != nothing, *trust.url_token != nothing);
        let problem = "is missing: give the place of the secret as \"env:NAME\" or \"file:PATH\", or set url_token, or \
                       say accept_unsigned = true: then whoever knows the address may write in your customers' names";
        resolve.require(has_secret || has_token || trust.accept_unsigned, "webhook_secret", problem);
        let problem = "must be false beside webhook_secret or url_token: it would make them worthless";
        resolve.require(!(trust.accept_unsigned && (has_secret || has_token)), "accept_unsigned", problem);
        let problem = "is an empty list: the secret could not vouch for anything";
        resolve.require(!has_secret || !trust.signatures.is_empty(), "signatures", problem);
        for (number, signature) in trust.signatures.iter().enumerate() {
            let key = format!("signatures[{number}].header");
            resolve.require(!signature.header.trim().is_empty(), &key, "is empty: write the name of a header");
        }
        let problem = "is empty: write the name of a query parameter";
        resolve.require(!trust.url_token_key.is_empty(), "url_token_key", problem);
        let secret = has_secret.then(|| resolve.secret("webhook_secret", trust.webhook_secret));
        let token = has_token.then(|| resolve.secret("url_token", trust.url_token));
        Self {
            signed: secret.map(|secret| WawpKeys {
                short: SigningKey::new(secret.expose_secret().as_bytes()),
                long: SigningKey512::new(secret.expose_secret().as_bytes()),
                plain: secret,
            }),
            signatures: trust.signatures.to_vec(),
            algorithm_header: trust.algorithm_header,
            token: token.map(|token| (trust.url_token_key.to_owned(), token)),
            accept_unsigned: trust.accept_unsigned,
        }
    }

    /// Whether a request is authentic, judged by exactly the bytes that arrived.
    pub(super) fn verify(&self, request: &WebhookRequest) -> Result<(), WebhookError> {
        let mut proofs = Vec::new();
        if let Some(keys) = &self.signed {
            proofs.extend(self.signatures.iter().filter_map(|signature| self.signed_by(keys, signature, request)));
        }
        if let Some((key, token)) = &self.token {
            proofs.extend(parameter(&request.query, key).map(|theirs| same_token(&theirs, token.expose_secret())));
        }
        match proofs.as_slice() {
            _ if self.accept_unsigned || proofs.contains(&true) => Ok(()),
            [] => Err(WebhookError::Unsigned),
            _ => Err(WebhookError::WrongSignature),
        }
    }

    /// Whether a signature is right; none if it is not there.
    fn signed_by(&self, keys: &WawpKeys, signature: &Signature, request: &WebhookRequest) -> Option<bool> {
        let written = request.headers.get(&signature.header)?;
        let Some(written) = written.strip_prefix(&*signature.prefix) else { return Some(false) };
        let stated = self.algorithm_header.and_then(|header| request.headers.get(header));
        let is_another = stated.is_some_and(|stated| !stated.eq_ignore_ascii_case(signature.algorithm.word()));
        let bytes = || signature.encoding.bytes(written);
        Some(match signature.algorithm {
            Algorithm::Plain => same_token(written, keys.plain.expose_secret()),
            _ if is_another => false,
            Algorithm::Sha256 => bytes().is_some_and(|bytes| keys.short.vouches_for(&[&request.body], &bytes)),
            Algorithm::Sha512 => bytes().is_some_and(|bytes| keys.long.vouches_for(&[&request.body], &bytes)),
        })
    }
}

/// A query parameter, if it stands there exactly once and says something.
fn parameter(query: &str, key: &str) -> Option<String> {
    let mut values = url::form_urlencoded::parse(query.as_bytes()).filter(|(known, _)| known == key);
    let value = values.next().map(|(_, value)| value.into_owned()).filter(|value| !value.is_empty());
    value.filter(|_| values.next().is_none())
}
