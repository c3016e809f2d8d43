//! Media out, inside the message; and media in, where the gateway keeps them.
//!
//! There is no upload: a medium in hand travels as base64, so its name here is a `data:` address that holds it. Inbound
//! media are announced, and no more than that, unless the operator has connected the number to a storage of files: then
//! the announcement names one, the gateway stores it in its own time, and says where it is when asked (the gateway's
//! guide on attachment storage).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use url::Url;

use super::errors::{GatewayCall, meaning};
use super::{Gateway, limits};
use crate::message::MediaRef;
use crate::provider::exchange::{TOO_LARGE, download, exchange};
use crate::provider::lenient::Object;
use crate::provider::{ErrorCode, ProviderError, answer::Repeat};
use crate::runtime::http::{Body, Call, Download};

/// The largest medium that travels inside a message, in bytes: a reply is recorded before it is sent, base64 adds a
/// third, and a record holds 1 MiB.
pub(super) const LARGEST_INLINE: usize = 700 << 10;

/// The name of a medium in hand: it holds the medium.
pub(super) fn name(data: &Bytes, mime: &str) -> Result<String, ProviderError> {
    if data.len() > LARGEST_INLINE {
        return Err(rejected("the medium has more than 700 KiB: it needs a link"));
    }
    if data.is_empty() || !limits::is_mime(mime) {
        return Err(rejected("the medium is empty or has no MIME type"));
    }
    Ok(format!("data:{mime};base64,{}", BASE64_STANDARD.encode(data)))
}

/// The MIME type and the base64 that such a name holds.
pub(super) fn from_name(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix("data:")?.split_once(";base64,").filter(|(_, data)| !data.is_empty())
}

impl Gateway {
    pub(super) async fn fetch(&self, media: &MediaRef, limit: u64) -> Result<Download, ProviderError> {
        let fetched = match (&media.url, &media.id) {
            (None, None) => Err(ProviderError::Unsupported {
                code: ErrorCode::Local(
                    "the gateway announces media and does not hand them over: connect its number to a storage",
                ),
            }),
            (Some(url), None) => self.download(url, limit).await,
            (Some(url), Some(id)) => match self.download(url, limit).await {
                // An address that has changed or lapsed since; too large stays too large.
                Err(error) if error != TOO_LARGE => self.look_up(id, limit).await,
                done => done,
            },
            (None, Some(id)) => self.look_up(id, limit).await,
        };
        fetched.map(|mut download| {
            // The gateway calls everything a stream of octets: the announcement knows better.
            download.mime = media.mime.clone().or(download.mime);
            download
        })
    }

    /// Asks where the medium is, and fetches it there.
    async fn look_up(&self, id: &str, limit: u64) -> Result<Download, ProviderError> {
        let call = self.request("GET", self.api(&["media", id]), Body::Empty);
        let answer = exchange(&*self.transport, call, Repeat::Harmless).await?;
        let object = answer.object().filter(|_| answer.is_success());
        let object = object.ok_or_else(|| meaning(GatewayCall::Medium, &answer, self.clock.now()))?;
        let medium = Object(&object);
        if medium.int("size").and_then(|size| u64::try_from(size).ok()).is_some_and(|size| size > limit) {
            return Err(TOO_LARGE);
        }
        match (medium.text("url"), medium.text("status").as_deref()) {
            (Some(url), _) => self.download(&url, limit).await,
            (None, Some("expired" | "failed")) => Err(rejected("the gateway no longer has the medium")),
            // It stores in its own time.
            (None, _) => {
                Err(ProviderError::Transient { code: ErrorCode::Network("the gateway has not stored the medium yet") })
            }
        }
    }

    /// The address itself is the permission: our credentials stay out of it.
    async fn download(&self, url: &str, limit: u64) -> Result<Download, ProviderError> {
        let allowed = Url::parse(url).ok().filter(|url| self.media_hosts.allow(url));
        let url = allowed.ok_or(rejected("the medium's address is not on a host of the gateway's"))?;
        let in_clear = self.media_hosts.in_clear(&url);
        let call = Call { method: "GET", url, headers: Vec::new(), body: Body::Empty, timeout: self.timeout, in_clear };
        match download(&*self.transport, call, limit).await? {
            Ok(download) => Ok(download),
            Err(refused) => Err(meaning(GatewayCall::Medium, &refused, self.clock.now())),
        }
    }
}

fn rejected(what: &'static str) -> ProviderError {
    ProviderError::Rejected { code: ErrorCode::Local(what) }
}
