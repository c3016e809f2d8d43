//! Who is believed: the signature against a vector that was computed apart from this code, and everything that is none.

use serde_json::json;
use threedots::message::clock::Clock;
use threedots::provider::{Method, Provider, WebhookError, WebhookRequest};

use super::fixtures::fixture;
use super::{RECEIVED, SECRET, config, connect, digits, events, gateway, gateway_on, post, signed};
use crate::upstream::Upstream;

/// Also printed in WAHA's docs, whose scheme this is.
const VECTOR: (&str, &str, &str) = (
    "my-secret-key",
    r#"{"event":"message","session":"default","engine":"WEBJS"}"#,
    "208f8a55dde9e05519e898b10b89bf0d0b3b0fdf11fdbf09b6b90476301b98d8\
     097c462b2b17a6ce93b6b47a136cf2e78a33a63f6752c2c1631777076153fa89",
);

/// Bytes that would be refused as malformed, if anybody looked at them.
const GARBAGE: &[u8] = b"\xff{";

fn refusal(request: &WebhookRequest) -> WebhookError {
    gateway().receive(request).expect_err("it is refused")
}

#[test]
fn the_known_signature_of_a_known_body_is_good_for_that_body_alone() {
    let (secret, body, digits) = VECTOR;
    let config = config("webhook_secret = \"env:TOKEN\"");
    let env = |_: &str| Some(secret.to_owned());
    let bot = threedots::message::BotName::new("bakery");
    let around = threedots::provider::ProviderContext { bot, transport: Upstream::answering([]), clock: Clock::System };
    let gateway = threedots::provider::AnyProviderConfig::connect(&config, &env, around).expect("it is fine");
    let upper = digits.to_uppercase();
    for header in [digits, &upper] {
        assert!(gateway.receive(&post(body.as_bytes(), &[("x-webhook-hmac", header)])).is_ok());
    }
    let other = body.replace("WEBJS", "NOWEB");
    let refused = gateway.receive(&post(other.as_bytes(), &[("x-webhook-hmac", digits)]));
    assert_eq!(refused.err(), Some(WebhookError::WrongSignature));
}

#[test]
fn nothing_is_read_before_the_signature_is_good() {
    assert_eq!(refusal(&post(GARBAGE, &[])), WebhookError::Unsigned);
    let forged = digits("another secret", GARBAGE);
    assert_eq!(refusal(&post(GARBAGE, &[("X-Webhook-Hmac", &forged)])), WebhookError::WrongSignature);
    assert_eq!(refusal(&signed(GARBAGE)), WebhookError::Malformed);
}

#[test]
fn a_signature_that_is_not_the_right_one_in_the_right_form_is_refused() {
    let body = fixture("text");
    let right = digits(SECRET, &body);
    let wrong = [
        digits("another secret", &body),
        digits(SECRET, &fixture("image")),
        digits("", &body),
        right[..127].to_owned(),
        right[..126].to_owned(),
        right[..64].to_owned(),
        format!("{right}00"),
        format!("sha512={right}"),
        "zz".repeat(64),
        String::new(),
    ];
    for wrong in wrong {
        assert_eq!(refusal(&post(&body, &[("X-Webhook-Hmac", &wrong)])), WebhookError::WrongSignature, "{wrong}");
    }
}

#[test]
fn of_two_signatures_neither_counts() {
    let body = fixture("text");
    let right = digits(SECRET, &body);
    for other in [&right, "00"] {
        let headers = [("X-Webhook-Hmac", right.as_str()), ("x-webhook-hmac", other)];
        assert_eq!(refusal(&post(&body, &headers)), WebhookError::Unsigned);
    }
}

#[test]
fn an_algorithm_that_is_named_has_to_be_the_one() {
    let body = fixture("text");
    let right = digits(SECRET, &body);
    let with = |algorithm| post(&body, &[("X-Webhook-Hmac", &right), ("X-Webhook-Hmac-Algorithm", algorithm)]);
    for good in ["sha512", "SHA512", " sha512 "] {
        assert!(gateway().receive(&with(good)).is_ok(), "{good}");
    }
    for bad in ["sha256", "none", "", "sha512/256"] {
        assert_eq!(refusal(&with(bad)), WebhookError::WrongSignature, "{bad}");
    }
    assert!(gateway().receive(&post(&body, &[("X-Webhook-Hmac", &right)])).is_ok(), "and it may stay unnamed");
}

#[test]
fn the_header_may_have_another_name() {
    let gateway = gateway_on("webhook_header = \"X-Webhook-Signature\"", Upstream::answering([]));
    let body = fixture("text");
    let right = digits(SECRET, &body);
    assert!(gateway.receive(&post(&body, &[("x-webhook-signature", &right)])).is_ok());
    let refused = gateway.receive(&post(&body, &[("X-Webhook-Hmac", &right)]));
    assert_eq!(refused.err(), Some(WebhookError::Unsigned));
}

#[test]
fn unsigned_deliveries_are_taken_only_if_that_was_said() {
    let open = connect(&config("accept_unsigned = true"), Upstream::answering([]), Clock::System).expect("it is fine");
    let received = open.receive(&post(&fixture("text"), &[])).map(events).expect("it is taken");
    assert_eq!(received.messages.len(), 1);
    assert_eq!(refusal(&post(&fixture("text"), &[])), WebhookError::Unsigned);
}

#[test]
fn a_token_in_the_address_is_asked_for_where_one_is_set() {
    for (settings, is_signed) in [("accept_unsigned = true", false), ("webhook_secret = \"env:SECRET\"", true)] {
        let config = config(&format!("{settings}\nwebhook_token = \"env:WORD\""));
        let gateway = connect(&config, Upstream::answering([]), Clock::System).expect("it is fine");
        let body = fixture("text");
        let at = |query: &str| {
            let request = if is_signed { signed(&body) } else { post(&body, &[]) };
            gateway.receive(&WebhookRequest { query: query.into(), ..request }).err()
        };
        assert_eq!(at("token=fictional+word%26more"), None);
        assert_eq!(at("x=1&token=fictional%20word%26more"), None);
        assert_eq!(at("token=fictional+word"), Some(WebhookError::WrongToken));
        assert_eq!(at("token="), Some(WebhookError::WrongToken));
        assert_eq!(at("token=fictional+word%26more&token=fictional+word%26more"), Some(WebhookError::WrongToken));
        assert_eq!(at(""), Some(WebhookError::Unsigned));
    }
}

#[test]
fn a_delivery_may_be_hours_late_unless_a_tolerance_is_set() {
    let body = fixture("text");
    let right = digits(SECRET, &body);
    let at = |gateway: &dyn Provider, sent: &str| {
        gateway.receive(&post(&body, &[("X-Webhook-Hmac", &right), ("X-Webhook-Timestamp", sent)])).err()
    };
    let nine_hours_ago = (RECEIVED.0 - 9 * 3_600_000).to_string();
    assert_eq!(at(&*gateway(), &nine_hours_ago), None);
    let strict = gateway_on("webhook_tolerance = \"5m\"", Upstream::answering([]));
    let off = |millis: i64| at(&*strict, &RECEIVED.0.saturating_add_signed(millis).to_string());
    for good in [0, -300_000, 300_000] {
        assert_eq!(off(good), None, "{good} ms off");
    }
    for bad in [-300_001, 300_001, -9 * 3_600_000] {
        assert_eq!(off(bad), Some(WebhookError::Stale), "{bad} ms off");
    }
    for unreadable in ["", "yesterday", "-1", "99999999999999999999999"] {
        assert_eq!(at(&*strict, unreadable), Some(WebhookError::Stale), "{unreadable}");
    }
    assert_eq!(strict.receive(&post(&body, &[("X-Webhook-Hmac", &right)])).err(), Some(WebhookError::Stale));
    let forged = post(GARBAGE, &[("X-Webhook-Hmac", &right), ("X-Webhook-Timestamp", &nine_hours_ago)]);
    assert_eq!(strict.receive(&forged).err(), Some(WebhookError::WrongSignature));
    let old = [("X-Webhook-Hmac", &*digits(SECRET, GARBAGE)), ("X-Webhook-Timestamp", &nine_hours_ago)];
    assert_eq!(strict.receive(&post(GARBAGE, &old)).err(), Some(WebhookError::Stale), "it is not even read");
}

#[test]
fn there_is_no_handshake() {
    let body = json!({}).to_string();
    let request = WebhookRequest { method: Method::Get, ..signed(body.as_bytes()) };
    assert_eq!(refusal(&request), WebhookError::WrongMethod);
}
