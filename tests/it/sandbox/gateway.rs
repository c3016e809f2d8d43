//! WhatsApp Gateway's side: its calls, its refusals, its webhooks, and what the customer sees of it all.

use sha2::{Digest, Sha512};
use threedots::sandbox::phone::{Body, Source, Tick};
use threedots::sandbox::{Calls, Draft, Failure, Fault, Upstream};

use super::*;

const CHAT: &str = "12125550101@s.whatsapp.net";
const GROUP: &str = "120363000000000001@g.us";

fn settings() -> SandboxSettings {
    let statuses = StatusDelays { sent: None, delivered: None, read: None };
    SandboxSettings { account_id: "01J0".to_owned(), statuses, ..SandboxSettings::of(Upstream::Gateway) }
}

fn world() -> World {
    World::with(settings())
}

fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> UpstreamRequest {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    UpstreamRequest {
        method: method.to_owned(),
        path_and_query: format!("/graph/api/v1/sessions/01J0{path}"),
        headers: headers.collect(),
        body: if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) },
    }
}

const KEY: (&str, &str) = ("authorization", "Bearer sandbox-access-token");

async fn call(world: &World, method: &str, path: &str, body: &Value) -> (u16, Value) {
    answer(world.sandbox.handle(request(method, path, &[KEY], body)).await)
}

async fn presence(world: &World, state: &str) -> (u16, Value) {
    call(world, "PUT", &format!("/chats/{CHAT}/presence"), &json!({ "state": state })).await
}

async fn send(world: &World, body: &Value) -> (u16, Value) {
    let mut body = body.clone();
    if body["to"].is_null() {
        body["to"] = json!(CHAT);
    }
    call(world, "POST", "/messages", &body).await
}

fn text(words: &str) -> Value {
    json!({ "type": "text", "text": words })
}

fn refusal(code: &str, message: &str) -> Value {
    json!({ "error": { "code": code, "message": message } })
}

/// HMAC-SHA512 by its definition, so that the signature is not checked with the code that made it.
fn hmac_sha512(key: &[u8], message: &[u8]) -> String {
    let padded = |with: u8| {
        let mut block = [with; 128];
        block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
        block
    };
    let inner = Sha512::new().chain_update(padded(0x36)).chain_update(message).finalize();
    hex::encode(Sha512::new().chain_update(padded(0x5c)).chain_update(inner).finalize())
}

/// What happened, without the seconds and without the calls.
fn story(world: &World) -> Vec<String> {
    let lines = world.sandbox.phone().story().into_iter().map(|line| line.split_once(' ').unwrap().1.to_owned());
    lines.filter(|line| !line.starts_with("call") && !line.starts_with("webhook")).collect()
}

#[tokio::test(start_paused = true)]
async fn the_dots_come_on_change_and_go_off_as_the_calls_say() {
    let world = world();
    world.ada_writes("hello").await;
    for state in ["composing", "recording", "paused"] {
        assert_eq!(presence(&world, state).await, (204, Value::Null));
    }
    let dots = ["dots on, for #1", "recording on, for #1", "dots off: stopped"];
    assert_eq!(story(&world), [&["wrote #1", "read #1"], &dots[..]].concat());
    assert_eq!(presence(&world, "paused").await.0, 204, "there is nothing to take off, and nobody minds");
}

#[tokio::test(start_paused = true)]
async fn the_dots_lapse_after_ten_seconds_unless_a_call_comes_first() {
    let world = world();
    world.ada_writes("hello").await;
    presence(&world, "composing").await;
    seconds(8.0).await;
    presence(&world, "composing").await;
    seconds(9.9).await;
    assert!(world.sandbox.phone().dots_showing(&world.ada));
    seconds(0.2).await;
    assert!(!world.sandbox.phone().dots_showing(&world.ada));
    assert_eq!(story(&world).last().map(String::as_str), Some("dots off: lapsed"));
}

#[tokio::test(start_paused = true)]
async fn a_chat_may_be_written_with_an_escape_and_a_group_is_a_chat_too() {
    let world = world();
    let member = Customer { group: Some(GROUP.to_owned()), ..Customer::new("12125550102", "Bo") };
    world.sandbox.phone().add(member.clone());
    world.sandbox.write(&world.ada, "hello".into()).unwrap();
    world.sandbox.write(&member.id, "hello".into()).unwrap();
    let escaped = CHAT.replace('@', "%40");
    for chat in [escaped.as_str(), GROUP] {
        assert_eq!(
            call(&world, "PUT", &format!("/chats/{chat}/presence"), &json!({ "state": "composing" })).await.0,
            204
        );
    }
    assert!(world.sandbox.phone().dots_showing(&world.ada) && world.sandbox.phone().dots_showing(&member.id));
}

#[tokio::test(start_paused = true)]
async fn a_presence_that_makes_no_sense_is_refused_with_the_gateways_words() {
    let world = world();
    world.ada_writes("hello").await;
    let path = format!("/chats/{CHAT}/presence");
    let wrong = "state must be one of composing, paused, recording";
    assert_eq!(
        call(&world, "PUT", &path, &json!({ "state": "typing" })).await,
        (400, refusal("validation_error", wrong))
    );
    assert_eq!(call(&world, "PUT", &path, &json!({})).await.1["error"]["message"], "state is required");
    assert_eq!(call(&world, "PUT", &path, &Value::Null).await.0, 400);
    let unknown = call(&world, "PUT", &path, &json!({ "state": "paused", "for": 3 })).await;
    assert_eq!(unknown.1["error"]["details"], json!({ "errors": ["unexpected property (body.for)"] }));
    assert_eq!(call(&world, "PUT", "/chats/ada/presence", &json!({ "state": "paused" })).await.0, 400);
    assert!(!world.sandbox.phone().dots_showing(&world.ada));
    let nobody = "/chats/19995550000@s.whatsapp.net/presence";
    assert_eq!(call(&world, "PUT", nobody, &json!({ "state": "composing" })).await.0, 204);
    assert!(story(&world).last().unwrap().starts_with("note: "), "it went nowhere, and that is said");
}

#[tokio::test(start_paused = true)]
async fn every_call_needs_the_key_in_one_of_two_headers() {
    let world = world();
    world.ada_writes("hello").await;
    let path = format!("/chats/{CHAT}/presence");
    let with = async |headers: &[(&str, &str)]| {
        answer(world.sandbox.handle(request("PUT", &path, headers, &json!({ "state": "paused" }))).await)
    };
    assert_eq!(with(&[("x-api-key", "sandbox-access-token")]).await.0, 204);
    let missing = (401, refusal("unauthorized", "authentication required"));
    assert_eq!(with(&[]).await, missing);
    assert_eq!(with(&[("authorization", "Bearer another")]).await, missing);
    assert_eq!(with(&[("authorization", "sandbox-access-token")]).await, missing);
    assert_eq!(with(&[("x-api-key", "another")]).await, missing);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_not_found() {
    let world = world();
    world.ada_writes("hello").await;
    let mut elsewhere = request("POST", "/messages", &[KEY], &json!({ "type": "text", "to": CHAT, "text": "hi" }));
    elsewhere.path_and_query = elsewhere.path_and_query.replace("01J0", "01J9");
    let unknown = answer(world.sandbox.handle(elsewhere).await);
    assert_eq!(unknown, (404, refusal("not_found", "session not found")));
    assert_eq!(call(&world, "GET", "/messages", &Value::Null).await.0, 404);
    assert_eq!(call(&world, "PUT", "/presences", &json!({})).await.0, 404);
}

#[tokio::test(start_paused = true)]
async fn a_send_reaches_the_phone_and_takes_the_dots_off() {
    let world = world();
    let hers = world.ada_writes("hello").await;
    presence(&world, "composing").await;
    let (status, sent) = send(&world, &json!({ "type": "text", "text": "hi", "replyTo": hers.as_str() })).await;
    assert_eq!((status, &sent["mode"], &sent["status"]), (200, &json!("sync"), &json!("sent")));
    let replies = world.sandbox.phone().replies(&world.ada);
    assert_eq!(sent["waMessageId"], replies[0].id.as_str());
    assert!(replies[0].id.as_str().starts_with("3EB0") && hers.as_str().starts_with("3A"));
    assert_eq!(replies[0].quotes.as_ref(), Some(&hers));
    let told = ["dots on, for #1", "reply #2 (text, quotes #1)", "dots off: reply"];
    assert_eq!(story(&world)[2..], told);
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_send_stands_on_the_phone_as_it_was_meant() {
    let world = world();
    world.ada_writes("hello").await;
    let by_link = |caption: &str| json!({ "url": "https://bakery.example/x", "caption": caption });
    let held = json!({ "data": "T2dnUw", "mimetype": "audio/ogg; codecs=opus" });
    let sends = [
        json!({ "type": "image", "media": by_link("look") }),
        json!({ "type": "audio", "media": held }),
        json!({ "type": "sticker", "media": by_link("dropped") }),
        json!({ "type": "document", "media": { "data": "data:text/plain;base64,aGk=", "filename": "a.txt" } }),
        json!({ "type": "location", "latitude": 1.5, "longitude": -2.5, "name": "Here" }),
        json!({ "type": "contact", "contact": { "name": "Bo", "phone": "12125550102" } }),
    ];
    for body in &sends {
        assert_eq!(send(&world, body).await.0, 200, "{body}");
    }
    let replies = world.sandbox.phone().replies(&world.ada);
    let kinds: Vec<&str> = replies.iter().map(|reply| reply.body.kind()).collect();
    assert_eq!(kinds, ["image", "audio", "sticker", "document", "location", "contacts"]);
    let words: Vec<&str> = replies.iter().map(|reply| reply.body.words()).collect();
    assert_eq!(words, ["look", "", "", "", "Here", "Bo"], "a sticker has no room for words");
    assert!(matches!(&replies[0].body, Body::Media { source: Source::Link(link), .. } if link.ends_with("/x")));
    let Body::Media { source: Source::Stored(_), filename, .. } = &replies[3].body else { panic!() };
    assert_eq!(filename.as_deref(), Some("a.txt"));
}

#[tokio::test(start_paused = true)]
async fn a_send_that_breaks_a_rule_is_refused_and_nothing_arrives() {
    let world = world();
    world.ada_writes("hello").await;
    let url = "https://bakery.example/x";
    let wrong = [
        (json!({ "text": "hi" }), "send type is required"),
        (json!({ "type": "text", "to": "" , "text": "hi" }), "recipient 'to' is required"),
        (json!({ "type": "text" }), "text is required"),
        (json!({ "type": "text", "text": "" }), "text is required"),
        (json!({ "type": "text", "text": 7 }), "validation failed"),
        (json!({ "type": "text", "text": "hi", "quote": "3A" }), "validation failed"),
        (json!({ "type": "buttons", "text": "hi" }), "unknown send type \"buttons\""),
        (json!({ "type": "text", "text": "hi", "to": "ada" }), "invalid chat JID"),
        (json!({ "type": "image" }), "media is required"),
        (json!({ "type": "image", "media": {} }), "provide exactly one of media.data or media.url for type 'image'"),
        (
            json!({ "type": "image", "media": { "url": url, "data": "aGk=" } }),
            "provide exactly one of media.data or media.url for type 'image'",
        ),
        (json!({ "type": "image", "media": { "url": "ftp://x" } }), "media.url must be a valid http(s) URL"),
        (json!({ "type": "image", "media": { "data": "***" } }), "media.data must be valid base64"),
        (json!({ "type": "image", "media": { "url": url, "link": url } }), "validation failed"),
        (json!({ "type": "location", "latitude": 91 }), "latitude must be between -90 and 90"),
        (json!({ "type": "location", "longitude": -181 }), "longitude must be between -180 and 180"),
        (json!({ "type": "location", "address": "Here" }), "validation failed"),
    ];
    for (body, message) in wrong {
        let (status, refused) = send(&world, &body).await;
        assert_eq!((status, refused["error"]["code"].as_str()), (400, Some("validation_error")), "{body}");
        assert_eq!(refused["error"]["message"], message, "{body}");
    }
    assert_eq!(send(&world, &json!({ "type": "text", "text": "hi", "to": "19995550000@s.whatsapp.net" })).await.0, 400);
    assert!(world.sandbox.phone().replies(&world.ada).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_key_that_comes_again_gets_its_answer_again_and_sends_nothing() {
    let world = world();
    world.ada_writes("hello").await;
    let with = async |key: &str, words: &str| {
        let headers = [KEY, ("Idempotency-Key", key)];
        let body = json!({ "type": "text", "to": CHAT, "text": words });
        answer(world.sandbox.handle(request("POST", "/messages", &headers, &body)).await).1
    };
    let first = with("a", "one").await;
    assert_eq!(first["replayed"], Value::Null);
    let again = with("a", "one").await;
    assert_eq!((&again["waMessageId"], &again["replayed"]), (&first["waMessageId"], &json!(true)));
    assert_ne!(with("b", "two").await["waMessageId"], first["waMessageId"]);
    assert_eq!(world.sandbox.phone().replies(&world.ada).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_reaction_shows_if_it_names_the_message_and_its_author() {
    let world = world();
    let hers = world.ada_writes("hello").await;
    presence(&world, "composing").await;
    let path = format!("/messages/{}/reaction", hers.as_str());
    let body = json!({ "chat": CHAT, "sender": CHAT, "emoji": "👍" });
    assert_eq!(call(&world, "POST", &path, &body).await.0, 200);
    assert_eq!(world.sandbox.phone().message(&hers).unwrap().reaction.as_deref(), Some("👍"));
    assert!(world.sandbox.phone().dots_showing(&world.ada), "a reaction leaves the dots alone");
    assert_eq!(call(&world, "DELETE", &path, &json!({ "chat": CHAT, "sender": CHAT })).await.0, 200);
    assert_eq!(world.sandbox.phone().message(&hers).unwrap().reaction, None);
    for (path, body) in
        [(path.clone(), json!({ "chat": CHAT, "emoji": "👍" })), ("/messages/3A00/reaction".to_owned(), body)]
    {
        assert_eq!(call(&world, "POST", &path, &body).await.0, 200);
        assert!(story(&world).last().unwrap().starts_with("note: "), "taken, and no phone shows it");
    }
    assert_eq!(world.sandbox.phone().message(&hers).unwrap().reaction, None);
    assert_eq!(call(&world, "POST", &path, &json!({ "chat": CHAT, "sender": CHAT })).await.0, 400);
    assert_eq!(call(&world, "POST", &path, &json!({ "emoji": "👍" })).await.0, 400);
}

#[tokio::test(start_paused = true)]
async fn the_gateway_reads_by_itself_and_its_own_read_call_shows_nothing() {
    let world = world();
    let first = world.ada_writes("hello").await;
    assert_eq!(world.sandbox.phone().tick(&first), Some(Tick::Read));
    let world = World::with(SandboxSettings { auto_read: false, presence_typing: true, ..settings() });
    let first = world.ada_writes("hello").await;
    assert_eq!(call(&world, "POST", &format!("/chats/{CHAT}/read"), &Value::Null).await, (204, Value::Null));
    assert_eq!(world.sandbox.phone().tick(&first), Some(Tick::Sent));
    assert!(!world.sandbox.phone().dots_showing(&world.ada), "without a receipt there are no dots either");
}

#[tokio::test(start_paused = true)]
async fn the_gateway_can_light_the_dots_before_the_bot_hears_of_the_message() {
    let world = World::with(SandboxSettings { presence_typing: true, ..settings() });
    world.sandbox.write(&world.ada, "hello".into()).unwrap();
    assert_eq!(story(&world), ["wrote #1", "read #1", "dots on, for #1"]);
    assert!(world.letterbox.posts().is_empty());
    presence(&world, "paused").await;
    assert!(!world.sandbox.phone().dots_showing(&world.ada));
}

#[tokio::test(start_paused = true)]
async fn a_webhook_is_signed_as_the_gateway_signs() {
    let world = World::with(SandboxSettings { app_secret: "my-secret-key".to_owned(), ..settings() });
    let known = r#"{"event":"message","session":"default","engine":"WEBJS"}"#;
    world.sandbox.inject(known).await;
    let post = world.letterbox.posts().pop().unwrap();
    let digits = "208f8a55dde9e05519e898b10b89bf0d0b3b0fdf11fdbf09b6b90476301b98d8\
                  097c462b2b17a6ce93b6b47a136cf2e78a33a63f6752c2c1631777076153fa89";
    assert_eq!(post.header("x-webhook-hmac"), digits);
    assert_eq!(post.header("x-webhook-hmac-algorithm"), "sha512");
    world.ada_writes("a < b && c > d, äöü 😀").await;
    let post = world.letterbox.posts().pop().unwrap();
    let wire = std::str::from_utf8(&post.body).unwrap();
    assert!(wire.contains(r#""body":"a \u003c b \u0026\u0026 c \u003e d, äöü 😀""#), "{wire}");
    assert_eq!(post.header("x-webhook-hmac"), hmac_sha512(b"my-secret-key", &post.body));
    assert_eq!(post.header("x-webhook-request-id"), post.json()["id"]);
    assert_eq!(post.header("x-webhook-timestamp").len(), 13);
}

#[tokio::test(start_paused = true)]
async fn a_webhook_that_is_repeated_is_the_same_event_at_a_new_time() {
    let world = world();
    world.letterbox.answer_next([Some(503), Some(200)]);
    world.sandbox.write(&world.ada, "hello".into()).unwrap();
    seconds(5.0).await;
    let [first, second] = world.letterbox.posts().try_into().ok().unwrap();
    assert_eq!(first.body, second.body);
    assert_eq!(first.header("x-webhook-request-id"), second.header("x-webhook-request-id"));
    assert_ne!(first.header("x-webhook-timestamp"), second.header("x-webhook-timestamp"));
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_message_has_the_gateways_form() {
    let world = world();
    let hello = world.ada_writes("hello").await;
    let write = |draft| world.sandbox.write(&world.ada, draft).unwrap();
    write(Draft::image(Some("look")).quoting(&hello));
    write(Draft::voice());
    write(Draft::location(59.33, 18.07, Some("Home"), None));
    write(Draft::reaction(&hello, "👍"));
    write(Draft::raw("poll", json!({ "name": "Lunch?", "options": ["Bread", "Cake"], "selectableCount": 1 })));
    seconds(1.0).await;
    let mut events: Vec<Value> = world.letterbox.posts().iter().map(Post::json).collect();
    let first = &events[0];
    assert_eq!((&first["schema"], &first["session"]), (&json!("v1"), &json!("01J0")));
    assert!(first["id"].as_str().unwrap().starts_with("evt_") && first["id"].as_str().unwrap().len() == 30);
    let names: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(names[..4], ["message"; 4]);
    assert_eq!(names[4..], ["message.reaction", "message"]);
    for event in &mut events {
        let payload = event["payload"].as_object_mut().unwrap();
        assert_eq!(payload.remove("chatJid"), Some(json!(CHAT)));
        assert_eq!(payload.remove("senderJid"), Some(json!(CHAT)));
        assert_eq!(payload.remove("pushName"), Some(json!("Ada")));
        assert_eq!(payload.remove("fromMe"), Some(json!(false)));
        assert_eq!(payload.remove("media"), Some(Value::Null), "no medium is ever handed over");
        assert!(payload.remove("waMessageId").unwrap().is_string());
        assert_eq!(payload.remove("timestamp").unwrap().as_u64().unwrap() % 1000, 0);
    }
    let payloads: Vec<Value> = events.iter().map(|event| event["payload"].clone()).collect();
    let expected = [
        json!({ "type": "text", "body": "hello", "hasMedia": false }),
        json!({ "type": "image", "body": "look", "hasMedia": true, "quotedMessageId": hello.as_str(),
            "quotedSenderJid": CHAT, "quotedBody": "hello" }),
        json!({ "type": "audio", "hasMedia": true }),
        json!({ "type": "location", "hasMedia": false,
            "location": { "latitude": 59.33, "longitude": 18.07, "name": "Home" } }),
        json!({ "type": "reaction", "hasMedia": false, "targetId": hello.as_str(), "reaction": "👍" }),
        json!({ "type": "poll", "hasMedia": false,
            "poll": { "name": "Lunch?", "options": ["Bread", "Cake"], "selectableCount": 1 } }),
    ];
    assert_eq!(payloads, expected);
}

#[tokio::test(start_paused = true)]
async fn a_hidden_number_and_a_group_have_their_own_addresses() {
    let world = world();
    let hidden = Customer { hides_phone: true, ..Customer::new("12125550102", "Bo") };
    let member = Customer { group: Some(GROUP.to_owned()), ..Customer::new("12125550103", "Cy") };
    for customer in [&hidden, &member] {
        world.sandbox.phone().add(customer.clone());
        world.sandbox.write(&customer.id, "hello".into()).unwrap();
    }
    seconds(1.0).await;
    let payloads: Vec<Value> = world.letterbox.posts().iter().map(|post| post.json()["payload"].clone()).collect();
    let [of_hidden, of_member] = payloads.try_into().unwrap();
    assert_eq!(of_hidden["chatJid"], of_hidden["senderLid"]);
    assert!(of_hidden["chatJid"].as_str().unwrap().ends_with("@lid") && of_hidden["senderJid"].is_null());
    assert_eq!(of_member["chatJid"], GROUP);
    assert_eq!(of_member["senderJid"], "12125550103@s.whatsapp.net");
    assert!(of_member["senderLid"].as_str().unwrap().ends_with("@lid"));
    for (chat, customer) in [(&of_hidden["chatJid"], &hidden), (&of_member["chatJid"], &member)] {
        assert_eq!(send(&world, &json!({ "type": "text", "to": chat, "text": "hi" })).await.0, 200);
        assert_eq!(world.sandbox.phone().replies(&customer.id).len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn statuses_follow_in_the_gateways_form() {
    let world = World::with(SandboxSettings { statuses: StatusDelays::default(), ..settings() });
    world.ada_writes("hello").await;
    let (_, sent) = send(&world, &text("hi")).await;
    seconds(2.0).await;
    let statuses: Vec<Value> = world.letterbox.posts()[1..].iter().map(Post::json).collect();
    let told: Vec<&str> = statuses.iter().map(|event| event["payload"]["status"].as_str().unwrap()).collect();
    assert_eq!(told, ["sent", "delivered", "read"]);
    for event in &statuses {
        assert_eq!(event["event"], "message.status");
        assert_eq!(event["payload"]["messageIds"], json!([sent["waMessageId"]]));
        let from_a_phone = event["payload"]["status"] != "sent";
        assert_eq!(event["payload"]["senderJid"].is_string(), from_a_phone);
    }
    world.sandbox.faults().add(Fault::on(Calls::Send).once().fail(Failure::Undeliverable));
    assert_eq!(send(&world, &text("lost")).await.0, 200);
    seconds(2.0).await;
    assert_eq!(world.letterbox.posts().pop().unwrap().json()["payload"]["status"], "failed");
    assert_eq!(world.sandbox.phone().replies(&world.ada).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn each_failure_has_the_gateways_own_answer_and_no_effect() {
    let world = world();
    world.ada_writes("hello").await;
    let limited = |details: Value| {
        let mut body = refusal("rate_limited", "send rate limit exceeded");
        if !details.is_null() {
            body["error"]["details"] = details;
        }
        (429, body)
    };
    let failures = [
        (Failure::TooMany { retry_after: Some(7) }, limited(json!({ "retryAfterSeconds": 7 }))),
        (Failure::TooMany { retry_after: None }, limited(Value::Null)),
        (Failure::TooManyToOne, limited(Value::Null)),
        (Failure::Unknown, (500, refusal("internal", "internal server error"))),
        (Failure::Token, (401, refusal("unauthorized", "authentication required"))),
        (Failure::SessionDown, (501, refusal("not_implemented", "session has no connected client"))),
        (Failure::Refused, (400, refusal("validation_error", "refused to order"))),
        (Failure::Broken, (502, Value::Null)),
    ];
    for (failure, expected) in failures {
        world.sandbox.faults().add(Fault::on(Calls::Any).times(2).fail(failure));
        assert_eq!(presence(&world, "composing").await, expected);
        assert_eq!(send(&world, &text("hi")).await, expected);
    }
    assert!(!world.sandbox.phone().dots_showing(&world.ada));
    assert!(world.sandbox.phone().replies(&world.ada).is_empty());
    assert_eq!(send(&world, &text("hi")).await.0, 200, "all faults are used up");
}
