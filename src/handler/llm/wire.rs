//! What a model is asked, and what comes back, in the words of `/chat/completions`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};

use super::tokens::{self, Tokens};

/// What a model is asked. Borrowed from the turn: a conversation with images in it is megabytes.
#[derive(Serialize)]
pub(super) struct ChatRequest<'a> {
    pub(super) model: &'a str,
    pub(super) messages: &'a [ChatMessage<'a>],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(super) tools: &'a [Offer],
    /// Says that no tool may be called any longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tool_choice: Option<&'static str>,
    /// The longest answer, by its older name or its newer one: a server knows one of them, or both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_completion_tokens: Option<u32>,
    /// Where the server can: a stall is seen long before the time of a whole answer is up.
    pub(super) stream: bool,
    /// Asks what the call has cost. Not every server knows the question: it is put where somebody counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stream_options: Option<StreamOptions>,
    /// The fields that the model's settings add.
    #[serde(flatten)]
    pub(super) body: BTreeMap<&'a str, &'a Value>,
}

/// The fields that are ours: no setting may add them. The last one would be paid for and thrown away.
pub(super) const OURS: [&str; 9] = [
    "model",
    "messages",
    "tools",
    "tool_choice",
    "max_tokens",
    "max_completion_tokens",
    "stream",
    "stream_options",
    "n",
];

#[derive(Serialize)]
pub(super) struct StreamOptions {
    pub(super) include_usage: bool,
}

/// A tool, as a model is told of it.
#[derive(Serialize)]
#[serde(tag = "type", content = "function", rename_all = "snake_case")]
pub(super) enum Offer {
    Function { name: String, description: String, parameters: Value },
}

/// A tool that a model wants called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) id: String,
    pub(super) name: String,
    /// JSON, if the model got it right.
    pub(super) arguments: String,
    /// What stood beside that in the call, and in its function: it goes back as it came.
    pub(super) beside: Map<String, Value>,
    pub(super) function_beside: Map<String, Value>,
}

impl Wanted {
    /// About how many tokens it is.
    pub(super) fn tokens(&self, tokens: &Tokens) -> u64 {
        tokens.of(&self.name) + tokens.of(&self.arguments) + tokens::OF_FRAME
    }

    /// Whether its arguments are all there.
    pub(super) fn is_complete(&self) -> bool {
        crate::message::json::from_str::<Map<String, Value>>(&self.arguments).is_ok()
    }
}

impl Serialize for Wanted {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut function = self.function_beside.clone();
        function.insert("name".into(), (&*self.name).into());
        function.insert("arguments".into(), (&*self.arguments).into());
        let mut call = self.beside.clone();
        call.insert("id".into(), (&*self.id).into());
        call.insert("type".into(), "function".into());
        call.insert("function".into(), function.into());
        call.serialize(serializer)
    }
}

/// One thing said, in the model's terms.
#[derive(Clone, Serialize)]
pub(super) struct ChatMessage<'a> {
    pub(super) role: &'static str,
    pub(super) content: MessageWords<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) tool_calls: Vec<Wanted>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tool_call_id: Option<String>,
    /// What stood beside a model's words and calls, and goes back to it.
    #[serde(flatten)]
    pub(super) beside: Beside,
}

/// Fields that go back to the model that has sent them, and to no other.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Beside {
    /// Its place on the ladder.
    #[serde(skip)]
    pub(super) by: usize,
    #[serde(flatten)]
    pub(super) fields: Map<String, Value>,
}

/// What a line says: words, or words and images in their order.
#[derive(Clone, Serialize)]
#[serde(untagged)]
pub(super) enum MessageWords<'a> {
    Text(Cow<'a, str>),
    Parts(Vec<ContentPiece<'a>>),
}

#[derive(Clone, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ContentPiece<'a> {
    Text { text: Cow<'a, str> },
    ImageUrl { image_url: ImageUrl },
}

impl ContentPiece<'_> {
    fn tokens(&self, tokens: &Tokens, of_image: u64) -> u64 {
        match self {
            Self::Text { text } => tokens.of(text),
            Self::ImageUrl { .. } => of_image,
        }
    }
}

/// An image, in its address. A copy is the same.
#[derive(Clone, Serialize)]
pub(super) struct ImageUrl {
    url: Arc<str>,
    /// What the address was made of is memory for media for as long as it is held.
    #[serde(skip)]
    _held: Bytes,
}

impl<'a> ChatMessage<'a> {
    pub(super) fn system(words: impl Into<Cow<'a, str>>) -> Self {
        Self::said("system", MessageWords::Text(words.into()))
    }

    pub(super) fn user(words: impl Into<Cow<'a, str>>) -> Self {
        Self::said("user", MessageWords::Text(words.into()))
    }

    pub(super) fn assistant(words: impl Into<Cow<'a, str>>) -> Self {
        Self::said("assistant", MessageWords::Text(words.into()))
    }

    /// Words and an image, whose address holds it: `data` is what it was made of.
    pub(super) fn image(text: String, url: String, data: Bytes) -> Self {
        let (text, image_url) = (text.into(), ImageUrl { url: url.into(), _held: data });
        Self::said("user", MessageWords::Parts(vec![ContentPiece::Text { text }, ContentPiece::ImageUrl { image_url }]))
    }

    /// The model's own words when it wants tools called, with what stood beside them.
    pub(super) fn wants(words: String, tool_calls: Vec<Wanted>, beside: Beside) -> Self {
        // Without words there are none, and not null: some servers want a string in any case.
        Self { tool_calls, beside, ..Self::said("assistant", MessageWords::Text(words.into())) }
    }

    /// The names of what goes back.
    pub(super) fn beside(&self) -> impl Iterator<Item = &str> {
        let calls = self.tool_calls.iter().flat_map(|call| call.beside.keys().chain(call.function_beside.keys()));
        self.beside.fields.keys().chain(calls).map(String::as_str)
    }

    /// Leaves out what goes back by these names.
    pub(super) fn retain_beside(&mut self, keeps: impl Fn(&str) -> bool) {
        self.beside.fields.retain(|name, _| keeps(name));
        for call in &mut self.tool_calls {
            call.beside.retain(|name, _| keeps(name));
            call.function_beside.retain(|name, _| keeps(name));
        }
    }

    /// What came of a call.
    pub(super) fn result(call: String, words: String) -> Self {
        Self { tool_call_id: Some(call), ..Self::said("tool", MessageWords::Text(words.into())) }
    }

    /// About how many tokens it is, if an image is this many.
    pub(super) fn tokens(&self, tokens: &Tokens, of_image: u64) -> u64 {
        let words = match &self.content {
            MessageWords::Text(text) => tokens.of(text),
            MessageWords::Parts(parts) => parts.iter().map(|part| part.tokens(tokens, of_image)).sum(),
        };
        let calls: u64 = self.tool_calls.iter().map(|call| call.tokens(tokens)).sum();
        let beside = match self.beside.fields.is_empty() {
            true => 0,
            false => serde_json::to_string(&self.beside).map_or(0, |beside| tokens.of(&beside)),
        };
        words + calls + beside + tokens::OF_FRAME
    }

    fn said(role: &'static str, words: MessageWords<'a>) -> Self {
        Self { role, content: words, tool_calls: Vec::new(), tool_call_id: None, beside: Beside::default() }
    }
}

/// What a call has cost, in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) read: u64,
    pub(super) written: u64,
}

/// So many times what was expected a call may have cost, and so many tokens more: vocabularies differ, and some servers
/// count what a model thinks, or the images that it is shown, in ways of their own.
const TIMES: u64 = 8;
const MORE: u64 = 1_000;

impl Usage {
    /// Whether a call can have cost this that was expected to cost `most`.
    pub(super) fn is_believable(self, most: Self) -> bool {
        let fits = |said: u64, expected: u64| said <= expected.saturating_mul(TIMES).saturating_add(MORE);
        fits(self.read, most.read) && fits(self.written, most.written)
    }
}
