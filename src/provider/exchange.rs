//! A call and its answer, within the call's timeout.

use bytes::Bytes;
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout_at};

use super::answer::{Repeat, unanswered};
use super::{ErrorCode, ProviderError, lenient};
use crate::runtime::http::{Call, CallError, Download, Headers, Transport, UpstreamResponse};

/// The longest answer that is read, in bytes. Upstreams' own are some hundreds long, a few some thousands.
const LONGEST_ANSWER: u64 = 256 << 10;

/// An answer that was read to its end.
pub struct FullResponse {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: Headers,
    /// Empty if it could not be read and the status is none of success: the status still says something.
    pub body: Bytes,
}

impl FullResponse {
    /// Whether the status is one of success.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The object that the body is, if it is one.
    pub fn object(&self) -> Option<Map<String, Value>> {
        std::str::from_utf8(&self.body).ok().and_then(lenient::object)
    }
}

/// Makes a call and reads its whole answer, of whatever status.
///
/// # Errors
/// When there is no answer, or one of success breaks off.
pub async fn exchange(transport: &dyn Transport, call: Call, repeat: Repeat) -> Result<FullResponse, ProviderError> {
    let deadline = Instant::now() + call.timeout;
    let answer = head(transport, call, deadline).await.map_err(|error| unanswered(error, repeat))?;
    let is_success = answer.is_success();
    match whole(answer, deadline).await {
        (whole, Err(error)) if is_success => Err(unanswered(error, repeat)).map(|()| whole),
        (whole, _) => Ok(whole),
    }
}

/// Makes a call whose answer is a medium, to be read bit by bit, at most `limit` bytes of it; an answer that is none of
/// success is read at once.
///
/// # Errors
/// When there is no answer, or it says that it is longer than the limit.
pub async fn download(
    transport: &dyn Transport,
    call: Call,
    limit: u64,
) -> Result<Result<Download, FullResponse>, ProviderError> {
    let (patience, deadline) = (call.timeout, Instant::now() + call.timeout);
    let answer = head(transport, call, deadline).await.map_err(|error| match error {
        // The address is the medium's, and says nothing of the bot.
        CallError::Unaskable(what) => ProviderError::Rejected { code: ErrorCode::Network(what) },
        error => unanswered(error, Repeat::Harmless),
    })?;
    if !answer.is_success() {
        return Ok(Err(whole(answer, deadline).await.0));
    }
    let declared = answer.headers.get("content-length").and_then(|length| length.trim().parse::<u64>().ok());
    if declared.is_some_and(|length| length > limit) {
        return Err(TOO_LARGE);
    }
    Ok(Ok(Download::new(answer, limit, patience)))
}

/// A medium is longer than it may be.
pub const TOO_LARGE: ProviderError =
    ProviderError::Rejected { code: ErrorCode::Local("the medium is larger than the limit") };

async fn head(transport: &dyn Transport, call: Call, deadline: Instant) -> Result<UpstreamResponse, CallError> {
    timeout_at(deadline, transport.call(call)).await.unwrap_or(Err(CallError::Unanswered("timed out")))
}

async fn whole(answer: UpstreamResponse, deadline: Instant) -> (FullResponse, Result<(), CallError>) {
    let (status, headers) = (answer.status, answer.headers.clone());
    let body = timeout_at(deadline, answer.bytes(LONGEST_ANSWER)).await;
    match body.unwrap_or(Err(CallError::Unanswered("timed out"))) {
        Ok(body) => (FullResponse { status, headers, body }, Ok(())),
        Err(error) => (FullResponse { status, headers, body: Bytes::new() }, Err(error)),
    }
}
