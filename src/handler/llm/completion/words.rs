//! What of a model's words is for the customer.

use super::marks::{self, code, is_in};
use super::{spoken, thoughts};
use crate::handler::llm::wire::Offer;

/// Words for a customer, and the calls that stood among them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct SpokenWords {
    pub(super) words: String,
    pub(super) calls: Vec<spoken::SpokenCall>,
}

/// Special tokens that end a turn.
const ENDS: [&str; 14] = [
    "im_end",
    "eot_id",
    "eom_id",
    "end",
    "eot",
    "end_of_text",
    "endoftext",
    "end_of_turn",
    "end_of_sentence",
    "eos",
    "return",
    "end_of_message",
    "end_of_turn_token",
    "end_of_role",
];
/// Special tokens that begin one, before its role.
const BEGINS: [&str; 5] = ["im_start", "start_header_id", "start", "start_of_turn_token", "start_of_role"];
/// What else ends a turn, as text.
const LAST: [&str; 9] =
    ["</s>", "<s>", "<eos>", "<pad>", "<end_of_turn>", "[/INST]", "<|endoftext|>", "<end_of_utterance>", "<EOT>"];
/// What else begins one.
const FIRST: [&str; 5] = ["<s>", "<bos>", "<start_of_turn>model", "<start_of_turn>", "[/INST]"];

/// Takes out thoughts, calls, and what templates write.
pub(super) fn for_customer(text: &str, offers: &[Offer]) -> SpokenWords {
    let mut calls = Vec::new();
    // Most answers hold none of that.
    if !text.contains(['<', '[', '{', '◁']) && !text.trim_start().starts_with("analysis") {
        return SpokenWords { words: text.to_owned(), calls };
    }
    let words = final_channel(text, offers, &mut calls);
    let words = thoughts::without(&words);
    let words = spoken::without(&words, offers, &mut calls);
    SpokenWords { words: without_tokens(&words), calls }
}

/// Of an answer in channels the final one. What is said in another is a thought, or a call.
fn final_channel(text: &str, offers: &[Offer], calls: &mut Vec<spoken::SpokenCall>) -> String {
    const CHANNEL: &str = "<|channel|>";
    const MESSAGE: &str = "<|message|>";
    let code = code(text);
    if !text.match_indices(CHANNEL).any(|(at, _)| !is_in(&code, at)) {
        // Some servers leave the tokens out.
        let thought = text.trim_start().strip_prefix("analysis").and_then(|text| text.split_once("assistantfinal"));
        return thought.map_or(text, |(_, words)| words).to_owned();
    }
    let mut channels = text.split(CHANNEL);
    let before = channels.next().unwrap_or_default();
    let (mut last, mut words, mut between) = (None, String::new(), before);
    for channel in channels {
        let (head, rest) = channel.split_once(MESSAGE).unwrap_or((channel, ""));
        let ends = ["<|end|>", "<|return|>", "<|call|>", "<|start|>"];
        let end = ends.iter().filter_map(|end| rest.find(end)).min().unwrap_or(rest.len());
        let (body, behind) = rest.split_at(end);
        let to = [head, between].into_iter().find_map(|text| text.rsplit_once("to="));
        match to {
            Some((_, to)) => {
                let name = to.split(|c: char| c.is_whitespace() || c == '<').next().unwrap_or_default();
                calls.extend(spoken::named(offers, name).map(|name| (name, body.trim().to_owned())));
            }
            None if head.trim_start().starts_with("final") => {
                words.push_str(body);
                last = Some(());
            }
            None => {}
        }
        between = behind;
    }
    // Without a final channel, what stands before the first is what was said, unless it ends a channel itself.
    match last {
        Some(()) => words,
        None if before.contains("<|start|>") => String::new(),
        None => before.to_owned(),
    }
}

/// Takes off what a template writes around an answer; and what follows the end of a turn is somebody else's.
fn without_tokens(text: &str) -> String {
    let code = code(text);
    let (mut kept, mut at) = (String::new(), 0);
    while let Some(token) = marks::token(text, at) {
        kept.push_str(&text[at..token.place.start]);
        at = token.place.end;
        if is_in(&code, token.place.start) || !text[token.place.clone()].starts_with('<') {
            kept.push_str(&text[token.place]);
            continue;
        }
        let behind = text[at..].trim_start();
        if BEGINS.contains(&&*token.name) {
            let Some(rest) = ["assistant", "model"].iter().find_map(|role| behind.strip_prefix(role)) else {
                at = text.len();
                break;
            };
            at = text.len() - rest.len();
        } else if ENDS.contains(&&*token.name) && !kept.trim().is_empty() && !behind.is_empty() {
            // Another turn, of a customer whom the model has made up.
            let next = marks::token(behind, 0).filter(|next| next.place.start == 0);
            if next.is_some_and(|next| BEGINS.contains(&&*next.name)) {
                at = text.len();
                break;
            }
        }
    }
    kept.push_str(&text[at..]);
    if let Some((before, _)) = kept.split_once("<end_of_turn>\n<start_of_turn>user") {
        kept.truncate(before.len());
    }
    let mut words = kept.trim();
    loop {
        let before = words.len();
        words = LAST.iter().fold(words, |words, last| words.strip_suffix(last).unwrap_or(words).trim_end());
        words = FIRST.iter().fold(words, |words, first| words.strip_prefix(first).unwrap_or(words).trim_start());
        words =
            words.strip_prefix("<answer>").and_then(|words| words.strip_suffix("</answer>")).unwrap_or(words).trim();
        if words.len() == before {
            return words.to_owned();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_templates_write_is_no_word() {
        let offers = [Offer::Function {
            name: "opening_hours".into(),
            description: String::new(),
            parameters: serde_json::json!({}),
        }];
        let analysis = "<|channel|>analysis<|message|>They ask.<|end|><|start|>assistant";
        for (text, words, called) in [
            ("Hello!", "Hello!", false),
            ("Hello!<|im_end|>", "Hello!", false),
            ("Hello!</s>\n<|eot_id|>", "Hello!", false),
            ("<s>Hello!<end_of_turn>", "Hello!", false),
            ("Hello!<｜end▁of▁sentence｜>", "Hello!", false),
            ("Hello!<|im_end|>\n<|im_start|>user\nAnd now?", "Hello!", false),
            ("Hello!<end_of_turn>\n<start_of_turn>user\nAnd now?", "Hello!", false),
            ("<|im_start|>assistant\nHello!", "Hello!", false),
            ("<think>They ask.</think><answer>Hello!</answer>", "Hello!", false),
            (&format!("{analysis}<|channel|>final<|message|>Hello!<|return|>"), "Hello!", false),
            (
                &format!(
                    "{analysis}<|channel|>commentary to=functions.opening_hours <|constrain|>json\
                     <|message|>{{}}<|call|>"
                ),
                "",
                true,
            ),
            (
                &format!("{analysis} to=functions.opening_hours<|channel|>commentary json<|message|>{{}}<|call|>"),
                "",
                true,
            ),
            ("They ask.<|end|><|start|>assistant<|channel|>final<|message|>Hello!", "Hello!", false),
            ("<|channel|>analysis<|message|>They ask", "", false),
            ("analysisThey ask.assistantfinalHello!", "Hello!", false),
            ("Write `<|im_end|>` at the end.", "Write `<|im_end|>` at the end.", false),
            ("A [link](https://a.example) | <b>", "A [link](https://a.example) | <b>", false),
        ] {
            let found = for_customer(text, &offers);
            assert_eq!((found.words.trim(), found.calls.len()), (words, usize::from(called)), "{text}");
        }
    }
}
