//! Tools of an MCP server, over streamable HTTP, by the protocol's own Rust SDK.
//!
//! The server is connected to when a turn first needs its tools. They are listed then, and again every now and then; a
//! server that cannot be had leaves its turn without them. Whose conversation a call is about stands in the call's
//! `_meta`, where the model has no say. A server's schemas and descriptions are a stranger's words: as much of them is
//! taken as has the right form.

mod wire;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rmcp::model::{CallToolRequestParams, CallToolResult, MetaObject, RequestMetaObject};
use rmcp::service::{Peer, RoleClient, RunningService};
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
use crate::handler::WaysOut;
use crate::handler::llm::config::McpConfig;
use crate::handler::way_out;
use wire::Wire;

/// A server that could not be had is tried again after this.
const PAUSE: Duration = Duration::from_secs(30);
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
}

/// A server, connected to when it is needed.
pub(super) struct Server {
    config: McpConfig,
    token: Option<SecretString>,
    wire: Wire,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    session: Option<RunningService<RoleClient, ()>>,
    tools: Vec<Arc<Ready>>,
    /// When the tools are to be listed again.
    next: Option<Instant>,
}

/// One tool of a server's.
struct OfServer {
    peer: Peer<RoleClient>,
    name: String,
    answer_limit: u64,
}

impl Server {
    pub(super) fn new(Mcp { config, token }: Mcp, ways_out: &WaysOut) -> Result<Self, way_out::Unusable> {
        let url = way_out::address(&config.url, config.private)?;
        let transport = Arc::clone(if config.private { &ways_out.anywhere } else { &ways_out.public });
        let wire = Wire::new(url, transport, &config);
        Ok(Self { config, token, wire, state: Mutex::default() })
    }

    /// The tools, as they were listed last, or are now.
    pub(super) async fn tools(&self) -> Vec<Arc<Ready>> {
        let mut state = self.state.lock().await;
        let closed = state.session.as_ref().is_some_and(RunningService::is_closed);
        if !closed && state.next.is_some_and(|next| Instant::now() < next) {
            return state.tools.clone();
        }
        let server = &self.config.name;
        match timeout(self.config.timeout, self.list(&mut state.session)).await {
            Ok(Ok(tools)) => {
                info!(llm.mcp = server, llm.tools = tools.len(), "the tools of an MCP server were listed");
                *state =
                    State { session: state.session.take(), tools, next: Some(Instant::now() + self.config.refresh) };
            }
            failed => {
                let why = failed.map_or("it took too long", |_| "it cannot be reached, or was not understood");
                warn!(llm.mcp = server, why, "the tools of an MCP server could not be listed");
                *state = State { next: Some(Instant::now() + PAUSE), ..State::default() };
            }
        }
        state.tools.clone()
    }

    async fn list(&self, session: &mut Option<RunningService<RoleClient, ()>>) -> Result<Vec<Arc<Ready>>, Failure> {
        if session.as_ref().is_none_or(RunningService::is_closed) {
            let mut settings = StreamableHttpClientTransportConfig::with_uri(self.config.url.as_str());
            if let Some(token) = &self.token {
                settings = settings.auth_header(token.expose_secret());
            }
            let transport = StreamableHttpClientTransport::with_client(self.wire.clone(), settings);
            *session = Some(().serve(transport).await.map_err(|_| Failure::Unreachable)?);
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
            let (peer, answer_limit) = (session.peer().clone(), self.config.answer_limit);
            let callable = Arc::new(OfServer { peer, name: tool.name.into_owned(), answer_limit });
            Some(Arc::new(Ready { name, description, schema: schema?, timeout: self.config.timeout, callable }))
        });
        Ok(ready.take(MOST_TOOLS).collect())
    }
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
        outcome(result, self.answer_limit)
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

fn outcome(result: CallToolResult, limit: u64) -> Result<Outcome, Failure> {
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
    Ok(Outcome { words, beat: false, handover: None })
}
