//! Media: where they may be fetched, where they are put, and that the key goes to neither place.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use threedots::message::clock::Clock;
use threedots::message::{MediaKind, MediaRef};
use threedots::provider::{ErrorCode, ProviderError};
use threedots::runtime::http::CallError;

use super::{KEY, connect, linq};
use crate::upstream::{Given, Seen, Upstream};

const HERE: &str = "https://cdn.linqapp.com/attachments/1/cake.jpg?signature=fiction";
const ATTACHMENT: &str = "a0000000-0000-4000-8000-000000000001";
const DESCRIBED: &str = "https://api.linqapp.com/api/partner/v3/attachments/a0000000-0000-4000-8000-000000000001";
const STORE: &str = "https://store.example/put/1?signature=fiction";

fn image(id: Option<&str>, url: Option<&str>) -> MediaRef {
    let (id, url) = (id.map(Into::into), url.map(Into::into));
    MediaRef { id, url, ..MediaRef::of(MediaKind::Image) }
}

fn picture() -> Given {
    Given::Answer(200, vec![("Content-Type", "image/jpeg".into())], Bytes::from_static(b"picture"))
}

fn description(url: &str, size: Value) -> Given {
    Given::json(
        200,
        &json!({ "id": ATTACHMENT, "filename": "cake.jpg", "size_bytes": size, "status": "complete", "download_url": url }),
    )
}

async fn fetch(
    more: &Value,
    media: &MediaRef,
    answers: impl IntoIterator<Item = Given>,
) -> (Result<Bytes, ProviderError>, Vec<String>) {
    let upstream = Upstream::answering(answers);
    let fetched = match connect(more, upstream.clone(), Clock::System).fetch_media(media, 7).await {
        Ok(download) => Ok(download.into_memory().await.expect("it can be read")),
        Err(error) => Err(error),
    };
    let seen = upstream.seen();
    for call in &seen {
        let to_the_api = call.url.contains("/v3/");
        assert_eq!(call.headers.iter().any(|(_, value)| value.contains(KEY)), to_the_api, "{}", call.url);
        assert_eq!((call.method, &call.body), ("GET", &Value::Null));
    }
    (fetched, seen.into_iter().map(|call| call.url).collect())
}

#[tokio::test]
async fn a_medium_is_fetched_without_the_key() {
    let (fetched, called) = fetch(&json!({}), &image(Some(ATTACHMENT), Some(HERE)), [picture()]).await;
    assert_eq!(fetched.as_deref(), Ok(&b"picture"[..]));
    assert_eq!(called, [HERE]);
}

#[tokio::test]
async fn where_the_address_has_died_the_identifier_gives_a_new_one() {
    const NEW: &str = "https://cdn.linqapp.com/new";
    let failures = [
        Given::body(403, "<Error><Code>AccessDenied</Code></Error>"),
        Given::body(404, ""),
        Given::body(500, ""),
        Given::Error(CallError::Unanswered("connection lost")),
    ];
    for failure in failures {
        let answers = [failure, description(NEW, json!(7)), picture()];
        let (fetched, called) = fetch(&json!({}), &image(Some(ATTACHMENT), Some(HERE)), answers).await;
        assert_eq!(fetched.as_deref(), Ok(&b"picture"[..]));
        assert_eq!(called, [HERE, DESCRIBED, NEW]);
    }
}

#[tokio::test]
async fn a_store_that_refuses_says_nothing_about_the_bot() {
    for (status, lasting) in
        [(301, true), (401, true), (403, true), (404, true), (429, false), (500, false), (503, false)]
    {
        let (fetched, _) = fetch(&json!({}), &image(None, Some(HERE)), [Given::body(status, "")]).await;
        let code = ErrorCode::Status(status);
        let expected = if lasting { ProviderError::Rejected { code } } else { ProviderError::Transient { code } };
        assert_eq!(fetched, Err(expected));
    }
}

#[tokio::test]
async fn only_the_hosts_that_are_configured_are_asked() {
    let elsewhere = [
        "https://evil.example/",
        "https://cdn.linqapp.com.evil.example/",
        "https://evillinqapp.com/",
        "https://user:password@cdn.linqapp.com/",
        "http://cdn.linqapp.com/",
        "https://cdn.linqapp.com:8443/",
        "https://127.0.0.1/",
        "not an address",
    ];
    for url in elsewhere {
        let (fetched, called) = fetch(&json!({}), &image(None, Some(url)), []).await;
        assert!(matches!(fetched, Err(ProviderError::Rejected { code: ErrorCode::Local(_) })), "{url}");
        assert!(called.is_empty(), "{url}");
        let (fetched, called) = fetch(&json!({}), &image(Some(ATTACHMENT), None), [description(url, json!(7))]).await;
        assert!(fetched.is_err(), "{url}");
        assert_eq!(called, [DESCRIBED], "{url}");
    }
    let more = json!({ "media_hosts": ["store.example"] });
    assert!(fetch(&more, &image(None, Some("https://store.example/1")), [picture()]).await.0.is_ok());
    assert!(fetch(&more, &image(None, Some(HERE)), []).await.0.is_err());
}

#[tokio::test]
async fn what_is_too_large_is_not_fetched() {
    let long = Given::Answer(200, vec![("Content-Length", "8".into())], Bytes::from_static(b"pictures"));
    let (fetched, called) = fetch(&json!({}), &image(Some(ATTACHMENT), Some(HERE)), [long]).await;
    assert!(matches!(fetched, Err(ProviderError::Rejected { code: ErrorCode::Local(_) })));
    assert_eq!(called, [HERE], "another address would not make it smaller");
    let (fetched, called) = fetch(&json!({}), &image(Some(ATTACHMENT), None), [description(HERE, json!(8))]).await;
    assert!(matches!(fetched, Err(ProviderError::Rejected { code: ErrorCode::Local(_) })));
    assert_eq!(called, [DESCRIBED]);
    let lying = Upstream::answering([Given::body(200, "pictures")]);
    let download = linq(&lying).fetch_media(&image(None, Some(HERE)), 7).await.expect("it starts");
    assert_eq!(download.into_memory().await, Err(CallError::TooLarge));
}

#[tokio::test]
async fn a_medium_that_names_nothing_cannot_be_fetched() {
    assert!(fetch(&json!({}), &image(None, None), []).await.0.is_err());
    let nameless = Given::json(200, &json!({ "status": "pending" }));
    assert!(matches!(
        fetch(&json!({}), &image(Some(ATTACHMENT), None), [nameless]).await.0,
        Err(ProviderError::Rejected { .. })
    ));
}

fn place(url: &str, headers: Value) -> Given {
    let place =
        json!({ "attachment_id": ATTACHMENT, "upload_url": url, "http_method": "PUT", "required_headers": headers });
    Given::json(200, &place)
}

async fn upload(more: &Value, mime: &str, answers: Vec<Given>) -> (Result<String, ProviderError>, Vec<Seen>) {
    let upstream = Upstream::answering(answers);
    let provider = connect(more, upstream.clone(), Clock::System);
    (provider.upload_media(Bytes::from_static(b"picture"), mime).await, upstream.seen())
}

#[tokio::test]
async fn an_upload_is_announced_and_then_put_where_linq_says() {
    let headers =
        json!({ "Content-Type": "image/jpeg", "x-amz-meta-size": "7", "Authorization": "theirs", "Host": "evil" });
    let (id, calls) = upload(&json!({}), "image/jpeg; q=1", vec![place(STORE, headers), Given::body(200, "")]).await;
    assert_eq!(id.as_deref(), Ok(ATTACHMENT));
    let [announced, put] = calls.try_into().expect("two calls");
    assert_eq!((announced.method, &*announced.url), ("POST", "https://api.linqapp.com/api/partner/v3/attachments"));
    assert_eq!(announced.body, json!({ "filename": "file.jpg", "content_type": "image/jpeg", "size_bytes": 7 }));
    assert_eq!((put.method, &*put.url), ("PUT", STORE));
    assert_eq!(put.body, json!({ "raw": "picture" }));
    let headers: Vec<_> = put.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(headers, [("Content-Type", "image/jpeg"), ("x-amz-meta-size", "7")]);
}

#[tokio::test]
async fn a_store_that_wants_no_headers_learns_the_type() {
    for headers in [Value::Null, json!({}), json!([]), json!({ "Content-Type": 7 })] {
        let (_, calls) = upload(&json!({}), "image/png", vec![place(STORE, headers), Given::body(200, "")]).await;
        assert_eq!(calls[1].headers, [("content-type".to_owned(), "image/png".to_owned())]);
    }
}

#[tokio::test]
async fn a_file_is_named_after_its_type() {
    let names = [
        ("image/jpeg", "file.jpg"),
        ("image/png", "file.png"),
        ("audio/mpeg", "file.mp3"),
        ("audio/x-m4a", "file.m4a"),
        ("application/pdf", "file.pdf"),
        ("text/plain", "file.txt"),
        ("application/vnd.fiction.thing", "file.bin"),
        ("application/../x", "file.x"),
    ];
    for (mime, name) in names {
        let (_, calls) = upload(&json!({}), mime, vec![place(STORE, json!({})), Given::body(200, "")]).await;
        assert_eq!(calls[0].body["filename"], json!(name), "{mime}");
    }
}

#[tokio::test]
async fn nothing_is_put_in_the_clear_or_nowhere() {
    for url in
        ["http://store.example/", "http://127.0.0.1:4711/put", "https://user:pw@store.example/", "ftp://x/", "store"]
    {
        let (id, calls) = upload(&json!({}), "image/png", vec![place(url, json!({}))]).await;
        assert!(matches!(id, Err(ProviderError::Rejected { code: ErrorCode::Local(_) })), "{url}");
        assert_eq!(calls.len(), 1, "{url}");
    }
    // A Linq on this machine has its store there too.
    let here = json!({ "base_url": "http://127.0.0.1:4711" });
    let answers = vec![place("http://127.0.0.1:4712/put", json!({})), Given::body(200, "")];
    assert!(upload(&here, "image/png", answers).await.0.is_ok());
}

#[tokio::test]
async fn an_upload_that_fails_for_now_can_be_made_again() {
    let put = |answer| vec![place(STORE, json!({})), answer];
    let attempts = [
        vec![Given::body(503, "")],
        vec![Given::json(200, &json!({}))],
        vec![Given::json(200, &json!({ "attachment_id": ATTACHMENT }))],
        put(Given::body(500, "")),
        put(Given::body(429, "")),
        put(Given::Error(CallError::Unanswered("connection lost"))),
    ];
    for answers in attempts {
        let (id, _) = upload(&json!({}), "image/png", answers).await;
        assert!(matches!(id, Err(ProviderError::Transient { .. })), "{id:?}");
    }
    for status in [400, 403, 413] {
        let (id, _) = upload(&json!({}), "image/png", put(Given::body(status, "<Error/>"))).await;
        assert_eq!(id, Err(ProviderError::Rejected { code: ErrorCode::Status(status) }));
    }
}

#[tokio::test]
async fn a_large_upload_has_more_time_than_a_small_one() {
    let answers = (0..2).flat_map(|_| [place(STORE, json!({})), Given::body(200, "")]);
    let upstream = Upstream::answering(answers);
    let linq = linq(&upstream);
    for size in [1 << 10, 16 << 20] {
        linq.upload_media(Bytes::from(vec![0; size]), "audio/mpeg").await.expect("it is taken");
    }
    let timeouts: Vec<Duration> = upstream.seen().iter().map(|call| call.timeout).collect();
    assert_eq!(timeouts, [15, 15, 15, 15 + 64].map(Duration::from_secs));
}
