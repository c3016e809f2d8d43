//! The connection to one server: begun when it is needed, and anew when it has ended, by one at a time.

use std::process::ExitStatus;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ErrorCode, PaginatedRequestParams, ProtocolVersion, Tool,
};
use rmcp::service::{Peer, RoleClient, RunningService};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientLifecycleMode, ClientServiceExt, ServiceError};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{Mutex, Notify};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{info, warn};

use super::lenient::TOO_LONG;
use super::listener::Listener;
use super::process::Program;
use super::trouble::Trouble;
use super::wire::McpWire;
use crate::handler::llm::config::McpConfig;

/// A session that has lasted for so long did not end early.
const LASTING: Duration = Duration::from_secs(60);
/// How long a server is left alone that could not be had, or whose session has ended early; twice as long each time, up
/// to some four minutes.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const MOST_DOUBLINGS: u32 = 8;
/// Calls are let through to an address after this, whatever the pause: it costs nothing to look whether it is back.
const LONGEST_PAUSE_OF_CALLS: Duration = Duration::from_secs(15);
/// A call waits for so long for a server that is left alone.
const SHORT_PAUSE: Duration = Duration::from_secs(2);
/// So many tools are taken from a server, and so many pages are asked for.
const MOST_TOOLS: usize = 64;
const MOST_PAGES: usize = 64;

/// The pause after so many failures in a row.
pub(super) fn pause_after(failures: u32) -> Duration {
    failures.checked_sub(1).map_or(Duration::ZERO, |times| FIRST_PAUSE * 2_u32.pow(times.min(MOST_DOUBLINGS)))
}

/// How a server is spoken to.
pub(super) enum Way {
    /// At its address.
    Http { wire: McpWire, token: Option<SecretString> },
    /// As a process of ours.
    Process(Program),
}

/// Why a call has brought no result.
pub(super) enum CallTrouble {
    /// Nothing that the server says.
    Trouble(Trouble),
    /// The server's words.
    Said(String),
}

type Session = RunningService<RoleClient, Listener>;

/// A server, connected to when it is needed.
pub(super) struct Connection {
    pub(super) config: McpConfig,
    way: Way,
    state: Mutex<ConnectionState>,
    /// Told when what was listed may be right no longer.
    pub(super) stale: Arc<Notify>,
    /// Told when a session has begun: what could not be listed may be there again.
    pub(super) begun: Notify,
}

#[derive(Default)]
struct ConnectionState {
    session: Option<Session>,
    /// How the process of the session has ended.
    ended: Arc<OnceLock<ExitStatus>>,
    /// Since when there is the session.
    began: Option<Instant>,
    /// How many sessions in a row have not begun, or have ended early.
    failures: u32,
    /// Until when no session is begun.
    rests_until: Option<Instant>,
}

impl ConnectionState {
    /// Notes a failure, and how long the server is left alone for it.
    fn fail(&mut self, way: &Way) {
        self.failures = self.failures.saturating_add(1);
        let longest = match way {
            Way::Http { .. } => LONGEST_PAUSE_OF_CALLS,
            Way::Process(_) => Duration::MAX,
        };
        self.rests_until = Some(Instant::now() + pause_after(self.failures).min(longest));
    }
}

impl Connection {
    pub(super) fn new(config: McpConfig, way: Way, stale: Arc<Notify>) -> Self {
        Self { config, way, state: Mutex::default(), stale, begun: Notify::new() }
    }

    /// The program, by its name alone: what it is given may hold secrets.
    pub(super) fn command(&self) -> Option<&str> {
        match &self.way {
            Way::Http { .. } => None,
            Way::Process(program) => Some(program.command()),
        }
    }

    /// What an operator can do to see more, if there is something: what a process says is in no log.
    pub(super) fn advice(&self) -> Option<String> {
        self.command().map(|command| format!("run it by hand to see what it says: {command}"))
    }

    /// A session with the server, begun if there is none.
    async fn peer(&self) -> Result<Peer<RoleClient>, Trouble> {
        let mut state = self.state.lock().await;
        if state.session.as_ref().is_some_and(has_ended) {
            state.session = None;
            let lasted = state.began.take().map(|began| began.elapsed()).unwrap_or_default();
            if lasted < LASTING {
                state.fail(&self.way);
            } else {
                (state.failures, state.rests_until) = (0, None);
            }
            warn!(
                llm.mcp = self.config.name,
                llm.failures = state.failures,
                process.status = state.ended.get().map(ToString::to_string),
                advice = self.advice(),
                "an MCP server has ended, and is begun with again"
            );
        }
        if let Some(session) = &state.session {
            return Ok(session.peer().clone());
        }
        if let Some(until) = state.rests_until.filter(|until| Instant::now() < *until) {
            return Err(Trouble::Resting(until));
        }
        state.ended = Arc::default();
        let began = timeout(self.config.timeout, self.begin(&state.ended)).await.unwrap_or(Err(Trouble::TimedOut));
        match began {
            Ok(session) => {
                let peer = session.peer().clone();
                (state.session, state.began) = (Some(session), Some(Instant::now()));
                self.begun.notify_one();
                Ok(peer)
            }
            Err(trouble) => {
                state.fail(&self.way);
                Err(trouble)
            }
        }
    }

    /// Begins a session: by the handshake, in the newest version that has one or as an old server wants it, or without.
    async fn begin(&self, ended: &Arc<OnceLock<ExitStatus>>) -> Result<Session, Trouble> {
        let modern = vec![ProtocolVersion::LATEST];
        let ways = [
            (ProtocolVersion::LATEST_WITH_INITIALIZE, ClientLifecycleMode::Initialize),
            (ProtocolVersion::V_2024_11_05, ClientLifecycleMode::Initialize),
            (ProtocolVersion::LATEST, ClientLifecycleMode::Discover { preferred_versions: modern }),
        ];
        let mut first = None;
        for (version, lifecycle) in ways {
            match self.begin_in(version, lifecycle, ended).await {
                // It is there, and does not take this version.
                Err(trouble @ Trouble::Refused(_)) => drop(first.get_or_insert(trouble)),
                Err(Trouble::Status(_) | Trouble::NotUnderstood) if first.is_some() => {}
                other => return other,
            }
        }
        Err(first.unwrap_or(Trouble::NotUnderstood))
    }

    async fn begin_in(
        &self,
        version: ProtocolVersion,
        lifecycle: ClientLifecycleMode,
        ended: &Arc<OnceLock<ExitStatus>>,
    ) -> Result<Session, Trouble> {
        let listener = Listener::new(Arc::clone(&self.stale), version);
        let (begun, only_events) = match &self.way {
            Way::Http { wire, token } => {
                let mut settings = StreamableHttpClientTransportConfig::with_uri(self.config.url.as_str());
                let token = token.as_ref().map(|token| token.expose_secret().to_owned());
                if let Some(token) = &token {
                    settings = settings.auth_header(token);
                }
                let transport = StreamableHttpClientTransport::with_client(wire.clone(), settings);
                let begun = listener.serve_with_lifecycle(transport, lifecycle).await.map_err(Trouble::of_beginning);
                let may_be_older = matches!(begun, Err(Trouble::Status(400..=499) | Trouble::NotUnderstood));
                (begun, may_be_older && wire.speaks_only_events(token).await)
            }
            Way::Process(program) => {
                let process = program.start(Arc::clone(ended)).map_err(|error| Trouble::NotStarted(error.kind()))?;
                (listener.serve_with_lifecycle(process, lifecycle).await.map_err(Trouble::of_beginning), false)
            }
        };
        match begun {
            Err(_) if only_events => Err(Trouble::OnlyEvents),
            Err(trouble) => Err(ended.get().map_or(trouble, |status| Trouble::Ended(*status))),
            begun => begun,
        }
    }

    /// Lists the tools, page by page.
    pub(super) async fn list(&self) -> Result<Vec<Tool>, Trouble> {
        let peer = self.peer().await?;
        match timeout(self.config.timeout, self.pages(&peer)).await {
            Ok(listed) => listed,
            Err(_) => {
                // One that says nothing any longer is begun with anew.
                self.state.lock().await.session = None;
                Err(Trouble::TimedOut)
            }
        }
    }

    async fn pages(&self, peer: &Peer<RoleClient>) -> Result<Vec<Tool>, Trouble> {
        let (mut tools, mut cursor) = (Vec::new(), None);
        for _ in 0..MOST_PAGES {
            let mut params = PaginatedRequestParams::default();
            params.cursor = cursor.take();
            let page = match peer.list_tools(Some(params)).await {
                Ok(page) => page,
                // It has none.
                Err(ServiceError::McpError(error)) if error.code == ErrorCode::METHOD_NOT_FOUND => break,
                Err(error) => return Err(self.of_service(error).await),
            };
            tools.extend(page.tools);
            cursor = page.next_cursor;
            if cursor.is_none() || tools.len() >= MOST_TOOLS {
                break;
            }
        }
        if tools.len() > MOST_TOOLS || cursor.is_some() {
            info!(llm.mcp = self.config.name, llm.most = MOST_TOOLS, "an MCP server has more tools than are offered");
            tools.truncate(MOST_TOOLS);
        }
        Ok(tools)
    }

    /// Calls a tool. What was not written to a process that has ended meanwhile is written to the next one, once.
    pub(super) async fn call(&self, params: CallToolRequestParams) -> Result<CallToolResult, CallTrouble> {
        let mut error = None;
        for _ in 0..2 {
            let peer = match self.peer().await {
                // It is about to be begun with again: the call has time for that.
                Err(Trouble::Resting(until)) if until <= Instant::now() + SHORT_PAUSE => {
                    sleep_until(until).await;
                    self.peer().await
                }
                peer => peer,
            };
            let peer = peer.map_err(CallTrouble::Trouble)?;
            match peer.call_tool_once(params.clone()).await {
                Ok(CallToolResponse::Complete(result)) => return Ok(result),
                Ok(_) => return Err(CallTrouble::Trouble(Trouble::NotUnderstood)),
                Err(ServiceError::McpError(error)) if !error.message.is_empty() && error.code.0 != TOO_LONG => {
                    return Err(CallTrouble::Said(error.message.into_owned()));
                }
                Err(unwritten) if matches!(self.way, Way::Process(_)) && is_unwritten(&unwritten) => {
                    self.state.lock().await.session = None;
                    error = Some(unwritten);
                }
                Err(failed) => {
                    error = Some(failed);
                    break;
                }
            }
        }
        let trouble = match error {
            Some(error) => self.of_service(error).await,
            None => Trouble::Unreachable,
        };
        if trouble != Trouble::TimedOut {
            // Whatever it is now, its tools may be others.
            self.stale.notify_one();
        }
        Err(CallTrouble::Trouble(trouble))
    }

    async fn of_service(&self, error: ServiceError) -> Trouble {
        match error {
            ServiceError::TransportSend(error) => Trouble::of_transport(&error),
            ServiceError::McpError(error) if error.code.0 == TOO_LONG => Trouble::TooLong,
            ServiceError::McpError(error) => Trouble::Refused(error.code.0),
            ServiceError::Timeout { .. } => Trouble::TimedOut,
            ServiceError::UnexpectedResponse => Trouble::NotUnderstood,
            _ => match self.state.lock().await.ended.get() {
                Some(status) => Trouble::Ended(*status),
                None => Trouble::Unreachable,
            },
        }
    }
}

/// Whether nothing can be said in a session any longer, whoever has ended it.
fn has_ended(session: &Session) -> bool {
    session.is_closed() || session.peer().is_transport_closed()
}

fn is_unwritten(error: &ServiceError) -> bool {
    match error {
        ServiceError::TransportSend(error) => error.error.downcast_ref::<std::io::Error>().is_some(),
        _ => false,
    }
}
