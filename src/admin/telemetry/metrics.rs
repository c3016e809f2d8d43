//! Numbers over time, in the text format of OpenMetrics, which Prometheus reads. METRICS.md has the table of them.
//!
//! There are as many as a person can look at, and no label holds what customers bring: words that the source has, the
//! names of providers and, where it is asked which bot, the names of bots. A thousand bots make some thousand lines so.

mod labels;

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry, Unit};

use crate::message::BotName;
use crate::runtime::meters::{Fact, MetricsSink};
use labels::{Answer, BotLabel, Call, Came, Direction, Gate, Limit, Outcome, Result, StepLabel, TurnOf, Why};

/// A counter of money.
type Money = Counter<f64, AtomicU64>;
/// Durations, by what came of what took so long.
type Durations<L> = Family<L, Histogram, fn() -> Histogram>;

/// The longest that each bucket of a turn's and a handler's duration takes, in seconds.
const TURN: [f64; 14] = [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 90.0, 300.0];
/// The same of a commit's.
const COMMIT: [f64; 10] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0];

/// All that is counted.
pub struct Metrics {
    registry: Registry,
    webhooks: Family<Answer, Counter>,
    messages: Family<Came, Counter>,
    turned_away: Family<Gate, Counter>,
    turns: Family<TurnOf, Counter>,
    turn_duration: Durations<Outcome>,
    given_back: Family<Why, Counter>,
    running: Gauge,
    dead: Family<BotLabel, Counter>,
    handler_duration: Durations<Result>,
    calls: Family<Call, Counter>,
    commit_duration: Histogram,
    steps: Family<StepLabel, Counter>,
    tokens: Family<Direction, Counter>,
    money: Family<BotLabel, Money>,
    over_budget: Family<Limit, Counter>,
    tools: Family<Result, Counter>,
    waiting: Gauge,
    conversations: Gauge,
    oldest: Gauge<f64, AtomicU64>,
    bot_down: Family<BotLabel, Gauge>,
    store_failed: Gauge,
    out_of_space: Gauge,
}

/// How things stand when somebody looks.
pub struct Gauges {
    /// How many messages wait for an answer.
    pub messages: usize,
    /// How many conversations have something to do.
    pub conversations: usize,
    /// For how long the oldest message has waited.
    pub oldest: Duration,
    /// The bots, and whether they are down.
    pub bots: Vec<(BotName, bool)>,
    /// Whether the store has failed.
    pub store_failed: bool,
    /// Whether the store's disk has too little room for anything new.
    pub out_of_space: bool,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut all = Registry::with_prefix("threedots");
        let r = &mut all;
        Self {
            webhooks: named(r, "webhooks", "Webhooks of bots, by what they were answered with"),
            messages: named(r, "messages", "Messages that came in, by whether they were new"),
            turned_away: named(r, "messages_turned_away", "Messages that a gate turned away"),
            waiting: named(r, "messages_waiting", "Messages that wait for an answer"),
            conversations: named(r, "conversations_waiting", "Conversations with something to do"),
            oldest: of_seconds(r, "oldest_message_age", "For how long the oldest of the waiting messages has waited"),
            turns: named(r, "turns", "Turns that have ended, by how"),
            turn_duration: timed(r, "turn_duration", "How long turns took, by how they ended"),
            given_back: named(r, "turns_given_back", "Turns that were given back until later, by why"),
            running: named(r, "turns_running", "Turns that run"),
            dead: named(r, "dead_letters", "Messages that became dead letters"),
            handler_duration: timed(r, "handler_duration", "How long handlers took, by what came of it"),
            calls: named(r, "provider_calls", "Calls to upstreams, by what came of them"),
            bot_down: named(r, "bot_down", "Whether a bot's upstream does not let it work"),
            commit_duration: {
                let commits = Histogram::new(COMMIT);
                let help = "How long the store took to make a group of writes durable";
                r.register_with_unit("store_commit_duration", help, Unit::Seconds, commits.clone());
                commits
            },
            store_failed: named(r, "store_failed", "Whether the store has failed, and takes nothing in"),
            out_of_space: named(r, "store_out_of_space", "Whether the disk has less room than is kept in reserve"),
            steps: named(r, "llm_steps", "How often a turn came to a step of the ladder of models, by what led there"),
            tokens: named(r, "llm_tokens", "Tokens of models' calls, as far as they are known"),
            money: named(r, "llm_money", "What models' calls have cost, by the configuration's prices"),
            over_budget: named(
                r,
                "llm_budget_refusals",
                "Calls of models that were not made, for a day's budget was used up",
            ),
            tools: named(r, "llm_tool_calls", "Tools that models have had called, by what came of it"),
            registry: all,
        }
    }
}

fn named<M: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

fn of_seconds<M: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    registry.register_with_unit(name, help, Unit::Seconds, metric.clone());
    metric
}

fn timed<L>(registry: &mut Registry, name: &str, help: &str) -> Durations<L>
where
    L: EncodeLabelSet + Clone + Debug + Hash + Eq + Send + Sync + 'static,
{
    let metric = Durations::<L>::new_with_constructor(|| Histogram::new(TURN));
    registry.register_with_unit(name, help, Unit::Seconds, metric.clone());
    metric
}

impl Metrics {
    /// All of it, as text.
    pub fn text(&self, state: Gauges) -> String {
        self.waiting.set(whole(state.messages));
        self.conversations.set(whole(state.conversations));
        self.oldest.set(state.oldest.as_secs_f64());
        self.store_failed.set(state.store_failed.into());
        self.out_of_space.set(state.out_of_space.into());
        // Some may be gone.
        self.bot_down.clear();
        for (bot, down) in &state.bots {
            self.bot_down.get_or_create(&BotLabel::new(bot)).set((*down).into());
        }
        let mut text = String::new();
        // Writing into a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

impl MetricsSink for Metrics {
    fn add(&self, fact: Fact<'_>) {
        match fact {
            Fact::Webhook { provider, answer } => drop(self.webhooks.get_or_create(&Answer { provider, answer }).inc()),
            Fact::Messages { provider, what, count } => {
                self.messages.get_or_create(&Came { provider, what }).inc_by(count as u64);
            }
            Fact::Running(true) => drop(self.running.inc()),
            Fact::Running(false) => drop(self.running.dec()),
            Fact::Turn { bot, outcome, took } => {
                self.turns.get_or_create(&TurnOf { bot: bot.into(), outcome }).inc();
                self.turn_duration.get_or_create(&Outcome { outcome }).observe(took.as_secs_f64());
            }
            Fact::TurnedAway { gate, count } => {
                self.turned_away.get_or_create(&Gate { gate }).inc_by(count as u64);
            }
            Fact::GivenBack { why } => drop(self.given_back.get_or_create(&Why { why }).inc()),
            Fact::Died { bot, count } => drop(self.dead.get_or_create(&BotLabel::new(bot)).inc_by(count as u64)),
            Fact::Handler { result, took } => {
                self.handler_duration.get_or_create(&Result { result }).observe(took.as_secs_f64());
            }
            Fact::Call { provider, call, result } => {
                self.calls.get_or_create(&Call { provider, call, result }).inc();
            }
            Fact::Commit { took } => self.commit_duration.observe(took.as_secs_f64()),
            Fact::Step { step, cause } => drop(self.steps.get_or_create(&StepLabel { step: step.into(), cause }).inc()),
            Fact::Spent { bot, read, written, money } => {
                for (direction, count) in [("read", read), ("written", written)] {
                    self.tokens.get_or_create(&Direction { bot: bot.into(), direction }).inc_by(count);
                }
                if money > 0.0 {
                    self.money.get_or_create(&BotLabel::new(bot)).inc_by(money);
                }
            }
            Fact::OverBudget { limit } => drop(self.over_budget.get_or_create(&Limit { limit }).inc()),
            Fact::Tool { result } => drop(self.tools.get_or_create(&Result { result }).inc()),
        }
    }
}

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
