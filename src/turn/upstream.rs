//! What a handler may ask of the upstream: the media of its turn's messages, and what fits into a reply.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::timeout;

use crate::delivery::outbox;
use crate::handler::{FetchMedia, Fetched, Fits, MediaError};
use crate::message::{MediaRef, Reply};
use crate::provider::{Provider, ProviderError};
use crate::runtime::budget::{MemoryBudget, MemoryUse, Share};
use crate::runtime::http::{CallError, Download};

/// The upstream, as far as a handler may ask it something.
pub(super) struct Upstream {
    pub(super) provider: Arc<dyn Provider>,
    pub(super) limit: u64,
    pub(super) memory: MemoryBudget,
    /// How much of it the bot holds; none if it is alone.
    pub(super) tally: Option<MemoryUse>,
    /// How long a medium waits for memory.
    pub(super) patience: Duration,
    /// What opens a list that questions with too many buttons become.
    pub(super) list_button: String,
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

/// Why a medium could not be fetched, and whether it is worth another try.
pub(super) struct Unfetched {
    pub(super) error: MediaError,
    pub(super) may_pass: bool,
}

impl Unfetched {
    fn because(error: impl Into<String>, may_pass: bool) -> Self {
        Self { error: MediaError(error.into()), may_pass }
    }
}

impl Upstream {
    async fn open(&self, media: &MediaRef) -> Result<Download, Unfetched> {
        let opened = timeout(MEDIA_PATIENCE, self.provider.fetch_media(media, self.limit)).await;
        opened.map_err(|_| Unfetched::because("timed out", true))?.map_err(|error| {
            use ProviderError::{Ambiguous, RateLimited, Transient};
            let may_pass = matches!(error, RateLimited { .. } | Transient { .. } | Ambiguous { .. });
            Unfetched::because(error.to_string(), may_pass)
        })
    }

    /// A medium, in memory that counts for as long as it is held.
    pub(super) async fn try_to_fetch(&self, media: &MediaRef) -> Result<Fetched, Unfetched> {
        let room = timeout(self.patience, self.memory.take_for(self.tally.as_ref(), self.limit)).await;
        let mut room = room.map_err(|_| Unfetched::because("too many media are held in memory", false))?;
        let download = self.open(media).await?;
        let mime = download.mime.clone().or_else(|| media.mime.clone());
        let data = download.into_memory().await;
        let data = data.map_err(|error| Unfetched::because(error.to_string(), error != CallError::TooLarge))?;
        room.shrink(data.len() as u64);
        let data = Bytes::from_owner(InRoom { data, _room: room });
        Ok(Fetched { data, mime: mime.unwrap_or_else(|| "application/octet-stream".into()) })
    }
}

#[async_trait]
impl FetchMedia for Upstream {
    async fn fetch(&self, media: &MediaRef) -> Result<Fetched, MediaError> {
        self.try_to_fetch(media).await.map_err(|unfetched| unfetched.error)
    }

    async fn fetch_to(&self, media: &MediaRef, path: &Path) -> Result<u64, MediaError> {
        let download = self.open(media).await.map_err(|unfetched| unfetched.error)?;
        download.into_file(path).await.map_err(|error| MediaError(error.to_string()))
    }
}

impl Fits for Upstream {
    fn fits(&self, reply: &Reply) -> Result<(), String> {
        let (Reply::Send(parts) | Reply::Fallback { parts, .. }) = reply else { return Ok(()) };
        let prepared = outbox::shape(&*self.provider, parts.clone(), &self.list_button).end();
        match prepared.map_err(|error| error.to_string())?.left_out {
            None => Ok(()),
            Some(why) => Err(why),
        }
    }
}
