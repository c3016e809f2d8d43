//! Who is served next: the part of a store that lives in memory, and is built anew when the store opens.
//!
//! A conversation with something to do stands in line, is held back until a time, or is leased. Whoever waits for
//! one is woken by an event or by the earliest deadline (a hold-back's or a lease's end); nobody polls.

mod line;

use std::collections::HashMap;
use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::parts::StatusEffect;
use super::{Backlog, Echoed, MayClaim, StoreError};
use crate::message::clock::{Clock, Timestamp};
use crate::message::{BotName, Conversation};
use crate::runtime::hosting::leaves_enough;
use line::{Earliest, ReadyQueue};

/// A lease on a conversation. Dropped before it is settled, it gives the conversation back at once, with no runtime
/// needed for that. Past its end, somebody else may have the conversation, and no write under it succeeds.
///
/// It begins anew with every write, and does not end while a send is on its way: only whoever gives no sign of life
/// loses it. It is measured by a clock that nobody can set.
pub struct Lease {
    held: HeldConversation,
    schedule: Arc<Schedule>,
}

impl Lease {
    /// What a write under this lease is checked against, if the lease is one of `schedule`'s.
    pub(super) fn held(&self, schedule: &Arc<Schedule>) -> Result<&HeldConversation, StoreError> {
        if Arc::ptr_eq(&self.schedule, schedule) { Ok(&self.held) } else { Err(StoreError::Fenced) }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut line = self.schedule.line();
        line.free(&self.held);
        let ready = line.newly_ready();
        drop(line);
        self.schedule.wake(ready);
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lease({})", self.held.token)
    }
}

/// A conversation, and the token of the lease under which it is held.
#[derive(Clone)]
pub(super) struct HeldConversation {
    pub(super) conversation: Conversation,
    /// Whether it was ready when the store was opened, and this is its first lease since.
    pub(super) inherited: bool,
    token: u64,
    /// How long it may go on without a sign of life.
    lease: Duration,
}

/// What a conversation has to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Work {
    /// How many messages wait for an answer.
    pub(super) messages: usize,
    /// Whether a reply is on its way out.
    pub(super) outgoing: bool,
    /// Whether parts that had been sent have failed.
    pub(super) failed: bool,
}

impl Work {
    /// Whether there is nothing to do.
    pub(super) fn is_nothing(self) -> bool {
        self == Self::default()
    }
}

/// Which conversations have something to do, and who is at it.
///
/// A store must make one step of [`Schedule::check`] and the write that it allows, as seen by whoever loads a
/// conversation after having claimed it. Then a lease that ends in between does no harm: the next holder waits for
/// the write and sees it.
pub(super) struct Schedule {
    clock: Clock,
    max_waiting: usize,
    /// The bots that share it, and how many messages of each may wait; 0: as many as leave room for the others.
    shares: Mutex<HashMap<BotName, usize>>,
    line: Mutex<ReadyQueue>,
    /// Woken one at a time by a conversation that becomes ready, and all together by a new earliest deadline: so each
    /// of them knows it, and it does not matter which of them goes away.
    changed: Notify,
    stopped: Mutex<Option<StoreError>>,
}

impl Schedule {
    /// An empty schedule that lets `max_waiting` messages wait, all conversations together.
    pub(super) fn new(clock: Clock, max_waiting: usize) -> Arc<Self> {
        let (line, changed, stopped) = (Mutex::default(), Notify::new(), Mutex::default());
        Arc::new(Self { clock, max_waiting, shares: Mutex::default(), line, changed, stopped })
    }

    /// Takes up a conversation as it was when the store was last open; its oldest message waits `since` then.
    pub(super) fn restore(&self, conversation: &Conversation, work: Work, since: Timestamp, not_before: Timestamp) {
        let mut line = self.line();
        line.add(conversation, work.messages, since);
        line.set_outgoing(conversation, work.outgoing);
        line.set_failed(conversation, work.failed);
        if not_before > self.clock.now() {
            line.hold_back(conversation, not_before);
        }
        line.inherit(conversation);
    }

    /// Begins anew with what it knows, as a process does that opens the store of one that has died: no lease holds.
    pub(super) fn reopen(&self) {
        self.change(self.clock.now(), ReadyQueue::reopen);
    }

    /// The conversations that were ready when the store was opened, and have not been leased since.
    pub(super) fn inherited(&self) -> Vec<Conversation> {
        self.line().inherited()
    }

    /// How many messages of a bot's may wait; none: it is nobody's any longer.
    pub(super) fn share(&self, bot: &BotName, waiting: Option<usize>) {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        match waiting {
            Some(most) => drop(shares.insert(bot.clone(), most)),
            None => drop(shares.remove(bot)),
        }
    }

    /// Whether a new message of each of these bots may wait besides those that do already; a bot stands there as often
    /// as it has one.
    pub(super) fn admit(&self, bots: &[&BotName]) -> Result<(), StoreError> {
        let shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let line = self.line();
        let left = self.max_waiting.saturating_sub(line.waiting());
        let mut fits = bots.len() <= left;
        for (place, bot) in bots.iter().enumerate().filter(|(place, bot)| !bots[..*place].contains(bot)) {
            let more = bots[place..].iter().filter(|other| other == &bot).count();
            let waiting = line.waiting_for(bot);
            let most = shares.get(*bot).copied().filter(|most| *most > 0);
            fits &= most.is_none_or(|most| waiting + more <= most);
            fits &= shares.len() < 2 || leaves_enough(waiting as u64, more as u64, left as u64);
        }
        if fits { Ok(()) } else { Err(StoreError::Full) }
    }

    /// How many messages of a bot's wait.
    pub(super) fn waiting(&self, bot: &BotName) -> usize {
        self.line().waiting_for(bot)
    }

    /// So many messages more wait in a conversation.
    pub(super) fn add(&self, conversation: &Conversation, messages: usize, now: Timestamp) {
        self.change(now, |line| line.add(conversation, messages, now));
    }

    /// Something more is to be said unasked in a conversation. That ends a hold-back, but not the one of a reply that
    /// is on its way.
    pub(super) fn enqueue(&self, conversation: &Conversation, now: Timestamp) {
        self.change(now, |line| {
            line.add(conversation, 1, now);
            if !line.is_outgoing(conversation) {
                line.make_ready(conversation);
            }
        });
    }

    /// A conversation has something to do by a report.
    pub(super) fn stir(&self, stir: &StatusEffect, now: Timestamp) {
        match stir {
            StatusEffect::Nothing => {}
            StatusEffect::GoOn(conversation) => self.make_ready(conversation, now),
            StatusEffect::Failed(conversation) => self.change(now, |line| {
                line.add(conversation, 0, now);
                line.set_failed(conversation, true);
            }),
        }
    }

    /// Some of what a conversation had to do is gone, and this is what is left. Whoever holds it holds it no longer.
    pub(super) fn reset(&self, conversation: &Conversation, work: Work, now: Timestamp) {
        self.change(now, |line| line.reset(conversation, work));
    }

    /// How much waits.
    pub(super) fn backlog(&self) -> Backlog {
        let line = self.line();
        Backlog { messages: line.waiting(), conversations: line.conversations(), oldest: line.oldest() }
    }

    /// Waits for a conversation that nobody holds, of a bot that may have one more, and leases it.
    ///
    /// Cancel-safe: between the lease and the return there is no await.
    pub(super) async fn claim(self: &Arc<Self>, lease: Duration, may: &MayClaim<'_>) -> Result<Lease, StoreError> {
        loop {
            let mut changed = pin!(self.changed.notified());
            // Before the look at the line, so that no change after it goes unnoticed.
            changed.as_mut().enable();
            self.running()?;
            let now = self.clock.now();
            let take = |line: &mut ReadyQueue| {
                let now = Instant::now();
                line.end_leases(now);
                line.take(now, lease, may)
            };
            if let Some(held) = self.change(now, take) {
                return Ok(Lease { held, schedule: self.clone() });
            }
            let Earliest { hold_back, lease } = self.line().earliest();
            tokio::select! {
                () = changed => {}
                () = self.clock.sleep_until(hold_back.unwrap_or_default()), if hold_back.is_some() => {}
                () = sleep_until(lease.unwrap_or_else(Instant::now)), if lease.is_some() => {}
            }
        }
    }

    /// Whether a conversation was still held when that was asked. If so, its lease begins anew.
    pub(super) fn check(&self, held: &HeldConversation, asked: Instant) -> Result<(), StoreError> {
        self.alter(self.line(), |line| line.renew(held, asked)).then_some(()).ok_or(StoreError::Fenced)
    }

    /// Whether a conversation is still held by whoever is about to send. If so, nobody else has it before the send has
    /// been written down, or its lease is dropped.
    pub(super) fn may_send(&self, held: &HeldConversation) -> Result<(), StoreError> {
        self.running()?;
        self.line().pin(held, Instant::now()).then_some(()).ok_or(StoreError::Fenced)
    }

    /// Whether messages have come into a conversation since it was leased, and what is notified of more.
    pub(super) fn arrivals(&self, held: &HeldConversation) -> Result<(bool, Arc<Notify>), StoreError> {
        self.running()?;
        self.line().arrivals(held, Instant::now()).ok_or(StoreError::Fenced)
    }

    /// Ends a hold-back.
    pub(super) fn make_ready(&self, conversation: &Conversation, now: Timestamp) {
        self.change(now, |line| line.make_ready(conversation));
    }

    /// Ends the hold-back of a chat in which a person answers: what waits to be sent there is called off.
    pub(super) fn hand_over(&self, chats: &[Conversation], now: Timestamp) {
        chats.iter().for_each(|conversation| self.make_ready(conversation, now));
    }

    /// Somebody has written into a chat from the business's own phone.
    pub(super) fn heed(&self, echoed: Echoed, chats: &[Conversation], now: Timestamp) {
        match echoed {
            Echoed::TakenOver | Echoed::Settled => self.hand_over(chats, now),
            Echoed::Undecided => {
                chats.iter().for_each(|conversation| self.line().set_undecided(conversation));
            }
            Echoed::Ours | Echoed::Known => {}
        }
    }

    /// Whether an echo of which nobody knows whose it is came into a conversation since it was leased.
    pub(super) fn is_undecided(&self, held: &HeldConversation) -> Result<bool, StoreError> {
        self.line().is_undecided(held).ok_or(StoreError::Fenced)
    }

    /// The conversation has something outgoing from now on.
    pub(super) fn intended(&self, held: &HeldConversation) {
        self.line().set_outgoing(&held.conversation, true);
    }

    /// So many of the conversation's messages are done with, nothing is outgoing, and nobody holds it any longer.
    /// `failed` says whether there are failed parts left to be seen to.
    pub(super) fn done(&self, held: &HeldConversation, messages: usize, failed: bool, now: Timestamp) {
        self.change(now, |line| {
            line.subtract(&held.conversation, messages);
            line.set_outgoing(&held.conversation, false);
            line.set_failed(&held.conversation, failed);
            line.free(held);
        });
    }

    /// Nobody holds the conversation any longer, and nobody is to claim it before `at`.
    pub(super) fn later(&self, held: &HeldConversation, at: Timestamp, now: Timestamp) {
        self.change(now, |line| {
            line.free(held);
            if at > now {
                line.hold_back(&held.conversation, at);
            }
        });
    }

    /// From now on every claim fails with `error`; what is held may still be settled.
    pub(super) fn stop(&self, error: StoreError) {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        self.changed.notify_waiters();
    }

    /// Fails once the schedule has been stopped.
    pub(super) fn running(&self) -> Result<(), StoreError> {
        match &*self.stopped.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    /// Changes the line, and wakes whom that concerns.
    fn change<T>(&self, now: Timestamp, change: impl FnOnce(&mut ReadyQueue) -> T) -> T {
        let mut line = self.line();
        // First those who were due before.
        line.promote(now);
        self.alter(line, change)
    }

    fn alter<T>(&self, mut line: MutexGuard<'_, ReadyQueue>, change: impl FnOnce(&mut ReadyQueue) -> T) -> T {
        let earliest = line.earliest();
        let outcome = change(&mut line);
        let sooner = line.earliest().is_sooner_than(earliest);
        let ready = line.newly_ready();
        drop(line);
        self.wake(ready);
        if sooner {
            self.changed.notify_waiters();
        }
        outcome
    }

    fn wake(&self, claimers: usize) {
        for _ in 0..claimers {
            self.changed.notify_one();
        }
    }

    fn line(&self) -> MutexGuard<'_, ReadyQueue> {
        // Nothing in there panics half-way through a change.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
