//! Handlers that answer later.

use std::sync::Arc;

use serde_json::{Value, json};
use threedots::handler::http::callbacks::{CallbackError, Callbacks};
use threedots::sandbox::{Draft, Upstream};

use super::{Remote, whole, world};

/// A handler that promises an answer.
fn promises() -> Arc<Remote> {
    Remote::new(|_, _| async { Ok(whole(202, "", "")) })
}

/// What the only turn so far is answered with.
fn answer(remote: &Remote, callbacks: &Callbacks, body: &Value) -> Result<(), CallbackError> {
    let turn = remote.seen()[0].turn();
    let (id, token) = (turn["id"].as_str().expect("text"), turn["callback"]["token"].as_str());
    assert_eq!(turn["callback"]["url"], format!("http://127.0.0.1:8082/v1/turns/{id}/reply"));
    callbacks.answer(id, token, body.to_string().as_bytes())
}

#[tokio::test(start_paused = true)]
async fn the_dots_stay_on_until_the_answer_is_posted() {
    let remote = promises();
    let (world, callbacks) = world(Upstream::Linq, &remote);
    world.write("hello");
    world.pass(60).await;
    assert!(world.phone().dots_showing(&world.customer) && world.replies().is_empty());
    assert_eq!(answer(&remote, &callbacks, &json!({ "text": "here it is" })), Ok(()));
    world.pass(5).await;
    assert_eq!(world.replies(), ["here it is"]);
    assert!(!world.phone().dots_showing(&world.customer));
    // A second one is too late.
    assert_eq!(answer(&remote, &callbacks, &json!({ "text": "once more" })), Err(CallbackError::Unknown));
    world.pass(500).await;
    assert_eq!((world.replies().len(), remote.seen().len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn an_answer_may_overtake_the_promise_and_two_at_once_are_one() {
    let remote = Remote::new(|_, _| async {
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        Ok(whole(202, "", ""))
    });
    let (world, callbacks) = world(Upstream::Meta, &remote);
    world.write("hello");
    world.pass(1).await;
    assert_eq!(answer(&remote, &callbacks, &json!({ "text": "first" })), Ok(()));
    assert_eq!(answer(&remote, &callbacks, &json!({ "text": "second" })), Err(CallbackError::Unknown));
    world.pass(10).await;
    assert_eq!(world.replies(), ["first"]);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_answer_is_refused_with_what_is_wrong_and_may_be_mended() {
    let remote = promises();
    let (world, callbacks) = world(Upstream::Meta, &remote);
    world.write("hello");
    world.pass(1).await;
    let turn = remote.seen()[0].turn();
    let id = turn["id"].as_str().expect("text");
    for token in [None, Some(""), Some("0"), turn["id"].as_str()] {
        assert_eq!(callbacks.answer(id, token, b"{\"text\": \"x\"}"), Err(CallbackError::WrongToken));
    }
    let token = turn["callback"]["token"].as_str();
    assert_eq!(callbacks.answer("3d-1-1", token, b"{\"text\": \"x\"}"), Err(CallbackError::Unknown));
    for (body, reason) in [
        (json!({ "words": "x" }), "words is not of the form"),
        (
            json!({ "parts": [{ "type": "text", "text": "look" }, { "type": "image", "url": "http://x.example/y" }] }),
            "https",
        ),
    ] {
        let Err(CallbackError::Invalid(why)) = answer(&remote, &callbacks, &body) else { panic!("{body} was taken") };
        assert!(why.contains(reason), "{why}");
    }
    assert_eq!(answer(&remote, &callbacks, &json!({ "text": "mended" })), Ok(()));
    world.pass(5).await;
    assert_eq!(world.replies(), ["mended"]);
}

#[tokio::test(start_paused = true)]
async fn ten_wrong_tokens_of_a_second_are_looked_at_for_a_turn_and_no_more() {
    let remote = promises();
    let (world, callbacks) = world(Upstream::Meta, &remote);
    world.write("hello");
    world.pass(1).await;
    let turn = remote.seen()[0].turn();
    let (id, token) = (turn["id"].as_str().expect("text"), turn["callback"]["token"].as_str());
    for number in 0..10 {
        assert_eq!(callbacks.admit(id, Some(&format!("{number:064x}"))), Err(CallbackError::WrongToken));
    }
    for token in [Some("0"), None, token] {
        assert_eq!(callbacks.admit(id, token), Err(CallbackError::Guessing));
        assert_eq!(callbacks.answer(id, token, b"{\"text\": \"x\"}"), Err(CallbackError::Guessing));
    }
    world.pass(1).await;
    assert_eq!(answer(&remote, &callbacks, &json!({ "text": "the right one" })), Ok(()));
    world.pass(10).await;
    assert_eq!(world.replies(), ["the right one"]);
}

#[tokio::test(start_paused = true)]
async fn a_promise_that_is_not_kept_is_a_failure() {
    let remote = promises();
    let (world, callbacks) = world(Upstream::Meta, &remote);
    world.write("hello");
    world.pass(100).await;
    assert_eq!(world.dead().await[0].reason, "the handler took too long");
    assert_eq!(answer(&remote, &callbacks, &json!({ "text": "too late" })), Err(CallbackError::Unknown));
}

#[tokio::test(start_paused = true)]
async fn whoever_answers_later_steers_the_dots_meanwhile() {
    let remote = promises();
    let (world, callbacks) = world(Upstream::Waha, &remote);
    world.write("hello");
    world.pass(3).await;
    let turn = remote.seen()[0].turn();
    let (id, token) = (turn["id"].as_str().expect("text"), turn["callback"]["token"].as_str());
    assert_eq!(callbacks.steer(id, token, b"{\"show\": \"recording\"}"), Ok(()));
    assert!(matches!(callbacks.steer(id, token, b"{\"show\": \"dancing\"}"), Err(CallbackError::Invalid(_))));
    assert_eq!(callbacks.steer(id, Some("guess"), b"{\"show\": \"pause\"}"), Err(CallbackError::WrongToken));
    world.pass(1).await;
    let calls = world.calls();
    assert!(calls.contains(&"3 s: recording".into()), "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn a_medium_is_lent_for_a_quarter_of_an_hour_without_the_upstreams_address() {
    let remote = promises();
    let (world, callbacks) = world(Upstream::Meta, &remote);
    world.sandbox.write(&world.customer, Draft::image(Some("what is this?"))).expect("a customer of this sandbox");
    world.pass(1).await;
    let turn = remote.seen()[0].turn();
    let content = &turn["messages"][0]["content"];
    assert_eq!((&content["type"], &content["text"]), (&json!("image"), &json!("what is this?")));
    let url = content["url"].as_str().expect("an address");
    let name = url.strip_prefix("http://127.0.0.1:8082/v1/media/").expect("threedots' own address");
    assert_eq!(name.len(), 64);
    let (fetch, media) = callbacks.medium(name).expect("it is lent");
    let fetched = fetch.fetch(&media).await.expect("the medium");
    assert!(fetched.mime.starts_with("image/") && !fetched.data.is_empty());
    assert!(callbacks.medium(&name[1..]).is_none());
    world.pass(15 * 60).await;
    assert!(callbacks.medium(name).is_none(), "it is lent for too long");
}
