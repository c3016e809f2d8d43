//! What holds of every store when somebody is forgotten.

use std::time::Duration;

use threedots::Inbound;
use threedots::message::{BotName, ContactId, MessageId, Stage};
use threedots::store::{
    Accepted, Ending, Forgotten, Outgoing, PartState, Retention, Settled, Settlement, StatusOutcome, StoreError,
};

use crate::store::bench::{Bench, conversation, group_message, ids, key, message, outgoing, said};

const MINUTE: Duration = Duration::from_mins(1);

async fn forget(bench: &Bench, contact: &str) -> Forgotten {
    bench.store.forget(&BotName::new("shop"), contact).await.unwrap()
}

/// A message from somebody with a phone.
fn from(chat: &str, id: &str, sender: &str, phone: Option<&str>) -> Inbound {
    let mut message = message(chat, id);
    message.at.sender = ContactId::new(sender);
    message.at.phone = phone.map(ContactId::new);
    message
}

/// Ends what a claim holds with something said in a group by each of its messages' senders, and by the bot.
async fn talk(bench: &Bench, group: bool) {
    let claim = bench.claim().await;
    let endings = claim.messages.iter().map(|waiting| (waiting.seq, Ending::Answered)).collect();
    let mut words: Vec<_> = claim
        .messages
        .iter()
        .map(|waiting| {
            let at = &waiting.inbound.at;
            threedots::message::HistoryEntry { who: group.then(|| at.sender.clone()), ..said(at.message.as_str()) }
        })
        .collect();
    words.push(said("answer"));
    let done = Settlement::Done(Settled { endings, said: words, failure_replied: None, sent: Vec::new(), failed: 0 });
    bench.store.settle(claim, done).await.unwrap();
}

pub(in crate::store) async fn a_person_is_forgotten_with_all_that_is_theirs(bench: &Bench) {
    // Something said, a dead letter, two parts that have left, one of them failed, a reply on its way, and two
    // messages.
    bench.accept(from("ann", "said", "ann", Some("4915"))).await;
    talk(bench, false).await;
    bench.accept(from("ann", "dead", "ann", None)).await;
    let claim = bench.claim().await;
    bench.bury(claim).await;
    bench.converse("ann", "parts", &["a", "b"], false).await;
    assert_eq!(bench.note_by_name("b", Stage::Failed(None)).await, StatusOutcome::Failed);
    bench.accept_new(["1", "2"].map(|id| from("ann", id, "ann", None))).await;
    let claim = bench.claim().await;
    bench.store.intend(&claim, &outgoing(&claim, &["c"])).await.unwrap();
    drop(claim);
    // Somebody else has much the same.
    bench.accept(message("ben", "dead too")).await;
    for _ in 0..2 {
        let claim = bench.claim().await;
        if claim.conversation == conversation("ben") {
            bench.bury(claim).await
        } else {
            bench.later(claim, MINUTE).await
        }
    }
    bench.converse("ben", "other parts", &["d"], false).await;
    bench.accept(message("ben", "3")).await;

    let expected = Forgotten { conversations: 1, waiting: 2, outgoing: 1, said: 2, sent: 2, dead: 1 };
    assert_eq!(forget(bench, "+4915").await, expected);

    assert_eq!(bench.store.history(&conversation("ann"), 9).await, Ok(Vec::new()));
    for words in ["a", "b", "c"] {
        assert_eq!(bench.store.part(&key(words)).await, Ok(None));
        assert_eq!(bench.note(words, Stage::Read).await, StatusOutcome::Unknown);
        assert_eq!(bench.note_by_name(words, Stage::Read).await, StatusOutcome::Unknown);
    }
    let dead = bench.store.dead(None, 9).await.unwrap();
    assert_eq!(dead.iter().map(|letter| letter.message.inbound.at.chat.as_str()).collect::<Vec<_>>(), ["ben"]);
    assert_eq!(ids(&bench.claim().await), ["3"]);
    tokio::time::advance(MINUTE).await;
    let backlog = bench.store.backlog();
    assert_eq!((backlog.messages, backlog.conversations), (1, 1));
    assert_eq!(bench.note_by_name("d", Stage::Read).await, StatusOutcome::Moved);
    for id in ["1", "2", "dead"] {
        assert!(matches!(bench.accept(message("ann", id)).await, Accepted::New(_)), "the mark of {id} is gone");
    }
    assert!(matches!(bench.accept(message("ben", "dead too")).await, Accepted::Duplicate(_)));
    assert_eq!(forget(bench, "4915").await, Forgotten::default(), "nobody knows the number any longer");
}

pub(in crate::store) async fn a_person_is_known_by_a_number_or_by_any_identifier(bench: &Bench) {
    for (number, contact) in ["+49 30", "user", "chat", "+chat"].into_iter().enumerate() {
        let id = number.to_string();
        bench.accept(from("chat", &id, "user", None)).await;
        let late = from("chat", &format!("{id} later"), "user", Some("+49 30"));
        bench.accept(late).await;
        assert_eq!(forget(bench, contact).await.waiting, 2, "{contact}");
        assert!(bench.is_idle());
    }
    bench.accept(from("chat", "5", "user", Some("49 30"))).await;
    for contact in ["49", "49 301", "use", "nobody"] {
        assert_eq!(forget(bench, contact).await, Forgotten::default(), "{contact}");
    }
    for nobody in ["", "+", "  "] {
        let refused = bench.store.forget(&BotName::new("shop"), nobody).await;
        assert!(matches!(refused, Err(StoreError::Invalid(_))), "{refused:?}");
    }
    assert_eq!(ids(&bench.claim().await), ["5"]);
}

pub(in crate::store) async fn whoever_another_bot_knows_is_another_person(bench: &Bench) {
    let mut other = message("ann", "1");
    other.at.bot = BotName::new("help");
    bench.accept_new([other.clone(), message("ann", "1")]).await;
    assert_eq!(forget(bench, "ann").await.waiting, 1);
    let claim = bench.claim().await;
    assert_eq!(claim.conversation.bot.as_str(), "help");
    assert!(matches!(bench.accept(other).await, Accepted::Duplicate(_)));
}

pub(in crate::store) async fn whoever_is_forgotten_is_served_no_longer(bench: &Bench) {
    let seqs = bench.accept_new([message("ann", "1"), message("ben", "2")]).await;
    let (ann, ben) = (bench.claim().await, bench.claim().await);
    bench.store.intend(&ann, &outgoing(&ann, &["a"])).await.unwrap();
    let expected = Forgotten { conversations: 1, waiting: 1, outgoing: 1, ..Forgotten::default() };
    assert_eq!(forget(bench, "ann").await, expected);
    let sending = PartState::Sending { attempts: 0 };
    assert_eq!(bench.store.mark(&ann, 0, sending).await, Err(StoreError::Fenced));
    assert_eq!(bench.store.intend(&ann, &outgoing(&ann, &["b"])).await, Err(StoreError::Fenced));
    // Written again, they are a new conversation, which the old claim must not touch.
    bench.accept(message("ann", "3")).await;
    let again = bench.claim().await;
    assert_eq!((ids(&again), &again.outgoing), (vec!["3"], &None));
    assert_eq!(bench.settle(ann, vec![(seqs[0], Ending::Answered)]).await, Err(StoreError::Fenced));
    bench.answer(again).await;
    bench.answer(ben).await;
    assert!(bench.is_idle());
}

pub(in crate::store) async fn a_person_is_forgotten_in_groups_and_the_group_goes_on(bench: &Bench) {
    // Their number is known from their own conversation, their words in the group by their identifier.
    bench.accept(from("ann's chat", "direct", "ann", Some("4915"))).await;
    let claim = bench.claim().await;
    bench.answer(claim).await;
    bench
        .accept_new([
            group_message("group", "1", "ann", None),
            group_message("group", "2", "ben", Some("4916")),
            group_message("group", "3", "ann", None),
        ])
        .await;
    talk(bench, true).await;
    bench.accept_new([group_message("group", "4", "ann", None), group_message("group", "5", "ben", None)]).await;
    let claim = bench.claim().await;
    let mut reply = Outgoing { reports_carry_key: false, ..outgoing(&claim, &["a", "b"]) };
    reply.to = claim.messages[0].inbound.at.clone();
    bench.store.intend(&claim, &reply).await.unwrap();
    let sent = PartState::Sent { message: MessageId::new("a") };
    bench.store.mark(&claim, 0, sent).await.unwrap();

    let expected = Forgotten { conversations: 1, waiting: 1, outgoing: 1, said: 2, ..Forgotten::default() };
    assert_eq!(forget(bench, "4915").await, expected);
    assert_eq!(bench.settle(claim, Vec::new()).await, Err(StoreError::Fenced), "it still holds their words");
    let history = bench.store.history(&conversation("group"), 9).await.unwrap();
    assert_eq!(history.iter().map(|said| said.words.as_str()).collect::<Vec<_>>(), ["2", "answer"]);
    assert_eq!(bench.note_by_name("a", Stage::Read).await, StatusOutcome::Unknown);
    let claim = bench.claim().await;
    assert_eq!((ids(&claim), &claim.outgoing), (vec!["5"], &None));
    bench.answer(claim).await;
    assert!(bench.is_idle());

    // What was sent to them in the group, and has failed, and what is dead.
    bench.accept(group_message("group", "6", "cid", Some("4917"))).await;
    let claim = bench.claim().await;
    let mut reply = outgoing(&claim, &["c"]);
    reply.to = claim.messages[0].inbound.at.clone();
    bench.store.intend(&claim, &reply).await.unwrap();
    let endings = vec![(claim.messages[0].seq, Ending::Dead { reason: "code".to_owned() })];
    let sent = vec![(0, MessageId::new("c"))];
    let done = Settlement::Done(Settled { endings, said: Vec::new(), failure_replied: None, sent, failed: 0 });
    bench.store.settle(claim, done).await.unwrap();
    assert_eq!(bench.note("c", Stage::Failed(None)).await, StatusOutcome::Failed);
    assert_eq!(forget(bench, "+4917").await, Forgotten { sent: 1, dead: 1, ..Forgotten::default() });
    assert!(bench.is_idle(), "there is no failed part left to see to");
    assert_eq!(bench.store.backlog().conversations, 0);
}

pub(in crate::store) async fn a_store_goes_on_after_somebody_was_forgotten(bench: &Bench) {
    for round in 0..3 {
        let id = |n: usize| format!("{round} {n}");
        bench.accept_new((0..20).map(|n| message(&format!("chat {n}"), &id(n)))).await;
        assert_eq!(forget(bench, "chat 7").await, Forgotten { conversations: 1, waiting: 1, ..Forgotten::default() });
        let mut served = 0;
        while !bench.is_idle() {
            let claim = bench.claim().await;
            let words = format!("{round} {}", claim.conversation.chat.as_str());
            bench.store.intend(&claim, &outgoing(&claim, &[&words])).await.unwrap();
            bench.answer_with(claim, &[(0, &words)], 0).await;
            served += 1;
        }
        assert_eq!(served, 19);
        for n in (0..20).filter(|n| *n != 7) {
            assert!(matches!(bench.accept(message(&format!("chat {n}"), &id(n))).await, Accepted::Duplicate(_)));
        }
        assert_eq!(bench.store.failure(), None);
    }
    while !bench.store.sweep(&Retention::default()).await.unwrap().round {}
}
