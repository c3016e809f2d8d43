//! What holds of every store as the upstream reports on what has left.

use std::time::Duration;

use threedots::message::{MessageId, Stage};
use threedots::store::{FailedPart, MOST_CLAIMED, PartState, StatusOutcome, StoreError};

use crate::store::bench::{Bench, ids, key, message, outgoing, report, wait_for_claims, within};

const HOUR: Duration = Duration::from_hours(1);

pub(in crate::store) async fn a_part_that_has_left_moves_forward_and_never_back(bench: &Bench) {
    use Stage::{Delivered, Failed, Played, Read, Sent};
    let code = Some(131_053);
    let steps = [
        (
            "in order",
            vec![
                (Sent, StatusOutcome::Known),
                (Delivered, StatusOutcome::Moved),
                (Read, StatusOutcome::Moved),
                (Played, StatusOutcome::Moved),
            ],
        ),
        (
            "out of order",
            vec![
                (Read, StatusOutcome::Moved),
                (Delivered, StatusOutcome::Known),
                (Read, StatusOutcome::Known),
                (Sent, StatusOutcome::Known),
            ],
        ),
        (
            "delivered, so not failed",
            vec![(Delivered, StatusOutcome::Moved), (Failed(code), StatusOutcome::Known), (Read, StatusOutcome::Moved)],
        ),
        (
            "failed, so not read",
            vec![
                (Failed(code), StatusOutcome::Failed),
                (Read, StatusOutcome::Known),
                (Failed(None), StatusOutcome::Known),
            ],
        ),
    ];
    for (words, reports) in steps {
        bench.converse("ann", words, &[words], true).await;
        let mut furthest = Sent;
        for (stage, noted) in reports {
            assert_eq!(bench.note(words, stage.clone()).await, noted, "{words}: {stage:?}");
            if noted != StatusOutcome::Known {
                furthest = stage;
            }
            assert_eq!(bench.stage(words).await, Some(furthest.clone()), "{words}");
        }
    }
    let claim = bench.claim().await;
    assert_eq!(claim.failed.len(), 1);
}

pub(in crate::store) async fn a_report_about_nothing_known_changes_nothing(bench: &Bench) {
    assert_eq!(bench.note("a", Stage::Failed(None)).await, StatusOutcome::Unknown);
    assert_eq!(bench.note_by_name("a", Stage::Failed(None)).await, StatusOutcome::Unknown);
    assert_eq!(bench.store.part(&key("a")).await, Ok(None));
    assert!(bench.is_idle());
}

pub(in crate::store) async fn a_part_that_fails_after_all_is_for_the_next_claim(bench: &Bench) {
    bench.converse("ann", "1", &["a", "b"], true).await;
    let mut waiting = wait_for_claims(bench, 1).await;
    assert_eq!(bench.note("b", Stage::Failed(Some(131_047))).await, StatusOutcome::Failed);
    let claim = within(waiting.remove(0)).await.unwrap().unwrap();
    assert!(claim.messages.is_empty() && claim.outgoing.is_none());
    let sent = bench.store.part(&key("b")).await.unwrap().unwrap();
    assert_eq!(sent.stage, Stage::Failed(Some(131_047)));
    assert_eq!(claim.failed, [FailedPart { sent, code: Some(131_047) }]);
    drop(claim);
    let claim = bench.claim().await;
    assert_eq!(claim.failed.len(), 1, "given back as it was");
    bench.later(claim, HOUR).await;
    assert!(bench.is_idle());
    tokio::time::advance(HOUR).await;
    let claim = bench.claim().await;
    bench.answer_with(claim, &[], 1).await;
    assert!(bench.is_idle());
    assert_eq!(bench.note("b", Stage::Failed(Some(131_047))).await, StatusOutcome::Known);
    assert!(bench.is_idle(), "a failure is seen to once");
}

pub(in crate::store) async fn of_many_failed_parts_a_claim_holds_the_first(bench: &Bench) {
    let words: Vec<String> = (0..MOST_CLAIMED + 7).map(|part| part.to_string()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    bench.converse("ann", "1", &words, true).await;
    let reports = words.iter().map(|words| report(words, Some(words), Stage::Failed(None))).collect();
    assert_eq!(bench.store.apply_statuses(reports).await.unwrap(), vec![StatusOutcome::Failed; words.len()]);
    for expected in [&words[..MOST_CLAIMED], &words[MOST_CLAIMED..]] {
        let claim = bench.claim().await;
        let keys = claim.failed.iter().map(|part| &part.sent.key);
        assert!(keys.eq(&expected.iter().map(|words| key(words)).collect::<Vec<_>>()));
        bench.answer_with(claim, &[], expected.len()).await;
    }
    assert!(bench.is_idle());
}

pub(in crate::store) async fn failed_parts_are_seen_to_from_the_first(bench: &Bench) {
    let words: Vec<String> = (0..4).map(|part| "long ".repeat(part * 900) + &part.to_string()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    bench.converse("ann", "1", &words, true).await;
    for part in &words[..3] {
        bench.note(part, Stage::Failed(None)).await;
    }
    let claim = bench.claim().await;
    let keys =
        |claim: &threedots::store::Claim| claim.failed.iter().map(|part| part.sent.key.clone()).collect::<Vec<_>>();
    assert_eq!(keys(&claim), [key(words[0]), key(words[1]), key(words[2])]);
    // One more fails in the meantime.
    bench.note(words[3], Stage::Failed(None)).await;
    bench.answer_with(claim, &[], 2).await;
    let claim = bench.claim().await;
    assert_eq!(keys(&claim), [key(words[2]), key(words[3])]);
    bench.answer_with(claim, &[], 9).await;
    assert!(bench.is_idle());
}

pub(in crate::store) async fn a_failure_does_not_end_a_hold_back(bench: &Bench) {
    bench.converse("ann", "1", &["a"], true).await;
    bench.accept(message("ann", "2")).await;
    let claim = bench.claim().await;
    bench.later(claim, HOUR).await;
    assert_eq!(bench.note("a", Stage::Failed(None)).await, StatusOutcome::Failed);
    assert!(bench.is_idle());
    tokio::time::advance(HOUR).await;
    let claim = bench.claim().await;
    assert_eq!((ids(&claim), claim.failed.len()), (vec!["2"], 1));
}

pub(in crate::store) async fn a_part_that_fails_while_others_of_its_reply_are_sent_is_for_the_next_claim(
    bench: &Bench,
) {
    bench.accept(message("ann", "1")).await;
    let claim = bench.claim().await;
    bench.store.intend(&claim, &outgoing(&claim, &["a", "b"])).await.unwrap();
    let sent = PartState::Sent { message: MessageId::new("a") };
    bench.store.mark(&claim, 0, sent.clone()).await.unwrap();
    assert_eq!(bench.note("a", Stage::Failed(Some(1))).await, StatusOutcome::Failed);
    assert_eq!(bench.note("a", Stage::Failed(Some(1))).await, StatusOutcome::Known);
    assert_eq!(bench.store.mark(&claim, 0, PartState::Sending { attempts: 0 }).await, Ok(sent));
    bench.answer_with(claim, &[(1, "b")], 0).await;
    let claim = bench.claim().await;
    assert_eq!(claim.failed.len(), 1);
    assert_eq!((&claim.failed[0].sent.key, claim.failed[0].code), (&key("a"), Some(1)));
    assert_eq!([bench.stage("a").await, bench.stage("b").await], [Some(Stage::Failed(Some(1))), Some(Stage::Sent)]);
}

pub(in crate::store) async fn a_part_that_fails_ahead_of_its_sends_answer_is_for_the_next_claim(bench: &Bench) {
    bench.accept(message("ann", "1")).await;
    let claim = bench.claim().await;
    bench.store.intend(&claim, &outgoing(&claim, &["a"])).await.unwrap();
    bench.store.mark(&claim, 0, PartState::Sending { attempts: 0 }).await.unwrap();
    assert_eq!(bench.note("a", Stage::Failed(Some(2))).await, StatusOutcome::Failed);
    // Whoever sent it has not asked since, and takes it for sent.
    bench.answer_with(claim, &[(0, "a")], 0).await;
    let claim = bench.claim().await;
    assert_eq!((&claim.failed[0].sent.key, claim.failed[0].code), (&key("a"), Some(2)));
    assert_eq!(bench.stage("a").await, Some(Stage::Failed(Some(2))));
    bench.answer_with(claim, &[], 1).await;
    assert!(bench.is_idle());
}

pub(in crate::store) async fn a_closed_store_takes_no_reports(bench: &Bench) {
    use StoreError::Closed;
    use threedots::message::BotName;
    use threedots::store::{Retention, Seq};
    bench.store.close().await;
    let store = &bench.store;
    assert_eq!(store.apply_statuses(vec![report("a", None, Stage::Sent)]).await, Err(Closed));
    assert_eq!(store.part(&key("a")).await, Err(Closed));
    assert_eq!(store.replay(Seq(1)).await, Err(Closed));
    assert_eq!(store.discard(Seq(1)).await, Err(Closed));
    assert_eq!(store.forget(&BotName::new("shop"), "ann").await, Err(Closed));
    assert_eq!(store.sweep(&Retention::default()).await, Err(Closed));
}
