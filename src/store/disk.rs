//! The store, whatever engine keeps its data: sled (`store/sled.rs`), redb (`store/redb.rs`), or a map in memory
//! (`store/map.rs`).
//!
//! | file | what it is |
//! |---|---|
//! | `open` | settings, and how the opening may end |
//! | `guard` | opens an engine, reads what waits, moves damaged data aside |
//! | `check` | that reading, and what the schedule is built from |
//! | `files` | modes, the lock, syncs |
//! | `engine` | what is asked of an engine, and which there are |
//! | `room` | how much room the disk has, and what is refused while it is little |
//! | `rebuild` | copies all that is to be kept into new files |
//! | `committer` | the one thread that writes: group commit, and fail-stop |
//! | `memory` | the same store without files: whoever asks writes at once |
//! | `ledger` | the operations |
//! | `records` | the keys of what is stored |
//! | `tree` | an engine, with changes that are staged until they are applied together, and long values cut up |
//! | `fault` | refusals, and what ends the store |
//! | `examine` | reads everything, and says what cannot be read |
//! | `maintenance` | what is done to a store that nobody has open: verified, migrated, salvaged |
//!
//! Deleted is not gone: what was deleted stays readable in an engine's files until the space is used again. Whoever is
//! to be forgotten is therefore left out as everything else is copied into new files.

mod check;
mod committer;
pub(in crate::store) mod engine;
mod examine;
pub(in crate::store) mod fault;
pub(in crate::store) mod files;
mod guard;
mod ledger;
pub mod maintenance;
mod memory;
mod open;
mod rebuild;
mod records;
mod room;
#[cfg(test)]
mod tests;
mod tree;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep};

use super::age::AgeClock;
use super::parts::StatusEffect;
use super::record;
use super::schedule::Schedule;
use super::{
    Accepted, Backlog, Claim, Claims, ContactChange, ContactRef, ContactState, Contacts, DeadLetter, DeadLetters,
    Echoed, Enqueued, Forgotten, Histories, IdempotencyKey, Inbox, Invitation, KnownAddress, KnownContact, Maintenance,
    MayClaim, Member, NewProactive, Outgoing, Pairing, PartState, Pause, Retention, SendLog, SentPart, Seq, Settled,
    Settlement, StatusOutcome, StoreError, Swept, Waiting,
};
use crate::message::clock::{Clock, Timestamp};
use crate::message::reply::Choice;
use crate::message::{
    BotName, Conversation, Count, DeliveryStatus, Echo, HistoryEntry, Inbound, PartKey, Renamed, Summary,
};
use crate::runtime::budget::MemoryBudget;
use check::PendingConversation;
use committer::{Committer, Moment, QUEUE, QUEUE_BYTES, When, Write};
pub use engine::EngineKind;
pub(in crate::store) use engine::{KeyChange, KvEngine, Pairs};
pub(in crate::store) use fault::Fault;
use guard::Guarded;
use ledger::{Arriving, Done, Enqueuing, Erasure, Ledger, Loaded};
pub use memory::MemorySettings;
pub use open::{DiskSettings, OpenError, Opened, Quarantine};
use room::DiskSpace;
pub use room::{Space, SpaceProbe};

/// While the disk is full, how long until somebody looks again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A store: on disk, or in memory. The rules are the same.
pub struct Disk {
    clock: Clock,
    /// By which marks age.
    age: AgeClock,
    shared: Arc<Shared>,
    opened: Opened,
    writer: Writer,
}

/// Who writes.
enum Writer {
    /// The committer's thread, and whatever has queued up at once.
    Committer {
        /// Where writes go; none once closed.
        queue: Mutex<Option<mpsc::Sender<Write>>>,
        /// How many bytes of records may be in there.
        room: MemoryBudget,
        /// Closed by the committer when it has let go of the data.
        ended: watch::Receiver<()>,
    },
    /// Whoever asks, at once: nothing is durable, so that nobody waits for anything.
    Inline,
}

impl Disk {
    /// Opens a store, and takes up what was left unfinished. Blocks: call it where that is allowed.
    ///
    /// Data that cannot be used is moved aside, and an empty store is opened: see [`Disk::opened`].
    ///
    /// # Errors
    /// When the directory is in use, cannot be used, or holds data of a newer version.
    pub fn open(settings: DiskSettings, clock: Clock) -> Result<Self, OpenError> {
        let guarded = guard::open(&settings, clock.now())?;
        Self::start(guarded, &settings, clock).map_err(|error| OpenError::Io { path: settings.path, error })
    }

    fn start(guarded: Guarded, settings: &DiskSettings, clock: Clock) -> std::io::Result<Self> {
        let Guarded { ledger, found, lock, opened, place } = guarded;
        let stood_at = ledger::stood_at(&ledger.tree, clock.now()).map_err(|fault| match fault {
            Fault::Disk(error) => error,
            fault => std::io::Error::other(fault.to_string()),
        })?;
        let age = AgeClock::from(stood_at);
        let schedule = Schedule::new(clock, settings.max_waiting);
        for PendingConversation { conversation, work, since, not_before } in found.unfinished {
            schedule.restore(&conversation, work, since, not_before);
        }
        let room = DiskSpace::new(settings.path.clone(), settings.reserve, settings.space.clone());
        let shared = Shared::new(schedule, ledger, Some(place.suspicion.clone()), room);
        shared.room.look();
        let (queue, writes) = mpsc::channel(QUEUE);
        let ended =
            Committer { shared: shared.clone(), queue: writes, lock, place, settings: settings.clone() }.start()?;
        let writer = Writer::Committer { queue: Mutex::new(Some(queue)), room: MemoryBudget::new(QUEUE_BYTES), ended };
        Ok(Self { clock, age, shared, opened, writer })
    }

    /// What was found when the store was opened.
    pub fn opened(&self) -> &Opened {
        &self.opened
    }

    /// Waits until the store fails, and says why. Waits for ever if it never does.
    pub async fn failed(&self) -> String {
        // The sender lives as long as `self`: only a failure ends this.
        drop(self.shared.failure.subscribe().wait_for(Option::is_some).await);
        self.failure().unwrap_or_default()
    }

    /// Has the committer apply `apply`, which has so many bytes to write, and answers with what it says.
    async fn write<T: Send + 'static>(
        &self,
        now: Timestamp,
        when: When,
        bytes: usize,
        apply: impl FnOnce(&mut Ledger) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (write, answered) = Write::new(self.moment(now), move |ledger| Ok((when, apply(ledger)?)));
        self.queue(write, bytes, answered).await
    }

    /// Keeps how far the clock is by which marks age: only a crash takes time from it.
    fn age_to_keep(&self) -> Write {
        let moment = self.moment(self.clock.now());
        let keep = move |ledger: &mut Ledger| Ok((When::Applied, ledger.keep_age_at_close(moment.aged)?));
        Write::new(moment, keep).0
    }

    fn moment(&self, now: Timestamp) -> Moment {
        Moment { now, aged: self.age.now() }
    }

    /// Queues a write of so many bytes, and waits for its answer.
    async fn queue<T>(
        &self,
        write: Write,
        bytes: usize,
        answered: oneshot::Receiver<Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.shared.schedule.running()?;
        match &self.writer {
            Writer::Committer { queue, room, .. } => {
                let write = write.in_room(room.take(bytes as u64).await);
                let queue = queue.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or(StoreError::Closed)?;
                queue.send(write).await.map_err(|_| StoreError::Closed)?;
            }
            // It has been answered by now. To await that would take from what a task may do before others run.
            Writer::Inline => {
                self.write_now(write)?;
                let mut answered = answered;
                return answered.try_recv().unwrap_or_else(|_| Err(StoreError::Closed));
            }
        }
        match answered.await {
            Ok(result) => result,
            Err(_) => Err(StoreError::Failed(self.failed().await)),
        }
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Disk")
    }
}

#[async_trait]
impl Inbox for Disk {
    async fn accept(&self, messages: &[Inbound]) -> Result<Vec<Accepted>, StoreError> {
        let now = self.clock.now();
        let arriving = messages.iter().map(|message| Arriving::new(message, now)).collect::<Result<Vec<_>, _>>()?;
        let bytes = arriving.iter().map(Arriving::size).sum();
        let (shared, moment) = (Arc::clone(&self.shared), self.moment(now));
        let apply = move |ledger: &mut Ledger| {
            let admit = |new: &[&BotName]| shared.admit(new);
            let answers = ledger.accept(&arriving, moment, admit)?;
            // Claimed from here on. Nothing is sent for them before `intend` is durable, and so are they then.
            for (message, answer) in arriving.iter().zip(&answers) {
                if let Accepted::New(_) = answer {
                    shared.schedule.add(message.conversation(), 1, now);
                }
            }
            Ok(answers)
        };
        self.write(now, When::Durable, bytes, apply).await
    }

    async fn bury(&self, messages: &[(Inbound, String)]) -> Result<Vec<Accepted>, StoreError> {
        let now = self.clock.now();
        let letter = |(message, reason): &(Inbound, String)| Ok((Arriving::new(message, now)?, reason.clone()));
        let letters = messages.iter().map(letter).collect::<Result<Vec<_>, StoreError>>()?;
        let bytes = letters.iter().map(|(letter, _)| letter.size()).sum();
        let moment = self.moment(now);
        self.write(now, When::Durable, bytes, move |ledger| ledger.bury(&letters, moment)).await
    }

    async fn enqueue(&self, new_proactive: &NewProactive) -> Result<Enqueued, StoreError> {
        let now = self.clock.now();
        let proactive = Enqueuing::new(new_proactive, now)?;
        let (bytes, shared, moment) = (proactive.size(), Arc::clone(&self.shared), self.moment(now));
        let apply = move |ledger: &mut Ledger| {
            let answer = ledger.enqueue(&proactive, moment, |bots| shared.admit(bots))?;
            if let Enqueued::New(_) = answer {
                shared.schedule.enqueue(proactive.conversation(), now);
            }
            Ok(answer)
        };
        self.write(now, When::Durable, bytes, apply).await
    }

    async fn enqueued(&self, asked: &IdempotencyKey) -> Result<Option<Enqueued>, StoreError> {
        let (now, aged, asked) = (self.clock.now(), self.age.now(), asked.clone());
        // Through the committer: what it finds is durable when it answers.
        self.write(now, When::Durable, 0, move |ledger| ledger.enqueued(&asked, aged)).await
    }

    async fn apply_statuses(&self, statuses: Vec<DeliveryStatus>) -> Result<Vec<StatusOutcome>, StoreError> {
        if statuses.is_empty() {
            return Ok(Vec::new());
        }
        let now = self.clock.now();
        let bytes = statuses.len() * size_of::<DeliveryStatus>();
        let shared = Arc::clone(&self.shared);
        let apply = move |ledger: &mut Ledger| {
            shared.room.admit_repeatable()?;
            let (noted, stirs): (Vec<StatusOutcome>, Vec<StatusEffect>) =
                ledger.apply_statuses(&statuses, now)?.into_iter().unzip();
            stirs.iter().for_each(|stir| shared.schedule.stir(stir, now));
            // Once it is acknowledged it does not come again, and whether a part is sent again hangs on it.
            let hangs_on_it = noted.iter().any(|noted| matches!(noted, StatusOutcome::Settled | StatusOutcome::Failed));
            Ok((if hangs_on_it { When::Durable } else { When::Applied }, noted))
        };
        let (write, answered) = Write::new(self.moment(now), apply);
        self.queue(write, bytes, answered).await
    }

    async fn echo(&self, echo: &Echo, lasts: Option<Duration>) -> Result<Echoed, StoreError> {
        let now = self.clock.now();
        let Some((peer, pause)) = Pause::by_echo(echo, lasts) else { return Ok(Echoed::Known) };
        let (shared, echo) = (Arc::clone(&self.shared), echo.clone());
        let bytes = echo.words.as_ref().map_or(0, String::len);
        let apply = move |ledger: &mut Ledger| {
            shared.room.admit_repeatable()?;
            let echoed = ledger.echo(&echo, &peer, pause, now)?;
            shared.schedule.heed(echoed, &ledger.chats(&peer)?.chats, now);
            Ok(echoed)
        };
        self.write(now, When::Durable, bytes, apply).await
    }
}

#[async_trait]
impl Claims for Disk {
    async fn claim_for(&self, lease: Duration, may: &MayClaim<'_>) -> Result<Claim, StoreError> {
        let schedule = &self.shared.schedule;
        loop {
            let room = &self.shared.room;
            let mut changed = pin!(room.changed.notified());
            // Before the look at the room, so that no change after it goes unnoticed.
            changed.as_mut().enable();
            // Nobody counts on the last of the room but those who have begun.
            while room.admit_repeatable().is_err() {
                schedule.running()?;
                sleep(LOOK_AGAIN).await;
                room.look();
            }
            let may = |bot: &BotName| room.admit_repeatable().is_ok() && may(bot);
            let lease = tokio::select! {
                biased;
                lease = schedule.claim(lease, &may) => lease?,
                () = changed => continue,
            };
            let held = lease.held(schedule)?;
            let (conversation, inherited) = (held.conversation.clone(), held.inherited);
            let loaded = self.shared.read(|ledger| ledger.load(&conversation))?;
            // Another's lease may have ended while its last write was on the way: then there is nothing left.
            if !loaded.is_nothing() {
                let Loaded { messages, proactive_messages, outgoing, question, failure_replied, failed, size } = loaded;
                return Ok(Claim {
                    conversation,
                    messages,
                    proactive_messages,
                    outgoing,
                    question,
                    failure_replied,
                    failed,
                    inherited,
                    size,
                    lease,
                });
            }
        }
    }

    fn inherited(&self) -> Vec<Conversation> {
        self.shared.schedule.inherited()
    }

    async fn arrivals(&self, claim: &Claim, after: Seq) -> Result<Vec<Waiting>, StoreError> {
        let schedule = &self.shared.schedule;
        let held = claim.lease.held(schedule)?;
        loop {
            let (_, heard) = schedule.arrivals(held)?;
            let mut heard = pin!(heard.notified());
            // Before the look at the ledger, so that nothing that comes after it goes unnoticed.
            heard.as_mut().enable();
            if schedule.arrivals(held)?.0 {
                let arrived = self.shared.read(|ledger| ledger.waiting(&held.conversation, after))?;
                if !arrived.is_empty() {
                    return Ok(arrived);
                }
            }
            heard.await;
        }
    }

    fn renew(&self, claim: &Claim) -> Result<(), StoreError> {
        let schedule = &self.shared.schedule;
        schedule.check(claim.lease.held(schedule)?, Instant::now())
    }

    fn make_ready(&self, conversation: &Conversation) {
        self.shared.schedule.make_ready(conversation, self.clock.now());
    }

    async fn settle(&self, claim: Claim, settlement: Settlement) -> Result<(), StoreError> {
        let now = self.clock.now();
        let (schedule, asked) = (self.shared.schedule.clone(), Instant::now());
        let lease = claim.lease;
        match settlement {
            Settlement::Later { at } => {
                let apply = move |ledger: &mut Ledger| {
                    let held = lease.held(&schedule)?;
                    schedule.check(held, asked)?;
                    ledger.later(&held.conversation, at)?;
                    schedule.later(held, at, now);
                    Ok(())
                };
                self.write(now, When::Applied, 0, apply).await
            }
            Settlement::Done(Settled { endings, said, failure_replied, sent, failed }) => {
                let said = said.iter().map(record::encode).collect::<Result<Vec<_>, _>>()?;
                let bytes = said.iter().map(Vec::len).sum();
                let done = Done { endings, said, failure_replied, sent, failed };
                let apply = move |ledger: &mut Ledger| {
                    let held = lease.held(&schedule)?;
                    schedule.check(held, asked)?;
                    let (ended, failed) = ledger.done(&held.conversation, done, now)?;
                    schedule.done(held, ended, failed, now);
                    Ok(())
                };
                self.write(now, When::Applied, bytes, apply).await
            }
        }
    }
}

#[async_trait]
impl SendLog for Disk {
    fn may_send(&self, claim: &Claim) -> Result<(), StoreError> {
        let schedule = &self.shared.schedule;
        schedule.may_send(claim.lease.held(schedule)?)
    }

    async fn intend(&self, claim: &Claim, outgoing: &Outgoing) -> Result<(), StoreError> {
        let now = self.clock.now();
        let record = record::encode(outgoing)?;
        // What is outgoing goes along as it is.
        let bytes = 2 * record.len();
        let outgoing = outgoing.clone();
        let (schedule, asked) = (self.shared.schedule.clone(), Instant::now());
        let held = claim.lease.held(&schedule)?.clone();
        let apply = move |ledger: &mut Ledger| {
            schedule.check(&held, asked)?;
            ledger.intend(&held.conversation, &outgoing, &record)?;
            schedule.intended(&held);
            Ok(())
        };
        self.write(now, When::Durable, bytes, apply).await
    }

    async fn mark(&self, claim: &Claim, part: usize, state: PartState) -> Result<PartState, StoreError> {
        let now = self.clock.now();
        let (schedule, asked) = (self.shared.schedule.clone(), Instant::now());
        let held = claim.lease.held(&schedule)?.clone();
        let apply = move |ledger: &mut Ledger| {
            schedule.check(&held, asked)?;
            ledger.mark(&held.conversation, part, state, now)
        };
        self.write(now, When::Durable, 0, apply).await
    }

    async fn overheard(&self, claim: &Claim) -> Result<bool, StoreError> {
        let schedule = &self.shared.schedule;
        schedule.is_undecided(claim.lease.held(schedule)?)
    }

    async fn part(&self, key: &PartKey) -> Result<Option<SentPart>, StoreError> {
        self.shared.read(|ledger| ledger.part(key))
    }

    async fn under_way(&self, key: &PartKey) -> Result<Option<(Conversation, PartState)>, StoreError> {
        self.shared.read(|ledger| ledger.under_way(key))
    }
}

#[async_trait]
impl Contacts for Disk {
    async fn resolve_address(&self, bot: &BotName, name: &str) -> Result<Option<KnownAddress>, StoreError> {
        self.shared.read(|ledger| ledger.resolve_address(bot, name))
    }

    async fn contact_state(&self, peer: &ContactRef) -> Result<ContactState, StoreError> {
        self.shared.read(|ledger| ledger.contact_state(peer))
    }

    async fn update_contact(&self, peer: &ContactRef, change: ContactChange) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let (schedule, peer) = (self.shared.schedule.clone(), peer.clone());
        let apply = move |ledger: &mut Ledger| {
            let changed = ledger.update_contact(&peer, change, now)?;
            if changed && matches!(change, ContactChange::Pause(_)) {
                schedule.hand_over(&ledger.chats(&peer)?.chats, now);
            }
            Ok(changed)
        };
        self.write(now, When::Durable, 0, apply).await
    }

    async fn chats(&self, peer: &ContactRef) -> Result<KnownContact, StoreError> {
        self.shared.read(|ledger| ledger.chats(peer))
    }

    async fn rename(&self, renamed: &Renamed) -> Result<bool, StoreError> {
        let (now, renamed) = (self.clock.now(), renamed.clone());
        self.write(now, When::Durable, 0, move |ledger| ledger.rename(&renamed, now)).await
    }

    async fn taken_over(&self, peer: &ContactRef) -> Result<Pause, StoreError> {
        let notices = self.shared.read(|ledger| Ok(Arc::clone(&ledger.notices)))?;
        let ear = notices.listen(peer);
        loop {
            let mut heard = pin!(ear.heard.notified());
            // Before the look at the ledger, so that nothing that comes after it goes unnoticed.
            heard.as_mut().enable();
            if let Some(pause) = self.shared.read(|ledger| ledger.contact_state(peer))?.pause(self.clock.now()) {
                return Ok(pause);
            }
            heard.await;
        }
    }
}

#[async_trait]
impl Pairing for Disk {
    async fn invite(
        &self,
        bot: &BotName,
        digest: [u8; 32],
        until: Timestamp,
    ) -> Result<Option<Invitation>, StoreError> {
        let (now, bot, shared) = (self.clock.now(), bot.clone(), Arc::clone(&self.shared));
        let apply = move |ledger: &mut Ledger| {
            shared.room.admit()?;
            ledger.invite(&bot, digest, until, now)
        };
        self.write(now, When::Durable, 0, apply).await
    }

    async fn redeem_invitation(&self, peer: &ContactRef, digest: [u8; 32], by: Seq) -> Result<bool, StoreError> {
        let (now, peer) = (self.clock.now(), peer.clone());
        self.write(now, When::Durable, 0, move |ledger| ledger.redeem_invitation(&peer, &digest, by, now)).await
    }

    async fn invitations(&self, bot: &BotName) -> Result<Vec<Invitation>, StoreError> {
        let now = self.clock.now();
        self.shared.read(|ledger| Ok(ledger.invitations(bot)?.open(now)))
    }

    async fn withdraw(&self, bot: &BotName, number: u64) -> Result<bool, StoreError> {
        let bot = bot.clone();
        self.write(self.clock.now(), When::Durable, 0, move |ledger| ledger.withdraw(&bot, number)).await
    }

    async fn members(
        &self,
        bot: &BotName,
        after: Option<String>,
        most: usize,
    ) -> Result<(Vec<Member>, Option<String>), StoreError> {
        self.shared.read(|ledger| ledger.members(bot, after.as_deref(), most))
    }
}

#[async_trait]
impl Histories for Disk {
    async fn history(&self, conversation: &Conversation, most: usize) -> Result<Vec<HistoryEntry>, StoreError> {
        self.shared.read(|ledger| ledger.history(conversation, most))
    }

    async fn count(&self, counts: Vec<Count>) -> Result<Option<usize>, StoreError> {
        self.write(self.clock.now(), When::Durable, 0, move |ledger| ledger.count(&counts)).await
    }

    async fn summary(&self, conversation: &Conversation) -> Result<Option<Summary>, StoreError> {
        self.shared.read(|ledger| ledger.summary(conversation))
    }

    async fn summarise(&self, conversation: &Conversation, summary: &Summary) -> Result<(), StoreError> {
        let (conversation, record) = (conversation.clone(), record::encode(summary)?);
        let now = self.clock.now();
        let bytes = record.len();
        self.write(now, When::Durable, bytes, move |ledger| ledger.summarise(&conversation, &record)).await
    }

    async fn transcribe(&self, claim: &Claim, message: Seq, words: &str) -> Result<(), StoreError> {
        let now = self.clock.now();
        let (bytes, words) = (words.len(), words.to_owned());
        let (schedule, asked) = (self.shared.schedule.clone(), Instant::now());
        let held = claim.lease.held(&schedule)?.clone();
        let apply = move |ledger: &mut Ledger| {
            schedule.check(&held, asked)?;
            ledger.transcribe(&held.conversation, message, &words)
        };
        self.write(now, When::Durable, bytes, apply).await
    }

    async fn choose(&self, claim: &Claim, message: Seq, choice: &Choice) -> Result<(), StoreError> {
        let now = self.clock.now();
        let (bytes, choice) = (choice.id.len() + choice.title.len(), choice.clone());
        let (schedule, asked) = (self.shared.schedule.clone(), Instant::now());
        let held = claim.lease.held(&schedule)?.clone();
        let apply = move |ledger: &mut Ledger| {
            schedule.check(&held, asked)?;
            ledger.choose(&held.conversation, message, &choice)
        };
        self.write(now, When::Durable, bytes, apply).await
    }
}

#[async_trait]
impl DeadLetters for Disk {
    async fn dead(&self, after: Option<Seq>, most: usize) -> Result<Vec<DeadLetter>, StoreError> {
        self.shared.read(|ledger| ledger.dead(after, most))
    }

    async fn replay(&self, letter: Seq) -> Result<Option<Conversation>, StoreError> {
        let now = self.clock.now();
        let shared = Arc::clone(&self.shared);
        let apply = move |ledger: &mut Ledger| {
            let conversation = ledger.replay(letter, now, |bot| shared.admit(bot))?;
            if let Some(conversation) = &conversation {
                shared.schedule.add(conversation, 1, now);
            }
            Ok(conversation)
        };
        self.write(now, When::Durable, 0, apply).await
    }

    async fn discard(&self, letter: Seq) -> Result<bool, StoreError> {
        self.write(self.clock.now(), When::Durable, 0, move |ledger| ledger.discard(letter)).await
    }
}

#[async_trait]
impl Maintenance for Disk {
    fn share(&self, bot: &BotName, waiting: Option<usize>) {
        self.shared.schedule.share(bot, waiting);
    }

    fn waiting(&self, bot: &BotName) -> usize {
        self.shared.schedule.waiting(bot)
    }

    async fn forget(&self, bot: &BotName, contact: &str) -> Result<Forgotten, StoreError> {
        let now = self.clock.now();
        let schedule = self.shared.schedule.clone();
        let (bot, contact) = (bot.clone(), contact.to_owned());
        let plan = move |ledger: &Ledger| {
            let Erasure { left_out, forgotten, changed } = ledger.erasure(&bot, &contact)?;
            let done = move || {
                for (conversation, work) in changed {
                    schedule.reset(&conversation, work, now);
                }
                forgotten
            };
            Ok((left_out, done))
        };
        let (write, answered) = Write::rebuild(self.moment(now), plan);
        self.queue(write, 0, answered).await
    }

    async fn sweep(&self, retention: &Retention) -> Result<Swept, StoreError> {
        let moment = self.moment(self.clock.now());
        let retention = retention.clone();
        self.write(moment.now, When::Applied, 0, move |ledger| ledger.sweep(&retention, moment)).await
    }

    fn backlog(&self) -> Backlog {
        self.shared.schedule.backlog()
    }

    fn failure(&self) -> Option<String> {
        self.shared.failure()
    }

    fn is_out_of_space(&self) -> bool {
        self.shared.room.look();
        self.shared.room.admit().is_err()
    }

    async fn close(&self) {
        self.shared.schedule.stop(StoreError::Closed);
        let Writer::Committer { queue, ended, .. } = &self.writer else {
            drop(self.shared.exclusively().take());
            return;
        };
        // The committer writes what is queued, and ends when the last sender is gone.
        let queue = queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(queue) = queue
            && self.shared.room.admit().is_ok()
        {
            // Nobody waits for its answer: what it does not keep makes marks stay longer.
            drop(queue.send(self.age_to_keep()).await);
        }
        let mut ended = ended.clone();
        while ended.changed().await.is_ok() {}
    }
}

/// What the store and its committer share.
struct Shared {
    schedule: Arc<Schedule>,
    /// None once the store is closed. A lease is checked and the write made under one exclusive lock: see [`Schedule`].
    ledger: RwLock<Option<Ledger>>,
    failure: watch::Sender<Option<String>>,
    /// The file that says that damage was met, if there are files.
    suspicion: Option<PathBuf>,
    /// How much room there is.
    room: DiskSpace,
}

impl Shared {
    fn new(schedule: Arc<Schedule>, ledger: Ledger, suspicion: Option<PathBuf>, room: DiskSpace) -> Arc<Self> {
        let ledger = RwLock::new(Some(ledger));
        Arc::new(Self { schedule, ledger, failure: watch::Sender::new(None), suspicion, room })
    }

    /// Whether there is room for a new message of each of these bots.
    fn admit(&self, bots: &[&BotName]) -> Result<(), StoreError> {
        self.room.admit()?;
        self.schedule.admit(bots)
    }

    /// Reads on the caller's thread: a claim or a page of history is a few cached pages, shorter than a hop elsewhere,
    /// and a writer holds the lock for one batch at a time.
    fn read<T>(&self, read: impl FnOnce(&Ledger) -> Result<T, Fault>) -> Result<T, StoreError> {
        self.schedule.running()?;
        let guard = self.ledger();
        let ledger = guard.as_ref().ok_or(StoreError::Closed)?;
        let read = catch_unwind(AssertUnwindSafe(|| read(ledger)));
        match read.unwrap_or_else(|_| Err(Fault::damaged("its engine panicked"))) {
            Ok(value) => Ok(value),
            Err(Fault::Refused(error)) => Err(error),
            Err(fault) => {
                self.fail(&fault);
                Err(StoreError::Failed(fault.to_string()))
            }
        }
    }

    fn ledger(&self) -> RwLockReadGuard<'_, Option<Ledger>> {
        self.ledger.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn exclusively(&self) -> RwLockWriteGuard<'_, Option<Ledger>> {
        // Poisoned by a panic of the engine's, which has failed the store: all that is left is to close it.
        self.ledger.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the store for good.
    fn fail(&self, fault: &Fault) {
        let reason = fault.to_string();
        if let (Fault::Damaged(_), Some(suspicion)) = (fault, &self.suspicion)
            && let Err(error) = files::write(suspicion, "")
        {
            tracing::warn!(%error, "the next start will not read everything, though there is damage");
        }
        tracing::error!(reason, "the store has failed, and takes nothing in until the process is started anew");
        self.schedule.stop(StoreError::Failed(reason.clone()));
        self.failure.send_if_modified(|failure| failure.is_none() && failure.replace(reason).is_none());
    }

    fn failure(&self) -> Option<String> {
        self.failure.borrow().clone()
    }
}
