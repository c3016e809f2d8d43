//! The events of a stream, or the one document of a server that cannot stream, out of the bytes of its body.
//!
//! What a line says is looked at as leniently as it can be without a word being lost: an event may be a line without an
//! empty one behind it, text that was never meant as JSON is no event, and JSON that cannot be read is told of.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::time::{Instant, timeout};

use super::Unanswered;
use super::mend::mended;
use super::usual;
use crate::message::json;
use crate::runtime::http::BareAnswer;
use crate::runtime::http::lines::{Lines, Longest};

/// One event.
pub(super) enum CompletionEvent {
    /// A piece of the words, and nothing else.
    Words(String),
    /// A document.
    Chunk(Value),
    /// Nothing follows.
    Done,
    /// The server calls it an error: this.
    Failed(Value),
    /// What began as a document, and cannot be read.
    Unreadable,
}

/// A body that is read event by event.
pub(super) struct CompletionEvents {
    answer: Option<BareAnswer>,
    lines: Lines,
    longest: usize,
    ready: VecDeque<CompletionEvent>,
    /// The data of an event that has not ended, line by line.
    held: Vec<String>,
    /// Whether the event calls itself an error.
    is_error: bool,
    /// Whether a line that says something has come.
    begun: bool,
    /// A body that is no stream of events.
    document: Option<String>,
    after_return: bool,
}

impl CompletionEvents {
    pub(super) fn new(answer: BareAnswer, longest: Longest) -> Self {
        Self {
            answer: Some(answer),
            lines: Lines::new(longest),
            longest: longest.event,
            ready: VecDeque::new(),
            held: Vec::new(),
            is_error: false,
            begun: false,
            document: None,
            after_return: false,
        }
    }

    /// The next event; none at the end of the body, however it ended. Whatever comes, a comment too, is a sign of life:
    /// nothing may come for `stall` at the most, and nothing is waited for longer than `until`.
    ///
    /// # Errors
    /// When it stalls, or is longer than it may be.
    pub(super) async fn next(
        &mut self,
        stall: Duration,
        until: Option<Instant>,
    ) -> Result<Option<CompletionEvent>, Unanswered> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            let Some(answer) = &mut self.answer else { return Ok(None) };
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let wait = left.map_or(stall, |left| left.min(stall));
            match timeout(wait, answer.chunk()).await {
                Err(_) => return Err(Unanswered::Stalled),
                Ok(Ok(Some(piece))) => {
                    let lines = self.lines.take_in(&piece).map_err(|_| Unanswered::Endless)?;
                    self.take_in(&lines)?;
                }
                Ok(Ok(None) | Err(_)) => {
                    self.answer = None;
                    let rest = self.lines.rest();
                    self.take_in(&rest)?;
                    self.end_event();
                    self.end_document();
                }
            }
        }
    }

    fn take_in(&mut self, lines: &Bytes) -> Result<(), Unanswered> {
        let mut rest = &lines[..];
        while !rest.is_empty() {
            let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let (line, behind) = rest.split_at(end.unwrap_or(rest.len()));
            let ending = behind.first().copied();
            rest = behind.get(1..).unwrap_or_default();
            // A carriage return and a line feed are one end, wherever the body is cut.
            let is_half = line.is_empty() && ending == Some(b'\n') && self.after_return;
            self.after_return = ending == Some(b'\r');
            if !is_half {
                self.line(&String::from_utf8_lossy(line))?;
            }
        }
        Ok(())
    }

    fn line(&mut self, line: &str) -> Result<(), Unanswered> {
        if let Some(document) = &mut self.document {
            document.push_str(line);
            document.push('\n');
            return if document.len() > self.longest { Err(Unanswered::Endless) } else { Ok(()) };
        }
        let line = if self.begun { line } else { line.trim_start_matches('\u{feff}') };
        if line.is_empty() {
            self.end_event();
            return Ok(());
        }
        let is_json = line.trim_start().starts_with(['{', '[']);
        if !self.begun && is_json {
            (self.begun, self.document) = (true, Some(format!("{line}\n")));
            return Ok(());
        }
        self.begun = true;
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        match name {
            "data" => self.data(value),
            "event" => self.is_error = value.trim() == "error",
            // Some proxies write what went wrong between the events.
            _ if is_json => drop(self.document(line)),
            _ => {}
        }
        Ok(())
    }

    /// Most events are one line, and need not be waited for longer.
    fn data(&mut self, data: &str) {
        let data = data.strip_prefix(' ').unwrap_or(data);
        if is_done(data) {
            self.end_event();
            self.ready.push_back(CompletionEvent::Done);
        } else if !self.held.is_empty() || !self.document(data) {
            self.held.push(data.to_owned());
        }
    }

    /// Whether this is a whole document: it is an event then.
    fn document(&mut self, data: &str) -> bool {
        if !self.is_error
            && let Some(words) = usual::words(data)
        {
            self.ready.push_back(CompletionEvent::Words(words));
            return true;
        }
        let Ok(document) = json::from_str::<Value>(data) else { return false };
        self.push(document);
        true
    }

    fn push(&mut self, document: Value) {
        match document {
            document if self.is_error => self.ready.push_back(CompletionEvent::Failed(document)),
            Value::Array(documents) => documents.into_iter().for_each(|document| self.push(document)),
            Value::Object(_) => self.ready.push_back(CompletionEvent::Chunk(document)),
            // A sign of life in a form of somebody's own.
            _ => {}
        }
    }

    fn end_event(&mut self) {
        let held = std::mem::take(&mut self.held);
        if !held.is_empty() && !self.document(&held.join("\n")) {
            // Where no empty line stands between events, each line is one.
            for line in &held {
                if is_done(line) {
                    self.ready.push_back(CompletionEvent::Done);
                } else if self.is_error {
                    self.ready.push_back(CompletionEvent::Failed(line.as_str().into()));
                } else if !self.document(line) && is_meant_as_document(line) {
                    match mended(line).and_then(|mended| json::from_str(&mended).ok()) {
                        Some(document) => self.push(document),
                        None => self.ready.push_back(CompletionEvent::Unreadable),
                    }
                }
            }
        }
        self.is_error = false;
    }

    fn end_document(&mut self) {
        let Some(text) = self.document.take() else { return };
        let whole = json::from_str(&text).ok();
        if let Some(document) = whole.or_else(|| mended(&text).and_then(|mended| json::from_str(&mended).ok())) {
            self.push(document);
            self.ready.push_back(CompletionEvent::Done);
            return;
        }
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            if is_done(line) {
                self.ready.push_back(CompletionEvent::Done);
            } else if !self.document(line) {
                self.ready.push_back(CompletionEvent::Unreadable);
            }
        }
    }
}

/// Whether words may be in it.
fn is_meant_as_document(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with('{') || line.starts_with("[{")
}

fn is_done(data: &str) -> bool {
    let data = data.trim().trim_matches('"');
    data.eq_ignore_ascii_case("[DONE]")
}
