//! Who is calling: the signature of a delivery, or the token in its address.
//!
//! The gateway signs the exact body with HMAC-SHA512, in hexadecimal digits (the gateway's webhook guide). The time in
//! `X-Webhook-Timestamp` is not signed, and a delivery may be repeated for nine hours: what keeps an old one from being
//! answered is the message's own age, and that every message is accepted once.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use crate::message::clock::Timestamp;
use crate::message::secret::same_token;
use crate::provider::signature::SigningKey512;
use crate::provider::{WebhookError, WebhookRequest};

/// What vouches for a request.
pub(super) struct GatewayVerifier {
    /// None if deliveries need no signature.
    pub(super) key: Option<SigningKey512>,
    /// The header that carries the signature.
    pub(super) header: String,
    /// What stands in the address as `token`, if anything has to.
    pub(super) token: Option<SecretString>,
    /// How far the time in the headers may be from ours; none if it may be any.
    pub(super) tolerance: Option<Duration>,
}

impl GatewayVerifier {
    pub(super) fn verify(&self, request: &WebhookRequest) -> Result<(), WebhookError> {
        if let Some(token) = &self.token {
            verify_token(&request.query, token)?;
        }
        if let Some(key) = &self.key {
            self.verify_signature(request, key)?;
        }
        let timely = self.tolerance.is_none_or(|tolerance| is_timely(request, tolerance));
        timely.then_some(()).ok_or(WebhookError::Stale)
    }

    fn verify_signature(&self, request: &WebhookRequest, key: &SigningKey512) -> Result<(), WebhookError> {
        let header = request.headers.get(&self.header).ok_or(WebhookError::Unsigned)?;
        let algorithm = request.headers.get("x-webhook-hmac-algorithm");
        if algorithm.is_some_and(|algorithm| !algorithm.trim().eq_ignore_ascii_case("sha512")) {
            return Err(WebhookError::WrongSignature);
        }
        let signature = hex::decode(header.trim()).map_err(|_| WebhookError::WrongSignature)?;
        let vouched_for = key.vouches_for(&[&request.body], &signature);
        vouched_for.then_some(()).ok_or(WebhookError::WrongSignature)
    }
}

fn verify_token(query: &str, ours: &SecretString) -> Result<(), WebhookError> {
    let mut tokens = url::form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == "token");
    let theirs = tokens.next().ok_or(WebhookError::Unsigned)?.1;
    let alone = tokens.next().is_none();
    (alone && same_token(&theirs, ours.expose_secret())).then_some(()).ok_or(WebhookError::WrongToken)
}

fn is_timely(request: &WebhookRequest, tolerance: Duration) -> bool {
    let sent = request.headers.get("x-webhook-timestamp").and_then(|millis| millis.trim().parse().ok());
    // Whichever is later: clocks differ both ways.
    sent.map(Timestamp).is_some_and(|sent| request.received.since(sent).max(sent.since(request.received)) <= tolerance)
}
