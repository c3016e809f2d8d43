//! What a refused call means, row by row.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use threedots::message::clock::{Clock, Timestamp};
use threedots::message::{MessageId, Part, PartKey, Payload};
use threedots::provider::{Activity, ErrorCode, Provider, ProviderError, Scope};
use threedots::runtime::http::CallError;

use super::{TOKEN, connect, gateway_on, received_message, signing};
use crate::upstream::{Given, Upstream};

/// What an error leaves the caller to do.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Says {
    Limited,
    Transient,
    Rejected,
    Unauthorized,
    SessionDown,
}

fn said(error: &ProviderError) -> Says {
    match error {
        ProviderError::RateLimited { scope, .. } => {
            assert_eq!(*scope, Scope::Number);
            Says::Limited
        }
        ProviderError::Transient { .. } => Says::Transient,
        ProviderError::Rejected { .. } => Says::Rejected,
        ProviderError::Unauthorized { .. } => Says::Unauthorized,
        ProviderError::SessionDown { .. } => Says::SessionDown,
        other => panic!("nothing of the gateway's: {other:?}"),
    }
}

fn on(answer: Given) -> std::sync::Arc<dyn Provider> {
    gateway_on("read = \"local_reset\"", Upstream::answering([answer]))
}

async fn send(answer: Given) -> ProviderError {
    let sent = on(answer).send(&received_message(), &Part::text("hello"), &PartKey::new("1/0")).await;
    sent.expect_err("it was refused")
}

async fn react(answer: Given) -> ProviderError {
    let reaction = Payload::Reaction { message: Some(MessageId::new("3EB0A")), emoji: "👍".into() };
    let sent = on(answer).send(&received_message(), &reaction.into(), &PartKey::new("1/0")).await;
    sent.expect_err("it was refused")
}

/// An error as the gateway writes it, with a customer's number in its words.
fn error(code: &str) -> Value {
    let details = json!({ "errors": ["body.to: 628111111111@s.whatsapp.net"] });
    json!({ "error": { "code": code, "message": "something about 628111111111", "details": details } })
}

/// Code, status; then what it means for a reply, for a reaction, and for the indicator.
const TABLE: [(&str, u16, Says, Says, Says); 11] = [
    ("validation_error", 400, Says::Rejected, Says::Rejected, Says::Rejected),
    ("validation_error", 422, Says::Rejected, Says::Rejected, Says::Rejected),
    ("unauthorized", 401, Says::Unauthorized, Says::Unauthorized, Says::Unauthorized),
    ("forbidden", 403, Says::Unauthorized, Says::Unauthorized, Says::Rejected),
    ("not_found", 404, Says::Unauthorized, Says::Rejected, Says::Unauthorized),
    ("conflict", 409, Says::Rejected, Says::Rejected, Says::Rejected),
    ("rate_limited", 429, Says::Limited, Says::Limited, Says::Limited),
    ("internal", 500, Says::Transient, Says::Transient, Says::Transient),
    ("not_implemented", 501, Says::SessionDown, Says::SessionDown, Says::SessionDown),
    ("gateway_unavailable", 503, Says::Transient, Says::Transient, Says::Transient),
    ("a_later_invention", 418, Says::Rejected, Says::Rejected, Says::Rejected),
];

#[tokio::test]
async fn every_code_leaves_the_caller_to_do_what_the_table_says() {
    for (code, status, reply, reaction, indicator) in TABLE {
        let given = || Given::json(status, &error(code));
        assert_eq!(said(&send(given()).await), reply, "{code} for a reply");
        assert_eq!(said(&react(given()).await), reaction, "{code} for a reaction");
        let calls = [
            on(given()).start_typing(&received_message(), Activity::Typing).await,
            on(given()).stop_typing(&received_message()).await,
            on(given()).mark_read(&received_message()).await,
        ];
        for call in calls {
            let refused = call.expect_err("it was refused");
            assert_eq!(said(&refused), indicator, "{code} for the indicator");
            assert_eq!(refused.code(), ErrorCode::Status(status));
        }
    }
}

#[tokio::test]
async fn the_code_decides_and_not_the_status() {
    for (code, _, reply, ..) in TABLE.iter().filter(|(code, ..)| *code != "a_later_invention") {
        for status in [200, 400, 500, 502] {
            assert_eq!(said(&send(Given::json(status, &error(code))).await), *reply, "{code} with {status}");
        }
    }
}

#[tokio::test]
async fn where_a_proxy_answers_its_status_decides() {
    let statuses = [
        (301, Says::Rejected),
        (400, Says::Rejected),
        (401, Says::Unauthorized),
        (403, Says::Unauthorized),
        // The gateway itself would say which thing is not found: here there is no gateway.
        (404, Says::Transient),
        (408, Says::Transient),
        (413, Says::Rejected),
        (422, Says::Rejected),
        (429, Says::Limited),
        (500, Says::Transient),
        (501, Says::SessionDown),
        (502, Says::Transient),
        (503, Says::Transient),
        (504, Says::Transient),
    ];
    let bodies: [&[u8]; 8] = [
        b"",
        b"<html>Sorry</html>",
        b"<?xml version=\"1.0\"?><error/>",
        b"Bad gateway",
        b"\xff",
        b"[1]",
        br#"{"error":"no"}"#,
        br#"{"error":{"code":{}}}"#,
    ];
    for (status, says) in statuses {
        for body in bodies {
            let refused = send(Given::body(status, Bytes::from_static(body))).await;
            assert_eq!(said(&refused), says, "{status}");
            assert_eq!(refused.code(), ErrorCode::Status(status));
        }
        let long = send(Given::body(status, vec![b'x'; 1 << 20])).await;
        assert_eq!(said(&long), says, "{status} with more than anybody reads");
    }
}

#[tokio::test(start_paused = true)]
async fn without_an_answer_the_send_can_be_made_again_for_it_carries_its_key() {
    for failure in [CallError::NotSent("cannot connect"), CallError::Unanswered("connection lost")] {
        assert_eq!(said(&send(Given::Error(failure)).await), Says::Transient);
    }
    let refused = send(Given::Silence).await;
    assert_eq!(refused, ProviderError::Transient { code: ErrorCode::Network("timed out") });
    let typing = on(Given::Silence).start_typing(&received_message(), Activity::Typing).await;
    assert_eq!(typing, Err(ProviderError::Transient { code: ErrorCode::Network("timed out") }));
}

/// How long to wait, as this answer says it, at 2026-01-01 00:00:00.
async fn wait(details: Value, header: Option<&str>) -> Option<Duration> {
    let body = json!({ "error": { "code": "rate_limited", "message": "slow down", "details": details } });
    let headers = header.map(|value| ("Retry-After", value.to_owned())).into_iter().collect();
    let upstream = Upstream::answering([Given::Answer(429, headers, body.to_string().into())]);
    let clock = Clock::Tokio { epoch: Timestamp::from_secs(1_767_225_600), started: tokio::time::Instant::now() };
    let gateway = connect(&signing(""), upstream, clock).expect("it is fine");
    match gateway.send(&received_message(), &Part::text("hello"), &PartKey::new("1/0")).await {
        Err(ProviderError::RateLimited { retry_after, .. }) => retry_after,
        other => panic!("not a rate limit: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn the_details_say_how_long_to_wait_and_else_the_header() {
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let details = |value: Value| json!({ "retryAfterSeconds": value });
    assert_eq!(wait(details(json!(17)), None).await, seconds(17));
    assert_eq!(wait(details(json!(17)), Some("90")).await, seconds(17));
    assert_eq!(wait(details(json!("17")), None).await, seconds(17));
    assert_eq!(wait(details(json!(0)), None).await, seconds(1), "less than one second is cut off to none");
    assert_eq!(wait(json!({}), Some("90")).await, seconds(90));
    assert_eq!(wait(Value::Null, Some("Thu, 01 Jan 2026 00:01:30 GMT")).await, seconds(90));
    assert_eq!(wait(details(json!(1e18)), None).await, seconds(24 * 3600));
    for nothing in [json!(-1), json!("soon"), json!({}), json!(1e300)] {
        assert_eq!(wait(details(nothing.clone()), None).await, None, "{nothing}");
    }
}

#[tokio::test]
async fn an_error_text_holds_codes_and_nothing_that_the_gateway_said() {
    for (code, status, ..) in TABLE {
        let refused = send(Given::json(status, &error(code))).await;
        let shown = format!("{refused} {refused:?}");
        assert!(shown.contains(&status.to_string()), "{shown}");
        for private in ["628111111111", TOKEN, "something about", "gateway.example"] {
            assert!(!shown.contains(private), "{shown}");
        }
    }
}
