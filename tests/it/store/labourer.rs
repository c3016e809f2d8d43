//! A process that works on a store with all that the product writes, and notes what was acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use threedots::Inbound;
use threedots::message::MessageId;
use threedots::message::clock::{Clock, Timestamp};
use threedots::store::disk::{Disk, DiskSettings, EngineKind};
use threedots::store::{Claim, Claims, Ending, Inbox, PartState, SendLog, Settled, Settlement};

use super::bench::{LEASE, message_saying, new, outgoing, said};
use crate::real::{Dice, PATIENCE};

/// Where the child finds the store; it does nothing without it.
const PATH: &str = "THREEDOTS_TEST_LABOURER_STORE";
const KIND: &str = "THREEDOTS_TEST_LABOURER_KIND";
const ROUND: &str = "THREEDOTS_TEST_LABOURER_ROUND";
const JOURNAL: &str = "THREEDOTS_TEST_LABOURER_JOURNAL";

/// The lengths of bodies and of what is said, in bytes.
const SHORTEST: u64 = 200;
const LONGEST: u64 = 60_000;

/// The process.
pub(super) struct Labourer {
    child: Child,
    journal: PathBuf,
}

impl Labourer {
    pub(super) fn start(settings: &DiskSettings, round: usize, journal: &Path) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::labourer::a_child_that_labours_for_ever", "--ignored", "--nocapture"])
            .env(PATH, &settings.path)
            .env(KIND, settings.kind.name())
            .env(ROUND, round.to_string())
            .env(JOURNAL, journal)
            .stdout(Stdio::null())
            .stderr(File::create(complaints(journal)).unwrap())
            .spawn()
            .unwrap();
        Self { child, journal: journal.to_owned() }
    }

    /// Waits until so many things were acknowledged.
    pub(super) fn wait_until_it_works(&mut self, lines: usize) {
        let deadline = Instant::now() + PATIENCE;
        while fs::read(&self.journal).unwrap_or_default().iter().filter(|byte| **byte == b'\n').count() < lines {
            if self.child.try_wait().unwrap().is_some() {
                panic!("the labourer has ended: {}", fs::read_to_string(complaints(&self.journal)).unwrap());
            }
            assert!(Instant::now() < deadline, "the labourer does nothing");
            std::thread::yield_now();
        }
    }

    /// Stops it where it stands.
    pub(super) fn stop(&self) {
        let process = self.child.id().to_string();
        assert!(Command::new("kill").args(["-STOP", &process]).status().unwrap().success());
        // Each of its threads comes to its stop in its own time.
        let stopped = |task: fs::DirEntry| {
            let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with(['T', 't']))
        };
        while !fs::read_dir(format!("/proc/{process}/task")).unwrap().all(|task| stopped(task.unwrap())) {
            std::thread::yield_now();
        }
    }

    pub(super) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Where it says why it has ended.
fn complaints(journal: &Path) -> PathBuf {
    journal.with_extension("complaints")
}

/// What was acknowledged, of all processes so far.
#[derive(Default)]
pub(super) struct Journal {
    /// The messages, with their numbers.
    pub(super) accepted: BTreeMap<String, u64>,
    /// Those of the last process.
    pub(super) newest: Vec<String>,
    /// Messages that may have ended: somebody began to settle them.
    pub(super) ending: BTreeSet<String>,
    /// By the chats that are being sent something: the keys of the first parts, of which one must be there.
    pub(super) outgoing: BTreeMap<String, Vec<String>>,
    pub(super) intended: usize,
    pub(super) settled: usize,
    pub(super) bytes: u64,
}

impl Journal {
    /// Reads what a process has noted.
    pub(super) fn read(&mut self, file: &Path) {
        self.newest.clear();
        let text = fs::read_to_string(file).unwrap();
        // The last line may be cut off.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        for line in whole.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["accepted", id, seq, length] => {
                    assert_eq!(self.accepted.insert(id.to_owned(), seq.parse().unwrap()), None);
                    self.newest.push(id.to_owned());
                    self.bytes += length.parse::<u64>().unwrap();
                }
                // Of an intent that was not acknowledged, either may hold.
                ["intending", chat, key] => {
                    if let Some(keys) = self.outgoing.get_mut(chat) {
                        keys.push(key.to_owned());
                    }
                }
                ["intended", chat, key] => {
                    self.outgoing.insert(chat.to_owned(), vec![key.to_owned()]);
                    self.intended += 1;
                }
                ["settling", chat, ref ids @ ..] => {
                    self.outgoing.remove(chat);
                    self.ending.extend(ids.iter().map(|id| (*id).to_owned()));
                }
                ["settled", _] => self.settled += 1,
                _ => panic!("not a line: {line}"),
            }
        }
    }

    /// What a message was, by its identifier.
    pub(super) fn message(&self, id: &str) -> Inbound {
        let chat = id.split('-').nth(1).unwrap();
        message_saying(&format!("chat{chat}"), id, words(id))
    }
}

/// The words of a message, which follow from its identifier: short ones mostly, and some of every length.
fn words(id: &str) -> String {
    let seed = id.bytes().fold(7_u64, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let mut dice = Dice::new(seed);
    let longest = if dice.up_to(3) == 0 { LONGEST } else { 4_000 };
    let length = usize::try_from(SHORTEST + dice.up_to(longest - SHORTEST)).unwrap();
    // What repeats itself can look right in the wrong place.
    let mut words = String::with_capacity(length + 20);
    while words.len() < length {
        words += &format!("{:x} ", dice.up_to(u64::MAX - 1));
    }
    words.truncate(length);
    words
}

/// Runs in a process of its own, which is stopped and killed.
#[test]
#[ignore = "does nothing by itself: another test runs it, and kills it"]
fn a_child_that_labours_for_ever() {
    let Some(path) = std::env::var_os(PATH) else { return };
    let variable = |name: &str| std::env::var(name).unwrap();
    let kind = EngineKind::named(&variable(KIND)).unwrap();
    let settings = DiskSettings { kind, path: PathBuf::from(path), ..DiskSettings::default() };
    let store = Arc::new(Disk::open(settings, Clock::System).unwrap());
    let notes = Notes(Mutex::new(OpenOptions::new().create(true).append(true).open(variable(JOURNAL)).unwrap()));
    let notes = Arc::new(notes);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for chat in 0..8 {
            tasks.spawn(accept(store.clone(), notes.clone(), variable(ROUND), chat));
        }
        for worker in 0..4 {
            tasks.spawn(answer(store.clone(), notes.clone(), variable(ROUND), worker));
        }
        tasks.join_all().await;
    });
}

async fn accept(store: Arc<Disk>, notes: Arc<Notes>, round: String, chat: usize) {
    for n in 0_usize.. {
        let ids: Vec<String> = (0..=n % 3).map(|part| format!("{round}-{chat}-{n}-{part}")).collect();
        let batch: Vec<_> = ids.iter().map(|id| message_saying(&format!("chat{chat}"), id, words(id))).collect();
        for (id, accepted) in ids.iter().zip(store.accept(&batch).await.unwrap()) {
            notes.write(&format!("accepted {id} {} {}", new(accepted), words(id).len()));
        }
    }
}

/// Claims, writes down what is to be sent, and ends most of it, in one way or another.
async fn answer(store: Arc<Disk>, notes: Arc<Notes>, round: String, worker: u64) {
    let mut dice = Dice::new(worker);
    for n in 0_usize.. {
        let claim = store.claim(LEASE).await.unwrap();
        let chat = claim.conversation.chat.as_str().to_owned();
        let words: Vec<String> = (0..1 + dice.up_to(2))
            .map(|part| {
                format!("{round}.{worker}.{n}.{part}.{}", "r".repeat(usize::try_from(dice.up_to(20_000)).unwrap()))
            })
            .collect();
        let mut reply = outgoing(&claim, &words.iter().map(String::as_str).collect::<Vec<_>>());
        for (part, outgoing) in reply.parts.iter_mut().enumerate() {
            outgoing.key = threedots::message::PartKey::new(format!("{round}.{worker}.{n}.{part}"));
        }
        let key = reply.parts[0].key.as_str().to_owned();
        notes.write(&format!("intending {chat} {key}"));
        store.intend(&claim, &reply).await.unwrap();
        notes.write(&format!("intended {chat} {key}"));
        store.mark(&claim, 0, PartState::Sending { attempts: 0 }).await.unwrap();
        if dice.up_to(5) == 0 {
            // Given back as it is: the next one intends anew.
            drop(claim);
            continue;
        }
        settle(&store, &notes, &mut dice, claim, &chat).await;
    }
}

async fn settle(store: &Disk, notes: &Notes, dice: &mut Dice, claim: Claim, chat: &str) {
    let ids: Vec<&str> = claim.messages.iter().map(|waiting| waiting.inbound.at.message.as_str()).collect();
    notes.write(format!("settling {chat} {}", ids.join(" ")).trim_end());
    let dead = dice.up_to(9) == 0;
    let ending = || if dead { Ending::Dead { reason: "code".to_owned() } } else { Ending::Answered };
    let endings = claim.messages.iter().map(|waiting| (waiting.seq, ending())).collect();
    let said = (0..dice.up_to(3)).map(|_| said(&"s".repeat(usize::try_from(dice.up_to(9_000)).unwrap()))).collect();
    let sent = vec![(0, MessageId::new(format!("up {}", ids.first().unwrap_or(&"again"))))];
    let failure_replied = (dice.up_to(4) == 0).then_some(Timestamp(5));
    let done = Settlement::Done(Settled { endings, said, failure_replied, sent, failed: 0 });
    store.settle(claim, done).await.unwrap();
    notes.write(&format!("settled {chat}"));
}

/// Lines that are in the file once they are written, whatever becomes of the process.
struct Notes(Mutex<File>);

impl Notes {
    fn write(&self, line: &str) {
        self.0.lock().unwrap().write_all(format!("{line}\n").as_bytes()).unwrap();
    }
}
