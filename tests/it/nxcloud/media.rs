//! Media: where they may be fetched from, that no credential goes there, and how large one may be.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use threedots::message::{MediaKind, MediaRef};
use threedots::provider::{ErrorCode, ProviderError};
use threedots::runtime::http::CallError;

use super::{APPKEY, NUMBER, on, with};
use crate::upstream::{Given, Seen, Upstream};

const HERE: &str = "https://store.object-store.example/1b0a4c77?Expires=1767225900&Signature=fiction%3D";
const ASKED: &str = "https://api2.nxcloud.com/api/wa/getMedia";

fn image(id: Option<&str>, url: Option<&str>) -> MediaRef {
    let (id, url) = (id.map(Into::into), url.map(Into::into));
    MediaRef { id, url, ..MediaRef::of(MediaKind::Image) }
}

fn by_id() -> MediaRef {
    image(Some("fd81acff"), None)
}

fn description(url: Value) -> Given {
    let data = json!({ "mime_type": "image/webp", "file_name": "c5e744fa", "url": url });
    Given::json(200, &json!({ "code": 0, "data": data, "message": "Request successful" }))
}

fn picture(bytes: &'static [u8]) -> Given {
    Given::Answer(200, vec![("Content-Type", "application/octet-stream".into())], Bytes::from_static(bytes))
}

/// What fetching comes to, in memory, and the calls that were made.
async fn fetch(
    changes: Value,
    media: &MediaRef,
    answers: impl IntoIterator<Item = Given>,
) -> (Result<Bytes, ProviderError>, Vec<Seen>) {
    let upstream = Upstream::answering(answers);
    let fetched = match with(changes, &upstream).fetch_media(media, 7).await {
        Ok(download) => Ok(download.into_memory().await.expect("it can be read")),
        Err(error) => Err(error),
    };
    (fetched, upstream.seen())
}

#[tokio::test]
async fn a_medium_is_asked_for_by_its_identifier_and_then_fetched_without_a_credential() {
    // An address that came with the message is Meta's, who would want a token there.
    for media in [by_id(), image(Some("fd81acff"), Some("https://lookaside.fbsbx.com/1"))] {
        let (fetched, seen) = fetch(json!({}), &media, [description(json!(HERE)), picture(b"picture")]).await;
        assert_eq!(fetched.as_deref(), Ok(&b"picture"[..]));
        let [asked, got] = seen.try_into().expect("two calls");
        assert_eq!((asked.method, asked.url.as_str()), ("POST", ASKED));
        let body = json!({ "business_phone": NUMBER, "messaging_product": "whatsapp", "Media-ID": "fd81acff" });
        assert_eq!(asked.body, body);
        let action = asked.headers.iter().find(|(name, _)| name == "action").expect("it is there");
        assert_eq!(action.1, "getMedia");
        assert_eq!((got.method, got.url.as_str(), &got.body), ("GET", HERE, &Value::Null));
        assert!(got.headers.is_empty());
    }
}

#[tokio::test]
async fn the_type_is_the_one_that_nxcloud_names() {
    let upstream = Upstream::answering([description(json!(HERE)), picture(b"picture")]);
    let download = on(&upstream).fetch_media(&by_id(), 7).await.expect("it is there");
    assert_eq!(download.mime.as_deref(), Some("image/webp"));
    let unnamed = Given::json(200, &json!({ "code": 0, "data": { "url": HERE } }));
    let download = on(&Upstream::answering([unnamed, picture(b"picture")])).fetch_media(&by_id(), 7).await;
    assert_eq!(download.expect("it is there").mime.as_deref(), Some("application/octet-stream"));
}

#[tokio::test]
async fn without_an_identifier_or_an_address_there_is_nothing_to_fetch() {
    let (fetched, seen) = fetch(json!({}), &image(None, Some(HERE)), []).await;
    assert!(matches!(fetched, Err(ProviderError::Rejected { code: ErrorCode::Local(_) })));
    assert!(seen.is_empty());
    for url in [Value::Null, json!(""), json!(7), json!("no address")] {
        let (fetched, seen) = fetch(json!({}), &by_id(), [description(url)]).await;
        assert!(matches!(fetched, Err(ProviderError::Rejected { code: ErrorCode::Local(_) })));
        assert_eq!(seen.len(), 1);
    }
}

async fn is_allowed(changes: Value, url: &str) -> bool {
    let (fetched, seen) = fetch(changes, &by_id(), [description(json!(url)), picture(b"picture")]).await;
    assert_eq!(seen.len(), 1 + usize::from(fetched.is_ok()), "{url}");
    match fetched {
        Ok(_) => true,
        Err(error) => {
            assert!(matches!(error, ProviderError::Rejected { code: ErrorCode::Local(_) }));
            assert!(!error.to_string().contains("example"), "{error}");
            false
        }
    }
}

#[tokio::test]
async fn as_long_as_no_host_is_named_an_address_has_to_lead_out_there() {
    for url in [HERE, "https://goss.oss-cn-hongkong.object-store.example:443/", "https://API2.NXCLOUD.COM/media"] {
        assert!(is_allowed(json!({}), url).await, "{url}");
    }
    let inside = [
        "http://store.object-store.example/",
        "https://store.object-store.example:8443/",
        "https://user:password@store.object-store.example/",
        "https://localhost/",
        "https://intranet/",
        "https://printer.local/",
        "https://PRINTER.LOCAL./",
        "https://metadata.google.internal/",
        "https://a.localhost/",
        "https://router.home.arpa/",
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://192.0.2.1/",
        "https://[::1]/",
        "https://[fd00::1]/",
        "https://[::ffff:10.0.0.1]/",
        "http://127.0.0.1:4711/",
        "ftp://store.object-store.example/",
        "file:///etc/passwd",
        "data:text/plain,x",
    ];
    for url in inside {
        assert!(!is_allowed(json!({}), url).await, "{url}");
    }
}

#[tokio::test]
async fn the_hosts_are_the_operators_to_choose() {
    let hosts = || json!({ "media_hosts": ["*.object-store.example", "media.example:8443"] });
    assert!(is_allowed(hosts(), HERE).await);
    assert!(is_allowed(hosts(), "https://media.example:8443/").await);
    for url in ["https://elsewhere.example/", "https://media.example/", "http://a.object-store.example/"] {
        assert!(!is_allowed(hosts(), url).await, "{url}");
    }
    let here = || json!({ "base_url": "http://127.0.0.1:4711", "media_hosts": [] });
    assert!(is_allowed(here(), "http://127.0.0.1:4711/media/1").await);
    assert!(!is_allowed(here(), "http://127.0.0.1:4712/media/1").await);
}

#[tokio::test]
async fn what_the_store_refuses_says_nothing_about_the_bot() {
    let expected = [
        (302, ProviderError::Rejected { code: ErrorCode::Status(302) }),
        (401, ProviderError::Rejected { code: ErrorCode::Status(401) }),
        (403, ProviderError::Rejected { code: ErrorCode::Status(403) }),
        (404, ProviderError::Rejected { code: ErrorCode::Status(404) }),
        (500, ProviderError::Transient { code: ErrorCode::Status(500) }),
    ];
    for (status, error) in expected {
        let refusal = Given::body(status, "<Error><Code>AccessDenied</Code></Error>");
        let (fetched, seen) = fetch(json!({}), &by_id(), [description(json!(HERE)), refusal]).await;
        assert_eq!((fetched, seen.len()), (Err(error), 2));
    }
}

#[tokio::test]
async fn what_is_too_large_is_read_no_further_than_the_limit() {
    let long = Given::Answer(200, vec![("Content-Length", "8".into())], Bytes::from_static(b"pictures"));
    let (fetched, _) = fetch(json!({}), &by_id(), [description(json!(HERE)), long]).await;
    assert!(matches!(fetched, Err(ProviderError::Rejected { code: ErrorCode::Local(_) })));
    let upstream = Upstream::answering([description(json!(HERE)), picture(b"pictures")]);
    let download = on(&upstream).fetch_media(&by_id(), 7).await.expect("it starts");
    assert_eq!(download.into_memory().await, Err(CallError::TooLarge));
}

#[tokio::test]
async fn a_large_upload_has_more_time_than_a_small_one() {
    let named = || Given::json(200, &json!({ "code": 0, "data": { "id": "1" } }));
    let upstream = Upstream::answering([named(), named()]);
    let nxcloud = on(&upstream);
    for size in [1 << 10, 16 << 20] {
        nxcloud.upload_media(Bytes::from(vec![0; size]), "audio/mpeg").await.expect("it is taken");
    }
    let seen = upstream.seen();
    assert_eq!([seen[0].timeout, seen[1].timeout], [15, 15 + 64].map(Duration::from_secs));
    assert!(!seen[0].body.to_string().contains(APPKEY));
}

#[tokio::test]
async fn an_upload_that_gets_no_name_can_be_made_again() {
    for data in [json!({}), Value::Null, json!({ "id": "" })] {
        let upstream = Upstream::answering([Given::json(200, &json!({ "code": 0, "data": data }))]);
        let uploaded = on(&upstream).upload_media(Bytes::from_static(b"x"), "image/png").await;
        assert!(matches!(uploaded, Err(ProviderError::Transient { .. })));
    }
}
