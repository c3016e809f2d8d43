//! Power cuts, as a block device sees them, and disks that are full: what was acknowledged is there.
//!
//! The store lies on an ext4 in an image file that is mounted as a device. A child process works on it. It is stopped,
//! the image is copied as it is, and the copy takes its place: what the child and the kernel had not written out is
//! gone, as after a power cut. Every cut is made into what the last one left.
#![allow(clippy::print_stdout)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use threedots::message::clock::Clock;
use threedots::message::{BotName, MessageId};
use threedots::store::disk::{Disk, DiskSettings, EngineKind, OpenError};
use threedots::store::{
    Accepted, Claims, Ending, Inbox, Maintenance, Retention, SendLog, Settled, Settlement, StoreError,
};

use super::bench::{message, message_saying, outgoing, unfinished};
use super::labourer::{Journal, Labourer};
use crate::real::{Dice, PATIENCE};

/// How many cuts for each engine, where nobody asks for more by the environment's `CUTS`.
const CUTS: usize = 10;

#[tokio::test]
#[ignore = "needs root and loop devices"]
async fn nothing_acknowledged_is_lost_in_power_cuts_with_sled() {
    cut_the_power(EngineKind::Sled).await;
}

#[tokio::test]
#[ignore = "needs root and loop devices"]
async fn nothing_acknowledged_is_lost_in_power_cuts_with_redb() {
    cut_the_power(EngineKind::Redb).await;
}

async fn cut_the_power(kind: EngineKind) {
    if !can_mount() {
        return;
    }
    let cuts = std::env::var("CUTS").map_or(CUTS, |cuts| cuts.parse().unwrap());
    let (mut dice, seed) = Dice::seeded();
    let mut disk = Device::new(1024);
    let settings = DiskSettings { kind, path: disk.mount_point().join("store"), ..DiskSettings::default() };
    let mut journal = Journal::default();
    let (mut slowest, mut waited) = (Duration::ZERO, 0);
    for cut in 0..cuts {
        let mut labourer = Labourer::start(&settings, cut, &disk.journal(cut));
        labourer.wait_until_it_works(50 + usize::try_from(dice.up_to(500)).unwrap());
        labourer.stop();
        disk.cut(|| labourer.kill());
        journal.read(&disk.journal(cut));

        let began = Instant::now();
        let store = Disk::open(settings.clone(), Clock::System);
        let store = store.unwrap_or_else(|error| panic!("SEED={seed}: it did not open after cut {cut}: {error}"));
        slowest = slowest.max(began.elapsed());
        assert_eq!(store.opened().quarantine, None, "SEED={seed}: after cut {cut}");
        waited += store.opened().waiting;
        store.close().await;
        drop(store);
        compare(&settings, &journal, cut, seed).await;
    }
    // Everything is copied into new files for that, whoever it is.
    let size = || fs::metadata(settings.path.join(kind.name()).join("db")).unwrap().len() >> 20;
    let grown = size();
    let store = Disk::open(settings.clone(), Clock::System).unwrap();
    store.forget(&BotName::new("shop"), "nobody").await.unwrap();
    store.close().await;
    drop(store);
    compare(&settings, &journal, cuts, seed).await;
    println!(
        "{}: {cuts} power cuts; {} messages acknowledged, with {} replies, {} endings and {} MB; lost: 0; found waiting \
         at the {cuts} openings: {waited}; the slowest opening took {} ms; the file has {grown} MB, and {} once it is \
         written anew",
        kind.name(),
        journal.accepted.len(),
        journal.intended,
        journal.settled,
        journal.bytes >> 20,
        slowest.as_millis(),
        size(),
    );
}

/// Holds what is in the store against what was acknowledged.
async fn compare(settings: &DiskSettings, journal: &Journal, cut: usize, seed: u64) {
    let mut waiting = BTreeMap::new();
    let chats = unfinished(settings).await;
    for message in chats.values().flat_map(|(messages, _)| messages) {
        let id = message.inbound.at.message.as_str().to_owned();
        assert_eq!(message.inbound, journal.message(&id), "SEED={seed}: {id} is not what it was, after cut {cut}");
        waiting.insert(id, message.seq.0);
    }
    for (id, seq) in &journal.accepted {
        if !journal.ending.contains(id) {
            assert_eq!(waiting.get(id), Some(seq), "SEED={seed}: {id} is lost after cut {cut}");
        }
    }
    for (chat, keys) in &journal.outgoing {
        let outgoing = chats.get(chat).and_then(|(_, outgoing)| outgoing.as_ref());
        let key = outgoing.and_then(|outgoing| Some(outgoing.parts.first()?.key.as_str().to_owned()));
        assert!(key.is_some_and(|key| keys.contains(&key)), "SEED={seed}: what {chat} is sent is lost after cut {cut}");
    }
    let store = Disk::open(settings.clone(), Clock::System).unwrap();
    // The newest ones, and some of all.
    let step = 1 + journal.accepted.len() / 300;
    let asked: BTreeSet<&String> = journal.newest.iter().chain(journal.accepted.keys().step_by(step)).collect();
    for id in asked {
        let again = store.accept(&[message("any", id)]).await.unwrap();
        let seq = journal.accepted[id];
        assert!(matches!(again[..], [Accepted::Duplicate(known)] if known.0 == seq), "SEED={seed}: {id}, cut {cut}");
    }
    store.close().await;
}

#[tokio::test]
#[ignore = "needs root and loop devices"]
async fn a_full_disk_takes_nothing_new_in_stays_up_and_goes_on_once_there_is_room() {
    if !can_mount() {
        return;
    }
    for kind in EngineKind::ALL {
        // Of a disk this small a quarter is kept in reserve.
        let disk = Device::new(64);
        let ballast = disk.mount_point().join("ballast");
        fs::write(&ballast, vec![1; 24 << 20]).unwrap();
        let settings = DiskSettings { kind, path: disk.mount_point().join("store"), ..DiskSettings::default() };
        let store = Disk::open(settings.clone(), Clock::System).unwrap();
        let mut acknowledged = Vec::new();
        let fill = async |acknowledged: &mut Vec<String>| loop {
            let id = format!("{}", acknowledged.len());
            let chat = format!("chat {}", acknowledged.len() % 7);
            match store.accept(&[message_saying(&chat, &id, "w".repeat(20_000))]).await {
                Ok(_) => acknowledged.push(id),
                Err(error) => break error,
            }
            assert!(acknowledged.len() < 10_000, "the disk does not fill up");
        };
        let error = fill(&mut acknowledged).await;
        assert!(matches!(error, StoreError::OutOfSpace { .. }), "{kind:?}: {error}");
        let filled = acknowledged.len();
        assert!(filled > 100, "{kind:?}: {filled}");
        for id in 0..1_000 {
            let late = store.accept(&[message("late", &format!("late {id}"))]).await;
            assert!(matches!(late, Err(StoreError::OutOfSpace { .. })), "{kind:?}: {late:?}");
        }
        assert_eq!((store.failure(), store.is_out_of_space()), (None, true), "{kind:?}: it stays up");
        // Turns are ended meanwhile, and what is old is thrown away.
        for _ in 0..20 {
            let claim = store.claim(Duration::from_mins(5)).await.unwrap();
            store.intend(&claim, &outgoing(&claim, &["a"])).await.unwrap();
            let endings = claim.messages.iter().map(|waiting| (waiting.seq, Ending::Answered)).collect();
            let sent = vec![(0, MessageId::new("a"))];
            let done = Settlement::Done(Settled { endings, said: Vec::new(), failure_replied: None, sent, failed: 0 });
            store.settle(claim, done).await.unwrap();
            store.sweep(&Retention::default()).await.unwrap();
        }
        // For a copy of everything there may be no room: nobody is forgotten then, and nothing is lost.
        let forgotten = store.forget(&BotName::new("shop"), "nobody").await;
        assert!(matches!(forgotten, Ok(_) | Err(StoreError::Invalid(_))), "{kind:?}: {forgotten:?}");
        assert_eq!(store.failure(), None, "{kind:?}");

        fs::remove_file(&ballast).unwrap();
        store.accept(&[message("ann", "afterwards")]).await.unwrap();
        assert!(!store.is_out_of_space());
        let error = fill(&mut acknowledged).await;
        assert!(matches!(error, StoreError::OutOfSpace { .. }), "{kind:?}: {error}");
        assert!(acknowledged.len() > filled, "{kind:?}");
        store.close().await;
        drop(store);

        // Opened with a full disk, it is up as well.
        let store = Disk::open(settings, Clock::System).unwrap();
        assert_eq!((&store.opened().quarantine, store.is_out_of_space()), (&None, true), "{kind:?}");
        for id in &acknowledged {
            let again = store.accept(&[message("any", id)]).await.unwrap();
            assert!(matches!(again[..], [Accepted::Duplicate(_)]), "{kind:?}: {id} is lost");
        }
        store.close().await;
        let more = acknowledged.len() - filled;
        println!("{}: full after {filled} messages, and after {more} more; none of them lost", kind.name());
    }
}

#[tokio::test]
#[ignore = "needs root and loop devices"]
async fn a_full_disk_that_nobody_looks_at_acknowledges_nothing_and_is_recovered_from() {
    if !can_mount() {
        return;
    }
    for kind in EngineKind::ALL {
        let disk = Device::new(48);
        let ballast = disk.mount_point().join("ballast");
        fs::write(&ballast, vec![1; 12 << 20]).unwrap();
        let settings =
            DiskSettings { kind, path: disk.mount_point().join("store"), reserve: 0, ..DiskSettings::default() };
        let store = Disk::open(settings.clone(), Clock::System).unwrap();
        let mut acknowledged = Vec::new();
        let error = loop {
            let n = acknowledged.len();
            let id = format!("{n}");
            match store.accept(&[message_saying(&format!("chat {}", n % 7), &id, "w".repeat(20_000))]).await {
                Ok(_) => acknowledged.push(id),
                Err(error) => break error,
            }
            assert!(n < 10_000, "the disk does not fill up");
        };
        assert!(matches!(error, StoreError::Failed(_)), "{error}");
        for id in ["late", "later"] {
            let late = store.accept(&[message("late", id)]).await;
            assert!(late.is_err(), "{kind:?}: {id} was acknowledged after the disk was full");
        }
        store.close().await;
        drop(store);

        // While there is no space, no opening gives the data up.
        for _ in 0..3 {
            match Disk::open(settings.clone(), Clock::System) {
                Ok(store) => {
                    assert_eq!(store.opened().quarantine, None, "{kind:?}");
                    store.close().await;
                }
                Err(error) => assert!(matches!(error, OpenError::Io { .. }), "{kind:?}: {error}"),
            }
        }
        fs::remove_file(&ballast).unwrap();
        let store = Disk::open(settings, Clock::System).unwrap();
        assert_eq!(store.opened().quarantine, None, "{kind:?}");
        assert!(store.opened().waiting >= acknowledged.len(), "{kind:?}");
        for id in &acknowledged {
            let again = store.accept(&[message("any", id)]).await.unwrap();
            assert!(matches!(again[..], [Accepted::Duplicate(_)]), "{kind:?}: {id} is lost");
        }
        store.accept(&[message("ann", "afterwards")]).await.unwrap();
        store.close().await;
        println!("{}: full after {} messages, none of them lost", kind.name(), acknowledged.len());
    }
}

/// An ext4 in an image file.
struct Device {
    directory: TempDir,
}

impl Device {
    /// An empty disk of so many MiB, mounted.
    fn new(size: usize) -> Self {
        let disk = Self { directory: tempfile::tempdir().unwrap() };
        fs::create_dir(disk.mount_point()).unwrap();
        let image = disk.image();
        run(Command::new("truncate").args(["-s", &format!("{size}M")]).arg(&image));
        let lazy = "lazy_itable_init=0,lazy_journal_init=0";
        run(Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0", "-E", lazy]).arg(&image));
        disk.mount();
        disk
    }

    fn image(&self) -> PathBuf {
        self.directory.path().join("image")
    }

    fn mount_point(&self) -> PathBuf {
        self.directory.path().join("mounted")
    }

    /// Where a child notes what was acknowledged, off the disk.
    fn journal(&self, cut: usize) -> PathBuf {
        self.directory.path().join(format!("journal-{cut}"))
    }

    fn mount(&self) {
        run(Command::new("mount").args(["-o", "loop"]).arg(self.image()).arg(self.mount_point()));
    }

    fn unmount(&self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        // Threads of a store that was closed, and whoever looks at new mounts, may hold it for a moment.
        while !Command::new("umount")
            .arg(self.mount_point())
            .stderr(std::process::Stdio::null())
            .status()
            .unwrap()
            .success()
        {
            if Instant::now() > deadline {
                return false;
            }
            std::thread::yield_now();
        }
        true
    }

    /// Puts in its place what the device holds now. `end` ends whoever works on it, after that.
    fn cut(&mut self, end: impl FnOnce()) {
        let copy = self.directory.path().join("copy");
        run(Command::new("cp").arg("--sparse=always").arg(self.image()).arg(&copy));
        end();
        assert!(self.unmount(), "the disk is busy");
        fs::rename(&copy, self.image()).unwrap();
        self.mount();
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.unmount();
    }
}

/// Whether disks can be mounted here; says so if not.
fn can_mount() -> bool {
    let succeeds = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
    let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
    let can = root && succeeds(Command::new("losetup").arg("-f")) && succeeds(Command::new("mkfs.ext4").arg("-V"));
    if !can {
        println!("skipped: mounting an image takes root, loop devices and mkfs.ext4");
    }
    can
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
