//! One model: asked, and left alone while it rests.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::error::OpenAIError;
use async_openai::middleware::{HttpRequestFactory, ReqwestService};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, timeout};
use tower::{Service, service_fn};

use super::completion::{self, Said, Unanswered};
use super::config::ModelConfig;
use super::tokens::{self, Tokens};
use super::wire::{Line, Offer, Request, StreamOptions};
use crate::clock::Clock;
use crate::http::names::Lane;
use crate::http::{self, Bare};

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
                completion::bounded(answer, cut).await.map_err(OpenAIError::Reqwest)
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
        let listened = timeout(
            self.config.timeout.min(patience),
            completion::listen(&self.client(&cut), request, self.config.stall),
        )
        .await;
        match listened.unwrap_or(Err(Unanswered::TimedOut)) {
            Err(_) if cut.load(Ordering::Relaxed) => Err(Unanswered::Endless),
            listened => listened,
        }
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
