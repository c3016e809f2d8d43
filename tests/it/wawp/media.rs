//! Media in and out: none is uploaded, and none is fetched from where nobody allowed it.

use std::time::Duration;

use bytes::Bytes;
use threedots::delivery::outbox;
use threedots::message::{Content, Media, MediaKind, MediaRef, MediaSource, Payload};
use threedots::provider::{ErrorCode, ProviderError};
use threedots::sandbox::{Draft, Upstream as Kind};

use super::calls::{accepted, key, only};
use super::{received_message, wawp};
use crate::upstream::{Given, Upstream};
use crate::world::{Setup, echo};

fn at(url: Option<&str>) -> MediaRef {
    MediaRef { url: url.map(str::to_owned), ..MediaRef::of(MediaKind::Image) }
}

#[tokio::test]
async fn a_medium_is_fetched_from_wawp_without_credentials_and_from_nowhere_else() {
    for (more, url) in [
        ("", "https://api.wawp.net/api/files/cake.jpg"),
        ("", "https://media7.wawp.net/api/files/cake.jpg"),
        ("media_hosts = [\"bucket.example\"]", "https://bucket.example/cake.jpg?signed=1"),
        ("credentials = \"headers\"", "https://api.wawp.net/api/files/cake.jpg"),
    ] {
        let upstream = Upstream::answering([Given::body(200, "a cake")]);
        let download = wawp(more, &upstream).fetch_media(&at(Some(url)), 100).await.expect("allowed");
        assert_eq!(download.into_memory().await.expect("it is there"), Bytes::from("a cake"));
        let call = only(&upstream);
        assert_eq!((call.method, call.url.as_str(), call.headers), ("GET", url, Vec::new()));
    }
    for url in [
        "https://evil.example/cake.jpg",
        "https://api.wawp.net.evil.example/cake.jpg",
        "http://api.wawp.net/cake.jpg",
        "https://api.wawp.net:444/cake.jpg",
        "https://user@api.wawp.net/cake.jpg",
        "https://wawp.net.evil/",
        "file:///etc/hostname",
        "data:image/png;base64,AA==",
        "",
    ] {
        let upstream = Upstream::answering([]);
        let error = wawp("", &upstream).fetch_media(&at(Some(url)), 100).await.err();
        assert!(matches!(error, Some(ProviderError::Rejected { code: ErrorCode::Local(_) })), "{url}");
    }
}

#[tokio::test]
async fn a_medium_that_wawp_has_not_fetched_cannot_be_had() {
    let error = wawp("", &Upstream::answering([])).fetch_media(&at(None), 100).await.err();
    let code = ErrorCode::Local("the upstream has not fetched this medium from WhatsApp");
    assert_eq!(error, Some(ProviderError::Rejected { code }));
}

#[tokio::test]
async fn a_medium_is_read_to_its_limit_and_a_refusal_is_understood() {
    let url = Some("https://api.wawp.net/api/files/cake.jpg");
    let upstream = Upstream::answering([Given::body(200, "a cake")]);
    let download = wawp("", &upstream).fetch_media(&at(url), 5).await.expect("it starts");
    assert!(download.into_memory().await.is_err(), "it is longer than five bytes");
    let upstream = Upstream::answering([Given::body(502, "<html>")]);
    let error = wawp("", &upstream).fetch_media(&at(url), 5).await.err();
    assert_eq!(error, Some(ProviderError::Transient { code: ErrorCode::Status(502) }));
}

#[tokio::test]
async fn a_medium_in_hand_travels_inside_the_call() {
    let upstream = Upstream::answering([accepted()]);
    let provider = wawp("", &upstream);
    let source = MediaSource::Bytes { data: Bytes::from("OggS"), mime: "audio/ogg; codecs=opus".into() };
    let media = Media { kind: MediaKind::Voice, source, caption: None, filename: None };
    let parts = vec![Payload::Media(media).into()];
    let parts = outbox::prepare(&*provider, parts, "Options", Duration::from_secs(1)).await.expect("it is small").parts;
    provider.send(&received_message(), &parts[0], &key()).await.expect("sent");
    let body = only(&upstream).body;
    assert_eq!(body["file[url]"], "data:audio/ogg;codecs=opus;base64,T2dnUw==");
    assert_eq!(body["file[mimetype]"], "audio/ogg;codecs=opus");
    assert_eq!(body["file[filename]"], "file.ogg");
    assert_eq!(body.get("convert"), None, "it is a voice note already");
}

#[tokio::test]
async fn a_large_medium_needs_a_link() {
    let provider = wawp("", &Upstream::answering([]));
    assert!(provider.upload_media(Bytes::from(vec![0; 700 << 10]), "image/png").await.is_ok());
    let error = provider.upload_media(Bytes::from(vec![0; (700 << 10) + 1]), "image/png").await.expect_err("too large");
    assert!(error.to_string().contains("give a link"), "{error}");
    assert!(matches!(error, ProviderError::Rejected { .. }));
}

#[tokio::test]
async fn what_was_never_made_ready_is_not_sent() {
    let provider = wawp("", &Upstream::answering([]));
    let in_hand = MediaSource::Bytes { data: Bytes::from("x"), mime: "image/png".into() };
    for source in [in_hand, MediaSource::Uploaded("770000000000001".into())] {
        let media = Media { kind: MediaKind::Image, source, caption: None, filename: None };
        let error = provider.send(&received_message(), &Payload::Media(media).into(), &key()).await.expect_err("no");
        assert!(matches!(error, ProviderError::Rejected { code: ErrorCode::Local(_) }), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_medium_of_a_customers_comes_through_the_whole_wire() {
    for kind in [Kind::Wawp, Kind::Waha] {
        let world = Setup::on(kind, echo()).build();
        world.sandbox.write(&world.customer, Draft::image(Some("Look"))).expect("a customer");
        let claim = world.store.claim(Duration::from_secs(60)).await.expect("it arrives");
        let Content::Media(media) = &claim.messages[0].inbound.content else { panic!("it is a medium") };
        assert_eq!((media.kind, media.caption.as_deref()), (MediaKind::Image, Some("Look")));
        let download = world.provider.fetch_media(media, 1 << 20).await.expect("it is there");
        assert!(download.into_memory().await.expect("it is small").starts_with(b"\x89PNG"));
    }
}
