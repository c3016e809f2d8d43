//! What holds of every store as a reply is on its way out.

use std::time::Duration;
use threedots::message::clock::Timestamp;

use threedots::message::{BotName, MessageId, Stage};
use threedots::store::{Outgoing, PartState, StatusOutcome};

use crate::store::bench::{Bench, ids, key, message, outgoing, report};

const HOUR: Duration = Duration::from_hours(1);

/// A reply of one part that may have been delivered, and a conversation that waits for an hour to go on with it.
async fn unknown(bench: &Bench, reports_carry_key: bool) {
    bench.accept(message("ann", "1")).await;
    let claim = bench.claim().await;
    let reply = Outgoing { reports_carry_key, ..outgoing(&claim, &["a"]) };
    bench.store.intend(&claim, &reply).await.unwrap();
    bench.store.mark(&claim, 0, PartState::Unknown { attempts: 1, since: Timestamp(7) }).await.unwrap();
    bench.later(claim, HOUR).await;
}

fn sent(name: &str) -> PartState {
    PartState::Sent { message: MessageId::new(name) }
}

pub(in crate::store) async fn a_report_settles_what_nobody_knew(bench: &Bench) {
    unknown(bench, true).await;
    assert!(bench.is_idle());
    assert_eq!(bench.note("a", Stage::Delivered).await, StatusOutcome::Settled);
    assert!(!bench.is_idle(), "the hold-back is over");
    let claim = bench.claim().await;
    assert_eq!(claim.outgoing.as_ref().unwrap().parts[0].state, sent("a"));
    assert_eq!(bench.stage("a").await, None, "its reply is not settled yet");
    bench.answer(claim).await;
    assert_eq!(bench.stage("a").await, Some(Stage::Delivered), "what was reported before counts");
    assert!(bench.is_idle());
}

pub(in crate::store) async fn reports_that_come_together_are_taken_in_one_after_another(bench: &Bench) {
    bench.accept(message("ann", "1")).await;
    let claim = bench.claim().await;
    bench.store.intend(&claim, &outgoing(&claim, &["a", "b", "c"])).await.unwrap();
    for part in 0..3 {
        bench.store.mark(&claim, part, PartState::Unknown { attempts: 1, since: Timestamp(7) }).await.unwrap();
    }
    bench.later(claim, HOUR).await;
    bench.converse("ben", "2", &["d"], false).await;
    let reports = vec![
        report("a", Some("a"), Stage::Sent),
        report("nobody's", Some("nobody's"), Stage::Sent),
        report("a", Some("a"), Stage::Read),
        report("b", Some("b"), Stage::Failed(None)),
        report("d", None, Stage::Delivered),
        report("c", Some("c"), Stage::Delivered),
        report("a", Some("a"), Stage::Delivered),
        report("d", None, Stage::Failed(None)),
    ];
    let noted = bench.store.apply_statuses(reports).await.unwrap();
    use StatusOutcome::{Failed, Known, Moved, Settled, Unknown};
    assert_eq!(noted, [Settled, Unknown, Moved, Failed, Moved, Settled, Known, Known]);
    assert_eq!(bench.stage("d").await, Some(Stage::Delivered));
    let claim = bench.claim().await;
    let failed = PartState::Failed { reason: "the provider reported that it failed".to_owned() };
    let states: Vec<_> = claim.outgoing.iter().flat_map(|reply| &reply.parts).map(|part| part.state.clone()).collect();
    assert_eq!(states, [sent("a"), failed, sent("c")]);
    bench.answer(claim).await;
    assert_eq!(bench.stage("a").await, Some(Stage::Read));
    assert_eq!(bench.store.apply_statuses(Vec::new()).await, Ok(Vec::new()));
}

pub(in crate::store) async fn a_report_of_a_failure_settles_what_nobody_knew(bench: &Bench) {
    for (words, code, reason) in [
        ("a", Some(131_026), "the provider reported that it failed (code 131026)"),
        ("b", None, "the provider reported that it failed"),
    ] {
        bench.accept(message("ann", words)).await;
        let claim = bench.claim().await;
        bench.store.intend(&claim, &outgoing(&claim, &[words])).await.unwrap();
        bench.store.mark(&claim, 0, PartState::Unknown { attempts: 1, since: Timestamp(7) }).await.unwrap();
        bench.later(claim, HOUR).await;
        assert_eq!(bench.note(words, Stage::Failed(code)).await, StatusOutcome::Failed);
        let claim = bench.claim().await;
        let state = PartState::Failed { reason: reason.to_owned() };
        assert_eq!(claim.outgoing.as_ref().unwrap().parts[0].state, state);
        assert_eq!(claim.failed, []);
        assert_eq!(bench.note(words, Stage::Read).await, StatusOutcome::Known);
        assert_eq!(bench.store.mark(&claim, 0, sent("late")).await, Ok(state));
        bench.answer(claim).await;
        assert_eq!(bench.stage(words).await, None, "it never left");
        assert_eq!(bench.note(words, Stage::Read).await, StatusOutcome::Unknown);
        assert!(bench.is_idle());
    }
}

pub(in crate::store) async fn a_mark_takes_nothing_back(bench: &Bench) {
    bench.accept(message("ann", "1")).await;
    let claim = bench.claim().await;
    bench.store.intend(&claim, &outgoing(&claim, &["a", "b", "c"])).await.unwrap();
    let failed = || PartState::Failed { reason: "given up".to_owned() };
    let mark = async |part, state| bench.store.mark(&claim, part, state).await.unwrap();
    // Ahead of the answer to the send.
    assert_eq!(mark(0, PartState::Sending { attempts: 0 }).await, PartState::Sending { attempts: 0 });
    assert_eq!(bench.note("a", Stage::Sent).await, StatusOutcome::Settled);
    for state in [
        PartState::Unknown { attempts: 1, since: Timestamp(7) },
        PartState::Waiting { attempts: 1 },
        failed(),
        sent("other"),
    ] {
        assert_eq!(mark(0, state).await, sent("a"));
    }
    assert_eq!(mark(1, sent("b")).await, sent("b"));
    assert_eq!(mark(1, PartState::Sending { attempts: 1 }).await, sent("b"));
    assert_eq!(mark(2, failed()).await, failed());
    assert_eq!(mark(2, sent("c")).await, failed());
    assert_eq!(bench.note("c", Stage::Delivered).await, StatusOutcome::Known);
    drop(claim);
    let claim = bench.claim().await;
    let states: Vec<_> = claim.outgoing.unwrap().parts.into_iter().map(|part| part.state).collect();
    assert_eq!(states, [sent("a"), sent("b"), failed()]);
}

pub(in crate::store) async fn a_report_leaves_a_claim_alone(bench: &Bench) {
    bench.accept(message("ann", "1")).await;
    let claim = bench.claim().await;
    bench.store.intend(&claim, &outgoing(&claim, &["a"])).await.unwrap();
    assert_eq!(bench.note("a", Stage::Sent).await, StatusOutcome::Settled);
    assert!(bench.is_idle(), "somebody holds it");
    bench.answer_with(claim, &[], 0).await;
    assert_eq!(bench.stage("a").await, Some(Stage::Sent));
}

pub(in crate::store) async fn parts_that_have_left_are_kept_when_their_reply_is_settled(bench: &Bench) {
    for (chat, reports_carry_key) in [("ann", true), ("ben", false)] {
        let part = |name: &str| format!("{chat} {name}");
        let (a, b, c) = (part("a"), part("b"), part("c"));
        bench.accept(message(chat, &part("message"))).await;
        let claim = bench.claim().await;
        let reply = Outgoing { reports_carry_key, ..outgoing(&claim, &[&a, &b, &c]) };
        bench.store.intend(&claim, &reply).await.unwrap();
        bench.store.mark(&claim, 0, sent("first")).await.unwrap();
        let conversation = claim.conversation.clone();
        tokio::time::advance(HOUR).await;
        bench.answer_with(claim, &[(1, "second"), (9, "none")], 0).await;
        for (number, (words, name)) in [(&a, "first"), (&b, "second")].into_iter().enumerate() {
            let kept = bench.store.part(&key(words)).await.unwrap().unwrap();
            assert_eq!((&kept.key, &kept.conversation, &kept.to), (&key(words), &conversation, &reply.to));
            assert_eq!(kept.part, reply.parts[number].part);
            assert_eq!((kept.message, kept.stage), (Some(MessageId::new(name)), Stage::Sent));
            assert_eq!(kept.sent, bench.clock.now());
        }
        assert_eq!(bench.store.part(&key(&c)).await.unwrap(), None, "it never left");
        assert_eq!(bench.note(&c, Stage::Sent).await, StatusOutcome::Unknown);
    }
}

pub(in crate::store) async fn reports_without_a_key_find_a_part_by_its_name(bench: &Bench) {
    bench.accept(message("ann", "1")).await;
    let claim = bench.claim().await;
    let reply = Outgoing { reports_carry_key: false, ..outgoing(&claim, &["a", "b"]) };
    bench.store.intend(&claim, &reply).await.unwrap();
    assert_eq!(bench.note_by_name("first", Stage::Delivered).await, StatusOutcome::Unknown);
    bench.store.mark(&claim, 0, sent("first")).await.unwrap();
    assert_eq!(
        bench.note_by_name("first", Stage::Delivered).await,
        StatusOutcome::Moved,
        "while the second is on its way"
    );
    bench.answer_with(claim, &[(1, "second")], 0).await;
    assert_eq!(bench.stage("a").await, Some(Stage::Delivered));
    assert_eq!(bench.note_by_name("first", Stage::Read).await, StatusOutcome::Moved);
    assert_eq!(bench.note_by_name("second", Stage::Sent).await, StatusOutcome::Known);
    assert_eq!(bench.note_by_name("second", Stage::Delivered).await, StatusOutcome::Moved);
    assert_eq!([bench.stage("a").await, bench.stage("b").await], [Some(Stage::Read), Some(Stage::Delivered)]);
    assert_eq!(bench.note_by_name("third", Stage::Read).await, StatusOutcome::Unknown);
}

pub(in crate::store) async fn a_report_of_another_bot_is_about_another_part(bench: &Bench) {
    bench.converse("ann", "1", &["a"], true).await;
    bench.converse("ann", "2", &["b"], false).await;
    for words in ["a", "b"] {
        let mut foreign = report(words, Some(words), Stage::Failed(None));
        foreign.bot = BotName::new("help");
        assert_eq!(bench.store.apply_statuses(vec![foreign.clone()]).await, Ok(vec![StatusOutcome::Unknown]));
        foreign.key = None;
        assert_eq!(bench.store.apply_statuses(vec![foreign]).await, Ok(vec![StatusOutcome::Unknown]));
        assert_eq!(bench.stage(words).await, Some(Stage::Sent));
    }
}

pub(in crate::store) async fn parts_that_were_replaced_are_not_known(bench: &Bench) {
    bench.accept(message("ann", "1")).await;
    let claim = bench.claim().await;
    bench.store.intend(&claim, &outgoing(&claim, &["a", "b"])).await.unwrap();
    bench.store.intend(&claim, &outgoing(&claim, &["b", "c"])).await.unwrap();
    assert_eq!(bench.note("a", Stage::Sent).await, StatusOutcome::Unknown);
    assert_eq!(bench.note("b", Stage::Sent).await, StatusOutcome::Settled);
    assert_eq!(bench.note("c", Stage::Sent).await, StatusOutcome::Settled);
    drop(claim);
    let claim = bench.claim().await;
    assert_eq!(ids(&claim), ["1"]);
    assert!(claim.outgoing.unwrap().parts.iter().all(|part| matches!(part.state, PartState::Sent { .. })));
}
