//! The order in which conversations are served: no clock, no lock, no wake-ups, and nothing slower than a look-up in
//! a tree.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::{HeldConversation, Work};
use crate::message::clock::Timestamp;
use crate::message::{BotName, Conversation};

/// Every conversation that has something to do, or is held.
#[derive(Default)]
pub(super) struct ReadyQueue {
    entries: HashMap<Conversation, QueueEntry>,
    lanes: HashMap<BotName, BotLane>,
    /// The bots that have something ready: they take turns, so that none waits for all that another has.
    ring: BTreeMap<u64, BotName>,
    /// The ends of hold-backs, by the time of day: it was a time of day that was asked for.
    hold_backs: BTreeMap<(Timestamp, u64), Conversation>,
    /// The ends of leases, by a clock that nobody can set, and that stands still while the machine sleeps; not of those
    /// under which a send is on its way.
    leases: BTreeMap<(Instant, u64), Conversation>,
    /// The last number given to a place, a hold-back or a lease.
    last: u64,
    /// How many messages wait, all conversations together.
    waiting: usize,
    newly_ready: usize,
}

/// What there is of one bot.
#[derive(Default)]
struct BotLane {
    /// Its conversations that are ready, by their places.
    ready: BTreeMap<u64, Conversation>,
    /// Its place in the ring, if it has any that are ready.
    place: Option<u64>,
    /// How many of its messages wait.
    waiting: usize,
}

/// The next ends of a hold-back and of a lease.
#[derive(Clone, Copy, Default)]
pub(super) struct Earliest {
    pub(super) hold_back: Option<Timestamp>,
    pub(super) lease: Option<Instant>,
}

impl Earliest {
    /// Whether one of the ends is sooner than it was.
    pub(super) fn is_sooner_than(self, before: Self) -> bool {
        fn sooner<T: Ord>(now: Option<T>, before: Option<T>) -> bool {
            now.is_some_and(|now| before.is_none_or(|before| now < before))
        }
        sooner(self.hold_back, before.hold_back) || sooner(self.lease, before.lease)
    }
}

struct QueueEntry {
    work: Work,
    /// Since when the oldest of its messages waits, or a longer one that came with it.
    since: Timestamp,
    place: QueuePosition,
    arrivals: Arrivals,
    /// Whether it was ready when the store was opened, and has not been leased since.
    inherited: bool,
}

/// What has come into a conversation since it was last leased.
#[derive(Default)]
struct Arrivals {
    messages: usize,
    /// When the first of them did.
    first: Timestamp,
    /// Whether there was an echo of which nobody knows whose it is.
    undecided: bool,
    /// Who wants to hear of it.
    heard: Option<Arc<Notify>>,
}

#[derive(Clone, Copy)]
enum QueuePosition {
    Ready(u64),
    HeldBack((Timestamp, u64)),
    Held(Term),
}

/// A lease: its token, and its end; none while a send is on its way, which ends by itself.
#[derive(Clone, Copy)]
struct Term {
    token: u64,
    until: Option<Instant>,
}

impl Term {
    fn lasts(self, now: Instant) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// Where a lease ends that is longer than can be told.
const FAR: Duration = Duration::from_hours(24 * 365);

fn end_of(lease: Duration, now: Instant) -> Instant {
    now.checked_add(lease).unwrap_or_else(|| now + FAR)
}

impl ReadyQueue {
    /// How many messages wait, all conversations together.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Since when the message waits that has waited for the longest.
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        self.entries.values().filter(|entry| entry.work.messages > 0).map(|entry| entry.since).min()
    }

    /// How many messages of one bot's wait.
    pub(super) fn waiting_for(&self, bot: &BotName) -> usize {
        self.lanes.get(bot).map_or(0, |lane| lane.waiting)
    }

    /// How many conversations have something to do, or are held.
    pub(super) fn conversations(&self) -> usize {
        self.entries.len()
    }

    /// The next ends of a hold-back and of a lease.
    pub(super) fn earliest(&self) -> Earliest {
        Earliest {
            hold_back: self.hold_backs.first_key_value().map(|((at, _), _)| *at),
            lease: self.leases.first_key_value().map(|((at, _), _)| *at),
        }
    }

    /// How many conversations have become ready since this was last asked.
    pub(super) fn newly_ready(&mut self) -> usize {
        std::mem::take(&mut self.newly_ready)
    }

    /// So many messages more wait in a conversation, since then.
    pub(super) fn add(&mut self, conversation: &Conversation, messages: usize, since: Timestamp) {
        self.count(&conversation.bot, messages, 0);
        if let Some(entry) = self.entries.get_mut(conversation) {
            if entry.work.messages == 0 {
                entry.since = since;
            }
            entry.work.messages += messages;
            if messages > 0 {
                if entry.arrivals.messages == 0 {
                    entry.arrivals.first = since;
                }
                entry.arrivals.messages += messages;
                entry.arrivals.heard.iter().for_each(|heard| heard.notify_waiters());
            }
            return;
        }
        let place = self.join(conversation);
        let (work, arrivals) = (Work { messages, ..Work::default() }, Arrivals::default());
        self.entries.insert(conversation.clone(), QueueEntry { work, since, place, arrivals, inherited: false });
    }

    /// An earlier process has left this conversation as it is. One that is held back was given back by it.
    pub(super) fn inherit(&mut self, conversation: &Conversation) {
        if let Some(entry) = self.entries.get_mut(conversation) {
            entry.inherited = matches!(entry.place, QueuePosition::Ready(_));
        }
    }

    /// The conversations that were ready when the store was opened, and have not been leased since.
    pub(super) fn inherited(&self) -> Vec<Conversation> {
        let inherited = self.entries.iter().filter(|(_, entry)| entry.inherited);
        inherited.map(|(conversation, _)| conversation.clone()).collect()
    }

    /// Ends all leases; what is ready then counts as left by an earlier process.
    pub(super) fn reopen(&mut self) {
        for conversation in self.entries.keys().cloned().collect::<Vec<_>>() {
            if let Some(QueueEntry { place: QueuePosition::Held(term), .. }) = self.entries.get(&conversation) {
                self.unlist(*term);
                self.line_up(&conversation);
            }
            self.inherit(&conversation);
        }
    }

    /// Leases the first that is ready of the first bot in the ring that may have one more.
    pub(super) fn take(
        &mut self,
        now: Instant,
        lease: Duration,
        may: impl Fn(&BotName) -> bool,
    ) -> Option<HeldConversation> {
        let (place, bot) = self.ring.iter().find(|(_, bot)| may(bot))?;
        let (place, bot) = (*place, bot.clone());
        self.ring.remove(&place);
        let lane = self.lanes.get_mut(&bot)?;
        lane.place = None;
        let (_, conversation) = lane.ready.pop_first()?;
        if !lane.ready.is_empty() {
            self.join_ring(&bot);
        }
        let token = self.number();
        let until = end_of(lease, now);
        self.leases.insert((until, token), conversation.clone());
        self.move_to(&conversation, QueuePosition::Held(Term { token, until: Some(until) }));
        let mut inherited = false;
        if let Some(entry) = self.entries.get_mut(&conversation) {
            entry.arrivals = Arrivals::default();
            inherited = std::mem::take(&mut entry.inherited);
        }
        Some(HeldConversation { conversation, inherited, token, lease })
    }

    /// Begins a lease anew, which a send on its way may have kept from ending. Whether it had not ended.
    pub(super) fn renew(&mut self, held: &HeldConversation, now: Instant) -> bool {
        let until = end_of(held.lease, now);
        self.set_end(held, now, Some(until))
    }

    /// Keeps a lease from ending until it is renewed or given up. Whether it had not ended.
    pub(super) fn pin(&mut self, held: &HeldConversation, now: Instant) -> bool {
        self.set_end(held, now, None)
    }

    fn set_end(&mut self, held: &HeldConversation, now: Instant, end: Option<Instant>) -> bool {
        let Some(term) = self.term(held).filter(|term| term.lasts(now)) else { return false };
        // Whoever asked before another did, and is heard after, makes it no shorter.
        let until = end.map(|end| term.until.map_or(end, |known| known.max(end)));
        self.unlist(term);
        if let Some(until) = until {
            self.leases.insert((until, term.token), held.conversation.clone());
        }
        if let Some(entry) = self.entries.get_mut(&held.conversation) {
            entry.place = QueuePosition::Held(Term { until, ..term });
        }
        true
    }

    fn unlist(&mut self, term: Term) {
        if let Some(until) = term.until {
            self.leases.remove(&(until, term.token));
        }
    }

    /// Whether messages have come into a conversation since it was leased, and what is notified of more; none if the
    /// lease has ended.
    pub(super) fn arrivals(&mut self, held: &HeldConversation, now: Instant) -> Option<(bool, Arc<Notify>)> {
        self.term(held).filter(|term| term.lasts(now))?;
        let arrivals = &mut self.entries.get_mut(&held.conversation)?.arrivals;
        Some((arrivals.messages > 0, Arc::clone(arrivals.heard.get_or_insert_default())))
    }

    /// There was an echo of which nobody knows whose it is.
    pub(super) fn set_undecided(&mut self, conversation: &Conversation) {
        if let Some(entry) = self.entries.get_mut(conversation) {
            entry.arrivals.undecided = true;
        }
    }

    /// Whether there was such an echo since the conversation was leased; none if the lease has ended.
    pub(super) fn is_undecided(&self, held: &HeldConversation) -> Option<bool> {
        self.term(held)?;
        Some(self.entries.get(&held.conversation)?.arrivals.undecided)
    }

    /// A lease, if nobody has ended it.
    fn term(&self, held: &HeldConversation) -> Option<Term> {
        match self.entries.get(&held.conversation)?.place {
            QueuePosition::Held(term) if term.token == held.token => Some(term),
            _ => None,
        }
    }

    /// Whether something is outgoing in a conversation.
    pub(super) fn is_outgoing(&self, conversation: &Conversation) -> bool {
        self.entries.get(conversation).is_some_and(|entry| entry.work.outgoing)
    }

    /// Says whether something is outgoing in a conversation.
    pub(super) fn set_outgoing(&mut self, conversation: &Conversation, outgoing: bool) {
        if let Some(entry) = self.entries.get_mut(conversation) {
            entry.work.outgoing = outgoing;
        }
    }

    /// Whether parts of a conversation have failed.
    pub(super) fn set_failed(&mut self, conversation: &Conversation, failed: bool) {
        if let Some(entry) = self.entries.get_mut(conversation) {
            entry.work.failed = failed;
        }
    }

    /// So many messages less wait in a conversation.
    pub(super) fn subtract(&mut self, conversation: &Conversation, messages: usize) {
        self.count(&conversation.bot, 0, messages);
        if let Some(entry) = self.entries.get_mut(conversation) {
            entry.work.messages = entry.work.messages.saturating_sub(messages);
            // Of a queue that is too long for one lease, what is left may have come together with what is gone.
            if entry.work.messages <= entry.arrivals.messages {
                entry.since = entry.arrivals.first;
            }
        }
    }

    /// Ends a lease, unless that has happened.
    pub(super) fn free(&mut self, held: &HeldConversation) {
        if let Some(term) = self.term(held) {
            self.unlist(term);
            self.line_up(&held.conversation);
        }
    }

    /// Takes a conversation out of the line until `at`; not if somebody holds it.
    pub(super) fn hold_back(&mut self, conversation: &Conversation, at: Timestamp) {
        let entry = self.entries.get(conversation);
        if !entry.is_some_and(|entry| matches!(entry.place, QueuePosition::Ready(_))) {
            return;
        }
        let end = (at, self.number());
        self.hold_backs.insert(end, conversation.clone());
        self.move_to(conversation, QueuePosition::HeldBack(end));
        // It was, for a moment.
        self.newly_ready = self.newly_ready.saturating_sub(1);
    }

    /// Ends a hold-back.
    pub(super) fn make_ready(&mut self, conversation: &Conversation) {
        if let Some(QueueEntry { place: QueuePosition::HeldBack(end), .. }) = self.entries.get(conversation) {
            self.hold_backs.remove(end);
            self.line_up(conversation);
        }
    }

    /// Sets what a conversation has to do, and ends the lease if somebody holds it.
    pub(super) fn reset(&mut self, conversation: &Conversation, work: Work) {
        let Some(entry) = self.entries.get_mut(conversation) else { return };
        let before = std::mem::replace(&mut entry.work, work).messages;
        let place = entry.place;
        self.count(&conversation.bot, work.messages, before);
        match place {
            QueuePosition::Held(term) => {
                self.unlist(term);
                self.line_up(conversation);
            }
            QueuePosition::Ready(number) if work.is_nothing() => {
                self.leave(&conversation.bot, number);
                self.entries.remove(conversation);
            }
            QueuePosition::HeldBack(end) if work.is_nothing() => {
                self.hold_backs.remove(&end);
                self.entries.remove(conversation);
            }
            QueuePosition::Ready(_) | QueuePosition::HeldBack(_) => {}
        }
    }

    /// Moves those whose hold-back has ended to the end of the line.
    pub(super) fn promote(&mut self, now: Timestamp) {
        while let Some(first) = self.hold_backs.first_entry()
            && first.key().0 <= now
        {
            let conversation = first.remove();
            self.line_up(&conversation);
        }
    }

    /// Moves those whose lease has ended to the end of the line.
    pub(super) fn end_leases(&mut self, now: Instant) {
        while let Some(first) = self.leases.first_entry()
            && first.key().0 <= now
        {
            let conversation = first.remove();
            self.line_up(&conversation);
        }
    }

    /// Puts a conversation at the end of the line, or forgets it if it has nothing to do.
    fn line_up(&mut self, conversation: &Conversation) {
        let Some(entry) = self.entries.get(conversation) else { return };
        if entry.work.is_nothing() {
            self.entries.remove(conversation);
            return;
        }
        let place = self.join(conversation);
        self.move_to(conversation, place);
    }

    fn join(&mut self, conversation: &Conversation) -> QueuePosition {
        let number = self.number();
        let lane = self.lanes.entry(conversation.bot.clone()).or_default();
        lane.ready.insert(number, conversation.clone());
        if lane.place.is_none() {
            self.join_ring(&conversation.bot);
        }
        self.newly_ready += 1;
        QueuePosition::Ready(number)
    }

    /// Puts a bot at the end of the ring.
    fn join_ring(&mut self, bot: &BotName) {
        let place = self.number();
        if let Some(lane) = self.lanes.get_mut(bot) {
            lane.place = Some(place);
            self.ring.insert(place, bot.clone());
        }
    }

    /// Takes a conversation that is ready out of its bot's lane.
    fn leave(&mut self, bot: &BotName, number: u64) {
        let Some(lane) = self.lanes.get_mut(bot) else { return };
        lane.ready.remove(&number);
        if lane.ready.is_empty()
            && let Some(place) = lane.place.take()
        {
            self.ring.remove(&place);
        }
        self.forget_lane(bot);
    }

    /// So many messages of a bot's more wait, and so many less.
    fn count(&mut self, bot: &BotName, more: usize, less: usize) {
        self.waiting = (self.waiting + more).saturating_sub(less);
        let lane = match self.lanes.get_mut(bot) {
            Some(lane) => lane,
            None => self.lanes.entry(bot.clone()).or_default(),
        };
        lane.waiting = (lane.waiting + more).saturating_sub(less);
        self.forget_lane(bot);
    }

    /// Forgets a bot's lane if there is nothing in it.
    fn forget_lane(&mut self, bot: &BotName) {
        if self.lanes.get(bot).is_some_and(|lane| lane.waiting == 0 && lane.ready.is_empty()) {
            self.lanes.remove(bot);
        }
    }

    fn move_to(&mut self, conversation: &Conversation, place: QueuePosition) {
        let Some(entry) = self.entries.get_mut(conversation) else { return };
        if let QueuePosition::Ready(number) = std::mem::replace(&mut entry.place, place) {
            self.leave(&conversation.bot, number);
        }
    }

    fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}
