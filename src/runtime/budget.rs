//! How much memory what comes in may take: bytes are reserved before they are read, and given back once nothing that
//! was made of them is held any longer. So a flood waits, or is turned back, and the memory has a ceiling.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::futures::Notified;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::runtime::hosting::leaves_enough;

/// What bytes are counted in. Less would be no more exact: an allocation costs more than its bytes.
const UNIT: u64 = 1024;

/// So many bytes, for all who share it. A clone is the same budget.
#[derive(Clone, Debug)]
pub struct MemoryBudget {
    left: Arc<Semaphore>,
    whole: u32,
    bell: Arc<Bell>,
}

/// Bytes of a budget. Dropped, they are given back.
#[derive(Debug)]
#[must_use = "dropped, it is given back"]
pub struct Share {
    permit: Option<OwnedSemaphorePermit>,
    tally: Option<MemoryUse>,
    bell: Arc<Bell>,
}

/// How much of a budget somebody has taken. A clone is the same tally.
#[derive(Clone, Debug, Default)]
pub struct MemoryUse(Arc<AtomicU64>);

/// Tells those who wait that something was given back; costs nothing while nobody waits.
#[derive(Debug, Default)]
pub struct Bell {
    wanted: AtomicBool,
    rung: Notify,
}

impl MemoryBudget {
    /// A budget of `bytes`, of which at least 1,024 can be taken.
    pub fn new(bytes: u64) -> Self {
        let whole = units(bytes);
        Self { left: Arc::new(Semaphore::new(whole as usize)), whole, bell: Arc::default() }
    }

    /// Waits for `bytes`, behind those who asked before. Who asks for more than there is in all waits for all of it.
    pub async fn take(&self, bytes: u64) -> Share {
        let left = Arc::clone(&self.left);
        // Closed never, and so never an error.
        let permit = left.acquire_many_owned(units(bytes).min(self.whole)).await.ok();
        Share { permit, tally: None, bell: Arc::clone(&self.bell) }
    }

    /// The same for somebody who may share it with others: then he first waits until he leaves as much for them as he
    /// has.
    pub async fn take_for(&self, tally: Option<&MemoryUse>, bytes: u64) -> Share {
        let Some(tally) = tally else { return self.take(bytes).await };
        loop {
            let mut rings = pin!(self.bell.rings());
            // Before the look at what is left, so that no change after it goes unnoticed.
            rings.as_mut().enable();
            if self.bell.ask(|| self.is_fair(tally)) {
                break;
            }
            rings.await;
        }
        let mut share = self.take(bytes).await;
        share.count_for(tally);
        share
    }

    /// The same without waiting; none if he would have to.
    pub fn try_take_for(&self, tally: Option<&MemoryUse>, bytes: u64) -> Option<Share> {
        if tally.is_some_and(|tally| !self.is_fair(tally)) {
            return None;
        }
        let permit = Arc::clone(&self.left).try_acquire_many_owned(units(bytes).min(self.whole)).ok()?;
        let mut share = Share { permit: Some(permit), tally: None, bell: Arc::clone(&self.bell) };
        if let Some(tally) = tally {
            share.count_for(tally);
        }
        Some(share)
    }

    /// Whether somebody leaves as much for the others as he has.
    pub fn is_fair(&self, tally: &MemoryUse) -> bool {
        leaves_enough(tally.bytes(), 0, self.left())
    }

    /// Rings when something is given back.
    pub fn bell(&self) -> &Arc<Bell> {
        &self.bell
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
            self.tell(more);
        }
    }

    /// How many bytes it is.
    pub fn bytes(&self) -> u64 {
        self.permit.as_ref().map_or(0, |permit| permit.num_permits() as u64 * UNIT)
    }

    /// Takes in another share of the same budget, that was taken for the same somebody.
    pub fn join(&mut self, mut other: Self) {
        match (&mut self.permit, other.permit.take()) {
            (Some(mine), Some(theirs)) => mine.merge(theirs),
            (mine, theirs) => *mine = mine.take().or(theirs),
        }
        other.tally = None;
    }

    /// Counts all of it as taken by somebody, until it is given back.
    pub fn count_for(&mut self, tally: &MemoryUse) {
        let units = self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        tally.0.fetch_add(units as u64, Ordering::Relaxed);
        self.tally = Some(tally.clone());
    }

    fn tell(&self, units: usize) {
        if let Some(MemoryUse(taken)) = &self.tally {
            taken.fetch_sub(units as u64, Ordering::Relaxed);
        }
        self.bell.ring();
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // Given back before anybody is told.
        let units = self.permit.take().map_or(0, |permit| permit.num_permits());
        self.tell(units);
    }
}

impl MemoryUse {
    /// Whether it is the same tally, and not only as much.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// How many bytes have been taken.
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed) * UNIT
    }
}

impl Bell {
    /// Whether somebody may go on; if not, it rings for them. They are asked again in case that something was given
    /// back before it was known that they wait.
    pub fn ask(&self, may: impl Fn() -> bool) -> bool {
        may() || {
            self.wanted.store(true, Ordering::SeqCst);
            may()
        }
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

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).max(1)
}
