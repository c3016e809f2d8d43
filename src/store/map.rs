//! A plain ordered map as a store's engine: nothing is durable.

use std::collections::BTreeMap;

use super::disk::{Fault, KeyChange, KvEngine, Pairs};

/// Keys with values in memory.
#[derive(Default)]
pub(super) struct OrderedMap(BTreeMap<Vec<u8>, Vec<u8>>);

impl KvEngine for OrderedMap {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        Ok(self.0.get(key).cloned())
    }

    fn range(&self, first: &[u8], end: Option<&[u8]>) -> Result<Pairs<'_>, Fault> {
        // `BTreeMap` panics where the end stands before the beginning.
        if end.is_some_and(|end| end <= first) {
            return Ok(Box::new(std::iter::empty()));
        }
        let pair = |(key, value): (&Vec<u8>, &Vec<u8>)| Ok((key.clone(), value.clone()));
        Ok(match end {
            Some(end) => Box::new(self.0.range(first.to_vec()..end.to_vec()).map(pair)),
            None => Box::new(self.0.range(first.to_vec()..).map(pair)),
        })
    }

    fn apply(&mut self, changes: &mut dyn Iterator<Item = KeyChange>) -> Result<(), Fault> {
        for (key, value) in changes {
            match value {
                Some(value) => drop(self.0.insert(key, value)),
                None => drop(self.0.remove(&key)),
            }
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), Fault> {
        Ok(())
    }

    fn most_unsynced(&self) -> usize {
        usize::MAX
    }

    fn count(&self) -> Result<Option<u64>, Fault> {
        Ok(Some(self.0.len() as u64))
    }
}
