//! How what a handler writes is written.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{markdown, marks};

/// What the signs in a text mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Nothing: the text is sent as it is.
    #[default]
    Plain,
    /// What they mean in Markdown. The customer gets WhatsApp's marks, or words without marks where the upstream shows
    /// none. A text in which nothing is surely Markdown is taken for WhatsApp's.
    Markdown,
    /// What they mean on WhatsApp: `*bold*`, `_italic_`, `~struck out~`, `` `code` ``. They are taken out where the
    /// upstream shows none.
    WhatsApp,
}

impl Format {
    /// Whether a text is sent as it is.
    pub fn is_plain(&self) -> bool {
        *self == Self::Plain
    }

    /// A text in this format as it is sent: with WhatsApp's marks, or without any where the upstream does not show
    /// them.
    pub fn written(self, text: &str, shows_marks: bool) -> Cow<'_, str> {
        match (self, shows_marks) {
            (Self::Plain, _) | (Self::WhatsApp, true) => Cow::Borrowed(text),
            (Self::Markdown, true) => markdown::with_marks(text),
            (Self::Markdown, false) => markdown::without_marks(text),
            (Self::WhatsApp, false) => marks::plain(text),
        }
    }
}
