//! The lines that a process writes, bounded.

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// How much is kept of a line that is too long, in bytes: enough to tell what it answers.
const BEGINNING: usize = 256;

/// A line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum OutputLine {
    /// All of it.
    Whole(Vec<u8>),
    /// The beginning of one that is too long.
    TooLong(Vec<u8>),
}

/// Reads line by line. A line that is too long is thrown away as it comes, but for its beginning.
pub(super) struct LineReader<R> {
    reader: BufReader<R>,
    /// What is there of a line that has not ended.
    held: Vec<u8>,
    /// The longest line, in bytes.
    longest: usize,
    /// Whether the line that has not ended is too long already.
    too_long: bool,
}

impl<R: AsyncRead + Unpin> LineReader<R> {
    pub(super) fn new(reader: R, longest: usize) -> Self {
        Self { reader: BufReader::new(reader), held: Vec::new(), longest, too_long: false }
    }

    /// The next line; none at the end. Nothing is lost if this is dropped before it is there.
    pub(super) async fn next(&mut self) -> Option<OutputLine> {
        loop {
            let piece = self.reader.fill_buf().await.unwrap_or_default();
            if piece.is_empty() {
                // Whoever ends may leave its last line without an end.
                return if self.held.is_empty() { None } else { Some(self.take()) };
            }
            let end = piece.iter().position(|byte| *byte == b'\n');
            let length = end.map_or(piece.len(), |at| at + 1);
            self.too_long |= self.held.len() + length > self.longest;
            let room = if self.too_long { BEGINNING.saturating_sub(self.held.len()).min(length) } else { length };
            self.held.extend_from_slice(&piece[..room]);
            if self.too_long && self.held.len() > BEGINNING {
                self.held.truncate(BEGINNING);
                self.held.shrink_to_fit();
            }
            self.reader.consume(length);
            if end.is_some() {
                return Some(self.take());
            }
        }
    }

    fn take(&mut self) -> OutputLine {
        let line = std::mem::take(&mut self.held);
        if std::mem::take(&mut self.too_long) { OutputLine::TooLong(line) } else { OutputLine::Whole(line) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn of_a_line_that_is_too_long_the_beginning_is_kept_and_the_next_ones_are_read() {
        let text = format!("one\n{}\n\n{}\ntwo\nthree", "x".repeat(20_000), "y".repeat(300));
        let mut lines = LineReader::new(text.as_bytes(), 299);
        let mut read = Vec::new();
        while let Some(line) = lines.next().await {
            read.push(line);
        }
        let whole = |text: &str| OutputLine::Whole(text.into());
        let beginning = |text: &str| OutputLine::TooLong(text.repeat(BEGINNING).into());
        let expected = [whole("one\n"), beginning("x"), whole("\n"), beginning("y"), whole("two\n"), whole("three")];
        assert_eq!(read, expected);
    }
}
