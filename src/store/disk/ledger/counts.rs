//! Counters, each with its end.

use super::{Fault, Ledger};
use crate::message::Count;
use crate::store::disk::records::{self, Hash, LAST};
use crate::store::disk::tree::KeyChanges;

impl Ledger {
    /// Adds to all of these, or to none, and says which would be over its limit.
    pub(in crate::store::disk) fn count(&mut self, counts: &[Count]) -> Result<Option<usize>, Fault> {
        let mut sums: Vec<(Vec<u8>, u64)> = Vec::with_capacity(counts.len());
        for (place, count) in counts.iter().enumerate() {
            let key = records::counter(records::hour(count.until), Hash::of_counter(&count.name));
            // The same counter twice, perhaps.
            let now = match sums.iter().rev().find(|(known, _)| *known == key) {
                Some((_, sum)) => *sum,
                None => match self.tree.value(&key)? {
                    Some(value) => records::number(&value)?,
                    None => 0,
                },
            };
            let Some(sum) = count.added_to(now) else { return Ok(Some(place)) };
            sums.push((key, sum));
        }
        let mut changes = KeyChanges::default();
        for (key, sum) in sums {
            changes.insert(key, &sum.to_be_bytes());
        }
        // It stands in every tree that is not empty.
        changes.insert(LAST.to_vec(), &self.last.0.to_be_bytes());
        self.tree.stage(changes);
        Ok(None)
    }
}
