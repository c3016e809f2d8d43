//! How much of captions and choices an upstream takes, as data: the outbox gives a reply its form by it.

use crate::message::MediaKind;

/// How long a caption may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptionLimits {
    /// The longest one, in characters.
    pub length: usize,
    /// Which kinds of medium take no caption at all.
    pub never_on: &'static [MediaKind],
}

impl CaptionLimits {
    /// The longest caption of this kind of medium, in characters; 0 if it takes none.
    pub fn on(&self, kind: MediaKind) -> usize {
        if self.never_on.contains(&kind) { 0 } else { self.length }
    }
}

/// What a question with buttons may hold. Lengths are in characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChoiceLimits {
    /// How many buttons one question takes.
    pub buttons: usize,
    /// The longest question above buttons.
    pub body: usize,
    /// The longest footer, of buttons and of lists.
    pub footer: usize,
    /// The longest label of a button.
    pub title: usize,
    /// The longest identifier of a button.
    pub id: usize,
    /// What a list may hold; none if there are no lists.
    pub lists: Option<ListLimits>,
}

/// What a question with a list may hold. Lengths are in characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListLimits {
    /// How many rows all sections of one list take together.
    pub rows: usize,
    /// How many sections one list takes.
    pub sections: usize,
    /// The longest question above a list.
    pub body: usize,
    /// The longest label of the button that opens the list.
    pub button: usize,
    /// The longest heading of a section.
    pub section_title: usize,
    /// The longest title of a row.
    pub title: usize,
    /// The longest description of a row.
    pub description: usize,
    /// The longest identifier of a row.
    pub id: usize,
}
