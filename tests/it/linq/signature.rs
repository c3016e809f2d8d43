//! Who may deliver: the signatures, against vectors that were computed apart from this code, and their time.

use std::time::Duration;

use serde_json::{Value, json};
use threedots::message::clock::{Clock, Timestamp};
use threedots::provider::{Method, WebhookError, WebhookRequest};

use super::{SECRET, SIGNED, connect, post, signature, signed_at};
use crate::upstream::Upstream;

const BODY: &[u8] = br#"{"event_type":"message.received","event_id":"e1"}"#;
const STANDARD: &str = "v1,iZ/YKsPT2oebJ/83bwbev3HLlSUK//mf/uAMKO041Hg=";
const FULL: &str = "621c95f28a8620fe94e4fe752b20f1de6e18f88f4b13a687303aae36aed3724e";
const DECODED: &str = "2bf6744ab9322975768f269eae17e532953217a4ebf692f88802d31b28caf03b";
const TIMESTAMP: &str = "1770319873";

fn verdict(more: &Value, request: &WebhookRequest) -> Option<WebhookError> {
    connect(more, Upstream::answering([]), Clock::System).receive(request).err()
}

fn standard(signature: &str) -> [(&str, &str); 3] {
    [("webhook-id", "msg_2abc"), ("webhook-timestamp", TIMESTAMP), ("webhook-signature", signature)]
}

fn legacy(signature: &str) -> [(&str, &str); 2] {
    [("X-Webhook-Timestamp", TIMESTAMP), ("X-Webhook-Signature", signature)]
}

fn said(more: &Value, headers: &[(&str, &str)]) -> Option<WebhookError> {
    verdict(more, &post(BODY, headers, SIGNED))
}

#[test]
fn the_known_signature_is_good() {
    assert_eq!(said(&json!({}), &standard(STANDARD)), None);
    assert_eq!(said(&json!({}), &standard(STANDARD.trim_end_matches('='))), None, "padding or not");
}

#[test]
fn one_good_signature_among_others_is_enough() {
    for list in [
        format!("v1,AAAA {STANDARD}"),
        format!("{STANDARD} v1,AAAA"),
        format!("v1a,c29tZXRoaW5n  {STANDARD} v2,AAAA nonsense"),
        format!("v1, {STANDARD}"),
    ] {
        assert_eq!(said(&json!({}), &standard(&list)), None, "{list}");
    }
}

#[test]
fn other_versions_and_other_signatures_are_no_proof() {
    let other_version = STANDARD.replace("v1,", "v2,");
    let bare = STANDARD.trim_start_matches("v1,");
    for list in ["", "v1,", "v1", &other_version, bare, "v1,AAAA", "v1,%%%"] {
        assert_eq!(said(&json!({}), &standard(list)), Some(WebhookError::WrongSignature), "{list}");
    }
}

#[test]
fn whatever_is_signed_cannot_be_changed() {
    for (name, value) in [("webhook-id", "msg_2abd"), ("webhook-timestamp", "1770319874")] {
        let headers = standard(STANDARD).map(|(known, old)| if known == name { (known, value) } else { (known, old) });
        assert_eq!(said(&json!({}), &headers), Some(WebhookError::WrongSignature), "{name}");
    }
    for at in 0..BODY.len() {
        let mut body = BODY.to_vec();
        body[at] ^= 1;
        let request = post(&body, &standard(STANDARD), SIGNED);
        assert_eq!(verdict(&json!({}), &request), Some(WebhookError::WrongSignature));
    }
}

#[test]
fn a_request_that_lacks_a_header_or_has_it_twice_is_unsigned() {
    for missing in 0..3 {
        let headers = standard(STANDARD);
        let fewer: Vec<_> = (0..3).filter(|number| *number != missing).map(|number| headers[number]).collect();
        assert_eq!(said(&json!({}), &fewer), Some(WebhookError::Unsigned));
        let mut more = headers.to_vec();
        more.push(headers[missing]);
        assert_eq!(said(&json!({}), &more), Some(WebhookError::Unsigned));
    }
}

#[test]
fn a_signature_holds_for_five_minutes_either_way() {
    let shifted = |more: &Value, ahead: i64| {
        let received = Timestamp(SIGNED.0.saturating_add_signed(ahead * 1000));
        verdict(more, &post(BODY, &standard(STANDARD), received))
    };
    for ahead in [0, 300, -300] {
        assert_eq!(shifted(&json!({}), ahead), None, "{ahead}");
    }
    for ahead in [301, -301, 86_400] {
        assert_eq!(shifted(&json!({}), ahead), Some(WebhookError::Stale), "{ahead}");
    }
    assert_eq!(shifted(&json!({ "webhook_tolerance": "1h" }), 3600), None);
    assert_eq!(shifted(&json!({ "webhook_tolerance": "10s" }), 11), Some(WebhookError::Stale));
}

#[test]
fn a_time_that_is_none_is_never_now() {
    for timestamp in ["soon", "-1", "1e9", "99999999999999999999"] {
        let signature = signature(SECRET, "msg_2abc", timestamp, BODY);
        let headers = [("webhook-id", "msg_2abc"), ("webhook-timestamp", timestamp), ("webhook-signature", &signature)];
        assert_eq!(said(&json!({}), &headers), Some(WebhookError::Stale), "{timestamp}");
    }
}

#[test]
fn the_older_signature_counts_only_where_it_is_asked_for() {
    assert_eq!(said(&json!({}), &legacy(FULL)), Some(WebhookError::Unsigned));
    let on = json!({ "legacy_signature": true });
    assert_eq!(said(&on, &legacy(FULL)), None);
    assert_eq!(said(&on, &legacy(&FULL.to_uppercase())), None);
    assert_eq!(said(&on, &legacy(&format!("sha256={FULL}"))), None);
    assert_eq!(said(&on, &legacy(DECODED)), Some(WebhookError::WrongSignature));
    let decoded = json!({ "legacy_signature": true, "legacy_key": "decoded" });
    assert_eq!(said(&decoded, &legacy(DECODED)), None);
    assert_eq!(said(&decoded, &legacy(FULL)), Some(WebhookError::WrongSignature));
    for wrong in ["", "sha256=", "00", &FULL[..62], &format!("{FULL}00"), "not hexadecimal"] {
        assert_eq!(said(&on, &legacy(wrong)), Some(WebhookError::WrongSignature), "{wrong}");
    }
    let late = post(BODY, &legacy(FULL), SIGNED.plus(Duration::from_secs(301)));
    assert_eq!(verdict(&on, &late), Some(WebhookError::Stale));
}

#[test]
fn with_both_signatures_either_will_do_where_both_count() {
    let both = |standard_one: &'static str, legacy_one: &'static str| {
        [&standard(standard_one)[..], &legacy(legacy_one)[..]].concat()
    };
    let on = json!({ "legacy_signature": true });
    assert_eq!(said(&on, &both(STANDARD, "00")), None);
    assert_eq!(said(&on, &both("v1,AAAA", FULL)), None);
    assert_eq!(said(&on, &both("v1,AAAA", "00")), Some(WebhookError::WrongSignature));
    assert_eq!(said(&json!({}), &both("v1,AAAA", FULL)), Some(WebhookError::WrongSignature));
}

#[test]
fn a_forged_body_is_refused_before_anybody_reads_it() {
    for body in [&b"{"[..], b"\xff\xfe", b""] {
        let mut request = signed_at(b"something else", SIGNED);
        request.body = bytes::Bytes::copy_from_slice(body);
        assert_eq!(verdict(&json!({}), &request), Some(WebhookError::WrongSignature));
        assert_eq!(verdict(&json!({}), &signed_at(body, SIGNED)), Some(WebhookError::Malformed));
    }
}

#[test]
fn there_is_no_handshake() {
    let mut request = signed_at(BODY, SIGNED);
    request.method = Method::Get;
    assert_eq!(verdict(&json!({}), &request), Some(WebhookError::WrongMethod));
}

#[test]
fn a_list_of_many_wrong_signatures_costs_one_reading_of_the_body() {
    // 100 000 readings of a megabyte would take minutes.
    let (body, list) = (vec![b' '; 1 << 20], "v1,AAAA ".repeat(100_000));
    let headers = [("webhook-id", "m"), ("webhook-timestamp", TIMESTAMP), ("webhook-signature", &*list)];
    assert_eq!(verdict(&json!({}), &post(&body, &headers, SIGNED)), Some(WebhookError::WrongSignature));
}
