//! How many tokens words are, by the vocabulary of OpenAI's newer models (o200k). Other models' differ by a little, and
//! whoever counts money leaves room for that.
//!
//! The vocabulary is compiled in: nothing is fetched.

use tiktoken_rs::o200k_base_singleton;

/// What a message costs besides its words.
pub(super) const OF_FRAME: u64 = 4;

/// So many bytes are looked at together. What is longer is counted in pieces, each cut costing a token at the most: a
/// customer may send a word of a hundred thousand letters, and the time that takes must not grow faster than the word.
const PIECE: usize = 4096;

/// How many tokens a text is, or a few more.
pub(super) fn of(text: &str) -> u64 {
    let vocabulary = o200k_base_singleton();
    let (mut rest, mut count) = (text, 0);
    while !rest.is_empty() {
        let (piece, others) = rest.split_at(rest.floor_char_boundary(PIECE));
        count += vocabulary.count_ordinary(piece) as u64;
        rest = others;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_what_openai_counts() {
        // As its own tokenizer page shows them.
        for (text, tokens) in [("", 0), ("hello world", 2), ("Größe", 2), ("👍🏽", 3), ("{\"order\": 17}", 6)] {
            assert_eq!(of(text), tokens, "{text}");
        }
    }

    #[test]
    fn a_text_without_end_is_counted_in_time_that_grows_with_it() {
        for text in [" ", "a", "\n", "👍", "Ab1-"] {
            let text = text.repeat(100_000);
            assert!(of(&text) > 0);
        }
    }
}
