//! What the store on disk does about files that it cannot use, or that a crash left behind.

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use threedots::store::Store;
use threedots::store::sled::{OpenError, Sled};

use super::bench::{LEASE, Place, message, new};

/// A way to spoil the data file.
type Damage = fn(&Path);

#[tokio::test]
async fn a_half_written_snapshot_does_not_keep_it_from_opening() {
    let place = Place::new();
    place.filled().await;
    let snapshot = place.file("sled/snap.00000000000FFFFF.generating");
    fs::write(&snapshot, b"half").unwrap();
    let store = place.open();
    assert_eq!(store.opened().waiting, 3);
    assert_eq!(store.opened().quarantine, None);
    assert!(!snapshot.exists());
}

#[tokio::test(start_paused = true)]
async fn damaged_data_is_moved_aside_and_reported() {
    let damages: [(&str, Damage); 4] = [
        ("nonsense", |data| fs::write(data, b"nonsense".repeat(100_000)).unwrap()),
        ("zeros", |data| fs::write(data, vec![0; 1 << 20]).unwrap()),
        ("empty", |data| fs::write(data, b"").unwrap()),
        ("gone", |data| fs::remove_file(data).unwrap()),
    ];
    for (name, damage) in damages {
        let place = Place::new();
        place.filled().await;
        damage(&place.file("sled/db"));

        let store = place.open();
        assert_eq!(store.opened().waiting, 0, "{name}");
        let quarantine = store.opened().quarantine.clone().expect(name);
        assert!(!quarantine.reason.is_empty(), "{name}");
        let seconds = place.clock.now().0 / 1000;
        assert_eq!(quarantine.moved_to, place.file(&format!("bad-{seconds}")), "{name}");
        assert!(quarantine.moved_to.join("conf").is_file(), "{name}");
        new(store.accept(vec![message("ann", "1")]).await.unwrap()[0]);
        store.close().await;

        let store = place.open();
        assert_eq!((store.opened().waiting, &store.opened().quarantine), (1, &None), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn two_quarantines_of_one_second_do_not_meet() {
    let place = Place::new();
    let mut moved = Vec::new();
    for _ in 0..3 {
        place.filled().await;
        fs::write(place.file("sled/db"), b"").unwrap();
        let store = place.open();
        moved.push(store.opened().quarantine.clone().unwrap().moved_to);
        store.close().await;
    }
    moved.dedup();
    assert_eq!(moved.len(), 3);
    assert!(moved.iter().all(|directory| directory.is_dir()));
}

#[tokio::test]
async fn a_bit_that_flips_in_the_data_is_never_served() {
    for at in (0..12_000).step_by(500) {
        let place = Place::new();
        place.filled().await;
        let mut data = fs::read(place.file("sled/db")).unwrap();
        let Some(byte) = data.get_mut(at) else { break };
        *byte ^= 0x10;
        fs::write(place.file("sled/db"), data).unwrap();
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

#[tokio::test]
async fn two_openings_without_an_end_move_the_data_aside() {
    let place = Place::new();
    place.filled().await;
    // As a process leaves it that was ended twice while it opened the store.
    fs::write(place.file("OPENING"), "2").unwrap();
    let store = place.open();
    assert!(store.opened().quarantine.is_some());
    assert_eq!(store.opened().waiting, 0);
    assert!(!place.file("OPENING").exists());
}

#[tokio::test]
async fn one_opening_without_an_end_changes_nothing() {
    let place = Place::new();
    place.filled().await;
    for _ in 0..3 {
        fs::write(place.file("OPENING"), "1").unwrap();
        let store = place.open();
        assert_eq!((store.opened().waiting, &store.opened().quarantine), (3, &None));
        assert!(!place.file("OPENING").exists());
        store.close().await;
    }
}

#[tokio::test]
async fn data_of_a_newer_version_is_left_alone() {
    let place = Place::new();
    place.filled().await;
    fs::write(place.file("sled/format"), "2").unwrap();
    for _ in 0..3 {
        let error = Sled::open(place.settings(), place.clock).unwrap_err();
        assert!(matches!(error, OpenError::Newer { format: 2, known: 1, .. }), "{error}");
    }
    fs::write(place.file("sled/format"), "1").unwrap();
    assert_eq!(place.open().opened().waiting, 3);
}

#[tokio::test]
async fn data_with_other_settings_is_left_alone() {
    let place = Place::new();
    drop(sled::Config::new().path(place.file("sled")).segment_size(1 << 20).open().unwrap());
    for _ in 0..3 {
        let error = Sled::open(place.settings(), place.clock).unwrap_err();
        assert!(matches!(error, OpenError::Unsupported { .. }), "{error}");
    }
    assert!(place.file("sled/db").is_file());
}

#[tokio::test]
async fn a_place_that_cannot_be_used_is_an_error_and_no_quarantine() {
    let place = Place::new();
    fs::write(place.settings().path, b"a file").unwrap();
    let error = Sled::open(place.settings(), place.clock).unwrap_err();
    assert!(matches!(error, OpenError::Io { .. }), "{error}");
    assert!(error.to_string().contains(&place.settings().path.display().to_string()));
}

#[tokio::test]
async fn garbage_behind_the_data_does_no_harm() {
    let place = Place::new();
    place.filled().await;
    let mut data = OpenOptions::new().write(true).open(place.file("sled/db")).unwrap();
    data.seek(SeekFrom::End(0)).unwrap();
    data.write_all(&b"tail".repeat(10_000)).unwrap();
    drop(data);
    let store = place.open();
    assert!(store.opened().waiting == 3 || store.opened().quarantine.is_some());
}
