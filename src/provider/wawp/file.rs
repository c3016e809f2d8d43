//! A medium on its way out, as these upstreams describe a file: name, MIME type, and where it is. There is no upload:
//! small ones travel inside the call.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::message::{Media, MediaKind, MediaSource};
use crate::provider::{ErrorCode, ProviderError, files};

/// The largest medium that travels inside a call, in bytes. A reply is recorded before it leaves, in a record of 1 MiB
/// at most, and base64 makes four bytes of three.
pub(super) const LARGEST: usize = 700 << 10;

/// A file.
pub(super) struct File<'a> {
    pub(super) name: String,
    pub(super) mime: String,
    pub(super) at: At<'a>,
}

/// Where a file is.
#[derive(Clone, Copy)]
pub(super) enum At<'a> {
    /// There.
    Link(&'a str),
    /// Here: a `data:` address, and the base64 in it.
    Inline { whole: &'a str, base64: &'a str },
}

/// What an "upload" gives the medium for a name: an address that holds it.
///
/// # Errors
/// When it is too large for that.
pub(super) fn inline(data: &[u8], mime: &str) -> Result<String, ProviderError> {
    if data.len() > LARGEST {
        let code =
            ErrorCode::Local("the medium is larger than 700 KiB and there is no upload: give a link to it instead");
        return Err(ProviderError::Rejected { code });
    }
    let mime: String = mime.chars().filter(|c| c.is_ascii_graphic() && *c != ',').collect();
    Ok(format!("data:{mime};base64,{}", BASE64_STANDARD.encode(data)))
}

/// A `data:` address of ours, as MIME type and base64.
pub(super) fn parse(address: &str) -> Option<(&str, &str)> {
    address.strip_prefix("data:")?.split_once(";base64,")
}

impl<'a> File<'a> {
    pub(super) fn of(media: &'a Media) -> Result<Self, ProviderError> {
        let rejected = |what| ProviderError::Rejected { code: ErrorCode::Local(what) };
        let (at, mime, last) = match &media.source {
            MediaSource::Link(link) => (At::Link(link), None, files::link_name(link)),
            MediaSource::Uploaded(whole) => {
                let (mime, base64) = parse(whole).ok_or(rejected("the medium's identifier is none of ours"))?;
                (At::Inline { whole, base64 }, Some(mime.to_owned()), None)
            }
            MediaSource::Bytes { .. } => return Err(rejected("the medium has to be uploaded first")),
        };
        let named = media.filename.clone().filter(|name| !name.is_empty()).or(last);
        let guessed = || named.as_deref().and_then(by_ending).unwrap_or(usual(media.kind)).to_owned();
        let mime = mime.filter(|mime| !mime.is_empty()).unwrap_or_else(guessed);
        let is_known = !matches!(at, At::Link(_)) || mime != usual(MediaKind::Document);
        let name = named
            .unwrap_or_else(|| if is_known { format!("file.{}", files::ending(&mime)) } else { "file".to_owned() });
        Ok(Self { name, mime, at })
    }

    /// Whether a sound is a voice note already, or a video one that WhatsApp plays; others have to be converted.
    pub(super) fn is_ready(&self) -> bool {
        let mime = self.mime.to_ascii_lowercase();
        mime.starts_with("audio/ogg") || mime.starts_with("video/mp4")
    }
}

/// The MIME types of names, by their endings.
const ENDINGS: [(&str, &str); 21] = [
    (".jpg", "image/jpeg"),
    (".jpeg", "image/jpeg"),
    (".png", "image/png"),
    (".gif", "image/gif"),
    (".webp", "image/webp"),
    (".mp4", "video/mp4"),
    (".3gp", "video/3gpp"),
    (".ogg", "audio/ogg; codecs=opus"),
    (".oga", "audio/ogg; codecs=opus"),
    (".opus", "audio/ogg; codecs=opus"),
    (".mp3", "audio/mpeg"),
    (".m4a", "audio/mp4"),
    (".aac", "audio/aac"),
    (".amr", "audio/amr"),
    (".wav", "audio/wav"),
    (".pdf", "application/pdf"),
    (".txt", "text/plain"),
    (".csv", "text/csv"),
    (".docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    (".xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    (".zip", "application/zip"),
];

fn by_ending(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    ENDINGS.iter().find(|(ending, _)| name.ends_with(ending)).map(|(_, mime)| *mime)
}

/// What a medium is most likely to be that says nothing of it. An MP3 is taken for what it is, or converted.
fn usual(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Image => "image/jpeg",
        MediaKind::Video => "video/mp4",
        MediaKind::Audio => "audio/mpeg",
        MediaKind::Voice => "audio/ogg; codecs=opus",
        MediaKind::Document => "application/octet-stream",
        MediaKind::Sticker => "image/webp",
    }
}
