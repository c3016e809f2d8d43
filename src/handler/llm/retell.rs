//! What was called in a turn, told in another way: for templates that know no such lines, or identifiers of one form
//! alone.

use std::collections::HashMap;

use super::join::joined;
use super::wire::{ChatMessage, MessageWords};

/// How long identifiers are that Mistral's templates take.
const SHORT: usize = 9;

/// The same lines, each call under an identifier of nine letters and digits.
pub(super) fn with_short_ids<'a>(lines: &[ChatMessage<'a>]) -> Vec<ChatMessage<'a>> {
    let mut known: HashMap<String, String> = HashMap::new();
    let mut short = |id: &mut String| {
        let next = format!("call{:0width$}", known.len(), width = SHORT - 4);
        *id = known.entry(std::mem::take(id)).or_insert(next).clone();
    };
    let mut lines = lines.to_vec();
    for line in &mut lines {
        line.tool_calls.iter_mut().for_each(|call| short(&mut call.id));
        line.tool_call_id.iter_mut().for_each(&mut short);
    }
    lines
}

/// The same as words of the customer's side: not as the model's own, which it would write again.
pub(super) fn as_words<'a>(lines: &[ChatMessage<'a>]) -> Vec<ChatMessage<'a>> {
    let mut called: HashMap<&str, String> = HashMap::new();
    let mut told = Vec::with_capacity(lines.len());
    for line in lines {
        for call in &line.tool_calls {
            called.insert(&call.id, format!("[You called {} with {}. It says:]", call.name, call.arguments));
        }
        let is_silent = matches!(&line.content, MessageWords::Text(words) if words.is_empty());
        match &line.tool_call_id {
            Some(id) => {
                let call = called.get(id.as_str()).map_or("[A tool says:]", String::as_str);
                let mut result = ChatMessage::user(call.to_owned());
                result.content.append(line.content.clone());
                told.push(result);
            }
            None if is_silent => {}
            None => told.push(ChatMessage { tool_calls: Vec::new(), ..line.clone() }),
        }
    }
    joined(told)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::wire::{Beside, Wanted};
    use super::*;

    fn lines() -> Vec<ChatMessage<'static>> {
        let wants = |words: &str, id: &str| {
            let (name, arguments) = ("order_status".into(), "{\"order\": 17}".into());
            let call = Wanted { id: id.into(), name, arguments, ..Wanted::default() };
            ChatMessage::wants(words.into(), vec![call], Beside::default())
        };
        let result = |id: &str, words: &str| ChatMessage::result(id.into(), words.into());
        let first = [
            ChatMessage::system("s"),
            ChatMessage::user("q"),
            wants("", "call_abcdefghijkl"),
            result("call_abcdefghijkl", "sent"),
        ];
        first.into_iter().chain([wants("Let me see.", "call_2"), result("call_2", "paid")]).collect()
    }

    fn told(lines: Vec<ChatMessage<'_>>) -> Vec<Value> {
        lines.iter().map(|line| serde_json::to_value(line).expect("JSON")).collect()
    }

    #[test]
    fn identifiers_become_nine_letters_and_digits_and_stay_apart() {
        let told = told(with_short_ids(&lines()));
        let ids = [&told[2]["tool_calls"][0]["id"], &told[3]["tool_call_id"]];
        assert_eq!(ids, ["call00000", "call00000"]);
        let ids = [&told[4]["tool_calls"][0]["id"], &told[5]["tool_call_id"]];
        assert_eq!(ids, ["call00001", "call00001"]);
    }

    #[test]
    fn calls_become_words_that_are_not_the_models() {
        let told = told(as_words(&lines()));
        let called = "[You called order_status with {\"order\": 17}. It says:]";
        assert_eq!(
            told,
            [
                json!({ "role": "system", "content": "s" }),
                json!({ "role": "user", "content": format!("q\n{called}\nsent") }),
                json!({ "role": "assistant", "content": "Let me see." }),
                json!({ "role": "user", "content": format!("{called}\npaid") }),
            ]
        );
    }
}
