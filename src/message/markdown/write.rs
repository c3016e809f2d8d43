//! Runs of words in WhatsApp's writing.

use std::mem;

use super::run::{Run, RunKind, Style};
use crate::message::marks::{Mark, Marked, Span};

/// So often a line is looked at for marks that a phone would not take for some. What it holds then is written without.
const ROUNDS: usize = 4;

/// The runs with WhatsApp's marks.
pub(super) fn with_marks(runs: &[Run]) -> String {
    write(runs, true)
}

/// The words alone.
pub(super) fn without_marks(runs: &[Run]) -> String {
    write(runs, false)
}

fn write(runs: &[Run], marks: bool) -> String {
    let mut page = PageWriter { text: String::new(), line: Vec::new(), blank: 0, behind_fence: false, marks };
    for run in runs {
        match run.kind {
            RunKind::Fence { quoted } => page.fence(&run.text, quoted),
            RunKind::Code => page.line.push(run.clone()),
            RunKind::Words => {
                for (number, words) in run.text.split('\n').enumerate() {
                    if number > 0 {
                        page.end_line();
                    }
                    if !words.is_empty() {
                        page.line.push(Run::words(words, run.style));
                    }
                }
            }
        }
    }
    let last = mem::take(&mut page.line);
    page.text.push_str(&line(last, marks));
    page.text
}

struct PageWriter {
    text: String,
    line: Vec<Run>,
    /// How many blank lines stand at the end.
    blank: usize,
    /// Whether the line that goes on here is the last of a fence.
    behind_fence: bool,
    marks: bool,
}

impl PageWriter {
    fn end_line(&mut self) {
        let line = line(mem::take(&mut self.line), self.marks);
        let is_blank = line.trim().is_empty() && !mem::take(&mut self.behind_fence);
        self.blank = if is_blank { self.blank + 1 } else { 0 };
        // What was taken out leaves no gap.
        if self.blank < 2 {
            self.text.push_str(&line);
            self.text.push('\n');
        }
    }

    fn fence(&mut self, code: &str, quoted: bool) {
        if code.trim().is_empty() {
            return;
        }
        let before = line(mem::take(&mut self.line), self.marks);
        self.text.push_str(&before);
        (self.blank, self.behind_fence) = (0, true);
        if !self.marks {
            let lines: Vec<&str> = code.split('\n').collect();
            self.text.push_str(&lines.join(if quoted { "\n> " } else { "\n" }));
            return;
        }
        let code = without_fences(code);
        if quoted {
            // A quote ends with its line, and so does what stands in it.
            let line = |line: &str| match line.trim() {
                "" => String::new(),
                code if code.starts_with('`') || code.ends_with('`') => line.to_owned(),
                _ => format!("```{line}```"),
            };
            self.text.push_str(&code.split('\n').map(line).collect::<Vec<_>>().join("\n> "));
        } else {
            self.text.push_str(&format!("```\n{code}\n```"));
        }
    }
}

/// Backticks that would be a fence, as other signs.
fn without_fences(text: &str) -> String {
    if text.contains("```") { text.replace("```", "'''") } else { text.to_owned() }
}

/// A pair of signs in a line that is being written.
#[derive(Clone, Copy)]
struct MarkPair {
    open: usize,
    close: usize,
}

fn line(runs: Vec<Run>, marks: bool) -> String {
    if !marks {
        return runs.into_iter().map(|run| run.text).collect();
    }
    let runs: Vec<Run> = runs.into_iter().map(|run| Run { text: without_fences(&run.text), ..run }).collect();
    if runs.iter().all(|run| run.kind == RunKind::Words && run.style == Style::NONE) {
        return without_fences(&runs.into_iter().map(|run| run.text).collect::<String>());
    }
    let (mut text, mut pairs) = marked(parts(runs));
    for round in 0.. {
        if pairs.is_empty() {
            break;
        }
        let read = Marked::read(&text);
        let (kept, lost): (Vec<MarkPair>, Vec<MarkPair>) =
            pairs.into_iter().partition(|pair| round < ROUNDS && is_read(read.spans(), *pair));
        if lost.is_empty() {
            break;
        }
        (text, pairs) = without(&text, &lost, kept);
    }
    without_fences(&text)
}

/// Whether a phone takes these signs for a pair.
fn is_read(spans: &[Span], pair: MarkPair) -> bool {
    let next = spans.partition_point(|span| span.whole.start <= pair.open);
    let Some(span) = next.checked_sub(1).map(|last| &spans[last]) else { return false };
    let is_it = span.whole.start == pair.open && span.whole.end == pair.close + 1;
    span.mark != Mark::Fence && (is_it || is_read(&span.within, pair))
}

/// The text without some pairs, and where the others stand then.
fn without(text: &str, lost: &[MarkPair], kept: Vec<MarkPair>) -> (String, Vec<MarkPair>) {
    let mut gone: Vec<usize> = lost.iter().flat_map(|pair| [pair.open, pair.close]).collect();
    gone.sort_unstable();
    let (mut left, mut at) = (String::with_capacity(text.len()), 0);
    for sign in &gone {
        left.push_str(&text[at..*sign]);
        at = sign + 1;
    }
    left.push_str(&text[at..]);
    let moved = |at: usize| at - gone.partition_point(|sign| *sign < at);
    let kept = kept.into_iter().map(|MarkPair { open, close }| MarkPair { open: moved(open), close: moved(close) });
    (left, kept.collect())
}

/// What of a line is shown alike. Blanks are shown as what stands on both of their sides; addresses have no marks.
fn parts(runs: Vec<Run>) -> Vec<Run> {
    let mut parts: Vec<Run> = Vec::new();
    for run in runs {
        let Run { text, style, kind } = run;
        if kind != RunKind::Words {
            parts.push(Run { text, style, kind });
            continue;
        }
        let mut rest = &*text;
        while !rest.is_empty() {
            let blank = rest.len() - rest.trim_start().len();
            let length = if blank > 0 { blank } else { rest.find(char::is_whitespace).unwrap_or(rest.len()) };
            let (word, behind) = rest.split_at(length);
            rest = behind;
            let style = if word.contains("://") { Style::NONE } else { style };
            parts.push(Run::words(word, style));
        }
    }
    let is_blank = |part: &Run| part.kind == RunKind::Words && part.text.trim().is_empty();
    let mut before = Style::NONE;
    for part in &mut parts {
        if is_blank(part) {
            part.style = part.style.and(before);
        } else {
            before = part.style;
        }
    }
    let mut behind = Style::NONE;
    for part in parts.iter_mut().rev() {
        if is_blank(part) {
            part.style = part.style.and(behind);
        } else {
            behind = part.style;
        }
    }
    parts
}

/// Whether words have a style.
type Has = fn(Style) -> bool;

/// A line with marks around its parts, and where they stand.
fn marked(parts: Vec<Run>) -> (String, Vec<MarkPair>) {
    const STYLES: [(char, Has); 3] =
        [('*', |style| style.bold), ('_', |style| style.italic), ('~', |style| style.strike)];
    // For how many parts each style goes on.
    let mut lasts = vec![[0usize; 3]; parts.len() + 1];
    for (number, part) in parts.iter().enumerate().rev() {
        for (style, (_, has)) in STYLES.iter().enumerate() {
            lasts[number][style] = if has(part.style) { lasts[number + 1][style] + 1 } else { 0 };
        }
    }
    let (mut text, mut pairs) = (String::new(), Vec::new());
    let mut open: Vec<(usize, usize)> = Vec::new();
    let close = |text: &mut String, pairs: &mut Vec<MarkPair>, (style, at): (usize, usize)| {
        pairs.push(MarkPair { open: at, close: text.len() });
        text.push(STYLES[style].0);
    };
    for (number, part) in parts.iter().enumerate() {
        while let Some(first) = open.iter().position(|(style, _)| lasts[number][*style] == 0) {
            for mark in open.split_off(first).into_iter().rev() {
                close(&mut text, &mut pairs, mark);
            }
        }
        let mut new: Vec<usize> =
            (0..3).filter(|style| lasts[number][*style] > 0 && !open.iter().any(|(other, _)| other == style)).collect();
        new.sort_by_key(|style| std::cmp::Reverse(lasts[number][*style]));
        for style in new {
            open.push((style, text.len()));
            text.push(STYLES[style].0);
        }
        let is_code = part.kind == RunKind::Code && !part.text.contains('`') && !part.text.trim().is_empty();
        if is_code {
            let at = text.len();
            text.push('`');
            text.push_str(&part.text);
            pairs.push(MarkPair { open: at, close: text.len() });
            text.push('`');
        } else {
            text.push_str(&part.text);
        }
    }
    for mark in open.into_iter().rev() {
        close(&mut text, &mut pairs, mark);
    }
    (text, pairs)
}
