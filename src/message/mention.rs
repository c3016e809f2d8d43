//! Whether a text names somebody, such as JSON that cannot be read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::phone;

/// Whether a text has one of these names, each of which stands here in all of its forms.
pub(super) fn is_named(ids: &[String], text: &str) -> bool {
    let text = plain_text(text);
    let lower = text.to_ascii_lowercase();
    ids.iter().any(|id| stands_in(id, &text) || (id.contains('@') && stands_in(id, &lower)))
        || numbers_in(&text).any(|digits| ids.contains(&digits))
        || is_in_message_ids(ids, &text)
}

/// Whether one of WhatsApp's names for messages holds one of these.
fn is_in_message_ids(ids: &[String], text: &str) -> bool {
    text.match_indices("wamid.").any(|(at, prefix)| {
        let name = &text[at + prefix.len()..];
        let end = name.find(|c: char| !c.is_ascii_alphanumeric() && !"+/".contains(c)).unwrap_or(name.len());
        // Whatever is cut off at its end names nobody.
        let whole = name[..end].len() / 4 * 4;
        let Ok(decoded) = STANDARD_NO_PAD.decode(&name[..whole]) else { return false };
        let decoded: String = decoded.iter().map(|byte| char::from(*byte)).collect();
        ids.iter().any(|id| stands_in(id, &decoded))
    })
}

/// Whether a name stands in a text, and not as a part of a longer one.
fn stands_in(id: &str, text: &str) -> bool {
    text.match_indices(id).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + id.len()..].chars().next();
        !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
    })
}

/// The text of JSON without its escapes, and without the devices of names.
fn plain_text(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        plain.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let escaped = rest.strip_prefix('u').and_then(|code| code.get(..4));
        match escaped.and_then(|code| u32::from_str_radix(code, 16).ok()) {
            Some(code) => {
                // Half of a pair is part of no name.
                plain.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                rest = &rest[5..];
            }
            None if rest.starts_with(['n', 't', 'r', 'b', 'f']) => {
                plain.push(' ');
                rest = &rest[1..];
            }
            // What stands for itself.
            None => {}
        }
    }
    plain.push_str(rest);
    let mut without = String::with_capacity(plain.len());
    let mut rest = plain.as_str();
    while let Some(at) = rest.find(':') {
        without.push_str(&rest[..at]);
        rest = &rest[at..];
        let digits = rest[1..].bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 && rest[1 + digits..].starts_with('@') {
            rest = &rest[1 + digits..];
        } else {
            without.push(':');
            rest = &rest[1..];
        }
    }
    without.push_str(rest);
    without
}

/// The digits of whatever may be a phone number as people write one.
fn numbers_in(text: &str) -> impl Iterator<Item = String> {
    let runs = text.split(|c: char| phone::digit(c).is_none() && !phone::is_between(c));
    runs.map(|run| run.chars().filter_map(phone::digit).collect::<String>())
        .filter(|digits| (7..=17).contains(&digits.len()))
        .flat_map(|digits| match digits.strip_prefix("00") {
            Some(rest) => vec![rest.to_owned(), digits.clone()],
            None => vec![digits],
        })
}
