//! What holds of every store as dead letters wait again or are thrown away, and of how much waits.

use std::time::Duration;

use threedots::message::clock::Timestamp;
use threedots::message::{Content, Inbound};
use threedots::store::{Accepted, Backlog, DeadLetter, Ending, Outgoing, Retention, Seq, StoreError};

use crate::store::bench::{Bench, MAX_WAITING, conversation, ids, message, message_saying, new, outgoing};

const HOUR: Duration = Duration::from_hours(1);

pub(in crate::store) async fn a_dead_letter_that_is_replayed_waits_behind_the_others(bench: &Bench) {
    let long = message_saying("ann", "1", "long ".repeat(5_000));
    let seq = new(bench.accept(long.clone()).await);
    let claim = bench.claim().await;
    bench.bury(claim).await;
    let second = new(bench.accept(message("ann", "2")).await);
    tokio::time::advance(HOUR).await;

    assert_eq!(bench.store.replay(seq).await, Ok(Some(conversation("ann"))));
    assert_eq!(bench.store.dead(None, 9).await, Ok(Vec::new()));
    assert_eq!(bench.store.replay(seq).await, Ok(None), "it is dead no longer");
    let claim = bench.claim().await;
    assert_eq!(ids(&claim), ["2", "1"]);
    let [other, again] = &claim.messages[..] else { panic!() };
    assert!(again.seq > second);
    assert_eq!((again.accepted, &again.inbound), (bench.clock.now(), &long));
    assert_eq!((other.replayed, again.replayed), (false, true));
    assert_eq!(bench.accept(long).await, Accepted::Duplicate(seq), "its mark stands");
    bench.bury(claim).await;
    let numbers: Vec<_> = bench.store.dead(None, 9).await.unwrap().iter().map(|letter| letter.message.seq).collect();
    assert_eq!(numbers.len(), 2);
    assert!(numbers.is_sorted() && !numbers.contains(&seq));
    assert_eq!(bench.store.replay(Seq(900)).await, Ok(None));
}

pub(in crate::store) async fn a_dead_letter_is_replayed_after_its_conversation_has_been_swept_out(bench: &Bench) {
    let seq = new(bench.accept(message("ann", "1")).await);
    let claim = bench.claim().await;
    bench.bury(claim).await;
    let history = Duration::from_hours(1);
    tokio::time::advance(HOUR).await;
    let swept = bench.store.sweep(&Retention { history, ..Retention::default() }).await.unwrap();
    assert_eq!((swept.conversations, swept.dead), (1, 0));
    bench.store.replay(seq).await.unwrap();
    assert_eq!(ids(&bench.claim().await), ["1"]);
}

pub(in crate::store) async fn a_full_store_replays_nothing(bench: &Bench) {
    let seq = new(bench.accept(message("ann", "dead")).await);
    let claim = bench.claim().await;
    bench.bury(claim).await;
    bench.accept_new((0..MAX_WAITING).map(|n| message("ann", &n.to_string()))).await;
    assert_eq!(bench.store.replay(seq).await, Err(StoreError::Full));
    assert_eq!(bench.store.dead(None, 9).await.unwrap().len(), 1);
}

pub(in crate::store) async fn a_dead_letter_that_is_discarded_is_gone(bench: &Bench) {
    let seqs = bench.accept_new(["1", "2"].map(|id| message_saying("ann", id, "l".repeat(9_000)))).await;
    let claim = bench.claim().await;
    bench.bury(claim).await;
    assert_eq!(bench.store.discard(seqs[0]).await, Ok(true));
    assert_eq!(bench.store.discard(seqs[0]).await, Ok(false));
    assert_eq!(bench.store.replay(seqs[0]).await, Ok(None));
    let left = bench.store.dead(None, 9).await.unwrap();
    assert_eq!(left.iter().map(|letter| letter.message.seq).collect::<Vec<_>>(), [seqs[1]]);
    assert!(bench.is_idle());
}

pub(in crate::store) async fn the_backlog_is_what_waits(bench: &Bench) {
    let backlog = || {
        let Backlog { messages, conversations, .. } = bench.store.backlog();
        (messages, conversations)
    };
    assert_eq!(backlog(), (0, 0));
    let seqs = bench.accept_new([message("ann", "1"), message("ann", "2"), message("ben", "3")]).await;
    assert_eq!(backlog(), (3, 2));
    let ann = bench.claim().await;
    assert_eq!(backlog(), (3, 2), "whoever is being served counts");
    bench.settle(ann, vec![(seqs[0], Ending::Dead { reason: "code".to_owned() })]).await.unwrap();
    assert_eq!(backlog(), (2, 2));
    bench.store.replay(seqs[0]).await.unwrap();
    assert_eq!(backlog(), (3, 2));
    let ben = bench.claim().await;
    bench.store.intend(&ben, &Outgoing { failure: None, ..outgoing(&ben, &["a"]) }).await.unwrap();
    bench.later(ben, HOUR).await;
    let ann = bench.claim().await;
    bench.answer(ann).await;
    assert_eq!(backlog(), (1, 1), "whoever is held back counts");
    tokio::time::advance(HOUR).await;
    let ben = bench.claim().await;
    bench.answer_with(ben, &[(0, "a")], 0).await;
    assert_eq!(backlog(), (0, 0));
    bench.note("a", threedots::message::Stage::Failed(None)).await;
    assert_eq!(backlog(), (0, 1), "a failed part is something to do");
    assert_ne!(bench.clock.now(), Timestamp::default());
}

pub(in crate::store) async fn it_is_known_since_when_the_oldest_message_waits(bench: &Bench) {
    let start = bench.clock.now();
    let since = |bench: &Bench| bench.store.backlog().oldest.map(|oldest| oldest.since(start).as_secs() / 60);
    let minute = Duration::from_secs(60);
    assert_eq!(since(bench), None);
    for (chat, id) in [("ann", "1"), ("ben", "2"), ("ann", "3")] {
        bench.accept(message(chat, id)).await;
        tokio::time::advance(minute).await;
    }
    assert_eq!(since(bench), Some(0));
    let ann = bench.claim().await;
    assert_eq!(ids(&ann), ["1", "3"]);
    bench.accept(message("ann", "4")).await;
    assert_eq!(since(bench), Some(0), "it is being answered, and has not been");
    bench.answer(ann).await;
    assert_eq!(since(bench), Some(1));
    let ben = bench.claim().await;
    bench.later(ben, HOUR).await;
    assert_eq!(since(bench), Some(1), "held back, it waits all the same");
    tokio::time::advance(HOUR).await;
    let (first, second) = (bench.claim().await, bench.claim().await);
    let (ann, ben) = if first.conversation == conversation("ann") { (first, second) } else { (second, first) };
    bench.answer(ben).await;
    assert_eq!(since(bench), Some(3));
    bench.answer(ann).await;
    assert_eq!(since(bench), None);
}

/// A message that could not be read, with its reason.
fn unread(sender: &str, id: &str, raw: &str) -> (Inbound, String) {
    let content = Content::Unknown { what: DeadLetter::UNREAD.into(), raw: raw.into() };
    (Inbound { content, ..message(sender, id) }, "it could not be read".into())
}

pub(in crate::store) async fn what_could_not_be_read_is_a_dead_letter_once_and_is_never_claimed(bench: &Bench) {
    let seq = new(bench.accept(message("ann", "1")).await);
    let claim = bench.claim().await;
    bench.answer(claim).await;
    let letters = [unread("ann", "u1", "{\"id\":7"), unread("unknown", "u2", "[]"), unread("ann", "u1", "{\"id\":7")];
    let buried = bench.store.bury(&letters).await.unwrap();
    let [Accepted::New(first), Accepted::New(second), Accepted::Duplicate(again)] = buried[..] else {
        panic!("{buried:?}")
    };
    assert!(seq < first && first < second && again == first);
    assert_eq!(bench.store.bury(&letters[..1]).await.unwrap(), [Accepted::Duplicate(first)]);
    assert!(bench.is_idle(), "nobody is to answer it");
    let dead = bench.store.dead(None, 9).await.unwrap();
    let [one, other] = &dead[..] else { panic!("{dead:?}") };
    assert_eq!((one.message.seq, &one.message.inbound, &*one.reason), (first, &letters[0].0, "it could not be read"));
    assert_eq!((one.since, one.unread, other.unread), (bench.clock.now(), true, true));
    assert!(matches!(bench.store.replay(first).await, Err(StoreError::Invalid(_))));
    assert_eq!(bench.store.dead(None, 9).await.unwrap().len(), 2, "it is there still");
    assert_eq!(bench.store.discard(first).await, Ok(true));
    let third = new(bench.accept(message("ann", "2")).await);
    assert!(third > second);
    tokio::time::advance(HOUR).await;
    let kept = Retention { dead: HOUR, ..Retention::default() };
    while !bench.store.sweep(&kept).await.unwrap().round {}
    assert_eq!(bench.store.dead(None, 9).await, Ok(Vec::new()));
}

pub(in crate::store) async fn what_could_not_be_read_is_forgotten_with_whom_it_names(bench: &Bench) {
    let letters = [
        unread("15550100001", "u1", "{}"),
        unread("unknown", "u2", "{\"from\":[\"15550100001@c.us\"]}"),
        unread("unknown", "u3", "{\"from\":[\"+15550100001\"]}"),
        unread("unknown", "u4", "{\"from\":[\"115550100001\"],\"id\":\"155501000012\"}"),
        unread("15550100002", "u5", "{\"from\":\"15550100002\"}"),
    ];
    bench.store.bury(&letters).await.unwrap();
    let bot = &letters[0].0.at.bot;
    let forgotten = bench.store.forget(bot, "+15550100001").await.unwrap();
    assert_eq!(forgotten.dead, 3);
    let left: Vec<_> =
        bench.store.dead(None, 9).await.unwrap().into_iter().map(|letter| letter.message.inbound).collect();
    assert_eq!(left, [letters[3].0.clone(), letters[4].0.clone()]);
    // Its mark is gone as well.
    assert!(matches!(bench.store.bury(&letters[..1]).await.unwrap()[..], [Accepted::New(_)]));
}
