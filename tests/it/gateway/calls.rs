//! Every call that goes out, as it stands on the wire, and what its answer comes to.

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use threedots::message::reply::{Media, MediaSource};
use threedots::message::{ChatId, MediaKind, MessageId, MessageRef, Part, PartKey, Payload};
use threedots::provider::{Activity, ErrorCode, GroupTyping, KeyedBy, ProviderError, ReadReceipts, StopAbilities};

use super::{gateway, gateway_on, message_in_group, received_message};
use crate::upstream::{Given, Seen, Upstream};

fn accepted() -> Given {
    let sent = json!({ "mode": "sync", "waMessageId": "3EB0EXAMPLEOURS", "status": "sent", "timestamp": 1_767_225_601_000_u64 });
    Given::json(200, &sent)
}

fn key() -> PartKey {
    PartKey::new("3d-1-2-0")
}

fn done() -> Given {
    Given::body(204, "")
}

async fn send_on(more: &str, to: &MessageRef, part: Part) -> Seen {
    let upstream = Upstream::answering([accepted()]);
    let id = gateway_on(more, upstream.clone()).send(to, &part, &key()).await;
    assert_eq!(id, Ok(MessageId::new("3EB0EXAMPLEOURS")));
    let [call] = upstream.seen().try_into().expect("one call");
    call
}

fn quoting(payload: Payload) -> Part {
    Part { quote: true, ..payload.into() }
}

fn media(kind: MediaKind, source: MediaSource) -> Payload {
    Payload::Media(Media { kind, source, caption: Some("Look".into()), filename: Some("a.pdf".into()) })
}

fn bare(kind: MediaKind, source: MediaSource) -> Payload {
    Payload::Media(Media { kind, source, caption: None, filename: None })
}

fn link(path: &str) -> MediaSource {
    MediaSource::Link(format!("https://bakery.example/{path}"))
}

fn assert_wire(name: &str, calls: &[Seen]) {
    insta::with_settings!({ sort_maps => true }, { insta::assert_json_snapshot!(name, calls) });
}

#[tokio::test]
async fn every_payload_has_its_form_on_the_wire() {
    let place = |name: Option<&str>, address: Option<&str>| Payload::Location {
        latitude: 37.5,
        longitude: -122.25,
        name: name.map(Into::into),
        address: address.map(Into::into),
    };
    let held = || MediaSource::Uploaded("data:audio/ogg; codecs=opus;base64,T2dnUw==".into());
    let reaction = |message: Option<&str>, emoji: &str| Payload::Reaction {
        message: message.map(MessageId::new),
        emoji: emoji.into(),
    };
    let parts = [
        ("text", Part::text("Grüße \u{1f600} \"quoted\"\nsecond line")),
        ("text_quoting", quoting(Payload::Text { body: "Yes".into() })),
        ("image_by_link", media(MediaKind::Image, link("cake.jpg")).into()),
        ("video_quoting", quoting(media(MediaKind::Video, link("oven.mp4")))),
        ("audio", bare(MediaKind::Audio, link("song.mp3")).into()),
        ("voice_in_hand", bare(MediaKind::Voice, held()).into()),
        ("document", media(MediaKind::Document, link("a.pdf")).into()),
        ("sticker", bare(MediaKind::Sticker, link("bun.webp")).into()),
        ("location", place(Some("The bakery"), Some("1 Example Way")).into()),
        ("location_bare", quoting(place(None, None))),
        ("reaction", reaction(None, "👍").into()),
        ("reaction_elsewhere", reaction(Some("3EB0EXAMPLE0099"), "👍").into()),
        ("reaction_removed", reaction(None, "").into()),
    ];
    for (name, part) in parts {
        assert_wire(&format!("send_{name}"), &[send_on("", &received_message(), part).await]);
    }
    assert_wire(
        "send_to_a_group",
        &[send_on("", &message_in_group(), quoting(Payload::Text { body: "Yes".into() })).await],
    );
    let reaction = reaction(None, "👍").into();
    assert_wire("send_reaction_in_a_group", &[send_on("", &message_in_group(), reaction).await]);
}

#[tokio::test]
async fn the_indicator_has_its_form_on_the_wire() {
    let upstream = Upstream::answering([done(), done(), done(), Given::json(200, &json!({ "ok": true }))]);
    let gateway = gateway_on("", upstream.clone());
    assert_eq!(gateway.start_typing(&received_message(), Activity::Typing).await, Ok(()));
    assert_eq!(gateway.start_typing(&received_message(), Activity::Recording).await, Ok(()));
    assert_eq!(gateway.stop_typing(&received_message()).await, Ok(()));
    assert_eq!(gateway.start_typing(&message_in_group(), Activity::Typing).await, Ok(()), "any success will do");
    assert_wire("presence", &upstream.seen());
}

#[tokio::test]
async fn a_read_call_is_made_only_where_it_does_something_and_promises_nothing() {
    let upstream = Upstream::answering([]);
    let by_itself = gateway_on("", upstream.clone());
    assert_eq!(by_itself.abilities().reads, ReadReceipts::None);
    let read = by_itself.mark_read(&received_message()).await;
    assert!(matches!(read, Err(ProviderError::Unsupported { code: ErrorCode::Local(_) })));
    assert!(upstream.seen().is_empty());
    let upstream = Upstream::answering([done()]);
    let resetting = gateway_on("read = \"local_reset\"", upstream.clone());
    assert_eq!(resetting.abilities().reads, ReadReceipts::CountOnly);
    assert_eq!(resetting.mark_read(&received_message()).await, Ok(()));
    assert_wire("local_reset", &upstream.seen());
}

#[tokio::test]
async fn the_key_travels_in_the_header_that_is_set() {
    let call = send_on("credentials = \"x-api-key\"", &received_message(), Part::text("hello")).await;
    assert_eq!(call.headers[0], ("x-api-key".into(), super::TOKEN.into()));
    assert!(call.headers.iter().all(|(name, _)| name != "authorization"));
}

#[tokio::test]
async fn an_at_sign_in_an_address_is_encoded_if_that_is_set() {
    let upstream = Upstream::answering([done(), done()]);
    let gateway = gateway_on("encode_chat_id = true\nread = \"local_reset\"", upstream.clone());
    gateway.start_typing(&received_message(), Activity::Typing).await.expect("it is done");
    gateway.mark_read(&received_message()).await.expect("it is done");
    let chat = "https://gateway.example/api/v1/sessions/01J00000000000000000000001/chats/628111111111%40s.whatsapp.net";
    let called: Vec<String> = upstream.seen().into_iter().map(|call| call.url).collect();
    assert_eq!(called, [format!("{chat}/presence"), format!("{chat}/read")]);
}

#[tokio::test]
async fn the_address_is_built_from_the_settings() {
    let upstream = Upstream::answering([accepted()]);
    let table = format!(
        "base_url = \"http://127.0.0.1:4711/gate/\"\nsession = \"sess_01\"\naccess_token = \"env:TOKEN\"\n\
         webhook_secret = \"env:SECRET\"\ntimeout = \"{}s\"",
        3
    );
    let config = toml::from_str(&table).expect("a table");
    let gateway =
        super::connect(&config, upstream.clone(), threedots::message::clock::Clock::System).expect("it is fine");
    gateway.send(&received_message(), &Part::text("hello"), &key()).await.expect("it is sent");
    let call = &upstream.seen()[0];
    assert_eq!(call.url, "http://127.0.0.1:4711/gate/api/v1/sessions/sess_01/messages");
    assert_eq!(call.timeout, Duration::from_secs(3));
}

#[tokio::test]
async fn an_identifier_cannot_lead_out_of_its_place_in_the_address() {
    for odd in ["../../webhooks", "1?x=2", "1#x", "..", "%2e%2e", "a/b"] {
        let upstream = Upstream::answering([done(), accepted()]);
        let gateway = gateway_on("", upstream.clone());
        let to = MessageRef { chat: ChatId::new(odd), message: MessageId::new(odd), ..received_message() };
        gateway.start_typing(&to, Activity::Typing).await.expect("it is done");
        let reaction = Payload::Reaction { message: None, emoji: "👍".into() };
        gateway.send(&to, &reaction.into(), &key()).await.expect("it is sent");
        for (call, most) in upstream.seen().into_iter().zip([7, 7]) {
            let url: url::Url = call.url.parse().expect("an address");
            let segments: Vec<&str> = url.path_segments().expect("a path").collect();
            assert_eq!(segments[..4], ["api", "v1", "sessions", "01J00000000000000000000001"], "{url}");
            assert!(segments.len() <= most && url.query().is_none() && url.fragment().is_none(), "{url}");
        }
    }
}

async fn send_answered(answer: Given) -> Result<MessageId, ProviderError> {
    gateway_on("", Upstream::answering([answer])).send(&received_message(), &Part::text("hello"), &key()).await
}

#[tokio::test]
async fn a_sent_message_is_known_by_the_best_name_that_the_answer_has() {
    let named = [
        (json!({ "waMessageId": "3EB0A", "outboxId": "ob_1" }), "3EB0A"),
        (json!({ "messageId": "3EB0B" }), "3EB0B"),
        (
            json!({ "mode": "sync", "waMessageId": "3EB0A", "status": "sent", "outboxId": "ob_1", "replayed": true }),
            "3EB0A",
        ),
        (json!({ "mode": "async", "outboxId": "ob_1" }), "ob_1"),
        (json!({ "mode": "async", "outboxId": "ob_1", "replayed": true }), "ob_1"),
        (json!({}), "3d-1-2-0"),
    ];
    for (answer, name) in named {
        for status in [200, 202] {
            assert_eq!(send_answered(Given::json(status, &answer)).await, Ok(MessageId::new(name)), "{answer}");
        }
    }
    let mute: [&[u8]; 4] = [b"", b"<html>OK</html>", b"\xff\xfe", b"[]"];
    for body in mute {
        let sent = send_answered(Given::body(200, Bytes::from_static(body))).await;
        assert_eq!(sent, Ok(MessageId::new("3d-1-2-0")), "a send that went well is not failed for want of a name");
    }
}

fn failed_before() -> Given {
    Given::json(200, &json!({ "mode": "sync", "status": "failed", "outboxId": "ob_1", "replayed": true }))
}

/// The keys that a send has gone through, and what came of it.
async fn keys(more: &str, answers: Vec<Given>) -> (Result<MessageId, ProviderError>, Vec<String>) {
    let upstream = Upstream::answering(answers);
    let sent = gateway_on(more, upstream.clone()).send(&received_message(), &Part::text("hello"), &key()).await;
    let key = |call: &Seen| call.headers.iter().find(|(name, _)| name == "idempotency-key").map(|(_, key)| key.clone());
    (sent, upstream.seen().iter().filter_map(key).collect())
}

#[tokio::test]
async fn a_send_that_the_gateway_remembers_as_failed_goes_out_under_the_next_key() {
    let (sent, tried) = keys("", vec![failed_before(), failed_before(), accepted()]).await;
    assert_eq!(sent, Ok(MessageId::new("3EB0EXAMPLEOURS")));
    assert_eq!(tried, ["3d-1-2-0", "3d-1-2-0.2", "3d-1-2-0.3"]);
    let down = Given::json(501, &json!({ "error": { "code": "not_implemented", "message": "no client" } }));
    let (sent, tried) = keys("", vec![failed_before(), down]).await;
    assert!(matches!(sent, Err(ProviderError::SessionDown { .. })), "{sent:?}");
    assert_eq!(tried, ["3d-1-2-0", "3d-1-2-0.2"]);
}

#[tokio::test]
async fn a_send_that_always_fails_is_given_up() {
    let (sent, tried) = keys("", (0..60).map(|_| failed_before()).collect()).await;
    assert!(matches!(sent, Err(ProviderError::Rejected { .. })), "{sent:?}");
    assert_eq!(tried.len(), 60);
    let (sent, tried) = keys("resend_failed = false", vec![failed_before()]).await;
    assert!(matches!(sent, Err(ProviderError::Rejected { .. })), "{sent:?}");
    assert_eq!(tried, ["3d-1-2-0"]);
}

#[tokio::test]
async fn a_send_that_fails_just_now_can_be_made_again() {
    let failed = || Given::json(200, &json!({ "mode": "sync", "status": "failed" }));
    let (sent, tried) = keys("", vec![failed()]).await;
    assert!(matches!(sent, Err(ProviderError::Transient { .. })), "{sent:?}");
    assert_eq!(tried, ["3d-1-2-0"]);
    let reaction = Payload::Reaction { message: None, emoji: "👍".into() };
    let sent =
        gateway_on("", Upstream::answering([failed()])).send(&received_message(), &reaction.into(), &key()).await;
    assert!(matches!(sent, Err(ProviderError::Transient { .. })), "{sent:?}");
}

#[tokio::test]
async fn what_the_gateway_has_no_form_for_is_not_sent() {
    let buttons = Payload::Buttons { body: "Which?".into(), footer: None, buttons: Vec::new() };
    let template = Payload::ApprovedTemplate { name: "a".into(), language: "en".into(), components: Vec::new() };
    let in_hand = MediaSource::Bytes { data: Bytes::from_static(b"x"), mime: "image/png".into() };
    let elsewhere = MediaSource::Uploaded("770000000000001".into());
    let sources = [in_hand, elsewhere].map(|source| media(MediaKind::Image, source));
    for payload in [buttons, template].into_iter().chain(sources) {
        let upstream = Upstream::answering([]);
        let sent = gateway_on("", upstream.clone()).send(&received_message(), &payload.into(), &key()).await;
        let error = sent.expect_err("it is refused");
        assert!(matches!(error, ProviderError::Rejected { .. } | ProviderError::Unsupported { .. }), "{error}");
        assert!(upstream.seen().is_empty());
    }
}

#[test]
fn the_abilities_say_what_is_so() {
    let gateway = gateway();
    let abilities = gateway.abilities();
    let typing = &abilities.typing;
    assert_eq!(typing.keyed_by, KeyedBy::Chat);
    assert_eq!(typing.lifetime, Duration::from_secs(20));
    assert_eq!(typing.refresh, Some(Duration::from_secs(8)));
    assert_eq!(typing.stop, Some(StopAbilities { per_second: Some(3), before_send: false }));
    assert!(typing.recording && !typing.start_marks_read && !typing.lit_on_arrival);
    assert_eq!(typing.shown_in(&message_in_group()), GroupTyping::Show);
    assert!(
        abilities.idempotent_sends && !abilities.statuses_carry_key && abilities.choices.is_none() && abilities.places
    );
}

#[test]
fn the_abilities_follow_the_settings() {
    let more = "presence_typing = true\ntyping_lifetime = \"12s\"\ntyping_refresh_every = \"5s\"\n\
                large_groups = [\"120363000000000001@g.us\"]";
    let gateway = gateway_on(more, Upstream::answering([]));
    let typing = &gateway.abilities().typing;
    assert!(typing.lit_on_arrival);
    assert_eq!((typing.lifetime, typing.refresh), (Duration::from_secs(12), Some(Duration::from_secs(5))));
    assert_eq!(typing.shown_in(&message_in_group()), GroupTyping::Sparingly);
    assert_eq!(typing.shown_in(&received_message()), GroupTyping::Show);
    let quiet = gateway_on("group_typing = \"skip\"", Upstream::answering([]));
    assert_eq!(quiet.abilities().typing.shown_in(&message_in_group()), GroupTyping::Skip);
}
