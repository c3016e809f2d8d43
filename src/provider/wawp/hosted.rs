//! Wawp's calls: its own paths, every body JSON, and credentials in one of three places (Wawp's pages on sending, and
//! its Python SDK for the headers).

mod config;

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use url::Url;

use super::file::{At, File};
use super::limits::Takes;
use super::line::{self, Dialect, Seen, WawpRequest};
use super::message_id;
use crate::message::{Media, MediaKind, MessageRef, Part, PartKey, Payload};
use crate::provider::{Activity, ErrorCode, ProviderError};
use crate::runtime::http::{Body, Call};
pub use config::{CredentialsIn, MediaStyle, TextField, WawpConfig};

/// A number on Wawp.
pub(super) struct Wawp {
    base_url: Url,
    instance_id: SecretString,
    access_token: SecretString,
    credentials: CredentialsIn,
    text_field: TextField,
    media_style: MediaStyle,
    seen: Seen,
    /// The segments of the path that shows "recording".
    recording: Option<Vec<String>>,
    timeout: Duration,
}

impl Wawp {
    fn medium(&self, to: &MessageRef, media: &Media) -> Result<WawpRequest, ProviderError> {
        let (path, converts) = match media.kind {
            MediaKind::Image => ("image", false),
            MediaKind::Video => ("video", false),
            // There is no documented path for sounds but that of voice notes.
            MediaKind::Audio | MediaKind::Voice => ("voice", true),
            MediaKind::Document => ("pdf", false),
            MediaKind::Sticker => return Err(UNSENDABLE),
        };
        let file = File::of(media)?;
        let mut body = chat(to);
        let url = match file.at {
            At::Link(url) | At::Inline { whole: url, .. } => url,
        };
        let is_ready = file.is_ready();
        match self.media_style {
            MediaStyle::Brackets => {
                body.insert("file[url]".to_owned(), url.into());
                body.insert("file[filename]".to_owned(), file.name.into());
                body.insert("file[mimetype]".to_owned(), file.mime.into());
            }
            MediaStyle::Nested => {
                let file = json!({ "url": url, "filename": file.name, "mimetype": file.mime });
                body.insert("file".to_owned(), file);
            }
        }
        if let Some(caption) = media.caption.as_deref().filter(|caption| !caption.is_empty()) {
            body.insert("caption".to_owned(), caption.into());
        }
        if converts && !is_ready {
            body.insert("convert".to_owned(), "true".into());
        }
        Ok(WawpRequest::post(&["v2", "send", path], body))
    }
}

impl Dialect for Wawp {
    const NAME: &'static str = "wawp";

    const TAKES: Takes = Takes { stickers: false, places: false };

    /// Wawp's page knows one 404, "Session Does Not Exist"; the other is that of a server that is not Wawp's.
    fn session_is_gone(words: &str) -> bool {
        !words.contains("rest_no_route")
    }

    /// Whether it is the instance's identifier is not documented.
    fn session(&self) -> Option<&str> {
        None
    }

    fn seen(&self, message: &MessageRef) -> WawpRequest {
        let mut body = chat(message);
        line::seen(message, self.seen, &mut body);
        WawpRequest::post(&["v2", "send", "seen"], body)
    }

    fn typing(&self, message: &MessageRef, activity: Activity) -> WawpRequest {
        match &self.recording {
            Some(path) if activity == Activity::Recording => {
                WawpRequest { method: "POST", path: path.clone(), body: chat(message) }
            }
            _ => WawpRequest::post(&["v2", "send", "start-typing"], chat(message)),
        }
    }

    fn stop(&self, message: &MessageRef) -> WawpRequest {
        WawpRequest::post(&["v2", "send", "stop-typing"], chat(message))
    }

    fn part(&self, to: &MessageRef, part: &Part, _: &PartKey) -> Result<WawpRequest, ProviderError> {
        let mut request = match &part.payload {
            Payload::Text { body: text } => {
                let mut body = chat(to);
                body.insert(self.text_field.name().to_owned(), text.as_str().into());
                WawpRequest::post(&["v2", "send", "text"], body)
            }
            Payload::Media(media) => self.medium(to, media)?,
            Payload::Reaction { message, emoji } => {
                let mut body = chat(to);
                body.insert("messageId".to_owned(), line::reacted(to, message).into());
                body.insert("reaction".to_owned(), emoji.as_str().into());
                return Ok(WawpRequest { method: "PUT", ..WawpRequest::post(&["v2", "send", "reaction"], body) });
            }
            Payload::Buttons { .. }
            | Payload::List { .. }
            | Payload::Location { .. }
            | Payload::ApprovedTemplate { .. } => return Err(UNSENDABLE),
        };
        if part.quote {
            request.body.insert("reply_to".to_owned(), message_id::on_the_wire(&to.message).into());
        }
        Ok(request)
    }

    fn call(&self, request: WawpRequest) -> Call {
        let WawpRequest { method, path, mut body } = request;
        let mut url = line::address(&self.base_url, path.iter().map(String::as_str));
        let (instance, token) = (self.instance_id.expose_secret(), self.access_token.expose_secret());
        let mut headers = Vec::new();
        match self.credentials {
            CredentialsIn::Body => {
                body.insert("instance_id".to_owned(), instance.into());
                body.insert("access_token".to_owned(), token.into());
            }
            CredentialsIn::Query => {
                url.query_pairs_mut().append_pair("instance_id", instance).append_pair("access_token", token);
            }
            CredentialsIn::Headers => {
                headers.push(("authorization".into(), format!("Bearer {token}")));
                headers.push(("x-instance-id".into(), instance.to_owned()));
            }
        }
        Call { headers, ..line::json(method, url, body, self.timeout) }
    }

    /// Without credentials: nothing says that a medium's address wants them.
    fn open(&self, url: Url) -> Call {
        Call { method: "GET", url, headers: Vec::new(), body: Body::Empty, timeout: self.timeout, in_clear: false }
    }
}

const UNSENDABLE: ProviderError =
    ProviderError::Unsupported { code: ErrorCode::Local("Wawp has no documented call for this") };

fn chat(message: &MessageRef) -> Map<String, Value> {
    Map::from_iter([("chatId".to_owned(), message.chat.as_str().into())])
}
