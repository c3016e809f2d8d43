//! Shortens a label that is too long for its place.

use std::collections::HashSet;

use unicode_segmentation::UnicodeSegmentation;

use crate::message::marks::plain;

/// Says that there was more.
const MORE: &str = "…";

/// `text` in at most `most` characters. What a person sees as one character is never cut, and no mark is left open:
/// what is too long loses its marks.
pub(super) fn shortened(text: &str, most: usize) -> String {
    if is_long(text, most) { cut_to(&plain(text), most, MORE) } else { text.to_owned() }
}

/// Shortens all of `labels`. Those that are the same then, and were not before, end in a number; with `always`, those
/// that were the same before do as well.
pub(super) fn distinct(labels: &[&str], most: usize, always: bool) -> Vec<String> {
    let mut taken: HashSet<String> = HashSet::new();
    let mut made = Vec::with_capacity(labels.len());
    for (place, label) in labels.iter().enumerate() {
        let mut short = shortened(label, most);
        let is_repeated = !always && labels[..place].contains(label);
        let mut number = 2;
        while !is_repeated && taken.contains(&short) {
            let end = if is_long(label, most) { format!("{MORE} ({number})") } else { format!(" ({number})") };
            let whole = format!("{label}{end}");
            short = if is_long(&whole, most) { cut_to(&plain(label), most, &end) } else { whole };
            number += 1;
        }
        taken.insert(short.clone());
        made.push(short);
    }
    made
}

/// Whether `text` has more than `most` characters.
pub(super) fn is_long(text: &str, most: usize) -> bool {
    text.chars().nth(most).is_some()
}

/// The beginning of `text`, and `end`; all of it, if there is room for that.
fn cut_to(text: &str, most: usize, end: &str) -> String {
    let whole = end.strip_prefix(MORE).unwrap_or(end);
    if !is_long(&format!("{text}{whole}"), most) {
        return format!("{text}{whole}");
    }
    let mut room = most.saturating_sub(end.chars().count());
    let mut kept = 0;
    for (at, letter) in text.grapheme_indices(true) {
        let Some(left) = room.checked_sub(letter.chars().count()) else { break };
        (kept, room) = (at + letter.len(), left);
    }
    // Where not even the end fits, it is cut as well.
    let whole = format!("{}{end}", text[..kept].trim_end());
    whole.chars().take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_cut_where_no_character_is_cut() {
        for (label, most, short) in [
            ("Blue", 4, "Blue"),
            ("Talk to a real person right now", 20, "Talk to a real pers…"),
            ("One two three", 8, "One two…"),
            ("👩‍👩‍👧👩‍👩‍👧👩‍👩‍👧", 12, "👩‍👩‍👧👩‍👩‍👧…"),
            ("👩‍👩‍👧", 3, "…"),
            ("*Talk to a real person* now", 12, "Talk to a r…"),
            ("*One* `two`", 8, "One two"),
        ] {
            assert_eq!(shortened(label, most), short);
        }
    }

    #[test]
    fn labels_that_become_the_same_stay_apart() {
        let labels = ["The delivery of today", "The delivery of tomorrow", "The delivery of toys", "Other"];
        let short = distinct(&labels, 14, false);
        assert_eq!(short, ["The delivery…", "The deliv… (2)", "The deliv… (3)", "Other"]);
        assert_eq!(distinct(&["Yes", "Yes", "Yes"], 20, true), ["Yes", "Yes (2)", "Yes (3)"]);
        assert_eq!(distinct(&["Yes", "Yes"], 20, false), ["Yes", "Yes"], "their descriptions tell them apart");
        assert_eq!(distinct(&["Yess", "Yess"], 4, true), ["Yess", " (2)"]);
    }

    proptest::proptest! {
        #[test]
        fn no_label_is_too_long_and_no_two_are_the_same(
            labels in proptest::collection::vec("[a-c é👨‍]{1,30}", 1..10),
            most in 8usize..24,
        ) {
            let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
            let short = distinct(&labels, most, true);
            for label in &short {
                proptest::prop_assert!(label.chars().count() <= most);
            }
            let all: HashSet<&String> = short.iter().collect();
            proptest::prop_assert_eq!(all.len(), short.len());
        }
    }
}
