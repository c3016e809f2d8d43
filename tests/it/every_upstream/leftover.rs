//! Dots that no turn holds: a dead process's, an upstream's own, and those whose reply never arrived.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use threedots::message::BotName;
use threedots::runtime::hosting::BotRegistry;
use threedots::runtime::meters::Meters;
use threedots::sandbox::phone::What;
use threedots::sandbox::{Calls, CustomerId, Failure, Fault, Upstream};
use threedots::store::{By, ContactChange, ContactRef, Pause};
use threedots::turn::worker::{Worker, WorkerConfig};
use threedots::{Handler, HandlerError, Part, Reply, Turn};

use super::stops::{STOPPING, Silent, timed};
use crate::world::{BOT, Setup, World};

/// The bot's handler works for four seconds in each of these.
fn setup(upstream: Upstream) -> Setup {
    Setup::on(upstream, Silent(4000))
}

/// The first process lights the dots, and is killed two seconds after that.
async fn killed(upstream: Upstream, words: &str) -> World {
    let mut world = setup(upstream).start();
    world.write(words);
    world.pass(2).await;
    assert!(world.phone().dots_showing(&world.customer), "{}", upstream.name());
    world.kill();
    world
}

async fn pause(world: &World) {
    let peer = ContactRef::named(&BotName::new(BOT), "15550100001").expect("somebody");
    let pause = Pause { since: world.clock.now(), until: None, by: By::Operator };
    assert!(world.store.update_contact(&peer, ContactChange::Pause(pause)).await.expect("the store works"));
}

/// A span of the day, by this machine's clock: what a setup needs for quiet hours that have begun.
fn quiet_from_now() -> threedots::policy::quiet_hours::QuietConfig {
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).time();
    let written = |time: jiff::civil::Time| time.strftime("%H:%M").to_string();
    let from = written(now.wrapping_sub(jiff::Span::new().minutes(1)));
    let to = written(now.wrapping_add(jiff::Span::new().hours(1)));
    threedots::policy::quiet_hours::QuietConfig { from, to, time_zone: "UTC".into(), template: String::new() }
}

const CALLS: [&str; 3] = ["typing", "stop", "send"];

#[tokio::test(start_paused = true)]
async fn dots_of_a_dead_process_are_taken_off_if_no_turn_follows() {
    type Why = (&'static str, fn(&mut Setup));
    let whys: [Why; 4] = [
        ("paused", |_| {}),
        ("quiet hours", |setup| setup.quiet = quiet_from_now()),
        ("blocked", |setup| setup.gate.block = vec!["15550100001".into()]),
        ("no kind that is answered", |setup| setup.gate.kinds = Vec::new()),
    ];
    for upstream in STOPPING {
        for (why, change) in whys {
            let mut world = killed(upstream, "hello").await;
            if why == "paused" {
                pause(&world).await;
            }
            world.pass(1).await;
            let mut next = setup(upstream);
            change(&mut next);
            world.begin(next);
            world.pass(120).await;
            let calls = timed(&world, &CALLS);
            assert_eq!(calls, ["0.0 s: typing", "3.0 s: stop"], "{}, {why}", upstream.name());
            assert!(!world.phone().dots_showing(&world.customer), "{}, {why}", upstream.name());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_follows_takes_the_dots_over() {
    for upstream in STOPPING {
        let mut world = killed(upstream, "say something").await;
        world.pass(1).await;
        world.begin(setup(upstream));
        world.pass(120).await;
        let calls = timed(&world, &CALLS);
        assert_eq!(calls, ["0.0 s: typing", "3.0 s: typing", "7.0 s: send"], "{}", upstream.name());
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_that_is_refused_after_a_crash_leaves_no_dots() {
    for upstream in STOPPING {
        let mut world = killed(upstream, "hello").await;
        world.sandbox.faults().add(Fault::on(Calls::Typing).fail(Failure::Refused));
        world.begin(setup(upstream));
        world.pass(120).await;
        let calls = timed(&world, &CALLS);
        assert_eq!(calls, ["0.0 s: typing", "2.0 s: typing", "6.0 s: stop"], "{}", upstream.name());
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_is_taken_up_after_a_crash_clears_the_dots_or_is_followed_by_a_stop() {
    for upstream in STOPPING {
        for refused in [false, true] {
            let mut world = setup(upstream).start();
            world.sandbox.faults().add(Fault::on(Calls::Send).fail(Failure::Hang).once());
            world.write("say something");
            world.pass(5).await;
            world.kill();
            if refused {
                world.sandbox.faults().add(Fault::on(Calls::Send).fail(Failure::Refused));
            }
            let mut next = setup(upstream);
            next.delivery.on_unknown = threedots::delivery::outbox::OnUnknown::Resend;
            world.begin(next);
            world.pass(120).await;
            let calls = timed(&world, &["stop", "send"]);
            let kinds: Vec<_> = calls.iter().map(|call| call.split(": ").last().unwrap_or_default()).collect();
            let name = format!("{}, refused: {refused}: {calls:?}", upstream.name());
            assert_eq!(kinds, if refused { vec!["send", "send", "stop"] } else { vec!["send", "send"] }, "{name}");
            assert!(!world.phone().dots_showing(&world.customer), "{name}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_in_the_middle_of_a_stop_has_a_successor_that_makes_it() {
    for upstream in STOPPING {
        let mut world = setup(upstream).start();
        world.sandbox.faults().add(Fault::on(Calls::Stop).fail(Failure::Hang).once());
        world.write("hello");
        world.pass_ms(4500).await;
        world.kill();
        pause(&world).await;
        world.begin(setup(upstream));
        world.pass(120).await;
        let calls = timed(&world, &CALLS);
        assert_eq!(calls, ["0.0 s: typing", "4.0 s: stop", "4.5 s: stop"], "{}", upstream.name());
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_held_back_until_the_morning_is_stopped_once_and_not_at_each_start() {
    for upstream in STOPPING {
        let mut world = killed(upstream, "hello").await;
        for _ in 0..3 {
            let mut next = setup(upstream);
            next.quiet = quiet_from_now();
            world.begin(next);
            world.pass(1).await;
            world.kill();
        }
        let calls = timed(&world, &CALLS);
        assert_eq!(calls, ["0.0 s: typing", "2.0 s: stop"], "{}", upstream.name());
    }
}

#[tokio::test(start_paused = true)]
async fn a_bot_that_is_taken_out_before_its_messages_are_claimed_takes_a_dead_processs_dots_off() {
    for upstream in STOPPING {
        let world = killed(upstream, "hello").await;
        let provider = crate::world::provider(&world.sandbox, world.clock);
        let bot = Arc::new(setup(upstream).bot(provider));
        let (bots, store, meters) = (BotRegistry::default(), Arc::clone(&world.store), Meters::default());
        let worker = Worker::new(bots, store, world.clock, WorkerConfig::default(), meters);
        worker.take_off_inherited(&bot);
        world.pass(1).await;
        assert_eq!(timed(&world, &CALLS), ["0.0 s: typing", "2.0 s: stop"], "{}", upstream.name());
        assert_eq!(world.store.inherited().len(), 1, "the message waits for the bot's return");
    }
}

#[tokio::test(start_paused = true)]
async fn who_writes_after_the_start_and_is_turned_away_gets_no_stop() {
    for upstream in STOPPING {
        let mut next = setup(upstream);
        next.gate.block = vec!["15550100001".into()];
        let world = next.start();
        world.write("hello");
        world.pass(60).await;
        assert!(timed(&world, &CALLS).is_empty(), "{}", upstream.name());
    }
}

#[tokio::test(start_paused = true)]
async fn many_conversations_are_stopped_a_few_at_a_time_and_only_while_dots_can_show() {
    for upstream in STOPPING {
        let mut world = setup(upstream).start();
        let customers: Vec<CustomerId> = (0..400).map(|number| world.customer(number)).collect();
        for customer in &customers {
            world.write_as(customer, "hello");
        }
        world.pass(2).await;
        world.kill();
        // Where the pace allows no more, the others wait without dots.
        let lit = customers.iter().filter(|customer| world.phone().dots_showing(customer)).count();
        let mut next = setup(upstream);
        next.gate.kinds = Vec::new();
        world.begin(next);
        let began = world.clock.now();
        world.pass(200).await;
        let stops: Vec<u128> = world
            .phone()
            .timeline()
            .iter()
            .filter(|moment| matches!(&moment.what, What::Called { what, .. } if what.to_string() == "stop"))
            .map(|moment| moment.at.since(began).as_millis())
            .collect();
        let lasts = world.provider.abilities().typing.lifetime.as_millis() * 3 / 2;
        let expected = usize::try_from(lasts / 50).expect("a few").min(lit);
        assert!(stops.len().abs_diff(expected) <= 2, "{}: {}, not {expected}", upstream.name(), stops.len());
        assert!(stops.windows(21).all(|some| some[20] - some[0] >= 1000), "{}", upstream.name());
        assert!(stops.last().is_some_and(|last| *last <= lasts), "{}", upstream.name());
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_is_reported_as_failed_has_taken_nothing_off() {
    for upstream in STOPPING {
        // With a crash between the send and the report, and without.
        for crash in [false, true] {
            let mut world = setup(upstream).start();
            world.sandbox.faults().add(Fault::on(Calls::Send).fail(Failure::Undeliverable).once());
            world.write("say something");
            let reported = until_reported(&mut world, crash, upstream).await;
            world.pass(120).await;
            let calls = timed(&world, &CALLS);
            let kinds: Vec<_> = calls.iter().map(|call| call.split(": ").last().unwrap_or_default()).collect();
            let name = format!("{}, crash: {crash}: {calls:?}", upstream.name());
            assert_eq!(kinds, ["typing", "send", "stop"], "{name}");
            let off =
                world.phone().timeline().iter().rfind(|moment| matches!(moment.what, What::DotsOff { .. })).cloned();
            let off = off.expect("they went off").at;
            assert!(off.since(reported) <= Duration::from_secs(1), "{name}: {:?}", world.seen());
        }
    }
}

/// Works for three seconds, and has two things to say.
struct Twice;

#[async_trait]
impl Handler for Twice {
    async fn reply(&self, _: &Turn) -> Result<Reply, HandlerError> {
        tokio::time::sleep(Duration::from_secs(3)).await;
        Ok(Reply::text("one").and(Part::text("two")))
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_whose_second_part_waits_is_not_trusted_to_have_taken_the_dots_off_with_its_first() {
    for upstream in STOPPING {
        let world = Setup::on(upstream, Twice).start();
        // The first part is taken, and never arrives; the second is not taken. Both faults count the first call.
        world.sandbox.faults().add(Fault::on(Calls::Send).fail(Failure::Undeliverable).once());
        world.sandbox.faults().add(Fault::on(Calls::Send).fail(Failure::TooMany { retry_after: Some(30) }).times(2));
        world.write("hello");
        world.pass(5).await;
        let calls = timed(&world, &CALLS);
        let expected = ["0.0 s: typing", "3.0 s: send", "3.0 s: send", "3.0 s: stop"];
        assert_eq!(calls, expected, "{}", upstream.name());
        assert!(!world.phone().dots_showing(&world.customer), "{}", upstream.name());
    }
}

/// Lets the time go on until the upstream has reported the failure, and says when that was.
async fn until_reported(world: &mut World, crash: bool, upstream: Upstream) -> threedots::message::clock::Timestamp {
    for _ in 0..200 {
        world.pass_ms(50).await;
        let timeline = world.phone().timeline();
        let sent = timeline
            .iter()
            .any(|moment| matches!(&moment.what, What::Answered { what, .. } if what.to_string() == "send"));
        if sent && crash {
            world.kill();
            world.begin(setup(upstream));
        }
        if sent {
            break;
        }
    }
    world.pass_ms(100).await;
    world.clock.now().plus(Duration::from_secs(3))
}

#[tokio::test(start_paused = true)]
async fn who_is_turned_away_where_the_upstream_lights_the_dots_gets_one_paused() {
    type Why = (&'static str, fn(&mut Setup));
    let whys: [Why; 6] = [
        ("blocked", |setup| setup.gate.block = vec!["15550100001".into()]),
        ("paused", |_| {}),
        ("quiet hours", |setup| setup.quiet = quiet_from_now()),
        ("too many", |setup| setup.gate.per_minute = 0),
        ("private", |setup| setup.gate.private = true),
        ("blocked, and shown nothing", |setup| {
            setup.gate.block = vec!["15550100001".into()];
            setup.typing.show = threedots::delivery::typing::Show::Nothing;
        }),
    ];
    for (why, change) in whys {
        let mut setup = setup(Upstream::Gateway);
        (setup.sandbox.auto_read, setup.sandbox.presence_typing) = (true, true);
        change(&mut setup);
        let world = setup.start();
        if why == "paused" {
            world.pass(1).await;
            world.write("before");
            world.pass(30).await;
            pause(&world).await;
        }
        let before = timed(&world, &CALLS).len();
        world.write("hello");
        world.pass_ms(500).await;
        assert_eq!(timed(&world, &CALLS).len() - before, 1, "{why}: {:?}", timed(&world, &CALLS));
        assert!(!world.phone().dots_showing(&world.customer), "{why}");
        // Once for each message.
        world.write("hello again");
        world.pass(60).await;
        let calls = timed(&world, &CALLS);
        assert!(calls[before..].iter().all(|call| call.ends_with("stop")), "{why}: {calls:?}");
        assert_eq!(calls.len() - before, if why == "quiet hours" { 1 } else { 2 }, "{why}: {calls:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_comes_again_is_no_reason_for_another_paused() {
    use threedots::sandbox::{Mischief, WebhookFault};
    let mut setup = setup(Upstream::Gateway);
    (setup.sandbox.auto_read, setup.sandbox.presence_typing) = (true, true);
    setup.gate.block = vec!["15550100001".into()];
    let world = setup.start();
    world.sandbox.faults().add(WebhookFault::new(Mischief::Duplicate));
    world.write("hello");
    world.pass(60).await;
    assert_eq!(timed(&world, &CALLS), ["0.0 s: stop"]);
}
