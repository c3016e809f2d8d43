//! The same over a real connection: what the HTTP client itself must not do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use threedots::message::clock::Clock;
use threedots::message::{BotName, MediaKind, MediaRef, Part, PartKey};
use threedots::provider::meta::Meta;
use threedots::provider::{ErrorCode, Provider, ProviderError};
use threedots::runtime::http::{CallError, Client, DownloadError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{TOKEN, received_message, settings};

/// A server on this machine that answers every connection with the same bytes and hangs up.
struct Server {
    port: u16,
    served: Arc<AtomicUsize>,
}

impl Server {
    async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let (served, answer) = (Arc::new(AtomicUsize::new(0)), answer.into());
        let counter = Arc::clone(&served);
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                serve(connection, &answer).await;
            }
        });
        Self { port, served }
    }

    fn served(&self) -> usize {
        self.served.load(Ordering::SeqCst)
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    fn meta(&self) -> Meta {
        let mut settings = settings();
        settings.base_url = self.url().parse().expect("an address");
        Meta::new(BotName::new("bakery"), settings, Client::new().expect("TLS roots"), Clock::System)
    }
}

/// Reads a request to the end of its body, and answers. Whether the other side listens to the end is its business.
async fn serve(mut connection: TcpStream, answer: &[u8]) {
    let mut request = Vec::new();
    while !is_complete(&request) {
        let mut piece = [0; 4096];
        match connection.read(&mut piece).await {
            Ok(0) | Err(_) => return,
            Ok(length) => request.extend_from_slice(&piece[..length]),
        }
    }
    let _ = connection.write_all(answer).await;
    let _ = connection.shutdown().await;
}

fn is_complete(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    body.len() >= length.map_or(0, |length| length.trim().parse().expect("a length"))
}

fn image_at(url: String) -> MediaRef {
    MediaRef { url: Some(url), ..MediaRef::of(MediaKind::Image) }
}

fn chunked(pieces: &[&[u8]]) -> Vec<u8> {
    let mut answer = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for piece in pieces {
        answer.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        answer.extend_from_slice(piece);
        answer.extend_from_slice(b"\r\n");
    }
    answer
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_the_token_stays_here() {
    let elsewhere = Server::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    for status in [301, 302, 303, 307, 308] {
        let to = elsewhere.url();
        let here =
            Server::answering(format!("HTTP/1.1 {status} -\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")).await;
        let fetched = here.meta().fetch_media(&image_at(here.url()), 100).await.err();
        assert_eq!(fetched, Some(ProviderError::Rejected { code: ErrorCode::Status(status) }));
        let sent = here.meta().send(&received_message(), &Part::text("hello"), &PartKey::new("1/0")).await;
        assert_eq!(sent, Err(ProviderError::Rejected { code: ErrorCode::Status(status) }));
        assert_eq!(here.served(), 2);
    }
    assert_eq!(elsewhere.served(), 0);
}

#[tokio::test]
async fn a_medium_without_an_end_is_cut_at_the_limit() {
    let piece = [b'x'; 1000];
    // More than the limit, and then nothing: waiting for the end would be waiting for ever.
    let endless = chunked(&[&piece[..]; 20]);
    let server = Server::answering(endless).await;
    let meta = server.meta();
    let download = meta.fetch_media(&image_at(server.url()), 10_000).await.expect("it starts");
    assert_eq!(download.into_memory().await, Err(CallError::TooLarge));

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("picture");
    let download = meta.fetch_media(&image_at(server.url()), 10_000).await.expect("it starts");
    assert!(matches!(download.into_file(&path).await, Err(DownloadError::Call(CallError::TooLarge))));
    assert!(!path.exists(), "no file is left behind");
}

#[tokio::test]
async fn a_medium_that_breaks_off_leaves_no_file() {
    let server = Server::answering(chunked(&[b"half a picture"])).await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("picture");
    let download = server.meta().fetch_media(&image_at(server.url()), 10_000).await.expect("it starts");
    assert!(matches!(download.into_file(&path).await, Err(DownloadError::Call(CallError::Unanswered(_)))));
    assert!(!path.exists(), "no file is left behind");
}

#[tokio::test]
async fn a_medium_of_exactly_the_limit_arrives_whole() {
    let body = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 7\r\n\r\npicture";
    let server = Server::answering(&body[..]).await;
    let download = server.meta().fetch_media(&image_at(server.url()), 7).await.expect("it starts");
    assert_eq!(download.mime.as_deref(), Some("image/png"));
    assert_eq!(download.into_memory().await, Ok(Bytes::from_static(b"picture")));
}

#[tokio::test]
async fn nobody_at_the_door_means_not_sent_and_a_hang_up_means_unknown() {
    let closed = Server { port: 1, served: Arc::default() };
    let sent = closed.meta().send(&received_message(), &Part::text("hello"), &PartKey::new("1/0")).await;
    assert_eq!(sent, Err(ProviderError::Transient { code: ErrorCode::Network("cannot connect") }));
    let silent = Server::answering(Vec::new()).await;
    let sent = silent.meta().send(&received_message(), &Part::text("hello"), &PartKey::new("1/0")).await;
    assert_eq!(sent, Err(ProviderError::Ambiguous { code: ErrorCode::Network("connection lost") }));
    assert_eq!(silent.served(), 1, "nothing below us sends it again");
}

#[tokio::test]
async fn an_error_shows_neither_the_address_nor_the_token() {
    let closed = Server { port: 1, served: Arc::default() };
    let sent = closed.meta().send(&received_message(), &Part::text("hello"), &PartKey::new("1/0")).await;
    let error = sent.expect_err("nobody is there");
    let shown = format!("{error:?} {error}");
    assert!(!shown.contains("127.0.0.1") && !shown.contains(TOKEN), "{shown}");
}
