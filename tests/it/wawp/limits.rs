//! What may be sent, and what the handler's author reads if it may not.

use bytes::Bytes;
use threedots::message::reply::Choice;
use threedots::message::{Media, MediaKind, MediaSource, Part, Payload};

use super::calls::medium;
use super::wawp;
use crate::upstream::Upstream;

fn check(payload: Payload) -> Result<(), String> {
    wawp("", &Upstream::answering([])).check(&Part::from(payload)).map_err(|refusal| refusal.to_string())
}

fn in_hand(kind: MediaKind, size: usize) -> Payload {
    let source = MediaSource::Bytes { data: Bytes::from(vec![7; size]), mime: "image/png".into() };
    Payload::Media(Media { kind, source, caption: None, filename: None })
}

#[test]
fn a_text_has_one_to_4096_characters() {
    let text = |length| check(Payload::Text { body: "ü".repeat(length) });
    assert_eq!(text(1), Ok(()));
    assert_eq!(text(4096), Ok(()));
    assert_eq!(text(0), Err("the text has 0 characters: WhatsApp takes 1 to 4096".into()));
    assert!(text(4097).is_err());
}

#[test]
fn a_caption_has_at_most_1024_characters_and_sounds_have_none() {
    let captioned = |kind, length| {
        let link = medium(kind, "https://bakery.example/x");
        check(Payload::Media(Media { caption: Some("x".repeat(length)), ..link }))
    };
    for kind in [MediaKind::Image, MediaKind::Video, MediaKind::Document] {
        assert_eq!(captioned(kind, 1024), Ok(()));
        assert!(captioned(kind, 1025).is_err());
    }
    for kind in [MediaKind::Audio, MediaKind::Voice] {
        assert_eq!(captioned(kind, 0), Ok(()));
        assert_eq!(captioned(kind, 1), Err("a sound takes no caption".into()));
    }
}

#[test]
fn a_medium_is_linked_over_https_or_small_enough_to_travel_along() {
    let linked = |link: &str| check(Payload::Media(medium(MediaKind::Image, link)));
    assert_eq!(linked("https://bakery.example/cake.jpg"), Ok(()));
    for link in ["http://bakery.example/cake.jpg", "cake.jpg", "", "data:image/png;base64,AA=="] {
        assert_eq!(linked(link), Err("the link to the medium is not an https address".into()), "{link}");
    }
    assert_eq!(check(in_hand(MediaKind::Image, 700 << 10)), Ok(()));
    let refusal = check(in_hand(MediaKind::Image, (700 << 10) + 1)).expect_err("too large");
    assert!(refusal.contains("716801 bytes") && refusal.contains("give a link"), "{refusal}");
    assert_eq!(check(in_hand(MediaKind::Image, 0)), Err("the medium is empty".into()));
}

#[test]
fn what_whatsapp_web_does_not_have_is_refused_in_clear_words() {
    let choices = vec![Choice { id: "1".into(), title: "Yes".into() }];
    let rows = [
        (Payload::Buttons { body: "?".into(), footer: None, buttons: choices }, "write the choices out as text"),
        (
            Payload::List { body: "?".into(), button: "Choose".into(), footer: None, sections: Vec::new() },
            "write the choices out as text",
        ),
        (
            Payload::ApprovedTemplate { name: "a".into(), language: "en".into(), components: Vec::new() },
            "no approved templates here",
        ),
        (Payload::Location { latitude: 1.0, longitude: 2.0, name: None, address: None }, "no verified way"),
        (Payload::Media(medium(MediaKind::Sticker, "https://bakery.example/b.webp")), "send an image"),
    ];
    for (payload, words) in rows {
        let refusal = check(payload).expect_err("there is no such thing");
        assert!(refusal.contains(words), "{refusal}");
    }
    assert_eq!(check(Payload::Reaction { message: None, emoji: String::new() }), Ok(()));
}
