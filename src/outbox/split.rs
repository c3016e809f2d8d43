//! Cuts a text that is too long for one message: at a paragraph, else at a sentence, else at a word.

use unicode_segmentation::UnicodeSegmentation;

/// Cuts `text` into pieces of at most `limit` characters. Nothing but white space at the cuts is lost, and what a
/// person sees as one character is never cut.
pub(super) fn split(text: &str, limit: usize) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut rest = text.trim();
    while let Some((end, _)) = rest.char_indices().nth(limit) {
        let (piece, after) = rest.split_at(cut(rest, end));
        pieces.push(piece.trim_end().to_owned());
        rest = after.trim_start();
    }
    if !rest.is_empty() {
        pieces.push(rest.to_owned());
    }
    pieces
}

/// How many pieces a text of so many characters may become. A piece holds more than a third of what fits, unless the
/// text has words without end.
pub(crate) fn most_pieces(characters: usize, limit: usize) -> usize {
    if characters <= limit { 1 } else { characters.div_ceil((limit / 3).max(1)) }
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
mod tests {
    use super::{most_pieces, split};

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
                proptest::prop_assert!(!piece.is_empty() && piece.chars().count() <= limit);
            }
            let ink = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            proptest::prop_assert_eq!(ink(&pieces.concat()), ink(&text));
        }
    }
}
