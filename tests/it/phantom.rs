//! Dots that nothing follows, where the upstream has no call that takes dots off: how long they show on the customer's
//! phone, before [`TypingConfig::delay`] and with it.

#![allow(clippy::print_stdout)]

use std::time::Duration;

use threedots::handler::demo::Demo;
use threedots::handler::{Handler, HandlerError};
use threedots::sandbox::Upstream;
use threedots::sandbox::phone::{What, Why};
use threedots::{Reply, Turn};

use crate::world::{Setup, World};

/// Says nothing, after so long.
struct SilentAfter(Duration);

#[async_trait::async_trait]
impl Handler for SilentAfter {
    async fn reply(&self, _: &Turn) -> Result<Reply, HandlerError> {
        tokio::time::sleep(self.0).await;
        Ok(Reply::silence())
    }
}

/// Hands over, after so long.
struct HandsOverAfter(Duration);

#[async_trait::async_trait]
impl Handler for HandsOverAfter {
    async fn reply(&self, _: &Turn) -> Result<Reply, HandlerError> {
        tokio::time::sleep(self.0).await;
        Ok(Reply::Handover { reason: "asked for".into() })
    }
}

/// The dots as they were lit until now: at once; a failure reply once an hour; a stop that nobody is told of.
fn at_once(mut setup: Setup) -> Setup {
    setup.typing.delay = Duration::ZERO;
    setup
}

/// As the sandbox's bots are set up.
fn as_in_the_sandbox(mut setup: Setup) -> Setup {
    setup.failure_reply.every = Duration::ZERO;
    setup.control.stop_reply = "I have stopped.".into();
    setup
}

/// How long dots showed that lapsed with no word of the bot's before the customer wrote again, in seconds, for each
/// turn.
fn phantom(world: &World) -> f64 {
    let seen = world.phone().seen(&world.customer);
    let turns = seen.iter().filter(|moment| matches!(moment.what, What::CustomerWrote { .. })).count();
    let mut phantom = Duration::ZERO;
    for (number, moment) in seen.iter().enumerate() {
        if !matches!(moment.what, What::DotsOn { .. }) {
            continue;
        }
        let rest = &seen[number + 1..];
        let off = rest.iter().find(|moment| matches!(moment.what, What::DotsOff { .. })).expect("dots go off");
        let answered = rest.iter().filter(|later| later.at >= off.at).map(|later| &later.what);
        let answered = answered
            .take_while(|what| !matches!(what, What::CustomerWrote { .. }))
            .any(|what| matches!(what, What::Reply { .. }));
        if !answered && !matches!(off.what, What::DotsOff { why: Why::Reply, .. }) {
            phantom += off.at.since(moment.at);
        }
    }
    phantom.as_secs_f64() / turns as f64
}

/// What the customer writes, each after so many milliseconds.
async fn play(setup: Setup, writes: &[(u64, &str)]) -> f64 {
    let world = setup.start();
    for (after, words) in writes {
        world.pass_ms(*after).await;
        match words.strip_prefix("person: ") {
            Some(words) => drop(world.write_as_person(words)),
            None => drop(world.write(words)),
        }
    }
    world.pass(400).await;
    phantom(&world)
}

#[tokio::test(start_paused = true)]
async fn phantom_seconds_a_turn_over_the_demos_words_on_meta() {
    // What is written; at once; with the delay; with the delay and as the sandbox's bots are set up.
    type Row = (&'static [(u64, &'static str)], f64, f64, f64);
    const ROWS: [Row; 14] = [
        (&[(0, "hello")], 0.0, 0.0, 0.0),
        (&[(0, "slow 40")], 0.0, 0.0, 0.0),
        (&[(0, "long")], 0.0, 0.0, 0.0),
        (&[(0, "buttons")], 0.0, 0.0, 0.0),
        (&[(0, "beat")], 0.0, 0.0, 0.0),
        (&[(0, "fail")], 0.0, 0.0, 0.0),
        (&[(0, "panic")], 0.0, 0.0, 0.0),
        (&[(0, "hang")], 0.0, 0.0, 0.0),
        (&[(0, "silent")], 25.0, 0.0, 0.0),
        (&[(0, "silent 1")], 25.0, 25.0, 25.0),
        (&[(0, "fail"), (60_000, "panic")], 12.5, 12.5, 0.0),
        (&[(0, "slow 40"), (10_000, "stop")], 12.5, 12.5, 0.0),
        (&[(0, "slow 40"), (200, "stop")], 12.5, 0.0, 0.0),
        (&[(0, "slow 40"), (10_000, "person: I take over")], 25.0, 25.0, 25.0),
    ];
    let (mut table, mut sums) = (String::new(), [0.0; 3]);
    for (writes, before, delayed, sandbox) in ROWS {
        let setup = || Setup::new(Demo);
        let seconds = [
            play(at_once(setup()), writes).await,
            play(setup(), writes).await,
            play(as_in_the_sandbox(setup()), writes).await,
        ];
        let words = writes.iter().map(|(after, words)| format!("+{after} ms {words}")).collect::<Vec<_>>().join(", ");
        table.push_str(&format!("{words:<44} {:>5.1} {:>5.1} {:>5.1}\n", seconds[0], seconds[1], seconds[2]));
        for (sum, seconds) in sums.iter_mut().zip(seconds) {
            *sum += seconds;
        }
        assert_eq!(seconds, [before, delayed, sandbox], "{words}");
    }
    let mean = sums.map(|sum| sum / ROWS.len() as f64);
    println!("phantom seconds a turn                           at once, delay, sandbox\n{table}mean {mean:.1?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_decided_before_the_delay_shows_no_dots() {
    const CASES: [(u64, [f64; 3]); 4] =
        // The handler's milliseconds; phantom seconds with no delay, with 300 ms, and with 1.5 s.
        [(0, [25.0, 0.0, 0.0]), (299, [25.0, 0.0, 0.0]), (301, [25.0, 25.0, 0.0]), (1000, [25.0, 25.0, 0.0])];
    for upstream in [Upstream::Meta, Upstream::NxCloud] {
        for (works, expected) in CASES {
            let mut seconds = Vec::new();
            for delay in [0, 300, 1500] {
                let works = Duration::from_millis(works);
                for (name, mut setup) in [
                    ("silent", Setup::on(upstream, SilentAfter(works))),
                    ("handover", Setup::on(upstream, HandsOverAfter(works))),
                ] {
                    setup.typing.delay = Duration::from_millis(delay);
                    let world = setup.start();
                    world.write("hello");
                    world.pass(120).await;
                    let lit = works.as_millis() >= delay.into();
                    let call = if lit { "read and typing" } else { "read" };
                    let at = Duration::from_millis(delay).min(works).as_secs();
                    assert_eq!(
                        world.calls(),
                        [format!("{at} s: {call}")],
                        "{upstream:?}, {name} after {works:?}, {delay} ms"
                    );
                    if name == "silent" {
                        seconds.push(phantom(&world));
                    }
                }
            }
            println!("{upstream:?}: silent after {works} ms: {seconds:.1?} with no delay, 300 ms, 1.5 s");
            assert_eq!(seconds, expected, "{upstream:?}, {works} ms");
        }
    }
}
