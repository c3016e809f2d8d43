//! What some servers write as JSON, although it is none: numbers that are not numbers, and bare control characters.

/// The same as JSON, if there is something to mend: `NaN` and infinities are null, control characters in text are
/// escaped.
pub(super) fn mended(text: &str) -> Option<String> {
    let (mut mended, mut rest, mut in_text, mut changed) = (String::with_capacity(text.len()), text, false, false);
    while let Some(letter) = rest.chars().next() {
        let mut length = letter.len_utf8();
        match letter {
            '"' => in_text = !in_text,
            '\\' if in_text => length += rest[1..].chars().next().map_or(0, char::len_utf8),
            '\u{0}'..'\u{20}' if in_text => {
                mended.push_str(&format!("\\u{:04x}", u32::from(letter)));
                (changed, rest) = (true, &rest[length..]);
                continue;
            }
            '-' | 'N' | 'I' if !in_text => {
                let word = ["NaN", "-Infinity", "Infinity", "-NaN"].into_iter().find(|word| rest.starts_with(word));
                if let Some(word) = word {
                    mended.push_str("null");
                    (changed, rest) = (true, &rest[word.len()..]);
                    continue;
                }
            }
            _ => {}
        }
        mended.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    changed.then_some(mended)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_json_becomes_some_and_what_is_stays() {
        for (text, expected) in [
            (r#"{"a": NaN, "b": [-Infinity, Infinity]}"#, Some(r#"{"a": null, "b": [null, null]}"#)),
            ("{\"a\": \"one\ntwo\t\\\"NaN\"}", Some(r#"{"a": "one\u000atwo\u0009\"NaN"}"#)),
            (r#"{"a": "NaN \n"}"#, None),
            (r#"{"a": "\"#, None),
            ("", None),
        ] {
            assert_eq!(mended(text).as_deref(), expected, "{text}");
        }
    }
}
