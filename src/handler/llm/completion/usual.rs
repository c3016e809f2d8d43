//! The usual document of a stream: one piece of text, and nothing that a reader has to look at. Nine of ten are, and it
//! is read without a tree of values. Anything else is left to [`Chunk`](super::chunk::Chunk), which takes every form.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::message::json;

/// Fields that change what a document says are named, and have to be absent or null; the others are not looked at.
#[derive(Deserialize)]
struct UsualChunk {
    choices: (UsualChoice,),
    #[serde(default)]
    object: Option<String>,
    #[serde(default)]
    error: Option<IgnoredAny>,
    #[serde(default)]
    usage: Option<IgnoredAny>,
    #[serde(default)]
    x_groq: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct UsualChoice {
    delta: Delta,
    #[serde(default)]
    finish_reason: Option<IgnoredAny>,
    #[serde(default)]
    error: Option<IgnoredAny>,
    #[serde(default)]
    usage: Option<IgnoredAny>,
}

/// What stands in here beside the words goes back to the model: nothing may.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Delta {
    content: String,
    #[serde(default, rename = "role")]
    _role: Option<IgnoredAny>,
    #[serde(default, rename = "refusal")]
    _refusal: Option<()>,
    #[serde(default, rename = "tool_calls")]
    _tool_calls: Option<()>,
    #[serde(default, rename = "function_call")]
    _function_call: Option<()>,
    #[serde(default, rename = "reasoning_content")]
    _reasoning_content: Option<()>,
}

/// The words of a usual document; none if it is another one.
pub(super) fn words(data: &str) -> Option<String> {
    let UsualChunk { choices: (choice,), object, error, usage, x_groq } = json::from_str(data).ok()?;
    let UsualChoice { delta, finish_reason, error: wrong, usage: cost } = choice;
    let is_plain = error.is_none() && usage.is_none() && x_groq.is_none() && object.as_deref() != Some("error");
    let goes_on = finish_reason.is_none() && wrong.is_none() && cost.is_none();
    (is_plain && goes_on).then_some(delta.content)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::words;
    use crate::handler::llm::completion::chunk::Chunk;

    #[test]
    fn a_usual_document_says_what_it_says_to_the_reader_of_all_forms() {
        let usual = [
            r#"{"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":" open"},"logprobs":null,"finish_reason":null}],"usage":null}"#,
            r#"{"choices":[{"delta":{"role":"assistant","content":"","refusal":null},"finish_reason":null}]}"#,
            r#"{"choices":[{"delta":{"content":"\ud83d nice","tool_calls":null}}]}"#,
        ];
        for data in usual {
            let all: Value = crate::message::json::from_str(data).expect("JSON");
            let chunk = Chunk::read(all);
            assert_eq!(words(data).expect("usual"), chunk.words, "{data}");
            assert!(
                chunk.beside.is_empty() && chunk.calls.is_empty() && chunk.ended.is_none() && !chunk.failed,
                "{data}"
            );
            assert!(chunk.usage.is_none() && chunk.refusal.is_empty() && !chunk.is_whole, "{data}");
        }
        let others = [
            r#"{"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}]}"#,
            r#"{"choices":[{"delta":{"content":"x"}}],"error":{"message":"y"}}"#,
            r#"{"object":"error","choices":[{"delta":{"content":"x"}}]}"#,
            r#"{"choices":[{"delta":{"content":"x"}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
            r#"{"choices":[{"delta":{"content":"x","reasoning_content":"y"}}]}"#,
            r#"{"choices":[{"delta":{"content":"x","extra":"y"}}]}"#,
            r#"{"choices":[{"delta":{"content":["x"]}}]}"#,
            r#"{"choices":[{"delta":{"content":"x"}},{"delta":{"content":"y"}}]}"#,
            r#"{"choices":[{"message":{"content":"x"}}]}"#,
            r#"{"choices":[{"delta":{"content":"x"},"error":"y"}]}"#,
            r#"{"choices":[{"delta":{"content":"x","content":"y"}}]}"#,
            r#"{"choices":[]}"#,
            "[DONE]",
        ];
        for data in others {
            assert_eq!(words(data), None, "{data}");
        }
    }
}
