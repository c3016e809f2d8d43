//! A failure that passes: whoever failed so is asked again within the turn's time. What stays unanswered can be
//! replayed.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use threedots::handler::LateState;
use threedots::handler::llm::{LlmConfig, ModelConfig};
use tokio::time::Instant;

use super::stub::{Does, Stub};
use super::{dead_end, llm, made_with, patient, say, with};
use crate::world::Setup;

/// Fails so many times, and then answers.
async fn fails(times: usize, does: Does) -> Stub {
    Stub::scripted(move |_, number| if number <= times { does.clone() } else { Does::Says("I am back".into()) }).await
}

/// What came of one question to the only model, how often that was asked, and how long it took.
async fn asked_alone(stub: &Stub, stall: Duration) -> (Vec<String>, usize, Duration) {
    let model = ModelConfig { stall, ..patient(&stub.base_url) };
    let mut setup = Setup::new(with(LlmConfig::default(), vec![model]));
    setup.turn.timeout = Duration::from_secs(8);
    let world = setup.start();
    let began = Instant::now();
    say(&world, "hello").await;
    (world.replies(), stub.requests().len(), began.elapsed())
}

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn the_only_model_is_asked_again_after_what_may_pass() {
    let passing = [503, 429, 500, 502, 504, 408, 529].map(|status| Does::Refuses(status, None));
    let broken = [Does::HangsUp("Half an "), Does::Fails("Half an "), Does::Says("  ".into()), Does::Page(502)];
    let each = passing.into_iter().chain(broken).map(|does| async {
        let stub = fails(1, does).await;
        let (replies, asked, _) = asked_alone(&stub, LONG).await;
        assert_eq!((replies, asked), (vec!["I am back".to_owned()], 2));
    });
    join_all(each).await;
    let stub = fails(1, Does::Stalls("Half an ")).await;
    let (replies, asked, _) = asked_alone(&stub, Duration::from_millis(200)).await;
    assert_eq!((replies, asked), (vec!["I am back".to_owned()], 2));
}

#[tokio::test]
async fn what_does_not_pass_is_not_asked_again() {
    let quota = r#"{"error":{"message":"You exceeded your current quota.","code":"insufficient_quota"}}"#;
    let lasting = [401, 403, 400, 404, 422, 501].map(|status| Does::Refuses(status, None));
    for does in lasting.into_iter().chain([Does::Complains(429, quota.into())]) {
        let stub = Stub::always(does).await;
        let (replies, asked, took) = asked_alone(&stub, LONG).await;
        assert!(replies[0].contains("cannot think straight"), "{replies:?}");
        assert_eq!(asked, 1);
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
}

#[tokio::test]
async fn what_may_have_been_paid_for_is_asked_for_once_more_and_no_oftener() {
    let stub = Stub::always(Does::HangsUp("Half an ")).await;
    let (replies, asked, _) = asked_alone(&stub, LONG).await;
    assert!(replies[0].contains("cannot think straight"), "{replies:?}");
    assert_eq!(asked, 2);
}

#[tokio::test]
async fn a_rest_that_ends_in_time_is_kept_and_one_that_does_not_is_not_waited_for() {
    for (name, value, at_least) in
        [("retry-after", "2", 1_900), ("retry-after-ms", "1700", 1_600), ("retry-after", "1.5", 1_400)]
    {
        let stub = fails(1, Does::Rests(429, name, value)).await;
        let (replies, asked, took) = asked_alone(&stub, LONG).await;
        assert_eq!((replies, asked), (vec!["I am back".to_owned()], 2));
        assert!(took >= Duration::from_millis(at_least), "{name}: {value}: {took:?}");
    }
    let stub = fails(1, Does::Rests(503, "retry-after", "9")).await;
    let (replies, asked, took) = asked_alone(&stub, LONG).await;
    assert!(replies[0].contains("cannot think straight") && asked == 1, "{replies:?}");
    assert!(took < Duration::from_secs(5), "nobody waits for what comes too late: {took:?}");
}

#[tokio::test]
async fn tries_are_bounded_by_the_turns_time_and_the_canned_reply_is_in_time() {
    let stub = Stub::always(Does::Refuses(503, None)).await;
    let (replies, asked, took) = asked_alone(&stub, LONG).await;
    assert!(replies[0].contains("cannot think straight"), "{replies:?}");
    assert!((3..=5).contains(&asked) && took < Duration::from_secs(8), "{asked} in {took:?}");
}

#[tokio::test]
async fn once_the_ladder_is_through_whoever_may_answer_is_asked_again() {
    // The first wants to be left alone for longer than there is time, the second is not there, the third is busy once.
    let (resting, busy) =
        (Stub::always(Does::Refuses(429, Some("3600"))).await, fails(1, Does::Refuses(503, None)).await);
    let refused = Stub::always(Does::Refuses(401, None)).await;
    let models = [&resting.base_url, &refused.base_url, &dead_end(), &busy.base_url];
    let world = Setup::new(llm(LlmConfig::default(), &models.map(String::as_str))).start();
    say(&world, "hello").await;
    assert_eq!(world.replies(), ["I am back"]);
    assert_eq!((resting.requests().len(), refused.requests().len(), busy.requests().len()), (1, 1, 2));
    assert!(world.dead().await.is_empty());
}

#[tokio::test]
async fn a_question_that_got_the_canned_reply_is_replayed_and_answered_once() {
    let stub = Stub::scripted(|_, number| match number {
        1 | 2 => Does::Refuses(400, None),
        _ => Does::Says(format!("Answer {number}")),
    });
    let stub = stub.await;
    let mut setup = Setup::new(llm(LlmConfig::default(), &[&stub.base_url]));
    setup.merge.quiet = Duration::from_millis(300);
    let world = setup.start();
    world.write("When are you open?");
    say(&world, "And where?").await;
    assert_eq!(world.replies().len(), 1, "no failure reply comes besides: {:?}", world.replies());
    assert!(world.replies()[0].contains("cannot think straight"));
    let dead = world.dead().await;
    let words: Vec<_> = dead.iter().map(|letter| letter.message.inbound.content.words().unwrap_or_default()).collect();
    assert_eq!(words, ["When are you open?", "And where?"], "all that was asked");
    assert!(dead.iter().all(|letter| letter.reason == "no model answered: refused"), "{:?}", dead[0].reason);
    say(&world, "Hello?").await;
    // What was asked is still there to be answered; the canned reply is not shown to the model.
    let told = &stub.requests()[1]["messages"];
    assert_eq!(told[1]["content"], "When are you open?\nAnd where?\nHello?");

    let dead = world.dead().await;
    assert_eq!(dead.len(), 3);
    for letter in &dead[..2] {
        assert!(world.store.replay(letter.message.seq).await.expect("a store in memory").is_some());
    }
    let answered = world.phone().wait_for(|phone| phone.replies(&world.customer).len() > 2);
    tokio::time::timeout(Duration::from_secs(20), answered).await.expect("an answer");
    assert_eq!(world.replies()[2..], ["Answer 3"]);
    let told = stub.requests()[2]["messages"].to_string();
    for question in ["When are you open?", "And where?", "Hello?"] {
        assert_eq!(told.matches(question).count(), 1, "{told}");
    }
    assert_eq!(world.dead().await.len(), 1);
    // And in what follows, it is told once, too.
    say(&world, "Thanks").await;
    let told = stub.requests()[3]["messages"].to_string();
    for words in ["When are you open?", "And where?", "Hello?", "Answer 3", "Thanks"] {
        assert_eq!(told.matches(words).count(), 1, "{words}: {told}");
    }
}

#[tokio::test]
async fn a_limit_that_is_reached_is_no_dead_letter() {
    let stub = Stub::start().await;
    let mut config = LlmConfig::default();
    config.budget.contact_tokens = 1;
    let conversation_state = Arc::new(LateState::default());
    let world =
        Setup::new(made_with(config, vec![patient(&stub.base_url)], Arc::clone(&conversation_state) as _)).start();
    conversation_state.is(Arc::new(Arc::clone(&world.store)));
    say(&world, "hello").await;
    assert!(world.dead().await.is_empty() && stub.requests().is_empty());
}
