//! What is refused at once, and leaves nothing behind.

use threedots::admin::telemetry::{self, LogLevel};
use tracing_subscriber::layer::SubscriberExt;

use super::*;
use crate::buffer::Buffer;

#[tokio::test(start_paused = true)]
async fn what_cannot_be_sent_is_told_at_once_and_nothing_is_stored() {
    let world = Setup::new(echo()).start();
    let api = api_of(&world);
    world.write("hello");
    world.pass(5).await;
    let to_ada = |part: Value| json!({ "contact": ADA, "parts": [part] });
    let cases = [
        (json!({ "text": "to whom?" }), 400, "send {\"contact\": …}"),
        (json!({ "contact": ADA, "chat": "x", "text": "to whom?" }), 400, "send {\"contact\": …}"),
        (json!({ "contact": ADA }), 400, "with \"text\" or \"parts\""),
        (json!({ "contact": ADA, "silence": true }), 400, "silence"),
        (json!({ "contact": ADA, "text": "x", "when": "later" }), 400, "when"),
        (json!({ "contact": ADA, "text": "x", "parts": [] }), 400, "send {\"contact\": …}"),
        (to_ada(json!({ "type": "text", "text": "x", "quote": true })), 400, "no message to quote"),
        (to_ada(json!({ "type": "reaction", "emoji": "👍" })), 400, "has to name its message"),
        (to_ada(json!({ "type": "tea" })), 400, "parts[0]"),
        (to_ada(json!({ "type": "image", "url": "http://x.example/i.png" })), 422, "not an https address"),
        (to_ada(json!({ "type": "text", "text": "" })), 422, ""),
        (json!({ "contact": ADA, "parts": [] }), 422, "empty"),
        (json!({ "contact": ADA, "parts": vec![json!({ "type": "text", "text": "x" }); 101] }), 422, "more than 100"),
        (json!({ "contact": "nobody at all", "text": "x" }), 400, "no phone number"),
        (json!({ "contact": "0170 0000000", "text": "x" }), 400, "without its country code"),
        (json!({ "contact": "99887766@lid", "text": "x" }), 422, "the upstream cannot write to it"),
        (json!({ "contact": "+49 170 0000000", "text": "x" }), 422, "approved templates"),
        (json!({ "chat": "120363000@g.us", "text": "x" }), 404, "knows no chat"),
    ];
    for (body, expected, words) in cases {
        let (status, refused) = send(&api, "key", &body).await;
        let why = refused["error"].as_str().unwrap_or_default();
        assert!(status == expected && why.contains(words), "{body}: {status} {why}");
        assert!(!why.contains("555") && !why.contains("nobody at all") && !why.contains("later"), "{why}");
    }
    let body = json!({ "contact": ADA, "text": "x" });
    for key in ["", "a key", "schlüssel", &"k".repeat(256)] {
        assert_eq!(send(&api, key, &body).await.0, 400, "{key}");
    }
    let without = TestRequest::post().uri(&format!("/v1/bots/{BOT}/messages")).set_payload(body.to_string());
    assert_eq!(ask(&api, without).await.0, 400);
    let other = TestRequest::post().uri("/v1/bots/other/messages").insert_header(("idempotency-key", "key"));
    assert_eq!(ask(&api, other.set_payload(body.to_string())).await.0, 404);
    assert_eq!(get(&api, &format!("/v1/bots/{BOT}/messages")).await.0, 405);
    world.pass(30).await;
    assert_eq!(world.replies().len(), 1);
    assert_eq!(world.store.backlog().messages, 0);
    // The key was none of theirs.
    assert_eq!(send(&api, "key", &body).await.0, 202);
}

#[tokio::test(start_paused = true)]
async fn a_day_after_the_last_word_only_an_approved_template_is_taken() {
    for upstream in [Upstream::Meta, Upstream::NxCloud] {
        let world = Setup::on(upstream, echo()).start();
        let api = api_of(&world);
        world.write("hello");
        world.pass(24 * 3600 - 60).await;
        assert_eq!(send(&api, "in-time", &json!({ "contact": ADA, "text": "in time" })).await.0, 202, "{upstream:?}");
        world.pass(120).await;
        let (status, refused) = send(&api, "late", &json!({ "contact": ADA, "text": "late" })).await;
        assert_eq!(status, 422, "{upstream:?}: {refused}");
        let both = json!({ "contact": ADA, "parts": [templated(), { "type": "text", "text": "late" }] });
        assert_eq!(send(&api, "late", &both).await.0, 422, "{upstream:?}");
        assert_eq!(send(&api, "late", &json!({ "contact": ADA, "parts": [templated()] })).await.0, 202, "{upstream:?}");
        world.pass(30).await;
        assert_eq!(world.replies().len(), 3, "{upstream:?}: {:?}", world.dead().await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_window_that_closes_before_it_leaves_makes_a_dead_letter_and_no_other_message() {
    let mut setup = Setup::new(echo());
    setup.delivery.window_template =
        Some(threedots::delivery::outbox::WindowTemplate { name: "come_back".into(), language: "en_US".into() });
    let world = setup.start();
    let api = api_of(&world);
    world.write("hello");
    world.pass(24 * 3600 - 30).await;
    world.sandbox.faults().add(Fault::on(Calls::Send).fail(Failure::TooMany { retry_after: Some(60) }).once());
    let (status, taken) = send(&api, "late", &json!({ "contact": ADA, "text": "late" })).await;
    assert_eq!(status, 202);
    world.pass(200).await;
    assert_eq!(world.replies(), ["You said: hello"]);
    let (_, part) = get(&api, taken["parts"][0]["path"].as_str().expect("a path")).await;
    assert_eq!(part["stage"], "failed");
    assert!(part["reason"].as_str().is_some_and(|why| why.contains("too old")), "{part}");
}

#[tokio::test(start_paused = true)]
async fn an_opt_out_is_told_at_once() {
    let world = Setup::on(Upstream::Linq, echo()).start();
    opt_out(&world).await;
    let (status, refused) = send(&api_of(&world), "k", &json!({ "contact": ADA, "text": "an offer" })).await;
    assert_eq!(status, 403);
    assert_eq!(refused["error"], "the contact has opted out of being sent things unasked");
}

/// Whatever is asked for, and whatever becomes of it, the log has numbers and our own words.
#[test]
fn nothing_of_it_is_in_the_log() {
    let buffer = Buffer::default();
    let writer = buffer.clone();
    let layer = telemetry::layer(LogLevel::Trace, true, move || writer.clone());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.expect("a runtime").block_on(async {
            for upstream in Upstream::ALL {
                let world = Setup::on(upstream, echo()).start();
                let api = api_of(&world);
                world.write("hello");
                world.pass(5).await;
                let key = "key-of-+15550100001";
                for body in
                    [json!({ "contact": ADA, "text": "velvet" }), json!({ "contact": ADA, "text": "velvet too" })]
                {
                    send(&api, key, &body).await;
                }
                send(&api, key, &json!({ "contact": ADA, "velvet": "velvet" })).await;
                send(&api, "k", &json!({ "chat": "velvet-15550100001", "text": "velvet" })).await;
                let other = TestRequest::post().uri("/v1/bots/velvet/messages").insert_header(("idempotency-key", key));
                ask(&api, other.set_payload("{}")).await;
                world.pass(10).await;
                world.sandbox.faults().add(Fault::on(Calls::Send).fail(Failure::Refused));
                send(&api, "refused", &json!({ "contact": ADA, "text": "velvet" })).await;
                world.pass(10).await;
                assert_eq!(world.dead().await.len(), 1, "{upstream:?}");
                send(&api, "stranger", &json!({ "contact": "+49 170 1234567", "parts": [templated()] })).await;
                world.pass(10).await;
            }
        });
    });
    let log = buffer.written();
    assert!(log.contains("POST /v1/bots/{bot}/messages") && log.contains("\"operator.action\":\"send\""), "{log}");
    for secret in ["velvet", "5550100001", "1701234567", "key-of", "order_shipped", TOKEN] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}
