//! What is wrong with a configuration: all of it at once, each with its key, its place and what to do.

use std::fmt;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key, such as `bots.shop.provider.access_token`; empty if it is about the whole file.
    pub key: String,
    /// Where it stands: a file and line, or an environment variable.
    pub place: String,
    /// What is wrong, and what to do.
    pub text: String,
}

/// Said of what should be a table: nothing in it was read.
pub(super) const NO_TABLE: &str = "must be a table";

impl Problem {
    /// Whether `other` is only what this one leads to: it is about the same key, about something in a table that could
    /// not be read, or about a list that has lost an element.
    fn covers(&self, other: &Self) -> bool {
        let unread = self.key.strip_suffix(".kind").or_else(|| (self.text == NO_TABLE).then_some(&*self.key));
        let inside = |outer: &str| other.key.strip_prefix(outer).is_some_and(|rest| rest.starts_with('.'));
        self.key == other.key || unread.is_some_and(inside) || self.is_in_list(&other.key)
    }

    /// Whether it is about an element of the list `key`.
    pub(super) fn is_in_list(&self, key: &str) -> bool {
        self.key.strip_prefix(key).is_some_and(|rest| rest.starts_with('['))
    }
}

/// Adds what was found later to what was found in reading, but for what that has led to: a key that could not be read
/// stands at its default, of which there is nothing to say.
pub(crate) fn join(mut problems: Vec<Problem>, later: Vec<Problem>) -> Vec<Problem> {
    let later: Vec<Problem> = later.into_iter().filter(|new| !problems.iter().any(|old| old.covers(new))).collect();
    problems.extend(later);
    problems
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.key.is_empty() { "" } else { ": " };
        write!(f, "{}: {}{separator}{}", self.place, self.key, self.text)
    }
}

/// Everything that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}
