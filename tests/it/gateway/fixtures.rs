//! Every kind of delivery, as a whole payload in the gateway's form, and what it comes to.

use std::path::{Path, PathBuf};

use threedots::message::content::ContentKind;

use super::deliver;
use crate::upstream::view;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gateway")
}

/// The bytes of one payload.
pub(super) fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name).with_extension("json")).expect("the fixture is there")
}

fn names() -> Vec<String> {
    let files = std::fs::read_dir(folder()).expect("the fixtures are there");
    let name = |file: PathBuf| file.file_stem().expect("files have names").to_string_lossy().into_owned();
    let mut names: Vec<String> = files.map(|file| name(file.expect("readable").path())).collect();
    names.sort();
    names
}

#[test]
fn every_delivery_reads_as_its_snapshot_says() {
    for name in names() {
        let events = deliver(&fixture(&name)).expect("a delivery of the gateway's form");
        insta::with_settings!({ sort_maps => true }, { insta::assert_json_snapshot!(name, view(&events)) });
    }
}

#[test]
fn there_is_a_delivery_of_every_kind_that_the_gateway_has() {
    let mut kinds: Vec<ContentKind> = Vec::new();
    for name in names() {
        let events = deliver(&fixture(&name)).expect("a delivery of the gateway's form");
        kinds.extend(events.messages.iter().map(|message| message.content.kind()));
    }
    let all = [
        ContentKind::Text,
        ContentKind::Image,
        ContentKind::Video,
        ContentKind::Audio,
        ContentKind::Document,
        ContentKind::Sticker,
        ContentKind::Location,
        ContentKind::Contacts,
        ContentKind::Choice,
        ContentKind::Poll,
        ContentKind::Vote,
        ContentKind::Reaction,
        ContentKind::Edit,
        ContentKind::Revoke,
        ContentKind::Unknown,
    ];
    for kind in all {
        assert!(kinds.contains(&kind), "no fixture for {kind:?}");
    }
}
