//! The SDK's HTTP, over a way out of ours: so that an MCP server is held to the same rules as any other tool.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, BoxStream, StreamExt};
use rmcp::model::{ClientJsonRpcMessage, ServerJsonRpcMessage};
use rmcp::transport::streamable_http_client::{
    SseError, StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse,
};
use sse_stream::{Sse, SseStream};
use tokio::time::{Instant, timeout, timeout_at};
use url::Url;

use crate::handler::llm::config::McpConfig;
use crate::http::lines::{Lines, Longest};
use crate::http::{Answer, Body, Call, CallError, HeaderName, HeaderValue, Transport};
use crate::json::{self, WholePieces};

/// The header that a session is known by.
const SESSION: &str = "mcp-session-id";

/// How much more than a tool's answer there may be around it, in bytes: a list of tools, for one.
pub(super) const AROUND: u64 = 256 << 10;

#[derive(Clone)]
pub(super) struct Wire {
    url: Url,
    transport: Arc<dyn Transport>,
    in_clear: bool,
    timeout: Duration,
    limit: u64,
}

type Failed = StreamableHttpError<CallError>;

impl Wire {
    pub(super) fn new(url: Url, transport: Arc<dyn Transport>, config: &McpConfig) -> Self {
        let (in_clear, timeout) = (config.private, config.timeout);
        Self { url, transport, in_clear, timeout, limit: config.answer_limit.saturating_add(AROUND) }
    }

    async fn call(
        &self,
        method: &'static str,
        body: Body,
        session: Option<&str>,
        token: Option<String>,
        more: HashMap<HeaderName, HeaderValue>,
    ) -> Result<Answer, Failed> {
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

impl StreamableHttpClient for Wire {
    type Error = CallError;

    async fn post_message(
        &self,
        _: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        token: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<StreamableHttpPostResponse, Failed> {
        let body = Body::Json(serde_json::to_vec(&message)?.into());
        let answer = self.call("POST", body, session.as_deref(), token, headers).await?;
        let kind = answer.headers.get("content-type").unwrap_or_default().to_ascii_lowercase();
        let named = answer.headers.get(SESSION).map(str::to_owned);
        match answer.status {
            202 | 204 => Ok(StreamableHttpPostResponse::Accepted),
            404 if session.is_some() => Err(Failed::SessionExpired),
            200 if kind.starts_with("text/event-stream") => {
                let events = SseStream::from_bytes_stream(bytes(answer, self.limit, Instant::now() + self.timeout));
                Ok(StreamableHttpPostResponse::Sse(events.boxed(), named))
            }
            // Errors of the protocol's come with other statuses, too.
            200 | 400..=499 if kind.starts_with("application/json") => {
                let body = timeout(self.timeout, answer.bytes(self.limit)).await;
                let body = body.unwrap_or(Err(CallError::Unanswered("timed out"))).map_err(Failed::Client)?;
                Ok(StreamableHttpPostResponse::Json(json::from_slice::<ServerJsonRpcMessage>(&body)?, named))
            }
            status => Err(Failed::UnexpectedServerResponse(format!("HTTP {status}").into())),
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

    /// No stream of the server's own: its tools are listed again every now and then, and nothing else of it is wanted.
    async fn get_stream(
        &self,
        _: Arc<str>,
        _: Option<Arc<str>>,
        _: Option<String>,
        _: Option<String>,
        _: HashMap<HeaderName, HeaderValue>,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, Failed> {
        Err(Failed::ServerDoesNotSupportSse)
    }
}

/// An answer's lines as they are complete, up to the limit, and until nobody waits for what they say any longer. They are
/// events, which end with a line: what the SDK reads of them has no half of a pair in it.
fn bytes(answer: Answer, limit: u64, until: Instant) -> BoxStream<'static, Result<bytes::Bytes, CallError>> {
    let longest = Longest { event: usize::try_from(limit).unwrap_or(usize::MAX), stream: limit };
    let next = move |(answer, mut lines, mut pieces): (Option<Answer>, Lines, WholePieces)| async move {
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
