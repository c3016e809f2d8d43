//! The flow of a turn on every upstream: the exact calls, in order, to the second.
//!
//! One snapshot for each upstream; below, what has to hold in all of them.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use threedots::handler::{Handler, HandlerError};
use threedots::provider::Abilities;
use threedots::sandbox::{Calls, Failure, Fault, Upstream};
use threedots::turn::{self};
use threedots::{Reply, Turn};

use crate::world::{Setup, World};

/// A handler that works for so many seconds, and then does what it is told.
#[derive(Clone, Copy)]
struct Works(u64, Then);

#[derive(Clone, Copy)]
enum Then {
    Answer,
    Silence,
    Fail,
    Panic,
    Hang,
    /// Has found nothing: a beat, and the words.
    BeatAndAnswer,
    /// Records for three seconds more.
    RecordAndAnswer,
    /// A person takes over, and the handler has nothing to say.
    HandOver,
}

#[async_trait]
impl Handler for Works {
    async fn reply(&self, turn: &Turn) -> Result<Reply, HandlerError> {
        tokio::time::sleep(Duration::from_secs(self.0)).await;
        match self.1 {
            Then::Answer => {}
            Then::Silence => return Ok(Reply::silence()),
            Then::Fail => return Err(HandlerError::new("told to")),
            Then::Panic => std::panic::resume_unwind(Box::new("told to")),
            Then::Hang => std::future::pending().await,
            Then::BeatAndAnswer => turn.presence.beat(),
            Then::RecordAndAnswer => {
                turn.presence.recording();
                tokio::time::sleep(Duration::from_secs(3)).await;
            }
            Then::HandOver => {
                turn.presence.pause();
                tokio::time::sleep(Duration::from_secs(5)).await;
                return Ok(Reply::Handover { reason: "asked for".into() });
            }
        }
        Ok(Reply::text(format!("You said: {}", turn.text())))
    }
}

/// How a scenario ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// With a delivered reply.
    Delivered,
    /// Without one.
    Undelivered,
}

/// What happens, and how it ends.
struct Scenario {
    name: &'static str,
    works: Works,
    /// What goes wrong with the upstream.
    fault: Option<fn() -> Fault>,
    end: End,
}

const fn calm(name: &'static str, works: Works, end: End) -> Scenario {
    Scenario { name, works, fault: None, end }
}

const fn troubled(name: &'static str, works: Works, fault: fn() -> Fault, end: End) -> Scenario {
    Scenario { name, works, fault: Some(fault), end }
}

use End::{Delivered, Undelivered};
use Then::{Answer, BeatAndAnswer, Fail, HandOver, Hang, Panic, RecordAndAnswer, Silence};

/// No failure reply in any of these: what the guard does then is the point.
const SCENARIOS: [Scenario; 17] = [
    calm("a reply at once", Works(0, Answer), Delivered),
    calm("a reply after 5 s", Works(5, Answer), Delivered),
    calm("a reply after 20 s", Works(20, Answer), Delivered),
    calm("silence", Works(5, Silence), Undelivered),
    calm("an error", Works(5, Fail), Undelivered),
    calm("a panic", Works(5, Panic), Undelivered),
    calm("a timeout of 30 s", Works(0, Hang), Undelivered),
    calm("a beat before the reply", Works(5, BeatAndAnswer), Delivered),
    calm("a voice reply in the making", Works(5, RecordAndAnswer), Delivered),
    calm("a person takes over", Works(5, HandOver), Undelivered),
    troubled("a send is refused", Works(5, Answer), || Fault::on(Calls::Send).fail(Failure::Refused), Undelivered),
    troubled("a send times out", Works(5, Answer), || Fault::on(Calls::Send).fail(Failure::Hang).once(), Undelivered),
    troubled(
        "the token has died",
        Works(5, Answer),
        || Fault::on(Calls::Send).fail(Failure::Token).once(),
        Undelivered,
    ),
    troubled(
        "the session is down",
        Works(5, Answer),
        || Fault::on(Calls::Any).fail(Failure::SessionDown).times(3),
        Undelivered,
    ),
    troubled(
        "a typing call lands late, and the reply is there",
        Works(1, Answer),
        || Fault::on(Calls::Typing).slow_to_act(Duration::from_millis(1400)),
        Delivered,
    ),
    troubled("typing calls hang", Works(1, Answer), || Fault::on(Calls::Typing).fail(Failure::Hang), Delivered),
    troubled("typing calls fail", Works(60, Answer), || Fault::on(Calls::Typing).fail(Failure::Broken), Delivered),
];

fn setup(upstream: Upstream, works: Works) -> Setup {
    let mut setup = Setup::on(upstream, works);
    setup.failure_reply.enabled = false;
    setup.delivery.on_unknown = threedots::delivery::outbox::OnUnknown::Drop;
    setup.turn.timeout = Duration::from_secs(if matches!(works.1, Then::Hang) { 30 } else { 90 });
    setup
}

/// The calls of one scenario up to its end; a minute is enough for the slowest.
async fn play(upstream: Upstream, scenario: &Scenario) -> World {
    let world = setup(upstream, scenario.works).start();
    if let Some(fault) = scenario.fault {
        world.sandbox.faults().add(fault());
    }
    world.write("hello");
    world.pass(100).await;
    world
}

/// Calls without their seconds.
fn kinds(calls: &[String]) -> Vec<&str> {
    calls.iter().map(|call| call.split_once(": ").map_or("", |(_, kind)| kind)).collect()
}

/// Until the first send and after it; all of it is before one if there is none.
fn around_the_send<'a>(kinds: &'a [&'a str]) -> (&'a [&'a str], &'a [&'a str]) {
    let at = kinds.iter().position(|kind| *kind == "send").unwrap_or(kinds.len());
    kinds.split_at(at)
}

fn judge(upstream: Upstream, scenario: &Scenario, calls: &[String], abilities: &Abilities) {
    let kinds = kinds(calls);
    let (before, after) = around_the_send(&kinds);
    let name = format!("{}, {}: {calls:?}", upstream.name(), scenario.name);
    let stops = |kinds: &[&str]| kinds.iter().filter(|kind| **kind == "stop").count();
    let starts = |kinds: &[&str]| kinds.iter().filter(|kind| kind.contains("typing") || **kind == "recording").count();
    let Some(stop) = abilities.typing.stop else {
        assert_eq!(stops(&kinds), 0, "{name}");
        return;
    };
    let asked = usize::from(stop.before_send || matches!(scenario.works.1, Then::BeatAndAnswer));
    // The dots were on, and the upstream was there to be told so.
    let lit = starts(before) > 0 && !scenario.name.contains("session") && !scenario.name.contains("typing calls fail");
    match scenario.end {
        End::Delivered => {
            assert_eq!(stops(after), 0, "no stop after a delivered reply: {name}");
            assert_eq!(stops(before), if lit { asked } else { 0 }, "{name}");
            assert_eq!(starts(after), 0, "nothing lights the dots again: {name}");
        }
        // Tried again later, it is another turn's business.
        End::Undelivered if lit => assert_eq!(stops(&kinds), 1, "exactly one stop: {name}"),
        End::Undelivered => {}
    }
}

#[tokio::test(start_paused = true)]
async fn every_upstream_gets_exactly_these_calls() {
    for upstream in Upstream::ALL {
        let mut story = String::new();
        for scenario in &SCENARIOS {
            let world = play(upstream, scenario).await;
            let mut calls = world.calls();
            judge(upstream, scenario, &calls, world.provider.abilities());
            calls.truncate(12);
            let _ = writeln!(story, "{}\n    {}", scenario.name, calls.join("\n    "));
            assert!(!world.phone().dots_showing(&world.customer), "{}, {}", upstream.name(), scenario.name);
            world.worker.stop().await;
        }
        insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(upstream.name(), story) });
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_aborted_leaves_no_dots_behind() {
    for upstream in Upstream::ALL {
        let world = setup(upstream, Works(100, Answer)).build();
        let bot = setup(upstream, Works(100, Answer)).bot(Arc::clone(&world.provider));
        world.write("hello");
        let claim = world.store.claim(Duration::from_secs(300)).await.expect("the message");
        let tools = world.tools();
        let (tasks, room) = (tools.tasks.clone(), tools.media.take(0).await);
        let turn = tokio::spawn(async move { turn::run(&bot, &tools, claim, room).await });
        world.pass(5).await;
        turn.abort();
        world.pass(2).await;
        assert_eq!(tasks.len(), 0, "{}: nobody keeps the dots on", upstream.name());
        let calls = world.calls();
        let stops = kinds(&calls).iter().filter(|kind| **kind == "stop").count();
        let expected = usize::from(world.provider.abilities().typing.stop.is_some());
        assert_eq!(stops, expected, "{}: {calls:?}", upstream.name());
        world.pass(120).await;
        assert_eq!(world.calls(), calls, "{}: and no call follows", upstream.name());
    }
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_in_the_middle_of_a_turn_takes_the_dots_off_within_its_bound() {
    for upstream in Upstream::ALL {
        let mut setup = setup(upstream, Works(80, Answer));
        setup.worker.grace = Duration::from_secs(5);
        let world = setup.start();
        world.write("hello");
        world.pass(10).await;
        world.worker.stop().await;
        let calls = world.calls();
        let stops = kinds(&calls).iter().filter(|kind| **kind == "stop").count();
        let can_stop = world.provider.abilities().typing.stop.is_some();
        assert_eq!(stops, usize::from(can_stop), "{}: {calls:?}", upstream.name());
        assert!(!can_stop || !world.phone().dots_showing(&world.customer), "{}", upstream.name());
        world.pass(120).await;
        assert_eq!(world.calls(), calls, "{}: nothing lights them again", upstream.name());
        let claim = world.store.claim(Duration::from_secs(60)).await.expect("the message still waits");
        assert_eq!(claim.messages.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_reply_takes_the_dots_off_and_needs_no_stop() {
    for upstream in Upstream::ALL {
        let world = Setup::on(upstream, Works(5, Fail)).start();
        world.write("hello");
        world.pass(60).await;
        let calls = world.calls();
        let kinds = kinds(&calls);
        let (_, after) = around_the_send(&kinds);
        assert_eq!(after, ["send"], "{}: {calls:?}", upstream.name());
        assert_eq!(world.replies().len(), 1, "{}", upstream.name());
        assert!(!world.phone().dots_showing(&world.customer), "{}", upstream.name());
    }
}
