//! Media in and out. Meta hands out an address that lives for five minutes, and wants the token there: so it matters
//! where that address leads.

use std::time::Duration;

use bytes::Bytes;
use url::Url;

use super::Meta;
use crate::message::MediaRef;
use crate::provider::answer::Repeat;
use crate::provider::exchange::{TOO_LARGE, download};
use crate::provider::files;
use crate::provider::lenient::Object;
use crate::provider::{ErrorCode, ProviderError};
use crate::runtime::http::{Body, Download};

/// An upload's time grows by one second for each of these, in bytes.
const UPLOADED_IN_A_SECOND: u64 = 256 << 10;

impl Meta {
    pub(super) async fn fetch(&self, media: &MediaRef, limit: u64) -> Result<Download, ProviderError> {
        if let Some(url) = &media.url {
            match self.download(url, limit).await {
                // Addresses die within minutes, and not every webhook's one is good: the identifier lasts longer.
                Err(error) if media.id.is_some() && error != TOO_LARGE => {}
                done => return done,
            }
        }
        let id = media.id.as_deref().ok_or(rejected("the medium has neither an identifier nor an address"))?;
        let mut url = self.url(&[id]);
        url.query_pairs_mut().append_pair("phone_number_id", &self.settings.phone_number_id);
        let answer = self.call(self.request("GET", url, Body::Empty), Repeat::Harmless).await?;
        let described = Object(&answer);
        if described.int("file_size").and_then(|size| u64::try_from(size).ok()).is_some_and(|size| size > limit) {
            return Err(TOO_LARGE);
        }
        let url = described.text("url").ok_or(rejected("the medium has no address"))?;
        self.download(&url, limit).await
    }

    async fn download(&self, url: &str, limit: u64) -> Result<Download, ProviderError> {
        let allowed = Url::parse(url).ok().filter(|url| self.media_hosts.allow(url));
        let url = allowed.ok_or(rejected("the medium's address is not on a host of Meta's"))?;
        let call = self.request("GET", url, Body::Empty);
        match download(&*self.transport, call, limit).await? {
            Ok(download) => Ok(download),
            Err(refused) => Err(self.refusal(&refused, refused.object().as_ref(), Repeat::Harmless)),
        }
    }

    pub(super) async fn upload(&self, data: Bytes, mime: &str) -> Result<String, ProviderError> {
        let extra = Duration::from_secs(data.len() as u64 / UPLOADED_IN_A_SECOND);
        let fields = vec![("messaging_product", "whatsapp".to_owned()), ("type", mime.to_owned())];
        let body = Body::Multipart { fields, file: data, mime: mime.to_owned(), name: files::upload_name(mime).into() };
        let mut call = self.request("POST", self.url(&[&self.settings.phone_number_id, "media"]), body);
        call.timeout += extra;
        let answer = self.call(call, Repeat::Harmless).await?;
        // Whatever was uploaded without a name can be uploaded again: nobody has seen it.
        Object(&answer)
            .text("id")
            .ok_or(ProviderError::Transient { code: ErrorCode::Network("the answer names no medium") })
    }
}

fn rejected(what: &'static str) -> ProviderError {
    ProviderError::Rejected { code: ErrorCode::Local(what) }
}
