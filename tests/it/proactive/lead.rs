//! Dots before what is said unasked, on the upstreams that want them before every text.

use serde_json::json;
use threedots::delivery::typing::Show;
use threedots::message::reply::{Media, MediaSource};
use threedots::message::{MediaKind, Part, Payload};
use threedots::sandbox::{Calls, Failure, Fault, Upstream};
use threedots::{Reply, Turn};

use super::{ADA, api_of, opt_out, pause, send};
use crate::world::{Setup, World, echo};

const LEADING: [Upstream; 2] = [Upstream::Wawp, Upstream::Waha];

/// A customer who has written and was answered, a minute ago.
async fn known(setup: Setup) -> (World, usize) {
    let world = setup.start();
    world.write("hello");
    world.pass(60).await;
    let calls = world.calls().len();
    (world, calls)
}

/// The calls since then, each with its second since the first of them.
fn since(world: &World, calls: usize) -> Vec<String> {
    let calls = world.calls().split_off(calls);
    let parsed: Vec<(u64, &str)> = calls
        .iter()
        .filter_map(|call| call.split_once(" s: "))
        .map(|(second, kind)| (second.parse().expect("a number"), kind))
        .collect();
    let first = parsed.first().map_or(0, |(second, _)| *second);
    parsed.iter().map(|(second, kind)| format!("{} s: {kind}", second - first)).collect()
}

#[tokio::test(start_paused = true)]
async fn two_seconds_of_dots_precede_it_and_nothing_is_marked_as_read() {
    for upstream in LEADING {
        let (world, calls) = known(Setup::on(upstream, echo())).await;
        let (status, _) = send(&api_of(&world), "k", &json!({ "contact": ADA, "text": "it has left" })).await;
        assert_eq!(status, 202);
        world.pass(1).await;
        assert!(world.phone().dots_showing(&world.customer), "{upstream:?}");
        world.pass(60).await;
        assert_eq!(since(&world, calls), ["0 s: typing", "2 s: send"], "{upstream:?}");
        assert!(!world.phone().dots_showing(&world.customer), "{upstream:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_no_dots_are_shown_it_leaves_at_once() {
    for upstream in LEADING {
        for show in [Show::Read, Show::Nothing] {
            let mut setup = Setup::on(upstream, echo());
            setup.typing.show = show;
            let (world, calls) = known(setup).await;
            send(&api_of(&world), "k", &json!({ "contact": ADA, "text": "it has left" })).await;
            world.pass(60).await;
            assert_eq!(since(&world, calls), ["0 s: send"], "{upstream:?}, {show:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_send_that_fails_for_good_takes_the_dots_off_and_one_that_is_tried_again_is_not_announced_again() {
    for upstream in LEADING {
        for (failure, expected) in [
            (Failure::Refused, &["0 s: typing", "2 s: send", "2 s: stop"][..]),
            (Failure::TooManyToOne, &["0 s: typing", "2 s: send", "2 s: stop", "3 s: send"]),
        ] {
            let (world, calls) = known(Setup::on(upstream, echo())).await;
            world.sandbox.faults().add(Fault::on(Calls::Send).fail(failure).once());
            send(&api_of(&world), "k", &json!({ "contact": ADA, "text": "it has left" })).await;
            world.pass(60).await;
            assert_eq!(since(&world, calls), expected, "{upstream:?}");
            assert!(!world.phone().dots_showing(&world.customer), "{upstream:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_typing_call_holds_nothing_back() {
    for upstream in LEADING {
        let (world, calls) = known(Setup::on(upstream, echo())).await;
        world.sandbox.faults().add(Fault::on(Calls::Typing).fail(Failure::Broken));
        send(&api_of(&world), "k", &json!({ "contact": ADA, "text": "it has left" })).await;
        world.pass(60).await;
        assert_eq!(since(&world, calls), ["0 s: typing", "0 s: send"], "{upstream:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_person_who_comes_in_meanwhile_takes_the_dots_off_if_it_is_not_to_be_said_then() {
    for upstream in LEADING {
        for unless_paused in [true, false] {
            let (world, calls) = known(Setup::on(upstream, echo())).await;
            let body = json!({ "contact": ADA, "text": "how was it?", "unless_paused": unless_paused });
            send(&api_of(&world), "k", &body).await;
            world.pass(1).await;
            pause(&world).await;
            world.pass(60).await;
            let expected = if unless_paused { ["0 s: typing", "1 s: stop"] } else { ["0 s: typing", "2 s: send"] };
            assert_eq!(since(&world, calls), expected, "{upstream:?}, {unless_paused}");
            assert_eq!(world.dead().await.len(), usize::from(unless_paused), "{upstream:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_opts_out_meanwhile_is_sent_nothing_and_sees_the_dots_go() {
    for upstream in LEADING {
        let (world, calls) = known(Setup::on(upstream, echo())).await;
        send(&api_of(&world), "k", &json!({ "contact": ADA, "text": "an offer" })).await;
        world.pass(1).await;
        opt_out(&world).await;
        world.pass(60).await;
        assert_eq!(since(&world, calls), ["0 s: typing", "2 s: stop"], "{upstream:?}");
        assert_eq!(world.replies(), ["You said: hello"], "{upstream:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn before_a_voice_note_it_says_recording_where_there_is_that() {
    let voice = json!({ "type": "voice", "url": "https://shop.example/note.ogg" });
    for (upstream, first) in [(Upstream::Wawp, "0 s: typing"), (Upstream::Waha, "0 s: recording")] {
        let (world, calls) = known(Setup::on(upstream, echo())).await;
        let (status, said) = send(&api_of(&world), "k", &json!({ "contact": ADA, "parts": [voice] })).await;
        assert_eq!(status, 202, "{said}");
        world.pass(60).await;
        assert_eq!(since(&world, calls), [first, "2 s: send"], "{upstream:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_takes_the_place_of_a_failed_part_is_announced_too_and_the_answer_to_a_control_word_is_not() {
    for upstream in LEADING {
        let sends = |_: &Turn| {
            let source = MediaSource::Link("https://shop.example/tea.jpg".into());
            let tea = Media { kind: MediaKind::Image, source, caption: None, filename: None };
            Reply::from(Part::from(Payload::Media(tea)))
        };
        let mut setup = Setup::on(upstream, sends);
        setup.control.stop_reply = "I have stopped.".into();
        let world = setup.start();
        world.sandbox.faults().add(Fault::on(Calls::Send).fail(Failure::Undeliverable).once());
        world.write("tea?");
        world.pass(60).await;
        let calls = world.calls();
        assert_eq!(calls[..3], ["0 s: read", "0 s: typing", "2 s: send"], "{upstream:?}: {calls:?}");
        assert_eq!(since(&world, 3), ["0 s: typing", "2 s: send"], "{upstream:?}: {calls:?}");
        let calls = world.calls().len();
        world.write("stop");
        world.pass(60).await;
        assert_eq!(since(&world, calls), ["0 s: send"], "{upstream:?}");
        assert_eq!(world.replies().last().map(String::as_str), Some("I have stopped."), "{upstream:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_could_not_leave_behind_its_dots_shows_none_until_it_can() {
    for upstream in LEADING {
        let (world, _) = known(Setup::on(upstream, echo())).await;
        let other = world.customer(2);
        world.sandbox.faults().add(Fault::on(Calls::Send).fail(Failure::TooMany { retry_after: Some(8) }).once());
        world.write_as(&other, "hello");
        world.pass(3).await;
        let calls = world.calls().len();
        send(&api_of(&world), "k", &json!({ "contact": ADA, "text": "it has left" })).await;
        world.pass(4).await;
        assert_eq!(since(&world, calls), [""; 0], "{upstream:?}: the number is left alone for some seconds yet");
        world.pass(60).await;
        let calls = since(&world, calls);
        assert!(calls.iter().all(|call| !call.ends_with("stop")), "{upstream:?}: {calls:?}");
        assert_eq!(calls.iter().filter(|call| call.ends_with("typing")).count(), 1, "{upstream:?}: {calls:?}");
        assert_eq!(world.replies().last().map(String::as_str), Some("it has left"), "{upstream:?}");
    }
}
