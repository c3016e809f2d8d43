//! What a model answers, listened to while it speaks.

#[cfg(test)]
mod fuzz;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use async_openai::Client;
use async_openai::error::OpenAIError;
use futures_util::StreamExt;
use tokio::time::timeout;

use super::address::Endpoint;
use super::wire::{self, Chunk, Delta, Request, Usage, Wanted};
use crate::http::lines::Longest;
use crate::http::{self, BareAnswer, BareError};

/// The longest answer that is listened to, in bytes: one that never ends must not fill the memory.
const LONGEST: usize = 256 << 10;
/// How long the stream of an answer may be, and one event of it, in bytes. A token of four letters is some 300 bytes of
/// stream, and what a model thinks comes by the same way.
const STREAM: Longest = Longest { event: 2 * LONGEST, stream: 64 * LONGEST as u64 };
/// So many calls may be wanted at once.
const MOST_CALLS: usize = 16;

/// An answer in whole lines, no longer than it may be: `cut` says whether it was too long.
pub(super) async fn bounded(answer: BareAnswer, cut: Arc<AtomicBool>) -> Result<BareAnswer, BareError> {
    let answer = http::whole_characters(http::in_whole_lines(answer, STREAM, cut));
    // Some servers cannot stream, and say nothing of that.
    http::in_one_piece(answer, 2 * LONGEST, wire::as_event).await
}

/// Asks, and listens until a model has said all; nothing may come for `stall` at the most.
pub(super) async fn listen(
    client: &Client<Endpoint>,
    request: Request<'_>,
    stall: Duration,
) -> Result<Said, Unanswered> {
    let opened = timeout(stall, client.chat().create_stream_byot::<_, Chunk>(request)).await;
    let mut stream = opened.map_err(|_| Unanswered::Stalled)?.map_err(|error| Unanswered::of(&error))?;
    let (mut said, mut length, mut complete) = (Said::default(), 0, false);
    loop {
        let chunk = timeout(stall, stream.next()).await.map_err(|_| Unanswered::Stalled)?;
        let Some(chunk) = chunk else { break };
        let chunk = chunk.map_err(|error| Unanswered::of(&error))?;
        if chunk.error.is_some() {
            return Err(Unanswered::BrokeOff);
        }
        said.usage = chunk.usage.or(said.usage);
        let Some(choice) = chunk.choices.into_iter().next() else { continue };
        complete |= choice.finish_reason.is_some();
        length += said.take_in(choice.delta);
        if length > LONGEST || said.calls.len() > MOST_CALLS {
            return Err(Unanswered::Endless);
        }
    }
    if !complete {
        return Err(Unanswered::BrokeOff);
    }
    said.words = said.words.trim().to_owned();
    if said.words.is_empty() && said.calls.is_empty() { Err(Unanswered::Empty) } else { Ok(said) }
}

/// What a model has said: words, or calls that it wants made, or both.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) words: String,
    pub(super) calls: Vec<Wanted>,
    /// What that has cost, if the server says so.
    pub(super) usage: Option<Usage>,
}

impl Said {
    /// Takes in a piece, and says how long that was, in bytes.
    fn take_in(&mut self, delta: Delta) -> usize {
        let words = delta.content.unwrap_or_default();
        self.words.push_str(&words);
        let mut length = words.len();
        for piece in delta.tool_calls.unwrap_or_default() {
            // Some servers leave the number out: an identifier begins a call then.
            let begins = piece.id.is_some() || self.calls.is_empty();
            let number = piece.index.unwrap_or(if begins { self.calls.len() } else { self.calls.len() - 1 });
            if number >= self.calls.len() {
                let id = format!("call_{}", self.calls.len());
                self.calls.push(Wanted { id, ..Wanted::default() });
            }
            let Some(call) = self.calls.get_mut(number.min(MOST_CALLS)) else { continue };
            if let Some(id) = piece.id.filter(|id| !id.is_empty()) {
                call.id = id;
            }
            let name = piece.function.name.unwrap_or_default();
            let arguments = piece.function.arguments.unwrap_or_default();
            call.name.push_str(&name);
            call.arguments.push_str(&arguments);
            length += name.len() + arguments.len();
        }
        length
    }
}

/// Why a model did not answer: in numbers and kinds, since a provider's own words can hold a customer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unanswered {
    #[error("it took too long")]
    TimedOut,
    #[error("it stalled")]
    Stalled,
    #[error("it cannot be reached")]
    Unreachable,
    #[error("it answered with HTTP {0}")]
    Status(u16),
    #[error("its answer broke off")]
    BrokeOff,
    #[error("its answer has no end")]
    Endless,
    #[error("its answer was not understood")]
    NotUnderstood,
    #[error("its answer was empty")]
    Empty,
    #[error("it takes no tools, and the turn needs them")]
    TakesNoTools,
    #[error("its account has nothing left to pay with")]
    Unpaid,
}

/// Whether a failure may be over the next time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passing {
    Never,
    Perhaps,
    /// Perhaps, but what was said until then may have to be paid for.
    PerhapsOnce,
}

impl Unanswered {
    /// The word for it in metrics.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::TimedOut => "timeout",
            Self::Stalled => "stalled",
            Self::Unreachable => "unreachable",
            Self::Status(429) => "rate_limited",
            Self::Status(500..) => "server_error",
            Self::Status(_) => "refused",
            Self::BrokeOff => "broke_off",
            Self::Endless => "endless",
            Self::NotUnderstood => "not_understood",
            Self::Empty => "empty",
            Self::TakesNoTools => "takes_no_tools",
            Self::Unpaid => "unpaid",
        }
    }

    /// Whether it may be over the next time.
    pub(super) fn passing(self) -> Passing {
        match self {
            // 409 and 425 say that the time is wrong; 529 is how Anthropic says that it is busy.
            Self::Unreachable | Self::Status(408 | 409 | 425 | 429 | 500 | 502..=504 | 507 | 520..=529) => {
                Passing::Perhaps
            }
            Self::Stalled | Self::BrokeOff | Self::NotUnderstood | Self::Empty => Passing::PerhapsOnce,
            Self::TimedOut | Self::Status(_) | Self::Endless | Self::TakesNoTools | Self::Unpaid => Passing::Never,
        }
    }

    fn of(error: &OpenAIError) -> Self {
        match error {
            OpenAIError::Reqwest(error) => match error.status() {
                Some(status) => Self::Status(status.as_u16()),
                None if error.is_connect() => Self::Unreachable,
                None if error.is_timeout() => Self::TimedOut,
                None => Self::BrokeOff,
            },
            OpenAIError::ApiError(answer) => Self::Status(answer.status_code.as_u16()),
            OpenAIError::StreamError(_) => Self::BrokeOff,
            _ => Self::NotUnderstood,
        }
    }
}
