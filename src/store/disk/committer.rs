//! The one thread that writes: it makes whatever has queued up durable with one sync, and answers then.
//!
//! No timer is needed for that: while one sync runs, the next group forms. Any error ends the store for good, for a
//! sync that is repeated after an error may succeed without having written what the first one lost.

use std::fs::File;
use std::io;
use std::iter::Peekable;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;
use std::vec::Drain;

use tokio::sync::{mpsc, oneshot, watch};

use super::Shared;
use super::fault::Fault;
use super::guard::StorePaths;
use super::ledger::Ledger;
use super::open::DiskSettings;
use super::rebuild;
use super::tree::{OmittedKeys, Tree};
use crate::message::clock::Timestamp;
use crate::runtime::budget::Share;
use crate::runtime::meters::Fact;
use crate::store::StoreError;

/// How many writes share one sync, at most.
const GROUP: usize = 256;

/// How many writes may queue up before their callers wait.
pub(super) const QUEUE: usize = 4 * GROUP;

/// How many bytes of records may queue up, or be on their way into the engine, before their callers wait.
pub(super) const QUEUE_BYTES: u64 = 16 << 20;

/// When something was asked for.
#[derive(Clone, Copy, Default)]
pub(super) struct Moment {
    /// By the time of day.
    pub(super) now: Timestamp,
    /// By the clock by which marks age.
    pub(super) aged: Timestamp,
}

/// Something to write.
pub(super) struct Write {
    asked: Moment,
    task: WriteMode,
    /// Of [`QUEUE_BYTES`], until it is answered.
    room: Option<Share>,
}

/// How it is written.
enum WriteMode {
    /// Along with others.
    Apply(Apply),
    /// Into new files.
    Rebuild(Plan),
}

/// Writes, and says when and how to answer.
type Apply = Box<dyn FnOnce(&mut Ledger) -> Result<(When, SendAnswer), Fault> + Send>;

/// Says what is left out, and what is to be done as soon as it is.
type Plan = Box<dyn FnOnce(&Ledger) -> Result<(OmittedKeys, Then), Fault> + Send>;

/// Takes how it went, and says how to answer.
type Then = Box<dyn FnOnce(Result<(), StoreError>) -> SendAnswer + Send>;

/// Sends a write's answer.
pub(super) type SendAnswer = Box<dyn FnOnce() + Send>;

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
        asked: Moment,
        apply: impl FnOnce(&mut Ledger) -> Result<(When, T), Fault> + Send + 'static,
    ) -> (Self, oneshot::Receiver<Result<T, StoreError>>) {
        let (answer, answered) = oneshot::channel();
        let apply = move |ledger: &mut Ledger| -> Result<(When, SendAnswer), Fault> {
            let (when, result) = match apply(ledger) {
                Ok((when, value)) => (when, Ok(value)),
                Err(Fault::Refused(error)) => (When::Applied, Err(error)),
                Err(fault) => return Err(fault),
            };
            // Whoever asked may have gone away; the write stands.
            Ok((when, Box::new(move || drop(answer.send(result)))))
        };
        (Self { asked, task: WriteMode::Apply(Box::new(apply)), room: None }, answered)
    }

    /// Copies all into new files but what `plan` leaves out, and runs what it returns as soon as they are in use.
    pub(super) fn rebuild<T: Send + 'static, D: FnOnce() -> T + Send + 'static>(
        asked: Moment,
        plan: impl FnOnce(&Ledger) -> Result<(OmittedKeys, D), Fault> + Send + 'static,
    ) -> (Self, oneshot::Receiver<Result<T, StoreError>>) {
        let (answer, answered) = oneshot::channel();
        let plan = move |ledger: &Ledger| -> Result<(OmittedKeys, Then), Fault> {
            let (without, done) = match plan(ledger) {
                Ok(planned) => planned,
                Err(Fault::Refused(error)) => {
                    drop(answer.send(Err(error.clone())));
                    return Err(error.into());
                }
                Err(fault) => return Err(fault),
            };
            let then = |outcome: Result<(), StoreError>| -> SendAnswer {
                let result = outcome.map(|()| done());
                Box::new(move || drop(answer.send(result)))
            };
            Ok((without, Box::new(then)))
        };
        (Self { asked, task: WriteMode::Rebuild(Box::new(plan)), room: None }, answered)
    }

    /// The same, with room for it.
    pub(super) fn in_room(self, room: Share) -> Self {
        Self { room: Some(room), ..self }
    }

    /// Applies it at once, by itself, to a ledger that nobody else uses, and says how to answer. All that is to be kept
    /// goes into an `empty` tree, if something is to be gone.
    pub(super) fn apply_to(
        self,
        mut ledger: Ledger,
        empty: impl FnOnce() -> Tree,
    ) -> (Ledger, Result<SendAnswer, Fault>) {
        match self.task {
            WriteMode::Apply(apply) => {
                let answer = apply(&mut ledger).and_then(|(_, answer)| {
                    if ledger.tree.weight() > 0 {
                        ledger.expire(self.asked)?;
                    }
                    ledger.tree.apply()?;
                    Ok(answer)
                });
                (ledger, answer)
            }
            WriteMode::Rebuild(plan) => {
                let mut tree = empty();
                let copied = plan(&ledger).and_then(|(without, then)| {
                    ledger.tree.copy_into(tree.engine(), &without)?;
                    Ok(then)
                });
                match copied {
                    Ok(then) => (ledger.close().open(tree), Ok(then(Ok(())))),
                    Err(fault) => (ledger, Err(fault)),
                }
            }
        }
    }

    fn is_rebuild(&self) -> bool {
        matches!(self.task, WriteMode::Rebuild(_))
    }
}

/// What the thread works with.
pub(super) struct Committer {
    pub(super) shared: Arc<Shared>,
    pub(super) queue: mpsc::Receiver<Write>,
    /// Held until the data has been let go of.
    pub(super) lock: Arc<File>,
    pub(super) place: StorePaths,
    pub(super) settings: DiskSettings,
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
                self.shared.fail(&fault);
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

    fn commit_or_catch(&mut self, group: &mut Vec<Write>) -> Result<(), Fault> {
        let committed = catch_unwind(AssertUnwindSafe(|| self.commit(group)));
        committed.unwrap_or_else(|_| Err(Fault::damaged("its engine panicked")))
    }

    fn commit(&mut self, group: &mut Vec<Write>) -> Result<(), Fault> {
        let mut writes = group.drain(..).peekable();
        while writes.peek().is_some() {
            if let Some(Write { task: WriteMode::Rebuild(plan), .. }) = writes.next_if(Write::is_rebuild) {
                self.rebuild(plan)?;
                continue;
            }
            let began = Instant::now();
            let applied = self.apply(&mut writes)?;
            applied.at_once.into_iter().for_each(|reply| reply());
            // Without a change there are repetitions and refusals: what they speak of became durable long ago.
            if applied.changed
                && let Some(ledger) = self.shared.ledger().as_ref()
            {
                ledger.tree.sync()?;
                self.settings.meters.tell(Fact::Commit { took: began.elapsed() });
            }
            applied.when_durable.into_iter().for_each(|reply| reply());
        }
        Ok(())
    }

    /// Applies as many writes as may share a sync, as one batch.
    fn apply(&self, writes: &mut Peekable<Drain<'_, Write>>) -> Result<Applied, Fault> {
        let mut applied = Applied::default();
        let mut latest = Moment::default();
        self.shared.room.look();
        let mut guard = self.shared.exclusively();
        let Some(ledger) = guard.as_mut() else { return Ok(applied) };
        while let Some(Write { asked, task, room }) = writes.next_if(|write| !write.is_rebuild()) {
            let WriteMode::Apply(apply) = task else { break };
            latest = Moment { now: latest.now.max(asked.now), aged: latest.aged.max(asked.aged) };
            let (when, reply) = apply(ledger)?;
            applied.rooms.extend(room);
            match when {
                When::Applied => applied.at_once.push(reply),
                When::Durable => applied.when_durable.push(reply),
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

    /// Writes everything anew but what is to be left out. Others read on until the new files are complete.
    fn rebuild(&mut self, plan: Plan) -> Result<(), Fault> {
        let guard = self.shared.ledger();
        let Some(ledger) = guard.as_ref() else { return Ok(()) };
        let (without, then) = match plan(ledger) {
            Ok(planned) => planned,
            Err(Fault::Refused(_)) => return Ok(()),
            Err(fault) => return Err(fault),
        };
        let has_room = || self.shared.room.has(rebuild::OPENING);
        let copied = rebuild::copy(&self.place, &self.settings, &ledger.tree, &without, &has_room);
        drop(guard);
        if let Err(fault) = copied {
            let Fault::Disk(error) = fault else { return Err(fault) };
            tracing::error!(%error, "the store could not be copied, and nobody was forgotten");
            then(Err(StoreError::Invalid("the disk did not take the copy that this needs")))();
            return Ok(());
        }
        let mut guard = self.shared.exclusively();
        if let Some(ledger) = guard.take() {
            *guard = Some(rebuild::swap(&self.place, &self.settings, ledger)?);
        }
        let reply = then(Ok(()));
        drop(guard);
        rebuild::remove_old(&self.place)?;
        reply();
        Ok(())
    }
}

/// Writes that have been applied and not yet answered.
#[derive(Default)]
struct Applied {
    changed: bool,
    at_once: Vec<SendAnswer>,
    when_durable: Vec<SendAnswer>,
    rooms: Vec<Share>,
}
