//! Media: upload, resolve, download, delete.

use serde_json::json;

use super::{Desk, Refusal, multipart, success};
use crate::sandbox::media::Origin;
use crate::sandbox::upstream::{UpstreamAnswer, UpstreamRequest};

const MEGABYTE: usize = 1024 * 1024;

impl Desk<'_> {
    pub(super) fn upload(self, request: &UpstreamRequest) -> Result<UpstreamAnswer, Refusal> {
        let form = request.header("content-type").and_then(|kind| multipart::parts(kind, &request.body));
        let form = form.ok_or_else(|| Refusal::invalid("the body is not a multipart form"))?;
        let field = |name: &str| form.iter().find(|part| part.name == name);
        if field("messaging_product").is_none_or(|part| &*part.data != b"whatsapp") {
            return Err(Refusal::invalid("`messaging_product` has to be `whatsapp`"));
        }
        let file = field("file").filter(|part| part.is_file).ok_or_else(|| Refusal::missing("file"))?;
        let declared = field("type").and_then(|part| std::str::from_utf8(&part.data).ok());
        let mime = file.mime.as_deref().or(declared).ok_or_else(|| Refusal::missing("type"))?;
        check_size(mime, file.data.len())?;
        let id = self.ids.medium();
        self.media.keep(id.clone(), mime, file.data.clone(), Origin::Bot, self.clock.now());
        Ok(UpstreamAnswer::json(200, &json!({ "id": id })))
    }

    pub(super) fn resolve(self, request: &UpstreamRequest, id: &str) -> Result<UpstreamAnswer, Refusal> {
        let medium = self.media.get(id, self.clock.now()).ok_or_else(Refusal::no_such_object)?;
        let ticket = self.ids.token();
        self.media.issue(ticket.clone(), id, self.clock.now());
        Ok(UpstreamAnswer::json(
            200,
            &json!({
                "url": request.address_of(&format!("/download/{ticket}")),
                "mime_type": medium.mime,
                "sha256": medium.sha256(),
                "file_size": medium.data.len(),
                "id": id,
                "messaging_product": "whatsapp",
            }),
        ))
    }

    pub(super) fn download(self, ticket: &str) -> Result<UpstreamAnswer, Refusal> {
        let medium = self.media.redeem(ticket, self.clock.now()).ok_or_else(Refusal::gone)?;
        Ok(UpstreamAnswer::new(200, &medium.mime, medium.data))
    }

    pub(super) fn delete(self, id: &str) -> Result<UpstreamAnswer, Refusal> {
        if self.media.forget(id, self.clock.now()) { Ok(success()) } else { Err(Refusal::no_such_object()) }
    }
}

/// Meta's limits by type. What is neither picture, sound nor film passes as a document.
pub(super) fn check_size(mime: &str, length: usize) -> Result<(), Refusal> {
    let kind = mime.split(';').next().unwrap_or_default().trim();
    let limit = match kind {
        "image/jpeg" | "image/png" => 5 * MEGABYTE,
        "image/webp" => 500 * 1024,
        "audio/aac" | "audio/amr" | "audio/mpeg" | "audio/mp4" | "audio/ogg" => 16 * MEGABYTE,
        "video/mp4" | "video/3gpp" => 16 * MEGABYTE,
        other if ["image/", "audio/", "video/"].iter().any(|family| other.starts_with(family)) => {
            return Err(Refusal::bad_medium("WhatsApp does not take this type of picture, sound or film"));
        }
        _ => 100 * MEGABYTE,
    };
    if length <= limit { Ok(()) } else { Err(Refusal::bad_medium(format!("at most {limit} bytes of this type"))) }
}
