//! How a phone shows what was written with WhatsApp's signs.
//!
//! | in a text | on the phone |
//! |---|---|
//! | `*words*`, `_words_`, `~words~` | bold, italic, struck out |
//! | one backtick, or three, around words of one line | code |
//! | three backticks around lines | a block of code |
//! | `> ` at the beginning of a line | a quote |
//! | `- ` or `* ` there | a bullet |
//! | `1. ` there | a row with its number |
//!
//! The phone reads by itself: what the product takes for a mark is not asked, so that the page shows where the two
//! differ.

use std::ops::Range;

/// Signs that may end a mark around an address, or a sentence behind it.
const BEHIND_ADDRESSES: [char; 12] = ['*', '_', '~', '`', '.', ',', ';', ':', '!', '?', ')', ']'];

/// A line, or a block of code.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'t> {
    /// The classes of the style sheet for the whole of it; none for a line like any other.
    pub(super) looks: &'static str,
    pub(super) runs: Vec<Run<'t>>,
    /// The end of the line, if it has one.
    pub(super) end: &'static str,
}

/// Words that look the same.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Run<'t> {
    pub(super) words: &'t str,
    /// The classes of the style sheet for them.
    pub(super) looks: String,
}

impl<'t> Run<'t> {
    fn plain(words: &'t str) -> Self {
        Self { words, looks: String::new() }
    }
}

/// A text as a phone without marks shows it.
pub(super) fn plain(text: &str) -> Vec<Line<'_>> {
    vec![Line { looks: "", runs: vec![Run::plain(text)], end: "" }]
}

/// A text as WhatsApp's phones show it.
pub(super) fn shown(text: &str) -> Vec<Line<'_>> {
    let (mut lines, mut at, mut begins) = (Vec::new(), 0, true);
    for block in blocks(text) {
        add(&text[at..block.whole.start], begins, &mut lines);
        let code = &text[block.inner];
        let code = code.strip_prefix('\n').unwrap_or(code);
        let code = code.strip_suffix('\n').unwrap_or(code);
        lines.push(Line { looks: "code fence", runs: vec![Run::plain(code)], end: "" });
        (at, begins) = (block.whole.end, false);
    }
    add(&text[at..], begins, &mut lines);
    lines
}

/// What stands between signs, and the same with its signs.
struct Between {
    whole: Range<usize>,
    inner: Range<usize>,
}

/// The blocks of code: three backticks or more, and as many lines as there are up to the next.
fn blocks(text: &str) -> Vec<Between> {
    let fences: Vec<Range<usize>> = ticks(text).into_iter().filter(|ticks| ticks.len() >= 3).collect();
    pairs(text, &fences).into_iter().filter(|block| text[block.inner.clone()].contains('\n')).collect()
}

/// The runs of backticks.
fn ticks(text: &str) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (at, sign) in text.match_indices('`') {
        let goes_on = runs.last_mut().filter(|run| run.end == at);
        match goes_on {
            Some(run) => run.end += sign.len(),
            None => runs.push(at..at + sign.len()),
        }
    }
    runs
}

/// Each sign with the next, if something stands between them.
fn pairs(text: &str, signs: &[Range<usize>]) -> Vec<Between> {
    let (mut found, mut open): (Vec<Between>, Option<&Range<usize>>) = (Vec::new(), None);
    for sign in signs {
        open = match open {
            Some(first) if !text[first.end..sign.start].trim().is_empty() => {
                found.push(Between { whole: first.start..sign.end, inner: first.end..sign.start });
                None
            }
            _ => Some(sign),
        };
    }
    found
}

/// Adds lines. `begins` says whether the first one begins here, or behind a block of code.
fn add<'t>(text: &'t str, begins: bool, lines: &mut Vec<Line<'t>>) {
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
        let (looks, sign, words) = if number > 0 || begins { row(line) } else { ("", "", line) };
        let mut runs = Vec::new();
        if !sign.is_empty() {
            runs.push(Run::plain(sign));
        }
        InLine::of(words).read(0..words.len(), &mut Vec::new(), &mut runs);
        lines.push(Line { looks, runs, end });
    }
}

/// What a line is, what stands in front of its words, and they.
fn row(line: &str) -> (&'static str, &str, &str) {
    let digits = line.len() - line.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let says = |words: &&str| !words.trim().is_empty();
    if let Some(words) = line.strip_prefix("> ").filter(says) {
        ("quoted", "", words)
    } else if let Some(words) = line.strip_prefix("- ").or_else(|| line.strip_prefix("* ")).filter(says) {
        ("bullet", "• ", words)
    } else if let Some(words) =
        line[digits..].strip_prefix(". ").filter(|words| (1..=3).contains(&digits) && says(words))
    {
        ("numbered", &line[..digits + 2], words)
    } else {
        ("", "", line)
    }
}

/// A line of which the code and the addresses are known: in them no sign is a mark.
struct InLine<'t> {
    line: &'t str,
    codes: Vec<Between>,
    addresses: Vec<Range<usize>>,
}

impl<'t> InLine<'t> {
    fn of(line: &'t str) -> Self {
        let ticks = ticks(line);
        let of_length = |is_fence: bool| -> Vec<Range<usize>> {
            ticks.iter().filter(|ticks| if is_fence { ticks.len() >= 3 } else { ticks.len() == 1 }).cloned().collect()
        };
        let mut codes = pairs(line, &of_length(true));
        let fences = codes.len();
        for code in pairs(line, &of_length(false)) {
            let apart = |fence: &Between| code.whole.end <= fence.whole.start || fence.whole.end <= code.whole.start;
            let next = codes[..fences].partition_point(|fence| fence.whole.end <= code.whole.start);
            if codes[next..fences].first().is_none_or(apart) {
                codes.push(code);
            }
        }
        codes.sort_by_key(|code| code.whole.start);
        Self { line, codes, addresses: addresses(line) }
    }

    /// The code that byte `at` stands in.
    fn code(&self, at: usize) -> Option<&Between> {
        let next = self.codes.partition_point(|code| code.whole.end <= at);
        self.codes.get(next).filter(|code| code.whole.contains(&at))
    }

    fn is_closed(&self, at: usize) -> bool {
        let next = self.addresses.partition_point(|address| address.end <= at);
        self.code(at).is_some() || self.addresses.get(next).is_some_and(|address| address.contains(&at))
    }

    fn read(&self, range: Range<usize>, open: &mut Vec<(char, &'static str)>, runs: &mut Vec<Run<'t>>) {
        let add = |runs: &mut Vec<Run<'t>>, range: Range<usize>, open: &[(char, &'static str)], more: &[&str]| {
            if !range.is_empty() {
                let looks: Vec<&str> = open.iter().map(|(_, looks)| *looks).chain(more.iter().copied()).collect();
                runs.push(Run { words: &self.line[range], looks: looks.join(" ") });
            }
        };
        let (mut said, mut at) = (range.start, range.start);
        // Where a sign has no end, none that stands behind it has one.
        let mut endless: Vec<char> = Vec::new();
        while let Some(found) = self.line[at..range.end].find(['*', '_', '~', '`']).map(|found| at + found) {
            if let Some(code) = self.code(found) {
                add(runs, said..code.whole.start, open, &[]);
                add(runs, code.inner.clone(), open, &["code"]);
                (said, at) = (code.whole.end, code.whole.end);
                continue;
            }
            at = found + 1;
            let (sign, looks) = match self.line.as_bytes()[found] {
                b'*' => ('*', "bold"),
                b'_' => ('_', "italic"),
                b'~' => ('~', "strike"),
                _ => continue,
            };
            let is_open = open.iter().any(|(other, _)| *other == sign);
            if is_open || endless.contains(&sign) || self.is_closed(found) || !self.opens(found, sign) {
                continue;
            }
            let Some(end) = self.end(found, range.end, sign) else {
                endless.push(sign);
                continue;
            };
            add(runs, said..found, open, &[]);
            open.push((sign, looks));
            self.read(found + 1..end, open, runs);
            open.pop();
            (said, at) = (end + 1, end + 1);
        }
        add(runs, said..range.end, open, &[]);
    }

    fn opens(&self, at: usize, sign: char) -> bool {
        let is_within_word = self.line[..at].ends_with(char::is_alphanumeric);
        !is_within_word && self.line[at + 1..].starts_with(|next: char| !next.is_whitespace() && next != sign)
    }

    /// Where the mark ends that begins at byte `at`.
    fn end(&self, at: usize, before: usize, sign: char) -> Option<usize> {
        let ends = |end: usize| {
            let is_behind_words = self.line[..end].ends_with(|last: char| !last.is_whitespace() && last != sign);
            is_behind_words && !self.line[end + 1..].starts_with(char::is_alphanumeric) && !self.is_closed(end)
        };
        let from = at + 1;
        self.line[from..before].match_indices(sign).map(|(end, _)| from + end).find(|end| *end > from && ends(*end))
    }
}

/// Where addresses stand.
fn addresses(line: &str) -> Vec<Range<usize>> {
    let (mut found, mut read) = (Vec::new(), 0);
    for (at, _) in line.match_indices("://") {
        let Some(scheme) = line.get(read..at) else { continue };
        let start = read + scheme.trim_end_matches(|c: char| c.is_ascii_alphabetic()).len();
        let ends = |c: char| c.is_whitespace() || c == '`';
        let word = line[at..].split(ends).next().unwrap_or_default();
        read = at + word.len();
        if start < at {
            found.push(start..at + word.trim_end_matches(BEHIND_ADDRESSES).len().max(1));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each line as `[looks:` what stands in it `]`, each run as `<looks:words>`.
    fn read(text: &str) -> String {
        let mut read = String::new();
        for Line { looks, runs, end } in shown(text) {
            let mut line = String::new();
            for Run { words, looks } in runs {
                line += &if looks.is_empty() { words.to_owned() } else { format!("<{looks}:{words}>") };
            }
            read += &if looks.is_empty() { line } else { format!("[{looks}:{line}]") };
            read += end;
        }
        read
    }

    #[test]
    fn signs_are_shown_as_what_they_mean() {
        for (text, expected) in [
            ("*a* _b_ ~c~ `d`", "<bold:a> <italic:b> <strike:c> <code:d>"),
            ("*a _b ~c~_*", "<bold:a ><bold italic:b ><bold italic strike:c>"),
            ("*a `*b*`*", "<bold:a ><bold code:*b*>"),
            ("2*3*4 5 * 3 * 2 a_b_c **", "2*3*4 5 * 3 * 2 a_b_c **"),
            ("*a\nb*", "*a\nb*"),
            ("`` ` ` ``` ```", "`` ` ` ``` ```"),
            ("see ```x *y*``` `z`", "see <code:x *y*> <code:z>"),
            ("a:\n```\nx *y*\n  z\n```\nb", "a:\n[code fence:x *y*\n  z]\nb"),
            ("```\n- a\n``` - b\n- c", "[code fence:- a] - b\n[bullet:• c]"),
            (
                "- *a*\n* b\n10. c\n1.d\n> e _f_",
                "[bullet:• <bold:a>]\n[bullet:• b]\n[numbered:10. c]\n1.d\n[quoted:e <italic:f>]",
            ),
            ("- \n> \n-a >b", "- \n> \n-a >b"),
            ("2026. a", "2026. a"),
            ("*https://a.example/_x_/y.* _z_", "<bold:https://a.example/_x_/y.> <italic:z>"),
            ("```\nno end *a*", "```\nno end <bold:a>"),
            ("这 *重点*，_مرحبا_!", "这 <bold:重点>，<italic:مرحبا>!"),
            ("", ""),
        ] {
            assert_eq!(read(text), expected, "{text:?}");
        }
    }

    #[test]
    fn no_text_is_lost_but_signs_and_none_is_too_deep() {
        for piece in ["*a ", "*_~", "`", "``` ", "`a` ", "> ", "- ", "a://", "*a* _b_", "~*_a", "```\na", "*a://b*"] {
            let text = piece.repeat(20_000);
            let said = |text: &str| text.chars().filter(char::is_ascii_alphabetic).count();
            let shown: usize = shown(&text).iter().flat_map(|line| &line.runs).map(|run| said(run.words)).sum();
            assert_eq!(shown, said(&text), "{piece:?}");
        }
    }
}
