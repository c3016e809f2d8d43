//! Reads everything once when a store is opened: proof that it can be read, and what the schedule is built from.

use std::collections::HashMap;

use serde::de::DeserializeOwned;

use super::fault::Fault;
use super::ledger::{self, Known};
use super::records::{self, Hash, LAST};
use super::tree::Tree;
use crate::clock::Timestamp;
use crate::handler::Said;
use crate::message::Conversation;
use crate::store::parts::Trace;
use crate::store::record::{self, Arrival};
use crate::store::schedule::Work;
use crate::store::{DeadLetter, FailedPart, Outgoing, Seq};

/// What a tree holds.
#[derive(Default)]
pub(super) struct Found {
    /// The number given to a message last.
    pub(super) last: Seq,
    /// The conversations that have something to do, in the order in which they are to be served.
    pub(super) unfinished: Vec<Unfinished>,
}

/// A conversation that has something to do.
pub(super) struct Unfinished {
    pub(super) conversation: Conversation,
    pub(super) work: Work,
    pub(super) not_before: Timestamp,
}

/// Reads everything. Nothing, if the tree has never held anything. Calls `progress` every now and then.
pub(super) fn check(tree: &Tree, progress: &dyn Fn()) -> Result<Option<Found>, Fault> {
    let Some(last) = tree.value(LAST)? else {
        return if tree.is_empty()? { Ok(None) } else { Err(Fault::damaged("the last number is missing")) };
    };
    let last = Seq(records::number(&last)?);
    let mut walk = Walk { tree, progress, read: 0 };
    let mut work: HashMap<Hash, (Work, Option<Seq>)> = HashMap::new();
    walk.each::<Known>(b"c", |_, _| Ok(()))?;
    walk.each::<Said>(b"h", |_, _| Ok(()))?;
    walk.each::<DeadLetter>(b"x", |_, _| Ok(()))?;
    walk.each::<Outgoing>(b"o", |key, _| {
        work.entry(place(key)?).or_default().0.outgoing = true;
        Ok(())
    })?;
    walk.each::<FailedPart>(b"f", |key, _| {
        work.entry(place(key)?).or_default().0.failed = true;
        Ok(())
    })?;
    walk.each::<Trace>(b"p", |_, _| Ok(()))?;
    walk.each::<Arrival>(b"m", |key, _| {
        let (work, oldest) = work.entry(place(key)?).or_default();
        *oldest = oldest.or(Some(Seq(records::number(key)?)));
        work.messages += 1;
        Ok(())
    })?;
    walk.marks()?;
    // What was being sent comes first.
    let mut work: Vec<(Hash, (Work, Option<Seq>))> = work.into_iter().collect();
    work.sort_by_key(|(_, (work, oldest))| (!work.outgoing, *oldest));
    let unfinished = work.into_iter().map(|(place, (work, _))| {
        let Known { conversation, not_before, .. } = ledger::known(tree, place)?;
        Ok(Unfinished { conversation, work, not_before })
    });
    Ok(Some(Found { last, unfinished: unfinished.collect::<Result<_, Fault>>()? }))
}

struct Walk<'a> {
    tree: &'a Tree,
    progress: &'a dyn Fn(),
    read: usize,
}

impl Walk<'_> {
    fn each<T: DeserializeOwned>(
        &mut self,
        kind: &[u8],
        mut seen: impl FnMut(&[u8], T) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        for entry in self.tree.records_under(kind) {
            let (key, record) = entry?;
            seen(&key, record::decode(&record)?)?;
            self.step();
        }
        Ok(())
    }

    fn marks(&mut self) -> Result<(), Fault> {
        for entry in self.tree.entries_under(b"d") {
            ledger::read_mark(&entry?.1)?;
            self.step();
        }
        for entry in self.tree.entries_under(b"e") {
            let (key, _) = entry?;
            records::hash(key.get(5..).unwrap_or_default())?;
            self.step();
        }
        for entry in self.tree.entries_under(b"i") {
            records::hash(&entry?.1)?;
            self.step();
        }
        Ok(())
    }

    fn step(&mut self) {
        self.read += 1;
        if self.read.is_multiple_of(1_000) {
            (self.progress)();
        }
    }
}

/// Which conversation a key belongs to.
fn place(key: &[u8]) -> Result<Hash, Fault> {
    records::hash(key.get(1..).unwrap_or_default())
}
