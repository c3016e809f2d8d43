//! An upstream in a test's hand: it answers what it was told to, and remembers what it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use threedots::message::Echo;
use threedots::provider::Events;
use threedots::runtime::http::{Body, Call, CallError, Headers, Transport, UpstreamResponse};

/// One answer.
pub(crate) enum Given {
    /// An HTTP answer.
    Answer(u16, Vec<(&'static str, String)>, Bytes),
    /// None, because of this.
    Error(CallError),
    /// None, ever.
    Silence,
}

impl Given {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::Answer(status, Vec::new(), body.to_string().into())
    }

    pub(crate) fn body(status: u16, body: impl Into<Bytes>) -> Self {
        Self::Answer(status, Vec::new(), body.into())
    }
}

/// One call, as it left.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Seen {
    pub(crate) method: &'static str,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Value,
    /// A JSON body, byte for byte.
    #[serde(skip)]
    pub(crate) raw: Bytes,
    #[serde(skip)]
    pub(crate) timeout: Duration,
    #[serde(skip)]
    pub(crate) in_clear: bool,
}

/// The upstream. A call for which it was given no answer fails the test.
pub(crate) struct Upstream {
    answers: Mutex<VecDeque<Given>>,
    seen: Mutex<Vec<Seen>>,
}

impl Upstream {
    pub(crate) fn answering(answers: impl IntoIterator<Item = Given>) -> Arc<Self> {
        Arc::new(Self { answers: Mutex::new(answers.into_iter().collect()), seen: Mutex::default() })
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no test panics in here").clone()
    }
}

#[async_trait]
impl Transport for Upstream {
    async fn call(&self, call: Call) -> Result<UpstreamResponse, CallError> {
        let raw = match &call.body {
            Body::Json(bytes) | Body::Raw(bytes) => bytes.clone(),
            Body::Empty | Body::Multipart { .. } => Bytes::new(),
        };
        let body = match call.body {
            Body::Empty => Value::Null,
            Body::Json(bytes) => serde_json::from_slice(&bytes).expect("a JSON body is JSON"),
            Body::Raw(bytes) => json!({ "raw": String::from_utf8_lossy(&bytes) }),
            Body::Multipart { fields, file, mime, name } => {
                json!({ "fields": fields, "file": String::from_utf8_lossy(&file), "mime": mime, "name": name })
            }
        };
        let (method, url, timeout, in_clear) = (call.method, call.url.into(), call.timeout, call.in_clear);
        let headers = call.headers.into_iter().map(|(name, value)| (name.into(), value)).collect();
        let seen = Seen { method, url, headers, body, raw, timeout, in_clear };
        self.seen.lock().expect("no test panics in here").push(seen);
        let answer = self.answers.lock().expect("no test panics in here").pop_front();
        match answer.expect("there was an answer left for this call") {
            Given::Answer(status, headers, body) => {
                let headers: Headers = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
                Ok(UpstreamResponse::whole(status, headers, body))
            }
            Given::Error(error) => Err(error),
            Given::Silence => std::future::pending().await,
        }
    }
}

/// What a delivery comes to, for a snapshot.
pub(crate) fn view(events: &Events) -> Value {
    let echo = |echo: &Echo| json!({ "message": echo.message, "time": echo.time });
    json!({
        "messages": events.messages,
        "statuses": events.statuses,
        "echoes": events.echoes.iter().map(echo).collect::<Vec<_>>(),
        "ignored": {
            "not_ours": events.ignored.not_ours,
            "other": events.ignored.other,
            "malformed": events.ignored.malformed,
        },
    })
}
