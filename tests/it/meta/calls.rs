//! Every call that goes out, as it stands on the wire, and what its answer comes to.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use threedots::message::reply::{Choice, Media, MediaSource, Row, Section};
use threedots::message::{MediaKind, MessageId, MessageRef, Part, PartKey, Payload};
use threedots::provider::{Activity, ErrorCode, Provider, ProviderError};
use threedots::runtime::http::CallError;

use super::upstream::{Given, Seen, Upstream};
use super::{TOKEN, meta, meta_on, received_message, settings};

fn accepted() -> Given {
    let contact = json!({ "input": "+12025550123", "wa_id": "12025550123" });
    let body = json!({ "messaging_product": "whatsapp", "contacts": [contact], "messages": [{ "id": "wamid.FICTIONAL-OURS" }] });
    Given::json(200, &body)
}

fn key() -> PartKey {
    PartKey::new("turn-1/0")
}

/// The call that sends `part` in answer to `to`.
async fn sent(to: &MessageRef, part: impl Into<Part>) -> Seen {
    let upstream = Upstream::answering([accepted()]);
    let id = meta_on(settings(), upstream.clone()).send(to, &part.into(), &key()).await;
    assert_eq!(id, Ok(MessageId::new("wamid.FICTIONAL-OURS")));
    let [call] = upstream.seen().try_into().expect("one call");
    call
}

/// Compares calls with how they are known to look.
fn assert_wire(name: &str, calls: &[Seen]) {
    insta::with_settings!({ sort_maps => true }, { insta::assert_json_snapshot!(name, calls) });
}

fn media(kind: MediaKind, source: MediaSource) -> Media {
    Media { kind, source, caption: None, filename: None }
}

fn link(path: &str) -> MediaSource {
    MediaSource::Link(format!("https://bakery.example/{path}"))
}

fn choices(titles: &[(&str, &str)]) -> Vec<Choice> {
    titles.iter().map(|(id, title)| Choice { id: (*id).into(), title: (*title).into() }).collect()
}

#[tokio::test]
async fn every_payload_has_its_form_on_the_wire() {
    let row = |id: &str, description: Option<&str>| Row {
        id: id.into(),
        title: format!("Row {id}"),
        description: description.map(Into::into),
    };
    let place = |name: Option<&str>, address: Option<&str>| Payload::Location {
        latitude: 37.5,
        longitude: -122.25,
        name: name.map(Into::into),
        address: address.map(Into::into),
    };
    let captioned =
        |kind, source| Media { caption: Some("Look".into()), filename: Some("a.pdf".into()), ..media(kind, source) };
    let template =
        |components| Payload::ApprovedTemplate { name: "order_ready".into(), language: "en_US".into(), components };
    let payloads = [
        ("text", Payload::Text { body: "Grüße \u{1f600} \"quoted\"\nsecond line".into() }),
        ("image_by_link", Payload::Media(captioned(MediaKind::Image, link("cake.jpg")))),
        ("image_uploaded", Payload::Media(media(MediaKind::Image, MediaSource::Uploaded("770000000000001".into())))),
        ("video", Payload::Media(captioned(MediaKind::Video, link("oven.mp4")))),
        ("audio", Payload::Media(media(MediaKind::Audio, link("song.mp3")))),
        ("voice", Payload::Media(media(MediaKind::Voice, MediaSource::Uploaded("770000000000002".into())))),
        ("document", Payload::Media(captioned(MediaKind::Document, link("a.pdf")))),
        ("sticker", Payload::Media(media(MediaKind::Sticker, link("bun.webp")))),
        (
            "buttons",
            Payload::Buttons {
                body: "Fresh bread?".into(),
                footer: Some("Until noon".into()),
                buttons: choices(&[("yes", "Yes, please"), ("no", "No")]),
            },
        ),
        (
            "buttons_without_footer",
            Payload::Buttons { body: "Fresh bread?".into(), footer: None, buttons: choices(&[("yes", "Yes")]) },
        ),
        (
            "list",
            Payload::List {
                body: "Which?".into(),
                button: "Choose".into(),
                footer: Some("Until noon".into()),
                sections: vec![
                    Section { title: "Bread".into(), rows: vec![row("1", Some("With seeds")), row("2", None)] },
                    Section { title: "Cake".into(), rows: vec![row("3", None)] },
                ],
            },
        ),
        (
            "list_of_one_section",
            Payload::List {
                body: "Which?".into(),
                button: "Choose".into(),
                footer: None,
                sections: vec![Section { title: String::new(), rows: vec![row("1", None)] }],
            },
        ),
        ("location", place(Some("The bakery"), Some("1 Example Way"))),
        ("location_bare", place(None, None)),
        ("reaction", Payload::Reaction { message: None, emoji: "👍".into() }),
        (
            "reaction_elsewhere",
            Payload::Reaction { message: Some(MessageId::new("wamid.FICTIONAL-OTHER")), emoji: String::new() },
        ),
        ("template", template(Vec::new())),
        (
            "template_with_parameters",
            template(vec![json!({ "type": "body", "parameters": [{ "type": "text", "text": "42" }] })]),
        ),
    ];
    for (name, payload) in payloads {
        assert_wire(&format!("send_{name}"), &[sent(&received_message(), payload).await]);
    }
}

#[tokio::test]
async fn read_receipts_and_the_indicator_have_their_form_on_the_wire() {
    let done = || Given::json(200, &json!({ "success": true }));
    let upstream = Upstream::answering([done(), done(), done()]);
    let meta = meta_on(settings(), upstream.clone());
    assert_eq!(meta.mark_read(&received_message()).await, Ok(()));
    assert_eq!(meta.start_typing(&received_message(), Activity::Typing).await, Ok(()));
    assert_eq!(meta.start_typing(&received_message(), Activity::Recording).await, Ok(()));
    let [read, typing, recording] = upstream.seen().try_into().expect("three calls");
    assert_wire("mark_read", std::slice::from_ref(&read));
    assert_wire("start_typing", std::slice::from_ref(&typing));
    assert_eq!(recording.body, typing.body, "there is one indicator only");
}

#[tokio::test]
async fn the_indicator_cannot_be_taken_off() {
    let upstream = Upstream::answering([]);
    let stopped = meta_on(settings(), upstream.clone()).stop_typing(&received_message()).await;
    assert!(matches!(stopped, Err(ProviderError::Unsupported { code: ErrorCode::Local(_) })));
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn an_upload_has_its_form_on_the_wire() {
    let upstream = Upstream::answering([Given::json(200, &json!({ "id": "770000000000009" }))]);
    let meta = meta_on(settings(), upstream.clone());
    let id = meta.upload_media(Bytes::from_static(b"OggS fictional"), "audio/ogg; codecs=opus").await;
    assert_eq!(id.as_deref(), Ok("770000000000009"));
    assert_wire("upload", &upstream.seen());
}

#[tokio::test]
async fn a_quote_stands_above_what_can_have_one() {
    let quoting = |payload: Payload| Part { quote: true, ..payload.into() };
    let call = sent(&received_message(), quoting(Payload::Text { body: "Yes".into() })).await;
    assert_eq!(call.body["context"], json!({ "message_id": "wamid.FICTIONAL-TEXT" }));
    let reaction = Payload::Reaction { message: None, emoji: "👍".into() };
    let template = Payload::ApprovedTemplate { name: "a".into(), language: "en".into(), components: Vec::new() };
    for payload in [reaction, template] {
        assert_eq!(sent(&received_message(), quoting(payload)).await.body.get("context"), None);
    }
}

/// Where a message goes, as the wire says it.
async fn recipient(to: &MessageRef) -> [Value; 3] {
    let mut body = sent(to, Part::text("hello")).await.body;
    ["recipient_type", "to", "recipient"].map(|key| body[key].take())
}

#[tokio::test]
async fn a_phone_number_gets_its_plus() {
    let mut to = received_message();
    assert_eq!(recipient(&to).await, [json!("individual"), json!("+12025550123"), Value::Null]);
    to.phone = Some(threedots::message::ContactId::new("+12025550123"));
    assert_eq!(recipient(&to).await[1], json!("+12025550123"));
}

#[tokio::test]
async fn who_has_no_phone_number_is_reached_by_identifier() {
    let to = MessageRef { phone: None, ..received_message() };
    assert_eq!(recipient(&to).await, [json!("individual"), Value::Null, json!("US.FICTION00000000000123")]);
}

#[tokio::test]
async fn a_group_is_reached_by_its_own_identifier() {
    let chat = threedots::message::ChatId::new("FICTIONAL-GROUP-0001");
    let to = MessageRef { group: true, chat, ..received_message() };
    assert_eq!(recipient(&to).await, [json!("group"), json!("FICTIONAL-GROUP-0001"), Value::Null]);
}

#[tokio::test]
async fn the_address_is_built_from_the_settings() {
    let mut settings = settings();
    settings.base_url = "http://127.0.0.1:4711/graph/".parse().expect("an address");
    settings.graph_version = "v26.0".into();
    settings.send_timeout = Duration::from_secs(3);
    let upstream = Upstream::answering([accepted()]);
    meta_on(settings, upstream.clone()).send(&received_message(), &Part::text("hello"), &key()).await.expect("sent");
    let call = &upstream.seen()[0];
    assert_eq!(call.url, "http://127.0.0.1:4711/graph/v26.0/109900000000001/messages");
    assert_eq!(call.timeout, Duration::from_secs(3));
}

#[tokio::test]
async fn a_medium_in_hand_is_not_sent_unuploaded() {
    let upstream = Upstream::answering([]);
    let source = MediaSource::Bytes { data: Bytes::from_static(b"x"), mime: "image/png".into() };
    let part = Payload::Media(media(MediaKind::Image, source)).into();
    let sent = meta_on(settings(), upstream.clone()).send(&received_message(), &part, &key()).await;
    assert!(matches!(sent, Err(ProviderError::Rejected { code: ErrorCode::Local(_) })));
    assert!(upstream.seen().is_empty());
}

async fn send_answered(answer: Given) -> Result<MessageId, ProviderError> {
    meta_on(settings(), Upstream::answering([answer])).send(&received_message(), &Part::text("hello"), &key()).await
}

#[tokio::test]
async fn a_send_whose_answer_names_no_message_may_have_been_delivered() {
    let bodies = [
        Bytes::new(),
        Bytes::from_static(b"<html>OK</html>"),
        Bytes::from_static(b"\xff\xfe"),
        Bytes::from_static(b"[]"),
        Bytes::from_static(b"{}"),
        Bytes::from_static(br#"{"messages":[]}"#),
        Bytes::from_static(br#"{"messages":[{"id":""}]}"#),
        Bytes::from_static(br#"{"messages":"wamid.1"}"#),
        Bytes::from_static(br#"{"messages":[{"id":"wamid.1"}]"#),
        Bytes::from(format!("{}{}", "[".repeat(10_000), "]".repeat(10_000))),
        Bytes::from(vec![b' '; 1 << 20]),
    ];
    for body in bodies {
        let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
        let sent = send_answered(Given::body(200, body)).await;
        assert!(matches!(sent, Err(ProviderError::Ambiguous { .. })), "{shown}: {sent:?}");
    }
}

#[tokio::test]
async fn a_receipt_whose_answer_does_not_say_done_is_not_taken_for_done() {
    for body in ["", "{}", r#"{"success":false}"#, r#"{"success":null}"#, "true", "OK"] {
        let upstream = Upstream::answering([Given::body(200, body)]);
        let read = meta_on(settings(), upstream).mark_read(&received_message()).await;
        assert!(matches!(read, Err(ProviderError::Ambiguous { .. })), "{body}: {read:?}");
    }
}

#[tokio::test]
async fn a_call_that_never_left_can_be_made_again_and_one_without_an_answer_cannot() {
    let sent = send_answered(Given::Error(CallError::NotSent("cannot connect"))).await;
    assert_eq!(sent, Err(ProviderError::Transient { code: ErrorCode::Network("cannot connect") }));
    let sent = send_answered(Given::Error(CallError::Unanswered("connection lost"))).await;
    assert_eq!(sent, Err(ProviderError::Ambiguous { code: ErrorCode::Network("connection lost") }));
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_with_its_timeout_even_if_the_transport_does_not() {
    let began = tokio::time::Instant::now();
    let sent = send_answered(Given::Silence).await;
    assert_eq!(sent, Err(ProviderError::Ambiguous { code: ErrorCode::Network("timed out") }));
    assert_eq!(began.elapsed(), Duration::from_secs(15));
}

#[test]
fn its_abilities_are_metas() {
    let meta = meta();
    let abilities = meta.abilities();
    assert_eq!(meta.name(), "meta");
    assert_eq!(abilities.text_limit, 4096);
    assert!(abilities.statuses_carry_key && !abilities.idempotent_sends);
    let typing = &abilities.typing;
    assert!(typing.start_marks_read && typing.stop.is_none() && !typing.recording);
    assert_eq!((typing.lifetime, typing.lead), (Duration::from_secs(25), Duration::ZERO));
    assert_eq!((typing.refresh, typing.max_refreshes), (Some(Duration::from_secs(26)), 4));
}

#[test]
fn the_refresh_can_be_turned_off_and_is_never_shorter_than_the_indicator_lasts() {
    let refresh = |refresh| {
        let mut settings = settings();
        settings.typing_refresh = refresh;
        meta_on(settings, Upstream::answering([])).abilities().typing.refresh
    };
    assert_eq!(refresh(None), None);
    assert_eq!(refresh(Some(Duration::from_secs(4))), Some(Duration::from_secs(25)));
    assert_eq!(refresh(Some(Duration::from_secs(30))), Some(Duration::from_secs(30)));
}

#[tokio::test]
async fn the_token_travels_in_its_header_and_nowhere_else() {
    let call = sent(&received_message(), Part::text("hello")).await;
    assert_eq!(call.headers, [("authorization".to_owned(), format!("Bearer {TOKEN}"))]);
    assert!(!call.url.contains(TOKEN) && !call.body.to_string().contains(TOKEN));
}
