//! The load: signed webhooks over keep-alive connections, written by hand so that they cost little.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::board::{Board, Span};
use crate::wire::{self, Bot};

/// How long to wait for the replies at the end of a phase.
const PATIENCE: Duration = Duration::from_secs(60);

/// Who is written to, and how.
pub(crate) struct Load {
    pub(crate) board: Arc<Board>,
    pub(crate) to: SocketAddr,
    pub(crate) bot: Bot,
    pub(crate) words: &'static str,
    /// How many connections the webhooks come in on.
    pub(crate) connections: usize,
}

impl Load {
    /// Posts messages as fast as they are acknowledged, with at most `in_flight` of them without a reply.
    pub(crate) async fn press(&self, messages: usize, senders: usize, in_flight: usize) -> Result<Span, String> {
        let span = self.board.begin(messages, senders, in_flight);
        self.post(span, self.connections.min(messages), None).await?;
        self.board.end(in_flight, PATIENCE).await?;
        Ok(span)
    }

    /// Posts messages that are not expected to be answered before all are posted.
    pub(crate) async fn pile_up(&self, messages: usize) -> Result<Span, String> {
        let span = self.board.begin(messages, messages, messages);
        self.post(span, self.connections.min(messages), None).await?;
        Ok(span)
    }

    /// Waits for the replies to what was piled up.
    pub(crate) async fn work_off(&self, span: Span) -> Result<(), String> {
        self.board.end(span.len(), PATIENCE).await
    }

    /// Posts so many messages a second, whatever becomes of them.
    pub(crate) async fn pace(&self, messages: usize, senders: usize, a_second: u32) -> Result<Span, String> {
        let span = self.board.begin(messages, senders, senders);
        self.post(span, self.connections.min(messages), Some(Duration::from_secs(1) / a_second)).await?;
        self.board.end(senders, PATIENCE).await?;
        Ok(span)
    }

    async fn post(&self, span: Span, connections: usize, every: Option<Duration>) -> Result<(), String> {
        let mut posting = JoinSet::new();
        let start = Instant::now() + Duration::from_millis(20);
        for number in 0..connections {
            let mut connection = Connection::open(self.to).await.map_err(|error| error.to_string())?;
            let (board, bot, words) = (Arc::clone(&self.board), self.bot, self.words);
            let mut next = start + every.unwrap_or_default() * u32::try_from(number).unwrap_or_default();
            let step = every.unwrap_or_default() * u32::try_from(connections).unwrap_or_default();
            posting.spawn(async move {
                let (signer, mut request) = (wire::signer(), Vec::with_capacity(2048));
                loop {
                    if every.is_some() {
                        sleep_until(next).await;
                        next += step;
                    }
                    let Some(ticket) = board.take(span).await else { return Ok(()) };
                    wire::webhook(&signer, bot, ticket, words, &mut request);
                    board.posted(ticket.message);
                    let status = connection.exchange(&request).await?;
                    board.answered(ticket, status);
                }
            });
        }
        while let Some(ended) = posting.join_next().await {
            let ended: io::Result<()> = ended.map_err(|error| error.to_string())?;
            ended.map_err(|error| format!("a webhook's connection broke: {error}"))?;
        }
        Ok(())
    }
}

/// One connection, with one request on it at a time.
pub(crate) struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(to: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, answer: Vec::with_capacity(1024) })
    }

    /// Sends a request, reads its whole answer, and returns the status.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> io::Result<u16> {
        self.stream.write_all(request).await?;
        self.answer.clear();
        loop {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(status) = whole(&self.answer) {
                return Ok(status);
            }
        }
    }
}

/// The status of an answer, if all of it is there.
fn whole(answer: &[u8]) -> Option<u16> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let status = head.split(' ').nth(1)?.parse().ok()?;
    (answer.len() >= end + length.unwrap_or(0)).then_some(status)
}
