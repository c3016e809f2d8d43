//! Requests that nobody honest sends, and broken elements among sound ones.

use threedots::provider::{Provider, WebhookError};
use threedots::runtime::http::Headers;

use super::fixtures::fixture;
use super::{SECRET, deliver, delivery_of, ids, meta, post, post_with, signature, text_message};

fn refusal(body: &[u8], headers: Headers) -> WebhookError {
    meta().receive(&post(body, headers)).expect_err("it is refused")
}

#[test]
fn a_delivery_without_a_signature_is_refused() {
    assert_eq!(refusal(&fixture("text"), Headers::default()), WebhookError::Unsigned);
    let old = [("X-Hub-Signature", "sha1=0123456789012345678901234567890123456789")].into_iter().collect();
    assert_eq!(refusal(&fixture("text"), old), WebhookError::Unsigned);
}

#[test]
fn of_two_signatures_neither_counts() {
    let body = fixture("text");
    let right = signature(SECRET, &body);
    for other in [right.as_str(), "sha256=00"] {
        let headers = [("X-Hub-Signature-256", right.as_str()), ("x-hub-signature-256", other)].into_iter().collect();
        assert_eq!(refusal(&body, headers), WebhookError::Unsigned);
    }
}

#[test]
fn a_signature_that_is_not_the_right_one_in_the_right_form_is_refused() {
    let body = fixture("text");
    let right = signature(SECRET, &body);
    let digits = right.trim_start_matches("sha256=");
    let wrong = [
        signature("another_secret", &body),
        signature(SECRET, &fixture("image")),
        right[..right.len() - 1].to_owned(),
        right[..right.len() - 2].to_owned(),
        format!("{right}00"),
        format!("{right} "),
        format!(" {right}"),
        format!("sha1={digits}"),
        format!("SHA256={digits}"),
        format!("sha256:{digits}"),
        digits.to_owned(),
        String::new(),
        "sha256=".to_owned(),
        format!("sha256={}", "0".repeat(64)),
        format!("sha256={}", "g".repeat(64)),
        format!("sha256={}", "ä".repeat(32)),
        format!("{right},{right}"),
    ];
    for header in wrong {
        let refused = meta().receive(&post_with(&body, &header)).err();
        assert_eq!(refused, Some(WebhookError::WrongSignature), "{header:?}");
    }
}

#[test]
fn a_body_that_was_read_and_written_again_is_no_longer_the_one_that_was_signed() {
    let body = fixture("text_escaped");
    let value: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    let again = serde_json::to_vec(&value).expect("JSON");
    let refused = meta().receive(&post_with(&again, &signature(SECRET, &body))).err();
    assert_eq!(refused, Some(WebhookError::WrongSignature));
}

#[test]
fn a_body_that_is_no_json_object_is_malformed() {
    let whole = fixture("text");
    let bodies = [
        Vec::new(),
        whole[..whole.len() / 2].to_vec(),
        [whole.as_slice(), b"}"].concat(),
        b"\xff\xfe{}".to_vec(),
        br#"{"entry":[],"x":"\xff"}"#.to_vec(),
        b"{\"entry\":[],\"x\":\"\xff\"}".to_vec(),
        b"[]".to_vec(),
        b"null".to_vec(),
        b"\"text\"".to_vec(),
        b"<html>".to_vec(),
        b"[".repeat(10_000),
        [b"[".repeat(10_000), b"]".repeat(10_000)].concat(),
        b"{\"a\":".repeat(10_000),
    ];
    for body in bodies {
        let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
        assert_eq!(deliver(&body).err(), Some(WebhookError::Malformed), "{shown}");
    }
}

#[test]
fn an_object_without_entries_carries_nothing() {
    for body in ["{}", r#"{"entry":null}"#, r#"{"entry":7}"#, r#"{"entry":{}}"#, r#"{"entry":[7]}"#] {
        let events = deliver(body.as_bytes()).expect("an object");
        assert_eq!((events.messages.len(), events.ignored.malformed), (0, 1), "{body}");
    }
}

/// Things that can stand where a message should.
fn broken_messages() -> Vec<String> {
    let with = |field: &str| format!(r#"{{"id":"wamid.3","from":"12025550123","type":"text",{field}}}"#);
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    vec![
        "null".into(),
        "7".into(),
        "\"message\"".into(),
        "[]".into(),
        "{}".into(),
        deep(10_000),
        r#"{"a":"#.repeat(10_000) + "1" + &"}".repeat(10_000),
        with(&format!(r#""text":{{"body":"x"}},"extra":{}"#, deep(10_000))),
        with(r#""text":{"body":"x"},"huge":1e999999"#),
        with(r#""text":"x""#),
        with(r#""text":{"body":""}"#),
        with(r#""text":{"body":["x"]}"#),
        with(r#""text":{}"#),
        r#"{"from":"12025550123","type":"text","text":{"body":"no id"}}"#.into(),
        r#"{"id":"","from":"12025550123","type":"text","text":{"body":"empty id"}}"#.into(),
        r#"{"id":"wamid.3","type":"text","text":{"body":"no sender"}}"#.into(),
        r#"{"id":"wamid.3","from":{},"type":"text","text":{"body":"no sender"}}"#.into(),
        r#"{"id":"wamid.3","from":"12025550123","text":{"body":"no type"}}"#.into(),
        r#"{"id":"wamid.3","from":"12025550123","type":"image","image":{"caption":"no image"}}"#.into(),
        r#"{"id":"wamid.3","from":"12025550123","type":"location","location":{"latitude":"NaN","longitude":1}}"#.into(),
        r#"{"id":"wamid.3","from":"12025550123","type":"reaction","reaction":{"emoji":"x"}}"#.into(),
        r#"{"id":"wamid.3","from":"12025550123","type":"interactive","interactive":{"type":"button_reply"}}"#.into(),
        format!(r#"{{"id":"wamid.3","from":"12025550123","type":"hologram","hologram":{}}}"#, deep(100)),
    ]
}

#[test]
fn a_broken_message_is_counted_and_costs_its_neighbours_nothing() {
    for broken in broken_messages() {
        // Two contacts, so that a message without a sender is really nobody's.
        let body = delivery_of(&[
            &text_message("wamid.1", "one"),
            &text_message("wamid.2", "two"),
            &broken,
            &text_message("wamid.4", "four"),
            &text_message("wamid.5", "five"),
        ]);
        let body = body.replacen("\"contacts\":[", "\"contacts\":[{\"wa_id\":\"12025550147\"},", 1);
        let events = deliver(body.as_bytes()).expect("a delivery of Meta's form");
        let shown = &broken[..broken.len().min(90)];
        assert_eq!(ids(&events), ["wamid.1", "wamid.2", "wamid.4", "wamid.5"], "{shown}");
        assert_eq!(events.ignored.malformed, 1, "{shown}");
    }
}

#[test]
fn a_broken_contact_status_change_or_entry_costs_its_neighbours_nothing() {
    let sound = delivery_of(&[&text_message("wamid.1", "one")]);
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    for broken in ["null", "7", "[[]]", r#""text""#, r#"{"huge":1e999}"#, &deep] {
        let places =
            [("\"contacts\":[", 0), ("\"entry\":[", 1), ("\"changes\":[", 1), ("\"value\":{\"statuses\":[", 1)];
        for (place, counted) in places {
            let sound =
                sound.replacen("\"value\":{", "\"value\":{\"statuses\":[{\"id\":\"s\",\"status\":\"read\"}],", 1);
            let body = sound.replacen(place, &format!("{place}{broken},"), 1);
            assert_ne!(body, sound, "{place}");
            let events = deliver(body.as_bytes()).expect("a delivery of Meta's form");
            let shown = &broken[..broken.len().min(40)];
            assert_eq!(ids(&events), ["wamid.1"], "{shown} in {place}");
            assert_eq!(events.statuses.len(), 1, "{shown} in {place}");
            assert_eq!(events.ignored.malformed, counted, "{shown} in {place}");
        }
    }
}

#[test]
fn of_a_key_that_stands_twice_the_last_counts() {
    let twice =
        r#"{"id":"wamid.0","id":"wamid.1","from":"1","type":"image","type":"text","text":7,"text":{"body":"x"}}"#;
    let events = deliver(delivery_of(&[twice]).as_bytes()).expect("a delivery");
    assert_eq!(ids(&events), ["wamid.1"]);
    let body = delivery_of(&[&text_message("wamid.1", "one")]);
    let events = deliver(body.replacen('{', "{\"entry\":7,", 1).as_bytes()).expect("a delivery");
    assert_eq!(ids(&events), ["wamid.1"]);
}

#[test]
fn keys_may_be_written_with_escapes() {
    let body = delivery_of(&[&text_message("wamid.1", "one")]).replace("\"entry\"", "\"\\u0065ntry\"");
    assert_eq!(ids(&deliver(body.as_bytes()).expect("a delivery")), ["wamid.1"]);
}

#[test]
fn huge_numbers_are_numbers_too() {
    let huge = r#"{"id":"wamid.1","from":"1","timestamp":99999999999999999999999999,"type":"order",
        "order":{"product_items":[{"product_retailer_id":"1","quantity":1e300}]}}"#;
    let events = deliver(delivery_of(&[huge]).as_bytes()).expect("a delivery");
    assert_eq!(ids(&events), ["wamid.1"]);
}

#[test]
fn a_change_without_a_value_or_without_the_number_that_it_is_for_is_malformed() {
    for value in ["", r#","value":null"#, r#","value":{}"#, r#","value":{"metadata":{"display_phone_number":"1"}}"#] {
        let body = format!(r#"{{"entry":[{{"changes":[{{"field":"messages"{value}}}]}}]}}"#);
        let events = deliver(body.as_bytes()).expect("an object");
        assert_eq!((events.messages.len(), events.ignored.malformed), (0, 1), "{value}");
    }
}
