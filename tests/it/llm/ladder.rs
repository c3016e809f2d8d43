//! From one model to the next: each rung that gives way, and what the customer sees of it, which is one message.

use std::time::Duration;

use serde_json::json;
use threedots::admin::telemetry::{self, LogLevel};
use threedots::handler::llm::{LlmConfig, ModelConfig};
use tracing_subscriber::layer::SubscriberExt;

use super::stub::{Does, Stub};
use super::{llm, patient, say, with};
use crate::buffer::Buffer;
use crate::world::Setup;

/// What came of one question to two models of which the first does `does`.
async fn fallen_from(does: Does, stall: Duration) -> (Vec<String>, usize) {
    let (first, second) = (Stub::always(does).await, Stub::start().await);
    let impatient = ModelConfig { stall, ..patient(&first.base_url) };
    let world = Setup::new(with(LlmConfig::default(), vec![impatient, patient(&second.base_url)])).start();
    say(&world, "hello").await;
    assert_eq!(first.requests().len(), 1);
    (world.replies(), second.requests().len())
}

const PATIENT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_model_that_falls_silent_in_the_middle_of_its_answer_is_left_for_the_next() {
    let stalled = fallen_from(Does::Stalls("Half an "), Duration::from_millis(200)).await;
    assert_eq!(stalled, (vec!["Answer 1".into()], 1), "one message, with nothing of the half in it");
}

#[tokio::test]
async fn a_model_that_breaks_off_is_left_for_the_next() {
    for does in [Does::HangsUp("Half an "), Does::Fails("Half an ")] {
        assert_eq!(fallen_from(does, PATIENT).await, (vec!["Answer 1".into()], 1));
    }
}

#[tokio::test]
async fn the_log_says_with_which_status_a_model_was_refused_whatever_its_gateway_writes() {
    for (does, status) in [(Does::Page(502), "502"), (Does::Page(429), "429"), (Does::Refuses(401, None), "401")] {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let layer = telemetry::layer(LogLevel::Info, false, move || writer.clone());
        let _logs = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
        assert_eq!(fallen_from(does, PATIENT).await, (vec!["Answer 1".into()], 1));
        let written = buffer.written();
        let line = written.lines().find(|line| line.contains("a model did not answer")).expect("it is said");
        assert!(line.contains(&format!("it answered with HTTP {status}")) && !written.contains("SECRET"), "{written}");
    }
}

#[tokio::test]
async fn a_model_that_says_nothing_is_left_for_the_next() {
    assert_eq!(fallen_from(Does::Says("  ".into()), PATIENT).await, (vec!["Answer 1".into()], 1));
}

#[tokio::test]
async fn an_answer_in_many_tokens_is_one_message() {
    let stub = Stub::always(Does::Says("We are open from nine to five.".into())).await;
    let world = Setup::new(llm(LlmConfig::default(), &[&stub.base_url])).start();
    say(&world, "When are you open?").await;
    assert_eq!(world.replies(), ["We are open from nine to five."]);
    assert_eq!(stub.requests()[0]["stream"], true);
}

#[tokio::test]
async fn a_server_that_cannot_stream_is_understood_too() {
    let stub = Stub::always(Does::SaysAtOnce(json!({ "role": "assistant", "content": "All at once." }))).await;
    let world = Setup::new(llm(LlmConfig::default(), &[&stub.base_url])).start();
    say(&world, "hello").await;
    assert_eq!(world.replies(), ["All at once."]);
    for nothing in [json!(null), json!({ "content": null }), json!({ "content": "x".repeat(600 << 10) })] {
        let fallen = fallen_from(Does::SaysAtOnce(nothing), PATIENT).await;
        assert_eq!(fallen, (vec!["Answer 1".into()], 1));
    }
}

#[tokio::test]
async fn a_model_that_wants_to_be_left_alone_is_not_asked_meanwhile() {
    let busy = Stub::always(Does::Refuses(429, Some("3600"))).await;
    let second = Stub::start().await;
    let world = Setup::new(llm(LlmConfig::default(), &[&busy.base_url, &second.base_url])).start();
    say(&world, "one").await;
    say(&world, "two").await;
    assert_eq!(world.replies(), ["Answer 1", "Answer 2"]);
    assert_eq!(busy.requests().len(), 1, "it was told for how long");
}

#[tokio::test]
async fn a_model_that_is_busy_and_says_no_more_is_asked_again_the_next_time() {
    let busy = Stub::scripted(|_, number| match number {
        1 => Does::Refuses(429, None),
        _ => Does::Says("I am back".into()),
    });
    let (busy, second) = (busy.await, Stub::start().await);
    let world = Setup::new(llm(LlmConfig::default(), &[&busy.base_url, &second.base_url])).start();
    say(&world, "one").await;
    say(&world, "two").await;
    assert_eq!(world.replies(), ["Answer 1", "I am back"]);
}

#[tokio::test]
async fn the_canned_reply_comes_before_the_turns_time_is_up() {
    let stub = Stub::always(Does::Stalls("")).await;
    let mut setup = Setup::new(llm(LlmConfig::default(), &[&stub.base_url, &stub.base_url]));
    setup.turn.timeout = Duration::from_secs(2);
    let world = setup.start();
    say(&world, "hello").await;
    assert!(world.replies()[0].contains("cannot think straight"), "{:?}", world.replies());
    assert_eq!(world.dead().await.len(), 1);
}
