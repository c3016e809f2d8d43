//! Read receipts and the dots.

use super::*;

#[tokio::test(start_paused = true)]
async fn typing_marks_as_read_and_shows_the_dots_until_they_lapse() {
    let world = quiet();
    let message = world.ada_writes("hello").await;
    let done = typing(&world, &typing_for(&message)).await;
    assert_eq!(done, (200, json!({ "code": 0, "message": "success", "data": { "success": true } })));
    seconds(24.0).await;
    assert_eq!(codes(&typing(&world, &typing_for(&message)).await), (0, None), "it says so, and nothing shows");
    seconds(2.0).await;
    assert_eq!(codes(&typing(&world, &typing_for(&message)).await), (0, None));
    mt(&world, &words("hi")).await;
    let story = world.sandbox.phone().story();
    let what = |line: &String| line.split_once(' ').unwrap().1.to_owned();
    assert_eq!(
        story.iter().map(what).collect::<Vec<_>>(),
        [
            "wrote #1",
            "webhook message #1: 200",
            "call 1: read and typing",
            "read #1",
            "dots on, for #1",
            "call 1: ok",
            "call 2: read and typing",
            "read #1",
            "typing ignored, for #1",
            "call 2: ok",
            "dots off: lapsed",
            "call 3: read and typing",
            "read #1",
            "dots on, for #1",
            "call 3: ok",
            "call 4: send",
            "reply #2 (text)",
            "dots off: reply",
            "call 4: ok",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_receipt_alone_shows_no_dots_and_is_answered_with_nothing() {
    let world = quiet();
    let message = world.ada_writes("hello").await;
    let body = json!({
        "business_phone": OURS, "messaging_product": "whatsapp", "message_id": message.as_str(), "status": "read",
    });
    let done = call(&world, "/api/wa/markMessageAsRead", "read", &body).await;
    assert_eq!(done, (200, json!({ "code": 0, "message": "success", "data": null })));
    assert_eq!(world.sandbox.phone().tick(&message), Some(threedots::sandbox::phone::Tick::Read));
    assert!(!world.sandbox.phone().dots_showing(&world.ada));
}

#[tokio::test(start_paused = true)]
async fn what_meta_refuses_comes_with_success_around_it_and_a_point_in_its_code() {
    let world = quiet();
    world.ada_writes("hello").await;
    mt(&world, &words("hi")).await;
    let own = world.sandbox.phone().replies(&world.ada).pop().unwrap().id;
    for (message, word) in [(MessageId::new("wamid.unknown"), "no such message"), (own, "outgoing")] {
        let body = typing_for(&message).to_string();
        let request = signed("/api/wa/typingIndicator", "read", world.now(), body.as_bytes());
        let UpstreamAnswer::Whole { status, body, .. } = world.sandbox.handle(request).await else { panic!() };
        let text = std::str::from_utf8(&body).unwrap();
        assert!(status == 200 && text.contains(r#""code":100.0"#) && text.contains(r#""code":0"#), "{text}");
        assert!(text.contains(word), "{text}");
    }
    assert!(!world.sandbox.phone().dots_showing(&world.ada));
}

#[tokio::test(start_paused = true)]
async fn every_field_of_the_typing_call_is_required_and_fixed() {
    let world = quiet();
    let message = world.ada_writes("hello").await;
    let changes: [(&str, Value, i64); 13] = [
        ("appkey", Value::Null, 9000),
        ("appkey", json!("another"), 9003),
        ("messaging_product", Value::Null, 9000),
        ("messaging_product", json!("sms"), 9000),
        ("business_phone", Value::Null, 9000),
        ("business_phone", json!("+12125550199"), 9002),
        ("business_phone", json!("12125550142"), 10_003),
        ("status", Value::Null, 9000),
        ("status", json!("typing"), 9000),
        ("message_id", Value::Null, 9000),
        ("message_id", json!(7), 9000),
        ("typing_indicator", Value::Null, 9000),
        ("typing_indicator", json!({ "type": "audio" }), 9000),
    ];
    for (field, value, expected) in changes {
        let mut body = typing_for(&message);
        body[field] = value;
        assert_eq!(codes(&typing(&world, &body).await), (expected, None), "{field}");
    }
    for body in [&b""[..], b"[]", b"{"] {
        let request = signed("/api/wa/typingIndicator", "read", world.now(), body);
        assert_eq!(codes(&answer(world.sandbox.handle(request).await)), (9000, None));
    }
    assert!(!world.sandbox.phone().dots_showing(&world.ada));
}
