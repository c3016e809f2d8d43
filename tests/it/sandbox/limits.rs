//! The upstreams' real limits, where a sandbox keeps to them.

use threedots::sandbox::{Customer, CustomerId, SandboxSettings, StatusDelays, Upstream};

use super::*;

fn strict(upstream: Upstream) -> World {
    let statuses = StatusDelays { sent: None, delivered: None, read: None };
    World::with(SandboxSettings { limits: true, statuses, ..SandboxSettings::of(upstream) })
}

/// A number of Meta's in exactly such a world, with somebody else to write to.
async fn send_to(world: &World, number: &str) -> (u16, Value) {
    let mut body = text("hi");
    body["to"] = json!(format!("+{number}"));
    world.call(&body).await
}

#[tokio::test(start_paused = true)]
async fn meta_lends_one_customer_forty_five_messages_and_takes_one_in_six_seconds() {
    let world = strict(Upstream::Meta);
    world.ada_writes("hello").await;
    for _ in 0..45 {
        assert_eq!(world.send("hi").await.0, 200);
    }
    let refused = world.send("hi").await;
    assert_eq!((code(&refused), &refused.1["error"]["type"]), ((400, 131_056), &json!("OAuthException")));
    // What was refused has cost nothing.
    seconds(5.9).await;
    assert_eq!(code(&world.send("hi").await), (400, 131_056));
    seconds(0.1).await;
    assert_eq!(world.send("hi").await.0, 200);
    assert_eq!(code(&world.send("hi").await), (400, 131_056));
    // A burst of twenty has to be made up for by two minutes of silence.
    seconds(120.0).await;
    for _ in 0..20 {
        assert_eq!(world.send("hi").await.0, 200);
    }
    assert_eq!(code(&world.send("hi").await), (400, 131_056));
    let message = world.ada_writes("hello").await;
    assert_eq!(world.type_for(&message).await.0, 200, "no message, and so not limited");
}

#[tokio::test(start_paused = true)]
async fn meta_takes_eighty_messages_of_a_number_in_a_second() {
    let world = strict(Upstream::Meta);
    for number in 0..82 {
        let (number, name) = (format!("1555010{number:04}"), "Somebody");
        world.sandbox.phone().add(Customer::new(&number, name));
        world.sandbox.write(&CustomerId::new(number), "hello".into()).unwrap();
    }
    for number in 0..80 {
        assert_eq!(send_to(&world, &format!("1555010{number:04}")).await.0, 200);
    }
    assert_eq!(code(&send_to(&world, "15550100080").await), (429, 130_429));
    seconds(0.999).await;
    assert_eq!(code(&send_to(&world, "15550100080").await), (429, 130_429));
    seconds(0.001).await;
    assert_eq!(send_to(&world, "15550100080").await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn the_gateway_takes_twenty_messages_in_a_minute_and_two_hundred_in_an_hour() {
    let world = strict(Upstream::Gateway);
    let session = world.sandbox.settings().account_id.clone();
    let send = async |key: &str| {
        let body = json!({ "type": "text", "text": "hi", "to": format!("{ADA}@s.whatsapp.net") });
        let request = UpstreamRequest {
            method: "POST".to_owned(),
            path_and_query: format!("/graph/api/v1/sessions/{session}/messages"),
            headers: vec![
                bearer(),
                ("content-type".to_owned(), "application/json".to_owned()),
                ("idempotency-key".to_owned(), key.to_owned()),
            ],
            body: Bytes::from(body.to_string()),
        };
        answer(world.sandbox.handle(request).await)
    };
    for minute in 0..10 {
        for number in 0..20 {
            assert_eq!(send(&format!("{minute}-{number}")).await.0, 200, "minute {minute}");
        }
        let refused = send("one more").await;
        let seconds_left = if minute < 9 { 60 } else { 3600 - 9 * 60 };
        assert_eq!((refused.0, &refused.1["error"]["code"]), (429, &json!("rate_limited")));
        assert_eq!(refused.1["error"]["details"]["retryAfterSeconds"], json!(seconds_left));
        assert_eq!(send(&format!("{minute}-0")).await.0, 200, "the same message, told again");
        seconds(60.0).await;
    }
    assert_eq!(send("one more").await.0, 429);
    seconds(3600.0 - 600.0).await;
    assert_eq!(send("one more").await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn without_limits_everything_is_taken() {
    let world = World::quiet();
    world.ada_writes("hello").await;
    for _ in 0..200 {
        assert_eq!(world.send("hi").await.0, 200);
    }
}
