//! Models and servers of tools whose streams have no end, no lines, or lines without an end.

use std::sync::Arc;
use std::time::Duration;

use threedots::handler::Egress;
use threedots::handler::llm::{Llm, LlmConfig, LlmContext, Mcp, McpConfig, Tool, ToolConfig};
use threedots::runtime::http::{Client, Shared, Transport};

use super::stub::{Does, Stub, results};
use super::{around, llm, patient, say};
use crate::streams::{Endless, IN_BETWEEN};
use crate::world::Setup;

const EVENTS: &str = "text/event-stream";

#[tokio::test]
async fn a_model_whose_stream_is_too_long_in_bytes_is_left_for_the_next() {
    let thought = format!("data: {{\"choices\":[{{\"delta\":{{\"reasoning\":\"{}\"}}}}]}}\n\n", "hm ".repeat(2000));
    let comment = format!(": {}\n\n", "still here ".repeat(500));
    for (what, kind, piece, many, most) in [
        ("one line", EVENTS, "x".repeat(4096), 16, 1 << 20),
        ("one line in small pieces", EVENTS, "x".repeat(16), 1024, 1 << 20),
        ("one event of many lines", EVENTS, "data: x\n".repeat(512), 16, 1 << 20),
        ("thoughts that never come to a word", EVENTS, thought, 16, 17 << 20),
        ("comments", EVENTS, comment, 16, 17 << 20),
        ("what is no stream at all", "application/json", "x".repeat(4096), 16, 1 << 20),
    ] {
        let (endless, stub) = (Endless::start(kind, piece, many, Duration::ZERO).await, Stub::start().await);
        let world = Setup::new(llm(LlmConfig::default(), &[&endless.url("v1"), &stub.base_url])).start();
        // Long before the model's own time, which is a minute.
        say(&world, "hello").await;
        assert_eq!(world.replies(), ["Answer 1"], "{what}");
        assert!(endless.sent() < most + IN_BETWEEN, "{what}: {} bytes", endless.sent());
    }
}

/// A model that calls what it is offered, over real sockets.
async fn calling(tools: Vec<Tool>, mcp: Vec<Mcp>) -> (Stub, Llm) {
    let stub = Stub::scripted(|asked, number| match asked["tools"][0]["function"]["name"].as_str() {
        Some("endless") if number == 1 => Does::Calls(vec![("endless", "{}".into())]),
        _ => Does::Says("Never mind".into()),
    });
    let stub = stub.await;
    let client: Arc<dyn Transport> = Client::new().expect("a client");
    let ways_out = Egress { anywhere: Arc::clone(&client), public: client, models: Shared::default() };
    let around = LlmContext { tools, mcp, ways_out, ..around(vec![patient(&stub.base_url)]) };
    let llm = Llm::new(LlmConfig::default(), around).unwrap_or_else(|problems| panic!("{problems:?}"));
    (stub, llm)
}

#[tokio::test]
async fn a_tool_whose_answer_has_no_end_is_given_up() {
    let fast = Endless::fast("text/plain", &"x".repeat(4096), 16).await;
    for (endless, why) in [(fast, "too long"), (Endless::slow("text/plain").await, "too long to answer")] {
        let (name, url, timeout) = ("endless".to_owned(), endless.url("tool"), Duration::from_secs(2));
        let description = "Never ends.".to_owned();
        let config = ToolConfig { name, description, url, timeout, private: true, ..ToolConfig::default() };
        let (stub, llm) = calling(vec![Tool { config, secret: None }], Vec::new()).await;
        let world = Setup::new(llm).start();
        say(&world, "hello").await;
        assert_eq!(world.replies(), ["Never mind"]);
        let told = results(&stub.requests()[1]);
        assert!(told[0].contains("too long") || told[0].contains("time"), "{why}: {told:?}");
        assert!(endless.sent() < IN_BETWEEN, "{}", endless.sent());
    }
}

#[tokio::test]
async fn a_server_of_tools_whose_answers_have_no_end_leaves_its_turn_without_them() {
    for (kind, piece, many) in [
        (EVENTS, "x".repeat(4096), 16),
        (EVENTS, "x".repeat(16), 1024),
        (EVENTS, "data: x\n".repeat(512), 16),
        ("application/json", "x".repeat(4096), 16),
    ] {
        let endless = Endless::start(kind, piece, many, Duration::ZERO).await;
        let (name, url, timeout) = ("stock".to_owned(), endless.url("mcp"), Duration::from_secs(5));
        let config = McpConfig { name, url, timeout, private: true, ..McpConfig::default() };
        let (stub, llm) = calling(Vec::new(), vec![Mcp { config, token: None, environment: Vec::new() }]).await;
        let world = Setup::new(llm).start();
        say(&world, "hello").await;
        assert_eq!(world.replies(), ["Never mind"]);
        assert!(stub.requests()[0]["tools"].is_null(), "{:?}", stub.requests()[0]);
        assert!(endless.sent() < IN_BETWEEN, "{kind}: {}", endless.sent());
    }
}
