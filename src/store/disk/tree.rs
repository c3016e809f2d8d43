//! The data with one writer, whose changes are staged, and then applied all together.
//!
//! Records are cut into chunks. For a leaf of sled's tree holds up to 17 values, and one of more than a quarter of a
//! segment goes to a file of its own, which sled never syncs; to other engines they do no harm. The first chunk that is
//! shorter than [`CHUNK`] is the record's last, so that a record that was cut off shows.
//!
//! Staging is what makes groups fast: an engine writes something out for every batch.

use std::collections::{BTreeMap, HashSet};

use super::engine::{KeyChange, KeyValue, KvEngine, Pairs};
use super::fault::Fault;
use super::records::{chunk_key, stem, without_chunk};

/// The length of a chunk that is not the last, in bytes. No value is longer.
const CHUNK: usize = 4_000;

/// What an engine writes for a change besides it, in bytes: in sled every tenth change of a leaf writes the leaf anew.
const OVERHEAD: usize = 1_000;

/// How much is copied at a time, in bytes.
const COPIED_AT_ONCE: usize = 1024 * 1024;

/// Changes: values that are set, and, without one, removed. Of two to one key, the later counts.
#[derive(Default)]
pub(super) struct KeyChanges(BTreeMap<Vec<u8>, Option<Vec<u8>>>);

impl KeyChanges {
    /// Sets a value.
    pub(super) fn insert(&mut self, key: Vec<u8>, value: &[u8]) {
        self.0.insert(key, Some(value.to_vec()));
    }

    /// How many values are changed.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Removes a value, if it is there.
    pub(super) fn remove(&mut self, key: Vec<u8>) {
        self.0.insert(key, None);
    }

    /// Writes a record where there is none.
    pub(super) fn put(&mut self, key: &[u8], record: &[u8]) {
        let mut chunks = record.chunks_exact(CHUNK);
        let mut number = 0;
        for chunk in &mut chunks {
            self.insert(chunk_key(key, number), chunk);
            number += 1;
        }
        // Empty, if the record is a whole number of chunks.
        self.insert(chunk_key(key, number), chunks.remainder());
    }
}

impl IntoIterator for KeyChanges {
    type Item = KeyChange;
    type IntoIter = std::collections::btree_map::IntoIter<Vec<u8>, Option<Vec<u8>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// What is left out as everything is copied.
#[derive(Default)]
pub(super) struct OmittedKeys {
    /// The keys of records and entries.
    pub(super) keys: HashSet<Vec<u8>>,
    /// What is written in their place.
    pub(super) instead: KeyChanges,
}

/// The tree, as the writer sees it: with what is staged. There is nothing staged while others read.
pub(super) struct Tree {
    engine: Box<dyn KvEngine>,
    staged: KeyChanges,
    weight: usize,
}

impl Tree {
    /// A tree with nothing staged.
    pub(super) fn new(engine: Box<dyn KvEngine>) -> Self {
        Self { engine, staged: KeyChanges::default(), weight: 0 }
    }

    /// The engine, for what is copied into it.
    pub(super) fn engine(&mut self) -> &mut dyn KvEngine {
        &mut *self.engine
    }

    /// The engine, without what is staged.
    #[cfg(test)]
    pub(super) fn into_engine(self) -> Box<dyn KvEngine> {
        self.engine
    }

    /// A value.
    pub(super) fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        match self.staged.0.get(key) {
            Some(staged) => Ok(staged.clone()),
            None => self.engine.get(key),
        }
    }

    /// A record.
    pub(super) fn record(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        let mut record = Vec::new();
        for number in 0.. {
            match self.value(&chunk_key(key, number))? {
                Some(chunk) => {
                    record.extend_from_slice(&chunk);
                    if chunk.len() < CHUNK {
                        break;
                    }
                }
                None if number == 0 => return Ok(None),
                None => return Err(Fault::damaged("a chunk is missing")),
            }
        }
        Ok(Some(record))
    }

    /// The first keys from `first` up to, and without, `end`: `most` of those that are not staged, and all that are.
    pub(super) fn keys(&self, first: &[u8], end: &[u8], most: usize) -> Result<Vec<Vec<u8>>, Fault> {
        let mut keys = Vec::new();
        for pair in self.engine.range(first, Some(end))?.take(most) {
            let (key, _) = pair?;
            if !self.staged.0.contains_key(&key) {
                keys.push(key);
            }
        }
        let staged = self.staged.0.range(first.to_vec()..end.to_vec());
        keys.extend(staged.filter(|(_, value)| value.is_some()).map(|(key, _)| key.clone()));
        Ok(keys)
    }

    /// The keys of the records under a prefix, in order.
    pub(super) fn stems(&self, prefix: &[u8]) -> Result<Vec<Vec<u8>>, Fault> {
        let end = [prefix, &[0xff; 16]].concat();
        let mut stems = Vec::new();
        for mut key in self.keys(prefix, &end, usize::MAX)? {
            if key.ends_with(&[0, 0]) && without_chunk(&key)?.len() >= prefix.len() {
                key.truncate(key.len() - 2);
                stems.push(key);
            }
        }
        stems.sort_unstable();
        Ok(stems)
    }

    /// The key of the first record from `first` up to, and without, `end`, whatever is staged.
    pub(super) fn next_stem(&self, first: &[u8], end: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        match self.engine.range(first, Some(end))?.next() {
            Some(pair) => Ok(Some(without_chunk(&pair?.0)?.to_vec())),
            None => Ok(None),
        }
    }

    /// Whether there is any key that begins with `prefix`.
    pub(super) fn any(&self, prefix: &[u8]) -> Result<bool, Fault> {
        Ok(self.last_key(prefix)?.is_some())
    }

    /// The last key that begins with `prefix`.
    pub(super) fn last_key(&self, prefix: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        let staged = self.staged.0.range(prefix.to_vec()..).take_while(|(key, _)| key.starts_with(prefix));
        let mut last = staged.filter(|(_, value)| value.is_some()).last().map(|(key, _)| key.clone());
        for pair in self.under(prefix)?.rev() {
            let (key, _) = pair?;
            if !self.staged.0.contains_key(&key) {
                last = last.max(Some(key));
                break;
            }
        }
        Ok(last)
    }

    /// Removes a record. Whether there was one.
    pub(super) fn take_out(&self, changes: &mut KeyChanges, key: &[u8]) -> Result<bool, Fault> {
        for number in 0.. {
            let key = chunk_key(key, number);
            let Some(chunk) = self.value(&key)? else { return Ok(number > 0) };
            changes.remove(key);
            if chunk.len() < CHUNK {
                break;
            }
        }
        Ok(true)
    }

    /// Writes a record, whatever was there.
    pub(super) fn replace(&self, changes: &mut KeyChanges, key: &[u8], record: &[u8]) -> Result<(), Fault> {
        self.take_out(changes, key)?;
        changes.put(key, record);
        Ok(())
    }

    /// Stages changes.
    pub(super) fn stage(&mut self, changes: KeyChanges) {
        for (key, value) in changes.0 {
            self.weight += OVERHEAD + key.len() + value.as_ref().map_or(0, Vec::len);
            self.staged.0.insert(key, value);
        }
    }

    /// About how many bytes the engine will write for what is staged.
    pub(super) fn weight(&self) -> usize {
        self.weight
    }

    /// Applies what is staged, all of it or nothing. Says whether there was anything.
    pub(super) fn apply(&mut self) -> Result<bool, Fault> {
        if self.staged.0.is_empty() {
            return Ok(false);
        }
        self.weight = 0;
        self.engine.apply(&mut std::mem::take(&mut self.staged).0.into_iter())?;
        Ok(true)
    }

    /// Makes everything durable that was applied.
    pub(super) fn sync(&self) -> Result<(), Fault> {
        self.engine.sync()
    }

    /// How much may be applied before it is made durable, by [`Tree::weight`].
    pub(super) fn most_unsynced(&self) -> usize {
        self.engine.most_unsynced()
    }

    /// The records whose keys begin with `prefix`.
    pub(super) fn records_under(&self, prefix: &[u8]) -> Records<'_> {
        Records(self.under(prefix))
    }

    /// The records from the key `first` up to, and without, `end`.
    pub(super) fn records_between(&self, first: &[u8], end: &[u8]) -> Records<'_> {
        Records(self.engine.range(first, Some(end)))
    }

    /// Copies everything into another engine but what is left out. Durable when it returns.
    pub(super) fn copy_into(
        &self,
        engine: &mut dyn KvEngine,
        OmittedKeys { keys, instead }: &OmittedKeys,
    ) -> Result<(), Fault> {
        let mut batch = Vec::new();
        let mut size = 0;
        for pair in self.engine.range(&[], None)? {
            let (key, value) = pair?;
            if keys.contains(stem(&key)?) {
                continue;
            }
            size += OVERHEAD + key.len() + value.len();
            batch.push((key, Some(value)));
            if size > COPIED_AT_ONCE {
                engine.apply(&mut batch.drain(..))?;
                size = 0;
            }
        }
        for (key, value) in &instead.0 {
            if value.is_some() {
                batch.push((key.clone(), value.clone()));
            }
        }
        engine.apply(&mut batch.into_iter())?;
        engine.sync()
    }

    /// Whether there is nothing at all.
    pub(super) fn is_empty(&self) -> Result<bool, Fault> {
        Ok(self.engine.range(&[], None)?.next().transpose()?.is_none())
    }

    fn under(&self, prefix: &[u8]) -> Result<Pairs<'_>, Fault> {
        self.engine.range(prefix, behind(prefix).as_deref())
    }
}

/// A record from its chunks and their numbers; nothing, if it is not whole.
pub(super) fn join(chunks: &[(u16, Vec<u8>)]) -> Option<Vec<u8>> {
    let (last, others) = chunks.split_last()?;
    let numbered = (0_u16..).zip(chunks).all(|(number, chunk)| chunk.0 == number);
    let whole = others.iter().all(|(_, chunk)| chunk.len() == CHUNK) && last.1.len() < CHUNK;
    (numbered && whole).then(|| chunks.iter().flat_map(|(_, chunk)| chunk).copied().collect())
}

/// The first key behind all that begin with `prefix`.
pub(super) fn behind(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return Some(end);
        }
    }
    None
}

/// A record under its key, which is without a chunk's number.
pub(super) type KeyedRecord = (Vec<u8>, Vec<u8>);

/// Records in the order of their keys.
pub(super) struct Records<'a>(Result<Pairs<'a>, Fault>);

impl Records<'_> {
    fn chunk(&mut self) -> Result<Option<KeyValue>, Fault> {
        match &mut self.0 {
            Ok(pairs) => pairs.next().transpose(),
            Err(_) => {
                let nothing: Pairs<'_> = Box::new(std::iter::empty());
                std::mem::replace(&mut self.0, Ok(nothing)).map(|_| None)
            }
        }
    }

    fn read(&mut self) -> Result<Option<KeyedRecord>, Fault> {
        let Some((mut at, mut chunk)) = self.chunk()? else { return Ok(None) };
        let key = without_chunk(&at)?.to_vec();
        let mut record = Vec::new();
        for number in 0.. {
            if at != chunk_key(&key, number) {
                return Err(Fault::damaged("a chunk is missing"));
            }
            record.extend_from_slice(&chunk);
            if chunk.len() < CHUNK {
                break;
            }
            (at, chunk) = self.chunk()?.ok_or_else(|| Fault::damaged("a chunk is missing"))?;
        }
        Ok(Some((key, record)))
    }
}

impl Iterator for Records<'_> {
    type Item = Result<KeyedRecord, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}
