//! What the log says of a server: which one, which tool, how it has ended and what to do; and nothing of its own words.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use threedots::admin::telemetry::{self, LogLevel};
use threedots::handler::llm::{Llm, LlmConfig, LlmContext, Mcp, McpConfig};
use threedots::handler::{Egress, Handler};
use threedots::runtime::http::{Body, Call, CallError, Shared, Transport, UpstreamResponse};
use tokio::time::{sleep, timeout};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::buffer::Buffer;
use crate::llm::around;

/// A server without sessions, whose tools are these; or nothing but this status.
struct Lists(Result<Value, u16>);

#[async_trait]
impl Transport for Lists {
    async fn call(&self, call: Call) -> Result<UpstreamResponse, CallError> {
        let asked: Value = match &call.body {
            Body::Json(body) => serde_json::from_slice(body).expect("JSON"),
            _ => Value::Null,
        };
        let whole = |status: u16, body: &Value| {
            let headers = [("content-type", "application/json")].into_iter().collect();
            Ok(UpstreamResponse::whole(status, headers, body.to_string().into()))
        };
        let result = match (&self.0, asked["method"].as_str()) {
            (Err(status), _) => return whole(*status, &json!({ "detail": "WORDS OF ITS OWN" })),
            (_, Some("initialize")) => json!({ "protocolVersion": "2025-06-18" }),
            (Ok(tools), Some("tools/list")) => json!({ "tools": tools }),
            _ => return whole(202, &Value::Null),
        };
        whole(200, &json!({ "jsonrpc": "2.0", "id": asked["id"], "result": result }))
    }
}

fn started(config: McpConfig, transport: Arc<dyn Transport>) -> Llm {
    let ways_out = Egress { anywhere: Arc::clone(&transport), public: transport, models: Shared::default() };
    let mcp = vec![Mcp { config, token: None, environment: Vec::new() }];
    let llm = Llm::new(LlmConfig::default(), LlmContext { mcp, ways_out, ..around(Vec::new()) });
    let llm = llm.unwrap_or_else(|problems| panic!("{problems:?}"));
    llm.start();
    llm
}

fn over_http() -> McpConfig {
    McpConfig { name: "crm".into(), url: "http://127.0.0.1/mcp".into(), private: true, ..McpConfig::default() }
}

fn listened() -> (Buffer, tracing::subscriber::DefaultGuard) {
    let logs = Buffer::default();
    let writer = logs.clone();
    let layer = telemetry::layer(LogLevel::Warn, true, move || writer.clone());
    (logs, tracing::subscriber::set_default(tracing_subscriber::registry().with(layer)))
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_is_not_used_as_it_is_is_told_of_once_by_its_name_and_its_servers() {
    let (logs, _listening) = listened();
    let schema = json!({ "type": "object", "properties": { "email": { "type": "string", "pattern": "^(?!\\.)a$" } } });
    let tools = json!([
        { "name": "add.person", "inputSchema": schema },
        { "name": "later", "inputSchema": { "type": "object" }, "execution": { "taskSupport": "required" } },
        { "name": "broken", "inputSchema": { "type": "array" } },
        { "name": "fine", "inputSchema": { "type": "object" } },
    ]);
    let _llm = started(over_http(), Arc::new(Lists(Ok(tools))));
    // Listed again six times.
    sleep(Duration::from_secs(3700)).await;
    let written = logs.written();
    let lines: Vec<&str> = written.lines().collect();
    assert_eq!(lines.len(), 3, "{written}");
    for (tool, why) in [("add.person", "pattern"), ("later", "as a task"), ("broken", "not one of an object")] {
        let told = lines.iter().find(|line| line.contains(&format!("\"{tool}\""))).unwrap_or_else(|| panic!("{tool}"));
        assert!(told.contains("\"crm\"") && told.contains(why), "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_to_do_is_told_where_a_status_says_it() {
    for (status, advice) in [(307, "give the address that it leads to"), (401, "`token`"), (404, "path"), (500, "")] {
        let (logs, _listening) = listened();
        let _llm = started(over_http(), Arc::new(Lists(Err(status))));
        sleep(Duration::from_millis(100)).await;
        let written = logs.written();
        assert!(written.contains(&format!("HTTP {status}")) && written.contains(advice), "{written}");
        assert!(written.contains("\"crm\"") && !written.contains("WORDS"), "{written}");
        assert!(!written.contains("by hand"), "{written}");
    }
}

#[tokio::test]
async fn of_a_process_that_ends_its_status_and_its_command_are_told_and_not_what_it_is_given_or_says() {
    let (logs, _listening) = listened();
    let config = McpConfig {
        name: "crm".into(),
        command: "/bin/sh".into(),
        args: vec!["-c".into(), "echo WORDS OF ITS OWN | tee /dev/stderr; exit 3".into()],
        ..McpConfig::default()
    };
    let _llm = started(config, Arc::new(Lists(Err(500))));
    let told = async {
        while !logs.written().contains("could not be listed") {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(60), told).await.expect("a line of the log");
    let written = logs.written();
    assert!(written.contains("\"crm\"") && written.contains("exit status: 3"), "{written}");
    assert!(written.contains("run it by hand to see what it says: /bin/sh"), "{written}");
    assert!(!written.contains("WORDS") && !written.contains("tee"), "{written}");
}
