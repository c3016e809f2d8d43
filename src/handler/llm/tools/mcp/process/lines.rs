//! The lines that a process writes, bounded.

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// Reads line by line. A line that is too long is thrown away as it comes.
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
    pub(super) async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            let piece = self.reader.fill_buf().await.unwrap_or_default();
            if piece.is_empty() {
                // Whoever ends may leave its last line without an end.
                let rest = std::mem::take(&mut self.held);
                return Some(rest).filter(|rest| !rest.is_empty());
            }
            let end = piece.iter().position(|byte| *byte == b'\n');
            let length = end.map_or(piece.len(), |at| at + 1);
            self.too_long |= self.held.len() + length > self.longest;
            if self.too_long {
                self.held = Vec::new();
            } else {
                self.held.extend_from_slice(&piece[..length]);
            }
            self.reader.consume(length);
            if end.is_some() && !std::mem::take(&mut self.too_long) {
                return Some(std::mem::take(&mut self.held));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_that_is_too_long_is_left_out_and_the_next_ones_are_read() {
        let text = format!("one\n{}\n\ntwo\nthree", "x".repeat(20_000));
        let mut lines = LineReader::new(text.as_bytes(), 10);
        let mut read = Vec::new();
        while let Some(line) = lines.next().await {
            read.push(String::from_utf8(line).expect("text"));
        }
        assert_eq!(read, ["one\n", "\n", "two\n", "three"]);
    }
}
