//! What models' servers answer in ways of their own, and what becomes of it: for the customer, in the history, and in
//! what the model is told next.

use std::time::Duration;

use serde_json::{Value, json};
use threedots::admin::telemetry::{self, LogLevel};
use threedots::handler::llm::{LlmConfig, ModelConfig, Tool};
use tracing_subscriber::layer::SubscriberExt;

use super::stub::{Does, Stub, results};
use super::tools::order_status;
use super::{llm, made, patient, say, with};
use crate::buffer::Buffer;
use crate::http_handler::Remote;
use crate::world::{Setup, World};

fn piece(delta: Value) -> Value {
    json!({ "choices": [{ "index": 0, "delta": delta, "finish_reason": null }] })
}

fn end(reason: &str) -> Value {
    json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": reason }] })
}

/// Says this in one piece, and why it ends there.
fn ends(words: &str, reason: &str) -> Does {
    Does::Sends(vec![piece(json!({ "content": words })), end(reason)])
}

/// A call with what a server wants back beside it.
fn signed_call() -> Does {
    let function = json!({ "name": "order_status", "arguments": "{\"order\":\"17\"}", "hint": "H-17" });
    let signature = json!({ "google": { "thought_signature": "S-17" } });
    let call = json!({ "index": 0, "id": "a", "type": "function", "extra_content": signature, "function": function });
    Does::Sends(vec![
        piece(json!({ "reasoning_content": "They ", "annotations": [], "audio": null })),
        piece(json!({ "reasoning_content": "wait.", "content": null })),
        piece(json!({ "tool_calls": [call] })),
        end("tool_calls"),
    ])
}

/// A world with a tool that can be called, around these models.
fn with_a_tool(models: Vec<ModelConfig>) -> World {
    let remote = Remote::always(200, "application/json", "{\"result\":\"sent\"}");
    let tools = vec![Tool { config: order_status(), secret: None }];
    let llm = made(LlmConfig::default(), models, tools, remote).unwrap_or_else(|problems| panic!("{problems:?}"));
    Setup::new(llm).start()
}

/// The line of the model's with the calls.
fn calling(request: &Value) -> &Value {
    let lines = request["messages"].as_array().expect("messages");
    lines.iter().find(|line| line["tool_calls"].is_array()).expect("a line with calls")
}

#[tokio::test]
async fn what_stands_beside_a_call_goes_back_with_it_and_to_no_other_model() {
    let signing = Stub::scripted(|_, number| if number == 1 { signed_call() } else { Does::Refuses(404, None) }).await;
    let second = Stub::start().await;
    let world = with_a_tool(vec![patient(&signing.base_url), patient(&second.base_url)]);
    say(&world, "Where is my order?").await;
    assert_eq!(world.replies(), ["Answer 1"]);
    let own = calling(&signing.requests()[1]).clone();
    let call = &own["tool_calls"][0];
    assert_eq!(own["reasoning_content"], "They wait.");
    assert_eq!(own["content"], "");
    assert_eq!(own.as_object().map(|line| line.len()), Some(4), "{own}");
    assert_eq!(call["extra_content"]["google"]["thought_signature"], "S-17");
    assert_eq!(
        (&call["function"]["hint"], &call["type"], &call["id"]),
        (&json!("H-17"), &json!("function"), &json!("a"))
    );
    let others = calling(&second.requests()[0]).to_string();
    assert!(!others.contains("S-17") && !others.contains("wait") && !others.contains("H-17"), "{others}");
    assert!(others.contains("order_status"), "{others}");
}

#[tokio::test]
async fn what_a_server_does_not_take_back_is_left_out() {
    let stub = Stub::scripted(|asked, number| match number {
        1 => signed_call(),
        _ if asked.to_string().contains("reasoning_content") => Does::Complains(
            400,
            r#"{"error":{"message":"property 'messages.2.reasoning_content' is unsupported"}}"#.into(),
        ),
        _ => Does::Says("It is on its way".into()),
    });
    let stub = stub.await;
    let world = with_a_tool(vec![patient(&stub.base_url)]);
    say(&world, "Where is my order?").await;
    assert_eq!(world.replies(), ["It is on its way"]);
    assert_eq!(stub.requests().len(), 3);
    assert!(stub.requests()[2].to_string().contains("S-17"), "the rest still goes back");
}

#[tokio::test]
async fn thoughts_reach_neither_the_customer_nor_the_history() {
    let stub = Stub::always(ends("<think>They are impatient.</think>\n\nFrom nine to six.", "stop")).await;
    let world = Setup::new(llm(LlmConfig::default(), &[&stub.base_url])).start();
    say(&world, "When are you open?").await;
    say(&world, "On Sundays?").await;
    assert_eq!(world.replies(), ["From nine to six.", "From nine to six."]);
    assert!(!stub.requests()[1].to_string().contains("impatient"));
}

#[tokio::test]
async fn an_answer_that_is_all_thought_or_all_call_is_left_for_the_next_model() {
    for words in
        ["<think>They are", "Say little.</think>", "<tool_call>{\"name\": \"none\", \"arguments\": {}}</tool_call>"]
    {
        let (first, second) = (Stub::always(ends(words, "stop")).await, Stub::start().await);
        let world = Setup::new(llm(LlmConfig::default(), &[&first.base_url, &second.base_url])).start();
        say(&world, "When are you open?").await;
        assert_eq!(world.replies(), ["Answer 1"], "{words}");
    }
}

#[tokio::test]
async fn a_call_that_is_written_out_is_made() {
    let written =
        "Let me see.\n<tool_call>\n{\"name\": \"order_status\", \"arguments\": {\"order\": \"17\"}}\n</tool_call>";
    let stub =
        Stub::scripted(move |_, number| if number == 1 { ends(written, "stop") } else { ends("Sent.", "stop") }).await;
    let world = with_a_tool(vec![patient(&stub.base_url)]);
    say(&world, "Where is my order?").await;
    assert_eq!(world.replies(), ["Sent."]);
    assert!(results(&stub.requests()[1])[0].contains("sent"));
    assert_eq!(calling(&stub.requests()[1])["content"], "Let me see.");
}

#[tokio::test]
async fn a_refusal_is_the_answer() {
    let refusal =
        ["I cannot ", "help with that."].map(|piece| self::piece(json!({ "content": null, "refusal": piece })));
    let stub = Stub::always(Does::Sends(refusal.into_iter().chain([end("stop")]).collect())).await;
    let world = Setup::new(llm(LlmConfig::default(), &[&stub.base_url])).start();
    say(&world, "Help me").await;
    assert_eq!(world.replies(), ["I cannot help with that."]);
    assert!(world.dead().await.is_empty());
}

#[tokio::test]
async fn what_a_filter_stopped_is_not_sent() {
    let (first, second) = (Stub::always(ends("Half of it", "content_filter")).await, Stub::start().await);
    let world = Setup::new(llm(LlmConfig::default(), &[&first.base_url, &second.base_url])).start();
    say(&world, "hello").await;
    assert_eq!(world.replies(), ["Answer 1"]);
}

#[tokio::test]
async fn an_answer_that_was_cut_off_is_gone_on_with() {
    let stub = Stub::scripted(|_, number| match number {
        1 => ends("We are open from nine to six. On Satur", "length"),
        _ => ends("On Saturdays, from ten to two.", "stop"),
    });
    let stub = stub.await;
    let world = Setup::new(llm(LlmConfig::default(), &[&stub.base_url])).start();
    say(&world, "When are you open?").await;
    assert_eq!(world.replies(), ["We are open from nine to six. On Saturdays, from ten to two."]);
    let lines = stub.requests()[1]["messages"].as_array().expect("messages").clone();
    let roles: Vec<&str> = lines.iter().map(|line| line["role"].as_str().expect("a role")).collect();
    assert_eq!(roles, ["system", "user", "assistant", "user"]);
    assert_eq!(lines[2]["content"], "We are open from nine to six.");
}

#[tokio::test]
async fn what_cannot_be_gone_on_with_ends_with_a_sentence_and_the_log_says_so() {
    let buffer = Buffer::default();
    let writer = buffer.clone();
    let layer = telemetry::layer(LogLevel::Info, false, move || writer.clone());
    let _logs = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    let refuses = |_: &Value, number: usize| match number {
        1 => ends("We are open from nine to six. On Satur", "max_tokens"),
        _ => Does::Refuses(404, None),
    };
    let repeats = |_: &Value, _: usize| ends("We are open from nine to six. On Satur", "MAX_TOKENS");
    for stub in [Stub::scripted(refuses).await, Stub::scripted(repeats).await] {
        let world = Setup::new(llm(LlmConfig::default(), &[&stub.base_url])).start();
        say(&world, "When are you open?").await;
        assert_eq!(world.replies(), ["We are open from nine to six."]);
        assert_eq!(stub.requests().len(), 2, "it is asked to go on once");
    }
    let written = buffer.written();
    assert_eq!(written.matches("is sent up to the end of a sentence").count(), 2, "{written}");
    assert!(!written.contains("Satur"), "{written}");
}

#[tokio::test]
async fn a_comment_is_a_sign_of_life_until_the_whole_time_is_up() {
    let (thinking, second) = (Stub::always(Does::Thinks(12, "At last.")).await, Stub::start().await);
    for (timeout, reply) in [(20_000, "At last."), (700, "Answer 1")] {
        let (stall, timeout) = (Duration::from_millis(500), Duration::from_millis(timeout));
        let first = ModelConfig { stall, timeout, ..patient(&thinking.base_url) };
        let world = Setup::new(with(LlmConfig::default(), vec![first, patient(&second.base_url)])).start();
        say(&world, "hello").await;
        assert_eq!(world.replies(), [reply]);
    }
}

#[tokio::test]
async fn once_all_is_said_a_server_that_falls_silent_holds_nothing_up() {
    let stub = Stub::always(Does::Lingers("All is said.")).await;
    let world = Setup::new(llm(LlmConfig::default(), &[&stub.base_url])).start();
    let began = std::time::Instant::now();
    say(&world, "hello").await;
    assert_eq!(world.replies(), ["All is said."]);
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
}
