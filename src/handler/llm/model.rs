//! One model: asked, listened to while it speaks, and left alone while it rests.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::error::OpenAIError;

use async_openai::middleware::{HttpRequestFactory, ReqwestService};
use futures_util::StreamExt;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, timeout};
use tower::{Service, service_fn};

use super::config::ModelConfig;
use super::tokens::{self, Tokens};
use super::wire::{self, Chunk, Delta, Line, Offer, Request, StreamOptions, Usage, Wanted};
use crate::clock::Clock;
use crate::http::lines::Longest;
use crate::http::names::Lane;
use crate::http::{self, Bare};

/// The longest answer that is listened to, in bytes: one that never ends must not fill the memory.
const LONGEST: usize = 256 << 10;
/// How long the stream of an answer may be, and one event of it, in bytes. A token of four letters is some 300 bytes of
/// stream, and what a model thinks comes by the same way.
const STREAM: Longest = Longest { event: 2 * LONGEST, stream: 64 * LONGEST as u64 };
/// So many calls may be wanted at once.
const MOST_CALLS: usize = 16;
/// A model is not left alone for longer than this, whatever its server says.
const LONGEST_REST: Duration = Duration::from_secs(60 * 60);

/// A model that can be asked.
pub struct Model {
    /// Where and what.
    pub config: ModelConfig,
    /// Its key, fetched.
    pub api_key: Option<SecretString>,
}

/// A model, ready to be asked.
pub(super) struct Rung {
    pub(super) config: ModelConfig,
    openai: OpenAIConfig,
    http: Bare,
    lane: Lane,
    clock: Clock,
    rest: Arc<Rest>,
}

/// Until when a model's server wants to be left alone.
#[derive(Default)]
struct Rest(Mutex<Option<Instant>>);

impl Rest {
    fn begin(&self, length: Duration) {
        let until = Instant::now() + length.min(LONGEST_REST);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }

    fn left(&self) -> Option<Duration> {
        let until = (*self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }
}

impl Rung {
    pub(super) fn new(model: Model, clock: Clock, http: Bare, lane: Lane) -> Self {
        // What OpenAI's own client takes from the environment is not for whichever server the model is at.
        let openai = OpenAIConfig::new().with_org_id("").with_project_id("");
        let openai = openai.with_api_base(model.config.base_url.trim_end_matches('/'));
        let openai = openai.with_api_key(model.api_key.as_ref().map_or("none", |key| key.expose_secret()));
        Self { config: model.config, openai, http, lane, clock, rest: Arc::default() }
    }

    /// What makes one call; `cut` says whether its answer was too long.
    fn client(&self, cut: &Arc<AtomicBool>) -> Client<OpenAIConfig> {
        // Under the bare service: async-openai's own would repeat a call that the next model should have, and its errors
        // do not carry the header that says for how long.
        let (bare, resting, clock) = (ReqwestService::new(self.http.clone()), Arc::clone(&self.rest), self.clock);
        let (lane, cut) = (self.lane.clone(), Arc::clone(cut));
        let service = service_fn(move |request: HttpRequestFactory| {
            let (mut bare, resting, lane, cut) = (bare.clone(), Arc::clone(&resting), lane.clone(), Arc::clone(&cut));
            async move {
                let answer = lane.scope(bare.call(request)).await?;
                if matches!(answer.status().as_u16(), 429 | 503)
                    && let Some(length) = answer.headers().get("retry-after").and_then(|value| value.to_str().ok())
                    && let Some(length) = http::retry_after(length, clock.now())
                {
                    resting.begin(length);
                }
                // Whatever stands in the body: of a gateway in between, it is no answer of the protocol's.
                let answer = answer.error_for_status().map_err(OpenAIError::Reqwest)?;
                let answer = http::whole_characters(http::in_whole_lines(answer, STREAM, cut));
                // Some servers cannot stream, and say nothing of that.
                http::in_one_piece(answer, 2 * LONGEST, wire::as_event).await.map_err(OpenAIError::Reqwest)
            }
        });
        Client::build(self.http.clone(), self.openai.clone()).with_http_service(service)
    }

    /// How long it still wants to be left alone, if it does.
    pub(super) fn rests(&self) -> Option<Duration> {
        self.rest.left()
    }

    /// Asks it, and listens until it has said all; `patience` at the most, and its own time.
    pub(super) async fn ask(&self, asked: &Asked<'_>, patience: Duration) -> Result<Said, Unanswered> {
        let Asked { messages, tools, may_call, max_tokens, counted } = *asked;
        let stream_options = counted.then_some(StreamOptions { include_usage: true });
        let tool_choice = (!may_call && !tools.is_empty()).then_some("none");
        let (model, stream) = (&*self.config.model, true);
        let request = Request { model, messages, tools, tool_choice, max_tokens, stream, stream_options };
        let cut = Arc::default();
        let listened = timeout(self.config.timeout.min(patience), self.listen(&self.client(&cut), request)).await;
        match listened.unwrap_or(Err(Unanswered::TimedOut)) {
            Err(_) if cut.load(Ordering::Relaxed) => Err(Unanswered::Endless),
            listened => listened,
        }
    }

    async fn listen(&self, client: &Client<OpenAIConfig>, request: Request<'_>) -> Result<Said, Unanswered> {
        let stall = self.config.stall;
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
}

/// What a model is asked, whichever it is.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) messages: &'a [Line<'a>],
    pub(super) tools: &'a [Offer],
    /// Whether it may still call them.
    pub(super) may_call: bool,
    pub(super) max_tokens: u32,
    /// Whether somebody wants to know what it costs.
    pub(super) counted: bool,
}

impl Asked<'_> {
    /// About how many tokens there are to read, rounded up.
    pub(super) fn tokens(&self, tokens: &Tokens, of_image: u64) -> u64 {
        let tools = serde_json::to_string(self.tools).map_or(0, |tools| tokens.of(&tools));
        let lines: u64 = self.messages.iter().map(|line| line.tokens(tokens, of_image)).sum();
        (lines + tools).saturating_mul(11) / 10 + tokens::OF_FRAME
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    #[tokio::test(start_paused = true)]
    async fn a_rest_is_given_in_seconds_or_as_a_date() {
        let epoch = Timestamp::from_secs(1_445_412_420);
        let clock = Clock::Tokio { epoch, started: Instant::now() };
        assert_eq!(http::retry_after(" 120 ", clock.now()), Some(Duration::from_secs(120)));
        assert_eq!(http::retry_after("Wed, 21 Oct 2015 07:28:00 GMT", clock.now()), Some(Duration::from_secs(60)));
        assert_eq!(http::retry_after("Wed, 21 Oct 2015 07:20:00 GMT", clock.now()), Some(Duration::ZERO));
        assert_eq!(http::retry_after("soon", clock.now()), None);
        let rest = Rest::default();
        assert_eq!(rest.left(), None);
        rest.begin(Duration::from_secs(u64::MAX));
        assert_eq!(rest.left(), Some(LONGEST_REST));
        tokio::time::advance(LONGEST_REST).await;
        assert_eq!(rest.left(), None);
    }
}
