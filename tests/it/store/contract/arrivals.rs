//! What holds of every store when messages come into a conversation that somebody holds.

use std::time::Duration;

use futures_util::FutureExt;
use threedots::store::{Seq, Settlement, StoreError, Waiting};

use crate::store::bench::{Bench, ids, message, within};

const MINUTE: Duration = Duration::from_mins(1);

fn names(arrived: &[Waiting]) -> Vec<&str> {
    arrived.iter().map(|waiting| waiting.inbound.at.message.as_str()).collect()
}

pub(in crate::store) async fn whoever_holds_a_conversation_hears_what_comes_into_it(bench: &Bench) {
    bench.accept(message("ann", "1")).await;
    let claim = bench.claim().await;
    let last = claim.messages[0].seq;
    let mut heard = Box::pin(bench.store.arrivals(&claim, last));
    assert!(heard.as_mut().now_or_never().is_none());
    bench.accept(message("ben", "2")).await;
    assert!(heard.as_mut().now_or_never().is_none(), "it was somebody else's");
    bench.accept_new([message("ann", "3"), message("ann", "4")]).await;
    let arrived = within(heard).await.unwrap();
    assert_eq!(names(&arrived), ["3", "4"]);
    // From there on.
    let last = arrived[1].seq;
    assert!(bench.store.arrivals(&claim, last).now_or_never().is_none());
    bench.accept(message("ann", "5")).await;
    assert_eq!(names(&within(bench.store.arrivals(&claim, last)).await.unwrap()), ["5"]);
    // Hearing of them takes nothing away.
    drop(claim);
    bench.claim().await;
    assert_eq!(ids(&bench.claim().await), ["1", "3", "4", "5"]);
}

pub(in crate::store) async fn what_came_before_anybody_listened_is_heard_too(bench: &Bench) {
    bench.accept(message("ann", "1")).await;
    let claim = bench.claim().await;
    bench.accept(message("ann", "2")).await;
    assert_eq!(names(&within(bench.store.arrivals(&claim, claim.messages[0].seq)).await.unwrap()), ["2"]);
}

pub(in crate::store) async fn a_duplicate_is_not_heard(bench: &Bench) {
    bench.accept(message("ann", "1")).await;
    let claim = bench.claim().await;
    bench.accept(message("ann", "1")).await;
    assert!(bench.store.arrivals(&claim, claim.messages[0].seq).now_or_never().is_none());
}

pub(in crate::store) async fn nothing_is_heard_under_a_lease_that_has_ended(bench: &Bench) {
    bench.accept(message("ann", "1")).await;
    let claim = bench.claim_for(MINUTE).await;
    tokio::time::advance(MINUTE).await;
    let next = bench.claim().await;
    assert_eq!(bench.store.arrivals(&claim, Seq(0)).await.unwrap_err(), StoreError::Fenced);
    drop(next);
}

pub(in crate::store) async fn a_conversation_that_is_hurried_is_ready_at_once(bench: &Bench) {
    bench.accept_new([message("ann", "1"), message("ben", "2")]).await;
    let (ann, ben) = (bench.claim().await, bench.claim().await);
    let conversation = ann.conversation.clone();
    let at = bench.clock.now().plus(MINUTE);
    bench.store.settle(ann, Settlement::Later { at }).await.unwrap();
    assert!(bench.is_idle());
    bench.store.make_ready(&ben.conversation);
    assert!(bench.is_idle(), "somebody holds it");
    bench.store.make_ready(&conversation);
    assert_eq!(ids(&bench.claim().await), ["1"]);
}
