//! The list of a server's tools, kept beside the turns: no turn waits for it that has one, however old it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rmcp::model::Tool;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{info, warn};

use super::connection::{Connection, pause_after};
use super::trouble::Trouble;
use super::{OfServer, lenient};
use crate::handler::llm::tools::Ready;
use crate::handler::llm::tools::names::ToolNames;
use crate::handler::llm::tools::schema::Schema;

/// The longest description that is taken from a server, in characters.
const LONGEST_DESCRIPTION: usize = 1000;
/// How long a list is kept at the least, however often a server says that it has changed.
const LEAST: Duration = Duration::from_secs(1);

/// The tools as they were listed last.
#[derive(Clone, Default)]
pub(super) struct Listed {
    pub(super) tools: Vec<Arc<Ready>>,
    /// Whether they have been asked for, with or without an answer.
    pub(super) tried: bool,
}

/// Keeps the list, until this is dropped: lists the tools, and again when the list is too old or may be wrong, and more
/// slowly each time while it cannot be had. The last list that was there stays.
pub(super) async fn keep(connection: Arc<Connection>, listed: watch::Sender<Listed>) {
    let config = &connection.config;
    let mut reader = ListingReader { names: ToolNames::of(&config.name), told: BTreeMap::new() };
    let mut failures = 0_u32;
    loop {
        match connection.list().await {
            Ok(tools) => {
                failures = 0;
                let tools = reader.read(&connection, tools);
                info!(llm.mcp = config.name, llm.tools = tools.len(), "the tools of an MCP server were listed");
                listed.send_replace(Listed { tools, tried: true });
                sleep(LEAST).await;
                let _ = timeout(config.refresh.saturating_sub(LEAST), connection.stale.notified()).await;
            }
            Err(trouble) => {
                let until = match trouble {
                    // It is no failure of its own.
                    Trouble::Resting(until) => until,
                    ref why => {
                        failures = failures.saturating_add(1);
                        let pause = pause_after(failures);
                        warn!(
                            llm.mcp = config.name,
                            llm.failures = failures,
                            llm.pause_s = pause.as_secs(),
                            advice = connection.advice(),
                            %why,
                            "the tools of an MCP server could not be listed"
                        );
                        Instant::now() + pause
                    }
                };
                listed.send_modify(|listed| listed.tried = true);
                tokio::select! {
                    () = sleep_until(until) => {}
                    () = begun(&connection) => {}
                }
            }
        }
    }
}

/// Waits until a call has begun a session.
async fn begun(connection: &Connection) {
    // What was told while the tools were listed is of that attempt itself.
    let _ = timeout(Duration::ZERO, connection.begun.notified()).await;
    connection.begun.notified().await;
    sleep(LEAST).await;
}

/// Makes of a server's tools what a model is offered.
struct ListingReader {
    names: ToolNames,
    /// What the log has been told of a tool: it is told once.
    told: BTreeMap<String, &'static str>,
}

impl ListingReader {
    fn read(&mut self, connection: &Arc<Connection>, tools: Vec<Tool>) -> Vec<Arc<Ready>> {
        let config = &connection.config;
        let own: BTreeSet<String> = tools.iter().map(|tool| tool.name.to_string()).collect();
        for missing in config.tools.iter().filter(|wanted| !own.contains(*wanted)) {
            self.tell(&config.name, missing, "it stands in `tools`, and the server has none of this name");
        }
        self.told.retain(|name, _| own.contains(name) || config.tools.contains(name));
        self.names.take_in(&own);
        let mut read = BTreeSet::new();
        let wanted = |name: &str| config.tools.is_empty() || config.tools.iter().any(|wanted| wanted == name);
        let tools = tools.into_iter().filter(|tool| wanted(&tool.name) && read.insert(tool.name.to_string()));
        let mut ready = Vec::new();
        for tool in tools {
            let own = tool.name.as_ref();
            if tool.meta.as_ref().is_some_and(|meta| meta.0.contains_key(lenient::TASK_ONLY)) {
                self.tell(&config.name, own, "it is left out: it can only be called as a task");
                continue;
            }
            let schema = match Schema::of_stranger(Value::Object((*tool.input_schema).clone())) {
                Ok(lenient) => {
                    if let Some(unchecked) = lenient.unchecked {
                        self.tell(&config.name, own, unchecked);
                    }
                    lenient.schema
                }
                Err(why) => {
                    self.tell(&config.name, own, why);
                    continue;
                }
            };
            let Some(name) = self.names.offered(own).map(str::to_owned) else { continue };
            let description = tool.description.as_deref().unwrap_or_default();
            let callable = Arc::new(OfServer { connection: Arc::clone(connection), name: own.to_owned() });
            ready.push(Arc::new(Ready {
                name,
                description: description.chars().take(LONGEST_DESCRIPTION).collect(),
                schema,
                timeout: config.timeout,
                callable,
            }));
        }
        ready
    }

    /// Tells the log of a tool, once.
    fn tell(&mut self, server: &str, tool: &str, why: &'static str) {
        if self.told.insert(tool.to_owned(), why) != Some(why) {
            let tool: String = tool.chars().take(100).collect();
            warn!(llm.mcp = server, llm.mcp_tool = tool, why, "a tool of an MCP server is not used as it is");
        }
    }
}
