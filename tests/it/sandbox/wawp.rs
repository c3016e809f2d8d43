//! Wawp's side: its calls, its errors in all their forms, its events.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use threedots::sandbox::phone::{Body, Source, Tick};
use threedots::sandbox::{Calls, Draft, Failure, Fault, Upstream};

use super::*;

pub(super) const CHAT: &str = "12125550101@c.us";
const GROUP: &str = "120363000000000017@g.us";
const TOKEN: &str = "sandbox-access-token";
const INSTANCE: &str = "102290129340398";

/// A sandbox of this upstream's with one customer, Ada, and no statuses.
pub(super) fn quiet(upstream: Upstream) -> World {
    let statuses = StatusDelays { sent: None, delivered: None, read: None };
    World::with(SandboxSettings { statuses, ..SandboxSettings::of(upstream) })
}

pub(super) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> UpstreamRequest {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let path_and_query = format!("/wawp/graph{path}");
    UpstreamRequest { method: method.to_owned(), path_and_query, headers, body: body.into() }
}

/// The status, the type and the body of an answer.
pub(super) fn whole(answer: UpstreamAnswer) -> (u16, String, Bytes) {
    let UpstreamAnswer::Whole { status, headers, body } = answer else { panic!("no answer") };
    let kind = headers.iter().find(|(name, _)| name == "content-type");
    (status, kind.map(|(_, kind)| kind.clone()).unwrap_or_default(), body)
}

/// The fields of a call to Ada's chat, with credentials.
fn with(fields: Value) -> Value {
    let mut all = json!({ "instance_id": INSTANCE, "access_token": TOKEN, "chatId": CHAT });
    all.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    all
}

async fn post(world: &World, what: &str, body: &Value) -> (u16, Value) {
    let path = format!("/v2/send/{what}");
    answer(world.sandbox.handle(request("POST", &path, &[], body.to_string())).await)
}

/// The events that were posted.
pub(super) fn events(world: &World) -> Vec<Value> {
    world.letterbox.posts().iter().map(Post::json).collect()
}

pub(super) fn notes(world: &World) -> Vec<&'static str> {
    let noted = |what: &What| if let What::Noted { note } = what { Some(*note) } else { None };
    world.sandbox.phone().timeline().iter().filter_map(|moment| noted(&moment.what)).collect()
}

pub(super) fn story(world: &World) -> Vec<String> {
    world
        .sandbox
        .phone()
        .story()
        .into_iter()
        .filter(|line| line.contains("dots") || line.contains("recording on"))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_text_is_answered_with_the_message_as_the_web_client_has_it() {
    let world = quiet(Upstream::Wawp);
    let message = world.ada_writes("hello").await;
    let (status, body) = post(&world, "text", &with(json!({ "message": "hi", "reply_to": message.as_str() }))).await;
    let reply = world.sandbox.phone().replies(&world.ada).pop().unwrap();
    assert_eq!((status, &reply.body), (200, &Body::Text("hi".into())));
    assert_eq!(reply.quotes, Some(message));
    assert_eq!(body["id"]["_serialized"], reply.id.as_str());
    assert!(reply.id.as_str().starts_with("true_12125550101@c.us_3EB0"));
    assert_eq!(body["id"]["id"], reply.id.as_str().rsplit('_').next().unwrap());
    assert_eq!((&body["body"], &body["type"], &body["fromMe"]), (&json!("hi"), &json!("chat"), &json!(true)));
    // Empty lists look like empty objects there.
    assert_eq!((&body["vCards"], &body["_data"]["links"]), (&json!({}), &json!({})));
}

#[tokio::test(start_paused = true)]
async fn credentials_may_stand_in_the_body_the_query_or_headers_and_have_to_be_right() {
    let world = quiet(Upstream::Wawp);
    let bare = json!({ "chatId": CHAT, "message": "hi" }).to_string();
    let query = format!("/v2/send/text?instance_id={INSTANCE}&access_token={TOKEN}");
    let bearer = format!("Bearer {TOKEN}");
    let in_headers = [("authorization", &*bearer), ("x-instance-id", INSTANCE)];
    for call in [
        request("POST", "/v2/send/text", &[], with(json!({ "message": "hi" })).to_string()),
        request("POST", &query, &[], bare.clone()),
        request("POST", "/v2/send/text", &in_headers, bare.clone()),
    ] {
        assert_eq!(answer(world.sandbox.handle(call).await).0, 200);
    }
    let missing = json!({ "code": "unauthorized", "message": "Missing access_token", "data": { "status": 401 } });
    let call = request("POST", "/v2/send/text", &[], bare.clone());
    assert_eq!(answer(world.sandbox.handle(call).await), (401, missing.clone()));
    // A form is not read at all.
    let form = format!("instance_id={INSTANCE}&access_token={TOKEN}&chatId=12125550101%40c.us&message=hi");
    let call = request("POST", "/v2/send/text", &[("content-type", "application/x-www-form-urlencoded")], form);
    assert_eq!(answer(world.sandbox.handle(call).await), (401, missing));
    let wrong = with(json!({ "message": "hi", "access_token": "x" }));
    assert_eq!(post(&world, "text", &wrong).await.1["message"], "Invalid access_token");
    let wrong = post(&world, "text", &with(json!({ "message": "hi", "instance_id": "x" }))).await;
    assert_eq!((wrong.0, &wrong.1["code"]), (404, &json!("invalid_session")));
    assert_eq!(world.sandbox.phone().replies(&world.ada).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn calls_that_are_not_as_they_should_be_are_refused_each_in_its_form() {
    let world = quiet(Upstream::Wawp);
    let long = "x".repeat(4097);
    let url = "https://bakery.example/cake.jpg";
    let file = |mime: &str| json!({ "file[url]": url, "file[filename]": "cake", "file[mimetype]": mime });
    let without = |key: &str| {
        let mut fields = file("image/jpeg");
        fields.as_object_mut().unwrap().remove(key);
        fields
    };
    let rows = [
        ("text", json!({}), "application/json", "Missing Required Parameter(s): message"),
        ("text", json!({ "text": "hi" }), "application/json", "Missing Required Parameter(s): message"),
        ("text", json!({ "message": "" }), "application/json", "Missing Required Parameter(s)"),
        ("text", json!({ "message": long }), "application/xml", "4096 characters"),
        ("text", json!({ "message": "hi", "chatId": "" }), "application/json", "chatId"),
        ("text", json!({ "message": "hi", "chatId": "12125550102@c.us" }), "text/plain", "Invalid Number"),
        ("text", json!({ "message": "hi", "chatId": "12125550101@s.whatsapp.net" }), "application/xml", "@c.us"),
        ("start-typing", json!({ "chatId": "12125550101" }), "application/xml", "@c.us"),
        ("image", without("file[url]"), "application/json", "file[url]"),
        ("image", without("file[filename]"), "application/json", "file[filename]"),
        ("image", without("file[mimetype]"), "application/json", "file[mimetype]"),
        ("image", json!({ "file": { "url": url } }), "application/json", "file[url]"),
        ("image", file("jpeg"), "application/xml", "MIME type"),
        ("voice", file("audio/mpeg"), "application/xml", "Ogg Opus"),
        ("seen", json!({ "messageIds": "x" }), "application/xml", "messageIds"),
    ];
    for (what, fields, kind, words) in rows {
        let call = request("POST", &format!("/v2/send/{what}"), &[], with(fields.clone()).to_string());
        let (status, told, body) = whole(world.sandbox.handle(call).await);
        let body = String::from_utf8_lossy(&body).into_owned();
        assert_eq!(status, 400, "{what} {fields}: {body}");
        assert!(told.starts_with(kind) && body.contains(words), "{what} {fields}: {told} {body}");
    }
    for (method, path) in [("POST", "/v2/send/dance"), ("GET", "/v2/send/start-typing"), ("POST", "/v2/send/reaction")]
    {
        let call = request(method, path, &[], with(json!({})).to_string());
        let (status, body) = answer(world.sandbox.handle(call).await);
        assert_eq!((status, &body["code"]), (404, &json!("rest_no_route")), "{method} {path}");
    }
    assert!(world.sandbox.phone().replies(&world.ada).is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_dots_come_on_go_off_and_lapse_after_fifteen_seconds() {
    let world = quiet(Upstream::Wawp);
    world.ada_writes("hello").await;
    // The answer is somebody's picture, as on Wawp's page.
    let (status, body) = post(&world, "start-typing", &with(json!({}))).await;
    assert_eq!((status, &body["type"], &body["body"]), (200, &json!("image"), &json!("BASE64_IMAGE_DATA")));
    seconds(8.0).await;
    post(&world, "start-typing", &with(json!({}))).await;
    seconds(2.0).await;
    post(&world, "stop-typing", &with(json!({}))).await;
    post(&world, "start-typing", &with(json!({}))).await;
    seconds(16.0).await;
    post(&world, "start-typing", &with(json!({}))).await;
    post(&world, "text", &with(json!({ "message": "hi" }))).await;
    let expected = [
        "0.000 dots on, for #1",
        "8.000 dots on, for #1",
        "10.000 dots off: stopped",
        "10.000 dots on, for #1",
        "25.000 dots off: lapsed",
        "26.000 dots on, for #1",
        "26.000 dots off: reply",
    ];
    assert_eq!(story(&world), expected);
    assert_eq!(notes(&world), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn more_than_three_stops_in_a_second_are_noted() {
    let world = quiet(Upstream::Wawp);
    world.ada_writes("hello").await;
    for _ in 0..3 {
        post(&world, "stop-typing", &with(json!({}))).await;
    }
    assert_eq!(notes(&world), [""; 0]);
    assert_eq!(post(&world, "stop-typing", &with(json!({}))).await.0, 200);
    assert_eq!(notes(&world).len(), 1);
    seconds(1.0).await;
    post(&world, "stop-typing", &with(json!({}))).await;
    assert_eq!(notes(&world).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_receipt_reads_the_messages_that_it_names_or_the_chat() {
    let world = quiet(Upstream::Wawp);
    let (first, second) = (world.ada_writes("one").await, world.ada_writes("two").await);
    let read = async |fields: Value| {
        assert_eq!(post(&world, "seen", &with(fields)).await.0, 200);
        [&first, &second].map(|id| world.sandbox.phone().tick(id).unwrap())
    };
    let strange = json!({ "messageIds": ["false_1@c.us_3EB0"] });
    assert_eq!(read(strange).await, [Tick::Sent, Tick::Sent]);
    assert_eq!(notes(&world).len(), 1);
    assert_eq!(read(json!({ "messageIds": [first.as_str()] })).await, [Tick::Read, Tick::Sent]);
    assert_eq!(read(json!({})).await, [Tick::Read, Tick::Read]);
}

#[tokio::test(start_paused = true)]
async fn a_receipt_in_a_group_has_to_say_who_wrote() {
    let world = quiet(Upstream::Wawp);
    world.sandbox.phone().add(Customer { group: Some(GROUP.to_owned()), ..Customer::new(ADA, "Ada") });
    let id = world.ada_writes("hello").await;
    assert_eq!(id.as_str().split('_').next_back(), Some(CHAT), "a group's message names its writer");
    let read = async |participant: &str| {
        let fields = json!({ "chatId": GROUP, "messageIds": [id.as_str()], "participant": participant });
        post(&world, "seen", &with(fields)).await;
        world.sandbox.phone().tick(&id).unwrap()
    };
    assert_eq!(read("null").await, Tick::Sent);
    assert_eq!(notes(&world).len(), 1);
    assert_eq!(read(CHAT).await, Tick::Read);
    let (status, _) = post(&world, "start-typing", &with(json!({ "chatId": GROUP }))).await;
    assert!(status == 200 && world.sandbox.phone().dots_showing(&world.ada));
}

#[tokio::test(start_paused = true)]
async fn media_come_by_link_or_inside_the_call() {
    let world = quiet(Upstream::Wawp);
    let send = async |what: &str, url: &str, mime: &str, caption: Option<&str>| {
        let fields =
            json!({ "file[url]": url, "file[filename]": "name.pdf", "file[mimetype]": mime, "caption": caption });
        assert_eq!(post(&world, what, &with(fields)).await.0, 200);
        world.sandbox.phone().replies(&world.ada).pop().unwrap().body
    };
    let link = "https://bakery.example/order.pdf";
    let expected = Body::Media {
        kind: "document",
        source: Source::Link(link.to_owned()),
        caption: Some("The order".to_owned()),
        filename: Some("name.pdf".to_owned()),
    };
    assert_eq!(send("pdf", link, "application/pdf", Some("The order")).await, expected);
    let inline = format!("data:image/png;base64,{}", STANDARD.encode("a picture"));
    let Body::Media { kind, source: Source::Stored(_), .. } = send("image", &inline, "image/png", None).await else {
        panic!("it is kept")
    };
    assert_eq!(kind, "image");
    let voice = format!("data:audio/ogg;base64,{}", STANDARD.encode("OggS"));
    assert_eq!(send("voice", &voice, "audio/ogg; codecs=opus", None).await.kind(), "voice");
    assert_eq!(send("video", "https://bakery.example/oven", "video/mp4", None).await.kind(), "video");
}

#[tokio::test(start_paused = true)]
async fn a_reaction_is_put() {
    let world = quiet(Upstream::Wawp);
    let id = world.ada_writes("hello").await;
    for (emoji, shown) in [("👍", Some("👍".to_owned())), ("", None)] {
        let fields = with(json!({ "messageId": id.as_str(), "reaction": emoji }));
        let call = request("PUT", "/v2/send/reaction", &[], fields.to_string());
        assert_eq!(answer(world.sandbox.handle(call).await).0, 200);
        assert_eq!(world.sandbox.phone().message(&id).unwrap().reaction, shown);
    }
    let call =
        request("PUT", "/v2/send/reaction", &[], with(json!({ "messageId": "x", "reaction": "👍" })).to_string());
    assert_eq!(whole(world.sandbox.handle(call).await).0, 400);
}

#[tokio::test(start_paused = true)]
async fn a_webhook_is_signed_over_its_very_bytes() {
    let world = quiet(Upstream::Wawp);
    world.ada_writes("Grüße").await;
    let [post] = world.letterbox.posts().try_into().ok().unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(b"sandbox-app-secret").unwrap();
    mac.update(&post.body);
    assert_eq!(post.header("x-wawp-signature"), hex::encode(mac.finalize().into_bytes()));
}

#[tokio::test(start_paused = true)]
async fn events_have_the_form_that_wawp_documents() {
    let world = quiet(Upstream::Wawp);
    let first = world.ada_writes("hello").await;
    let (_, sent) = post(&world, "text", &with(json!({ "message": "hi" }))).await;
    let ours = MessageId::new(sent["id"]["_serialized"].as_str().unwrap());
    for draft in [
        Draft::text("that one").quoting(&ours),
        Draft::text("my own").quoting(&first),
        Draft::image(Some("a picture")),
        Draft::voice(),
        Draft::location(37.5, -122.25, Some("The bakery"), None),
        Draft::reaction(&ours, "🙏"),
    ] {
        world.sandbox.write(&world.ada, draft).unwrap();
        seconds(1.0).await;
    }
    let events = events(&world);
    let payload = |number: usize| &events[number]["payload"];
    assert_eq!(events[0]["event"], "message");
    assert_eq!((&events[0]["engine"], &events[0]["me"]["id"]), (&json!("WEBJS"), &json!("12125550199@c.us")));
    assert!(events[0]["id"].as_str().unwrap().starts_with("evt_"));
    assert_eq!(events[0]["timestamp"].as_u64().unwrap() / 1000, payload(0)["timestamp"].as_u64().unwrap());
    assert_eq!((&payload(0)["id"], &payload(0)["from"]), (&json!(first.as_str()), &json!(CHAT)));
    assert_eq!((&payload(0)["body"], &payload(0)["fromMe"]), (&json!("hello"), &json!(false)));
    assert_eq!((&payload(0)["media"], &payload(0)["replyTo"]), (&Value::Null, &Value::Null));
    let stanza = |id: &MessageId| id.as_str().split('_').nth(2).unwrap().to_owned();
    let quoted = json!({ "id": stanza(&ours), "participant": "12125550199@c.us", "body": "hi", "_data": {} });
    assert_eq!(payload(1)["replyTo"], quoted);
    assert_eq!(
        (&payload(2)["replyTo"]["participant"], &payload(2)["replyTo"]["body"]),
        (&json!(CHAT), &json!("hello"))
    );
    assert_eq!((&payload(3)["hasMedia"], &payload(3)["body"]), (&json!(true), &json!("a picture")));
    assert_eq!(payload(3)["media"]["mimetype"], "image/png");
    assert_eq!(
        (&payload(4)["_data"]["type"], &payload(4)["media"]["mimetype"]),
        (&json!("ptt"), &json!("audio/ogg; codecs=opus"))
    );
    assert_eq!(
        payload(5)["location"],
        json!({ "latitude": "37.5", "longitude": "-122.25", "description": "The bakery" })
    );
    assert_eq!(events[6]["event"], "message.reaction");
    assert_eq!(payload(6)["reaction"], json!({ "text": "🙏", "messageId": ours.as_str() }));
}

#[tokio::test(start_paused = true)]
async fn a_medium_of_the_customers_is_served_at_the_address_that_its_event_names() {
    let world = quiet(Upstream::Wawp);
    world.sandbox.write(&world.ada, Draft::image(None)).unwrap();
    seconds(1.0).await;
    let url = events(&world)[0]["payload"]["media"]["url"].as_str().unwrap().to_owned();
    let path = url.strip_prefix("http://127.0.0.1:3333/graph").unwrap();
    let (status, kind, body) = whole(world.sandbox.handle(request("GET", path, &[], "")).await);
    assert_eq!((status, &*kind), (200, "image/png"));
    assert!(body.starts_with(b"\x89PNG"));
    assert_eq!(whole(world.sandbox.handle(request("GET", "/api/files/1", &[], "")).await).0, 404);
}

#[tokio::test(start_paused = true)]
async fn whoever_hides_a_number_goes_by_another_name() {
    let world = quiet(Upstream::Wawp);
    world.sandbox.phone().add(Customer { hides_phone: true, ..Customer::new(ADA, "Ada") });
    world.ada_writes("hello").await;
    let from = events(&world)[0]["payload"]["from"].as_str().unwrap().to_owned();
    assert!(from.ends_with("@lid") && !from.contains(ADA), "{from}");
    assert_eq!(post(&world, "text", &with(json!({ "chatId": from, "message": "hi" }))).await.0, 200);
    assert!(!events(&world)[0].to_string().contains(ADA));
}

#[tokio::test(start_paused = true)]
async fn acknowledgements_tell_how_far_a_message_has_come() {
    let world = World::with(SandboxSettings::of(Upstream::Wawp));
    let (_, sent) = post(&world, "text", &with(json!({ "message": "hi" }))).await;
    seconds(3.0).await;
    let acks: Vec<_> = events(&world).iter().map(|event| event["payload"]["ackName"].clone()).collect();
    assert_eq!(acks, ["SERVER", "DEVICE", "READ"]);
    let last = &events(&world)[2];
    assert_eq!((&last["event"], &last["payload"]["id"]), (&json!("message.ack"), &sent["id"]["_serialized"]));
    assert_eq!((&last["payload"]["ack"], &last["payload"]["fromMe"]), (&json!(3), &json!(true)));
    world.sandbox.faults().add(Fault::on(Calls::Send).fail(Failure::Undeliverable));
    assert_eq!(post(&world, "text", &with(json!({ "message": "lost" }))).await.0, 200);
    seconds(3.0).await;
    assert_eq!(events(&world).last().unwrap()["payload"]["ackName"], "ERROR");
    assert_eq!(world.sandbox.phone().replies(&world.ada).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn trouble_comes_in_every_form_that_wawps_page_lists() {
    let world = quiet(Upstream::Wawp);
    let rows = [
        (Failure::TooMany { retry_after: Some(7) }, 429, "application/json", "Rate Limit Exceeded"),
        (Failure::TooManyToOne, 429, "application/json", "Rate Limit Exceeded"),
        (Failure::Broken, 500, "text/html", "<h1>"),
        (Failure::Unknown, 502, "application/xml", "Connection Failed to Upstream"),
        (Failure::Token, 401, "application/xml", "Invalid or Missing Access Token"),
        (Failure::Refused, 400, "text/plain", "Invalid Number"),
        (Failure::SessionDown, 404, "application/json", "invalid_session"),
    ];
    for (failure, expected, kind, words) in rows {
        world.sandbox.faults().add(Fault::on(Calls::Any).fail(failure).once());
        let call = request("POST", "/v2/send/text", &[], with(json!({ "message": "hi" })).to_string());
        let answer = world.sandbox.handle(call).await;
        if let (Failure::TooMany { .. }, UpstreamAnswer::Whole { headers, .. }) = (failure, &answer) {
            assert!(headers.contains(&("retry-after".to_owned(), "7".to_owned())));
        }
        let (status, told, body) = whole(answer);
        let body = String::from_utf8_lossy(&body).into_owned();
        assert_eq!(status, expected, "{failure:?}");
        assert!(told.starts_with(kind) && body.contains(words), "{failure:?}: {told} {body}");
    }
    assert!(world.sandbox.phone().replies(&world.ada).is_empty());
}
