//! What is done to a store that nobody has open: verified, taken to another engine, saved from damage.

use std::fs;
use std::path::Path;

use threedots::message::Count;
use threedots::message::clock::Timestamp;
use threedots::store::disk::maintenance::{self, MaintenanceError};
use threedots::store::disk::{Disk, DiskSettings, EngineKind, OpenError};
use threedots::store::{
    Accepted, Claims, DeadLetters, Ending, Histories, Inbox, Maintenance, PartState, SendLog, Settled, Settlement,
};

use super::bench::{LEASE, Place, conversation, ids, message, message_saying, new, outgoing, said};

for_each_engine! {
    paused:
    ;
    running:
        a_sound_store_is_counted
        a_store_moves_to_another_engine_and_back
        a_store_in_use_is_left_alone
        a_migration_that_was_interrupted_is_ended_by_the_next
        what_differs_is_not_taken_for_an_interrupted_migration
        data_of_another_engine_is_not_forgotten
        damage_is_found_and_what_is_whole_is_salvaged
        a_store_that_was_moved_aside_is_salvaged
        a_conversation_that_is_lost_is_told_by_its_messages
        damage_that_is_met_at_work_is_moved_aside_at_the_next_start
        a_version_record_that_is_newer_is_left_alone
}

impl Place {
    /// A store with something of every kind, closed.
    async fn full(&self) {
        let store = self.open();
        let batch: Vec<_> = ["ann", "ben", "cid"].iter().map(|chat| message(chat, chat)).collect();
        store.accept(&batch).await.unwrap();
        let ann = store.claim(LEASE).await.unwrap();
        store.intend(&ann, &outgoing(&ann, &["a", "b"])).await.unwrap();
        store.mark(&ann, 0, PartState::Sending { attempts: 0 }).await.unwrap();
        let ben = store.claim(LEASE).await.unwrap();
        let done = Settlement::Done(Settled {
            endings: vec![(ben.messages[0].seq, Ending::Dead { reason: "code".to_owned() })],
            said: vec![said("question"), said("answer")],
            failure_replied: None,
            sent: Vec::new(),
            failed: 0,
        });
        store.settle(ben, done).await.unwrap();
        store.accept(&[message_saying("ann", "long", "l".repeat(30_000))]).await.unwrap();
        drop(ann);
        assert_eq!(store.count(spent()).await, Ok(None));
        store.close().await;
    }

    /// Whether what `full` wrote is there.
    async fn check(&self) {
        let store = self.open();
        assert_eq!((store.opened().waiting, &store.opened().quarantine), (3, &None));
        let claim = store.claim(LEASE).await.unwrap();
        assert_eq!(ids(&claim), ["ann", "long"]);
        assert_eq!(claim.messages[1].inbound, message_saying("ann", "long", "l".repeat(30_000)));
        assert_eq!(claim.outgoing.as_ref().unwrap().parts.len(), 2);
        assert_eq!(store.history(&conversation("ben"), 9).await.unwrap(), [said("question"), said("answer")]);
        assert_eq!(store.dead(None, 9).await.unwrap().len(), 1);
        let again = store.accept(&[message("ann", "ann"), message("ben", "ben")]).await.unwrap();
        assert!(again.iter().all(|accepted| matches!(accepted, Accepted::Duplicate(_))));
        assert!(new(store.accept(&[message("dan", "dan")]).await.unwrap()[0]).0 > 4);
        drop(claim);
        assert_eq!(store.count(spent()).await, Ok(Some(0)), "there is nothing left of it");
        store.close().await;
    }
}

/// All that a counter takes.
fn spent() -> Vec<Count> {
    vec![Count { name: "ann".into(), by: 7, most: Some(7), until: Timestamp(u64::MAX) }]
}

fn other(kind: EngineKind) -> EngineKind {
    EngineKind::ALL.into_iter().find(|other| *other != kind).unwrap()
}

fn with(kind: EngineKind, place: &Place) -> DiskSettings {
    DiskSettings { kind, ..place.settings() }
}

/// Changes a bit of what an engine's data says, wherever it says so: there may be old copies.
fn flip(file: &Path, what: &[u8]) {
    let mut bytes = fs::read(file).unwrap();
    let places: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(what)).collect();
    places.iter().for_each(|at| bytes[*at] ^= 1);
    assert!(!places.is_empty());
    fs::write(file, bytes).unwrap();
}

/// Deletes the pairs under a prefix behind the store's back, or sets them to nonsense.
fn spoil(place: &Place, prefix: &[u8], nonsense: Option<&[u8]>) {
    let directory = place.data("");
    match place.kind {
        EngineKind::Sled => {
            fs::File::open(directory.join("db")).unwrap().lock().unwrap();
            let db = sled::Config::new().path(&directory).segment_size(8 * 1024 * 1024).open().unwrap();
            for key in db.scan_prefix(prefix).keys() {
                match nonsense {
                    Some(nonsense) => drop(db.insert(key.unwrap(), nonsense).unwrap()),
                    None => drop(db.remove(key.unwrap()).unwrap()),
                }
            }
            db.flush().unwrap();
        }
        EngineKind::Redb => {
            let db = redb::Database::open(directory.join("db")).unwrap();
            let write = db.begin_write().unwrap();
            let definition = redb::TableDefinition::<&[u8], &[u8]>::new("threedots");
            let mut table = write.open_table(definition).unwrap();
            let range = redb::ReadableTable::range::<&[u8]>(&table, prefix..).unwrap();
            let keys: Vec<Vec<u8>> = range.map(|pair| pair.unwrap().0.value().to_vec()).collect();
            for key in keys.iter().filter(|key| key.starts_with(prefix)) {
                match nonsense {
                    Some(nonsense) => drop(table.insert(&key[..], nonsense).unwrap()),
                    None => drop(table.remove(&key[..]).unwrap()),
                }
            }
            drop(table);
            write.commit().unwrap();
        }
    }
}

async fn a_sound_store_is_counted(kind: EngineKind) {
    let place = Place::new(kind);
    place.full().await;
    let report = maintenance::verify(&place.settings()).unwrap();
    assert_eq!((report.damaged(), report.trouble()), (0, None));
    let counted =
        ["conversations", "messages that wait", "replies on their way", "things said", "dead letters", "counters"];
    assert_eq!(counted.map(|name| report.whole(name)), [3, 3, 1, 2, 1, 1]);
    assert!(report.to_string().ends_with("nothing is damaged"), "{report}");
    // A crash between two renames, as somebody was forgotten.
    fs::rename(place.data(""), place.beside(".old")).unwrap();
    assert_eq!(maintenance::verify(&place.settings()).unwrap(), report);
    assert!(!place.beside(".old").exists());
    place.check().await;
}

async fn a_store_moves_to_another_engine_and_back(kind: EngineKind) {
    let mut place = Place::new(kind);
    place.full().await;
    for (number, to) in [other(kind), kind, other(kind)].into_iter().enumerate() {
        let migrated = maintenance::migrate(&place.settings(), to).unwrap().unwrap();
        assert_eq!(migrated.from, other(to));
        assert!(migrated.entries > 10);
        let ending = if number < 2 { String::new() } else { "-2".to_owned() };
        let name = format!("{}.before-{}{ending}", place.settings().path.display(), to.name());
        assert_eq!(migrated.kept, Path::new(&name));
        assert!(!place.data("").exists());
        // It can be gone back to.
        let kept = DiskSettings { path: migrated.kept, ..place.settings() };
        assert_eq!(maintenance::verify(&kept).unwrap().damaged(), 0);
        place.kind = to;
        assert_eq!(maintenance::migrate(&place.settings(), to).unwrap(), None);
    }
    place.check().await;
}

async fn a_store_in_use_is_left_alone(kind: EngineKind) {
    let place = Place::new(kind);
    let store = place.open();
    let settings = place.settings();
    assert!(matches!(maintenance::verify(&settings), Err(MaintenanceError::InUse(_))));
    assert!(matches!(maintenance::migrate(&settings, other(kind)), Err(MaintenanceError::InUse(_))));
    let to = place.file("../salvaged");
    assert!(matches!(maintenance::salvage(&settings.path, &to, &settings), Err(MaintenanceError::InUse(_))));
    assert!(!to.exists());
    store.close().await;
    drop(store);
    let nowhere = DiskSettings { path: place.file("nowhere"), ..settings };
    assert!(matches!(maintenance::verify(&nowhere), Err(MaintenanceError::Nothing(_))));
    assert!(matches!(maintenance::migrate(&nowhere, other(kind)), Err(MaintenanceError::Nothing(_))));
    assert!(!nowhere.path.exists());
}

async fn a_migration_that_was_interrupted_is_ended_by_the_next(kind: EngineKind) {
    let mut place = Place::new(kind);
    place.full().await;
    // Half a copy, and then a whole one whose origin was not moved out yet.
    let half = place.file(&format!("{}.new", other(kind).name()));
    fs::create_dir(&half).unwrap();
    fs::write(half.join("db"), b"half").unwrap();
    let migrated = maintenance::migrate(&place.settings(), other(kind)).unwrap().unwrap();
    assert!(!half.exists());
    fs::rename(migrated.kept.join(kind.name()), place.data("")).unwrap();
    for wanted in EngineKind::ALL {
        let error = Disk::open(with(wanted, &place), place.clock).unwrap_err();
        assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
    }
    let again = maintenance::migrate(&place.settings(), other(kind)).unwrap().unwrap();
    assert_eq!((again.from, again.entries), (kind, migrated.entries));
    place.kind = other(kind);
    place.check().await;
}

async fn what_differs_is_not_taken_for_an_interrupted_migration(kind: EngineKind) {
    let mut place = Place::new(kind);
    place.full().await;
    let migrated = maintenance::migrate(&place.settings(), other(kind)).unwrap().unwrap();
    place.kind = other(kind);
    let store = place.open();
    store.accept(&[message("dan", "dan")]).await.unwrap();
    store.close().await;
    fs::rename(migrated.kept.join(kind.name()), place.file(kind.name())).unwrap();
    for to in EngineKind::ALL {
        assert!(matches!(maintenance::migrate(&place.settings(), to), Err(MaintenanceError::Ambiguous(_))));
    }
    assert!(place.file("sled").is_dir() && place.file("redb").is_dir());
}

async fn data_of_another_engine_is_not_forgotten(kind: EngineKind) {
    let place = Place::new(kind);
    place.full().await;
    let error = Disk::open(with(other(kind), &place), place.clock).unwrap_err();
    assert!(matches!(error, OpenError::Foreign { found, .. } if found == kind), "{error}");
    assert!(error.to_string().contains(&format!("threedots store migrate --to {}", other(kind).name())), "{error}");
    place.check().await;
}

async fn damage_is_found_and_what_is_whole_is_salvaged(kind: EngineKind) {
    let mut place = Place::new(kind);
    place.full().await;
    spoil(&place, b"h", Some(b"nonsense"));
    let settings = place.settings();
    let report = maintenance::verify(&settings).unwrap();
    assert_eq!(report.damaged(), 2, "{report}");
    assert!(report.to_string().contains("things said: 2 cannot be read"), "{report}");
    assert!(matches!(maintenance::migrate(&settings, other(kind)), Err(MaintenanceError::Damaged { .. })));
    let before = fs::read(place.data("db")).unwrap();

    let to = place.directory.path().join("salvaged");
    let salvaged = maintenance::salvage(&settings.path, &to, &settings).unwrap();
    assert_eq!((salvaged.kind, salvaged.found.damaged(), salvaged.restored), (kind, 2, 0));
    assert!(matches!(maintenance::salvage(&settings.path, &to, &settings), Err(MaintenanceError::Occupied(_))));
    assert_eq!(fs::read_dir(&to).unwrap().count(), 1);
    assert!(fs::read(place.data("db")).unwrap() == before, "the damaged data was touched");
    let fresh = DiskSettings { path: to.clone(), ..settings };
    assert_eq!(maintenance::verify(&fresh).unwrap().damaged(), 0);
    fs::rename(&to, place.directory.path().join("fresh")).unwrap();
    fs::rename(place.settings().path, place.directory.path().join("damaged")).unwrap();
    fs::rename(place.directory.path().join("fresh"), place.settings().path).unwrap();
    place.kind = kind;
    let store = place.open();
    assert_eq!(store.opened().waiting, 3);
    assert_eq!(ids(&store.claim(LEASE).await.unwrap()), ["ann", "long"]);
    assert_eq!(store.dead(None, 9).await.unwrap().len(), 1);
    let again = store.accept(&[message("ben", "ben")]).await.unwrap();
    assert!(matches!(again[..], [Accepted::Duplicate(_)]));
    assert!(new(store.accept(&[message("dan", "dan")]).await.unwrap()[0]).0 > 4);
    store.close().await;
}

async fn a_store_that_was_moved_aside_is_salvaged(kind: EngineKind) {
    let place = Place::new(kind);
    place.full().await;
    // The conversation of what waits: no opening can do without it.
    spoil(&place, b"c", Some(b"nonsense"));
    let store = place.open();
    let quarantine = store.opened().quarantine.clone().unwrap();
    assert_eq!(store.opened().waiting, 0);
    // The server goes on with its empty store meanwhile.
    let to = place.directory.path().join("salvaged");
    let salvaged = maintenance::salvage(&quarantine.moved_to, &to, &place.settings()).unwrap();
    assert_eq!((salvaged.kind, salvaged.found.damaged() > 0, salvaged.restored), (kind, true, 2));
    let fresh = Disk::open(DiskSettings { path: to, ..place.settings() }, place.clock).unwrap();
    assert_eq!((fresh.opened().waiting, &fresh.opened().quarantine), (3, &None));
    fresh.close().await;
    store.close().await;
}

async fn a_conversation_that_is_lost_is_told_by_its_messages(kind: EngineKind) {
    let place = Place::new(kind);
    place.full().await;
    spoil(&place, b"c", None);
    spoil(&place, b"l", None);
    let report = maintenance::verify(&place.settings()).unwrap();
    assert_eq!(report.damaged(), 2, "two conversations have something to do: {report}");
    let to = place.directory.path().join("salvaged");
    let salvaged = maintenance::salvage(&place.settings().path, &to, &place.settings()).unwrap();
    assert_eq!(salvaged.restored, 2);
    let fresh = Disk::open(DiskSettings { path: to, ..place.settings() }, place.clock).unwrap();
    assert_eq!(fresh.opened().waiting, 3);
    assert!(new(fresh.accept(&[message("dan", "dan")]).await.unwrap()[0]).0 > 4);
    fresh.close().await;
}

async fn damage_that_is_met_at_work_is_moved_aside_at_the_next_start(kind: EngineKind) {
    let place = Place::new(kind);
    place.full().await;
    spoil(&place, b"h", Some(b"nonsense"));
    // What does not wait is not read by a start, nor does it keep one from its work.
    for _ in 0..2 {
        let store = place.open();
        assert_eq!((store.opened().waiting, &store.opened().quarantine), (3, &None));
        store.close().await;
    }
    let store = place.open();
    assert!(store.history(&conversation("ben"), 9).await.is_err());
    assert!(store.failure().is_some());
    store.close().await;
    drop(store);
    let store = place.open();
    assert!(store.opened().quarantine.is_some());
    store.close().await;
    drop(store);
    assert_eq!(place.open().opened().quarantine, None);
}

async fn a_version_record_that_is_newer_is_left_alone(kind: EngineKind) {
    let place = Place::new(kind);
    place.full().await;
    let value: &[u8] = match kind {
        EngineKind::Sled => &[2],
        // With redb's checksum over key and value behind it.
        EngineKind::Redb => &newer_with_checksum(),
    };
    spoil(&place, b"v", Some(value));
    for _ in 0..2 {
        let error = Disk::open(place.settings(), place.clock).unwrap_err();
        assert!(matches!(error, OpenError::Newer { format: 2, known: 1, .. }), "{error}");
        assert!(error.to_string().contains("start a newer threedots"), "{error}");
    }
}

fn newer_with_checksum() -> Vec<u8> {
    use sha2::{Digest, Sha256};
    let digest = Sha256::new().chain_update(1_u64.to_be_bytes()).chain_update(b"v").chain_update([2]).finalize();
    [&[2], &digest[..8]].concat()
}

#[tokio::test]
async fn a_flipped_bit_in_a_value_of_redbs_is_found() {
    let place = Place::new(EngineKind::Redb);
    place.full().await;
    flip(&place.data("db"), b"question");
    let report = maintenance::verify(&place.settings()).unwrap();
    assert_eq!(report.damaged(), 1, "{report}");
    let to = place.directory.path().join("salvaged");
    let salvaged = maintenance::salvage(&place.settings().path, &to, &place.settings()).unwrap();
    assert_eq!(salvaged.found.whole("things said"), 1);
    let fresh = Disk::open(DiskSettings { path: to, ..place.settings() }, place.clock).unwrap();
    assert_eq!(fresh.history(&conversation("ben"), 9).await.unwrap(), [said("answer")]);
    fresh.close().await;
}

/// Runs `threedots store …` for a place; whether it succeeded, and what it said.
fn command(place: &Place, arguments: &[&str]) -> (bool, String) {
    let config = place.directory.path().join("threedots.toml");
    let (kind, path) = (place.kind.name(), place.settings().path);
    fs::write(&config, format!("[store]\nkind = \"{kind}\"\npath = \"{}\"\n", path.display())).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_threedots"));
    command.env_clear().arg("store").args(arguments).arg("--config").arg(config);
    let output = command.output().unwrap();
    let said = if output.status.success() { output.stdout } else { output.stderr };
    (output.status.success(), String::from_utf8(said).unwrap())
}

#[tokio::test]
async fn the_command_verifies_migrates_and_salvages() {
    let mut place = Place::new(EngineKind::Sled);
    place.full().await;
    let (fine, said) = command(&place, &["verify"]);
    assert!(fine && said.contains("3  messages that wait\n") && said.ends_with("nothing is damaged\n"), "{said}");

    let store = place.open();
    for arguments in [&["verify"][..], &["migrate", "--to", "redb"]] {
        let (fine, said) = command(&place, arguments);
        assert!(!fine && said.contains("is in use: stop the threedots that serves it first"), "{said}");
    }
    store.close().await;
    drop(store);
    let (fine, said) = command(&place, &["migrate", "--to", "redb"]);
    assert!(fine && said.contains("entries taken from sled to redb, and read back"), "{said}");
    assert!(said.contains("set `store.kind` to \"redb\"") && said.contains("store.before-redb"), "{said}");
    place.kind = EngineKind::Redb;
    let (fine, said) = command(&place, &["migrate", "--to", "redb"]);
    assert!(fine && said.ends_with("is redb already\n"), "{said}");
    let (fine, said) = command(&place, &["migrate", "--to", "oracle"]);
    assert!(!fine && said.contains("[possible values: sled, redb]"), "{said}");

    spoil(&place, b"h", Some(b"nonsense"));
    let (fine, said) = command(&place, &["verify"]);
    assert!(!fine && said.contains("damaged: things said: 2 cannot be read"), "{said}");
    let to = place.directory.path().join("fresh");
    let (fine, said) = command(&place, &["salvage", "--to", to.to_str().unwrap()]);
    assert!(fine && said.contains("is a store of redb with all that could be read"), "{said}");
    assert!(said.contains("damaged: things said: 2 cannot be read"), "{said}");
    assert_eq!(maintenance::verify(&DiskSettings { path: to, ..place.settings() }).unwrap().damaged(), 0);
}
