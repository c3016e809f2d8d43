//! Every send, as it stands on the wire, and what its answer comes to.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use threedots::message::clock::Clock;
use threedots::message::reply::{Media, MediaSource};
use threedots::message::{MediaKind, MessageId, Part, Payload};
use threedots::provider::{ErrorCode, ProviderError};
use threedots::runtime::http::CallError;

use super::{CHAT, KEY, connect, key, linq, received_message};
use crate::upstream::{Given, Seen, Upstream};

const OURS: &str = "99999999-2222-4333-8444-000000000001";

fn accepted() -> Given {
    let message = json!({ "id": OURS, "delivery_status": "queued", "is_read": false, "parts": [] });
    Given::json(202, &json!({ "chat_id": CHAT, "message": message }))
}

/// The call that sends `part` from a bot with these settings.
async fn sent(more: &Value, part: impl Into<Part>) -> Seen {
    let upstream = Upstream::answering([accepted()]);
    let id = connect(more, upstream.clone(), Clock::System).send(&received_message(), &part.into(), &key()).await;
    assert_eq!(id, Ok(MessageId::new(OURS)));
    let [call] = upstream.seen().try_into().expect("one call");
    call
}

fn media(kind: MediaKind, source: MediaSource) -> Media {
    Media { kind, source, caption: None, filename: None }
}

fn link(path: &str) -> MediaSource {
    MediaSource::Link(format!("https://bakery.example/{path}"))
}

fn uploaded() -> MediaSource {
    MediaSource::Uploaded("a0000000-0000-4000-8000-000000000001".into())
}

#[tokio::test]
async fn every_payload_has_its_form_on_the_wire() {
    let captioned =
        |kind, source| Media { caption: Some("Look".into()), filename: Some("a.pdf".into()), ..media(kind, source) };
    let parts = [
        ("text", Part::text("Grüße \u{1f600} *as it is*\nsecond line")),
        ("text_quoting", Part { quote: true, ..Part::text("Yes") }),
        ("image_by_link", Payload::Media(captioned(MediaKind::Image, link("cake.jpg"))).into()),
        ("image_uploaded", Payload::Media(media(MediaKind::Image, uploaded())).into()),
        ("image_quoting", Part { quote: true, ..Payload::Media(media(MediaKind::Image, uploaded())).into() }),
        ("video", Payload::Media(media(MediaKind::Video, link("oven.mp4"))).into()),
        ("audio", Payload::Media(media(MediaKind::Audio, link("song.mp3"))).into()),
        ("voice", Payload::Media(media(MediaKind::Voice, link("note.m4a"))).into()),
        ("document", Payload::Media(captioned(MediaKind::Document, link("a.pdf"))).into()),
        ("sticker", Payload::Media(media(MediaKind::Sticker, link("bun.png"))).into()),
    ];
    for (name, part) in parts {
        let call = sent(&json!({}), part).await;
        insta::with_settings!({ sort_maps => true }, { insta::assert_json_snapshot!(format!("send_{name}"), call) });
    }
}

#[tokio::test]
async fn the_key_is_the_messages_own_and_stays_the_same() {
    let upstream = Upstream::answering([Given::body(503, ""), accepted()]);
    let linq = linq(&upstream);
    let part = Part::text("hello");
    assert!(matches!(linq.send(&received_message(), &part, &key()).await, Err(ProviderError::Transient { .. })));
    assert!(linq.send(&received_message(), &part, &key()).await.is_ok());
    let [first, second] = upstream.seen().try_into().expect("two calls");
    assert_eq!(first.body["message"]["idempotency_key"], json!(key().as_str()));
    assert_eq!(first.body, second.body);
}

#[tokio::test]
async fn a_service_is_named_only_if_one_is_preferred() {
    let service = |name: &'static str| async move {
        sent(&json!({ "preferred_service": name }), Part::text("hello")).await.body["message"]["preferred_service"]
            .clone()
    };
    assert_eq!(service("auto").await, Value::Null);
    assert_eq!(service("imessage").await, json!("iMessage"));
    assert_eq!(service("rcs").await, json!("RCS"));
    assert_eq!(service("sms").await, json!("SMS"));
}

#[tokio::test]
async fn nobody_who_opted_out_is_overridden_but_by_the_message_that_confirms_it() {
    let call = sent(&json!({}), Part::text("hello")).await;
    assert!(!call.body.to_string().contains("override"));
    let taken = Given::json(202, &json!({ "message": { "id": OURS } }));
    let upstream = Upstream::answering([taken]);
    let confirmed = linq(&upstream).confirm_opt_out(&received_message(), &Part::text("Goodbye"), &key()).await;
    assert_eq!(confirmed, Ok(MessageId::new(OURS)));
    let seen = upstream.seen().remove(0);
    // Beside the message, and not in it.
    let message = json!({ "parts": [{ "type": "text", "value": "Goodbye" }], "idempotency_key": key().as_str() });
    assert_eq!(seen.body, json!({ "message": message, "override_optout": true }));
}

async fn memo(answer: Given, source: MediaSource) -> (Result<MessageId, ProviderError>, Vec<Seen>) {
    let upstream = Upstream::answering([answer]);
    let linq = connect(&json!({ "voice_memos": true }), upstream.clone(), Clock::System);
    let part = Payload::Media(media(MediaKind::Voice, source)).into();
    (linq.send(&received_message(), &part, &key()).await, upstream.seen())
}

#[tokio::test]
async fn a_voice_note_is_a_memo_where_that_is_wanted() {
    let taken = || Given::json(202, &json!({ "voice_memo": { "id": OURS, "status": "queued" } }));
    let (sent, calls) = memo(taken(), link("note.m4a")).await;
    assert_eq!(sent, Ok(MessageId::new(OURS)));
    assert_eq!(calls[0].url, format!("https://api.linqapp.com/api/partner/v3/chats/{CHAT}/voicememo"));
    assert_eq!(calls[0].body, json!({ "voice_memo_url": "https://bakery.example/note.m4a" }));
    let (_, calls) = memo(taken(), uploaded()).await;
    assert_eq!(calls[0].body, json!({ "attachment_id": "a0000000-0000-4000-8000-000000000001" }));
}

#[tokio::test]
async fn a_memo_without_an_answer_may_have_gone_out() {
    for answer in
        [Given::Error(CallError::Unanswered("connection lost")), Given::body(500, ""), Given::body(502, "<html>")]
    {
        let (sent, _) = memo(answer, uploaded()).await;
        assert!(matches!(sent, Err(ProviderError::Ambiguous { .. })), "{sent:?}");
    }
    let (sent, _) = memo(Given::Error(CallError::NotSent("cannot connect")), uploaded()).await;
    assert_eq!(sent, Err(ProviderError::Transient { code: ErrorCode::Network("cannot connect") }));
}

#[tokio::test]
async fn a_message_that_was_taken_without_a_name_was_taken() {
    let bodies: [&[u8]; 8] =
        [b"", b"OK", b"<html>", b"\xff", b"[]", b"{}", br#"{"message":{"id":""}}"#, br#"{"message":"accepted"}"#];
    for body in bodies {
        let upstream = Upstream::answering([Given::body(202, Bytes::from_static(body))]);
        let sent = linq(&upstream).send(&received_message(), &Part::text("hello"), &key()).await;
        assert_eq!(sent, Ok(MessageId::new(key().as_str())), "{}", String::from_utf8_lossy(body));
    }
}

#[tokio::test(start_paused = true)]
async fn a_send_without_an_answer_can_be_repeated() {
    for answer in [Given::Error(CallError::Unanswered("connection lost")), Given::Silence, Given::body(500, "")] {
        let sent = linq(&Upstream::answering([answer])).send(&received_message(), &Part::text("hello"), &key()).await;
        assert!(matches!(sent, Err(ProviderError::Transient { .. })), "{sent:?}");
    }
}

#[tokio::test]
async fn the_address_is_built_from_the_settings() {
    let call = sent(&json!({ "base_url": "http://127.0.0.1:4711/linq/", "timeout": "3s" }), Part::text("hello")).await;
    assert_eq!(call.url, format!("http://127.0.0.1:4711/linq/v3/chats/{CHAT}/messages"));
    assert_eq!(call.timeout, Duration::from_secs(3));
}

#[tokio::test]
async fn the_key_of_the_api_travels_in_its_header_and_nowhere_else() {
    let call = sent(&json!({}), Part::text("hello")).await;
    assert_eq!(call.headers, [("authorization".to_owned(), format!("Bearer {KEY}"))]);
    assert!(!call.url.contains(KEY) && !call.body.to_string().contains(KEY));
}

#[tokio::test]
async fn what_linq_does_not_have_is_not_sent() {
    let source = MediaSource::Bytes { data: Bytes::from_static(b"x"), mime: "image/png".into() };
    let payloads = [
        Payload::Buttons { body: "Bread?".into(), footer: None, buttons: Vec::new() },
        Payload::List { body: "Which?".into(), button: "Choose".into(), footer: None, sections: Vec::new() },
        Payload::Location { latitude: 0.0, longitude: 0.0, name: None, address: None },
        Payload::ApprovedTemplate { name: "ready".into(), language: "en".into(), components: Vec::new() },
        Payload::Media(media(MediaKind::Image, source)),
    ];
    for payload in payloads {
        let upstream = Upstream::answering([]);
        let sent = linq(&upstream).send(&received_message(), &payload.into(), &key()).await;
        assert!(matches!(sent.map_err(|error| error.code()), Err(ErrorCode::Local(_))));
        assert!(upstream.seen().is_empty());
    }
}

#[tokio::test]
async fn an_identifier_cannot_lead_out_of_its_place_in_the_address() {
    for chat in ["../../other", "1/../x", "1?key=2", "1#x", "%2e%2e", "a b"] {
        let upstream = Upstream::answering([Given::body(204, "")]);
        let mut at = received_message();
        at.chat = threedots::message::ChatId::new(chat);
        linq(&upstream).stop_typing(&at).await.expect("it is taken");
        let called: url::Url = upstream.seen()[0].url.parse().expect("an address");
        let segments: Vec<&str> = called.path_segments().expect("a path").collect();
        assert_eq!(called.host_str(), Some("api.linqapp.com"));
        assert_eq!((segments.len(), segments[3], segments[5]), (6, "chats", "typing"), "{called}");
        assert!(called.query().is_none() && called.fragment().is_none());
    }
}
