//! Every call that goes out, as it stands on the wire, and what its answer comes to.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use threedots::message::clock::{Clock, Timestamp};
use threedots::message::reply::{Choice, Media, MediaSource, Row, Section};
use threedots::message::{ChatId, ContactId, MediaKind, MessageId, MessageRef, Part, Payload};
use threedots::provider::{Activity, ErrorCode, GroupTyping, KeyedBy, Provider, ProviderError, ReadReceipts};
use threedots::runtime::http::CallError;

use super::{
    ACCESS_KEY, ACCESS_SECRET, APPKEY, config, connected, key, on, provider, received_message, receiver, sign, with,
};
use crate::upstream::{Given, Seen, Upstream};

fn accepted() -> Given {
    let data = json!({ "messaging_product": "whatsapp", "messages": [{ "id": "gBGHFICTION" }] });
    Given::json(200, &json!({ "code": 0, "message": "Request successful", "data": data }))
}

fn done() -> Given {
    Given::json(200, &json!({ "code": 0, "data": { "success": true }, "message": "success" }))
}

/// The call that sends `part` in answer to `to`, under changed settings.
async fn sent_with(changes: Value, to: &MessageRef, part: impl Into<Part>) -> Seen {
    let upstream = Upstream::answering([accepted()]);
    let id = with(changes, &upstream).send(to, &part.into(), &key()).await;
    assert_eq!(id, Ok(MessageId::new("gBGHFICTION")));
    let [call] = upstream.seen().try_into().expect("one call");
    call
}

async fn sent(to: &MessageRef, part: impl Into<Part>) -> Seen {
    sent_with(json!({}), to, part).await
}

/// Compares a call with how it is known to look, apart from what changes with the time.
fn assert_wire(name: &str, mut call: Seen) {
    for (header, value) in &mut call.headers {
        if header == "ts" || header == "sign" {
            *value = "…".into();
        }
    }
    insta::with_settings!({ sort_maps => true }, { insta::assert_json_snapshot!(name, call) });
}

fn media(kind: MediaKind, source: MediaSource) -> Media {
    Media { kind, source, caption: None, filename: None }
}

fn link(path: &str) -> MediaSource {
    MediaSource::Link(format!("https://bakery.example/{path}"))
}

#[tokio::test]
async fn every_payload_has_its_form_on_the_wire() {
    let choice = |id: &str, title: &str| Choice { id: id.into(), title: title.into() };
    let row = |id: &str| Row { id: id.into(), title: format!("Row {id}"), description: None };
    let captioned =
        |kind, source| Media { caption: Some("Look".into()), filename: Some("a.pdf".into()), ..media(kind, source) };
    let template =
        |components| Payload::ApprovedTemplate { name: "order_ready".into(), language: "en_US".into(), components };
    let payloads = [
        ("text", Payload::Text { body: "Grüße \u{1f600} \"quoted\"\nsecond line".into() }),
        ("image_by_link", Payload::Media(captioned(MediaKind::Image, link("cake.jpg")))),
        ("voice", Payload::Media(media(MediaKind::Voice, MediaSource::Uploaded("770000000000002".into())))),
        ("document", Payload::Media(captioned(MediaKind::Document, link("a.pdf")))),
        (
            "buttons",
            Payload::Buttons {
                body: "Fresh bread?".into(),
                footer: None,
                buttons: vec![choice("yes", "Yes, please"), choice("no", "No")],
            },
        ),
        (
            "list",
            Payload::List {
                body: "Which?".into(),
                button: "Choose".into(),
                footer: None,
                sections: vec![Section { title: "Bread".into(), rows: vec![row("1"), row("2")] }],
            },
        ),
        (
            "location",
            Payload::Location { latitude: 37.5, longitude: -122.25, name: Some("The bakery".into()), address: None },
        ),
        ("reaction", Payload::Reaction { message: None, emoji: "👍".into() }),
        ("template", template(Vec::new())),
        (
            "template_with_parameters",
            template(vec![json!({ "type": "body", "parameters": [{ "type": "text", "text": "42" }] })]),
        ),
    ];
    for (name, payload) in payloads {
        assert_wire(&format!("send_{name}"), sent(&received_message(), payload).await);
    }
}

#[tokio::test]
async fn read_receipts_and_the_indicator_have_their_form_on_the_wire() {
    let upstream = Upstream::answering([done(), done(), Given::json(200, &json!({ "code": 0, "data": null }))]);
    let nxcloud = on(&upstream);
    nxcloud.start_typing(&received_message(), Activity::Typing).await.expect("it is done");
    nxcloud.start_typing(&received_message(), Activity::Recording).await.expect("there is one indicator for both");
    nxcloud.mark_read(&received_message()).await.expect("it is done");
    let [typing, recording, read] = upstream.seen().try_into().expect("three calls");
    assert_eq!(typing.raw, recording.raw);
    assert_wire("typing", typing);
    assert_wire("read", read);
}

#[tokio::test]
async fn an_upload_has_its_form_on_the_wire() {
    for (name, changes) in [("upload", json!({})), ("upload_with_appkey", json!({ "upload_appkey": true }))] {
        let named = Given::json(200, &json!({ "code": 0, "data": { "id": "a75c6d9b" }, "message": "success" }));
        let upstream = Upstream::answering([named]);
        let id = with(changes, &upstream).upload_media(Bytes::from_static(b"OggS"), "audio/ogg; codecs=opus").await;
        assert_eq!(id.as_deref(), Ok("a75c6d9b"));
        assert_wire(name, upstream.seen().remove(0));
    }
}

fn header<'a>(call: &'a Seen, name: &str) -> &'a str {
    &call.headers.iter().find(|(known, _)| known == name).expect("it is there").1
}

#[tokio::test(start_paused = true)]
async fn each_call_is_signed_over_its_own_time_and_exactly_the_bytes_that_leave() {
    let clock = Clock::Tokio { epoch: Timestamp(1_655_710_885_431), started: tokio::time::Instant::now() };
    let upstream = Upstream::answering([done(), accepted()]);
    let nxcloud = provider(upstream.clone(), clock);
    nxcloud.start_typing(&received_message(), Activity::Typing).await.expect("it is done");
    tokio::time::advance(Duration::from_millis(2569)).await;
    nxcloud.send(&received_message(), &Part::text("Grüße 牛小信 \"\\/😀"), &key()).await.expect("it is sent");
    let seen = upstream.seen();
    for (call, ts, action) in [(&seen[0], "1655710885431", "read"), (&seen[1], "1655710888000", "mt")] {
        let expected = sign(ACCESS_KEY, action, "2", ts, &call.raw, ACCESS_SECRET);
        let names: Vec<&str> = call.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["accessKey", "ts", "bizType", "action", "sign"]);
        assert_eq!(["accessKey", "ts", "bizType", "action"].map(|n| header(call, n)), [ACCESS_KEY, ts, "2", action]);
        assert_eq!(header(call, "sign"), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_form_is_signed_without_its_body() {
    let clock = Clock::Tokio { epoch: Timestamp(1_655_710_885_431), started: tokio::time::Instant::now() };
    let named = Given::json(200, &json!({ "code": 0, "data": { "id": "a75c6d9b" } }));
    let upstream = Upstream::answering([named]);
    let sample = config(json!({ "access_key": "env:SAMPLE_KEY", "access_secret": "env:SAMPLE_SECRET" }));
    let nxcloud = connected(&sample, upstream.clone(), clock).expect("a sound configuration");
    nxcloud.upload_media(Bytes::from_static(b"x"), "image/png").await.expect("it is taken");
    assert_eq!(header(&upstream.seen()[0], "sign"), "d2632e6b4cbea8587b36cb585e06a195");
}

#[tokio::test]
async fn a_quote_stands_above_what_can_have_one() {
    let quoting = |payload: Payload| Part { quote: true, ..payload.into() };
    let text = || quoting(Payload::Text { body: "Yes".into() });
    let call = sent(&received_message(), text()).await;
    assert_eq!(call.body["context"], json!({ "message_id": "wamid.FICTIONAL-TEXT" }));
    let call = sent_with(json!({ "quote_field": "id" }), &received_message(), text()).await;
    assert_eq!(call.body["context"], json!({ "id": "wamid.FICTIONAL-TEXT" }));
    let reaction = Payload::Reaction { message: None, emoji: "👍".into() };
    let template = Payload::ApprovedTemplate { name: "a".into(), language: "en".into(), components: Vec::new() };
    for payload in [reaction, template] {
        assert_eq!(sent(&received_message(), quoting(payload)).await.body.get("context"), None);
    }
}

#[tokio::test]
async fn a_reaction_is_called_what_the_operator_says() {
    let reaction = Payload::Reaction { message: None, emoji: "👍".into() };
    let call = sent_with(json!({ "reaction_type": "reacticon" }), &received_message(), reaction).await;
    assert_eq!(call.body["type"], "reacticon");
    assert_eq!(call.body["reacticon"], json!({ "message_id": "wamid.FICTIONAL-TEXT", "emoji": "👍" }));
    assert_eq!(call.body.get("reaction"), None);
}

/// Where a message goes, as the wire says it.
async fn recipient(changes: Value, to: &MessageRef) -> [Value; 4] {
    let mut body = sent_with(changes, to, Part::text("hello")).await.body;
    ["recipient_type", "to", "recipient", "user"].map(|key| body[key].take())
}

#[tokio::test]
async fn a_customer_is_reached_by_number_by_identifier_or_in_a_group() {
    let known = received_message();
    assert_eq!(recipient(json!({}), &known).await[..2], ["individual", "12025550123"]);
    let written = MessageRef { phone: Some(ContactId::new("+12025550123")), ..received_message() };
    assert_eq!(recipient(json!({}), &written).await[1], "12025550123");
    for to in [&known, &written] {
        assert_eq!(recipient(json!({ "plus": true }), to).await[1], "+12025550123");
    }
    let unseen = MessageRef { phone: None, ..received_message() };
    let reached = recipient(json!({}), &unseen).await;
    assert_eq!(reached, [json!("individual"), Value::Null, json!("US.FICTION00000000000123"), Value::Null]);
    let reached = recipient(json!({ "user_id_field": "user" }), &unseen).await;
    assert_eq!(reached, [json!("individual"), Value::Null, Value::Null, json!("US.FICTION00000000000123")]);
    let chat = ChatId::new("FICTIONAL-GROUP-0001");
    let group = MessageRef { group: true, chat, ..received_message() };
    assert_eq!(recipient(json!({}), &group).await[..2], ["group", "FICTIONAL-GROUP-0001"]);
}

#[tokio::test]
async fn addresses_and_actions_are_the_operators_to_choose() {
    let changes = json!({
        "base_url": "http://127.0.0.1:4711/nx/",
        "biz_type": "7",
        "paths": { "typing": "/v2/dots" },
        "actions": { "typing": "dots" },
        "timeout": "3s",
    });
    let upstream = Upstream::answering([done(), done()]);
    let nxcloud = with(changes, &upstream);
    nxcloud.start_typing(&received_message(), Activity::Typing).await.expect("it is done");
    nxcloud.mark_read(&received_message()).await.expect("it is done");
    let seen = upstream.seen();
    assert_eq!(seen[0].url, "http://127.0.0.1:4711/nx/v2/dots");
    assert_eq!(seen[1].url, "http://127.0.0.1:4711/nx/api/wa/markMessageAsRead");
    assert_eq!([&seen[0], &seen[1]].map(|call| header(call, "action")), ["dots", "read"]);
    assert_eq!((header(&seen[0], "bizType"), seen[0].timeout), ("7", Duration::from_secs(3)));
    let (raw, ts) = (&seen[0].raw, header(&seen[0], "ts"));
    assert_eq!(header(&seen[0], "sign"), sign(ACCESS_KEY, "dots", "7", ts, raw, ACCESS_SECRET));
}

#[tokio::test]
async fn the_secret_travels_in_no_call_and_the_appkey_in_no_header() {
    let call = sent(&received_message(), Part::text("hello")).await;
    let body = String::from_utf8(call.raw.to_vec()).expect("text");
    let shown = format!("{} {:?}", call.url, call.headers);
    assert!(!shown.contains(ACCESS_SECRET) && !body.contains(ACCESS_SECRET) && !shown.contains(APPKEY));
    assert!(!body.contains(ACCESS_KEY));
}

#[tokio::test]
async fn a_medium_in_hand_is_not_sent_unuploaded() {
    let upstream = Upstream::answering([]);
    let source = MediaSource::Bytes { data: Bytes::from_static(b"x"), mime: "image/png".into() };
    let part = Payload::Media(media(MediaKind::Image, source)).into();
    let sent = on(&upstream).send(&received_message(), &part, &key()).await;
    assert!(matches!(sent, Err(ProviderError::Rejected { code: ErrorCode::Local(_) })));
    assert!(upstream.seen().is_empty());
}

async fn send_answered(answer: Given) -> Result<MessageId, ProviderError> {
    on(&Upstream::answering([answer])).send(&received_message(), &Part::text("hello"), &key()).await
}

#[tokio::test]
async fn a_message_that_was_taken_and_got_no_name_has_the_one_that_we_gave_it() {
    let answers = [
        json!({ "code": 0 }),
        json!({ "code": 0.0, "data": null }),
        json!({ "code": "0", "data": {} }),
        json!({ "code": 0, "data": { "messages": [] } }),
        json!({ "code": 0, "data": { "messages": [{ "id": "" }], "error": null } }),
        json!({ "code": 0, "data": "wamid.1", "message": "success" }),
    ];
    for answer in answers {
        let sent = send_answered(Given::json(200, &answer)).await;
        assert_eq!(sent, Ok(MessageId::new("3d-19b7a5f0000-7-0")), "{answer}");
    }
}

#[tokio::test]
async fn only_a_code_of_zero_without_an_error_is_a_success() {
    let deep = format!("{{\"code\":0,\"x\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let bodies: [&[u8]; 9] = [
        b"",
        b"<html>OK</html>",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b"{\"code\":null,\"data\":{\"messages\":[{\"id\":\"1\"}]}}",
        b"{\"message\":\"success\"}",
        b"{\"code\":0",
        deep.as_bytes(),
    ];
    for body in bodies {
        let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
        let sent = send_answered(Given::body(200, body.to_vec())).await;
        assert_eq!(sent, Err(ProviderError::Ambiguous { code: ErrorCode::Status(200) }), "{shown}");
        let upstream = Upstream::answering([Given::body(200, body.to_vec())]);
        let typing = on(&upstream).start_typing(&received_message(), Activity::Typing).await;
        assert_eq!(typing, Err(ProviderError::Transient { code: ErrorCode::Status(200) }), "{shown}");
    }
    for error in [json!({}), json!("no"), json!([]), json!(false), json!({ "message": "no code" })] {
        let answer = json!({ "code": 0, "message": "success", "data": { "success": true, "error": error } });
        let sent = send_answered(Given::json(200, &answer)).await;
        assert_eq!(sent, Err(ProviderError::Ambiguous { code: ErrorCode::Upstream(9099) }), "{answer}");
    }
}

#[tokio::test]
async fn a_call_that_never_left_can_be_made_again_and_one_without_an_answer_cannot() {
    let sent = send_answered(Given::Error(CallError::NotSent("cannot connect"))).await;
    assert_eq!(sent, Err(ProviderError::Transient { code: ErrorCode::Network("cannot connect") }));
    let sent = send_answered(Given::Error(CallError::Unanswered("connection lost"))).await;
    assert_eq!(sent, Err(ProviderError::Ambiguous { code: ErrorCode::Network("connection lost") }));
    let lost = Given::Error(CallError::Unanswered("connection lost"));
    let read = on(&Upstream::answering([lost])).mark_read(&received_message()).await;
    assert_eq!(read, Err(ProviderError::Transient { code: ErrorCode::Network("connection lost") }));
}

#[test]
fn its_abilities_are_metas() {
    let nxcloud = receiver(json!({}));
    let abilities = nxcloud.abilities();
    assert_eq!(nxcloud.name(), "nxcloud");
    assert_eq!((abilities.text_limit, abilities.reads), (4096, ReadReceipts::Message));
    assert!(
        abilities.statuses_carry_key && !abilities.idempotent_sends && abilities.choices.is_some() && abilities.places
    );
    let typing = &abilities.typing;
    assert_eq!((typing.keyed_by, typing.groups), (KeyedBy::Message, GroupTyping::Show));
    assert!(typing.start_marks_read && typing.stop.is_none() && !typing.recording && !typing.lit_on_arrival);
    assert_eq!((typing.lifetime, typing.lead), (Duration::from_secs(25), Duration::ZERO));
    assert_eq!((typing.refresh, typing.max_refreshes), (Some(Duration::from_secs(26)), 4));
    let changed = receiver(json!({ "typing_refresh_every": "30s", "typing_refreshes": 1 }));
    let typing = &changed.abilities().typing;
    assert_eq!((typing.refresh, typing.max_refreshes), (Some(Duration::from_secs(30)), 1));
    assert_eq!(receiver(json!({ "typing_refresh": false })).abilities().typing.refresh, None);
}

#[tokio::test]
async fn the_indicator_cannot_be_taken_off() {
    let upstream = Upstream::answering([]);
    let stopped = on(&upstream).stop_typing(&received_message()).await;
    assert!(matches!(stopped, Err(ProviderError::Unsupported { code: ErrorCode::Local(_) })));
    assert!(upstream.seen().is_empty());
}

#[test]
fn whatsapps_limits_are_told_before_anything_is_sent() {
    let nxcloud: std::sync::Arc<dyn Provider> = receiver(json!({}));
    assert!(nxcloud.check(&Part::text("x".repeat(4096))).is_ok());
    let refused = nxcloud.check(&Part::text("x".repeat(4097))).expect_err("it is too long");
    assert_eq!(refused.0, "the text has 4097 characters: WhatsApp takes 1 to 4096");
}
