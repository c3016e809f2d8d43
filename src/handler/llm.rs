//! A language model behind an OpenAI-compatible address.
//!
//! | file | what it is |
//! |---|---|
//! | `config` | the settings |
//! | `budget` | what may be spent in a day |
//! | `tokens` | how many tokens words are |
//! | `prompt` | what a model is told |
//! | `past` | what it is given of the conversation's past |
//! | `voice` | how it is told of what was spoken |
//! | `model` | one model: asked, left alone while it rests |
//! | `completion` | what it answers, listened to while it speaks |
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
//! not asked meanwhile. If none answers, the customer gets the canned reply, and never a word of what went wrong. An
//! answer comes token by token, and leaves as one message: each is billed.

mod budget;
mod completion;
mod config;
mod guard;
mod model;
mod past;
mod prompt;
mod steps;
mod tokens;
mod tools;
mod voice;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::ExposeSecret;
use tracing::{info, warn};

use super::{Handler, HandlerError, Notebook, NotebookError, Speaker, Turn, WaysOut};
use crate::clock::Clock;
use crate::message::Reply;
use crate::meters::{Fact, Meters, Step};
use crate::secret::unfit_for_header;
use crate::templates::{TemplateError, Templates};
use budget::Budget;
pub use config::{BudgetConfig, LlmConfig, May, McpConfig, ModelConfig, ToolConfig, Unusable};
use guard::Guard;
pub use model::Model;
use model::Rung;
use prompt::Prompter;
use steps::End;
use tokens::Tokens;
use tools::Toolbox;
pub use tools::{Mcp, Tool};

/// What is left of a turn's time when no model is asked any longer, so that the canned reply is in time.
const RESERVE: Duration = Duration::from_millis(500);

/// What a handler needs besides its settings.
pub struct Around {
    /// The models, with their keys; `config.models` is not looked at.
    pub models: Vec<Model>,
    /// The tools, with their secrets; `config.tools` is not looked at.
    pub tools: Vec<Tool>,
    /// The MCP servers, with their tokens; `config.mcp` is not looked at.
    pub mcp: Vec<Mcp>,
    /// Where tools may be called.
    pub ways_out: WaysOut,
    /// Where what is spent is counted, and summaries are kept.
    pub notebook: Arc<dyn Notebook>,
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
    guard: Guard,
    budget: Budget,
    notebook: Arc<dyn Notebook>,
    tokens: Tokens,
    meters: Meters,
    history_tokens: usize,
    summary_tokens: u32,
    max_tokens: u32,
    max_steps: usize,
    handover_after: usize,
}

impl Llm {
    /// A handler that connects to nothing yet.
    ///
    /// # Errors
    /// Everything in `config` that cannot be used, each with its key.
    pub fn new(config: LlmConfig, around: Around) -> Result<Self, Vec<Unusable>> {
        let Around { models, tools, mcp, ways_out, notebook, templates, clock, meters } = around;
        let mut problems = Vec::new();
        let prompter = Prompter::new(&config, !tools.is_empty() || !mcp.is_empty(), templates, &mut problems);
        let toolbox = Toolbox::new(tools, mcp, &ways_out, clock, &mut problems);
        let priced: Vec<&ModelConfig> = models.iter().map(|model| &model.config).collect();
        let time_zone = prompter.time_zone.clone();
        let guard = Guard::new(&config, &mut problems);
        let budget = Budget::new(config.budget, &priced, time_zone, Arc::clone(&notebook), &mut problems);
        for (number, model) in models.iter().enumerate() {
            let unfit = model.api_key.as_ref().and_then(|key| unfit_for_header(key.expose_secret()));
            // The client beneath would panic in the middle of a turn.
            problems.extend(unfit.map(|what| {
                let problem = format!("holds {what}, which no HTTP header can carry");
                Unusable::new(format!("models[{number}].api_key"), problem)
            }));
        }
        let mut rungs = Vec::with_capacity(models.len());
        for model in models {
            match ways_out.models.client(&model.config.base_url) {
                Ok(http) => rungs.push(Rung::new(model, clock, http, ways_out.models.lane())),
                Err(error) => problems.push(Unusable::new("models", error.to_string())),
            }
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
            notebook,
            tokens: Tokens::default(),
            meters,
            history_tokens: config.history_tokens,
            summary_tokens: config.summary_tokens,
            max_tokens: config.max_tokens,
            max_steps: config.max_steps,
            handover_after: config.handover_after,
        })
    }
}

impl Llm {
    /// A turn has come to a step of the ladder.
    fn step(&self, step: Step, cause: &'static str) {
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
        self.step(Step::Model(rung), "asked");
        let past = self.past(turn, &mut rung).await.map_err(unusable)?;
        let messages = self.prompter.messages(turn, past, &self.guard).await.map_err(unusable)?;
        // Without the counters a hard limit is none: the turn is held again in a while.
        let uncounted = |error: NotebookError| HandlerError::temporary(error.to_string());
        let cause = match self.converse(turn, messages, &mut rung).await.map_err(uncounted)? {
            End::Words(words) => return Ok(Reply::text(self.guard.pass(&words))),
            End::Handover(reason) => {
                self.step(Step::Human, "tool");
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
            self.step(Step::Human, "canned_reply");
            warn!(llm.rung = "human", "no model answered, again and again: a person is to take over");
            return Ok(Reply::Handover { reason: "no model answers".into() });
        }
        self.step(Step::Canned, cause);
        warn!(llm.rung = "canned", "no model answered: the customer gets the canned reply");
        Ok(Reply::text(canned))
    }
}
