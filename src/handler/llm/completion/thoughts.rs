//! What a model has thought, where it stands in the words of its answer.
//!
//! A thought stands between two tags. It begins where a line or a sentence may begin; one that does not end is all of
//! the rest, and an end without a beginning ends what began before the answer did. In code, and in the middle of a
//! sentence that speaks of them, tags are words.

use super::marks::{self, code, is_in};

/// What thoughts stand between, as tags.
const NAMES: [&str; 10] = [
    "think",
    "thinking",
    "thought",
    "thoughts",
    "reasoning",
    "reflection",
    "scratchpad",
    "inner_monologue",
    "longcat_think",
    "analysis",
];
/// The same as text: what begins one, and what ends it.
const WRITTEN: [(&str, &str); 3] = [("◁think▷", "◁/think▷"), ("[think]", "[/think]"), ("[thinking]", "[/thinking]")];
/// The same as special tokens.
const TOKENS: [(&str, &str); 5] = [
    ("begin_of_thought", "end_of_thought"),
    ("start_thinking", "end_thinking"),
    ("think", "/think"),
    ("thinking", "/thinking"),
    ("thought_begin", "thought_end"),
];

/// Where a thought begins or ends.
struct ThoughtMark {
    start: usize,
    end: usize,
    closes: bool,
}

/// The words without what was thought.
pub(super) fn without(text: &str) -> String {
    let marks = marks(text);
    if marks.is_empty() {
        return text.to_owned();
    }
    let code = code(text);
    let (mut kept, mut at, mut ends) = (String::new(), 0, true);
    for (number, mark) in marks.iter().enumerate() {
        if mark.start < at || is_in(&code, mark.start) {
            continue;
        }
        if mark.closes {
            if !is_mentioned(text, mark) {
                kept.clear();
                at = mark.end;
            }
            continue;
        }
        let behind = &marks[number + 1..];
        let before = &text[at..mark.start];
        if begins(if before.trim().is_empty() && !before.contains('\n') { &kept } else { before }) {
            kept.push_str(before);
            match behind.iter().find(|mark| mark.closes) {
                Some(end) => at = end.end,
                None => return kept,
            }
            continue;
        }
        // What does not end is a word, and so is an example of both.
        let end = ends.then(|| behind.iter().find(|mark| mark.closes && !is_in(&code, mark.start))).flatten();
        let Some(end) = end else {
            ends = false;
            continue;
        };
        kept.push_str(before);
        if is_example(&text[mark.end..end.start]) {
            kept.push_str(&text[mark.start..end.end]);
        }
        at = end.end;
    }
    let rest = &text[at.min(text.len())..];
    let rest = if kept.trim_end_matches([' ', '\t']).ends_with('\n') { rest.trim_start() } else { rest };
    kept.push_str(rest);
    kept
}

fn marks(text: &str) -> Vec<ThoughtMark> {
    let mut marks = Vec::new();
    let mut at = 0;
    while let Some(tag) = marks::tag(text, at) {
        at = tag.place.start + 1;
        if NAMES.contains(&tag.name.to_ascii_lowercase().as_str()) && !tag.rest.starts_with('=') {
            // One that ends itself holds nothing.
            let (start, end) = (tag.place.start, tag.place.end);
            if tag.rest.trim_end().ends_with('/') && !tag.closes {
                marks.push(ThoughtMark { start, end: start, closes: false });
                marks.push(ThoughtMark { start, end, closes: true });
            } else {
                marks.push(ThoughtMark { start, end, closes: tag.closes });
            }
        }
    }
    for (open, close) in WRITTEN {
        for (word, closes) in [(open, false), (close, true)] {
            let lower = text.to_ascii_lowercase();
            marks.extend(lower.match_indices(word).map(|(start, _)| ThoughtMark {
                start,
                end: start + word.len(),
                closes,
            }));
        }
    }
    at = 0;
    while let Some(token) = marks::token(text, at) {
        at = token.place.end;
        let known = TOKENS.iter().find(|(open, close)| *open == token.name || *close == token.name);
        if let Some((open, _)) = known {
            marks.push(ThoughtMark { start: token.place.start, end: token.place.end, closes: *open != token.name });
        }
    }
    marks.sort_by_key(|mark| (mark.start, mark.end));
    marks
}

/// Whether a thought may begin behind this: at the beginning, in a line of its own, or behind a sentence.
fn begins(before: &str) -> bool {
    let before = before.trim_end_matches([' ', '\t']);
    before.is_empty() || before.ends_with(['\n', '.', '!', '?', '…', '。', '！', '？'])
}

/// Whether what stands between two tags is what joins them in a sentence.
fn is_example(between: &str) -> bool {
    let letters = between.chars().filter(|c| c.is_alphanumeric()).count();
    letters <= 3 || between.trim_start().starts_with("tag")
}

/// Whether an end is spoken of: it stands between words, or in quotes.
fn is_mentioned(text: &str, mark: &ThoughtMark) -> bool {
    let (before, behind) = (&text[..mark.start], &text[mark.end..]);
    if before.ends_with(['"', '\'', '“', '„', '«', '(']) && behind.starts_with(['"', '\'', '“', '”', '»', ')'])
    {
        return true;
    }
    let word = before.trim_end_matches(' ').ends_with(|c: char| c.is_alphanumeric() || c == ',');
    let goes_on = behind.trim_start_matches(' ').starts_with(char::is_lowercase);
    before.ends_with(' ') && word && behind.starts_with(' ') && goes_on
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thoughts_go_and_words_about_them_stay() {
        for (text, words) in [
            ("Hello!", "Hello!"),
            ("<think>They wait.</think>\n\nHello!", "Hello!"),
            ("<think>\n\n</think>\n\nHello!", "Hello!"),
            ("<THINK >They</think>Hello!", "Hello!"),
            ("<thought>a</thought><reasoning>b</reasoning>Hello!", "Hello!"),
            ("◁think▷They wait◁/think▷Hello!", "Hello!"),
            ("[THINK]They wait[/THINK]Hello!", "Hello!"),
            ("<seed:think>They</seed:think>Hello!", "Hello!"),
            ("<|START_THINKING|>They<|END_THINKING|>Hello!", "Hello!"),
            ("<think/>Hello!", "Hello!"),
            ("They wait. I say hello.\n</think>\n\nHello!", "Hello!"),
            ("One </think> two</think>Hello!", "Hello!"),
            ("<think>a<think>b</think>c</think>Hello!", "Hello!"),
            ("<think>They have written ```x``` and\n```\nmore</think>Hello!", "Hello!"),
            ("<think>They wait", ""),
            ("Hello!\n<think>And now", "Hello!"),
            ("Hello! <think>And now", "Hello!"),
            ("One.\n<think>a</think>\nTwo.", "One.\nTwo."),
            ("One <think>they ask for two</think> two.", "One  two."),
            ("The tag <think> begins one.", "The tag <think> begins one."),
            ("Between <think> and </think> a model thinks.", "Between <think> and </think> a model thinks."),
            ("It ends at </think> as a rule.", "It ends at </think> as a rule."),
            ("Write `<think>`, then `</think>`.", "Write `<think>`, then `</think>`."),
            ("So:\n```\n<think>a</think>\n```\nThat is all.", "So:\n```\n<think>a</think>\n```\nThat is all."),
            ("3 < 4 > 2", "3 < 4 > 2"),
            ("The tag is: <think>. And **<think>** is the same.", "The tag is: <think>. And **<think>** is the same."),
        ] {
            assert_eq!(without(text).trim(), words, "{text}");
        }
    }
}
