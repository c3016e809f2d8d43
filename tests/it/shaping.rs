//! What an upstream does not take as it is gets another form: one limit does not take a whole reply along.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use threedots::admin::telemetry::{self, LogLevel};
use threedots::delivery::outbox;
use threedots::message::reply::{Choice, Media, MediaSource, Row, Section};
use threedots::message::{Format, MediaKind, Part, Payload};
use threedots::provider::Provider;
use threedots::sandbox::phone::Body;
use threedots::sandbox::{Sandbox, Upstream};
use threedots::{Handler, HandlerError, Reply, Turn};
use tracing_subscriber::layer::SubscriberExt;

use crate::buffer::Buffer;
use crate::world::{Setup, World};

/// Whether a customer got the failure reply and nothing else. Linq tells no names.
fn is_sorry(got: &[Body]) -> bool {
    let said = words(got);
    said.len() == 1 && said[0].starts_with("Sorry") && said[0].contains("something went wrong on our side")
}

/// A handler that gives one answer, whatever is said.
struct Says(Vec<Part>);

#[async_trait]
impl Handler for Says {
    async fn reply(&self, _: &Turn) -> Result<Reply, HandlerError> {
        Ok(Reply::Send(self.0.clone()))
    }
}

/// What a customer on this upstream gets who is answered so.
async fn answered(upstream: Upstream, parts: Vec<Part>) -> (Vec<Body>, World) {
    let world = Setup::on(upstream, Says(parts)).start();
    world.write("hello");
    world.pass(300).await;
    let replies = world.phone().replies(&world.customer).into_iter().map(|reply| reply.body);
    (replies.collect(), world)
}

fn words(bodies: &[Body]) -> Vec<&str> {
    bodies.iter().map(Body::words).collect()
}

fn media(kind: MediaKind, source: MediaSource, caption: &str) -> Part {
    let caption = Some(caption.to_owned()).filter(|caption| !caption.is_empty());
    Payload::Media(Media { kind, source, caption, filename: None }).into()
}

fn link(kind: MediaKind, caption: &str) -> Part {
    media(kind, MediaSource::Link("https://shop.example/i.jpg".into()), caption)
}

fn choices(labels: &[&str]) -> Vec<Choice> {
    let choice = |(number, label): (usize, &&str)| Choice { id: format!("id-{number}"), title: (*label).to_owned() };
    labels.iter().enumerate().map(choice).collect()
}

fn buttons(labels: &[&str]) -> Part {
    Payload::Buttons { body: "Which colour?".into(), footer: None, buttons: choices(labels) }.into()
}

fn list(sections: Vec<Section>) -> Part {
    Payload::List { body: "Which?".into(), button: "Look".into(), footer: None, sections }.into()
}

fn row(id: &str, title: &str, description: &str) -> Row {
    let description = Some(description.to_owned()).filter(|description| !description.is_empty());
    Row { id: id.into(), title: title.into(), description }
}

fn has_buttons(upstream: Upstream) -> bool {
    ["meta", "nxcloud"].contains(&upstream.name())
}

#[tokio::test(start_paused = true)]
async fn markdown_is_written_as_each_upstream_shows_it_and_plain_words_stay() {
    let choice = Choice { id: "1".into(), title: "**Blue**".into() };
    let question = Payload::Buttons { body: "**Which?**".into(), footer: None, buttons: vec![choice] };
    for upstream in Upstream::ALL {
        let linq = upstream == Upstream::Linq;
        let parts = vec![
            Part::text("**Open** [today](https://shop.example/a)").written_in(Format::Markdown),
            Part::text("*Open* _now_").written_in(Format::WhatsApp),
            Part::text("**Open** *now*"),
            link(MediaKind::Image, "**Blue**").written_in(Format::Markdown),
            Part::from(question.clone()).written_in(Format::Markdown),
        ];
        let (got, _) = answered(upstream, parts).await;
        let got = words(&got).join("\n");
        let expected = if linq {
            ["Open today (https://shop.example/a)", "Open now", "**Open** *now*", "Blue", "Which?"]
        } else {
            ["*Open* today (https://shop.example/a)", "*Open* _now_", "**Open** *now*", "*Blue*", "*Which?*"]
        };
        for words in expected {
            assert!(got.lines().any(|line| line == words), "{upstream:?}: {words:?} of {got:?}");
        }
        assert!(!got.contains("**Blue**") && !got.contains("**Which"), "{upstream:?}: {got:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_caption_that_is_too_long_goes_on_as_text() {
    let caption = "word ".repeat(300);
    for upstream in Upstream::ALL {
        let (got, world) = answered(upstream, vec![link(MediaKind::Image, &caption)]).await;
        let name = upstream.name();
        assert!(world.dead().await.is_empty(), "{name}: {:?}", world.dead().await);
        assert_eq!(got[0].kind(), "image", "{name}");
        assert_eq!(words(&got).join(" ").split_whitespace().count(), 300, "{name}: nothing of it is lost");
        // Linq takes captions as long as texts: there, they are one.
        let most = if name == "linq" { 10_000 } else { 1024 };
        assert!(got[0].words().chars().count() <= most, "{name}");
        assert_eq!(got.len(), if name == "linq" { 1 } else { 2 }, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_said_under_a_sound_follows_it() {
    for upstream in Upstream::ALL {
        let (got, _) = answered(upstream, vec![link(MediaKind::Audio, "Listen to this.")]).await;
        assert_eq!(words(&got).concat(), "Listen to this.", "{}", upstream.name());
        assert_eq!(got.len(), if upstream.name() == "linq" { 1 } else { 2 }, "{}", upstream.name());
    }
}

#[tokio::test(start_paused = true)]
async fn too_many_buttons_become_a_list_and_too_many_rows_are_written_out() {
    let five = ["Red", "Blue", "Green", "Black", "White"];
    let twelve: Vec<String> = (1..=12).map(|number| format!("Colour {number}")).collect();
    let twelve: Vec<&str> = twelve.iter().map(String::as_str).collect();
    for upstream in Upstream::ALL {
        let (got, _) = answered(upstream, vec![buttons(&five)]).await;
        match &got[..] {
            [Body::List { frame, open, sections }] if has_buttons(upstream) => {
                let rows: Vec<_> = sections[0].rows.iter().map(|row| (&*row.choice.id, &*row.choice.title)).collect();
                assert_eq!((&*frame.body, &**open, sections.len()), ("Which colour?", "Options", 1));
                assert_eq!((rows.len(), rows[0], rows[4]), (5, ("id-0", "Red"), ("id-4", "White")));
            }
            [Body::Text(text)] if !has_buttons(upstream) => {
                assert_eq!(text, "Which colour?\n\n1. Red\n2. Blue\n3. Green\n4. Black\n5. White");
            }
            other => panic!("{}: {other:?}", upstream.name()),
        }
        let (got, world) = answered(upstream, vec![buttons(&twelve)]).await;
        let [Body::Text(text)] = &got[..] else { panic!("{}: {got:?}", upstream.name()) };
        assert!(text.starts_with("Which colour?\n\n1. Colour 1\n") && text.ends_with("\n12. Colour 12"), "{text}");
        assert!(world.dead().await.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn labels_that_are_too_long_are_shortened_and_stand_in_full_above() {
    let long = ["Talk to a real person right now", "Talk to a real person tomorrow", "No"];
    for upstream in Upstream::ALL.into_iter().filter(|upstream| has_buttons(*upstream)) {
        let (got, _) = answered(upstream, vec![buttons(&long)]).await;
        let [Body::Buttons { frame, buttons }] = &got[..] else { panic!("{got:?}") };
        let labels: Vec<&str> = buttons.iter().map(|button| &*button.title).collect();
        assert_eq!(labels, ["Talk to a real pers…", "Talk to a real… (2)", "No"], "{}", upstream.name());
        assert_eq!(frame.body, format!("Which colour?\n\n{}\n{}", long[0], long[1]));
        let sections = vec![
            Section {
                title: "Everything that is in the shop".into(),
                rows: vec![row("a", "Shoes for the mountains of Peru", ""), row("b", "Hat", &"warm ".repeat(20))],
            },
            Section { title: "Other".into(), rows: vec![row("c", "Gloves", "of wool")] },
        ];
        let (got, _) = answered(upstream, vec![list(sections)]).await;
        let [Body::List { frame, open, sections }] = &got[..] else { panic!("{got:?}") };
        assert_eq!((&**open, &*sections[0].title), ("Look", "Everything that is in t…"));
        assert_eq!(sections[0].rows[0].choice.title, "Shoes for the mountains…");
        assert!(sections[0].rows[1].description.as_ref().is_some_and(|more| more.ends_with('…')));
        assert_eq!(sections[1].rows[0].description.as_deref(), Some("of wool"));
        let above = "Which?\n\nEverything that is in the shop\nShoes for the mountains of Peru\nHat: warm warm";
        assert!(frame.body.starts_with(above) && !frame.body.contains("Gloves"), "{}", frame.body);
    }
}

#[tokio::test(start_paused = true)]
async fn equal_labels_long_footers_and_long_questions_are_taken() {
    for upstream in Upstream::ALL {
        let footer = "small print ".repeat(10);
        let payload = Payload::Buttons {
            body: "A sentence. ".repeat(150),
            footer: Some(footer.clone()),
            buttons: choices(&["Yes", "Yes"]),
        };
        let (got, world) = answered(upstream, vec![payload.into()]).await;
        let name = upstream.name();
        assert!(world.dead().await.is_empty(), "{name}");
        let said = words(&got).join(" ");
        assert_eq!(said.matches("A sentence.").count(), 150, "{name}");
        assert!(said.contains(footer.trim()), "{name}: {said}");
        if has_buttons(upstream) {
            let [Body::Text(_), Body::Buttons { frame, buttons }] = &got[..] else { panic!("{name}: {got:?}") };
            assert_eq!((frame.footer.as_deref(), &*buttons[1].title), (None, "Yes (2)"), "{name}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_can_be_asked_in_no_other_form_is_written_out() {
    let long_id = "x".repeat(300);
    let same_id = Payload::Buttons {
        body: "Which?".into(),
        footer: None,
        buttons: vec![Choice { id: "a".into(), title: "One".into() }, Choice { id: "a".into(), title: "Two".into() }],
    };
    let no_heading = |title: &str| Section { title: title.into(), rows: vec![row(title, title, "")] };
    let untitled = Section { title: String::new(), rows: vec![row("x", "Else", "")] };
    for (part, words) in [
        (same_id.into(), "Which?\n\n1. One\n2. Two"),
        (list(vec![Section { title: String::new(), rows: vec![row(&long_id, "One", "")] }]), "Which?\n\n1. One"),
        (list(vec![no_heading("A"), untitled]), "Which?\n\nA\n1. A\n2. Else"),
        (list(Vec::new()), "Which?"),
        (buttons(&[]), "Which colour?"),
    ] {
        for upstream in Upstream::ALL {
            let (got, _) = answered(upstream, vec![Part::clone(&part)]).await;
            assert_eq!(self::words(&got), [words], "{}", upstream.name());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_sent_is_left_out_and_its_operator_finds_a_dead_letter() {
    let too_large = MediaSource::Bytes { data: Bytes::from(vec![0; (100 << 20) + 1]), mime: "application/pdf".into() };
    for upstream in Upstream::ALL {
        let name = upstream.name();
        let document = media(MediaKind::Document, too_large.clone(), "Your invoice");
        let (got, world) = answered(upstream, vec![Part::text("Here it is."), document, Part::text("Bye.")]).await;
        assert_eq!(words(&got), ["Here it is.", "Your invoice", "Bye."], "{name}");
        let dead = world.dead().await;
        let [letter] = &dead[..] else { panic!("{name}: {} dead letters", dead.len()) };
        let reason = "answered, but for what was left out of the reply: part 2 (media): the medium has 104857601 bytes";
        assert!(letter.reason.starts_with(reason), "{name}: {}", letter.reason);
        let said: Vec<String> = world.history().await.into_iter().map(|said| said.words).collect();
        assert_eq!(said, ["hello", "Here it is.", "Your invoice", "Bye."], "{name}: the bot has said the rest");
        // It can be asked for again.
        world.store.replay(letter.message.seq).await.expect("a store in memory");
        world.pass(300).await;
        assert_eq!(world.replies().len(), 6, "{name}");

        // Nothing that says anything is left: the handler has failed.
        let document = media(MediaKind::Document, too_large.clone(), "");
        let emoji = Payload::Reaction { message: None, emoji: "👍".into() }.into();
        let (got, world) = answered(upstream, vec![emoji, document]).await;
        assert!(is_sorry(&got), "{name}: {:?}", words(&got));
        assert!(
            world.dead().await[0].reason.starts_with("the reply breaks a limit of the provider's: part 2"),
            "{name}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_medium_that_an_upstream_has_no_form_for_is_sent_as_its_address() {
    let (got, world) = answered(Upstream::Wawp, vec![link(MediaKind::Sticker, "Ha!")]).await;
    assert_eq!(words(&got), ["Ha!\nhttps://shop.example/i.jpg"]);
    assert!(world.dead().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_is_too_large_to_be_recorded_is_a_failure_that_the_customer_is_told_of() {
    let long = "A sentence. ".repeat(100_000);
    for upstream in Upstream::ALL {
        let (got, world) = answered(upstream, vec![Part::text(&*long)]).await;
        let name = upstream.name();
        assert!(is_sorry(&got), "{name}: {:?}", words(&got));
        let dead = world.dead().await;
        assert_eq!(dead[0].reason, "the reply cannot be recorded: a record is larger than 1048576 bytes", "{name}");
        assert!(
            !world.calls().iter().any(|call| call.contains("stop")),
            "{name}: the failure reply takes the dots off"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_log_says_what_was_changed_in_words_and_counts_alone() {
    let buffer = Buffer::default();
    let writer = buffer.clone();
    let layer = telemetry::layer(LogLevel::Info, true, move || writer.clone());
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    let caption = "CANARY ".repeat(300);
    let labels = ["CANARY CANARY CANARY CANARY", "2", "3", "4"];
    answered(Upstream::Meta, vec![link(MediaKind::Image, &caption), buttons(&labels)]).await;
    let said = buffer.written();
    let changes =
        "captions went on as text: 1, questions with too many buttons became lists: 1, labels were shortened: 1";
    assert!(said.contains(changes), "{said}");
    assert!(!said.contains("CANARY"), "{said}");
}

fn providers() -> Vec<Arc<dyn Provider>> {
    let provider = |upstream| {
        let clock = threedots::message::clock::Clock::tokio();
        let settings = threedots::sandbox::SandboxSettings::of(upstream);
        crate::world::provider(&Sandbox::new(settings, clock, Arc::new(Nowhere)), clock)
    };
    Upstream::ALL.into_iter().map(provider).collect()
}

struct Nowhere;

#[async_trait]
impl threedots::sandbox::Courier for Nowhere {
    async fn post(&self, _: &str, _: Vec<(String, String)>, _: Bytes) -> Option<u16> {
        None
    }
}

#[tokio::test]
async fn whatever_is_asked_and_shown_is_given_a_form_that_every_upstream_takes() {
    let providers = providers();
    // Lengths around every limit, in letters of several characters each.
    let lengths = [0, 1, 19, 20, 21, 23, 24, 25, 60, 61, 72, 73, 1023, 1024, 1025, 4096, 4097, 9000];
    let word = |length: usize| "é👩‍👧a ".chars().cycle().take(length).collect::<String>();
    for (number, length) in lengths.into_iter().enumerate() {
        for count in [0, 1, 3, 4, 10, 11, 40] {
            let other = word(lengths[(number * 7 + count) % lengths.len()]);
            let text = word(length);
            let row = |n: usize| Row { id: n.to_string(), title: text.clone(), description: Some(other.clone()) };
            let choice = |n: usize| Choice { id: n.to_string(), title: text.clone() };
            let section = |title: &str, from: usize| Section {
                title: title.to_owned(),
                rows: (from..from + count).map(row).collect(),
            };
            let parts = vec![
                Part::text("before"),
                Payload::Buttons {
                    body: other.clone(),
                    footer: Some(text.clone()),
                    buttons: (0..count).map(choice).collect(),
                }
                .into(),
                Payload::List {
                    body: text.clone(),
                    button: other.clone(),
                    footer: Some(other.clone()),
                    sections: vec![section(&text, 0), section(&other, 100)],
                }
                .into(),
                link(MediaKind::Video, &text),
                link(MediaKind::Voice, &other),
            ];
            for provider in &providers {
                let prepared = outbox::prepare(&**provider, parts.clone(), "Options", Duration::from_secs(1)).await;
                let prepared = prepared.unwrap_or_else(|error| panic!("{}: {error}", provider.name()));
                assert_eq!(prepared.left_out, None, "{}: {length}, {count}", provider.name());
                for part in &prepared.parts {
                    let checked = provider.check(part);
                    assert!(checked.is_ok(), "{}: {length}, {count}: {checked:?}", provider.name());
                }
            }
        }
    }
}
