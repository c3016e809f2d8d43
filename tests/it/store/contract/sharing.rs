//! What holds of every store that is kept for several bots.

use futures_util::FutureExt;
use threedots::Inbound;
use threedots::message::BotName;
use threedots::store::{Claim, StoreError};

use crate::store::bench::{Bench, LEASE, MAX_WAITING, message, within};

fn of(bot: &str, id: impl ToString) -> Inbound {
    let mut inbound = message(&format!("chat {}", id.to_string()), &id.to_string());
    inbound.at.bot = BotName::new(bot);
    inbound
}

fn bot(claim: &Claim) -> &str {
    claim.conversation.bot.as_str()
}

pub(in crate::store) async fn bots_take_turns(bench: &Bench) {
    bench.accept_new((0..50).map(|n| of("flooded", n))).await;
    bench.accept_new((0..2).map(|n| of("bakery", n))).await;
    bench.accept_new([of("cafe", 0)]).await;
    let (mut served, mut claims) = (Vec::new(), Vec::new());
    for _ in 0..7 {
        let claim = bench.claim().await;
        served.push(bot(&claim).to_owned());
        claims.push(claim);
    }
    assert_eq!(served, ["flooded", "bakery", "cafe", "flooded", "bakery", "flooded", "flooded"]);
    // One that comes back stands behind those that wait.
    bench.accept(of("cafe", 1)).await;
    assert_eq!([bot(&bench.claim().await), bot(&bench.claim().await)], ["flooded", "cafe"]);
}

pub(in crate::store) async fn a_bot_that_may_have_no_more_is_passed_over(bench: &Bench) {
    bench.accept_new([of("flooded", 1), of("bakery", 2), of("flooded", 3), of("bakery", 4)]).await;
    let others = |bot: &BotName| bot.as_str() != "flooded";
    let claims = [
        within(bench.store.claim_for(LEASE, &others)).await.unwrap(),
        within(bench.store.claim_for(LEASE, &others)).await.unwrap(),
    ];
    assert_eq!(claims.each_ref().map(bot), ["bakery", "bakery"]);
    assert!(bench.store.claim_for(LEASE, &others).now_or_never().is_none(), "nothing of theirs is left");
    assert_eq!(bench.store.waiting(&BotName::new("flooded")), 2);
    // Nothing has been lost or reordered by it.
    let (first, second) = (bench.claim().await, bench.claim().await);
    assert_eq!([&first, &second].map(|claim| claim.messages[0].inbound.at.message.as_str().to_owned()), ["1", "3"]);
}

pub(in crate::store) async fn what_waits_for_one_bot_leaves_room_for_the_others(bench: &Bench) {
    let [flooded, bakery] = ["flooded", "bakery"].map(BotName::new);
    let (share, half) = (|bot| bench.store.share(bot, Some(0)), MAX_WAITING / 2);
    share(&flooded);
    share(&bakery);
    bench.accept_new((0..half).map(|n| of("flooded", n))).await;
    assert_eq!(bench.store.accept(&[of("flooded", half)]).await, Err(StoreError::Full));
    // Of the other half, the other bot has as much as it leaves.
    bench.accept_new((0..half / 2).map(|n| of("bakery", n))).await;
    assert_eq!(bench.store.accept(&[of("bakery", half)]).await, Err(StoreError::Full));
    bench.accept(of("cafe", 0)).await;
    assert_eq!(bench.store.waiting(&flooded), half);
    // A bot that is gone leaves all to the one that is left; what it has waiting stays.
    bench.store.share(&bakery, None);
    let left = MAX_WAITING - half - half / 2 - 1;
    bench.accept_new((half..half + left).map(|n| of("flooded", n))).await;
    assert_eq!(bench.store.accept(&[of("flooded", "one more")]).await, Err(StoreError::Full));
    assert_eq!(bench.store.backlog().messages, MAX_WAITING);
}

pub(in crate::store) async fn a_bot_has_as_many_waiting_as_it_may(bench: &Bench) {
    let bakery = BotName::new("bakery");
    bench.store.share(&bakery, Some(3));
    bench.accept_new([of("bakery", 1), of("bakery", 2)]).await;
    assert_eq!(bench.store.accept(&[of("bakery", 3), of("bakery", 4)]).await, Err(StoreError::Full));
    bench.accept(of("bakery", 3)).await;
    // What it has already is no more, and others have their own.
    assert!(bench.store.accept(&[of("bakery", 1), of("bakery", 3)]).await.is_ok());
    bench.accept_new((0..100).map(|n| of("cafe", n))).await;
    let claim = bench.claim().await;
    let letter = claim.messages[0].seq;
    assert_eq!(bot(&claim), "bakery");
    bench.bury(claim).await;
    bench.accept(of("bakery", 4)).await;
    assert_eq!(bench.store.waiting(&bakery), 3);
    assert_eq!(bench.store.replay(letter).await, Err(StoreError::Full), "a dead letter waits for room, too");
    bench.store.share(&bakery, Some(0));
    assert!(bench.store.replay(letter).await.unwrap().is_some());
}
