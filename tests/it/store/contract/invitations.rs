//! What holds of every store's invitations.

use std::time::Duration;

use threedots::message::BotName;
use threedots::store::{ContactChange, ContactRef, MOST_INVITATIONS, Seq};

use crate::store::bench::Bench;

const HOUR: Duration = Duration::from_hours(1);

fn peer(name: &str) -> ContactRef {
    ContactRef::named(&BotName::new("shop"), name).unwrap()
}

pub(in crate::store) async fn an_invitation_is_taken_up_once_and_by_one_message(bench: &Bench) {
    let (bot, store) = (BotName::new("shop"), &bench.store);
    let until = bench.clock.now().plus(HOUR);
    assert_eq!(store.redeem_invitation(&peer("ann"), [1; 32], Seq(1)).await, Ok(false), "there is none");
    let made = store.invite(&bot, [1; 32], until).await.unwrap().unwrap();
    assert_eq!((made.number, made.until), (1, until));
    assert_eq!(store.invitations(&bot).await, Ok(vec![made]));
    assert_eq!(store.redeem_invitation(&peer("ann"), [2; 32], Seq(1)).await, Ok(false));
    assert_eq!(store.contact_state(&peer("ann")).await.unwrap().admitted, None);
    let at_once = futures_util::future::join_all((1..=50).map(|number| {
        let peer = peer(&format!("customer {number}"));
        async move { store.redeem_invitation(&peer, [1; 32], Seq(number)).await.unwrap() }
    }));
    let at_once = at_once.await;
    assert_eq!(at_once.iter().filter(|taken| **taken).count(), 1);
    let first = at_once.iter().position(|taken| *taken).unwrap() as u64 + 1;
    let winner = peer(&format!("customer {first}"));
    assert_eq!(store.redeem_invitation(&winner, [1; 32], Seq(first)).await, Ok(true), "the same message again");
    assert_eq!(store.redeem_invitation(&winner, [1; 32], Seq(99)).await, Ok(false));
    let (members, next) = store.members(&bot, None, 99).await.unwrap();
    assert_eq!((members.len(), &members[0].names[0], next), (1, &format!("customer {first}"), None));
    assert_eq!(store.members(&BotName::new("bank"), None, 99).await, Ok((vec![], None)));
    assert_eq!(store.update_contact(&winner, ContactChange::Expel).await, Ok(true));
    assert_eq!(store.update_contact(&winner, ContactChange::Expel).await, Ok(false));
    assert_eq!(store.members(&bot, None, 99).await, Ok((vec![], None)));
}

pub(in crate::store) async fn invitations_end_are_taken_back_and_are_only_so_many(bench: &Bench) {
    let (bot, store) = (BotName::new("shop"), &bench.store);
    for number in 1..=MOST_INVITATIONS {
        let digest = [u8::try_from(number).unwrap(); 32];
        assert!(store.invite(&bot, digest, bench.clock.now().plus(HOUR)).await.unwrap().is_some());
    }
    assert_eq!(store.invite(&bot, [99; 32], bench.clock.now().plus(HOUR)).await, Ok(None));
    assert!(store.invite(&BotName::new("bank"), [99; 32], bench.clock.now().plus(HOUR)).await.unwrap().is_some());
    assert_eq!(store.withdraw(&bot, 3).await, Ok(true));
    assert_eq!(store.withdraw(&bot, 3).await, Ok(false));
    assert_eq!(store.redeem_invitation(&peer("ann"), [3; 32], Seq(1)).await, Ok(false));
    tokio::time::advance(HOUR).await;
    assert_eq!(store.invitations(&bot).await, Ok(vec![]));
    assert_eq!(store.redeem_invitation(&peer("ann"), [4; 32], Seq(1)).await, Ok(false), "too late");
    let next = store.invite(&bot, [99; 32], bench.clock.now().plus(HOUR)).await.unwrap().unwrap();
    assert_eq!(next.number, MOST_INVITATIONS as u64 + 1, "no number is used twice");
}

pub(in crate::store) async fn members_are_listed_page_by_page_each_once(bench: &Bench) {
    let (bot, store) = (BotName::new("shop"), &bench.store);
    for number in 0..25 {
        store.update_contact(&peer(&format!("customer {number}")), ContactChange::Admit).await.unwrap();
        let pause =
            threedots::store::Pause { since: bench.clock.now(), until: None, by: threedots::store::By::Operator };
        store.update_contact(&peer(&format!("other {number}")), ContactChange::Pause(pause)).await.unwrap();
    }
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let (members, next) = store.members(&bot, after, 4).await.unwrap();
        assert!(members.len() <= 4);
        all.extend(members.into_iter().flat_map(|member| member.names));
        after = next;
        if after.is_none() {
            break;
        }
    }
    all.sort();
    let mut expected: Vec<_> = (0..25).map(|number| format!("customer {number}")).collect();
    expected.sort();
    assert_eq!(all, expected);
    tokio::time::advance(Duration::from_hours(365 * 24)).await;
    while !store.sweep(&threedots::store::Retention::default()).await.unwrap().round {}
    assert!(store.contact_state(&peer("customer 7")).await.unwrap().admitted.is_some(), "however long that takes");
}
