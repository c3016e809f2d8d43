//! The lines of a stream of events, bounded before anybody parses them.
//!
//! Whoever parses keeps a line until it is complete, and an event until an empty line ends it; some look through all of
//! it again for each piece that comes. So a parser is given lines that are complete, no event that is too long, and no
//! stream without an end, however small the pieces are that its sender cuts it into.

use bytes::{Bytes, BytesMut};

/// A stream, a line or an event is longer than it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stream is too long")]
pub struct TooLong;

/// How long what a stream holds may be.
#[derive(Clone, Copy, Debug)]
pub struct Longest {
    /// One event, which is one line or several, in bytes.
    pub event: usize,
    /// The whole stream, in bytes.
    pub stream: u64,
}

/// Lines out of bytes, wherever these are cut.
#[derive(Debug)]
pub struct Lines {
    longest: Longest,
    /// The line that is not complete yet.
    held: BytesMut,
    /// How long the event is that has not ended, with that line.
    event: usize,
    /// How long that line is.
    line: usize,
    /// Whether the last byte was a carriage return: a line feed behind it belongs to it.
    after_return: bool,
}

impl Lines {
    /// The lines of a stream that is this long at the most.
    pub fn new(longest: Longest) -> Self {
        Self { longest, held: BytesMut::new(), event: 0, line: 0, after_return: false }
    }

    /// Takes the next piece, and gives what is complete by now: nothing, if no line has ended.
    ///
    /// # Errors
    /// When something is longer than it may be.
    pub fn take_in(&mut self, piece: &Bytes) -> Result<Bytes, TooLong> {
        self.longest.stream = self.longest.stream.checked_sub(piece.len() as u64).ok_or(TooLong)?;
        let mut complete = 0;
        for (at, byte) in piece.iter().enumerate() {
            self.event += 1;
            match byte {
                b'\n' if self.after_return => complete = at + 1,
                b'\n' | b'\r' => {
                    complete = at + 1;
                    if std::mem::take(&mut self.line) == 0 {
                        self.event = 0;
                    }
                }
                _ => self.line += 1,
            }
            self.after_return = *byte == b'\r';
            if self.event > self.longest.event {
                return Err(TooLong);
            }
        }
        if complete == 0 {
            self.held.extend_from_slice(piece);
            return Ok(Bytes::new());
        }
        let (lines, rest) = (piece.slice(..complete), piece.slice(complete..));
        if self.held.is_empty() {
            self.held.extend_from_slice(&rest);
            return Ok(lines);
        }
        self.held.extend_from_slice(&lines);
        let lines = std::mem::take(&mut self.held).freeze();
        self.held.extend_from_slice(&rest);
        Ok(lines)
    }

    /// What is left at the end: a line that nothing has ended.
    pub fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.held).freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "data: a\n\ndata: bc\r\n\r\n: hello\rdata: d\n\ndata: unfinished";

    fn lines(event: usize, stream: u64) -> Lines {
        Lines::new(Longest { event, stream })
    }

    #[test]
    fn a_stream_is_the_same_wherever_it_is_cut_and_comes_in_whole_lines() {
        for size in 1..=STREAM.len() {
            let (mut lines, mut read) = (lines(100, 1000), Vec::new());
            for piece in STREAM.as_bytes().chunks(size) {
                let complete = lines.take_in(&Bytes::copy_from_slice(piece)).expect("it is short");
                assert!(complete.is_empty() || complete.ends_with(b"\n") || complete.ends_with(b"\r"), "{complete:?}");
                read.extend_from_slice(&complete);
            }
            assert!(!read.ends_with(b"d"), "the last line has not ended");
            read.extend_from_slice(&lines.rest());
            assert_eq!(read, STREAM.as_bytes(), "in pieces of {size}");
        }
    }

    #[test]
    fn neither_a_line_nor_an_event_nor_the_whole_may_be_too_long() {
        let take = |lines: &mut Lines, text: &str, size: usize| {
            text.as_bytes().chunks(size).try_for_each(|piece| lines.take_in(&Bytes::copy_from_slice(piece)).map(drop))
        };
        for size in [1, 7, 1000] {
            assert_eq!(take(&mut lines(50, 1000), &"x".repeat(50), size), Ok(()));
            assert_eq!(take(&mut lines(50, 1000), &"x".repeat(51), size), Err(TooLong));
            // Many short lines, and none of them empty.
            assert_eq!(take(&mut lines(50, 1000), &"data: x\n".repeat(7), size), Err(TooLong));
            assert_eq!(take(&mut lines(50, 1000), &"data: x\r\n".repeat(6), size), Err(TooLong));
            assert_eq!(take(&mut lines(50, 1000), &"data: x\n\n".repeat(100), size), Ok(()));
            assert_eq!(take(&mut lines(50, 1000), &"data: x\r\n\r\n".repeat(90), size), Ok(()));
            assert_eq!(take(&mut lines(50, 1000), &"data: x\n\n".repeat(112), size), Err(TooLong));
        }
    }
}
