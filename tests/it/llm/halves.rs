//! Half a surrogate pair in what models, tools and servers of tools write.

use std::sync::Arc;

use async_trait::async_trait;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::json;
use threedots::handler::llm::{LlmConfig, ToolConfig};
use threedots::runtime::http::{Call, CallError, Headers, Transport, UpstreamResponse};

use super::mcp::{InProcess, Stock, with_server};
use super::stub::{Does, Stub, results};
use super::tools::{asking, order_status};
use super::{llm, say};
use crate::http_handler::Remote;
use crate::world::Setup;

#[tokio::test]
async fn in_a_models_stream_it_is_a_sign_wherever_the_stream_is_cut() {
    const WRITES: [&[&str]; 3] = [
        &[
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"nice \\ud83d\"},\"finish_reason\":null}]}\n\n",
            "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
        ],
        &[
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"nice \\",
            "ud8",
            "3d\"},\"finish_reason\":\"stop\"}]}\n\n",
            "data: [DONE]\n\n",
        ],
        &[
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"nice \\ud83d\\ud83",
            "d\\ude",
            "00\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
        ],
    ];
    for (writes, reply) in WRITES.into_iter().zip(["nice \u{fffd}", "nice \u{fffd}", "nice \u{fffd}😀"]) {
        let stub = Stub::always(Does::Writes(writes)).await;
        let world = Setup::new(llm(LlmConfig::default(), &[&stub.base_url])).start();
        say(&world, "hello").await;
        assert_eq!(world.replies(), [reply], "{writes:?}");
    }
}

#[tokio::test]
async fn in_the_arguments_of_a_call_and_in_a_tools_result_it_is_a_sign() {
    let remote = Remote::always(200, "application/json", r#"{"state": "sent \ud83d", "\udc00": 1}"#);
    let anything = json!({ "type": "object" });
    let tool = ToolConfig { parameters: anything, ..order_status() };
    let (world, stub) = asking(tool, r#"{"order": "17\ud83d"}"#, remote.clone()).await;
    say(&world, "Where is my order?").await;
    assert_eq!(world.replies(), ["It is on its way"]);
    assert_eq!(remote.seen()[0].turn()["arguments"]["order"], "17\u{fffd}");
    let results = results(&stub.requests()[1]);
    assert!(results[0].contains("\"state\":\"sent \u{fffd}\"") && results[0].contains("\"\u{fffd}\":1"), "{results:?}");
}

/// Writes half a pair where the server wrote something else.
struct Halving(InProcess);

#[async_trait]
impl Transport for Halving {
    async fn call(&self, call: Call) -> Result<UpstreamResponse, CallError> {
        let answer = self.0.call(call).await?;
        let (status, headers): (u16, Headers) = (answer.status, answer.headers.clone());
        let body = String::from_utf8(answer.bytes(1 << 20).await?.to_vec()).expect("text");
        Ok(UpstreamResponse::whole(status, headers, body.replace(" seven", r" seven \ud83d").into()))
    }
}

#[tokio::test]
async fn in_what_an_mcp_server_says_it_is_a_sign_whether_it_streams_or_not() {
    for streams in [false, true] {
        let stub = Stub::scripted(|_, number| match number {
            1 => Does::Calls(vec![("stock_count", "{\"shoe\": \"red\"}".into())]),
            _ => Does::Says("There are seven".into()),
        });
        let (stub, stock) = (stub.await, Stock::default());
        let config = StreamableHttpServerConfig::default().with_json_response(!streams);
        let service = StreamableHttpService::new(move || Ok(stock.clone()), Arc::default(), config);
        let world = Setup::new(with_server(&stub, Arc::new(Halving(InProcess(service))))).start();
        say(&world, "Do you have it in red?").await;
        assert_eq!(world.replies(), ["There are seven"]);
        let results = results(&stub.requests()[1]);
        assert!(results[0].contains("seven \u{fffd}"), "streams: {streams}: {results:?}");
    }
}
