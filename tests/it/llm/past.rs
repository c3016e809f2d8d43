//! What a model is given of a long conversation.

use std::sync::Arc;

use threedots::handler::LateState;
use threedots::handler::llm::LlmConfig;

use super::stub::{Does, Stub};
use super::{made_with, patient, say};
use crate::world::{Setup, World};

/// A model that summarises, or answers with the number of the request.
async fn stub(summary: Does) -> Stub {
    let script = move |request: &serde_json::Value, number| {
        let system = request["messages"][0]["content"].as_str().expect("a prompt");
        if system.starts_with("Summarise") { summary.clone() } else { Does::Says(format!("Answer {number}")) }
    };
    Stub::scripted(script).await
}

/// A world with room for about six things said.
fn world(stub: &Stub, summary_tokens: u32) -> World {
    let later = Arc::new(LateState::default());
    let config = LlmConfig { history_tokens: 44, summary_tokens, ..LlmConfig::default() };
    let world = Setup::new(made_with(config, vec![patient(&stub.base_url)], Arc::clone(&later) as _)).start();
    later.is(Arc::new(Arc::clone(&world.store)));
    world
}

fn said(request: &serde_json::Value) -> Vec<String> {
    let messages = request["messages"].as_array().expect("messages");
    messages[1..].iter().map(|line| line["content"].as_str().expect("words").to_owned()).collect()
}

#[tokio::test]
async fn what_no_longer_fits_is_summarised_once_in_a_while_and_kept() {
    let stub = stub(Does::Says("They talked about shoes.".into())).await;
    let world = world(&stub, 50);
    for number in 1..=8 {
        say(&world, &format!("Question {number}")).await;
    }
    let requests = stub.requests();
    let summaries: Vec<_> = requests.iter().filter(|request| request["max_tokens"] == 50).collect();
    assert!((1..=3).contains(&summaries.len()), "{} of {}", summaries.len(), requests.len());
    assert!(said(summaries[0])[0].starts_with("Customer: Question 1\nBot: Answer 1\n"), "{:?}", said(summaries[0]));
    if let Some(second) = summaries.get(1) {
        assert!(said(second)[0].starts_with("[Before that: They talked about shoes.]"), "{:?}", said(second));
        assert!(!said(second)[0].contains("Question 1"), "it is in the summary already");
    }
    let last = said(&requests[requests.len() - 1]);
    // What follows is the customer's, too: one line.
    let (summary, next) = last[0].split_once('\n').expect("two lines");
    assert_eq!(summary, "[What was said before, in short: They talked about shoes.]");
    assert!(next.starts_with("Question") && last.len() < 9, "{last:?}");
    assert_eq!(requests[requests.len() - 1]["messages"][1]["role"], "user", "it is made of a customer's words");
}

#[tokio::test]
async fn without_a_summary_what_does_not_fit_is_left_out() {
    for (stub, tokens) in [(stub(Does::Says("never".into())).await, 0), (stub(Does::HangsUp("Half")).await, 50)] {
        let world = world(&stub, tokens);
        for number in 1..=3 {
            say(&world, &format!("Question {number}")).await;
        }
        say(&world, &"word ".repeat(30)).await;
        say(&world, "and?").await;
        let requests = stub.requests();
        let last = said(&requests[requests.len() - 1]);
        assert_eq!(last.last().map(String::as_str), Some("and?"));
        assert!(!last.iter().any(|words| words.contains("Question 1") || words.contains("never")), "{last:?}");
    }
}

#[tokio::test]
async fn a_summary_that_fails_is_not_asked_for_in_every_turn() {
    let stub = stub(Does::HangsUp("Half")).await;
    let world = world(&stub, 50);
    for number in 1..=10 {
        say(&world, &format!("Question {number}")).await;
    }
    let summaries = stub.requests().iter().filter(|request| request["max_tokens"] == 50).count();
    assert_eq!(summaries, 1, "and no second one after a pause: the answer does not wait for it");
}
