//! How fast a bot sends: as fast as its upstream takes it, and no faster, so that the upstream need not say so.
//!
//! A message has to fit into the rates of its chat and into those of the bot's number
//! ([`SendLimits`]). What does not fit yet gets a time at which it will. Nobody waits here:
//! the conversation is given back to the store until then, and asks again. The time is booked: who comes later does not
//! take it, and times are given out in the order in which they are asked for. A chat that has to wait for its own rates
//! is not in the line for the number, and holds up nobody.
//!
//! What was sent is known in memory alone. After a start, the times of what a conversation's history says of the bot
//! stand for what an earlier process sent.
//!
//! A handler whose answer could not leave for a while is not asked yet, so that nobody looks at dots meanwhile: the
//! time is booked beforehand. What an upstream refuses all the same moves the right rate: for as long as the upstream
//! says, nobody sends, and after that more slowly for a while.

mod line;
mod meter;

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::message::ChatId;
use crate::message::clock::Timestamp;
use crate::provider::{Rate, Scope, SendLimits};
use line::SendQueue;
use meter::{Meter, before, room};

/// So many chats are remembered before those are swept out that may send what they like.
const SWEEP_AT: usize = 1024;
/// Threads that ask at the same time may see times that differ so much. What goes further back is a clock set back.
const OUT_OF_STEP: Duration = Duration::from_secs(1);
/// A handler is asked this long before its answer may leave: for shorter, nobody is made to wait twice.
const SOON: Duration = Duration::from_secs(10);
/// How long a number is left alone that was refused without a word on how long.
const NUMBER_PAUSE: Duration = Duration::from_secs(1);
/// The same for an account.
const ACCOUNT_PAUSE: Duration = Duration::from_secs(60);

/// How fast a bot sends. Shared by all its turns.
pub struct Pace {
    limits: SendLimits,
    state: Mutex<PacingState>,
}

/// When a message may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// Now: it counts as sent.
    Now,
    /// Not before then. That time is booked.
    At(Timestamp),
}

impl From<Slot> for Option<Timestamp> {
    fn from(slot: Slot) -> Self {
        match slot {
            Slot::Now => None,
            Slot::At(at) => Some(at),
        }
    }
}

struct PacingState {
    line: SendQueue,
    pairs: HashMap<ChatId, ChatPace>,
    sweep_at: usize,
    /// The chats whose history has been looked at; none once no history has anything to tell any longer.
    recalled: Option<HashSet<ChatId>>,
    /// When what an earlier process may have sent no longer counts; none before the first message.
    fresh_at: Option<Timestamp>,
    /// The latest time that was seen.
    latest: Timestamp,
}

/// What is known of one chat.
struct ChatPace {
    meters: Vec<Meter>,
    closed_until: Timestamp,
}

impl Pace {
    /// The pace of a bot of which nothing is known yet.
    pub fn new(limits: SendLimits) -> Self {
        let has_any = limits.number.len() + limits.pair.len() > 0;
        let state = PacingState {
            line: SendQueue::new(&limits.number),
            pairs: HashMap::new(),
            sweep_at: SWEEP_AT,
            recalled: has_any.then(HashSet::new),
            fresh_at: None,
            latest: Timestamp::default(),
        };
        Self { limits, state: Mutex::new(state) }
    }

    /// What it keeps to.
    pub fn limits(&self) -> &SendLimits {
        &self.limits
    }

    /// How much of a chat's history [`Pace::book`] has to be given; none if it can do without.
    pub fn recalls(&self, chat: &ChatId, now: Timestamp) -> Option<usize> {
        let mut state = self.lock();
        let now = state.at(now);
        let rates = || self.limits.number.iter().chain(&self.limits.pair);
        let fresh_at =
            state.fresh_at.get_or_insert_with(|| now.plus(rates().map(Rate::memory).max().unwrap_or_default()));
        if now >= *fresh_at {
            state.recalled = None;
        }
        let unknown = state.recalled.as_ref().is_some_and(|recalled| !recalled.contains(chat));
        let most = rates().map(Rate::at_once).max();
        // What customers say stands in between.
        unknown.then(|| most.unwrap_or_default().saturating_mul(2) as usize)
    }

    /// Lets one message into this chat leave now, or says when. `sent` is when the bot has sent something into it
    /// before, and is looked at only if [`Pace::recalls`] has asked.
    pub fn book(&self, chat: &ChatId, now: Timestamp, sent: &[Timestamp]) -> Slot {
        let mut state = self.lock();
        let now = state.at(now);
        state.recall(chat, sent, &self.limits.pair, now);
        state.sweep(now);
        let open = state.pairs.get(chat).map_or(now, |pair| pair.room(now));
        if open > now {
            return Slot::At(open);
        }
        if let Err(at) = state.line.pass(chat, now) {
            return Slot::At(at);
        }
        if !self.limits.pair.is_empty() {
            let pair = state.pair(chat, &self.limits.pair);
            pair.meters.iter_mut().for_each(|meter| meter.take(now));
        }
        Slot::Now
    }

    /// Whether a handler is to be asked now for something to say in this chat; if not, when, since nothing that it said
    /// could leave before. Either way a time is booked, for this chat to send at. `sent` is as for [`Pace::book`].
    pub fn reserve(&self, chat: &ChatId, now: Timestamp, sent: &[Timestamp]) -> Slot {
        self.reserve_within(chat, SOON, now, sent)
    }

    /// The same for what is ready, and begins so long before it may leave.
    pub fn reserve_within(&self, chat: &ChatId, soon: Duration, now: Timestamp, sent: &[Timestamp]) -> Slot {
        let mut state = self.lock();
        let now = state.at(now);
        state.recall(chat, sent, &self.limits.pair, now);
        state.sweep(now);
        let open = state.pairs.get(chat).map_or(now, |pair| pair.room(now));
        if open.since(now) > soon {
            return Slot::At(open);
        }
        state.line.reserve(chat, soon, now).map_or_else(Slot::At, |()| Slot::Now)
    }

    /// Gives up the time that is booked for this chat, if there is one: it has nothing to say.
    pub fn release(&self, chat: &ChatId) {
        self.lock().line.release(chat);
    }

    /// The upstream has refused a message into this chat, because of too many: in its `scope`, for `retry_after`, if it
    /// said so. When the next one may leave.
    pub fn throttled(&self, scope: Scope, retry_after: Option<Duration>, chat: &ChatId, now: Timestamp) -> Timestamp {
        let mut state = self.lock();
        let now = state.at(now);
        let pause = match scope {
            Scope::Pair => {
                let until = retry_after.map(|wait| now.plus(wait));
                let pair = state.pair(chat, &self.limits.pair);
                pair.closed_until = pair.closed_until.max(until.unwrap_or_default());
                pair.meters.iter_mut().for_each(|meter| meter.exhaust(until, now));
                return pair.room(now);
            }
            Scope::Number => NUMBER_PAUSE,
            Scope::Account => ACCOUNT_PAUSE,
        };
        state.line.close(now.plus(retry_after.unwrap_or(pause)), chat, now)
    }

    /// How many chats it remembers something of.
    pub fn remembers(&self) -> usize {
        let state = self.lock();
        state.pairs.len() + state.line.len() + state.recalled.as_ref().map_or(0, HashSet::len)
    }

    fn lock(&self) -> MutexGuard<'_, PacingState> {
        // Nothing in there panics half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PacingState {
    /// Takes notice of the time. One that was set back takes everything else along: else nobody would send until the
    /// clock is where it was.
    fn at(&mut self, now: Timestamp) -> Timestamp {
        let back = self.latest.since(now);
        if back < OUT_OF_STEP {
            self.latest = self.latest.max(now);
            return self.latest;
        }
        self.line.set_back(back);
        for pair in self.pairs.values_mut() {
            pair.meters.iter_mut().for_each(|meter| meter.set_back(back));
            pair.closed_until = before(pair.closed_until, back);
        }
        self.fresh_at = self.fresh_at.map(|fresh_at| before(fresh_at, back));
        self.latest = now;
        now
    }

    /// Counts what an earlier process has sent.
    fn recall(&mut self, chat: &ChatId, sent: &[Timestamp], rates: &[Rate], now: Timestamp) {
        let Some(recalled) = &mut self.recalled else { return };
        if !recalled.insert(chat.clone()) || sent.is_empty() {
            return;
        }
        for at in sent {
            // A clock that was set back since then says nothing about how long ago that was.
            let at = (*at).min(now);
            self.line.recall(at);
            self.pair(chat, rates).meters.iter_mut().for_each(|meter| meter.recall(at));
        }
    }

    fn pair(&mut self, chat: &ChatId, rates: &[Rate]) -> &mut ChatPace {
        self.pairs.entry(chat.clone()).or_insert_with(|| ChatPace {
            meters: rates.iter().copied().map(Meter::new).collect(),
            closed_until: Timestamp::default(),
        })
    }

    /// Forgets the chats that nothing needs to be known of: so there are no more than have been written to within the
    /// time of their rates, and those who wait.
    fn sweep(&mut self, now: Timestamp) {
        if self.pairs.len() + self.line.len() < self.sweep_at {
            return;
        }
        self.pairs.retain(|_, pair| !pair.is_whole(now));
        self.line.sweep(now);
        self.sweep_at = SWEEP_AT.max(2 * (self.pairs.len() + self.line.len()));
    }
}

impl ChatPace {
    fn room(&self, now: Timestamp) -> Timestamp {
        room(&self.meters, now).max(self.closed_until)
    }

    fn is_whole(&self, now: Timestamp) -> bool {
        self.closed_until <= now && self.meters.iter().all(|meter| meter.is_whole(now))
    }
}
