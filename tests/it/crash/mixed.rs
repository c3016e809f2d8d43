//! kill -9 of the real binary with a bot on each upstream, whose handlers answer in one part or in several, keep
//! silent, fail, hang and panic: every message that was acknowledged is answered, or silent, or dead, and none of them
//! is two.
//!
//! No part comes twice where its upstream knows our keys or reports them. Where it does neither, one may that was on
//! its way when nobody could know what became of it, and then the log says so under that part's key.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;
use threedots::sandbox::{Calls, Failure, Fault, Sandbox, Upstream as Kind};

use super::bot::{Bot, Ends};
use super::killing::{When, kill, plan};
use crate::real::binary::Home;
use crate::real::operator::{Letter, Operator, Part, listed};
use crate::real::upstream::{Upstream, config, free_port};
use crate::real::{Dice, PATIENCE};

#[tokio::test(flavor = "multi_thread")]
async fn whatever_handlers_do_every_message_is_accounted_for_whenever_the_process_is_killed() {
    Run { kills: 8, late: 1, store: "redb", trouble: false }.go().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_handlers_do_every_message_is_accounted_for_when_half_of_all_sends_fail_too() {
    Run { kills: 8, late: 0, store: "sled", trouble: true }.go().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: the same with 200 kills"]
async fn every_message_is_accounted_for_after_200_kills_while_half_of_all_sends_fail() {
    Run { kills: 190, late: 10, store: "sled", trouble: true }.go().await;
}

/// A kill loop.
struct Run {
    kills: usize,
    /// So many more processes live for long.
    late: usize,
    store: &'static str,
    trouble: bool,
}

impl Run {
    async fn go(self) {
        let (mut dice, _) = Dice::seeded();
        let (port, operator) = (free_port(), Operator::new(free_port()));
        let mut bots: Vec<Bot> = Kind::ALL.into_iter().map(|kind| Bot::start(kind, port, &mut dice)).collect();
        let home = home(&bots, port, &operator).with("THREEDOTS_STORE__KIND", self.store);
        for bot in bots.iter().filter(|_| self.trouble) {
            make_trouble(&bot.upstream.sandbox);
        }
        let mut plan = plan(self.kills, &mut dice);
        for _ in 0..self.late {
            let at = usize::try_from(dice.up_to(plan.len() as u64)).unwrap();
            plan.insert(at, When::Late);
        }
        let began = Instant::now();
        let upstreams: Vec<&Upstream> = bots.iter().map(|bot| &bot.upstream).collect();
        kill(&home, &upstreams, &plan, &mut dice).await;
        let killing = began.elapsed();

        let mut binary = home.start_and_wait().await;
        for bot in &mut bots {
            bot.load.end().await;
            bot.upstream.sandbox.faults().clear();
        }
        let deadline = Instant::now() + PATIENCE;
        while !operator.sees_nothing_waiting().await {
            assert!(Instant::now() < deadline, "something waits for ever");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let settling = began.elapsed() - killing;
        binary.signal("TERM");
        assert!(binary.ended().await.success());
        let said = || bots.iter().map(|bot| bot.account().arrivals.len()).collect::<Vec<_>>();
        let before = said();
        let books = Books::of(&home, &operator).await;
        assert_eq!(said(), before, "something was said again after everything was settled");

        let Self { store, .. } = self;
        let (kills, killing, settling) = (plan.len(), killing.as_secs(), settling.as_secs());
        println!("{store}: {kills} kills in {killing} s, everything settled {settling} s later");
        books.judge(&bots);
        for bot in bots {
            home.check_log(&bot.load.customers);
            bot.upstream.stop().await;
        }
    }
}

/// Half of all sends fail: 20 % are delivered and nobody is told, 10 % are not and nobody is told, 10 % get a 500 or a
/// 502, and 10 % are too many.
fn make_trouble(sandbox: &Sandbox) {
    let sends = |share, failure| Fault::on(Calls::Send).share(share).fail(failure);
    for failure in [Failure::Reset, Failure::Hang] {
        sandbox.faults().add(sends(10, failure).after_effect());
        sandbox.faults().add(sends(5, failure));
    }
    for failure in [Failure::Broken, Failure::Unknown] {
        sandbox.faults().add(sends(5, failure));
    }
    sandbox.faults().add(sends(10, Failure::TooMany { retry_after: Some(1) }));
}

/// What is on record in the end, besides what the customers have seen.
struct Books {
    letters: Vec<Letter>,
    /// The parts that were sent again by policy, and how often.
    again: Vec<(Part, usize)>,
}

impl Books {
    /// Asks another process for them.
    async fn of(home: &Home, operator: &Operator) -> Self {
        let mut binary = home.start_and_wait().await;
        // It would say by now what it has left to say.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let letters = operator.letters().await;
        let numbers: Vec<_> = letters.iter().map(|letter| letter.number).collect();
        assert_eq!(listed(home), numbers, "`threedots dead list`, and the API");
        let times = sent_again(&home.log());
        let parts = operator.parts(times.keys().map(String::as_str)).await;
        let again = parts.into_iter().map(|(key, part)| (part, times[key])).collect();
        binary.signal("TERM");
        assert!(binary.ended().await.success());
        Self { letters, again }
    }

    /// Holds what each bot's customers have seen against them.
    fn judge(&self, bots: &[Bot]) {
        let (mut answered_in_all, mut silent_in_all, mut dead_in_all) = (0, 0, 0);
        for bot in bots {
            let name = bot.upstream.bot;
            let Ends { account, answered, silent, dead } = bot.ends(&self.letters);
            let acknowledged = account.acknowledged.len();
            assert_eq!(acknowledged, answered.len() + silent.len() + dead.len(), "{name}");
            assert_eq!(account.disorder(), [""; 0], "{name}");
            let again: Vec<_> = self.again.iter().filter(|(part, _)| part.bot == name).collect();
            let doubled = bot.check_doubles(&account, &again);
            let (answered, silent, dead) = (answered.len(), silent.len(), dead.len());
            println!(
                "{name}: {acknowledged} acknowledged = {answered} answered + {silent} silent + {dead} dead; {} parts; \
                 {doubled} doubled, of {} that were sent again by policy; out of order: 0",
                account.arrivals.len() - doubled,
                again.iter().map(|(_, times)| times).sum::<usize>(),
            );
            assert!(answered > 0, "{name}: there was no load");
            answered_in_all += answered;
            silent_in_all += silent;
            dead_in_all += dead;
        }
        let acknowledged = answered_in_all + silent_in_all + dead_in_all;
        println!(
            "in all: {acknowledged} acknowledged = {answered_in_all} answered + {silent_in_all} silent + {dead_in_all} dead: {:?}",
            reasons(&self.letters)
        );
        assert!(silent_in_all > 0 && dead_in_all > 0, "there was no mix");
    }
}

/// How often which part was sent again by policy, by its key in the log.
fn sent_again(log: &str) -> BTreeMap<String, usize> {
    let mut again = BTreeMap::new();
    for line in log.lines().filter(|line| line.contains("a part is sent again")) {
        let line: Value = serde_json::from_str(line).unwrap();
        if line["settled_by"] == "policy" {
            *again.entry(line["part.key"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    again
}

/// Why letters are dead, and how many for each reason.
fn reasons(letters: &[Letter]) -> BTreeMap<&str, usize> {
    let mut reasons = BTreeMap::new();
    for letter in letters {
        *reasons.entry(letter.reason.as_str()).or_default() += 1;
    }
    reasons
}

/// A home for all these bots.
fn home(bots: &[Bot], port: u16, operator: &Operator) -> Home {
    let home = Home::empty(port);
    let templates = home.path().join("templates");
    fs::create_dir_all(templates.join("replies")).unwrap();
    // With nothing to say in the place of a model that refuses, the handler has failed for good.
    fs::write(templates.join("replies/nothing.txt"), "").unwrap();
    let mut text = config(home.path(), port, &format!("templates = \"{}\"", templates.display()));
    text += &operator.table(&home);
    for bot in bots {
        let handler = if bot.is_demo() {
            "kind = \"demo\"".to_owned()
        } else {
            bot.upstream.handler(&["moody", "echo"], "canned_reply = \"replies/nothing.txt\"")
        };
        text += &bot.upstream.tables(home.path(), &handler);
    }
    home.configure(&text);
    bots.iter().fold(home, |home, bot| {
        let at = |key: &str| format!("THREEDOTS_BOTS__{}__{key}", bot.upstream.bot.to_uppercase());
        home.with(at("PROVIDER__TIMEOUT"), "1s")
            .with(at("GATE__KINDS"), "[\"text\"]")
            // The demo writes as slowly as a person.
            .with(at("TURN__TIMEOUT"), if bot.is_demo() { "10s" } else { "3s" })
            // A report comes within moments here.
            .with(at("DELIVERY__SETTLE_WINDOW"), "5s")
            .with(at("FAILURE_REPLY__ENABLED"), "false")
    })
}
