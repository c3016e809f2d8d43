//! How long a claim holds: as long as its holder gives a sign of life, and while a send is on its way.

use std::time::Duration;

use threedots::store::{PartState, StoreError};

use crate::store::bench::{Bench, ids, let_others_run, message, outgoing, wait_for_claims, within};

const MINUTE: Duration = Duration::from_mins(1);

pub(in crate::store) async fn a_lease_begins_anew_with_every_write(bench: &Bench) {
    bench.accept(message("ann", "1")).await;
    let claim = bench.claim_for(MINUTE).await;
    let most = MINUTE - Duration::from_secs(1);
    tokio::time::advance(most).await;
    bench.store.intend(&claim, &outgoing(&claim, &["a", "b"])).await.unwrap();
    for state in [PartState::Sending { attempts: 0 }, PartState::Waiting { attempts: 1 }] {
        tokio::time::advance(most).await;
        bench.store.mark(&claim, 0, state).await.unwrap();
    }
    tokio::time::advance(most).await;
    bench.store.renew(&claim).unwrap();
    tokio::time::advance(most).await;
    assert!(bench.is_idle(), "nobody else has it");
    bench.answer(claim).await;
    assert!(bench.is_idle());
}

pub(in crate::store) async fn a_send_on_its_way_keeps_the_lease_from_ending(bench: &Bench) {
    bench.accept(message("ann", "1")).await;
    let claim = bench.claim_for(MINUTE).await;
    bench.store.intend(&claim, &outgoing(&claim, &["a", "b"])).await.unwrap();
    bench.store.may_send(&claim).unwrap();
    tokio::time::advance(100 * MINUTE).await;
    assert!(bench.is_idle(), "nobody else has it, however long the call takes");
    let left = PartState::Waiting { attempts: 1 };
    bench.store.mark(&claim, 0, left).await.unwrap();
    tokio::time::advance(MINUTE).await;
    let other = bench.claim().await;
    assert_eq!(bench.store.may_send(&claim), Err(StoreError::Fenced));
    bench.store.may_send(&other).unwrap();
}

pub(in crate::store) async fn nothing_may_be_sent_under_a_lease_that_has_ended(bench: &Bench) {
    bench.accept(message("ann", "1")).await;
    let claim = bench.claim_for(MINUTE).await;
    bench.store.intend(&claim, &outgoing(&claim, &["a"])).await.unwrap();
    tokio::time::advance(MINUTE).await;
    assert_eq!(bench.store.may_send(&claim), Err(StoreError::Fenced), "even if nobody else came");
    assert_eq!(bench.store.renew(&claim), Err(StoreError::Fenced));
    let other = bench.claim().await;
    assert_eq!(bench.store.may_send(&claim), Err(StoreError::Fenced));
    bench.store.may_send(&other).unwrap();
    drop(claim);
    assert!(bench.is_idle(), "the other's is not touched by the first");
}

pub(in crate::store) async fn a_claim_that_is_dropped_in_a_send_is_given_back_at_once(bench: &Bench) {
    bench.accept(message("ann", "1")).await;
    let claim = bench.claim_for(MINUTE).await;
    bench.store.may_send(&claim).unwrap();
    drop(claim);
    assert_eq!(ids(&bench.claim().await), ["1"]);
}

pub(in crate::store) async fn nothing_may_be_sent_by_a_claim_of_another_store(bench: &Bench) {
    let other = Bench::memory();
    other.accept(message("ann", "1")).await;
    let theirs = other.claim().await;
    assert_eq!(bench.store.may_send(&theirs), Err(StoreError::Fenced));
    assert_eq!(bench.store.renew(&theirs), Err(StoreError::Fenced));
}

pub(in crate::store) async fn whoever_waits_is_woken_by_the_end_of_a_lease_that_a_send_had_kept(bench: &Bench) {
    bench.accept(message("ann", "1")).await;
    let claim = bench.claim_for(MINUTE).await;
    bench.store.may_send(&claim).unwrap();
    let mut waiting = wait_for_claims(bench, 1).await;
    tokio::time::advance(10 * MINUTE).await;
    let_others_run().await;
    assert!(!waiting[0].is_finished());
    bench.store.renew(&claim).unwrap();
    let_others_run().await;
    tokio::time::advance(MINUTE).await;
    assert_eq!(ids(&within(waiting.remove(0)).await.unwrap().unwrap()), ["1"]);
    drop(claim);
}

pub(in crate::store) async fn nothing_may_be_sent_once_the_store_is_closed(bench: &Bench) {
    bench.accept(message("ann", "1")).await;
    let claim = bench.claim_for(MINUTE).await;
    bench.store.close().await;
    assert_eq!(bench.store.may_send(&claim), Err(StoreError::Closed));
}
