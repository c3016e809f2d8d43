//! A disk that runs full: nothing new is taken in, what has begun is ended, and it goes on once there is room.
//!
//! Here the disk is made to say how much room it has; `power.rs` fills a real one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use threedots::ingress::webhook::{ServerConfig, Webhooks};
use threedots::message::clock::Clock;
use threedots::message::{BotName, Stage};
use threedots::policy::control::ControlConfig;
use threedots::policy::takeover::PeopleConfig;
use threedots::runtime::meters::Meters;
use threedots::store::disk::{Disk, DiskSettings, EngineKind, Space, SpaceProbe};
use threedots::store::{Accepted, Enqueued, Maintenance, PartState, Retention, Seq, Store, StoreError};

use super::bench::{Bench, let_others_run, message, outgoing, report, wait_for_claims, within};
use super::contract::new_proactive;
use crate::real::load::{self, batch, write};
use crate::world;

const MIB: u64 = 1 << 20;
const RESERVE: u64 = 100 * MIB;

/// A store on a disk that says that it has as much room as is put there.
fn bench(kind: EngineKind) -> (Bench, Arc<AtomicU64>) {
    bench_on(kind, RESERVE, 10_000 * MIB)
}

fn bench_on(kind: EngineKind, reserve: u64, whole: u64) -> (Bench, Arc<AtomicU64>) {
    let free = Arc::new(AtomicU64::new(whole));
    let told = Arc::clone(&free);
    let space = SpaceProbe::new(move |_| Ok(Space { free: told.load(Ordering::SeqCst), whole }));
    (Bench::disk_with(kind, Clock::tokio(), |settings| DiskSettings { reserve, space, ..settings }), free)
}

fn set(free: &AtomicU64, bytes: u64) {
    free.store(bytes, Ordering::SeqCst);
}

fn is_out_of_space<T: std::fmt::Debug>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::OutOfSpace { .. }))
}

async fn a_disk_that_is_almost_full_takes_nothing_new_in_until_there_is_room(kind: EngineKind) {
    let (bench, free) = bench(kind);
    bench.accept(message("ann", "1")).await;
    bench.accept(message("ben", "2")).await;
    let known = new_proactive("known", "cid", &["a"]);
    assert!(matches!(bench.store.enqueue(&known).await, Ok(Enqueued::New(_))));
    let dead = bench.claim().await;
    bench.bury(dead).await;

    set(&free, RESERVE - 1);
    assert!(is_out_of_space(&bench.store.accept(&[message("ann", "3")]).await));
    assert!(is_out_of_space(&bench.store.accept(&[message("ann", "1"), message("ann", "3")]).await), "or all, or none");
    assert!(is_out_of_space(&bench.store.enqueue(&new_proactive("new", "cid", &["a"])).await));
    assert!(is_out_of_space(&bench.store.replay(Seq(1)).await));
    let bot = BotName::new("shop");
    assert!(is_out_of_space(&bench.store.invite(&bot, [1; 32], bench.clock.now()).await));
    assert!(bench.store.is_out_of_space());
    assert_eq!(bench.store.failure(), None, "it works");
    // What is known needs no room.
    assert!(matches!(bench.accept(message("ann", "1")).await, Accepted::Duplicate(_)));
    assert!(matches!(bench.store.enqueue(&known).await, Ok(Enqueued::Known(_))));
    // What has begun is ended, and what waits is answered.
    let claim = bench.claim().await;
    bench.store.intend(&claim, &outgoing(&claim, &["a", "b"])).await.unwrap();
    bench.store.mark(&claim, 0, PartState::Sent { message: threedots::message::MessageId::new("a") }).await.unwrap();
    bench.note("b", Stage::Sent).await;
    bench.answer_with(claim, &[(1, "b")], 0).await;
    bench.store.sweep(&Retention::default()).await.unwrap();

    for still in [RESERVE, RESERVE + RESERVE / 4 - 1] {
        set(&free, still);
        assert!(is_out_of_space(&bench.store.accept(&[message("ann", "3")]).await), "it does not flutter");
    }
    set(&free, RESERVE + RESERVE / 4);
    assert!(matches!(bench.accept(message("ann", "3")).await, Accepted::New(_)));
    assert!(!bench.store.is_out_of_space());
    assert!(bench.store.replay(Seq(1)).await.unwrap().is_some());
}

async fn the_last_of_the_room_is_for_turns_that_have_begun(kind: EngineKind) {
    let (bench, free) = bench(kind);
    bench.accept(message("ann", "1")).await;
    let claim = bench.claim().await;
    bench.accept(message("ben", "2")).await;
    set(&free, RESERVE / 4 - 1);
    assert!(bench.store.is_out_of_space());
    assert!(is_out_of_space(&bench.store.apply_statuses(vec![report("x", None, Stage::Read)]).await), "it comes again");
    let mut waiting = wait_for_claims(&bench, 1).await;
    tokio::time::advance(Duration::from_mins(5)).await;
    let_others_run().await;
    assert!(!waiting[0].is_finished(), "no turn begins");
    bench.store.intend(&claim, &outgoing(&claim, &["a"])).await.unwrap();
    bench.store.may_send(&claim).unwrap();
    bench.answer_with(claim, &[(0, "a")], 0).await;
    set(&free, RESERVE / 2);
    // Somebody looks every now and then.
    for _ in 0..3 {
        tokio::time::advance(Duration::from_secs(1)).await;
        let_others_run().await;
    }
    let claim = within(waiting.remove(0)).await.unwrap().unwrap();
    assert_eq!(claim.messages.len(), 1);
    assert!(is_out_of_space(&bench.store.accept(&[message("ann", "3")]).await), "there is room for turns alone");
}

async fn a_store_that_is_closed_while_its_disk_is_full_keeps_nobody_waiting(kind: EngineKind) {
    let (bench, free) = bench(kind);
    set(&free, 0);
    assert!(bench.store.is_out_of_space());
    let waiting = wait_for_claims(&bench, 1).await.remove(0);
    bench.store.close().await;
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(within(waiting).await.unwrap().unwrap_err(), StoreError::Closed);
}

async fn of_a_small_disk_a_quarter_is_kept_and_without_a_reserve_nobody_looks(kind: EngineKind) {
    let (bench, free) = bench_on(kind, RESERVE, 40 * MIB);
    set(&free, 10 * MIB);
    bench.accept(message("ann", "1")).await;
    set(&free, 10 * MIB - 1);
    assert!(is_out_of_space(&bench.store.accept(&[message("ann", "2")]).await));
    let (bench, free) = bench_on(kind, 0, 40 * MIB);
    set(&free, 0);
    bench.accept(message("ann", "1")).await;
    assert!(!bench.store.is_out_of_space());
}

async fn a_disk_of_which_nobody_knows_turns_nothing_away(kind: EngineKind) {
    let space = SpaceProbe::new(|_| Err(std::io::Error::other("no such call")));
    let bench = Bench::disk_with(kind, Clock::tokio(), |settings| DiskSettings { space, ..settings });
    bench.accept(message("ann", "1")).await;
    assert!(!bench.store.is_out_of_space());
}

for_each_engine! {
    paused:
    a_disk_that_is_almost_full_takes_nothing_new_in_until_there_is_room
    the_last_of_the_room_is_for_turns_that_have_begun
    a_store_that_is_closed_while_its_disk_is_full_keeps_nobody_waiting
    of_a_small_disk_a_quarter_is_kept_and_without_a_reserve_nobody_looks
    a_disk_of_which_nobody_knows_turns_nothing_away;
    running:
}

#[test]
fn the_system_knows_how_much_room_there_is() {
    let directory = tempfile::tempdir().unwrap();
    let told = SpaceProbe::default().ask(directory.path()).unwrap();
    let df =
        std::process::Command::new("df").args(["-B1", "--output=size,avail"]).arg(directory.path()).output().unwrap();
    let df = String::from_utf8(df.stdout).unwrap();
    let [whole, free] = df.split_whitespace().filter_map(|word| word.parse::<u64>().ok()).collect::<Vec<_>>()[..]
    else {
        panic!("{df}")
    };
    // Others write meanwhile.
    assert!(told.whole == whole && told.free.abs_diff(free) < 1024 * MIB, "{told:?}, and df says {df}");
}

#[tokio::test(start_paused = true)]
async fn webhooks_are_turned_back_while_the_disk_is_full_and_taken_when_they_come_again() {
    let (bench, free) = bench(EngineKind::Sled);
    let world = world::Setup::new(world::echo()).build();
    let bots = world::inlets(Arc::clone(&world.provider), ControlConfig::default(), PeopleConfig::default());
    let store: Arc<dyn Store> = Arc::clone(&bench.store);
    let webhooks = Webhooks::new(bots, store, bench.clock, &ServerConfig::default(), Meters::default());
    let body = batch(&world.sandbox, &[write(&world.sandbox, &world.customer, "hello", "wamid.1")]).to_string();
    let deliver = async || {
        let request = load::signed(&world.sandbox, &body, bench.clock.now());
        webhooks.receive(world::BOT, &request).await.status
    };
    set(&free, RESERVE - 1);
    assert_eq!([deliver().await, deliver().await], [503, 503]);
    assert!(bench.store.claim(Duration::from_secs(60)).now_or_never().is_none(), "nothing was taken in");
    set(&free, 2 * RESERVE);
    assert_eq!(deliver().await, 200);
    assert_eq!(bench.store.backlog().messages, 1);
    // Opened with a full disk, it stays up as well.
    let (directory, settings) = bench.disk.as_ref().unwrap();
    set(&free, 0);
    bench.store.close().await;
    let store = Disk::open(settings.clone(), bench.clock).unwrap();
    assert!(store.is_out_of_space() && store.failure().is_none(), "{}", directory.path().display());
    store.close().await;
}
