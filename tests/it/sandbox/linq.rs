//! Linq's side of the wire: calls answered and refused, webhooks and their signatures, and what the phone shows.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use threedots::sandbox::phone::{Body, Message, Source, Tick};
use threedots::sandbox::{Calls, Draft, Failure, Fault, Upstream};

use super::*;

const API: &str = "http://127.0.0.1:4000/linq/graph";

fn settings() -> SandboxSettings {
    let statuses = StatusDelays { sent: None, delivered: None, read: None };
    SandboxSettings { statuses, api_url: API.into(), ..SandboxSettings::of(Upstream::Linq) }
}

fn world() -> World {
    World::with(settings())
}

fn request(method: &str, path: &str, body: Option<&Value>) -> UpstreamRequest {
    let json = ("content-type".to_owned(), "application/json".to_owned());
    let host = ("host".to_owned(), "127.0.0.1:4000".to_owned());
    UpstreamRequest {
        method: method.to_owned(),
        path_and_query: format!("/linq/graph{path}"),
        headers: [bearer(), host].into_iter().chain(body.map(|_| json)).collect(),
        body: body.map(|body| Bytes::from(body.to_string())).unwrap_or_default(),
    }
}

async fn ask(world: &World, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
    answer(world.sandbox.handle(request(method, path, body)).await)
}

/// Ada writes; returns her message and the chat that its webhook names.
async fn chat(world: &World) -> (MessageId, String) {
    let message = world.ada_writes("hello").await;
    let event = world.letterbox.posts().pop().unwrap().json();
    (message, event["data"]["chat"]["id"].as_str().unwrap().to_owned())
}

fn says(parts: &Value) -> Value {
    json!({ "message": { "parts": parts } })
}

fn words(words: &str) -> Value {
    says(&json!([{ "type": "text", "value": words }]))
}

async fn send(world: &World, chat: &str, body: &Value) -> (u16, Value) {
    ask(world, "POST", &format!("/v3/chats/{chat}/messages"), Some(body)).await
}

async fn typing(world: &World, method: &str, chat: &str) -> u16 {
    ask(world, method, &format!("/v3/chats/{chat}/typing"), None).await.0
}

fn replies(world: &World) -> Vec<Message> {
    world.sandbox.phone().replies(&world.ada)
}

fn is_uuid(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    text.split('-').map(str::len).eq([8, 4, 4, 4, 12]) && text.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
}

fn tag(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

#[tokio::test(start_paused = true)]
async fn a_message_of_a_customers_has_linqs_form() {
    let world = world();
    let (message, chat) = chat(&world).await;
    let event = world.letterbox.posts()[0].json();
    assert_eq!((&event["api_version"], &event["webhook_version"]), (&json!("v3"), &json!("2026-02-03")));
    assert_eq!(event["event_type"], "message.received");
    assert!(is_uuid(&event["event_id"]) && is_uuid(&json!(chat)) && is_uuid(&json!(message.as_str())), "{event}");
    let data = &event["data"];
    assert_eq!((&data["id"], &data["direction"]), (&json!(message.as_str()), &json!("inbound")));
    assert_eq!(data["parts"], json!([{ "type": "text", "value": "hello" }]));
    assert_eq!(data["chat"]["is_group"], false);
    assert_eq!(data["chat"]["owner_handle"]["handle"], "+12125550199");
    assert_eq!(
        (&data["sender_handle"]["handle"], &data["sender_handle"]["is_me"]),
        (&json!("+12125550101"), &json!(false))
    );
    assert!(data["sent_at"].as_str().unwrap().ends_with('Z'));
    assert!(data["delivered_at"].is_null() && data["idempotency_key"].is_null());
}

#[tokio::test(start_paused = true)]
async fn the_older_form_comes_where_the_address_asks_for_it() {
    let url = "http://127.0.0.1:8080/webhook?version=2025-01-01";
    let world = World::with(SandboxSettings {
        webhook_url: url.into(),
        statuses: StatusDelays { read: None, sent: None, ..StatusDelays::default() },
        ..settings()
    });
    let message = world.ada_writes("hello").await;
    let event = world.letterbox.posts()[0].json();
    assert_eq!(event["webhook_version"], "2025-01-01");
    let data = &event["data"];
    assert_eq!((&data["from"], &data["recipient_phone"]), (&json!("+12125550101"), &json!("+12125550199")));
    assert_eq!((&data["message"]["id"], &data["is_from_me"]), (&json!(message.as_str()), &json!(false)));
    send(&world, data["chat_id"].as_str().unwrap(), &words("hi")).await;
    seconds(2.0).await;
    let status = world.letterbox.posts().pop().unwrap().json();
    assert_eq!((&status["event_type"], &status["data"]["is_from_me"]), (&json!("message.delivered"), &json!(true)));
    assert!(status["data"]["message"]["delivered_at"].is_string());
}

#[tokio::test(start_paused = true)]
async fn webhooks_carry_both_signatures_over_the_time_of_sending() {
    let world = world();
    world.letterbox.answer_next([Some(500)]);
    world.sandbox.write(&world.ada, "hello".into()).unwrap();
    seconds(10.0).await;
    let posts = world.letterbox.posts();
    assert_eq!(posts.len(), 2);
    for post in &posts {
        let (id, timestamp) = (post.header("webhook-id"), post.header("webhook-timestamp"));
        let standard = tag(b"sandbox-app-secret", &[id.as_bytes(), b".", timestamp.as_bytes(), b".", &post.body]);
        assert_eq!(post.header("webhook-signature"), format!("v1,{}", STANDARD.encode(standard)));
        let written = format!("whsec_{}", STANDARD.encode("sandbox-app-secret"));
        let older = tag(written.as_bytes(), &[timestamp.as_bytes(), b".", &post.body]);
        assert_eq!(post.header("x-webhook-signature"), hex::encode(older));
        assert_eq!(post.header("x-webhook-timestamp"), timestamp);
        assert_eq!(post.header("x-webhook-event"), "message.received");
        assert_eq!(json!(id), post.json()["event_id"]);
    }
    assert_eq!(posts[0].body, posts[1].body, "the same event");
    let time = |post: &Post| post.header("webhook-timestamp").parse::<u64>().unwrap();
    assert_eq!(time(&posts[1]) - time(&posts[0]), 1, "signed anew");
}

#[tokio::test(start_paused = true)]
async fn a_send_is_taken_with_202_and_comes_to_the_phone() {
    let world = world();
    let (message, chat) = chat(&world).await;
    let mut body = words("hi");
    body["message"]["idempotency_key"] = json!("key-1");
    body["message"]["reply_to"] = json!({ "message_id": message.as_str(), "part_index": 0 });
    let (status, taken) = send(&world, &chat, &body).await;
    let reply = replies(&world).pop().unwrap();
    assert_eq!((status, &taken["chat_id"], &taken["message"]["id"]), (202, &json!(chat), &json!(reply.id.as_str())));
    assert_eq!(taken["message"]["delivery_status"], "pending");
    assert_eq!((reply.body.words(), reply.quotes), ("hi", Some(message)));
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_under_a_key_is_sent_once() {
    let world = world();
    let (_, chat) = chat(&world).await;
    let mut body = words("hi");
    body["message"]["idempotency_key"] = json!("key-1");
    let first = send(&world, &chat, &body).await;
    let second = send(&world, &chat, &body).await;
    assert_eq!(first, second);
    assert_eq!(replies(&world).len(), 1);
    body["message"]["idempotency_key"] = json!("key-2");
    send(&world, &chat, &body).await;
    send(&world, &chat, &words("hi")).await;
    assert_eq!(replies(&world).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_key_whose_send_was_refused_is_still_good() {
    let world = world();
    let (_, chat) = chat(&world).await;
    let mut body = words("");
    body["message"]["idempotency_key"] = json!("key-1");
    assert_eq!(code(&send(&world, &chat, &body).await), (400, 1004));
    body["message"]["parts"][0]["value"] = json!("hi");
    assert_eq!(send(&world, &chat, &body).await.0, 202);
}

#[tokio::test(start_paused = true)]
async fn the_news_of_a_message_come_in_order_and_carry_its_key() {
    let world = World::with(SandboxSettings { statuses: StatusDelays::default(), ..settings() });
    let (_, chat) = chat(&world).await;
    let mut body = words("hi");
    body["message"]["idempotency_key"] = json!("key-1");
    send(&world, &chat, &body).await;
    seconds(5.0).await;
    let events: Vec<Value> = world.letterbox.posts()[1..].iter().map(Post::json).collect();
    let kinds: Vec<&str> = events.iter().map(|event| event["event_type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["message.sent", "message.delivered", "message.read"]);
    for event in &events {
        let data = &event["data"];
        assert_eq!((&data["direction"], &data["idempotency_key"]), (&json!("outbound"), &json!("key-1")));
        assert_eq!(data["sender_handle"]["is_me"], true);
        assert_eq!(data["parts"][0]["value"], "hi");
    }
    let set = |event: &Value| ["sent_at", "delivered_at", "read_at"].map(|key| event["data"][key].is_string());
    assert_eq!(events.iter().map(set).collect::<Vec<_>>(), [[true, false, false], [true, true, false], [true; 3]]);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_does_not_arrive_is_reported_without_its_key() {
    let world = World::with(SandboxSettings { statuses: StatusDelays::default(), ..settings() });
    let (_, chat) = chat(&world).await;
    world.sandbox.faults().add(Fault::on(Calls::Send).fail(Failure::Undeliverable));
    let (status, taken) = send(&world, &chat, &words("hi")).await;
    seconds(5.0).await;
    let event = world.letterbox.posts().pop().unwrap().json();
    assert_eq!((status, &event["event_type"]), (202, &json!("message.failed")));
    assert_eq!((&event["data"]["message_id"], &event["data"]["code"]), (&taken["message"]["id"], &json!(4001)));
    assert!(replies(&world).is_empty());
}

#[tokio::test(start_paused = true)]
async fn read_marks_the_whole_chat() {
    let world = world();
    let (first, chat) = chat(&world).await;
    let second = world.ada_writes("and this?").await;
    let (status, body) = ask(&world, "POST", &format!("/v3/chats/{chat}/read"), None).await;
    assert_eq!((status, body), (204, Value::Null));
    for message in [first, second] {
        assert_eq!(world.sandbox.phone().tick(&message), Some(Tick::Read));
    }
}

#[tokio::test(start_paused = true)]
async fn the_dots_last_a_minute_and_can_be_lit_again_and_taken_off() {
    let world = world();
    let (_, chat) = chat(&world).await;
    let showing = || world.sandbox.phone().dots_showing(&world.ada);
    assert_eq!(typing(&world, "POST", &chat).await, 204);
    seconds(59.9).await;
    assert!(showing());
    seconds(0.2).await;
    assert!(!showing(), "lapsed");
    typing(&world, "POST", &chat).await;
    seconds(45.0).await;
    typing(&world, "POST", &chat).await;
    seconds(45.0).await;
    assert!(showing(), "lit again in time");
    assert_eq!(typing(&world, "DELETE", &chat).await, 204);
    assert!(!showing());
    assert_eq!(typing(&world, "DELETE", &chat).await, 204, "nothing there to take off");
    typing(&world, "POST", &chat).await;
    send(&world, &chat, &words("hi")).await;
    assert!(!showing(), "a message takes them off");
    let story: Vec<String> =
        world.sandbox.phone().seen(&world.ada).iter().map(|seen| seen.what.tell(|_| String::new())).collect();
    let dots: Vec<&str> = story.iter().map(String::as_str).filter(|what| what.starts_with("dots")).collect();
    assert_eq!(
        dots,
        [
            "dots on, for ",
            "dots off: lapsed",
            "dots on, for ",
            "dots on, for ",
            "dots off: stopped",
            "dots on, for ",
            "dots off: reply",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn after_five_minutes_of_silence_a_typing_call_shows_nothing() {
    let world = world();
    let (_, chat) = chat(&world).await;
    seconds(300.0).await;
    assert_eq!(typing(&world, "POST", &chat).await, 204);
    assert!(world.sandbox.phone().dots_showing(&world.ada), "five minutes are inside");
    seconds(100.0).await;
    assert_eq!(typing(&world, "POST", &chat).await, 204);
    assert!(!world.sandbox.phone().dots_showing(&world.ada));
    assert!(world.sandbox.phone().timeline().iter().any(|moment| matches!(moment.what, What::Noted { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_group_takes_messages_and_no_typing() {
    let world = world();
    let bob = Customer { group: Some("bakers".into()), ..Customer::new("12125550102", "Bob") };
    world.sandbox.phone().add(bob.clone());
    world.sandbox.write(&bob.id, "hello all".into()).unwrap();
    seconds(1.0).await;
    let data = world.letterbox.posts().pop().unwrap().json()["data"].clone();
    assert_eq!(data["chat"]["is_group"], true);
    let chat = data["chat"]["id"].as_str().unwrap();
    for method in ["POST", "DELETE"] {
        let refused = ask(&world, method, &format!("/v3/chats/{chat}/typing"), None).await;
        assert_eq!(code(&refused), (403, 2005), "{method}");
    }
    assert_eq!(send(&world, chat, &words("hi all")).await.0, 202);
    assert_eq!(ask(&world, "POST", &format!("/v3/chats/{chat}/read"), None).await.0, 204);
}

#[tokio::test(start_paused = true)]
async fn an_error_has_linqs_form() {
    let world = world();
    let missing = "00000000-0000-4000-8000-000000000000";
    let (status, body) = ask(&world, "POST", &format!("/v3/chats/{missing}/read"), None).await;
    assert_eq!((status, &body["success"]), (404, &json!(false)));
    let error = json!({
        "status": 404,
        "code": 2001,
        "message": "Resource not found",
        "doc_url": "https://docs.linqapp.com/error/codes/2xxx/2001/",
    });
    assert_eq!(body["error"], error);
    assert!(body["trace_id"].is_string());
}

#[tokio::test(start_paused = true)]
async fn calls_that_linq_refuses() {
    let world = world();
    let (_, chat) = chat(&world).await;
    let messages = format!("/v3/chats/{chat}/messages");
    let body = words("hi");
    let good = || request("POST", &messages, Some(&body));
    let keyless = UpstreamRequest { headers: vec![], ..good() };
    let other_key = UpstreamRequest { headers: vec![("authorization".into(), "Bearer other".into())], ..good() };
    let untyped = UpstreamRequest { headers: vec![bearer()], ..good() };
    let broken = UpstreamRequest { body: Bytes::from_static(b"{"), ..good() };
    let calls = [
        ("no key", keyless, (401, 2004)),
        ("another key", other_key, (401, 2004)),
        ("no content type", untyped, (400, 1003)),
        ("no JSON", broken, (400, 1003)),
        (
            "no such chat",
            request("POST", "/v3/chats/00000000-0000-4000-8000-000000000000/messages", Some(&body)),
            (404, 2001),
        ),
        ("no chat's name", request("POST", "/v3/chats/1/typing", None), (400, 1005)),
        ("no such path", request("GET", "/v3/nothing", None), (404, 2001)),
        ("no such method", request("PUT", &messages, Some(&body)), (404, 2001)),
    ];
    for (name, request, expected) in calls {
        assert_eq!(code(&answer(world.sandbox.handle(request).await)), expected, "{name}");
    }
    assert!(replies(&world).is_empty());
}

#[tokio::test(start_paused = true)]
async fn messages_that_break_linqs_rules_are_refused() {
    let world = world();
    let (_, chat) = chat(&world).await;
    let (text, link) =
        (json!({ "type": "text", "value": "a" }), json!({ "type": "link", "value": "https://example.com" }));
    let media = |more: Value| {
        let mut part = json!({ "type": "media" });
        part.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!([part])
    };
    let with = |key: &str, value: Value| {
        let mut body = words("a");
        body["message"][key] = value;
        body
    };
    let unknown = "00000000-0000-4000-8000-000000000000";
    let broken = [
        ("no message", json!({}), (400, 1001)),
        ("no parts", json!({ "message": {} }), (400, 1001)),
        ("empty parts", says(&json!([])), (400, 1004)),
        ("101 parts", says(&json!(vec![link.clone(); 101])), (400, 1004)),
        ("two texts in a row", says(&json!([text, text])), (400, 1004)),
        ("a link beside a text", says(&json!([text, link])), (400, 1004)),
        ("an unknown part", says(&json!([{ "type": "tea" }])), (400, 1004)),
        ("a text without words", says(&json!([{ "type": "text" }])), (400, 1001)),
        ("an empty text", words(""), (400, 1004)),
        ("a text that is too long", words(&"ä".repeat(10_001)), (400, 1004)),
        ("a medium without a place", says(&media(json!({}))), (400, 1001)),
        ("a medium over http", says(&media(json!({ "url": "http://example.com/a.png" }))), (400, 1005)),
        (
            "a medium in two places",
            says(&media(json!({ "url": "https://example.com/a.png", "attachment_id": unknown }))),
            (400, 1004),
        ),
        ("a medium that nobody put there", says(&media(json!({ "attachment_id": unknown }))), (404, 2003)),
        ("a quote of nothing", with("reply_to", json!({ "message_id": unknown })), (404, 2002)),
        (
            "a part that is no number",
            with("reply_to", json!({ "message_id": unknown, "part_index": "1" })),
            (400, 1005),
        ),
        ("a service that is none", with("preferred_service", json!("WhatsApp")), (400, 1005)),
        ("a key that is no text", with("idempotency_key", json!(7)), (400, 1005)),
    ];
    for (name, body, expected) in broken {
        assert_eq!(code(&send(&world, &chat, &body).await), expected, "{name}");
    }
    assert!(replies(&world).is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_linq_takes_comes_to_the_phone_as_it_is() {
    let world = world();
    let (_, chat) = chat(&world).await;
    let link = |file: &str| json!({ "type": "media", "url": format!("https://example.com/{file}") });
    let bodies = [
        (says(&json!([{ "type": "link", "value": "https://example.com" }])), "text", "https://example.com"),
        (says(&json!([link("a.png?x=1"), { "type": "text", "value": "Look" }])), "image", "Look"),
        (says(&json!([link("a.mp4")])), "video", ""),
        (says(&json!([link("a.m4a")])), "audio", ""),
        (says(&json!([link("a.pdf")])), "document", ""),
        (says(&json!([{ "type": "media", "url": "https://example.com/a.png", "sticker": true }])), "sticker", ""),
        (words(&"ä".repeat(10_000)), "text", &*"ä".repeat(10_000)),
    ];
    for (body, kind, words) in bodies {
        let taken = send(&world, &chat, &body).await;
        let reply = replies(&world).pop().unwrap();
        assert_eq!((taken.0, reply.body.kind(), reply.body.words()), (202, kind, words), "{taken:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn several_media_are_several_bubbles() {
    let world = world();
    let (_, chat) = chat(&world).await;
    let link = |file: &str| json!({ "type": "media", "url": format!("https://example.com/{file}") });
    let body = says(&json!([{ "type": "text", "value": "Both" }, link("a.png"), link("b.png")]));
    assert_eq!(send(&world, &chat, &body).await.0, 202);
    let shown: Vec<_> = replies(&world).into_iter().map(|reply| reply.body.words().to_owned()).collect();
    assert_eq!(shown, ["Both", ""]);
}

#[tokio::test(start_paused = true)]
async fn whoever_opted_out_gets_nothing_until_they_write_again() {
    let world = world();
    let (_, chat) = chat(&world).await;
    for stop in ["STOP", " QUIT ", "opt out", "Opt-Out", "optout"] {
        world.ada_writes(stop).await;
        assert_eq!(code(&send(&world, &chat, &words("hi")).await), (403, 2024), "{stop}");
    }
    let mut body = words("one last thing");
    body["override_optout"] = json!(true);
    assert_eq!(send(&world, &chat, &body).await.0, 202);
    for go in ["stop", "please STOP", "hello"] {
        world.ada_writes("STOP").await;
        world.ada_writes(go).await;
        assert_eq!(send(&world, &chat, &words("hi")).await.0, 202, "{go}");
    }
}

#[tokio::test(start_paused = true)]
async fn thirty_messages_a_minute_are_enough() {
    let world = World::with(SandboxSettings { limits: true, ..settings() });
    let (_, chat) = chat(&world).await;
    for _ in 0..30 {
        assert_eq!(send(&world, &chat, &words("hi")).await.0, 202);
    }
    seconds(10.0).await;
    let refused =
        world.sandbox.handle(request("POST", &format!("/v3/chats/{chat}/messages"), Some(&words("hi")))).await;
    let UpstreamAnswer::Whole { headers, .. } = &refused else { panic!("no answer") };
    assert!(headers.contains(&("retry-after".to_owned(), "50".to_owned())), "{headers:?}");
    let refused = answer(refused);
    assert_eq!((code(&refused), &refused.1["error"]["retry_after"]), ((429, 1007), &json!(50)));
    seconds(50.0).await;
    assert_eq!(send(&world, &chat, &words("hi")).await.0, 202);
}

#[tokio::test(start_paused = true)]
async fn a_voice_memo_is_a_call_of_its_own() {
    let world = world();
    let (_, chat) = chat(&world).await;
    let path = format!("/v3/chats/{chat}/voicememo");
    let memo = json!({ "voice_memo_url": "https://example.com/a.m4a" });
    let (status, taken) = ask(&world, "POST", &path, Some(&memo)).await;
    let reply = replies(&world).pop().unwrap();
    assert_eq!((status, &taken["voice_memo"]["id"]), (202, &json!(reply.id.as_str())));
    assert_eq!(reply.body.kind(), "voice");
    for (body, expected) in [
        (json!({}), (400, 1001)),
        (json!({ "voice_memo_url": "https://example.com/a.png" }), (400, 1004)),
        (json!({ "voice_memo_url": "http://example.com/a.m4a" }), (400, 1005)),
    ] {
        assert_eq!(code(&ask(&world, "POST", &path, Some(&body)).await), expected, "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn reactions_are_put_on_shown_and_taken_off() {
    let world = world();
    let (message, _) = chat(&world).await;
    let path = format!("/v3/messages/{}/reactions", message.as_str());
    let shown = || world.sandbox.phone().message(&message).unwrap().reaction;
    let react = |body: Value| {
        let (world, path) = (&world, &path);
        async move { ask(world, "POST", path, Some(&body)).await }
    };
    let (status, taken) = react(json!({ "operation": "add", "type": "custom", "custom_emoji": "🥐" })).await;
    assert_eq!((status, &taken["status"], shown().as_deref()), (202, &json!("accepted"), Some("🥐")));
    react(json!({ "operation": "add", "type": "love", "part_index": 0 })).await;
    assert_eq!(shown().as_deref(), Some("❤️"));
    let (status, looked) = ask(&world, "GET", &format!("/v3/messages/{}", message.as_str()), None).await;
    let reaction = &looked["parts"][0]["reactions"][0];
    assert_eq!((status, &reaction["type"], &reaction["is_me"]), (200, &json!("love"), &json!(true)));
    react(json!({ "operation": "remove", "type": "like" })).await;
    assert!(shown().is_some(), "another one than is there");
    react(json!({ "operation": "remove", "type": "love" })).await;
    assert!(shown().is_none());
    for (body, expected) in [
        (json!({ "operation": "add" }), (400, 1001)),
        (json!({ "operation": "add", "type": "custom" }), (400, 1001)),
        (json!({ "operation": "add", "type": "heart" }), (400, 1005)),
        (json!({ "operation": "toggle", "type": "love" }), (400, 1005)),
    ] {
        assert_eq!(code(&react(body.clone()).await), expected, "{body}");
    }
    let nowhere = "/v3/messages/00000000-0000-4000-8000-000000000000/reactions";
    let refused = ask(&world, "POST", nowhere, Some(&json!({ "operation": "add", "type": "love" }))).await;
    assert_eq!(code(&refused), (404, 2002));
}

#[tokio::test(start_paused = true)]
async fn what_a_customer_sends_goes_out_in_parts() {
    let world = world();
    let (message, _) = chat(&world).await;
    let sent = |draft: Draft| {
        let world = &world;
        async move {
            world.sandbox.write(&world.ada, draft).unwrap();
            seconds(1.0).await;
            world.letterbox.posts().pop().unwrap().json()
        }
    };
    let picture = sent(Draft::image(Some("Look"))).await;
    let part = &picture["data"]["parts"][0];
    assert_eq!((&part["type"], &part["mime_type"]), (&json!("media"), &json!("image/png")));
    assert_eq!(picture["data"]["parts"][1], json!({ "type": "text", "value": "Look" }));
    let path = part["url"].as_str().unwrap().strip_prefix("http://127.0.0.1:4000").unwrap();
    let fetch =
        || UpstreamRequest { method: "GET".into(), path_and_query: path.into(), headers: vec![], body: Bytes::new() };
    let UpstreamAnswer::Whole { status, body, .. } = world.sandbox.handle(fetch()).await else { panic!("no answer") };
    assert_eq!((status, json!(body.len())), (200, part["size_bytes"].clone()), "without a key");
    let id = part["id"].as_str().unwrap();
    assert!(is_uuid(&part["id"]));
    let (status, described) = ask(&world, "GET", &format!("/v3/attachments/{id}"), None).await;
    assert_eq!(
        (status, &described["size_bytes"], &described["status"]),
        (200, &part["size_bytes"], &json!("complete"))
    );
    seconds(3600.0).await;
    let UpstreamAnswer::Whole { status, body, .. } = world.sandbox.handle(fetch()).await else { panic!("no answer") };
    assert_eq!(status, 403, "an hour is over");
    assert!(body.starts_with(b"<?xml"));

    let place = sent(Draft::location(59.5, 18.25, Some("Old Town"), None)).await;
    assert_eq!(place["data"]["parts"][0]["value"], "Old Town\nhttps://maps.apple.com/?ll=59.5,18.25");
    let quoting = sent(Draft::text("that").quoting(&message)).await;
    assert_eq!(quoting["data"]["reply_to"]["message_id"], message.as_str());
    let raw = sent(Draft::raw("hologram", json!({ "value": 3 }))).await;
    assert_eq!(raw["data"]["parts"], json!([{ "type": "hologram", "value": 3 }]));
    let reaction = sent(Draft::reaction(&message, "👍")).await;
    assert_eq!(
        (&reaction["event_type"], &reaction["data"]["reaction_type"]),
        (&json!("reaction.added"), &json!("like"))
    );
    let custom = sent(Draft::reaction(&message, "🥐")).await;
    assert_eq!((&custom["data"]["reaction_type"], &custom["data"]["custom_emoji"]), (&json!("custom"), &json!("🥐")));
    assert_eq!(sent(Draft::reaction(&message, "")).await["event_type"], "reaction.removed");
}

#[tokio::test(start_paused = true)]
async fn an_attachment_is_announced_put_and_sent() {
    let world = world();
    let (_, chat) = chat(&world).await;
    let file = json!({ "filename": "file.png", "content_type": "image/png", "size_bytes": 7 });
    let (status, place) = ask(&world, "POST", "/v3/attachments", Some(&file)).await;
    assert_eq!((status, &place["http_method"]), (200, &json!("PUT")));
    assert_eq!(place["required_headers"], json!({ "Content-Type": "image/png" }));
    let id = place["attachment_id"].as_str().unwrap();
    let path = place["upload_url"].as_str().unwrap().strip_prefix("http://127.0.0.1:4000").unwrap();
    let put = |mime: &str, body: &'static [u8], key: bool| UpstreamRequest {
        method: "PUT".into(),
        path_and_query: path.into(),
        headers: [("content-type".to_owned(), mime.to_owned())].into_iter().chain(key.then(bearer)).collect(),
        body: Bytes::from_static(body),
    };
    let sending = says(&json!([{ "type": "media", "attachment_id": id }]));
    assert_eq!(code(&send(&world, &chat, &sending).await), (404, 2003), "nothing has been put there yet");
    for (name, request, expected) in [
        ("another type", put("image/jpeg", b"picture", false), 403),
        ("with the key", put("image/png", b"picture", true), 403),
        ("cut short", put("image/png", b"pic", false), 400),
        ("as announced", put("image/png", b"picture", false), 200),
    ] {
        assert_eq!(answer(world.sandbox.handle(request).await).0, expected, "{name}");
    }
    assert_eq!(send(&world, &chat, &sending).await.0, 202);
    let Body::Media { kind, source: Source::Stored(_), .. } = replies(&world).pop().unwrap().body else {
        panic!("a medium in the store")
    };
    assert_eq!(kind, "image");
    seconds(900.0).await;
    assert_eq!(answer(world.sandbox.handle(put("image/png", b"picture", false)).await).0, 403, "15 minutes are over");
    for (key, value) in
        [("filename", json!("")), ("content_type", json!("audio/ogg")), ("size_bytes", json!(100_000_001))]
    {
        let mut wrong = file.clone();
        wrong[key] = value;
        assert_eq!(ask(&world, "POST", "/v3/attachments", Some(&wrong)).await.0, 400, "{key}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_failure_has_linqs_words_and_no_effect() {
    let world = world();
    let (_, chat) = chat(&world).await;
    let failures = [
        (Failure::TooMany { retry_after: Some(7) }, (429, 1007)),
        (Failure::TooManyToOne, (429, 1007)),
        (Failure::Unknown, (500, 3006)),
        (Failure::Token, (401, 2004)),
        (Failure::Refused, (400, 1004)),
        (Failure::SessionDown, (403, 2027)),
        (Failure::Broken, (502, 0)),
    ];
    for (failure, expected) in failures {
        world.sandbox.faults().add(Fault::on(Calls::Any).times(2).fail(failure));
        assert_eq!(code(&send(&world, &chat, &words("hi")).await), expected);
        assert_eq!(typing(&world, "POST", &chat).await, expected.0);
    }
    assert!(replies(&world).is_empty() && !world.sandbox.phone().dots_showing(&world.ada));
    assert_eq!(send(&world, &chat, &words("hi")).await.0, 202, "all faults are used up");
}

#[tokio::test(start_paused = true)]
async fn a_person_without_a_number_has_an_address() {
    let world = world();
    let eve = Customer { hides_phone: true, ..Customer::new("12125550103", "Eve") };
    world.sandbox.phone().add(eve.clone());
    world.sandbox.write(&eve.id, "hello".into()).unwrap();
    seconds(1.0).await;
    let event = world.letterbox.posts().pop().unwrap();
    assert!(event.json()["data"]["sender_handle"]["handle"].as_str().unwrap().ends_with("@example.com"));
    assert!(!String::from_utf8_lossy(&event.body).contains("12125550103"), "the number stays with the upstream");
}
