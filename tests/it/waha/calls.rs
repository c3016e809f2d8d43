//! Calls out, and what their answers come to.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use threedots::message::{Media, MediaKind, MediaRef, MessageId, MessageRef, Part, Payload};
use threedots::provider::{Activity, ErrorCode, ProviderError, ReadReceipts, StopAbilities};

use super::waha;
use crate::upstream::{Given, Seen, Upstream};
use crate::wawp::calls::{inline, key, medium, only};
use crate::wawp::{TOKEN, received_in_group, received_message};

const OURS: &str = "true_12025550123@c.us_3EB0FF";

fn accepted() -> Given {
    Given::json(201, &json!({ "id": OURS, "timestamp": 1_767_225_600, "fromMe": true, "ack": 0 }))
}

async fn sent(more: &str, to: &MessageRef, part: impl Into<Part>) -> Seen {
    let upstream = Upstream::answering([accepted()]);
    assert_eq!(waha(more, &upstream).send(to, &part.into(), &key()).await, Ok(MessageId::new(OURS)));
    only(&upstream)
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
    let captioned = Media {
        caption: Some("Look".into()),
        filename: Some("Order 17.pdf".into()),
        ..medium(MediaKind::Document, "https://bakery.example/order")
    };
    let payloads = [
        ("text", Payload::Text { body: "Grüße \u{1f600}".into() }),
        ("image", Payload::Media(medium(MediaKind::Image, "https://bakery.example/cake.png"))),
        ("image_inline", Payload::Media(inline(MediaKind::Image, "data:image/png;base64,iVBORw=="))),
        ("document", Payload::Media(captioned)),
        ("video", Payload::Media(medium(MediaKind::Video, "https://bakery.example/oven.mp4"))),
        ("video_to_convert", Payload::Media(medium(MediaKind::Video, "https://bakery.example/oven.3gp"))),
        ("voice", Payload::Media(medium(MediaKind::Voice, "https://bakery.example/note.ogg"))),
        ("sound", Payload::Media(medium(MediaKind::Audio, "https://bakery.example/song.mp3"))),
        ("sticker", Payload::Media(medium(MediaKind::Sticker, "https://bakery.example/bun.webp"))),
        ("location", place(Some("The bakery"), Some("1 Example Way"))),
        ("location_bare", place(None, None)),
        ("reaction", Payload::Reaction { message: None, emoji: "👍".into() }),
    ];
    for (name, payload) in payloads {
        assert_wire(&format!("send_{name}"), &[sent("", &received_message(), payload).await]);
    }
}

#[tokio::test]
async fn read_receipts_and_the_indicator_have_their_form_on_the_wire() {
    let upstream = Upstream::answering((0..8).map(|_| Given::json(201, &json!({ "result": true }))));
    let provider = waha("", &upstream);
    for message in [received_message(), received_in_group()] {
        assert_eq!(provider.mark_read(&message).await, Ok(()));
        assert_eq!(provider.start_typing(&message, Activity::Typing).await, Ok(()));
        assert_eq!(provider.start_typing(&message, Activity::Recording).await, Ok(()));
        assert_eq!(provider.stop_typing(&message).await, Ok(()));
    }
    assert!(upstream.seen().iter().all(|call| call.headers == [("x-api-key".to_owned(), TOKEN.to_owned())]));
    assert_wire("seen_and_typing", &upstream.seen());
}

#[tokio::test]
async fn settings_change_what_stands_on_the_wire() {
    let more =
        "base_url = \"https://waha.example/here\"\nsession = \"shop 2\"\nseen = \"chat\"\nown_message_ids = true";
    let upstream = Upstream::answering((0..5).map(|_| accepted()));
    let provider = waha(more, &upstream);
    let to = received_in_group();
    let quoting = Part { quote: true, ..Part::text("hello") };
    provider.send(&to, &quoting, &key()).await.expect("sent");
    let place = Payload::Location { latitude: 1.0, longitude: 2.0, name: None, address: None };
    provider.send(&to, &place.into(), &key()).await.expect("sent");
    provider.mark_read(&to).await.expect("read");
    provider.start_typing(&to, Activity::Recording).await.expect("shown");
    provider.send(&to, &Part::text("another"), &threedots::message::PartKey::new("3d-1/1")).await.expect("sent");
    let seen = upstream.seen();
    assert_wire("with_other_settings", &seen);
    assert_eq!(seen[0].body["id"], seen[1].body["id"], "one key, one name");
    assert_ne!(seen[0].body["id"], seen[4].body["id"]);
}

#[tokio::test]
async fn the_key_is_shown_to_waha_alone() {
    let image = |url: &str| MediaRef {
        kind: MediaKind::Image,
        id: None,
        url: Some(url.to_owned()),
        mime: None,
        sha256: None,
        caption: None,
        filename: None,
        size: None,
        transcript: None,
    };
    let more = "base_url = \"https://waha.example\"\nmedia_hosts = [\"*.bucket.example\"]";
    for (url, shown) in
        [("https://waha.example/api/files/cake.jpg", true), ("https://eu.bucket.example/cake.jpg?signed=1", false)]
    {
        let upstream = Upstream::answering([Given::body(200, "a cake")]);
        waha(more, &upstream).fetch_media(&image(url), 100).await.expect("allowed");
        assert_eq!(only(&upstream).headers.is_empty(), !shown, "{url}");
    }
    for url in ["https://waha.example:8443/x", "http://localhost:3000/api/files/x", "https://bucket.example/x"] {
        let upstream = Upstream::answering([]);
        let error = waha(more, &upstream).fetch_media(&image(url), 100).await.err();
        assert!(matches!(error, Some(ProviderError::Rejected { code: ErrorCode::Local(_) })), "{url}");
    }
    let upstream = Upstream::answering([Given::body(200, "a cake")]);
    waha("", &upstream).fetch_media(&image("http://localhost:3000/api/files/x"), 100).await.expect("on this machine");
    assert_eq!(only(&upstream).headers.len(), 1);
}

#[tokio::test]
async fn a_404_speaks_of_the_session_or_of_a_wrong_address() {
    let send = async |status: u16, message: &str| {
        let body = json!({ "message": message, "statusCode": status });
        let upstream = Upstream::answering([Given::json(status, &body)]);
        waha("", &upstream).send(&received_message(), &Part::text("hello"), &key()).await
    };
    let code = ErrorCode::Status(404);
    assert_eq!(send(404, "Session \"default\" does not exist").await, Err(ProviderError::SessionDown { code }));
    assert_eq!(send(404, "Cannot POST /api/sendText").await, Err(ProviderError::Rejected { code }));
    assert_eq!(send(401, "Unauthorized").await, Err(ProviderError::Unauthorized { code: ErrorCode::Status(401) }));
}

#[tokio::test]
async fn a_session_that_is_not_working_says_in_which_state_it_is() {
    let send = async |word: &str| {
        let body = json!({ "error": "…", "session": "default", "status": word, "expected": ["WORKING"] });
        let upstream: Arc<Upstream> = Upstream::answering([Given::json(422, &body)]);
        waha("", &upstream).send(&received_message(), &Part::text("hello"), &key()).await
    };
    let code = ErrorCode::Status(422);
    for word in ["FAILED", "STOPPED", "SCAN_QR_CODE"] {
        assert_eq!(send(word).await, Err(ProviderError::SessionDown { code }), "{word}");
    }
    assert_eq!(send("STARTING").await, Err(ProviderError::Transient { code }));
}

#[test]
fn the_core_learns_how_the_dots_behave() {
    let provider = waha("", &Upstream::answering([]));
    let abilities = provider.abilities();
    assert_eq!(provider.name(), "waha");
    assert!(abilities.typing.recording && abilities.places && abilities.choices.is_none());
    assert_eq!(abilities.typing.stop, Some(StopAbilities { per_second: Some(3), before_send: false }));
    assert_eq!(abilities.typing.lifetime, Duration::from_secs(10));
    assert_eq!(abilities.reads, ReadReceipts::Message);
    let stopping = waha("stop_before_send = true\nseen = \"chat\"", &Upstream::answering([]));
    let stop = stopping.abilities().typing.stop;
    assert_eq!(stop, Some(StopAbilities { per_second: Some(3), before_send: true }));
    assert_eq!(stopping.abilities().reads, ReadReceipts::Chat);
}

#[test]
fn places_and_stickers_may_be_sent() {
    let provider = waha("", &Upstream::answering([]));
    let place = |latitude| Payload::Location { latitude, longitude: 2.0, name: None, address: None };
    assert_eq!(provider.check(&place(90.0).into()), Ok(()));
    assert!(provider.check(&place(90.1).into()).is_err());
    let sticker = medium(MediaKind::Sticker, "https://bakery.example/bun.webp");
    assert_eq!(provider.check(&Payload::Media(sticker.clone()).into()), Ok(()));
    let captioned = Media { caption: Some("x".into()), ..sticker };
    assert!(provider.check(&Payload::Media(captioned).into()).is_err());
}
