//! A handler's answer as it comes, event by event: `text/event-stream`.
//!
//! | event | data | what it does |
//! |---|---|---|
//! | `typing`, `recording`, `beat`, `pause` | none | steers the dots |
//! | `reply` | what a whole answer would be | ends the turn with it |
//!
//! Other events, and comments, keep the stream alive and do nothing else.

use std::time::Duration;

use tokio::time::timeout;

use super::callbacks::steer;
use super::wire;
use crate::handler::{HandlerError, Presence};
use crate::message::Reply;
use crate::runtime::http::UpstreamResponse;

/// Reads a stream until its reply.
///
/// # Errors
/// When it ends without one, nothing comes for as long as `patience`, more than `limit` bytes come, or the reply is not
/// of the right form.
pub(super) async fn read(
    mut answer: UpstreamResponse,
    presence: &Presence,
    patience: Duration,
    limit: u64,
) -> Result<Reply, HandlerError> {
    let (mut events, mut length) = (SseReader::default(), 0);
    loop {
        let chunk = timeout(patience, answer.chunk()).await;
        let chunk = chunk.map_err(|_| HandlerError::temporary("its stream has stalled"))?;
        let chunk = chunk.map_err(|error| HandlerError::temporary(format!("its stream broke off: {error}")))?;
        let Some(chunk) = chunk else {
            return Err(HandlerError::temporary("its stream ended without a reply"));
        };
        length += chunk.len() as u64;
        if length > limit {
            return Err(HandlerError::new("its stream is longer than handler.answer_limit"));
        }
        for SseEvent { name, data } in events.take_in(&chunk) {
            if name == "reply" {
                return wire::reply(data.as_bytes()).map_err(HandlerError::new);
            }
            steer(presence, &name);
        }
    }
}

/// One event.
#[derive(Debug, PartialEq, Eq)]
struct SseEvent {
    name: String,
    data: String,
}

/// Events out of bytes, wherever these are cut.
#[derive(Default)]
struct SseReader {
    /// The line that is not complete yet.
    line: Vec<u8>,
    /// Whether the last byte was a carriage return: a line feed behind it belongs to it.
    after_return: bool,
    name: String,
    data: String,
}

impl SseReader {
    /// The events that `bytes` complete.
    fn take_in(&mut self, bytes: &[u8]) -> Vec<SseEvent> {
        let mut complete = Vec::new();
        for byte in bytes {
            match byte {
                b'\n' if self.after_return => {}
                b'\n' | b'\r' => complete.extend(self.end_line()),
                _ => self.line.push(*byte),
            }
            self.after_return = *byte == b'\r';
        }
        complete
    }

    fn end_line(&mut self) -> Option<SseEvent> {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        let line = line.strip_prefix('\u{feff}').unwrap_or(&line);
        if line.is_empty() {
            let (name, mut data) = (std::mem::take(&mut self.name), std::mem::take(&mut self.data));
            // Each line of data has brought one.
            data.pop();
            return (!name.is_empty() || !data.is_empty()).then_some(SseEvent { name, data });
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => self.name = value.to_owned(),
            "data" => {
                self.data.push_str(value);
                self.data.push('\n');
            }
            // A comment has no field; the others say nothing here.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "\u{feff}: hello\r\nevent: typing\r\n\r\nevent:beat\rdata\r\rid: 7\nretry: 3\n\nevent: reply\ndata: \
                          {\"text\":\ndata:  \"two\\nlines\"}\n\nevent: unfinished\ndata: x";

    #[test]
    fn a_stream_is_the_same_wherever_it_is_cut() {
        let event = |name: &str, data: &str| SseEvent { name: name.into(), data: data.into() };
        let whole = [event("typing", ""), event("beat", ""), event("reply", "{\"text\":\n \"two\\nlines\"}")];
        for size in 1..=STREAM.len() {
            let mut events = SseReader::default();
            let read: Vec<SseEvent> = STREAM.as_bytes().chunks(size).flat_map(|chunk| events.take_in(chunk)).collect();
            assert_eq!(read, whole, "in pieces of {size}");
        }
    }
}
