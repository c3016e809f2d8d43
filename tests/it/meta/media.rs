//! Media: where the token may go, how large a medium may be, and what is tried when an address has died.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use threedots::message::{MediaKind, MediaRef};
use threedots::provider::meta::MetaSettings;
use threedots::provider::{ErrorCode, Provider, ProviderError};
use threedots::runtime::http::{CallError, DownloadError};

use super::upstream::{Given, Upstream};
use super::{TOKEN, meta_on, settings};

const HERE: &str = "https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=770000000000001";
const DESCRIBED: &str = "https://graph.facebook.com/v25.0/770000000000001?phone_number_id=109900000000001";

fn image(id: Option<&str>, url: Option<&str>) -> MediaRef {
    let (id, url) = (id.map(Into::into), url.map(Into::into));
    MediaRef { id, url, ..MediaRef::of(MediaKind::Image) }
}

fn by_id() -> MediaRef {
    image(Some("770000000000001"), None)
}

fn description(url: &str, size: Value) -> Given {
    let mut body = json!({ "url": url, "mime_type": "image/png", "id": "770000000000001", "file_size": size });
    body["messaging_product"] = json!("whatsapp");
    Given::json(200, &body)
}

fn picture(bytes: &'static [u8]) -> Given {
    Given::Answer(200, vec![("Content-Type", "image/png".into())], Bytes::from_static(bytes))
}

fn redirect(to: &str) -> Given {
    Given::Answer(302, vec![("Location", to.into())], Bytes::new())
}

/// What fetching comes to, in memory, and the addresses that were called, each with the token.
async fn fetch(
    settings: MetaSettings,
    media: &MediaRef,
    limit: u64,
    answers: impl IntoIterator<Item = Given>,
) -> (Result<Bytes, ProviderError>, Vec<String>) {
    let upstream = Upstream::answering(answers);
    let fetched = match meta_on(settings, upstream.clone()).fetch_media(media, limit).await {
        Ok(download) => Ok(download.into_memory().await.expect("it can be read")),
        Err(error) => Err(error),
    };
    let seen = upstream.seen();
    for call in &seen {
        assert_eq!((call.method, &call.body), ("GET", &Value::Null));
        assert_eq!(call.headers, [("authorization".to_owned(), format!("Bearer {TOKEN}"))]);
    }
    (fetched, seen.into_iter().map(|call| call.url).collect())
}

#[tokio::test]
async fn a_medium_is_asked_for_by_its_identifier_and_then_fetched() {
    for size in [json!(7), json!("7"), Value::Null] {
        let (fetched, called) = fetch(settings(), &by_id(), 7, [description(HERE, size), picture(b"picture")]).await;
        assert_eq!(fetched.as_deref(), Ok(&b"picture"[..]));
        assert_eq!(called, [DESCRIBED, HERE]);
    }
}

#[tokio::test]
async fn the_type_is_the_one_that_comes_with_the_medium() {
    let upstream = Upstream::answering([description(HERE, json!(7)), picture(b"picture")]);
    let download = meta_on(settings(), upstream).fetch_media(&by_id(), 7).await.expect("it is there");
    assert_eq!(download.mime.as_deref(), Some("image/png"));
}

#[tokio::test]
async fn an_address_that_came_with_the_message_saves_a_call() {
    let (fetched, called) =
        fetch(settings(), &image(Some("770000000000001"), Some(HERE)), 7, [picture(b"picture")]).await;
    assert_eq!(fetched.as_deref(), Ok(&b"picture"[..]));
    assert_eq!(called, [HERE]);
}

#[tokio::test]
async fn where_the_address_has_died_the_identifier_gives_a_new_one() {
    const NEW: &str = "https://lookaside.fbsbx.com/new";
    let failures = [
        Given::body(404, ""),
        Given::body(500, ""),
        redirect(NEW),
        Given::Error(CallError::Unanswered("connection lost")),
    ];
    for failure in failures {
        let media = image(Some("770000000000001"), Some(HERE));
        let (fetched, called) =
            fetch(settings(), &media, 7, [failure, description(NEW, json!(7)), picture(b"picture")]).await;
        assert_eq!(fetched.as_deref(), Ok(&b"picture"[..]));
        assert_eq!(called, [HERE, DESCRIBED, NEW]);
    }
}

#[tokio::test]
async fn without_an_identifier_a_dead_address_is_the_end() {
    let (fetched, called) = fetch(settings(), &image(None, Some(HERE)), 7, [Given::body(404, "")]).await;
    assert_eq!(fetched, Err(ProviderError::Rejected { code: ErrorCode::Status(404) }));
    assert_eq!(called, [HERE]);
    let (fetched, called) = fetch(settings(), &image(None, None), 7, []).await;
    assert!(matches!(fetched, Err(ProviderError::Rejected { code: ErrorCode::Local(_) })));
    assert!(called.is_empty());
}

/// Addresses that look as if they were Meta's, or are, but not so that the token may go there.
const ELSEWHERE: [&str; 16] = [
    "https://evil.example/",
    "https://lookaside.fbsbx.com.evil.example/",
    "https://evil-lookaside.fbsbx.com.example/",
    "https://evilfbsbx.com/",
    "https://fbcdn.net/",
    "https://fbcdn.net.evil.example/",
    "https://lookaside.fbsbx.com@evil.example/",
    "https://evil.example/?https://lookaside.fbsbx.com/",
    "https://user:password@lookaside.fbsbx.com/",
    "http://lookaside.fbsbx.com/",
    "http://lookaside.fbsbx.com:443/",
    "https://lookaside.fbsbx.com:8443/",
    "https://graph.facebook.com:8443/",
    "https://127.0.0.1/",
    "ftp://lookaside.fbsbx.com/",
    "not an address",
];

#[tokio::test]
async fn the_token_goes_to_no_other_host() {
    for url in ELSEWHERE {
        let (fetched, called) = fetch(settings(), &by_id(), 7, [description(url, json!(7))]).await;
        assert!(matches!(fetched, Err(ProviderError::Rejected { code: ErrorCode::Local(_) })), "{url}");
        assert_eq!(called, [DESCRIBED], "{url}");

        let (fetched, called) = fetch(settings(), &image(None, Some(url)), 7, []).await;
        assert!(matches!(fetched, Err(ProviderError::Rejected { code: ErrorCode::Local(_) })), "{url}");
        assert!(called.is_empty(), "{url}");
    }
}

#[tokio::test]
async fn an_address_elsewhere_in_a_message_is_passed_over_for_the_identifier() {
    let media = image(Some("770000000000001"), Some("https://evil.example/"));
    let (fetched, called) = fetch(settings(), &media, 7, [description(HERE, json!(7)), picture(b"picture")]).await;
    assert_eq!(fetched.as_deref(), Ok(&b"picture"[..]));
    assert_eq!(called, [DESCRIBED, HERE]);
}

#[tokio::test]
async fn metas_own_hosts_may_see_the_token() {
    for url in [
        HERE,
        "https://LOOKASIDE.fbsbx.com:443/",
        "https://cdn.fbsbx.com/",
        "https://scontent.xx.fbcdn.net/",
        "https://graph.facebook.com/",
    ] {
        let (fetched, called) = fetch(settings(), &by_id(), 7, [description(url, json!(7)), picture(b"picture")]).await;
        assert_eq!((fetched.is_ok(), called.len()), (true, 2), "{url}");
    }
}

#[tokio::test]
async fn the_hosts_are_the_operators_to_choose() {
    let allowed = |base: &str, hosts: &[&str], url: &'static str| {
        let mut settings = settings();
        settings.base_url = base.parse().expect("an address");
        settings.media_hosts = hosts.iter().map(|host| (*host).into()).collect();
        async move { fetch(settings, &by_id(), 7, [description(url, json!(7)), picture(b"picture")]).await.0.is_ok() }
    };
    let graph = "https://graph.facebook.com";
    assert!(allowed(graph, &["Media.Example:8443"], "https://media.example:8443/").await);
    assert!(!allowed(graph, &["media.example:8443"], "https://media.example/").await);
    assert!(allowed(graph, &["*.media.example:8443"], "https://a.b.media.example:8443/").await);
    assert!(!allowed(graph, &[], HERE).await);
    assert!(!allowed(graph, &["*"], HERE).await);
    assert!(!allowed(graph, &["", "*.", "."], HERE).await);
    // The base address is always one of them: with its port, and in the clear on this machine only.
    assert!(allowed("http://127.0.0.1:4711", &[], "http://127.0.0.1:4711/media/1").await);
    assert!(!allowed("http://127.0.0.1:4711", &[], "http://127.0.0.1:4712/media/1").await);
    assert!(!allowed("http://127.0.0.1:4711", &[], "http://127.0.0.2:4711/media/1").await);
    assert!(allowed("http://[::1]:4711", &[], "http://[::1]:4711/media/1").await);
    assert!(!allowed("http://graph.example", &[], "http://graph.example/media/1").await);
}

#[tokio::test]
async fn a_redirect_is_refused_wherever_it_leads() {
    for to in ["https://evil.example/", "https://lookaside.fbsbx.com/elsewhere"] {
        let (fetched, called) = fetch(settings(), &by_id(), 7, [description(HERE, json!(7)), redirect(to)]).await;
        assert_eq!(fetched, Err(ProviderError::Rejected { code: ErrorCode::Status(302) }));
        assert_eq!(called, [DESCRIBED, HERE]);
        let (fetched, called) = fetch(settings(), &by_id(), 7, [redirect(to)]).await;
        assert_eq!(fetched, Err(ProviderError::Rejected { code: ErrorCode::Status(302) }));
        assert_eq!(called, [DESCRIBED]);
    }
}

#[tokio::test]
async fn what_is_too_large_by_its_own_account_is_not_fetched() {
    for size in [json!(8), json!("8"), json!(8.0), json!(9_000_000_000_000_u64)] {
        let (fetched, called) = fetch(settings(), &by_id(), 7, [description(HERE, size)]).await;
        assert!(matches!(fetched, Err(ProviderError::Rejected { code: ErrorCode::Local(_) })));
        assert_eq!(called, [DESCRIBED]);
    }
    let long = || Given::Answer(200, vec![("Content-Length", "8".into())], Bytes::from_static(b"pictures"));
    let media = image(Some("770000000000001"), Some(HERE));
    let (fetched, called) = fetch(settings(), &media, 7, [long()]).await;
    assert!(matches!(fetched, Err(ProviderError::Rejected { code: ErrorCode::Local(_) })));
    assert_eq!(called, [HERE], "asking for another address would not make it smaller");
}

#[tokio::test]
async fn what_turns_out_to_be_too_large_is_read_no_further_than_the_limit() {
    let lying = || [description(HERE, json!(7)), picture(b"pictures")];
    let download = meta_on(settings(), Upstream::answering(lying())).fetch_media(&by_id(), 7).await.expect("it starts");
    assert_eq!(download.into_memory().await, Err(CallError::TooLarge));

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("picture");
    let download = meta_on(settings(), Upstream::answering(lying())).fetch_media(&by_id(), 7).await.expect("it starts");
    let written = download.into_file(&path).await;
    assert!(matches!(written, Err(DownloadError::Call(CallError::TooLarge))));
    assert!(!path.exists(), "no file is left behind");
}

#[tokio::test]
async fn a_medium_can_be_written_to_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("picture");
    let upstream = Upstream::answering([description(HERE, json!(7)), picture(b"picture")]);
    let download = meta_on(settings(), upstream).fetch_media(&by_id(), 7).await.expect("it starts");
    assert_eq!(download.into_file(&path).await.expect("it is written"), 7);
    assert_eq!(std::fs::read(&path).expect("it is there"), b"picture");
}

#[tokio::test]
async fn a_description_without_an_address_is_no_use() {
    for body in [json!({}), json!({ "url": "" }), json!({ "url": 7 })] {
        let (fetched, called) = fetch(settings(), &by_id(), 7, [Given::json(200, &body)]).await;
        assert!(matches!(fetched, Err(ProviderError::Rejected { .. })), "{body}");
        assert_eq!(called, [DESCRIBED]);
    }
}

#[tokio::test]
async fn an_identifier_cannot_lead_out_of_its_place_in_the_address() {
    for id in ["../me", "1/../../x", "1?access_token=2", "1#x", "..", "%2e%2e"] {
        let (_, called) = fetch(settings(), &image(Some(id), None), 7, [Given::body(404, "")]).await;
        let called: url::Url = called[0].parse().expect("an address");
        let segments: Vec<&str> = called.path_segments().expect("a path").collect();
        assert_eq!(called.host_str(), Some("graph.facebook.com"));
        assert!(segments[0] == "v25.0" && segments.len() <= 2, "{called}");
        assert_eq!(called.query(), Some("phone_number_id=109900000000001"), "{called}");
    }
}

#[tokio::test]
async fn a_large_upload_has_more_time_than_a_small_one() {
    let named = || Given::json(200, &json!({ "id": "770000000000009" }));
    let upstream = Upstream::answering([named(), named()]);
    let meta = meta_on(settings(), upstream.clone());
    for size in [1 << 10, 16 << 20] {
        meta.upload_media(Bytes::from(vec![0; size]), "audio/mpeg").await.expect("it is taken");
    }
    let timeouts: Vec<Duration> = upstream.seen().iter().map(|call| call.timeout).collect();
    assert_eq!(timeouts, [Duration::from_secs(15), Duration::from_secs(15 + 64)]);
}

#[tokio::test]
async fn an_upload_that_gets_no_name_can_be_made_again() {
    let upstream = Upstream::answering([Given::json(200, &json!({}))]);
    let uploaded = meta_on(settings(), upstream).upload_media(Bytes::from_static(b"x"), "image/png").await;
    assert!(matches!(uploaded, Err(ProviderError::Transient { .. })));
}

#[tokio::test]
async fn a_medium_of_a_type_that_whatsapp_refuses_is_refused_for_good() {
    let error = json!({ "error": { "code": 131_053, "message": "refused" } });
    let upstream = Upstream::answering([Given::json(400, &error)]);
    let uploaded = meta_on(settings(), upstream).upload_media(Bytes::from_static(b"x"), "image/gif").await;
    assert_eq!(uploaded, Err(ProviderError::Rejected { code: ErrorCode::Upstream(131_053) }));
}
