//! The webhooks: their form, their signature, their repetition.

use sha2::{Digest, Sha256};
use threedots::sandbox::{Customer, Draft, Mischief, SandboxSettings, WebhookFault};

use super::*;

/// HMAC-SHA256 by its definition, so that the signature is not checked with the code that made it.
fn hmac_sha256(key: &[u8], message: &[u8]) -> String {
    let padded = |with: u8| {
        let mut block = [with; 64];
        block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
        block
    };
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(message).finalize();
    hex::encode(Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize())
}

#[tokio::test(start_paused = true)]
async fn signatures_are_the_ones_that_meta_would_give() {
    let world = World::with(SandboxSettings { app_secret: "test_app_secret".to_owned(), ..SandboxSettings::default() });
    let known = [
        (
            r#"{"object":"whatsapp_business_account","entry":[]}"#,
            "dec6a680679a968e7e0319355b23599cbfc54502c0784668e9618baa0c633756",
        ),
        (
            r#"{"text":"\u00e4\u00f6\u00e5 \ud83d\ude00 a\/b"}"#,
            "0f27a07aa7b485276cf9c9834bf7d5cdbe52e385307d10ba7b45227b51a03da5",
        ),
    ];
    for (body, signature) in known {
        assert_eq!(world.sandbox.inject(body).await, Some(200));
        let post = world.letterbox.posts().pop().unwrap();
        assert_eq!(post.body, body);
        assert_eq!(post.header("x-hub-signature-256"), format!("sha256={signature}"));
        assert_eq!(hmac_sha256(b"test_app_secret", body.as_bytes()), signature);
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_goes_out_signed_and_escaped_as_meta_writes_it() {
    let world = World::quiet();
    let id = world.ada_writes("äöå 😀 a/b \"q\" \n").await;
    let post = world.letterbox.posts().pop().unwrap();
    let wire = std::str::from_utf8(&post.body).unwrap();
    assert!(wire.contains(r#""body":"\u00e4\u00f6\u00e5 \ud83d\ude00 a\/b \"q\" \n""#), "{wire}");
    assert!(wire.is_ascii());
    let signature = hmac_sha256(b"sandbox-app-secret", &post.body);
    assert_eq!(post.header("x-hub-signature-256"), format!("sha256={signature}"));
    assert_eq!(post.header("content-type"), "application/json");
    assert_eq!(post.url, "http://127.0.0.1:8080/webhook");
    let user_id = Customer::new(ADA, "Ada").user_id;
    let timestamp = post.message()["timestamp"].as_str().unwrap().to_owned();
    assert_eq!(
        post.json(),
        json!({ "object": "whatsapp_business_account", "entry": [{ "id": "102290129340398", "changes": [{
            "field": "messages",
            "value": {
                "messaging_product": "whatsapp",
                "metadata": { "display_phone_number": "12125550199", "phone_number_id": NUMBER },
                "contacts": [{ "profile": { "name": "Ada" }, "wa_id": ADA, "user_id": user_id }],
                "messages": [{
                    "from": ADA, "from_user_id": user_id, "id": id.as_str(), "timestamp": timestamp,
                    "type": "text", "text": { "body": "äöå 😀 a/b \"q\" \n" },
                }],
            },
        }] }] })
    );
    assert_eq!(timestamp.len(), 10);
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_message_has_metas_form() {
    let world = World::quiet();
    let words = world.ada_writes("hello").await;
    let write = |draft| world.sandbox.write(&world.ada, draft).unwrap();
    write(Draft::image(Some("look")).quoting(&words));
    write(Draft::voice());
    write(Draft::location(59.33, 18.07, Some("Home"), None));
    write(Draft::reaction(&words, "👍"));
    write(Draft::raw("unsupported", json!({ "type": "poll_creation" })));
    seconds(0.1).await;
    let messages = world.letterbox.messages();
    let types: Vec<&str> = messages.iter().map(|message| message["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["text", "image", "audio", "location", "reaction", "unsupported"]);
    assert_eq!(messages[1]["image"]["mime_type"], "image/png");
    assert_eq!(messages[1]["image"]["caption"], "look");
    assert_eq!(messages[1]["context"], json!({ "from": ADA, "id": words.as_str() }));
    assert_eq!(messages[2]["audio"]["voice"], true);
    assert_eq!(messages[2]["audio"]["mime_type"], "audio/ogg; codecs=opus");
    assert_eq!(messages[3]["location"], json!({ "latitude": 59.33, "longitude": 18.07, "name": "Home" }));
    assert_eq!(messages[4]["reaction"], json!({ "message_id": words.as_str(), "emoji": "👍" }));
    assert_eq!(messages[5]["unsupported"], json!({ "type": "poll_creation" }));
}

#[tokio::test(start_paused = true)]
async fn a_customer_who_hides_the_phone_number_is_known_by_user_id_alone() {
    let world = World::with(SandboxSettings::default());
    let mut hidden = Customer::new("12125550103", "Lin");
    (hidden.hides_phone, hidden.username) = (true, Some("lin.l".to_owned()));
    let user_id = hidden.user_id.clone();
    world.sandbox.phone().add(hidden);
    let first = world.sandbox.write(&"12125550103".into(), "hello".into()).unwrap();
    world.sandbox.write(&"12125550103".into(), Draft::text("again").quoting(&first)).unwrap();
    seconds(0.1).await;
    let posts = world.letterbox.posts();
    assert!(posts.iter().all(|post| !String::from_utf8_lossy(&post.body).contains("12125550103")));
    let value = posts[0].value();
    assert_eq!(value["contacts"], json!([{ "profile": { "name": "Lin", "username": "lin.l" }, "user_id": user_id }]));
    assert_eq!(value["messages"][0].get("from"), None);
    assert_eq!(value["messages"][0]["from_user_id"], json!(user_id));
    let body =
        json!({ "messaging_product": "whatsapp", "recipient": user_id, "type": "text", "text": { "body": "hi" } });
    let (status, answer) = world.call(&body).await;
    assert_eq!((status, &answer["contacts"]), (200, &json!([{ "input": user_id, "user_id": user_id }])));
    seconds(1.0).await;
    let status = world.letterbox.statuses().pop().unwrap();
    assert_eq!((status.get("recipient_id"), &status["recipient_user_id"]), (None, &json!(user_id)));
}

#[tokio::test(start_paused = true)]
async fn a_webhook_is_repeated_until_it_is_answered_with_200() {
    let world = World::quiet();
    world.letterbox.answer_next([Some(503), None, Some(204), Some(404), Some(200)]);
    world.ada_writes("hello").await;
    seconds(3600.0).await;
    let posts = world.letterbox.posts();
    assert_eq!(posts.len(), 5);
    assert!(posts.iter().all(|post| post.body == posts[0].body));
    let answers: Vec<String> = world.sandbox.phone().story().into_iter().skip(1).collect();
    assert_eq!(
        answers,
        [
            "0.000 webhook message #1: 503",
            "1.000 webhook message #1: no answer",
            "3.000 webhook message #1: 204",
            "7.000 webhook message #1: 404",
            "15.000 webhook message #1: 200",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn pauses_between_repetitions_grow_to_a_minute_and_no_further() {
    let world = World::quiet();
    world.letterbox.answer_next(std::iter::repeat_n(Some(500), 12));
    world.ada_writes("hello").await;
    seconds(63.0 + 6.0 * 60.0 + 1.0).await;
    let story = world.sandbox.phone().story();
    assert!(story.last().unwrap().starts_with("423.000 "), "{story:?}");
    assert_eq!(story.len(), 1 + 13);
}

#[tokio::test(start_paused = true)]
async fn a_webhook_that_is_never_answered_counts_as_unanswered_after_a_while() {
    struct Silence;
    #[async_trait]
    impl Courier for Silence {
        async fn post(&self, _: &str, _: Vec<(String, String)>, _: Bytes) -> Option<u16> {
            std::future::pending().await
        }
    }
    let sandbox = Sandbox::new(SandboxSettings::default(), Clock::tokio(), Arc::new(Silence));
    sandbox.phone().add(Customer::new(ADA, "Ada"));
    sandbox.write(&ADA.into(), "hello".into()).unwrap();
    seconds(20.5).await;
    assert_eq!(sandbox.phone().story(), ["0.000 wrote #1", "20.000 webhook message #1: no answer"]);
}

#[tokio::test(start_paused = true)]
async fn a_sent_message_is_reported_on_three_times_with_its_key() {
    let world = World::with(SandboxSettings::default());
    world.ada_writes("hello").await;
    let mut body = text("hi");
    body["biz_opaque_callback_data"] = json!("key-1");
    let (_, answer) = world.call(&body).await;
    seconds(5.0).await;
    let statuses = world.letterbox.statuses();
    let names: Vec<&str> = statuses.iter().map(|status| status["status"].as_str().unwrap()).collect();
    assert_eq!(names, ["sent", "delivered", "read"]);
    for status in &statuses {
        assert_eq!(status["id"], answer["messages"][0]["id"]);
        assert_eq!(status["biz_opaque_callback_data"], "key-1");
        assert_eq!(status["recipient_id"], ADA);
    }
    for post in world.letterbox.posts() {
        let signature = hmac_sha256(b"sandbox-app-secret", &post.body);
        assert_eq!(post.header("x-hub-signature-256"), format!("sha256={signature}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_is_the_same_bytes_twice() {
    let world = World::quiet();
    world.sandbox.faults().add(WebhookFault::new(Mischief::Duplicate).once());
    world.ada_writes("one").await;
    world.ada_writes("two").await;
    seconds(1.0).await;
    let posts = world.letterbox.posts();
    assert_eq!(posts.len(), 3);
    assert_eq!(posts[0].body, posts[1].body);
    assert_ne!(posts[1].body, posts[2].body);
}

#[tokio::test(start_paused = true)]
async fn a_webhook_that_is_held_back_arrives_after_the_next() {
    let world = World::quiet();
    world.sandbox.faults().add(WebhookFault::new(Mischief::HoldBack).once());
    let first = world.sandbox.write(&world.ada, "one".into()).unwrap();
    seconds(1.0).await;
    assert!(world.letterbox.posts().is_empty());
    let second = world.ada_writes("two").await;
    let third = world.ada_writes("three").await;
    seconds(60.0).await;
    let arrived: Vec<Value> = world.letterbox.messages().iter().map(|message| message["id"].clone()).collect();
    assert_eq!(arrived, [second.as_str(), first.as_str(), third.as_str()]);
}

#[tokio::test(start_paused = true)]
async fn a_webhook_that_is_held_back_is_not_lost_when_no_other_follows() {
    let world = World::quiet();
    world.sandbox.faults().add(WebhookFault::new(Mischief::HoldBack));
    world.sandbox.write(&world.ada, "one".into()).unwrap();
    seconds(60.0).await;
    assert_eq!(world.letterbox.messages().len(), 1);
}
