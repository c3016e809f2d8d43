//! How much of one rate is used up.

use std::collections::VecDeque;
use std::time::Duration;

use crate::message::clock::Timestamp;
use crate::provider::Rate;

/// Calls that leave this far apart may arrive together: who has to wait waits so much longer than the rate asks.
const ON_THE_WAY: Duration = Duration::from_millis(100);

/// How much of one rate is used up.
#[derive(Clone)]
pub(super) enum Meter {
    /// When the latest messages were, `most` of them, oldest first.
    Window { most: usize, per: Duration, taken: VecDeque<Timestamp> },
    /// From when on nothing of it is used up any longer.
    Bucket { every: Duration, burst: u32, whole: Timestamp },
}

impl Meter {
    /// Of which nothing is used.
    pub(super) fn new(rate: Rate) -> Self {
        match rate {
            Rate::Window { most, per } => {
                Self::Window { most: most.max(1) as usize, per: per + ON_THE_WAY, taken: VecDeque::new() }
            }
            Rate::Bucket { every, burst } => Self::Bucket { every, burst: burst.max(1), whole: Timestamp::default() },
        }
    }

    /// From when on there is room for one more: `now`, or later.
    pub(super) fn room(&self, now: Timestamp) -> Timestamp {
        match self {
            Self::Window { most, per, taken } => {
                let blocking = taken.len().checked_sub(*most).and_then(|place| taken.get(place));
                blocking.map_or(now, |blocking| blocking.plus(*per).max(now))
            }
            Self::Bucket { every, burst, whole } => {
                let free = before(*whole, every.saturating_mul(burst.saturating_sub(1)));
                if free <= now { now } else { free.plus(ON_THE_WAY) }
            }
        }
    }

    /// One more is sent at `at`, which may be over the rate.
    pub(super) fn take(&mut self, at: Timestamp) {
        match self {
            Self::Window { most, taken, .. } => {
                // Nearly always the end.
                let place = taken.iter().rposition(|earlier| *earlier <= at).map_or(0, |place| place + 1);
                taken.insert(place, at);
                while taken.len() > *most {
                    taken.pop_front();
                }
            }
            Self::Bucket { every, whole, .. } => *whole = at.max(*whole).plus(*every),
        }
    }

    /// One was sent at `at`, as we know from elsewhere: not more than fits, or it would not have been sent.
    pub(super) fn recall(&mut self, at: Timestamp) {
        self.take(at);
        if let Self::Bucket { every, burst, whole } = self {
            *whole = (*whole).min(at.plus(every.saturating_mul(*burst)));
        }
    }

    /// The upstream sees it as used up, whatever we thought: until then, or until one message's worth has come back.
    pub(super) fn exhaust(&mut self, until: Option<Timestamp>, now: Timestamp) {
        if let Self::Bucket { every, burst, whole } = self {
            let until = until.unwrap_or(now.plus(*every));
            *whole = (*whole).max(until.plus(every.saturating_mul(burst.saturating_sub(1))));
        }
    }

    /// Whether nothing of it is used up any longer.
    pub(super) fn is_whole(&self, now: Timestamp) -> bool {
        match self {
            Self::Window { per, taken, .. } => taken.back().is_none_or(|last| last.plus(*per) <= now),
            Self::Bucket { whole, .. } => *whole <= now,
        }
    }

    /// The clock was set back by so much.
    pub(super) fn set_back(&mut self, by: Duration) {
        match self {
            Self::Window { taken, .. } => taken.iter_mut().for_each(|at| *at = before(*at, by)),
            Self::Bucket { whole, .. } => *whole = before(*whole, by),
        }
    }
}

/// The time so much earlier.
pub(super) fn before(at: Timestamp, by: Duration) -> Timestamp {
    Timestamp(at.0.saturating_sub(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
}

/// From when on there is room in all of them.
pub(super) fn room(meters: &[Meter], now: Timestamp) -> Timestamp {
    meters.iter().map(|meter| meter.room(now)).max().unwrap_or(now)
}
