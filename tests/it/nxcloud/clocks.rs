//! Two clocks that disagree: NXCloud takes no call that is more than a minute off its own.

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use threedots::message::clock::{Clock, Timestamp};
use threedots::message::{MessageId, Part};
use threedots::provider::{Activity, ErrorCode, ProviderError};
use tokio::time::Instant;

use super::{ACCESS_KEY, ACCESS_SECRET, key, provider, received_message, sign};
use crate::upstream::{Given, Seen, Upstream};

/// 2026-01-01 00:00:00
const NOW: Timestamp = Timestamp(1_767_225_600_000);
const AN_HOUR_ON: &str = "Thu, 01 Jan 2026 01:00:00 GMT";
const AN_HOUR_AGO: &str = "Wed, 31 Dec 2025 23:00:00 GMT";

fn clock() -> Clock {
    Clock::Tokio { epoch: NOW, started: Instant::now() }
}

fn expired(date: Option<&str>) -> Given {
    let headers = date.map(|date| ("Date", date.to_owned())).into_iter().collect();
    let body = json!({ "code": 1004, "message": "Timestamp expired", "data": null });
    Given::Answer(200, headers, body.to_string().into())
}

fn taken() -> Given {
    Given::json(200, &json!({ "code": 0, "data": { "messages": [{ "id": "1" }], "id": "2" } }))
}

/// The times that calls named, in milliseconds from [`NOW`]; each call is signed over its own.
fn times(seen: &[Seen]) -> Vec<i64> {
    let one = |call: &Seen| {
        let header = |name: &str| call.headers.iter().find(|(known, _)| known == name).expect("it is there").1.clone();
        let (ts, action) = (header("ts"), header("action"));
        assert_eq!(header("sign"), sign(ACCESS_KEY, &action, "2", &ts, &call.raw, ACCESS_SECRET));
        ts.parse::<i64>().expect("a number") - NOW.0 as i64
    };
    seen.iter().map(one).collect()
}

async fn send(given: impl IntoIterator<Item = Given>) -> (Result<MessageId, ProviderError>, Vec<Seen>) {
    let upstream = Upstream::answering(given);
    let sent = provider(upstream.clone(), clock()).send(&received_message(), &Part::text("hello"), &key()).await;
    (sent, upstream.seen())
}

const HOUR: i64 = 3_600_000;

#[tokio::test(start_paused = true)]
async fn a_call_that_came_at_the_wrong_time_is_made_once_more_at_nxclouds() {
    for (date, off) in [(AN_HOUR_ON, HOUR), (AN_HOUR_AGO, -HOUR)] {
        let (sent, seen) = send([expired(Some(date)), taken()]).await;
        assert_eq!(sent, Ok(MessageId::new("1")));
        assert_eq!(times(&seen), [0, off]);
        assert_eq!((&seen[0].url, &seen[0].raw), (&seen[1].url, &seen[1].raw));
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_time_to_learn_from_the_second_call_has_our_own() {
    for date in [None, Some(""), Some("yesterday"), Some("1767225600")] {
        let (sent, seen) = send([expired(date), taken()]).await;
        assert_eq!((sent, times(&seen)), (Ok(MessageId::new("1")), vec![0, 0]), "{date:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn twice_is_enough() {
    for date in [Some(AN_HOUR_ON), None] {
        let (sent, seen) = send([expired(date), expired(date)]).await;
        assert_eq!(sent, Err(ProviderError::Unauthorized { code: ErrorCode::Upstream(1004) }));
        assert_eq!(seen.len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_learned_holds_for_the_calls_after_it() {
    let upstream = Upstream::answering([expired(Some(AN_HOUR_ON)), taken(), taken(), expired(None), taken(), taken()]);
    let nxcloud = provider(upstream.clone(), clock());
    nxcloud.start_typing(&received_message(), Activity::Typing).await.expect("it is done");
    tokio::time::advance(Duration::from_secs(5)).await;
    nxcloud.mark_read(&received_message()).await.expect("it is done");
    assert_eq!(times(&upstream.seen()), [0, HOUR, HOUR + 5000]);
    // Somebody has put our clock right: what was learned is wrong now.
    nxcloud.mark_read(&received_message()).await.expect("it is done");
    nxcloud.mark_read(&received_message()).await.expect("it is done");
    assert_eq!(times(&upstream.seen())[3..], [HOUR + 5000, 5000, 5000]);
}

#[tokio::test(start_paused = true)]
async fn an_upload_is_repeated_whole() {
    let upstream = Upstream::answering([expired(Some(AN_HOUR_ON)), taken()]);
    let uploaded = provider(upstream.clone(), clock()).upload_media(Bytes::from_static(b"OggS"), "audio/ogg").await;
    assert_eq!(uploaded.as_deref(), Ok("2"));
    let seen = upstream.seen();
    assert_eq!((times(&seen), &seen[0].body), (vec![0, HOUR], &seen[1].body));
}

#[tokio::test(start_paused = true)]
async fn both_calls_together_have_the_time_of_one() {
    let began = Instant::now();
    let (sent, seen) = send([expired(None), Given::Silence]).await;
    assert_eq!(sent, Err(ProviderError::Ambiguous { code: ErrorCode::Network("timed out") }));
    assert_eq!((began.elapsed(), seen.len()), (Duration::from_secs(15), 2));
}

#[tokio::test(start_paused = true)]
async fn nothing_else_is_ever_repeated() {
    for code in [-1, 1001, 1002, 1003, 1005, 9000, 9001, 9007, 9099, 130_429] {
        let (sent, seen) = send([Given::json(200, &json!({ "code": code, "data": null }))]).await;
        assert!(sent.is_err() && seen.len() == 1, "{code}");
    }
}
