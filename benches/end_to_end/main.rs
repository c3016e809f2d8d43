//! threedots beside a bare handler, from outside: signed webhooks in, calls to stubs out.
//!
//! `cargo bench --bench end_to_end` takes some four minutes; with `-- --quick` it takes seconds and measures nothing
//! worth keeping; with `-- --press 60` it only keeps threedots busy for so many seconds, for a profiler; with
//! `-- --hosting` it looks at 2,000 bots in one process, or as many as a number behind that says.

mod baseline;
mod board;
mod hosting;
mod load;
mod report;
mod side;
mod stub;
mod wire;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use board::Board;
use load::Load;
use report::{Report, Round, Waiting};
use side::{Kind, Side};
use stub::Stubs;
use wire::{Bot, SHOP, SLOW};

const WORDS: &str = "Are you open on Sunday?";

/// How much of everything.
struct Plan {
    rounds: usize,
    senders: usize,
    connections: usize,
    warm_up: usize,
    burst: usize,
    throughput: usize,
    in_flight: usize,
    paced: usize,
    a_second: u32,
    waiting: usize,
    words: &'static str,
}

const FULL: Plan = Plan {
    rounds: 3,
    senders: 2_000,
    connections: 256,
    warm_up: 2_000,
    burst: 2_000,
    throughput: 10_000,
    in_flight: 512,
    paced: 1_000,
    a_second: 200,
    waiting: 10_000,
    words: "slow 15",
};

const QUICK: Plan = Plan {
    rounds: 1,
    senders: 200,
    connections: 32,
    warm_up: 200,
    burst: 200,
    throughput: 400,
    in_flight: 64,
    paced: 100,
    a_second: 200,
    waiting: 200,
    words: "slow 1",
};

const USAGE: &str =
    "run it with: cargo bench --bench end_to_end [-- --quick | -- --press SECONDS | -- --hosting [BOTS]]";
/// How long everybody may take to be in flight.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let asked_for = std::env::args().any(|argument| argument == "--bench");
    let done = match arguments[..] {
        ["--baseline", listen, graph, model] => {
            baseline::serve(listen, graph, model).map_err(|error| error.to_string())
        }
        ["--quick"] => measure(&QUICK),
        ["--press", seconds] => seconds.parse().map_err(|_| "seconds?".to_owned()).and_then(|s| press(&FULL, s)),
        ["--hosting"] => hosting::measure(2_000),
        ["--hosting", bots] => bots.parse().map_err(|_| "how many?".to_owned()).and_then(hosting::measure),
        [] if asked_for => measure(&FULL),
        // `cargo test --all-targets` comes here, and is not to wait for minutes.
        [] => {
            report::say(USAGE);
            Ok(())
        }
        _ => Err(USAGE.to_owned()),
    };
    done.map_or_else(
        |problem| {
            report::complain(&problem);
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}

#[tokio::main]
async fn measure(plan: &Plan) -> Result<(), String> {
    let began = Instant::now();
    let open_files = side::open_files();
    // A connection to the model and one to Meta for each, on both ends, and the webhooks' own.
    let waiting = plan.waiting.min(open_files.saturating_sub(2_000) / 5 * 3);
    let bench = Bench::new(plan, waiting)?;
    let mut report = Report::new(plan.waiting, waiting, open_files);
    for round in 0..plan.rounds {
        // Who goes first has the warmer or the cooler machine: by turns.
        let kinds = [Kind::Threedots, Kind::Baseline];
        for kind in if round % 2 == 0 { kinds } else { [kinds[1], kinds[0]] } {
            report.add_round(kind, bench.round(kind).await.map_err(|problem| format!("{kind:?}: {problem}"))?);
        }
    }
    for (kind, bot) in [(Kind::Threedots, SHOP), (Kind::Baseline, SHOP), (Kind::Threedots, SLOW)] {
        let found = bench.waiting(kind, bot, waiting).await;
        report.add_waiting(kind, bot, found.map_err(|problem| format!("{kind:?}, waiting: {problem}"))?);
    }
    report.print(plan, began.elapsed());
    let (refused, strays) = (bench.board.refused(), bench.board.strays());
    if refused + strays > 0 {
        return Err(format!(
            "{refused} webhooks were not answered with 200, {strays} calls were one too many, or no answers"
        ));
    }
    Ok(())
}

/// Keeps threedots busy.
#[tokio::main]
async fn press(plan: &Plan, seconds: u64) -> Result<(), String> {
    let plan = &Plan { rounds: 100, ..*plan };
    let bench = Bench::new(plan, 0)?;
    let (side, load) = bench.start(Kind::Threedots, SHOP, WORDS).await?;
    report::say(&format!("threedots is process {}", side.pid()));
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        let span = load.press(plan.throughput, plan.senders, plan.in_flight).await?;
        report::say(&format!("{:.0} replies a second", bench.board.replies_a_second(span)));
    }
    Ok(())
}

struct Bench<'a> {
    plan: &'a Plan,
    board: Arc<Board>,
    stubs: Stubs,
}

impl<'a> Bench<'a> {
    fn new(plan: &'a Plan, waiting: usize) -> Result<Self, String> {
        let Plan { warm_up, burst, throughput, paced, .. } = plan;
        let messages = plan.rounds * 2 * (warm_up + burst + throughput + paced) + 3 * (waiting + warm_up);
        let board = Arc::new(Board::new(messages, plan.senders.max(waiting)));
        let stubs = stub::start(Arc::clone(&board)).map_err(|error| format!("the stubs: {error}"))?;
        Ok(Self { plan, board, stubs })
    }

    /// Starts a side and warms it up.
    async fn start(&self, kind: Kind, bot: Bot, words: &'static str) -> Result<(Side, Load), String> {
        let side = Side::start(kind, &self.stubs).map_err(|error| error.to_string())?;
        let (board, connections) = (Arc::clone(&self.board), self.plan.connections);
        let load = Load { board, to: side.address, bot: SHOP, words: WORDS, connections };
        load.press(self.plan.warm_up, self.plan.senders, self.plan.in_flight).await?;
        Ok((side, Load { bot, words, ..load }))
    }

    /// Everything that is done several times.
    async fn round(&self, kind: Kind) -> Result<Round, String> {
        let Plan { senders, burst, throughput, in_flight, paced, a_second, .. } = *self.plan;
        let (side, load) = self.start(kind, SHOP, WORDS).await?;
        let burst = load.press(burst, senders, senders).await?;
        settle().await;
        let cpu = side.cpu().map_err(|error| error.to_string())?;
        let pressed = load.press(throughput, senders, in_flight).await?;
        settle().await;
        let cpu = side.cpu().map_err(|error| error.to_string())? - cpu;
        let paced = load.pace(paced, senders, a_second).await?;
        let acknowledged = self.board.to_acknowledgement(burst);
        let (typing, reply) = (self.board.to_typing(paced), self.board.to_reply(paced));
        Ok(Round {
            acknowledgements_a_second: self.board.acknowledgements_a_second(burst),
            acknowledgement_p99: report::percentile(&acknowledged, 99),
            typing_p50: report::percentile(&typing, 50),
            typing_p99: report::percentile(&typing, 99),
            reply_p50: report::percentile(&reply, 50),
            reply_p99: report::percentile(&reply, 99),
            replies_a_second: self.board.replies_a_second(pressed),
            cpu_a_message: cpu / u32::try_from(pressed.len()).unwrap_or(u32::MAX),
        })
    }

    /// Memory, with so many turns waiting for a model, or (with the bot that needs none) for time to pass.
    async fn waiting(&self, kind: Kind, bot: Bot, messages: usize) -> Result<Waiting, String> {
        let (side, load) = self.start(kind, bot, self.plan.words).await?;
        settle().await;
        let before = side.memory().map_err(|error| error.to_string())?;
        self.stubs.hold.begin();
        let span = load.pile_up(messages).await?;
        let end = Instant::now() + PATIENCE;
        let all = || {
            self.board.typing_calls(span) == messages && (bot.name == SLOW.name || self.stubs.hold.held() == messages)
        };
        while !all() {
            if Instant::now() > end {
                return Err(format!("{} are in flight, not {messages}", self.stubs.hold.held()));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let in_flight = self.board.to_reply(span).len();
        let during = side.memory().map_err(|error| error.to_string())?;
        self.stubs.hold.end();
        load.work_off(span).await?;
        Ok(Waiting { turns: messages - in_flight, before, during })
    }
}

/// What follows a last reply is part of its cost.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(300)).await;
}
