//! Media in and out. Linq keeps files in a store beside its API, and hands out addresses there that need no key and
//! soon end: so the key is never sent there.

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use url::Url;

use super::Linq;
use super::errors::of_files;
use crate::message::MediaRef;
use crate::provider::answer::Repeat;
use crate::provider::exchange::{TOO_LARGE, download, exchange};
use crate::provider::files;
use crate::provider::lenient::Object;
use crate::provider::{ErrorCode, ProviderError};
use crate::runtime::http::{Body, Call, Download, is_private_enough};

/// An upload's time grows by one second for each of these, in bytes.
const UPLOADED_IN_A_SECOND: u64 = 256 << 10;

/// Headers of an upload that are HTTP's own to set, or that would show the store who we are.
const NOT_THEIRS: [&str; 5] = ["host", "content-length", "transfer-encoding", "connection", "authorization"];

impl Linq {
    pub(super) async fn fetch(&self, media: &MediaRef, limit: u64) -> Result<Download, ProviderError> {
        if let Some(url) = &media.url {
            match self.download(url, limit).await {
                // An address lives for an hour; the identifier lasts longer.
                Err(error) if media.id.is_some() && error != TOO_LARGE => {}
                done => return done,
            }
        }
        let id = media.id.as_deref().ok_or(rejected("the medium has neither an identifier nor an address"))?;
        let described = self.ask("GET", &["v3", "attachments", id], Body::Empty, Repeat::Harmless).await?;
        let described = Object(&described);
        if described.int("size_bytes").and_then(|size| u64::try_from(size).ok()).is_some_and(|size| size > limit) {
            return Err(TOO_LARGE);
        }
        let url = described.text("download_url").ok_or(rejected("the medium has no address"))?;
        self.download(&url, limit).await
    }

    async fn download(&self, url: &str, limit: u64) -> Result<Download, ProviderError> {
        let allowed = Url::parse(url).ok().filter(|url| self.media_hosts.allow(url));
        let url = allowed.ok_or(rejected("the medium's address is not on a host of Linq's"))?;
        let call =
            Call { method: "GET", url, headers: Vec::new(), body: Body::Empty, timeout: self.timeout, in_clear: false };
        download(&*self.transport, call, limit).await?.map_err(|refused| of_files(&refused))
    }

    /// Announces a file, then puts it where the answer says.
    pub(super) async fn upload(&self, data: Bytes, mime: &str) -> Result<String, ProviderError> {
        let plain = mime.split(';').next().unwrap_or_default().trim();
        // Linq wants names to end in what files are.
        let name = format!("file.{}", files::ending(plain));
        let announced = json!({ "filename": name, "content_type": plain, "size_bytes": data.len() });
        let body = Body::Json(announced.to_string().into());
        let place = self.ask("POST", &["v3", "attachments"], body, Repeat::Harmless).await?;
        let place = Object(&place);
        // Whatever was announced without effect can be announced again: nobody has seen it.
        let unnamed = ProviderError::Transient { code: ErrorCode::Network("the answer names no attachment") };
        let (Some(id), Some(url)) = (place.text("attachment_id"), place.text("upload_url")) else {
            return Err(unnamed);
        };
        // Over plain http only if the API itself is: then both are on this machine.
        let https = |url: &Url| url.scheme() == "https" || self.base_url.scheme() == "http";
        let url = Url::parse(&url).ok().filter(|url| is_private_enough(url) && https(url));
        let url = url.ok_or(rejected("the address for the upload is not an https address"))?;
        let timeout = self.timeout + Duration::from_secs(data.len() as u64 / UPLOADED_IN_A_SECOND);
        let headers = headers(place.object("required_headers"), plain);
        let call = Call { method: "PUT", url, headers, body: Body::Raw(data), timeout, in_clear: false };
        let stored = exchange(&*self.transport, call, Repeat::Harmless).await.map_err(|error| match error {
            // The address and the headers are the store's, and say nothing of the bot.
            ProviderError::Unauthorized { code } => ProviderError::Rejected { code },
            error => error,
        })?;
        stored.is_success().then_some(id).ok_or_else(|| of_files(&stored))
    }
}

/// The headers that the store wants exactly so: the address is signed along with them.
fn headers(wanted: Option<Object<'_>>, mime: &str) -> Vec<(std::borrow::Cow<'static, str>, String)> {
    let wanted = wanted.map(|wanted| wanted.0.clone()).unwrap_or_default();
    let theirs = |name: &String| !NOT_THEIRS.iter().any(|known| known.eq_ignore_ascii_case(name));
    let wanted = wanted.into_iter().filter(|(name, _)| theirs(name));
    let mut headers: Vec<_> =
        wanted.filter_map(|(name, value)| Some((name.into(), value.as_str()?.to_owned()))).collect();
    if !headers.iter().any(|(name, _): &(std::borrow::Cow<'_, str>, _)| name.eq_ignore_ascii_case("content-type")) {
        headers.push(("content-type".into(), mime.to_owned()));
    }
    headers
}

fn rejected(what: &'static str) -> ProviderError {
    ProviderError::Rejected { code: ErrorCode::Local(what) }
}
