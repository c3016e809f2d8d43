//! Messages that an upstream has delivered and that nobody can read.

use std::fmt;

use super::Events;
use super::lenient::Shallow;

/// As much of one is kept, in bytes: far more than any message's own fields.
const LONGEST: usize = 16 << 10;

/// A message that could not be read: there was one, and the customer waits for an answer.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Unread {
    /// The upstream's name for it, if that could be read: so that it is kept once however often it comes.
    pub id: Option<String>,
    /// Whom it names as its sender, as far as that could be read.
    pub names: Vec<String>,
    /// All of it as it came, or its beginning.
    pub raw: String,
}

impl fmt::Debug for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unread({} bytes)", self.raw.len())
    }
}

impl Unread {
    /// A message as it came. Of what is very long the beginning is kept.
    pub fn new(raw: &str) -> Self {
        let raw = raw[..raw.floor_char_boundary(LONGEST)].to_owned();
        Self { raw, ..Self::default() }
    }

    /// The same, with what can be read of an object in it: its name under one of `ids`, its senders under `names`.
    pub(crate) fn with(mut self, object: &str, ids: &[&str], names: &[&str]) -> Self {
        if let Some(object) = Shallow::read(object) {
            self.id = ids.iter().find_map(|key| object.text(key));
            self.names = names.iter().filter_map(|key| object.text(key)).collect();
        }
        self
    }
}

impl Events {
    /// Counts a message that makes no sense, and has it kept.
    pub(crate) fn not_read(&mut self, unread: Unread) {
        self.ignored.malformed += 1;
        self.unread.push(unread);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_what_is_long_is_kept_and_what_can_be_read_of_it_is() {
        let raw = format!("{{\"id\":\"m1\",\"from\":\"15550100001\",\"text\":\"{}\"}}", "ä".repeat(LONGEST));
        let unread = Unread::new(&raw).with(&raw, &["key", "id"], &["from", "author"]);
        assert_eq!((unread.id.as_deref(), &unread.names[..]), (Some("m1"), &["15550100001".to_owned()][..]));
        assert!(unread.raw.len() <= LONGEST && raw.starts_with(&unread.raw));
        assert_eq!(Unread::new("7").with("7", &["id"], &["from"]), Unread { raw: "7".into(), ..Unread::default() });
        assert!(!format!("{unread:?}").contains("1555"));
    }
}
