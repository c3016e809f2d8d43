//! Signed callbacks: what vouches for one, against vectors that were computed apart from this code.

use std::time::Duration;

use serde_json::{Value, json};
use threedots::message::clock::Timestamp;
use threedots::provider::{Method, WebhookError, WebhookRequest};
use threedots::runtime::http::Headers;

use super::{
    ACCESS_KEY, ACCESS_SECRET, CALLBACK_SECRET, RECEIVED, events, post, post_with, receiver, sign, signed, signed_with,
};

const KEY: &str = "fme2na3kdi3ki";
const TS: &str = "1655710885431";
const TYPING: &str = r#"{"appkey":"xxx","messaging_product":"whatsapp","business_phone":"8615800001795","status":"read","message_id":"wamid.TEST=","typing_indicator":{"type":"text"}}"#;

/// Action, kind of business, body, signature. The first three are NXCloud's own.
const VECTORS: [(&str, &str, &str, &str); 5] = [
    ("send", "1", r#"{"name":"牛小信","id":10001}"#, "87c3560d3331ae23f1021e2025722354"),
    ("send", "1", r#"{"id":10001,"name":"牛小信"}"#, "7750759da06333f20d0640be09355e34"),
    ("send", "1", r#"{"id": 10001, "name": "牛小信"}"#, "d0c24a9886c629330d7f3f2056c65bc2"),
    ("read", "2", TYPING, "7b1f459a8aadad3112c9d12e30bd83d2"),
    ("uploadMedia", "2", "", "d2632e6b4cbea8587b36cb585e06a195"),
];

fn refusal(changes: Value, request: &WebhookRequest) -> Option<WebhookError> {
    events(receiver(changes).receive(request)).err()
}

#[test]
fn a_body_is_vouched_for_by_its_own_signature_alone() {
    let sample = || json!({ "access_key": "env:SAMPLE_KEY", "access_secret": "env:SAMPLE_SECRET" });
    for (action, biz_type, body, _) in VECTORS {
        for (_, _, signed, digits) in VECTORS {
            let refused = refusal(sample(), &post_with(body.as_bytes(), [KEY, action, biz_type, TS, digits]));
            // An empty body is signed as rightly as any, and is none of NXCloud's.
            let own = (body.is_empty()).then_some(WebhookError::Malformed);
            let expected = if body == signed { own } else { Some(WebhookError::WrongSignature) };
            assert_eq!(refused, expected, "{body} with the signature of {signed}");
        }
    }
}

#[test]
fn nothing_that_is_signed_can_be_changed() {
    let body = br#"{"messages":[]}"#;
    let ts = RECEIVED.0.to_string();
    let right = sign(ACCESS_KEY, "mo", "2", &ts, body, ACCESS_SECRET);
    assert_eq!(refusal(json!({}), &post_with(body, [ACCESS_KEY, "mo", "2", &ts, &right])), None);
    assert_eq!(refusal(json!({}), &post_with(body, [ACCESS_KEY, "mo", "2", &ts, &right.to_uppercase()])), None);
    let later = (RECEIVED.0 + 1).to_string();
    let changed = [
        post_with(br#"{"messages":[] }"#, [ACCESS_KEY, "mo", "2", &ts, &right]),
        post_with(body, [ACCESS_KEY, "dr", "2", &ts, &right]),
        post_with(body, [ACCESS_KEY, "mo", "4", &ts, &right]),
        post_with(body, [ACCESS_KEY, "mo", "2", &later, &right]),
        post_with(body, [ACCESS_KEY, "mo", "2", &ts, &right[1..]]),
        post_with(body, [ACCESS_KEY, "mo", "2", &ts, &format!("{right}00")]),
        post_with(body, [ACCESS_KEY, "mo", "2", &ts, ""]),
        post_with(body, [ACCESS_KEY, "mo", "2", &ts, "not hexadecimal digits at all, no"]),
        signed_with("another secret", RECEIVED, body),
        signed_with("", RECEIVED, body),
    ];
    for request in changed {
        assert_eq!(refusal(json!({}), &request), Some(WebhookError::WrongSignature));
    }
}

#[test]
fn a_signature_of_another_account_with_the_same_secret_is_no_proof() {
    let (body, ts) = (br#"{"messages":[]}"#, RECEIVED.0.to_string());
    for key in ["anotherAccessKey", "", "fictionalAccessKe"] {
        let sign = sign(key, "mo", "2", &ts, body, ACCESS_SECRET);
        let refused = refusal(json!({}), &post_with(body, [key, "mo", "2", &ts, &sign]));
        assert_eq!(refused, Some(WebhookError::WrongSignature), "{key}");
    }
}

#[test]
fn a_callback_without_all_five_headers_or_with_one_of_them_twice_is_unsigned() {
    let (body, ts) = (br#"{"messages":[]}"#, RECEIVED.0.to_string());
    let sign = sign(ACCESS_KEY, "mo", "2", &ts, body, ACCESS_SECRET);
    let all = [("AccessKey", ACCESS_KEY), ("Action", "mo"), ("BizType", "2"), ("Ts", &ts), ("Sign", &sign)];
    assert_eq!(refusal(json!({}), &post(body, all.into_iter().collect(), RECEIVED)), None);
    for (left_out, twice) in all {
        let without: Headers = all.into_iter().filter(|(name, _)| *name != left_out).collect();
        assert_eq!(refusal(json!({}), &post(body, without, RECEIVED)), Some(WebhookError::Unsigned), "{left_out}");
        let double: Headers = all.into_iter().chain([(left_out, twice)]).collect();
        assert_eq!(refusal(json!({}), &post(body, double, RECEIVED)), Some(WebhookError::Unsigned), "{left_out}");
    }
}

#[test]
fn who_is_not_vouched_for_is_not_even_read() {
    for body in [&b"\xff\xfe"[..], b"{", b"[]"] {
        assert_eq!(refusal(json!({}), &post(body, Headers::default(), RECEIVED)), Some(WebhookError::Unsigned));
        let request = signed_with("another secret", RECEIVED, body);
        assert_eq!(refusal(json!({}), &request), Some(WebhookError::WrongSignature));
    }
}

#[test]
fn there_is_no_handshake() {
    let request = WebhookRequest { method: Method::Get, ..signed_with(ACCESS_SECRET, RECEIVED, b"{}") };
    assert_eq!(refusal(json!({}), &request), Some(WebhookError::WrongMethod));
}

#[test]
fn callbacks_may_have_a_secret_of_their_own() {
    let own = || json!({ "callback_secret": "env:CALLBACK_SECRET" });
    let body = br#"{"messages":[]}"#;
    assert_eq!(refusal(own(), &signed_with(CALLBACK_SECRET, RECEIVED, body)), None);
    assert_eq!(refusal(own(), &signed_with(ACCESS_SECRET, RECEIVED, body)), Some(WebhookError::WrongSignature));
}

#[test]
fn the_headers_names_are_the_operators_to_choose() {
    let (body, ts) = (br#"{"messages":[]}"#, RECEIVED.0.to_string());
    let sign = sign(ACCESS_KEY, "mo", "2", &ts, body, ACCESS_SECRET);
    let headers = [("x-key", ACCESS_KEY), ("action", "mo"), ("bizType", "2"), ("x-time", &ts), ("x-sign", &sign)];
    let request = post(body, headers.into_iter().collect(), RECEIVED);
    let names = json!({ "access_key": "X-Key", "ts": "X-Time", "sign": "X-Sign" });
    assert_eq!(refusal(json!({ "callback_headers": names }), &request), None);
    assert_eq!(refusal(json!({}), &request), Some(WebhookError::Unsigned));
}

#[test]
fn a_signature_is_good_at_any_age_unless_the_operator_says_otherwise() {
    let body = br#"{"messages":[]}"#;
    let at = |ts: u64| signed_with(ACCESS_SECRET, Timestamp(ts), body);
    for ts in [0, RECEIVED.0 - 8 * 86_400_000, RECEIVED.0 + 86_400_000] {
        assert_eq!(refusal(json!({}), &at(ts)), None);
    }
    let strict = || json!({ "callback_tolerance": "60s" });
    assert_eq!(refusal(strict(), &signed(body)), None);
    let within = Duration::from_secs(60).as_millis() as u64;
    for ts in [RECEIVED.0 - within, RECEIVED.0, RECEIVED.0 + within] {
        assert_eq!(refusal(strict(), &at(ts)), None);
    }
    for ts in [0, RECEIVED.0 - within - 1, RECEIVED.0 + within + 1, u64::MAX] {
        assert_eq!(refusal(strict(), &at(ts)), Some(WebhookError::WrongSignature));
    }
    for ts in ["", "soon", "-1", "1767225700000.0"] {
        let sign = sign(ACCESS_KEY, "mo", "2", ts, body, ACCESS_SECRET);
        let request = post_with(body, [ACCESS_KEY, "mo", "2", ts, &sign]);
        assert_eq!(refusal(strict(), &request), Some(WebhookError::WrongSignature), "{ts}");
    }
}
