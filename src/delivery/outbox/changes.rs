//! What was changed in a reply so that its upstream takes it, for the log: words and counts, nothing of what it says.

use std::fmt;

/// Counts of what was changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShapeChanges {
    /// Captions that were too long, and went on as text.
    pub captions_continued: usize,
    /// Media that the upstream does not take, which were sent as an address.
    pub media_as_links: usize,
    /// Captions of media that were left out.
    pub captions_alone: usize,
    /// Questions whose buttons were too many, and became a list.
    pub buttons_as_lists: usize,
    /// Questions with buttons or a list that the upstream does not take so, and that were written out.
    pub questions_written_out: usize,
    /// Questions that were too long, and began as text.
    pub questions_continued: usize,
    /// Labels, headings and descriptions that were too long.
    pub labels_shortened: usize,
    /// Labels that stood on two buttons, and were given a number.
    pub labels_numbered: usize,
    /// Footers that were too long, and became part of the question.
    pub footers_moved: usize,
    /// Parts that said nothing.
    pub empty_parts: usize,
}

impl ShapeChanges {
    /// Whether nothing was changed.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for ShapeChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            (self.captions_continued, "captions went on as text"),
            (self.media_as_links, "media were sent as links"),
            (self.captions_alone, "captions were sent without their media"),
            (self.buttons_as_lists, "questions with too many buttons became lists"),
            (self.questions_written_out, "questions were written out"),
            (self.questions_continued, "long questions began as text"),
            (self.labels_shortened, "labels were shortened"),
            (self.labels_numbered, "equal labels were numbered"),
            (self.footers_moved, "long footers became part of the question"),
            (self.empty_parts, "empty parts were left out"),
        ];
        let mut separator = "";
        for (count, what) in all.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, "{separator}{what}: {count}")?;
            separator = ", ";
        }
        Ok(())
    }
}
