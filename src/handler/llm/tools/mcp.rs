//! Tools of an MCP server, over streamable HTTP or as a process of ours, by the protocol's own Rust SDK.
//!
//! The server is connected to, or started, when a turn first needs its tools. They are listed then, and again every now and then; a
//! server that cannot be had leaves its turn without them. Whose conversation a call is about stands in the call's
//! `_meta`, where the model has no say. A server's schemas and descriptions are a stranger's words: as much of them is
//! taken as has the right form.
//!
//! What a result may ask of the turn stands in its `_meta`, as the scope does in the call's: `"threedots/beat": true`, and
//! `"threedots/handover": true`. It counts if the server's settings say that it may.

mod process;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rmcp::model::{CallToolRequestParams, CallToolResult, MetaObject, RequestMetaObject};
use rmcp::service::{ClientInitializeError, Peer, RoleClient, RunningService};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ServiceError, ServiceExt};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use super::schema::Schema;
use super::{Call, Callable, Failure, Outcome, Ready};
use crate::handler::llm::config::{May, McpConfig};
use crate::handler::{WaysOut, way_out};
use process::Program;
use wire::Wire;

/// A server that could not be had is tried again after this.
const PAUSE: Duration = Duration::from_secs(30);
/// A session that has lasted for so long did not end early.
const LASTING: Duration = Duration::from_secs(60);
/// How long a server is left alone whose sessions end early, from the first such end on; twice as long each time, up to
/// some four minutes.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest description that is taken from a server, in characters.
const LONGEST_DESCRIPTION: usize = 1000;
/// So many tools are taken from a server.
const MOST_TOOLS: usize = 64;

/// An MCP server.
pub struct Mcp {
    /// Where and what.
    pub config: McpConfig,
    /// What is shown there, fetched.
    pub token: Option<SecretString>,
    /// The environment of its process, besides what every one has: names, and values that were fetched.
    pub environment: Vec<(String, SecretString)>,
}

/// A server, connected to when it is needed.
pub(super) struct Server {
    config: McpConfig,
    way: Way,
    state: Mutex<State>,
}

/// How a server is spoken to.
enum Way {
    Http { wire: Wire, token: Option<SecretString> },
    Process(Program),
}

#[derive(Default)]
struct State {
    session: Option<RunningService<RoleClient, ()>>,
    tools: Vec<Arc<Ready>>,
    /// When the tools are to be listed again.
    next: Option<Instant>,
    /// Since when there is the session.
    began: Option<Instant>,
    /// How many sessions in a row have ended early.
    falls: u32,
}

/// One tool of a server's.
struct OfServer {
    peer: Peer<RoleClient>,
    name: String,
    answer_limit: u64,
    may: Vec<May>,
}

impl Server {
    pub(super) fn new(server: Mcp, ways_out: &WaysOut) -> Result<Self, Vec<(String, String)>> {
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
                        let wire = Wire::new(url, transport, &config);
                        return Self::over(config, Way::Http { wire, token });
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
        Self::over(config, way)
    }

    fn over(config: McpConfig, way: Way) -> Result<Self, Vec<(String, String)>> {
        let mut problems = Vec::new();
        let of_the_other: &[(&str, bool)] = match way {
            Way::Http { .. } => &[("args", config.args.is_empty()), ("env", config.env.is_empty())],
            Way::Process(_) => &[("token", config.token.is_none()), ("private", !config.private)],
        };
        let needed = if matches!(way, Way::Http { .. }) { "command" } else { "url" };
        for (key, _) in of_the_other.iter().filter(|(_, unset)| !unset) {
            problems.push(((*key).to_owned(), format!("means nothing without a `{needed}`: remove it")));
        }
        if problems.is_empty() { Ok(Self { config, way, state: Mutex::default() }) } else { Err(problems) }
    }

    /// The tools, as they were listed last, or are now.
    pub(super) async fn tools(&self) -> Vec<Arc<Ready>> {
        let mut state = self.state.lock().await;
        let now = Instant::now();
        if state.session.as_ref().is_some_and(has_ended) {
            // It has died. One that does so again and again is left alone for a while.
            let early = state.began.take().is_some_and(|began| now - began < LASTING);
            let falls = if early { state.falls + 1 } else { 0 };
            let pause = falls.checked_sub(1).map_or(Duration::ZERO, |times| FIRST_PAUSE * 2_u32.pow(times.min(8)));
            warn!(llm.mcp = self.config.name, llm.falls = falls, "an MCP server has ended, and is begun with again");
            *state = State { falls, next: Some(now + pause), ..State::default() };
        }
        if state.next.is_some_and(|next| now < next) {
            return state.tools.clone();
        }
        let server = &self.config.name;
        match timeout(self.config.timeout, self.list(&mut state.session)).await {
            Ok(Ok(tools)) => {
                info!(llm.mcp = server, llm.tools = tools.len(), "the tools of an MCP server were listed");
                let (next, began) = (Some(now + self.config.refresh), Some(state.began.unwrap_or(now)));
                *state = State { session: state.session.take(), tools, next, began, falls: state.falls };
            }
            failed => {
                let why = failed.map_or("it took too long", |_| "it cannot be reached, or was not understood");
                warn!(llm.mcp = server, why, "the tools of an MCP server could not be listed");
                *state = State { next: Some(Instant::now() + PAUSE), ..State::default() };
            }
        }
        state.tools.clone()
    }

    async fn connect(&self) -> Result<RunningService<RoleClient, ()>, Failure> {
        let connected: Result<_, ClientInitializeError> = match &self.way {
            Way::Http { wire, token } => {
                let mut settings = StreamableHttpClientTransportConfig::with_uri(self.config.url.as_str());
                if let Some(token) = token {
                    settings = settings.auth_header(token.expose_secret());
                }
                ().serve(StreamableHttpClientTransport::with_client(wire.clone(), settings)).await
            }
            Way::Process(program) => ().serve(program.start().map_err(|_| Failure::Unreachable)?).await,
        };
        connected.map_err(|_| Failure::Unreachable)
    }

    async fn list(&self, session: &mut Option<RunningService<RoleClient, ()>>) -> Result<Vec<Arc<Ready>>, Failure> {
        if session.as_ref().is_none_or(has_ended) {
            *session = Some(self.connect().await?);
        }
        let Some(session) = session else { return Err(Failure::Unreachable) };
        let listed = session.peer().list_all_tools().await.map_err(|_| Failure::NotUnderstood)?;
        let wanted = |name: &str| self.config.tools.is_empty() || self.config.tools.iter().any(|known| known == name);
        let listed = listed.into_iter().filter(|tool| wanted(&tool.name));
        let ready = listed.filter_map(|tool| {
            let name = format!("{}_{}", self.config.name, tool.name);
            let schema =
                Schema::new(Value::Object((*tool.input_schema).clone())).ok().filter(|_| super::is_name(&name));
            if schema.is_none() {
                warn!(llm.mcp = self.config.name, "an MCP server has a tool whose name or schema cannot be used");
            }
            let description = tool.description.unwrap_or_default().chars().take(LONGEST_DESCRIPTION).collect();
            let (peer, answer_limit, may) = (session.peer().clone(), self.config.answer_limit, self.config.may.clone());
            let callable = Arc::new(OfServer { peer, name: tool.name.into_owned(), answer_limit, may });
            Some(Arc::new(Ready { name, description, schema: schema?, timeout: self.config.timeout, callable }))
        });
        Ok(ready.take(MOST_TOOLS).collect())
    }
}

/// Whether nothing can be said in a session any longer, whoever has ended it.
fn has_ended(session: &RunningService<RoleClient, ()>) -> bool {
    session.is_closed() || session.peer().is_transport_closed()
}

#[async_trait]
impl Callable for OfServer {
    async fn call(&self, call: &Call<'_>) -> Result<Outcome, Failure> {
        let mut params = CallToolRequestParams::new(self.name.clone());
        params.arguments = Some(call.arguments.clone());
        params.meta = Some(RequestMetaObject(MetaObject(scope(call))));
        let result = self.peer.call_tool(params).await.map_err(|error| match error {
            ServiceError::McpError(_) => Failure::Refused,
            ServiceError::Timeout { .. } => Failure::TimedOut,
            _ => Failure::Unreachable,
        })?;
        outcome(result, self.answer_limit, &self.may)
    }
}

/// Whose conversation a call is about.
fn scope(call: &Call<'_>) -> Map<String, Value> {
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

fn outcome(result: CallToolResult, limit: u64, may: &[May]) -> Result<Outcome, Failure> {
    if result.is_error == Some(true) {
        return Err(Failure::Refused);
    }
    let texts: Vec<&str> =
        result.content.iter().filter_map(|block| block.as_text()).map(|text| text.text.as_str()).collect();
    let words = match (texts.is_empty(), &result.structured_content) {
        (true, Some(structured)) => structured.to_string(),
        _ => texts.join("\n"),
    };
    if words.len() as u64 > limit {
        return Err(Failure::TooLong);
    }
    let mut outcome = Outcome { words, ..Outcome::default() };
    outcome.heed(may, |what| {
        let name = match what {
            May::Beat => "threedots/beat",
            May::Handover => "threedots/handover",
        };
        result.meta.as_ref()?.0.get(name).cloned()
    });
    Ok(outcome)
}
