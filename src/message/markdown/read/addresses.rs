//! Addresses that stand among the words. A reader of Markdown finds marks in them; a phone makes links of them, and a
//! link without its `_` leads elsewhere.

use std::ops::Range;

/// Where they stand, in order, without the signs that may end them.
pub(super) fn bare(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (at, sign) in text.match_indices("://") {
        let start = text[..at].trim_end_matches(|c: char| c.is_ascii_alphabetic()).len();
        if start == at || found.last().is_some_and(|last| at < last.end) {
            continue;
        }
        let ends = |c: char| c.is_whitespace() || "<>()[]|`\"".contains(c);
        let behind = &text[at + sign.len()..];
        let behind = behind.split(ends).next().unwrap_or_default();
        let behind = behind.trim_end_matches(|c: char| "*_~.,;:!?'".contains(c));
        if !behind.is_empty() {
            found.push(start..at + sign.len() + behind.len());
        }
    }
    found
}

/// Whether byte `at` stands in one of them.
pub(super) fn hold(addresses: &[Range<usize>], at: usize) -> bool {
    let next = addresses.partition_point(|address| address.start <= at);
    next.checked_sub(1).is_some_and(|last| addresses[last].contains(&at))
}
