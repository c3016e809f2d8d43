//! The names that tools are offered under: what models take, whatever a server calls them.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

/// The longest name that models take, in characters.
const LONGEST: usize = 64;
/// The hexadecimal digits that tell two names apart that would look the same.
const DIGITS: usize = 8;

/// Whether models take this for a tool's name.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= LONGEST && name.chars().all(fits)
}

fn fits(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

/// A name that models take and that no other is, made of `name` and of what tells it from others.
pub(super) fn told_apart(name: &str, by: &str) -> String {
    let digest = hex::encode(Sha256::digest(by.as_bytes()));
    let kept: String = plain(name).chars().take(LONGEST - DIGITS - 1).collect();
    format!("{kept}_{}", &digest[..DIGITS])
}

/// The name with `_` for each character that models do not take.
fn plain(name: &str) -> String {
    name.chars().map(|c| if fits(c) { c } else { '_' }).collect()
}

/// The names of one server's tools for models, by its own. A tool keeps its name for as long as it is listed.
#[derive(Debug)]
pub(super) struct ToolNames {
    server: String,
    offered: BTreeMap<String, String>,
}

impl ToolNames {
    /// Names that begin with the server's.
    pub(super) fn of(server: &str) -> Self {
        Self { server: server.to_owned(), offered: BTreeMap::new() }
    }

    /// Names these tools, in any order; what is not among them is forgotten.
    pub(super) fn take_in(&mut self, own: &BTreeSet<String>) {
        self.offered.retain(|known, _| own.contains(known));
        // Whose name needs no change comes first: it is not moved by another that looks like it.
        let (exact, changed): (Vec<&String>, Vec<&String>) = own.iter().partition(|own| is_name(&self.prefixed(own)));
        for own in exact.into_iter().chain(changed) {
            if self.offered.contains_key(own) {
                continue;
            }
            let whole = self.prefixed(own);
            let name = plain(&whole);
            // Of a name in another script nothing is left that tells it from the next one.
            let says_something = own.chars().any(|c| c.is_ascii_alphanumeric());
            let is_free = says_something && is_name(&name) && !self.offered.values().any(|taken| *taken == name);
            let name = if is_free { name } else { told_apart(&whole, own) };
            self.offered.insert(own.clone(), name);
        }
    }

    /// The name that models know a tool by.
    pub(super) fn offered(&self, own: &str) -> Option<&str> {
        self.offered.get(own).map(String::as_str)
    }

    fn prefixed(&self, own: &str) -> String {
        format!("{}_{own}", self.server)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &mut ToolNames, own: &[&str]) -> Vec<String> {
        names.take_in(&own.iter().map(|own| (*own).to_owned()).collect());
        own.iter().map(|own| names.offered(own).expect("a name").to_owned()).collect()
    }

    #[test]
    fn every_name_is_one_that_models_take_and_no_other_tools() {
        let long = "x".repeat(80);
        let longer = "x".repeat(90);
        let own = ["find", "orders.find", "orders/find", "orders find", "größe", "天气", "时", "", ".", &long, &longer];
        for server in ["s", &"y".repeat(64)] {
            let offered = named(&mut ToolNames::of(server), &own);
            assert!(offered.iter().all(|name| is_name(name)), "{offered:?}");
            let different: BTreeSet<_> = offered.iter().collect();
            assert_eq!(different.len(), own.len(), "{offered:?}");
        }
        let offered = named(&mut ToolNames::of("s"), &["find", "orders.find", "größe"]);
        assert_eq!(offered, ["s_find", "s_orders_find", "s_gr__e"]);
    }

    #[test]
    fn names_are_the_same_in_any_order_and_do_not_move_while_they_are_listed() {
        let (mut one, mut other) = (ToolNames::of("s"), ToolNames::of("s"));
        let first = named(&mut one, &["a.b", "a_b", "a/b"]);
        let mut second = named(&mut other, &["a/b", "a_b", "a.b"]);
        second.reverse();
        assert_eq!(first, second);
        assert_eq!(first[1], "s_a_b", "whose name fits as it is keeps it");
        let mut names = ToolNames::of("s");
        assert_eq!(named(&mut names, &["a.b"]), ["s_a_b"]);
        let later = named(&mut names, &["a_b", "a.b"]);
        assert_eq!(later[1], "s_a_b");
        assert_ne!(later[0], "s_a_b");
        assert_eq!(named(&mut names, &["a_b"]), later[..1], "it stays when the other is gone");
    }

    #[test]
    fn a_name_that_is_told_apart_is_one_that_models_take() {
        assert!(is_name(&told_apart(&"ä".repeat(100), "x")));
        assert_ne!(told_apart("a", "x"), told_apart("a", "y"));
    }
}
