//! Whole documents, from a model's Markdown to the pieces on a phone. The phone here reads marks by rules of its own:
//! it shares no code with what writes and cuts them.

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::split;
use crate::message::Format;

/// How one character is shown.
type CharStyle = Vec<char>;

/// What a phone shows of one message: its characters, each with the signs of the marks that it stands in.
fn shown(message: &str) -> Vec<(char, CharStyle)> {
    let (mut out, mut rest) = (Vec::new(), message);
    while let Some((before, behind)) = rest.split_once("```") {
        // Of four backticks the last three do not open anything anew.
        let opening = behind.len() - behind.trim_start_matches('`').len();
        let (ticks, behind) = behind.split_at(opening);
        let Some((code, after)) = behind.split_once("```").filter(|(code, _)| !code.trim().is_empty()) else { break };
        before.split_inclusive('\n').for_each(|line| show_line(line, &mut out));
        assert!(ticks.is_empty() && !after.starts_with('`'), "no document here has more than three backticks in a row");
        out.extend(code.chars().map(|c| (c, vec!['#'])));
        rest = after;
    }
    rest.split_inclusive('\n').for_each(|line| show_line(line, &mut out));
    out
}

fn show_line(line: &str, out: &mut Vec<(char, CharStyle)>) {
    let line: Vec<char> = line.chars().collect();
    // Which characters are code or an address, in which no sign is a mark.
    let mut closed = vec![false; line.len()];
    let mut styles: Vec<Option<CharStyle>> = vec![Some(Vec::new()); line.len()];
    let ticks: Vec<usize> = (0..line.len()).filter(|at| line[*at] == '`').collect();
    for pair in ticks.chunks_exact(2) {
        let [open, close] = *pair else { continue };
        styles[open..=close].iter_mut().for_each(|style| *style = Some(vec!['`']));
        (styles[open], styles[close]) = (None, None);
        closed[open..=close].fill(true);
    }
    let text: String = line.iter().collect();
    for (at, _) in text.match_indices("https://") {
        let at = text[..at].chars().count();
        let mut end = at + line[at..].iter().take_while(|c| !c.is_whitespace() && **c != '`').count();
        // A sign at the end of an address may end a mark around it.
        while "*_~.,;:!?)]".contains(line[end - 1]) {
            end -= 1;
        }
        closed[at..end].fill(true);
    }
    show_marks(&line, 0, line.len(), &closed, &mut styles, "");
    out.extend(line.into_iter().zip(styles).filter_map(|(c, style)| Some((c, style?))));
}

fn show_marks(line: &[char], from: usize, to: usize, closed: &[bool], styles: &mut [Option<CharStyle>], within: &str) {
    let is_word = |at: Option<usize>| at.and_then(|at| line.get(at)).is_some_and(|c| c.is_alphanumeric());
    let mut at = from;
    while at < to {
        let sign = line[at];
        let opens = "*_~".contains(sign)
            && !closed[at]
            && !within.contains(sign)
            && !is_word(at.checked_sub(1))
            && line.get(at + 1).is_some_and(|next| !next.is_whitespace() && *next != sign);
        let closes = |end: &usize| {
            let before = line[*end - 1];
            line[*end] == sign && !closed[*end] && !before.is_whitespace() && before != sign && !is_word(Some(*end + 1))
        };
        let Some(end) = opens.then(|| (at + 2..to).find(closes)).flatten() else {
            at += 1;
            continue;
        };
        for style in styles[at + 1..end].iter_mut().flatten() {
            style.push(sign);
        }
        (styles[at], styles[end]) = (None, None);
        show_marks(line, at + 1, end, closed, styles, &format!("{within}{sign}"));
        at = end + 1;
    }
}

/// What is compared: blanks may stand at cuts, quotes are opened again, and marks in another order look the same.
fn ink(message: &str) -> Vec<(char, CharStyle)> {
    let visible = |(c, _): &(char, CharStyle)| !c.is_whitespace() && *c != '>';
    let sorted = |(c, mut style): (char, CharStyle)| {
        style.sort_unstable();
        (c, style)
    };
    shown(message).into_iter().filter(visible).map(sorted).collect()
}

/// The words of a text that begin with this letter and go on with a number.
fn numbered(text: &str, letter: char) -> Vec<usize> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    words.filter_map(|word| word.strip_prefix(letter)?.parse().ok()).collect()
}

/// A document that is being written: `w1`, `w2` … are its words in order, `t1` … those in tables, `a1` … its addresses,
/// and `c1` … the lines of its code.
#[derive(Default)]
struct Document {
    words: usize,
    in_tables: usize,
    addresses: usize,
    /// The addresses, one behind the other.
    links: String,
    code: Vec<String>,
}

impl Document {
    fn word(&mut self) -> String {
        self.words += 1;
        format!("w{}", self.words)
    }

    fn address(&mut self, end: &str) -> String {
        self.addresses += 1;
        let address = format!("https://shop.example/a{}_b_{end}", self.addresses);
        self.links.push_str(&address);
        address
    }

    fn phrase(&mut self, kind: u8) -> String {
        let word = self.word();
        match kind {
            0 => format!("**{word}**"),
            1 => format!("*{word}*"),
            2 => format!("__{word} {}__", self.word()),
            3 => format!("~~{word}~~"),
            4 => format!("***{word}***"),
            5 => format!("`{word}`"),
            6 => format!("[{word}]({})", self.address("?q=1&r=*x*")),
            7 => format!("![{word}]({})", self.address("?q=1&r=*x*")),
            8 => format!("**{word} *{}* {}**", self.word(), self.word()),
            9 => format!("<b>{word}</b> <i>{}</i>", self.word()),
            10 => format!("(**{word}**), \"*{}*\"!", self.word()),
            11 => format!("**{word}  \n{}**", self.word()),
            12 => format!("~~**{word}** {}~~", self.word()),
            13 => format!("{word}&amp;{}", self.word()),
            14 => format!("这是{word}。مرحبا"),
            // Links in all their forms, with addresses that hold brackets and signs.
            15 => match self.words % 5 {
                0 => format!("[**{word}**](<{}> \"a title\")", self.address("(c)*d")),
                1 => format!("**[{word}]({})**", self.address("(c*)e")),
                2 => format!("{word} <{}>", self.address("?r=*x")),
                3 => format!("{word} {} now", self.address("?r=*x*y")),
                _ => format!("<a href=\"{}\">{word}</a>", self.address("?r=~x")),
            },
            16 => format!("Привет {word}, สวัสดี **{}**, שלום 👨‍👩‍👧 é", self.word()),
            17 => format!("<del>{word}</del> <strong>{}</strong><br>{}", self.word(), self.word()),
            18 => format!("{word}\\\n{}", self.word()),
            19 => format!("\\# {word} \\[{}\\] \\> 3 &lt; 4", self.word()),
            _ => word,
        }
    }

    fn line(&mut self, kinds: &[u8]) -> String {
        kinds.iter().map(|kind| self.phrase(*kind)).collect::<Vec<_>>().join(" ")
    }

    fn cell(&mut self) -> String {
        self.in_tables += 1;
        format!("t{}", self.in_tables)
    }

    fn block(&mut self, kind: u8, kinds: &[u8]) -> String {
        // What breaks a line ends a heading and a row.
        let plain: Vec<u8> = kinds.iter().copied().filter(|kind| ![11, 17, 18].contains(kind)).collect();
        match kind {
            0 => format!("# {}", self.line(&plain)),
            1 => format!("- {}\n- {}\n  - {}", self.line(&plain), self.line(kinds), self.word()),
            2 => format!("1. {}\n2. {}\n   1. {}", self.line(&plain), self.word(), self.line(&plain)),
            3 => format!("> {}\n> {}\n>\n> > {}", self.line(&plain), self.line(&plain), self.word()),
            4 | 9 | 10 => {
                let lines: Vec<String> = (0..kinds.len())
                    .map(|depth| format!("{}let c{} = *a_b*; // ~x~", "  ".repeat(depth), self.code.len() + depth))
                    .collect();
                self.code.extend_from_slice(&lines);
                let fence = ["```", "````", "~~~", "~~~~~"][kinds.len() % 4];
                let block = format!("{fence}rust\n{}\n{fence}", lines.join("\n"));
                if kind == 9 { format!("- {}\n\n  {}", self.word(), block.replace('\n', "\n  ")) } else { block }
            }
            11 => format!("<div>\n<b>{}</b> {}\n</div>", self.word(), self.word()),
            12 => format!("<!-- hidden -->\n\n<ul><li>{}</li>\n<li><i>{}</i></li></ul>", self.word(), self.word()),
            13 => format!("> - {}\n>   - {}\n>\n> 1. {}", self.line(&plain), self.word(), self.line(&plain)),
            14 => format!("***\n{}\n___", self.line(&plain)),
            5 => {
                let mut row = || format!("| {} | **{}** | {} |", self.cell(), self.cell(), self.cell());
                format!("{}\n|---|:-:|--:|\n{}\n{}", row(), row(), row())
            }
            6 => format!("- [ ] {}\n- [x] {}", self.line(&plain), self.line(&plain)),
            7 => format!("{}\n\n---\n\n{}", self.line(&plain), self.word()),
            8 => format!("{}\n===", self.line(&plain)),
            _ => self.line(kinds),
        }
    }
}

fn check(blocks: &[(u8, Vec<u8>)], limit: usize) -> Result<(), TestCaseError> {
    let mut document = Document::default();
    let blocks: Vec<String> = blocks.iter().map(|(kind, kinds)| document.block(*kind, kinds)).collect();
    // One thing in it is surely Markdown.
    let text = format!("**{}**\n\n{}", document.word(), blocks.join("\n\n"));
    let first = document.words;
    for shows_marks in [true, false] {
        let whole = Format::Markdown.written(&text, shows_marks);
        let pieces = split(&whole, limit);
        for piece in &pieces {
            prop_assert!(!piece.trim().is_empty() && piece.chars().count() <= limit, "{:?}", pieces);
        }
        let cut: Vec<_> = pieces.iter().flat_map(|piece| ink(piece)).collect();
        prop_assert_eq!(&cut, &ink(whole.trim()), "of {:?}, which is written {:?}: {:?}", text, whole, pieces);
        let joined = pieces.join("\n");
        let words = numbered(&joined, 'w');
        prop_assert_eq!(words[0], first);
        prop_assert_eq!(&words[1..], (1..first).collect::<Vec<_>>(), "of {:?}: {:?}", text, pieces);
        prop_assert_eq!(numbered(&whole, 'a'), (1..=document.addresses).collect::<Vec<_>>(), "{:?}", whole);
        let cells = numbered(&joined, 't');
        prop_assert!((1..=document.in_tables).all(|cell| cells.contains(&cell)), "of {:?}: {:?}", text, pieces);
        for line in &document.code {
            let is_there = pieces.iter().any(|piece| piece.lines().any(|shown| shown == line));
            prop_assert!(is_there, "{:?} is not whole in {:?}", line, pieces);
        }
        if shows_marks {
            // What is left of signs stands in addresses and in code.
            let signs: String = cut.iter().filter(|(_, style)| !style.contains(&'#')).map(|(c, _)| *c).collect();
            for sign in ['*', '_', '~', '`'] {
                let left = signs.matches(sign).count();
                prop_assert_eq!(left, document.links.matches(sign).count(), "{} in {:?}", sign, pieces);
            }
        } else {
            let without_code = pieces.iter().flat_map(|piece| piece.lines()).filter(|line| !line.contains("let c"));
            let signs = without_code.flat_map(str::split_whitespace).filter(|word| !word.contains("https://"));
            let left = signs.filter(|word| word.contains(['*', '~', '`', '_'])).collect::<Vec<_>>();
            prop_assert!(left.is_empty(), "{:?} in {:?}", left, pieces);
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_document_in_pieces_shows_what_it_shows_whole(
        blocks in prop::collection::vec((0..17_u8, prop::collection::vec(0..22_u8, 1..6)), 1..8),
        limit in 70..300_usize,
    ) {
        check(&blocks, limit)?;
    }
}

#[test]
fn this_phone_reads_marks_as_they_are_documented() {
    let read = |message: &str| {
        let mut read = String::new();
        for (c, style) in shown(message) {
            read.extend(style);
            read.push(c);
        }
        read
    };
    for (message, expected) in [
        ("*ab* c", "*a*b c"),
        ("_*a*_ ~b~", "_*a ~b"),
        ("`*a*`", "`*`a`*"),
        ("```\n*a*```", "#\n#*#a#*"),
        ("2*3*4 a * b * snake_case_", "2*3*4 a * b * snake_case_"),
        ("*a\nb*", "*a\nb*"),
        ("**a**", "**a*"),
        ("*a.b/_c_*", "*a*.*b*/*_c"),
        ("https://a.b/_c_/d _e_", "https://a.b/_c_/d _e"),
    ] {
        assert_eq!(read(message), expected, "{message:?}");
    }
}
