//! WAHA's calls (WAHA's OpenAPI file, and its pages "Send messages" and "Presence").

mod config;

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use url::Url;

use super::file::{At, File};
use super::limits::Takes;
use super::line::{self, Dialect, Seen, WawpRequest};
use super::message_id;
use crate::message::{Media, MediaKind, MessageRef, Part, PartKey, Payload};
use crate::provider::hosts::Hosts;
use crate::provider::{Activity, ErrorCode, ProviderError};
use crate::runtime::http::{Body, Call};
pub use config::WahaConfig;

/// A number on a WAHA of one's own.
pub(super) struct Waha {
    base_url: Url,
    /// The base address alone: only there may the key be seen.
    own_host: Hosts,
    api_key: SecretString,
    session: String,
    seen: Seen,
    /// Whether messages go out under names that follow from our keys.
    own_message_ids: bool,
    timeout: Duration,
}

impl Waha {
    fn chat(&self, message: &MessageRef) -> Map<String, Value> {
        let fields = [("session", self.session.as_str()), ("chatId", message.chat.as_str())];
        fields.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect()
    }

    fn medium(&self, to: &MessageRef, media: &Media) -> Result<WawpRequest, ProviderError> {
        let (path, converts) = match media.kind {
            MediaKind::Image => ("sendImage", false),
            MediaKind::Video => ("sendVideo", true),
            // A sound that is no voice note would go out as a file, without a way to play it.
            MediaKind::Audio | MediaKind::Voice => ("sendVoice", true),
            MediaKind::Document => ("sendFile", false),
            MediaKind::Sticker => ("sendSticker", false),
        };
        let file = File::of(media)?;
        let mut body = self.chat(to);
        if converts {
            body.insert("convert".to_owned(), (!file.is_ready()).into());
        }
        let mut wire = json!({ "mimetype": file.mime, "filename": file.name });
        match file.at {
            At::Link(url) => wire["url"] = url.into(),
            At::Inline { base64, .. } => wire["data"] = base64.into(),
        }
        body.insert("file".to_owned(), wire);
        if let Some(caption) = media.caption.as_deref().filter(|caption| !caption.is_empty()) {
            body.insert("caption".to_owned(), caption.into());
        }
        Ok(WawpRequest::post(&["api", path], body))
    }

    /// Gives a message a name beforehand, always the same for the same key: in the form of WhatsApp's own.
    fn name(&self, key: &PartKey, body: &mut Map<String, Value>) {
        if self.own_message_ids {
            let digest = hex::encode_upper(Sha256::digest(key.as_str()));
            body.insert("id".to_owned(), format!("3EB0{}", &digest[..18]).into());
        }
    }
}

impl Dialect for Waha {
    const NAME: &'static str = "waha";

    const TAKES: Takes = Takes { stickers: true, places: true };

    fn session_is_gone(words: &str) -> bool {
        words.contains("session")
    }

    fn session(&self) -> Option<&str> {
        Some(&self.session)
    }

    fn seen(&self, message: &MessageRef) -> WawpRequest {
        let mut body = self.chat(message);
        line::seen(message, self.seen, &mut body);
        WawpRequest::post(&["api", "sendSeen"], body)
    }

    fn typing(&self, message: &MessageRef, activity: Activity) -> WawpRequest {
        match activity {
            Activity::Typing => WawpRequest::post(&["api", "startTyping"], self.chat(message)),
            Activity::Recording => {
                let fields = [("chatId", message.chat.as_str()), ("presence", "recording")];
                let body = fields.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
                WawpRequest::post(&["api", &self.session, "presence"], body)
            }
        }
    }

    fn stop(&self, message: &MessageRef) -> WawpRequest {
        WawpRequest::post(&["api", "stopTyping"], self.chat(message))
    }

    fn part(&self, to: &MessageRef, part: &Part, key: &PartKey) -> Result<WawpRequest, ProviderError> {
        let mut request = match &part.payload {
            Payload::Text { body: text } => {
                let mut body = self.chat(to);
                body.insert("text".to_owned(), text.as_str().into());
                self.name(key, &mut body);
                WawpRequest::post(&["api", "sendText"], body)
            }
            Payload::Media(media) => self.medium(to, media)?,
            Payload::Location { latitude, longitude, name, address } => {
                let words: Vec<_> = [name, address].into_iter().flatten().map(String::as_str).collect();
                let mut body = self.chat(to);
                body.insert("latitude".to_owned(), json!(latitude));
                body.insert("longitude".to_owned(), json!(longitude));
                body.insert("title".to_owned(), words.join(", ").into());
                self.name(key, &mut body);
                WawpRequest::post(&["api", "sendLocation"], body)
            }
            Payload::Reaction { message, emoji } => {
                let fields =
                    [("session", &*self.session), ("messageId", line::reacted(to, message)), ("reaction", emoji)];
                let body = fields.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
                return Ok(WawpRequest { method: "PUT", ..WawpRequest::post(&["api", "reaction"], body) });
            }
            Payload::Buttons { .. } | Payload::List { .. } | Payload::ApprovedTemplate { .. } => {
                let code = ErrorCode::Local("WAHA has no call for this that WhatsApp shows reliably");
                return Err(ProviderError::Unsupported { code });
            }
        };
        if part.quote {
            request.body.insert("reply_to".to_owned(), message_id::on_the_wire(&to.message).into());
        }
        Ok(request)
    }

    fn call(&self, request: WawpRequest) -> Call {
        let WawpRequest { method, path, body } = request;
        let url = line::address(&self.base_url, path.iter().map(String::as_str));
        let in_clear = self.own_host.in_clear(&url);
        Call { headers: vec![self.key()], in_clear, ..line::json(method, url, body, self.timeout) }
    }

    fn open(&self, url: Url) -> Call {
        let headers = if self.own_host.allow(&url) { vec![self.key()] } else { Vec::new() };
        let in_clear = self.own_host.in_clear(&url);
        Call { method: "GET", url, headers, body: Body::Empty, timeout: self.timeout, in_clear }
    }
}

impl Waha {
    fn key(&self) -> (std::borrow::Cow<'static, str>, String) {
        ("x-api-key".into(), self.api_key.expose_secret().to_owned())
    }
}
