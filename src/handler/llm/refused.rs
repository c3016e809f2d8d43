//! Why a model's server has refused a request, as far as that can be read from what it says: which part of the request
//! it does not take.
//!
//! There is no one form: OpenAI says `error.param`, FastAPI `detail[].loc`, Google wraps it into a list, proxies put
//! the text of one into the text of another, gateways write plain text. So names and words are looked for, in whatever
//! is a message; what repeats the request (`input`) is not looked at. Nothing of it is logged: it may hold a customer's
//! words.

use std::time::Duration;

use serde_json::Value;

use super::lacks::{Lack, SentRequest};

/// So much of it is read, in bytes.
pub(super) const LONGEST: usize = 32 << 10;

/// How deep one text is looked for in another.
const DEEPEST: usize = 8;

/// What a server says of a request that it does not take.
#[derive(Debug, Default, PartialEq)]
pub(super) struct ModelRefusal {
    /// The parameters that it names, in its own notation.
    params: Vec<String>,
    /// All its words, in small letters.
    text: String,
    /// How long it wants to be left alone.
    pub(super) rest: Option<Duration>,
}

impl ModelRefusal {
    /// Reads the body of an answer.
    pub(super) fn read(body: &[u8]) -> Self {
        match crate::message::json::from_slice::<Value>(body) {
            Ok(value) => Self::of(&value),
            Err(_) => Self { text: String::from_utf8_lossy(body).to_lowercase(), ..Self::default() },
        }
    }

    /// The same, of one that has been read.
    pub(super) fn of(value: &Value) -> Self {
        let mut refused = Self::default();
        refused.collect(value, true, 0);
        refused.text = refused.text.to_lowercase();
        refused
    }

    /// Whether the account has nothing left to pay with: no time makes that better.
    pub(super) fn is_about_money(&self) -> bool {
        self.says(&["insufficient_quota", "insufficient balance", "insufficient credit", "billing_hard_limit"])
    }

    /// What to ask without, of what was sent, so that it may be taken.
    pub(super) fn lack(&self, sent: &SentRequest<'_>) -> Option<Lack> {
        if self.is_about_length() && sent.has_history {
            return Some(Lack::HalfHistory);
        }
        let token_parameter = sent.token_parameter.filter(|name| self.names(name));
        if let Some(name) = token_parameter {
            return Some(Lack::TokenParameter(name));
        }
        if sent.has_stream_options && (self.names("stream_options") || self.names("include_usage")) {
            return Some(Lack::StreamOptions);
        }
        // The longest first: one name may be part of another.
        if let Some(name) = sent.body.iter().filter(|name| self.names(name)).max_by_key(|name| name.len()) {
            return Some(Lack::Field((*name).to_owned()));
        }
        if sent.has_tool_choice && self.names("tool_choice") {
            return Some(Lack::ToolChoice);
        }
        if sent.has_images && (self.names("image_url") || self.says(&IMAGES)) {
            return Some(if self.says(&THESE_IMAGES) { Lack::TheseImages } else { Lack::Images });
        }
        if sent.has_long_ids && self.says(&CALL_IDS) {
            return Some(Lack::LongIds);
        }
        // Until there were such lines, it has answered.
        if sent.has_results && (self.says(&TOOL_ROLE) || self.says(&TEMPLATE)) {
            return Some(Lack::ToolLines);
        }
        if sent.has_system && self.says(&SYSTEM_ROLE) {
            return Some(Lack::SystemRole);
        }
        if sent.has_tools && (self.is_param("tools") || self.quotes("tools") || self.says(&TOOLS)) {
            return Some(Lack::Tools);
        }
        if self.says(&TEMPLATE) {
            // Templates do not say more: the likelier reason first.
            let lacks =
                [(sent.has_system, Lack::SystemRole), (sent.has_images, Lack::Images), (sent.has_tools, Lack::Tools)];
            return lacks.into_iter().find_map(|(was_sent, lack)| was_sent.then_some(lack));
        }
        if sent.streams && (self.is_param("stream") || self.quotes("stream") || self.says(&STREAM)) {
            return Some(Lack::Stream);
        }
        None
    }

    fn is_about_length(&self) -> bool {
        self.says(&LENGTH)
    }

    /// Whether it has one of these phrases.
    fn says(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.text.contains(phrase))
    }

    /// Whether it names a parameter, as such or in its words.
    fn names(&self, name: &str) -> bool {
        // A very short name is a word, or a part of one.
        self.is_param(name)
            || if name.len() > 3 { holds_word(&self.text, &name.to_lowercase()) } else { self.quotes(name) }
    }

    fn is_param(&self, name: &str) -> bool {
        self.params.iter().any(|param| holds_word(param, name))
    }

    /// Whether its words have the name in quotation marks: of a word that is not only a parameter's name.
    fn quotes(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        ["'", "\"", "`"].iter().any(|mark| self.text.contains(&format!("{mark}{name}{mark}")))
    }

    /// Takes in a piece of the body; `words` says whether text in it is a message.
    fn collect(&mut self, value: &Value, words: bool, depth: usize) {
        if depth > DEEPEST {
            return;
        }
        match value {
            Value::String(text) if words => self.take_in(text, depth),
            Value::Array(values) => values.iter().for_each(|value| self.collect(value, words, depth + 1)),
            Value::Object(fields) => fields.iter().for_each(|(key, value)| self.field(key, value, depth)),
            _ => {}
        }
    }

    fn field(&mut self, key: &str, value: &Value, depth: usize) {
        match (key, value) {
            ("param" | "parameter" | "field" | "fieldpath" | "loc" | "path" | "property", value) => self.param(value),
            ("retryDelay", Value::String(delay)) => self.rest = seconds(delay),
            // What was sent, once more.
            ("input" | "ctx" | "request" | "request_body" | "body", _) => {}
            (_, Value::String(text)) => self.take_in(text, depth),
            (_, value) => self.collect(value, true, depth + 1),
        }
    }

    fn param(&mut self, value: &Value) {
        match value {
            Value::String(name) => self.params.push(name.clone()),
            Value::Array(names) => names.iter().for_each(|name| self.param(name)),
            _ => {}
        }
    }

    fn take_in(&mut self, text: &str, depth: usize) {
        // A proxy may hand on what it was told, as text.
        if let Some(begin) = text.find(['{', '['])
            && let Ok(inner) = crate::message::json::from_slice::<Value>(text[begin..].trim_end().as_bytes())
        {
            self.collect(&inner, true, depth + 1);
            return self.say(&text[..begin]);
        }
        self.say(text);
    }

    fn say(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }
}

/// What is said of a conversation that is too long.
const LENGTH: [&str; 16] = [
    "context the overflows",
    "context_length_exceeded",
    "exceed_context_size",
    "context length",
    "context window",
    "context size",
    "context_window",
    "maximum number of tokens allowed",
    "prompt is too long",
    "prompt too long",
    "input is too long",
    "input length exceeds",
    "too many input tokens",
    "maximum prompt length",
    "reduce the length of the messages",
    "reduce the length of your prompt",
];
/// What is said by servers whose model sees nothing, or that know lines of words alone.
const IMAGES: [&str; 18] = [
    "image",
    "vision",
    "multimodal",
    "multi-modal",
    "multi modal",
    "mmproj",
    "must be a string",
    "valid string",
    "expected a string",
    "expected string",
    "expects a string",
    "str type expected",
    "not a string",
    "can only concatenate str",
    "must be str",
    "content type",
    "content part",
    "unsupported modality",
];
/// What is said of an image as such, by servers whose model may see others.
const THESE_IMAGES: [&str; 20] = [
    "invalid image",
    "invalid_image",
    "invalid base64",
    "unsupported image",
    "image_parse",
    "process image",
    "process the image",
    "process input image",
    "image is too",
    "image too",
    "images are too",
    "image size",
    "image exceeds",
    "image format",
    "image dimension",
    "decode",
    "load image",
    "at most",
    "too many images",
    "number of images",
];
/// What is said by servers whose model's template has no place for the system.
const SYSTEM_ROLE: [&str; 8] = [
    "roles are supported",
    "system role",
    "system message",
    "system prompt",
    "system instruction",
    "developer instruction",
    "role 'system'",
    "role: system",
];
/// What is said of identifiers of calls that are not of Mistral's form.
const CALL_IDS: [&str; 4] = ["tool call id", "tool_call_id", "tool call_id", "call ids should"];
/// What is said by servers whose model's template has no place for what tools say.
const TOOL_ROLE: [&str; 5] = ["role tool", "tool role", "role 'tool'", "variant `tool`", "roles are supported"];
/// What is said by servers that have nothing to do with tools.
const TOOLS: [&str; 11] = [
    "support tool",
    "tool use",
    "tool-use",
    "tool call",
    "tool choice",
    "tools are not",
    "tools is not",
    "tools param",
    "function call",
    "--jinja",
    "--tool-call-parser",
];
/// What is said of lines that a template does not take.
const TEMPLATE: [&str; 6] =
    ["must alternate", "should alternate", "alternating", "unable to generate parser", "chat template", "jinja"];
/// What is said by servers that cannot stream.
const STREAM: [&str; 5] = [
    "streaming is not supported",
    "stream is not supported",
    "not support stream",
    "streaming not supported",
    "streaming is not available",
];

/// Whether a text has a name in it that stands alone.
fn holds_word(text: &str, name: &str) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(name)
        .any(|(at, _)| !is_part(text[..at].chars().next_back()) && !is_part(text[at + name.len()..].chars().next()))
}

/// `12s` or `1.5s`, as Google writes it.
fn seconds(delay: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(delay.trim().strip_suffix('s')?.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: SentRequest<'static> = SentRequest {
        token_parameter: Some("max_tokens"),
        has_stream_options: true,
        body: &["temperature", "reasoning_effort", "parallel_tool_calls", "top_p", "seed", "n_x"],
        has_tool_choice: true,
        has_images: true,
        has_system: true,
        has_tools: true,
        has_results: false,
        has_long_ids: false,
        has_history: true,
        streams: true,
    };

    fn lack(body: &str) -> Option<Lack> {
        ModelRefusal::read(body.as_bytes()).lack(&ALL)
    }

    fn field(name: &str) -> Option<Lack> {
        Some(Lack::Field(name.into()))
    }

    #[test]
    fn what_is_refused_is_understood_whoever_says_so() {
        let tokens = Some(Lack::TokenParameter("max_tokens"));
        for (body, expected) in [
            (
                r#"{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.","type":"invalid_request_error","param":"max_tokens","code":"unsupported_parameter"}}"#,
                tokens.clone(),
            ),
            (r#"{"error":{"message":"refused","param":"\"max_tokens\""}}"#, tokens.clone()),
            (
                r#"{"detail":[{"type":"extra_forbidden","loc":["body","max_tokens"],"msg":"Extra inputs are not permitted","input":"image"}]}"#,
                tokens.clone(),
            ),
            (
                r#"{"error":{"message":"litellm.BadRequestError: OpenAIException - {\"error\": {\"message\": \"x\", \"param\": \"max_tokens\"}}","type":null,"param":null,"code":"400"}}"#,
                tokens.clone(),
            ),
            (
                r#"[{"error":{"code":400,"message":"Invalid JSON payload received. Unknown name \"max_tokens\": Cannot find field.","status":"INVALID_ARGUMENT"}}]"#,
                tokens.clone(),
            ),
            ("unknown field max_tokens", tokens),
            (
                r#"{"error":{"message":"Unsupported value: 'temperature' does not support 0.2 with this model.","param":"temperature"}}"#,
                field("temperature"),
            ),
            (r#"{"message":"property 'stream_options' is unsupported"}"#, Some(Lack::StreamOptions)),
            (
                r#"{"object":"error","message":"[{'loc': ('body','parallel_tool_calls'), 'msg': 'extra fields not permitted'}]"}"#,
                field("parallel_tool_calls"),
            ),
            (r#"{"error":"registry.ollama.ai/library/gemma:2b does not support tools"}"#, Some(Lack::Tools)),
            (r#"{"error":{"message":"No endpoints found that support tool use.","code":404}}"#, Some(Lack::Tools)),
            (
                r#"{"error":{"code":500,"message":"tools param requires --jinja flag","type":"server_error"}}"#,
                Some(Lack::Tools),
            ),
            (r#"{"error":{"message":"No endpoints found that support image input","code":404}}"#, Some(Lack::Images)),
            (
                r#"{"error":{"code":500,"message":"image input is not supported - hint: if this is unexpected, you may need to provide the mmproj","type":"server_error"}}"#,
                Some(Lack::Images),
            ),
            (
                r#"{"error":{"message":"You uploaded an unsupported image.","code":"invalid_image_format"}}"#,
                Some(Lack::TheseImages),
            ),
            (
                r#"{"object":"error","message":"At most 1 image(s) may be provided in one request."}"#,
                Some(Lack::TheseImages),
            ),
            (
                "Failed to deserialize the JSON body into the target type: messages[1]: unknown variant `image_url`, expected `text`",
                Some(Lack::Images),
            ),
            (
                r#"{"detail":[{"type":"string_type","loc":["body","messages",1,"content"],"msg":"Input should be a valid string","input":[{"type":"text"}]}]}"#,
                Some(Lack::Images),
            ),
            (
                r#"{"error":{"message":"can only concatenate str (not \"list\") to str","type":"internal_server_error"}}"#,
                Some(Lack::Images),
            ),
            (
                r#"{"error":{"code":500,"message":"System role not supported","type":"server_error"}}"#,
                Some(Lack::SystemRole),
            ),
            (
                r#"[{"error":{"code":400,"message":"Developer instruction is not enabled for models/gemma-3-27b-it"}}]"#,
                Some(Lack::SystemRole),
            ),
            (
                r#"{"error":{"message":"Conversation roles must alternate user/assistant/user/assistant/..."}}"#,
                Some(Lack::SystemRole),
            ),
            (
                r#"{"error":{"code":400,"message":"Unable to generate parser for this template."}}"#,
                Some(Lack::SystemRole),
            ),
            (r#"{"error":{"message":"streaming is not supported for this model"}}"#, Some(Lack::Stream)),
            (r#"{"error":{"message":"bad","param":"stream"}}"#, Some(Lack::Stream)),
            (
                r#"{"error":{"message":"This model's maximum context length is 4097 tokens.","param":"messages","code":"context_length_exceeded"}}"#,
                Some(Lack::HalfHistory),
            ),
            (
                r#"{"error":{"code":400,"message":"request (9000 tokens) exceeds the available context size (4096 tokens), try increasing it","type":"exceed_context_size_error"}}"#,
                Some(Lack::HalfHistory),
            ),
            (
                r#"{"object":"error","message":"'max_tokens' is too large: 800. This model's maximum context length is 512 tokens"}"#,
                Some(Lack::HalfHistory),
            ),
            (r#"{"error":{"message":"invalid api key"}}"#, None),
            (r#"{"error":{"message":"The upstream broke the stream"}}"#, None),
            (r#"{"error":{"message":"bad","input":"max_tokens"}}"#, None),
            (r#"{"error":{"message":"there is no max_tokens_per_day left"}}"#, None),
            ("", None),
            ("\u{0}\u{1}{[", None),
        ] {
            assert_eq!(lack(body), expected, "{body}");
        }
    }

    #[test]
    fn what_was_not_sent_is_not_left_out() {
        let nothing = SentRequest {
            token_parameter: Some("max_completion_tokens"),
            body: &[],
            has_stream_options: false,
            has_tool_choice: false,
            has_images: false,
            has_system: false,
            has_tools: false,
            has_results: false,
            has_long_ids: false,
            has_history: false,
            streams: false,
        };
        for text in
            ["max_tokens", "stream_options", "temperature", "image_url", "tool use", "must alternate", "context length"]
        {
            assert_eq!(ModelRefusal::read(text.as_bytes()).lack(&nothing), None, "{text}");
        }
        let ids = ModelRefusal::read(b"Jinja Exception: Tool call IDs should be alphanumeric strings with length 9!");
        let after_a_call = SentRequest { has_results: true, has_long_ids: true, ..ALL };
        assert_eq!(ids.lack(&after_a_call), Some(Lack::LongIds));
        let rule = ModelRefusal::read(b"After the optional system message, conversation roles must alternate");
        assert_eq!(rule.lack(&after_a_call), Some(Lack::ToolLines));
        assert_eq!(rule.lack(&SentRequest { has_results: false, ..after_a_call }), Some(Lack::SystemRole));
        let both = ModelRefusal::read(b"'max_completion_tokens' is unknown: use max_tokens");
        assert_eq!(both.lack(&nothing), Some(Lack::TokenParameter("max_completion_tokens")));
        let parser = ModelRefusal::read(b"Unable to generate parser for this template");
        assert_eq!(parser.lack(&SentRequest { has_system: false, ..ALL }), Some(Lack::Images));
        assert_eq!(parser.lack(&SentRequest { has_system: false, has_images: false, ..ALL }), Some(Lack::Tools));
    }

    #[test]
    fn how_long_to_wait_may_stand_in_the_body() {
        let body = br#"[{"error":{"code":429,"details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"12.5s"}]}}]"#;
        assert_eq!(ModelRefusal::read(body).rest, Some(Duration::from_millis(12_500)));
        for delay in ["soon", "-1s", "1e999s", "NaNs", "5"] {
            assert_eq!(seconds(delay), None, "{delay}");
        }
        assert!(ModelRefusal::read(br#"{"error":{"code":"insufficient_quota"}}"#).is_about_money());
        assert!(!ModelRefusal::read(br#"{"error":{"code":"rate_limit_exceeded"}}"#).is_about_money());
    }

    #[test]
    fn a_body_without_end_is_no_danger() {
        let nested = format!("{}{}", "[".repeat(100), "]".repeat(100));
        assert_eq!(lack(&nested), None);
        let inner = |text: &str| format!("{{\"message\":{}}}", Value::from(text));
        let mut text = "max_tokens".to_owned();
        for _ in 0..5 {
            text = inner(&text);
        }
        assert_eq!(lack(&text), Some(Lack::TokenParameter("max_tokens")));
        for _ in 0..7 {
            text = inner(&text);
        }
        assert_eq!(lack(&text), None, "so deep nobody looks");
    }
}
