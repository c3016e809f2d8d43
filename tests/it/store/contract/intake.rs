//! What holds of every store when messages come in.

use std::collections::BTreeSet;
use std::time::Duration;

use threedots::message::content::OrderItem;
use threedots::message::reply::{Media, MediaSource};
use threedots::message::{BotName, Content, MediaKind, Payload};
use threedots::store::{Accepted, Ending, PartState, Settled, Settlement, StoreError};

use crate::store::bench::{
    Bench, LEASE, MAX_WAITING, conversation, ids, message, message_saying, new, outgoing, said, wait_for_claims, within,
};

pub(in crate::store) async fn a_second_delivery_of_a_message_is_a_duplicate(bench: &Bench) {
    let seq = new(bench.accept(message("ann", "1")).await);
    assert_eq!(bench.accept(message("ann", "1")).await, Accepted::Duplicate(seq));
    let claim = bench.claim().await;
    assert_eq!(ids(&claim), ["1"]);
    bench.answer(claim).await;
    assert_eq!(bench.accept(message("ann", "1")).await, Accepted::Duplicate(seq));
    assert!(bench.is_idle());
}

pub(in crate::store) async fn of_sixteen_deliveries_at_once_one_is_new(bench: &Bench) {
    for round in 0..20 {
        let deliver = |_| {
            let store = bench.store.clone();
            let runtime = tokio::runtime::Handle::current();
            let delivery = message("ann", &round.to_string());
            tokio::task::spawn_blocking(move || runtime.block_on(store.accept(&[delivery])).unwrap()[0])
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

pub(in crate::store) async fn a_batch_that_holds_a_message_twice_takes_it_in_once(bench: &Bench) {
    let batch = vec![message("ann", "1"), message("ann", "2"), message("ann", "1")];
    let accepted = bench.store.accept(&batch).await.unwrap();
    let [Accepted::New(first), Accepted::New(second), Accepted::Duplicate(third)] = accepted[..] else {
        panic!("{accepted:?}");
    };
    assert!(first < second);
    assert_eq!(third, first);
    assert_eq!(ids(&bench.claim().await), ["1", "2"]);
}

pub(in crate::store) async fn the_same_identifier_at_another_bot_is_another_message(bench: &Bench) {
    let mut other = message("ann", "1");
    other.at.bot = BotName::new("help");
    let seqs = bench.accept_new([message("ann", "1"), other]).await;
    assert_ne!(seqs[0], seqs[1]);
    let (first, second) = (bench.claim().await, bench.claim().await);
    assert_ne!(first.conversation, second.conversation);
}

pub(in crate::store) async fn a_message_is_known_for_eight_days(bench: &Bench) {
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

pub(in crate::store) async fn a_full_store_takes_nothing_in(bench: &Bench) {
    let many = |from: usize, to: usize| (from..to).map(|n| message("ann", &n.to_string())).collect::<Vec<_>>();
    let seqs = bench.accept_new(many(0, MAX_WAITING - 1)).await;
    assert_eq!(bench.store.accept(&many(MAX_WAITING - 1, MAX_WAITING + 1)).await, Err(StoreError::Full));
    let last = new(bench.accept(message("ann", "last")).await);
    assert_eq!(bench.store.accept(&[message("ben", "one more")]).await, Err(StoreError::Full));
    // What is known is known all the same, and what was refused is not.
    assert_eq!(bench.accept(message("ann", "0")).await, Accepted::Duplicate(seqs[0]));
    let claim = bench.claim().await;
    bench.settle(claim, vec![(seqs[0], Ending::Answered)]).await.unwrap();
    let seq = new(bench.accept(message("ben", "one more")).await);
    assert!(seq > last);
    assert_eq!(bench.store.accept(&many(MAX_WAITING - 1, MAX_WAITING)).await, Err(StoreError::Full));
}

pub(in crate::store) async fn a_record_that_is_too_large_takes_nothing_in(bench: &Bench) {
    let large = "l".repeat(1024 * 1024);
    let batch = vec![message("ann", "1"), message_saying("ann", "2", large.clone())];
    assert!(matches!(bench.store.accept(&batch).await, Err(StoreError::TooLarge { limit: 1_048_576 })));
    assert!(bench.is_idle());
    new(bench.accept(message("ann", "1")).await);
    let claim = bench.claim().await;
    let refused = bench.store.intend(&claim, &outgoing(&claim, &[&large])).await;
    assert!(matches!(refused, Err(StoreError::TooLarge { .. })));
    let settlement = Settlement::Done(Settled {
        endings: Vec::new(),
        said: vec![said(&large)],
        failure_replied: None,
        sent: Vec::new(),
        failed: 0,
    });
    assert!(matches!(bench.store.settle(claim, settlement).await, Err(StoreError::TooLarge { .. })));
    let claim = bench.claim().await;
    assert_eq!(ids(&claim), ["1"], "given back as it was");
    assert_eq!(claim.outgoing, None);
}

pub(in crate::store) async fn what_could_not_be_read_again_is_refused(bench: &Bench) {
    let mut strange = message("ann", "1");
    let item = OrderItem { product: "p".to_owned(), quantity: f64::NAN, price: None, currency: None };
    strange.content = Content::Order { catalog: None, text: None, items: vec![item] };
    assert!(matches!(bench.store.accept(&[strange]).await, Err(StoreError::Invalid(_))));
    assert!(bench.is_idle());

    bench.accept(message("ann", "1")).await;
    let claim = bench.claim().await;
    let mut reply = outgoing(&claim, &["a"]);
    let source = MediaSource::Bytes { data: "data".into(), mime: "image/png".to_owned() };
    let media = Media { kind: MediaKind::Image, source, caption: None, filename: None };
    reply.parts[0].part = Payload::Media(media).into();
    assert!(matches!(bench.store.intend(&claim, &reply).await, Err(StoreError::Invalid(_))));
}

pub(in crate::store) async fn long_messages_come_back_whole(bench: &Bench) {
    // One length each around the places where a record is cut, whatever stands around the words.
    let lengths: Vec<usize> = (3_600..4_010).step_by(10).chain(7_700..7_720).chain([64 * 1024, 900_000]).collect();
    let messages: Vec<_> = lengths.iter().map(|n| message_saying("ann", &n.to_string(), "é".repeat(n / 2))).collect();
    bench.accept_new(messages.clone()).await;
    let mut claimed = Vec::new();
    while !bench.is_idle() {
        let claim = bench.claim().await;
        claimed.extend(claim.messages.iter().map(|waiting| waiting.inbound.clone()));
        bench.bury(claim).await;
    }
    assert!(claimed == messages);
    let letters = bench.store.dead(None, usize::MAX).await.unwrap();
    assert!(letters.iter().map(|letter| &letter.message.inbound).eq(&messages));
    assert!(bench.is_idle());
}

pub(in crate::store) async fn a_thousand_messages_go_in_at_once(bench: &Bench) {
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

pub(in crate::store) async fn a_closed_store_refuses_everything(bench: &Bench) {
    bench.accept(message("ann", "1")).await;
    let claim = bench.claim().await;
    let waiting = wait_for_claims(bench, 2).await;
    bench.store.close().await;
    for wait in waiting {
        assert_eq!(within(wait).await.unwrap().map(drop), Err(StoreError::Closed));
    }
    assert_eq!(bench.store.accept(&[message("ann", "2")]).await, Err(StoreError::Closed));
    assert_eq!(within(bench.store.claim(LEASE)).await.map(drop), Err(StoreError::Closed));
    assert_eq!(bench.store.intend(&claim, &outgoing(&claim, &["a"])).await, Err(StoreError::Closed));
    assert_eq!(bench.store.mark(&claim, 0, PartState::Sending { attempts: 0 }).await, Err(StoreError::Closed));
    assert_eq!(bench.settle(claim, Vec::new()).await, Err(StoreError::Closed));
    assert_eq!(bench.store.history(&conversation("ann"), 1).await, Err(StoreError::Closed));
    assert_eq!(bench.store.dead(None, 1).await, Err(StoreError::Closed));
    assert_eq!(bench.store.failure(), None);
    bench.store.close().await;
}
