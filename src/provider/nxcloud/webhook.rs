//! Who is calling: the signature of a callback, where the app has one configured, and a token in the address.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::config::Signing;
use super::names::CallbackHeaders;
use super::sign::Signed;
use crate::message::clock::Timestamp;
use crate::message::secret::same_token;
use crate::provider::signature::same_md5;
use crate::provider::{WebhookError, WebhookRequest};

/// What vouches for a callback.
pub(super) struct NxcloudVerifier {
    pub(super) signing: Signing,
    pub(super) headers: CallbackHeaders,
    pub(super) access_key: SecretString,
    pub(super) secret: SecretString,
    /// How old a signature may be; none if that does not matter: what is delivered again comes with the same one.
    pub(super) tolerance: Option<Duration>,
    pub(super) token: Option<SecretString>,
}

impl NxcloudVerifier {
    /// Whether a callback shows the token, if there is one, and is signed over exactly the bytes that arrived, if it
    /// has to be or says that it is.
    pub(super) fn verify(&self, request: &WebhookRequest) -> Result<(), WebhookError> {
        if let Some(token) = &self.token
            && !shown(&request.query).is_some_and(|shown| same_token(&shown, token.expose_secret()))
        {
            return Err(WebhookError::WrongToken);
        }
        match self.signing {
            Signing::Off => Ok(()),
            Signing::Optional if request.headers.get(&self.headers.sign).is_none() => Ok(()),
            Signing::Optional | Signing::Required => self.signature(request),
        }
    }

    fn signature(&self, request: &WebhookRequest) -> Result<(), WebhookError> {
        let header = |name: &str| request.headers.get(name).ok_or(WebhookError::Unsigned);
        // What was signed is what stands in the headers: which action callbacks name is written nowhere.
        let signed = Signed {
            access_key: header(&self.headers.access_key)?,
            action: header(&self.headers.action)?,
            biz_type: header(&self.headers.biz_type)?,
            ts: header(&self.headers.ts)?,
        };
        let digits = header(&self.headers.sign)?;
        let secret = self.secret.expose_secret();
        // An empty secret vouches for nothing: everybody knows it.
        let vouched_for = !secret.is_empty() && same_md5(digits, &signed.digest(&request.body, secret));
        let ours = same_token(signed.access_key, self.access_key.expose_secret());
        let fresh = self.tolerance.is_none_or(|tolerance| is_within(tolerance, signed.ts, request.received));
        (vouched_for && ours && fresh).then_some(()).ok_or(WebhookError::WrongSignature)
    }
}

/// The token in the address, if there is just one.
fn shown(query: &str) -> Option<String> {
    let mut tokens = url::form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == "token");
    let token = tokens.next().map(|(_, token)| token.into_owned());
    token.filter(|_| tokens.next().is_none())
}

fn is_within(tolerance: Duration, ts: &str, received: Timestamp) -> bool {
    let signed = ts.trim().parse().map(Timestamp);
    signed.is_ok_and(|signed| signed.since(received).max(received.since(signed)) <= tolerance)
}
