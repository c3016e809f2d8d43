//! Which language a customer writes.

use std::fmt;

use serde::{Deserialize, Serialize};
use whatlang::Lang;

use crate::handler::{Speaker, Turn};

/// A language that can be told from others by its words.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Language(Lang);

/// The two letters (ISO 639-1) that stand for three (ISO 639-3).
const SHORT: [(&str, &str); 70] = [
    ("af", "afr"),
    ("ak", "aka"),
    ("am", "amh"),
    ("ar", "ara"),
    ("az", "aze"),
    ("be", "bel"),
    ("bg", "bul"),
    ("bn", "ben"),
    ("ca", "cat"),
    ("cs", "ces"),
    ("cy", "cym"),
    ("da", "dan"),
    ("de", "deu"),
    ("el", "ell"),
    ("en", "eng"),
    ("eo", "epo"),
    ("es", "spa"),
    ("et", "est"),
    ("fa", "pes"),
    ("fi", "fin"),
    ("fr", "fra"),
    ("gu", "guj"),
    ("he", "heb"),
    ("hi", "hin"),
    ("hr", "hrv"),
    ("hu", "hun"),
    ("hy", "hye"),
    ("id", "ind"),
    ("it", "ita"),
    ("ja", "jpn"),
    ("jv", "jav"),
    ("ka", "kat"),
    ("km", "khm"),
    ("kn", "kan"),
    ("ko", "kor"),
    ("la", "lat"),
    ("lt", "lit"),
    ("lv", "lav"),
    ("mk", "mkd"),
    ("ml", "mal"),
    ("mr", "mar"),
    ("my", "mya"),
    ("nb", "nob"),
    ("ne", "nep"),
    ("nl", "nld"),
    ("or", "ori"),
    ("pa", "pan"),
    ("pl", "pol"),
    ("pt", "por"),
    ("ro", "ron"),
    ("ru", "rus"),
    ("si", "sin"),
    ("sk", "slk"),
    ("sl", "slv"),
    ("sn", "sna"),
    ("sr", "srp"),
    ("sv", "swe"),
    ("ta", "tam"),
    ("te", "tel"),
    ("th", "tha"),
    ("tk", "tuk"),
    ("tl", "tgl"),
    ("tr", "tur"),
    ("uk", "ukr"),
    ("ur", "urd"),
    ("uz", "uzb"),
    ("vi", "vie"),
    ("yi", "yid"),
    ("zh", "cmn"),
    ("zu", "zul"),
];

impl TryFrom<String> for Language {
    type Error = &'static str;

    fn try_from(code: String) -> Result<Self, Self::Error> {
        let code = code.to_ascii_lowercase();
        let long = SHORT.iter().find(|(short, _)| *short == code).map_or(&*code, |(_, long)| long);
        Lang::from_code(long).map(Self).ok_or("is no language that can be told by its words: write its ISO 639 code")
    }
}

impl From<Language> for String {
    fn from(language: Language) -> Self {
        let code = language.0.code();
        SHORT.iter().find(|(_, long)| *long == code).map_or(code, |(short, _)| short).to_owned()
    }
}

impl fmt::Debug for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.code())
    }
}

/// So many characters tell a language; more take time and tell no more.
const ENOUGH: usize = 400;

/// The language of a turn's words, together with those before them; none if they do not tell.
pub(super) fn of(turn: &Turn) -> Option<Language> {
    let mut words = turn.text();
    let earlier = turn.history.iter().rev().filter(|said| said.by == Speaker::Customer);
    for said in earlier {
        if words.len() >= ENOUGH {
            break;
        }
        words.push('\n');
        words.push_str(&said.words);
    }
    let words: String = words.chars().take(ENOUGH).collect();
    whatlang::detect(&words).filter(whatlang::Info::is_reliable).map(|found| Language(found.lang()))
}
