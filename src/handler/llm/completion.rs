//! What a model answers, listened to while it speaks.
//!
//! | file | what it is |
//! |---|---|
//! | `events` | the documents of a stream, out of its bytes |
//! | `mend` | what is almost JSON |
//! | `usual`, `chunk` | what one of them says: in the usual form, and whatever its form |
//! | `calls` | calls of tools, out of their pieces |
//! | `beside` | what goes back with them |
//! | `words` | what of the words is for the customer |
//! | `thoughts`, `spoken`, `marks` | what is not: thoughts, calls that are written out, and the marks that tell them |
//!
//! A server may write all that in ways of its own. What is absent, null, or of another form is no value, and once the
//! reason why the answer ends has come, nothing that follows can spoil it. What may hide words, and cannot be read,
//! makes the answer none. A proxy that makes a finished answer of a stream that broke off cannot be seen through.

mod beside;
mod calls;
mod chunk;
mod events;
#[cfg(test)]
mod fuzz;
mod marks;
mod mend;
mod spoken;
#[cfg(test)]
mod tests;
mod thoughts;
mod usual;
mod words;

use std::time::Duration;

use async_openai::error::OpenAIError;
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::refused::ModelRefusal;
use super::wire::{Offer, Usage, Wanted};
use crate::runtime::http::BareAnswer;
use crate::runtime::http::lines::Longest;
use calls::Calls;
use chunk::Chunk;
use events::{CompletionEvent, CompletionEvents};

/// The longest answer that is listened to, in bytes: one that never ends must not fill the memory.
const LONGEST: usize = 256 << 10;
/// How long the stream of an answer may be, and one event of it, in bytes. A token of four letters is some 300 bytes of
/// stream, and what a model thinks comes by the same way.
const STREAM: Longest = Longest { event: 2 * LONGEST, stream: 64 * LONGEST as u64 };
/// So many calls may be wanted at once.
const MOST_CALLS: usize = 16;
/// How long what an answer has cost is waited for, once all of it has come.
const LINGER: Duration = Duration::from_secs(2);

/// How an answer ended, by its own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// Where the model wanted it to.
    Whole,
    /// Where it had become too long.
    Cut,
    /// Where a filter wanted it to.
    Filtered,
    /// Where something went wrong.
    Broken,
}

/// What has been heard of an answer.
#[derive(Default)]
struct Hearing {
    words: String,
    refusal: String,
    calls: Calls,
    beside: Map<String, Value>,
    usage: Option<Usage>,
    ended: Option<Ended>,
    /// Whether the server said that nothing follows.
    done: bool,
    length: usize,
}

/// As [`hear`], for tests that ask no more of it.
#[cfg(test)]
async fn listen(answer: BareAnswer, offers: &[Offer], stall: Duration) -> Result<Said, Unanswered> {
    hear(answer, offers, stall, &mut None).await
}

/// Listens to an answer until all is said; nothing may come for `stall` at the most. `offers` are the tools that it may
/// want called. Some servers begin to answer, and then say why they do not take the request: that is in `refused`.
pub(super) async fn hear(
    answer: BareAnswer,
    offers: &[Offer],
    stall: Duration,
    refused: &mut Option<ModelRefusal>,
) -> Result<Said, Unanswered> {
    let mut events = CompletionEvents::new(answer, STREAM);
    let (mut heard, mut room, mut until) = (Hearing::default(), beside::LONGEST, None);
    let mut is_silent = true;
    while !heard.done {
        let event = match events.next(stall, until).await {
            Ok(Some(event)) => event,
            Ok(None) if is_silent => return Err(Unanswered::Silent),
            Ok(None) => break,
            // The answer is there.
            Err(_) if heard.ended.is_some() => break,
            Err(why) => return Err(why),
        };
        is_silent = false;
        match event {
            CompletionEvent::Done => heard.done = true,
            CompletionEvent::Words(words) => {
                heard.length += words.len();
                heard.words.push_str(&words);
                if heard.length > LONGEST {
                    return Err(Unanswered::Endless);
                }
            }
            _ if heard.ended.is_some() && !matches!(event, CompletionEvent::Chunk(_)) => {}
            CompletionEvent::Unreadable => return Err(Unanswered::NotUnderstood),
            CompletionEvent::Failed(why) => {
                *refused = (heard.length == 0).then(|| ModelRefusal::of(&why));
                return Err(Unanswered::BrokeOff);
            }
            CompletionEvent::Chunk(document) => {
                if heard.length == 0 && document.get("error").is_some_and(|error| !error.is_null()) {
                    *refused = Some(ModelRefusal::of(&document));
                }
                let chunk = Chunk::read(document);
                if chunk.failed && heard.ended.is_none() {
                    return Err(Unanswered::BrokeOff);
                }
                let (ends, before) = (chunk.ended.is_some(), heard.length);
                if !chunk.failed {
                    heard.take_in(chunk, &mut room);
                }
                if heard.length > LONGEST || heard.calls.len() > MOST_CALLS {
                    return Err(Unanswered::Endless);
                }
                // Some say with each piece that it is the last; a reason that comes alone is one.
                if ends && heard.length == before {
                    until = until.or(Some(Instant::now() + LINGER));
                }
            }
        }
    }
    heard.finish(offers)
}

impl Hearing {
    fn take_in(&mut self, chunk: Chunk, room: &mut usize) {
        self.usage = chunk.usage.or(self.usage);
        self.ended = chunk.ended.or(self.ended);
        self.length += chunk.words.len() + chunk.refusal.len();
        // Some say all of it again at the end.
        let again = chunk.is_whole && chunk.words.starts_with(&*self.words);
        if again && (chunk.words.len() > self.words.len() || chunk.ended.is_some()) {
            self.words = chunk.words;
        } else {
            self.words.push_str(&chunk.words);
        }
        self.refusal.push_str(&chunk.refusal);
        for piece in chunk.calls {
            self.length += self.calls.take_in(piece, room);
        }
        beside::merge(&mut self.beside, chunk.beside, room);
    }

    fn finish(self, offers: &[Offer]) -> Result<Said, Unanswered> {
        let ended = match (self.ended, self.done) {
            (Some(ended), _) => ended,
            // Complete by the protocol, if not by what it says itself.
            (None, true) => Ended::Whole,
            (None, false) => return Err(Unanswered::BrokeOff),
        };
        match ended {
            Ended::Broken => return Err(Unanswered::BrokeOff),
            Ended::Filtered => return Err(Unanswered::Filtered),
            Ended::Whole | Ended::Cut => {}
        }
        let found = words::for_customer(&self.words, offers);
        let mut calls = self.calls.finish(|name| spoken::named(offers, name));
        let is_cut = ended == Ended::Cut;
        if is_cut && calls.iter().any(|call| !call.is_complete()) {
            // What is called with half of its arguments does something else.
            return Err(Unanswered::Cut);
        }
        if calls.is_empty() {
            for (number, (name, arguments)) in found.calls.into_iter().take(MOST_CALLS).enumerate() {
                calls.push(Wanted { id: calls::identifier(number), name, arguments, ..Wanted::default() });
            }
        }
        let refused = found.words.trim().is_empty() && calls.is_empty() && !self.refusal.trim().is_empty();
        let words = if refused { &self.refusal } else { &found.words };
        let words = words.trim().to_owned();
        if words.is_empty() && calls.is_empty() {
            return Err(Unanswered::Empty);
        }
        let mut besides = beside::thoughts(&self.beside);
        if self.words.trim().len() > words.len() {
            besides.push_str(&self.words);
        }
        Ok(Said { words, besides, calls, usage: self.usage, is_cut, refused, beside: self.beside })
    }
}

/// What a model has said: words, or calls that it wants made, or both.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// Words that a customer may read.
    pub(super) words: String,
    /// What it has written besides, and is paid for.
    pub(super) besides: String,
    pub(super) calls: Vec<Wanted>,
    /// What that has cost, if the server says so.
    pub(super) usage: Option<Usage>,
    /// Whether it was too long, and ends where nobody wanted it to.
    pub(super) is_cut: bool,
    /// Whether the words say that it will not answer.
    pub(super) refused: bool,
    /// What stood beside that, and goes back with the calls.
    pub(super) beside: Map<String, Value>,
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
    #[error("its answer broke off before it began")]
    Silent,
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
    #[error("its answer was too long, and cut in the middle of a call")]
    Cut,
    #[error("a filter of its server's stopped its answer")]
    Filtered,
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
            Self::BrokeOff | Self::Silent => "broke_off",
            Self::Endless => "endless",
            Self::NotUnderstood => "not_understood",
            Self::Empty => "empty",
            Self::TakesNoTools => "takes_no_tools",
            Self::Unpaid => "unpaid",
            Self::Cut => "cut",
            Self::Filtered => "filtered",
        }
    }

    /// Whether it may be over the next time.
    pub(super) fn passing(self) -> Passing {
        match self {
            // 409 and 425 say that the time is wrong; 529 is how Anthropic says that it is busy.
            Self::Unreachable | Self::Status(408 | 409 | 425 | 429 | 500 | 502..=504 | 507 | 520..=529) => {
                Passing::Perhaps
            }
            Self::Stalled | Self::BrokeOff | Self::Silent | Self::NotUnderstood | Self::Empty => Passing::PerhapsOnce,
            Self::TimedOut
            | Self::Status(_)
            | Self::Endless
            | Self::TakesNoTools
            | Self::Unpaid
            | Self::Cut
            | Self::Filtered => Passing::Never,
        }
    }

    pub(super) fn of(error: &OpenAIError) -> Self {
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
