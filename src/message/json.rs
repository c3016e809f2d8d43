//! JSON that others write: the one place where it is read.
//!
//! JSON can hold half of a character outside the basic plane, `"\ud83d"` without the `\ude00` that belongs to it:
//! whoever cuts text by UTF-16 units writes it, and many parsers take it. Rust's strings cannot hold it, and serde_json
//! refuses the whole document. So each such half is read as U+FFFD, the replacement character. The two escapes have the
//! same length, so that nothing else moves, and text without such a half is parsed where it stands.

mod reader;

use std::borrow::Cow;
use std::ops::ControlFlow;

use bytes::Bytes;
use serde::de::{Deserialize, DeserializeOwned};
use serde_json::{Error, Value};

pub(crate) use reader::WholeReader;

/// What stands in the place of half a pair.
const REPLACEMENT: &[u8; 6] = br"\ufffd";

/// Reads JSON.
///
/// # Errors
/// When it is no JSON, or not of the type's form.
pub fn from_slice<T: DeserializeOwned>(json: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(&whole_bytes(json))
}

/// Reads JSON.
///
/// # Errors
/// When it is no JSON, or not of the type's form.
pub fn from_str<T: DeserializeOwned>(json: &str) -> Result<T, Error> {
    serde_json::from_str(&whole(json))
}

/// Reads JSON that has gone through [`whole`], without a copy of its text.
///
/// # Errors
/// When it is no JSON, or not of the type's form.
pub fn borrowed<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, Error> {
    serde_json::from_str(json)
}

/// The value that a text begins with, if it has gone through [`whole`], and how many bytes that is.
pub fn first(json: &str) -> Option<(Value, usize)> {
    let mut values = serde_json::Deserializer::from_str(json).into_iter();
    let value = values.next()?.ok()?;
    Some((value, values.byte_offset()))
}

/// Reads what has been parsed already.
///
/// # Errors
/// When it is not of the type's form.
pub fn from_value<T: DeserializeOwned>(json: Value) -> Result<T, Error> {
    serde_json::from_value(json)
}

/// Text of JSON without halves of pairs.
pub fn whole(json: &str) -> Cow<'_, str> {
    match whole_bytes(json.as_bytes()) {
        Cow::Borrowed(_) => Cow::Borrowed(json),
        // Escapes are ASCII, and so is what replaces them.
        Cow::Owned(mended) => String::from_utf8(mended).map_or(Cow::Borrowed(json), Cow::Owned),
    }
}

/// Bytes of JSON without halves of pairs.
pub fn whole_bytes(json: &[u8]) -> Cow<'_, [u8]> {
    let mut found = false;
    halves(json, true, |_| {
        found = true;
        ControlFlow::Break(())
    });
    if !found {
        return Cow::Borrowed(json);
    }
    let mut mended = json.to_vec();
    mend(&mut mended, true);
    Cow::Owned(mended)
}

/// Takes the halves of pairs out of JSON that comes in pieces, wherever these are cut.
#[derive(Debug, Default)]
pub struct WholePieces {
    /// The beginning of an escape whose end has not come.
    held: Vec<u8>,
}

impl WholePieces {
    /// Takes the next piece, and gives what is certain by now.
    pub fn take_in(&mut self, piece: Bytes) -> Bytes {
        if self.held.is_empty() && !piece.contains(&b'\\') {
            return piece;
        }
        let mut bytes = std::mem::take(&mut self.held);
        bytes.extend_from_slice(&piece);
        let certain = mend(&mut bytes, false);
        self.held = bytes.split_off(certain);
        bytes.into()
    }

    /// What is left at the end.
    pub fn rest(&mut self) -> Bytes {
        let mut bytes = std::mem::take(&mut self.held);
        mend(&mut bytes, true);
        bytes.into()
    }
}

/// Replaces the halves, and says how much of the text is certain: all of it, if it `ends` here.
fn mend(json: &mut [u8], ends: bool) -> usize {
    let mut places = Vec::new();
    let certain = halves(json, ends, |place| {
        places.push(place);
        ControlFlow::Continue(())
    });
    for place in places {
        json[place..place + REPLACEMENT.len()].copy_from_slice(REPLACEMENT);
    }
    certain
}

/// Tells of each half of a pair, by its place, until it is told to stop. Gives the place that it has come to.
fn halves(json: &[u8], ends: bool, mut tell: impl FnMut(usize) -> ControlFlow<()>) -> usize {
    // The library's search for a byte is several times as fast as a loop.
    if !json.contains(&b'\\') {
        return json.len();
    }
    let mut at = 0;
    while at < json.len() {
        if json[at] != b'\\' {
            at += 1;
            continue;
        }
        match escape(&json[at..]) {
            Escape::Of(length) => at += length,
            Escape::Half => {
                if tell(at).is_break() {
                    return at;
                }
                at += REPLACEMENT.len();
            }
            Escape::Cut { .. } if !ends => return at,
            Escape::Cut { half: true } => {
                if tell(at).is_break() {
                    return at;
                }
                at += REPLACEMENT.len();
            }
            // Nothing that could be read.
            Escape::Cut { half: false } => return json.len(),
        }
    }
    json.len().min(at)
}

/// What a backslash begins.
enum Escape {
    /// A character, or both halves of one: so many bytes.
    Of(usize),
    /// One half, and not the other.
    Half,
    /// Something whose end is not there: the first half of a pair, if that is whole itself.
    Cut { half: bool },
}

fn escape(json: &[u8]) -> Escape {
    match Unit::at(json) {
        Unit::Code(0xd800..=0xdbff) => match Unit::at(&json[6..]) {
            Unit::Code(0xdc00..=0xdfff) => Escape::Of(12),
            Unit::Cut => Escape::Cut { half: true },
            _ => Escape::Half,
        },
        Unit::Code(0xdc00..=0xdfff) => Escape::Half,
        Unit::Code(_) => Escape::Of(6),
        // An escaped backslash begins nothing.
        Unit::Other => Escape::Of(2),
        Unit::Cut => Escape::Cut { half: false },
    }
}

/// `\u` and four digits.
enum Unit {
    Code(u16),
    Other,
    /// As far as it goes, it may become one.
    Cut,
}

impl Unit {
    fn at(json: &[u8]) -> Self {
        let beginning = &json[..json.len().min(6)];
        let fits = beginning.iter().enumerate().all(|(place, byte)| match place {
            0 => *byte == b'\\',
            1 => *byte == b'u',
            _ => byte.is_ascii_hexdigit(),
        });
        if !fits {
            return Self::Other;
        }
        let digits = beginning.get(2..6).and_then(|digits| std::str::from_utf8(digits).ok());
        digits.and_then(|digits| u16::from_str_radix(digits, 16).ok()).map_or(Self::Cut, Self::Code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Text, and how it is read.
    const READ: [(&str, &str); 16] = [
        (r#""plain""#, "plain"),
        (r#""nice \ud83d""#, "nice \u{fffd}"),
        (r#""\uD83D and on""#, "\u{fffd} and on"),
        (r#""\ude00""#, "\u{fffd}"),
        (r#""\ud83d\ude00""#, "😀"),
        (r#""\uD83D\uDE00!""#, "😀!"),
        (r#""\ude00\ud83d""#, "\u{fffd}\u{fffd}"),
        (r#""\ud83d\ud83d\ude00""#, "\u{fffd}😀"),
        (r#""\ud83dA""#, "\u{fffd}A"),
        (r#""\ud83d\n""#, "\u{fffd}\n"),
        (r#""\ud83d\u0041""#, "\u{fffd}A"),
        (r#""\ud83d\\ude00""#, "\u{fffd}\\ude00"),
        (r#""\\ud83d""#, "\\ud83d"),
        (r#""\\\ud83d""#, "\\\u{fffd}"),
        (r#""\\\\ud83d""#, "\\\\ud83d"),
        (r#""é \ud83d 😀""#, "é \u{fffd} 😀"),
    ];

    #[test]
    fn half_a_pair_is_read_as_the_replacement_character() {
        for (json, text) in READ {
            assert_eq!(from_str::<String>(json).expect(json), text, "{json}");
            assert_eq!(from_slice::<String>(json.as_bytes()).expect(json), text, "{json}");
            assert_eq!(whole(json).len(), json.len());
        }
    }

    #[test]
    fn keys_are_read_likewise() {
        let read: Value = from_str(r#"{"a\udc00": {"\ud83d": 1}}"#).expect("JSON");
        assert_eq!(read["a\u{fffd}"]["\u{fffd}"], 1);
    }

    #[test]
    fn what_is_no_json_stays_none() {
        for json in [r#""\ud83"#, r#""\ud83d"#, r#""\ud8zz""#, r#""\u""#, "\\", r"\ud83d\", r#""\ud83d\u""#] {
            assert!(from_str::<Value>(json).is_err(), "{json}");
            assert_eq!(whole(json).len(), json.len(), "{json}");
        }
    }

    #[test]
    fn what_has_no_half_is_not_copied() {
        for json in ["{}", r#""\ud83d\ude00 \\ud83d \n""#] {
            assert!(matches!(whole(json), Cow::Borrowed(_)), "{json}");
        }
    }

    #[test]
    fn pieces_come_to_the_same_wherever_they_are_cut() {
        for (json, _) in READ {
            for size in 1..=json.len() {
                let mut pieces = WholePieces::default();
                let mut all = Vec::new();
                for piece in json.as_bytes().chunks(size) {
                    all.extend_from_slice(&pieces.take_in(Bytes::copy_from_slice(piece)));
                }
                all.extend_from_slice(&pieces.rest());
                assert_eq!(all, whole(json).as_bytes(), "{json} in pieces of {size}");
            }
        }
    }
}
