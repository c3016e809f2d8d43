//! What a model may call, and what it is told of a call.
//!
//! A model's words are data, and so are a tool's: arguments are held against the tool's schema before anything is
//! called, whose conversation it is comes from the turn and never from the model, a call has its time and a result its
//! length, and what comes back stands in a frame that it cannot end. What goes wrong is told to the model, so that it
//! can mend it or say so.

mod frame;
mod http;
mod mcp;
mod names;
mod schema;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use secrecy::SecretString;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use super::config::{ToolConfig, ToolPermission, Unusable};
use super::wire::{Offer, Wanted};
use crate::handler::{Egress, Turn};
use crate::message::clock::Clock;
use crate::runtime::meters::{Fact, Meters};
pub(super) use frame::RULE;
use http::OverHttp;
pub use mcp::Mcp;
use mcp::Server;
use names::is_name;
use schema::Schema;

/// A tool over HTTP.
pub struct Tool {
    /// Where and what.
    pub config: ToolConfig,
    /// What calls are signed with, fetched.
    pub secret: Option<SecretString>,
}

/// What can be called.
#[async_trait]
trait Callable: Send + Sync + 'static {
    /// Makes one call.
    async fn call(&self, call: &CheckedCall<'_>) -> Result<ToolResult, Failure>;
}

/// One call, after all that may be wrong with it has been looked at.
struct CheckedCall<'a> {
    /// The same for the same call in the same turn, after a crash as well.
    id: String,
    name: &'a str,
    arguments: Map<String, Value>,
    /// Whose conversation this is.
    turn: &'a Turn,
    timeout: Duration,
}

/// What a tool says.
#[derive(Default)]
struct ToolResult {
    words: String,
    /// Whether the dots are to go off for a moment.
    beat: bool,
    /// Whether a person is to take over.
    handover: bool,
    /// Whether it says that it has failed.
    failed: bool,
}

/// What stands at the end of words that were cut.
const CUT: &str = " … [cut]";

impl ToolResult {
    /// A failure that the tool has words for, so that the model can mend its call: as many as a result may have.
    fn failed(mut words: String, limit: u64) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        if words.len() > limit {
            words.truncate(words.floor_char_boundary(limit));
            words.push_str(CUT);
        }
        Self { words, failed: true, ..Self::default() }
    }

    /// What the model is told.
    fn told(&self) -> String {
        match (self.words.trim().is_empty(), self.failed) {
            (false, false) => frame::around(&self.words),
            (false, true) => format!("The tool failed, and says why:\n{}", frame::around(&self.words)),
            (true, false) => "The tool has returned an empty result.".to_owned(),
            (true, true) => failure(&Failure::Refused),
        }
    }

    /// Takes in what a tool that may ask for something asks for: by `true`, or by a text. Its words go nowhere: a
    /// tool's own are in no log.
    fn heed(&mut self, may: &[ToolPermission], asked: impl Fn(ToolPermission) -> Option<Value>) {
        let wants = |what: ToolPermission| {
            may.contains(&what) && matches!(asked(what), Some(Value::Bool(true) | Value::String(_)))
        };
        (self.beat, self.handover) = (wants(ToolPermission::Beat), wants(ToolPermission::Handover));
    }
}

/// What the model is told of a failure that the tool has no words for.
fn failure(why: &Failure) -> String {
    format!("The tool failed: {why}. Do not make its result up.")
}

/// Why there is no result, for the model and the log: nothing of the tool's own words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Failure {
    #[error("it took too long")]
    TimedOut,
    #[error("it cannot be reached")]
    Unreachable,
    #[error("it answered with HTTP {0}")]
    Status(u16),
    #[error("its answer is too long")]
    TooLong,
    #[error("its answer was not understood")]
    NotUnderstood,
    #[error("it said that it could not do this")]
    Refused,
}

/// One tool, ready to be called.
struct Ready {
    name: String,
    description: String,
    schema: Schema,
    timeout: Duration,
    callable: Arc<dyn Callable>,
}

/// All that a bot's model may call.
pub(super) struct Toolbox {
    tools: Vec<Arc<Ready>>,
    servers: Vec<Server>,
}

/// What came of the calls of one step.
pub(super) struct Results {
    /// What the model is told, by the calls' identifiers.
    pub(super) told: Vec<(String, String)>,
    /// Why a person is to take over, if one is.
    pub(super) handover: Option<String>,
}

impl Toolbox {
    /// Everything that cannot be used is added to `problems`.
    pub(super) fn new(
        tools: Vec<Tool>,
        servers: Vec<Mcp>,
        ways_out: &Egress,
        clock: Clock,
        problems: &mut Vec<Unusable>,
    ) -> Self {
        let mut ready: Vec<Arc<Ready>> = Vec::new();
        for (number, Tool { config, secret }) in tools.into_iter().enumerate() {
            let mut wrong = |key: &str, problem: String| {
                problems.push(Unusable::new(format!("tools[{number}].{key}"), problem));
            };
            if !is_name(&config.name) {
                wrong("name", "must be up to 64 letters, digits, `_` and `-`".into());
            } else if ready.iter().any(|other| other.name == config.name) {
                wrong("name", "is another tool's already: give each its own".into());
            }
            if config.description.trim().is_empty() {
                wrong("description", "is empty: say what the tool does, for the model".into());
            }
            if config.timeout.is_zero() {
                wrong("timeout", "must not be zero: no tool answers at once".into());
            }
            let schema = Schema::written(&config.parameters).map_err(|problem| wrong("parameters", problem));
            let callable = OverHttp::new(&config, secret.as_ref(), ways_out, clock)
                .map_err(|found| found.into_iter().for_each(|(key, problem)| wrong(key, problem)));
            if let (Ok(schema), Ok(callable)) = (schema, callable) {
                let ToolConfig { name, description, timeout, .. } = config;
                ready.push(Arc::new(Ready { name, description, schema, timeout, callable: Arc::new(callable) }));
            }
        }
        let mut connectable: Vec<Server> = Vec::new();
        for (number, server) in servers.into_iter().enumerate() {
            let mut wrong = |key: &str, problem: String| {
                problems.push(Unusable::new(format!("mcp[{number}].{key}"), problem));
            };
            if !is_name(&server.config.name) {
                wrong("name", "must be up to 64 letters, digits, `_` and `-`".into());
            }
            if server.config.timeout.is_zero() {
                wrong("timeout", "must not be zero: no server answers at once".into());
            }
            match Server::new(server, ways_out) {
                Ok(server) => connectable.push(server),
                Err(found) => found.into_iter().for_each(|(key, problem)| wrong(&key, problem)),
            }
        }
        Self { tools: ready, servers: connectable }
    }

    /// Begins with what takes time before a turn needs it.
    pub(super) fn start(&self) {
        self.servers.iter().for_each(Server::start);
    }

    /// What there is to call in a turn.
    pub(super) async fn open(&self) -> OpenTools {
        let mut tools: Vec<_> = self.tools.iter().map(|tool| (tool.name.clone(), Arc::clone(tool))).collect();
        let listed = join_all(self.servers.iter().map(Server::tools)).await;
        for (server, tool) in
            listed.into_iter().enumerate().flat_map(|(at, tools)| tools.into_iter().map(move |tool| (at, tool)))
        {
            // Whoever is named first has the name.
            let is_taken = |name: &str| tools.iter().any(|(known, _)| known == name);
            let name = match is_taken(&tool.name) {
                false => tool.name.clone(),
                true => names::told_apart(&tool.name, &format!("{server} {}", tool.name)),
            };
            tools.push((name, tool));
        }
        OpenTools { tools }
    }
}

/// What there is to call in a turn, by the names that it is offered under.
pub(super) struct OpenTools {
    tools: Vec<(String, Arc<Ready>)>,
}

impl OpenTools {
    /// What the model is offered.
    pub(super) fn offers(&self) -> Vec<Offer> {
        let offer = |(name, tool): &(String, Arc<Ready>)| Offer::Function {
            name: name.clone(),
            description: tool.description.clone(),
            parameters: tool.schema.json().clone(),
        };
        self.tools.iter().map(offer).collect()
    }

    /// Makes the calls of one step, all at the same time.
    pub(super) async fn call(&self, turn: &Turn, wanted: &[Wanted], meters: &Meters) -> Results {
        let outcomes = join_all(wanted.iter().map(|wanted| self.call_one(turn, wanted))).await;
        let mut results = Results { told: Vec::new(), handover: None };
        for (wanted, (result, outcome)) in wanted.iter().zip(outcomes) {
            meters.tell(Fact::Tool { result });
            let words = match outcome {
                Ok(outcome) => {
                    if outcome.beat {
                        turn.presence.beat();
                    }
                    if outcome.handover && results.handover.is_none() {
                        results.handover = Some(format!("the tool {} asks for a person", wanted.name));
                    }
                    outcome.told()
                }
                Err(told) => told,
            };
            results.told.push((wanted.id.clone(), words));
        }
        results
    }

    /// Makes one call, or says what the model is told of why not; before that, what came of it in a word.
    async fn call_one(&self, turn: &Turn, wanted: &Wanted) -> (&'static str, Result<ToolResult, String>) {
        let Some((_, tool)) = self.tools.iter().find(|(name, _)| *name == wanted.name) else {
            // Its name may be anything: the model made it up.
            info!("the model wanted a tool that does not exist");
            return ("no_such_tool", Err("There is no tool of this name. Nothing was called.".into()));
        };
        let arguments = match tool.schema.read(&wanted.arguments) {
            Ok(arguments) => arguments,
            Err(problem) => {
                info!(llm.tool = tool.name, "the model gave a tool arguments that do not fit: nothing was called");
                let told = format!("The arguments do not fit the tool's parameters, and nothing was called. {problem}");
                return ("wrong_arguments", Err(told));
            }
        };
        let began = Instant::now();
        let id = identifier(turn, &tool.name, &arguments);
        let call = CheckedCall { id, name: &tool.name, arguments, turn, timeout: tool.timeout };
        let outcome = timeout(tool.timeout, tool.callable.call(&call)).await.unwrap_or(Err(Failure::TimedOut));
        let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        match &outcome {
            Ok(outcome) if outcome.failed => {
                warn!(
                    llm.tool = tool.name,
                    llm.tool_ms = ms,
                    "a tool said that it could not do this: the model is told why"
                );
            }
            Ok(_) => info!(llm.tool = tool.name, llm.tool_ms = ms, "a tool answered"),
            Err(why) => warn!(llm.tool = tool.name, llm.tool_ms = ms, %why, "a tool did not answer"),
        }
        let result = match &outcome {
            Ok(outcome) if !outcome.failed => "ok",
            Err(Failure::TimedOut) => "timeout",
            Ok(_) | Err(_) => "failed",
        };
        (result, outcome.map_err(|why| failure(&why)))
    }
}

/// What a call is known by.
fn identifier(turn: &Turn, name: &str, arguments: &Map<String, Value>) -> String {
    let arguments = serde_json::to_vec(arguments).unwrap_or_default();
    let digest = Sha256::new().chain_update(name).chain_update([0]).chain_update(arguments).finalize();
    format!("{}.{}", turn.id, hex::encode(&digest[..8]))
}
