//! Every kind of delivery, as a whole payload in Linq's form, and what it comes to.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{deliver, deliver_to, view};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/linq")
}

/// The bytes of one payload.
pub(super) fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name).with_extension("json")).expect("the fixture is there")
}

/// The names of all payloads, in order.
pub(super) fn names() -> Vec<String> {
    let files = std::fs::read_dir(folder()).expect("the fixtures are there");
    let name = |file: PathBuf| file.file_stem().expect("files have names").to_string_lossy().into_owned();
    let mut names: Vec<String> = files.map(|file| name(file.expect("readable").path())).collect();
    names.sort();
    names
}

#[test]
fn every_delivery_reads_as_its_snapshot_says() {
    for name in names() {
        let events = deliver(&fixture(&name)).expect("a delivery of Linq's form");
        insta::with_settings!({ sort_maps => true }, { insta::assert_json_snapshot!(name, view(&events)) });
    }
}

#[test]
fn what_our_own_side_did_and_what_is_past_is_never_a_message() {
    let silent = [
        "own_message",
        "own_message_by_handle",
        "own_edit",
        "own_reaction",
        "older_own_message",
        "recovered_history",
        "zero_retention",
        "status_of_customers_message",
        "typing_indicator",
        "line_flagged",
        "participant_added",
        "unknown_event",
    ];
    for name in silent {
        let events = deliver(&fixture(name)).expect("a delivery");
        assert!(events.messages.is_empty() && events.statuses.is_empty(), "{name}");
        assert_eq!(events.ignored.other, 1, "{name}");
    }
}

#[test]
fn either_form_of_the_payload_says_the_same() {
    let [newer, older] = ["text", "older_text"].map(|name| deliver(&fixture(name)).expect("a delivery"));
    let (newer, mut older) = (&newer.messages[0], older.messages[0].clone());
    older.at.message = newer.at.message.clone();
    assert_eq!(*newer, older);
}

#[test]
fn a_bot_with_a_number_takes_nothing_of_another_line() {
    for (number, ours) in [("+12025550100", true), ("+12025550199", false)] {
        for name in ["text", "status_delivered", "older_text", "edit"] {
            let events = deliver_to(&json!({ "number": number }), &fixture(name)).expect("a delivery");
            let read = events.messages.len() + events.statuses.len();
            assert_eq!((read, events.ignored.not_ours), if ours { (1, 0) } else { (0, 1) }, "{name} for {number}");
        }
        // Of these nobody can tell: the payload does not name the line.
        for name in ["status_failed", "reaction", "older_status_delivered"] {
            let events = deliver_to(&json!({ "number": number }), &fixture(name)).expect("a delivery");
            assert_eq!(events.messages.len() + events.statuses.len(), 1, "{name} for {number}");
        }
    }
}

#[test]
fn the_same_event_delivered_again_has_the_same_name() {
    for name in ["edit", "reaction", "several_media"] {
        let ids = || {
            let events = deliver(&fixture(name)).expect("a delivery");
            events.messages.into_iter().map(|message| message.at.message).collect::<Vec<_>>()
        };
        assert_eq!(ids(), ids(), "{name}");
    }
}

#[test]
fn two_reactions_on_one_message_have_two_names() {
    let [first, second] = ["reaction", "reaction_custom"].map(|name| deliver(&fixture(name)).expect("a delivery"));
    assert_ne!(first.messages[0].at.message, second.messages[0].at.message);
}

#[test]
fn a_message_without_a_time_of_its_own_is_as_old_as_its_event() {
    let mut payload: Value = serde_json::from_slice(&fixture("text")).expect("JSON");
    let time = |payload: &Value| deliver(payload.to_string().as_bytes()).expect("a delivery").messages[0].at.time.0;
    assert_eq!(time(&payload), 1_770_319_872_500);
    // Without a zone it is UTC.
    payload["data"]["sent_at"] = json!("2026-02-05T19:31:12.25");
    assert_eq!(time(&payload), 1_770_319_872_250);
    for odd in [json!(null), json!("soon"), json!({}), json!("1969-12-31T23:59:59Z")] {
        payload["data"]["sent_at"] = odd;
        assert_eq!(time(&payload), 1_770_319_873_736);
    }
    payload["created_at"] = json!(null);
    assert_eq!(time(&payload), super::SIGNED.0);
}

#[test]
fn what_makes_no_sense_is_counted_and_no_error() {
    let odd = [
        json!({}),
        json!({ "event_type": "message.received" }),
        json!({ "event_type": "message.received", "data": [] }),
        json!({ "event_type": "message.received", "data": {} }),
        json!({ "event_type": "message.received", "data": { "id": "x", "parts": [{ "type": "text", "value": "x" }] } }),
        json!({ "event_type": "message.failed", "data": {} }),
        json!({ "event_type": "message.edited", "data": { "id": "x" } }),
        json!({ "event_type": "reaction.added", "data": {} }),
        json!({ "event_type": 7 }),
    ];
    for odd in odd {
        let events = deliver(odd.to_string().as_bytes()).expect("authentic");
        assert!(events.messages.is_empty() && events.statuses.is_empty(), "{odd}");
        assert_eq!(events.ignored.malformed + events.ignored.other, 1, "{odd}");
    }
    for body in [&b""[..], b"[]", b"7", b"{", b"\xff"] {
        assert!(deliver(body).is_err(), "not an object");
    }
}
