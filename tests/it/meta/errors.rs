//! What a refused call means, code by code.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use threedots::message::clock::{Clock, Timestamp};
use threedots::message::{BotName, MediaKind, MediaRef, MessageId, Part, PartKey};
use threedots::provider::meta::Meta;
use threedots::provider::{Activity, ErrorCode, Provider, ProviderError, Scope};

use super::upstream::{Given, Upstream};
use super::{meta_on, received_message, settings};

async fn send(answer: Given) -> Result<MessageId, ProviderError> {
    let part = Part::text("hello");
    meta_on(settings(), Upstream::answering([answer])).send(&received_message(), &part, &PartKey::new("1/0")).await
}

/// An error as Meta writes it.
fn error(code: &Value) -> Value {
    json!({ "error": {
        "message": format!("(#{code}) Something about +12025550123"),
        "type": "OAuthException",
        "code": code,
        "error_data": { "messaging_product": "whatsapp", "details": "Recipient 12025550123 …" },
        "fbtrace_id": "FICTIONAL",
    } })
}

async fn meaning(status: u16, code: i64) -> ProviderError {
    send(Given::json(status, &error(&json!(code)))).await.expect_err("it was refused")
}

/// What a code leaves the caller to do.
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
        ProviderError::SessionDown { .. } | ProviderError::Unsupported { .. } => panic!("Meta has no such thing"),
    }
}

const TABLE: &[(i64, u16, Says)] = &[
    (0, 401, Says::Unauthorized),
    (1, 400, Says::Transient),
    (1, 500, Says::Ambiguous),
    (2, 503, Says::Transient),
    (3, 500, Says::Unauthorized),
    (4, 400, Says::Limited(Scope::Account)),
    (10, 403, Says::Unauthorized),
    (33, 400, Says::Unauthorized),
    (100, 400, Says::Rejected),
    (190, 401, Says::Unauthorized),
    (200, 403, Says::Unauthorized),
    (299, 403, Says::Unauthorized),
    (368, 403, Says::Unauthorized),
    (613, 400, Says::Limited(Scope::Account)),
    (80007, 429, Says::Limited(Scope::Account)),
    (130_429, 429, Says::Limited(Scope::Number)),
    (130_472, 400, Says::Rejected),
    (130_497, 403, Says::Rejected),
    (130_501, 400, Says::Rejected),
    (131_000, 500, Says::Ambiguous),
    (131_005, 403, Says::Unauthorized),
    (131_008, 400, Says::Rejected),
    (131_009, 400, Says::Rejected),
    (131_016, 500, Says::Transient),
    (131_020, 400, Says::Rejected),
    (131_021, 400, Says::Rejected),
    (131_026, 400, Says::Rejected),
    (131_030, 400, Says::Unauthorized),
    (131_031, 403, Says::Unauthorized),
    (131_037, 400, Says::Unauthorized),
    (131_050, 400, Says::OptedOut),
    (131_041, 400, Says::Rejected),
    (131_042, 400, Says::Unauthorized),
    (131_044, 400, Says::Unauthorized),
    (131_045, 500, Says::Unauthorized),
    (131_047, 400, Says::WindowClosed),
    (131_048, 400, Says::Unauthorized),
    (131_049, 400, Says::Rejected),
    (131_051, 400, Says::Rejected),
    (131_052, 400, Says::Rejected),
    (131_053, 400, Says::Rejected),
    (131_055, 400, Says::Unauthorized),
    (131_056, 400, Says::Limited(Scope::Pair)),
    (131_057, 500, Says::Transient),
    (131_059, 400, Says::Rejected),
    (131_062, 400, Says::Rejected),
    (131_063, 400, Says::Unauthorized),
    (131_064, 400, Says::Unauthorized),
    (131_200, 400, Says::Rejected),
    (131_208, 400, Says::Transient),
    (131_215, 400, Says::Rejected),
    (132_000, 400, Says::Rejected),
    (132_001, 404, Says::Rejected),
    (132_005, 400, Says::Rejected),
    (132_007, 400, Says::Rejected),
    (132_008, 400, Says::Rejected),
    (132_012, 400, Says::Rejected),
    (132_015, 400, Says::Rejected),
    (132_016, 400, Says::Rejected),
    (132_068, 400, Says::Rejected),
    (132_069, 400, Says::Limited(Scope::Pair)),
    (133_000, 500, Says::Unauthorized),
    (133_004, 503, Says::Transient),
    (133_005, 400, Says::Unauthorized),
    (133_006, 400, Says::Unauthorized),
    (133_008, 400, Says::Unauthorized),
    (133_009, 400, Says::Unauthorized),
    (133_010, 400, Says::Unauthorized),
    (133_015, 400, Says::Unauthorized),
    (133_016, 400, Says::Unauthorized),
    (134_011, 400, Says::Unauthorized),
    (135_000, 400, Says::Rejected),
    (137_000, 400, Says::Rejected),
    (138_000, 400, Says::Rejected),
    (139_001, 400, Says::Rejected),
    (147_001, 400, Says::Rejected),
    (2_388_001, 400, Says::Rejected),
];

#[tokio::test]
async fn every_code_leaves_the_caller_to_do_what_the_table_says() {
    for (code, status, says) in TABLE {
        let error = meaning(*status, *code).await;
        assert_eq!(said(&error), *says, "{code}");
        assert_eq!(error.code(), ErrorCode::Upstream(*code));
    }
}

#[tokio::test]
async fn the_code_decides_and_not_the_status() {
    // Of these the status depends on who answers; of the first, what it means does too.
    for (code, _, says) in TABLE.iter().filter(|(code, ..)| *code != 1) {
        for status in [200, 400, 401, 429, 500] {
            assert_eq!(said(&meaning(status, *code).await), *says, "{code} with {status}");
        }
    }
}

#[tokio::test]
async fn a_code_that_nobody_knows_yet_means_what_its_status_means() {
    let statuses = [
        (400, Says::Rejected),
        (401, Says::Unauthorized),
        (403, Says::Unauthorized),
        (404, Says::Rejected),
        (429, Says::Limited(Scope::Number)),
        (500, Says::Ambiguous),
        (503, Says::Ambiguous),
        (200, Says::Ambiguous),
    ];
    for (status, says) in statuses {
        let error = meaning(status, 999_999).await;
        assert_eq!(said(&error), says, "{status}");
        assert_eq!(error.code(), ErrorCode::Upstream(999_999));
    }
    let mut transient = error(&json!(999_999));
    transient["error"]["is_transient"] = json!(true);
    let refused = send(Given::json(400, &transient)).await.expect_err("it was refused");
    assert_eq!(said(&refused), Says::Transient);
}

#[tokio::test]
async fn without_a_code_the_status_decides() {
    let statuses = [
        (301, Says::Rejected),
        (307, Says::Rejected),
        (400, Says::Rejected),
        (401, Says::Unauthorized),
        (403, Says::Unauthorized),
        (404, Says::Rejected),
        (413, Says::Rejected),
        (429, Says::Limited(Scope::Number)),
        (500, Says::Ambiguous),
        (502, Says::Ambiguous),
        (504, Says::Ambiguous),
    ];
    let bodies: [&[u8]; 6] =
        [b"", b"<html>Sorry</html>", b"\xff", b"[1]", br#"{"error":"no"}"#, br#"{"error":{"code":{}}}"#];
    for (status, says) in statuses {
        for body in bodies {
            let refused = send(Given::body(status, Bytes::from_static(body))).await.expect_err("it was refused");
            assert_eq!(said(&refused), says, "{status}");
            assert_eq!(refused.code(), ErrorCode::Status(status));
        }
        let long = send(Given::body(status, vec![b'x'; 1 << 20])).await.expect_err("it was refused");
        assert_eq!(said(&long), says, "{status} with more than anybody reads");
    }
}

#[tokio::test]
async fn a_code_may_come_as_text_or_with_a_point() {
    for code in [json!(131_047), json!("131047"), json!(131_047.0), json!(" 131047 "), json!("131047.0")] {
        let refused = send(Given::json(400, &error(&code))).await.expect_err("it was refused");
        assert_eq!(refused, ProviderError::WindowClosed { code: ErrorCode::Upstream(131_047) }, "{code}");
    }
}

#[tokio::test]
async fn an_error_text_holds_codes_and_nothing_that_the_upstream_said() {
    for (code, status, _) in TABLE {
        let error = meaning(*status, *code).await;
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(&code.to_string()) && !shown.contains("12025550123"), "{shown}");
    }
}

/// How long to wait, as these headers say it, at 2026-01-01 00:00:00.
async fn wait(status: u16, code: i64, headers: &[(&'static str, &str)]) -> Option<Duration> {
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    let upstream = Upstream::answering([Given::Answer(status, headers, error(&json!(code)).to_string().into())]);
    let clock = Clock::Tokio { epoch: Timestamp::from_secs(1_767_225_600), started: tokio::time::Instant::now() };
    let meta = Meta::new(BotName::new("bakery"), settings(), upstream, clock);
    match meta.send(&received_message(), &Part::text("hello"), &PartKey::new("1/0")).await {
        Err(ProviderError::RateLimited { retry_after, .. }) => retry_after,
        other => panic!("not a rate limit: {other:?}"),
    }
}

const USAGE: &str = "X-Business-Use-Case-Usage";

fn usage(minutes: &[i64]) -> String {
    let uses: Vec<Value> =
        minutes.iter().map(|m| json!({ "type": "whatsapp", "estimated_time_to_regain_access": m })).collect();
    json!({ "990000000000001": uses }).to_string()
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_honoured_in_seconds_and_as_a_date() {
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!(wait(429, 130_429, &[("Retry-After", "7")]).await, seconds(7));
    assert_eq!(wait(429, 130_429, &[("retry-after", " 0 ")]).await, seconds(0));
    assert_eq!(wait(429, 130_429, &[("Retry-After", "Thu, 01 Jan 2026 00:01:30 GMT")]).await, seconds(90));
    assert_eq!(wait(429, 130_429, &[("Retry-After", "Wed, 31 Dec 2025 23:59:00 GMT")]).await, seconds(0));
    assert_eq!(wait(429, 999_999, &[("Retry-After", "7")]).await, seconds(7));
    assert_eq!(wait(429, 130_429, &[("Retry-After", "1.5")]).await, Some(Duration::from_millis(1_500)));
}

#[tokio::test(start_paused = true)]
async fn without_a_readable_time_the_caller_backs_off_by_its_own_rule() {
    assert_eq!(wait(400, 131_056, &[]).await, None);
    for value in ["", "soon", "-1", "99999999999999999999999"] {
        assert_eq!(wait(429, 130_429, &[("Retry-After", value)]).await, None, "{value}");
    }
    for value in
        ["", "{", "[]", "7", r#"{"1":7}"#, r#"{"1":[7]}"#, r#"{"1":[{"estimated_time_to_regain_access":"x"}]}"#]
    {
        assert_eq!(wait(429, 80007, &[(USAGE, value)]).await, None, "{value}");
    }
    assert_eq!(wait(429, 80007, &[(USAGE, &usage(&[0]))]).await, None);
}

#[tokio::test(start_paused = true)]
async fn the_longest_wait_that_an_answer_names_is_the_one_to_keep() {
    let minutes = |minutes: u64| Some(Duration::from_secs(60 * minutes));
    assert_eq!(wait(400, 80007, &[(USAGE, &usage(&[0, 5, 3]))]).await, minutes(5));
    assert_eq!(wait(400, 80007, &[(USAGE, &usage(&[1])), ("Retry-After", "120")]).await, minutes(2));
    assert_eq!(wait(400, 80007, &[(USAGE, &usage(&[4])), ("Retry-After", "120")]).await, minutes(4));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_more_than_a_day() {
    let day = Some(Duration::from_secs(24 * 3600));
    assert_eq!(wait(429, 130_429, &[("Retry-After", "18446744073709551615")]).await, day);
    assert_eq!(wait(429, 130_429, &[("Retry-After", "Fri, 01 Jan 2100 00:00:00 GMT")]).await, day);
    assert_eq!(wait(429, 80007, &[(USAGE, &usage(&[i64::MAX]))]).await, day);
}

#[tokio::test(start_paused = true)]
async fn a_throttled_flow_rests_for_an_hour() {
    assert_eq!(wait(400, 132_069, &[]).await, Some(Duration::from_secs(3600)));
}

#[tokio::test]
async fn a_receipt_for_a_message_that_meta_does_not_know_is_refused_for_good() {
    for code in [100, 131_009] {
        let upstream = Upstream::answering([Given::json(400, &error(&json!(code)))]);
        let typing = meta_on(settings(), upstream).start_typing(&received_message(), Activity::Typing).await;
        assert_eq!(typing, Err(ProviderError::Rejected { code: ErrorCode::Upstream(code) }));
    }
}

#[tokio::test]
async fn what_shows_the_customer_nothing_can_always_be_tried_again() {
    let image = MediaRef { id: Some("770000000000001".into()), ..MediaRef::of(MediaKind::Image) };
    let failures = || {
        [
            Given::body(503, "<html>"),
            Given::json(500, &error(&json!(131_000))),
            Given::Error(threedots::runtime::http::CallError::Unanswered("connection lost")),
        ]
    };
    for failure in failures() {
        let fetched = meta_on(settings(), Upstream::answering([failure])).fetch_media(&image, 1000).await;
        assert!(matches!(fetched.err(), Some(ProviderError::Transient { .. })));
    }
    for failure in failures() {
        let meta = meta_on(settings(), Upstream::answering([failure]));
        let uploaded = meta.upload_media(Bytes::from_static(b"x"), "image/png").await;
        assert!(matches!(uploaded.err(), Some(ProviderError::Transient { .. })));
    }
}
