//! A handler in any language, over HTTP.
//!
//! The turn is posted as JSON (`openapi.json` describes it), signed by the [Standard Webhooks] scheme:
//!
//! | header | |
//! |---|---|
//! | `webhook-id`, `idempotency-key` | the turn's identifier: the same however often the turn is posted, also after a crash |
//! | `webhook-timestamp`, `webhook-signature` | the signature, over the two of them and the body |
//! | `threedots-deadline-ms` | how long an answer is waited for, in milliseconds from now |
//!
//! | the handler answers with | which is |
//! |---|---|
//! | 200 and JSON | the reply |
//! | 200 and `text/plain` | the reply's words |
//! | 200 and `text/event-stream` | events that steer the dots, and the reply |
//! | 202 | a promise: the reply will be posted to `callback.url`; the dots stay on meanwhile |
//! | 204 | silence |
//! | 408, 425, 429, 5xx, or nothing | an error that may pass: asked again, with the same key, while the turn's time lasts |
//! | anything else | a failure |
//!
//! A turn that is cancelled closes the connection, and its callback's address is no more.
//!
//! [Standard Webhooks]: https://www.standardwebhooks.com

pub mod callbacks;
mod stream;
pub mod unasked;
mod wire;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

pub use super::Egress;
use super::way_out::{SettingProblem, WayOut};
use super::{Handler, HandlerError, Turn};
use crate::message::Reply;
use crate::message::clock::{Clock, in_words};
use crate::message::secret::SecretRef;
use crate::runtime::http::{Call, CallError, UpstreamResponse};
use callbacks::{Callbacks, Expectation};

/// A handler over HTTP. The `handler` table of a bot's configuration with `kind = "http"`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Where turns are posted.
    pub url: String,
    /// What they are signed with: `whsec_` and 24 to 64 bytes in base64. Unsigned without one.
    pub secret: Option<SecretRef>,
    /// How long one answer may take, or the next event of a stream.
    #[serde(with = "in_words")]
    pub timeout: Duration,
    /// Whether the address may be on this machine or in its network, and in plain http. Else it is https, and public.
    pub private: bool,
    /// How long an answer may be, in bytes; media in it included.
    pub answer_limit: u64,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            secret: None,
            timeout: Duration::from_secs(30),
            private: false,
            answer_limit: 24 << 20,
        }
    }
}

/// The address may hold credentials.
impl fmt::Debug for HttpConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpConfig({:?}, private: {})", self.timeout, self.private)
    }
}

/// The handler.
pub struct Http {
    way_out: WayOut,
    callbacks: Arc<Callbacks>,
    clock: Clock,
    config: HttpConfig,
}

impl Http {
    /// A handler as `config` says; `secret` is what it names.
    ///
    /// # Errors
    /// Everything in it that cannot be used.
    pub fn new(
        config: HttpConfig,
        secret: Option<&SecretString>,
        ways_out: &Egress,
        callbacks: Arc<Callbacks>,
        clock: Clock,
    ) -> Result<Self, Vec<SettingProblem>> {
        let way_out = WayOut::new(&config.url, secret, config.private, ways_out)?;
        Ok(Self { way_out, callbacks, clock, config })
    }

    fn call(&self, turn: &Turn, expected: &Expectation) -> Call {
        let left = turn.deadline.saturating_duration_since(Instant::now());
        let now = self.clock.now();
        let body = wire::turn(turn, now.plus(left), expected.callback(), &|media| self.callbacks.lend(turn, media));
        let timeout = self.config.timeout.min(left);
        self.way_out.call(&turn.id, now, left, "application/json, text/event-stream, text/plain", body, timeout)
    }

    async fn ask(&self, turn: &Turn, expected: &mut Expectation) -> Result<Reply, HandlerError> {
        let answer = self.way_out.transport.call(self.call(turn, expected)).await.map_err(unanswered)?;
        let kind = answer.headers.get("content-type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match (answer.status, kind.as_str()) {
            (202, _) => Ok(expected.answer().await),
            (204, _) => Ok(Reply::Silence),
            (200 | 201, "text/event-stream") => {
                stream::read(answer, &turn.presence, self.config.timeout, self.config.answer_limit).await
            }
            (200 | 201, "application/json") => {
                wire::reply(&self.whole(answer).await?).map_err(|why| HandlerError::new(format!("its answer: {why}")))
            }
            (200 | 201, "text/plain") => {
                let words = String::from_utf8(self.whole(answer).await?.into());
                words.map(Reply::text).map_err(|_| HandlerError::new("its answer is not UTF-8"))
            }
            (200 | 201, _) => Err(HandlerError::new(
                "its answer has a content-type other than application/json, text/plain and text/event-stream",
            )),
            (status @ (408 | 425 | 429 | 500..), _) => {
                Err(HandlerError::temporary(format!("it answered with HTTP {status}")))
            }
            (status @ 300..400, _) => {
                Err(HandlerError::new(format!("it answered with HTTP {status}, and redirects are not followed")))
            }
            (status, _) => Err(HandlerError::new(format!("it answered with HTTP {status}"))),
        }
    }

    async fn whole(&self, answer: UpstreamResponse) -> Result<bytes::Bytes, HandlerError> {
        let body = tokio::time::timeout(self.config.timeout, answer.bytes(self.config.answer_limit)).await;
        body.map_err(|_| HandlerError::temporary("its answer takes too long"))?.map_err(unanswered)
    }
}

fn unanswered(error: CallError) -> HandlerError {
    match error {
        CallError::TooLarge => HandlerError::new("its answer is longer than handler.answer_limit"),
        CallError::NotSent(_) | CallError::Unanswered(_) => HandlerError::temporary(error.to_string()),
        CallError::Unaskable(_) | CallError::Unfit(_) => HandlerError::new(error.to_string()),
    }
}

#[async_trait]
impl Handler for Http {
    async fn reply(&self, turn: &Turn) -> Result<Reply, HandlerError> {
        let mut expected = self.callbacks.expect(turn);
        self.ask(turn, &mut expected).await
    }
}
