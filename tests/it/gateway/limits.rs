//! The gateway's limits: kept at the bound, broken one past it.

use bytes::Bytes;
use threedots::message::reply::{Choice, Media, MediaSource, Row, Section};
use threedots::message::{MediaKind, Part, Payload};
use threedots::provider::InvalidPart;

use super::gateway;

fn check(payload: Payload) -> Result<(), InvalidPart> {
    gateway().check(&Part::from(payload))
}

fn text(characters: usize) -> Payload {
    Payload::Text { body: "ä".repeat(characters) }
}

fn media(kind: MediaKind, source: MediaSource, caption: usize) -> Payload {
    let caption = (caption > 0).then(|| "ä".repeat(caption));
    Payload::Media(Media { kind, source, caption, filename: None })
}

fn link(address: &str) -> MediaSource {
    MediaSource::Link(address.into())
}

fn in_hand(size: usize, mime: &str) -> MediaSource {
    MediaSource::Bytes { data: Bytes::from(vec![0; size]), mime: mime.into() }
}

#[test]
fn a_text_has_1_to_4096_characters() {
    assert!(check(text(1)).is_ok() && check(text(4096)).is_ok());
    assert!(check(text(0)).is_err() && check(text(4097)).is_err());
}

#[test]
fn a_caption_has_up_to_1024_characters_and_only_what_is_looked_at_has_one() {
    let there = || link("https://bakery.example/x");
    for kind in [MediaKind::Image, MediaKind::Video, MediaKind::Document] {
        assert!(check(media(kind, there(), 1024)).is_ok());
        assert!(check(media(kind, there(), 1025)).is_err());
    }
    for kind in [MediaKind::Audio, MediaKind::Voice, MediaKind::Sticker] {
        assert!(check(media(kind, there(), 0)).is_ok());
        assert!(check(media(kind, there(), 1)).is_err());
    }
}

#[test]
fn a_link_is_an_https_address() {
    let image = |address: &str| check(media(MediaKind::Image, link(address), 0));
    assert!(image("https://bakery.example/cake.jpg").is_ok());
    for bad in ["http://bakery.example/cake.jpg", "file:///etc/passwd", "cake.jpg", ""] {
        assert!(image(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_medium_in_hand_has_up_to_700_kib() {
    let image = |size| check(media(MediaKind::Image, in_hand(size, "image/png"), 0));
    assert!(image(1).is_ok() && image(700 << 10).is_ok());
    assert!(image(0).is_err());
    let refusal = image((700 << 10) + 1).expect_err("it is too large").0;
    assert!(refusal.contains("716801 bytes") && refusal.contains("link"), "{refusal}");
    for bad in ["", "png", "image/", "/png", "image/png,x", "image/\u{e4}", "image/png\r\n"] {
        assert!(check(media(MediaKind::Image, in_hand(1, bad), 0)).is_err(), "{bad:?}");
    }
}

#[test]
fn what_the_gateway_does_not_have_is_refused_with_what_to_do_instead() {
    let choice = |id: &str| Choice { id: id.into(), title: "Yes".into() };
    let row = Row { id: "1".into(), title: "Bread".into(), description: None };
    let refused = [
        Payload::Buttons { body: "Which?".into(), footer: None, buttons: vec![choice("yes")] },
        Payload::List {
            body: "Which?".into(),
            button: "Choose".into(),
            footer: None,
            sections: vec![Section { title: String::new(), rows: vec![row] }],
        },
        Payload::ApprovedTemplate { name: "order".into(), language: "en".into(), components: Vec::new() },
    ];
    for payload in refused {
        let name = payload.name();
        let refusal = check(payload).expect_err(name).0;
        assert!(refusal.contains("WhatsApp Gateway"), "{refusal}");
    }
}

#[test]
fn a_place_is_on_this_globe() {
    let place = |latitude, longitude| Payload::Location { latitude, longitude, name: None, address: None };
    assert!(check(place(90.0, -180.0)).is_ok());
    assert!(check(place(90.1, 0.0)).is_err() && check(place(0.0, 180.1)).is_err());
    assert!(check(Payload::Reaction { message: None, emoji: String::new() }).is_ok());
}
