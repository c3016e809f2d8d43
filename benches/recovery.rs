//! How long a store takes to open, and how much memory, when much is stored and some of it waits.
//!
//! `cargo bench --bench recovery` fills a store for each engine with 1,000,000 conversations, of which 10,000 wait, and
//! opens it twice: after it was closed, and after the process that had it open was killed. Then it reads everything, as
//! `threedots store verify` does. `-- --conversations N` for another number. Each step runs in a process of its own, so
//! that its memory is its own.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use threedots::Inbound;
use threedots::message::clock::{Clock, Timestamp};
use threedots::message::{HistoryEntry, Speaker};
use threedots::store::disk::{Disk, DiskSettings, EngineKind};
use threedots::store::{Claims, Ending, Inbox, Maintenance, Settled, Settlement};
use tokio::task::JoinSet;

/// How many things are said in a conversation.
const SAID: usize = 4;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let after = |name: &str| arguments.iter().position(|argument| argument == name).map(|at| arguments[at + 1].clone());
    let number = |name: &str, otherwise| after(name).map_or(otherwise, |number| number.parse().unwrap());
    let conversations: usize = number("--conversations", 1_000_000);
    let waiting = number("--waiting", conversations / 100);
    let Some(step) = after("--step") else {
        for kind in EngineKind::ALL {
            measure(kind, conversations, waiting);
        }
        return;
    };
    let kind = EngineKind::named(&after("--kind").unwrap()).unwrap();
    let path = PathBuf::from(after("--path").unwrap());
    match step.as_str() {
        "fill" => fill(kind, path, conversations, waiting).await,
        "verify" => verify(kind, path),
        step => open(kind, path, waiting, step == "kill").await,
    }
}

/// Runs the steps for one engine, and prints what they say.
fn measure(kind: EngineKind, conversations: usize, waiting: usize) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let run = |step: &str| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--step", step, "--kind", kind.name(), "--path"]).arg(&path);
        command.args(["--conversations", &conversations.to_string(), "--waiting", &waiting.to_string()]);
        let output = command.stderr(Stdio::inherit()).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    println!("{}: {conversations} conversations, {waiting} messages waiting", kind.name());
    println!("  filled in        {}, {} MB on disk", run("fill"), size(&path) >> 20);
    println!("  opened           {}", run("kill"));
    println!("  after a kill -9  {}", run("open"));
    println!("  verified         {}", run("verify"));
}

async fn fill(kind: EngineKind, path: PathBuf, conversations: usize, waiting: usize) {
    let began = Instant::now();
    let store = Arc::new(Disk::open(settings(kind, path), Clock::System).unwrap());
    for first in (0..conversations).step_by(2_000) {
        let mut tasks = JoinSet::new();
        for n in first..conversations.min(first + 2_000) {
            let store = store.clone();
            tasks.spawn(async move {
                store.accept(&[message(n)]).await.unwrap();
            });
        }
        tasks.join_all().await;
        let mut tasks = JoinSet::new();
        for _ in first.max(waiting)..conversations.min(first + 2_000) {
            let claim = store.claim(Duration::from_hours(1)).await.unwrap();
            let store = store.clone();
            tasks.spawn(async move {
                let endings = claim.messages.iter().map(|waiting| (waiting.seq, Ending::Answered)).collect();
                let said = (0..SAID).map(|_| said()).collect();
                let done =
                    Settlement::Done(Settled { endings, said, failure_replied: None, sent: Vec::new(), failed: 0 });
                store.settle(claim, done).await.unwrap();
            });
        }
        tasks.join_all().await;
    }
    store.close().await;
    println!("{:.1} s, {}", began.elapsed().as_secs_f64(), memory());
}

async fn open(kind: EngineKind, path: PathBuf, waiting: usize, kill: bool) {
    let began = Instant::now();
    let store = Disk::open(settings(kind, path), Clock::System).unwrap();
    assert_eq!((store.opened().waiting, &store.opened().quarantine), (waiting, &None));
    println!("in {:.2} s, {}", began.elapsed().as_secs_f64(), memory());
    if kill {
        // So that there is something to take up.
        store.accept(&[message(0)]).await.unwrap();
        let claim = store.claim(Duration::from_hours(1)).await.unwrap();
        store.settle(claim, Settlement::Later { at: Timestamp(0) }).await.unwrap();
        std::process::abort();
    }
    store.close().await;
}

fn verify(kind: EngineKind, path: PathBuf) {
    let began = Instant::now();
    let report = threedots::store::disk::maintenance::verify(&settings(kind, path)).unwrap();
    assert_eq!(report.damaged(), 0, "{report}");
    println!("in {:.2} s, {}", began.elapsed().as_secs_f64(), memory());
}

fn settings(kind: EngineKind, path: PathBuf) -> DiskSettings {
    DiskSettings { kind, path, max_waiting: usize::MAX, ..DiskSettings::default() }
}

fn message(n: usize) -> Inbound {
    let chat = format!("4915550{n:08}");
    let at = json!({"bot": "shop", "chat": chat, "sender": chat, "message": format!("wamid.{n:032}"), "time": 0});
    serde_json::from_value(json!({"at": at, "content": {"type": "text", "body": "When do you open on Sundays?"}}))
        .unwrap()
}

fn said() -> HistoryEntry {
    let words = "We open at ten, and we close when the last guest has gone.".to_owned();
    HistoryEntry {
        by: Speaker::Customer,
        words,
        time: Timestamp(1_700_000_000_000),
        who: None,
        told: None,
        transcript: false,
        name: None,
        message: None,
    }
}

/// The most memory that this process has had.
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes: u64 = line.and_then(|line| line.trim().split(' ').next()?.parse().ok()).unwrap_or(0);
    format!("{} MB of memory", kilobytes >> 10)
}

fn size(path: &Path) -> u64 {
    let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { size(&path) } else { path.metadata().unwrap().len() }).sum()
}
