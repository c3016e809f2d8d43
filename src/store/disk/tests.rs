//! What happens when the disk fails, which only shows with an engine that is made to.

#![allow(clippy::unwrap_used)]

mod double;

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;

use serde_json::json;

use super::*;
use crate::store::Accepted;

/// A store whose writes reach sled, and whose first sync fails.
fn failing() -> (tempfile::TempDir, DiskSettings, Arc<Disk>) {
    let directory = tempfile::tempdir().unwrap();
    let settings = DiskSettings { path: directory.path().join("store"), ..DiskSettings::default() };
    let store = failing_in(&settings);
    (directory, settings, store)
}

fn failing_in(settings: &DiskSettings) -> Arc<Disk> {
    double::open(settings, 0, true, &Arc::default())
}

fn message(id: &str) -> Inbound {
    let at = json!({"bot": "shop", "chat": "ann", "sender": "ann", "message": id, "time": 0});
    serde_json::from_value(json!({"at": at, "content": {"type": "text", "body": "words"}})).unwrap()
}

#[test]
fn a_mark_that_was_set_ahead_of_its_clock_ages_from_then_on() {
    let directory = tempfile::tempdir().unwrap();
    let settings = DiskSettings { path: directory.path().join("store"), ..DiskSettings::default() };
    let at = |days: u64| Timestamp(1_700_000_000_000).plus(Duration::from_hours(24 * days));
    let moment = |days: u64| Moment { now: at(days), aged: at(days) };
    let Guarded { mut ledger, lock, .. } = guard::open(&settings, at(0)).unwrap();
    let arriving = [Arriving::new(&message("1"), at(0)).unwrap()];
    let mut accept = |days: u64| {
        let answer = ledger.accept(&arriving, moment(days), |_| Ok(())).unwrap()[0];
        ledger.tree.apply().unwrap();
        ledger.expire(moment(days)).unwrap();
        ledger.tree.apply().unwrap();
        answer
    };
    // The time of day was years ahead, and then it was right.
    assert!(matches!(accept(4000), Accepted::New(_)));
    for days in [1, 2, 8] {
        assert!(matches!(accept(days), Accepted::Duplicate(_)), "after {days} days");
    }
    assert!(matches!(accept(9), Accepted::New(_)), "eight days after it was right");
    drop(lock);
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_promised_any_more() {
    let (_directory, settings, store) = failing();
    let waiting = tokio::spawn({
        let store = store.clone();
        async move {
            loop {
                // The message can be claimed before the sync has failed.
                match store.claim(Duration::from_mins(1)).await {
                    Ok(claim) => std::mem::forget(claim),
                    Err(error) => return error,
                }
            }
        }
    });
    tokio::task::yield_now().await;
    assert_eq!(store.failure(), None);
    let Err(StoreError::Failed(reason)) = store.accept(&[message("1")]).await else { panic!("it was promised") };
    assert!(reason.contains("disk"), "{reason}");
    assert_eq!(store.failed().await, reason);
    assert_eq!(store.failure(), Some(reason.clone()));
    let failed = Err(StoreError::Failed(reason.clone()));
    assert_eq!(Err(waiting.await.unwrap()), failed.clone().map(drop::<()>));
    for _ in 0..3 {
        assert_eq!(store.accept(&[message("1")]).await.map(drop), failed);
        assert_eq!(store.accept(&[message("2")]).await.map(drop), failed);
        assert_eq!(store.dead(None, 1).await.map(drop), failed);
    }
    store.close().await;
    assert_eq!(store.accept(&[]).await, Err(StoreError::Closed));

    // What was not promised may be there all the same; the store works again.
    let store = Disk::open(settings, Clock::System).unwrap();
    assert_eq!(store.opened().quarantine, None);
    store.accept(&[message("3")]).await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn everything_that_waits_for_one_sync_fails_with_it() {
    let (_directory, _, store) = failing();
    let mut deliveries = tokio::task::JoinSet::new();
    for n in 0..100 {
        let store = store.clone();
        deliveries.spawn(async move { store.accept(&[message(&n.to_string())]).await });
    }
    for outcome in deliveries.join_all().await {
        assert!(matches!(outcome, Err(StoreError::Failed(_))), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_settlement_is_answered_before_its_sync() {
    let directory = tempfile::tempdir().unwrap();
    let settings = DiskSettings { path: directory.path().join("store"), ..DiskSettings::default() };
    let store = Disk::open(settings.clone(), Clock::System).unwrap();
    store.accept(&[message("1")]).await.unwrap();
    store.close().await;

    let store = failing_in(&settings);
    let claim = store.claim(Duration::from_mins(1)).await.unwrap();
    let done = Settlement::Done(Settled {
        endings: Vec::new(),
        said: Vec::new(),
        failure_replied: Some(Timestamp(1)),
        sent: Vec::new(),
        failed: 0,
    });
    assert_eq!(store.settle(claim, done).await, Ok(()));
    assert!(store.failed().await.contains("disk"));
}

#[tokio::test]
async fn reports_that_come_together_are_made_durable_by_one_sync_if_anything_hangs_on_them() {
    for kind in EngineKind::ALL {
        let directory = tempfile::tempdir().unwrap();
        let settings = DiskSettings { kind, path: directory.path().join("store"), ..DiskSettings::default() };
        let calls = Arc::new(AtomicUsize::new(0));
        let store = double::open(&settings, usize::MAX, false, &calls);
        let keys: Vec<String> = (0..100).map(|part| format!("{part:032x}")).collect();
        store.accept(&[message("1")]).await.unwrap();
        let claim = store.claim(Duration::from_mins(1)).await.unwrap();
        store.intend(&claim, &outgoing(&claim, &keys)).await.unwrap();
        let before = calls.load(SeqCst);
        let settled = store.apply_statuses(keys.iter().map(|key| delivered(key)).collect()).await.unwrap();
        assert_eq!(settled, vec![StatusOutcome::Settled; 100]);
        assert_eq!(calls.load(SeqCst) - before, 2, "{kind:?}: one write, one sync");
        store.close().await;
    }
}

#[tokio::test]
async fn if_the_disk_fails_none_of_the_reports_that_came_together_counts() {
    let directory = tempfile::tempdir().unwrap();
    let settings = DiskSettings { path: directory.path().join("store"), ..DiskSettings::default() };
    let store = Arc::new(Disk::open(settings.clone(), Clock::System).unwrap());
    let keys = ["a".repeat(32), "b".repeat(32)];
    store.accept(&[message("1")]).await.unwrap();
    let claim = store.claim(Duration::from_mins(1)).await.unwrap();
    store.intend(&claim, &outgoing(&claim, &keys)).await.unwrap();
    drop(claim);
    store.close().await;

    let store = double::open(&settings, 0, false, &Arc::default());
    let reports = keys.iter().map(|key| delivered(key)).collect();
    assert!(matches!(store.apply_statuses(reports).await, Err(StoreError::Failed(_))));
    store.close().await;
    let store = Disk::open(settings, Clock::System).unwrap();
    let claim = store.claim(Duration::from_mins(1)).await.unwrap();
    let states = claim.outgoing.iter().flat_map(|reply| &reply.parts).map(|part| &part.state);
    assert_eq!(states.collect::<Vec<_>>(), [&PartState::Waiting { attempts: 0 }; 2]);
    store.close().await;
}

fn outgoing(claim: &Claim, keys: &[String]) -> Outgoing {
    let to = &claim.messages[0].inbound.at;
    let state = json!({"state": "waiting"});
    let part = |key| json!({"key": key, "part": crate::message::Part::text("words"), "state": state});
    let parts: Vec<_> = keys.iter().map(part).collect();
    serde_json::from_value(json!({"to": to, "answers": [], "parts": parts, "reports_carry_key": true})).unwrap()
}

fn delivered(key: &str) -> DeliveryStatus {
    let status = json!({"bot": "shop", "message": key, "key": key, "stage": "delivered", "time": 0});
    serde_json::from_value(status).unwrap()
}

#[tokio::test]
async fn while_the_disk_stands_still_so_many_bytes_are_queued_and_whoever_gives_up_before_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let settings = DiskSettings { path: directory.path().join("store"), ..DiskSettings::default() };
    let (moves, still) = std::sync::mpsc::channel();
    let store = double::open_still(&settings, still);
    let long = |n: usize| {
        let mut message = message(&n.to_string());
        message.content = crate::message::Content::Text { body: "l".repeat(500 << 10) };
        message
    };
    let mut deliveries = tokio::task::JoinSet::new();
    for n in 0..100 {
        let (store, message) = (store.clone(), long(n));
        deliveries.spawn(async move { store.accept(&[message]).await });
    }
    // Each comes as far as it can.
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
    deliveries.shutdown().await;
    drop(moves);
    assert!(matches!(store.accept(&[message("afterwards")]).await.as_deref(), Ok([Accepted::New(_)])));
    store.close().await;
    let queued = (QUEUE_BYTES / (501 << 10)) as usize;
    assert_eq!(Disk::open(settings, Clock::System).unwrap().opened().waiting, queued + 1);
}

#[tokio::test]
async fn wherever_the_disk_fails_nothing_is_acknowledged_after_it_and_nothing_that_was_is_lost() {
    for kind in EngineKind::ALL {
        for fails in 0..8 {
            let directory = tempfile::tempdir().unwrap();
            let settings = DiskSettings { kind, path: directory.path().join("store"), ..DiskSettings::default() };
            let calls = Arc::new(AtomicUsize::new(0));
            let store = double::open(&settings, fails, false, &calls);
            let acknowledged = accept_until_it_fails(&store).await;
            // Each message takes a write and a sync.
            assert_eq!(acknowledged.len(), fails / 2, "{kind:?}, call {fails}");
            // The disk is well again, and that changes nothing.
            for id in ["late", "later"] {
                let late = store.accept(&[message(id)]).await;
                assert!(matches!(late, Err(StoreError::Failed(_))), "{kind:?}, call {fails}: {late:?}");
            }
            assert_eq!(calls.load(SeqCst), fails + 1, "{kind:?}: it was tried again");
            store.close().await;

            let store = Disk::open(settings, Clock::System).unwrap();
            assert_eq!(store.opened().quarantine, None);
            for id in &acknowledged {
                let again = store.accept(&[message(id)]).await.unwrap();
                assert!(matches!(again[..], [Accepted::Duplicate(_)]), "{kind:?}, call {fails}: {id} is lost");
            }
            store.accept(&[message("afterwards")]).await.unwrap();
            store.close().await;
        }
    }
}

/// Accepts one message after another, and returns those that were acknowledged.
async fn accept_until_it_fails(store: &Disk) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for n in 0..100 {
        let id = n.to_string();
        match store.accept(&[message(&id)]).await {
            Ok(_) => acknowledged.push(id),
            Err(error) => {
                assert!(matches!(error, StoreError::Failed(_)), "{error}");
                return acknowledged;
            }
        }
    }
    panic!("it did not fail");
}
