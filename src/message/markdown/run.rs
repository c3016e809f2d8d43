//! Words that are shown alike.

/// How words are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Style {
    pub(super) bold: bool,
    pub(super) italic: bool,
    pub(super) strike: bool,
}

impl Style {
    pub(super) const NONE: Self = Self { bold: false, italic: false, strike: false };

    /// What both have.
    pub(super) fn and(self, other: Self) -> Self {
        Self { bold: self.bold && other.bold, italic: self.italic && other.italic, strike: self.strike && other.strike }
    }
}

/// What a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RunKind {
    /// Words, or what stands between them.
    Words,
    /// Code within a line.
    Code,
    /// Lines of code.
    Fence {
        /// Whether they stand in a quote.
        quoted: bool,
    },
}

/// Words that are shown alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) text: String,
    pub(super) style: Style,
    pub(super) kind: RunKind,
}

impl Run {
    pub(super) fn words(text: impl Into<String>, style: Style) -> Self {
        Self { text: text.into(), style, kind: RunKind::Words }
    }
}
