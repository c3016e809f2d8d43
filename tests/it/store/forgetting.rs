//! What the store on disk adds when somebody is forgotten: nothing of them is left in its files, whatever happens.

use std::fs;
use std::path::Path;
use std::time::Duration;

use threedots::Inbound;
use threedots::message::clock::Clock;
use threedots::message::{BotName, Contact, ContactId, Content, MessageId};
use threedots::store::disk::{self, Disk, EngineKind};
use threedots::store::{
    Accepted, Claims, DeadLetters, Ending, Forgotten, Histories, Inbox, Maintenance, SendLog, Settled, Settlement,
    StoreError,
};

use super::bench::{
    LEASE, Place, conversation, copy, group_message, ids, key, message, message_saying, new, outgoing, said,
    settings_in,
};

for_each_engine! {
    paused:
    ;
    running:
        nothing_of_a_forgotten_person_is_found_in_the_files
        what_was_deleted_before_is_gone_from_the_files_as_well
        a_crash_at_any_point_leaves_the_old_files_or_the_new_ones
        a_copy_that_fails_forgets_nobody_and_ends_nothing
        others_are_served_while_somebody_is_forgotten
        whoever_waits_for_no_other_process_waits_for_its_own_engine
}

/// What must not be found, each in another place.
const CANARIES: [&str; 6] =
    ["Zebulon Quince", "491701112223", "user-of-zebulon", "chat-of-zebulon", "a purple harpsichord", "a dead kumquat"];

/// The canaries that stand in the files of a store.
fn found(directory: &Path) -> Vec<&'static str> {
    let mut bytes = Vec::new();
    collect(directory, &mut bytes);
    let stands = |canary: &&str| bytes.windows(canary.len()).any(|window| window == canary.as_bytes());
    CANARIES.into_iter().filter(stands).collect()
}

fn collect(directory: &Path, bytes: &mut Vec<u8>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        bytes.extend_from_slice(path.file_name().unwrap().as_encoded_bytes());
        if path.is_dir() {
            collect(&path, bytes);
        } else {
            bytes.extend(fs::read(path).unwrap());
        }
    }
}

/// A message of the one who is to be forgotten.
fn canary(id: &str, words: &str) -> Inbound {
    let mut message = message(CANARIES[3], id);
    message.at.sender = ContactId::new(CANARIES[2]);
    message.at.phone = Some(ContactId::new(CANARIES[1]));
    message.contact = Contact { name: Some(CANARIES[0].to_owned()), username: None };
    message.content = Content::text(words);
    message
}

/// Ends what waits in one conversation with a reply that says the same again.
async fn answer(store: &Disk, dead: bool) {
    let claim = store.claim(LEASE).await.unwrap();
    let words: Vec<_> = claim.messages.iter().map(|waiting| waiting.inbound.content.words().unwrap()).collect();
    let mut reply = outgoing(&claim, &words);
    let newest = &claim.messages.last().unwrap().inbound.at;
    reply.to = newest.clone();
    // No two replies have the same keys.
    reply.parts[0].key = key(newest.message.as_str());
    store.intend(&claim, &reply).await.unwrap();
    let ending = || if dead { Ending::Dead { reason: "code".to_owned() } } else { Ending::Answered };
    let done = Settlement::Done(Settled {
        endings: claim.messages.iter().map(|waiting| (waiting.seq, ending())).collect(),
        said: words
            .iter()
            .map(|words| threedots::message::HistoryEntry {
                who: newest.group.then(|| newest.sender.clone()),
                ..said(words)
            })
            .collect(),
        failure_replied: None,
        sent: (0..words.len()).map(|part| (part, MessageId::new(format!("wamid {part}")))).collect(),
        failed: 0,
    });
    store.settle(claim, done).await.unwrap();
}

/// Has the canaries leave their traces everywhere: done with, dead, said, sent, in a group, waiting, on its way out.
async fn leave_traces(store: &Disk) {
    store.accept(&[canary("1", CANARIES[4])]).await.unwrap();
    answer(store, false).await;
    store.accept(&[canary("2", &CANARIES[5].repeat(700))]).await.unwrap();
    answer(store, true).await;
    let mut in_group = group_message("group", "3", CANARIES[2], Some(CANARIES[1]));
    in_group.content = Content::text(CANARIES[4]);
    in_group.contact.name = Some(CANARIES[0].to_owned());
    store.accept(&[in_group]).await.unwrap();
    answer(store, false).await;
    store.accept(&[group_message("group", "4", "ben", None)]).await.unwrap();
    answer(store, false).await;
    store.accept(&[canary("5", "waits")]).await.unwrap();
    let claim = store.claim(LEASE).await.unwrap();
    let mut reply = outgoing(&claim, &[CANARIES[4]]);
    reply.parts[0].key = key("5");
    store.intend(&claim, &reply).await.unwrap();
    drop(claim);
}

const ALL: Forgotten = Forgotten { conversations: 1, waiting: 1, outgoing: 1, said: 3, sent: 3, dead: 1 };

async fn nothing_of_a_forgotten_person_is_found_in_the_files(kind: EngineKind) {
    let place = Place::new(kind);
    let store = place.open();
    leave_traces(&store).await;
    store.accept(&[message("ben", "6"), message("ben", "7")]).await.unwrap();
    assert_eq!(found(place.directory.path()), CANARIES, "else the search proves nothing");

    let bot = BotName::new("shop");
    assert_eq!(store.forget(&bot, &format!("+{}", CANARIES[1])).await, Ok(ALL));
    assert_eq!(found(place.directory.path()), [""; 0]);
    // Nor later, when the store has worked on and was closed.
    store.accept(&[message("ben", "8")]).await.unwrap();
    store.close().await;
    assert_eq!(found(place.directory.path()), [""; 0]);
    let store = place.open();
    assert_eq!(store.opened().quarantine, None);
    assert_eq!(found(place.directory.path()), [""; 0]);
    assert_eq!(ids(&store.claim(LEASE).await.unwrap()), ["6", "7", "8"]);
    assert_eq!(store.history(&conversation("group"), 9).await.unwrap().len(), 1);
    assert_eq!(store.dead(None, 9).await, Ok(Vec::new()));
    // Whoever comes back is a new person, under a number that was not used before.
    let back = store.accept(&[canary("1", "hello")]).await.unwrap();
    assert!(new(back[0]).0 > 8);
    let known = store.accept(&[message("group", "4")]).await.unwrap();
    assert!(matches!(known[..], [Accepted::Duplicate(_)]));
    store.close().await;
}

async fn what_was_deleted_before_is_gone_from_the_files_as_well(kind: EngineKind) {
    let place = Place::new(kind);
    let store = place.open();
    store.accept(&[canary("1", CANARIES[5])]).await.unwrap();
    let claim = store.claim(LEASE).await.unwrap();
    let endings = vec![(claim.messages[0].seq, Ending::Silent)];
    let (said, sent) = (Vec::new(), Vec::new());
    let done = Settlement::Done(Settled { endings, said, failure_replied: None, sent, failed: 0 });
    store.settle(claim, done).await.unwrap();
    assert!(found(place.directory.path()).contains(&CANARIES[5]), "deleted is not gone");
    assert_eq!(store.forget(&BotName::new("shop"), "nobody").await, Ok(Forgotten::default()));
    assert!(!found(place.directory.path()).contains(&CANARIES[5]));
    store.close().await;
}

/// The files of a store, without and with somebody.
async fn two_copies(place: &Place) {
    let store = place.open();
    leave_traces(&store).await;
    store.accept(&[message("ben", "6")]).await.unwrap();
    store.close().await;
    copy(&place.data(""), &place.file("before"));
    let store = place.open();
    store.forget(&BotName::new("shop"), CANARIES[1]).await.unwrap();
    store.close().await;
    fs::rename(place.data(""), place.file("after")).unwrap();
}

/// When it happens, which files stand where then, by what follows the engine's name, and how many messages wait.
type Crash = (&'static str, &'static [(&'static str, &'static str)], usize);

async fn a_crash_at_any_point_leaves_the_old_files_or_the_new_ones(kind: EngineKind) {
    let crashes: [Crash; 4] = [
        ("while it copies", &[("before", ""), ("half", ".new")], 2),
        ("once it has copied", &[("before", ""), ("after", ".new")], 2),
        ("between the renames", &[("before", ".old"), ("after", ".new")], 1),
        ("before the end", &[("after", ""), ("before", ".old")], 1),
    ];
    for (when, files, waiting) in crashes {
        let place = Place::new(kind);
        two_copies(&place).await;
        copy(&place.file("after"), &place.file("half"));
        fs::remove_file(place.file("half/format")).unwrap();
        fs::write(place.file("half/db"), b"half").unwrap();
        for (from, to) in files {
            fs::rename(place.file(from), place.beside(to)).unwrap();
        }
        for left in ["before", "after", "half"] {
            drop(fs::remove_dir_all(place.file(left)));
        }
        for _ in 0..2 {
            let store = place.open();
            assert_eq!((store.opened().waiting, &store.opened().quarantine), (waiting, &None), "{when}");
            assert!(!place.beside(".new").exists() && !place.beside(".old").exists(), "{when}");
            assert_eq!(found(place.directory.path()).is_empty(), waiting == 1, "{when}");
            store.close().await;
        }
    }
}

async fn a_copy_that_fails_forgets_nobody_and_ends_nothing(kind: EngineKind) {
    let place = Place::new(kind);
    let store = place.open();
    leave_traces(&store).await;
    // Where the copy would go.
    fs::write(place.beside(".new"), b"a file").unwrap();
    let bot = BotName::new("shop");
    let refused = store.forget(&bot, CANARIES[1]).await;
    assert!(matches!(refused, Err(StoreError::Invalid(_))), "{refused:?}");
    assert_eq!(store.failure(), None);
    store.accept(&[canary("6", "goes on")]).await.unwrap();
    fs::remove_file(place.beside(".new")).unwrap();
    let all = Forgotten { waiting: 2, ..ALL };
    assert_eq!(store.forget(&bot, CANARIES[1]).await, Ok(all));
    assert_eq!(found(place.directory.path()), [""; 0]);
    store.close().await;
}

async fn others_are_served_while_somebody_is_forgotten(kind: EngineKind) {
    let place = Place::new(kind);
    let store = std::sync::Arc::new(place.open());
    for batch in 0..10 {
        let messages = (0..100).map(|n| message(&format!("chat {batch} {n}"), &format!("{batch} {n}")));
        store.accept(&messages.collect::<Vec<_>>()).await.unwrap();
    }
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..200 {
        let store = store.clone();
        tasks.spawn(async move {
            if n % 20 == 0 {
                store.forget(&BotName::new("shop"), &format!("chat 0 {n}")).await.unwrap();
            }
            let claim = store.claim(LEASE).await.unwrap();
            let gone = claim.conversation.chat.as_str().starts_with("chat 0");
            let endings = claim.messages.iter().map(|waiting| (waiting.seq, Ending::Answered)).collect();
            let (said, sent) = (Vec::new(), Vec::new());
            let done = Settlement::Done(Settled { endings, said, failure_replied: None, sent, failed: 0 });
            let settled = store.settle(claim, done).await;
            assert!(settled.is_ok() || (gone && settled == Err(StoreError::Fenced)), "{settled:?}");
        });
    }
    tasks.join_all().await;
    assert_eq!(store.failure(), None);
    let left = store.backlog();
    assert_eq!(left.messages, left.conversations);
    store.close().await;
    assert_eq!(place.open().opened().waiting, left.messages);
}

/// As a command does it, which would rather ask a server than wait for the store.
async fn whoever_waits_for_no_other_process_waits_for_its_own_engine(kind: EngineKind) {
    let directory = tempfile::tempdir().unwrap();
    let settings = disk::DiskSettings { lock_timeout: Duration::ZERO, ..settings_in(kind, &directory) };
    let store = Disk::open(settings, Clock::System).unwrap();
    for round in 0..20 {
        // So much that sled's threads are still at it.
        let others = (0..50).map(|n| message_saying("others", &format!("{round}-{n}"), "words ".repeat(500)));
        store.accept(&others.collect::<Vec<_>>()).await.unwrap();
        store.accept(&[canary(&round.to_string(), CANARIES[4])]).await.unwrap();
        let forgotten = store.forget(&BotName::new("shop"), CANARIES[1]).await.unwrap();
        assert_eq!((forgotten.conversations, forgotten.waiting), (1, 1), "round {round}");
    }
    store.close().await;
}
