//! WAHA's side: its calls, its errors, its signature.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha512;
use threedots::sandbox::phone::{Body, Source, Tick};
use threedots::sandbox::{Calls, Draft, Failure, Fault, Upstream};

use super::wawp::{CHAT, events, notes, quiet, request, story, whole};
use super::*;

const KEY: (&str, &str) = ("X-Api-Key", "sandbox-access-token");
const SESSION: &str = "102290129340398";

/// The fields of a call to Ada's chat.
fn with(fields: Value) -> Value {
    let mut all = json!({ "session": SESSION, "chatId": CHAT });
    all.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    all
}

async fn call(world: &World, method: &str, path: &str, body: &Value) -> (u16, Value) {
    answer(world.sandbox.handle(request(method, &format!("/api/{path}"), &[KEY], body.to_string())).await)
}

#[tokio::test(start_paused = true)]
async fn a_text_is_answered_with_the_message() {
    let world = quiet(Upstream::Waha);
    let message = world.ada_writes("hello").await;
    let fields = with(json!({ "text": "hi", "reply_to": message.as_str() }));
    let (status, body) = call(&world, "POST", "sendText", &fields).await;
    let reply = world.sandbox.phone().replies(&world.ada).pop().unwrap();
    assert_eq!((status, &body["id"]), (201, &json!(reply.id.as_str())));
    assert_eq!((&body["body"], &body["fromMe"], &body["source"]), (&json!("hi"), &json!(true), &json!("api")));
    assert_eq!(reply.quotes, Some(message));
}

#[tokio::test(start_paused = true)]
async fn a_message_may_bring_its_own_name_and_shows_once() {
    let world = quiet(Upstream::Waha);
    let fields = with(json!({ "text": "hi", "id": "3EB0AABB" }));
    for _ in 0..2 {
        assert_eq!(call(&world, "POST", "sendText", &fields).await.1["id"], format!("true_{CHAT}_3EB0AABB"));
    }
    assert_eq!(world.sandbox.phone().replies(&world.ada).len(), 1);
    assert_eq!(notes(&world).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn calls_that_are_not_as_they_should_be_are_refused() {
    let world = quiet(Upstream::Waha);
    for headers in [vec![], vec![("X-Api-Key", "another")], vec![("Authorization", "Bearer sandbox-access-token")]] {
        let body = with(json!({ "text": "hi" })).to_string();
        let refused = answer(world.sandbox.handle(request("POST", "/api/sendText", &headers, body)).await);
        assert_eq!(refused, (401, json!({ "message": "Unauthorized", "statusCode": 401 })));
    }
    let unknown = call(&world, "POST", "sendText", &with(json!({ "text": "hi", "session": "other" }))).await;
    assert_eq!(unknown.0, 404);
    assert!(unknown.1["message"].as_str().unwrap().contains("session"), "{unknown:?}");
    let nowhere = call(&world, "POST", "sendTea", &with(json!({}))).await;
    assert_eq!((nowhere.0, &nowhere.1["message"]), (404, &json!("Cannot POST /api/sendTea")));
    let file = json!({ "mimetype": "audio/mpeg", "url": "https://bakery.example/song.mp3" });
    let rows = [
        ("sendText", json!({ "text": 7 }), "text should not be empty"),
        ("sendText", json!({ "text": "hi", "chatId": "12125550102@c.us" }), "number does not exist"),
        ("sendText", json!({ "text": "hi", "chatId": "12125550101@s.whatsapp.net" }), "chatId has to end with @c.us"),
        ("sendText", json!({ "text": "hi", "session": null }), "session should not be empty"),
        ("sendImage", json!({}), "mimetype should not be empty"),
        ("sendImage", json!({ "file": { "mimetype": "image/png" } }), "file.url should not be empty"),
        (
            "sendImage",
            json!({ "file": { "mimetype": "image/png", "data": "AA==" } }),
            "file.filename should not be empty",
        ),
        ("sendVoice", json!({ "file": file }), "convert should not be empty"),
        ("sendVoice", json!({ "file": file, "convert": false }), "a voice note has to be Ogg Opus, or to be converted"),
        ("sendVideo", json!({ "file": file, "convert": true }), "file.filename should not be empty"),
        ("sendLocation", json!({ "latitude": 1.0, "longitude": 2.0 }), "title should not be empty"),
    ];
    for (what, fields, words) in rows {
        let body = json!({ "statusCode": 400, "message": [words], "error": "Bad Request" });
        assert_eq!(call(&world, "POST", what, &with(fields)).await, (400, body), "{what}");
    }
    assert!(world.sandbox.phone().replies(&world.ada).is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_dots_type_record_stop_and_lapse_after_ten_seconds() {
    let world = quiet(Upstream::Waha);
    world.ada_writes("hello").await;
    let done = (201, json!({ "result": true }));
    assert_eq!(call(&world, "POST", "startTyping", &with(json!({}))).await, done);
    let presence = format!("{SESSION}/presence");
    let recording = json!({ "chatId": CHAT, "presence": "recording" });
    assert_eq!(call(&world, "POST", &presence, &recording).await, done);
    assert!(world.sandbox.phone().recording_showing(&world.ada));
    seconds(1.0).await;
    assert_eq!(call(&world, "POST", "stopTyping", &with(json!({}))).await, done);
    call(&world, "POST", &presence, &json!({ "chatId": CHAT, "presence": "typing" })).await;
    seconds(11.0).await;
    let expected = [
        "0.000 dots on, for #1",
        "0.000 recording on, for #1",
        "1.000 dots off: stopped",
        "1.000 dots on, for #1",
        "11.000 dots off: lapsed",
    ];
    assert_eq!(story(&world), expected);
    let elsewhere = call(&world, "POST", "other/presence", &recording).await;
    assert_eq!(elsewhere.0, 404);
}

#[tokio::test(start_paused = true)]
async fn receipts_media_places_and_reactions_reach_the_phone() {
    let world = quiet(Upstream::Waha);
    let id = world.ada_writes("hello").await;
    let phone = world.sandbox.phone();
    call(&world, "POST", "sendSeen", &with(json!({ "messageIds": [id.as_str()] }))).await;
    assert_eq!(phone.tick(&id), Some(Tick::Read));
    let file = json!({ "mimetype": "image/png", "filename": "a.png", "data": STANDARD.encode("a picture") });
    assert_eq!(call(&world, "POST", "sendImage", &with(json!({ "file": file, "caption": "Look" }))).await.0, 201);
    let Body::Media { source: Source::Stored(_), caption, .. } = phone.replies(&world.ada).pop().unwrap().body else {
        panic!("it is kept")
    };
    assert_eq!(caption.as_deref(), Some("Look"));
    let place = with(json!({ "latitude": 37.5, "longitude": -122.25, "title": "The bakery" }));
    call(&world, "POST", "sendLocation", &place).await;
    assert_eq!(phone.replies(&world.ada).pop().unwrap().body.words(), "The bakery");
    let reaction = json!({ "session": SESSION, "messageId": id.as_str(), "reaction": "👍" });
    assert_eq!(call(&world, "PUT", "reaction", &reaction).await.0, 200);
    assert_eq!(phone.message(&id).unwrap().reaction.as_deref(), Some("👍"));
}

#[tokio::test(start_paused = true)]
async fn a_webhook_is_signed_with_sha512_and_says_so() {
    let world = quiet(Upstream::Waha);
    world.ada_writes("Grüße").await;
    let [post] = world.letterbox.posts().try_into().ok().unwrap();
    let mut mac = Hmac::<Sha512>::new_from_slice(b"sandbox-app-secret").unwrap();
    mac.update(&post.body);
    assert_eq!(post.header("x-webhook-hmac"), hex::encode(mac.finalize().into_bytes()));
    assert_eq!(post.header("x-webhook-hmac-algorithm"), "sha512");
    assert!(!post.header("x-webhook-request-id").is_empty());
    assert!(post.header("x-webhook-timestamp").parse::<u64>().unwrap() > 1_000_000_000_000);
    assert_eq!((&post.json()["session"], &post.json()["engine"]), (&json!(SESSION), &json!("GOWS")));
}

#[tokio::test(start_paused = true)]
async fn a_medium_of_the_customers_wants_the_key() {
    let world = quiet(Upstream::Waha);
    world.sandbox.write(&world.ada, Draft::voice()).unwrap();
    seconds(1.0).await;
    let url = events(&world)[0]["payload"]["media"]["url"].as_str().unwrap().to_owned();
    let path = url.strip_prefix("http://127.0.0.1:3333/graph").unwrap();
    assert_eq!(whole(world.sandbox.handle(request("GET", path, &[], "")).await).0, 401);
    let (status, kind, body) = whole(world.sandbox.handle(request("GET", path, &[KEY], "")).await);
    assert_eq!((status, &*kind), (200, "audio/ogg; codecs=opus"));
    assert!(body.starts_with(b"OggS"));
}

#[tokio::test(start_paused = true)]
async fn trouble_is_told_in_wahas_words() {
    let world = quiet(Upstream::Waha);
    let rows = [
        (Failure::TooMany { retry_after: Some(7) }, 429, "text/plain", "Too Many Requests"),
        (Failure::TooManyToOne, 429, "text/plain", "Too Many Requests"),
        (Failure::Broken, 502, "text/html", "<h1>"),
        (Failure::Unknown, 500, "application/json", "exception"),
        (Failure::Token, 401, "application/json", "Unauthorized"),
        (Failure::Refused, 400, "application/json", "Bad Request"),
        (Failure::SessionDown, 422, "application/json", "\"status\":\"FAILED\""),
    ];
    for (failure, expected, kind, words) in rows {
        world.sandbox.faults().add(Fault::on(Calls::Any).fail(failure).once());
        let body = with(json!({ "text": "hi" })).to_string();
        let (status, told, body) = whole(world.sandbox.handle(request("POST", "/api/sendText", &[KEY], body)).await);
        let body = String::from_utf8_lossy(&body).into_owned();
        assert_eq!(status, expected, "{failure:?}");
        assert!(told.starts_with(kind) && body.contains(words), "{failure:?}: {told} {body}");
    }
}

#[tokio::test(start_paused = true)]
async fn members_of_a_group_tell_each_for_themselves_how_far_a_message_has_come() {
    let world = World::with(SandboxSettings::of(Upstream::Waha));
    let group = "120363000000000017@g.us";
    world.sandbox.phone().add(Customer { group: Some(group.to_owned()), ..Customer::new(ADA, "Ada") });
    call(&world, "POST", "sendText", &with(json!({ "chatId": group, "text": "hi" }))).await;
    seconds(3.0).await;
    let told: Vec<_> =
        events(&world).iter().map(|event| (event["event"].clone(), event["payload"]["participant"].clone())).collect();
    let (own, member) = (json!("message.ack"), json!("message.ack.group"));
    assert_eq!(told, [(own, Value::Null), (member.clone(), json!(CHAT)), (member, json!(CHAT))]);
}
