//! Every kind of delivery, as a whole payload in Meta's form, and what it comes to.

use std::path::{Path, PathBuf};

use threedots::message::content::ContentKind;

use super::deliver;
use crate::upstream::view;

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/meta")
}

/// The bytes of one payload.
pub(crate) fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name).with_extension("json")).expect("the fixture is there")
}

/// The names of all payloads, in order.
pub(crate) fn names() -> Vec<String> {
    let files = std::fs::read_dir(folder()).expect("the fixtures are there");
    let name = |file: PathBuf| file.file_stem().expect("files have names").to_string_lossy().into_owned();
    let mut names: Vec<String> = files.map(|file| name(file.expect("readable").path())).collect();
    names.sort();
    names
}

/// What WhatsApp's own interface hands over as unsupported.
const POLLS: [ContentKind; 2] = [ContentKind::Poll, ContentKind::Vote];

#[test]
fn every_delivery_reads_as_its_snapshot_says() {
    for name in names() {
        let events = deliver(&fixture(&name)).expect("a delivery of Meta's form");
        insta::with_settings!({ sort_maps => true }, { insta::assert_json_snapshot!(name, view(&events)) });
    }
}

#[test]
fn there_is_a_delivery_of_every_kind() {
    let mut kinds: Vec<ContentKind> = Vec::new();
    for name in names() {
        let events = deliver(&fixture(&name)).expect("a delivery of Meta's form");
        kinds.extend(events.messages.iter().map(|message| message.content.kind()));
    }
    let others = [
        ContentKind::Reaction,
        ContentKind::Edit,
        ContentKind::Revoke,
        ContentKind::System,
        ContentKind::Welcome,
        ContentKind::Unsupported,
        ContentKind::Unknown,
    ];
    for kind in ContentKind::ANSWERED.into_iter().filter(|kind| !POLLS.contains(kind)).chain(others) {
        assert!(kinds.contains(&kind), "no fixture for {kind:?}");
    }
}

#[test]
fn escapes_on_the_wire_are_only_another_way_of_writing() {
    let events = deliver(&fixture("text_escaped")).expect("a delivery");
    assert_eq!(events.messages[0].content.words(), Some("Grüße 😀 an/aus, a@example.org"));
}
