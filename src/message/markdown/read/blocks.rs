//! Headings, links and code.

use std::ops::Range;

use super::{CodeBlock, Link, MarkdownReader, RULE};
use crate::message::markdown::run::{Run, RunKind, Style};

impl MarkdownReader<'_> {
    pub(super) fn start_heading(&mut self, range: Range<usize>) {
        self.gap(range.start);
        let source = &self.text[range.clone()];
        let words = source.trim_start_matches('#');
        if words.len() < source.len() {
            self.is_markdown |= !words.trim_matches(['#', ' ', '\t', '\n', '\r']).is_empty();
            let begin = words.trim_start_matches([' ', '\t']);
            self.at = range.end - begin.len();
            self.bold[0] += 1;
            self.ruled = false;
        } else {
            // What stands above a line of hyphens is a paragraph more often than a heading.
            self.ruled = source.trim_end().ends_with('-');
            self.bold[0] += usize::from(!self.ruled);
        }
    }

    pub(super) fn end_heading(&mut self, range: Range<usize>) {
        self.end_html_marks();
        if self.ruled {
            self.runs.push(Run::words(format!("\n{RULE}"), Style::NONE));
        } else {
            self.bold[0] = self.bold[0].saturating_sub(1);
        }
        self.ruled = false;
        self.skip_lines(range);
    }

    pub(super) fn start_link(&mut self, start: usize, sign: usize, leads_to: String) {
        self.gap(start);
        self.at = self.at.max(start + sign);
        self.links.push(Link { before: self.runs.len(), leads_to });
    }

    /// Where a link leads stands behind its words, unless they say it.
    pub(super) fn end_link(&mut self, link: Link) {
        let Link { before, leads_to } = link;
        if leads_to.is_empty() || leads_to.starts_with('#') {
            return;
        }
        let mut words = String::new();
        for run in &self.runs[before..] {
            words.push_str(&run.text);
            if words.len() > leads_to.len() + 64 {
                break;
            }
        }
        let words = words.trim();
        let is_said = ["", "mailto:", "tel:"].iter().any(|scheme| leads_to.strip_prefix(scheme) == Some(words));
        if is_said {
            return;
        }
        let said_in_full = leads_to.strip_prefix("https://").or_else(|| leads_to.strip_prefix("http://"));
        if words.is_empty() || said_in_full.is_some_and(|host| host.trim_end_matches('/') == words) {
            self.runs.truncate(before);
            self.runs.push(Run::words(leads_to, Style::NONE));
        } else {
            self.runs.push(Run::words(format!(" ({leads_to})"), Style::NONE));
        }
    }

    pub(super) fn end_code(&mut self, range: Range<usize>) {
        let Some(CodeBlock { text, is_fence }) = self.code.take() else { return };
        if !is_fence {
            // Four blanks are an indentation far more often than code.
            let block = &self.text[self.at..range.end];
            self.runs.push(Run::words(block, Style::NONE));
            self.at = range.end;
            return;
        }
        let quoted = self.quotes > 0;
        if let Some(line) = self.runs.last_mut().filter(|_| !quoted) {
            // The fence, and what stands in it, begin with the line.
            let indented = line.text.trim_end_matches([' ', '\t']).len();
            if indented == 0 || line.text[..indented].ends_with('\n') {
                line.text.truncate(indented);
            }
        }
        let (mut text, mut rest) = (text, None);
        if !self.is_closed(&range) {
            // On WhatsApp a fence may open and close within a line.
            let block = &self.text[range.clone()];
            let signs = block.len() - block.trim_start_matches('`').len();
            if let Some(end) = block[signs..].find("```").filter(|_| signs >= 3) {
                text = block[signs..signs + end].to_owned();
                rest = Some(block[signs + end + 3..].to_owned());
                self.at = range.end;
            }
        }
        let text = text.trim_end_matches(['\n', '\r']).to_owned();
        self.runs.push(Run { text, style: Style::NONE, kind: RunKind::Fence { quoted } });
        match rest {
            Some(rest) => self.runs.push(Run::words(rest, Style::NONE)),
            None => self.skip_lines(range),
        }
    }

    /// Whether a fence has an end.
    pub(super) fn is_closed(&self, range: &Range<usize>) -> bool {
        let block = self.text[range.clone()].trim_end();
        let sign = if block.starts_with('~') { '~' } else { '`' };
        let last = block.lines().next_back().unwrap_or_default();
        let last = last.trim_start_matches([' ', '\t', '>']);
        last.len() >= 3 && last.len() < block.len() && last.chars().all(|c| c == sign)
    }
}
