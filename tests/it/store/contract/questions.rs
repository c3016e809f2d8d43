//! What holds of every store of questions that were written out, and of their answers.

use std::time::Duration;

use threedots::message::clock::Timestamp;
use threedots::message::reply::Choice;
use threedots::message::{BotName, Content, MessageId, Part, PartKey};
use threedots::store::{
    By, Claim, ContactChange, ContactRef, Outgoing, OutgoingPart, PartState, Pause, Retention, Seq, StoreError,
};

use crate::store::bench::{Bench, group_message, message, message_saying, new, outgoing};

fn choice(id: &str) -> Choice {
    Choice { id: id.into(), title: format!("the label of {id}") }
}

/// A reply of these parts; those with choices write them out.
fn asking(claim: &Claim, parts: &[(&str, &[&str])]) -> Outgoing {
    let part = |(words, offers): &(&str, &[&str])| OutgoingPart {
        key: PartKey::new(*words),
        part: Part { offers: offers.iter().map(|id| choice(id)).collect(), ..Part::text(*words) },
        state: PartState::Waiting { attempts: 0 },
        began: Timestamp::default(),
    };
    let to = claim.messages[0].inbound.at.clone();
    Outgoing { to, parts: parts.iter().map(part).collect(), ..outgoing(claim, &[]) }
}

/// Answers what waits with these parts, of which the first so many leave.
pub(in crate::store) async fn answer(bench: &Bench, parts: &[(&str, &[&str])], left: usize) {
    let claim = bench.claim().await;
    bench.store.intend(&claim, &asking(&claim, parts)).await.unwrap();
    for (number, (words, _)) in parts.iter().enumerate().take(left) {
        bench.store.mark(&claim, number, PartState::Sending { attempts: 0 }).await.unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        let message = MessageId::new(format!("name of {words}"));
        bench.store.mark(&claim, number, PartState::Sent { message }).await.unwrap();
    }
    bench.answer(claim).await;
}

/// The identifiers of what the next claim of the one conversation may be answered with; it is given back.
pub(in crate::store) async fn open(bench: &Bench) -> Vec<String> {
    let claim = bench.claim().await;
    let ids = claim.question.iter().flat_map(|question| &question.choices).map(|choice| choice.id.clone());
    let ids = ids.collect();
    drop(claim);
    ids
}

pub(in crate::store) async fn a_question_is_open_until_something_else_is_said(bench: &Bench) {
    for (number, (parts, left, expected)) in [
        (&[("hello", &[][..])][..], 1, &[][..]),
        (&[("colour?", &["red", "blue"]), ("or none", &[])], 2, &["red", "blue"]),
        // Nothing has left.
        (&[("never said", &["x"])], 0, &["red", "blue"]),
        (&[("one?", &["1"]), ("two?", &["2"])], 2, &["2"]),
        (&[("three?", &["3"]), ("four?", &["4"])], 1, &["3"]),
        (&[("bye", &[])], 1, &[]),
    ]
    .into_iter()
    .enumerate()
    {
        bench.accept(message("ann", &number.to_string())).await;
        answer(bench, parts, left).await;
        bench.accept(message("ann", &format!("{number} and more"))).await;
        assert_eq!(open(bench).await, expected, "{number}");
        // What is left in silence changes nothing.
        let claim = bench.claim().await;
        bench.answer(claim).await;
        bench.accept(message("ann", &format!("{number} again"))).await;
        assert_eq!(open(bench).await, expected, "{number}");
        let claim = bench.claim().await;
        bench.answer(claim).await;
    }
}

pub(in crate::store) async fn a_question_ends_when_a_person_takes_over(bench: &Bench) {
    bench.accept(message("ann", "1")).await;
    answer(bench, &[("colour?", &["red"])], 1).await;
    let since = bench.clock.now();
    let peer = ContactRef::named(&BotName::new("shop"), "ann").unwrap();
    let pause = Pause { since, until: Some(since.plus(Duration::from_secs(60))), by: By::Handler };
    bench.store.update_contact(&peer, ContactChange::Pause(pause)).await.unwrap();
    tokio::time::advance(Duration::from_secs(61)).await;
    bench.accept(message("ann", "2")).await;
    assert_eq!(open(bench).await, [""; 0]);
}

pub(in crate::store) async fn a_question_knows_when_it_left_and_by_which_names(bench: &Bench) {
    bench.accept(message("ann", "1")).await;
    tokio::time::advance(Duration::from_secs(5)).await;
    let before = bench.clock.now();
    answer(bench, &[("well", &[]), ("colour?", &["red"])], 2).await;
    bench.accept(message("ann", "2")).await;
    let claim = bench.claim().await;
    let question = claim.question.as_ref().unwrap();
    assert_eq!(question.asked, before.plus(Duration::from_secs(1)), "the second part left then");
    assert_eq!(question.messages, ["name of well", "name of colour?"].map(MessageId::new));
    assert_eq!(question.of, None);
}

pub(in crate::store) async fn what_a_message_chooses_stays_with_it_until_it_ends(bench: &Bench) {
    let seq = new(bench.accept(message_saying("ann", "1", "2.".into())).await);
    let claim = bench.claim_for(Duration::from_secs(60)).await;
    bench.store.choose(&claim, seq, &choice("red")).await.unwrap();
    // What has been read is not read again; what is not there is nobody's business.
    bench.store.choose(&claim, seq, &choice("blue")).await.unwrap();
    bench.store.choose(&claim, Seq(900), &choice("blue")).await.unwrap();
    tokio::time::advance(Duration::from_secs(61)).await;
    assert_eq!(bench.store.choose(&claim, seq, &choice("blue")).await, Err(StoreError::Fenced));
    drop(claim);
    let chosen = Content::Choice {
        id: "red".into(),
        title: "the label of red".into(),
        written: Some("2.".to_owned()),
        description: None,
    };
    let claim = bench.claim().await;
    assert_eq!(claim.messages[0].inbound.content, chosen);
    bench.bury(claim).await;
    assert_eq!(bench.store.dead(None, 9).await.unwrap()[0].message.inbound.content, chosen);
    bench.store.replay(seq).await.unwrap();
    assert_eq!(bench.claim().await.messages[0].inbound.content, chosen);
}

pub(in crate::store) async fn a_question_goes_with_its_conversation_and_with_whom_it_was_put_to(bench: &Bench) {
    bench.accept(message("ann", "1")).await;
    answer(bench, &[("colour?", &["red"])], 1).await;
    assert_eq!(bench.store.forget(&BotName::new("shop"), "ann").await.unwrap().conversations, 1);
    bench.accept(message("ann", "2")).await;
    assert_eq!(open(bench).await, [""; 0]);
    let claim = bench.claim().await;
    bench.answer(claim).await;
    // In a group, it is one person's, and the group stays.
    for (id, sender, expected) in [("3", "ben", &["red"][..]), ("5", "eve", &[])] {
        bench.accept(group_message("group", id, sender, None)).await;
        answer(bench, &[(&format!("{id}?"), &["red"])], 1).await;
        bench.store.forget(&BotName::new("shop"), "eve").await.unwrap();
        bench.accept(group_message("group", &format!("{id} and more"), "ida", None)).await;
        let claim = bench.claim().await;
        let of = claim.question.as_ref().and_then(|question| question.of.as_ref()).map(|of| of.as_str().to_owned());
        assert_eq!(of.as_deref(), (!expected.is_empty()).then_some("ben"), "{sender}");
        bench.answer(claim).await;
    }
    // And with the history.
    bench.accept(message("ben", "6")).await;
    answer(bench, &[("size?", &["s"])], 1).await;
    tokio::time::advance(Duration::from_hours(24 * 91)).await;
    while !bench.store.sweep(&Retention::default()).await.unwrap().round {}
    bench.accept(message("ben", "7")).await;
    assert_eq!(open(bench).await, [""; 0]);
}
