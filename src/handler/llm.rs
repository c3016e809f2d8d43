//! A language model behind an OpenAI-compatible address.
//!
//! What the model is given: the system prompt (a template), as much of the conversation's history as the token
//! budget allows, and the waiting messages with their images.
//!
//! Models are a ladder, asked one after the other until one answers. One that cannot be reached, fails, or falls silent
//! in the middle of its answer is left for the next at once, and one whose server wants to be left alone for a while is
//! not asked meanwhile. If none answers, the customer gets the canned reply, and never a word of what went wrong. An
//! answer comes token by token, and leaves as one message: each is billed.

mod config;
mod model;
mod prompt;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::{Handler, HandlerError, Turn};
use crate::clock::Clock;
use crate::http;
use crate::message::Reply;
use crate::templates::{TemplateError, Templates};
pub use config::{LlmConfig, ModelConfig, Unusable};
pub use model::Model;
use model::Rung;
use prompt::Prompter;
use wire::Line;

/// What is left of a turn's time when no model is asked any longer, so that the canned reply is in time.
const RESERVE: Duration = Duration::from_millis(500);

/// What a handler needs besides its settings.
pub struct Around {
    /// The models, with their keys; `config.models` is not looked at.
    pub models: Vec<Model>,
    /// Where the prompt and the replies are.
    pub templates: Arc<Templates>,
    /// Where the time comes from.
    pub clock: Clock,
}

/// The handler.
pub struct Llm {
    rungs: Vec<Rung>,
    prompter: Prompter,
    max_tokens: u32,
}

impl Llm {
    /// A handler that connects to nothing yet.
    ///
    /// # Errors
    /// Everything in `config` that cannot be used, each with its key.
    pub fn new(config: LlmConfig, around: Around) -> Result<Self, Vec<Unusable>> {
        let Around { models, templates, clock } = around;
        let mut problems = Vec::new();
        let prompter = Prompter::new(&config, templates, &mut problems);
        let rungs: Result<Vec<_>, http::ClientError> =
            models.into_iter().map(|model| Rung::new(model, clock)).collect();
        let rungs = rungs.unwrap_or_else(|error| {
            problems.push(Unusable::new("models", error.to_string()));
            Vec::new()
        });
        if problems.is_empty() { Ok(Self { rungs, prompter, max_tokens: config.max_tokens }) } else { Err(problems) }
    }

    /// Goes down the ladder until a model answers.
    async fn ask(&self, turn: &Turn, messages: &[Line<'_>]) -> Option<String> {
        for (number, rung) in self.rungs.iter().enumerate() {
            let model = &rung.config.model;
            let left = turn.deadline.saturating_duration_since(Instant::now() + RESERVE);
            if left.is_zero() {
                warn!(llm.model = model, llm.rung = number, "the turn's time is up: no further model is asked");
                return None;
            }
            if let Some(rest) = rung.rests() {
                let seconds = rest.as_secs();
                info!(llm.model = model, llm.rung = number, llm.rest_s = seconds, "a model rests, and is not asked");
                continue;
            }
            match rung.ask(messages, self.max_tokens, left).await {
                Ok(words) => {
                    debug!(llm.model = model, llm.rung = number, llm.messages = messages.len(), "a model answered");
                    return Some(words);
                }
                Err(why) => warn!(llm.model = model, llm.rung = number, %why, "a model did not answer"),
            }
        }
        None
    }
}

#[async_trait]
impl Handler for Llm {
    async fn reply(&self, turn: &Turn) -> Result<Reply, HandlerError> {
        let unusable = |error: TemplateError| HandlerError::new(error.to_string());
        let messages = self.prompter.messages(turn).await.map_err(unusable)?;
        if let Some(words) = self.ask(turn, &messages).await {
            return Ok(Reply::text(words));
        }
        warn!(llm.rung = "canned", "no model answered: the customer gets the canned reply");
        Ok(Reply::text(self.prompter.canned_reply(&turn.contact).map_err(unusable)?))
    }
}
