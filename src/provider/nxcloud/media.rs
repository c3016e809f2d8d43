//! Media in and out. NXCloud keeps what customers send in an object store and hands out an address there that carries
//! its own permission: no credential of ours goes along.

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use url::Url;

use super::NxCloud;
use super::call::{NxcloudBody, Operation};
use crate::message::MediaRef;
use crate::provider::answer::{Repeat, by_status, retry_after};
use crate::provider::exchange::{FullResponse, download};
use crate::provider::hosts::is_public;
use crate::provider::lenient::Object;
use crate::provider::{ErrorCode, ProviderError};
use crate::runtime::http::{Body, Call, Download};

/// An upload's time grows by one second for each of these, in bytes.
const UPLOADED_IN_A_SECOND: u64 = 256 << 10;

impl NxCloud {
    /// Asks for the address by the medium's identifier. One that came with the message is passed over: it would be
    /// Meta's, and Meta wants a token there that we have not got.
    pub(super) async fn fetch(&self, media: &MediaRef, limit: u64) -> Result<Download, ProviderError> {
        let id = media.id.as_deref().ok_or(rejected("the medium has no identifier"))?;
        let said = json!({
            "business_phone": self.own,
            "messaging_product": "whatsapp",
            "Media-ID": id,
        });
        let described = self.call(Operation::GetMedia, said.into(), self.config.timeout, Repeat::Harmless).await?;
        let described = Object(&described);
        let url = described.text("url").ok_or(rejected("the medium has no address"))?;
        let url = Url::parse(&url).ok().filter(|url| self.is_allowed(url));
        let url = url.ok_or(rejected("the medium's address is not on a host that media_hosts allows"))?;
        let (timeout, headers) = (self.config.timeout, Vec::new());
        let call = Call { method: "GET", url, headers, body: Body::Empty, timeout, in_clear: false };
        match download(&*self.transport, call, limit).await? {
            Ok(mut download) => {
                // Object stores often call everything a stream of octets.
                download.mime = described.text("mime_type").or(download.mime);
                Ok(download)
            }
            Err(refused) => Err(self.refused_by_store(&refused)),
        }
    }

    fn is_allowed(&self, url: &Url) -> bool {
        self.media_hosts.allow(url) || (self.config.media_hosts.is_empty() && is_public(url))
    }

    /// The store knows nothing of our credentials: its refusals say nothing about them.
    fn refused_by_store(&self, refused: &FullResponse) -> ProviderError {
        match by_status(refused.status, retry_after(&refused.headers, self.clock.now()), Repeat::Harmless) {
            ProviderError::Unauthorized { code } => ProviderError::Rejected { code },
            meaning => meaning,
        }
    }

    pub(super) async fn upload(&self, file: Bytes, mime: &str) -> Result<String, ProviderError> {
        let timeout = self.config.timeout + Duration::from_secs(file.len() as u64 / UPLOADED_IN_A_SECOND);
        let mut fields = vec![
            ("business_phone", self.own.clone()),
            ("messaging_product", "whatsapp".to_owned()),
            ("type", mime.to_owned()),
        ];
        if self.config.upload_appkey {
            fields.push(("appkey", self.appkey().to_owned()));
        }
        let said = NxcloudBody::Form { fields, file, mime: mime.to_owned() };
        let answer = self.call(Operation::UploadMedia, said, timeout, Repeat::Harmless).await?;
        // Whatever was uploaded without a name can be uploaded again: nobody has seen it.
        Object(&answer)
            .text("id")
            .ok_or(ProviderError::Transient { code: ErrorCode::Network("the answer names no medium") })
    }
}

fn rejected(what: &'static str) -> ProviderError {
    ProviderError::Rejected { code: ErrorCode::Local(what) }
}
