//! One document of a stream, read field by field: what is absent, null, or of another form is no value.

use serde_json::{Map, Value};

use super::Ended;
use crate::handler::llm::wire::Usage;

/// What a document says.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    pub(super) usage: Option<Usage>,
    /// Whether it tells of a failure. What it says of that may hold a customer's words.
    pub(super) failed: bool,
    pub(super) words: String,
    /// Whether the words are all that there are so far, and not a piece.
    pub(super) is_whole: bool,
    pub(super) refusal: String,
    pub(super) calls: Vec<CallPiece>,
    /// What stands beside that in the answer.
    pub(super) beside: Map<String, Value>,
    pub(super) ended: Option<Ended>,
}

/// A piece of a call, or all of it.
#[derive(Debug, Default)]
pub(super) struct CallPiece {
    pub(super) number: Option<u64>,
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) arguments: String,
    /// What stands beside that in the call, and in its function.
    pub(super) beside: Map<String, Value>,
    pub(super) function_beside: Map<String, Value>,
}

impl Chunk {
    pub(super) fn read(document: Value) -> Self {
        let Value::Object(mut document) = document else { return Self::default() };
        let mut chunk = Self { usage: usage(document.get("usage")), ..Self::default() };
        let groq = document.get("x_groq").and_then(|groq| groq.get("usage"));
        chunk.usage = chunk.usage.or_else(|| usage(groq));
        chunk.failed =
            is_something(document.get("error")) || document.get("object").is_some_and(|kind| kind == "error");
        let Some(mut choice) = document.remove("choices").and_then(object) else { return chunk };
        chunk.usage = chunk.usage.or_else(|| usage(choice.get("usage")));
        chunk.failed |= is_something(choice.get("error"));
        chunk.ended = choice.get("finish_reason").and_then(reason);
        match choice.remove("delta") {
            Some(Value::String(words)) => chunk.words = words,
            delta => match delta.and_then(object).filter(|delta| !delta.is_empty()) {
                Some(delta) => chunk.take_in(delta),
                None => match choice.remove("message").and_then(object) {
                    Some(message) => {
                        chunk.is_whole = true;
                        chunk.take_in(message);
                    }
                    None => chunk.words = choice.get("text").and_then(Value::as_str).unwrap_or_default().to_owned(),
                },
            },
        }
        chunk
    }

    fn take_in(&mut self, mut delta: Map<String, Value>) {
        let older_form = delta.remove("function_call");
        for (name, value) in delta {
            match name.as_str() {
                "role" | "index" | "audio" | "annotations" => {}
                "content" => self.content(value),
                "refusal" => self.refusal.push_str(&text(&value)),
                "tool_calls" => match value {
                    Value::Array(calls) => calls.into_iter().for_each(|call| self.call(call)),
                    Value::Object(one) if ["function", "name", "id"].iter().any(|name| one.contains_key(*name)) => {
                        self.call(Value::Object(one));
                    }
                    Value::Object(numbered) => numbered.into_iter().for_each(|(_, call)| self.call(call)),
                    _ => {}
                },
                _ if is_something(Some(&value)) => drop(self.beside.insert(name, value)),
                _ => {}
            }
        }
        // llama-cpp-python writes each piece of a call in both forms.
        if let Some(call) = older_form.filter(|_| self.calls.is_empty()) {
            self.call(call);
        }
    }

    /// Words: as text, or in parts, of which some are thoughts.
    fn content(&mut self, content: Value) {
        match content {
            Value::String(words) => self.words.push_str(&words),
            // Half a price would be worse than a number in another form.
            Value::Number(number) => self.words.push_str(&number.to_string()),
            Value::Array(parts) => parts.into_iter().for_each(|part| self.content(part)),
            Value::Object(mut part) => {
                let kind = part.get("type").and_then(Value::as_str).unwrap_or_default().to_lowercase();
                let is = |words: &[&str]| words.iter().any(|word| kind.contains(word));
                let is_thought = is(&["think", "thought", "reason"]) || part.get("thought") == Some(&Value::Bool(true));
                if is_thought || is(&["image", "audio", "video", "file"]) {
                    return;
                }
                if is(&["refusal"]) {
                    let words = part.remove("refusal").or_else(|| part.remove("text")).unwrap_or_default();
                    self.refusal.push_str(&text(&words));
                } else if is(&["tool_use", "tool_call", "function_call"]) {
                    self.call(Value::Object(part));
                } else if let Some(words) = ["text", "content", "value"].iter().find_map(|name| part.remove(*name)) {
                    self.content(words);
                }
            }
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn call(&mut self, call: Value) {
        let Some(mut call) = object(call) else { return };
        let mut piece = CallPiece {
            number: call.remove("index").as_ref().and_then(number),
            id: call.remove("id").as_ref().and_then(word),
            ..CallPiece::default()
        };
        call.remove("type");
        let mut function = match call.remove("function") {
            Some(Value::String(name)) => {
                piece.name = Some(name);
                None
            }
            function => function.and_then(object),
        };
        // Some leave the level out.
        let fields = function.as_mut().unwrap_or(&mut call);
        piece.name = fields.remove("name").as_ref().and_then(word).or(piece.name);
        let arguments = ["arguments", "parameters", "input"].iter().find_map(|name| fields.remove(*name));
        piece.arguments = match arguments {
            Some(Value::Object(_) | Value::Array(_)) => arguments.unwrap_or_default().to_string(),
            Some(Value::String(arguments)) => arguments,
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        let something =
            |fields: Map<String, Value>| fields.into_iter().filter(|(_, it)| is_something(Some(it))).collect();
        (piece.beside, piece.function_beside) = (something(call), something(function.unwrap_or_default()));
        let is_empty = piece.id.is_none() && piece.name.is_none() && piece.arguments.is_empty();
        if !is_empty || !piece.beside.is_empty() || !piece.function_beside.is_empty() {
            self.calls.push(piece);
        }
    }
}

/// An object, or the first one in a list.
fn object(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(object) => Some(object),
        Value::Array(values) => values.into_iter().find_map(object),
        _ => None,
    }
}

/// Text that is not empty.
fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(word) => Some(word.trim().to_owned()).filter(|word| !word.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Text in any form.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().map(text).collect(),
        Value::Object(part) => {
            ["text", "refusal", "content"].iter().find_map(|name| part.get(*name)).map(text).unwrap_or_default()
        }
        _ => String::new(),
    }
}

/// A whole number, however it is written.
fn number(value: &Value) -> Option<u64> {
    /// Up to here each whole number has a form of its own.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) => number.as_u64().or_else(|| {
            let number = number.as_f64().filter(|number| (0.0..=EXACT).contains(number) && number.fract() == 0.0)?;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was looked at")]
            Some(number as u64)
        }),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// What it has cost, if that is said in full.
fn usage(value: Option<&Value>) -> Option<Usage> {
    let value = value?;
    Some(Usage { read: number(value.get("prompt_tokens")?)?, written: number(value.get("completion_tokens")?)? })
}

fn is_something(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(values)) => !values.is_empty(),
        Some(Value::Object(fields)) => !fields.is_empty(),
        Some(_) => true,
    }
}

/// Why the answer ends, if it does.
fn reason(value: &Value) -> Option<Ended> {
    let named = match value {
        Value::Object(fields) => {
            if fields.is_empty() {
                return None;
            }
            ["type", "reason"].iter().find_map(|name| fields.get(*name)).and_then(word).unwrap_or_else(|| "stop".into())
        }
        other => word(other)?,
    };
    let named = named.to_lowercase();
    let is = |words: &[&str]| words.iter().any(|word| named.contains(word));
    Some(match () {
        () if named == "null" || named == "none" => return None,
        () if is(&["length", "max", "limit", "truncat"]) => Ended::Cut,
        () if is(&["filter", "safety", "recitation", "prohibited", "blocklist", "spii", "sensitive"]) => {
            Ended::Filtered
        }
        () if is(&["error", "abort", "cancel", "insufficient"]) => Ended::Broken,
        () => Ended::Whole,
    })
}
