//! What holds of every store when conversations are claimed.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::FutureExt;
use threedots::Inbound;
use threedots::message::clock::Timestamp;
use threedots::store::{
    Accepted, Backlog, Ending, LONGEST_CLAIM, MOST_CLAIMED, MOST_CLAIMED_BYTES, PartState, Settlement, StoreError,
};

use crate::store::bench::{
    Bench, LEASE, chat, ids, let_others_run, message, message_saying, new, outgoing, wait_for_claims, within,
};

const MINUTE: Duration = Duration::from_mins(1);

pub(in crate::store) async fn messages_come_in_the_order_of_their_acceptance(bench: &Bench) {
    bench.accept_new([message("ann", "z"), message("ben", "x"), message("ann", "a")]).await;
    bench.accept(message("ann", "m")).await;
    let claim = bench.claim().await;
    assert_eq!(ids(&claim), ["z", "a", "m"]);
    assert!(claim.messages.is_sorted_by_key(|waiting| waiting.seq));
    assert_eq!(claim.messages[0].accepted, bench.clock.now());
}

pub(in crate::store) async fn conversations_come_in_the_order_in_which_they_became_ready(bench: &Bench) {
    bench.accept_new([message("cid", "1"), message("ann", "2"), message("cid", "3"), message("ben", "4")]).await;
    let served = [bench.claim().await, bench.claim().await, bench.claim().await];
    assert_eq!(served.each_ref().map(chat), ["cid", "ann", "ben"]);
}

pub(in crate::store) async fn a_conversation_that_is_given_back_stands_behind_the_others(bench: &Bench) {
    bench.accept_new([message("ann", "1"), message("ben", "2"), message("cid", "3")]).await;
    let (ann, ben) = (bench.claim().await, bench.claim().await);
    bench.later(ann, MINUTE).await;
    drop(ben);
    assert_eq!(chat(&bench.claim().await), "cid");
    tokio::time::advance(MINUTE).await;
    assert_eq!(chat(&bench.claim().await), "ben");
}

pub(in crate::store) async fn a_conversation_is_held_once_at_a_time(bench: &Bench) {
    bench.accept_new([message("ann", "1"), message("ann", "2")]).await;
    let held = bench.claim().await;
    assert!(bench.is_idle());
    bench.accept(message("ann", "3")).await;
    assert!(bench.is_idle());
    bench.answer(held).await;
    assert!(!bench.is_idle());
}

pub(in crate::store) async fn what_arrives_during_a_claim_waits_for_the_next(bench: &Bench) {
    bench.accept(message("ann", "1")).await;
    let first = bench.claim().await;
    bench.accept(message("ann", "2")).await;
    assert_eq!(ids(&first), ["1"]);
    bench.answer(first).await;
    assert_eq!(ids(&bench.claim().await), ["2"]);
}

fn numbered(chat: &str, numbers: std::ops::Range<usize>) -> Vec<Inbound> {
    numbers.map(|n| message(chat, &n.to_string())).collect()
}

fn names(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|n| n.to_string()).collect()
}

pub(in crate::store) async fn a_long_queue_is_claimed_a_part_at_a_time(bench: &Bench) {
    let most = MOST_CLAIMED;
    bench.accept_new(numbered("ann", 0..2 * most + 50)).await;
    bench.accept(message("ben", "ben's")).await;
    let first = bench.claim().await;
    assert_eq!(ids(&first), names(0..most));
    assert!(first.size <= MOST_CLAIMED_BYTES);
    bench.answer(first).await;
    // What is left stands behind the others.
    let ben = bench.claim().await;
    assert_eq!(ids(&ben), ["ben's"]);
    let second = bench.claim().await;
    assert_eq!(ids(&second), names(most..2 * most));
    // Given back, it comes again as it was, and what comes in meanwhile is at the end.
    bench.accept(message("ann", "last")).await;
    drop(second);
    let second = bench.claim().await;
    assert_eq!(ids(&second), names(most..2 * most));
    assert!(matches!(bench.accept(message("ann", &(2 * most).to_string())).await, Accepted::Duplicate(_)));
    let Backlog { messages, conversations, .. } = bench.store.backlog();
    assert_eq!((messages, conversations), (most + 52, 2));
    // One of them goes on waiting.
    let endings = second.messages[1..].iter().map(|waiting| (waiting.seq, Ending::Silent)).collect();
    bench.settle(second, endings).await.unwrap();
    let third = bench.claim().await;
    let expected = [names(most..most + 1), names(2 * most..2 * most + 50), vec!["last".to_owned()]].concat();
    assert_eq!(ids(&third), expected);
    bench.later(third, MINUTE).await;
    bench.answer(ben).await;
    assert!(bench.is_idle());
    tokio::time::advance(MINUTE).await;
    let third = bench.claim().await;
    assert_eq!(ids(&third), expected);
    bench.answer(third).await;
    assert!(bench.is_idle());
    assert_eq!(bench.store.backlog(), Backlog::default());
}

pub(in crate::store) async fn a_claim_holds_so_many_bytes_or_one_message(bench: &Bench) {
    let long = |id: &str, length: usize| message_saying("ann", id, "l".repeat(length));
    let lengths = [("a", 60_000), ("b", 60_000), ("c", 60_000), ("d", 60_000), ("e", 60_000), ("f", 900_000), ("g", 9)];
    bench.accept_new(lengths.map(|(id, length)| long(id, length))).await;
    for expected in [&["a", "b", "c", "d"][..], &["e"], &["f"], &["g"]] {
        let claim = bench.claim().await;
        assert_eq!(ids(&claim), expected);
        let words: usize =
            claim.messages.iter().filter_map(|waiting| waiting.inbound.content.words()).map(str::len).sum();
        assert!(claim.size > words && claim.size <= LONGEST_CLAIM, "{} of {words}", claim.size);
        assert!(claim.size <= MOST_CLAIMED_BYTES || expected.len() == 1);
        bench.answer(claim).await;
    }
    assert!(bench.is_idle());
}

pub(in crate::store) async fn a_reply_to_a_part_of_a_queue_comes_back_with_what_it_answers(bench: &Bench) {
    let most = MOST_CLAIMED;
    bench.accept_new(numbered("ann", 0..most + 7)).await;
    let claim = bench.claim().await;
    let reply = outgoing(&claim, &["a"]);
    bench.store.intend(&claim, &reply).await.unwrap();
    drop(claim);
    let claim = bench.claim().await;
    assert_eq!(ids(&claim), names(0..most));
    assert_eq!(claim.outgoing.as_ref(), Some(&reply));
    assert!(claim.messages.iter().map(|waiting| waiting.seq).eq(reply.answers));
    bench.answer_with(claim, &[(0, "a")], 0).await;
    let claim = bench.claim().await;
    assert_eq!(
        (ids(&claim), claim.outgoing.is_none()),
        (names(most..most + 7).iter().map(String::as_str).collect(), true)
    );
    bench.answer(claim).await;
    assert!(bench.is_idle());
}

pub(in crate::store) async fn later_holds_back_its_conversation_alone(bench: &Bench) {
    bench.accept_new([message("ann", "1"), message("ben", "2")]).await;
    let ann = bench.claim().await;
    bench.later(ann, MINUTE).await;
    let ben = bench.claim().await;
    assert_eq!(chat(&ben), "ben");
    tokio::time::advance(MINUTE - Duration::from_millis(1)).await;
    assert!(bench.is_idle());
    tokio::time::advance(Duration::from_millis(1)).await;
    let ann = bench.claim().await;
    assert_eq!(ids(&ann), ["1"]);
    bench.store.settle(ann, Settlement::Later { at: Timestamp(0) }).await.unwrap();
    assert_eq!(ids(&bench.claim().await), ["1"]);
}

pub(in crate::store) async fn a_message_does_not_end_a_hold_back(bench: &Bench) {
    bench.accept(message("ann", "1")).await;
    let claim = bench.claim().await;
    bench.later(claim, MINUTE).await;
    bench.accept(message("ann", "2")).await;
    assert!(bench.is_idle());
    tokio::time::advance(MINUTE).await;
    assert_eq!(ids(&bench.claim().await), ["1", "2"]);
}

pub(in crate::store) async fn a_claim_that_is_dropped_is_given_back_at_once(bench: &Bench) {
    bench.accept(message("ann", "1")).await;
    let claim = bench.claim().await;
    // No runtime on that thread.
    std::thread::spawn(move || drop(claim)).join().unwrap();
    assert_eq!(ids(&bench.claim().await), ["1"]);
    assert!(!bench.is_idle(), "the last claim was dropped, too");
}

pub(in crate::store) async fn a_lease_that_has_ended_lets_another_in_and_fences_the_first(bench: &Bench) {
    let seq = new(bench.accept(message("ann", "1")).await);
    let first = bench.claim_for(MINUTE).await;
    bench.store.intend(&first, &outgoing(&first, &["a"])).await.unwrap();
    tokio::time::advance(MINUTE).await;
    let second = bench.claim().await;
    assert_eq!(ids(&second), ["1"]);

    let state = PartState::Failed { reason: "late".to_owned() };
    assert_eq!(bench.store.intend(&first, &outgoing(&first, &["b"])).await, Err(StoreError::Fenced));
    assert_eq!(bench.store.mark(&first, 0, state).await, Err(StoreError::Fenced));
    assert_eq!(bench.settle(first, vec![(seq, Ending::Answered)]).await, Err(StoreError::Fenced));
    assert!(bench.is_idle(), "the second claim is not touched by the first");

    drop(second);
    let third = bench.claim().await;
    assert_eq!(ids(&third), ["1"]);
    assert_eq!(third.outgoing, Some(outgoing(&third, &["a"])));
}

pub(in crate::store) async fn a_lease_that_has_ended_fences_even_if_nobody_else_came(bench: &Bench) {
    let seq = new(bench.accept(message("ann", "1")).await);
    let claim = bench.claim_for(MINUTE).await;
    tokio::time::advance(MINUTE).await;
    assert_eq!(bench.store.intend(&claim, &outgoing(&claim, &["a"])).await, Err(StoreError::Fenced));
    assert_eq!(bench.settle(claim, vec![(seq, Ending::Answered)]).await, Err(StoreError::Fenced));
    let claim = bench.claim().await;
    assert_eq!(claim.outgoing, None);
    bench.answer(claim).await;
    assert!(bench.is_idle());
}

pub(in crate::store) async fn a_claim_of_another_store_is_fenced(bench: &Bench) {
    let other = Bench::memory();
    for bench in [bench, &other] {
        bench.accept(message("ann", "1")).await;
    }
    let (ours, theirs) = (bench.claim().await, other.claim().await);
    assert_eq!(bench.store.intend(&theirs, &outgoing(&ours, &["a"])).await, Err(StoreError::Fenced));
    assert_eq!(bench.settle(theirs, Vec::new()).await, Err(StoreError::Fenced));
}

pub(in crate::store) async fn all_who_wait_are_woken_by_a_batch(bench: &Bench) {
    let waiting = wait_for_claims(bench, 32).await;
    bench.accept_new((0..32).map(|n| message(&format!("chat {n}"), &format!("{n}")))).await;
    let mut chats = BTreeSet::new();
    for claim in waiting {
        chats.insert(within(claim).await.unwrap().unwrap().conversation);
    }
    assert_eq!(chats.len(), 32);
}

pub(in crate::store) async fn a_hold_back_wakes_who_waits_when_it_ends(bench: &Bench) {
    bench.accept_new([message("ann", "1"), message("ben", "2"), message("cid", "3")]).await;
    let claims = [bench.claim().await, bench.claim().await, bench.claim().await];
    let waiting = wait_for_claims(bench, 3).await;
    // The later ones first, so that whoever waits has to learn of an earlier end each time.
    for (claim, minutes) in claims.into_iter().zip([3, 2, 1]) {
        bench.later(claim, minutes * MINUTE).await;
    }
    let_others_run().await;
    tokio::time::advance(3 * MINUTE).await;
    let mut chats = BTreeSet::new();
    for claim in waiting {
        chats.insert(within(claim).await.unwrap().unwrap().conversation);
    }
    assert_eq!(chats.len(), 3);
}

pub(in crate::store) async fn a_hold_back_wakes_whoever_is_left(bench: &Bench) {
    bench.accept(message("ann", "1")).await;
    let claim = bench.claim().await;
    let mut waiting = wait_for_claims(bench, 3).await;
    bench.later(claim, MINUTE).await;
    let_others_run().await;
    // Whichever of them minds the end of the hold-back, it may be one of those that go away.
    for wait in waiting.drain(..2) {
        wait.abort();
    }
    tokio::time::advance(MINUTE).await;
    assert_eq!(ids(&within(waiting.remove(0)).await.unwrap().unwrap()), ["1"]);
}

pub(in crate::store) async fn a_claim_that_is_dropped_wakes_who_waits(bench: &Bench) {
    bench.accept(message("ann", "1")).await;
    let claim = bench.claim().await;
    let mut waiting = wait_for_claims(bench, 1).await;
    drop(claim);
    assert_eq!(ids(&within(waiting.remove(0)).await.unwrap().unwrap()), ["1"]);
}

pub(in crate::store) async fn a_lease_wakes_who_waits_when_it_ends(bench: &Bench) {
    bench.accept(message("ann", "1")).await;
    let mut waiting = wait_for_claims(bench, 4).await;
    let_others_run().await;
    let (mut claims, mut still) = (Vec::new(), Vec::new());
    for wait in waiting.drain(..) {
        if wait.is_finished() { claims.push(wait.await.unwrap().unwrap()) } else { still.push(wait) }
    }
    assert_eq!(claims.len(), 1);
    // Each of the others gets it in turn, as the leases end one after the other; one that goes away changes nothing.
    still.pop().unwrap().abort();
    for wait in still {
        tokio::time::advance(LEASE).await;
        let_others_run().await;
        claims.push(within(wait).await.unwrap().unwrap());
    }
    assert_eq!(claims.len(), 3);
    assert!(claims.iter().all(|claim| ids(claim) == ["1"]));
}

pub(in crate::store) async fn a_wait_that_is_cancelled_loses_nothing(bench: &Bench) {
    let waiting = wait_for_claims(bench, 10).await;
    let (cancelled, staying): (Vec<_>, Vec<_>) = waiting.into_iter().enumerate().partition(|(n, _)| n % 2 == 0);
    bench.accept_new((0..5).map(|n| message(&format!("chat {n}"), &format!("{n}")))).await;
    for (_, wait) in cancelled {
        wait.abort();
        // A claim that was made already is given back when its task's outcome is dropped.
        drop(wait.await);
    }
    let mut chats = BTreeSet::new();
    let mut claims = Vec::new();
    for (_, wait) in staying {
        let claim = within(wait).await.unwrap().unwrap();
        chats.insert(claim.conversation.clone());
        claims.push(claim);
    }
    assert_eq!(chats.len(), 5);
}

pub(in crate::store) async fn a_wait_that_is_cancelled_after_its_wake_up_hands_it_on(bench: &Bench) {
    let mut first = bench.store.claim(LEASE);
    assert!((&mut first).now_or_never().is_none());
    let waiting = wait_for_claims(bench, 1).await;
    // Wakes the first of the two, which goes away without ever having been polled again.
    bench.accept(message("ann", "1")).await;
    drop(first);
    for wait in waiting {
        assert_eq!(ids(&within(wait).await.unwrap().unwrap()), ["1"]);
    }
}
