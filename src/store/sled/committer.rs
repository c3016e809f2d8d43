//! The one thread that writes: it makes whatever has queued up durable with one sync, and answers then.
//!
//! No timer is needed for that: while one sync runs, the next group forms. Any error ends the store for good, for a
//! sync that is repeated after an error may succeed without having written what the first one lost.

use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use super::Shared;
use super::fault::Fault;
use super::ledger::Ledger;
use crate::clock::Timestamp;
use crate::store::StoreError;

/// How many writes share one sync, at most.
const GROUP: usize = 256;

/// How many writes may queue up before their callers wait.
pub(super) const QUEUE: usize = 4 * GROUP;

/// Something to write.
pub(super) struct Write {
    now: Timestamp,
    when: When,
    apply: Apply,
}

/// Writes, and says how to answer.
type Apply = Box<dyn FnOnce(&mut Ledger) -> Result<Reply, Fault> + Send>;

/// Sends a write's answer.
type Reply = Box<dyn FnOnce() + Send>;

/// When a write is answered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// As soon as others can see it.
    Applied,
    /// Once it would survive a power cut.
    Durable,
}

impl Write {
    /// A write, and where its answer arrives; dropped without an answer, the store has failed.
    pub(super) fn new<T: Send + 'static>(
        now: Timestamp,
        when: When,
        apply: impl FnOnce(&mut Ledger) -> Result<T, Fault> + Send + 'static,
    ) -> (Self, oneshot::Receiver<Result<T, StoreError>>) {
        let (answer, answered) = oneshot::channel();
        let apply = move |ledger: &mut Ledger| -> Result<Reply, Fault> {
            let result = match apply(ledger) {
                Ok(value) => Ok(value),
                Err(Fault::Refused(error)) => Err(error),
                Err(fault) => return Err(fault),
            };
            // Whoever asked may have gone away; the write stands.
            Ok(Box::new(move || drop(answer.send(result))))
        };
        (Self { now, when, apply: Box::new(apply) }, answered)
    }
}

/// What the thread works with.
pub(super) struct Committer {
    pub(super) shared: Arc<Shared>,
    pub(super) queue: mpsc::Receiver<Write>,
    /// Held until the data has been let go of.
    pub(super) lock: Arc<File>,
}

impl Committer {
    /// Starts the thread. It ends when nobody can write any longer, and closes the channel then.
    pub(super) fn start(self) -> io::Result<watch::Receiver<()>> {
        let (running, ended) = watch::channel(());
        let run = move || {
            self.run();
            drop(running);
        };
        std::thread::Builder::new().name("store-committer".to_owned()).spawn(run)?;
        Ok(ended)
    }

    fn run(mut self) {
        let mut group = Vec::with_capacity(GROUP);
        while self.queue.blocking_recv_many(&mut group, GROUP) > 0 {
            if self.shared.failure().is_none()
                && let Err(fault) = self.commit_or_catch(&mut group)
            {
                self.shared.fail(fault.to_string());
            }
            // After a failure, whoever still waits for an answer learns of it here.
            group.clear();
        }
        let ledger = self.shared.exclusively().take();
        // sled flushes as it closes and panics if that fails; whatever was promised is durable already.
        if catch_unwind(AssertUnwindSafe(|| drop(ledger))).is_err() {
            tracing::error!("the store's engine could not be closed");
        }
        drop(self.lock);
    }

    fn commit_or_catch(&self, group: &mut Vec<Write>) -> Result<(), Fault> {
        let committed = catch_unwind(AssertUnwindSafe(|| self.commit(group)));
        committed.unwrap_or_else(|_| Err(Fault::damaged("its engine panicked")))
    }

    fn commit(&self, group: &mut Vec<Write>) -> Result<(), Fault> {
        let mut writes = group.drain(..);
        while writes.len() > 0 {
            let applied = self.apply(&mut writes)?;
            applied.at_once.into_iter().for_each(|reply| reply());
            // Without a change there are repetitions and refusals: what they speak of became durable long ago.
            if applied.changed
                && let Some(ledger) = self.shared.ledger().as_ref()
            {
                ledger.tree.sync()?;
            }
            applied.when_durable.into_iter().for_each(|reply| reply());
        }
        Ok(())
    }

    /// Applies as many writes as may share a sync, as one batch.
    fn apply(&self, writes: &mut impl Iterator<Item = Write>) -> Result<Applied, Fault> {
        let mut applied = Applied::default();
        let mut latest = Timestamp::default();
        let mut guard = self.shared.exclusively();
        let Some(ledger) = guard.as_mut() else { return Ok(applied) };
        for write in writes {
            latest = latest.max(write.now);
            let reply = (write.apply)(ledger)?;
            if write.when == When::Applied {
                applied.at_once.push(reply)
            } else {
                applied.when_durable.push(reply)
            }
            if ledger.tree.weight() > ledger.tree.most_unsynced() {
                break;
            }
        }
        if ledger.tree.weight() > 0 {
            ledger.expire(latest)?;
        }
        applied.changed = ledger.tree.apply()?;
        Ok(applied)
    }
}

/// Writes that have been applied and not yet answered.
#[derive(Default)]
struct Applied {
    changed: bool,
    at_once: Vec<Reply>,
    when_durable: Vec<Reply>,
}
