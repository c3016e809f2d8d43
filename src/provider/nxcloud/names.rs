//! What NXCloud calls its calls, and the headers of its callbacks. Not all of it is written where everybody can read
//! it, so all of it can be set.

use serde::{Deserialize, Serialize};

use super::call::Operation;
use crate::provider::Resolve;

/// The names of a signed callback's headers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CallbackHeaders {
    /// Whose key.
    pub access_key: String,
    /// When it was signed, in milliseconds.
    pub ts: String,
    /// The kind of business.
    pub biz_type: String,
    /// The action.
    pub action: String,
    /// The signature.
    pub sign: String,
}

impl Default for CallbackHeaders {
    fn default() -> Self {
        let [access_key, ts, biz_type, action, sign] =
            ["accessKey", "ts", "bizType", "action", "sign"].map(str::to_owned);
        Self { access_key, ts, biz_type, action, sign }
    }
}

impl CallbackHeaders {
    pub(super) fn check(&self, resolve: &mut Resolve<'_>) {
        let Self { access_key, ts, biz_type, action, sign } = self;
        let all = [access_key, ts, biz_type, action, sign];
        for (name, header) in ["access_key", "ts", "biz_type", "action", "sign"].iter().zip(all) {
            require_word(resolve, &format!("callback_headers.{name}"), header);
        }
    }
}

/// The path of each call.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Paths {
    /// Sends a message.
    pub send: String,
    /// Marks a message as read and lights the dots.
    pub typing: String,
    /// Marks a message as read.
    pub read: String,
    /// Asks where a medium is.
    pub get_media: String,
    /// Uploads a medium.
    pub upload_media: String,
}

impl Default for Paths {
    fn default() -> Self {
        let [send, typing, read, get_media, upload_media] =
            ["mt", "typingIndicator", "markMessageAsRead", "getMedia", "uploadMedia"]
                .map(|call| format!("/api/wa/{call}"));
        Self { send, typing, read, get_media, upload_media }
    }
}

impl Paths {
    pub(super) fn of(&self, operation: Operation) -> &str {
        match operation {
            Operation::Send => &self.send,
            Operation::Typing => &self.typing,
            Operation::Read => &self.read,
            Operation::GetMedia => &self.get_media,
            Operation::UploadMedia => &self.upload_media,
        }
    }

    pub(super) fn check(&self, resolve: &mut Resolve<'_>) {
        let Self { send, typing, read, get_media, upload_media } = self;
        let all = [send, typing, read, get_media, upload_media];
        for (name, path) in ["send", "typing", "read", "get_media", "upload_media"].iter().zip(all) {
            resolve.require(path.starts_with('/'), &format!("paths.{name}"), "must begin with a slash");
        }
    }
}

/// The `action` of each call.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Actions {
    /// Sends a message.
    pub send: String,
    /// Marks a message as read and lights the dots.
    pub typing: String,
    /// Marks a message as read.
    pub read: String,
    /// Asks where a medium is.
    pub get_media: String,
    /// Uploads a medium.
    pub upload_media: String,
}

impl Default for Actions {
    fn default() -> Self {
        let [send, typing, read, get_media, upload_media] =
            ["mt", "read", "read", "getMedia", "uploadMedia"].map(str::to_owned);
        Self { send, typing, read, get_media, upload_media }
    }
}

impl Actions {
    pub(super) fn of(&self, operation: Operation) -> &str {
        match operation {
            Operation::Send => &self.send,
            Operation::Typing => &self.typing,
            Operation::Read => &self.read,
            Operation::GetMedia => &self.get_media,
            Operation::UploadMedia => &self.upload_media,
        }
    }

    pub(super) fn check(&self, resolve: &mut Resolve<'_>) {
        let Self { send, typing, read, get_media, upload_media } = self;
        let all = [send, typing, read, get_media, upload_media];
        for (name, action) in ["send", "typing", "read", "get_media", "upload_media"].iter().zip(all) {
            require_word(resolve, &format!("actions.{name}"), action);
        }
    }
}

/// Notes what cannot stand in a header, or as a name.
pub(super) fn require_word(resolve: &mut Resolve<'_>, key: &str, word: &str) {
    let is_word = !word.is_empty() && word.chars().all(|c| c.is_ascii_graphic());
    resolve.require(is_word, key, "must be one word");
}
