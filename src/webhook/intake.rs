//! How many bytes of bodies are in memory at the same time, from their first byte to their answer.
//!
//! One half of the memory is for the first 16 KiB of every body, which nearly all deliveries fit into; the other is for
//! what is longer. So those who send much, or begin to and never end, keep out one another and not the others: and
//! nobody keeps anything for longer than a body may take to arrive and a store to keep it.

use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::BODY_LIMIT;
use crate::budget::{Budget, Share, Tally};

/// How much of a body is out of the half that is for everybody, in bytes.
pub(super) const SMALL: usize = 16 << 10;

/// A request takes no less than this, whatever the length of its body: its head and its connection's buffers, in bytes.
const REQUEST: usize = 4 << 10;

/// How long a request waits for room. Longer than a burst takes to be handled, and short of what an upstream waits for.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many requests wait for room. A connection that nobody reads from may hold 160 KiB in its server's buffers.
const MOST_WAITING: usize = 256;

/// The memory for bodies.
pub(super) struct Intake {
    small: Budget,
    large: Budget,
    waiting: Semaphore,
}

/// How much of the memory for bodies one bot's take.
#[derive(Clone, Debug, Default)]
pub struct Bodies {
    small: Tally,
    large: Tally,
}

/// What one body takes. Dropped, it is given back.
pub(super) struct Room<'a> {
    intake: &'a Intake,
    /// Whose it is; none if nobody else's come in.
    bodies: Option<Bodies>,
    _small: Share,
    large: Option<Share>,
}

/// There is no room.
#[derive(Debug)]
pub(super) struct Crowded;

impl Intake {
    /// Memory of so many bytes.
    pub(super) fn new(bytes: u64) -> Self {
        let half = bytes / 2;
        Self { small: Budget::new(half), large: Budget::new(half), waiting: Semaphore::new(MOST_WAITING) }
    }

    /// Room for a body, up to [`SMALL`] bytes of it; `length` is what its sender says of it. `bodies` is what its bot has
    /// already, where there are others.
    pub(super) async fn enter(&self, length: Option<usize>, bodies: Option<Bodies>) -> Result<Room<'_>, Crowded> {
        let small = length.unwrap_or(SMALL).clamp(REQUEST, SMALL);
        let small = self.take(&self.small, bodies.as_ref().map(|bodies| &bodies.small), small).await?;
        Ok(Room { intake: self, bodies, _small: small, large: None })
    }

    async fn take(&self, from: &Budget, whose: Option<&Tally>, bytes: usize) -> Result<Share, Crowded> {
        if let Some(share) = from.try_take_for(whose, bytes as u64) {
            return Ok(share);
        }
        let _place = self.waiting.try_acquire().map_err(|_| Crowded)?;
        timeout(PATIENCE, from.take_for(whose, bytes as u64)).await.map_err(|_| Crowded)
    }
}

impl Room<'_> {
    /// Makes room for what is behind the first [`SMALL`] bytes of a body, unless there is. All of it at once: of those
    /// who hold a part each and wait for the next, none would ever end.
    pub(super) async fn widen(&mut self, length: Option<usize>) -> Result<(), Crowded> {
        if self.large.is_none() {
            let rest = length.unwrap_or(BODY_LIMIT).saturating_sub(SMALL);
            let whose = self.bodies.as_ref().map(|bodies| &bodies.large);
            self.large = Some(self.intake.take(&self.intake.large, whose, rest).await?);
        }
        Ok(())
    }

    /// The body is so long and no longer.
    pub(super) fn settle(&mut self, length: usize) {
        if let Some(large) = &mut self.large {
            large.shrink(length.saturating_sub(SMALL) as u64);
        }
    }
}
