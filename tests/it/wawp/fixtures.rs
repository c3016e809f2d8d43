//! Every kind of delivery, as a whole payload in Wawp's form, and what it comes to.

use threedots::message::content::ContentKind;

use super::{deliver, fixture, fixtures, signed, wawp};
use crate::upstream::{Upstream, view};

#[test]
fn every_delivery_reads_as_its_snapshot_says() {
    for name in fixtures("wawp") {
        let events = deliver(&fixture("wawp", &name)).expect("a delivery of Wawp's form");
        insta::with_settings!({ sort_maps => true }, { insta::assert_json_snapshot!(name, view(&events)) });
    }
}

#[test]
fn there_is_a_delivery_of_every_kind_that_there_can_be() {
    let mut kinds: Vec<ContentKind> = Vec::new();
    for name in fixtures("wawp") {
        let events = deliver(&fixture("wawp", &name)).expect("a delivery of Wawp's form");
        kinds.extend(events.messages.iter().map(|message| message.content.kind()));
    }
    let all = [
        ContentKind::Text,
        ContentKind::Image,
        ContentKind::Video,
        ContentKind::Audio,
        ContentKind::Voice,
        ContentKind::Document,
        ContentKind::Sticker,
        ContentKind::Location,
        ContentKind::Contacts,
        ContentKind::Reaction,
        ContentKind::Edit,
        ContentKind::Revoke,
        ContentKind::Poll,
        ContentKind::Vote,
        ContentKind::Unknown,
    ];
    for kind in all {
        assert!(kinds.contains(&kind), "no fixture for {kind:?}");
    }
}

#[test]
fn what_is_ours_or_public_is_no_message() {
    let ours_or_public = [
        "own_message_by_hand",
        "own_message_by_api",
        "own_status_post",
        "status_post",
        "broadcast_list",
        "newsletter",
        "reaction_of_ours",
        "revoked_by_us",
        "notice",
        "undecrypted",
    ];
    for name in ours_or_public {
        let events = deliver(&fixture("wawp", name)).expect("a delivery");
        assert!(events.messages.is_empty(), "{name}");
        assert_eq!(events.echoes.len(), usize::from(name == "own_message_by_hand"), "{name}");
    }
}

#[test]
fn message_any_is_read_as_message_is_unless_it_is_switched_off() {
    let body = fixture("wawp", "message_any");
    let none = wawp("message_any = false", &Upstream::answering([]));
    assert!(super::events(&*none, &signed(&body)).expect("a delivery").messages.is_empty());
    let any = wawp("", &Upstream::answering([]));
    let both = [body.clone(), String::from_utf8(body).expect("text").replace("message.any", "message").into()];
    let read = both.map(|body| super::events(&*any, &signed(&body)).expect("a delivery"));
    assert_eq!(read[0].messages.len(), 1);
    // The same name, whichever of the two brought it: so that it counts once.
    assert_eq!(read[0].messages, read[1].messages);
}
