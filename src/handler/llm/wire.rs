//! What a model is asked, and what comes back, in the words of `/chat/completions`.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// What a model is asked. Borrowed from the turn: a conversation with images in it is megabytes.
#[derive(Serialize)]
pub(super) struct Request<'a> {
    pub(super) model: &'a str,
    pub(super) messages: &'a [Line<'a>],
    pub(super) max_tokens: u32,
    /// Always: a stall is seen long before the time of a whole answer is up.
    pub(super) stream: bool,
}

/// One thing said, in the model's terms.
#[derive(Serialize)]
pub(super) struct Line<'a> {
    role: &'static str,
    content: Words<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Words<'a> {
    Text(Cow<'a, str>),
    Parts([Piece; 2]),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Piece {
    Text { text: String },
    ImageUrl { image_url: Address },
}

#[derive(Serialize)]
struct Address {
    url: String,
    /// What the address was made of is memory for media for as long as it is held.
    #[serde(skip)]
    _held: Bytes,
}

impl<'a> Line<'a> {
    pub(super) fn system(words: impl Into<Cow<'a, str>>) -> Self {
        Self { role: "system", content: Words::Text(words.into()) }
    }

    pub(super) fn user(words: impl Into<Cow<'a, str>>) -> Self {
        Self { role: "user", content: Words::Text(words.into()) }
    }

    pub(super) fn assistant(words: impl Into<Cow<'a, str>>) -> Self {
        Self { role: "assistant", content: Words::Text(words.into()) }
    }

    /// Words and an image, whose address holds it: `data` is what it was made of.
    pub(super) fn image(text: String, url: String, data: Bytes) -> Self {
        let image_url = Address { url, _held: data };
        Self { role: "user", content: Words::Parts([Piece::Text { text }, Piece::ImageUrl { image_url }]) }
    }
}

/// As much of a piece of a completion as we read: other servers than OpenAI's leave out more than they add.
#[derive(Deserialize)]
pub(super) struct Chunk {
    #[serde(default)]
    pub(super) choices: Vec<Choice>,
    /// Some servers report a failure in the middle of a stream. What it says may hold a customer's words.
    pub(super) error: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
pub(super) struct Choice {
    #[serde(default)]
    pub(super) delta: Delta,
    pub(super) finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
pub(super) struct Delta {
    pub(super) content: Option<String>,
}
