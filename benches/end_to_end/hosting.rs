//! Many bots in one process: how long it takes to start, what a bot takes of memory, what a change of bots costs while
//! turns are under way, and what others notice of a bot whose model hangs.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::WORDS;
use crate::board::Board;
use crate::load::{Connection, Load};
use crate::report::{percentile, say};
use crate::side::Side;
use crate::stub::{self, Stubs};
use crate::wire::Bot;

/// Its model hangs.
const HOG: Bot = Bot { name: "hog", phone_number_id: "109900000000003" };
/// Its model answers at once.
const SHOP: Bot = Bot { name: "shop", phone_number_id: "109900000000001" };

const TOKEN: &str = "an-operator-token-for-a-benchmark";
/// How many turns are under way while bots are put.
const UNDER_WAY: usize = 500;
const PUTS: usize = 200;
/// How many turns of one bot's hang.
const HANGING: usize = 1_000;
const PACED: usize = 1_000;
const A_SECOND: u32 = 200;
const ROUNDS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(60);

/// The outside of one bot.
struct Outside {
    board: Arc<Board>,
    stubs: Stubs,
}

impl Outside {
    fn new(messages: usize) -> Result<Self, String> {
        let board = Arc::new(Board::new(messages, HANGING.max(PACED)));
        let stubs = stub::start(Arc::clone(&board)).map_err(|error| format!("the stubs: {error}"))?;
        Ok(Self { board, stubs })
    }

    fn load(&self, to: SocketAddr, bot: Bot) -> Load {
        Load { board: Arc::clone(&self.board), to, bot, words: WORDS, connections: 32 }
    }
}

#[tokio::main]
pub(crate) async fn measure(bots: usize) -> Result<(), String> {
    let hog = Outside::new(UNDER_WAY + ROUNDS * HANGING)?;
    let shop = Outside::new(2 * (ROUNDS + 1) * PACED)?;
    let (alone, took_alone) = start(0, &hog, &shop)?;
    let memory_alone = alone.side.memory().map_err(|error| error.to_string())?;
    drop(alone);
    let (running, took) = start(bots, &hog, &shop)?;
    let memory = running.side.memory().map_err(|error| error.to_string())?;
    say(&format!("start with 2 bots: {} ms, {} MB", took_alone.as_millis(), memory_alone >> 20));
    say(&format!("start with {} bots: {} ms, {} MB", bots + 2, took.as_millis(), memory >> 20));
    let a_bot = memory.saturating_sub(memory_alone) / bots.max(1) as u64;
    say(&format!("a bot: {:.1} kB", a_bot as f64 / 1000.0));

    let (hog_load, shop_load) = (hog.load(running.side.address, HOG), shop.load(running.side.address, SHOP));
    shop_load.pace(PACED, PACED, A_SECOND).await?;

    let span = hang(&hog, &hog_load, UNDER_WAY).await?;
    let puts = put_some(&running, bots, &hog, &shop).await?;
    hog.stubs.hold.end();
    hog_load.work_off(span).await?;
    let replies = hog.board.to_reply(span).len();
    say(&format!(
        "{PUTS} bots put while {UNDER_WAY} turns are under way: p50 {:.1} ms, p99 {:.1} ms; {replies} turns ended with a reply",
        milliseconds(percentile(&puts, 50)),
        milliseconds(percentile(&puts, 99)),
    ));

    let mut ratios = Vec::new();
    for _ in 0..ROUNDS {
        let calm = shop_load.pace(PACED, PACED, A_SECOND).await?;
        let span = hang(&hog, &hog_load, HANGING).await?;
        let beside = shop_load.pace(PACED, PACED, A_SECOND).await?;
        let hanging = hog.stubs.hold.held();
        hog.stubs.hold.end();
        hog_load.work_off(span).await?;
        let [calm, beside] = [calm, beside].map(|span| percentile(&shop.board.to_reply(span), 99));
        let ratio = beside.as_secs_f64() / calm.as_secs_f64();
        say(&format!(
            "webhook to reply, p99 at {A_SECOND} a second: {:.2} ms calm, {:.2} ms while {hanging} turns of another bot hang: {ratio:.2}",
            milliseconds(calm),
            milliseconds(beside),
        ));
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    say(&format!("the ratio's median: {:.2}, to be under 2", ratios[ROUNDS / 2]));
    let lost = UNDER_WAY - replies;
    let wrong = [&hog, &shop].map(|outside| outside.board.refused() + outside.board.strays()).iter().sum::<usize>();
    if lost + wrong > 0 {
        return Err(format!("{lost} turns were lost, {wrong} webhooks or calls were not as they should be"));
    }
    Ok(())
}

struct Running {
    side: Side,
    operator: SocketAddr,
}

fn start(bots: usize, hog: &Outside, shop: &Outside) -> Result<(Running, Duration), String> {
    let prepare = || {
        // Beside the build, so that the store is on a disk: a temporary directory may be in memory.
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let free = || TcpListener::bind("127.0.0.1:0")?.local_addr();
        let (address, operator, callbacks) = (free()?, free()?, free()?);
        let text = format!(
            "bots_dir = \"bots\"\n[server]\nlisten = \"{address}\"\n[operator]\nlisten = \"{operator}\"\n\
             token = \"file:token\"\n[hosting]\nenv = [\"BENCH_*\"]\nprivate = true\n[callbacks]\nlisten = \"{callbacks}\"\n[log]\nlevel = \"error\"\n"
        );
        fs::write(directory.path().join("token"), TOKEN)?;
        fs::write(directory.path().join("threedots.toml"), text)?;
        write_bots(&directory.path().join("bots"), bots, hog, shop)?;
        let (side, took) = Side::serve(directory, address)?;
        Ok((Running { side, operator }, took))
    };
    prepare().map_err(|error: std::io::Error| error.to_string())
}

fn write_bots(directory: &Path, bots: usize, hog: &Outside, shop: &Outside) -> std::io::Result<()> {
    fs::create_dir(directory)?;
    fs::write(directory.join("hog.toml"), settings(HOG.phone_number_id, &hog.stubs))?;
    fs::write(directory.join("shop.toml"), settings(SHOP.phone_number_id, &shop.stubs))?;
    for number in 0..bots {
        fs::write(directory.join(format!("{}.toml", other(number))), settings(&phone(number), &shop.stubs))?;
    }
    Ok(())
}

fn other(number: usize) -> String {
    format!("bot-{number}")
}

fn phone(number: usize) -> String {
    format!("1099{number:011}")
}

fn settings(phone: &str, stubs: &Stubs) -> String {
    format!(
        "[provider]\nkind = \"meta\"\nphone_number_id = \"{phone}\"\naccess_token = \"env:BENCH_ACCESS_TOKEN\"\n\
         app_secret = \"env:BENCH_APP_SECRET\"\nverify_token = \"env:BENCH_APP_SECRET\"\nbase_url = \"http://{}\"\n\
         messages_per_second = 0\npair_every = \"0s\"\n[gate]\nper_minute = 1000000\n[handler]\nkind = \"llm\"\n\
         instructions = \"You work for a shop.\"\n\
         [[handler.models]]\nbase_url = \"http://{}/v1\"\nmodel = \"stub\"\ntimeout = \"2m\"\nstall = \"2m\"\n\
         [turn]\ntimeout = \"2m\"\n",
        stubs.graph, stubs.model
    )
}

/// Has so many turns of a bot's hang.
async fn hang(hog: &Outside, load: &Load, turns: usize) -> Result<crate::board::Span, String> {
    hog.stubs.hold.begin();
    let span = load.pile_up(turns).await?;
    let end = Instant::now() + PATIENCE;
    while hog.stubs.hold.held() < turns {
        if Instant::now() > end {
            return Err(format!("{} turns hang, not {turns}", hog.stubs.hold.held()));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(span)
}

/// Puts bots: new ones, ones that are there, and the one whose turns are under way.
async fn put_some(running: &Running, bots: usize, hog: &Outside, shop: &Outside) -> Result<Vec<Duration>, String> {
    let mut connection = Connection::open(running.operator).await.map_err(|error| error.to_string())?;
    let mut took = Vec::with_capacity(PUTS);
    for number in 0..PUTS {
        let (name, settings) = match number % 4 {
            0 => (HOG.name.to_owned(), settings(HOG.phone_number_id, &hog.stubs)),
            1 => (other(number % bots.max(1)), settings(&phone(number % bots.max(1)), &shop.stubs)),
            _ => (other(bots + number), settings(&phone(bots + number), &shop.stubs)),
        };
        let table: toml::Table = settings.parse().map_err(|error: toml::de::Error| error.to_string())?;
        let body = serde_json::to_string(&table).map_err(|error| error.to_string())?;
        let request = format!(
            "PUT /v1/bots/{name} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {TOKEN}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let began = Instant::now();
        let status = connection.exchange(request.as_bytes()).await.map_err(|error| error.to_string())?;
        took.push(began.elapsed());
        if !matches!(status, 200 | 201) {
            return Err(format!("a bot was not put: {status}"));
        }
    }
    took.sort_unstable();
    Ok(took)
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
