//! Media: out inside the message, in only where the gateway keeps them.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};
use threedots::message::reply::{Media, MediaSource};
use threedots::message::{MediaKind, MediaRef, Part, PartKey, Payload};
use threedots::provider::{ErrorCode, ProviderError};

use super::{TOKEN, gateway, gateway_on, received_message};
use crate::upstream::{Given, Seen, Upstream};

const KEPT: &str = "https://gateway.example/api/v1/media/01J0ASSET/content?token=fictional";
const ASKED: &str = "https://gateway.example/api/v1/media/01J0ASSET";

fn image(id: Option<&str>, url: Option<&str>) -> MediaRef {
    MediaRef {
        id: id.map(Into::into),
        url: url.map(Into::into),
        mime: Some("image/jpeg".into()),
        ..MediaRef::of(MediaKind::Image)
    }
}

fn stored(body: &Value) -> Given {
    Given::json(200, body)
}

fn content(body: &'static str) -> Given {
    let headers =
        vec![("content-type", "application/octet-stream".to_owned()), ("content-length", body.len().to_string())];
    Given::Answer(200, headers, Bytes::from_static(body.as_bytes()))
}

/// What fetching comes to, as bytes and MIME type, and the calls that it took.
async fn fetch(
    more: &str,
    media: &MediaRef,
    answers: impl IntoIterator<Item = Given>,
) -> (Result<(Bytes, Option<String>), ProviderError>, Vec<Seen>) {
    let upstream = Upstream::answering(answers);
    let fetched = match gateway_on(more, upstream.clone()).fetch_media(media, 7).await {
        Ok(download) => {
            let mime = download.mime.clone();
            Ok((download.into_memory().await.expect("it is read"), mime))
        }
        Err(error) => Err(error),
    };
    (fetched, upstream.seen())
}

fn urls(calls: &[Seen]) -> Vec<&str> {
    calls.iter().map(|call| call.url.as_str()).collect()
}

#[tokio::test]
async fn a_medium_that_was_only_announced_cannot_be_fetched() {
    let (fetched, calls) = fetch("", &image(None, None), []).await;
    assert!(matches!(fetched, Err(ProviderError::Unsupported { code: ErrorCode::Local(_) })), "{fetched:?}");
    assert!(calls.is_empty());
}

#[tokio::test]
async fn a_kept_medium_is_fetched_where_the_gateway_says_and_without_our_key() {
    let answers =
        [stored(&json!({ "id": "01J0ASSET", "status": "ready", "url": KEPT, "size": 7 })), content("picture")];
    let (fetched, calls) = fetch("", &image(Some("01J0ASSET"), None), answers).await;
    assert_eq!(fetched, Ok((Bytes::from_static(b"picture"), Some("image/jpeg".into()))));
    assert_eq!(urls(&calls), [ASKED, KEPT]);
    assert_eq!(calls[0].headers, [("authorization".to_owned(), format!("Bearer {TOKEN}"))]);
    assert!(calls[1].headers.is_empty(), "the address is the permission");
}

#[tokio::test]
async fn an_address_that_came_along_is_tried_first() {
    let (fetched, calls) = fetch("", &image(Some("01J0ASSET"), Some(KEPT)), [content("picture")]).await;
    assert!(fetched.is_ok());
    assert_eq!(urls(&calls), [KEPT]);
    let gone = || Given::json(404, &json!({ "error": { "code": "not_found", "message": "attachment" } }));
    let newer = KEPT.replace("fictional", "newer");
    let answers = [gone(), stored(&json!({ "status": "ready", "url": newer })), content("picture")];
    let (fetched, calls) = fetch("", &image(Some("01J0ASSET"), Some(KEPT)), answers).await;
    assert!(fetched.is_ok());
    assert_eq!(urls(&calls), [KEPT, ASKED, &newer]);
    let (fetched, _) = fetch("", &image(None, Some(KEPT)), [gone()]).await;
    assert_eq!(fetched, Err(ProviderError::Rejected { code: ErrorCode::Status(404) }));
}

#[tokio::test]
async fn a_medium_that_is_not_stored_yet_can_be_asked_for_again() {
    for status in ["pending", "uploading", ""] {
        let (fetched, _) = fetch("", &image(Some("01J0ASSET"), None), [stored(&json!({ "status": status }))]).await;
        assert!(matches!(fetched, Err(ProviderError::Transient { .. })), "{status}: {fetched:?}");
    }
    for status in ["expired", "failed"] {
        let (fetched, _) = fetch("", &image(Some("01J0ASSET"), None), [stored(&json!({ "status": status }))]).await;
        assert!(matches!(fetched, Err(ProviderError::Rejected { .. })), "{status}: {fetched:?}");
    }
    let (fetched, _) = fetch("", &image(Some("01J0ASSET"), None), [Given::body(200, "<html>")]).await;
    assert!(matches!(fetched, Err(ProviderError::Transient { .. })));
}

#[tokio::test]
async fn a_key_that_may_not_read_is_no_reason_to_stop_sending() {
    let refused = Given::json(403, &json!({ "error": { "code": "forbidden", "message": "missing capability" } }));
    let (fetched, _) = fetch("", &image(Some("01J0ASSET"), None), [refused]).await;
    assert_eq!(fetched, Err(ProviderError::Rejected { code: ErrorCode::Status(403) }));
}

#[tokio::test]
async fn a_medium_that_is_too_large_is_not_fetched() {
    let larger = stored(&json!({ "status": "ready", "url": KEPT, "size": 8 }));
    let (fetched, calls) = fetch("", &image(Some("01J0ASSET"), None), [larger]).await;
    assert!(matches!(fetched, Err(ProviderError::Rejected { .. })));
    assert_eq!(urls(&calls), [ASKED]);
    let (fetched, calls) = fetch("", &image(Some("01J0ASSET"), Some(KEPT)), [content("pictures")]).await;
    assert!(matches!(fetched, Err(ProviderError::Rejected { .. })));
    assert_eq!(urls(&calls), [KEPT]);
}

#[tokio::test]
async fn an_address_on_a_strangers_host_is_not_followed() {
    let strange = [
        "https://strangers.example/x",
        "http://gateway.example/x",
        "https://gateway.example:8443/x",
        "https://gateway.example.strangers.example/x",
        "https://user:pass@gateway.example/x",
        "file:///etc/passwd",
        "x",
    ];
    for url in strange {
        let (fetched, calls) = fetch("", &image(None, Some(url)), []).await;
        assert!(matches!(fetched, Err(ProviderError::Rejected { code: ErrorCode::Local(_) })), "{url}");
        assert!(calls.is_empty());
    }
    let more = "media_hosts = [\"*.files.example\"]";
    let (fetched, _) = fetch(more, &image(None, Some("https://eu.files.example/x")), [content("picture")]).await;
    assert!(fetched.is_ok());
}

#[tokio::test]
async fn a_medium_in_hand_travels_inside_the_message() {
    let data = Bytes::from_static(b"OggS \xff\x00 fictional");
    let name = gateway().upload_media(data.clone(), "audio/ogg; codecs=opus").await.expect("it is small");
    let upstream = Upstream::answering([Given::json(200, &json!({ "waMessageId": "3EB0A" }))]);
    let media = Media { kind: MediaKind::Voice, source: MediaSource::Uploaded(name), caption: None, filename: None };
    let part = Part::from(Payload::Media(media));
    gateway_on("", upstream.clone()).send(&received_message(), &part, &PartKey::new("1/0")).await.expect("sent");
    let wire = upstream.seen()[0].body["media"].clone();
    assert_eq!(wire["mimetype"], "audio/ogg; codecs=opus");
    assert_eq!(BASE64_STANDARD.decode(wire["data"].as_str().expect("text")).expect("base64"), data);
    assert_eq!(wire.get("url"), None);
}

#[tokio::test]
async fn a_medium_in_hand_leaves_room_for_the_record_that_holds_it() {
    let largest = gateway().upload_media(Bytes::from(vec![7; 700 << 10]), "image/png").await.expect("it fits");
    assert!(largest.len() < 1 << 20);
    for (size, mime) in [((700 << 10) + 1, "image/png"), (0, "image/png"), (1, "png"), (1, "image/png,x")] {
        let refused = gateway().upload_media(Bytes::from(vec![7; size]), mime).await;
        assert!(matches!(refused, Err(ProviderError::Rejected { code: ErrorCode::Local(_) })), "{size} of {mime}");
    }
}
