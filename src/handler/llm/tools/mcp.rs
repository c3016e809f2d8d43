//! Tools of an MCP server, over streamable HTTP or as a process of ours, by the protocol's own Rust SDK.
//!
//! | file | what it is |
//! |---|---|
//! | `listing` | the list of its tools, kept beside the turns |
//! | `connection` | the connection to it, begun anew when it has ended |
//! | `trouble` | why nothing could be had of it |
//! | `listener` | what it may ask of us |
//! | `wire` | its HTTP, over a way out of ours |
//! | `process` | its process |
//! | `lenient` | its messages, made into what the SDK takes |
//! | `content` | a result in words |
//!
//! The server is connected to, or started, when its bot begins to serve. Its tools are listed then, and again every now
//! and then; a turn is given the last list, and waits only for the first one, for a moment. Whose conversation a call
//! is about stands in the call's `_meta`, where the model has no say. A server's schemas and descriptions are a
//! stranger's words: as much of them is taken as has the right form.
//!
//! What a result may ask of the turn stands in its `_meta`, as the scope does in the call's: `"threedots/beat": true`,
//! and `"threedots/handover": true`. It counts if the server's settings say that it may.

mod connection;
mod content;
mod lenient;
mod listener;
mod listing;
mod process;
#[cfg(test)]
mod tests;
mod trouble;
mod wire;

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use rmcp::model::{CallToolRequestParams, CallToolResult, MetaObject, RequestMetaObject};
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

use super::{Callable, CheckedCall, Failure, Ready, ToolResult};
use crate::handler::llm::config::{McpConfig, ToolPermission};
use crate::handler::{Egress, way_out};
use connection::{CallTrouble, Connection, Way};
use listing::Listed;
use process::Program;
use wire::McpWire;

/// An MCP server.
pub struct Mcp {
    /// Where and what.
    pub config: McpConfig,
    /// What is shown there, fetched.
    pub token: Option<SecretString>,
    /// The environment of its process, besides what every one has: names, and values that were fetched.
    pub environment: Vec<(String, SecretString)>,
}

/// A server, and the list of its tools.
pub(super) struct Server {
    connection: Arc<Connection>,
    listed: watch::Sender<Listed>,
    /// What keeps the list, once it has begun.
    keeper: OnceLock<AbortOnDropHandle<()>>,
}

/// One tool of a server's, by the server's name for it.
struct OfServer {
    connection: Arc<Connection>,
    name: String,
}

impl Server {
    pub(super) fn new(server: Mcp, ways_out: &Egress) -> Result<Self, Vec<(String, String)>> {
        let Mcp { config, token, environment } = server;
        let way = match (config.url.is_empty(), config.command.is_empty()) {
            (true, true) => {
                return Err(vec![(
                    "url".into(),
                    "is missing: give the server's address, or its program as `command`".into(),
                )]);
            }
            (false, true) => {
                let (key, problem) = match way_out::address(&config.url, config.private) {
                    Ok(url) => {
                        let transport = Arc::clone(if config.private { &ways_out.anywhere } else { &ways_out.public });
                        if let Some(problem) = transport.refuses(&url) {
                            return Err(vec![("url".into(), problem.into())]);
                        }
                        let stale = Arc::<Notify>::default();
                        let wire = McpWire::new(url, transport, &config, Arc::clone(&stale));
                        return Self::over(config, Way::Http { wire, token }, stale);
                    }
                    Err(unusable) => unusable,
                };
                return Err(vec![(key.into(), problem)]);
            }
            (false, false) => {
                return Err(vec![("command".into(), "stands beside a `url`: a server has one or the other".into())]);
            }
            (true, false) => Way::Process(Program::new(&config, environment)?),
        };
        Self::over(config, way, Arc::default())
    }

    fn over(config: McpConfig, way: Way, stale: Arc<Notify>) -> Result<Self, Vec<(String, String)>> {
        let mut problems = Vec::new();
        let of_the_other: &[(&str, bool)] = match way {
            Way::Http { .. } => &[("args", config.args.is_empty()), ("env", config.env.is_empty())],
            Way::Process(_) => &[("token", config.token.is_none()), ("private", !config.private)],
        };
        let needed = if matches!(way, Way::Http { .. }) { "command" } else { "url" };
        for (key, _) in of_the_other.iter().filter(|(_, unset)| !unset) {
            problems.push(((*key).to_owned(), format!("means nothing without a `{needed}`: remove it")));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let connection = Arc::new(Connection::new(config, way, stale));
        Ok(Self { connection, listed: watch::Sender::default(), keeper: OnceLock::new() })
    }

    /// Begins to list the tools, beside whatever else is done.
    pub(super) fn start(&self) {
        self.keeper.get_or_init(|| {
            let kept = listing::keep(Arc::clone(&self.connection), self.listed.clone());
            AbortOnDropHandle::new(tokio::spawn(kept))
        });
    }

    /// The tools, as they were listed last. For the first list a moment is waited.
    pub(super) async fn tools(&self) -> Vec<Arc<Ready>> {
        self.start();
        let mut listed = self.listed.subscribe();
        // Without it the turn goes on: a server that hangs holds up nobody.
        let _ = timeout(self.connection.config.list_wait, listed.wait_for(|listed| listed.tried)).await;
        let listed = listed.borrow();
        listed.tools.clone()
    }
}

#[async_trait]
impl Callable for OfServer {
    async fn call(&self, call: &CheckedCall<'_>) -> Result<ToolResult, Failure> {
        let mut params = CallToolRequestParams::new(self.name.clone());
        params.arguments = Some(call.arguments.clone());
        params.meta = Some(RequestMetaObject(MetaObject(scope(call))));
        let McpConfig { name, answer_limit, may, .. } = &self.connection.config;
        match self.connection.call(params).await {
            Ok(result) => outcome(result, *answer_limit, may),
            Err(CallTrouble::Said(words)) => Ok(ToolResult::failed(words, *answer_limit)),
            Err(CallTrouble::Trouble(why)) => {
                warn!(llm.mcp = name, %why, "an MCP server has not carried out a call");
                Err(why.into())
            }
        }
    }
}

/// Whose conversation a call is about.
fn scope(call: &CheckedCall<'_>) -> Map<String, Value> {
    let at = call.turn.newest().map(|message| &message.at);
    let fields = [
        ("id", json!(call.id)),
        ("turn", json!(call.turn.id)),
        ("bot", json!(call.turn.bot.as_str())),
        ("chat", json!(at.map(|at| at.chat.as_str()))),
        ("sender", json!(at.map(|at| at.sender.as_str()))),
        ("phone", json!(at.and_then(|at| at.phone.as_ref()).map(|phone| phone.as_str()))),
    ];
    fields.into_iter().map(|(name, value)| (format!("threedots/{name}"), value)).collect()
}

fn outcome(result: CallToolResult, limit: u64, may: &[ToolPermission]) -> Result<ToolResult, Failure> {
    let texts = result.content.iter().filter_map(|block| block.as_text());
    let words = texts.map(|text| text.text.as_str()).collect::<Vec<_>>().join("\n");
    let mut outcome = match result.is_error {
        Some(true) => ToolResult::failed(words, limit),
        _ if words.len() as u64 > limit => return Err(Failure::TooLong),
        _ => ToolResult { words, ..ToolResult::default() },
    };
    outcome.heed(may, |what| {
        let name = match what {
            ToolPermission::Beat => "threedots/beat",
            ToolPermission::Handover => "threedots/handover",
        };
        result.meta.as_ref()?.0.get(name).cloned()
    });
    Ok(outcome)
}
