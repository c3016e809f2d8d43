//! JSON that a process writes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, ReadBuf};

use super::WholePieces;

/// How much is read at once, in bytes.
const PIECE: usize = 8 << 10;

/// Reads on without halves of pairs.
pub(crate) struct WholeReader<R> {
    inner: R,
    pieces: WholePieces,
    /// What has been read, and is certain.
    ready: Bytes,
}

impl<R> WholeReader<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, pieces: WholePieces::default(), ready: Bytes::new() }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for WholeReader<R> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.ready.is_empty() {
            let mut piece = [0; PIECE];
            let mut piece = ReadBuf::new(&mut piece);
            match Pin::new(&mut self.inner).poll_read(cx, &mut piece) {
                Poll::Ready(Ok(())) => {}
                other => return other,
            }
            let ended = piece.filled().is_empty();
            let piece = Bytes::copy_from_slice(piece.filled());
            self.ready = if ended { self.pieces.rest() } else { self.pieces.take_in(piece) };
            if ended && self.ready.is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
        let length = self.ready.len().min(out.remaining());
        out.put_slice(&self.ready[..length]);
        self.ready.advance(length);
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn a_reader_gives_what_the_whole_text_would() {
        let json = format!("{{\"a\": \"{}\\ud83d\"}}\n\"\\ud83d\\ude00\"\n\\ud83d", "x".repeat(PIECE - 12));
        let mut read = String::new();
        WholeReader::new(json.as_bytes()).read_to_string(&mut read).await.expect("text");
        assert_eq!(read, super::super::whole(&json));
        assert!(read.contains("\\ufffd\"}\n") && read.ends_with("\\ufffd") && read.contains("\\ude00"));
    }
}
