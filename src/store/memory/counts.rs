//! Counters, each with its end.

use super::ledger::Ledger;
use crate::message::Count;
use crate::message::clock::Timestamp;

impl Ledger {
    /// Adds to all of these, or to none, and says which would be over its limit.
    pub(super) fn count(&mut self, counts: Vec<Count>, now: Timestamp) -> Option<usize> {
        self.counters = self.counters.split_off(&(now, String::new()));
        let mut sums: Vec<((Timestamp, String), u64)> = Vec::with_capacity(counts.len());
        for (place, count) in counts.into_iter().enumerate() {
            let key = (count.until, count.name.clone());
            let now = sums.iter().rev().find(|(known, _)| *known == key).map(|(_, sum)| sum);
            let now = now.or_else(|| self.counters.get(&key)).copied().unwrap_or_default();
            let Some(sum) = count.added_to(now) else { return Some(place) };
            sums.push((key, sum));
        }
        self.counters.extend(sums);
        None
    }
}
