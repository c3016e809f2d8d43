//! `cargo bench --bench timing`: does the time of a refusal tell how much of a signature, or of a token, was right?
//!
//! The method of dudect (Reparaz, Balasch and Verbauwhede, 2017): requests of two classes, in random order, and
//! Welch's t-test on their times, the slowest tenth left out as the machine's own noise. |t| under 5 says that no
//! difference was found. The last line is a comparison that does stop early, to show that the method sees one.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use threedots::message::BotName;
use threedots::message::clock::{Clock, Timestamp};
use threedots::provider::meta::{Meta, MetaSettings};
use threedots::provider::{Method, Provider, WebhookRequest};
use threedots::runtime::http::{Call, CallError, Headers, Transport, UpstreamResponse};

const SAMPLES: usize = 200_000;
const SECRET: &str = "0123456789abcdef0123456789abcdef";
const TOKEN: &str = "a-verify-token-of-thirty-two-char";
const BODY: &[u8] = br#"{"object":"whatsapp_business_account","entry":[]}"#;

struct Nowhere;

#[async_trait]
impl Transport for Nowhere {
    async fn call(&self, _: Call) -> Result<UpstreamResponse, CallError> {
        Err(CallError::NotSent("a benchmark makes no call"))
    }
}

fn meta() -> Meta {
    let secret = |text: &str| text.to_owned().into();
    let settings = MetaSettings::new("1", secret("token"), secret(SECRET), secret(TOKEN));
    Meta::new(BotName::new("shop"), settings, Arc::new(Nowhere), Clock::System)
}

fn request(method: Method, query: String, signature: Option<&str>) -> WebhookRequest {
    let headers: Headers = signature.map(|signature| ("x-hub-signature-256", signature)).into_iter().collect();
    WebhookRequest { method, query, headers, body: Bytes::from_static(BODY), received: Timestamp(0) }
}

/// Times two kinds of input in random order and returns Welch's t.
fn compare<T: Clone>(left: &T, right: &T, judge: impl Fn(&T) -> bool) -> f64 {
    let mut times = [Vec::with_capacity(SAMPLES), Vec::with_capacity(SAMPLES)];
    // xorshift: the order must not be one that a branch predictor or a clock's tick can follow.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..SAMPLES {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let class = usize::from(state & 1 == 1);
        // A fresh copy, in the same place: two originals at two addresses differ by more than what is looked for.
        let input = if class == 0 { left } else { right }.clone();
        let began = Instant::now();
        black_box(judge(black_box(&input)));
        times[class].push(began.elapsed().as_nanos() as f64);
    }
    let moments = times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times.truncate(times.len() * 9 / 10);
        let count = times.len() as f64;
        let mean = times.iter().sum::<f64>() / count;
        (mean, times.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / (count - 1.0) / count)
    });
    let [(left, left_error), (right, right_error)] = moments;
    (left - right) / (left_error + right_error).sqrt()
}

/// A signature that is wrong in its last digit, against one that is wrong in its first.
fn signatures() -> f64 {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("a key of any length");
    mac.update(BODY);
    let right = hex::encode(mac.finalize().into_bytes());
    let wrong_at = |at: usize| {
        let mut digits = right.clone().into_bytes();
        // A letter for a letter, a digit for a digit: reading the caller's own digits may take what time it likes.
        digits[at] = match digits[at] {
            b'0' => b'1',
            b'a' => b'b',
            b'1'..=b'9' => b'0',
            _ => b'a',
        };
        request(Method::Post, String::new(), Some(&format!("sha256={}", String::from_utf8_lossy(&digits))))
    };
    let meta = meta();
    compare(&wrong_at(63), &wrong_at(0), |request| meta.receive(request).is_err())
}

/// A token that is wrong in its last letter, against one that is wrong in its first.
fn tokens() -> f64 {
    let wrong = |token: String| {
        request(Method::Get, format!("hub.mode=subscribe&hub.challenge=1&hub.verify_token={token}"), None)
    };
    let (last, first) = (wrong(format!("{}X", &TOKEN[..TOKEN.len() - 1])), wrong(format!("X{}", &TOKEN[1..])));
    let meta = meta();
    compare(&last, &first, |request| meta.receive(request).is_err())
}

/// A comparison, byte by byte, that stops at the first difference.
fn stops_early() -> f64 {
    let right = vec![7u8; 4096];
    let (mut last, mut first) = (right.clone(), right.clone());
    (last[4095], first[0]) = (8, 8);
    compare(&last, &first, |theirs| theirs.iter().zip(&right).all(|(theirs, ours)| theirs == ours))
}

#[expect(clippy::print_stdout, reason = "a benchmark's answer")]
fn main() {
    println!("signature: t = {:8.2}  (a refusal must not tell: |t| < 5)", signatures());
    println!("token:     t = {:8.2}  (a refusal must not tell: |t| < 5)", tokens());
    println!("control:   t = {:8.2}  (a comparison that stops early)", stops_early());
}
