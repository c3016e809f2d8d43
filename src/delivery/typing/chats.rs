//! What is known of the dots in each chat: until when they may show, which calls took them off, and what has come
//! since.
//!
//! It is kept in memory, and for chats alone whose dots a call can take off. A call that takes dots off belongs to a
//! [`Ticket`]: it is void as soon as something else lights or clears the chat.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;
use tokio::time::Instant;

use crate::message::{ChatId, PartKey};

const SECOND: Duration = Duration::from_secs(1);
/// So many chats are remembered before those that no longer matter are swept out.
const SWEEP_AT: usize = 1024;
/// So long is a chat remembered whose dots have lapsed: a turn that still holds them takes them off all the same.
const REMEMBERED: Duration = Duration::from_mins(10);
/// The time between two calls that take dots off which no turn of this process holds: 20 a second for a bot.
const SPACING: Duration = Duration::from_millis(50);

/// What is known of the dots in each chat of a bot.
pub(super) struct Chats {
    all: Mutex<All>,
    /// Since when this is known.
    since: Instant,
}

#[derive(Default)]
struct All {
    chats: HashMap<ChatId, Chat>,
    sweep_at: usize,
    tickets: u64,
    /// The next free time of those calls that are spaced.
    free: Option<Instant>,
}

#[derive(Default)]
struct Chat {
    /// Until when the dots may show.
    lit: Option<Instant>,
    /// The message that took them off, and until when they would show without it.
    hidden: Option<(PartKey, Instant)>,
    /// How many starts and sends there were.
    changes: u64,
    /// The calls of the last second.
    calls: VecDeque<Instant>,
    /// The ticket of whoever waits to make a call.
    awaited: Option<u64>,
    /// Until when the dots could show as the call in flight began, if one is.
    flying: Option<Instant>,
    landed: Arc<Notify>,
}

/// The right to take the dots off that a chat shows now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    number: u64,
    changes: u64,
}

/// Whether a call that takes dots off may be made.
pub(super) enum StopSlot<'a> {
    /// Now.
    Now(CallInFlight<'a>),
    /// Not before then, by the upstream's limit.
    At(Instant),
    /// Not before another such call has ended.
    Behind(OwnedNotified),
    /// Never: the dots are off, something has lit or cleared the chat since, or somebody else is about to make the
    /// call.
    Never,
}

/// A call in flight, which ends when this is dropped.
pub(super) struct CallInFlight<'a> {
    chats: &'a Chats,
    chat: &'a ChatId,
    is_off: bool,
}

impl CallInFlight<'_> {
    /// The dots are off, or nobody is to try again: unless the upstream has lit them meanwhile.
    pub(super) fn is_off(&mut self) {
        self.is_off = true;
    }
}

impl Drop for CallInFlight<'_> {
    fn drop(&mut self) {
        self.chats.with(self.chat, |chat| {
            let shown = chat.flying.take();
            chat.landed.notify_waiters();
            if self.is_off && chat.lit == shown {
                (chat.lit, chat.hidden) = (None, None);
            }
        });
    }
}

impl Chats {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { all: Mutex::default(), since: Instant::now() })
    }

    /// Returns since when the chats are known.
    pub(super) fn since(&self) -> Instant {
        self.since
    }

    /// The dots of a chat may show until then.
    pub(super) fn light(&self, chat: &ChatId, until: Instant) {
        self.with(chat, |chat| chat.lit = chat.lit.max(Some(until)));
    }

    /// A start leaves: whoever is about to take the chat's dots off lets it be. Returns what to wait for, if such a
    /// call is in flight.
    pub(super) fn starts(&self, chat: &ChatId) -> Option<OwnedNotified> {
        self.with(chat, |chat| {
            chat.change();
            chat.flying.map(|_| Arc::clone(&chat.landed).notified_owned())
        })
    }

    /// A message leaves: whoever is about to take the chat's dots off lets it be.
    pub(super) fn sends(&self, chat: &ChatId) {
        if let Some(chat) = self.open().chats.get_mut(chat) {
            chat.change();
        }
    }

    /// A message was accepted, and takes the dots off when it arrives.
    pub(super) fn sent(&self, chat: &ChatId, key: &PartKey) {
        if let Some(chat) = self.open().chats.get_mut(chat) {
            let until = chat.lit.take().or(chat.hidden.take().map(|(_, until)| until));
            chat.hidden = until.filter(|until| Instant::now() < *until).map(|until| (key.clone(), until));
        }
    }

    /// The message of this key never arrived: the dots that it should have taken off show on, unless something came
    /// after it.
    pub(super) fn uncover(&self, chat: &ChatId, key: &PartKey) {
        if let Some(chat) = self.open().chats.get_mut(chat)
            && let Some((_, until)) = chat.hidden.take_if(|(hiding, _)| hiding == key)
        {
            chat.lit = chat.lit.max(Some(until));
        }
    }

    /// Of a reply not all has left: whether what has arrives, and takes the dots off, nobody can say yet.
    pub(super) fn doubt(&self, chat: &ChatId) {
        if let Some(chat) = self.open().chats.get_mut(chat)
            && let Some((_, until)) = chat.hidden.take()
        {
            chat.lit = chat.lit.max(Some(until));
        }
    }

    /// Whether a chat's dots are on, as far as anybody has said, and nothing has taken them off.
    pub(super) fn is_lit(&self, chat: &ChatId) -> bool {
        self.open().chats.get(chat).is_some_and(|chat| chat.lit.is_some())
    }

    /// The right to take the dots off that a chat shows now.
    pub(super) fn ticket(&self, chat: &ChatId) -> Ticket {
        let mut all = self.open();
        all.tickets += 1;
        let changes = all.chats.get(chat).map_or(0, |chat| chat.changes);
        Ticket { number: all.tickets, changes }
    }

    /// Books a time for taking dots off that no turn holds; none if there are none, if they lapse before that time, or
    /// if somebody is about to take them off.
    pub(super) fn book(&self, chat: &ChatId) -> Option<(Instant, Ticket)> {
        let (mut all, now) = (self.open(), Instant::now());
        let All { chats, tickets, free, .. } = &mut *all;
        let chat = chats.get_mut(chat).filter(|chat| chat.awaited.is_none() && chat.flying != chat.lit)?;
        let at = free.map_or(now, |free| free.max(now));
        chat.lit.filter(|lit| at < *lit)?;
        *free = Some(at + SPACING);
        *tickets += 1;
        chat.awaited = Some(*tickets);
        Some((at, Ticket { number: *tickets, changes: chat.changes }))
    }

    /// Whether a call that takes the dots off may be made under this ticket.
    pub(super) fn room<'a>(&'a self, name: &'a ChatId, ticket: Ticket, per_second: Option<u32>) -> StopSlot<'a> {
        let now = Instant::now();
        self.with(name, |chat| {
            let is_void = chat.lit.is_none() || chat.changes != ticket.changes;
            if is_void || chat.awaited.is_some_and(|number| number != ticket.number) {
                chat.leave(ticket);
                return StopSlot::Never;
            }
            chat.awaited = Some(ticket.number);
            if chat.flying.is_some() {
                return StopSlot::Behind(Arc::clone(&chat.landed).notified_owned());
            }
            while chat.calls.front().is_some_and(|first| *first + SECOND <= now) {
                chat.calls.pop_front();
            }
            let over = per_second.and_then(|most| chat.calls.len().checked_sub(most.max(1) as usize));
            if let Some(blocking) = over.and_then(|over| chat.calls.get(over)) {
                return StopSlot::At(*blocking + SECOND);
            }
            chat.leave(ticket);
            chat.calls.push_back(now);
            chat.flying = chat.lit;
            StopSlot::Now(CallInFlight { chats: self, chat: name, is_off: false })
        })
    }

    /// Whoever has this ticket is going to make another call.
    pub(super) fn wait(&self, chat: &ChatId, ticket: Ticket) {
        self.with(chat, |chat| {
            if chat.changes == ticket.changes {
                chat.awaited.get_or_insert(ticket.number);
            }
        });
    }

    /// Whoever waits to make a call under this ticket waits no longer.
    pub(super) fn leave(&self, chat: &ChatId, ticket: Ticket) {
        if let Some(chat) = self.open().chats.get_mut(chat) {
            chat.leave(ticket);
        }
    }

    fn with<T>(&self, chat: &ChatId, change: impl FnOnce(&mut Chat) -> T) -> T {
        let mut all = self.open();
        if all.chats.len() >= all.sweep_at.max(SWEEP_AT) {
            all.sweep();
        }
        match all.chats.get_mut(chat) {
            Some(chat) => change(chat),
            None => change(all.chats.entry(chat.clone()).or_default()),
        }
    }

    fn open(&self) -> MutexGuard<'_, All> {
        // Nothing in there panics half-way through a change.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Chat {
    /// Something lights or clears the chat: whoever waits to take its dots off waits no longer.
    fn change(&mut self) {
        self.changes += 1;
        self.awaited = None;
    }

    fn leave(&mut self, ticket: Ticket) {
        self.awaited.take_if(|number| *number == ticket.number);
    }
}

impl All {
    /// Forgets the chats that no longer matter. The next time is when there are twice as many as are left.
    fn sweep(&mut self) {
        let now = Instant::now();
        self.chats.retain(|_, chat| {
            let shows = chat.lit.is_some_and(|lit| now < lit + REMEMBERED);
            let hides = chat.hidden.as_ref().is_some_and(|(_, until)| now < *until);
            let counts = chat.calls.back().is_some_and(|last| now < *last + SECOND);
            shows || hides || counts || chat.flying.is_some() || chat.awaited.is_some()
        });
        self.sweep_at = self.chats.len() * 2;
    }
}
