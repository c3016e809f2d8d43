//! One model: asked, and left alone while it rests.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_openai::Client;
use async_openai::error::OpenAIError;
use async_openai::middleware::{HttpRequestFactory, ReqwestService};
use secrecy::SecretString;
use serde::de::IgnoredAny;
use tokio::time::{Instant, timeout};
use tower::{Service, service_fn};

use super::address::Endpoint;
use super::completion::{self, Passing, Said, Unanswered};
use super::config::{ModelConfig, Unusable};
use super::lacks::{Lack, Lacks, Learned, SentRequest, has_history};
use super::refused::{self, ModelRefusal};
use super::tokens::{self, Tokens};
use super::wire::{ChatMessage, ChatRequest, OURS, Offer, StreamOptions};
use crate::handler::Egress;
use crate::message::clock::Clock;
use crate::runtime::http::names::LookupLane;
use crate::runtime::http::{self, Bare, BareAnswer};

/// A model is not left alone for longer than this, whatever its server says.
const LONGEST_REST: Duration = Duration::from_secs(60 * 60);
/// How long a server may take to say why it refuses a request.
const TO_READ_WHY: Duration = Duration::from_secs(2);
/// So much of a request is left out, one after the other, before it is given up.
const MOST_LACKS: usize = 3;

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
    /// Its place on the ladder.
    number: usize,
    endpoint: Endpoint,
    http: Bare,
    lane: LookupLane,
    clock: Clock,
    rest: Arc<Rest>,
    learned: Learned,
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

/// What is known of an answer beside its words.
#[derive(Default)]
struct AnswerFacts {
    /// The answer itself, as it begins.
    answer: Mutex<Option<BareAnswer>>,
    /// What the server has said of a request that it does not take.
    refused: Mutex<Option<ModelRefusal>>,
}

impl Rung {
    /// # Errors
    /// What is wrong with its settings, each with its key in the model's table.
    pub(super) fn new(model: Model, number: usize, clock: Clock, ways_out: &Egress) -> Result<Self, Vec<Unusable>> {
        let Model { config, api_key } = model;
        let mut problems = config.body.keys().filter_map(|name| not_to_be_set(name)).collect::<Vec<_>>();
        let endpoint = Endpoint::new(&config, api_key.as_ref()).map_err(|wrong| problems.extend(wrong));
        let http = endpoint.as_ref().map_or(Err(None), |endpoint| match ways_out.anywhere.refuses(endpoint.url()) {
            Some(problem) => Err(Some(problem.to_owned())),
            None => ways_out.models.client(endpoint.url().as_str()).map_err(|error| Some(error.to_string())),
        });
        match (endpoint, http) {
            (Ok(endpoint), Ok(http)) if problems.is_empty() => {
                let (learned, lane) = (Learned::new(&config), ways_out.models.lane());
                Ok(Self { config, number, endpoint, http, lane, clock, rest: Arc::default(), learned })
            }
            (_, http) => {
                problems.extend(http.err().flatten().map(|problem| Unusable::new("base_url", problem)));
                Err(problems)
            }
        }
    }

    /// What makes one call.
    fn client(&self, overheard: &Arc<AnswerFacts>) -> Client<Endpoint> {
        // Under the bare service: async-openai's own would repeat a call that the next model should have, and its
        // errors do not carry the header that says for how long.
        let (bare, resting, clock) = (ReqwestService::new(self.http.clone()), Arc::clone(&self.rest), self.clock);
        let (lane, overheard) = (self.lane.clone(), Arc::clone(overheard));
        let service = service_fn(move |request: HttpRequestFactory| {
            let (mut bare, resting, lane) = (bare.clone(), Arc::clone(&resting), lane.clone());
            let overheard = Arc::clone(&overheard);
            async move {
                let answer = lane.scope(bare.call(request)).await?;
                // Whatever stands in the body: of a gateway in between, it is no answer of the protocol's.
                if let Err(error) = answer.error_for_status_ref() {
                    let may_pass = Unanswered::Status(answer.status().as_u16()).passing() != Passing::Never;
                    let rest = http::rest_of(answer.headers(), clock.now());
                    let reading = http::beginning(answer, refused::LONGEST);
                    let body = timeout(TO_READ_WHY, reading).await.unwrap_or_default();
                    let refused = ModelRefusal::read(&body);
                    if let Some(length) = rest.or(refused.rest).filter(|_| may_pass) {
                        resting.begin(length);
                    }
                    *overheard.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(refused);
                    return Err(OpenAIError::Reqwest(error));
                }
                *overheard.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
                Ok(http::empty_answer())
            }
        });
        Client::build(self.http.clone(), self.endpoint.clone()).with_http_service(service)
    }

    /// How long it still wants to be left alone, if it does.
    pub(super) fn rests(&self) -> Option<Duration> {
        self.rest.left()
    }

    /// Asks it, and listens until it has said all; `patience` at the most, and its own time. What its server refuses of
    /// the request is left out of another one, and remembered once that was answered. Tools are left out only if no
    /// other model can be asked, and none has been called in the turn.
    pub(super) async fn ask(
        &self,
        asked: &ModelRequest<'_>,
        patience: Duration,
        chance: RemainingChances,
    ) -> Result<Said, Unanswered> {
        let until = Instant::now() + self.config.timeout.min(patience);
        let may_lack_tools = chance.is_last && !asked.messages.iter().any(ChatMessage::is_result);
        let mut lacks = self.learned.known();
        if lacks.has(&Lack::Tools) && !asked.tools.is_empty() && !may_lack_tools {
            return Err(Unanswered::TakesNoTools);
        }
        // What was tried is not tried again, whether or not it has helped.
        let (mut tried, mut found, mut before) = (lacks.clone(), Vec::new(), None);
        let (mut repeats, mut to_hear_why) = (0, false);
        loop {
            let overheard = Arc::default();
            let left = until.saturating_duration_since(Instant::now());
            let (why, refused) = match self.ask_once(asked, &lacks, left, &overheard).await {
                Ok(said) => {
                    self.learned.learn(&self.config.model, found);
                    return Ok(said);
                }
                Err(why) => (why, overheard.refused.lock().unwrap_or_else(PoisonError::into_inner).take()),
            };
            // Servers that fail before the first event cannot say why in a stream: llama-cpp-python does. Asked for all
            // at once, they do, or they answer.
            if why == Unanswered::Silent && repeats < MOST_LACKS && !tried.has(&Lack::Stream) {
                tried.add(Lack::Stream);
                lacks.add(Lack::Stream);
                to_hear_why = true;
                repeats += 1;
                continue;
            }
            let Some(refused) = refused else { return Err(why) };
            if refused.is_about_money() {
                return Err(Unanswered::Unpaid);
            }
            let is_refusal = match why {
                Unanswered::Status(status) => matches!(status, 400 | 404 | 405 | 413 | 415 | 422 | 424 | 500 | 501),
                // It said so once it had begun to answer.
                why => why == Unanswered::BrokeOff,
            };
            let lack = is_refusal.then(|| asked.lack(&tried, &self.config, &refused)).flatten();
            // Servers that never heard of images fail at them, and say no word of why. Only for this turn, as it is a
            // guess; a 500 may be anything, and has to come twice.
            let may_be_images = is_refusal && (why != Unanswered::Status(500) || chance.is_again);
            let lack = lack.or_else(|| (may_be_images && asked.shows_images(&tried)).then_some(Lack::TheseImages));
            let Some(lack) = lack.filter(|_| repeats < MOST_LACKS) else { return Err(why) };
            if lack == Lack::Tools && !may_lack_tools {
                return Err(Unanswered::TakesNoTools);
            }
            if !tried.add(lack.clone()) {
                return Err(why);
            }
            // Without any limit nobody could say beforehand what the call may cost.
            if asked.counted && tried.token_parameter().is_none() {
                return Err(why);
            }
            // The same words again: what was left out before was not the reason.
            let is_same = before.as_ref() == Some(&refused);
            before = Some(refused);
            if is_same && let Some(useless) = found.pop_if(|lack| !matches!(lack, Lack::TokenParameter(_))) {
                lacks.take_back(&useless);
            }
            if std::mem::take(&mut to_hear_why) {
                lacks.take_back(&Lack::Stream);
            }
            lacks.add(lack.clone());
            found.push(lack);
            repeats += 1;
        }
    }

    /// Asks it once, without what it lacks.
    async fn ask_once(
        &self,
        asked: &ModelRequest<'_>,
        lacks: &Lacks,
        patience: Duration,
        overheard: &Arc<AnswerFacts>,
    ) -> Result<Said, Unanswered> {
        let ModelRequest { messages, tools, may_call, max_tokens, counted } = *asked;
        let messages = &*lacks.fit(messages, self.number);
        let forbids = !may_call && !tools.is_empty();
        // Who cannot be told to call nothing is offered nothing.
        let offers_none = lacks.has(&Lack::Tools) || (forbids && lacks.has(&Lack::ToolChoice));
        let tools = if offers_none { &[] } else { tools };
        let stream = !lacks.has(&Lack::Stream);
        let counted = counted && stream && !lacks.has(&Lack::StreamOptions);
        let body = self.config.body.iter().filter(|(name, _)| !lacks.has(&Lack::Field((*name).clone())));
        let request = ChatRequest {
            model: &self.config.model,
            messages,
            tools,
            tool_choice: (forbids && !offers_none).then_some("none"),
            max_tokens: lacks.limit_as("max_tokens", max_tokens),
            max_completion_tokens: lacks.limit_as("max_completion_tokens", max_tokens),
            stream,
            stream_options: counted.then_some(StreamOptions { include_usage: true }),
            body: body.map(|(name, value)| (name.as_str(), value)).collect(),
        };
        // What comes as a whole comes at the end of its time.
        let stall = if stream { self.config.stall } else { patience };
        let listened = async {
            let answer = timeout(stall, self.open(request, overheard)).await.map_err(|_| Unanswered::Stalled)??;
            let mut refused = None;
            let said = completion::hear(answer, tools, stall, &mut refused).await;
            *overheard.refused.lock().unwrap_or_else(PoisonError::into_inner) = refused;
            said
        };
        timeout(patience, listened).await.unwrap_or(Err(Unanswered::TimedOut))
    }

    /// Sends a request, and has the answer as it begins. The client makes the request; its own reader of streams waits
    /// for no comment, takes one form of each field, and cannot tell `[DONE]` from a connection that is lost.
    async fn open(&self, request: ChatRequest<'_>, overheard: &Arc<AnswerFacts>) -> Result<BareAnswer, Unanswered> {
        let client = self.client(overheard);
        let opened = client.chat().create_stream_byot::<_, IgnoredAny>(request).await;
        drop(opened.map_err(|error| Unanswered::of(&error))?);
        let answer = overheard.answer.lock().unwrap_or_else(PoisonError::into_inner).take();
        answer.ok_or(Unanswered::BrokeOff)
    }
}

/// A field of the settings' `body` that is ours.
fn not_to_be_set(name: &str) -> Option<Unusable> {
    let instead = match name {
        "max_tokens" | "max_completion_tokens" => "set the handler's max_tokens, and the model's token_parameter",
        "model" => "set the model's model",
        "tools" | "tool_choice" => "set the handler's tools",
        _ => "leave it out",
    };
    let problem = || Unusable::new(format!("body.{name}"), format!("is set by threedots itself: {instead}"));
    OURS.contains(&name).then(problem)
}

/// What a model is asked, whichever it is.
#[derive(Clone, Copy)]
pub(super) struct ModelRequest<'a> {
    pub(super) messages: &'a [ChatMessage<'a>],
    pub(super) tools: &'a [Offer],
    /// Whether it may still call them.
    pub(super) may_call: bool,
    pub(super) max_tokens: u32,
    /// Whether somebody wants to know what it costs.
    pub(super) counted: bool,
}

/// What other chances of an answer there are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RemainingChances {
    /// Whether no other model is left.
    pub(super) is_last: bool,
    /// Whether this one has failed at the same before.
    pub(super) is_again: bool,
}

impl ModelRequest<'_> {
    /// Whether images are shown to a server that lacks this.
    fn shows_images(&self, lacks: &Lacks) -> bool {
        !lacks.has(&Lack::Images) && !lacks.has(&Lack::TheseImages) && self.messages.iter().any(ChatMessage::has_images)
    }

    /// What of this a server may refuse that is asked without what it lacks.
    fn lack(&self, lacks: &Lacks, config: &ModelConfig, refused: &ModelRefusal) -> Option<Lack> {
        let back = self.messages.iter().flat_map(ChatMessage::beside);
        let body: Vec<&str> = config.body.keys().map(String::as_str).chain(back).collect();
        let body: Vec<&str> = body.into_iter().filter(|name| !lacks.has(&Lack::Field((*name).into()))).collect();
        let has_results = self.messages.iter().any(ChatMessage::is_result);
        let (streams, forbids) = (!lacks.has(&Lack::Stream), !self.may_call);
        let has_tools = !self.tools.is_empty() && !lacks.has(&Lack::Tools);
        let has_tool_choice = has_tools && forbids && !lacks.has(&Lack::ToolChoice);
        refused.lack(&SentRequest {
            token_parameter: lacks.token_parameter(),
            body: &body,
            has_stream_options: self.counted && streams && !lacks.has(&Lack::StreamOptions),
            has_tool_choice,
            has_images: self.shows_images(lacks),
            has_system: !lacks.has(&Lack::SystemRole),
            has_tools: has_tools && (has_tool_choice || !forbids),
            has_results: has_results && !lacks.has(&Lack::ToolLines),
            has_long_ids: has_results && !lacks.has(&Lack::LongIds),
            has_history: !lacks.has(&Lack::HalfHistory) && has_history(self.messages),
            streams,
        })
    }

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
    use crate::message::clock::Timestamp;

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
