//! How much memory what comes in may take: bytes are reserved before they are read, and given back once nothing that was
//! made of them is held any longer. So a flood waits, or is turned back, and the memory has a ceiling.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

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
pub struct Share(Option<OwnedSemaphorePermit>);

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
        Share(left.acquire_many_owned(units(bytes).min(self.whole)).await.ok())
    }
}

impl Share {
    /// Gives back all but `bytes`; nothing if it is no more than that.
    pub fn shrink(&mut self, bytes: u64) {
        if let Some(permit) = &mut self.0 {
            drop(permit.split(permit.num_permits().saturating_sub(units(bytes) as usize)));
        }
    }
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).max(1)
}
