//! Media: uploads, and addresses in an object store that asks for no credential.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Desk, Refusal, success, text};
use crate::sandbox::media::Origin;
use crate::sandbox::meta::{self, multipart};
use crate::sandbox::upstream::{Denial, UpstreamAnswer, UpstreamRequest};

/// Where the object store is. The real one is on a host of its own.
pub(super) const STORE: &str = "/object-store/";

impl Desk<'_> {
    pub(super) fn upload(self, request: &UpstreamRequest) -> Result<UpstreamAnswer, Refusal> {
        let form = request.header("content-type").and_then(|kind| multipart::parts(kind, &request.body));
        let form = form.ok_or_else(|| Refusal::parameter("file"))?;
        let part = |name: &str| form.iter().find(|part| part.name == name).ok_or_else(|| Refusal::parameter(name));
        let field = |name| part(name).map(|part| String::from_utf8_lossy(&part.data).into_owned());
        if field("messaging_product")? != "whatsapp" {
            return Err(Refusal::parameter("messaging_product"));
        }
        self.check_number(&field("business_phone")?, Refusal::OF_NUMBER)?;
        let (mime, file) = (field("type")?, part("file")?);
        if !file.is_file || mime.is_empty() {
            return Err(Refusal::parameter("file"));
        }
        meta::pass_on_medium(&self, &mime, file.data.len()).map_err(Refusal::metas)?;
        let id = self.ids.medium();
        self.media.keep(id.clone(), &mime, file.data.clone(), Origin::Bot, self.clock.now());
        Ok(success(&json!({ "id": id })))
    }

    pub(super) fn resolve(self, request: &UpstreamRequest, body: &Value) -> Result<UpstreamAnswer, Refusal> {
        let id = text(body, "Media-ID")?;
        let medium = self.media.get(id, self.clock.now()).ok_or_else(|| Refusal::own(-1, "Request failed"))?;
        let ticket = self.ids.token();
        self.media.issue(ticket.clone(), id, self.clock.now());
        let url = request.address_of(&format!("{STORE}{ticket}?Signature=sandbox"));
        Ok(success(&json!({ "mime_type": medium.mime, "file_name": ticket, "url": url })))
    }

    /// Hands a medium out to whoever has an address that is still good.
    pub(super) fn download(self, ticket: &str) -> Result<UpstreamAnswer, Denial> {
        match self.media.redeem(ticket, self.clock.now()) {
            Some(medium) => Ok(UpstreamAnswer::new(200, "application/octet-stream", medium.data)),
            None => {
                let error = Bytes::from_static(b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>");
                let answer = UpstreamAnswer::new(403, "application/xml", error);
                Err(Denial { status: 403, code: None, answer })
            }
        }
    }
}
