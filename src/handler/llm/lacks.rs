//! What a model's server does not take, found out by asking: it is left out then, until the settings are read anew.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::warn;

use super::config::{ModelConfig, TokenParameter};
use super::join::joined;
use super::retell::{as_words, with_short_ids};
use super::wire::{ChatMessage, ContentPiece, MessageWords};

/// What stands in the place of an image for a model that sees none.
const UNSEEN: &str = "[The image cannot be shown to you.]";

const MAX_TOKENS: &str = "max_tokens";
const MAX_COMPLETION_TOKENS: &str = "max_completion_tokens";

/// Something that a server does not take.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lack {
    /// A field that says how long an answer may be.
    TokenParameter(&'static str),
    StreamOptions,
    Stream,
    ToolChoice,
    Tools,
    Images,
    /// Just these images: one of them is broken, say, or there are too many.
    TheseImages,
    SystemRole,
    /// Identifiers of calls that are not nine letters and digits.
    LongIds,
    /// The lines that tell of calls: what was called is told in words then.
    ToolLines,
    /// A field of the settings' `body`, or one that came with an answer and goes back.
    Field(String),
    /// The conversation is too long: this once, the older half of what was said is left out.
    HalfHistory,
}

impl Lack {
    /// Whether it is one of the server's, and not only of this conversation.
    fn is_lasting(&self) -> bool {
        !matches!(self, Self::HalfHistory | Self::TheseImages)
    }

    /// What is not taken, for a log: never the server's words.
    fn what(&self) -> &str {
        match self {
            Self::TokenParameter(name) => name,
            Self::StreamOptions => "stream_options",
            Self::Stream => "stream",
            Self::ToolChoice => "tool_choice",
            Self::Tools => "tools",
            Self::Images => "images",
            Self::TheseImages => "one of the images, or their number",
            Self::SystemRole => "the role system",
            Self::LongIds => "long identifiers of calls",
            Self::ToolLines => "the role tool",
            Self::Field(name) => name,
            Self::HalfHistory => "so long a conversation",
        }
    }

    /// What to set so that nobody has to find out again, for a log.
    fn remedy(&self) -> &str {
        match self {
            Self::TokenParameter(MAX_TOKENS) => "set the model's token_parameter = \"max_completion_tokens\"",
            Self::TokenParameter(_) => "set the model's token_parameter = \"max_tokens\"",
            Self::Images => "set the model's vision = false",
            Self::Field(_) => "take it out of the model's body, if it is there",
            Self::Tools => "put a model that takes tools in its place: this one answers without",
            Self::HalfHistory => "set a smaller history_tokens",
            Self::StreamOptions
            | Self::Stream
            | Self::ToolChoice
            | Self::SystemRole
            | Self::LongIds
            | Self::ToolLines
            | Self::TheseImages => "nothing need be set",
        }
    }
}

/// What there is of a request that may be refused.
#[derive(Clone, Copy, Debug)]
pub(super) struct SentRequest<'a> {
    pub(super) token_parameter: Option<&'static str>,
    /// The fields that the settings have added.
    pub(super) body: &'a [&'a str],
    pub(super) has_stream_options: bool,
    pub(super) has_tool_choice: bool,
    pub(super) has_images: bool,
    pub(super) has_system: bool,
    pub(super) has_tools: bool,
    /// Whether there are lines that tell of calls, and whether their identifiers may be long.
    pub(super) has_results: bool,
    pub(super) has_long_ids: bool,
    pub(super) has_history: bool,
    pub(super) streams: bool,
}

/// What one model's server is known not to take.
#[derive(Clone, Debug)]
pub(super) struct Lacks {
    known: BTreeSet<Lack>,
    /// The names of the field for an answer's length, the preferred one first.
    token_parameters: [&'static str; 2],
}

impl Lacks {
    /// What the settings say.
    pub(super) fn of(config: &ModelConfig) -> Self {
        let token_parameters = match config.token_parameter {
            TokenParameter::Auto | TokenParameter::MaxTokens => [MAX_TOKENS, MAX_COMPLETION_TOKENS],
            TokenParameter::MaxCompletionTokens => [MAX_COMPLETION_TOKENS, MAX_TOKENS],
        };
        let known = if config.vision { BTreeSet::new() } else { [Lack::Images].into() };
        Self { known, token_parameters }
    }

    pub(super) fn has(&self, lack: &Lack) -> bool {
        self.known.contains(lack)
    }

    /// Adds one; false, if it was there.
    pub(super) fn add(&mut self, lack: Lack) -> bool {
        self.known.insert(lack)
    }

    /// Takes one out again.
    pub(super) fn take_back(&mut self, lack: &Lack) {
        self.known.remove(lack);
    }

    /// The field for an answer's length, as far as the server takes one.
    pub(super) fn token_parameter(&self) -> Option<&'static str> {
        self.token_parameters.into_iter().find(|name| !self.has(&Lack::TokenParameter(name)))
    }

    /// The token limit, if it goes by this name.
    pub(super) fn limit_as(&self, name: &str, max_tokens: u32) -> Option<u32> {
        (self.token_parameter() == Some(name)).then_some(max_tokens)
    }

    /// The lines as this server takes them, which is the one of this rung: what another model has sent stays away from
    /// it.
    pub(super) fn fit<'a>(&self, lines: &'a [ChatMessage<'a>], rung: usize) -> Cow<'a, [ChatMessage<'a>]> {
        let mut lines = Cow::Borrowed(lines);
        let is_taken = |name: &str| !self.has(&Lack::Field(name.to_owned()));
        let is_whole = |line: &ChatMessage<'_>| line.beside.by == rung && line.beside().all(is_taken);
        if !lines.iter().all(|line| line.beside().next().is_none() || is_whole(line)) {
            for line in lines.to_mut() {
                let is_own = line.beside.by == rung;
                line.retain_beside(|name| is_own && is_taken(name));
            }
        }
        if (self.has(&Lack::Images) || self.has(&Lack::TheseImages)) && lines.iter().any(ChatMessage::has_images) {
            lines.to_mut().iter_mut().for_each(ChatMessage::leave_images_out);
        }
        if self.has(&Lack::LongIds) {
            lines = with_short_ids(&lines).into();
        }
        if self.has(&Lack::HalfHistory) {
            lines = joined(without_half(lines.into_owned())).into();
        }
        if self.has(&Lack::ToolLines) {
            lines = as_words(&lines).into();
        }
        if self.has(&Lack::SystemRole) {
            lines = joined(as_the_customers(lines.into_owned())).into();
        }
        lines
    }
}

/// What a model's server was found not to take. Shared by all turns.
pub(super) struct Learned(Arc<Mutex<Lacks>>);

impl Learned {
    pub(super) fn new(config: &ModelConfig) -> Self {
        Self(Arc::new(Mutex::new(Lacks::of(config))))
    }

    pub(super) fn known(&self) -> Lacks {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Remembers what has just been left out with success, and says it once.
    pub(super) fn learn(&self, model: &str, lacks: Vec<Lack>) {
        for lack in lacks {
            if lack.is_lasting() && !self.0.lock().unwrap_or_else(PoisonError::into_inner).add(lack.clone()) {
                continue;
            }
            let (what, remedy) = (lack.what(), lack.remedy());
            warn!(
                llm.model = model,
                llm.refused = what,
                remedy,
                "a model's server refused a request, and was asked without that"
            );
        }
    }
}

impl ChatMessage<'_> {
    pub(super) fn has_images(&self) -> bool {
        match &self.content {
            MessageWords::Text(_) => false,
            MessageWords::Parts(pieces) => pieces.iter().any(|piece| matches!(piece, ContentPiece::ImageUrl { .. })),
        }
    }

    /// Whether it says what came of a call.
    pub(super) fn is_result(&self) -> bool {
        self.tool_call_id.is_some()
    }

    fn leave_images_out(&mut self) {
        let MessageWords::Parts(pieces) = &mut self.content else { return };
        let mut words = MessageWords::default();
        for piece in std::mem::take(pieces) {
            words.append(MessageWords::Text(match piece {
                ContentPiece::Text { text } => text,
                ContentPiece::ImageUrl { .. } => UNSEEN.into(),
            }));
        }
        self.content = words;
    }
}

/// Where what was said before ends: at the customer's newest line.
fn end_of_history(lines: &[ChatMessage<'_>]) -> usize {
    lines.iter().rposition(|line| line.role == "user").unwrap_or_default()
}

fn begin_of_history(lines: &[ChatMessage<'_>]) -> usize {
    lines.iter().take_while(|line| line.role == "system").count()
}

/// Whether there is something that was said before.
pub(super) fn has_history(lines: &[ChatMessage<'_>]) -> bool {
    begin_of_history(lines) < end_of_history(lines)
}

fn without_half(mut lines: Vec<ChatMessage<'_>>) -> Vec<ChatMessage<'_>> {
    let (begin, end) = (begin_of_history(&lines), end_of_history(&lines));
    let half = end.saturating_sub(begin).div_ceil(2);
    // What the bot has answered goes with what it was an answer to.
    let answers = lines[begin + half..end].iter().take_while(|line| line.role == "assistant").count();
    lines.drain(begin..begin + half + answers);
    lines
}

/// The system's lines in front of the customer's first.
fn as_the_customers(mut lines: Vec<ChatMessage<'_>>) -> Vec<ChatMessage<'_>> {
    for line in lines.iter_mut().filter(|line| line.role == "system") {
        line.role = "user";
        if let MessageWords::Text(words) = &mut line.content {
            // What the customer says is not to be taken for a part of it.
            words.to_mut().push('\n');
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::{Value, json};

    use super::*;

    fn fit(lacks: &[Lack], lines: &[ChatMessage<'_>]) -> Vec<Value> {
        let mut all = Lacks::of(&ModelConfig::default());
        lacks.iter().for_each(|lack| assert!(all.add(lack.clone())));
        let fit = all.fit(lines, 0);
        fit.iter()
            .map(|line| serde_json::to_value(line).expect("JSON"))
            .map(|line| json!([line["role"], line["content"]]))
            .collect()
    }

    #[test]
    fn one_name_of_the_limit_stands_for_the_other_and_then_for_none() {
        for (config, names) in [
            (TokenParameter::Auto, [MAX_TOKENS, MAX_COMPLETION_TOKENS]),
            (TokenParameter::MaxTokens, [MAX_TOKENS, MAX_COMPLETION_TOKENS]),
            (TokenParameter::MaxCompletionTokens, [MAX_COMPLETION_TOKENS, MAX_TOKENS]),
        ] {
            let mut lacks = Lacks::of(&ModelConfig { token_parameter: config, ..ModelConfig::default() });
            for name in names {
                assert_eq!(lacks.token_parameter(), Some(name));
                let limits = [MAX_TOKENS, MAX_COMPLETION_TOKENS].map(|known| lacks.limit_as(known, 8).is_some());
                assert_eq!(limits, [name == MAX_TOKENS, name == MAX_COMPLETION_TOKENS]);
                assert!(lacks.add(Lack::TokenParameter(name)));
            }
            assert_eq!(lacks.token_parameter(), None);
        }
    }

    #[test]
    fn without_images_their_words_stay_and_are_a_string() {
        let image = ChatMessage::image("[image] my shoe".into(), "data:image/png;base64,AA==".into(), Bytes::new());
        let lines = [ChatMessage::system("s"), image];
        assert_eq!(fit(&[Lack::Images], &lines)[1], json!(["user", format!("[image] my shoe\n{UNSEEN}")]));
        assert!(fit(&[], &lines)[1][1].is_array());
    }

    #[test]
    fn without_the_system_role_its_words_stand_in_front_of_the_customers() {
        let lines = [
            ChatMessage::system("Be kind."),
            ChatMessage::user("hi"),
            ChatMessage::assistant("hello"),
            ChatMessage::user("so"),
        ];
        let told = fit(&[Lack::SystemRole], &lines);
        assert_eq!(told, [json!(["user", "Be kind.\n\nhi"]), json!(["assistant", "hello"]), json!(["user", "so"])]);
    }

    #[test]
    fn the_older_half_is_what_is_left_out_of_a_conversation_that_is_too_long() {
        let said = [("user", "1"), ("assistant", "2"), ("user", "3"), ("assistant", "4"), ("user", "5")];
        let said = said
            .map(|(role, words)| if role == "user" { ChatMessage::user(words) } else { ChatMessage::assistant(words) });
        let lines: Vec<_> = [ChatMessage::system("s")].into_iter().chain(said).collect();
        let told = fit(&[Lack::HalfHistory], &lines);
        assert_eq!(
            told,
            [json!(["system", "s"]), json!(["user", "3"]), json!(["assistant", "4"]), json!(["user", "5"])]
        );
        assert!(has_history(&lines) && has_history(&lines[..4]));
        assert!(!has_history(&lines[..3]) && !has_history(&lines[..2]), "the question itself stays");
        assert_eq!(fit(&[Lack::HalfHistory], &lines[..2]).len(), 2);
    }
}
