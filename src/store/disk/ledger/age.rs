//! How far the clock is by which marks age: see [`AgeClock`](crate::store::age::AgeClock).

use std::time::Duration;

use super::{EXPIRED_AT_ONCE, Fault, Ledger};
use crate::message::clock::Timestamp;
use crate::store::disk::records::{self, AGE};
use crate::store::disk::tree::{KeyChanges, Tree};

/// How far the clock goes by which marks age until that is kept along with something else; by itself; and
/// when the store is closed.
pub(super) const KEPT_EVERY: Duration = Duration::from_mins(10);
pub(super) const KEPT_ALONE_EVERY: Duration = Duration::from_hours(1);
const KEPT_AT_CLOSE_EVERY: Duration = Duration::from_millis(1);

/// How long a proactive message's mark is up to the time since when it ages, in bytes.
const PROACTIVE_MARK: usize = 40;

/// Where the clock stood when that was last kept. In a store from before there was one it begins with the time of day,
/// but at no later time than that of the newest mark: whatever made the time of day jump meanwhile ages nothing.
pub(in crate::store::disk) fn stood_at(tree: &Tree, now: Timestamp) -> Result<Timestamp, Fault> {
    if let Some(kept) = kept(tree)? {
        return Ok(kept);
    }
    let Some(newest) = tree.last_key(b"e")? else { return Ok(now) };
    let hour = newest.get(1..).and_then(|hour| hour.first_chunk()).map_or(0, |hour| u32::from_be_bytes(*hour));
    Ok(now.min(records::end_of_hour(hour)))
}

fn kept(tree: &Tree) -> Result<Option<Timestamp>, Fault> {
    tree.value(AGE)?.map(|value| records::number(&value).map(Timestamp)).transpose()
}

impl Ledger {
    /// Lets marks age from now on that were set ahead of their clock, by a time of day that was wrong: they would stay
    /// for as long as it was wrong.
    pub(super) fn bring_back(&self, changes: &mut KeyChanges, aged: Timestamp) -> Result<(), Fault> {
        let ahead = records::expiry_hour(records::hour(aged).saturating_add(2));
        for key in self.tree.keys(&ahead, b"f", EXPIRED_AT_ONCE)? {
            let mark = records::hash(key.get(5..).unwrap_or_default())?;
            changes.remove(key);
            if let Some(mut value) = self.tree.value(&records::mark(mark))? {
                let place = if value.len() > PROACTIVE_MARK { PROACTIVE_MARK } else { 8 };
                value.splice(place..place + 8, aged.0.to_be_bytes());
                changes.insert(records::mark(mark), &value);
                changes.insert(records::expiry(records::hour(aged), mark), &[]);
            }
        }
        Ok(())
    }

    /// Keeps how far the clock is by which marks age, to the millisecond.
    pub(in crate::store::disk) fn keep_age_at_close(&mut self, aged: Timestamp) -> Result<(), Fault> {
        let mut changes = KeyChanges::default();
        self.keep_age(&mut changes, aged, KEPT_AT_CLOSE_EVERY)?;
        self.tree.stage(changes);
        Ok(())
    }

    /// Keeps how far the clock is by which marks age, if it has come so much further. What a crash takes of that makes
    /// them stay longer.
    pub(super) fn keep_age(&self, changes: &mut KeyChanges, aged: Timestamp, step: Duration) -> Result<(), Fault> {
        if kept(&self.tree)?.is_none_or(|kept| aged.since(kept) >= step) {
            changes.insert(AGE.to_vec(), &aged.0.to_be_bytes());
        }
        Ok(())
    }
}
