//! One signed call, and once more if NXCloud's clock and ours disagree.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use secrecy::ExposeSecret;
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::sign::Signed;
use super::{NxCloud, errors};
use crate::provider::ProviderError;
use crate::provider::answer::Repeat;
use crate::provider::exchange::{FullResponse, exchange};
use crate::provider::files;
use crate::runtime::http::{Body, Call, Headers};

/// What can be asked of NXCloud. Each has a path and an action.
#[derive(Clone, Copy)]
pub(super) enum Operation {
    Send,
    Typing,
    Read,
    GetMedia,
    UploadMedia,
}

/// What a call says, ready to be said a second time.
#[derive(Clone)]
pub(super) enum NxcloudBody {
    /// Bytes that are signed and sent as they are.
    Json(Bytes),
    /// A form, whose body is not signed.
    Form { fields: Vec<(&'static str, String)>, file: Bytes, mime: String },
}

impl From<Value> for NxcloudBody {
    fn from(body: Value) -> Self {
        Self::Json(body.to_string().into())
    }
}

impl NxCloud {
    /// Makes a call, within `timeout` on the whole, and reads the data that it is answered with.
    pub(super) async fn call(
        &self,
        operation: Operation,
        said: NxcloudBody,
        timeout: Duration,
        repeat: Repeat,
    ) -> Result<Map<String, Value>, ProviderError> {
        let began = Instant::now();
        let mut answer = self.attempt(self.request(operation, said.clone(), timeout), repeat).await?;
        let left = timeout.saturating_sub(began.elapsed());
        if errors::code(&answer) == Some(errors::CLOCK) && !left.is_zero() {
            // Turned away at the door: nothing was done, so nothing is done twice.
            self.set_clock(&answer.headers);
            answer = self.attempt(self.request(operation, said, left), repeat).await?;
        }
        errors::data(&answer, self.clock.now(), repeat)
    }

    async fn attempt(&self, call: Call, repeat: Repeat) -> Result<FullResponse, ProviderError> {
        exchange(&*self.transport, call, repeat).await
    }

    /// A call of this moment: each has its own time, and a signature over it.
    fn request(&self, operation: Operation, said: NxcloudBody, timeout: Duration) -> Call {
        let (path, action) = (self.config.paths.of(operation), self.config.actions.of(operation));
        let mut url = self.base_url.clone();
        url.set_path(&format!("{}{path}", self.base_url.path().trim_end_matches('/')));
        let ts = self.clock.now().0.saturating_add_signed(self.clock_offset.load(Ordering::Relaxed)).to_string();
        let (body, signed_body) = match said {
            NxcloudBody::Json(bytes) => (Body::Json(bytes.clone()), bytes),
            NxcloudBody::Form { fields, file, mime } => {
                let name = files::upload_name(&mime).into();
                (Body::Multipart { fields, file, mime, name }, Bytes::new())
            }
        };
        let (access_key, biz_type) = (self.access_key.expose_secret(), &*self.config.biz_type);
        let signed = Signed { access_key, action, biz_type, ts: &ts };
        let sign = hex::encode(signed.digest(&signed_body, self.access_secret.expose_secret()));
        let headers =
            [("accessKey", access_key), ("ts", &ts), ("bizType", biz_type), ("action", action), ("sign", &sign)];
        let headers = headers.into_iter().map(|(name, value)| (name.into(), value.to_owned())).collect();
        Call { method: "POST", url, headers, body, timeout, in_clear: false }
    }

    /// Takes over NXCloud's time if the answer tells it; else trusts our own again.
    fn set_clock(&self, headers: &Headers) {
        let date = headers.get("date").and_then(|date| jiff::fmt::rfc2822::parse(date.trim()).ok());
        let theirs = date.map(|date| date.timestamp().as_millisecond());
        let ours = i64::try_from(self.clock.now().0).unwrap_or(i64::MAX);
        self.clock_offset.store(theirs.map_or(0, |theirs| theirs.saturating_sub(ours)), Ordering::Relaxed);
    }
}
