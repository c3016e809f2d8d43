//! What a parser finds in Markdown, as runs of words. What it says nothing of is copied.

mod addresses;
mod blocks;
mod tags;

use std::collections::BTreeMap;
use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, LinkType, Options, Parser, Tag, TagEnd};

use super::run::{Run, RunKind, Style};
use super::table::{Cell, Table};

/// What a line across is written as.
const RULE: &str = "———";

/// Names that Python writes between two underscores.
const DUNDERS: [&str; 12] =
    ["init", "name", "main", "file", "dict", "str", "repr", "call", "all", "doc", "class", "pycache"];

/// The runs of a text; none if nothing in it is surely Markdown.
pub(super) fn read(text: &str) -> Option<Vec<Run>> {
    // Without one of these there is none of what is surely Markdown.
    if !text.bytes().any(|byte| matches!(byte, b'*' | b'_' | b'~' | b'#' | b'[' | b'|' | b'<' | b'`')) {
        return None;
    }
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS | Options::ENABLE_FOOTNOTES;
    let parser = Parser::new_ext(text, options);
    let mut reader = MarkdownReader::of(text);
    if parser.reference_definitions().iter().next().is_some() {
        let used = used_definitions(Parser::new_ext(text, options));
        let definitions = parser.reference_definitions();
        reader.dead.extend(used.iter().filter_map(|id| Some(definitions.get(id)?.span.clone())));
        reader.dead.sort_by_key(|span| span.start);
        reader.dead.dedup();
    }
    for (event, range) in parser.into_offset_iter() {
        reader.take(event, range);
    }
    reader.gap(text.len());
    reader.is_markdown.then_some(reader.runs)
}

/// The names of the addresses that links refer to.
fn used_definitions(parser: Parser<'_>) -> Vec<String> {
    parser
        .filter_map(|event| match event {
            Event::Start(Tag::Link { link_type, id, .. } | Tag::Image { link_type, id, .. })
                if is_reference(link_type) =>
            {
                Some(id.into_string())
            }
            _ => None,
        })
        .collect()
}

fn is_reference(link: LinkType) -> bool {
    matches!(link, LinkType::Reference | LinkType::Collapsed | LinkType::Shortcut)
}

/// A link whose end is not there yet.
struct Link {
    /// How many runs there were before.
    before: usize,
    leads_to: String,
}

struct MarkdownReader<'t> {
    text: &'t str,
    /// How much of the text has been looked at.
    at: usize,
    runs: Vec<Run>,
    is_markdown: bool,
    /// Addresses that stand in the links which refer to them.
    dead: Vec<Range<usize>>,
    /// Addresses that stand among the words, in order.
    bare: Vec<Range<usize>>,
    /// How many marks of each kind are open: Markdown's, and those of HTML.
    bold: [usize; 2],
    italic: [usize; 2],
    strike: [usize; 2],
    /// For each open mark, whether it is one or the signs are words.
    marks: Vec<bool>,
    links: Vec<Link>,
    html_links: Vec<Link>,
    quotes: usize,
    /// What is open of a heading: whether the line below it is one across.
    ruled: bool,
    /// The marker of the row of a list that has just begun: how many runs there were before.
    bullet: Option<usize>,
    table: Option<Table>,
    /// The row of the table that is read.
    row: Vec<Cell>,
    /// Where the block of code began that is read.
    code: Option<CodeBlock>,
    html: Option<String>,
    /// Which tags the text holds, as far as that was asked.
    held: BTreeMap<String, bool>,
}

struct CodeBlock {
    text: String,
    is_fence: bool,
}

impl<'t> MarkdownReader<'t> {
    fn of(text: &'t str) -> Self {
        Self {
            text,
            at: 0,
            runs: Vec::new(),
            is_markdown: false,
            dead: Vec::new(),
            bare: addresses::bare(text),
            bold: [0; 2],
            italic: [0; 2],
            strike: [0; 2],
            marks: Vec::new(),
            links: Vec::new(),
            html_links: Vec::new(),
            quotes: 0,
            ruled: false,
            bullet: None,
            table: None,
            row: Vec::new(),
            code: None,
            html: None,
            held: BTreeMap::new(),
        }
    }

    fn take(&mut self, event: Event<'_>, range: Range<usize>) {
        if let Some(code) = &mut self.code {
            match event {
                Event::Text(text) => code.text.push_str(&text),
                Event::End(TagEnd::CodeBlock) => self.end_code(range),
                _ => {}
            }
            return;
        }
        if let Some(html) = &mut self.html {
            match event {
                Event::Html(text) | Event::Text(text) => html.push_str(&text),
                Event::End(TagEnd::HtmlBlock) => self.end_html(range),
                _ => {}
            }
            return;
        }
        let bullet = self.bullet.take();
        match event {
            Event::Start(Tag::Paragraph) => self.bullet = bullet,
            Event::Start(tag) => self.start(tag, range),
            Event::End(tag) => self.end(tag, range),
            Event::Text(text) => self.put(range, |reader| reader.words(&text)),
            Event::Code(text) => self.put(range, |reader| {
                let (text, style) = (text.into_string(), reader.style());
                reader.runs.push(Run { text, style, kind: RunKind::Code });
            }),
            Event::InlineHtml(html) => {
                self.gap(range.start);
                self.at = range.end;
                self.html(&html);
            }
            Event::SoftBreak | Event::HardBreak => {
                self.gap(range.start);
                self.runs.push(Run::words("\n", Style::NONE));
                self.at = range.end;
            }
            Event::Rule => {
                self.gap(range.start);
                self.runs.push(Run::words(RULE, Style::NONE));
                self.skip_lines(range);
            }
            Event::TaskListMarker(done) => {
                match bullet {
                    Some(before) => self.runs.truncate(before),
                    None => self.gap(range.start),
                }
                self.runs.push(Run::words(if done { "☑" } else { "☐" }, Style::NONE));
                self.at = range.end;
                self.is_markdown = true;
            }
            Event::FootnoteReference(label) => self.put(range, |reader| reader.words(&format!("[{label}]"))),
            Event::Html(_) | Event::InlineMath(_) | Event::DisplayMath(_) => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>, range: Range<usize>) {
        match tag {
            Tag::Strong | Tag::Emphasis | Tag::Strikethrough => self.open(&tag, range),
            Tag::Heading { .. } => self.start_heading(range),
            Tag::Item => {
                self.gap(range.start);
                let marker = self.text.as_bytes().get(range.start).filter(|sign| b"-*+".contains(sign));
                if marker.is_some() {
                    self.bullet = Some(self.runs.len());
                    self.runs.push(Run::words("-", Style::NONE));
                    self.at = range.start + 1;
                }
            }
            Tag::BlockQuote(_) => {
                self.gap(range.start);
                // WhatsApp knows no quote within a quote.
                if self.quotes > 0 && self.text[self.at..].starts_with('>') {
                    self.at += 1 + usize::from(self.text[self.at + 1..].starts_with(' '));
                }
                self.quotes += 1;
            }
            Tag::CodeBlock(kind) => {
                self.gap(range.start);
                let is_fence = matches!(kind, CodeBlockKind::Fenced(_));
                if let CodeBlockKind::Fenced(language) = kind {
                    self.is_markdown |= is_language(&language) && self.is_closed(&range);
                }
                self.code = Some(CodeBlock { text: String::new(), is_fence });
            }
            Tag::HtmlBlock => {
                self.gap(range.start);
                self.html = Some(String::new());
            }
            Tag::Link { link_type, dest_url, .. } => {
                let sign = usize::from(link_type != LinkType::Autolink || self.text[range.start..].starts_with('<'));
                let is_address = matches!(link_type, LinkType::Autolink | LinkType::Email);
                let leads_to = if is_address { String::new() } else { dest_url.into_string() };
                self.is_markdown |= !is_address;
                self.start_link(range.start, sign, leads_to);
            }
            Tag::Image { dest_url, .. } => {
                self.is_markdown = true;
                let is_inline = dest_url.starts_with("data:");
                self.start_link(range.start, 2, if is_inline { String::new() } else { dest_url.into_string() });
            }
            Tag::FootnoteDefinition(label) => {
                self.gap(range.start);
                self.is_markdown = true;
                let sign = format!("[^{label}]");
                if self.text[range.start..].starts_with(&sign) {
                    self.runs.push(Run::words(format!("[{label}]"), Style::NONE));
                    self.at = range.start + sign.len();
                }
            }
            Tag::Table(_) => {
                self.gap(range.start);
                self.is_markdown = true;
                self.table = Some(Table::default());
                // What is read from here on is the row.
                self.links.push(Link { before: self.runs.len(), leads_to: String::new() });
            }
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd, range: Range<usize>) {
        match tag {
            TagEnd::Strong | TagEnd::Emphasis | TagEnd::Strikethrough => self.close(tag, range),
            TagEnd::Heading(_) => self.end_heading(range),
            TagEnd::BlockQuote(_) => {
                self.gap(range.end);
                self.quotes -= 1;
            }
            TagEnd::Link | TagEnd::Image => {
                self.at = self.at.max(range.end);
                // The brackets of `[name][]` are not always counted in.
                if self.text[self.at..].starts_with("[]") {
                    self.at += 2;
                }
                if let Some(link) = self.links.pop() {
                    self.end_link(link);
                }
            }
            TagEnd::TableCell => {
                self.end_html_marks();
                let before = self.links.last().map_or(0, |table| table.before);
                self.row.push(self.runs.split_off(before));
            }
            TagEnd::TableHead => {
                let row = std::mem::take(&mut self.row);
                self.table.get_or_insert_default().header = row;
            }
            TagEnd::TableRow => {
                let row = std::mem::take(&mut self.row);
                self.table.get_or_insert_default().rows.push(row);
            }
            TagEnd::Table => {
                self.links.pop();
                let table = self.table.take().unwrap_or_default();
                let line = if self.quotes > 0 { "> " } else { "" };
                let longest = 4 * range.len();
                self.runs.extend(table.lines(line, longest));
                self.skip_lines(range);
            }
            TagEnd::Paragraph | TagEnd::Item => self.end_html_marks(),
            _ => {}
        }
    }

    fn style(&self) -> Style {
        let open = |marks: [usize; 2]| marks != [0; 2];
        Style { bold: open(self.bold), italic: open(self.italic), strike: open(self.strike) }
    }

    /// Copies what stands before an event. There, a backslash at the end was an escape.
    fn gap(&mut self, to: usize) {
        let from = self.at;
        if from >= to {
            return;
        }
        self.at = to;
        if self.table.is_some() {
            return;
        }
        let mut kept = String::new();
        let mut at = from;
        let first = self.dead.partition_point(|span| span.end <= from);
        for span in self.dead[first..].iter().take_while(|span| span.start < to) {
            kept.push_str(&self.text[at..span.start.max(at)]);
            at = span.end.clamp(at, to);
        }
        kept.push_str(&self.text[at..to]);
        if kept.ends_with('\\') && to < self.text.len() {
            kept.pop();
        }
        if self.quotes > 0 && kept.contains('>') {
            kept = quoted(&kept);
        }
        self.runs.push(Run::words(kept, Style::NONE));
    }

    /// What stands before an event, then what the event says.
    fn put(&mut self, range: Range<usize>, says: impl FnOnce(&mut Self)) {
        self.gap(range.start);
        self.at = self.at.max(range.end);
        says(self);
    }

    fn words(&mut self, text: &str) {
        let style = self.style();
        self.runs.push(Run::words(text, style));
    }

    /// Goes on behind a block; the lines that end it stay.
    fn skip_lines(&mut self, range: Range<usize>) {
        let block = &self.text[range.clone()];
        self.at = self.at.max(range.start + block.trim_end_matches(['\n', '\r']).len());
    }

    fn open(&mut self, tag: &Tag<'_>, range: Range<usize>) {
        let source = &self.text[range.clone()];
        let (width, marks) = match tag {
            Tag::Strong => (2, &mut self.bold),
            Tag::Emphasis => (1, &mut self.italic),
            _ => (if source.starts_with("~~") { 2 } else { 1 }, &mut self.strike),
        };
        let is_in_address = addresses::hold(&self.bare, range.start) || addresses::hold(&self.bare, range.end - 1);
        let is_mark = !is_in_address && !is_calculation(self.text, &range, width) && !is_name(self.text, &range);
        self.marks.push(is_mark);
        if is_mark {
            marks[0] += 1;
            self.is_markdown |= width == 2;
            self.gap(range.start);
            self.at = self.at.max(range.start + width);
        }
    }

    fn close(&mut self, tag: TagEnd, range: Range<usize>) {
        if !self.marks.pop().unwrap_or_default() {
            return;
        }
        let (width, marks) = match tag {
            TagEnd::Strong => (2, &mut self.bold),
            TagEnd::Emphasis => (1, &mut self.italic),
            _ => (if self.text[range.clone()].starts_with("~~") { 2 } else { 1 }, &mut self.strike),
        };
        marks[0] = marks[0].saturating_sub(1);
        self.gap(range.end - width);
        self.at = self.at.max(range.end);
    }
}

/// What may stand behind a fence for a language.
fn is_language(word: &str) -> bool {
    (1..=24).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+#-_.".contains(&byte))
}

/// Whether signs between numbers or letters multiply them: `2*3*4`, `2**8**2`.
fn is_calculation(text: &str, range: &Range<usize>, width: usize) -> bool {
    let inner = &text[range.start + width..range.end - width];
    let is_ascii = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let (before, behind) = (text[..range.start].chars().next_back(), text[range.end..].chars().next());
    let between = is_ascii(before) && is_ascii(behind) && !inner.contains(char::is_whitespace);
    between && (width == 1 || !inner.contains(char::is_alphabetic))
}

/// Whether it is a name of Python's: `__init__.py`.
fn is_name(text: &str, range: &Range<usize>) -> bool {
    let source = &text[range.clone()];
    let Some(inner) = source.strip_prefix("__").and_then(|inner| inner.strip_suffix("__")) else { return false };
    let mut behind = text[range.end..].chars();
    let goes_on = match behind.next() {
        Some('(') => true,
        Some('.') => behind.next().is_some_and(char::is_alphanumeric),
        _ => false,
    };
    goes_on || DUNDERS.contains(&inner)
}

/// Lines of a quote, with the one sign that WhatsApp knows.
fn quoted(gap: &str) -> String {
    let line = |line: &str| {
        let inner = line.trim_start_matches([' ', '\t']);
        if !inner.starts_with('>') {
            return line.to_owned();
        }
        let mut rest = inner;
        while let Some(inner) = rest.trim_start_matches([' ', '\t']).strip_prefix('>') {
            rest = inner;
        }
        format!("> {}", rest.strip_prefix([' ', '\t']).unwrap_or(rest))
    };
    gap.split('\n').map(line).collect::<Vec<_>>().join("\n")
}
