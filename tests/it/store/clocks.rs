//! A time of day that jumps: no mark is forgotten early, none stays for ever, and nobody loses a lease.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use threedots::message::clock::Clock;
use threedots::store::disk::EngineKind;
use threedots::store::{Accepted, Enqueued, Retention};

use super::bench::{Bench, MAX_WAITING, ids, message};
use super::contract::new_proactive;

const DAY: Duration = Duration::from_hours(24);

fn set(by: &AtomicI64, days: i64) {
    by.store(days * 24 * 3_600_000, Ordering::SeqCst);
}

/// Messages that nobody has seen: with each group of writes, marks that are old enough go.
async fn write(bench: &Bench, name: &str) {
    for number in 0..3 {
        bench.accept(message("others", &format!("{name} {number}"))).await;
    }
}

async fn is_known(bench: &Bench) -> bool {
    let message = matches!(bench.accept(message("ann", "1")).await, Accepted::Duplicate(_));
    let proactive = bench.store.enqueued(&new_proactive("key", "ben", &["a"]).asked).await.unwrap();
    assert_eq!(message, proactive.is_some(), "a key is known for as long as a message is");
    message
}

async fn meet(bench: &Bench) {
    bench.accept(message("ann", "1")).await;
    let enqueued = bench.store.enqueue(&new_proactive("key", "ben", &["a"])).await.unwrap();
    assert!(matches!(enqueued, Enqueued::New(_)));
}

async fn marks_age_however_the_clock_is_set(bench: &Bench, by: &AtomicI64) {
    meet(bench).await;
    for (days, name) in [(30, "on"), (-30, "back"), (4000, "far on"), (0, "right")] {
        set(by, days);
        write(bench, name).await;
        while !bench.store.sweep(&Retention::default()).await.unwrap().round {}
        assert!(is_known(bench).await, "set by {days} days");
    }
    set(by, -30);
    tokio::time::advance(8 * DAY - Duration::from_hours(1)).await;
    write(bench, "a week later").await;
    assert!(is_known(bench).await);
    // The mark's own hour has to be over, too.
    tokio::time::advance(Duration::from_hours(2)).await;
    write(bench, "later").await;
    assert!(!is_known(bench).await, "it is as old as it may get, whatever the clock says");
}

async fn nobody_loses_a_lease_by_a_clock_that_is_set(bench: &Bench, by: &AtomicI64) {
    bench.accept(message("ann", "1")).await;
    let claim = bench.claim_for(Duration::from_mins(1)).await;
    for days in [1, -1, 100, 0] {
        set(by, days);
        write(bench, &format!("{days}")).await;
        let other = bench.claim().await;
        assert_ne!(ids(&other), ["1"], "set by {days} days");
        assert!(bench.is_idle(), "set by {days} days");
        bench.answer(other).await;
        bench.store.renew(&claim).unwrap();
    }
    drop(claim);
}

async fn the_age_of_marks_goes_on_where_it_was_when_the_store_is_opened_again(kind: EngineKind) {
    let (clock, by) = Clock::that_can_be_set();
    let mut bench = Bench::disk_of(kind, clock, MAX_WAITING);
    meet(&bench).await;
    for (number, days) in [30, -30, 4000, 0, 2, 4].into_iter().enumerate() {
        set(by, days);
        bench.restart().await;
        write(&bench, &format!("start {number}")).await;
        assert!(is_known(&bench).await, "started with the clock set by {days} days");
        tokio::time::advance(DAY).await;
        // Nobody writes, and the time is kept all the same.
        while !bench.store.sweep(&Retention::default()).await.unwrap().round {}
    }
    tokio::time::advance(2 * DAY - Duration::from_hours(1)).await;
    assert!(is_known(&bench).await);
    tokio::time::advance(Duration::from_hours(3)).await;
    write(&bench, "later").await;
    assert!(!is_known(&bench).await, "none stays for ever");
}

async fn a_close_takes_no_time_from_the_age_of_marks(kind: EngineKind) {
    let mut bench = Bench::disk_of(kind, Clock::tokio(), MAX_WAITING);
    meet(&bench).await;
    for _ in 0..4 {
        // Nobody writes or sweeps before the close.
        tokio::time::advance(2 * DAY).await;
        bench.restart().await;
    }
    tokio::time::advance(Duration::from_hours(1)).await;
    write(&bench, "later").await;
    assert!(!is_known(&bench).await, "a mark is as old as the time that passed while the store was open");
}

async fn marks_age_however_the_clock_of_a_disk_is_set(kind: EngineKind) {
    let (clock, by) = Clock::that_can_be_set();
    marks_age_however_the_clock_is_set(&Bench::disk_of(kind, clock, MAX_WAITING), by).await;
}

async fn nobody_loses_a_lease_by_a_clock_that_is_set_on_disk(kind: EngineKind) {
    let (clock, by) = Clock::that_can_be_set();
    nobody_loses_a_lease_by_a_clock_that_is_set(&Bench::disk_of(kind, clock, MAX_WAITING), by).await;
}

for_each_engine! {
    paused:
    marks_age_however_the_clock_of_a_disk_is_set
    a_close_takes_no_time_from_the_age_of_marks
    the_age_of_marks_goes_on_where_it_was_when_the_store_is_opened_again
    nobody_loses_a_lease_by_a_clock_that_is_set_on_disk;
    running:
}

#[tokio::test(start_paused = true)]
async fn marks_age_however_the_clock_of_a_store_in_memory_is_set() {
    let (clock, by) = Clock::that_can_be_set();
    marks_age_however_the_clock_is_set(&Bench::memory_of(clock, MAX_WAITING), by).await;
}

#[tokio::test(start_paused = true)]
async fn nobody_loses_a_lease_in_memory_by_a_clock_that_is_set() {
    let (clock, by) = Clock::that_can_be_set();
    nobody_loses_a_lease_by_a_clock_that_is_set(&Bench::memory_of(clock, MAX_WAITING), by).await;
}
