//! What becomes of the data when the disk fails, at each of redb's calls in turn.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// A file of which one call that writes fails, and none after it: what a disk does whose trouble passes.
#[derive(Debug)]
struct Failing {
    file: Watched,
    fails: usize,
    calls: Arc<AtomicUsize>,
}

impl Failing {
    fn call(&self) -> std::io::Result<()> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        if call == self.fails { Err(std::io::Error::other("it was made to fail")) } else { Ok(()) }
    }
}

impl StorageBackend for Failing {
    fn len(&self) -> std::io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.call()?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> std::io::Result<()> {
        self.call()?;
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.call()?;
        self.file.write(offset, data)
    }
}

fn file(path: &Path) -> Watched {
    Watched::open(path, Arc::new(|| {})).unwrap()
}

/// Writes pair after pair, and returns how many were durable before the first error.
fn work(engine: &mut Redb) -> u32 {
    for number in 0..20_u32 {
        let pair = (number.to_be_bytes().to_vec(), Some(vec![7; 1_000 * number as usize]));
        let done = engine.apply(&mut std::iter::once(pair)).and_then(|()| engine.sync());
        if let Err(fault) = done {
            assert!(matches!(fault, Fault::Disk(_) | Fault::Damaged(_)), "{fault}");
            return number;
        }
    }
    20
}

#[test]
fn wherever_a_write_or_a_sync_fails_what_was_durable_is_there_afterwards() {
    let directory = tempfile::tempdir().unwrap();
    let (mut failed, mut all) = (0, false);
    for fails in (0..).step_by(3) {
        let path = directory.path().join(fails.to_string());
        // Made without failures: the guard's part is another one.
        drop(Redb::over(file(&path), 1 << 20).unwrap());
        let calls = Arc::new(AtomicUsize::new(0));
        let failing = Failing { file: file(&path), fails, calls: calls.clone() };
        let durable = Redb::over(failing, 1 << 20).map_or(0, |mut engine| work(&mut engine));
        failed += u32::from(durable < 20);
        all = calls.load(Ordering::SeqCst) <= fails;

        let engine = Redb::over(file(&path), 1 << 20).unwrap();
        for number in 0..durable {
            let value = engine.get(&number.to_be_bytes()).unwrap();
            assert_eq!(value.map(|value| value.len()), Some(1_000 * number as usize), "call {fails}");
        }
        if all {
            break;
        }
    }
    assert!(all && failed > 20, "{failed}");
}

#[test]
fn a_value_that_is_not_what_was_written_is_not_served() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let mut engine = Redb::over(file(&path), 1 << 20).unwrap();
    engine.apply(&mut std::iter::once((b"key".to_vec(), Some(b"harpsichord".to_vec())))).unwrap();
    engine.sync().unwrap();
    drop(engine);
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(11).position(|window| window == b"harpsichord").unwrap();
    bytes[at] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let engine = Redb::over(file(&path), 1 << 20).unwrap();
    assert!(matches!(engine.get(b"key"), Err(Fault::Damaged(_))));
    assert!(engine.range(&[], None).unwrap().all(|pair| pair.is_err()));
}
