//! Plain http to another machine: refused, unless an upstream of one's own is set to take it, and then there alone.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use threedots::message::clock::Clock;
use threedots::message::{MediaKind, MediaRef};
use threedots::provider::gateway::GatewayConfig;
use threedots::provider::wawp::{WahaConfig, WawpConfig};
use threedots::provider::{Activity, ErrorCode, Provider, ProviderConfig, ProviderError};
use threedots::runtime::http::{Body, Call, CallError, Client, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::upstream::{Given, Upstream};
use crate::wawp::{TOKEN, connect, received_message};

const WAHA: &str = "api_key = \"env:TOKEN\"\nwebhook_secret = \"env:SECRET\"\n";
const GATEWAY: &str = "access_token = \"env:TOKEN\"\nwebhook_secret = \"env:SECRET\"\nsession = \"01J0\"\n";

/// What is wrong with a table.
fn problems<C: ProviderConfig>(table: &str) -> Vec<(String, String)> {
    connect::<C>(table, Upstream::answering([]), Clock::System).err().unwrap_or_default()
}

/// One number of each kind that may be in a network of one's own.
fn numbers(more: &str, transport: &Arc<impl Transport>) -> [Arc<dyn Provider>; 2] {
    let waha = connect::<WahaConfig>(&format!("{WAHA}{more}"), transport.clone(), Clock::System);
    let gateway = connect::<GatewayConfig>(&format!("{GATEWAY}{more}"), transport.clone(), Clock::System);
    [waha, gateway].map(|number| number.expect("a sound table"))
}

fn image(url: &str) -> MediaRef {
    MediaRef { url: Some(url.to_owned()), ..MediaRef::of(MediaKind::Image) }
}

#[test]
fn plain_http_to_another_machine_is_refused_and_the_setting_named_that_takes_it() {
    let address = "base_url = \"http://waha:3000\"\n";
    for problems in
        [problems::<WahaConfig>(&format!("{WAHA}{address}")), problems::<GatewayConfig>(&format!("{GATEWAY}{address}"))]
    {
        let [(key, problem)] = problems.as_slice() else { panic!("{problems:?}") };
        assert_eq!(key, "base_url");
        assert!(problem.contains("or set plain_http = true if it is inside a network of your own"), "{problem}");
        assert!(!problem.contains("waha"), "{problem}");
    }
    let set = format!("{address}plain_http = true\n");
    assert_eq!(problems::<WahaConfig>(&format!("{WAHA}{set}")), []);
    assert_eq!(problems::<GatewayConfig>(&format!("{GATEWAY}{set}")), []);
}

#[test]
fn the_setting_makes_no_other_address_right() {
    for address in ["http://user:word@waha:3000", "http://user@waha:3000", "ftp://waha", "waha:3000", ""] {
        let more = format!("base_url = \"{address}\"\nplain_http = true\n");
        for problems in
            [problems::<WahaConfig>(&format!("{WAHA}{more}")), problems::<GatewayConfig>(&format!("{GATEWAY}{more}"))]
        {
            let [(key, problem)] = problems.as_slice() else { panic!("{address}: {problems:?}") };
            assert_eq!(key, "base_url");
            assert!(!problem.contains("plain_http"), "{address}: it would be no help");
        }
    }
}

#[test]
fn an_upstream_that_is_on_the_internet_has_no_such_setting() {
    assert!(toml::from_str::<WawpConfig>("plain_http = true").is_err());
}

#[tokio::test]
async fn calls_and_media_go_to_the_base_address_in_clear_and_media_of_other_hosts_do_not() {
    let more = "base_url = \"http://waha:3000\"\nplain_http = true\n\
                media_hosts = [\"waha:9000\", \"minio\", \"minio:9000\", \"*.bucket.example\"]\n";
    let answers = || Given::body(200, "{}");
    let upstream = Upstream::answering((0..6).map(|_| answers()));
    for number in numbers(more, &upstream) {
        number.start_typing(&received_message(), Activity::Typing).await.expect("shown");
        number.fetch_media(&image("http://waha:3000/api/files/cake.jpg"), 100).await.expect("allowed");
        number.fetch_media(&image("https://eu.bucket.example/cake.jpg"), 100).await.expect("allowed");
        for elsewhere in [
            "http://eu.bucket.example/cake.jpg",
            "http://minio/cake.jpg",
            "http://minio:9000/cake.jpg",
            "http://waha/cake.jpg",
            "http://waha:9000/cake.jpg",
            "http://user@waha:3000/cake.jpg",
            "http://waha.strangers.example:3000/cake.jpg",
        ] {
            let error = number.fetch_media(&image(elsewhere), 100).await.err();
            assert!(
                matches!(error, Some(ProviderError::Rejected { code: ErrorCode::Local(_) })),
                "{elsewhere}: {error:?}"
            );
        }
    }
    let in_clear: Vec<bool> = upstream.seen().iter().map(|call| call.in_clear).collect();
    assert_eq!(in_clear, [true, true, false, true, true, false]);
}

#[tokio::test]
async fn an_https_address_stays_https_whatever_the_setting() {
    let more = "base_url = \"https://waha.example\"\nplain_http = true\n";
    let upstream = Upstream::answering((0..2).map(|_| Given::body(200, "{}")));
    for number in numbers(more, &upstream) {
        number.start_typing(&received_message(), Activity::Typing).await.expect("shown");
        for url in ["http://waha.example/cake.jpg", "http://waha.example:443/cake.jpg"] {
            let error = number.fetch_media(&image(url), 100).await.err();
            assert!(matches!(error, Some(ProviderError::Rejected { code: ErrorCode::Local(_) })), "{url}: {error:?}");
        }
    }
    assert!(upstream.seen().iter().all(|call| !call.in_clear));
}

/// A server that takes one request and answers it, and the address that leads to it without being a loopback's: a call
/// to no address in particular ends on this machine.
async fn server() -> (String, oneshot::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let (sender, request) = oneshot::channel();
    tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.expect("a caller");
        let mut head = Vec::new();
        while !head.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
            let byte = connection.read_u8().await.expect("a whole head");
            head.push(byte);
        }
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
        connection.write_all(answer).await.expect("the caller listens");
        sender.send(String::from_utf8(head).expect("text")).expect("the test listens");
    });
    (format!("http://0.0.0.0:{port}"), request)
}

fn call(url: &str, in_clear: bool) -> Call {
    let headers = vec![("x-api-key".into(), TOKEN.to_owned())];
    let url = url.parse().expect("an address");
    Call { method: "GET", url, headers, body: Body::Empty, timeout: Duration::from_secs(30), in_clear }
}

#[tokio::test]
async fn the_client_refuses_plain_http_to_another_machine_unless_the_call_takes_it() {
    let client = Client::new().expect("TLS roots");
    let (address, mut request) = server().await;
    let with_credentials = address.replace("//", "//user:word@");
    let refused = CallError::Unaskable("the address is neither https nor this machine");
    for (url, in_clear) in
        [(&*address, false), (&with_credentials, false), (&with_credentials, true), ("ftp://waha.invalid", true)]
    {
        assert_eq!(client.call(call(url, in_clear)).await.err(), Some(refused), "{url}");
    }
    assert!(request.try_recv().is_err(), "none of them got there");

    let answer = client.call(call(&address, true)).await.expect("an answer");
    assert_eq!(answer.bytes(10).await, Ok(Bytes::from_static(b"{}")));
    assert!(request.await.expect("it got there").contains(TOKEN));
}

#[tokio::test]
async fn a_number_in_a_network_of_ones_own_works_over_plain_http() {
    let client = Client::new().expect("TLS roots");
    for which in 0..2 {
        let (address, request) = server().await;
        let number = &numbers(&format!("base_url = \"{address}\"\nplain_http = true\n"), &client)[which];
        number.fetch_media(&image(&format!("{address}/cake.jpg")), 100).await.expect("it is there");
        assert!(request.await.expect("it got there").starts_with("GET /cake.jpg "));
    }
}
