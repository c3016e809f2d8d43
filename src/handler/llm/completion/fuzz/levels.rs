//! Fields and levels of a chunk: dropped, null, of another form, or added.

use serde_json::{Value, json};

use super::mutate::{Meaning, MutatedStream, SeededRandom, chunk, content, ends};
use super::seeds::SeedEvent;

impl MutatedStream {
    /// Changes a field on which nothing depends.
    pub(super) fn trivial(
        &mut self,
        chance: &mut SeededRandom,
        change: impl Fn(&mut SeededRandom) -> Option<Value>,
    ) -> bool {
        let is_error = |chunk: &&mut Value| chunk.to_string().contains("zqERRORqz");
        let chunks: Vec<&mut Value> =
            self.stream.events.iter_mut().filter_map(chunk).filter(|chunk| !is_error(chunk)).collect();
        let count = chunks.len();
        let Some(chunk) = chunks.into_iter().nth(chance.below(count)) else { return false };
        let mut places = Vec::new();
        trivial_places(chunk, "", false, &mut places);
        if places.is_empty() {
            return false;
        }
        let place = chance.one(&places).clone();
        let Some((parent, key)) = place.rsplit_once('/') else { return false };
        match (chunk.pointer_mut(parent), change(chance)) {
            (Some(Value::Object(object)), Some(value)) => object.insert(key.to_owned(), value).is_some(),
            (Some(Value::Object(object)), None) => object.remove(key).is_some(),
            _ => false,
        }
    }

    pub(super) fn add_field(&mut self, chance: &mut SeededRandom) -> bool {
        let name =
            *chance.one(&["x_new", "provider", "logprobs", "reasoning_content", "thinking", "audio", "annotations"]);
        let empty = *chance.one(&["error", "refusal", "function_call", "tool_calls"]);
        let (name, value) = match chance.below(3) {
            0 => (empty, Value::Null),
            _ => (name, anything(chance)),
        };
        let level =
            *chance.one(&["", "/choices/0", "/choices/0/delta", "/choices/0/message", "/choices/0/delta/tool_calls/0"]);
        let at = chance.below(self.stream.events.len());
        let Some(chunk) = chunk(&mut self.stream.events[at]) else { return false };
        let Some(Value::Object(object)) = chunk.pointer_mut(level) else { return false };
        if object.contains_key(name) {
            return false;
        }
        object.insert(name.to_owned(), value);
        true
    }

    pub(super) fn add_empty(&mut self, chance: &mut SeededRandom) -> bool {
        let empties = [
            json!({}),
            json!({ "choices": [] }),
            json!({ "choices": null }),
            json!({ "choices": {} }),
            json!({ "choices": "" }),
            json!({ "choices": [{}] }),
            json!({ "choices": [null] }),
            json!({ "choices": [{ "delta": null }] }),
            json!({ "choices": [{ "delta": {} }] }),
            json!({ "choices": [{ "delta": [] }] }),
            json!({ "choices": [[]] }),
            json!({ "choices": [{ "delta": { "content": null } }] }),
            json!({ "choices": [{ "delta": { "content": [] } }] }),
            json!({ "choices": [{ "delta": { "content": {} } }] }),
            json!({ "choices": [{ "delta": { "content": [null, {}] } }] }),
            json!({ "choices": [{ "delta": { "content": "" }, "finish_reason": null }] }),
            json!({ "choices": 7 }),
            json!({ "choices": [{ "delta": { "content": "" }, "finish_reason": "" }] }),
            json!({ "choices": [{ "delta": { "tool_calls": null, "function_call": null, "refusal": null } }] }),
            json!({ "choices": [{ "delta": { "tool_calls": [] }, "message": null }] }),
            json!({ "choices": [{ "delta": { "tool_calls": [{}, null] } }] }),
            json!({ "choices": [{ "delta": { "tool_calls": {} } }] }),
            json!({ "choices": [{ "delta": false, "finish_reason": null }] }),
            json!({ "error": null }),
            json!({ "error": {} }),
            Value::Null,
            json!([]),
            json!("ping"),
            json!(1),
        ];
        let empty = chance.one(&empties).clone();
        self.insert(chance, SeedEvent::Chunk(empty))
    }

    pub(super) fn add_usage(&mut self, chance: &mut SeededRandom) -> bool {
        let usages = [
            json!({}),
            json!(null),
            json!([]),
            json!("none"),
            json!(7),
            json!({ "prompt_tokens": null, "completion_tokens": null }),
            json!({ "prompt_tokens": 3 }),
            json!({ "prompt_tokens": 3.0, "completion_tokens": 4.5 }),
            json!({ "prompt_tokens": "3", "completion_tokens": "4" }),
            json!({ "prompt_tokens": -1, "completion_tokens": 1e300 }),
            json!({ "prompt_tokens": { "total": 3 }, "completion_tokens": [4] }),
            json!({ "prompt_tokens": u64::MAX, "completion_tokens": u64::MAX }),
        ];
        let usage = chance.one(&usages).clone();
        let choices = chance.one(&[json!([]), json!(null), json!([{ "delta": {} }])]).clone();
        self.insert(chance, SeedEvent::Chunk(json!({ "choices": choices, "usage": usage })))
    }

    pub(super) fn parts(&mut self, chance: &mut SeededRandom) -> bool {
        let Some((at, words)) = self.pick(chance) else { return false };
        let half = words.floor_char_boundary(words.len() / 2);
        let (first, second) = words.split_at(half);
        let form = match chance.below(9) {
            0 => json!([words]),
            1 => json!([first, second]),
            2 => json!([{ "type": "text", "text": words }]),
            3 => json!([{ "type": "text", "text": first }, { "type": "text", "text": second }]),
            4 => json!([{ "type": "thinking", "thinking": "zqTHOUGHTqz" }, { "type": "text", "text": words }]),
            5 => {
                json!([{ "type": "output_text", "text": words, "annotations": [] }, null, { "type": "text",
                    "text": null }])
            }
            6 => json!([[{ "text": first }], { "type": "text", "text": { "value": second } }]),
            7 => json!({ "type": "text", "text": words }),
            _ => json!([{ "type": "text", "text": [first, { "type": "text", "text": second }] },
                { "type": "image_url", "image_url": { "url": "zqJUNKqz" } }]),
        };
        *content(&mut self.stream.events[at]).expect("picked") = form;
        true
    }

    pub(super) fn choices_as_object(&mut self, chance: &mut SeededRandom) -> bool {
        let form = chance.below(3);
        self.each(chance, |chunk| {
            let Some(choice @ Value::Object(_)) = chunk.pointer("/choices/0").cloned() else { return false };
            match form {
                0 => chunk["choices"] = choice,
                1 => chunk["choices"] = json!([null, choice]),
                _ => match chunk.pointer_mut("/choices/0/delta") {
                    Some(delta) => *delta = json!([delta.take()]),
                    None => return false,
                },
            }
            true
        })
    }

    pub(super) fn other_delta(&mut self, chance: &mut SeededRandom) -> bool {
        let as_text = chance.below(2) == 0;
        self.each(chance, |chunk| {
            let Some(Value::Object(choice)) = chunk.pointer_mut("/choices/0") else { return false };
            if choice.contains_key("message") {
                return false;
            }
            match choice.remove("delta") {
                Some(delta)
                    if as_text
                        && delta.get("content").is_some_and(Value::is_string)
                        && delta.get("tool_calls").is_none() =>
                {
                    choice.insert("text".into(), delta["content"].clone());
                }
                Some(delta) => {
                    choice.insert("message".into(), delta);
                }
                None => return false,
            }
            true
        })
    }

    pub(super) fn no_reason(&mut self, chance: &mut SeededRandom) -> bool {
        let none = chance.one(&[None, Some(Value::Null), Some("".into())]).clone();
        // An error behind the reason would be one before the end.
        if self.had("junk behind the reason") {
            return false;
        }
        let mut found = false;
        for chunk in self.stream.events.iter_mut().filter_map(chunk) {
            let Some(Value::Object(choice)) = chunk.pointer_mut("/choices/0") else { continue };
            found |= choice.remove("finish_reason").is_some_and(|reason| !reason.is_null());
            if let Some(none) = &none {
                choice.insert("finish_reason".into(), none.clone());
            }
        }
        found
    }

    pub(super) fn other_reason(&mut self, chance: &mut SeededRandom) -> bool {
        let reason = chance
            .one(&[
                json!("end_turn"),
                json!("eos"),
                json!("STOP"),
                json!("function_call"),
                json!("length"),
                json!("MAX_TOKENS"),
                json!({ "type": "stop" }),
                json!(1),
            ])
            .clone();
        self.each(chance, |chunk| match chunk.pointer_mut("/choices/0/finish_reason") {
            Some(known) if !known.is_null() && *known != "" => {
                *known = reason.clone();
                true
            }
            _ => false,
        })
    }

    pub(super) fn error(&mut self, chance: &mut SeededRandom) -> bool {
        let Some(end) = self.stream.events.iter().position(ends) else { return false };
        let at = chance.below(end + 1);
        let errors = [
            json!({ "error": { "message": "zqERRORqz", "type": "server_error", "code": 500 } }),
            json!({ "error": "zqERRORqz" }),
            json!({ "error": { "code": 429, "message": "zqERRORqz" }, "choices": [{ "delta": { "content": "" },
                "finish_reason": null }] }),
            json!({ "object": "error", "message": "zqERRORqz", "code": 400 }),
            json!({ "error": ["zqERRORqz"] }),
        ];
        let error = chance.one(&errors).clone();
        self.meaning = Meaning::Nothing;
        if self.stream.whole {
            self.stream.events[0] = SeedEvent::Chunk(error);
        } else {
            self.stream.events.insert(at, SeedEvent::Chunk(error));
        }
        true
    }
}

/// The places of fields on which nothing depends.
fn trivial_places(value: &Value, place: &str, is_free: bool, places: &mut Vec<String>) {
    const NEEDED: [&str; 13] = [
        "choices",
        "delta",
        "message",
        "content",
        "text",
        "finish_reason",
        "tool_calls",
        "function",
        "function_call",
        "name",
        "arguments",
        "error",
        "refusal",
    ];
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let here = format!("{place}/{name}");
                let in_call = place.contains("tool_calls");
                let is_needed = !is_free
                    && (NEEDED.contains(&name.as_str()) || (in_call && ["id", "index"].contains(&name.as_str())));
                if !is_needed && !name.contains('/') {
                    places.push(here.clone());
                }
                // The words of parts are words.
                if !["content", "arguments"].contains(&name.as_str()) || is_free {
                    trivial_places(value, &here, is_free || !is_needed, places);
                }
            }
        }
        Value::Array(values) if !is_free => {
            for (number, value) in values.iter().enumerate() {
                trivial_places(value, &format!("{place}/{number}"), is_free, places);
            }
        }
        _ => {}
    }
}

/// A value of any type.
pub(super) fn anything(chance: &mut SeededRandom) -> Value {
    let deep = (0..40).fold(json!("zqJUNKqz"), |inner, _| json!([{ "a": inner }]));
    chance
        .one(&[
            json!(0),
            json!(-1),
            json!(1e300),
            json!(u64::MAX),
            json!(true),
            json!(""),
            json!("zqJUNKqz"),
            json!([]),
            json!({}),
            json!(["zqJUNKqz", 1, null]),
            json!({ "content": "zqJUNKqz", "text": "zqJUNKqz" }),
            json!([[["zqJUNKqz"]]]),
            deep,
            json!([{ "type": "text", "text": "zqJUNKqz" }]),
            json!("\u{0}\u{fffd}"),
        ])
        .clone()
}
