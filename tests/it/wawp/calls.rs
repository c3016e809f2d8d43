//! Every call that goes out, as it stands on the wire.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use threedots::message::{Media, MediaKind, MediaSource, MessageId, MessageRef, Part, PartKey, Payload};
use threedots::provider::{Activity, ErrorCode, ProviderError};

use super::{INSTANCE, TOKEN, received_in_group, received_message, wawp};
use crate::upstream::{Given, Seen, Upstream};

/// What Wawp answers to a send (its own sample, shortened).
pub(crate) fn accepted() -> Given {
    let id = json!({ "fromMe": true, "remote": "12025550123@c.us", "id": "3EB0FF", "_serialized": OURS });
    Given::json(200, &json!({ "_data": { "id": id }, "id": id, "ack": 0, "type": "chat", "vCards": {} }))
}

pub(crate) const OURS: &str = "true_12025550123@c.us_3EB0FF";

pub(crate) fn key() -> PartKey {
    PartKey::new("3d-1/0")
}

/// The call that sends `part` in answer to `to`.
async fn sent(more: &str, to: &MessageRef, part: impl Into<Part>) -> Seen {
    let upstream = Upstream::answering([accepted()]);
    assert_eq!(wawp(more, &upstream).send(to, &part.into(), &key()).await, Ok(MessageId::new(OURS)));
    only(&upstream)
}

pub(crate) fn only(upstream: &Arc<Upstream>) -> Seen {
    let [call] = upstream.seen().try_into().expect("one call");
    call
}

pub(crate) fn medium(kind: MediaKind, link: &str) -> Media {
    Media { kind, source: MediaSource::Link(link.into()), caption: None, filename: None }
}

pub(crate) fn inline(kind: MediaKind, name: &str) -> Media {
    Media { kind, source: MediaSource::Uploaded(name.into()), caption: None, filename: None }
}

fn assert_wire(name: &str, calls: &[Seen]) {
    insta::with_settings!({ sort_maps => true }, { insta::assert_json_snapshot!(name, calls) });
}

#[tokio::test]
async fn every_payload_has_its_form_on_the_wire() {
    let captioned = Media {
        caption: Some("Look".into()),
        filename: Some("Order 17.pdf".into()),
        ..medium(MediaKind::Document, "https://bakery.example/a/order%20(1).pdf?x=1")
    };
    let reaction = |message: Option<&str>, emoji: &str| Payload::Reaction {
        message: message.map(MessageId::new),
        emoji: emoji.into(),
    };
    let payloads = [
        ("text", Payload::Text { body: "Grüße \u{1f600} \"quoted\"\nsecond line".into() }),
        ("image", Payload::Media(medium(MediaKind::Image, "https://bakery.example/cake.png"))),
        ("image_inline", Payload::Media(inline(MediaKind::Image, "data:image/png;base64,iVBORw=="))),
        ("document", Payload::Media(captioned)),
        ("video", Payload::Media(medium(MediaKind::Video, "https://bakery.example/oven"))),
        ("voice", Payload::Media(medium(MediaKind::Voice, "https://bakery.example/note.ogg"))),
        ("voice_to_convert", Payload::Media(medium(MediaKind::Voice, "https://bakery.example/note.mp3"))),
        ("sound", Payload::Media(medium(MediaKind::Audio, "https://bakery.example/song"))),
        ("reaction", reaction(None, "👍")),
        ("reaction_elsewhere", reaction(Some("true_12025550123@c.us_3EB0CC"), "")),
    ];
    for (name, payload) in payloads {
        assert_wire(&format!("send_{name}"), &[sent("", &received_message(), payload).await]);
    }
}

#[tokio::test]
async fn read_receipts_and_the_indicator_have_their_form_on_the_wire() {
    let upstream = Upstream::answering((0..8).map(|_| Given::body(200, "")));
    let provider = wawp("", &upstream);
    for message in [received_message(), received_in_group()] {
        assert_eq!(provider.mark_read(&message).await, Ok(()));
        assert_eq!(provider.start_typing(&message, Activity::Typing).await, Ok(()));
        // There is no path for it: it is typing.
        assert_eq!(provider.start_typing(&message, Activity::Recording).await, Ok(()));
        assert_eq!(provider.stop_typing(&message).await, Ok(()));
    }
    assert_wire("seen_and_typing", &upstream.seen());
}

#[tokio::test]
async fn settings_change_what_stands_on_the_wire() {
    let more = r#"
        base_url = "https://wawp.example/proxy/"
        text_field = "text"
        media_style = "nested"
        seen = "chat"
        recording_path = "/v2/send/start-recording"
        timeout = "7s"
    "#;
    let upstream = Upstream::answering([accepted(), accepted(), accepted(), accepted()]);
    let provider = wawp(more, &upstream);
    let to = received_in_group();
    provider.send(&to, &Part::text("hello"), &key()).await.expect("sent");
    let image = Payload::Media(medium(MediaKind::Image, "https://bakery.example/cake.jpg"));
    provider.send(&to, &image.into(), &key()).await.expect("sent");
    provider.mark_read(&to).await.expect("read");
    provider.start_typing(&to, Activity::Recording).await.expect("shown");
    assert!(upstream.seen().iter().all(|call| call.timeout == Duration::from_secs(7)));
    assert_wire("with_other_settings", &upstream.seen());
}

#[tokio::test]
async fn credentials_travel_in_the_place_that_is_configured_and_in_no_other() {
    let encoded: String = url::form_urlencoded::byte_serialize(TOKEN.as_bytes()).collect();
    for place in ["body", "query", "headers"] {
        let call = sent(&format!("credentials = \"{place}\""), &received_message(), Part::text("hello")).await;
        let url = url::Url::parse(&call.url).expect("an address");
        let bearer = format!("Bearer {TOKEN}");
        let in_body = call.body["access_token"] == TOKEN && call.body["instance_id"] == INSTANCE;
        let in_query = url.query() == Some(&*format!("instance_id={INSTANCE}&access_token={encoded}"));
        let headers: Vec<_> = call.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let in_headers = headers == [("authorization", &*bearer), ("x-instance-id", INSTANCE)];
        assert_eq!((in_body, in_query, in_headers), (place == "body", place == "query", place == "headers"));
        assert_eq!(call.body.get("access_token").is_some(), place == "body");
        assert_eq!(url.query().is_some(), place == "query");
        assert_eq!(headers.is_empty(), place != "headers");
        assert_eq!(url.path(), "/v2/send/text");
        assert_eq!(call.body["message"], "hello");
    }
}

#[tokio::test]
async fn a_reply_quotes_only_on_request_and_a_reaction_never() {
    let quoting = |payload: Payload| Part { quote: true, ..payload.into() };
    let image = Payload::Media(medium(MediaKind::Image, "https://bakery.example/cake.jpg"));
    let text = Payload::Text { body: "hello".into() };
    for payload in [text.clone(), image] {
        let call = sent("", &received_message(), quoting(payload)).await;
        assert_eq!(call.body["reply_to"], received_message().message.as_str());
    }
    let reaction = Payload::Reaction { message: None, emoji: "👍".into() };
    assert_eq!(sent("", &received_message(), quoting(reaction)).await.body.get("reply_to"), None);
    assert_eq!(sent("", &received_message(), text).await.body.get("reply_to"), None);
}

#[tokio::test]
async fn calls_about_an_edit_name_the_message_that_was_edited() {
    let message = MessageId::new("false_12025550123@c.us_3EB0AA#evt_01");
    let to = MessageRef { message, ..received_message() };
    let upstream = Upstream::answering([accepted(), accepted()]);
    let provider = wawp("", &upstream);
    provider.mark_read(&to).await.expect("read");
    let reaction = Payload::Reaction { message: None, emoji: "👍".into() };
    provider.send(&to, &reaction.into(), &key()).await.expect("sent");
    let [read, reaction] = upstream.seen().try_into().expect("two calls");
    assert_eq!(read.body["messageIds"], json!(["false_12025550123@c.us_3EB0AA"]));
    assert_eq!(reaction.body["messageId"], "false_12025550123@c.us_3EB0AA");
}

#[tokio::test]
async fn what_wawp_has_no_call_for_leaves_no_trace() {
    let upstream = Upstream::answering([]);
    let provider = wawp("", &upstream);
    let payloads = [
        Payload::Location { latitude: 1.0, longitude: 2.0, name: None, address: None },
        Payload::Buttons { body: "?".into(), footer: None, buttons: Vec::new() },
        Payload::ApprovedTemplate { name: "a".into(), language: "en".into(), components: vec![Value::Null] },
        Payload::Media(medium(MediaKind::Sticker, "https://bakery.example/bun.webp")),
    ];
    for payload in payloads {
        let part = payload.into();
        let error = provider.send(&received_message(), &part, &key()).await.expect_err("it cannot");
        assert!(matches!(error, ProviderError::Unsupported { code: ErrorCode::Local(_) }), "{error}");
        assert!(provider.check(&part).is_err());
    }
    assert!(upstream.seen().is_empty());
}
