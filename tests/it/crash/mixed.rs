//! kill -9 of the real binary with a bot on each upstream, whose handlers answer in one part or in several, keep silent,
//! fail, hang and panic: every message that was acknowledged is answered, or silent, or dead, and none of them is two.
//!
//! No part comes twice where its upstream knows our keys or reports them. Where it does neither, one may that was on its
//! way when nobody could know what became of it, and then the log says so under that part's key.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;
use threedots::sandbox::{Calls, Draft, Failure, Fault, Mischief, Sandbox, Upstream as Kind, WebhookFault};

use super::killing::{When, kill, plan};
use crate::real::account::{Account, Word};
use crate::real::binary::Home;
use crate::real::load::Load;
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
    Run { kills: 196, late: 4, store: "sled", trouble: true }.go().await;
}

/// A kill loop.
struct Run {
    kills: usize,
    /// So many more processes live for long.
    late: usize,
    store: &'static str,
    trouble: bool,
}

/// A bot, its upstream, and its customers.
struct Bot {
    upstream: Upstream,
    load: Load,
}

/// What became of a bot's messages.
struct Ends {
    account: Account,
    silent: BTreeSet<Word>,
    dead: BTreeSet<Word>,
}

/// Half of all sends fail: 20 % are delivered and nobody is told, 10 % are not and nobody is told, 10 % get a 500, and
/// 10 % are too many.
fn make_trouble(sandbox: &Sandbox) {
    let sends = |share, failure| Fault::on(Calls::Send).share(share).fail(failure);
    for failure in [Failure::Reset, Failure::Hang] {
        sandbox.faults().add(sends(10, failure).after_effect());
        sandbox.faults().add(sends(5, failure));
    }
    sandbox.faults().add(sends(10, Failure::Broken));
    sandbox.faults().add(sends(10, Failure::TooMany { retry_after: Some(1) }));
}

/// What the model is to do.
fn mood(word: Word) -> &'static str {
    match (3 * word.who as u64 + word.number) % 20 {
        0 => "stall",
        3 | 13 => "long",
        4 | 14 => PICTURE,
        6 | 16 => "busy",
        7 | 17 => "refuse",
        _ => "",
    }
}

/// No word, but a message of a kind that the bot does not answer.
const PICTURE: &str = "picture";

fn to_the_model(word: Word) -> Draft {
    match mood(word) {
        PICTURE => Draft::image(Some(&word.to_string())),
        mood => Draft::text(format!("{word} {mood}")),
    }
}

/// What the demo is to do; of several messages it does what the first says.
fn order(word: Word) -> &'static str {
    ["silent", "", "fail", "panic"][(word.who + usize::try_from(word.number).unwrap()) % 4]
}

fn to_the_demo(word: Word) -> Draft {
    Draft::text(format!("{} {word}", order(word)))
}

/// Whether the upstream neither knows our keys nor reports them.
fn is_blind(kind: Kind) -> bool {
    matches!(kind, Kind::Wawp | Kind::Waha)
}

impl Bot {
    fn start(kind: Kind, port: u16, dice: &mut Dice) -> Self {
        let upstream = Upstream::of(kind, kind.name(), port);
        // Every webhook comes twice at the same time, and each of the two until it is taken.
        upstream.sandbox.faults().add(WebhookFault::new(Mischief::Duplicate));
        let load = match kind {
            Kind::Waha => Load::start(&upstream, dice, 4, 0, 2000, to_the_demo),
            _ => Load::start(&upstream, dice, 6, 0, 200, to_the_model),
        };
        Self { upstream, load }
    }

    fn is_demo(&self) -> bool {
        self.kind() == Kind::Waha
    }

    fn kind(&self) -> Kind {
        self.upstream.sandbox.settings().upstream
    }

    fn account(&self) -> Account {
        self.upstream.account(&self.load.customers)
    }

    /// What became of every message; `letters` are the dead.
    fn ends(&self, letters: &[Letter]) -> Ends {
        let bot = self.upstream.bot;
        let (account, mut dead) = (self.account(), BTreeSet::new());
        for letter in letters.iter().filter(|letter| letter.bot == bot) {
            assert!(dead.insert(letter.word), "{bot}: {} is dead twice", letter.word);
        }
        let answered = account.answered();
        let both: Vec<_> = answered.intersection(&dead).collect();
        assert!(both.is_empty(), "{bot}: answered, and dead: {both:?}");
        let unknown: Vec<_> = answered.union(&dead).filter(|word| !account.acknowledged.contains(word)).collect();
        assert!(unknown.is_empty(), "{bot}: never acknowledged: {unknown:?}");
        let no_end = |word: &&Word| !answered.contains(word) && !dead.contains(word);
        let silent: BTreeSet<_> = account.acknowledged.iter().filter(no_end).copied().collect();
        for word in &account.acknowledged {
            let is_silent = silent.contains(word);
            if self.is_demo() {
                // Those behind the one that asked for silence are left in silence together with it.
                let together = || silent.contains(&Word { number: word.number - 1, ..*word });
                assert!(!is_silent || order(*word) == "silent" || together(), "{bot}: {word} has no end");
            } else {
                assert_eq!(is_silent, mood(*word) == PICTURE, "{bot}: whether {word} is silent");
            }
        }
        Ends { account, silent, dead }
    }

    /// No part came twice but those that the log names: `again` are the parts that were sent again by policy, and how
    /// often. Returns how many did.
    fn check_doubles(&self, account: &Account, again: &[(Part, usize)]) -> usize {
        let bot = self.upstream.bot;
        let mut doubles: BTreeMap<&str, usize> = BTreeMap::new();
        for double in account.doubles() {
            assert!(is_blind(self.kind()), "{bot}: twice: {double:?}");
            let times = doubles.entry(&double.text).or_default();
            *times += 1;
            let named = again.iter().find(|(part, _)| part.bot == bot && part.text == double.text);
            let named = named.map_or(0, |(_, times)| *times);
            assert!(*times <= named, "{bot}: {times} times too often, and the log knows of {named}: {double:?}");
        }
        doubles.values().sum()
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

impl Run {
    async fn go(self) {
        let Self { kills, late, store, trouble } = self;
        let (mut dice, seed) = Dice::seeded();
        let (port, operator) = (free_port(), Operator::new(free_port()));
        let bots: Vec<Bot> = Kind::ALL.into_iter().map(|kind| Bot::start(kind, port, &mut dice)).collect();
        let home = home(&bots, port, &operator).with("THREEDOTS_STORE__KIND", store);
        for bot in bots.iter().filter(|_| trouble) {
            make_trouble(&bot.upstream.sandbox);
        }
        let mut plan = plan(kills, &mut dice);
        for _ in 0..late {
            let at = usize::try_from(dice.up_to(plan.len() as u64)).unwrap();
            plan.insert(at, When::Late);
        }
        let upstreams: Vec<&Upstream> = bots.iter().map(|bot| &bot.upstream).collect();
        let began = Instant::now();
        kill(&home, &upstreams, &plan, &mut dice).await;
        let killing = began.elapsed();
        let mut bots = bots;
        let mut binary = home.start_and_wait().await;
        for bot in &mut bots {
            bot.load.end().await;
            bot.upstream.sandbox.faults().clear();
        }
        let deadline = Instant::now() + PATIENCE;
        while !operator.sees_nothing_waiting().await {
            assert!(Instant::now() < deadline, "SEED={seed}: something waits for ever");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let taken = began.elapsed();

        // The next process has nothing left to say.
        binary.signal("TERM");
        assert!(binary.ended().await.success());
        let said = |bots: &[Bot]| bots.iter().map(|bot| bot.account().arrivals.len()).collect::<Vec<_>>();
        let before = said(&bots);
        let mut binary = home.start_and_wait().await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        let letters = operator.letters().await;
        let times = sent_again(&home.log());
        let again = operator.parts(times.keys().map(String::as_str)).await;
        let again: Vec<(Part, usize)> = again.into_iter().map(|(key, part)| (part, times[key])).collect();
        let mut listed = listed(&home);
        binary.signal("TERM");
        assert!(binary.ended().await.success());

        assert_eq!(said(&bots), before, "SEED={seed}: something was said again after everything was settled");
        let numbers: Vec<_> = letters.iter().map(|letter| letter.number).collect();
        listed.sort_unstable();
        assert_eq!(listed, numbers, "SEED={seed}: `threedots dead list` and the API");
        for (part, _) in &again {
            let blind = bots.iter().any(|bot| bot.upstream.bot == part.bot && is_blind(bot.kind()));
            assert!(blind, "SEED={seed}: {} has better means than a policy", part.bot);
        }
        println!(
            "{store}: {} kills in {} s, all settled {} s later; {} dead letters: {:?}",
            plan.len(),
            killing.as_secs(),
            (taken - killing).as_secs(),
            letters.len(),
            reasons(&letters),
        );
        let mut total = (0, 0, 0);
        for bot in &bots {
            let ends = bot.ends(&letters);
            let Ends { account, silent, dead } = &ends;
            let answered = account.answered().len();
            assert_eq!(account.acknowledged.len(), answered + silent.len() + dead.len(), "SEED={seed}");
            assert_eq!(account.disorder(), [""; 0], "SEED={seed}: {}", bot.upstream.bot);
            let doubles = bot.check_doubles(account, &again);
            let marked: usize =
                again.iter().filter(|(part, _)| part.bot == bot.upstream.bot).map(|(_, times)| times).sum();
            println!(
                "{}: {} acknowledged = {answered} answered + {} silent + {} dead; {} parts, {doubles} doubled, {marked} sent \
                 again by policy; out of order: 0",
                bot.upstream.bot,
                account.acknowledged.len(),
                silent.len(),
                dead.len(),
                account.arrivals.len() - doubles,
            );
            assert!(answered > 0, "there was no load");
            total = (total.0 + answered, total.1 + silent.len(), total.2 + dead.len());
            home.check_log(&bot.load.customers);
        }
        let (answered, silent, dead) = total;
        println!("in all: {} acknowledged = {answered} + {silent} + {dead}", answered + silent + dead);
        assert!(silent > 0 && dead > 0, "there was no mix");
        for bot in bots {
            bot.upstream.stop().await;
        }
    }
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
            let models = bot.upstream.handler(&["moody", "echo"]);
            models.replacen('\n', "\ncanned_reply = \"replies/nothing.txt\"\n", 1)
        };
        text += &bot.upstream.bot(home.path(), &handler);
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
