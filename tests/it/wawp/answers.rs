//! What an answer comes to, row by row: whatever its form, and whatever hides in a success.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use threedots::message::{MessageId, Part, Payload};
use threedots::provider::{Activity, ErrorCode, ProviderError, Scope};
use threedots::runtime::http::CallError;

use super::calls::{OURS, key};
use super::{received_message, wawp};
use crate::upstream::{Given, Upstream};

async fn send(answer: Given) -> Result<MessageId, ProviderError> {
    wawp("", &Upstream::answering([answer])).send(&received_message(), &Part::text("hello"), &key()).await
}

/// The three calls that do no harm when they are made twice, and the start, which may have lit the dots.
async fn harmless(answer: impl Fn() -> Given) -> [Result<(), ProviderError>; 3] {
    let provider = wawp("", &Upstream::answering((0..3).map(|_| answer())));
    let to = received_message();
    let reaction = Payload::Reaction { message: None, emoji: "👍".into() }.into();
    [
        provider.mark_read(&to).await,
        provider.stop_typing(&to).await,
        provider.send(&to, &reaction, &key()).await.map(drop),
    ]
}

async fn start(answer: Given) -> Result<(), ProviderError> {
    wawp("", &Upstream::answering([answer])).start_typing(&received_message(), Activity::Typing).await
}

fn limited(seconds: Option<u64>) -> ProviderError {
    let retry_after = seconds.map(Duration::from_secs);
    ProviderError::RateLimited { retry_after, scope: Scope::Number, code: ErrorCode::Status(429) }
}

/// The same words as JSON, XML, text and HTML: Wawp's page has samples of each.
fn forms(words: &str) -> [Bytes; 5] {
    [
        json!({ "message": words }).to_string().into(),
        format!("<?xml version=\"1.0\"?><error><message>{words}</message></error>").into(),
        words.to_owned().into(),
        format!("<!doctype html><html><body><h1>{words}</h1></body></html>").into(),
        Bytes::new(),
    ]
}

#[tokio::test]
async fn a_refusal_means_the_same_in_every_form() {
    let code = ErrorCode::Status;
    let rows = [
        (400, "Missing Required Parameter(s)", ProviderError::Rejected { code: code(400) }),
        (400, "Invalid Number (Egypt)", ProviderError::Rejected { code: code(400) }),
        (401, "Invalid or Missing Access Token", ProviderError::Unauthorized { code: code(401) }),
        (403, "Forbidden", ProviderError::Unauthorized { code: code(403) }),
        (404, "Session Does Not Exist", ProviderError::SessionDown { code: code(404) }),
        (408, "Request Timeout", ProviderError::Ambiguous { code: code(408) }),
        (413, "Payload Too Large", ProviderError::Rejected { code: code(413) }),
        (422, "Unprocessable Entity", ProviderError::Rejected { code: code(422) }),
        (429, "Rate Limit Exceeded", limited(None)),
        (500, "Unexpected Failure", ProviderError::Ambiguous { code: code(500) }),
        (502, "Connection Failed to Upstream", ProviderError::Ambiguous { code: code(502) }),
        (503, "Service Unavailable", ProviderError::Ambiguous { code: code(503) }),
        (504, "Gateway Timeout", ProviderError::Ambiguous { code: code(504) }),
        (302, "Found", ProviderError::Rejected { code: code(302) }),
    ];
    for (status, words, meaning) in rows {
        for body in forms(words) {
            assert_eq!(send(Given::body(status, body.clone())).await, Err(meaning.clone()), "{status} {body:?}");
        }
    }
}

#[tokio::test]
async fn what_may_be_repeated_is_never_in_doubt() {
    for status in [408, 500, 502, 503, 504] {
        for result in harmless(|| Given::body(status, "<html>")).await {
            assert_eq!(result, Err(ProviderError::Transient { code: ErrorCode::Status(status) }));
        }
    }
    for (error, what) in
        [(CallError::NotSent("cannot connect"), "cannot connect"), (CallError::Unanswered("timed out"), "timed out")]
    {
        for result in harmless(|| Given::Error(error)).await {
            assert_eq!(result, Err(ProviderError::Transient { code: ErrorCode::Network(what) }));
        }
    }
}

#[tokio::test]
async fn a_call_without_an_answer_is_in_doubt_only_if_it_left() {
    let sent = send(Given::Error(CallError::Unanswered("connection lost"))).await;
    assert_eq!(sent, Err(ProviderError::Ambiguous { code: ErrorCode::Network("connection lost") }));
    let sent = send(Given::Error(CallError::NotSent("cannot connect"))).await;
    assert_eq!(sent, Err(ProviderError::Transient { code: ErrorCode::Network("cannot connect") }));
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_says_nothing_is_given_up_in_time() {
    let began = tokio::time::Instant::now();
    assert_eq!(send(Given::Silence).await, Err(ProviderError::Ambiguous { code: ErrorCode::Network("timed out") }));
    assert_eq!(began.elapsed(), Duration::from_secs(15));
}

#[tokio::test]
async fn a_start_that_may_have_lit_the_dots_says_so() {
    let doubt = |code| Err(ProviderError::Ambiguous { code });
    assert_eq!(start(Given::body(502, "<html>")).await, doubt(ErrorCode::Status(502)));
    let lost = Given::Error(CallError::Unanswered("connection lost"));
    assert_eq!(start(lost).await, doubt(ErrorCode::Network("connection lost")));
    assert_eq!(start(Given::body(400, "")).await, Err(ProviderError::Rejected { code: ErrorCode::Status(400) }));
}

#[tokio::test]
async fn typing_is_done_with_any_success_whatever_the_answer_says() {
    let picture = json!({ "id": { "_serialized": OURS }, "type": "image", "body": "BASE64" }).to_string();
    for body in ["", "ok", "<html>", "{\"success\":false}", "{\"result\":true}", "[]", &picture] {
        for status in [200, 201, 202, 204] {
            assert_eq!(start(Given::body(status, body.to_owned())).await, Ok(()), "{status} {body}");
            let provider = wawp("", &Upstream::answering([Given::body(status, body.to_owned())]));
            assert_eq!(provider.stop_typing(&received_message()).await, Ok(()), "{status} {body}");
        }
    }
}

#[tokio::test]
async fn a_success_names_its_message_somewhere_or_nowhere() {
    let rows = [
        (json!({ "id": OURS }), OURS),
        (json!({ "id": { "id": "3EB0FF", "_serialized": OURS } }), OURS),
        (json!({ "id": { "id": "3EB0FF" } }), "3EB0FF"),
        (json!({ "_data": { "id": { "_serialized": OURS } } }), OURS),
        (json!({ "key": { "id": "3EB0FF", "fromMe": true }, "message": { "documentMessage": {} } }), "3EB0FF"),
        (json!({ "message_id": 77 }), "77"),
        // The first in order counts.
        (json!({ "message_id": "x", "key": { "id": "y" }, "id": OURS }), OURS),
        (json!({ "id": OURS, "code": "weird", "message": "and yet it was sent" }), OURS),
        (json!({ "success": true }), "3d-1/0"),
        (json!({ "code": 200, "message": "Message sent" }), "3d-1/0"),
        (json!({ "code": "SUCCESS", "message": "Message sent" }), "3d-1/0"),
        (json!({}), "3d-1/0"),
        (json!([1]), "3d-1/0"),
    ];
    for (body, id) in rows {
        assert_eq!(send(Given::json(200, &body)).await, Ok(MessageId::new(id)), "{body}");
    }
    for body in ["", "OK", "<ok/>"] {
        assert_eq!(send(Given::body(201, body)).await, Ok(MessageId::new("3d-1/0")), "{body}");
    }
}

#[tokio::test]
async fn a_failure_inside_a_success_is_a_failure() {
    let doubt = ProviderError::Ambiguous { code: ErrorCode::Network("the answer says that it failed") };
    let rows = [
        (json!({ "success": false }), doubt.clone()),
        (json!({ "success": "false", "id": OURS }), doubt.clone()),
        (json!({ "result": false, "error": "no" }), doubt.clone()),
        (json!({ "code": "mystery", "message": "Something is wrong" }), doubt),
        (
            json!({ "code": "invalid_session", "message": "Session dropped" }),
            ProviderError::SessionDown { code: ErrorCode::Status(404) },
        ),
        (
            json!({ "code": "rest_forbidden", "message": "No", "data": { "status": 401 } }),
            ProviderError::Unauthorized { code: ErrorCode::Status(401) },
        ),
        (
            json!({ "success": false, "code": "bad_number", "data": { "status": 400 } }),
            ProviderError::Rejected { code: ErrorCode::Status(400) },
        ),
        (json!({ "success": false, "statusCode": 429, "retryAfter": 9 }), limited(Some(9))),
        (json!({ "success": false, "status": 502 }), ProviderError::Ambiguous { code: ErrorCode::Status(502) }),
    ];
    for (body, meaning) in rows {
        assert_eq!(send(Given::json(200, &body)).await, Err(meaning), "{body}");
    }
}

#[tokio::test]
async fn wawp_s_own_words_say_more_than_the_status() {
    let answer = |status, slug: &str| Given::json(status, &json!({ "code": slug, "message": "…" }));
    assert_eq!(
        send(answer(400, "invalid_session")).await,
        Err(ProviderError::SessionDown { code: ErrorCode::Status(404) })
    );
    assert_eq!(
        send(answer(400, "subscription_required")).await,
        Err(ProviderError::Unauthorized { code: ErrorCode::Status(403) })
    );
    assert_eq!(
        send(answer(400, "wawp_upstream_error")).await,
        Err(ProviderError::Ambiguous { code: ErrorCode::Status(502) })
    );
    let elsewhere = send(answer(404, "rest_no_route")).await;
    assert_eq!(elsewhere, Err(ProviderError::Rejected { code: ErrorCode::Status(404) }), "the address is wrong");
}

#[tokio::test]
async fn what_waha_says_is_handed_on() {
    let state = |word: &str| {
        let body = json!({ "error": "Session status is not as expected", "session": "default", "status": word });
        send(Given::json(422, &body))
    };
    let code = ErrorCode::Status(422);
    for word in ["FAILED", "STOPPED", "SCAN_QR_CODE", "PASSKEY_REQUIRED", "PASSKEY_CONFIRMATION_REQUIRED"] {
        assert_eq!(state(word).await, Err(ProviderError::SessionDown { code }), "{word}");
    }
    assert_eq!(state("STARTING").await, Err(ProviderError::Transient { code }));
    assert_eq!(state("WORKING").await, Err(ProviderError::Rejected { code }));
    let gap = json!({ "statusCode": 500, "exception": { "message": "Method not implemented." } });
    assert_eq!(send(Given::json(500, &gap)).await, Err(ProviderError::Unsupported { code: ErrorCode::Status(500) }));
    let gap = json!({ "message": "The feature is not supported by the engine", "statusCode": 422 });
    assert_eq!(send(Given::json(422, &gap)).await, Err(ProviderError::Unsupported { code }));
}

#[tokio::test]
async fn a_limit_says_how_long_in_the_header_or_in_the_body() {
    let answer =
        |headers: Vec<(&'static str, String)>, body: &Value| Given::Answer(429, headers, body.to_string().into());
    let header = |seconds: &str| vec![("Retry-After", seconds.to_owned())];
    let day = 24 * 3600;
    let rows = [
        (header("7"), json!({}), Some(7)),
        (vec![], json!({ "details": { "retryAfterSeconds": 5 } }), Some(5)),
        (vec![], json!({ "data": { "retry_after": "6" } }), Some(6)),
        (vec![], json!({ "retryAfter": 8.0 }), Some(8)),
        (header("2"), json!({ "retry_after": 3 }), Some(3)),
        (header("soon"), json!({ "retry_after": -3 }), None),
        (vec![], json!({ "retry_after": 1e300 }), None),
        (header("999999999"), json!({ "retry_after": 999_999_999 }), Some(day)),
    ];
    for (headers, body, seconds) in rows {
        assert_eq!(send(answer(headers, &body)).await, Err(limited(seconds)), "{body}");
    }
}
