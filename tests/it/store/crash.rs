//! kill -9, at work and while a store opens: what was acknowledged is there.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;

use threedots::message::BotName;
use threedots::message::clock::Clock;
use threedots::store::disk::{Disk, DiskSettings, EngineKind};
use threedots::store::{Accepted, Inbox, Maintenance};

use super::bench::{message, message_saying, new, unfinished};

for_each_engine! {
    paused:
    ;
    running:
        what_was_acknowledged_survives_kill_9
        what_was_acknowledged_survives_kill_9_while_files_are_replaced
}

/// Where the child finds the store; it does nothing without it.
const PATH: &str = "THREEDOTS_TEST_STORE";
/// Which round it is, so that no two children accept the same.
const ROUND: &str = "THREEDOTS_TEST_ROUND";
/// Which engine it has.
const KIND: &str = "THREEDOTS_TEST_KIND";
/// Whether it forgets somebody all the time.
const FORGETS: &str = "THREEDOTS_TEST_FORGETS";

/// What the child says before it opens the store.
const OPENING: &str = "opening";
/// What it says before the identifier and the number of each message that was accepted.
const ACCEPTED: &str = "accepted ";
const ROUNDS: usize = 20;

async fn what_was_acknowledged_survives_kill_9(kind: EngineKind) {
    survive(kind, ROUNDS, 3, false).await;
}

async fn what_was_acknowledged_survives_kill_9_while_files_are_replaced(kind: EngineKind) {
    survive(kind, 6, 1, true).await;
}

/// Kills a child as it opens the store, so many times each round, and then another one in the middle of its work.
async fn survive(kind: EngineKind, rounds: usize, openings: usize, forgets: bool) {
    let directory = tempfile::tempdir().unwrap();
    let settings = DiskSettings { kind, path: directory.path().join("store"), ..DiskSettings::default() };
    let mut acknowledged = BTreeMap::new();
    for round in 0..rounds {
        for _ in 0..openings {
            let (mut child, mut lines) = start(&settings, round, forgets);
            read_until(&mut lines, |line| line == OPENING);
            kill(&mut child);
        }

        let (mut child, mut lines) = start(&settings, round, forgets);
        let most = 20 + 11 * round;
        let mut count = 0;
        let mut note = |line: String| {
            let Some((id, seq)) = line.strip_prefix(ACCEPTED).and_then(|line| line.split_once(' ')) else { return };
            assert_eq!(acknowledged.insert(id.to_owned(), seq.parse::<u64>().unwrap()), None);
        };
        for line in read_until(&mut lines, |line| {
            count += usize::from(line.starts_with(ACCEPTED));
            count >= most
        }) {
            note(line);
        }
        kill(&mut child);
        lines.map_while(Result::ok).for_each(&mut note);

        let store = Disk::open(settings.clone(), Clock::System).unwrap();
        assert_eq!(store.opened().quarantine, None);
        for (id, seq) in &acknowledged {
            let again = store.accept(&[message("any", id)]).await.unwrap();
            assert!(matches!(again[..], [Accepted::Duplicate(known)] if known.0 == *seq));
        }
        store.close().await;
        let chats = unfinished(&settings).await;
        assert!(chats.len() <= 8);
        let waiting = chats.values().flat_map(|(messages, _)| messages);
        let waiting: BTreeMap<_, _> =
            waiting.map(|message| (message.inbound.at.message.as_str(), message.seq.0)).collect();
        for (id, seq) in &acknowledged {
            assert_eq!(waiting.get(id.as_str()), Some(seq), "{id} was acknowledged in round {round} or before");
        }
    }
    assert!(acknowledged.len() >= rounds * 20);
}

/// Runs in a process of its own, which is killed.
#[test]
#[ignore = "does nothing by itself: another test runs it, and kills it"]
fn a_child_that_accepts_for_ever() {
    let (Some(path), Ok(round)) = (std::env::var_os(PATH), std::env::var(ROUND)) else { return };
    let kind = std::env::var(KIND).ok().and_then(|kind| EngineKind::named(&kind)).unwrap();
    let settings = DiskSettings { kind, path: PathBuf::from(path), ..DiskSettings::default() };
    say(OPENING);
    let store = Arc::new(Disk::open(settings, Clock::System).unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let accept = |chat: usize| {
        let (store, round) = (store.clone(), round.clone());
        async move {
            for n in 0_usize.. {
                let id = |part: usize| format!("{round}-{chat}-{n}-{part}");
                let words = |part: usize| "w".repeat((n * 977 + part * 4_001) % 9_000);
                let chat = format!("chat {chat}");
                let batch: Vec<_> = (0..=n % 3).map(|part| message_saying(&chat, &id(part), words(part))).collect();
                let accepted = store.accept(&batch).await.unwrap();
                for (part, accepted) in accepted.into_iter().enumerate() {
                    say(&format!("{ACCEPTED}{} {}", id(part), new(accepted)));
                }
            }
        }
    };
    runtime.block_on(async {
        let mut tasks: tokio::task::JoinSet<()> = (0..8).map(accept).collect();
        if std::env::var_os(FORGETS).is_some() {
            let store = store.clone();
            tasks.spawn(async move {
                // Nobody is known by that name, and all the files are replaced.
                loop {
                    store.forget(&BotName::new("shop"), "nobody").await.unwrap();
                }
            });
        }
        tasks.join_all().await;
    });
}

type Lines = std::io::Lines<BufReader<ChildStdout>>;

fn start(settings: &DiskSettings, round: usize, forgets: bool) -> (Child, Lines) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .envs(forgets.then_some((FORGETS, "")))
        .args(["--exact", "store::crash::a_child_that_accepts_for_ever", "--ignored", "--nocapture"])
        .env(PATH, &settings.path)
        .env(KIND, settings.kind.name())
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines)
}

/// The lines up to the one that is `last`.
fn read_until(lines: &mut Lines, mut last: impl FnMut(&str) -> bool) -> Vec<String> {
    let mut read = Vec::new();
    for line in lines {
        read.push(line.unwrap());
        if last(&read[read.len() - 1]) {
            return read;
        }
    }
    panic!("the child ended by itself");
}

fn kill(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Writes a line of its own, past the test's capture of its output.
fn say(line: &str) {
    std::io::stdout().lock().write_all(format!("\n{line}\n").as_bytes()).unwrap();
}
