//! A language model behind an OpenAI-compatible address.
//!
//! | file | what it is |
//! |---|---|
//! | `config` | the settings |
//! | `budget` | what may be spent in a day |
//! | `tokens` | how many tokens words are |
//! | `prompt` | what a model is told |
//! | `past` | what it is given of the conversation's past |
//! | `summary_pauses` | how long a conversation goes without a new summary after one has failed |
//! | `image` | which images it can be shown |
//! | `join` | its lines, as strict templates want them |
//! | `voice` | how it is told of what was spoken |
//! | `model` | one model: asked, left alone while it rests |
//! | `completion` | what it answers, listened to while it speaks |
//! | `cut` | an answer that was too long for its model |
//! | `address` | where that is, and how the key is shown there |
//! | `lacks` | what its server does not take, and is asked without |
//! | `refused` | what such a server says |
//! | `retell` | what was called, for servers that do not take such lines |
//! | `steps` | one turn: the model answers, or has tools called first |
//! | `guard` | what its answer has to pass |
//! | `tools` | what it may call, and what it is told of it |
//! | `wire` | the words of `/chat/completions` |
//!
//! What the model is given: the system prompt (a template), as much of the conversation's history as the token
//! budget allows and a summary of the rest, and the waiting messages with their images.
//!
//! Models are a ladder, asked one after the other until one answers. One that cannot be reached, fails, or falls silent
//! in the middle of its answer is left for the next at once, and one whose server wants to be left alone for a while is
//! not asked meanwhile. If none answers, those are asked again, while there is time, whose failure may
//! pass. After that the customer gets the canned reply, and never a word of what went wrong, and the question is a dead
//! letter. An answer comes token by token, and leaves as one message: each is billed.

mod address;
mod budget;
mod completion;
mod config;
mod cut;
mod guard;
mod image;
mod join;
mod lacks;
mod model;
mod past;
mod prompt;
mod refused;
mod retell;
mod steps;
mod summary_pauses;
mod tokens;
mod tools;
mod voice;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tracing::{info, warn};

use super::{ConversationState, ConversationStateError, Egress, Handler, HandlerError, Turn};
use crate::message::clock::Clock;
use crate::message::{Part, Reply, Speaker};
use crate::runtime::meters::{Fact, LadderStep, Meters};
use crate::runtime::templates::{TemplateError, Templates};
use budget::SpendingLimits;
pub use config::{
    BudgetConfig, LlmConfig, McpConfig, ModelConfig, TokenParameter, ToolConfig, ToolPermission, Unusable,
};
use guard::Guardrails;
pub use model::Model;
use model::Rung;
use prompt::Prompter;
use steps::End;
use summary_pauses::SummaryPauses;
use tokens::Tokens;
use tools::Toolbox;
pub use tools::{Mcp, Tool};

/// What is left of a turn's time when no model is asked any longer, so that the canned reply is in time.
const RESERVE: Duration = Duration::from_millis(500);

/// What a handler needs besides its settings.
pub struct LlmContext {
    /// The models, with their keys; `config.models` is not looked at.
    pub models: Vec<Model>,
    /// The tools, with their secrets; `config.tools` is not looked at.
    pub tools: Vec<Tool>,
    /// The MCP servers, with their tokens; `config.mcp` is not looked at.
    pub mcp: Vec<Mcp>,
    /// Where tools may be called.
    pub ways_out: Egress,
    /// Where what is spent is counted, and summaries are kept.
    pub conversation_state: Arc<dyn ConversationState>,
    /// Where the prompt and the replies are.
    pub templates: Arc<Templates>,
    /// Where the time comes from.
    pub clock: Clock,
    /// Who counts what happens.
    pub meters: Meters,
}

/// The handler.
pub struct Llm {
    rungs: Vec<Rung>,
    prompter: Prompter,
    toolbox: Toolbox,
    guard: Guardrails,
    budget: SpendingLimits,
    conversation_state: Arc<dyn ConversationState>,
    tokens: Tokens,
    meters: Meters,
    history_tokens: usize,
    summary_tokens: u32,
    max_tokens: u32,
    max_steps: usize,
    handover_after: usize,
    retry_for: Duration,
    summary_pauses: SummaryPauses,
}

impl Llm {
    /// A handler that connects to nothing yet.
    ///
    /// # Errors
    /// Everything in `config` that cannot be used, each with its key.
    pub fn new(mut config: LlmConfig, around: LlmContext) -> Result<Self, Vec<Unusable>> {
        let LlmContext { models, tools, mcp, ways_out, conversation_state, templates, clock, meters } = around;
        // Nobody fetches what no model is shown.
        config.images &= models.iter().any(|model| model.config.vision);
        let mut problems = Vec::new();
        let prompter = Prompter::new(&config, !tools.is_empty() || !mcp.is_empty(), templates, &mut problems);
        let toolbox = Toolbox::new(tools, mcp, &ways_out, clock, &mut problems);
        let guard = Guardrails::new(&config, &models, &mut problems);
        let priced: Vec<&ModelConfig> = models.iter().map(|model| &model.config).collect();
        let time_zone = prompter.time_zone.clone();
        let budget =
            SpendingLimits::new(config.budget, &priced, time_zone, Arc::clone(&conversation_state), &mut problems);
        let mut rungs = Vec::with_capacity(models.len());
        for (number, model) in models.into_iter().enumerate() {
            match Rung::new(model, number, clock, &ways_out) {
                Ok(rung) => rungs.push(rung),
                Err(wrong) => problems.extend(
                    wrong
                        .into_iter()
                        .map(|Unusable { key, problem }| Unusable::new(format!("models[{number}].{key}"), problem)),
                ),
            }
        }
        if config.max_tokens == 0 {
            problems.push(Unusable::new("max_tokens", "must be 1 or more: with 0 no model could answer"));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self {
            rungs,
            prompter,
            toolbox,
            guard,
            budget,
            conversation_state,
            tokens: Tokens::default(),
            meters,
            history_tokens: config.history_tokens,
            summary_tokens: config.summary_tokens,
            max_tokens: config.max_tokens,
            max_steps: config.max_steps,
            handover_after: config.handover_after,
            retry_for: config.retry_for,
            summary_pauses: SummaryPauses::default(),
        })
    }
}

impl Llm {
    /// A turn has come to a step of the ladder.
    fn step(&self, step: LadderStep, cause: &'static str) {
        self.meters.tell(Fact::Step { step, cause });
    }
}

/// How often the bot has said nothing but this lately.
fn canned_in_a_row(canned: &str, turn: &Turn) -> usize {
    let said = turn.history.iter().rev().filter(|said| said.by == Speaker::Bot);
    said.take_while(|said| said.words == canned).count()
}

#[async_trait]
impl Handler for Llm {
    fn start(&self) {
        self.toolbox.start();
    }

    async fn reply(&self, turn: &Turn) -> Result<Reply, HandlerError> {
        let unusable = |error: TemplateError| HandlerError::new(error.to_string());
        let mut rung = 0;
        self.step(LadderStep::Model(rung), "asked");
        let past = self.past(turn, &mut rung).await.map_err(unusable)?;
        let messages = self.prompter.messages(turn, past, &self.guard).await.map_err(unusable)?;
        // Without the counters a hard limit is none: the turn is held again in a while.
        let uncounted = |error: ConversationStateError| HandlerError::temporary(error.to_string());
        let cause = match self.converse(turn, messages, &mut rung).await.map_err(uncounted)? {
            End::Words(words) => return Ok(self.guard.pass(&words).into()),
            End::Handover(reason) => {
                self.step(LadderStep::Human, "tool");
                info!(llm.rung = "human", "a tool has asked for a person");
                return Ok(Reply::Handover { reason });
            }
            End::UsedUp if self.budget.is_to_be_told(turn).await.map_err(uncounted)? => {
                return Ok(Reply::text(self.prompter.limit_reply(&turn.contact).map_err(unusable)?));
            }
            End::UsedUp => return Ok(Reply::Silence),
            End::Nothing(cause) => cause,
        };
        let canned = self.prompter.canned_reply(&turn.contact).map_err(unusable)?;
        if self.handover_after > 0 && canned_in_a_row(&canned, turn) >= self.handover_after {
            self.step(LadderStep::Human, "canned_reply");
            warn!(llm.rung = "human", "no model answered, again and again: a person is to take over");
            return Ok(Reply::Handover { reason: "no model answers".into() });
        }
        self.step(LadderStep::Canned, cause);
        warn!(
            llm.rung = "canned",
            "no model answered: the customer gets the canned reply, and the question is a dead letter"
        );
        Ok(Reply::Fallback { parts: vec![Part::text(canned)], reason: format!("no model answered: {cause}") })
    }
}
