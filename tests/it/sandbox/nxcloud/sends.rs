//! Sends: NXCloud's own fields, and what is passed on to Meta.

use threedots::sandbox::phone::Body;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_message_has_the_name_that_the_bot_gave_it_or_else_metas() {
    let world = quiet();
    let message = world.ada_writes("hello").await;
    let mut body = words("hi");
    body["cus_message_id"] = json!("key-1");
    body["context"] = json!({ "message_id": message.as_str() });
    let sent = mt(&world, &body).await;
    let data = |id: &str| json!({ "messaging_product": "whatsapp", "messages": [{ "id": id }] });
    assert_eq!(sent, (200, json!({ "code": 0, "message": "success", "data": data("key-1") })));
    let reply = world.sandbox.phone().replies(&world.ada).pop().unwrap();
    assert!(reply.id.as_str().starts_with("wamid.") && reply.quotes == Some(message));
    assert!(matches!(reply.body, Body::Text(ref words) if words == "hi"));
    let sent = mt(&world, &words("again")).await;
    let reply = world.sandbox.phone().replies(&world.ada).pop().unwrap();
    assert_eq!(sent.1["data"], data(reply.id.as_str()));
}

#[tokio::test(start_paused = true)]
async fn the_same_name_twice_is_two_messages() {
    let world = quiet();
    world.ada_writes("hello").await;
    let mut body = words("hi");
    body["cus_message_id"] = json!("key-1");
    for _ in 0..2 {
        assert_eq!(mt(&world, &body).await.1["data"]["messages"][0]["id"], "key-1");
    }
    assert_eq!(world.sandbox.phone().replies(&world.ada).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_nxcloud_itself_looks_at() {
    let world = quiet();
    world.ada_writes("hello").await;
    let changes: [(&str, Value, i64); 15] = [
        ("appkey", Value::Null, 9000),
        ("appkey", json!("another"), 9003),
        ("messaging_product", json!("sms"), 9000),
        ("business_phone", json!("12125550142"), 9006),
        ("business_phone", json!("sales"), 9002),
        ("recipient_type", Value::Null, 9000),
        ("recipient_type", json!("group"), 9000),
        ("to", Value::Null, 9000),
        ("to", json!("+12125550101"), 9000),
        ("to", json!(""), 9000),
        ("type", Value::Null, 9000),
        ("type", json!("contacts"), 9000),
        ("type", json!("image"), 9000),
        ("cus_message_id", json!(7), 9000),
        ("biz_opaque_callback_data", json!({}), 9000),
    ];
    for (field, value, expected) in changes {
        let mut body = words("hi");
        body[field] = value;
        assert_eq!(codes(&mt(&world, &body).await), (expected, None), "{field}");
    }
    let template = |language: Value| {
        let mut body = words("");
        body["type"] = json!("template");
        body["template"] = json!({ "name": "order_ready", "language": language });
        body
    };
    let without = template(json!({ "code": "en_US" }));
    assert_eq!(codes(&mt(&world, &without).await), (9000, None), "Meta would take it");
    let with = template(json!({ "code": "en_US", "policy": "deterministic" }));
    assert_eq!(codes(&mt(&world, &with).await), (0, None));
    assert_eq!(world.sandbox.phone().replies(&world.ada).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_meta_refuses_is_passed_on() {
    let world = quiet();
    assert_eq!(codes(&mt(&world, &words("hi")).await), (9099, Some(131_047.0)), "nobody wrote yet");
    world.ada_writes("hello").await;
    assert_eq!(codes(&mt(&world, &words(&"x".repeat(4097))).await), (9099, Some(131_009.0)));
    let to = |to: &str| {
        let mut body = words("hi");
        body["to"] = json!(to);
        body
    };
    assert_eq!(codes(&mt(&world, &to("12125550142")).await), (9099, Some(131_026.0)));
    assert_eq!(codes(&mt(&world, &to(OURS)).await), (9099, Some(131_021.0)));
    let refused = mt(&world, &to(OURS)).await.1;
    assert_eq!(refused["message"], "WhatsApp error");
    assert_eq!(refused["data"]["error"]["type"], "OAuthException");
    seconds(24.0 * 3600.0 + 1.0).await;
    assert_eq!(codes(&mt(&world, &words("hi")).await), (9099, Some(131_047.0)));
}

#[tokio::test(start_paused = true)]
async fn a_customer_without_a_number_is_reached_by_identifier() {
    let world = quiet();
    let mut hidden = Customer::new("12125550103", "Lin");
    hidden.hides_phone = true;
    let user_id = hidden.user_id.clone();
    world.sandbox.phone().add(hidden);
    world.sandbox.write(&"12125550103".into(), "hello".into()).unwrap();
    let mut body = words("hi");
    body.as_object_mut().unwrap().remove("to");
    body["recipient"] = json!(user_id);
    assert_eq!(codes(&mt(&world, &body).await), (0, None));
    assert_eq!(world.sandbox.phone().replies(&"12125550103".into()).len(), 1);
}
