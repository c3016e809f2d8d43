//! The takeover race: a person writes at any moment, and from the moment at which the webhook that tells of it is
//! answered, nothing of the bot's leaves, and its dots go off.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use threedots::delivery::outbox::OnUnknown;
use threedots::message::MessageId;
use threedots::sandbox::phone::{Call, What, Why};
use threedots::sandbox::{Calls, Failure, Fault, Upstream};
use threedots::turn::OnNewMessage;
use threedots::{Handler, HandlerError, Part, Reply, Turn};

use super::{TELLING, pause};
use crate::interleavings::{try_cases, work_until};
use crate::world::{Setup, World};

/// How many cases an ordinary run tries; `PROPTEST_CASES` asks for more.
const CASES: u32 = 1_000;
/// A typing call lands within its own timeout, and so does the one that takes the dots off behind it, once there is
/// room for one more in its second; each of them may be slow to act besides.
const LATE: Duration = Duration::from_secs(10);

/// What happens in one case. Times are in tenths of a second.
#[derive(Clone, Debug)]
struct Script {
    upstream: Upstream,
    /// When the customer writes.
    messages: Vec<u64>,
    /// How long the handler thinks, and how many parts it says.
    thinks: u64,
    parts: usize,
    /// When a person writes on the business's own phone.
    person: Vec<u64>,
    /// What goes wrong from when on.
    faults: Vec<(u64, Trouble)>,
    crashes: Vec<u64>,
    restarts: bool,
}

#[derive(Clone, Copy, Debug)]
enum Trouble {
    SlowTyping(u64),
    LateTypingAnswer(u64),
    SlowSend(u64),
    /// Where the upstream tells of our messages too, that overtakes the answer.
    LateSendAnswer(u64),
    Limited,
    PairLimited,
    Broken,
    Reset,
}

fn script() -> impl Strategy<Value = Script> {
    let trouble = prop_oneof![
        1 => (0u64..29).prop_map(Trouble::SlowTyping),
        2 => (0u64..60).prop_map(Trouble::LateTypingAnswer),
        1 => (0u64..60).prop_map(Trouble::SlowSend),
        3 => (0u64..60).prop_map(Trouble::LateSendAnswer),
        1 => Just(Trouble::Limited),
        1 => Just(Trouble::PairLimited),
        1 => Just(Trouble::Broken),
        1 => Just(Trouble::Reset),
    ];
    (
        prop::sample::select(TELLING.as_slice()),
        prop::collection::vec(0u64..300, 1..5),
        prop_oneof![Just(0), 0u64..60, 60u64..300],
        1usize..4,
        prop_oneof![1 => Just(Vec::new()), 5 => prop::collection::vec(0u64..400, 1..3)],
        prop::collection::vec((0u64..300, trouble), 0..4),
        prop_oneof![3 => Just(Vec::new()), 1 => prop::collection::vec(0u64..400, 1..3)],
        any::<bool>(),
    )
        .prop_map(|(upstream, mut messages, thinks, parts, mut person, mut faults, mut crashes, restarts)| {
            messages.sort_unstable();
            person.sort_unstable();
            crashes.sort_unstable();
            faults.sort_by_key(|(at, _)| *at);
            Script { upstream, messages, thinks, parts, person, faults, crashes, restarts }
        })
}

fn fault(trouble: Trouble) -> Fault {
    let tenths = |tenths: u64| Duration::from_millis(tenths * 100);
    match trouble {
        Trouble::SlowTyping(delay) => Fault::on(Calls::Typing).slow_to_act(tenths(delay)).once(),
        Trouble::LateTypingAnswer(delay) => Fault::on(Calls::Typing).slow_to_answer(tenths(delay)).times(2),
        Trouble::SlowSend(delay) => Fault::on(Calls::Send).slow_to_act(tenths(delay)).times(2),
        Trouble::LateSendAnswer(delay) => Fault::on(Calls::Send).slow_to_answer(tenths(delay)).times(2),
        Trouble::Limited => Fault::on(Calls::Send).fail(Failure::TooMany { retry_after: Some(9) }).times(2),
        Trouble::PairLimited => Fault::on(Calls::Send).fail(Failure::TooManyToOne).times(2),
        Trouble::Broken => Fault::on(Calls::Send).fail(Failure::Broken).once(),
        Trouble::Reset => Fault::on(Calls::Send).fail(Failure::Reset).after_effect().once(),
    }
}

/// Thinks for so long, and says so many parts.
#[derive(Clone, Copy)]
struct Thinker {
    thinks: u64,
    parts: usize,
}

#[async_trait]
impl Handler for Thinker {
    async fn reply(&self, turn: &Turn) -> Result<Reply, HandlerError> {
        tokio::time::sleep(Duration::from_millis(self.thinks * 100)).await;
        let parts = (0..self.parts).map(|part| Part::text(format!("{} {part} {}", turn.id, turn.text())));
        Ok(Reply::Send(parts.collect()))
    }
}

fn setup(script: &Script) -> Setup {
    let mut setup = Setup::on(script.upstream, Thinker { thinks: script.thinks, parts: script.parts });
    setup.sandbox.own_echoes = true;
    setup.turn.on_new_message = if script.restarts { OnNewMessage::Restart } else { OnNewMessage::Queue };
    setup.delivery.on_unknown = OnUnknown::Resend;
    setup
}

struct Played {
    world: World,
    person: Vec<MessageId>,
    paused: bool,
    left: bool,
}

async fn play(script: &Script) -> Played {
    let world = setup(script).build();
    let bot = Arc::new(setup(script).bot(Arc::clone(&world.provider)));
    let tools = Arc::new(world.tools());
    let began = tokio::time::Instant::now();
    let at = |tenths: u64| tokio::time::sleep_until(began + Duration::from_millis(tenths * 100));
    let mut person = Vec::new();
    let writing = async {
        for (number, tenths) in script.messages.iter().enumerate() {
            at(*tenths).await;
            world.write(&format!("<{number}>"));
        }
    };
    let taking_over = async {
        for (number, tenths) in script.person.iter().enumerate() {
            at(*tenths).await;
            person.push(world.write_as_person(&format!("I am here: {number}")));
        }
    };
    let troubling = async {
        for (tenths, trouble) in &script.faults {
            at(*tenths).await;
            world.sandbox.faults().add(fault(*trouble));
        }
    };
    let working = async {
        for tenths in &script.crashes {
            work_until(&world, &bot, &tools, at(*tenths)).await;
        }
        // Every timeout and back-off of the script is over by then, and no pause is.
        work_until(&world, &bot, &tools, at(100_000)).await;
    };
    tokio::join!(writing, taking_over, troubling, working);
    let paused = pause(&world).await.is_some();
    let left = world.store.backlog().messages > 0;
    Played { world, person, paused, left }
}

fn judge(script: &Script, played: &Played) -> TestCaseResult {
    let Played { world, person, paused, left } = played;
    let timeline = world.phone().timeline();
    prop_assert!(!left, "something still waits");
    prop_assert!(!world.phone().dots_showing(&world.customer), "dots without end");
    prop_assert_eq!(*paused, !script.person.is_empty(), "an echo of ours is no person, and a person is");
    let is_known = |what: &What| match what {
        What::WebhookAnswered { message: Some(message), event: "echo", status: Some(200), .. } => {
            person.contains(message)
        }
        _ => false,
    };
    let Some(known) = timeline.iter().position(|moment| is_known(&moment.what)) else {
        prop_assert!(script.person.is_empty(), "the bot never heard of the person");
        return Ok(());
    };
    let since = timeline[known].at;
    for moment in &timeline[known..] {
        let late = moment.at > since.plus(LATE);
        match &moment.what {
            What::Called { what: Call::Send, .. } => prop_assert!(false, "something leaves after the takeover"),
            What::Called { what: Call::Read | Call::ReadAndTyping | Call::Typing, .. } => {
                prop_assert!(moment.at == since, "something is shown after the takeover");
            }
            What::DotsOn { .. } => prop_assert!(!late, "the dots come on after the takeover"),
            // What was being sent by then arrives, and takes them off.
            What::DotsOff { why: Why::Reply, .. } => {}
            What::DotsOff { .. } => {
                let may_lapse = world.provider.abilities().typing.stop.is_none() || !script.crashes.is_empty();
                prop_assert!(!late || may_lapse, "the dots go off too late");
            }
            _ => {}
        }
    }
    Ok(())
}

#[test]
fn nothing_leaves_once_a_person_is_known_to_have_taken_over() {
    try_cases(CASES, &script(), async |script| {
        let played = play(script).await;
        (judge(script, &played), played.world)
    });
}
