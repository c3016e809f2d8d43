//! What the store on disk adds to the contract: it comes back.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use threedots::message::clock::Timestamp;
use threedots::message::{BotName, Stage};
use threedots::store::disk::{Disk, DiskSettings, EngineKind, OpenError};
use threedots::store::{
    Accepted, By, Claims, ContactChange, ContactRef, ContactState, DeadLetters, Ending, Histories, Inbox, Maintenance,
    PartState, Pause, Retention, SendLog, Settled, Settlement, StatusOutcome, StoreError,
};

use super::bench::{
    Bench, HISTORY_KEPT, LEASE, Place, chat, conversation, group_message, ids, message, message_saying, new, outgoing,
    said,
};

for_each_engine! {
    paused:
        everything_is_there_again_after_a_restart
        what_was_reported_is_known_after_a_restart
        a_group_that_has_lost_all_it_had_to_do_is_not_held_back_after_a_restart
        a_letter_that_was_replayed_waits_after_a_restart
        what_was_swept_out_leaves_no_key_behind
        a_pause_is_there_again_after_a_restart
        a_question_is_open_still_after_a_restart_and_in_data_that_knew_of_none
        it_is_known_after_a_restart_since_when_the_oldest_message_waits
        what_was_ready_when_the_store_was_opened_says_so_with_its_first_claim
        old_marks_leave_no_trace
    ;
    running:
        conversations_are_served_in_their_old_order_after_a_restart
        a_number_is_never_used_twice
        a_store_that_was_dropped_opens_again_at_once
        what_was_settled_before_a_close_is_settled_after_it
        a_store_has_one_process_at_a_time
        nobody_else_can_read_the_files
        a_group_of_many_writes_is_answered_in_full
        what_is_queued_when_the_store_closes_is_written
}

/// The data of a store that is closed, as its engine sees it.
fn pairs(kind: EngineKind, store: &Path) -> Vec<(Vec<u8>, Vec<u8>)> {
    let path = store.join(kind.name());
    match kind {
        EngineKind::Sled => {
            // sled's threads may hold its lock for a moment longer.
            File::open(path.join("db")).unwrap().lock().unwrap();
            let db = sled::Config::new().path(path).segment_size(8 * 1024 * 1024).open().unwrap();
            let pairs = db.iter().map(Result::unwrap);
            pairs.map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
        }
        EngineKind::Redb => {
            let db = redb::Database::open(path.join("db")).unwrap();
            let table = redb::TableDefinition::<&[u8], &[u8]>::new("threedots");
            let table = redb::ReadableDatabase::begin_read(&db).unwrap().open_table(table).unwrap();
            let pairs = table.range::<&[u8]>(..).unwrap().map(Result::unwrap);
            pairs.map(|(key, value)| (key.value().to_vec(), value.value().to_vec())).collect()
        }
    }
}

const MINUTE: Duration = Duration::from_mins(1);

async fn everything_is_there_again_after_a_restart(kind: EngineKind) {
    let place = Place::new(kind);
    let store = place.open();
    assert_eq!(store.opened().waiting, 0);
    let batch = vec![message("ann", "1"), message("ben", "2"), message("cid", "3"), message("ann", "4")];
    let seqs: Vec<_> = store.accept(&batch).await.unwrap().into_iter().map(new).collect();

    // Ann is in the middle of a reply, Ben is held back, Cid has an answer and a dead letter.
    let ann = store.claim(LEASE).await.unwrap();
    let mut reply = outgoing(&ann, &["a", "b"]);
    store.intend(&ann, &reply).await.unwrap();
    reply.parts[0].state = PartState::Sending { attempts: 3 };
    store.mark(&ann, 0, reply.parts[0].state.clone()).await.unwrap();
    let ben = store.claim(LEASE).await.unwrap();
    store.settle(ben, Settlement::Later { at: place.clock.now().plus(MINUTE) }).await.unwrap();
    let cid = store.claim(LEASE).await.unwrap();
    let done = Settlement::Done(Settled {
        endings: vec![(seqs[2], Ending::Dead { reason: "code 7".to_owned() })],
        said: vec![said("question"), said("answer")],
        failure_replied: Some(Timestamp(9)),
        sent: Vec::new(),
        failed: 0,
    });
    store.settle(cid, done).await.unwrap();
    let dead = store.dead(None, 9).await.unwrap();
    store.close().await;

    let store = place.open();
    assert_eq!(store.opened().waiting, 3);
    assert_eq!(store.opened().quarantine, None);
    let ann = store.claim(LEASE).await.unwrap();
    assert_eq!(ids(&ann), ["1", "4"]);
    assert_eq!(ann.outgoing, Some(reply));
    assert_eq!(store.history(&conversation("cid"), 9).await.unwrap(), [said("question"), said("answer")]);
    assert_eq!(store.dead(None, 9).await.unwrap(), dead);
    assert_eq!(dead.len(), 1);
    for (id, seq) in [("1", seqs[0]), ("2", seqs[1]), ("3", seqs[2]), ("4", seqs[3])] {
        let chat = ["ann", "ben", "cid", "ann"][id.parse::<usize>().unwrap() - 1];
        assert_eq!(store.accept(&[message(chat, id)]).await.unwrap(), [Accepted::Duplicate(seq)]);
    }
    store.accept(&[message("cid", "5")]).await.unwrap();
    let cid = store.claim(LEASE).await.unwrap();
    assert_eq!((chat(&cid), cid.failure_replied), ("cid", Some(Timestamp(9))), "Ben is still held back");
    tokio::time::advance(MINUTE).await;
    assert_eq!(ids(&store.claim(LEASE).await.unwrap()), ["2"]);
    store.close().await;
}

async fn a_question_is_open_still_after_a_restart_and_in_data_that_knew_of_none(kind: EngineKind) {
    use super::contract::{answer, open};
    let mut bench = Bench::disk(kind);
    bench.accept(message("ann", "1")).await;
    answer(&bench, &[("colour?", &["red", "blue"])], 1).await;
    // It is not written where there is none: such a record is as it always was.
    bench.accept(message("ben", "2")).await;
    answer(&bench, &[("hello", &[])], 1).await;
    bench.restart().await;
    bench.accept(message("ann", "3")).await;
    assert_eq!(open(&bench).await, ["red", "blue"]);
    let claim = bench.claim().await;
    bench.answer(claim).await;
    bench.accept(message("ben", "4")).await;
    assert_eq!(open(&bench).await, [""; 0]);
    let (_, settings) = bench.disk.as_ref().unwrap();
    let path = settings.path.clone();
    bench.store.close().await;
    let with_question = pairs(kind, &path)
        .into_iter()
        .filter(|(key, value)| key.starts_with(b"c") && String::from_utf8_lossy(value).contains("\"question\""));
    assert_eq!(with_question.count(), 1);
}

async fn a_pause_is_there_again_after_a_restart(kind: EngineKind) {
    let mut bench = Bench::disk(kind);
    let (since, peer) = (bench.clock.now(), ContactRef::named(&BotName::new("shop"), "+491").unwrap());
    let pause = Pause { since, until: Some(since.plus(MINUTE)), by: By::Handler };
    bench.store.update_contact(&peer, ContactChange::Pause(pause)).await.unwrap();
    bench.restart().await;
    assert_eq!(bench.store.contact_state(&peer).await.unwrap().pause(since), Some(pause));
    // And none of it is left once it is over.
    tokio::time::advance(MINUTE).await;
    while !bench.store.sweep(&Retention::default()).await.unwrap().round {}
    bench.restart().await;
    assert_eq!(bench.store.contact_state(&peer).await.unwrap(), ContactState::default());
}

async fn it_is_known_after_a_restart_since_when_the_oldest_message_waits(kind: EngineKind) {
    let mut bench = Bench::disk(kind);
    let accepted = bench.clock.now();
    bench.accept(message("ann", "1")).await;
    tokio::time::advance(MINUTE).await;
    bench.accept(message("ann", "2")).await;
    bench.accept(message("ben", "3")).await;
    bench.restart().await;
    assert_eq!(bench.store.backlog().oldest, Some(accepted));
}

async fn what_was_ready_when_the_store_was_opened_says_so_with_its_first_claim(kind: EngineKind) {
    let (mut bench, mut served) = (Bench::disk(kind), Vec::new());
    for chat in ["ann", "ben", "cid"] {
        bench.accept(message(chat, chat)).await;
        let claim = bench.claim().await;
        assert!(!claim.inherited, "it came in under this process");
        // Ann is given back until later. The others are being served when the process ends.
        if chat == "ann" {
            let at = bench.clock.now().plus(MINUTE * 10);
            bench.store.settle(claim, Settlement::Later { at }).await.unwrap();
        } else {
            served.push(claim);
        }
    }
    bench.restart().await;
    let mut inherited = bench.store.inherited();
    inherited.sort_by(|one, other| one.chat.as_str().cmp(other.chat.as_str()));
    assert_eq!(inherited, [conversation("ben"), conversation("cid")]);
    let claim = bench.claim().await;
    assert!(claim.inherited);
    assert_eq!(bench.store.inherited().len(), 1);
    // What comes after, and the next claim of the same, is nobody else's.
    bench.accept(message("dan", "dan")).await;
    drop(claim);
    let claims = [bench.claim().await, bench.claim().await, bench.claim().await];
    assert_eq!(claims.iter().filter(|claim| claim.inherited).count(), 1);
    tokio::time::advance(MINUTE * 11).await;
    let ann = bench.claim().await;
    assert!(!ann.inherited, "whoever held it back had given it back");
}

async fn what_was_reported_is_known_after_a_restart(kind: EngineKind) {
    let mut bench = Bench::disk(kind);
    bench.converse("ann", "1", &["a"], true).await;
    bench.converse("ben", "2", &["b"], false).await;
    bench.note("a", Stage::Failed(Some(3))).await;
    bench.note_by_name("b", Stage::Read).await;
    // Cid's reply is in doubt and held back until a report; Dan's is held back, too, and nobody reports.
    for chat in ["cid", "dan"] {
        bench.accept(message(chat, chat)).await;
        let mut claim = bench.claim().await;
        while claim.conversation != conversation(chat) {
            let ann = std::mem::replace(&mut claim, bench.claim().await);
            drop(ann);
        }
        bench.store.intend(&claim, &outgoing(&claim, &[chat])).await.unwrap();
        bench.later(claim, MINUTE).await;
    }
    assert_eq!(bench.note("cid", Stage::Delivered).await, StatusOutcome::Settled);
    bench.restart().await;

    let mut claims = [bench.claim().await, bench.claim().await];
    claims.sort_by(|one, other| one.conversation.cmp(&other.conversation));
    let [ann, cid] = claims;
    assert_eq!((chat(&ann), ann.failed.len(), ann.failed[0].code), ("ann", 1, Some(3)));
    assert!(matches!(cid.outgoing.as_ref().unwrap().parts[0].state, PartState::Sent { .. }));
    assert!(bench.is_idle(), "Dan is held back");
    bench.answer_with(ann, &[], 1).await;
    bench.answer(cid).await;
    assert_eq!(bench.stage("cid").await, Some(Stage::Delivered));
    assert_eq!(bench.note("dan", Stage::Sent).await, StatusOutcome::Settled);
    let dan = bench.claim().await;
    bench.answer(dan).await;
    bench.restart().await;
    assert!(bench.is_idle());
    assert_eq!(bench.stage("a").await, Some(Stage::Failed(Some(3))));
    assert_eq!(bench.note_by_name("b", Stage::Played).await, StatusOutcome::Moved);
    assert_eq!(bench.note_by_name("b", Stage::Read).await, StatusOutcome::Known);
}

async fn a_group_that_has_lost_all_it_had_to_do_is_not_held_back_after_a_restart(kind: EngineKind) {
    let mut bench = Bench::disk(kind);
    bench.accept(group_message("group", "1", "ann", None)).await;
    let claim = bench.claim().await;
    bench.later(claim, MINUTE).await;
    assert_eq!(bench.store.forget(&BotName::new("shop"), "ann").await.unwrap().waiting, 1);
    bench.accept(group_message("group", "2", "ben", None)).await;
    bench.restart().await;
    assert_eq!(ids(&bench.claim().await), ["2"]);
}

async fn a_letter_that_was_replayed_waits_after_a_restart(kind: EngineKind) {
    let mut bench = Bench::disk(kind);
    let seq = new(bench.accept(message("ann", "1")).await);
    let claim = bench.claim().await;
    bench.bury(claim).await;
    bench.store.replay(seq).await.unwrap();
    bench.restart().await;
    assert!(bench.store.dead(None, 9).await.unwrap().is_empty());
    let claim = bench.claim().await;
    assert_eq!(ids(&claim), ["1"]);
    assert!(claim.messages[0].replayed && claim.messages[0].seq > seq);
    assert!(new(bench.accept(message("ann", "2")).await) > claim.messages[0].seq);
    bench.bury(claim).await;
    let letter = bench.store.dead(None, 9).await.unwrap()[0].message.seq;
    assert_eq!(bench.store.discard(letter).await, Ok(true));
    bench.restart().await;
    assert!(bench.store.dead(None, 9).await.unwrap().is_empty());
}

async fn what_was_swept_out_leaves_no_key_behind(kind: EngineKind) {
    let bench = Bench::disk(kind);
    let path = bench.disk.as_ref().unwrap().1.path.clone();
    for (chat, reports_carry_key) in [("ann", true), ("ben", false)] {
        bench.converse(chat, chat, &[&"long ".repeat(3_000), chat], reports_carry_key).await;
        bench.accept(message(chat, &format!("{chat} dead"))).await;
        let claim = bench.claim().await;
        bench.bury(claim).await;
    }
    tokio::time::advance(Duration::from_hours(10 * 24)).await;
    let age = Duration::from_hours(9 * 24);
    let retention = Retention { history: age, sent: age, dead: age };
    while !bench.store.sweep(&retention).await.unwrap().round {}
    bench.store.close().await;
    // But the last number, the version and the marks' clock; and the marks, which go by themselves.
    let pairs = pairs(kind, &path);
    let kinds: Vec<u8> = pairs.iter().map(|(key, _)| key[0]).filter(|kind| !b"de".contains(kind)).collect();
    assert_eq!(kinds, b"ltv");
}

async fn conversations_are_served_in_their_old_order_after_a_restart(kind: EngineKind) {
    let place = Place::new(kind);
    let store = place.open();
    let batch = ["dan", "ann", "cid", "ben"].map(|chat| message(chat, chat));
    store.accept(&batch).await.unwrap();
    let dan = store.claim(LEASE).await.unwrap();
    let ann = store.claim(LEASE).await.unwrap();
    store.intend(&ann, &outgoing(&ann, &["a"])).await.unwrap();
    store.accept(&[message("dan", "more")]).await.unwrap();
    drop((dan, ann));
    store.close().await;
    let store = place.open();
    let mut claims = Vec::new();
    for _ in 0..4 {
        claims.push(store.claim(LEASE).await.unwrap());
    }
    // Ann was being answered when it stopped.
    assert_eq!(claims.iter().map(chat).collect::<Vec<_>>(), ["ann", "dan", "cid", "ben"]);
}

async fn a_number_is_never_used_twice(kind: EngineKind) {
    let place = Place::new(kind);
    let mut last = None;
    for round in 0..3 {
        let store = place.open();
        let accepted = store.accept(&[message("ann", &round.to_string())]).await.unwrap();
        let seq = new(accepted[0]);
        assert!(Some(seq) > last);
        last = Some(seq);
        // Nothing is left of it but its number.
        let claim = store.claim(LEASE).await.unwrap();
        let endings = vec![(seq, Ending::Silent)];
        let done =
            Settlement::Done(Settled { endings, said: Vec::new(), failure_replied: None, sent: Vec::new(), failed: 0 });
        store.settle(claim, done).await.unwrap();
        store.close().await;
    }
}

async fn a_store_that_was_dropped_opens_again_at_once(kind: EngineKind) {
    let place = Place::new(kind);
    for round in 0..5 {
        let store = place.open();
        assert_eq!(store.opened().waiting, round);
        store.accept(&[message("ann", &round.to_string())]).await.unwrap();
    }
}

async fn what_was_settled_before_a_close_is_settled_after_it(kind: EngineKind) {
    let place = Place::new(kind);
    let store = place.open();
    store.accept(&(0..200).map(|n| message(&format!("chat {n}"), &n.to_string())).collect::<Vec<_>>()).await.unwrap();
    for _ in 0..200 {
        let claim = store.claim(LEASE).await.unwrap();
        let endings = vec![(claim.messages[0].seq, Ending::Answered)];
        let done =
            Settlement::Done(Settled { endings, said: Vec::new(), failure_replied: None, sent: Vec::new(), failed: 0 });
        store.settle(claim, done).await.unwrap();
    }
    store.close().await;
    assert_eq!(place.open().opened().waiting, 0);
}

async fn a_store_has_one_process_at_a_time(kind: EngineKind) {
    let place = Place::new(kind);
    let store = place.open();
    let settings = DiskSettings { lock_timeout: Duration::ZERO, ..place.settings() };
    let error = Disk::open(settings, place.clock).unwrap_err();
    assert!(matches!(error, OpenError::Locked { .. }));
    assert!(error.to_string().contains(&place.file("store.lock").display().to_string()), "{error}");
    store.accept(&[message("ann", "1")]).await.unwrap();
}

async fn nobody_else_can_read_the_files(kind: EngineKind) {
    let place = Place::new(kind);
    place.filled().await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    // As an older umask, or a hand, may have left them.
    fs::set_permissions(place.data(""), Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(place.data("db"), Permissions::from_mode(0o644)).unwrap();
    let store = place.open();
    assert_eq!(mode(&place.settings().path), 0o700);
    assert_eq!(mode(&place.file("store.lock")), 0o600);
    for entry in fs::read_dir(place.data("")).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), if path.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
    }
    assert_eq!(mode(&place.data("")), 0o700);
    store.close().await;
}

#[tokio::test]
async fn no_value_is_longer_than_four_thousand_bytes() {
    let place = Place::new(EngineKind::Sled);
    let store = place.open();
    let long = |chat: &str, id: &str| message_saying(chat, id, "l".repeat(64 * 1024));
    store.accept(&[long("ann", "1"), long("ben", "2"), long("cid", "3")]).await.unwrap();
    let ann = store.claim(LEASE).await.unwrap();
    let reply = outgoing(&ann, &["r".repeat(30_000).as_str()]);
    store.intend(&ann, &reply).await.unwrap();
    let ben = store.claim(LEASE).await.unwrap();
    let done = Settlement::Done(Settled {
        endings: vec![(ben.messages[0].seq, Ending::Dead { reason: "code".to_owned() })],
        said: vec![said(&"s".repeat(20_000)); HISTORY_KEPT],
        failure_replied: None,
        sent: Vec::new(),
        failed: 0,
    });
    store.settle(ben, done).await.unwrap();
    let chat = "c".repeat(10_000);
    store.accept(&[message(&chat, &"i".repeat(10_000))]).await.unwrap();
    store.close().await;

    let pairs = pairs(EngineKind::Sled, &place.settings().path);
    let longest = pairs.iter().map(|(_, value)| value.len()).max().unwrap();
    assert!(longest <= 4_000 && longest > 3_000, "{longest}");
    // Where sled puts what it never syncs.
    assert_eq!(fs::read_dir(place.data("blobs")).unwrap().count(), 0);

    let store = place.open();
    let claim = store.claim(LEASE).await.unwrap();
    assert_eq!(claim.outgoing, Some(reply));
    assert_eq!(claim.messages[0].inbound, long("ann", "1"));
    assert_eq!(store.history(&conversation("ben"), 9).await.unwrap().len(), HISTORY_KEPT);
}

async fn old_marks_leave_no_trace(kind: EngineKind) {
    let bench = Bench::disk(kind);
    let path = bench.disk.as_ref().unwrap().1.path.clone();
    let marked = || {
        let pairs = pairs(kind, &path);
        [b'd', b'e'].map(|mark| pairs.iter().filter(|(key, _)| key[0] == mark).count())
    };
    bench.accept_new((0..600).map(|n| message("ann", &n.to_string()))).await;
    tokio::time::advance(Duration::from_hours(8 * 24 + 1)).await;
    // Each of these takes some of the old ones along.
    for n in 0..3 {
        bench.accept(message("ann", &format!("new {n}"))).await;
    }
    bench.store.close().await;
    assert_eq!(marked(), [3, 3]);
}

async fn a_group_of_many_writes_is_answered_in_full(kind: EngineKind) {
    let place = Place::new(kind);
    let store = std::sync::Arc::new(place.open());
    let mut deliveries = tokio::task::JoinSet::new();
    for n in 0..256 {
        let store = store.clone();
        deliveries.spawn(async move { store.accept(&[message("ann", &n.to_string())]).await.unwrap()[0] });
    }
    let mut seqs: Vec<_> = deliveries.join_all().await.into_iter().map(new).collect();
    seqs.sort_unstable();
    seqs.dedup();
    assert_eq!(seqs.len(), 256);
    let mut claimed = Vec::new();
    while claimed.len() < seqs.len() {
        let claim = store.claim(LEASE).await.unwrap();
        let answered: Vec<_> = claim.messages.iter().map(|waiting| waiting.seq).collect();
        claimed.extend_from_slice(&answered);
        let endings = answered.into_iter().map(|seq| (seq, Ending::Answered)).collect();
        let done =
            Settlement::Done(Settled { endings, said: Vec::new(), failure_replied: None, sent: Vec::new(), failed: 0 });
        store.settle(claim, done).await.unwrap();
    }
    assert_eq!(claimed, seqs);
}

async fn what_is_queued_when_the_store_closes_is_written(kind: EngineKind) {
    let place = Place::new(kind);
    let store = std::sync::Arc::new(place.open());
    let mut deliveries = tokio::task::JoinSet::new();
    for n in 0..300 {
        let store = store.clone();
        deliveries.spawn(async move { store.accept(&[message("ann", &n.to_string())]).await });
    }
    tokio::task::yield_now().await;
    store.close().await;
    let accepted = deliveries.join_all().await;
    let refused = accepted.iter().filter(|outcome| **outcome == Err(StoreError::Closed)).count();
    let taken = accepted.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(taken + refused, 300);
    assert!(taken > 0);
    assert_eq!(place.open().opened().waiting, taken);
}
