//! How many tokens words are, by the vocabulary of OpenAI's newer models (o200k). Other models' differ by a little, and
//! whoever counts money leaves room for that.
//!
//! The vocabulary is compiled in: nothing is fetched. It takes a third of a second and some 40 MB once it is used, and
//! a text takes about as long as storing it does: so nothing is counted that need not be, and what was said is counted
//! once.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

use tiktoken_rs::o200k_base_singleton;

/// What a message costs besides its words.
pub(super) const OF_FRAME: u64 = 4;

/// So many counts are remembered, twice at the most: a megabyte.
const REMEMBERED: usize = 1 << 14;

/// So many bytes are looked at together. What is longer is counted in pieces, each cut costing a token at the most: a
/// customer may send a word of a hundred thousand letters, and the time that takes must not grow faster than the word.
const PIECE: usize = 4096;

/// Counts tokens, and remembers how many a text was.
#[derive(Default)]
pub(super) struct Tokens {
    /// Its own keys: nobody can have two texts taken for one another.
    hasher: RandomState,
    counted: Mutex<Counted>,
}

/// What was counted, by the texts' hashes; when there is too much of it, what is older goes.
#[derive(Default)]
struct Counted {
    newer: HashMap<u64, u32>,
    older: HashMap<u64, u32>,
}

impl Tokens {
    /// How many tokens a text is, or a few more.
    pub(super) fn of(&self, text: &str) -> u64 {
        let hash = self.hasher.hash_one(text);
        if let Some(count) = self.lock(|counted| counted.find(hash)) {
            return count.into();
        }
        let count = count(text);
        self.lock(|counted| counted.keep(hash, u32::try_from(count).unwrap_or(u32::MAX)));
        count
    }

    fn lock<T>(&self, then: impl FnOnce(&mut Counted) -> T) -> T {
        then(&mut self.counted.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Counted {
    fn find(&mut self, hash: u64) -> Option<u32> {
        if let Some(count) = self.newer.get(&hash) {
            return Some(*count);
        }
        let count = self.older.remove(&hash)?;
        self.keep(hash, count);
        Some(count)
    }

    fn keep(&mut self, hash: u64, count: u32) {
        if self.newer.len() >= REMEMBERED {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(hash, count);
    }
}

/// As many tokens as a text can be at the most: each is a byte or more.
pub(super) fn at_most(text: &str) -> u64 {
    text.len() as u64
}

fn count(text: &str) -> u64 {
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
            assert_eq!(count(text), tokens, "{text}");
            assert!(tokens <= at_most(text), "{text}");
        }
    }

    #[test]
    fn a_text_without_end_is_counted_in_time_that_grows_with_it() {
        for text in [" ", "a", "\n", "👍", "Ab1-"] {
            let text = text.repeat(100_000);
            assert!(count(&text) > 0);
        }
    }

    #[test]
    fn what_was_counted_is_remembered_until_much_else_was() {
        let tokens = Tokens::default();
        assert_eq!((tokens.of("hello world"), tokens.of("Größe"), tokens.of("hello world")), (2, 2, 2));
        let hash = tokens.hasher.hash_one("hello world");
        let mut counted = tokens.counted.lock().expect("nobody panics in here");
        let flood = |counted: &mut Counted, range: std::ops::Range<usize>| {
            range.for_each(|n| counted.keep(hash.wrapping_add(n as u64), 7));
        };
        flood(&mut counted, 1..REMEMBERED + 1);
        assert_eq!(counted.find(hash), Some(2), "it was asked for while it was the older");
        flood(&mut counted, REMEMBERED + 1..3 * REMEMBERED + 2);
        assert_eq!(counted.find(hash), None);
        assert!(counted.newer.len() + counted.older.len() <= 2 * REMEMBERED);
    }
}
