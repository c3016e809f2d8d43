//! Calls to the upstream: their answers and their refusals.

use threedots::message::MessageId;
use threedots::sandbox::phone::{Body, What};
use threedots::sandbox::{Customer, CustomerId, SandboxSettings};

use super::*;

#[tokio::test(start_paused = true)]
async fn a_send_is_answered_with_the_contact_and_the_message_id() {
    let world = World::quiet();
    let message = world.ada_writes("hello").await;
    let mut body = text("hi");
    body["context"] = json!({ "message_id": message.as_str() });
    body["biz_opaque_callback_data"] = json!("key-1");
    let (status, answer) = world.call(&body).await;
    let reply = world.sandbox.phone().replies(&world.ada).pop().unwrap();
    assert_eq!(status, 200);
    assert_eq!(
        answer,
        json!({
            "messaging_product": "whatsapp",
            "contacts": [{ "input": format!("+{ADA}"), "wa_id": ADA }],
            "messages": [{ "id": reply.id.as_str() }],
        })
    );
    assert!(reply.id.as_str().starts_with("wamid."));
    assert_eq!(reply.quotes, Some(message.clone()));
    let timeline = world.sandbox.phone().timeline();
    let (kind, text) = ("text".to_owned(), "hi".to_owned());
    let what = What::Reply { message: reply.id, key: Some("key-1".to_owned()), kind, text, quotes: Some(message) };
    assert!(timeline.iter().any(|moment| moment.what == what));
}

#[tokio::test(start_paused = true)]
async fn an_error_has_metas_form() {
    let world = World::quiet();
    let (status, body) = world.read(&MessageId::new("wamid.unknown")).await;
    assert_eq!(status, 400);
    let error = &body["error"];
    assert_eq!((&error["type"], &error["code"]), (&json!("OAuthException"), &json!(131_009)));
    assert!(error["message"].as_str().unwrap().starts_with("(#131009) "));
    assert_eq!(error["error_data"]["messaging_product"], "whatsapp");
    assert!(error["error_data"]["details"].is_string() && error["fbtrace_id"].is_string());
}

#[tokio::test(start_paused = true)]
async fn read_calls_that_meta_refuses() {
    let world = World::quiet();
    let message = world.ada_writes("hello").await;
    world.send("hi").await;
    let own = world.sandbox.phone().replies(&world.ada).pop().unwrap().id;
    assert_eq!(code(&world.type_for(&MessageId::new("wamid.unknown")).await), (400, 131_009));
    assert_eq!(code(&world.type_for(&own).await), (400, 100), "a message of the bot's own");
    let mut invented = typing(&message);
    invented["typing_indicator"]["type"] = json!("typing_on");
    assert_eq!(code(&world.call(&invented).await), (400, 100));
    let off = json!({ "messaging_product": "whatsapp", "status": "typing_off", "message_id": message.as_str() });
    assert_eq!(code(&world.call(&off).await), (400, 100));
    let missing = json!({ "messaging_product": "whatsapp", "status": "read" });
    assert_eq!(code(&world.call(&missing).await), (400, 131_008));
    assert!(!world.sandbox.phone().dots_showing(&world.ada));
    seconds(31.0 * 24.0 * 3600.0).await;
    assert_eq!(code(&world.read(&message).await), (400, 131_009), "older than 30 days");
}

#[tokio::test(start_paused = true)]
async fn a_call_needs_the_token_and_the_number_and_a_path_that_exists() {
    let world = World::quiet();
    world.ada_writes("hello").await;
    let calls = [
        ("no token", UpstreamRequest { headers: vec![], ..post("messages", &text("hi")) }, (401, 190)),
        (
            "another token",
            UpstreamRequest {
                headers: vec![("Authorization".to_owned(), "Bearer x".to_owned())],
                ..post("messages", &text("hi"))
            },
            (401, 190),
        ),
        (
            "another number",
            UpstreamRequest { path_and_query: "/v25.0/1/messages".to_owned(), ..post("messages", &text("hi")) },
            (400, 100),
        ),
        ("no such path", post("nothing", &text("hi")), (400, 100)),
        ("no JSON", UpstreamRequest { body: Bytes::from_static(b"{"), ..post("messages", &text("hi")) }, (400, 100)),
    ];
    for (name, request, expected) in calls {
        let answer = answer(world.sandbox.handle(request).await);
        assert_eq!(code(&answer), expected, "{name}");
        if name == "another number" {
            assert_eq!(answer.1["error"]["error_subcode"], 33);
        }
    }
    assert!(world.sandbox.phone().replies(&world.ada).is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_version_in_the_path_may_be_missing() {
    let world = World::quiet();
    world.ada_writes("hello").await;
    for path in
        [format!("/graph/{NUMBER}/messages"), format!("/v19.0/{NUMBER}/messages"), format!("/{NUMBER}/messages")]
    {
        let request = UpstreamRequest { path_and_query: path, ..post("messages", &text("hi")) };
        assert_eq!(answer(world.sandbox.handle(request).await).0, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn a_recipient_without_a_plus_is_taken_and_noted() {
    let world = World::quiet();
    world.ada_writes("hello").await;
    let mut body = text("hi");
    body["to"] = json!("1 (212) 555-0101");
    assert_eq!(world.call(&body).await.0, 200);
    assert!(world.sandbox.phone().timeline().iter().any(|moment| matches!(moment.what, What::Noted { .. })));
}

#[tokio::test(start_paused = true)]
async fn recipients_that_meta_refuses() {
    let world = World::quiet();
    world.ada_writes("hello").await;
    for (to, expected) in [("+12125550142", 131_026), ("+12125550199", 131_021), ("US.1349", 131_009), ("", 131_008)] {
        let mut body = text("hi");
        body["to"] = json!(to);
        assert_eq!(code(&world.call(&body).await), (400, expected), "{to}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_free_form_message_needs_an_open_window_and_a_template_does_not() {
    let world = World::quiet();
    assert_eq!(code(&world.send("hi").await), (400, 131_047), "nobody wrote yet");
    world.ada_writes("hello").await;
    seconds(24.0 * 3600.0).await;
    assert_eq!(world.send("hi").await.0, 200, "24 hours are inside");
    seconds(0.001).await;
    assert_eq!(code(&world.send("hi").await), (400, 131_047));
    let template = json!({ "name": "hello_world", "language": { "code": "en_US" } });
    let (status, answer) = world.call(&to_ada("template", template)).await;
    assert_eq!((status, &answer["messages"][0]["message_status"]), (200, &json!("accepted")));
    world.ada_writes("again").await;
    assert_eq!(world.send("hi").await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn every_type_of_message_is_taken() {
    let world = World::quiet();
    world.ada_writes("hello").await;
    let row = |id: &str| json!({ "id": id, "title": format!("Row {id}"), "description": "small print" });
    let sections = json!([{ "title": "One", "rows": [row("1"), row("2")] }, { "title": "Two", "rows": [row("3")] }]);
    let framed = |kind: &str, action: Value| json!({ "type": kind, "body": { "text": "Choose" }, "action": action });
    let cards = json!([{ "name": { "formatted_name": "Grace" }, "phones": [{ "phone": "+12125550102" }] }]);
    let sends = [
        ("text", json!({ "body": "x".repeat(4096) }), "text"),
        ("image", json!({ "link": "https://example.com/a.png", "caption": "a" }), "image"),
        ("document", json!({ "link": "https://example.com/a.pdf", "filename": "a.pdf" }), "document"),
        ("audio", json!({ "link": "https://example.com/a.ogg", "voice": true }), "voice"),
        ("sticker", json!({ "link": "https://example.com/a.webp" }), "sticker"),
        ("location", json!({ "latitude": 1.5, "longitude": "2.5", "name": "Here" }), "location"),
        ("contacts", cards, "contacts"),
        ("interactive", framed("list", json!({ "button": "Open", "sections": sections })), "list"),
        (
            "interactive",
            framed(
                "cta_url",
                json!({ "name": "cta_url", "parameters": { "display_text": "Go", "url": "https://example.com" } }),
            ),
            "link",
        ),
        (
            "interactive",
            framed("location_request_message", json!({ "name": "send_location" })),
            "location_request_message",
        ),
    ];
    for (kind, object, shown) in sends {
        let answer = world.call(&to_ada(kind, object)).await;
        assert_eq!(answer.0, 200, "{shown}: {answer:?}");
        assert_eq!(world.sandbox.phone().replies(&world.ada).pop().unwrap().body.kind(), shown);
    }
}

#[tokio::test(start_paused = true)]
async fn messages_that_break_metas_limits_are_refused() {
    let world = World::quiet();
    world.ada_writes("hello").await;
    let button = |id: &str, title: &str| json!({ "type": "reply", "reply": { "id": id, "title": title } });
    let buttons =
        |buttons: Value| json!({ "type": "button", "body": { "text": "?" }, "action": { "buttons": buttons } });
    let rows =
        |count: usize| (0..count).map(|row| json!({ "id": row.to_string(), "title": "Row" })).collect::<Vec<_>>();
    let list = |sections: Value| json!({ "type": "list", "body": { "text": "?" }, "action": { "button": "Open", "sections": sections } });
    let broken = [
        ("no text", to_ada("text", json!({})), 131_008),
        ("empty text", to_ada("text", json!({ "body": "" })), 131_009),
        ("text too long", to_ada("text", json!({ "body": "ä".repeat(4097) })), 131_009),
        ("text of the wrong type", to_ada("text", json!({ "body": 1 })), 100),
        ("no medium", to_ada("image", json!({})), 131_008),
        ("unknown medium", to_ada("image", json!({ "id": "1" })), 131_009),
        ("caption on a sound", to_ada("audio", json!({ "link": "https://example.com/a", "caption": "a" })), 100),
        ("no buttons", to_ada("interactive", buttons(json!([]))), 131_009),
        (
            "four buttons",
            to_ada(
                "interactive",
                buttons(json!([button("1", "a"), button("2", "b"), button("3", "c"), button("4", "d")])),
            ),
            131_009,
        ),
        ("long title", to_ada("interactive", buttons(json!([button("1", &"x".repeat(21))]))), 131_009),
        ("equal titles", to_ada("interactive", buttons(json!([button("1", "a"), button("2", "a")]))), 131_009),
        (
            "eleven rows",
            to_ada(
                "interactive",
                list(
                    json!([{ "title": "a", "rows": rows(10) }, { "title": "b", "rows": [{ "id": "x", "title": "y" }] }]),
                ),
            ),
            131_009,
        ),
        (
            "equal rows",
            to_ada(
                "interactive",
                list(json!([{ "rows": [{ "id": "x", "title": "y" }, { "id": "x", "title": "z" }] }])),
            ),
            131_009,
        ),
        ("unknown type", to_ada("poll", json!({})), 131_051),
        ("no object", json!({ "messaging_product": "whatsapp", "to": format!("+{ADA}"), "type": "text" }), 131_008),
        ("no product", json!({ "to": format!("+{ADA}"), "type": "text", "text": { "body": "hi" } }), 100),
    ];
    for (name, body, expected) in broken {
        assert_eq!(code(&world.call(&body).await), (400, expected), "{name}");
    }
    assert!(world.sandbox.phone().replies(&world.ada).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_reaction_to_what_is_no_message_of_the_customers_fails_later() {
    let world = World::with(SandboxSettings::default());
    let message = world.ada_writes("hello").await;
    world.call(&to_ada("reaction", json!({ "message_id": message.as_str(), "emoji": "👍" }))).await;
    let answer = world.call(&to_ada("reaction", json!({ "message_id": "wamid.unknown", "emoji": "👍" }))).await;
    assert_eq!(answer.0, 200);
    seconds(5.0).await;
    let statuses = world.letterbox.statuses();
    let names: Vec<&str> = statuses.iter().map(|status| status["status"].as_str().unwrap()).collect();
    assert_eq!(names, ["sent", "failed"], "and a reaction is never reported as read");
    assert_eq!(statuses[1]["errors"][0]["code"], 131_009);
}

#[tokio::test(start_paused = true)]
async fn a_quote_of_what_is_not_in_the_chat_shows_as_no_quote() {
    let world = World::quiet();
    world.ada_writes("hello").await;
    let mut body = text("hi");
    body["context"] = json!({ "message_id": "wamid.unknown" });
    assert_eq!(world.call(&body).await.0, 200);
    assert_eq!(world.sandbox.phone().replies(&world.ada).pop().unwrap().quotes, None);
}

#[tokio::test(start_paused = true)]
async fn a_group_takes_text_and_no_buttons() {
    let world = World::with(SandboxSettings::default());
    let member = CustomerId::new("12125550104");
    let group = Some("group-1".to_owned());
    world.sandbox.phone().add(Customer { group, ..Customer::new(member.as_str(), "Mary") });
    world.sandbox.write(&member, "hello all".into()).unwrap();
    seconds(0.1).await;
    let message = world.letterbox.messages().pop().unwrap();
    assert_eq!((&message["group_id"], &message["from"]), (&json!("group-1"), &json!("12125550104")));
    let mut body = text("hi all");
    (body["recipient_type"], body["to"]) = (json!("group"), json!("group-1"));
    let (status, answer) = world.call(&body).await;
    assert_eq!((status, &answer["messages"][0]["group_id"]), (200, &json!("group-1")));
    assert!(matches!(world.sandbox.phone().replies(&member)[0].body, Body::Text(_)));
    body["type"] = json!("interactive");
    body["interactive"] =
        json!({ "type": "location_request_message", "body": { "text": "?" }, "action": { "name": "send_location" } });
    assert_eq!(code(&world.call(&body).await), (400, 130_501));
    seconds(1.0).await;
    let status = world.letterbox.statuses().pop().unwrap();
    assert_eq!((&status["recipient_type"], &status["recipient_id"]), (&json!("group"), &json!("group-1")));
}
