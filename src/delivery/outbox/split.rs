//! Cuts a text that is too long for one message: at a paragraph, else at a sentence, else at a word.

use std::borrow::Cow;
use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use crate::message::marks::{Cut, Marked, plain};

/// Below this many characters there is no room for marks.
const NARROW: usize = 16;

/// So often a cut is sought in front of one where a sign of the text's would stand beside the same sign of a mark.
const RETRIES: usize = 8;

/// Cuts `text` into pieces of at most `limit` characters. Nothing but white space at the cuts is lost, and what a
/// person sees as one character is never cut. Marks and quotes that are cut are closed, and opened again in the next
/// piece.
pub(super) fn split(text: &str, limit: usize) -> Vec<String> {
    let text = with_room(text, limit);
    let marked = Marked::read(&text);
    let mut pieces = Pieces::of(&text, &marked);
    std::iter::from_fn(|| pieces.next(limit)).collect()
}

/// The beginning of `text`, as much as a first piece of `first` characters holds, and the rest in pieces of `limit`.
pub(super) fn split_first(text: &str, first: usize, limit: usize) -> (String, Vec<String>) {
    let text = with_room(text, if first > 0 { first.min(limit) } else { limit });
    let marked = Marked::read(&text);
    let mut pieces = Pieces::of(&text, &marked);
    let beginning = if first > 0 { pieces.next(first) } else { None };
    (beginning.unwrap_or_default(), std::iter::from_fn(|| pieces.next(limit)).collect())
}

/// The end of `text`, as much as its last piece of `last` characters holds, and what goes ahead of it in pieces of
/// `limit`.
pub(super) fn split_last(text: &str, last: usize, limit: usize) -> Option<(Vec<String>, String)> {
    let text = with_room(text, last.min(limit));
    let marked = Marked::read(&text);
    let mut pieces = Pieces::of(&text, &marked);
    let (mut before, mut end) = (String::new(), pieces.next(last)?);
    loop {
        let closing = pieces.cut.closing.clone();
        let ahead = text[..pieces.cut.end].trim_end();
        let Some(next) = pieces.next(last) else { return Some((split(&before, limit), end)) };
        before = format!("{ahead}{closing}");
        end = next;
    }
}

fn with_room(text: &str, limit: usize) -> Cow<'_, str> {
    let text = text.trim();
    if limit < NARROW && is_longer(text, limit) { plain(text) } else { Cow::Borrowed(text) }
}

fn is_longer(text: &str, limit: usize) -> bool {
    text.chars().nth(limit).is_some()
}

/// A text that is cut from its beginning on.
struct Pieces<'t> {
    text: &'t str,
    marked: &'t Marked<'t>,
    /// Where the signs of its marks stand.
    signs: Vec<Range<usize>>,
    /// Where the last piece ended, and the next one begins.
    cut: Cut,
}

impl<'t> Pieces<'t> {
    fn of(text: &'t str, marked: &'t Marked<'t>) -> Self {
        let begin = text.len() - text.trim_start().len();
        Self { text, marked, signs: marked.signs(), cut: Cut { begin, ..Cut::default() } }
    }

    fn next(&mut self, limit: usize) -> Option<String> {
        let from = self.cut.begin;
        let rest = &self.text[from..];
        if rest.trim().is_empty() {
            return None;
        }
        let opening = self.cut.opening.clone();
        let room = limit.saturating_sub(opening.chars().count());
        let rest = rest.trim_end();
        let mut fits = room;
        let (mut retries, mut again, mut latest) = (0, 0, None);
        loop {
            let Some((end, _)) = rest.char_indices().nth(fits) else {
                self.cut = Cut { end: self.text.len(), begin: self.text.len(), ..Cut::default() };
                return Some(format!("{opening}{rest}"));
            };
            let at = from + cut(rest, end);
            let found = self.marked.cut(from, at, self.cut.quoted);
            // A piece that would hold only signs that open something shows those signs: the next one opens it instead.
            let (begin, begun) = self.marked.first_words(from);
            if begin > from && found.end <= begin {
                let opening = format!("{opening}{begun}");
                self.cut = Cut { end: from, begin, opening, closing: String::new(), quoted: self.cut.quoted };
                return self.next(limit);
            }
            let piece = self.text[from..found.end].trim_end();
            let taken = piece.chars().count() + found.closing.chars().count();
            if taken > room && fits > 1 {
                fits = fits.saturating_sub(taken - room).max(1);
            } else if self.is_read_otherwise(piece, &found) && retries < RETRIES && fits > 1 {
                (fits, retries) = (piece.chars().count().saturating_sub(1).max(1), retries + 1);
            } else {
                let whole = format!("{opening}{piece}{}", found.closing);
                let is_right = is_ink_of(&plain(&whole), self.shown(from..from + piece.len()));
                if is_right || again == RETRIES || fits <= 1 {
                    // Where no cut shows what stood there, the latest is as good as any.
                    let (whole, found) = latest.filter(|_| !is_right).unwrap_or((whole, found));
                    self.cut = found;
                    return Some(whole);
                }
                (fits, retries, again) = (piece.chars().count().saturating_sub(1).max(1), 0, again + 1);
                latest.get_or_insert((whole, found));
            }
        }
    }

    /// Whether a sign at the cut would make another sign of the one that is written there.
    fn is_read_otherwise(&self, piece: &str, cut: &Cut) -> bool {
        let doubled = |sign: Option<char>, c: Option<char>| sign == c && c.is_some_and(|c| "*_~`".contains(c));
        doubled(cut.closing.chars().next(), piece.chars().next_back())
            || doubled(cut.opening.chars().next_back(), self.text[cut.begin..].chars().next())
    }

    /// The characters of a part of the text that are no signs.
    fn shown(&self, range: Range<usize>) -> impl Iterator<Item = char> {
        let first = self.signs.partition_point(|sign| sign.end <= range.start);
        let mut signs = self.signs[first..].iter().peekable();
        self.text[range.clone()].char_indices().filter_map(move |(at, c)| {
            let at = range.start + at;
            while signs.peek().is_some_and(|sign| sign.end <= at) {
                signs.next();
            }
            (!signs.peek().is_some_and(|sign| sign.contains(&at))).then_some(c)
        })
    }
}

/// Whether `text` shows these characters, blanks and the signs of quotes apart.
fn is_ink_of(text: &str, shown: impl Iterator<Item = char>) -> bool {
    let is_ink = |c: &char| !c.is_whitespace() && *c != '>';
    text.chars().filter(is_ink).eq(shown.filter(is_ink))
}

/// So many characters of a piece at the most are marks that are opened again and closed.
const MARKS: usize = 12;

/// How many pieces a text of so many characters may become. A piece holds more than a third of what fits, unless the
/// text has words without end.
pub(crate) fn most_pieces(characters: usize, limit: usize) -> usize {
    let least = limit.saturating_sub(MARKS) / 3;
    if characters <= limit { 1 } else { characters.div_ceil(least.max(1)) }
}

/// The best place to cut `text` at or before byte `end`.
fn cut(text: &str, end: usize) -> usize {
    let window = &text[..end];
    // A cut in the first third would leave a stump: the next coarser kind of cut is the lesser evil then.
    let early = end / 3;
    let late_enough = |at: &usize| *at > early;
    window
        .rfind("\n\n")
        .filter(late_enough)
        .or_else(|| window.rfind('\n').filter(late_enough))
        .or_else(|| last_sentence_end(window).filter(late_enough))
        // A blank right behind the window makes the whole window a cut between words.
        .or_else(|| text[end..].starts_with(char::is_whitespace).then_some(end))
        .or_else(|| window.rfind(char::is_whitespace).filter(|at| *at > 0))
        .unwrap_or_else(|| last_grapheme_boundary(text, end))
}

/// Where the last whole sentence of `window` ends.
fn last_sentence_end(window: &str) -> Option<usize> {
    let mut characters = window.char_indices().rev().peekable();
    while let Some((at, character)) = characters.next() {
        if matches!(character, '。' | '！' | '？') {
            return Some(at + character.len_utf8());
        }
        let after_stop = characters.peek().is_some_and(|(_, before)| matches!(before, '.' | '!' | '?' | '…'));
        if character.is_whitespace() && after_stop {
            return Some(at);
        }
    }
    None
}

fn last_grapheme_boundary(text: &str, end: usize) -> usize {
    let boundaries = text.grapheme_indices(true).map(|(at, _)| at);
    // One "character" that is longer than a whole message can only be cut where it stands.
    boundaries.take_while(|at| *at <= end).last().filter(|at| *at > 0).unwrap_or(end)
}

#[cfg(test)]
mod documents;

#[cfg(test)]
mod tests {
    use super::{most_pieces, split, split_first, split_last};
    use std::ops::Range;

    use crate::message::marks::{Mark, Marked, Span, plain};

    #[test]
    fn what_is_cut_is_closed_and_opened_again() {
        assert_eq!(split("*one two three four five*", 18), ["*one two three*", "*four five*"]);
        assert_eq!(
            split("one two *three _four five six_* seven", 26),
            ["one two *three _four_*", "*_five six_* seven"]
        );
        assert_eq!(split("> one two three four five", 16), ["> one two three", "> four five"]);
        let code = "Here:\n```\nif a:\n    b()\n    c()\n    d()\n```\nDone.";
        assert_eq!(split(code, 30), ["Here:\n```\nif a:\n    b()\n```", "```\n    c()\n    d()\n```\nDone."]);
        assert_eq!(split("0123456789 *a b c d e f*", 16), ["0123456789 *a b*", "*c d e f*"]);
        assert_eq!(split("*0123456789*", 8), ["01234567", "89"], "there is no room for marks");
    }

    #[test]
    fn what_opens_with_blanks_does_not_become_an_empty_piece() {
        let lines = "\n \n".repeat(12);
        for (text, expected) in [
            (format!("a\n```{lines}  let a = 1;\n```"), vec!["a", "```\n  let a = 1;\n```"]),
            (format!("```{}one two three four five```", " ".repeat(60)), vec!["```one two three four five```"]),
            (format!("*_`{}one two`_*", " ".repeat(40)), vec!["*_`one two`_*"]),
        ] {
            assert_eq!(split(&text, 40), expected, "{text:?}");
        }
    }

    #[test]
    fn a_first_and_a_last_piece_have_room_of_their_own() {
        let (first, rest) = split_first("*one two three four five*", 16, 40);
        assert_eq!((&*first, &*rest), ("*one two three*", &["*four five*".to_owned()][..]));
        assert_eq!(split_first("*one*", 0, 40), (String::new(), vec!["*one*".into()]));
        let (before, last) = split_last("*one two three four five six*", 16, 40).expect("an end");
        assert_eq!((&*before, &*last), (&["*one two three*".to_owned()][..], "*four five six*"));
        assert!(split_last(" ", 20, 40).is_none());
    }

    #[test]
    fn a_text_that_fits_stays_whole() {
        assert_eq!(split("  hello  ", 5), ["hello"]);
        assert!(split("   ", 5).is_empty());
    }

    #[test]
    fn no_text_becomes_more_pieces_than_are_counted_for_it() {
        // Each cut is as early as one may be.
        let text = format!("{}\n\n{}", "a".repeat(34), "b".repeat(64)).repeat(20);
        let characters = text.chars().count();
        assert!((characters / 100 + 1..=most_pieces(characters, 100)).contains(&split(&text, 100).len()));
        assert_eq!(most_pieces(4096, 4096), 1);
    }

    #[test]
    fn a_paragraph_is_the_first_choice() {
        assert_eq!(split("One. Two.\n\nThree. Four.", 15), ["One. Two.", "Three. Four."]);
    }

    #[test]
    fn a_sentence_is_the_second_choice() {
        assert_eq!(split("One two. Three four five.", 20), ["One two.", "Three four five."]);
        assert_eq!(split("一二三四。五六七八", 7), ["一二三四。", "五六七八"]);
    }

    #[test]
    fn a_word_is_the_third_choice() {
        assert_eq!(split("one two three", 9), ["one two", "three"]);
        assert_eq!(split("one two three", 7), ["one two", "three"]);
    }

    #[test]
    fn a_word_without_end_is_cut_between_graphemes() {
        assert_eq!(split("abcdefgh", 3), ["abc", "def", "gh"]);
        let family = "👨‍👩‍👧‍👦";
        assert_eq!(split(&family.repeat(2), 8), [family, family]);
        assert_eq!(split(family, 3).concat(), family);
    }

    proptest::proptest! {
        #[test]
        fn no_piece_is_too_long_and_no_character_is_lost(text in "[a-z .!\n👨‍é]{0,300}", limit in 1usize..40) {
            let pieces = split(&text, limit);
            for piece in &pieces {
                proptest::prop_assert!(!piece.is_empty() && piece.chars().count() <= limit, "{:?}", pieces);
            }
            let ink = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            proptest::prop_assert_eq!(ink(&pieces.concat()), ink(&text));
        }

        /// Each piece shows the words as the whole does: none is cut in two that is shorter than a piece.
        #[test]
        fn whatever_is_cut_shows_what_it_showed(
            words in proptest::collection::vec(
                "[*_~`]{0,2}[a-zé]{1,6}[*_~`]{0,2}|```|\n```\n|\n> |\n\n|https://[a-z]\\.example/_[a-z]_|\n    [a-z]|[*_~]",
                0..60,
            ),
            limit in 40usize..90,
        ) {
            let text = words.join(" ");
            let pieces = split(&text, limit);
            let ink = |text: &str| text.chars().filter(|c| !c.is_whitespace() && *c != '>').collect::<String>();
            for piece in &pieces {
                proptest::prop_assert!(piece.chars().count() <= limit);
                proptest::prop_assert!(!piece.is_empty());
            }
            let shown: String = pieces.iter().map(|piece| ink(&plain(piece))).collect();
            proptest::prop_assert_eq!(shown, ink(&plain(text.trim())), "{:?}", pieces);
            let styled = |text: &str| styled(text).into_iter().filter(|(c, _)| !c.is_whitespace() && *c != '>');
            let pieces_styled: Vec<_> = pieces.iter().flat_map(|piece| styled(piece)).collect();
            let whole: Vec<_> = styled(text.trim()).collect();
            proptest::prop_assert_eq!(pieces_styled, whole, "{:?}", pieces);
        }
    }

    /// The characters of a text, each with the marks that it stands in.
    fn styled(text: &str) -> Vec<(char, Vec<Mark>)> {
        fn write(
            text: &str,
            spans: &[Span],
            range: Range<usize>,
            open: &mut Vec<Mark>,
            out: &mut Vec<(char, Vec<Mark>)>,
        ) {
            let mut at = range.start;
            for span in spans {
                out.extend(text[at..span.whole.start].chars().map(|c| (c, open.clone())));
                open.push(span.mark);
                write(text, &span.within, span.inner.clone(), open, out);
                open.pop();
                at = span.whole.end;
            }
            out.extend(text[at..range.end].chars().map(|c| (c, open.clone())));
        }
        let mut out = Vec::new();
        write(text, Marked::read(text).spans(), 0..text.len(), &mut Vec::new(), &mut out);
        out
    }
}
