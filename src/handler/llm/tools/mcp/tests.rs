//! A server over HTTP, in a test's hand, under a clock that stands still.

mod answers;
mod lists;
mod processes;
mod sessions;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};

use super::trouble::Trouble;
use super::*;
use crate::runtime::http::{Body, CallError, Shared, Transport, UpstreamResponse};

/// A request to the server: its method, its session, and its JSON.
#[derive(Clone, Debug)]
struct Seen {
    http: &'static str,
    session: Option<String>,
    json: Value,
}

impl Seen {
    fn method(&self) -> &str {
        self.json["method"].as_str().unwrap_or(self.http)
    }

    /// The answer with this result.
    fn result(&self, result: Value) -> UpstreamResponse {
        json_answer(200, &json!({ "jsonrpc": "2.0", "id": self.json["id"], "result": result }))
    }

    /// The answer to whatever every server has to know.
    fn ordinary(&self, tools: &[&str]) -> UpstreamResponse {
        match self.method() {
            "initialize" => self.result(beginning("2025-06-18")),
            "tools/list" => self.result(json!({ "tools": tools.iter().map(|name| tool(name)).collect::<Vec<_>>() })),
            "tools/call" => self.result(json!({ "content": [{ "type": "text", "text": "seven" }] })),
            _ => answer(202, "", ""),
        }
    }
}

fn beginning(version: &str) -> Value {
    json!({ "protocolVersion": version, "capabilities": { "tools": {} }, "serverInfo": { "name": "x", "version": "1" } })
}

fn tool(name: &str) -> Value {
    json!({ "name": name, "description": "Does it.", "inputSchema": { "type": "object" } })
}

fn answer(status: u16, kind: &str, body: &str) -> UpstreamResponse {
    let headers = [("content-type", kind)].into_iter().filter(|(_, kind)| !kind.is_empty()).collect();
    UpstreamResponse::whole(status, headers, Bytes::copy_from_slice(body.as_bytes()))
}

fn json_answer(status: u16, json: &Value) -> UpstreamResponse {
    answer(status, "application/json", &json.to_string())
}

/// An answer as a stream of events.
fn events(messages: &[Value]) -> UpstreamResponse {
    let events: String = messages.iter().map(|message| format!("event: message\ndata: {message}\n\n")).collect();
    answer(200, "text/event-stream; charset=utf-8", &events)
}

/// The answer, with the identifier of a session that has begun.
fn in_session(mut answer: UpstreamResponse, session: &str) -> UpstreamResponse {
    answer.headers = [("content-type", "application/json"), ("mcp-session-id", session)].into_iter().collect();
    answer
}

type Does = dyn Fn(&Seen) -> Option<UpstreamResponse> + Send + Sync;

/// The server. What it does not answer hangs.
struct Stub {
    does: Box<Does>,
    seen: Mutex<Vec<Seen>>,
}

impl Stub {
    fn new(does: impl Fn(&Seen) -> Option<UpstreamResponse> + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { does: Box::new(does), seen: Mutex::default() })
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("nobody panics in here").clone()
    }

    /// How often this was asked.
    fn count(&self, method: &str) -> usize {
        self.seen().iter().filter(|seen| seen.method() == method).count()
    }
}

#[async_trait]
impl Transport for Stub {
    async fn call(&self, call: crate::runtime::http::Call) -> Result<UpstreamResponse, CallError> {
        let json = match &call.body {
            Body::Json(body) => crate::message::json::from_slice(body).expect("JSON"),
            _ => Value::Null,
        };
        let header = |wanted: &str| {
            let found = call.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.map(|(_, value)| value.clone())
        };
        let seen = Seen { http: call.method, session: header("mcp-session-id"), json };
        self.seen.lock().expect("nobody panics in here").push(seen.clone());
        // Everything takes a moment.
        tokio::time::sleep(Duration::from_millis(10)).await;
        match (self.does)(&seen) {
            Some(answer) => Ok(answer),
            None => {
                tokio::time::sleep(call.timeout).await;
                Err(CallError::Unanswered("timed out"))
            }
        }
    }
}

fn config() -> McpConfig {
    McpConfig { name: "s".into(), url: "http://127.0.0.1/mcp".into(), private: true, ..McpConfig::default() }
}

fn connected(config: McpConfig, stub: &Arc<Stub>) -> Server {
    let transport: Arc<dyn Transport> = Arc::clone(stub) as _;
    let ways_out = Egress { anywhere: Arc::clone(&transport), public: transport, models: Shared::default() };
    let mcp = Mcp { config, token: None, environment: Vec::new() };
    Server::new(mcp, &ways_out).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn server(stub: &Arc<Stub>) -> Server {
    connected(config(), stub)
}

/// What the model is told of a call of this tool, or why there is nothing.
async fn call(server: &Server, tool: &str) -> Result<String, Failure> {
    let params = CallToolRequestParams::new(tool.to_owned());
    let limit = server.connection.config.answer_limit;
    match server.connection.call(params).await {
        Ok(result) => outcome(result, limit, &[]).map(|outcome| outcome.told()),
        Err(CallTrouble::Said(words)) => Ok(ToolResult::failed(words, limit).told()),
        Err(CallTrouble::Trouble(why)) => Err(why.into()),
    }
}

async fn names(server: &Server) -> Vec<String> {
    server.tools().await.iter().map(|tool| tool.name.clone()).collect()
}
