//! What a handler may ask of the upstream: the media of its turn's messages, and what fits into a reply.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::timeout;

use crate::budget::{Budget, Share, Tally};
use crate::handler::{FetchMedia, Fetched, Fits, MediaError};
use crate::http::Download;
use crate::message::{MediaRef, Reply};
use crate::outbox;
use crate::provider::Provider;

/// The upstream, as far as a handler may ask it something.
pub(super) struct Upstream {
    pub(super) provider: Arc<dyn Provider>,
    pub(super) limit: u64,
    pub(super) memory: Budget,
    /// How much of it the bot holds; none if it is alone.
    pub(super) tally: Option<Tally>,
    /// How long a medium waits for memory.
    pub(super) patience: Duration,
}

/// How long an upstream may take to say where a medium is.
const MEDIA_PATIENCE: Duration = Duration::from_secs(30);

/// How long a medium of a handler's waits for memory: it may want some more of them, and has to answer in time.
pub(super) const ROOM_PATIENCE: Duration = Duration::from_secs(5);

/// A medium in memory, and the room for it.
struct InRoom {
    data: Bytes,
    _room: Share,
}

impl AsRef<[u8]> for InRoom {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl Upstream {
    async fn open(&self, media: &MediaRef) -> Result<Download, MediaError> {
        let opened = timeout(MEDIA_PATIENCE, self.provider.fetch_media(media, self.limit)).await;
        opened.map_err(|_| MediaError("timed out".into()))?.map_err(|error| MediaError(error.to_string()))
    }
}

#[async_trait]
impl FetchMedia for Upstream {
    async fn fetch(&self, media: &MediaRef) -> Result<Fetched, MediaError> {
        let room = timeout(self.patience, self.memory.take_for(self.tally.as_ref(), self.limit)).await;
        let mut room = room.map_err(|_| MediaError("too many media are held in memory".into()))?;
        let download = self.open(media).await?;
        let mime = download.mime.clone().or_else(|| media.mime.clone());
        let data = download.into_memory().await.map_err(|error| MediaError(error.to_string()))?;
        room.shrink(data.len() as u64);
        let data = Bytes::from_owner(InRoom { data, _room: room });
        Ok(Fetched { data, mime: mime.unwrap_or_else(|| "application/octet-stream".into()) })
    }

    async fn fetch_to(&self, media: &MediaRef, path: &Path) -> Result<u64, MediaError> {
        self.open(media).await?.into_file(path).await.map_err(|error| MediaError(error.to_string()))
    }
}

impl Fits for Upstream {
    fn fits(&self, reply: &Reply) -> Result<(), String> {
        let Reply::Send(parts) = reply else { return Ok(()) };
        outbox::shape(&*self.provider, parts.clone()).map(drop).map_err(|error| error.to_string())
    }
}
