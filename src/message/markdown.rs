//! Markdown as WhatsApp writes it.
//!
//! | file | what it is |
//! |---|---|
//! | `read` | what the parser finds, as runs of words |
//! | `html` | the HTML in it |
//! | `table` | a table as lines |
//! | `write` | runs as WhatsApp's writing |
//!
//! `pulldown-cmark` says where Markdown stands in a text; only that is written otherwise, and the rest stays as it was:
//! blanks, lines, lists. WhatsApp's own `*bold*` is Markdown for italic, so a text is taken for Markdown only if
//! something in it surely is: `**`, `__` or `~~` around words, a heading, a link, a table, a fence with a language, a
//! task, a footnote, HTML.
//!
//! The work grows with the bytes of a text and not with how deep things nest in it. The parser's events are read one
//! after the other, without recursion, and each is written at most a few times: a table repeats its heads up to four
//! times its own length, a line is looked at for marks four times (`write`). Of what nests, WhatsApp's marks alone are
//! read by recursion (`marks`): each sign is open at most once, so they stand four deep at the most. Quotes within
//! quotes become one quote.
//!
//! WhatsApp has no escape: a sign that Markdown takes for a sign stays one, even where a phone may read a mark in it.
//! Invisible characters would keep it from that, and would be copied along with the words.

mod html;
mod read;
mod run;
mod table;
mod write;

use std::borrow::Cow;

/// The text with WhatsApp's marks; as it is, if nothing in it is surely Markdown.
pub(crate) fn with_marks(text: &str) -> Cow<'_, str> {
    read::read(text).map_or(Cow::Borrowed(text), |runs| Cow::Owned(write::with_marks(&runs)))
}

/// The text without marks, whether they were Markdown's or WhatsApp's.
pub(crate) fn without_marks(text: &str) -> Cow<'_, str> {
    read::read(text).map_or_else(|| super::marks::plain(text), |runs| Cow::Owned(write::without_marks(&runs)))
}

#[cfg(test)]
mod tests;
