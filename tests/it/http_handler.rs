//! Handlers over HTTP: what they are sent, what they may answer, and what comes of it.

pub(crate) mod addresses;
mod callbacks;
mod examples;
mod openapi;
mod server;
mod trial;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use threedots::handler::http::callbacks::Callbacks;
use threedots::handler::http::{Egress, Http, HttpConfig};
use threedots::message::clock::Clock;
use threedots::runtime::http::{Body, Call, CallError, Headers, Transport, UpstreamResponse};
use threedots::sandbox::Upstream;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::world::{Setup, World};

pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A call that has come in.
#[derive(Clone)]
pub(crate) struct Seen {
    /// When, since the first one.
    second: u64,
    pub(crate) url: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_else(|| panic!("no header {name}"))
    }

    /// What its signature has to be, as anybody would compute it.
    pub(crate) fn signature(&self) -> String {
        let key = BASE64_STANDARD.decode(&SECRET[6..]).expect("base64");
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("a key");
        mac.update(format!("{}.{}.", self.header("webhook-id"), self.header("webhook-timestamp")).as_bytes());
        mac.update(&self.body);
        format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
    }

    pub(crate) fn turn(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

type Says = dyn Fn(usize, Seen) -> BoxFuture<'static, Result<UpstreamResponse, CallError>> + Send + Sync;

/// The other side: answers the calls by their numbers, and notes them.
pub(crate) struct Remote {
    seen: Mutex<Vec<Seen>>,
    /// How many calls were dropped before they had an answer.
    dropped: Arc<Mutex<usize>>,
    began: Instant,
    says: Box<Says>,
}

/// Notes that a call was dropped.
struct Dropped(Option<Arc<Mutex<usize>>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        if let Some(dropped) = &self.0 {
            *dropped.lock().expect("nobody panics in here") += 1;
        }
    }
}

#[async_trait]
impl Transport for Remote {
    async fn call(&self, call: Call) -> Result<UpstreamResponse, CallError> {
        let Body::Json(body) = call.body else { panic!("a turn is JSON") };
        let headers = call.headers.into_iter().map(|(name, value)| (name.into_owned(), value)).collect();
        let seen = Seen { second: self.began.elapsed().as_secs(), url: call.url.into(), headers, body };
        let number = {
            let mut all = self.seen.lock().expect("nobody panics in here");
            all.push(seen.clone());
            all.len() - 1
        };
        let mut dropped = Dropped(Some(Arc::clone(&self.dropped)));
        let answered = tokio::time::timeout(call.timeout, (self.says)(number, seen)).await;
        dropped.0 = None;
        answered.unwrap_or(Err(CallError::Unanswered("timed out")))
    }
}

impl Remote {
    pub(crate) fn new<F>(says: impl Fn(usize, Seen) -> F + Send + Sync + 'static) -> Arc<Self>
    where
        F: Future<Output = Result<UpstreamResponse, CallError>> + Send + 'static,
    {
        let says: Box<Says> = Box::new(move |number, seen| Box::pin(says(number, seen)));
        Arc::new(Self { seen: Mutex::default(), dropped: Arc::default(), began: Instant::now(), says })
    }

    /// One that always answers with this.
    pub(crate) fn always(status: u16, kind: &'static str, body: &str) -> Arc<Self> {
        let body = Bytes::copy_from_slice(body.as_bytes());
        Self::new(move |_, _| {
            let body = body.clone();
            async move { Ok(whole(status, kind, body)) }
        })
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("nobody panics in here").clone()
    }

    fn seconds(&self) -> Vec<u64> {
        self.seen().iter().map(|seen| seen.second).collect()
    }
}

pub(crate) fn whole(status: u16, kind: &str, body: impl Into<Bytes>) -> UpstreamResponse {
    UpstreamResponse::whole(status, [("content-type", kind)].into_iter().collect(), body.into())
}

pub(crate) fn says(body: &Value) -> Result<UpstreamResponse, CallError> {
    Ok(whole(200, "application/json", body.to_string()))
}

/// A world whose handler is at the other end, and where it comes back to.
fn world(upstream: Upstream, remote: &Arc<Remote>) -> (World, Arc<Callbacks>) {
    let (setup, callbacks) = setup(upstream, remote);
    (setup.start(), callbacks)
}

fn setup(upstream: Upstream, remote: &Arc<Remote>) -> (Setup, Arc<Callbacks>) {
    let callbacks = Callbacks::new("http://127.0.0.1:8082", Clock::tokio());
    let config = HttpConfig { url: "https://handler.example/reply".into(), ..HttpConfig::default() };
    let ways_out = Egress {
        anywhere: Arc::clone(remote) as _,
        public: Arc::clone(remote) as _,
        models: threedots::runtime::http::Shared::default(),
    };
    let secret = SECRET.to_owned().into();
    let http = Http::new(config, Some(&secret), &ways_out, Arc::clone(&callbacks), Clock::tokio());
    (Setup::on(upstream, http.unwrap_or_else(|problems| panic!("{problems:?}"))), callbacks)
}

#[tokio::test(start_paused = true)]
async fn a_turn_is_posted_signed_and_the_answer_is_sent() {
    let remote =
        Remote::new(|_, seen| async move { says(&json!({ "text": format!("You said {}", seen.turn()["text"]) })) });
    let (world, _) = world(Upstream::Meta, &remote);
    world.write("hello");
    world.pass(10).await;
    assert_eq!(world.replies(), ["You said \"hello\""]);
    let [seen] = &remote.seen()[..] else { panic!("one call") };
    assert_eq!(seen.url, "https://handler.example/reply");
    let turn = seen.turn();
    assert_eq!(seen.header("webhook-id"), turn["id"]);
    assert_eq!(seen.header("idempotency-key"), turn["id"]);
    assert_eq!(seen.header("threedots-deadline-ms"), "90000");
    assert_eq!(seen.header("webhook-signature"), seen.signature());
    // And what there was to say.
    assert_eq!((&turn["version"], &turn["bot"], &turn["text"]), (&json!(1), &json!("shop"), &json!("hello")));
    assert_eq!(turn["contact"]["name"], "Ada");
    assert_eq!(turn["messages"][0]["content"], json!({ "type": "text", "text": "hello" }));
    assert_eq!(turn["history"], json!([]));
    world.write("and");
    world.pass(10).await;
    let history = &remote.seen()[1].turn()["history"];
    let said: Vec<_> = history.as_array().expect("a list").iter().map(|said| (&said["by"], &said["text"])).collect();
    assert_eq!(said, [(&json!("customer"), &json!("hello")), (&json!("bot"), &json!("You said \"hello\""))]);
}

#[tokio::test(start_paused = true)]
async fn every_form_of_an_answer_is_understood() {
    for (status, kind, body, replies) in [
        (204, "", "", vec![]),
        (200, "application/json", r#"{"silence": true}"#, vec![]),
        (200, "application/json", r#"{"handover": "too hard"}"#, vec![]),
        (200, "text/plain; charset=utf-8", "just words", vec!["just words"]),
        (201, "application/json; charset=utf-8", r#"{"text": "made"}"#, vec!["made"]),
        // Half a surrogate pair.
        (200, "application/json", r#"{"text": "nice \ud83d"}"#, vec!["nice \u{fffd}"]),
        (
            200,
            "application/json",
            r#"{"parts": [{"type": "text", "text": "\ude00 \\ud83d"}]}"#,
            vec!["\u{fffd} \\ud83d"],
        ),
        (200, "text/event-stream", "event: reply\ndata: {\"text\": \"nice \\ud83d\"}\n\n", vec!["nice \u{fffd}"]),
        (
            200,
            "application/json",
            r#"{"parts": [{"type": "text", "text": "one", "quote": true}, {"type": "text", "text": "two"}]}"#,
            vec!["one", "two"],
        ),
    ] {
        let remote = Remote::always(status, kind, body);
        let (world, _) = world(Upstream::Meta, &remote);
        world.write("hello");
        world.pass(10).await;
        assert_eq!(world.replies(), replies, "{body}");
        assert_eq!(world.dead().await, [], "{body}");
        assert_eq!(remote.seen().len(), 1, "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_says_in_which_format_its_words_are() {
    let markdown =
        json!([{ "type": "text", "text": "**Open**", "format": "markdown" }, { "type": "text", "text": "**x**" }]);
    for (answer, sent) in [
        (json!({ "text": "**Open** ~~x~~", "format": "markdown" }), vec!["*Open* ~x~"]),
        (json!({ "text": "**Open**" }), vec!["**Open**"]),
        (json!({ "parts": markdown }), vec!["*Open*", "**x**"]),
    ] {
        let (world, _) = world(Upstream::Meta, &Remote::always(200, "application/json", &answer.to_string()));
        world.write("hello");
        world.pass(60).await;
        assert_eq!(world.replies(), sent, "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_that_may_pass_is_asked_about_again_under_the_same_key() {
    let remote = Remote::new(|number, _| async move {
        match number {
            0 => Ok(whole(500, "text/html", "<h1>oh</h1>")),
            1 => Err(CallError::NotSent("cannot connect")),
            2 => Ok(whole(429, "", "")),
            _ => says(&json!({ "text": "at last" })),
        }
    });
    let (world, _) = world(Upstream::Meta, &remote);
    world.write("hello");
    world.pass(30).await;
    assert_eq!(world.replies(), ["at last"]);
    assert_eq!(remote.seconds(), [0, 1, 3, 7]);
    let seen = remote.seen();
    assert!(seen.iter().all(|call| call.header("idempotency-key") == seen[0].header("idempotency-key")));
    assert_eq!(seen[3].header("threedots-deadline-ms"), "83000");
    assert_eq!(world.calls(), ["0 s: read and typing", "7 s: send"], "the dots stayed on");
}

#[tokio::test(start_paused = true)]
async fn one_that_hangs_is_asked_again_while_the_turns_time_lasts() {
    let remote = Remote::new(|_, _| std::future::pending());
    let (world, _) = world(Upstream::Meta, &remote);
    world.write("hello");
    world.pass(200).await;
    assert_eq!(remote.seconds(), [0, 31, 63]);
    let dead = world.dead().await;
    assert_eq!(dead[0].reason, "the handler failed: no answer: timed out");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_taken_is_a_failure_with_a_reason_and_without_anybodys_words() {
    const CANARY: &str = "CANARY";
    for (status, kind, body, reason) in [
        (400, "application/json", json!({ "error": CANARY }), "it answered with HTTP 400"),
        (302, "text/html", json!(CANARY), "it answered with HTTP 302, and redirects are not followed"),
        (200, "text/html", json!(CANARY), "a content-type other than application/json"),
        (200, "application/json", json!({ "txt": CANARY }), "its answer: txt is not of the form"),
        (200, "application/json", json!({ "text": { CANARY: 1 } }), "its answer: text is not of the form"),
        (200, "application/json", json!({ "text": CANARY, "silence": true }), "its answer: send one of"),
        (200, "application/json", json!({ "parts": [{ "type": "tune", "text": CANARY }] }), "its answer: parts[0]"),
        (200, "application/json", json!({ "parts": [{ "type": "image" }] }), "parts[0]: a medium has either url"),
        (
            200,
            "application/json",
            json!({ "parts": [{ "type": "image", "data": "~", "mime": "image/png" }] }),
            "parts[0]: data is not base64",
        ),
        (200, "application/json", json!({ "parts": [] }), "breaks a limit of the provider's: the reply is empty"),
        (
            200,
            "application/json",
            json!({ "parts": [{ "type": "image", "url": format!("http://{CANARY}.example/x.png") }] }),
            "breaks a limit of the provider's: part 1 (media): the link to the medium is not an https address",
        ),
    ] {
        let remote = Remote::always(status, kind, &body.to_string());
        let (world, _) = world(Upstream::Meta, &remote);
        world.write("hello");
        world.pass(100).await;
        let dead = world.dead().await;
        let [letter] = &dead[..] else { panic!("{body}: {} dead letters", dead.len()) };
        assert!(letter.reason.contains(reason), "{body}: {}", letter.reason);
        assert!(!letter.reason.contains(CANARY), "{body}: {}", letter.reason);
        assert_eq!(remote.seen().len(), 1, "{body}: it was asked again");
    }
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_is_cancelled_closes_the_connection() {
    let remote = Remote::new(|_, _| std::future::pending());
    let (world, callbacks) = world(Upstream::Meta, &remote);
    world.write("hello");
    world.pass(5).await;
    assert_eq!(*remote.dropped.lock().expect("nobody panics in here"), 0);
    world.write("stop");
    world.pass(5).await;
    assert_eq!(*remote.dropped.lock().expect("nobody panics in here"), 1);
    let turn = remote.seen()[0].turn();
    let id = turn["id"].as_str().expect("text");
    let token = turn["callback"]["token"].as_str();
    assert!(callbacks.answer(id, token, br#"{"text": "too late"}"#).is_err());
    world.pass(300).await;
    assert!(world.replies().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_turn_is_known_by_the_same_name_after_a_restart() {
    let remote = Remote::new(|number, _| async move {
        if number == 0 { std::future::pending().await } else { says(&json!({ "text": "hello again" })) }
    });
    let (mut first, _) = setup(Upstream::Meta, &remote);
    first.worker.grace = Duration::ZERO;
    let mut world = first.start();
    world.write("hello");
    world.pass(5).await;
    let (second, _) = setup(Upstream::Meta, &remote);
    world.restart(second).await;
    world.pass(20).await;
    assert_eq!(world.replies(), ["hello again"]);
    let seen = remote.seen();
    assert_eq!(seen[0].turn()["id"], seen[1].turn()["id"]);
    assert_ne!(seen[0].turn()["callback"]["token"], seen[1].turn()["callback"]["token"]);
}

/// A stream whose pieces come at their seconds.
fn stream(pieces: &'static [(u64, &'static str)]) -> Arc<Remote> {
    Remote::new(move |_, _| async move {
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            let began = Instant::now();
            for (second, piece) in pieces {
                tokio::time::sleep_until(began + Duration::from_secs(*second)).await;
                if sender.send(Bytes::from_static(piece.as_bytes())).await.is_err() {
                    return;
                }
            }
        });
        let headers: Headers = [("content-type", "text/event-stream")].into_iter().collect();
        Ok(UpstreamResponse::pieces(200, headers, receiver))
    })
}

#[tokio::test(start_paused = true)]
async fn a_stream_steers_the_dots_and_ends_with_the_reply() {
    let remote = stream(&[
        (0, ": hello\n\n"),
        (8, "event: recording\ndata\n\n"),
        (12, "event: beat\n\n"),
        (14, "event: something-new\ndata: 1\n\nevent: typing\n\n"),
        (20, "event: reply\ndata: {\"text\":\ndata: \"found it\"}\n\n"),
        (21, "event: reply\ndata: {\"text\": \"never read\"}\n\n"),
    ]);
    let (world, _) = world(Upstream::Waha, &remote);
    world.write("hello");
    world.pass(60).await;
    assert_eq!(world.replies(), ["found it"]);
    let calls = world.calls();
    assert!(calls.contains(&"8 s: recording".into()), "{calls:?}");
    assert!(calls.contains(&"12 s: stop".into()), "{calls:?}");
    assert!(calls.iter().any(|call| call == "14 s: typing"), "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_stalls_or_ends_early_is_asked_for_again() {
    for pieces in [&[(0, "event: typing\n\n"), (1, ": x\n")][..], &[(0, "event: typing\n\n"), (45, "event: reply\n")]] {
        let remote = stream(pieces);
        let (world, _) = world(Upstream::Meta, &remote);
        world.write("hello");
        world.pass(40).await;
        assert!(remote.seen().len() >= 2, "{pieces:?}");
    }
}
