//! Medians, ratios, and a table of them beside the targets.

use std::time::Duration;

use crate::Plan;
use crate::side::Kind;
use crate::wire::{Bot, SLOW};

/// What one round found out about one side.
#[derive(Clone, Copy)]
pub(crate) struct Round {
    pub(crate) acknowledgements_a_second: f64,
    pub(crate) acknowledgement_p99: Duration,
    pub(crate) typing_p50: Duration,
    pub(crate) typing_p99: Duration,
    pub(crate) reply_p50: Duration,
    pub(crate) reply_p99: Duration,
    pub(crate) replies_a_second: f64,
    pub(crate) cpu_a_message: Duration,
}

/// The memory of a side while turns wait, in bytes.
#[derive(Clone, Copy)]
pub(crate) struct Waiting {
    pub(crate) turns: usize,
    pub(crate) before: u64,
    pub(crate) during: u64,
}

impl Waiting {
    fn kilobytes_a_turn(self) -> f64 {
        self.during.saturating_sub(self.before) as f64 / self.turns.max(1) as f64 / 1000.0
    }
}

/// What is to be reached.
enum Target {
    None,
    /// So much of the baseline's, at least.
    Ratio(f64),
    /// So much, at most.
    Most(f64),
}

/// Everything that was found out.
pub(crate) struct Report {
    threedots: Vec<Round>,
    baseline: Vec<Round>,
    waiting: [Option<Waiting>; 3],
    limited: Option<String>,
}

impl Report {
    pub(crate) fn new(wanted: usize, waiting: usize, open_files: usize) -> Self {
        let limited = (waiting < wanted).then(|| {
            format!(
                "Only {waiting} turns wait, not {wanted}: {open_files} open files are allowed. First: ulimit -n 20000"
            )
        });
        Self { threedots: Vec::new(), baseline: Vec::new(), waiting: [None; 3], limited }
    }

    pub(crate) fn add_round(&mut self, kind: Kind, round: Round) {
        say(&format!(
            "{:<10}{:>8.0} replies a second, {:.3} ms of CPU a message",
            format!("{kind:?}").to_lowercase(),
            round.replies_a_second,
            milliseconds(round.cpu_a_message)
        ));
        match kind {
            Kind::Threedots => self.threedots.push(round),
            Kind::Baseline => self.baseline.push(round),
        }
    }

    pub(crate) fn add_waiting(&mut self, kind: Kind, bot: Bot, waiting: Waiting) {
        let place = match kind {
            Kind::Threedots if bot.name == SLOW.name => 2,
            Kind::Threedots => 0,
            Kind::Baseline => 1,
        };
        self.waiting[place] = Some(waiting);
    }

    pub(crate) fn print(&self, plan: &Plan, took: Duration) {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let Plan { rounds, senders, connections, burst, throughput, in_flight, a_second, .. } = *plan;
        say(&format!(
            "\nMedians of {rounds} rounds by turns, {:.0} s in all, on {cores} cores. Load and stubs share them with \
             whoever is measured: that is the\nsame for both sides, draws the ratio of replies towards 1, and leaves \
             CPU and memory as they are. Webhooks come in over\n{connections} connections: a burst is {burst} at \
             once; replies a second and CPU are those of {throughput} messages from {senders} senders,\n{in_flight} \
             of them in flight. One message a turn.\n",
            took.as_secs_f64()
        ));
        say(&format!("{:<46}{:>10}{:>10}{:>8}   {}", "", "threedots", "baseline", "ratio", "target"));
        let paced = format!("webhook to typing, ms, at {a_second} a second");
        self.line("acknowledgements a second, in a burst", |round| round.acknowledgements_a_second, Target::None);
        self.line("  their p99, ms", |round| milliseconds(round.acknowledgement_p99), Target::None);
        self.line(&format!("{paced}: p50"), |round| milliseconds(round.typing_p50), Target::None);
        self.line("  p99", |round| milliseconds(round.typing_p99), Target::None);
        self.line("webhook to reply, ms, at the same rate: p50", |round| milliseconds(round.reply_p50), Target::None);
        self.line("  p99", |round| milliseconds(round.reply_p99), Target::None);
        self.line("replies a second", |round| round.replies_a_second, Target::Ratio(0.7));
        self.line("CPU a message, ms", |round| milliseconds(round.cpu_a_message), Target::Most(0.25));
        let kilobytes = self.waiting.map(|waiting| waiting.map(Waiting::kilobytes_a_turn));
        if let [Some(threedots), Some(baseline), Some(slow)] = kilobytes {
            let turns = self.waiting[0].map_or(0, |waiting| waiting.turns);
            row(&format!("memory a waiting turn, kB, {turns} of them"), threedots, Some(baseline), &Target::Most(12.0));
            row("  without a connection to a model", slow, None, &Target::None);
        }
        say("");
        for (name, waiting) in ["threedots", "baseline", "threedots, no model"].iter().zip(self.waiting) {
            if let Some(Waiting { turns, before, during }) = waiting {
                let [before, during] = [before, during].map(|bytes| bytes as f64 / 1e6);
                say(&format!("{name}: {before:.1} MB before, {during:.1} MB with {turns} waiting turns"));
            }
        }
        if let Some(limited) = &self.limited {
            say(limited);
        }
    }

    fn line(&self, name: &str, value: impl Fn(&Round) -> f64, target: Target) {
        let [threedots, baseline] = [&self.threedots, &self.baseline].map(|rounds| median(rounds.iter().map(&value)));
        row(name, threedots, Some(baseline), &target);
    }
}

fn row(name: &str, threedots: f64, baseline: Option<f64>, target: &Target) {
    let number = |value: f64| if value < 100.0 { format!("{value:.3}") } else { format!("{value:.0}") };
    let ratio = baseline.map(|baseline| threedots / baseline);
    let verdict = |reached| if reached { "reached" } else { "missed" };
    let target = match target {
        Target::None => String::new(),
        Target::Ratio(least) => {
            format!("at least {least} of the baseline: {}", verdict(ratio.is_some_and(|ratio| ratio >= *least)))
        }
        Target::Most(most) => format!("at most {most}: {}", verdict(threedots <= *most)),
    };
    say(&format!(
        "{name:<46}{:>10}{:>10}{:>8}   {target}",
        number(threedots),
        baseline.map(number).unwrap_or_default(),
        ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default(),
    ));
}

/// The value below which so many of a hundred are. Expects them sorted.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(place).copied().unwrap_or_default()
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[expect(clippy::print_stdout, reason = "a benchmark's result")]
pub(crate) fn say(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "a benchmark's complaint")]
pub(crate) fn complain(text: &str) {
    eprintln!("{text}");
}
