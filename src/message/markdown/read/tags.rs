//! HTML between the words.

use std::ops::Range;

use super::{Link, MarkdownReader, RULE};
use crate::message::markdown::html::{HtmlKind, HtmlPiece, decoded, pieces};
use crate::message::markdown::run::{Run, Style};

impl MarkdownReader<'_> {
    pub(super) fn end_html(&mut self, range: Range<usize>) {
        let html = self.html.take().unwrap_or_default();
        self.html(html.trim_end_matches(['\n', '\r']));
        self.end_html_marks();
        self.skip_lines(range);
    }

    pub(super) fn html(&mut self, html: &str) {
        for HtmlPiece { piece, source, closed_by } in pieces(html) {
            // What nobody closes is a word in brackets: "your <code>".
            if closed_by.is_some_and(|tag| !self.holds(tag)) {
                self.words(source);
                continue;
            }
            self.is_markdown |= !matches!(piece, HtmlKind::Words(_));
            match piece {
                HtmlKind::Words(text) => self.words(&decoded(text)),
                HtmlKind::Nothing => {}
                // One that ends a line is no second one.
                HtmlKind::Break if self.text[self.at..].starts_with(['\n', '\r']) => {}
                HtmlKind::Break => self.runs.push(Run::words("\n", Style::NONE)),
                HtmlKind::Rule => self.runs.push(Run::words(RULE, Style::NONE)),
                HtmlKind::Item => self.runs.push(Run::words("- ", Style::NONE)),
                HtmlKind::Bold(opens) => turn(&mut self.bold[1], opens),
                HtmlKind::Italic(opens) => turn(&mut self.italic[1], opens),
                HtmlKind::Strike(opens) => turn(&mut self.strike[1], opens),
                HtmlKind::Link(leads_to) => {
                    self.html_links.push(Link { before: self.runs.len(), leads_to: leads_to.to_owned() });
                }
                HtmlKind::LinkEnd => {
                    if let Some(link) = self.html_links.pop() {
                        self.end_html_link(link);
                    }
                }
                HtmlKind::Image(alt, source) => {
                    let before = self.runs.len();
                    self.words(&decoded(alt));
                    let leads_to = if source.starts_with("data:") { "" } else { source };
                    self.end_link(Link { before, leads_to: leads_to.to_owned() });
                }
            }
        }
    }

    /// Whether the text holds a tag, in whatever case.
    pub(super) fn holds(&mut self, tag: String) -> bool {
        if let Some(holds) = self.held.get(&tag) {
            return *holds;
        }
        let mut tags = self.text.match_indices("</").map(|(at, _)| &self.text.as_bytes()[at..]);
        let holds =
            tags.any(|bytes| bytes.get(..tag.len()).is_some_and(|found| found.eq_ignore_ascii_case(tag.as_bytes())));
        self.held.insert(tag, holds);
        holds
    }

    pub(super) fn end_html_link(&mut self, link: Link) {
        // A row of a list or a cell may have taken its words away.
        let before = link.before.min(self.runs.len());
        self.end_link(Link { before, ..link });
    }

    /// HTML that nobody has closed ends with the paragraph.
    pub(super) fn end_html_marks(&mut self) {
        (self.bold[1], self.italic[1], self.strike[1]) = (0, 0, 0);
        // An address is never lost.
        while let Some(link) = self.html_links.pop() {
            self.end_html_link(link);
        }
    }
}

fn turn(open: &mut usize, opens: bool) {
    *open = if opens { *open + 1 } else { open.saturating_sub(1) };
}
