//! What a server does not take is left out, and it is asked again: by itself, and not again in the next turn.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use threedots::admin::telemetry::{self, LogLevel};
use threedots::handler::LateState;
use threedots::handler::llm::{BudgetConfig, LlmConfig, ModelConfig, TokenParameter, Tool};
use threedots::sandbox::Draft;
use tracing_subscriber::layer::SubscriberExt;

use super::stub::{Does, Stub};
use super::tools::order_status;
use super::{dead_end, made, made_with, patient, say, with};
use crate::buffer::Buffer;
use crate::http_handler::{Remote, says};
use crate::world::{Setup, World};

/// A server that answers what does not have any of these in it, and complains of the first that it has.
async fn without(complaints: &'static [(&'static str, u16, &'static str)]) -> Stub {
    let script = |request: &Value, number: usize| {
        let text = request.to_string();
        let complaint = complaints.iter().find(|(has, ..)| text.contains(has));
        match complaint {
            Some((_, status, body)) => Does::Complains(*status, (*body).to_owned()),
            None => Does::Says(format!("Answer {number}")),
        }
    };
    Stub::scripted(script).await
}

fn world(models: Vec<ModelConfig>) -> World {
    Setup::new(with(LlmConfig { retry_for: Duration::ZERO, ..LlmConfig::default() }, models)).start()
}

const MAX_TOKENS: &str =
    r#"{"error":{"message":"Unsupported: Use 'max_completion_tokens' instead.","param":"max_tokens"}}"#;
const TEMPERATURE: &str = r#"{"error":{"message":"SECRET WORDS: 'temperature' does not support 0.2"}}"#;
const FORBIDDEN: &str =
    r#"{"detail":[{"loc":["body","max_completion_tokens"],"msg":"Extra inputs are not permitted"}]}"#;
const NO_SYSTEM: &str =
    r#"{"error":{"message":"Unable to generate parser for this template. System role not supported"}}"#;
const TOO_LONG: &str =
    r#"{"error":{"message":"it exceeds the available context size","type":"exceed_context_size_error"}}"#;
const UNSEEN: &str = r#"{"error":{"code":500,"message":"image input is not supported - hint: provide the mmproj"}}"#;

#[tokio::test]
async fn a_parameter_that_is_refused_is_left_out_and_that_is_remembered_and_said_once() {
    let buffer = Buffer::default();
    let writer = buffer.clone();
    let layer = telemetry::layer(LogLevel::Info, false, move || writer.clone());
    let _logs = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    let stub = without(&[("\"max_tokens\"", 400, MAX_TOKENS), ("\"temperature\"", 400, TEMPERATURE)]).await;
    let body = json!({ "temperature": 0.2, "top_p": 0.5 }).as_object().expect("a table").clone();
    let world = world(vec![ModelConfig { body, ..patient(&stub.base_url) }]);
    say(&world, "one").await;
    say(&world, "two").await;
    assert_eq!(world.replies(), ["Answer 3", "Answer 4"]);
    let requests = stub.requests();
    assert_eq!((&requests[0]["max_tokens"], &requests[0]["max_completion_tokens"]), (&json!(800), &Value::Null));
    assert_eq!((&requests[3]["max_tokens"], &requests[3]["max_completion_tokens"]), (&Value::Null, &json!(800)));
    assert_eq!((&requests[3]["temperature"], &requests[3]["top_p"]), (&Value::Null, &json!(0.5)));
    let written = buffer.written();
    for what in ["max_tokens", "temperature", "token_parameter = ", "take it out of the model's body"] {
        assert!(written.contains(what), "{what}: {written}");
    }
    assert_eq!(written.matches("was asked without that").count(), 2, "{written}");
    assert!(!written.contains("SECRET"), "{written}");
}

#[tokio::test]
async fn the_other_name_is_taken_the_other_way_round_too_and_a_setting_spares_the_first_try() {
    let stub = without(&[("max_completion_tokens", 422, FORBIDDEN)]).await;
    for (token_parameter, asked) in [(TokenParameter::MaxCompletionTokens, 2), (TokenParameter::MaxTokens, 1)] {
        let before = stub.requests().len();
        let world = world(vec![ModelConfig { token_parameter, ..patient(&stub.base_url) }]);
        say(&world, "one").await;
        assert_eq!(world.replies().len(), 1);
        assert!(world.replies()[0].starts_with("Answer"), "{:?}", world.replies());
        assert_eq!(stub.requests().len() - before, asked);
    }
}

#[tokio::test]
async fn each_is_left_out_once_and_three_of_a_request_at_the_most() {
    // It complains whatever is left out.
    let always = without(&[("messages", 400, MAX_TOKENS)]).await;
    let world = world(vec![patient(&always.base_url)]);
    say(&world, "one").await;
    assert!(world.replies()[0].contains("cannot think straight"), "{:?}", world.replies());
    // It names both names: the one, the other, and none.
    assert_eq!(always.requests().len(), 3);
    say(&world, "two").await;
    assert_eq!(always.requests().len(), 6, "what has not helped is not remembered");
    assert!(always.requests()[3]["max_tokens"].is_u64());

    let body = ["aaaa", "bbbb", "cccc", "dddd"].map(|name| (name.to_owned(), json!(1))).into_iter().collect();
    let picky = without(&[
        ("\"aaaa\"", 400, "aaaa?"),
        ("\"bbbb\"", 400, "bbbb?"),
        ("\"cccc\"", 400, "cccc?"),
        ("\"dddd\"", 400, "dddd?"),
    ]);
    let picky = picky.await;
    let world = self::world(vec![ModelConfig { body, ..patient(&picky.base_url) }]);
    say(&world, "one").await;
    assert!(world.replies()[0].contains("cannot think straight"), "{:?}", world.replies());
    assert_eq!(picky.requests().len(), 4);
}

#[tokio::test]
async fn a_model_that_sees_nothing_is_told_of_the_image_in_words() {
    for (vision, asked) in [(true, 2), (false, 1)] {
        let stub = without(&[("image_url", 500, UNSEEN)]).await;
        let world = world(vec![ModelConfig { vision, ..patient(&stub.base_url) }]);
        for number in 0..2 {
            world.sandbox.write(&world.customer, Draft::image(Some("my shoe"))).expect("a customer");
            let answered = world.phone().wait_for(|phone| phone.replies(&world.customer).len() > number);
            tokio::time::timeout(Duration::from_secs(20), answered).await.expect("an answer");
        }
        let requests = stub.requests();
        assert_eq!(requests.len(), asked + 1, "it is remembered");
        let last = requests[asked - 1]["messages"].as_array().and_then(|lines| lines.last()).expect("lines");
        let words = last["content"].as_str().expect("a string, as servers without eyes want it");
        assert!(words.starts_with("[image] my shoe"), "{words}");
        assert_eq!(words.contains("cannot be shown to you"), vision, "{words}");
        assert!(world.replies().iter().all(|reply| reply.starts_with("Answer")), "{:?}", world.replies());
    }
}

/// Does what llama-cpp-python does with a request that it cannot work on: a stream ends before it begins, and only an
/// answer in one piece says why.
async fn silent_in_streams(has: &'static str, why: &'static str) -> Stub {
    let script = move |request: &Value, number: usize| match request["stream"].as_bool() {
        _ if !request.to_string().contains(has) => Does::Says(format!("Answer {number}")),
        Some(true) => Does::Writes(&[]),
        _ if why.is_empty() => Does::SaysAtOnce(json!({ "content": format!("Answer {number}") })),
        _ => Does::Complains(500, why.to_owned()),
    };
    Stub::scripted(script).await
}

#[tokio::test]
async fn a_stream_that_ends_before_it_begins_is_asked_for_in_one_piece_to_hear_why() {
    let concatenate = r#"{"error":{"message":"can only concatenate str (not \"list\") to str","code":null}}"#;
    let stub = silent_in_streams("image_url", concatenate).await;
    let world = world(vec![patient(&stub.base_url)]);
    for number in 0..2 {
        world.sandbox.write(&world.customer, Draft::image(Some("my shoe"))).expect("a customer");
        let answered = world.phone().wait_for(|phone| phone.replies(&world.customer).len() > number);
        tokio::time::timeout(Duration::from_secs(20), answered).await.expect("an answer");
    }
    let asked = |request: &Value| (request["stream"] == json!(true), request.to_string().contains("image_url"));
    let requests: Vec<_> = stub.requests().iter().map(asked).collect();
    assert_eq!(requests, [(true, true), (false, true), (true, false), (true, false)], "streams are asked for again");
    assert_eq!(world.replies(), ["Answer 3", "Answer 4"]);
}

#[tokio::test]
async fn an_answer_in_one_piece_does_where_a_stream_says_nothing() {
    let stub = silent_in_streams("messages", "").await;
    let world = world(vec![patient(&stub.base_url)]);
    say(&world, "one").await;
    say(&world, "two").await;
    assert_eq!(
        world.replies(),
        ["Answer 2", "Answer 4"],
        "a stream may only have been lost: it is asked for the next time"
    );
}

#[tokio::test]
async fn a_server_that_never_says_anything_is_asked_in_both_ways_and_left() {
    let stub = Stub::always(Does::Writes(&[])).await;
    let world = world(vec![patient(&stub.base_url)]);
    say(&world, "one").await;
    assert!(world.replies()[0].contains("cannot think straight"), "{:?}", world.replies());
    assert_eq!(stub.requests().len(), 2);
}

#[tokio::test]
async fn a_server_that_fails_at_images_without_a_word_is_asked_without_them_in_that_turn() {
    let by_500: &[_] = &[("image_url", 500, "Internal Server Error")];
    for (complaints, asked) in [(by_500, 3), (&[("image_url", 422, "")], 2)] {
        let stub = without(complaints).await;
        let llm = LlmConfig { retry_for: Duration::from_secs(5), ..LlmConfig::default() };
        let world = Setup::new(with(llm, vec![patient(&stub.base_url)])).start();
        for number in 0..2 {
            world.sandbox.write(&world.customer, Draft::image(Some("my shoe"))).expect("a customer");
            let answered = world.phone().wait_for(|phone| phone.replies(&world.customer).len() > number);
            tokio::time::timeout(Duration::from_secs(20), answered).await.expect("an answer");
        }
        assert!(world.replies().iter().all(|reply| reply.starts_with("Answer")), "{:?}", world.replies());
        let showed: Vec<bool> = stub.requests().iter().map(|it| it.to_string().contains("image_url")).collect();
        let mut turn = vec![true; asked - 1];
        turn.push(false);
        assert_eq!(showed, turn.repeat(2), "it is a guess, and not remembered");
    }
}

#[tokio::test]
async fn tools_are_left_out_only_where_nobody_else_is_left() {
    let stub = without(&[("\"tools\"", 400, r#"{"error":"registry/gemma:2b does not support tools"}"#)]).await;
    let (taking, nobody) = (Stub::start().await, dead_end());
    let (with_another, alone) = (vec![&stub.base_url, &taking.base_url], vec![&stub.base_url]);
    let ladders = [(with_another, &taking), (alone, &stub), (vec![&nobody, &stub.base_url], &stub)];
    for (models, answered_by) in ladders {
        let models = models.into_iter().map(|url| patient(url)).collect();
        let tool = Tool { config: order_status(), secret: None };
        let llm = made(LlmConfig::default(), models, vec![tool], Remote::always(404, "", ""));
        let world = Setup::new(llm.expect("a sound table")).start();
        say(&world, "hello").await;
        assert!(world.replies()[0].starts_with("Answer"), "{:?}", world.replies());
        let last = answered_by.requests().pop().expect("a request");
        assert_eq!(last["tools"].is_array(), std::ptr::eq(answered_by, &taking));
    }
}

#[tokio::test]
async fn a_template_without_the_role_system_gets_its_words_in_front_of_the_customers() {
    let stub = without(&[("\"role\":\"system\"", 500, NO_SYSTEM)]).await;
    let world = world(vec![patient(&stub.base_url)]);
    say(&world, "one").await;
    say(&world, "two").await;
    assert_eq!(world.replies(), ["Answer 2", "Answer 3"]);
    let told = &stub.requests()[2]["messages"];
    let roles: Vec<_> =
        told.as_array().expect("lines").iter().map(|line| line["role"].as_str().expect("a role")).collect();
    assert_eq!(roles, ["user", "assistant", "user"]);
    let first = told[0]["content"].as_str().expect("words");
    assert!(first.contains("You are shop,") && first.ends_with("\none"), "{first}");
}

#[tokio::test]
async fn a_conversation_that_is_too_long_is_asked_without_its_older_half_this_once() {
    // Only once there is something to leave out.
    let late = Stub::scripted(|request, number| match request["messages"].as_array().map_or(0, Vec::len) {
        0..=5 => Does::Says(format!("Answer {number}")),
        _ => Does::Complains(400, TOO_LONG.into()),
    });
    let late = late.await;
    let world = world(vec![patient(&late.base_url)]);
    for number in 1..=4 {
        say(&world, &format!("Question {number}")).await;
    }
    assert_eq!(world.replies(), ["Answer 1", "Answer 2", "Answer 4", "Answer 6"]);
    let requests = late.requests();
    let told = requests[3]["messages"].to_string();
    assert!(!told.contains("Question 1") && told.contains("Answer 2") && told.contains("Question 3"), "{told}");
    assert!(requests[4].to_string().contains("Question 1"), "the next time it may fit: nobody knows");
}

#[tokio::test]
async fn a_server_that_cannot_stream_or_count_is_asked_for_a_whole_answer() {
    let script = |request: &Value, _| {
        if !request["stream_options"].is_null() {
            return Does::Complains(400, r#"{"message":"property 'stream_options' is unsupported"}"#.into());
        }
        if request["stream"] == true {
            return Does::Complains(400, r#"{"error":{"message":"no","param":"stream"}}"#.into());
        }
        Does::SaysAtOnce(json!({ "role": "assistant", "content": "All at once." }))
    };
    let stub = Stub::scripted(script).await;
    let budget = BudgetConfig { contact_tokens: 1_000_000, ..BudgetConfig::default() };
    let config = LlmConfig { budget, ..LlmConfig::default() };
    let conversation_state = Arc::new(LateState::default());
    let world =
        Setup::new(made_with(config, vec![patient(&stub.base_url)], Arc::clone(&conversation_state) as _)).start();
    conversation_state.is(Arc::new(Arc::clone(&world.store)));
    say(&world, "hello").await;
    assert_eq!((world.replies(), stub.requests().len()), (vec!["All at once.".to_owned()], 3));
}

#[tokio::test]
async fn what_was_left_out_and_was_not_the_reason_is_not_remembered() {
    // It speaks of images, in the template that it shows, and means the role.
    let stub =
        without(&[("\"role\":\"system\"", 500, r#"{"error":{"message":"System role not supported: <image>"}}"#)]);
    let stub = stub.await;
    let world = world(vec![patient(&stub.base_url)]);
    for number in 0..2 {
        world.sandbox.write(&world.customer, Draft::image(Some("my shoe"))).expect("a customer");
        let answered = world.phone().wait_for(|phone| phone.replies(&world.customer).len() > number);
        tokio::time::timeout(Duration::from_secs(20), answered).await.expect("an answer");
    }
    let images: Vec<_> = stub.requests().iter().map(|request| request.to_string().contains("image_url")).collect();
    assert_eq!(images, [true, false, true, true]);
}

#[tokio::test]
async fn what_a_tool_has_said_is_told_as_strict_templates_want_it() {
    const IDS: &str =
        r#"{"error":{"message":"Jinja Exception: Tool call IDs should be alphanumeric strings with length 9!"}}"#;
    const RULE: &str =
        r#"{"error":{"message":"Jinja Exception: Conversation roles must alternate user/assistant/..."}}"#;
    for (is_refused, refusal, role) in [("\"tool_call_id\":\"id_0\"", IDS, "tool"), ("\"role\":\"tool\"", RULE, "user")]
    {
        let stub = Stub::scripted(move |request, number| match number {
            1 | 4 => Does::Calls(vec![("order_status", super::tools::ORDER.into())]),
            _ if request.to_string().contains(is_refused) => Does::Complains(400, refusal.into()),
            _ => Does::Says("It is on its way".into()),
        });
        let (stub, remote) = (stub.await, Remote::new(|_, _| async { says(&json!("sent")) }));
        let tool = Tool { config: order_status(), secret: None };
        let llm = made(LlmConfig::default(), vec![patient(&stub.base_url)], vec![tool], remote);
        let world = Setup::new(llm.expect("a sound table")).start();
        say(&world, "Where is order 17?").await;
        say(&world, "And now?").await;
        assert_eq!(world.replies(), ["It is on its way"; 2]);
        // Asked, refused, told otherwise; and in the next turn told so at once.
        let requests = stub.requests();
        assert_eq!(requests.len(), 5);
        let last = requests[4]["messages"].as_array().and_then(|lines| lines.last()).expect("lines").clone();
        assert_eq!(last["role"], role);
        assert!(last["content"].as_str().is_some_and(|words| words.contains("sent")), "{last}");
        assert!(requests[4]["tools"].is_array(), "it may still call them");
    }
}

#[tokio::test]
async fn a_refusal_that_comes_as_a_stream_or_with_200_is_one_too() {
    const PIECES: &[&str] = &[
        "event: error\ndata: {\"error\":{\"message\":\"Trying to keep the first 9 tokens when context the overflows\"}}\n\n",
    ];
    const CHUNK: &[&str] = &[
        "data: {\"error\":{\"message\":\"maximum context length is 9 tokens\",\"code\":\"400\"}}\n\ndata: [DONE]\n\n",
    ];
    let whole = Does::Complains(200, TOO_LONG.into());
    for refusal in [Does::Writes(PIECES), Does::Writes(CHUNK), whole] {
        let stub = Stub::scripted(move |request, number| match request["messages"].as_array().map_or(0, Vec::len) {
            0..=2 => Does::Says(format!("Answer {number}")),
            _ => refusal.clone(),
        });
        let stub = stub.await;
        let world = world(vec![patient(&stub.base_url)]);
        say(&world, "one").await;
        say(&world, "two").await;
        assert_eq!(world.replies(), ["Answer 1", "Answer 3"]);
        assert_eq!(stub.requests().len(), 3);
    }
}
