//! WhatsApp's limits: kept at the bound, broken one past it.

use bytes::Bytes;
use threedots::message::reply::{Choice, Media, MediaSource, Row, Section};
use threedots::message::{MediaKind, Part, Payload};
use threedots::provider::{InvalidPart, Provider};

use super::meta;

fn check(payload: Payload) -> Result<(), InvalidPart> {
    meta().check(&Part::from(payload))
}

/// Two bytes a character: counted are characters.
fn long(characters: usize) -> String {
    "ä".repeat(characters)
}

/// Checks that a text may be as long as `least` to `most` and not one character more or less.
fn bounds(what: &str, least: usize, most: usize, payload: impl Fn(String) -> Payload) {
    for (length, good) in [(least, true), (most, true), (most + 1, false)] {
        assert_eq!(check(payload(long(length))).is_ok(), good, "{what} of {length} characters");
    }
    if least > 0 {
        assert!(check(payload(long(least - 1))).is_err(), "{what} of {} characters", least - 1);
    }
}

fn buttons(buttons: Vec<Choice>) -> Payload {
    Payload::Buttons { body: "Which?".into(), footer: None, buttons }
}

fn button(id: String, title: String) -> Payload {
    buttons(vec![Choice { id, title }])
}

fn list(sections: Vec<Section>) -> Payload {
    Payload::List { body: "Which?".into(), button: "Choose".into(), footer: None, sections }
}

fn rows(first: usize, count: usize) -> Vec<Row> {
    let row = |n: usize| Row { id: n.to_string(), title: "Row".into(), description: None };
    (first..first + count).map(row).collect()
}

fn section(title: &str, rows: Vec<Row>) -> Section {
    Section { title: title.into(), rows }
}

fn row(id: String, title: String, description: Option<String>) -> Payload {
    list(vec![section("", vec![Row { id, title, description }])])
}

fn media(kind: MediaKind, source: MediaSource, caption: Option<String>) -> Payload {
    Payload::Media(Media { kind, source, caption, filename: None })
}

fn uploaded() -> MediaSource {
    MediaSource::Uploaded("770000000000001".into())
}

#[test]
fn texts_have_their_bounds() {
    bounds("a text", 1, 4096, |body| Payload::Text { body });
    let choice = || vec![Choice { id: "1".into(), title: "Yes".into() }];
    bounds("a question with buttons", 1, 1024, |body| Payload::Buttons { body, footer: None, buttons: choice() });
    bounds("a footer under buttons", 0, 60, |footer| Payload::Buttons {
        body: "Which?".into(),
        footer: Some(footer),
        buttons: choice(),
    });
    bounds("a button's title", 1, 20, |title| button("1".into(), title));
    bounds("a button's identifier", 1, 256, |id| button(id, "Yes".into()));
    let one = || vec![section("", rows(0, 1))];
    bounds("a question with a list", 1, 4096, |body| Payload::List {
        body,
        button: "Choose".into(),
        footer: None,
        sections: one(),
    });
    bounds("the button of a list", 1, 20, |button| Payload::List {
        body: "Which?".into(),
        button,
        footer: None,
        sections: one(),
    });
    bounds("a footer under a list", 0, 60, |footer| Payload::List {
        body: "Which?".into(),
        button: "Choose".into(),
        footer: Some(footer),
        sections: one(),
    });
    bounds("the title of a lone section", 0, 24, |title| list(vec![section(&title, rows(0, 1))]));
    bounds("the title of one section of two", 1, 24, |title| {
        list(vec![section(&title, rows(0, 1)), section("Cake", rows(1, 1))])
    });
    bounds("a row's identifier", 1, 200, |id| row(id, "Row".into(), None));
    bounds("a row's title", 1, 24, |title| row("1".into(), title, None));
    bounds("a row's description", 0, 72, |text| row("1".into(), "Row".into(), Some(text)));
    for kind in [MediaKind::Image, MediaKind::Video, MediaKind::Document] {
        bounds("a caption", 0, 1024, |caption| media(kind, uploaded(), Some(caption)));
    }
}

#[test]
fn there_are_one_to_three_buttons_and_no_two_alike() {
    let many = |count: usize| {
        (0..count).map(|n| Choice { id: n.to_string(), title: format!("Choice {n}") }).collect::<Vec<_>>()
    };
    for (count, good) in [(0, false), (1, true), (3, true), (4, false)] {
        assert_eq!(check(buttons(many(count))).is_ok(), good, "{count} buttons");
    }
    let mut alike = many(2);
    alike[1].title = alike[0].title.clone();
    assert!(check(buttons(alike)).is_err());
    let mut alike = many(2);
    alike[1].id = alike[0].id.clone();
    assert!(check(buttons(alike)).is_err());
}

#[test]
fn a_list_has_ten_rows_at_most_in_all_its_sections_together() {
    for (first, second, good) in [(1, 0, true), (10, 0, true), (11, 0, false), (5, 5, true), (6, 5, false)] {
        let mut sections = vec![section("Bread", rows(0, first))];
        if second > 0 {
            sections.push(section("Cake", rows(first, second)));
        }
        assert_eq!(check(list(sections)).is_ok(), good, "{first} and {second} rows");
    }
}

#[test]
fn a_list_has_one_to_ten_sections_none_of_them_empty() {
    let many = |count: usize| (0..count).map(|n| section("Part", rows(n, 1))).collect::<Vec<_>>();
    for (count, good) in [(0, false), (1, true), (10, true), (11, false)] {
        assert_eq!(check(list(many(count))).is_ok(), good, "{count} sections");
    }
    assert!(check(list(vec![section("Bread", rows(0, 1)), section("Cake", Vec::new())])).is_err());
}

#[test]
fn no_two_rows_of_a_list_have_the_same_identifier() {
    assert!(check(list(vec![section("Bread", rows(0, 1)), section("Cake", rows(0, 1))])).is_err());
}

#[test]
fn sounds_and_stickers_take_no_caption() {
    for kind in [MediaKind::Audio, MediaKind::Voice, MediaKind::Sticker] {
        assert_eq!(check(media(kind, uploaded(), None)), Ok(()));
        assert!(check(media(kind, uploaded(), Some("Look".into()))).is_err(), "{kind:?}");
    }
}

#[test]
fn a_link_to_a_medium_is_an_https_address() {
    let link = |link: &str| check(media(MediaKind::Image, MediaSource::Link(link.into()), None)).is_ok();
    assert!(link("https://bakery.example/cake.jpg"));
    for wrong in
        ["http://bakery.example/cake.jpg", "ftp://bakery.example/", "//bakery.example/", "cake.jpg", "https://", ""]
    {
        assert!(!link(wrong), "{wrong}");
    }
    assert!(check(media(MediaKind::Image, MediaSource::Uploaded(String::new()), None)).is_err());
}

#[test]
fn a_medium_in_hand_has_a_type_and_a_size_that_whatsapp_takes() {
    let good = |kind, mime: &str, size: usize| {
        let source = MediaSource::Bytes { data: Bytes::from(vec![0; size]), mime: mime.into() };
        check(media(kind, source, None)).is_ok()
    };
    let mib = 1 << 20;
    for (kind, mime, most) in [
        (MediaKind::Image, "image/jpeg", 5 * mib),
        (MediaKind::Image, "image/PNG", 5 * mib),
        (MediaKind::Video, "video/mp4", 16 * mib),
        (MediaKind::Audio, "audio/mpeg", 16 * mib),
        (MediaKind::Voice, "audio/ogg; codecs=opus", 16 * mib),
        (MediaKind::Document, "application/x-anything", 100 * mib),
        (MediaKind::Sticker, "image/webp", 500 << 10),
    ] {
        assert!(good(kind, mime, most) && !good(kind, mime, most + 1) && !good(kind, mime, 0), "{mime}");
    }
    for (kind, mime) in [
        (MediaKind::Image, "image/gif"),
        (MediaKind::Video, "video/webm"),
        (MediaKind::Audio, "audio/wav"),
        (MediaKind::Voice, "audio/mpeg"),
        (MediaKind::Sticker, "image/png"),
        (MediaKind::Image, ""),
    ] {
        assert!(!good(kind, mime, 1), "{kind:?} {mime}");
    }
}

#[test]
fn a_place_lies_on_the_earth() {
    let place =
        |latitude, longitude| check(Payload::Location { latitude, longitude, name: None, address: None }).is_ok();
    assert!(place(90.0, 180.0) && place(-90.0, -180.0));
    for (latitude, longitude) in
        [(90.1, 0.0), (-90.1, 0.0), (0.0, 180.1), (0.0, -180.1), (f64::NAN, 0.0), (0.0, f64::INFINITY)]
    {
        assert!(!place(latitude, longitude), "{latitude} {longitude}");
    }
}

#[test]
fn an_approved_template_has_a_name_and_a_language() {
    let template = |name: &str, language: &str| {
        let (name, language) = (name.into(), language.into());
        check(Payload::ApprovedTemplate { name, language, components: Vec::new() }).is_ok()
    };
    assert!(template("order_ready", "en_US"));
    assert!(!template("", "en_US") && !template("order_ready", ""));
}

#[test]
fn a_reaction_may_be_any_emoji_or_none() {
    for emoji in ["👍", ""] {
        assert_eq!(check(Payload::Reaction { message: None, emoji: emoji.into() }), Ok(()));
    }
}

#[test]
fn a_refusal_says_which_limit_and_nothing_of_the_words() {
    let refusal = check(Payload::Text { body: "secret".repeat(1000) }).expect_err("too long").to_string();
    assert_eq!(refusal, "the text has 6000 characters: WhatsApp takes 1 to 4096");
}
