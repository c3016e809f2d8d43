//! On which line of a configuration file a key stands.

use toml::de::{DeTable, DeValue};

/// The longest beginning of `key` that stands in `text`: its length in bytes, and its line.
///
/// A key is written as problems write it: `bots.shop.handler.models[1].base_url`.
pub(super) fn longest(text: &str, key: &str) -> Option<(usize, usize)> {
    let root = DeValue::Table(DeTable::parse(text).ok()?.into_inner());
    let (mut here, mut start, mut found) = (&root, 0, None);
    for end in ends(key) {
        let name = &key[start..end];
        let next = match here {
            DeValue::Table(table) => table.get_key_value(name).map(|(name, value)| (name.span(), value)),
            DeValue::Array(list) => {
                let number = name.trim_end_matches(']').parse::<usize>().ok();
                number.and_then(|number| list.get(number)).map(|value| (value.span(), value))
            }
            _ => None,
        };
        let Some((span, value)) = next else { break };
        found = Some((end, line_of(text, span.start)));
        (here, start) = (value.get_ref(), end + 1);
    }
    found
}

/// Where each part of a key ends, the first part first.
pub(super) fn ends(key: &str) -> impl DoubleEndedIterator<Item = usize> {
    key.match_indices(['.', '[']).map(|(at, _)| at).chain([key.len()])
}

/// The line in which a byte stands, counted from 1.
pub(super) fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}
