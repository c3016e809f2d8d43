//! Random interleavings of messages, handlers, upstream faults and crashes, judged by what the customers saw.
//!
//! One rule of the game: a typing call either takes effect within its own timeout or never. No client can take back
//! a call that an upstream sits on for longer than anybody waits.

mod dots;
mod judge;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseResult, TestRunner};
use threedots::handler::{Handler, HandlerError};
use threedots::message::MessageId;
use threedots::message::clock::Timestamp;
use threedots::provider::Provider;
use threedots::sandbox::{Calls, CustomerId, Failure, Fault, Mischief, Upstream, WebhookFault};
use threedots::turn::{self, Bot, OnNewMessage, Tools};
use threedots::{Reply, Turn};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::world::{Setup, World, provider_of};
use judge::judge;

/// How many cases an ordinary run tries; `PROPTEST_CASES` asks for more.
const CASES: u32 = 2_000;
/// How long the handler has, in seconds.
const TIMEOUT: u64 = 60;
/// A typing call lands within its own timeout.
const LATE: Duration = Duration::from_secs(3);
/// A reply that is there has this long to wait for its dots, and to be sent.
const ON_ITS_WAY: Duration = Duration::from_secs(8);
/// The customer whom the bot does not answer.
const BLOCKED: usize = 3;

/// What happens in one case.
#[derive(Clone, Debug)]
struct Script {
    /// Whose wire is spoken.
    upstream: Upstream,
    /// In tenths of a second, who writes, and what the handler does with it.
    messages: Vec<(u64, usize, Act)>,
    /// In tenths of a second, who tells the bot to stop.
    orders: Vec<(u64, usize)>,
    /// In tenths of a second, what goes wrong from then on.
    faults: Vec<(u64, Trouble)>,
    /// In tenths of a second, when the process dies, and what the one does that follows.
    crashes: Vec<(u64, Next)>,
    /// Whether the upstream lights the dots by itself, if it can.
    lit_outside: bool,
    duplicates: bool,
    /// Whether a message in the middle of a turn has the handler begin anew.
    restarts: bool,
}

/// What the handler does with a message, after so many tenths of a second.
#[derive(Clone, Copy, Debug)]
struct Act(u64, Deed);

#[derive(Clone, Copy, Debug)]
enum Deed {
    Answer,
    AnswerTwice,
    Silence,
    Fail,
    Panic,
    Hang,
}

/// What the process does that follows one that has died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Answers,
    /// It holds no turn: nothing that comes is answered.
    TurnsAway,
}

#[derive(Clone, Copy, Debug)]
enum Trouble {
    SlowTyping(u64),
    LateTypingAnswer(u64),
    TypingFails,
    TypingHangs,
    SlowSend(u64),
    SendLimited,
    SendPairLimited,
    SendBroken,
    SendBrokenAfterDelivery,
    SendResetAfterDelivery,
    SendHangs,
    SendUndeliverable(u32),
    StopFails(Failure, u32),
}

fn script() -> impl Strategy<Value = Script> {
    let deed = prop_oneof![
        5 => Just(Deed::Answer),
        2 => Just(Deed::AnswerTwice),
        1 => Just(Deed::Silence),
        1 => Just(Deed::Fail),
        1 => Just(Deed::Panic),
        1 => Just(Deed::Hang),
    ];
    let act = (prop_oneof![3 => 0u64..40, 2 => 40u64..700], deed).prop_map(|(after, deed)| Act(after, deed));
    let message = (0u64..900, 0usize..=BLOCKED, act);
    let trouble = prop_oneof![
        // Typing takes effect within its timeout of three seconds: see the rule above.
        3 => (0u64..29).prop_map(Trouble::SlowTyping),
        3 => (0u64..80).prop_map(Trouble::LateTypingAnswer),
        1 => Just(Trouble::TypingFails),
        1 => Just(Trouble::TypingHangs),
        2 => (0u64..140).prop_map(Trouble::SlowSend),
        1 => Just(Trouble::SendLimited),
        1 => Just(Trouble::SendPairLimited),
        1 => Just(Trouble::SendBroken),
        1 => Just(Trouble::SendBrokenAfterDelivery),
        1 => Just(Trouble::SendResetAfterDelivery),
        1 => Just(Trouble::SendHangs),
        2 => (1u32..3).prop_map(Trouble::SendUndeliverable),
        3 => (stop_failure(), 1u32..5).prop_map(|(failure, times)| Trouble::StopFails(failure, times)),
    ];
    let next = prop_oneof![2 => Just(Next::Answers), 1 => Just(Next::TurnsAway)];
    (
        prop::sample::select(Upstream::ALL.as_slice()),
        prop::collection::vec(message, 1..12),
        prop_oneof![2 => Just(Vec::new()), 1 => prop::collection::vec((0u64..900, 0usize..=BLOCKED), 1..4)],
        prop::collection::vec((0u64..900, trouble), 0..6),
        prop::collection::vec((0u64..1000, next), 0..3),
        any::<(bool, bool, bool)>(),
    )
        .prop_map(
            |(upstream, mut messages, mut orders, mut faults, crashes, (duplicates, restarts, lit_outside))| {
                messages.sort_by_key(|(at, ..)| *at);
                orders.sort_unstable();
                // Two of them would add up to more than the rule above allows.
                let mut slow = faults.iter().filter(|(_, trouble)| matches!(trouble, Trouble::SlowTyping(_))).count();
                faults.retain(|(_, trouble)| {
                    let one_more = matches!(trouble, Trouble::SlowTyping(_)) && slow > 1;
                    slow -= usize::from(one_more);
                    !one_more
                });
                Script { upstream, messages, orders, faults, crashes, lit_outside, duplicates, restarts }
            },
        )
}

/// How a call that takes dots off fails.
fn stop_failure() -> impl Strategy<Value = Failure> {
    prop_oneof![
        Just(Failure::Broken),
        Just(Failure::Reset),
        Just(Failure::Hang),
        Just(Failure::TooMany { retry_after: Some(1) }),
    ]
}

fn fault(trouble: Trouble) -> Fault {
    let tenths = |tenths: u64| Duration::from_millis(tenths * 100);
    match trouble {
        Trouble::SlowTyping(delay) => Fault::on(Calls::Typing).slow_to_act(tenths(delay)).times(3),
        Trouble::LateTypingAnswer(delay) => Fault::on(Calls::Typing).slow_to_answer(tenths(delay)).times(3),
        Trouble::TypingFails => Fault::on(Calls::Typing).fail(Failure::Broken).times(2),
        Trouble::TypingHangs => Fault::on(Calls::Typing).fail(Failure::Hang).times(2),
        Trouble::SlowSend(delay) => Fault::on(Calls::Send).slow_to_act(tenths(delay)).times(2),
        Trouble::SendLimited => Fault::on(Calls::Send).fail(Failure::TooMany { retry_after: Some(9) }).times(2),
        Trouble::SendPairLimited => Fault::on(Calls::Send).fail(Failure::TooManyToOne).times(2),
        Trouble::SendBroken => Fault::on(Calls::Send).fail(Failure::Broken).once(),
        Trouble::SendBrokenAfterDelivery => Fault::on(Calls::Send).fail(Failure::Unknown).after_effect().once(),
        Trouble::SendResetAfterDelivery => Fault::on(Calls::Send).fail(Failure::Reset).after_effect().once(),
        Trouble::SendHangs => Fault::on(Calls::Send).fail(Failure::Hang).once(),
        Trouble::SendUndeliverable(times) => Fault::on(Calls::Send).fail(Failure::Undeliverable).times(times),
        Trouble::StopFails(failure, times) => Fault::on(Calls::Stop).fail(failure).times(times),
    }
}

/// The handler: does with the newest message what the script says, and notes when it was done.
#[derive(Clone, Default)]
struct Scripted {
    acts: Arc<Mutex<HashMap<String, Act>>>,
    log: Arc<Mutex<Log>>,
    clock: Option<threedots::message::clock::Clock>,
}

#[derive(Default)]
struct Log {
    /// Who is being served right now.
    serving: HashSet<String>,
    /// Whether one conversation was ever served twice at the same time.
    overlapped: bool,
    /// Each go at a message: its words, when work on it began, and when it ended.
    work: Vec<(String, Timestamp, Option<Timestamp>)>,
}

/// Notes the end of the work however it ends.
struct Work<'a> {
    handler: &'a Scripted,
    chat: String,
    number: usize,
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        let mut log = self.handler.log.lock().expect("no test panics in here");
        log.serving.remove(&self.chat);
        let now = self.handler.clock.expect("set").now();
        log.work[self.number].2 = Some(now);
    }
}

#[async_trait]
impl Handler for Scripted {
    async fn reply(&self, turn: &Turn) -> Result<Reply, HandlerError> {
        let newest = turn.newest().expect("a turn has messages");
        let chat = newest.at.chat.as_str().to_owned();
        let words = newest.content.words().expect("text").to_owned();
        let number = {
            let mut log = self.log.lock().expect("no test panics in here");
            log.overlapped |= !log.serving.insert(chat.clone());
            log.work.push((words.clone(), self.clock.expect("set").now(), None));
            log.work.len() - 1
        };
        let _work = Work { handler: self, chat, number };
        let Act(after, deed) = self.acts.lock().expect("no test panics in here")[&words];
        tokio::time::sleep(Duration::from_millis(after * 100)).await;
        match deed {
            Deed::Answer => Ok(Reply::text(turn.text())),
            Deed::AnswerTwice => {
                Ok(Reply::text(turn.text()).and(threedots::Part::text(format!("{} again", turn.text()))))
            }
            Deed::Silence => Ok(Reply::silence()),
            Deed::Fail => Err(HandlerError::new("told to")),
            Deed::Panic => std::panic::resume_unwind(Box::new("told to")),
            Deed::Hang => std::future::pending().await,
        }
    }
}

/// The worker's duty, in a form that can be killed: everything that runs is aborted at once.
pub(crate) async fn work_until(world: &World, bot: &Arc<Bot>, tools: &Arc<Tools>, killed: impl Future<Output = ()>) {
    let mut turns = JoinSet::new();
    let mut killed = std::pin::pin!(killed);
    loop {
        tokio::select! {
            () = &mut killed => break,
            claim = world.store.claim(Duration::from_secs(600)) => {
                let (bot, tools, room) = (Arc::clone(bot), Arc::clone(tools), tools.media.take(0).await);
                let claim = claim.expect("the store works");
                turns.spawn(async move { turn::run(&bot, &tools, claim, room).await.expect("the store works") });
            }
        }
    }
    turns.shutdown().await;
}

struct Played {
    world: World,
    customers: Vec<CustomerId>,
    crashed: Vec<Timestamp>,
    handler: Scripted,
    words: HashMap<MessageId, String>,
    dead: usize,
    left: bool,
}

/// Whether nothing is said after this; a handler that takes too long has failed, and that is said.
fn is_silent(act: Act) -> bool {
    matches!(act.1, Deed::Silence) && act.0 < TIMEOUT * 10
}

/// Whether the upstream lights the dots by itself.
fn is_lit_outside(script: &Script) -> bool {
    script.lit_outside && script.upstream == Upstream::Gateway
}

/// The bot of a case, in a process that does as `next` says.
fn setup(script: &Script, handler: &Scripted, next: Next) -> Setup {
    let mut setup = Setup::on(script.upstream, handler.clone());
    setup.turn.timeout = Duration::from_secs(TIMEOUT);
    setup.turn.on_new_message = if script.restarts { OnNewMessage::Restart } else { OnNewMessage::Queue };
    if is_lit_outside(script) {
        (setup.sandbox.auto_read, setup.sandbox.presence_typing) = (true, true);
    }
    if next == Next::TurnsAway {
        setup.gate.kinds = Vec::new();
    }
    setup
}

async fn play(script: &Script) -> Played {
    let mut handler = Scripted::default();
    let world = setup(script, &handler, Next::Answers).build();
    handler.clock = Some(world.clock);
    let customers: Vec<_> = (0..=BLOCKED).map(|number| world.customer(number)).collect();
    // A process: its bot, what it works with, and how it is killed. What a dead one has not called it never calls.
    let begin = |next| {
        let life = CancellationToken::new();
        let provider: Arc<dyn Provider> = provider_of(&world.sandbox, world.clock, life.clone());
        let mut setup = setup(script, &handler, next);
        setup.gate.block = vec![customers[BLOCKED].as_str().to_owned()];
        (Arc::new(setup.bot(provider)), Arc::new(world.tools()), life)
    };
    if script.duplicates {
        world.sandbox.faults().add(WebhookFault::new(Mischief::Duplicate));
    }

    let began = tokio::time::Instant::now();
    let tenths = |at: u64| began + Duration::from_millis(at * 100);
    let mut words = HashMap::new();
    let mut crashed = Vec::new();
    {
        let writing = async {
            for (number, (at, who, act)) in script.messages.iter().enumerate() {
                tokio::time::sleep_until(tenths(*at)).await;
                let text = format!("<{number}>");
                handler.acts.lock().expect("no test panics in here").insert(text.clone(), *act);
                words.insert(world.write_as(&customers[*who], &text), text);
            }
        };
        let ordering = async {
            for (at, who) in &script.orders {
                tokio::time::sleep_until(tenths(*at)).await;
                world.write_as(&customers[*who], "stop");
            }
        };
        let troubling = async {
            let mut faults = script.faults.clone();
            faults.sort_by_key(|(at, _)| *at);
            for (at, trouble) in faults {
                tokio::time::sleep_until(tenths(at)).await;
                world.sandbox.faults().add(fault(trouble));
            }
        };
        let working = async {
            let mut crashes = script.crashes.clone();
            crashes.sort_unstable_by_key(|(at, _)| *at);
            let (mut bot, mut tools, mut life) = begin(Next::Answers);
            for (at, next) in crashes {
                let killed = async {
                    tokio::time::sleep_until(tenths(at)).await;
                    life.cancel();
                };
                work_until(&world, &bot, &tools, killed).await;
                crashed.push(world.clock.now());
                world.reopen();
                (bot, tools, life) = begin(next);
            }
            // Every timeout, back-off and lapse of the script is over by then.
            work_until(&world, &bot, &tools, tokio::time::sleep_until(tenths(60_000))).await;
        };
        tokio::join!(writing, ordering, troubling, working);
    }
    let dead = world.dead().await.len();
    let left = tokio::time::timeout(Duration::from_secs(1), world.store.claim(Duration::from_secs(1))).await.is_ok();
    Played { world, customers, crashed, handler, words, dead, left }
}

#[test]
fn the_invariants_hold_on_the_timeline_of_any_interleaving() {
    try_cases(CASES, &script(), async |script| {
        let played = play(script).await;
        (judge(script, &played), played.world)
    });
}

/// Tries a script again and again, so often or as often as the environment asks for; what a customer saw is told with
/// what is wrong.
pub(crate) fn try_cases<S: Strategy>(most: u32, script: &S, case: impl AsyncFn(&S::Value) -> (TestCaseResult, World)) {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(most);
    let config = Config { failure_persistence: None, ..Config::with_cases(cases) };
    let outcome = TestRunner::new(config).run(script, |script| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let (judged, world) = runtime.expect("a runtime").block_on(case(&script));
        judged.map_err(|error| match error {
            TestCaseError::Fail(reason) => {
                TestCaseError::fail(format!("{reason}\n{}", world.phone().story().join("\n")))
            }
            other => other,
        })
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
