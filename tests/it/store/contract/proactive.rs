//! What holds of every store about what is to be said unasked.

use std::time::Duration;

use threedots::Part;
use threedots::message::{Address, BotName, ChatId, ContactId, MessageId, PartKey};
use threedots::store::{
    Claim, Ending, Enqueued, IdempotencyKey, NewProactive, Outgoing, PartState, ProactiveMessage, Receipt, Retention,
    StoreError,
};

use crate::store::bench::{Bench, conversation, group_message, ids, let_others_run, message, outgoing};

const HOUR: Duration = Duration::from_hours(1);

fn asked(key: &str, fingerprint: u8) -> IdempotencyKey {
    IdempotencyKey { bot: BotName::new("shop"), key: key.into(), fingerprint: [fingerprint; 16] }
}

/// So many words to somebody, known by a key.
pub(in crate::store) fn new_proactive(key: &str, chat: &str, words: &[&str]) -> NewProactive {
    let (sender, phone) = (ContactId::new(chat), None);
    let to = Address { chat: ChatId::new(chat), group: false, sender, phone };
    let parts = words.iter().map(|words| Part::text(*words)).collect();
    NewProactive { asked: asked(key, 1), to, proactive: ProactiveMessage { parts, unless_paused: false, name: None } }
}

async fn taken(bench: &Bench, new_proactive: &NewProactive) -> Receipt {
    match bench.store.enqueue(new_proactive).await.unwrap() {
        Enqueued::New(receipt) => receipt,
        other => panic!("{other:?}"),
    }
}

/// What the first proactive message of a claim says, on its way.
fn said(claim: &Claim) -> Outgoing {
    let waiting = &claim.proactive_messages[0];
    let words: Vec<&str> = waiting
        .proactive
        .iter()
        .flat_map(|proactive| &proactive.parts)
        .filter_map(|part| part.payload.words())
        .collect();
    let mut outgoing = outgoing(claim, &words);
    outgoing.answers = vec![waiting.seq];
    outgoing.to = waiting.inbound.at.clone();
    outgoing.unasked = true;
    for (part, key) in outgoing.parts.iter_mut().zip(waiting.keys()) {
        part.key = key;
    }
    outgoing
}

async fn state(bench: &Bench, key: &PartKey) -> Option<PartState> {
    bench.store.under_way(key).await.unwrap().map(|(_, state)| state)
}

pub(in crate::store) async fn a_proactive_message_is_taken_in_once_for_its_key_and_for_as_long_as_a_message(
    bench: &Bench,
) {
    let (first, store) = (new_proactive("k", "ann", &["one", "two"]), &bench.store);
    assert_eq!(store.enqueued(&first.asked).await, Ok(None));
    let receipt = taken(bench, &first).await;
    assert_eq!((receipt.parts, receipt.accepted), (2, bench.clock.now()));
    for _ in 0..2 {
        assert_eq!(store.enqueue(&first).await, Ok(Enqueued::Known(receipt)));
        assert_eq!(store.enqueued(&first.asked).await, Ok(Some(Enqueued::Known(receipt))));
        let other = NewProactive { asked: asked("k", 2), ..first.clone() };
        assert_eq!(store.enqueue(&other).await, Ok(Enqueued::Taken));
        assert_eq!(store.enqueued(&other.asked).await, Ok(Some(Enqueued::Taken)));
        tokio::time::advance(Duration::from_hours(7 * 24)).await;
        if bench.store.backlog().messages == 1 {
            let claim = bench.claim().await;
            let endings = vec![(receipt.seq, Ending::Silent)];
            bench.settle(claim, endings).await.unwrap();
        }
        if bench.clock.now().since(receipt.accepted) >= Duration::from_hours(8 * 24) {
            break;
        }
    }
    assert_eq!(store.enqueued(&first.asked).await, Ok(None), "14 days later");
    let again = taken(bench, &first).await;
    assert!(again.seq > receipt.seq);
    // Another bot's key is another key, and no message's name is one.
    let mut elsewhere = first.clone();
    elsewhere.asked.bot = BotName::new("bank");
    assert!(matches!(store.enqueue(&elsewhere).await, Ok(Enqueued::New(_))));
    bench.accept_new([message("ann", "k")]).await;
}

pub(in crate::store) async fn a_proactive_message_waits_apart_from_messages_and_keeps_its_place_among_them(
    bench: &Bench,
) {
    let seqs = bench.accept_new([message("ann", "1")]).await;
    let receipt = taken(bench, &new_proactive("k", "ann", &["one"])).await;
    bench.accept(message("ann", "2")).await;
    assert_eq!(bench.store.backlog().messages, 3);
    let claim = bench.claim().await;
    assert_eq!((ids(&claim), claim.proactive_messages.len()), (vec!["1", "2"], 1));
    assert!(seqs[0] < receipt.seq && receipt.seq < claim.messages[1].seq);
    assert_eq!((claim.proactive_messages[0].seq, claim.proactive_messages[0].keys()), (receipt.seq, receipt.keys()));
    // Whoever waits for messages hears of messages.
    let last = claim.messages[1].seq;
    {
        let mut arrivals = Box::pin(bench.store.arrivals(&claim, last));
        taken(bench, &new_proactive("k2", "ann", &["two"])).await;
        assert!(futures_util::poll!(&mut arrivals).is_pending());
        let_others_run().await;
        bench.accept(message("ann", "3")).await;
        let arrived = arrivals.await.unwrap();
        assert_eq!(arrived.len(), 1);
        assert_eq!(arrived[0].inbound.at.message.as_str(), "3");
    }
    bench.answer(claim).await;
    let claim = bench.claim().await;
    assert_eq!((ids(&claim), claim.proactive_messages.len()), (vec!["3"], 2), "what was not settled goes on waiting");
    assert_eq!(bench.store.history(&conversation("ann"), 9).await.unwrap(), []);
}

pub(in crate::store) async fn a_part_that_waits_is_known_until_it_has_left_or_never_will(bench: &Bench) {
    let receipt = taken(bench, &new_proactive("k", "ann", &["one", "two", "three"])).await;
    let keys = receipt.keys();
    let waiting = Some(PartState::Waiting { attempts: 0 });
    assert_eq!(state(bench, &keys[2]).await, waiting);
    assert_eq!(state(bench, &PartKey::new("3d-1-1-0")).await, None);
    let claim = bench.claim().await;
    bench.store.intend(&claim, &said(&claim)).await.unwrap();
    let left = PartState::Sent { message: MessageId::new("up") };
    bench.store.mark(&claim, 0, left.clone()).await.unwrap();
    assert_eq!((state(bench, &keys[0]).await, state(bench, &keys[1]).await), (Some(left), waiting.clone()));
    bench.settle(claim, vec![(receipt.seq, Ending::Dead { reason: "code".into() })]).await.unwrap();
    assert!(bench.store.part(&keys[0]).await.unwrap().is_some_and(|part| part.unasked));
    assert_eq!((state(bench, &keys[1]).await, state(bench, &keys[2]).await), (None, None));
    // Dead before anybody tried to say it, too.
    let never = taken(bench, &new_proactive("k2", "ann", &["never"])).await;
    let claim = bench.claim().await;
    bench.settle(claim, vec![(never.seq, Ending::Dead { reason: "code".into() })]).await.unwrap();
    assert_eq!(state(bench, &never.keys()[0]).await, None);
    // What waits again goes by the names that it had.
    bench.store.replay(never.seq).await.unwrap().unwrap();
    let claim = bench.claim().await;
    assert_eq!(claim.proactive_messages[0].keys(), never.keys());
    assert!(claim.proactive_messages[0].seq > never.seq && claim.proactive_messages[0].replayed);
    assert_eq!(state(bench, &never.keys()[0]).await, waiting);
}

pub(in crate::store) async fn a_proactive_message_ends_a_hold_back_but_not_that_of_a_reply_on_its_way(bench: &Bench) {
    bench.accept(message("ann", "1")).await;
    let claim = bench.claim().await;
    bench.later(claim, HOUR).await;
    assert!(bench.is_idle());
    taken(bench, &new_proactive("k", "ann", &["one"])).await;
    let claim = bench.claim().await;
    assert_eq!((ids(&claim), claim.proactive_messages.len()), (vec!["1"], 1));
    bench.store.intend(&claim, &outgoing(&claim, &["a"])).await.unwrap();
    bench.later(claim, HOUR).await;
    taken(bench, &new_proactive("k2", "ann", &["two"])).await;
    assert!(bench.is_idle());
    tokio::time::advance(HOUR).await;
    assert_eq!(bench.claim().await.proactive_messages.len(), 2);
}

pub(in crate::store) async fn somebody_is_found_by_every_name_that_they_have_written_under(bench: &Bench) {
    let (bot, store) = (BotName::new("shop"), &bench.store);
    let find = async |name: &str| store.resolve_address(&bot, name).await.unwrap().map(|there| there.address);
    let phone = |digits: &str| Some(ContactId::new(digits));
    assert_eq!(find("491701234567").await, None);
    // To a number of which nothing is known yet.
    let mut unknown = new_proactive("k", "491701234567", &["one"]);
    unknown.to.phone = phone("491701234567");
    taken(bench, &unknown).await;
    assert_eq!(find("491701234567").await, Some(unknown.to.clone()));
    let mut written = message("DE.77", "1");
    written.at.phone = phone("491701234567");
    bench.accept(written.clone()).await;
    let at = Address {
        chat: ChatId::new("DE.77"),
        group: false,
        sender: ContactId::new("DE.77"),
        phone: phone("491701234567"),
    };
    for name in ["DE.77", "+491701234567", "491701234567"] {
        assert_eq!(find(name).await, Some(at.clone()), "{name}");
    }
    let heard = store.resolve_address(&bot, "DE.77").await.unwrap().unwrap().heard;
    assert_eq!(heard, Some(written.at.time), "and when they last wrote, while that waits");
    bench.accept(group_message("tea@g", "2", "DE.77", None)).await;
    assert!(find("tea@g").await.is_some_and(|there| there.group));
    assert_eq!(store.resolve_address(&BotName::new("bank"), "DE.77").await, Ok(None));
    store.forget(&bot, "+491701234567").await.unwrap();
    for name in ["DE.77", "491701234567"] {
        assert_eq!(find(name).await, None, "{name}");
    }
}

pub(in crate::store) async fn what_is_forgotten_of_a_proactive_message_is_all_of_it(bench: &Bench) {
    let proactive = new_proactive("k", "ann", &["one"]);
    let receipt = taken(bench, &proactive).await;
    let other = taken(bench, &new_proactive("k2", "ben", &["two"])).await;
    let forgotten = bench.store.forget(&BotName::new("shop"), "ann").await.unwrap();
    assert_eq!((forgotten.conversations, forgotten.waiting), (1, 1));
    assert_eq!(state(bench, &receipt.keys()[0]).await, None);
    assert!(state(bench, &other.keys()[0]).await.is_some());
    assert_eq!(bench.store.enqueued(&proactive.asked).await, Ok(None), "the key is as good as new");
    let claim = bench.claim().await;
    assert_eq!(claim.conversation, conversation("ben"));
    bench.settle(claim, vec![(other.seq, Ending::Dead { reason: "code".into() })]).await.unwrap();
    let retention = Retention { history: HOUR, sent: HOUR, dead: HOUR };
    tokio::time::advance(2 * HOUR).await;
    while !bench.store.sweep(&retention).await.unwrap().round {}
    assert_eq!(bench.store.dead(None, 9).await.unwrap(), []);
    assert_eq!(bench.store.resolve_address(&BotName::new("shop"), "ben").await, Ok(None));
}

pub(in crate::store) async fn a_proactive_message_too_long_or_one_too_many_is_not_taken_in(bench: &Bench) {
    let long = new_proactive("k", "ann", &[&"long ".repeat(300_000)]);
    assert!(matches!(bench.store.enqueue(&long).await, Err(StoreError::TooLarge { .. })));
    let most = crate::store::bench::MAX_WAITING;
    bench.accept_new((0..most).map(|number| message("ann", &number.to_string()))).await;
    let one = new_proactive("k", "ann", &["one"]);
    assert_eq!(bench.store.enqueue(&one).await, Err(StoreError::Full));
    assert_eq!(bench.store.enqueued(&one.asked).await, Ok(None));
    let claim = bench.claim().await;
    bench.answer(claim).await;
    taken(bench, &one).await;
}
