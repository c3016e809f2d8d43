//! What holds of every store as it throws away what has lived long enough.

use std::time::Duration;

use threedots::message::Stage;
use threedots::message::clock::Timestamp;
use threedots::store::{Ending, Retention, Settled, Settlement, StatusOutcome, Swept};

use crate::store::bench::{Bench, conversation, key, message, said};

const DAY: Duration = Duration::from_hours(24);

/// Sweeps once over everything, and says what was thrown away, and in how many steps.
async fn sweep(bench: &Bench, retention: &Retention) -> (Swept, usize) {
    let mut all = Swept::default();
    for steps in 1.. {
        let swept = bench.store.sweep(retention).await.unwrap();
        all.conversations += swept.conversations;
        all.sent += swept.sent;
        all.dead += swept.dead;
        if swept.round {
            return (all, steps);
        }
    }
    unreachable!()
}

fn swept(conversations: usize, sent: usize, dead: usize) -> Swept {
    Swept { conversations, sent, dead, round: false }
}

/// Says so many things in a chat, now.
async fn say(bench: &Bench, chat: &str, id: &str, count: usize) {
    bench.accept(message(chat, id)).await;
    let claim = bench.claim().await;
    let endings = vec![(claim.messages[0].seq, Ending::Answered)];
    let mut word = said(&"word ".repeat(1_000));
    word.time = bench.clock.now();
    let done = Settlement::Done(Settled {
        endings,
        said: vec![word; count],
        failure_replied: None,
        sent: Vec::new(),
        failed: 0,
    });
    bench.store.settle(claim, done).await.unwrap();
}

pub(in crate::store) async fn an_empty_store_is_swept_in_one_step(bench: &Bench) {
    assert_eq!(sweep(bench, &Retention::default()).await, (swept(0, 0, 0), 1));
}

pub(in crate::store) async fn what_was_said_is_kept_from_the_last_word(bench: &Bench) {
    let retention = Retention { history: 10 * DAY, ..Retention::default() };
    say(bench, "ann", "1", 3).await;
    say(bench, "ben", "2", 3).await;
    tokio::time::advance(9 * DAY).await;
    say(bench, "ben", "3", 1).await;
    tokio::time::advance(DAY - Duration::from_millis(1)).await;
    assert_eq!(sweep(bench, &retention).await.0, swept(0, 0, 0));
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(sweep(bench, &retention).await.0, swept(1, 0, 0));
    let count = async |chat| bench.store.history(&conversation(chat), 99).await.unwrap().len();
    assert_eq!((count("ann").await, count("ben").await), (0, 4));
    tokio::time::advance(9 * DAY).await;
    assert_eq!(sweep(bench, &retention).await.0, swept(1, 0, 0));
    assert_eq!(count("ben").await, 0);
    assert_eq!(sweep(bench, &retention).await.0, swept(0, 0, 0));
}

pub(in crate::store) async fn a_conversation_with_something_to_do_is_kept(bench: &Bench) {
    let retention = Retention { history: DAY, sent: 900 * DAY, ..Retention::default() };
    for chat in ["waiting", "outgoing", "failed", "held"] {
        say(bench, chat, chat, 1).await;
    }
    bench.converse("failed", "f", &["f"], true).await;
    assert_eq!(bench.note("f", Stage::Failed(None)).await, StatusOutcome::Failed);
    bench.accept_new(["waiting", "outgoing", "held"].map(|chat| message(chat, &format!("{chat} again")))).await;
    let mut claims = Vec::new();
    for _ in 0..4 {
        claims.push(bench.claim().await);
    }
    for claim in &claims {
        if claim.conversation == conversation("outgoing") {
            let reply = crate::store::bench::outgoing(claim, &["o"]);
            bench.store.intend(claim, &reply).await.unwrap();
        }
    }
    tokio::time::advance(2 * DAY).await;
    assert_eq!(sweep(bench, &retention).await.0, swept(0, 0, 0));
    for claim in claims {
        let failed = claim.failed.len();
        bench.answer_with(claim, &[], failed).await;
    }
    assert_eq!(sweep(bench, &retention).await.0, swept(4, 0, 0));
    assert!(bench.is_idle());
}

pub(in crate::store) async fn a_failure_reply_counts_as_a_last_word(bench: &Bench) {
    let retention = Retention { history: DAY, ..Retention::default() };
    bench.accept(message("ann", "1")).await;
    tokio::time::advance(DAY).await;
    let claim = bench.claim().await;
    let endings = vec![(claim.messages[0].seq, Ending::Silent)];
    let failure_replied = Some(bench.clock.now());
    let done = Settlement::Done(Settled { endings, said: Vec::new(), failure_replied, sent: Vec::new(), failed: 0 });
    bench.store.settle(claim, done).await.unwrap();
    assert_eq!(sweep(bench, &retention).await.0, swept(0, 0, 0));
    tokio::time::advance(DAY).await;
    assert_eq!(sweep(bench, &retention).await.0, swept(1, 0, 0));
    bench.accept(message("ann", "2")).await;
    assert_eq!(bench.claim().await.failure_replied, None);
}

pub(in crate::store) async fn parts_are_kept_from_the_time_they_left(bench: &Bench) {
    let retention = Retention { sent: 8 * DAY, ..Retention::default() };
    bench.converse("ann", "1", &["a", "b"], true).await;
    tokio::time::advance(4 * DAY).await;
    bench.converse("ann", "2", &["c", "d"], false).await;
    assert_eq!(bench.note("a", Stage::Read).await, StatusOutcome::Moved);
    tokio::time::advance(4 * DAY).await;
    assert_eq!(sweep(bench, &retention).await.0, swept(0, 2, 0));
    assert_eq!(bench.store.part(&key("a")).await, Ok(None));
    assert_eq!(bench.note("b", Stage::Failed(None)).await, StatusOutcome::Unknown);
    assert_eq!(bench.note_by_name("c", Stage::Read).await, StatusOutcome::Moved);
    tokio::time::advance(4 * DAY).await;
    assert_eq!(sweep(bench, &retention).await.0, swept(0, 2, 0));
    assert_eq!(bench.note_by_name("d", Stage::Read).await, StatusOutcome::Unknown);
}

pub(in crate::store) async fn a_part_may_fail_after_its_conversation_has_been_swept_out(bench: &Bench) {
    let retention = Retention { history: DAY, sent: 8 * DAY, ..Retention::default() };
    bench.converse("ann", "1", &["a"], true).await;
    tokio::time::advance(DAY).await;
    assert_eq!(sweep(bench, &retention).await.0, swept(1, 0, 0));
    assert_eq!(bench.note("a", Stage::Failed(None)).await, StatusOutcome::Failed);
    assert_eq!(sweep(bench, &retention).await.0, swept(0, 0, 0));
    let claim = bench.claim().await;
    assert_eq!(claim.failed.len(), 1);
    bench.answer_with(claim, &[], 1).await;
    assert!(bench.is_idle());
}

pub(in crate::store) async fn dead_letters_are_kept_from_their_end(bench: &Bench) {
    let retention = Retention { dead: 30 * DAY, ..Retention::default() };
    for (id, days) in [("1", 20), ("2", 10)] {
        bench.accept(message("ann", id)).await;
        let claim = bench.claim().await;
        bench.bury(claim).await;
        tokio::time::advance(days * DAY).await;
    }
    assert_eq!(sweep(bench, &retention).await.0, swept(0, 0, 1));
    let left = bench.store.dead(None, 9).await.unwrap();
    assert_eq!(left.iter().map(|letter| letter.message.inbound.at.message.as_str()).collect::<Vec<_>>(), ["2"]);
}

pub(in crate::store) async fn a_sweep_goes_in_short_steps(bench: &Bench) {
    let retention = Retention { history: DAY, sent: DAY, dead: DAY };
    let chats: Vec<String> = (0..300).map(|chat| format!("chat {chat}")).collect();
    bench.accept_new(chats.iter().map(|chat| message(chat, chat))).await;
    for _ in &chats {
        let claim = bench.claim().await;
        let words = claim.conversation.chat.as_str().to_owned();
        bench.store.intend(&claim, &crate::store::bench::outgoing(&claim, &[&words])).await.unwrap();
        let dead = Ending::Dead { reason: "code".to_owned() };
        let endings = vec![(claim.messages[0].seq, dead)];
        let sent = vec![(0, threedots::message::MessageId::new(words))];
        let mut word = said("word");
        word.time = Timestamp(1);
        let done = Settlement::Done(Settled { endings, said: vec![word; 3], failure_replied: None, sent, failed: 0 });
        bench.store.settle(claim, done).await.unwrap();
    }
    assert!(sweep(bench, &retention).await.1 >= 5);
    tokio::time::advance(DAY).await;
    let (all, steps) = sweep(bench, &retention).await;
    assert_eq!(all, swept(300, 300, 300));
    assert!(steps >= 5, "{steps}");
    assert_eq!(sweep(bench, &retention).await, (swept(0, 0, 0), 1));
}
