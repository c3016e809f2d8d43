//! The line of those who wait for the bot's number: each with a time of its own, in the order in which they came.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::meter::{Meter, before, room};
use crate::message::ChatId;
use crate::message::clock::Timestamp;
use crate::provider::Rate;

/// Who is this late for the time that was booked has given it up.
const FORFEIT: Duration = Duration::from_secs(60);
/// The same of whoever had come in time, and has had a handler asked since.
const FORFEIT_AT_WORK: Duration = Duration::from_secs(600);
/// Times that are off by this much, because others came late to theirs, are given out anew.
const ADRIFT: Duration = Duration::from_millis(250);
/// After a refusal the number sends no faster than this: as the slowest of Meta's numbers, 20 in a second.
const FIRST_GAP: Duration = Duration::from_millis(50);
/// With each further refusal half as fast, down to this.
const WIDEST_GAP: Duration = Duration::from_secs(5);
/// And with each such time without one twice as fast again.
const EASES_AFTER: Duration = Duration::from_secs(60);

/// The line of those who wait for the number.
pub(super) struct SendQueue {
    /// What has left.
    used: Track,
    /// What has left, and what is booked.
    planned: Track,
    /// Whether more is planned than is booked, because of those who have had nothing to send.
    is_stale: bool,
    /// By place in the line.
    bookings: BTreeMap<i64, Booking>,
    places: HashMap<ChatId, i64>,
    /// Nobody sends before. The upstream has said so.
    closed_until: Timestamp,
    /// How far apart messages are at least, because of refusals.
    gap: Duration,
    /// When the gap last changed.
    gap_since: Timestamp,
}

struct Booking {
    chat: ChatId,
    at: Timestamp,
    /// How late one may be for it.
    forfeit: Duration,
}

impl SendQueue {
    pub(super) fn new(rates: &[Rate]) -> Self {
        let track = Track { meters: rates.iter().copied().map(Meter::new).collect(), last: None };
        Self {
            used: track.clone(),
            planned: track,
            is_stale: false,
            bookings: BTreeMap::new(),
            places: HashMap::new(),
            closed_until: Timestamp::default(),
            gap: Duration::ZERO,
            gap_since: Timestamp::default(),
        }
    }

    /// One message of this chat's leaves now, or may leave at the time that is returned.
    pub(super) fn pass(&mut self, chat: &ChatId, now: Timestamp) -> Result<(), Timestamp> {
        self.ease(now);
        let free = self.used.room(now, self.gap).max(self.closed_until);
        if let Some(place) = self.places.get(chat).copied() {
            let at = self.booked(place).unwrap_or(now);
            if at > now {
                return Err(at);
            }
            if free > now {
                if free.since(now) < ADRIFT {
                    return Err(free);
                }
                self.plan_anew(now);
                return Err(self.booked(place).unwrap_or(free).max(free));
            }
            self.leave(place);
        } else {
            let at = self.next(now).max(free);
            self.planned.take(at);
            if at > now {
                self.join_last(chat, at);
                return Err(at);
            }
        }
        self.used.take(now);
        Ok(())
    }

    /// Books the next time for what a handler will have to say in this chat, if it is asked now. Not now, but at the
    /// time that is returned, if nothing that it said could leave within `soon`.
    pub(super) fn reserve(&mut self, chat: &ChatId, soon: Duration, now: Timestamp) -> Result<(), Timestamp> {
        if !self.has_limits(now) {
            return Ok(());
        }
        self.ease(now);
        let free = self.used.room(now, self.gap).max(self.closed_until);
        let place = match self.places.get(chat).copied() {
            Some(place) => {
                if free.since(now) > soon {
                    self.plan_anew(now);
                }
                place
            }
            None => {
                let at = self.next(now).max(free);
                self.planned.take(at);
                self.join_last(chat, at)
            }
        };
        // None is left of one that came too late for it: then it books one when it has something to send.
        let Some(booking) = self.bookings.get_mut(&place) else { return Ok(()) };
        if booking.at.since(now) > soon {
            return Err(booking.at);
        }
        booking.forfeit = FORFEIT_AT_WORK;
        Ok(())
    }

    /// This chat has nothing to send after all.
    pub(super) fn release(&mut self, chat: &ChatId) {
        if let Some(place) = self.places.get(chat).copied() {
            self.leave(place);
            self.is_stale = true;
        }
    }

    /// The upstream has refused a message of this chat's: nobody sends until then, this chat first. When that is.
    pub(super) fn close(&mut self, until: Timestamp, chat: &ChatId, now: Timestamp) -> Timestamp {
        self.ease(now);
        // What was under way together with a message that was refused is refused for the same reason.
        if now >= self.closed_until {
            self.gap = (self.gap * 2).clamp(FIRST_GAP, WIDEST_GAP);
            self.gap_since = until;
        }
        self.closed_until = self.closed_until.max(until);
        if let Some(place) = self.places.get(chat).copied() {
            self.leave(place);
        }
        let first = self.bookings.first_key_value().map_or(0, |(first, _)| first - 1);
        self.join(first, chat, now);
        self.plan_anew(now);
        self.booked(first).unwrap_or(until)
    }

    /// What this number has sent, as far as it is known from elsewhere.
    pub(super) fn recall(&mut self, at: Timestamp) {
        for meter in self.used.meters.iter_mut().chain(&mut self.planned.meters) {
            meter.recall(at);
        }
    }

    /// Forgets those who did not come.
    pub(super) fn sweep(&mut self, now: Timestamp) {
        self.bookings.retain(|_, booking| booking.at.plus(booking.forfeit) > now);
        let bookings = &self.bookings;
        self.places.retain(|_, place| bookings.contains_key(place));
    }

    /// The clock was set back by so much.
    pub(super) fn set_back(&mut self, by: Duration) {
        self.used.set_back(by);
        self.planned.set_back(by);
        self.bookings.values_mut().for_each(|booking| booking.at = before(booking.at, by));
        self.closed_until = before(self.closed_until, by);
        self.gap_since = before(self.gap_since, by);
    }

    pub(super) fn len(&self) -> usize {
        self.bookings.len()
    }

    /// The time of whoever comes next.
    fn next(&mut self, now: Timestamp) -> Timestamp {
        let at = self.planned.room(now, self.gap);
        if at == now || !self.is_stale {
            return at;
        }
        self.plan_anew(now);
        self.planned.room(now, self.gap)
    }

    fn has_limits(&self, now: Timestamp) -> bool {
        !self.used.meters.is_empty() || !self.gap.is_zero() || self.closed_until > now
    }

    /// Gives everybody in the line a new time, in the same order.
    fn plan_anew(&mut self, now: Timestamp) {
        self.is_stale = false;
        self.sweep(now);
        self.planned = self.used.clone();
        let from = now.max(self.closed_until);
        for booking in self.bookings.values_mut() {
            booking.at = self.planned.room(from, self.gap);
            self.planned.take(booking.at);
        }
    }

    /// The longer nothing was refused, the less caution.
    fn ease(&mut self, now: Timestamp) {
        while !self.gap.is_zero() && now.since(self.gap_since) >= EASES_AFTER {
            self.gap_since = self.gap_since.plus(EASES_AFTER);
            self.gap = Some(self.gap / 2).filter(|gap| *gap >= FIRST_GAP).unwrap_or_default();
        }
    }

    fn booked(&self, place: i64) -> Option<Timestamp> {
        self.bookings.get(&place).map(|booking| booking.at)
    }

    fn join_last(&mut self, chat: &ChatId, at: Timestamp) -> i64 {
        let place = self.bookings.last_key_value().map_or(0, |(last, _)| last + 1);
        self.join(place, chat, at);
        place
    }

    fn join(&mut self, place: i64, chat: &ChatId, at: Timestamp) {
        self.bookings.insert(place, Booking { chat: chat.clone(), at, forfeit: FORFEIT });
        self.places.insert(chat.clone(), place);
    }

    fn leave(&mut self, place: i64) {
        if let Some(booking) = self.bookings.remove(&place) {
            self.places.remove(&booking.chat);
        }
    }
}

/// All rates of the number, and the latest message.
#[derive(Clone)]
struct Track {
    meters: Vec<Meter>,
    last: Option<Timestamp>,
}

impl Track {
    /// From when on there is room for one more, behind the latest.
    fn room(&self, now: Timestamp, gap: Duration) -> Timestamp {
        room(&self.meters, self.last.map_or(now, |last| last.plus(gap).max(now)))
    }

    fn take(&mut self, at: Timestamp) {
        self.meters.iter_mut().for_each(|meter| meter.take(at));
        self.last = self.last.max(Some(at));
    }

    fn set_back(&mut self, by: Duration) {
        self.meters.iter_mut().for_each(|meter| meter.set_back(by));
        self.last = self.last.map(|last| before(last, by));
    }
}
