//! Words as they are compared: however somebody writes them who is in a hurry, has no accents on their keyboard, or has
//! a phone that writes them in another form.

use icu_casemap::CaseMapper;
use icu_normalizer::DecomposingNormalizer;

/// The letters and digits of some words in one form: without capitals, marks, spaces and signs. `Désabonner!`,
/// `DESABONNER` and `desabonner` are the same, and so are `opt-out`, `opt out` and `OptOut`.
pub(super) fn plain(words: &str) -> String {
    // Folding may yield what is no longer in the normal form, and the other way round.
    let folded = CaseMapper::new().fold_string(words);
    let decomposed = DecomposingNormalizer::new_nfkd().normalize(&folded);
    let folded = CaseMapper::new().fold_string(&decomposed);
    let mut plain = String::with_capacity(folded.len());
    for letter in folded.chars().filter(|letter| counts(*letter)) {
        match bare(letter) {
            Some(bare) => plain.push_str(bare),
            None => plain.push(letter),
        }
    }
    plain
}

/// Whether a sign is part of a word. Marks are not that people leave out: accents, and the vowels of Arabic and Hebrew.
/// Those without which a word is another (of Indian scripts and of Japanese) are.
fn counts(letter: char) -> bool {
    match letter {
        '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}' => false,
        '\u{591}'..='\u{5c7}' | '\u{610}'..='\u{61a}' | '\u{640}' | '\u{64b}'..='\u{65f}' | '\u{670}' => false,
        '\u{3099}' | '\u{309a}' => true,
        // Signs that join consonants, and dots below them.
        '\u{94d}' | '\u{93c}' | '\u{9cd}' | '\u{9bc}' | '\u{bcd}' | '\u{c4d}' | '\u{ccd}' | '\u{d4d}' => true,
        '\u{e47}'..='\u{e4e}' => true,
        letter => letter.is_alphanumeric(),
    }
}

/// What stands for a letter whose mark is part of it, where people have no such letter on their keyboard.
fn bare(letter: char) -> Option<&'static str> {
    Some(match letter {
        'ı' => "i",
        'ł' => "l",
        'ø' => "o",
        'đ' | 'ð' => "d",
        'ħ' => "h",
        'ŧ' => "t",
        'æ' => "ae",
        'œ' => "oe",
        'þ' => "th",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_word_is_the_same_however_it_is_written() {
        for (written, word) in [
            ("cancelar suscripcion", "cancelar suscripción"),
            ("CANCELAR  SUSCRIPCIO\u{301}N!!", "cancelar suscripción"),
            ("¡Cancelar suscripción!", "cancelar suscripcion"),
            ("DESABONNER", "désabonner"),
            ("De\u{301}sabonner.", "désabonner"),
            ("optout", "opt out"),
            ("Opt-Out", "opt out"),
            ("STOPALL", "stop all"),
            ("/stop", "stop"),
            ("“Stop”…", "stop"),
            ("S T O P", "stop"),
            ("S.T.O.P.", "stop"),
            ("ＳＴＯＰ", "stop"),
            ("𝗦𝗧𝗢𝗣", "stop"),
            ("Ⓢⓣⓞⓟ", "stop"),
            ("stop\u{200d}\u{fe0f} 🛑", "stop"),
            ("s'abonner", "s’abonner"),
            ("WYLACZ", "wyłącz"),
            ("ÇIKIŞ", "çıkış"),
            ("İPTAL", "iptal"),
            ("SCHLUSS", "schluß"),
            ("ΣΤΑΜΑΤΑ ΤΩΡΑΣ", "σταμάτα τώρας"),
            ("إلغاء الاشتراك", "إِلغاء الاشتراك"),
            ("ﾃｲｼ", "テイシ"),
        ] {
            assert_eq!(plain(written), plain(word), "{written}");
        }
    }

    #[test]
    fn another_word_stays_another() {
        for (one, other) in [
            ("stop", "stopped"),
            ("stop", "stop it please"),
            ("start", "tart"),
            ("stop", "stop 1"),
            ("かいし", "がいし"),
            ("बंद", "बाद"),
            ("बन्द", "बनद"),
            ("opt out", "opt in"),
        ] {
            assert_ne!(plain(one), plain(other), "{one}");
        }
        for nothing in ["", "🛑", "!!!", " \u{301} "] {
            assert_eq!(plain(nothing), "", "{nothing}");
        }
    }
}
