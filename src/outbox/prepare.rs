//! A handler's reply, made ready for its upstream.

use std::time::Duration;

use tokio::time::timeout;

use super::{plain, split};
use crate::message::{MediaSource, Part, Payload};
use crate::provider::{InvalidPart, Provider, ProviderError};

/// Turns a handler's parts into ones that the upstream takes: [shaped](shape), and media in hand uploaded.
///
/// # Errors
/// When a part breaks one of the upstream's limits, or a medium cannot be uploaded.
pub async fn prepare(provider: &dyn Provider, parts: Vec<Part>, patience: Duration) -> Result<Vec<Part>, Unsendable> {
    let mut ready = shape(provider, parts)?;
    for part in &mut ready {
        if let Payload::Media(media) = &mut part.payload
            && let MediaSource::Bytes { data, mime } = &media.source
        {
            let uploaded = timeout(patience, provider.upload_media(data.clone(), mime)).await;
            media.source = MediaSource::Uploaded(uploaded.map_err(|_| Unsendable::UploadTimedOut)??);
        }
    }
    Ok(ready)
}

/// Gives a handler's parts the form that the upstream takes: what it has none for written out, long texts split.
///
/// # Errors
/// When a part breaks one of the upstream's limits.
pub fn shape(provider: &dyn Provider, parts: Vec<Part>) -> Result<Vec<Part>, InvalidPart> {
    let mut ready = Vec::with_capacity(parts.len());
    for part in parts {
        let part = plain::written_out(part, provider.abilities());
        match part.payload {
            Payload::Text { body } => {
                let pieces = split::split(&body, provider.abilities().text_limit);
                let first = ready.len();
                ready.extend(pieces.into_iter().map(Part::text));
                ready[first..].iter_mut().take(1).for_each(|piece| piece.quote = part.quote);
            }
            payload => ready.push(Part { payload, quote: part.quote }),
        }
    }
    if ready.is_empty() {
        return Err(InvalidPart("the reply is empty".into()));
    }
    ready.iter().try_for_each(|part| provider.check(part))?;
    Ok(ready)
}

/// Why a handler's reply cannot be sent as it is.
#[derive(Debug, thiserror::Error)]
pub enum Unsendable {
    /// The handler's doing.
    #[error("the reply breaks a limit of the provider's: {0}")]
    Invalid(#[from] InvalidPart),
    /// The upstream's doing.
    #[error("a medium could not be uploaded: {0}")]
    Upload(#[from] ProviderError),
    /// Nobody knows whose doing.
    #[error("a medium could not be uploaded in time")]
    UploadTimedOut,
}
