//! What a refused call means: NXCloud's codes, Meta's inside them, and the status where there is neither.

use std::time::Duration;

use serde_json::{Value, json};
use threedots::message::clock::{Clock, Timestamp};
use threedots::message::{MediaKind, MediaRef, MessageId, Part};
use threedots::provider::{Activity, ErrorCode, ProviderError, Scope};

use super::{ACCESS_KEY, ACCESS_SECRET, APPKEY, key, on, provider, received_message};
use crate::upstream::{Given, Upstream};

async fn send(answer: Given) -> Result<MessageId, ProviderError> {
    on(&Upstream::answering([answer])).send(&received_message(), &Part::text("hello"), &key()).await
}

async fn typing(answer: Given) -> Result<(), ProviderError> {
    on(&Upstream::answering([answer])).start_typing(&received_message(), Activity::Typing).await
}

fn own(code: &Value) -> Value {
    json!({ "code": code, "message": "no, 12025550123", "data": null })
}

/// An error of Meta's as NXCloud passes it on, under its code for such or under none.
fn passed_on(around: i64, code: &Value) -> Value {
    let error = json!({
        "code": code,
        "message": "(#1) Something about +12025550123",
        "type": "OAuthException",
        "fbtrace_id": "FICTIONAL",
        "error_data": { "messaging_product": "whatsapp", "details": "Recipient 12025550123 …" },
    });
    json!({ "code": around, "message": "success", "data": { "error": error } })
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Says {
    Limited(Scope),
    Transient,
    Ambiguous,
    Rejected,
    WindowClosed,
    OptedOut,
    Unauthorized,
}

fn said(error: &ProviderError) -> Says {
    match error {
        ProviderError::RateLimited { scope, .. } => Says::Limited(*scope),
        ProviderError::Transient { .. } => Says::Transient,
        ProviderError::Ambiguous { .. } => Says::Ambiguous,
        ProviderError::Rejected { .. } => Says::Rejected,
        ProviderError::WindowClosed { .. } => Says::WindowClosed,
        ProviderError::OptedOut { .. } => Says::OptedOut,
        ProviderError::Unauthorized { .. } => Says::Unauthorized,
        ProviderError::SessionDown { .. } | ProviderError::Unsupported { .. } => panic!("NXCloud has no such thing"),
    }
}

/// A code; what it says of a send, and of a call that can be made again.
const OWN: [(i64, Says, Says); 17] = [
    (-1, Says::Ambiguous, Says::Transient),
    (1000, Says::Unauthorized, Says::Unauthorized),
    (1001, Says::Unauthorized, Says::Unauthorized),
    (1002, Says::Unauthorized, Says::Unauthorized),
    (1003, Says::Unauthorized, Says::Unauthorized),
    (1005, Says::Unauthorized, Says::Unauthorized),
    (9000, Says::Rejected, Says::Rejected),
    (9001, Says::Ambiguous, Says::Transient),
    (9002, Says::Unauthorized, Says::Unauthorized),
    (9003, Says::Unauthorized, Says::Unauthorized),
    (9004, Says::Rejected, Says::Rejected),
    (9005, Says::Unauthorized, Says::Unauthorized),
    (9006, Says::Unauthorized, Says::Unauthorized),
    (9007, Says::Ambiguous, Says::Transient),
    (9009, Says::Unauthorized, Says::Unauthorized),
    (9099, Says::Ambiguous, Says::Transient),
    (10003, Says::Unauthorized, Says::Unauthorized),
];

#[tokio::test]
async fn every_code_of_nxclouds_leaves_the_caller_to_do_what_the_table_says() {
    for (code, of_a_send, of_typing) in OWN {
        for status in [200, 400, 500] {
            let answer = || Given::json(status, &own(&json!(code)));
            let refused = send(answer()).await.expect_err("it was refused");
            assert_eq!((said(&refused), refused.code()), (of_a_send, ErrorCode::Upstream(code)), "{status}");
            let refused = typing(answer()).await.expect_err("it was refused");
            assert_eq!((said(&refused), refused.code()), (of_typing, ErrorCode::Upstream(code)), "{status}");
        }
    }
}

#[tokio::test]
async fn a_code_may_come_as_text_or_with_a_point() {
    for code in [json!(9000), json!("9000"), json!(9000.0), json!(" 9000 "), json!("9000.0")] {
        let refused = send(Given::json(200, &own(&code))).await;
        assert_eq!(refused, Err(ProviderError::Rejected { code: ErrorCode::Upstream(9000) }), "{code}");
    }
    for code in [json!(131_047), json!("131047"), json!(131_047.0), json!("131047.0")] {
        let refused = send(Given::json(200, &passed_on(9099, &code))).await;
        assert_eq!(refused, Err(ProviderError::WindowClosed { code: ErrorCode::Upstream(131_047) }), "{code}");
    }
}

#[tokio::test]
async fn what_meta_said_counts_even_where_success_stands_around_it() {
    let table = [
        (4, Says::Limited(Scope::Account)),
        (100, Says::Rejected),
        (190, Says::Unauthorized),
        (130_429, Says::Limited(Scope::Number)),
        (131_000, Says::Ambiguous),
        (131_016, Says::Transient),
        (131_026, Says::Rejected),
        (131_042, Says::Unauthorized),
        (131_047, Says::WindowClosed),
        (131_056, Says::Limited(Scope::Pair)),
        (999_999, Says::Ambiguous),
    ];
    for (code, says) in table {
        for around in [0, 9099] {
            let refused = send(Given::json(200, &passed_on(around, &json!(code)))).await.expect_err("it was refused");
            assert_eq!((said(&refused), refused.code()), (says, ErrorCode::Upstream(code)), "{around}");
        }
    }
    let mut transient = passed_on(9099, &json!(999_999));
    transient["data"]["error"]["is_transient"] = json!(true);
    let refused = send(Given::json(200, &transient)).await;
    assert_eq!(refused, Err(ProviderError::Transient { code: ErrorCode::Upstream(999_999) }));
}

#[tokio::test]
async fn a_receipt_for_a_message_that_is_unknown_or_our_own_is_refused_for_good() {
    let refused = typing(Given::json(200, &passed_on(0, &json!(100.0)))).await;
    assert_eq!(refused, Err(ProviderError::Rejected { code: ErrorCode::Upstream(100) }));
}

#[tokio::test]
async fn a_code_that_nobody_knows_yet_means_what_its_status_means() {
    let statuses = [
        (200, Says::Ambiguous),
        (400, Says::Rejected),
        (401, Says::Unauthorized),
        (403, Says::Unauthorized),
        (429, Says::Limited(Scope::Number)),
        (503, Says::Ambiguous),
    ];
    for (status, says) in statuses {
        let refused = send(Given::json(status, &own(&json!(21_058)))).await.expect_err("it was refused");
        assert_eq!((said(&refused), refused.code()), (says, ErrorCode::Upstream(21_058)), "{status}");
    }
}

#[tokio::test]
async fn without_a_code_the_status_decides() {
    let statuses = [
        (302, Says::Rejected),
        (400, Says::Rejected),
        (401, Says::Unauthorized),
        (403, Says::Unauthorized),
        (404, Says::Rejected),
        (413, Says::Rejected),
        (429, Says::Limited(Scope::Number)),
        (500, Says::Ambiguous),
        (502, Says::Ambiguous),
    ];
    let bodies: [&[u8]; 7] =
        [b"", b"<html>Sorry</html>", b"\xff", b"[1]", br#"{"error":"no"}"#, br#"{"code":{}}"#, br#"{"code":0}"#];
    for (status, says) in statuses {
        for body in bodies {
            let refused = send(Given::body(status, body.to_vec())).await.expect_err("it was refused");
            assert_eq!((said(&refused), refused.code()), (says, ErrorCode::Status(status)));
        }
        let long = send(Given::body(status, vec![b'x'; 1 << 20])).await.expect_err("it was refused");
        assert_eq!(said(&long), says, "{status} with more than anybody reads");
    }
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_honoured_with_either_code() {
    let answers = [
        (429, own(&json!(21_058)), Scope::Number),
        (200, passed_on(9099, &json!(131_056)), Scope::Pair),
        (429, json!({}), Scope::Number),
    ];
    for (status, body, scope) in answers {
        for (value, seconds) in [("7", 7), ("Thu, 01 Jan 2026 00:01:30 GMT", 90), ("9999999999", 24 * 3600)] {
            let answer = Given::Answer(status, vec![("Retry-After", value.into())], body.to_string().into());
            let started = tokio::time::Instant::now();
            let clock = Clock::Tokio { epoch: Timestamp::from_secs(1_767_225_600), started };
            let nxcloud = provider(Upstream::answering([answer]), clock);
            let refused = nxcloud.send(&received_message(), &Part::text("hello"), &key()).await.expect_err("refused");
            let ProviderError::RateLimited { retry_after, scope: said, .. } = refused else { panic!("{refused:?}") };
            assert_eq!((retry_after, said), (Some(Duration::from_secs(seconds)), scope), "{value}");
        }
    }
}

#[tokio::test]
async fn an_error_text_holds_codes_and_nothing_that_anybody_said() {
    let codes = OWN.iter().map(|(code, ..)| own(&json!(code)));
    let answers = codes.chain([passed_on(0, &json!(131_047)), passed_on(9099, &json!(999_999))]);
    for answer in answers {
        let refused = send(Given::json(200, &answer)).await.expect_err("it was refused");
        let shown = format!("{refused} {refused:?}");
        for private in ["12025550123", "12025550100", "FICTION", ACCESS_KEY, ACCESS_SECRET, APPKEY, "nxcloud.com"] {
            assert!(!shown.contains(private), "{shown}");
        }
    }
}

#[tokio::test]
async fn what_shows_the_customer_nothing_can_always_be_tried_again() {
    let image = MediaRef { id: Some("770000000000001".into()), ..MediaRef::of(MediaKind::Image) };
    let failures = || {
        [
            Given::body(503, "<html>"),
            Given::json(200, &own(&json!(-1))),
            Given::json(200, &passed_on(0, &json!(131_000))),
            Given::Error(threedots::runtime::http::CallError::Unanswered("connection lost")),
        ]
    };
    for failure in failures() {
        let fetched = on(&Upstream::answering([failure])).fetch_media(&image, 1000).await;
        assert!(matches!(fetched.err(), Some(ProviderError::Transient { .. })));
    }
    for failure in failures() {
        let uploaded = on(&Upstream::answering([failure])).upload_media("x".into(), "image/png").await;
        assert!(matches!(uploaded.err(), Some(ProviderError::Transient { .. })));
    }
    for failure in failures() {
        assert!(matches!(typing(failure).await.err(), Some(ProviderError::Transient { .. })));
    }
}
