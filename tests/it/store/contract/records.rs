//! What holds of every store when claims are settled, and of what it keeps.

use std::time::Duration;

use threedots::message::MessageId;
use threedots::message::clock::Timestamp;
use threedots::store::{DeadLetter, Ending, MOST_RECALLED_BYTES, PartState, Seq, Settled, Settlement, StoreError};

use crate::store::bench::{Bench, conversation, ids, message, outgoing, said};

const MINUTE: Duration = Duration::from_mins(1);

pub(in crate::store) async fn what_is_outgoing_comes_back_with_the_next_claim(bench: &Bench) {
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
    bench.store.mark(&claim, 1, PartState::Unknown { attempts: 2, since: Timestamp(7) }).await.unwrap();
    expected.parts[1].state = PartState::Unknown { attempts: 2, since: Timestamp(7) };
    bench.later(claim, Duration::ZERO).await;
    let claim = bench.claim().await;
    assert_eq!(claim.outgoing.as_ref(), Some(&expected));
    bench.accept(message("ann", "2")).await;
    bench.answer(claim).await;
    assert_eq!(bench.claim().await.outgoing, None, "settled is settled");
}

pub(in crate::store) async fn an_intent_replaces_the_one_before(bench: &Bench) {
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

pub(in crate::store) async fn a_part_that_is_not_outgoing_cannot_be_marked(bench: &Bench) {
    bench.accept(message("ann", "1")).await;
    let claim = bench.claim().await;
    let sending = || PartState::Sending { attempts: 0 };
    assert!(matches!(bench.store.mark(&claim, 0, sending()).await, Err(StoreError::Invalid(_))));
    bench.store.intend(&claim, &outgoing(&claim, &["a"])).await.unwrap();
    assert!(matches!(bench.store.mark(&claim, 1, sending()).await, Err(StoreError::Invalid(_))));
    bench.store.mark(&claim, 0, sending()).await.unwrap();
}

pub(in crate::store) async fn history_is_in_order_and_limited_and_trimmed(bench: &Bench) {
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
        bench
            .store
            .settle(
                claim,
                Settlement::Done(Settled { endings, said, failure_replied: None, sent: Vec::new(), failed: 0 }),
            )
            .await
            .unwrap();
    }
    let expected = expected.split_off(7);
    assert_eq!(bench.store.history(&ann, 10).await.unwrap(), expected);
    assert_eq!(bench.store.history(&ann, 2).await.unwrap(), expected[3..]);
    assert_eq!(bench.store.history(&ann, 0).await.unwrap(), []);
    assert_eq!(bench.store.history(&ann, usize::MAX).await.unwrap(), expected);
    assert_eq!(bench.store.history(&conversation("ben"), 10).await.unwrap(), []);
}

pub(in crate::store) async fn so_many_bytes_of_history_are_read_at_once(bench: &Bench) {
    let long: Vec<_> = ["a", "b", "c", "d"].map(|words| said(&words.repeat(MOST_RECALLED_BYTES / 3))).into();
    let longer = said(&"e".repeat(2 * MOST_RECALLED_BYTES));
    for (said, expected) in [(long.clone(), &long[2..]), (vec![longer.clone()], &[longer][..])] {
        bench.accept(message("ann", &said.len().to_string())).await;
        let claim = bench.claim().await;
        let endings = vec![(claim.messages[0].seq, Ending::Answered)];
        let done = Settlement::Done(Settled { endings, said, failure_replied: None, sent: Vec::new(), failed: 0 });
        bench.store.settle(claim, done).await.unwrap();
        assert!(bench.store.history(&conversation("ann"), 10).await.unwrap() == expected);
        assert_eq!(bench.store.history(&conversation("ann"), 1).await.unwrap().len(), 1);
    }
}

pub(in crate::store) async fn dead_letters_are_walked_by_cursor(bench: &Bench) {
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
        .map(|message| DeadLetter { reason: format!("code {}", message.seq), message, since, unread: false })
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

pub(in crate::store) async fn a_failure_reply_is_remembered_until_the_next(bench: &Bench) {
    let settle = async |id: &str, failure_replied: Option<Timestamp>| {
        bench.accept(message("ann", id)).await;
        let claim = bench.claim().await;
        let before = claim.failure_replied;
        let endings = vec![(claim.messages[0].seq, Ending::Answered)];
        bench
            .store
            .settle(
                claim,
                Settlement::Done(Settled { endings, said: Vec::new(), failure_replied, sent: Vec::new(), failed: 0 }),
            )
            .await
            .unwrap();
        before
    };
    assert_eq!(settle("1", Some(Timestamp(5))).await, None);
    assert_eq!(settle("2", None).await, Some(Timestamp(5)));
    assert_eq!(settle("3", Some(Timestamp(7))).await, Some(Timestamp(5)));
    assert_eq!(settle("4", None).await, Some(Timestamp(7)));
}

pub(in crate::store) async fn settled_messages_are_gone_and_the_others_wait(bench: &Bench) {
    let seqs = bench.accept_new(["1", "2", "3"].map(|id| message("ann", id))).await;
    let claim = bench.claim().await;
    bench.settle(claim, vec![(seqs[1], Ending::Silent)]).await.unwrap();
    let claim = bench.claim().await;
    assert_eq!(ids(&claim), ["1", "3"]);
    bench.answer(claim).await;
    assert!(bench.is_idle());
}

pub(in crate::store) async fn endings_of_messages_that_do_not_wait_change_nothing(bench: &Bench) {
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
