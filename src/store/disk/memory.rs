//! The store in memory: the same ledger over a plain ordered map. It forgets everything when it is dropped.
//!
//! For tests, and for trying out a handler. Whoever writes does so at once, on their own thread: under a paused clock
//! nothing waits for a thread.

use std::path::PathBuf;

use super::committer::Write;
use super::fault::Fault;
use super::ledger::Ledger;
use super::open::Opened;
use super::room::{DiskSpace, SpaceProbe};
use super::tree::Tree;
use super::{Disk, Shared, Writer};
use crate::message::clock::Clock;
use crate::store::age::AgeClock;
use crate::store::map::OrderedMap;
use crate::store::schedule::Schedule;
use crate::store::{Seq, StoreError};

/// The limits of a store in memory.
#[derive(Clone, Debug)]
pub struct MemorySettings {
    /// How many messages may wait, all conversations together.
    pub max_waiting: usize,
    /// How many things said are kept of each conversation.
    pub history_kept: usize,
}

impl Default for MemorySettings {
    fn default() -> Self {
        Self { max_waiting: 100_000, history_kept: 200 }
    }
}

impl Disk {
    /// An empty store in memory.
    pub fn in_memory(clock: Clock, settings: &MemorySettings) -> Self {
        let ledger = Ledger::new(Tree::new(Box::<OrderedMap>::default()), Seq::default(), settings.history_kept);
        // No reserve: nobody looks how much room a disk has.
        let room = DiskSpace::new(PathBuf::new(), 0, SpaceProbe::default());
        let shared = Shared::new(Schedule::new(clock, settings.max_waiting), ledger, None, room);
        let opened = Opened { waiting: 0, quarantine: None };
        Self { clock, age: AgeClock::from(clock.now()), shared, opened, writer: Writer::Inline }
    }

    /// Does as if the process had died, and another had opened the store: no claim holds any longer, and what was ready
    /// then counts as left by an earlier process. For tests.
    pub fn reopen(&self) {
        self.shared.schedule.reopen();
    }

    /// Writes on the caller's thread.
    pub(super) fn write_now(&self, write: Write) -> Result<(), StoreError> {
        let mut guard = self.shared.exclusively();
        let ledger = guard.take().ok_or(StoreError::Closed)?;
        let (ledger, written) = write.apply_to(ledger, || Tree::new(Box::<OrderedMap>::default()));
        *guard = Some(ledger);
        drop(guard);
        match written {
            Ok(answer) => {
                answer();
                Ok(())
            }
            Err(Fault::Refused(_)) => Ok(()),
            Err(fault) => {
                self.shared.fail(&fault);
                Err(StoreError::Failed(fault.to_string()))
            }
        }
    }
}
