//! What holds of every store.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use threedots::clock::Timestamp;
use threedots::message::content::OrderItem;
use threedots::message::reply::{Media, MediaSource};
use threedots::message::{BotName, Content, MediaKind, MessageId, Payload};
use threedots::store::{Accepted, Claim, DeadLetter, Ending, PartState, Seq, Settlement, StoreError};
use tokio::task::JoinHandle;

use super::bench::{
    Bench, LEASE, MAX_WAITING, chat, conversation, ids, let_others_run, message, message_saying, new, outgoing, said,
    within,
};

const MINUTE: Duration = Duration::from_mins(1);

pub(super) async fn a_second_delivery_of_a_message_is_a_duplicate(bench: &Bench) {
    let seq = new(bench.accept(message("ann", "1")).await);
    assert_eq!(bench.accept(message("ann", "1")).await, Accepted::Duplicate(seq));
    let claim = bench.claim().await;
    assert_eq!(ids(&claim), ["1"]);
    bench.answer(claim).await;
    assert_eq!(bench.accept(message("ann", "1")).await, Accepted::Duplicate(seq));
    assert!(bench.is_idle());
}

pub(super) async fn of_sixteen_deliveries_at_once_one_is_new(bench: &Bench) {
    for round in 0..20 {
        let deliver = |_| {
            let store = bench.store.clone();
            let runtime = tokio::runtime::Handle::current();
            let delivery = message("ann", &round.to_string());
            tokio::task::spawn_blocking(move || runtime.block_on(store.accept(vec![delivery])).unwrap()[0])
        };
        let deliveries: Vec<_> = (0..16).map(deliver).collect();
        let mut news = BTreeSet::new();
        let mut duplicates = Vec::new();
        for delivery in deliveries {
            match delivery.await.unwrap() {
                Accepted::New(seq) => assert!(news.insert(seq)),
                Accepted::Duplicate(seq) => duplicates.push(seq),
            }
        }
        assert_eq!(news.len(), 1);
        assert_eq!(duplicates.len(), 15);
        assert!(duplicates.iter().all(|seq| news.contains(seq)));
    }
    assert_eq!(bench.claim().await.messages.len(), 20);
}

pub(super) async fn a_batch_that_holds_a_message_twice_takes_it_in_once(bench: &Bench) {
    let batch = vec![message("ann", "1"), message("ann", "2"), message("ann", "1")];
    let accepted = bench.store.accept(batch).await.unwrap();
    let [Accepted::New(first), Accepted::New(second), Accepted::Duplicate(third)] = accepted[..] else {
        panic!("{accepted:?}");
    };
    assert!(first < second);
    assert_eq!(third, first);
    assert_eq!(ids(&bench.claim().await), ["1", "2"]);
}

pub(super) async fn the_same_identifier_at_another_bot_is_another_message(bench: &Bench) {
    let mut other = message("ann", "1");
    other.at.bot = BotName::new("help");
    let seqs = bench.accept_new([message("ann", "1"), other]).await;
    assert_ne!(seqs[0], seqs[1]);
    let (first, second) = (bench.claim().await, bench.claim().await);
    assert_ne!(first.conversation, second.conversation);
}

pub(super) async fn a_message_is_known_for_eight_days(bench: &Bench) {
    const HOUR: Duration = Duration::from_hours(1);
    let seq = new(bench.accept(message("ann", "1")).await);
    tokio::time::advance(8 * 24 * HOUR - HOUR).await;
    assert_eq!(bench.accept(message("ann", "1")).await, Accepted::Duplicate(seq));
    tokio::time::advance(HOUR).await;
    let again = new(bench.accept(message("ann", "1")).await);
    assert!(again > seq);
    // What the first one left behind expires now, and must not take the second with it.
    tokio::time::advance(2 * HOUR).await;
    bench.accept(message("ben", "2")).await;
    assert_eq!(bench.accept(message("ann", "1")).await, Accepted::Duplicate(again));
    tokio::time::advance(8 * 24 * HOUR).await;
    for other in 0..3 {
        bench.accept(message("ben", &format!("other {other}"))).await;
    }
    new(bench.accept(message("ann", "1")).await);
}

pub(super) async fn messages_come_in_the_order_of_their_acceptance(bench: &Bench) {
    bench.accept_new([message("ann", "z"), message("ben", "x"), message("ann", "a")]).await;
    bench.accept(message("ann", "m")).await;
    let claim = bench.claim().await;
    assert_eq!(ids(&claim), ["z", "a", "m"]);
    assert!(claim.messages.is_sorted_by_key(|waiting| waiting.seq));
    assert_eq!(claim.messages[0].accepted, bench.clock.now());
}

pub(super) async fn conversations_come_in_the_order_in_which_they_became_ready(bench: &Bench) {
    bench.accept_new([message("cid", "1"), message("ann", "2"), message("cid", "3"), message("ben", "4")]).await;
    let served = [bench.claim().await, bench.claim().await, bench.claim().await];
    assert_eq!(served.each_ref().map(chat), ["cid", "ann", "ben"]);
}

pub(super) async fn a_conversation_that_is_given_back_stands_behind_the_others(bench: &Bench) {
    bench.accept_new([message("ann", "1"), message("ben", "2"), message("cid", "3")]).await;
    let (ann, ben) = (bench.claim().await, bench.claim().await);
    bench.later(ann, MINUTE).await;
    drop(ben);
    assert_eq!(chat(&bench.claim().await), "cid");
    tokio::time::advance(MINUTE).await;
    assert_eq!(chat(&bench.claim().await), "ben");
}

pub(super) async fn a_conversation_is_held_once_at_a_time(bench: &Bench) {
    bench.accept_new([message("ann", "1"), message("ann", "2")]).await;
    let held = bench.claim().await;
    assert!(bench.is_idle());
    bench.accept(message("ann", "3")).await;
    assert!(bench.is_idle());
    bench.answer(held).await;
    assert!(!bench.is_idle());
}

pub(super) async fn what_arrives_during_a_claim_waits_for_the_next(bench: &Bench) {
    bench.accept(message("ann", "1")).await;
    let first = bench.claim().await;
    bench.accept(message("ann", "2")).await;
    assert_eq!(ids(&first), ["1"]);
    bench.answer(first).await;
    assert_eq!(ids(&bench.claim().await), ["2"]);
}

pub(super) async fn settled_messages_are_gone_and_the_others_wait(bench: &Bench) {
    let seqs = bench.accept_new(["1", "2", "3"].map(|id| message("ann", id))).await;
    let claim = bench.claim().await;
    bench.settle(claim, vec![(seqs[1], Ending::Silent)]).await.unwrap();
    let claim = bench.claim().await;
    assert_eq!(ids(&claim), ["1", "3"]);
    bench.answer(claim).await;
    assert!(bench.is_idle());
}

pub(super) async fn endings_of_messages_that_do_not_wait_change_nothing(bench: &Bench) {
    let seqs = bench.accept_new([message("ann", "1"), message("ann", "2"), message("ben", "3")]).await;
    let ann = bench.claim().await;
    let dead = || Ending::Dead { reason: "code 1".to_owned() };
    let endings = vec![(seqs[0], dead()), (seqs[0], Ending::Answered), (seqs[2], dead()), (Seq(900), dead())];
    bench.settle(ann, endings).await.unwrap();
    let letters = bench.store.dead(None, 10).await.unwrap();
    assert_eq!(letters.iter().map(|letter| letter.message.seq).collect::<Vec<_>>(), [seqs[0]]);
    assert_eq!(ids(&bench.claim().await), ["3"]);
    assert_eq!(ids(&bench.claim().await), ["2"]);
}

pub(super) async fn later_holds_back_its_conversation_alone(bench: &Bench) {
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

pub(super) async fn a_message_does_not_end_a_hold_back(bench: &Bench) {
    bench.accept(message("ann", "1")).await;
    let claim = bench.claim().await;
    bench.later(claim, MINUTE).await;
    bench.accept(message("ann", "2")).await;
    assert!(bench.is_idle());
    tokio::time::advance(MINUTE).await;
    assert_eq!(ids(&bench.claim().await), ["1", "2"]);
}

pub(super) async fn a_claim_that_is_dropped_is_given_back_at_once(bench: &Bench) {
    bench.accept(message("ann", "1")).await;
    let claim = bench.claim().await;
    // No runtime on that thread.
    std::thread::spawn(move || drop(claim)).join().unwrap();
    assert_eq!(ids(&bench.claim().await), ["1"]);
    assert!(!bench.is_idle(), "the last claim was dropped, too");
}

pub(super) async fn a_lease_that_has_ended_lets_another_in_and_fences_the_first(bench: &Bench) {
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

pub(super) async fn a_lease_that_has_ended_fences_even_if_nobody_else_came(bench: &Bench) {
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

pub(super) async fn a_claim_of_another_store_is_fenced(bench: &Bench) {
    let other = Bench::memory();
    for bench in [bench, &other] {
        bench.accept(message("ann", "1")).await;
    }
    let (ours, theirs) = (bench.claim().await, other.claim().await);
    assert_eq!(bench.store.intend(&theirs, &outgoing(&ours, &["a"])).await, Err(StoreError::Fenced));
    assert_eq!(bench.settle(theirs, Vec::new()).await, Err(StoreError::Fenced));
}

pub(super) async fn all_who_wait_are_woken_by_a_batch(bench: &Bench) {
    let waiting = wait_for_claims(bench, 32).await;
    bench.accept_new((0..32).map(|n| message(&format!("chat {n}"), &format!("{n}")))).await;
    let mut chats = BTreeSet::new();
    for claim in waiting {
        chats.insert(within(claim).await.unwrap().unwrap().conversation);
    }
    assert_eq!(chats.len(), 32);
}

pub(super) async fn a_hold_back_wakes_who_waits_when_it_ends(bench: &Bench) {
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

pub(super) async fn a_lease_wakes_who_waits_when_it_ends(bench: &Bench) {
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

pub(super) async fn a_wait_that_is_cancelled_loses_nothing(bench: &Bench) {
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

pub(super) async fn a_wait_that_is_cancelled_after_its_wake_up_hands_it_on(bench: &Bench) {
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

pub(super) async fn what_is_outgoing_comes_back_with_the_next_claim(bench: &Bench) {
    bench.accept(message("ann", "1")).await;
    let claim = bench.claim().await;
    assert_eq!(claim.outgoing, None);
    let mut expected = outgoing(&claim, &["a", "b", "c"]);
    expected.failure = Some("code 5".to_owned());
    bench.store.intend(&claim, &expected).await.unwrap();
    let states = [PartState::Sent { message: MessageId::new("sent") }, PartState::Sending { attempts: 1 }];
    for (part, state) in states.into_iter().enumerate() {
        bench.store.mark(&claim, part, state.clone()).await.unwrap();
        expected.parts[part].state = state;
    }
    drop(claim);
    let claim = bench.claim().await;
    assert_eq!(claim.outgoing.as_ref(), Some(&expected));
    bench.store.mark(&claim, 1, PartState::Unknown { attempts: 2 }).await.unwrap();
    expected.parts[1].state = PartState::Unknown { attempts: 2 };
    bench.later(claim, Duration::ZERO).await;
    let claim = bench.claim().await;
    assert_eq!(claim.outgoing.as_ref(), Some(&expected));
    bench.accept(message("ann", "2")).await;
    bench.answer(claim).await;
    assert_eq!(bench.claim().await.outgoing, None, "settled is settled");
}

pub(super) async fn an_intent_replaces_the_one_before(bench: &Bench) {
    bench.accept(message("ann", "1")).await;
    let claim = bench.claim().await;
    let long = "long ".repeat(3_000);
    for words in [&["first"][..], &[&long, &long], &["last"]] {
        bench.store.intend(&claim, &outgoing(&claim, words)).await.unwrap();
    }
    let expected = outgoing(&claim, &["last"]);
    drop(claim);
    let claim = bench.claim().await;
    assert_eq!(claim.outgoing, Some(expected));
}

pub(super) async fn a_part_that_is_not_outgoing_cannot_be_marked(bench: &Bench) {
    bench.accept(message("ann", "1")).await;
    let claim = bench.claim().await;
    let sending = || PartState::Sending { attempts: 0 };
    assert!(matches!(bench.store.mark(&claim, 0, sending()).await, Err(StoreError::Invalid(_))));
    bench.store.intend(&claim, &outgoing(&claim, &["a"])).await.unwrap();
    assert!(matches!(bench.store.mark(&claim, 1, sending()).await, Err(StoreError::Invalid(_))));
    bench.store.mark(&claim, 0, sending()).await.unwrap();
}

pub(super) async fn history_is_in_order_and_limited_and_trimmed(bench: &Bench) {
    let ann = conversation("ann");
    assert_eq!(bench.store.history(&ann, 10).await.unwrap(), []);
    let long = "long ".repeat(2_000);
    let mut expected = Vec::new();
    for turn in 0..4 {
        bench.accept(message("ann", &turn.to_string())).await;
        let claim = bench.claim().await;
        let said = vec![said(&format!("question {turn}")), said(&long), said(&format!("answer {turn}"))];
        expected.extend(said.iter().cloned());
        let endings = vec![(claim.messages[0].seq, Ending::Answered)];
        bench.store.settle(claim, Settlement::Done { endings, said, failure_replied: None }).await.unwrap();
    }
    let expected = expected.split_off(7);
    assert_eq!(bench.store.history(&ann, 10).await.unwrap(), expected);
    assert_eq!(bench.store.history(&ann, 2).await.unwrap(), expected[3..]);
    assert_eq!(bench.store.history(&ann, 0).await.unwrap(), []);
    assert_eq!(bench.store.history(&ann, usize::MAX).await.unwrap(), expected);
    assert_eq!(bench.store.history(&conversation("ben"), 10).await.unwrap(), []);
}

pub(super) async fn dead_letters_are_walked_by_cursor(bench: &Bench) {
    assert_eq!(bench.store.dead(None, 10).await.unwrap(), []);
    let ids: Vec<String> = (0..7).map(|n| n.to_string()).collect();
    let seqs = bench.accept_new(ids.iter().map(|id| message("ann", id))).await;
    tokio::time::advance(MINUTE).await;
    let claim = bench.claim().await;
    let waiting = claim.messages.clone();
    let endings = seqs.iter().map(|seq| (*seq, Ending::Dead { reason: format!("code {seq}") })).collect();
    bench.settle(claim, endings).await.unwrap();
    assert!(bench.is_idle());
    let since = bench.clock.now();
    let expected: Vec<DeadLetter> = waiting
        .into_iter()
        .map(|message| DeadLetter { reason: format!("code {}", message.seq), message, since })
        .collect();
    let mut walked = Vec::new();
    let mut after = None;
    loop {
        let page = bench.store.dead(after, 3).await.unwrap();
        assert!(page.len() <= 3);
        let Some(last) = page.last() else { break };
        after = Some(last.message.seq);
        walked.extend(page);
    }
    assert_eq!(walked, expected);
    assert_eq!(bench.store.dead(Some(Seq(u64::MAX)), 3).await.unwrap(), []);
}

pub(super) async fn a_full_store_takes_nothing_in(bench: &Bench) {
    let many = |from: usize, to: usize| (from..to).map(|n| message("ann", &n.to_string())).collect::<Vec<_>>();
    let seqs = bench.accept_new(many(0, MAX_WAITING - 1)).await;
    assert_eq!(bench.store.accept(many(MAX_WAITING - 1, MAX_WAITING + 1)).await, Err(StoreError::Full));
    let last = new(bench.accept(message("ann", "last")).await);
    assert_eq!(bench.store.accept(vec![message("ben", "one more")]).await, Err(StoreError::Full));
    // What is known is known all the same, and what was refused is not.
    assert_eq!(bench.accept(message("ann", "0")).await, Accepted::Duplicate(seqs[0]));
    let claim = bench.claim().await;
    assert_eq!(claim.messages.len(), MAX_WAITING);
    bench.settle(claim, vec![(seqs[0], Ending::Answered)]).await.unwrap();
    let seq = new(bench.accept(message("ben", "one more")).await);
    assert!(seq > last);
    assert_eq!(bench.store.accept(many(MAX_WAITING - 1, MAX_WAITING)).await, Err(StoreError::Full));
}

pub(super) async fn a_record_that_is_too_large_takes_nothing_in(bench: &Bench) {
    let large = "l".repeat(1024 * 1024);
    let batch = vec![message("ann", "1"), message_saying("ann", "2", large.clone())];
    assert!(matches!(bench.store.accept(batch).await, Err(StoreError::TooLarge { limit: 1_048_576 })));
    assert!(bench.is_idle());
    new(bench.accept(message("ann", "1")).await);
    let claim = bench.claim().await;
    let refused = bench.store.intend(&claim, &outgoing(&claim, &[&large])).await;
    assert!(matches!(refused, Err(StoreError::TooLarge { .. })));
    let settlement = Settlement::Done { endings: Vec::new(), said: vec![said(&large)], failure_replied: None };
    assert!(matches!(bench.store.settle(claim, settlement).await, Err(StoreError::TooLarge { .. })));
    let claim = bench.claim().await;
    assert_eq!(ids(&claim), ["1"], "given back as it was");
    assert_eq!(claim.outgoing, None);
}

pub(super) async fn what_could_not_be_read_again_is_refused(bench: &Bench) {
    let mut strange = message("ann", "1");
    let item = OrderItem { product: "p".to_owned(), quantity: f64::NAN, price: None, currency: None };
    strange.content = Content::Order { catalog: None, text: None, items: vec![item] };
    assert!(matches!(bench.store.accept(vec![strange]).await, Err(StoreError::Invalid(_))));
    assert!(bench.is_idle());

    bench.accept(message("ann", "1")).await;
    let claim = bench.claim().await;
    let mut reply = outgoing(&claim, &["a"]);
    let source = MediaSource::Bytes { data: "data".into(), mime: "image/png".to_owned() };
    let media = Media { kind: MediaKind::Image, source, caption: None, filename: None };
    reply.parts[0].part = Payload::Media(media).into();
    assert!(matches!(bench.store.intend(&claim, &reply).await, Err(StoreError::Invalid(_))));
}

pub(super) async fn long_messages_come_back_whole(bench: &Bench) {
    // One length each around the places where a record is cut, whatever stands around the words.
    let lengths: Vec<usize> = (3_600..4_010).step_by(10).chain(7_700..7_720).chain([64 * 1024, 900_000]).collect();
    let messages: Vec<_> = lengths.iter().map(|n| message_saying("ann", &n.to_string(), "é".repeat(n / 2))).collect();
    bench.accept_new(messages.clone()).await;
    let claim = bench.claim().await;
    assert!(claim.messages.iter().map(|waiting| &waiting.inbound).eq(&messages));
    let dead = |waiting: &threedots::store::Waiting| (waiting.seq, Ending::Dead { reason: "code".to_owned() });
    let endings = claim.messages.iter().map(dead).collect();
    bench.settle(claim, endings).await.unwrap();
    let letters = bench.store.dead(None, usize::MAX).await.unwrap();
    assert!(letters.iter().map(|letter| &letter.message.inbound).eq(&messages));
    assert!(bench.is_idle());
}

pub(super) async fn a_thousand_messages_go_in_at_once(bench: &Bench) {
    let batch = (0..1_000).map(|n| message(&format!("chat {}", n % 10), &n.to_string()));
    let seqs = bench.accept_new(batch).await;
    assert!(seqs.is_sorted());
    for chat in 0..10 {
        let claim = bench.claim().await;
        let expected: Vec<String> = (0..1_000).filter(|n| n % 10 == chat).map(|n| n.to_string()).collect();
        assert_eq!(ids(&claim), expected);
        bench.answer(claim).await;
    }
    assert!(bench.is_idle());
}

pub(super) async fn a_failure_reply_is_remembered_until_the_next(bench: &Bench) {
    let settle = async |id: &str, failure_replied: Option<Timestamp>| {
        bench.accept(message("ann", id)).await;
        let claim = bench.claim().await;
        let before = claim.failure_replied;
        let endings = vec![(claim.messages[0].seq, Ending::Answered)];
        bench.store.settle(claim, Settlement::Done { endings, said: Vec::new(), failure_replied }).await.unwrap();
        before
    };
    assert_eq!(settle("1", Some(Timestamp(5))).await, None);
    assert_eq!(settle("2", None).await, Some(Timestamp(5)));
    assert_eq!(settle("3", Some(Timestamp(7))).await, Some(Timestamp(5)));
    assert_eq!(settle("4", None).await, Some(Timestamp(7)));
}

pub(super) async fn a_closed_store_refuses_everything(bench: &Bench) {
    bench.accept(message("ann", "1")).await;
    let claim = bench.claim().await;
    let waiting = wait_for_claims(bench, 2).await;
    bench.store.close().await;
    for wait in waiting {
        assert_eq!(within(wait).await.unwrap().map(drop), Err(StoreError::Closed));
    }
    assert_eq!(bench.store.accept(vec![message("ann", "2")]).await, Err(StoreError::Closed));
    assert_eq!(within(bench.store.claim(LEASE)).await.map(drop), Err(StoreError::Closed));
    assert_eq!(bench.store.intend(&claim, &outgoing(&claim, &["a"])).await, Err(StoreError::Closed));
    assert_eq!(bench.store.mark(&claim, 0, PartState::Sending { attempts: 0 }).await, Err(StoreError::Closed));
    assert_eq!(bench.settle(claim, Vec::new()).await, Err(StoreError::Closed));
    assert_eq!(bench.store.history(&conversation("ann"), 1).await, Err(StoreError::Closed));
    assert_eq!(bench.store.dead(None, 1).await, Err(StoreError::Closed));
    assert_eq!(bench.store.failure(), None);
    bench.store.close().await;
}

/// Tasks that wait for a claim each, all of them waiting already.
async fn wait_for_claims(bench: &Bench, tasks: usize) -> Vec<JoinHandle<Result<Claim, StoreError>>> {
    let wait = |_| {
        let store = Arc::clone(&bench.store);
        tokio::spawn(async move { store.claim(LEASE).await })
    };
    let waiting = (0..tasks).map(wait).collect();
    let_others_run().await;
    waiting
}
