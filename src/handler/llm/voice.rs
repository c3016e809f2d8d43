//! What a model is told of something that was said before: as it was told of it when it was new.

use std::borrow::Cow;

use crate::message::{HistoryEntry, rendering};

/// Something that was said, as it is told; in a group, behind its speaker's name.
pub(super) fn told(said: &HistoryEntry) -> Cow<'_, str> {
    let words: Cow<'_, str> = match &said.told {
        Some(told) => told.as_str().into(),
        // Written by a version that kept the words alone, with what they refer to before them.
        None if said.transcript => {
            let spoken = rendering::without_context(&said.words);
            let context = &said.words[..said.words.len() - spoken.len()];
            format!("{context}{}", rendering::transcribed("voice note", spoken)).into()
        }
        None => said.words.as_str().into(),
    };
    match &said.name {
        Some(name) => rendering::spoken(name, &words).into(),
        None => words,
    }
}
