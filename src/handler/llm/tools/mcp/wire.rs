//! The SDK's HTTP, over a way out of ours: so that an MCP server is held to the same rules as any other tool.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, BoxStream, StreamExt};
use rmcp::model::{ClientJsonRpcMessage, ServerJsonRpcMessage};
use rmcp::transport::streamable_http_client::{
    HttpStatusError, SseError, StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse,
};
use serde_json::Value;
use sse_stream::{Sse, SseStream};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout, timeout_at};
use url::Url;

use super::lenient;
use crate::handler::llm::config::McpConfig;
use crate::message::json::{self, WholePieces};
use crate::runtime::http::lines::{Lines, Longest};
use crate::runtime::http::{Body, Call, CallError, HeaderName, HeaderValue, Transport, UpstreamResponse};

/// The header that a session is known by.
const SESSION: &str = "mcp-session-id";

/// How much more than a tool's answer there may be around it, in bytes: a list of tools, for one.
pub(super) const AROUND: u64 = 256 << 10;

#[derive(Clone)]
pub(super) struct McpWire {
    url: Url,
    transport: Arc<dyn Transport>,
    in_clear: bool,
    timeout: Duration,
    limit: u64,
    /// Told when the server has ended a session, which may have been for a newer version of it.
    ended: Arc<Notify>,
}

pub(super) type Failed = StreamableHttpError<CallError>;

impl McpWire {
    pub(super) fn new(url: Url, transport: Arc<dyn Transport>, config: &McpConfig, ended: Arc<Notify>) -> Self {
        let (in_clear, timeout) = (config.private, config.timeout);
        Self { url, transport, in_clear, timeout, limit: config.answer_limit.saturating_add(AROUND), ended }
    }

    /// Whether the server speaks the older transport, of 2024-11-05: a stream that begins by naming another address.
    pub(super) async fn speaks_only_events(&self, token: Option<String>) -> bool {
        let look = async {
            let answer = self.call("GET", Body::Empty, None, token, HashMap::new()).await.ok()?;
            if answer.status != 200 || !is_stream(&answer) {
                return None;
            }
            let mut events = SseStream::from_bytes_stream(bytes(answer, self.limit, Instant::now() + self.timeout));
            events.next().await?.ok()?.event
        };
        timeout(self.timeout, look).await.ok().flatten().is_some_and(|event| event == "endpoint")
    }

    async fn call(
        &self,
        method: &'static str,
        body: Body,
        session: Option<&str>,
        token: Option<String>,
        more: HashMap<HeaderName, HeaderValue>,
    ) -> Result<UpstreamResponse, Failed> {
        let mut headers = vec![("accept".into(), "application/json, text/event-stream".to_owned())];
        headers.extend(session.map(|session| (SESSION.into(), session.to_owned())));
        headers.extend(token.map(|token| ("authorization".into(), format!("Bearer {token}"))));
        for (name, value) in more {
            let value = value.to_str().map_err(|_| Failed::Client(CallError::Unaskable("header")))?;
            headers.push((Cow::Owned(name.as_str().to_owned()), value.to_owned()));
        }
        let (url, timeout, in_clear) = (self.url.clone(), self.timeout, self.in_clear);
        self.transport.call(Call { method, url, headers, body, timeout, in_clear }).await.map_err(Failed::Client)
    }
}

/// Whether a request was refused for what it is, or for the way it came, and not for the session that it stands in.
fn is_of_request(status: u16) -> bool {
    matches!(status, 401 | 402 | 403 | 405 | 406 | 407 | 408 | 411 | 413 | 414 | 415 | 417 | 429 | 431 | 451)
}

/// The protocol's own codes for a request that was read and cannot be carried out: a method that is not there, and
/// parameters that do not fit.
const OF_REQUEST: [i64; 2] = [-32601, -32602];

impl StreamableHttpClient for McpWire {
    type Error = CallError;

    async fn post_message(
        &self,
        _: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        token: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<StreamableHttpPostResponse, Failed> {
        let request = match &message {
            ClientJsonRpcMessage::Request(request) => Some(serde_json::to_value(&request.id)?),
            _ => None,
        };
        let body = Body::Json(serde_json::to_vec(&message)?.into());
        let answer = self.call("POST", body, session.as_deref(), token, headers).await?;
        let status = answer.status;
        let Some(request) = request else {
            // Nothing is waited for: whether there is still a session, the next request tells.
            return if status < 500 { Ok(StreamableHttpPostResponse::Accepted) } else { Err(failed(status)) };
        };
        let kind = answer.headers.get("content-type").unwrap_or_default().to_ascii_lowercase();
        let named = answer.headers.get(SESSION).map(str::to_owned);
        if (200..300).contains(&status) && kind.starts_with("text/event-stream") {
            let events = SseStream::from_bytes_stream(bytes(answer, self.limit, Instant::now() + self.timeout));
            return Ok(StreamableHttpPostResponse::Sse(mended(events.boxed(), Some(request)), named));
        }
        if !(200..300).contains(&status) && !(400..500).contains(&status) {
            return Err(failed(status));
        }
        let body = timeout(self.timeout, answer.bytes(self.limit)).await;
        let body = body.unwrap_or(Err(CallError::Unanswered("timed out"))).map_err(Failed::Client)?;
        let said = json::from_slice::<Value>(&body).map(lenient::messages).unwrap_or_default();
        // Whether it names the request itself, or belongs to it because there is no other.
        let names_it = said.iter().any(|message| message.get("id").is_some_and(|id| lenient::is_same(id, &request)));
        let fitting = said.into_iter().find_map(|message| lenient::fitted(message, &request));
        if (400..500).contains(&status) && session.is_some() && !is_of_request(status) {
            let code = fitting.as_ref().and_then(|answer| answer.pointer("/error/code")).and_then(Value::as_i64);
            let is_about_it = fitting.as_ref().is_some_and(|answer| answer.get("result").is_some())
                || names_it && code.is_some_and(|code| OF_REQUEST.contains(&code));
            if !is_about_it {
                // A new one is begun, and the request made again in it: nothing has been done here.
                self.ended.notify_one();
                return Err(Failed::SessionExpired);
            }
        }
        let answer = fitting.and_then(|answer| json::from_value::<ServerJsonRpcMessage>(answer).ok());
        match answer {
            Some(answer) => Ok(StreamableHttpPostResponse::Json(answer, named)),
            None if status >= 400 => Err(failed(status)),
            None => Err(Failed::UnexpectedServerResponse("no answer to the request".into())),
        }
    }

    async fn delete_session(
        &self,
        _: Arc<str>,
        session: Arc<str>,
        token: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<(), Failed> {
        self.call("DELETE", Body::Empty, Some(&session), token, headers).await.map(drop)
    }

    /// Only the rest of an answer that broke off, if the server keeps it. There is no stream of the server's own: its
    /// tools are listed again every now and then, and nothing else of it is wanted.
    async fn get_stream(
        &self,
        _: Arc<str>,
        session: Option<Arc<str>>,
        last: Option<String>,
        token: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, Failed> {
        let Some(last) = last else { return Err(Failed::ServerDoesNotSupportSse) };
        let mut headers = headers;
        let last = HeaderValue::from_str(&last).map_err(|_| Failed::ServerDoesNotSupportSse)?;
        headers.insert(HeaderName::from_static("last-event-id"), last);
        let answer = self.call("GET", Body::Empty, session.as_deref(), token, headers).await?;
        if answer.status != 200 || !is_stream(&answer) {
            return Err(Failed::ServerDoesNotSupportSse);
        }
        let events = SseStream::from_bytes_stream(bytes(answer, self.limit, Instant::now() + self.timeout));
        Ok(mended(events.boxed(), None))
    }
}

fn failed(status: u16) -> Failed {
    Failed::HttpStatus(HttpStatusError::new(status, None))
}

fn is_stream(answer: &UpstreamResponse) -> bool {
    answer.headers.get("content-type").is_some_and(|kind| kind.to_ascii_lowercase().starts_with("text/event-stream"))
}

fn is_too_long(error: &SseError) -> bool {
    match error {
        SseError::Body(error) => matches!(error.downcast_ref(), Some(CallError::TooLarge)),
        _ => false,
    }
}

/// The same events, with messages that the SDK takes. In the answer to a request an error without an identifier is its.
fn mended(
    events: BoxStream<'static, Result<Sse, SseError>>,
    request: Option<Value>,
) -> BoxStream<'static, Result<Sse, SseError>> {
    let each = move |event: Result<Sse, SseError>| {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                let said = match (&request, is_too_long(&error)) {
                    (Some(request), true) => Ok(Sse::default().data(lenient::too_long(request).to_string())),
                    _ => Err(error),
                };
                return stream::iter(vec![said]);
            }
        };
        let Some(said) = event.data.as_deref().and_then(|data| json::from_str::<Value>(data).ok()) else {
            return stream::iter(vec![Ok(event)]);
        };
        let messages = lenient::messages(said).into_iter().map(|message| {
            let is_of_none = message.get("error").is_some() && message.get("id").is_none_or(Value::is_null);
            let message = match &request {
                Some(request) if is_of_none => lenient::fitted(message.clone(), request).unwrap_or(message),
                _ => message,
            };
            Ok(Sse { data: Some(message.to_string()), ..event.clone() })
        });
        stream::iter(messages.collect::<Vec<_>>())
    };
    events.flat_map(each).boxed()
}

/// An answer's lines as they are complete, up to the limit, and until nobody waits for what they say any longer. They
/// are events, which end with a line: what the SDK reads of them has no half of a pair in it.
fn bytes(answer: UpstreamResponse, limit: u64, until: Instant) -> BoxStream<'static, Result<bytes::Bytes, CallError>> {
    let longest = Longest { event: usize::try_from(limit).unwrap_or(usize::MAX), stream: limit };
    let next = move |(answer, mut lines, mut pieces): (Option<UpstreamResponse>, Lines, WholePieces)| async move {
        let mut answer = answer?;
        loop {
            let chunk = timeout_at(until, answer.chunk()).await.unwrap_or(Err(CallError::Unanswered("timed out")));
            match chunk
                .and_then(|chunk| chunk.map(|chunk| lines.take_in(&chunk)).transpose().map_err(|_| CallError::TooLarge))
            {
                Ok(Some(complete)) if complete.is_empty() => {}
                Ok(Some(complete)) => return Some((Ok(pieces.take_in(complete)), (Some(answer), lines, pieces))),
                Ok(None) => return Some((Ok(pieces.take_in(lines.rest())), (None, lines, pieces))),
                Err(error) => return Some((Err(error), (None, lines, pieces))),
            }
        }
    };
    let state = (Some(answer), Lines::new(longest), WholePieces::default());
    // The parser is given no piece that is empty.
    let pieces = stream::unfold(state, next).filter(|piece| {
        let some = piece.as_ref().map_or(true, |piece| !piece.is_empty());
        std::future::ready(some)
    });
    pieces.boxed()
}
