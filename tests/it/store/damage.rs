//! What the store on disk does about files that it cannot use, or that a crash left behind.

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use threedots::store::disk::{Disk, DiskSettings, EngineKind, OpenError};
use threedots::store::{Claims, Inbox, Maintenance};

use super::bench::{LEASE, Place, message, new};

for_each_engine! {
    paused:
        damaged_data_is_moved_aside_and_reported
        two_quarantines_of_one_second_do_not_meet
    ;
    running:
        a_bit_that_flips_in_the_data_is_never_served
        two_openings_that_come_to_a_standstill_move_the_data_aside
        one_opening_that_comes_to_a_standstill_changes_nothing
        data_of_a_newer_version_is_left_alone
        a_place_that_cannot_be_used_is_an_error_and_no_quarantine
        garbage_behind_the_data_does_no_harm
}

/// A way to spoil the data file.
type Damage = fn(&Path);

#[tokio::test]
async fn a_half_written_snapshot_does_not_keep_it_from_opening() {
    let place = Place::new(EngineKind::Sled);
    place.filled().await;
    let snapshot = place.data("snap.00000000000FFFFF.generating");
    fs::write(&snapshot, b"half").unwrap();
    let store = place.open();
    assert_eq!(store.opened().waiting, 3);
    assert_eq!(store.opened().quarantine, None);
    assert!(!snapshot.exists());
}

async fn damaged_data_is_moved_aside_and_reported(kind: EngineKind) {
    let damages: [(&str, Damage); 4] = [
        ("nonsense", |data| fs::write(data, b"nonsense".repeat(100_000)).unwrap()),
        ("zeros", |data| fs::write(data, vec![0; 1 << 20]).unwrap()),
        ("empty", |data| fs::write(data, b"").unwrap()),
        ("gone", |data| fs::remove_file(data).unwrap()),
    ];
    for (name, damage) in damages {
        let place = Place::new(kind);
        place.filled().await;
        damage(&place.data("db"));

        let store = place.open();
        assert_eq!(store.opened().waiting, 0, "{name}");
        let quarantine = store.opened().quarantine.clone().expect(name);
        assert!(!quarantine.reason.is_empty(), "{name}");
        let seconds = place.clock.now().0 / 1000;
        assert_eq!(quarantine.moved_to, place.file(&format!("bad-{seconds}")), "{name}");
        assert!(quarantine.moved_to.join("format").is_file(), "{name}");
        new(store.accept(&[message("ann", "1")]).await.unwrap()[0]);
        store.close().await;

        let store = place.open();
        assert_eq!((store.opened().waiting, &store.opened().quarantine), (1, &None), "{name}");
    }
}

async fn two_quarantines_of_one_second_do_not_meet(kind: EngineKind) {
    let place = Place::new(kind);
    let mut moved = Vec::new();
    for _ in 0..3 {
        place.filled().await;
        fs::write(place.data("db"), b"").unwrap();
        let store = place.open();
        moved.push(store.opened().quarantine.clone().unwrap().moved_to);
        store.close().await;
    }
    moved.dedup();
    assert_eq!(moved.len(), 3);
    assert!(moved.iter().all(|directory| directory.is_dir()));
}

async fn a_bit_that_flips_in_the_data_is_never_served(kind: EngineKind) {
    for at in (0..12_000).step_by(500) {
        let place = Place::new(kind);
        place.filled().await;
        let mut data = fs::read(place.data("db")).unwrap();
        let Some(byte) = data.get_mut(at) else { break };
        *byte ^= 0x10;
        fs::write(place.data("db"), data).unwrap();
        // Noticed, or in a place that does not matter; never a record that was not written.
        let store = place.open();
        for _ in 0..store.opened().waiting.min(1) {
            let claim = store.claim(LEASE).await.unwrap();
            let expected = [message("ann", "1"), message("ben", "2"), message("ann", "3")];
            assert!(claim.messages.iter().all(|waiting| expected.contains(&waiting.inbound)), "at {at}");
        }
        store.close().await;
    }
}

async fn two_openings_that_come_to_a_standstill_move_the_data_aside(kind: EngineKind) {
    let place = Place::new(kind);
    place.filled().await;
    get_stuck(&place, 2).await;
    let store = place.open();
    assert!(store.opened().quarantine.is_some());
    assert_eq!(store.opened().waiting, 0);
    store.close().await;
    get_stuck(&place, 1).await;
    assert_eq!(place.open().opened().quarantine, None);
}

async fn one_opening_that_comes_to_a_standstill_changes_nothing(kind: EngineKind) {
    let place = Place::new(kind);
    place.filled().await;
    for _ in 0..3 {
        get_stuck(&place, 1).await;
        let store = place.open();
        assert_eq!((store.opened().waiting, &store.opened().quarantine), (3, &None));
        store.close().await;
    }
}

/// Opens a store without patience, until it has come to a standstill `times` times in a row.
async fn get_stuck(place: &Place, times: u32) {
    let settings = DiskSettings { open_timeout: Duration::ZERO, ..place.settings() };
    while fs::read_to_string(place.file("STUCK")).ok() != Some(times.to_string()) {
        match Disk::open(settings.clone(), place.clock) {
            // Now and then it is open before anybody looks at the time.
            Ok(store) => store.close().await,
            Err(error) => assert!(matches!(error, OpenError::TooSlow { .. }), "{error}"),
        }
    }
}

async fn data_of_a_newer_version_is_left_alone(kind: EngineKind) {
    let place = Place::new(kind);
    place.filled().await;
    fs::write(place.data("format"), "2").unwrap();
    for _ in 0..3 {
        let error = Disk::open(place.settings(), place.clock).unwrap_err();
        assert!(matches!(error, OpenError::Newer { format: 2, known: 1, .. }), "{error}");
    }
    fs::write(place.data("format"), "1").unwrap();
    assert_eq!(place.open().opened().waiting, 3);
}

#[tokio::test]
async fn data_with_other_settings_is_left_alone() {
    let place = Place::new(EngineKind::Sled);
    drop(sled::Config::new().path(place.data("")).segment_size(1 << 20).open().unwrap());
    for _ in 0..3 {
        let error = Disk::open(place.settings(), place.clock).unwrap_err();
        assert!(matches!(error, OpenError::Unsupported { .. }), "{error}");
    }
    assert!(place.data("db").is_file());
}

async fn a_place_that_cannot_be_used_is_an_error_and_no_quarantine(kind: EngineKind) {
    let place = Place::new(kind);
    fs::write(place.settings().path, b"a file").unwrap();
    let error = Disk::open(place.settings(), place.clock).unwrap_err();
    assert!(matches!(error, OpenError::Io { .. }), "{error}");
    assert!(error.to_string().contains(&place.settings().path.display().to_string()));
}

async fn garbage_behind_the_data_does_no_harm(kind: EngineKind) {
    let place = Place::new(kind);
    place.filled().await;
    let mut data = OpenOptions::new().write(true).open(place.data("db")).unwrap();
    data.seek(SeekFrom::End(0)).unwrap();
    data.write_all(&b"tail".repeat(10_000)).unwrap();
    drop(data);
    let store = place.open();
    assert!(store.opened().waiting == 3 || store.opened().quarantine.is_some());
}
