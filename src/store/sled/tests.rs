//! What happens when the disk fails, which only shows with a data file that cannot be synced.

#![allow(clippy::unwrap_used)]

use std::fs::File;

use serde_json::json;

use super::*;

/// A store whose writes reach sled, and whose syncs fail: `/dev/null` refuses them.
fn failing() -> (tempfile::TempDir, Settings, Arc<Sled>) {
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings { path: directory.path().join("store"), ..Settings::default() };
    let store = failing_in(&settings);
    (directory, settings, store)
}

fn failing_in(settings: &Settings) -> Arc<Sled> {
    let guarded = guard::open(settings, Clock::System.now()).unwrap();
    let guarded = Guarded { data: File::open("/dev/null").unwrap(), ..guarded };
    Arc::new(Sled::start(guarded, settings, Clock::System).unwrap())
}

fn message(id: &str) -> Inbound {
    let at = json!({"bot": "shop", "chat": "ann", "sender": "ann", "message": id, "time": 0});
    serde_json::from_value(json!({"at": at, "content": {"type": "text", "body": "words"}})).unwrap()
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
    let Err(StoreError::Failed(reason)) = store.accept(vec![message("1")]).await else { panic!("it was promised") };
    assert!(reason.contains("disk"), "{reason}");
    assert_eq!(store.failed().await, reason);
    assert_eq!(store.failure(), Some(reason.clone()));
    let failed = Err(StoreError::Failed(reason.clone()));
    assert_eq!(Err(waiting.await.unwrap()), failed.clone().map(drop::<()>));
    for _ in 0..3 {
        assert_eq!(store.accept(vec![message("1")]).await.map(drop), failed);
        assert_eq!(store.accept(vec![message("2")]).await.map(drop), failed);
        assert_eq!(store.dead(None, 1).await.map(drop), failed);
    }
    store.close().await;
    assert_eq!(store.accept(Vec::new()).await, Err(StoreError::Closed));

    // What was not promised may be there all the same; the store works again.
    let store = Sled::open(settings, Clock::System).unwrap();
    assert_eq!(store.opened().quarantine, None);
    store.accept(vec![message("3")]).await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn everything_that_waits_for_one_sync_fails_with_it() {
    let (_directory, _, store) = failing();
    let mut deliveries = tokio::task::JoinSet::new();
    for n in 0..100 {
        let store = store.clone();
        deliveries.spawn(async move { store.accept(vec![message(&n.to_string())]).await });
    }
    for outcome in deliveries.join_all().await {
        assert!(matches!(outcome, Err(StoreError::Failed(_))), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_settlement_is_answered_before_its_sync() {
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings { path: directory.path().join("store"), ..Settings::default() };
    let store = Sled::open(settings.clone(), Clock::System).unwrap();
    store.accept(vec![message("1")]).await.unwrap();
    store.close().await;

    let store = failing_in(&settings);
    let claim = store.claim(Duration::from_mins(1)).await.unwrap();
    let done = Settlement::Done {
        endings: Vec::new(),
        said: Vec::new(),
        failure_replied: Some(Timestamp(1)),
        sent: Vec::new(),
        failed: 0,
    };
    assert_eq!(store.settle(claim, done).await, Ok(()));
    assert!(store.failed().await.contains("disk"));
}
