//! Every sort of callback, as a whole payload in NXCloud's form, and what it comes to.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use threedots::message::content::ContentKind;
use threedots::message::{DeliveryStatus, Stage};
use threedots::provider::WebhookError;

use super::{ACCESS_SECRET, RECEIVED, deliver, events, receiver, signed_with};
use crate::upstream::view;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/nxcloud")
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name).with_extension("json")).expect("the fixture is there")
}

/// The names of all payloads, in order.
fn names() -> Vec<String> {
    let files = std::fs::read_dir(folder()).expect("the fixtures are there");
    let name = |file: PathBuf| file.file_stem().expect("files have names").to_string_lossy().into_owned();
    let mut names: Vec<String> = files.map(|file| name(file.expect("readable").path())).collect();
    names.sort();
    names
}

fn status(name: &str) -> DeliveryStatus {
    let events = deliver(&fixture(name)).expect("a callback of NXCloud's form");
    let [status] = events.statuses.try_into().expect("one status");
    status
}

/// What WhatsApp's own interface hands over as unsupported.
const POLLS: [ContentKind; 2] = [ContentKind::Poll, ContentKind::Vote];

#[test]
fn every_callback_reads_as_its_snapshot_says() {
    for name in names() {
        let events = deliver(&fixture(&name)).expect("a callback of NXCloud's form");
        insta::with_settings!({ sort_maps => true }, { insta::assert_json_snapshot!(name, view(&events)) });
    }
}

#[test]
fn there_is_a_callback_of_every_kind_that_is_answered() {
    let mut kinds: Vec<ContentKind> = Vec::new();
    for name in names() {
        let events = deliver(&fixture(&name)).expect("a callback of NXCloud's form");
        kinds.extend(events.messages.iter().map(|message| message.content.kind()));
    }
    for kind in ContentKind::ANSWERED.into_iter().filter(|kind| !POLLS.contains(kind)).chain([
        ContentKind::Reaction,
        ContentKind::Unsupported,
        ContentKind::Unknown,
    ]) {
        assert!(kinds.contains(&kind), "no fixture for {kind:?}");
    }
}

#[test]
fn a_status_finds_its_part_by_either_of_the_two_places_for_our_key() {
    for name in ["status_sent", "status_read", "status_played"] {
        assert_eq!(status(name).key, Some(super::key()), "{name}");
    }
}

#[test]
fn no_name_of_metas_is_taken_for_a_key() {
    for name in ["status_delivered_without_number", "status_of_nxclouds_own_name", "status_failed_old_style"] {
        assert_eq!(status(name).key, None, "{name}");
    }
}

#[test]
fn of_two_reasons_for_a_failure_metas_is_the_one() {
    assert_eq!(status("status_failed").stage, Stage::Failed(Some(131_047)));
    assert_eq!(status("status_failed_old_style").stage, Stage::Failed(Some(470)));
    assert_eq!(status("status_failed_with_float").stage, Stage::Failed(Some(131_026)));
}

#[test]
fn what_is_no_object_is_not_of_nxclouds_form() {
    for body in [&b""[..], b"[]", b"7", b"\"text\"", b"{", b"\xff\xfe", b"{\"messages\":[]}x"] {
        assert_eq!(deliver(body).err(), Some(WebhookError::Malformed), "{}", String::from_utf8_lossy(body));
    }
}

/// Names and numbers of what came, under other settings.
fn read(name: &str, changes: Value) -> (Vec<String>, usize) {
    let request = signed_with(ACCESS_SECRET, RECEIVED, &fixture(name));
    let events = events(receiver(changes).receive(&request)).expect("a callback of NXCloud's form");
    let ids = events.messages.iter().map(|message| message.at.message.as_str().to_owned()).collect();
    (ids, events.ignored.not_ours)
}

#[test]
fn the_name_that_calls_use_for_a_message_is_the_operators_to_choose() {
    let first = |fields: Value| read("text_with_two_names", json!({ "message_id_fields": fields })).0;
    assert_eq!(first(json!(["id"])), ["0b7b0a4e-0000-4000-8000-000000000001"]);
    assert_eq!(first(json!(["none", "meta_message_id", "id"])), ["wamid.FICTIONAL-META"]);
}

#[test]
fn the_field_with_our_number_is_the_operators_to_choose() {
    assert_eq!(read("other_number", json!({})).1, 1);
    assert_eq!(read("other_number", json!({ "own_number_fields": ["wabaId"] })).1, 1);
    // What names no number is ours.
    assert_eq!(read("other_number", json!({ "own_number_fields": ["none"] })).1, 0);
    assert_eq!(read("text", json!({ "own_number_fields": ["none", "business_phone"] })).1, 0);
}
