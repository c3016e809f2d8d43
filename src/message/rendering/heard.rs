//! What was spoken, in words: that it was, and that a machine has listened; or that nobody could.

use super::{Content, Inbound, with_context};
use crate::message::ContentKind;

/// All that a model is told of a message: as [`message`](super::message), and of a voice note or a sound file that its
/// words are what a machine has understood.
pub fn told(inbound: &Inbound) -> String {
    let body = heard(&inbound.content).unwrap_or_else(|| super::content(&inbound.content));
    with_context(inbound, body)
}

/// What a handler is given of a message that was said before: the words of what was spoken stand as they were
/// understood.
pub fn said(inbound: &Inbound) -> String {
    let content = &inbound.content;
    let body = match content.transcript().is_some_and(|words| !words.is_empty()) {
        true => content.written_and_said().collect::<Vec<_>>().join("\n"),
        false => super::content(content),
    };
    with_context(inbound, body)
}

/// Words that were spoken, as a model is told of them.
pub fn transcribed(what: &str, words: &str) -> String {
    format!("[{what}, transcribed by a machine: may contain mistakes] {words}")
}

/// A voice note or a sound file, as a model is told of it; nothing of any other message.
fn heard(content: &Content) -> Option<String> {
    let what = match content.kind() {
        ContentKind::Voice => "voice note",
        ContentKind::Audio => "sound file",
        _ => return None,
    };
    let caption = content.words().map(|caption| format!(" {caption}")).unwrap_or_default();
    Some(match content.transcript() {
        Some("") => format!("[{what}, in which no words can be understood]{caption}"),
        Some(words) => transcribed(what, words) + &caption,
        None => format!("[{what}, which could not be listened to]{caption}"),
    })
}
