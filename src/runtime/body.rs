//! A request's body, as those of our servers read it that take little: in its time, and no longer than it may be.

use std::time::Duration;

use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::StreamExt;
use tokio::time::timeout;

/// Why a body was not read: the status to answer with, and words for the caller.
pub(crate) type BodyError = (u16, &'static str);

/// The whole body, if it is no longer than `limit` bytes and here in time.
pub(crate) async fn whole(body: Payload, limit: usize, patience: Duration) -> Result<Bytes, BodyError> {
    timeout(patience, collect(body, limit)).await.unwrap_or(Err((408, "the body takes too long")))
}

async fn collect(mut body: Payload, limit: usize) -> Result<Bytes, BodyError> {
    let mut whole = BytesMut::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|_| (400, "the body broke off"))?;
        if whole.len() + chunk.len() > limit {
            return Err((413, "the body is too large"));
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.freeze())
}
