//! How much memory what comes in may take: bytes are reserved before they are read, and given back once nothing that was
//! made of them is held any longer. So a flood waits, or is turned back, and the memory has a ceiling.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::futures::Notified;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// What bytes are counted in. Less would be no more exact: an allocation costs more than its bytes.
const UNIT: u64 = 1024;

/// So many bytes, for all who share it. A clone is the same budget.
#[derive(Clone, Debug)]
pub struct Budget {
    left: Arc<Semaphore>,
    whole: u32,
}

/// Bytes of a budget. Dropped, they are given back.
#[derive(Debug)]
#[must_use = "dropped, it is given back"]
pub struct Share {
    permit: Option<OwnedSemaphorePermit>,
    tally: Option<Tally>,
}

/// How much of a budget somebody has taken. A clone is the same tally.
#[derive(Clone, Debug)]
pub struct Tally {
    units: Arc<AtomicU64>,
    bell: Arc<Bell>,
}

impl Tally {
    /// Nothing has been taken. `bell` rings for everything that is given back.
    pub fn new(bell: Arc<Bell>) -> Self {
        Self { units: Arc::default(), bell }
    }

    /// How many bytes have been taken.
    pub fn bytes(&self) -> u64 {
        self.units.load(Ordering::Relaxed) * UNIT
    }

    fn give_back(&self, units: u64) {
        self.units.fetch_sub(units, Ordering::Relaxed);
        self.bell.ring();
    }
}

/// Tells those who wait for their share that something was given back; costs nothing while nobody waits.
#[derive(Debug, Default)]
pub struct Bell {
    wanted: AtomicBool,
    rung: Notify,
}

impl Bell {
    /// Somebody waits.
    pub fn want(&self) {
        self.wanted.store(true, Ordering::SeqCst);
    }

    /// Something was given back.
    pub fn ring(&self) {
        if self.wanted.swap(false, Ordering::SeqCst) {
            self.rung.notify_waiters();
        }
    }

    /// The next time that it rings, from when this is enabled on.
    pub fn rings(&self) -> Notified<'_> {
        self.rung.notified()
    }
}

impl Budget {
    /// A budget of `bytes`, of which at least 1,024 can be taken.
    pub fn new(bytes: u64) -> Self {
        let whole = units(bytes);
        Self { left: Arc::new(Semaphore::new(whole as usize)), whole }
    }

    /// Waits for `bytes`, behind those who asked before. Who asks for more than there is in all waits for all of it.
    pub async fn take(&self, bytes: u64) -> Share {
        let left = Arc::clone(&self.left);
        // Closed never, and so never an error.
        Share { permit: left.acquire_many_owned(units(bytes).min(self.whole)).await.ok(), tally: None }
    }

    /// How many bytes are left.
    pub fn left(&self) -> u64 {
        self.left.available_permits() as u64 * UNIT
    }
}

impl Share {
    /// Gives back all but `bytes`; nothing if it is no more than that.
    pub fn shrink(&mut self, bytes: u64) {
        if let Some(permit) = &mut self.permit {
            let more = permit.num_permits().saturating_sub(units(bytes) as usize);
            drop(permit.split(more));
            if let Some(tally) = &self.tally {
                tally.give_back(more as u64);
            }
        }
    }

    /// Counts all of it as taken by somebody, until it is given back.
    pub fn count_for(&mut self, tally: &Tally) {
        let units = self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits) as u64;
        tally.units.fetch_add(units, Ordering::Relaxed);
        self.tally = Some(tally.clone());
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // Before anybody is told.
        let units = self.permit.take().map_or(0, |permit| permit.num_permits()) as u64;
        if let Some(tally) = &self.tally {
            tally.give_back(units);
        }
    }
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).max(1)
}
