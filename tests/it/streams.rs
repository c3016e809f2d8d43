//! Servers that send without an end, in one line, or in the smallest pieces: each stream and each body that is read has
//! an end of ours, in bytes and in time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use threedots::admin::{Admin, PageQuery, RemoteAdmin};
use threedots::handler::Egress;
use threedots::handler::http::callbacks::Callbacks;
use threedots::handler::http::{Http, HttpConfig};
use threedots::message::clock::Clock;
use threedots::provider::answer::Repeat;
use threedots::provider::exchange::{download, exchange};
use threedots::provider::{ErrorCode, ProviderError};
use threedots::runtime::http::{Body, Call, CallError, Client, Download, Headers, Transport, UpstreamResponse};
use threedots::turn::transcription::{Transcriber, TranscriptionConfig, Untranscribed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::world::Setup;

/// A server that answers everything with the same pieces, for as long as somebody reads.
pub(crate) struct Endless {
    pub(crate) address: SocketAddr,
    sent: Arc<AtomicU64>,
}

impl Endless {
    /// `piece` is one chunk of the body, `many` are sent at once, with `pause` in between.
    pub(crate) async fn start(kind: &'static str, piece: String, many: usize, pause: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let (address, sent) = (listener.local_addr().expect("an address"), Arc::<AtomicU64>::default());
        let chunks = format!("{:x}\r\n{piece}\r\n", piece.len()).repeat(many);
        let (counter, bytes) = (Arc::clone(&sent), (piece.len() * many) as u64);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (chunks, counter) = (chunks.clone(), Arc::clone(&counter));
                tokio::spawn(async move {
                    let _ = stream.read(&mut [0; 65536]).await;
                    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n");
                    let mut going = stream.write_all(head.as_bytes()).await;
                    while going.is_ok() {
                        going = stream.write_all(chunks.as_bytes()).await;
                        counter.fetch_add(bytes, Ordering::Relaxed);
                        tokio::time::sleep(pause).await;
                    }
                });
            }
        });
        Self { address, sent }
    }

    /// As much as there is room for.
    pub(crate) async fn fast(kind: &'static str, piece: &str, many: usize) -> Self {
        Self::start(kind, piece.to_owned(), many, Duration::ZERO).await
    }

    /// A byte now and then.
    pub(crate) async fn slow(kind: &'static str) -> Self {
        Self::start(kind, "x".into(), 1, Duration::from_millis(50)).await
    }

    /// How many bytes of the body it has sent; some more than were read lie in the sockets.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    fn call(&self, timeout: Duration) -> Call {
        let url = self.url("").parse().expect("an address");
        Call { method: "GET", url, headers: Vec::new(), body: Body::Empty, timeout, in_clear: false }
    }
}

/// What sockets and clients may hold beyond what was read.
pub(crate) const IN_BETWEEN: u64 = 12 << 20;

const JSON: &str = "application/json";

#[tokio::test]
async fn an_upstreams_answer_has_an_end_in_bytes_and_in_time() {
    let client = Client::new().expect("a client");
    let (endless, slow) = (Endless::fast(JSON, &"x".repeat(4096), 16).await, Endless::slow(JSON).await);
    for (repeat, expected) in [(Repeat::Harmless, true), (Repeat::Doubles, false)] {
        let answered = exchange(&*client, endless.call(Duration::from_secs(20)), repeat).await.map(|_| ());
        let code = ErrorCode::Network("the answer is too large");
        let rejected = ProviderError::Rejected { code };
        assert_eq!(answered, Err(if expected { rejected } else { ProviderError::Ambiguous { code } }));
    }
    assert!(endless.sent() < 2 * IN_BETWEEN, "{}", endless.sent());
    let began = Instant::now();
    let answered = exchange(&*client, slow.call(Duration::from_secs(1)), Repeat::Harmless).await.map(|_| ());
    assert_eq!(answered, Err(ProviderError::Transient { code: ErrorCode::Network("timed out") }));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_medium_has_an_end_in_bytes_and_comes_at_a_pace() {
    let client = Client::new().expect("a client");
    let (endless, slow) = (Endless::fast("image/png", &"x".repeat(4096), 16).await, Endless::slow("image/png").await);
    let patience = Duration::from_secs(1);
    let open = async |from: &Endless| match download(&*client, from.call(patience), 1 << 20).await {
        Ok(Ok(download)) => download,
        _ => panic!("it answers with a medium"),
    };
    assert_eq!(open(&endless).await.into_memory().await, Err(CallError::TooLarge));
    assert!(endless.sent() < IN_BETWEEN, "{}", endless.sent());
    let began = Instant::now();
    assert_eq!(open(&slow).await.into_memory().await, Err(CallError::Unanswered("timed out")));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_medium_that_comes_fast_enough_may_take_longer_than_any_one_piece() {
    let (sender, pieces) = mpsc::channel(1);
    tokio::spawn(async move {
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_secs(2)).await;
            sender.send(Bytes::from(vec![7; 16 << 10])).await.expect("somebody reads");
        }
    });
    let answer = UpstreamResponse::pieces(200, Headers::default(), pieces);
    let medium = Download::new(answer, 1 << 20, Duration::from_secs(3)).into_memory().await;
    assert_eq!(medium.map(|medium| medium.len()), Ok(20 * (16 << 10)));
}

#[tokio::test]
async fn a_transcript_has_an_end_in_bytes_and_in_time() {
    let (endless, slow) = (Endless::fast(JSON, &"x".repeat(4096), 16).await, Endless::slow(JSON).await);
    for (server, expected) in [(&endless, Untranscribed::AnswerTooLong), (&slow, Untranscribed::TimedOut)] {
        let config = TranscriptionConfig { base_url: server.url("v1"), ..TranscriptionConfig::default() };
        let client = Client::new().expect("a client");
        let transcriber = Transcriber::new(config, &|_| None, client, Clock::System).expect("it can be used");
        let until = tokio::time::Instant::now() + Duration::from_secs(2);
        let heard = transcriber.transcribe(&Bytes::from_static(b"RIFF"), "audio/wav", until).await;
        assert_eq!(heard, Err(expected));
    }
    assert!(endless.sent() < IN_BETWEEN, "{}", endless.sent());
}

#[tokio::test]
async fn a_handlers_answer_has_an_end_in_bytes_and_in_time() {
    let (events, long) = ("text/event-stream", "x".repeat(4096));
    let none = Duration::ZERO;
    for endless in [
        Endless::start(JSON, long.clone(), 16, none).await,
        Endless::start("text/plain", long.clone(), 16, none).await,
        Endless::start(events, long, 16, none).await,
        Endless::start(events, "event: typing\n\n".repeat(300), 16, none).await,
        Endless::slow(JSON).await,
    ] {
        let (url, timeout) = (endless.url("reply"), Duration::from_secs(2));
        let config = HttpConfig { url, timeout, private: true, answer_limit: 1 << 20, ..HttpConfig::default() };
        let callbacks = Callbacks::new("http://127.0.0.1:8082", Clock::tokio());
        let http = Http::new(config, None, &Egress::open().expect("ways out"), callbacks, Clock::tokio());
        let mut setup = Setup::new(http.unwrap_or_else(|problems| panic!("{problems:?}")));
        setup.turn.timeout = Duration::from_secs(5);
        let world = setup.start();
        world.write("hello");
        let told = world.phone().wait_for(|phone| !phone.replies(&world.customer).is_empty());
        tokio::time::timeout(Duration::from_secs(30), told).await.expect("the failure reply");
        assert!(endless.sent() < 2 * IN_BETWEEN, "{}", endless.sent());
    }
}

/// Answers with a byte a second, for ever.
struct Trickle;

#[async_trait]
impl Transport for Trickle {
    async fn call(&self, _: Call) -> Result<UpstreamResponse, CallError> {
        let (sender, pieces) = mpsc::channel(1);
        tokio::spawn(async move {
            while sender.send(Bytes::from_static(b" ")).await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        Ok(UpstreamResponse::pieces(200, Headers::default(), pieces))
    }
}

#[tokio::test(start_paused = true)]
async fn the_command_line_does_not_wait_for_ever() {
    let (began, address) = (tokio::time::Instant::now(), "127.0.0.1:8081".parse().expect("an address"));
    let remote = RemoteAdmin::new(Arc::new(Trickle), address, "a token".to_owned().into());
    let refused = remote.dead(&PageQuery { after: None, most: 1, words: false }).await.expect_err("no answer");
    assert_eq!(refused.status, 503);
    assert_eq!(began.elapsed().as_secs(), 60);
}
