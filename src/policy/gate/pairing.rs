//! Codes by which somebody is let in to a private bot: made by its operator, handed over by another way, and sent to
//! the bot by the person themselves.
//!
//! It goes in this direction so that nobody who has not been invited is answered at all: a bot that shows strangers a
//! code tells every one of them that it is there, and pays for it.
//!
//! A code is 50 random bits. What is kept of it is a digest; it is good for once, for a day if nothing else is said,
//! and ten of a bot's are open at the most. Of one person five are looked at in an hour, of all who try 1,000: in a
//! year that is one guess in a hundred thousand that hits, with ten codes open all the time.

use sha2::{Digest, Sha256};

use crate::message::BotName;

/// Signs that nobody takes for another: no I and no O, no 0 and no 1. Five bits each.
const SIGNS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/// So many signs has a code.
const LENGTH: usize = 10;

/// So many codes are looked at in an hour that one person sends.
pub const MOST_BY_ONE: u64 = 5;

/// So many codes are looked at in an hour, whoever sends them to a bot.
pub const MOST_BY_ALL: u64 = 1000;

/// A new code, as it is handed over. Nobody can guess it.
///
/// # Panics
/// When the system has no randomness to give.
pub fn code() -> String {
    let mut bytes = [0; LENGTH];
    getrandom::fill(&mut bytes).expect("the system's randomness");
    let mut code: String = bytes.iter().map(|byte| char::from(SIGNS[usize::from(byte % 32)])).collect();
    code.insert(LENGTH / 2, '-');
    code
}

/// What stands for a code of a bot's in the store; none if these words are no code at all. Small letters, blanks and
/// dashes do not matter.
pub fn digest(bot: &BotName, words: &str) -> Option<[u8; 32]> {
    let mut signs = Vec::with_capacity(LENGTH);
    for c in words.chars().filter(|c| !c.is_whitespace() && *c != '-') {
        let sign = u8::try_from(c.to_ascii_uppercase()).ok().filter(|sign| SIGNS.contains(sign))?;
        if signs.len() == LENGTH {
            return None;
        }
        signs.push(sign);
    }
    let length = (bot.as_str().len() as u64).to_be_bytes();
    let digest = Sha256::new().chain_update(length).chain_update(bot.as_str()).chain_update(&signs).finalize();
    (signs.len() == LENGTH).then(|| digest.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_itself_however_somebody_types_it_and_no_other_bot_s() {
        let (shop, bank) = (BotName::new("shop"), BotName::new("bank"));
        let code = code();
        let known = digest(&shop, &code);
        assert!(known.is_some() && digest(&bank, &code) != known);
        for typed in [code.to_lowercase(), code.replace('-', ""), format!(" {} ", code.replace('-', " - "))] {
            assert_eq!(digest(&shop, &typed), known, "{typed}");
        }
        for other in ["", "hello", "K7QM2-XPD9", "K7QM2-XPD9RR", "K7QM2-XPD90", "K7QM2-XPD9R!", "ЖЖЖЖЖ-ЖЖЖЖЖ"]
        {
            assert_eq!(digest(&shop, other), None, "{other}");
        }
    }

    #[test]
    fn no_two_codes_are_the_same() {
        let codes: std::collections::BTreeSet<_> = (0..1000).map(|_| code()).collect();
        assert_eq!(codes.len(), 1000);
    }
}
