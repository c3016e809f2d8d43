//! Who is calling: the handshake's token, and the signature of a delivery.

use secrecy::{ExposeSecret, SecretString};

use crate::message::clock::Timestamp;
use crate::message::secret::same_token;
use crate::provider::signature::{SigningKey, from_hex};
use crate::provider::{SigningSecret, WebhookError, WebhookRequest};

/// What vouches for a request.
pub(super) struct MetaVerifier {
    keys: Vec<(SigningKey, Option<Timestamp>)>,
    verify_token: SecretString,
}

impl MetaVerifier {
    pub(super) fn new(secrets: &[SigningSecret], verify_token: SecretString) -> Self {
        let key = |app: &SigningSecret| (SigningKey::new(app.secret.expose_secret().as_bytes()), app.until);
        Self { keys: secrets.iter().map(key).collect(), verify_token }
    }

    /// The challenge to answer a handshake with. It comes from outside: answer it as plain text, never as a page.
    pub(super) fn handshake(&self, query: &str) -> Result<String, WebhookError> {
        let field = |name: &str| {
            let mut values = url::form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name);
            let value = values.next().map(|(_, value)| value).filter(|value| !value.is_empty());
            value.filter(|_| values.next().is_none()).ok_or(WebhookError::Malformed)
        };
        let (mode, token, challenge) = (field("hub.mode")?, field("hub.verify_token")?, field("hub.challenge")?);
        if mode != "subscribe" || !same_token(&token, self.verify_token.expose_secret()) {
            return Err(WebhookError::WrongToken);
        }
        Ok(challenge.into_owned())
    }

    /// Whether a delivery is signed by a secret that has not ended, over exactly the bytes that arrived.
    pub(super) fn verify(&self, request: &WebhookRequest, now: Timestamp) -> Result<(), WebhookError> {
        let header = request.headers.get("x-hub-signature-256").ok_or(WebhookError::Unsigned)?;
        let digits = header.strip_prefix("sha256=").ok_or(WebhookError::WrongSignature)?;
        let signature = from_hex::<32>(digits).ok_or(WebhookError::WrongSignature)?;
        let mut live = self.keys.iter().filter(|(_, until)| until.is_none_or(|until| now < until));
        let vouched_for = live.any(|(key, _)| key.vouches_for(&[&request.body], &signature));
        vouched_for.then_some(()).ok_or(WebhookError::WrongSignature)
    }
}
