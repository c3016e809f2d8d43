//! Attachments: announced to the API, put into a store beside it under a signed address, and fetched from there under
//! another. The store knows no key; it knows its own signatures, and speaks XML.

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;

use super::error::Refusal;
use super::webhook::{moment, sha256};
use super::{Desk, names};
use crate::message::clock::Timestamp;
use crate::sandbox::media::Origin;
use crate::sandbox::upstream::{Denial, UpstreamAnswer, UpstreamRequest};

const LARGEST: u64 = 100_000_000;
/// How long an address is good for, to put something there or to fetch it.
const PUT_WITHIN: Duration = Duration::from_secs(15 * 60);
pub(super) const FETCH_WITHIN: Duration = Duration::from_secs(3600);
/// How long the address that an announcement gives is good for, to fetch what has been put there.
const STABLE_FOR: Duration = Duration::from_secs(24 * 3600);

impl Desk<'_> {
    /// Takes the announcement of a file, and says where it is to be put.
    pub(super) fn announce(self, request: &UpstreamRequest) -> Result<UpstreamAnswer, Refusal> {
        let body = self.body(request)?;
        let field = |name: &str| {
            body[name].as_str().filter(|text| !text.is_empty()).ok_or_else(|| Refusal::missing(name)).map(str::to_owned)
        };
        let (name, mime) = (field("filename")?, field("content_type")?);
        let size = body["size_bytes"].as_u64().ok_or_else(|| Refusal::missing("size_bytes"))?;
        if size == 0 || size > LARGEST {
            return Err(Refusal::invalid("size_bytes"));
        }
        if !name.contains('.') || !mime.contains('/') || ["ogg", "opus", "flac"].iter().any(|kind| mime.contains(kind))
        {
            return Err(Refusal::invalid("content_type"));
        }
        let (medium, until) = (self.ids.medium(), self.clock.now().plus(PUT_WITHIN));
        let id = names::attachment(&medium);
        let (signature, ticket) = (self.signature(&id, &mime, size, until), self.ids.token());
        self.media.issue_until(ticket.clone(), &medium, self.clock.now().plus(STABLE_FOR));
        let path = format!("/upload/{id}?size={size}&until={}&signature={signature}", until.0);
        let answer = json!({
            "attachment_id": id,
            "upload_url": request.address_of(&path),
            "download_url": request.address_of(&format!("/files/{ticket}")),
            "http_method": "PUT",
            "expires_at": moment(until),
            "required_headers": { "Content-Type": mime },
        });
        Ok(UpstreamAnswer::json(200, &answer))
    }

    /// Takes a file in. Its type has to be the one that the address was signed with.
    pub(super) fn put(self, request: &UpstreamRequest, id: &str) -> Result<UpstreamAnswer, Denial> {
        let (_, query) = request.target();
        let field = |name: &str| {
            query
                .split('&')
                .find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name).map(|(_, value)| value))
        };
        let number = |name: &str| field(name).and_then(|value| value.parse::<u64>().ok()).unwrap_or_default();
        let (size, until) = (number("size"), Timestamp(number("until")));
        let mime = request.header("content-type").unwrap_or_default();
        let signed = field("signature") == Some(self.signature(id, mime, size, until).as_str());
        let keyless = request.header("authorization").is_none();
        let Some(medium) = names::medium(id).filter(|_| signed && keyless && self.clock.now() < until) else {
            return Err(refused(403, "SignatureDoesNotMatch"));
        };
        if request.body.len() as u64 != size {
            return Err(refused(400, "IncompleteBody"));
        }
        self.media.keep(medium, mime, request.body.clone(), Origin::Bot, self.clock.now());
        Ok(UpstreamAnswer::empty(200))
    }

    pub(super) fn attachment(self, request: &UpstreamRequest, id: &str) -> Result<UpstreamAnswer, Refusal> {
        let medium = names::medium(id).ok_or_else(|| Refusal::invalid("attachmentId"))?;
        let now = self.clock.now();
        let kept = self.media.get(&medium, now).ok_or(Refusal::not_found(2003))?;
        let ticket = self.ids.token();
        self.media.issue_until(ticket.clone(), &medium, now.plus(FETCH_WITHIN));
        let answer = json!({
            "id": id,
            "filename": "file",
            "content_type": kept.mime,
            "size_bytes": kept.data.len(),
            "status": "complete",
            "download_url": request.address_of(&format!("/files/{ticket}")),
            "created_at": moment(now),
        });
        Ok(UpstreamAnswer::json(200, &answer))
    }

    pub(super) fn download(self, ticket: &str) -> Result<UpstreamAnswer, Denial> {
        let medium = self.media.redeem(ticket, self.clock.now()).ok_or_else(|| refused(403, "AccessDenied"))?;
        Ok(UpstreamAnswer::new(200, &medium.mime, medium.data))
    }

    fn signature(self, id: &str, mime: &str, size: u64, until: Timestamp) -> String {
        let signed = format!("{id}\n{mime}\n{size}\n{}", until.0);
        hex::encode(sha256(self.settings.app_secret.as_bytes(), &[signed.as_bytes()]))
    }
}

/// What the store says when it refuses.
fn refused(status: u16, code: &str) -> Denial {
    let body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code></Error>");
    Denial { status, code: None, answer: UpstreamAnswer::new(status, "application/xml", Bytes::from(body)) }
}
