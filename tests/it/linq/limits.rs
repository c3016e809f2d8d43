//! What is refused before any call, in words for the handler's author.

use bytes::Bytes;
use serde_json::{Value, json};
use threedots::message::clock::Clock;
use threedots::message::reply::{Choice, Media, MediaSource};
use threedots::message::{MediaKind, Part, Payload};

use super::connect;
use crate::upstream::Upstream;

fn verdict(more: &Value, part: impl Into<Part>) -> Result<(), String> {
    connect(more, Upstream::answering([]), Clock::System).check(&part.into()).map_err(|refusal| refusal.0)
}

fn check(part: impl Into<Part>) -> Result<(), String> {
    verdict(&json!({}), part)
}

fn media(kind: MediaKind, source: MediaSource, caption: Option<&str>) -> Payload {
    Payload::Media(Media { kind, source, caption: caption.map(Into::into), filename: None })
}

fn in_hand(size: usize, mime: &str) -> Payload {
    media(MediaKind::Document, MediaSource::Bytes { data: vec![0; size].into(), mime: mime.into() }, None)
}

fn link(link: &str) -> Payload {
    media(MediaKind::Image, MediaSource::Link(link.into()), Some("Look"))
}

#[test]
fn a_text_has_a_character_at_least_and_as_many_as_the_limit_at_most() {
    assert_eq!(check(Part::text("ä".repeat(10_000))), Ok(()));
    assert_eq!(
        check(Part::text("ä".repeat(10_001))),
        Err("the text has 10001 characters: Linq takes 1 to 10000".into())
    );
    assert_eq!(check(Part::text("")), Err("the text has 0 characters: Linq takes 1 to 10000".into()));
    let shorter = json!({ "text_limit": 5 });
    assert_eq!(verdict(&shorter, Part::text("123456")), Err("the text has 6 characters: Linq takes 1 to 5".into()));
}

#[test]
fn a_link_to_a_medium_is_public() {
    assert_eq!(check(link("https://bakery.example/cake.jpg")), Ok(()));
    for wrong in ["http://bakery.example/cake.jpg", "file:///cake.jpg", "cake.jpg", ""] {
        assert_eq!(check(link(wrong)), Err("the link to the medium is not an https address".into()));
    }
}

#[test]
fn a_caption_is_as_long_as_a_text_at_most() {
    let captioned = |length: usize| {
        let source = MediaSource::Link("https://bakery.example/cake.jpg".into());
        check(media(MediaKind::Image, source, Some(&"x".repeat(length))))
    };
    assert_eq!(captioned(10_000), Ok(()));
    assert!(captioned(10_001).is_err());
}

#[test]
fn an_upload_has_a_type_that_linq_takes_and_a_size() {
    for mime in ["image/png", "application/pdf", "audio/x-m4a", "text/plain; charset=utf-8", "application/x-new"] {
        assert_eq!(check(in_hand(1, mime)), Ok(()), "{mime}");
    }
    for mime in ["audio/ogg", "Audio/OGG; codecs=opus", "audio/flac"] {
        let refusal = "Linq takes neither OGG nor FLAC: use MP3 or M4A, of type audio/mpeg or audio/x-m4a";
        assert_eq!(check(in_hand(1, mime)), Err(refusal.into()), "{mime}");
    }
    assert_eq!(check(in_hand(1, "picture")), Err("the medium's MIME type is not one".into()));
    assert_eq!(check(in_hand(0, "image/png")), Err("the medium is empty".into()));
    assert_eq!(check(in_hand(100_000_000, "image/png")), Ok(()));
    let refusal = "the medium has 100000001 bytes: Linq takes at most 100000000";
    assert_eq!(check(in_hand(100_000_001, "image/png")), Err(refusal.into()));
    let unnamed = media(MediaKind::Image, MediaSource::Uploaded(String::new()), None);
    assert_eq!(check(unnamed), Err("the medium's identifier is empty".into()));
}

#[test]
fn a_voice_memo_stands_alone() {
    let note = || media(MediaKind::Voice, MediaSource::Uploaded("a1".into()), Some("Listen"));
    assert_eq!(check(note()), Ok(()));
    assert_eq!(verdict(&json!({ "voice_memos": true }), note()), Err("a voice memo takes no caption".into()));
}

#[test]
fn what_linq_does_not_have_is_told_so() {
    let buttons = vec![Choice { id: "1".into(), title: "Yes".into() }];
    let all = [
        (Payload::Buttons { body: "Bread?".into(), footer: None, buttons }, "buttons"),
        (Payload::List { body: "Which?".into(), button: "Choose".into(), footer: None, sections: Vec::new() }, "lists"),
        (Payload::Location { latitude: 0.0, longitude: 0.0, name: None, address: None }, "places"),
        (
            Payload::ApprovedTemplate { name: "ready".into(), language: "en".into(), components: Vec::new() },
            "approved templates",
        ),
    ];
    for (payload, what) in all {
        let refusal = check(payload).expect_err("Linq has no such thing");
        assert!(refusal.starts_with(&format!("Linq has no {what}: ")), "{refusal}");
    }
    assert_eq!(check(Payload::Reaction { message: None, emoji: "👍".into() }), Ok(()));
}

#[test]
fn a_check_makes_no_copy_of_what_it_checks() {
    let data = Bytes::from(vec![0; 1 << 20]);
    let source = MediaSource::Bytes { data: data.clone(), mime: "image/png".into() };
    assert_eq!(check(media(MediaKind::Image, source, None)), Ok(()));
    assert!(data.is_unique(), "nobody kept it");
}
