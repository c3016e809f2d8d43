//! Random interleavings of messages, handlers, upstream faults and crashes, judged by what the customers saw.
//!
//! One rule of the game: a typing call either takes effect within its own timeout or never. No client can take back
//! a call that an upstream sits on for longer than anybody waits.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseResult, TestRunner};
use threedots::clock::Timestamp;
use threedots::handler::{Handler, HandlerError};
use threedots::message::MessageId;
use threedots::provider::{KeyedBy, ReadReceipts};
use threedots::sandbox::phone::{Call, What, Why};
use threedots::sandbox::{Calls, CustomerId, Failure, Fault, Mischief, Upstream, WebhookFault};
use threedots::turn::{self, Bot, OnNewMessage, Tools};
use threedots::{Reply, Turn};
use tokio::task::JoinSet;

use crate::world::{Setup, World};

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
    /// In tenths of a second, when the process dies.
    crashes: Vec<u64>,
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
    ];
    (
        prop::sample::select(Upstream::ALL.as_slice()),
        prop::collection::vec(message, 1..12),
        prop_oneof![2 => Just(Vec::new()), 1 => prop::collection::vec((0u64..900, 0usize..=BLOCKED), 1..4)],
        prop::collection::vec((0u64..900, trouble), 0..6),
        prop::collection::vec(0u64..1000, 0..3),
        any::<(bool, bool)>(),
    )
        .prop_map(|(upstream, mut messages, mut orders, mut faults, crashes, (duplicates, restarts))| {
            messages.sort_by_key(|(at, ..)| *at);
            orders.sort_unstable();
            // Two of them would add up to more than the rule above allows.
            let mut slow = faults.iter().filter(|(_, trouble)| matches!(trouble, Trouble::SlowTyping(_))).count();
            faults.retain(|(_, trouble)| {
                let one_more = matches!(trouble, Trouble::SlowTyping(_)) && slow > 1;
                slow -= usize::from(one_more);
                !one_more
            });
            Script { upstream, messages, orders, faults, crashes, duplicates, restarts }
        })
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
    }
}

/// The handler: does with the newest message what the script says, and notes when it was done.
#[derive(Clone, Default)]
struct Scripted {
    acts: Arc<Mutex<HashMap<String, Act>>>,
    log: Arc<Mutex<Log>>,
    clock: Option<threedots::clock::Clock>,
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

async fn play(script: &Script) -> Played {
    let mut handler = Scripted::default();
    let mut setup = Setup::on(script.upstream, handler.clone());
    setup.turn.timeout = Duration::from_secs(TIMEOUT);
    let world = setup.build();
    handler.clock = Some(world.clock);
    let customers: Vec<_> = (0..=BLOCKED).map(|number| world.customer(number)).collect();
    let mut setup = Setup::on(script.upstream, handler.clone());
    setup.turn.timeout = Duration::from_secs(TIMEOUT);
    setup.turn.on_new_message = if script.restarts { OnNewMessage::Restart } else { OnNewMessage::Queue };
    setup.gate.block = vec![customers[BLOCKED].as_str().to_owned()];
    let bot = Arc::new(setup.bot(Arc::clone(&world.provider)));
    let tools = Arc::new(world.tools());
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
            crashes.sort_unstable();
            for at in crashes {
                work_until(&world, &bot, &tools, tokio::time::sleep_until(tenths(at))).await;
                crashed.push(world.clock.now());
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

fn judge(script: &Script, played: &Played) -> TestCaseResult {
    let Played { world, customers, crashed, handler, words, dead, left } = played;
    let timeline = world.phone().timeline();
    let log = handler.log.lock().expect("no test panics in here");
    let abilities = world.provider.abilities();

    // 3: one worker at a time.
    prop_assert!(!log.overlapped, "one conversation was served twice at the same time");

    // 9: nothing is left, and whatever was not answered has a reason.
    prop_assert!(!left, "something still waits");
    let fails = |act: &Act| act.0 >= TIMEOUT * 10 || matches!(act.1, Deed::Fail | Deed::Panic | Deed::Hang);
    let failed = script.messages.iter().any(|(.., act)| fails(act));
    prop_assert!(*dead == 0 || failed, "{dead} dead letters, and no handler failed");

    // 6: whoever is not answered sees nothing.
    let blocked = world.phone().seen(&customers[BLOCKED]);
    let fine = |what: &What| match what {
        What::CustomerWrote { .. } => true,
        // There the upstream marks as read whatever arrives.
        What::MarkedRead { .. } => abilities.reads == ReadReceipts::None,
        _ => false,
    };
    prop_assert!(blocked.iter().all(|moment| fine(&moment.what)), "the blocked customer saw something: {blocked:?}");

    // 8 and 2: a part is on the phone once, unless the outcome of an earlier send was unknown.
    let mut shown: HashMap<&str, usize> = HashMap::new();
    timeline.iter().filter_map(|moment| name(&moment.what)).for_each(|name| *shown.entry(name).or_default() += 1);
    let doubled: usize = shown.values().map(|times| times - 1).sum();
    let unsure = timeline.iter().filter(|moment| match moment.what {
        What::CallUnanswered { what, .. } => what == Call::Send,
        What::CallRefused { what, status, .. } => what == Call::Send && status >= 500,
        _ => false,
    });
    // Some upstreams answer with 200 whatever has happened.
    let told = script.faults.iter().filter(|(_, trouble)| matches!(trouble, Trouble::SendBrokenAfterDelivery));
    // A crash can catch every conversation in the middle of a send.
    let unsure = unsure.count() + told.count() + crashed.len() * customers.len();
    prop_assert!(doubled <= unsure, "{doubled} parts were doubled, and only {unsure} sends had an unknown end");
    let known = abilities.idempotent_sends || abilities.statuses_carry_key;
    prop_assert!(doubled == 0 || !known, "{doubled} parts were doubled in spite of their keys");

    let calm = script.faults.is_empty() && script.crashes.is_empty();
    for customer in &customers[..BLOCKED] {
        let seen = world.phone().seen(customer);
        prop_assert!(!world.phone().dots_showing(customer), "dots without end");
        let mut answered: Vec<&str> = Vec::new();
        let mut copies = HashSet::new();
        let (mut last, mut replied) = (None, Timestamp(0));
        // What the customer had written before they last said "stop", and when that was.
        let (mut written, mut stopped) = (HashSet::new(), None);
        for moment in &seen {
            // A copy that had been given up for lost answers nobody.
            if matches!(moment.what, What::Reply { .. })
                && name(&moment.what).is_none_or(|name| !copies.contains(&name))
            {
                replied = moment.at;
            }
            match &moment.what {
                What::CustomerWrote { message, .. } => match words.get(message) {
                    Some(word) => drop(written.insert(number_of(word))),
                    None => stopped = Some((moment.at, written.clone())),
                },
                // 3: in order. The failure reply has no number. A copy that had been given up for lost has no order.
                What::Reply { text, .. } if name(&moment.what).is_none_or(|name| copies.insert(name)) => {
                    let numbers: Vec<usize> =
                        text.split_whitespace().filter_map(|word| word.trim_matches(['<', '>']).parse().ok()).collect();
                    prop_assert!(numbers.is_sorted());
                    // What was on its way when they said "stop" may still arrive.
                    if let Some((at, before)) = &stopped
                        && calm
                        && moment.at > at.plus(ON_ITS_WAY)
                    {
                        prop_assert!(!numbers.iter().any(|number| before.contains(number)), "answered after a stop");
                    }
                    if let (Some(first), Some(before)) = (numbers.first(), last) {
                        prop_assert!(*first >= before, "answered {first} after {before}");
                    }
                    last = numbers.first().copied().or(last);
                    answered.push(text);
                }
                // 4 and 5: dots stand under messages on which somebody is at work, and no others; but a call that a
                // dead process had made may land while its successor is at work.
                What::DotsOn { message, .. }
                    if !crashed.iter().any(|at| moment.at >= *at && moment.at <= at.plus(LATE)) =>
                {
                    if abilities.typing.keyed_by == KeyedBy::Chat {
                        let here = |word: &str| script.messages[number_of(word)].1;
                        let mut work = log
                            .work
                            .iter()
                            .filter(|(word, began, _)| customers[here(word)] == *customer && *began <= moment.at);
                        let Some((word, _, ended)) = work.next_back() else {
                            return Err(TestCaseError::fail("the dots came on before anybody was at work"));
                        };
                        if let Some(ended) = ended.filter(|ended| *ended < moment.at) {
                            // In the same moment the turn before it may have been answered.
                            let is_answered =
                                replied > ended || answered.iter().any(|text| text.contains(word.as_str()));
                            prop_assert!(!is_answered, "the dots came on after {word} had been answered");
                            // Where dots have to precede a reply, one that was there at once waits for the receipt too.
                            let calls = if abilities.typing.lead.is_zero() { 1 } else { 2 };
                            let late = moment.at > ended.plus(LATE * calls);
                            prop_assert!(!late, "the dots came on after the work on {word}");
                        }
                        continue;
                    }
                    let word = &words[message];
                    prop_assert!(
                        !answered.iter().any(|text| text.contains(word.as_str())),
                        "the dots came on for {word}, which had been answered"
                    );
                    let ended = log.work.iter().rfind(|(known, ..)| known == word).and_then(|(_, _, ended)| *ended);
                    if let Some(ended) = ended {
                        prop_assert!(
                            moment.at <= ended.plus(LATE),
                            "the dots came on for {word} after its work had ended"
                        );
                    }
                }
                // 5: where there is a call that takes them off, nobody waits until they lapse.
                What::DotsOff { why: Why::Lapsed, .. } => {
                    prop_assert!(!calm || abilities.typing.stop.is_none(), "the dots lapsed");
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// What tells a part from all others: our key, or its words where the upstream does not carry keys.
fn name(what: &What) -> Option<&str> {
    match what {
        What::Reply { key: Some(key), .. } => Some(key),
        // The failure reply has no number: it may come again after an hour.
        What::Reply { key: None, text, .. } if text.contains('<') => Some(text),
        _ => None,
    }
}

fn number_of(word: &str) -> usize {
    word.trim_matches(['<', '>']).parse().expect("a number")
}

#[test]
fn the_invariants_hold_on_the_timeline_of_any_interleaving() {
    try_cases(CASES, &script(), async |script| {
        let played = play(script).await;
        (judge(script, &played), played.world)
    });
}

/// Tries a script again and again, so often or as often as the environment asks for; what a customer saw is told with what
/// is wrong.
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
