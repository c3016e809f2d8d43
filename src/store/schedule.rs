//! Who is served next: the part of a store that lives in memory, and is built anew when the store opens.
//!
//! A conversation with something to do stands in line, is held back until a time, or is leased. Whoever waits for
//! one is woken by an event or by the earliest deadline (a hold-back's or a lease's end); nobody polls.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::StoreError;
use crate::clock::{Clock, Timestamp};
use crate::message::Conversation;

/// A lease on a conversation. Dropped before it is settled, it gives the conversation back at once, with no runtime
/// needed for that. Past its end, somebody else may have the conversation, and no write under it succeeds.
pub struct Lease {
    held: Held,
    schedule: Arc<Schedule>,
}

impl Lease {
    /// What a write under this lease is checked against, if the lease is one of `schedule`'s.
    pub(super) fn held(&self, schedule: &Arc<Schedule>) -> Result<&Held, StoreError> {
        if Arc::ptr_eq(&self.schedule, schedule) { Ok(&self.held) } else { Err(StoreError::Fenced) }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.schedule.give_back(&self.held);
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lease({})", self.held.token)
    }
}

/// A conversation, and the token of the lease under which it is held.
#[derive(Clone)]
pub(super) struct Held {
    pub(super) conversation: Conversation,
    token: u64,
}

/// Which conversations have something to do, and who is at it.
///
/// A store must make one step of [`Schedule::check`] and the write that it allows, as seen by whoever loads a
/// conversation after having claimed it. Then a lease that ends in between does no harm: the next holder waits for
/// the write and sees it.
pub(super) struct Schedule {
    clock: Clock,
    max_waiting: usize,
    state: Mutex<State>,
    changed: Notify,
}

impl Schedule {
    /// An empty schedule that lets `max_waiting` messages wait, all conversations together.
    pub(super) fn new(clock: Clock, max_waiting: usize) -> Arc<Self> {
        Arc::new(Self { clock, max_waiting, state: Mutex::default(), changed: Notify::new() })
    }

    /// Whether so many new messages may wait besides those that do already.
    pub(super) fn admit(&self, messages: usize) -> Result<(), StoreError> {
        let state = self.open()?;
        if messages > self.max_waiting.saturating_sub(state.waiting) { Err(StoreError::Full) } else { Ok(()) }
    }

    /// So many messages more wait in a conversation.
    pub(super) fn add(&self, conversation: &Conversation, messages: usize, now: Timestamp) {
        let mut state = self.lock();
        let mut ready = state.promote(now);
        state.waiting += messages;
        if let Some(entry) = state.entries.get_mut(conversation) {
            entry.waiting += messages;
        } else {
            state.put(conversation, messages, false);
            ready += 1;
        }
        drop(state);
        self.wake(ready);
    }

    /// Takes up a conversation as it was when the store was last open.
    pub(super) fn restore(&self, conversation: &Conversation, messages: usize, outgoing: bool, not_before: Timestamp) {
        let mut state = self.lock();
        state.waiting += messages;
        state.put(conversation, messages, outgoing);
        if not_before > self.clock.now() {
            state.hold_back(conversation, not_before);
        }
    }

    /// Waits for a conversation that nobody holds, and leases it.
    ///
    /// Cancel-safe: between the lease and the return there is no await.
    pub(super) async fn claim(self: &Arc<Self>, lease: Duration) -> Result<Lease, StoreError> {
        loop {
            let mut changed = pin!(self.changed.notified());
            // Before the look at the state, so that no change after it goes unnoticed.
            changed.as_mut().enable();
            let deadline = match self.take(lease)? {
                Taken::Held(held) => return Ok(Lease { held, schedule: self.clone() }),
                Taken::Nothing { deadline } => deadline,
            };
            match deadline {
                None => changed.await,
                Some(at) => tokio::select! {
                    () = changed => {}
                    () = self.clock.sleep_until(at) => {}
                },
            }
        }
    }

    /// Whether a conversation is still held.
    pub(super) fn check(&self, held: &Held, now: Timestamp) -> Result<(), StoreError> {
        match self.open()?.held_until(held) {
            Some(until) if now < until => Ok(()),
            _ => Err(StoreError::Fenced),
        }
    }

    /// The conversation has something outgoing from now on.
    pub(super) fn intended(&self, held: &Held) {
        if let Some(entry) = self.lock().entries.get_mut(&held.conversation) {
            entry.outgoing = true;
        }
    }

    /// So many of the conversation's messages are done with, nothing is outgoing, and nobody holds it any longer.
    pub(super) fn done(&self, held: &Held, messages: usize, now: Timestamp) {
        let mut state = self.lock();
        let mut ready = state.promote(now);
        state.waiting = state.waiting.saturating_sub(messages);
        if let Some(entry) = state.entries.get_mut(&held.conversation) {
            entry.waiting = entry.waiting.saturating_sub(messages);
            entry.outgoing = false;
        }
        ready += state.free(held);
        drop(state);
        self.wake(ready);
    }

    /// Nobody holds the conversation any longer, and nobody is to claim it before `at`.
    pub(super) fn later(&self, held: &Held, at: Timestamp, now: Timestamp) {
        let mut state = self.lock();
        let mut ready = state.promote(now);
        let freed = state.free(held);
        let held_back = freed > 0 && at > now;
        if held_back {
            state.hold_back(&held.conversation, at);
        } else {
            ready += freed;
        }
        let earliest = held_back && state.earliest() == Some(at);
        drop(state);
        self.wake(ready);
        if earliest {
            self.changed.notify_waiters();
        }
    }

    /// From now on every claim and every check fails with `error`.
    pub(super) fn stop(&self, error: StoreError) {
        self.lock().stopped = Some(error);
        self.changed.notify_waiters();
    }

    /// Fails once the schedule has been stopped.
    pub(super) fn running(&self) -> Result<(), StoreError> {
        self.open().map(drop)
    }

    fn give_back(&self, held: &Held) {
        let ready = self.lock().free(held);
        self.wake(ready);
    }

    fn take(&self, lease: Duration) -> Result<Taken, StoreError> {
        let mut state = self.open()?;
        let now = self.clock.now();
        // Whoever else was due is taken by those who are woken here.
        let ready = state.promote(now);
        let taken = state.take(now, lease);
        // All who wait know the earliest deadline, so that it does not matter who of them goes away.
        let earliest = matches!(taken, Taken::Held(_)) && state.earliest() == Some(now.plus(lease));
        drop(state);
        self.wake(ready);
        if earliest {
            self.changed.notify_waiters();
        }
        Ok(taken)
    }

    fn wake(&self, claimers: usize) {
        for _ in 0..claimers {
            self.changed.notify_one();
        }
    }

    fn open(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let state = self.lock();
        match &state.stopped {
            Some(error) => Err(error.clone()),
            None => Ok(state),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Taken {
    Held(Held),
    Nothing { deadline: Option<Timestamp> },
}

#[derive(Default)]
struct State {
    /// Every conversation that has something to do, or is held.
    entries: HashMap<Conversation, Entry>,
    /// Those that are ready, by their place in the line.
    line: BTreeMap<u64, Conversation>,
    /// The ends of hold-backs and of leases.
    deadlines: BTreeMap<Deadline, Conversation>,
    /// The last number given to a place, a hold-back or a lease.
    last: u64,
    /// How many messages wait, all conversations together.
    waiting: usize,
    stopped: Option<StoreError>,
}

/// When, and the number that tells it from others of the same time. A lease's number is its token.
type Deadline = (Timestamp, u64);

struct Entry {
    waiting: usize,
    outgoing: bool,
    place: Place,
}

enum Place {
    Ready(u64),
    HeldBack,
    Held(Deadline),
}

impl State {
    /// Puts a conversation that was not known at the end of the line.
    fn put(&mut self, conversation: &Conversation, waiting: usize, outgoing: bool) {
        let place = self.queue(conversation.clone());
        self.entries.insert(conversation.clone(), Entry { waiting, outgoing, place });
    }

    /// Takes the first in the line.
    fn take(&mut self, now: Timestamp, lease: Duration) -> Taken {
        let Some((_, conversation)) = self.line.pop_first() else {
            return Taken::Nothing { deadline: self.earliest() };
        };
        let token = self.number();
        let until = (now.plus(lease), token);
        self.deadlines.insert(until, conversation.clone());
        if let Some(entry) = self.entries.get_mut(&conversation) {
            entry.place = Place::Held(until);
        }
        Taken::Held(Held { conversation, token })
    }

    /// Ends a lease that has not ended yet. Says how many conversations are ready because of it.
    fn free(&mut self, held: &Held) -> usize {
        let Some(until) = self.held_until(held) else { return 0 };
        self.deadlines.remove(&(until, held.token));
        self.line_up(&held.conversation)
    }

    /// Moves those whose hold-back or lease has ended to the end of the line. Says how many.
    fn promote(&mut self, now: Timestamp) -> usize {
        let mut ready = 0;
        while let Some(first) = self.deadlines.first_entry()
            && first.key().0 <= now
        {
            let conversation = first.remove();
            ready += self.line_up(&conversation);
        }
        ready
    }

    /// Puts a conversation at the end of the line, or forgets it if it has nothing to do.
    fn line_up(&mut self, conversation: &Conversation) -> usize {
        let Some(entry) = self.entries.get(conversation) else { return 0 };
        if entry.waiting == 0 && !entry.outgoing {
            self.entries.remove(conversation);
            return 0;
        }
        let place = self.queue(conversation.clone());
        self.move_to(conversation, place);
        1
    }

    /// Takes a conversation out of the line until `at`.
    fn hold_back(&mut self, conversation: &Conversation, at: Timestamp) {
        let deadline = (at, self.number());
        self.deadlines.insert(deadline, conversation.clone());
        self.move_to(conversation, Place::HeldBack);
    }

    fn move_to(&mut self, conversation: &Conversation, place: Place) {
        let Some(entry) = self.entries.get_mut(conversation) else { return };
        if let Place::Ready(number) = std::mem::replace(&mut entry.place, place) {
            self.line.remove(&number);
        }
    }

    fn queue(&mut self, conversation: Conversation) -> Place {
        let number = self.number();
        self.line.insert(number, conversation);
        Place::Ready(number)
    }

    fn held_until(&self, held: &Held) -> Option<Timestamp> {
        match self.entries.get(&held.conversation)?.place {
            Place::Held((until, token)) if token == held.token => Some(until),
            _ => None,
        }
    }

    fn earliest(&self) -> Option<Timestamp> {
        self.deadlines.first_key_value().map(|((at, _), _)| *at)
    }

    fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}
