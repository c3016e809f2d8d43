//! NXCloud's side: who is let in, what is answered, and what goes out to the bot.

mod adapter;
mod callbacks;
mod media;
mod receipts;
mod sends;

use threedots::message::clock::Timestamp;
use threedots::sandbox::{Calls, Failure, Fault, Upstream};
use tokio::time::Instant;

use super::*;
use crate::nxcloud::sign;

const KEY: &str = "sandbox-access-token";
const SECRET: &str = "sandbox-app-secret";
/// The bot's own number.
const OURS: &str = "12125550199";

/// NXCloud and Ada.
struct Nx {
    world: World,
    began: Instant,
}

impl std::ops::Deref for Nx {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

impl Nx {
    fn new(settings: SandboxSettings) -> Self {
        Self { began: Instant::now(), world: World::with(settings) }
    }

    /// What the sandbox's clock shows.
    fn now(&self) -> u64 {
        self.sandbox.phone().started().plus(self.began.elapsed()).0
    }
}

/// Without statuses.
fn quiet() -> Nx {
    let statuses = StatusDelays { sent: None, delivered: None, read: None };
    Nx::new(SandboxSettings { statuses, ..SandboxSettings::of(Upstream::NxCloud) })
}

fn signed(path: &str, action: &str, ts: u64, body: &[u8]) -> UpstreamRequest {
    let ts = ts.to_string();
    let sign = sign(KEY, action, "2", &ts, body, SECRET);
    let headers = [
        ("accessKey", KEY),
        ("ts", &ts),
        ("bizType", "2"),
        ("action", action),
        ("sign", &sign),
        ("Content-Type", "application/json"),
    ];
    UpstreamRequest {
        method: "POST".to_owned(),
        path_and_query: format!("/nxcloud/graph{path}"),
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        body: Bytes::copy_from_slice(body),
    }
}

async fn call(world: &Nx, path: &str, action: &str, body: &Value) -> (u16, Value) {
    let request = signed(path, action, world.now(), body.to_string().as_bytes());
    answer(world.sandbox.handle(request).await)
}

fn typing_for(message: &MessageId) -> Value {
    json!({
        "appkey": KEY, "messaging_product": "whatsapp", "business_phone": OURS, "status": "read",
        "message_id": message.as_str(), "typing_indicator": { "type": "text" },
    })
}

fn words(words: &str) -> Value {
    json!({
        "appkey": KEY, "messaging_product": "whatsapp", "business_phone": OURS, "recipient_type": "individual",
        "to": ADA, "type": "text", "text": { "body": words },
    })
}

async fn typing(world: &Nx, body: &Value) -> (u16, Value) {
    call(world, "/api/wa/typingIndicator", "read", body).await
}

async fn mt(world: &Nx, body: &Value) -> (u16, Value) {
    call(world, "/api/wa/mt", "mt", body).await
}

/// NXCloud's code, and Meta's inside it.
fn codes(answer: &(u16, Value)) -> (i64, Option<f64>) {
    assert_eq!(answer.0, 200, "NXCloud answers everything with 200");
    (answer.1["code"].as_i64().unwrap(), answer.1["data"]["error"]["code"].as_f64())
}

#[tokio::test(start_paused = true)]
async fn who_does_not_sign_rightly_stays_out() {
    let world = quiet();
    let message = world.ada_writes("hello").await;
    let body = typing_for(&message).to_string();
    let good = || signed("/api/wa/typingIndicator", "read", world.now(), body.as_bytes());
    let with = |name: &str, value: &str| {
        let mut request = good();
        request.headers.iter_mut().find(|(known, _)| known == name).unwrap().1 = value.to_owned();
        request
    };
    let without = |name: &str| {
        let mut request = good();
        request.headers.retain(|(known, _)| known != name);
        request
    };
    let at = |ts: u64| signed("/api/wa/typingIndicator", "read", ts, body.as_bytes());
    let mut refused = vec![
        ("another secret", with("sign", &sign(KEY, "read", "2", "1", body.as_bytes(), "x")), 1003),
        ("another body", UpstreamRequest { body: Bytes::from(format!("{body} ")), ..good() }, 1003),
        ("another type", with("Content-Type", "application/json; charset=utf-8"), 1003),
        ("another key", with("accessKey", "x"), 1005),
        ("another business", with("bizType", "1"), 1002),
        ("another action", signed("/api/wa/typingIndicator", "mt", world.now(), body.as_bytes()), 1002),
        ("too early", at(world.now() - 60_001), 1004),
        ("too late", at(world.now() + 61_000), 1004),
        ("no time", with("ts", "soon"), 1004),
    ];
    refused.extend(["accessKey", "ts", "bizType", "action", "sign"].map(|name| (name, without(name), 1001)));
    for (name, request, code) in refused {
        let answer = answer(world.sandbox.handle(request).await);
        assert_eq!(codes(&answer), (code, None), "{name}");
        assert_eq!(answer.1["data"], Value::Null, "{name}");
    }
    assert!(!world.sandbox.phone().dots_showing(&world.ada));
    for request in [good(), at(world.now() - 59_000), at(world.now() + 59_000)] {
        assert_eq!(codes(&answer(world.sandbox.handle(request).await)), (0, None));
    }
    assert!(world.sandbox.phone().dots_showing(&world.ada));
}

/// Computed apart from this code.
#[tokio::test(start_paused = true)]
async fn signatures_are_the_ones_that_nxcloud_would_take() {
    const TS: u64 = 1_655_710_885_431;
    const BODY: &str = r#"{"appkey":"xxx","messaging_product":"whatsapp","business_phone":"8615800001795","status":"read","message_id":"wamid.TEST=","typing_indicator":{"type":"text"}}"#;
    let settings = SandboxSettings {
        access_token: "fme2na3kdi3ki".to_owned(),
        app_secret: "abciiiko2k3".to_owned(),
        ..SandboxSettings::of(Upstream::NxCloud)
    };
    let clock = Clock::Tokio { epoch: Timestamp(TS), started: Instant::now() };
    let sandbox = Sandbox::new(settings, clock, Arc::new(Letterbox::default()));
    let request = |path: &str, action: &str, kind: &str, sign: &str, body: &str| {
        let mut request = signed(path, action, TS, body.as_bytes());
        for (name, value) in [("accessKey", "fme2na3kdi3ki"), ("sign", sign), ("Content-Type", kind)] {
            request.headers.iter_mut().find(|(known, _)| known == name).unwrap().1 = value.to_owned();
        }
        request
    };
    let (json, form) = ("application/json", "multipart/form-data; boundary=x");
    let calls = [
        // Let in, and no further: the number is another's, the form has no file.
        (request("/api/wa/typingIndicator", "read", json, "7b1f459a8aadad3112c9d12e30bd83d2", BODY), 10_003),
        (request("/api/wa/uploadMedia", "uploadMedia", form, "d2632e6b4cbea8587b36cb585e06a195", "--x--"), 9000),
        (request("/api/wa/typingIndicator", "read", json, "7b1f459a8aadad3112c9d12e30bd83d3", BODY), 1003),
    ];
    for (request, code) in calls {
        assert_eq!(codes(&answer(sandbox.handle(request).await)), (code, None));
    }
    sandbox.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_refusal_tells_nxclouds_time() {
    let world = quiet();
    let request = signed("/api/wa/mt", "mt", 0, b"{}");
    let UpstreamAnswer::Whole { headers, .. } = world.sandbox.handle(request).await else { panic!() };
    let date = headers.iter().find(|(name, _)| name == "date").map(|(_, date)| date.as_str()).unwrap();
    let told = jiff::fmt::rfc2822::parse(date).unwrap().timestamp().as_millisecond() as u64;
    assert!(world.now().abs_diff(told) < 5_000, "{date}");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_call_is_not_found() {
    let world = quiet();
    for path in ["/", "/api/wa/nothing", "/api/wa/mt/", "/v25.0/1/messages"] {
        let (status, _) = answer(world.sandbox.handle(signed(path, "mt", world.now(), b"{}")).await);
        assert_eq!(status, 404, "{path}");
    }
    let get = UpstreamRequest { method: "GET".to_owned(), ..signed("/api/wa/mt", "mt", world.now(), b"{}") };
    assert_eq!(answer(world.sandbox.handle(get).await).0, 404);
}

#[tokio::test(start_paused = true)]
async fn each_failure_has_its_own_answer_and_no_effect() {
    let world = quiet();
    let message = world.ada_writes("hello").await;
    let failures = [
        (Failure::TooMany { retry_after: None }, (9099, Some(130_429.0))),
        (Failure::TooManyToOne, (9099, Some(131_056.0))),
        (Failure::Refused, (9099, Some(131_009.0))),
        (Failure::Token, (1005, None)),
        (Failure::SessionDown, (9007, None)),
        (Failure::Unknown, (-1, None)),
    ];
    for (failure, expected) in failures {
        world.sandbox.faults().add(Fault::on(Calls::Any).times(2).fail(failure));
        assert_eq!(codes(&typing(&world, &typing_for(&message)).await), expected, "{failure:?}");
        assert_eq!(codes(&mt(&world, &words("hi")).await), expected, "{failure:?}");
    }
    world.sandbox.faults().add(Fault::on(Calls::Send).once().fail(Failure::Broken));
    assert_eq!(mt(&world, &words("hi")).await, (502, Value::Null));
    assert!(!world.sandbox.phone().dots_showing(&world.ada));
    assert!(world.sandbox.phone().replies(&world.ada).is_empty());
    world.sandbox.faults().add(Fault::on(Calls::Send).once().fail(Failure::TooMany { retry_after: Some(7) }));
    let request = signed("/api/wa/mt", "mt", world.now(), words("hi").to_string().as_bytes());
    let UpstreamAnswer::Whole { headers, .. } = world.sandbox.handle(request).await else { panic!() };
    assert!(headers.contains(&("retry-after".to_owned(), "7".to_owned())));
}
