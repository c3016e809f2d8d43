//! An engine that fails once, and never again: what a disk does whose trouble passes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};

use crate::message::clock::Clock;
use crate::store::disk::engine::{KeyChange, KvEngine, Pairs};
use crate::store::disk::fault::Fault;
use crate::store::disk::guard::{self, Guarded};
use crate::store::disk::ledger::Ledger;
use crate::store::disk::tree::Tree;
use crate::store::disk::{Disk, DiskSettings};

/// An engine whose write or sync number `fails` fails.
pub(super) struct Failing {
    engine: Box<dyn KvEngine>,
    fails: usize,
    calls: Arc<AtomicUsize>,
    /// Only syncs count, or all calls that reach the disk.
    syncs_only: bool,
    /// A sync waits until the other end of this is gone.
    still: Option<Mutex<Receiver<()>>>,
}

/// Opens a store whose write or sync number `fails` fails; its calls are counted in `calls`.
pub(super) fn open(settings: &DiskSettings, fails: usize, syncs_only: bool, calls: &Arc<AtomicUsize>) -> Arc<Disk> {
    start(settings, |engine| Failing { engine, fails, calls: calls.clone(), syncs_only, still: None })
}

/// Opens a store whose disk stands still until the other end of `still` is gone.
pub(super) fn open_still(settings: &DiskSettings, still: Receiver<()>) -> Arc<Disk> {
    let (fails, calls, still) = (usize::MAX, Arc::default(), Some(Mutex::new(still)));
    start(settings, |engine| Failing { engine, fails, calls, syncs_only: false, still })
}

fn start(settings: &DiskSettings, double: impl FnOnce(Box<dyn KvEngine>) -> Failing) -> Arc<Disk> {
    let guarded = guard::open(settings, Clock::System.now()).unwrap();
    let Guarded { ledger, found, .. } = guarded;
    let failing = double(ledger.tree.into_engine());
    let ledger = Ledger::new(Tree::new(Box::new(failing)), found.last, settings.history_kept);
    let guarded = Guarded { ledger, found, ..guarded };
    Arc::new(Disk::start(guarded, settings, Clock::System).unwrap())
}

impl Failing {
    fn call(&self) -> Result<(), Fault> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        if call == self.fails { Err(Fault::Disk(std::io::Error::other("it was made to fail"))) } else { Ok(()) }
    }
}

impl KvEngine for Failing {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        self.engine.get(key)
    }

    fn range(&self, first: &[u8], end: Option<&[u8]>) -> Result<Pairs<'_>, Fault> {
        self.engine.range(first, end)
    }

    fn apply(&mut self, changes: &mut dyn Iterator<Item = KeyChange>) -> Result<(), Fault> {
        if !self.syncs_only {
            self.call()?;
        }
        self.engine.apply(changes)
    }

    fn sync(&self) -> Result<(), Fault> {
        if let Some(still) = &self.still {
            // Ends with an error, as nobody ever sends anything.
            let _ = still.lock().unwrap().recv();
        }
        self.call()?;
        self.engine.sync()
    }

    fn most_unsynced(&self) -> usize {
        self.engine.most_unsynced()
    }

    fn count(&self) -> Result<Option<u64>, Fault> {
        self.engine.count()
    }
}
