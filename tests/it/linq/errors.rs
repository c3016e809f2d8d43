//! What a refused call means, row by row.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use threedots::message::Part;
use threedots::message::clock::{Clock, Timestamp};
use threedots::provider::{Activity, ErrorCode, ProviderError, Scope};

use super::{CHAT, KEY, MESSAGE, connect, key, linq, received_message};
use crate::upstream::{Given, Upstream};

async fn send(answer: Given) -> ProviderError {
    let linq = linq(&Upstream::answering([answer]));
    linq.send(&received_message(), &Part::text("hello"), &key()).await.expect_err("it was refused")
}

/// An error as Linq writes it.
fn error(status: u16, code: Value) -> Value {
    let message = format!("Something about +12025550147 in {CHAT}");
    json!({ "success": false, "error": { "status": status, "code": code, "message": message }, "trace_id": "fiction" })
}

/// What is left for the caller to do.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Says {
    Limited,
    Transient,
    Rejected,
    OptedOut,
    Unauthorized,
}

fn said(error: &ProviderError) -> Says {
    match error {
        ProviderError::RateLimited { scope, .. } => {
            assert_eq!(*scope, Scope::Pair);
            Says::Limited
        }
        ProviderError::Transient { .. } => Says::Transient,
        ProviderError::Rejected { .. } => Says::Rejected,
        ProviderError::OptedOut { .. } => Says::OptedOut,
        ProviderError::Unauthorized { .. } => Says::Unauthorized,
        other => panic!("a send on Linq is never {other:?}"),
    }
}

const TABLE: &[(u16, i64, Says)] = &[
    (400, 1001, Says::Rejected),
    (400, 1002, Says::Rejected),
    (400, 1003, Says::Rejected),
    (400, 1004, Says::Rejected),
    (400, 1005, Says::Rejected),
    (409, 1006, Says::Rejected),
    (429, 1007, Says::Limited),
    (429, 1015, Says::Limited),
    (429, 9999, Says::Limited),
    (404, 2001, Says::Rejected),
    (404, 2002, Says::Rejected),
    (404, 2003, Says::Rejected),
    (401, 2004, Says::Unauthorized),
    (403, 2005, Says::Unauthorized),
    (403, 2008, Says::Rejected),
    (409, 2015, Says::Unauthorized),
    (409, 2016, Says::Rejected),
    (409, 2017, Says::Rejected),
    (409, 2023, Says::Rejected),
    (403, 2024, Says::OptedOut),
    (400, 2024, Says::OptedOut),
    (403, 2026, Says::Rejected),
    (403, 2027, Says::Unauthorized),
    (403, 2999, Says::Rejected),
    (500, 3006, Says::Transient),
    (503, 3007, Says::Transient),
    (400, 4001, Says::Rejected),
    (500, 4001, Says::Transient),
    (400, 5001, Says::Rejected),
    (502, 5004, Says::Transient),
    // The status comes first.
    (500, 2004, Says::Transient),
    (401, 1001, Says::Unauthorized),
    (400, 1007, Says::Limited),
];

#[tokio::test]
async fn every_row_of_the_table_leaves_the_caller_to_do_what_it_says() {
    for (status, code, says) in TABLE {
        let refused = send(Given::json(*status, &error(*status, json!(code)))).await;
        assert_eq!(said(&refused), *says, "{status} {code}");
        assert_eq!(refused.code(), ErrorCode::Upstream(*code));
    }
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
        (408, Says::Transient),
        (409, Says::Rejected),
        (413, Says::Rejected),
        (422, Says::Rejected),
        (429, Says::Limited),
        (500, Says::Transient),
        (502, Says::Transient),
        (504, Says::Transient),
    ];
    let bodies: [&[u8]; 7] = [
        b"",
        b"<html>Sorry</html>",
        b"<?xml version='1.0'?><e/>",
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

#[tokio::test]
async fn success_in_the_status_alone_is_none() {
    assert_eq!(said(&send(Given::json(200, &error(404, json!(2001)))).await), Says::Rejected);
    assert_eq!(said(&send(Given::json(202, &error(403, json!(2024)))).await), Says::OptedOut);
    assert_eq!(said(&send(Given::json(200, &json!({ "success": false }))).await), Says::Transient);
}

#[tokio::test]
async fn a_code_may_come_as_text() {
    assert_eq!(
        send(Given::json(403, &error(403, json!("2024")))).await,
        ProviderError::OptedOut { code: ErrorCode::Upstream(2024) }
    );
}

/// How long to wait, as this answer says it, at 2026-01-01 00:00:00.
async fn wait(retry_after: Value, headers: &[(&'static str, &str)]) -> Option<Duration> {
    let mut body = error(429, json!(1007));
    body["error"]["retry_after"] = retry_after;
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    let upstream = Upstream::answering([Given::Answer(429, headers, body.to_string().into())]);
    let clock = Clock::Tokio { epoch: Timestamp::from_secs(1_767_225_600), started: tokio::time::Instant::now() };
    let linq = connect(&json!({}), upstream, clock);
    match linq.send(&received_message(), &Part::text("hello"), &key()).await {
        Err(ProviderError::RateLimited { retry_after, .. }) => retry_after,
        other => panic!("not a rate limit: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn the_time_to_wait_stands_in_the_header_or_in_the_body() {
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!(wait(Value::Null, &[]).await, None);
    assert_eq!(wait(json!(12), &[]).await, seconds(12));
    assert_eq!(wait(json!("12"), &[]).await, seconds(12));
    assert_eq!(wait(Value::Null, &[("Retry-After", "7")]).await, seconds(7));
    assert_eq!(wait(Value::Null, &[("Retry-After", "Thu, 01 Jan 2026 00:01:30 GMT")]).await, seconds(90));
    assert_eq!(wait(json!(12), &[("Retry-After", "7")]).await, seconds(12), "the longer one is the one to keep");
    assert_eq!(wait(json!(3), &[("Retry-After", "7")]).await, seconds(7));
    assert_eq!(wait(json!(-1), &[("Retry-After", "soon")]).await, None);
    assert_eq!(wait(json!(i64::MAX), &[]).await, seconds(24 * 3600), "nobody waits for more than a day");
}

#[tokio::test]
async fn read_and_typing_calls_are_refused_in_the_same_words() {
    for (status, code, says) in TABLE {
        let answers = (0..3).map(|_| Given::json(*status, &error(*status, json!(code))));
        let linq = linq(&Upstream::answering(answers));
        let at = received_message();
        for refused in
            [linq.mark_read(&at).await, linq.start_typing(&at, Activity::Typing).await, linq.stop_typing(&at).await]
        {
            assert_eq!(said(&refused.expect_err("it was refused")), *says, "{status} {code}");
        }
    }
}

#[tokio::test]
async fn an_error_holds_codes_and_nothing_that_anybody_said() {
    for (status, code, _) in TABLE {
        let refused = send(Given::json(*status, &error(*status, json!(code)))).await;
        let shown = format!("{refused} {refused:?}");
        assert!(shown.contains(&code.to_string()), "{shown}");
        for private in ["12025550147", CHAT, MESSAGE, KEY, "Something"] {
            assert!(!shown.contains(private), "{shown}");
        }
    }
}
