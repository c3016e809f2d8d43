//! What a model is told of something that was spoken: that it was, and that a machine has listened.

use std::borrow::Cow;

use crate::handler::Said;
use crate::message::{Content, Kind, rendering};

/// Something that was said, as it is told; in a group, behind its speaker's name.
pub(super) fn told(said: &Said) -> Cow<'_, str> {
    let words: Cow<'_, str> =
        if said.transcript { transcribed("voice note", &said.words).into() } else { said.words.as_str().into() };
    match &said.name {
        Some(name) => rendering::spoken(name, &words).into(),
        None => words,
    }
}

/// A voice note or a sound file, as it is told; nothing of any other message.
pub(super) fn heard(content: &Content) -> Option<String> {
    let what = match content.kind() {
        Kind::Voice => "voice note",
        Kind::Audio => "sound file",
        _ => return None,
    };
    let caption = content.words().map(|caption| format!(" {caption}")).unwrap_or_default();
    Some(match content.transcript() {
        Some("") => format!("[{what}, in which no words can be understood]{caption}"),
        Some(words) => transcribed(what, words) + &caption,
        None => format!("[{what}, which could not be listened to]{caption}"),
    })
}

fn transcribed(what: &str, words: &str) -> String {
    format!("[{what}, transcribed by a machine: may contain mistakes] {words}")
}
