//! Calls that take dots off and fail: tried three times within two seconds, unless something lights or clears the chat.

use std::time::Duration;

use async_trait::async_trait;
use threedots::handler::{Handler, HandlerError};
use threedots::message::{BotName, Part, Payload};
use threedots::sandbox::phone::What;
use threedots::sandbox::{Calls, Failure, Fault, Upstream};
use threedots::store::{Enqueued, IdempotencyKey, NewProactive, ProactiveMessage, Seq};
use threedots::{Reply, Turn};

use crate::world::{BOT, Setup, World};

/// The upstreams that have a call for taking dots off.
pub(super) const STOPPING: [Upstream; 4] = [Upstream::Wawp, Upstream::Waha, Upstream::Gateway, Upstream::Linq];

/// Works for so many milliseconds, and has nothing to say; or has, if the customer asks for words.
pub(super) struct Silent(pub(super) u64);

#[async_trait]
impl Handler for Silent {
    async fn reply(&self, turn: &Turn) -> Result<Reply, HandlerError> {
        tokio::time::sleep(Duration::from_millis(self.0)).await;
        Ok(if turn.text().contains("say") { Reply::text("words") } else { Reply::silence() })
    }
}

/// Works for three seconds, and puts an emoji on the message.
struct Nodding;

#[async_trait]
impl Handler for Nodding {
    async fn reply(&self, _: &Turn) -> Result<Reply, HandlerError> {
        tokio::time::sleep(Duration::from_secs(3)).await;
        let payload = Payload::Reaction { message: None, emoji: "👍".into() };
        Ok(Reply::Send(vec![payload.into()]))
    }
}

/// Fails at once.
struct Failing;

#[async_trait]
impl Handler for Failing {
    async fn reply(&self, _: &Turn) -> Result<Reply, HandlerError> {
        Err(HandlerError::new("told to"))
    }
}

/// The calls of these kinds that have come in, each with its time since the first message, to the tenth of a second.
pub(super) fn timed(world: &World, kinds: &[&str]) -> Vec<String> {
    let start = world.phone().seen(&world.customer).first().map(|moment| moment.at).unwrap_or_default();
    let calls = world.phone().timeline().into_iter().filter_map(|moment| match moment.what {
        What::Called { what, .. } if kinds.contains(&what.to_string().as_str()) => {
            Some(format!("{:.1} s: {what}", moment.at.since(start).as_secs_f64()))
        }
        _ => None,
    });
    calls.collect()
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_fails_is_tried_three_times_within_two_seconds() {
    type Case = (&'static str, fn() -> Fault, &'static [&'static str], bool);
    const STOP: fn() -> Fault = || Fault::on(Calls::Stop);
    let cases: [Case; 11] = [
        ("all is well", || STOP().slow_to_act(Duration::ZERO), &["5.0"], true),
        ("500 once", || STOP().fail(Failure::Broken).once(), &["5.0", "5.4"], true),
        ("500 twice", || STOP().fail(Failure::Broken).times(2), &["5.0", "5.4", "6.2"], true),
        ("500 always", || STOP().fail(Failure::Broken), &["5.0", "5.4", "6.2"], false),
        ("lost connection", || STOP().fail(Failure::Reset).once(), &["5.0", "5.4"], true),
        ("no answer", || STOP().fail(Failure::Hang).once(), &["5.0", "6.9"], true),
        ("429, in a second", || STOP().fail(Failure::TooMany { retry_after: Some(1) }).once(), &["5.0", "6.0"], true),
        ("429, in a minute", || STOP().fail(Failure::TooMany { retry_after: Some(60) }).once(), &["5.0"], false),
        ("a dead token", || STOP().fail(Failure::Token), &["5.0"], false),
        ("refused", || STOP().fail(Failure::Refused), &["5.0"], false),
        ("slow, and accepted", || STOP().slow_to_answer(Duration::from_millis(1500)), &["5.0"], true),
    ];
    for upstream in STOPPING {
        for (name, fault, stops, is_off) in cases {
            let world = Setup::on(upstream, Silent(5000)).start();
            world.sandbox.faults().add(fault());
            world.write("hello");
            world.pass_ms(7500).await;
            let expected: Vec<String> = stops.iter().map(|at| format!("{at} s: stop")).collect();
            assert_eq!(timed(&world, &["stop"]), expected, "{}, {name}", upstream.name());
            assert_eq!(!world.phone().dots_showing(&world.customer), is_off, "{}, {name}", upstream.name());
            world.pass(60).await;
            assert_eq!(timed(&world, &["stop"]), expected, "{}, {name}, later", upstream.name());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_ends_the_tries() {
    for upstream in STOPPING {
        let world = Setup::on(upstream, Silent(5000)).start();
        world.sandbox.faults().add(Fault::on(Calls::Stop).fail(Failure::Broken).once());
        world.write("hello");
        world.pass_ms(5200).await;
        world.write("and more");
        world.pass(60).await;
        let calls = timed(&world, &["stop", "typing"]);
        let expected = ["0.0 s: typing", "5.0 s: stop", "5.2 s: typing", "10.2 s: stop"];
        assert_eq!(calls, expected, "{}", upstream.name());
        assert!(!world.phone().dots_showing(&world.customer), "{}", upstream.name());
    }
}

/// Has something said unasked to the customer who has written.
async fn say_unasked(world: &World, key: &str) {
    let bot = BotName::new(BOT);
    let there = world.store.resolve_address(&bot, "15550100001").await.expect("the store works");
    let to = there.expect("somebody who has written").address;
    let asked = IdempotencyKey { bot, key: key.to_owned(), fingerprint: [7; 16] };
    let proactive =
        ProactiveMessage { parts: vec![Part::text("Your parcel has left.")], unless_paused: false, name: None };
    let new_proactive = NewProactive { asked, to, proactive };
    let done = world.store.enqueue(&new_proactive).await.expect("the store works");
    assert!(matches!(done, Enqueued::New(_)));
}

#[tokio::test(start_paused = true)]
async fn a_send_ends_the_tries_and_one_that_is_refused_begins_them_anew() {
    for upstream in STOPPING {
        for refused in [false, true] {
            let world = Setup::on(upstream, Silent(5000)).start();
            world.sandbox.faults().add(Fault::on(Calls::Stop).fail(Failure::Broken).times(1));
            if refused {
                world.sandbox.faults().add(Fault::on(Calls::Send).fail(Failure::Refused).once());
            }
            world.write("hello");
            world.pass_ms(5200).await;
            say_unasked(&world, "parcel").await;
            world.pass(60).await;
            let calls = timed(&world, &["stop", "send"]);
            let name = format!("{}, refused: {refused}: {calls:?}", upstream.name());
            assert_eq!(calls[0], "5.0 s: stop", "{name}");
            assert_eq!(calls[1].split(": ").last(), Some("send"), "{name}");
            let after: Vec<_> = calls[2..].iter().map(|call| call.split(": ").last().unwrap_or_default()).collect();
            assert_eq!(after, if refused { vec!["stop"] } else { vec![] }, "{name}");
            assert!(!world.phone().dots_showing(&world.customer), "{name}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_chat_is_told_more_than_three_times_in_a_second() {
    for upstream in STOPPING {
        for failure in [None, Some(Failure::Broken)] {
            let world = Setup::on(upstream, Silent(50)).start();
            if let Some(failure) = failure {
                world.sandbox.faults().add(Fault::on(Calls::Stop).fail(failure).times(5));
            }
            for number in 0..12 {
                world.write(&format!("message {number}"));
                world.pass_ms(60).await;
            }
            world.pass(60).await;
            let stops: Vec<u64> = world
                .phone()
                .timeline()
                .iter()
                .filter(|moment| matches!(&moment.what, What::Called { what, .. } if what.to_string() == "stop"))
                .map(|moment| moment.at.0)
                .collect();
            assert!(stops.len() > 3, "{}: {stops:?}", upstream.name());
            for four in stops.windows(4) {
                assert!(four[3] - four[0] >= 1000, "{}: {stops:?}", upstream.name());
            }
            assert!(!world.phone().dots_showing(&world.customer), "{}", upstream.name());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_tries_again_too() {
    for upstream in STOPPING {
        let mut setup = Setup::on(upstream, Silent(80_000));
        setup.worker.grace = Duration::from_secs(1);
        let world = setup.start();
        world.sandbox.faults().add(Fault::on(Calls::Stop).fail(Failure::Broken).times(2));
        world.write("hello");
        world.pass(5).await;
        world.worker.stop().await;
        let stops = timed(&world, &["stop"]);
        assert_eq!(stops, ["6.0 s: stop", "6.4 s: stop", "7.2 s: stop"], "{}", upstream.name());
        assert!(!world.phone().dots_showing(&world.customer), "{}", upstream.name());
        let claim = world.store.claim(Duration::from_secs(60)).await.expect("the message still waits");
        assert_eq!(claim.messages.iter().map(|waiting| waiting.seq).collect::<Vec<_>>(), [Seq(1)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_which_nothing_is_said_waits_for_no_lead() {
    for upstream in STOPPING {
        let mut setup = Setup::on(upstream, Failing);
        setup.failure_reply.enabled = false;
        let world = setup.start();
        world.write("hello");
        world.pass(20).await;
        let calls = timed(&world, &["typing", "stop", "send"]);
        assert!(calls.iter().all(|call| call.starts_with("0.0 s")), "{}: {calls:?}", upstream.name());
        assert!(!world.phone().dots_showing(&world.customer), "{}", upstream.name());
    }
}

#[tokio::test(start_paused = true)]
async fn a_reaction_takes_no_dots_off_and_is_followed_by_a_stop() {
    for upstream in STOPPING {
        let world = Setup::on(upstream, Nodding).start();
        world.write("hello");
        world.pass(20).await;
        let calls = timed(&world, &["typing", "stop", "send"]);
        let kinds: Vec<_> = calls.iter().map(|call| call.split(": ").last().unwrap_or_default()).collect();
        assert_eq!(kinds, ["typing", "send", "stop"], "{}: {calls:?}", upstream.name());
        assert!(!world.phone().dots_showing(&world.customer), "{}", upstream.name());
    }
}
