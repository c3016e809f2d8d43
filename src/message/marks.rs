//! WhatsApp's marks, as its phones read them: `*bold*`, `_italic_`, `~struck out~`, `` `code` `` and fences of three
//! backticks.
//!
//! A mark opens behind what is no letter and no digit, before something that is no blank, and closes the other way
//! round, in the same line; a fence may hold several lines. There is no escape: a sign that has no partner is a sign.
//! Addresses keep the signs that they hold.

use std::borrow::Cow;
use std::ops::Range;

/// What a mark does to the words within.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// `*`
    Bold,
    /// `_`
    Italic,
    /// `~`
    Strike,
    /// One backtick.
    Code,
    /// Three backticks.
    Fence,
}

impl Mark {
    fn of(sign: u8) -> Option<Self> {
        match sign {
            b'*' => Some(Self::Bold),
            b'_' => Some(Self::Italic),
            b'~' => Some(Self::Strike),
            _ => None,
        }
    }
}

/// Words between two marks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// What it is.
    pub(crate) mark: Mark,
    /// From the first sign to the last, in bytes.
    pub(crate) whole: Range<usize>,
    /// What stands between the signs.
    pub(crate) inner: Range<usize>,
    /// The spans in it.
    pub(crate) within: Vec<Span>,
}

/// A text and the spans in it.
#[derive(Debug)]
pub(crate) struct Marked<'t> {
    text: &'t str,
    spans: Vec<Span>,
}

/// Where a text is cut, and what is written there so that either side shows what it showed before.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Cut {
    /// Where the first side ends.
    pub(crate) end: usize,
    /// What closes it.
    pub(crate) closing: String,
    /// Where the second side begins.
    pub(crate) begin: usize,
    /// What opens it.
    pub(crate) opening: String,
    /// Whether the second side goes on with a line that is a quote.
    pub(crate) quoted: bool,
}

impl<'t> Marked<'t> {
    /// Finds the marks in `text`.
    pub(crate) fn read(text: &'t str) -> Self {
        Self { text, spans: spans(text) }
    }

    /// The outermost spans, in order.
    pub(crate) fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// The text without its marks.
    pub(crate) fn plain(&self) -> Cow<'t, str> {
        if self.spans.is_empty() {
            return Cow::Borrowed(self.text);
        }
        let (mut plain, mut at) = (String::with_capacity(self.text.len()), 0);
        self.write_plain(&self.spans, &mut at, &mut plain);
        plain.push_str(&self.text[at..]);
        Cow::Owned(plain)
    }

    fn write_plain(&self, spans: &[Span], at: &mut usize, plain: &mut String) {
        for span in spans {
            let Span { mark, whole, inner, within } = span;
            plain.push_str(&self.text[*at..whole.start]);
            let (mut start, mut end) = (inner.start, inner.end);
            if *mark == Mark::Fence && self.text[inner.clone()].starts_with('\n') {
                start += 1;
                end -= usize::from(end > start && self.text[..end].ends_with('\n'));
            }
            *at = start;
            self.write_plain(within, at, plain);
            plain.push_str(&self.text[*at..end]);
            *at = whole.end;
        }
    }

    /// Cuts what stands behind byte `from` at byte `at`. `quoted` says whether `from` goes on with a line that is a
    /// quote.
    pub(crate) fn cut(&self, from: usize, at: usize, quoted: bool) -> Cut {
        let mut end = at;
        let open = loop {
            let open = self.around(end);
            // A span that would end with nothing in it begins behind the cut.
            let unbegun = open.iter().find(|span| {
                let begins = span.inner.start.max(from);
                (begins >= end || is_blank(&self.text[begins..end])) && !is_blank(self.between(from, span.whole.start))
            });
            match unbegun {
                Some(span) => end = span.whole.start,
                None => break open,
            }
        };
        if let Some(span) = open.last() {
            end = end.min(span.inner.end);
        }
        let mut cut = Cut { end, begin: end, ..Cut::default() };
        let mut still_open = open.len();
        for span in open.iter().rev() {
            cut.closing.push_str(self.closing(span));
            // One in which nothing is left is over.
            if still_open > 0 && is_blank(self.between(cut.begin, span.inner.end)) {
                cut.begin = span.whole.end;
                still_open -= 1;
            } else {
                break;
            }
        }
        // The innermost of those that go on has been closed above.
        for span in open[..still_open.saturating_sub(1)].iter().rev() {
            cut.closing.push_str(self.closing(span));
        }
        let in_fence = open[..still_open].iter().any(|span| span.mark == Mark::Fence);
        let rest = &self.text[cut.begin..];
        let blank = rest.len() - rest.trim_start().len();
        // A line keeps its indentation: of code, and of lists in lists.
        let line_end = rest[..blank].rfind('\n');
        let skipped = line_end.map_or(blank, |at| at + 1);
        let line = self.between(from, cut.end);
        let line_quoted = match line.rfind('\n') {
            Some(at) => is_quote(&line[at + 1..]),
            None => quoted || (is_line_start(self.text, from) && is_quote(line)),
        };
        cut.quoted = line_quoted && !in_fence && !self.text[cut.end..cut.begin + skipped].contains('\n');
        cut.begin += skipped;
        if cut.quoted {
            cut.opening.push_str("> ");
        }
        for span in &open[..still_open] {
            cut.opening.push_str(self.opening(span));
        }
        cut
    }

    /// Where the signs of all spans stand, in order.
    pub(crate) fn signs(&self) -> Vec<Range<usize>> {
        fn add(spans: &[Span], signs: &mut Vec<Range<usize>>) {
            for span in spans {
                signs.push(span.whole.start..span.inner.start);
                add(&span.within, signs);
                signs.push(span.inner.end..span.whole.end);
            }
        }
        let mut signs = Vec::new();
        add(&self.spans, &mut signs);
        signs
    }

    /// Where the first words behind byte `from` begin, behind blanks and signs that open spans, and what opens those
    /// spans.
    pub(crate) fn first_words(&self, from: usize) -> (usize, String) {
        let (mut at, mut opening, mut spans) = (from, String::new(), &self.spans);
        loop {
            let rest = &self.text[at..];
            let begin = at + rest.len() - rest.trim_start().len();
            let next = spans.partition_point(|span| span.whole.start < begin);
            let Some(span) = spans.get(next).filter(|span| span.whole.start == begin) else { return (begin, opening) };
            opening.push_str(self.opening(span));
            at = span.inner.start;
            if span.mark == Mark::Fence {
                let inner = &self.text[span.inner.clone()];
                let blank = inner.len() - inner.trim_start().len();
                // What stands in a fence keeps its indentation.
                let skipped = inner[..blank].rfind('\n').map_or(blank, |line_end| line_end + 1);
                return (at + skipped, opening);
            }
            spans = &span.within;
        }
    }

    /// The spans that byte `at` stands in or between the signs of, the outermost first.
    fn around(&self, at: usize) -> Vec<&Span> {
        let (mut found, mut spans) = (Vec::new(), &self.spans);
        loop {
            let next = spans.partition_point(|span| span.whole.start < at);
            let Some(span) = next.checked_sub(1).map(|last| &spans[last]).filter(|span| at < span.whole.end) else {
                return found;
            };
            found.push(span);
            spans = &span.within;
        }
    }

    fn between(&self, from: usize, to: usize) -> &'t str {
        self.text.get(from..to).unwrap_or_default()
    }

    fn closing(&self, span: &Span) -> &'static str {
        match span.mark {
            Mark::Fence if self.is_block(span) => "\n```",
            mark => signs(mark),
        }
    }

    fn opening(&self, span: &Span) -> &'static str {
        match span.mark {
            Mark::Fence if self.is_block(span) => "```\n",
            mark => signs(mark),
        }
    }

    fn is_block(&self, span: &Span) -> bool {
        self.text[span.inner.clone()].contains('\n')
    }
}

/// The text without WhatsApp's marks.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    Marked::read(text).plain()
}

/// What `text` says up to byte `at`, and `end`; what is open there is closed. That takes [`LONGEST_CLOSING`] characters
/// more at the most.
pub(crate) fn beginning(text: &str, at: usize, end: &str) -> String {
    let cut = Marked::read(text).cut(0, at, false);
    let kept = text[..cut.end].trim_end();
    let code = cut.closing.starts_with('\n');
    let gap = if code && !end.is_empty() { "\n" } else { "" };
    format!("{kept}{gap}{end}{}", cut.closing)
}

/// How many characters [`beginning`] may add beside `end`.
pub(crate) const LONGEST_CLOSING: usize = 5;

fn signs(mark: Mark) -> &'static str {
    match mark {
        Mark::Bold => "*",
        Mark::Italic => "_",
        Mark::Strike => "~",
        Mark::Code => "`",
        Mark::Fence => "```",
    }
}

fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

fn is_quote(line: &str) -> bool {
    line.starts_with("> ")
}

fn is_line_start(text: &str, at: usize) -> bool {
    at == 0 || text[..at].ends_with('\n')
}

/// The spans of a text, those in a line as well as fences.
fn spans(text: &str) -> Vec<Span> {
    if !text.bytes().any(|byte| matches!(byte, b'*' | b'_' | b'~' | b'`')) {
        return Vec::new();
    }
    let ticks = ticks(text);
    let mut fences = ticks.iter().filter(|ticks| ticks.len() >= 3).peekable();
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some(first) = fences.next() {
        let Some(second) = fences.peek().filter(|second| !is_blank(&text[first.end..second.start])) else { continue };
        let (whole, inner) = (first.start..second.end, first.end..second.start);
        fences.next();
        lines(text, at..whole.start, &ticks, &mut found);
        at = whole.end;
        found.push(Span { mark: Mark::Fence, whole, inner, within: Vec::new() });
    }
    lines(text, at..text.len(), &ticks, &mut found);
    found
}

/// The runs of backticks.
fn ticks(text: &str) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (at, _) in text.match_indices('`') {
        match runs.last_mut() {
            Some(run) if run.end == at => run.end += 1,
            _ => runs.push(at..at + 1),
        }
    }
    runs
}

fn lines(text: &str, range: Range<usize>, ticks: &[Range<usize>], found: &mut Vec<Span>) {
    let mut start = range.start;
    for line in text[range].split_inclusive('\n') {
        let range = start..start + line.len();
        start = range.end;
        if line.bytes().any(|byte| matches!(byte, b'*' | b'_' | b'~' | b'`')) {
            let first = ticks.partition_point(|ticks| ticks.start < range.start);
            let last = ticks.partition_point(|ticks| ticks.start < range.end);
            MarkedLine::read(text, range.clone(), &ticks[first..last]).spans(range, &mut Vec::new(), found);
        }
    }
}

/// One line, or what of it stands beside fences.
struct MarkedLine<'t> {
    text: &'t str,
    codes: Vec<Span>,
    /// In which no mark is read: code and addresses, in order.
    opaque: Vec<Range<usize>>,
    /// Where a mark may close, by its sign.
    closers: [Vec<usize>; 3],
}

impl<'t> MarkedLine<'t> {
    fn read(text: &'t str, range: Range<usize>, ticks: &[Range<usize>]) -> Self {
        let mut codes = Vec::new();
        let mut single = ticks.iter().filter(|ticks| ticks.len() == 1).peekable();
        while let Some(first) = single.next() {
            let inner = |second: &&&Range<usize>| !is_blank(&text[first.end..second.start]);
            let Some(second) = single.peek().filter(inner) else { continue };
            let (whole, inner) = (first.start..second.end, first.end..second.start);
            single.next();
            codes.push(Span { mark: Mark::Code, whole, inner, within: Vec::new() });
        }
        let mut opaque = addresses(text, range.clone());
        opaque.retain(|address| {
            let next = codes.partition_point(|code| code.whole.start < address.start);
            next.checked_sub(1).is_none_or(|last| codes[last].whole.end <= address.start)
        });
        opaque.extend(codes.iter().map(|code| code.whole.clone()));
        opaque.sort_by_key(|range| range.start);
        let mut line = Self { text, codes, opaque, closers: Default::default() };
        for (at, sign) in text[range.clone()].bytes().enumerate() {
            let at = range.start + at;
            if let Some(mark) = Mark::of(sign).filter(|_| line.closes(at) && line.opaque_at(at).is_none()) {
                line.closers[mark as usize].push(at);
            }
        }
        line
    }

    /// Where what byte `at` stands in ends, if no mark is read there.
    fn opaque_at(&self, at: usize) -> Option<usize> {
        let next = self.opaque.partition_point(|range| range.start <= at);
        next.checked_sub(1).map(|last| &self.opaque[last]).filter(|range| range.contains(&at)).map(|range| range.end)
    }

    fn closes(&self, at: usize) -> bool {
        let (before, behind) = self.text.split_at(at);
        let mut behind = behind.chars();
        let sign = behind.next();
        let previous = before.chars().next_back();
        previous.is_some_and(|c| !c.is_whitespace() && Some(c) != sign) && !behind.next().is_some_and(is_word)
    }

    fn opens(&self, at: usize) -> bool {
        let (before, behind) = self.text.split_at(at);
        let mut behind = behind.chars();
        let sign = behind.next();
        let next = behind.next();
        next.is_some_and(|c| !c.is_whitespace() && Some(c) != sign) && !before.chars().next_back().is_some_and(is_word)
    }

    /// The spans of a range, within those of the marks that are `open`.
    fn spans(&self, range: Range<usize>, open: &mut Vec<Mark>, found: &mut Vec<Span>) {
        let mut at = range.start;
        while at < range.end {
            if let Some(end) = self.opaque_at(at) {
                let code = self.codes.partition_point(|code| code.whole.start < at);
                found.extend(self.codes.get(code).filter(|code| code.whole.start == at).cloned());
                at = end.max(at + 1);
                continue;
            }
            let mark = Mark::of(self.text.as_bytes()[at]).filter(|mark| !open.contains(mark) && self.opens(at));
            let closer = mark.and_then(|mark| {
                let closers = &self.closers[mark as usize];
                closers.get(closers.partition_point(|closer| *closer < at + 2)).copied()
            });
            let Some((mark, closer)) = mark.zip(closer.filter(|closer| *closer < range.end)) else {
                at += 1;
                continue;
            };
            let inner = at + 1..closer;
            let mut within = Vec::new();
            open.push(mark);
            self.spans(inner.clone(), open, &mut within);
            open.pop();
            found.push(Span { mark, whole: at..closer + 1, inner, within });
            at = closer + 1;
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric()
}

/// Where addresses stand, without the signs that may end them.
fn addresses(text: &str, range: Range<usize>) -> Vec<Range<usize>> {
    let line = &text[range.clone()];
    let (mut found, mut read) = (Vec::new(), 0);
    for (at, _) in line.match_indices("://") {
        if at < read {
            continue;
        }
        let start = at - (line[..at].len() - line[..at].trim_end_matches(|c: char| c.is_ascii_alphabetic()).len());
        let word = line[start..].split(|c: char| c.is_whitespace() || c == '`').next().unwrap_or_default();
        read = start + word.len();
        let word = word.trim_end_matches(|c: char| "*_~`.,;:!?)]".contains(c));
        if start < at {
            found.push(range.start + start..range.start + start + word.len());
        }
    }
    found
}

#[cfg(test)]
mod tests;
