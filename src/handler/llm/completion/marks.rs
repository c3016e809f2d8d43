//! What templates write into words: tags, special tokens, and the code in which both are mere text.

use std::ops::Range;

/// A tag, `<name attributes>` or `</name>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tag<'a> {
    pub(super) place: Range<usize>,
    pub(super) closes: bool,
    /// Without what stands before a colon, or DeepSeek's mark.
    pub(super) name: &'a str,
    /// What follows the name.
    pub(super) rest: &'a str,
}

/// A special token, `<|name|>`, in any of the bars that servers write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) place: Range<usize>,
    /// In lower case, `_` for what joins its words.
    pub(super) name: String,
}

/// A tag is no longer than this.
const LONGEST_TAG: usize = 200;
/// A special token is no longer than this.
const LONGEST_TOKEN: usize = 64;

/// The first tag from `from` on.
pub(super) fn tag(text: &str, from: usize) -> Option<Tag<'_>> {
    let mut at = from;
    loop {
        at += text.get(at..)?.find('<')?;
        if let Some(tag) = tag_at(text, at) {
            return Some(tag);
        }
        at += 1;
    }
}

fn tag_at(text: &str, at: usize) -> Option<Tag<'_>> {
    let inside = &text[at + 1..];
    let inside = &inside[..inside.floor_char_boundary(LONGEST_TAG)];
    let (inside, _) = inside.split_once('>')?;
    let place = at..at + inside.len() + 2;
    let (closes, inside) = match inside.trim_start().strip_prefix('/') {
        Some(inside) => (true, inside.trim_start()),
        None => (false, inside.trim_start()),
    };
    let inside = ["｜DSML｜", "|DSML|"].iter().find_map(|mark| inside.strip_prefix(mark)).unwrap_or(inside);
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ':' | '.');
    let end = inside.find(|c| !is_of_name(c)).unwrap_or(inside.len());
    let (name, rest) = inside.split_at(end);
    let name = name.rsplit(':').next().unwrap_or(name);
    // A sign of inequality begins no tag, and neither does a line of prose.
    let is_tag = name.starts_with(|c: char| c.is_ascii_alphabetic()) && !rest.contains(['\n', '<']);
    let is_tag = is_tag && (rest.is_empty() || rest.starts_with([' ', '=', '/', '\t']));
    is_tag.then_some(Tag { place, closes, name, rest })
}

/// The first special token from `from` on.
pub(super) fn token(text: &str, from: usize) -> Option<Token> {
    const OPEN: [&str; 4] = ["<|", "<｜", "</|", "[|"];
    const CLOSE: [&str; 3] = ["|>", "｜>", "|]"];
    let mut at = from;
    loop {
        at += text.get(at..)?.find(['<', '['])?;
        let open = OPEN.iter().find(|open| text[at..].starts_with(**open));
        let name = open.and_then(|open| {
            let inside = &text[at + open.len()..];
            let inside = &inside[..inside.floor_char_boundary(LONGEST_TOKEN)];
            let end = inside.find(|c: char| !(c.is_alphanumeric() || "_-/ .:▁".contains(c)))?;
            let close = CLOSE.iter().find(|close| inside[end..].starts_with(**close))?;
            let name = inside[..end].replace(['▁', ' ', '-'], "_").to_lowercase();
            let name = if *open == "</|" { format!("/{name}") } else { name };
            Some(Token { place: at..at + open.len() + end + close.len(), name })
        });
        match name {
            Some(token) if !token.name.is_empty() => return Some(token),
            _ => at += 1,
        }
    }
}

/// Where code stands: between fences, and between backticks in a line.
pub(super) fn code(text: &str) -> Vec<Range<usize>> {
    let mut code = Vec::new();
    let (mut at, mut fence): (usize, Option<(usize, &str)>) = (0, None);
    let mut inline = Vec::new();
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim_start_matches(' ').trim_end();
        let letter = trimmed.chars().next().filter(|c| matches!(c, '`' | '~'));
        let mark = letter.map_or("", |letter| &trimmed[..trimmed.len() - trimmed.trim_start_matches(letter).len()]);
        match fence {
            Some((begin, open)) if mark.len() >= open.len() && mark == trimmed && mark.starts_with(open) => {
                code.push(begin..at + line.len());
                fence = None;
                inline.clear();
            }
            None if mark.len() >= 3 && !trimmed[mark.len()..].contains('`') => fence = Some((at, mark)),
            _ => {
                let found = spans(line).map(|span| at + span.start..at + span.end);
                // Of a fence that does not end, the lines are lines.
                if fence.is_some() { inline.extend(found) } else { code.extend(found) }
            }
        }
        at += line.len();
    }
    code.extend(inline);
    code.sort_by_key(|range| range.start);
    code
}

/// What stands between backticks in a line.
fn spans(line: &str) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let begin = at + line.get(at..)?.find('`')?;
            let run = line[begin..].len() - line[begin..].trim_start_matches('`').len();
            let inside = begin + run;
            let mark = &line[begin..inside];
            match line[inside..].find(mark) {
                Some(length) => {
                    at = inside + length + run;
                    return Some(begin..at);
                }
                None => at = inside,
            }
        }
    })
}

/// Whether a place is in one of them.
pub(super) fn is_in(code: &[Range<usize>], at: usize) -> bool {
    let behind = code.partition_point(|range| range.start <= at);
    behind.checked_sub(1).is_some_and(|last| code[last].contains(&at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_and_tokens_are_told_from_text() {
        let name = |text| tag(text, 0).map(|tag| (tag.closes, tag.name.to_owned(), tag.rest.to_owned()));
        let is = |closes, name: &str, rest: &str| Some((closes, name.to_owned(), rest.to_owned()));
        assert_eq!(name("a < 7 > c"), None);
        assert_eq!(name("3 <5 and 6> 2"), None);
        assert_eq!(name("1 < 2 <think >"), is(false, "think", " "));
        assert_eq!(name("</ seed:think>"), is(true, "think", ""));
        assert_eq!(name("<｜DSML｜invoke name=\"a\">"), is(false, "invoke", " name=\"a\""));
        assert_eq!(name("<function=a>"), is(false, "function", "=a"));
        let name = |text| token(text, 0).map(|token| token.name);
        assert_eq!(name("a <| b"), None);
        assert_eq!(name("<|im_end|>").as_deref(), Some("im_end"));
        assert_eq!(name("é<｜tool▁calls▁begin｜>").as_deref(), Some("tool_calls_begin"));
        assert_eq!(name("x</|tool_call|>").as_deref(), Some("/tool_call"));
    }

    #[test]
    fn code_is_what_ends() {
        let inside =
            |text: &str| -> Vec<String> { code(text).into_iter().map(|range| text[range].to_owned()).collect() };
        assert_eq!(inside("a `b` c\n```\nd `e`\n```\nf"), ["`b`", "```\nd `e`\n```\n"]);
        assert_eq!(inside("``a ` b`` `c"), ["``a ` b``"]);
        assert_eq!(inside("```x\na `b`"), ["`b`"]);
        assert_eq!(inside("~~~~\n```\n~~~~"), ["~~~~\n```\n~~~~"]);
    }
}
