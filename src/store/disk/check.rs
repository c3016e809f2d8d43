//! Reads what waits when a store is opened: proof that it can be read, and what the schedule is built from.
//!
//! What does not wait is not read then, for that may be a million conversations: a start takes as long as there is
//! work left. It is read by `threedots store verify`, and at the opening that follows a failure by damaged data.

use std::collections::HashMap;

use serde::de::DeserializeOwned;

use super::fault::Fault;
use super::ledger::{self, Known};
use super::records::{self, FORMAT, Hash, LAST};
use super::tree::Tree;
use crate::message::Conversation;
use crate::message::clock::Timestamp;
use crate::store::record::{self, Arrival, VERSION};
use crate::store::schedule::Work;
use crate::store::{FailedPart, Outgoing, Seq};

/// What a tree holds.
#[derive(Default)]
pub(super) struct CheckFindings {
    /// The number given to a message last.
    pub(super) last: Seq,
    /// The conversations that have something to do, in the order in which they are to be served.
    pub(super) unfinished: Vec<PendingConversation>,
}

/// A conversation that has something to do.
pub(super) struct PendingConversation {
    pub(super) conversation: Conversation,
    pub(super) work: Work,
    /// When its oldest message was accepted.
    pub(super) since: Timestamp,
    pub(super) not_before: Timestamp,
}

/// The number of a message, and when it was accepted.
type Oldest = (Seq, Timestamp);

/// Reads what waits. Nothing, if the tree has never held anything. Calls `progress` every now and then.
pub(super) fn check(tree: &Tree, progress: &dyn Fn()) -> Result<Option<CheckFindings>, Fault> {
    if let Some(format) = tree.value(FORMAT)? {
        let format = records::format(&format)?;
        if format > VERSION {
            return Err(Fault::Newer(format));
        }
    }
    let Some(last) = tree.value(LAST)? else {
        return if tree.is_empty()? { Ok(None) } else { Err(Fault::damaged("the last number is missing")) };
    };
    let last = Seq(records::number(&last)?);
    let mut walk = Walk { tree, progress, read: 0 };
    let mut work: HashMap<Hash, (Work, Option<Oldest>)> = HashMap::new();
    walk.each::<Outgoing>(b"o", |key, _| {
        work.entry(place(key)?).or_default().0.outgoing = true;
        Ok(())
    })?;
    walk.each::<FailedPart>(b"f", |key, _| {
        work.entry(place(key)?).or_default().0.failed = true;
        Ok(())
    })?;
    walk.each::<Arrival>(b"m", |key, arrival| {
        let (work, oldest) = work.entry(place(key)?).or_default();
        *oldest = oldest.or(Some((Seq(records::number(key)?), arrival.accepted)));
        work.messages += 1;
        Ok(())
    })?;
    // What was being sent comes first.
    let mut work: Vec<(Hash, (Work, Option<Oldest>))> = work.into_iter().collect();
    work.sort_by_key(|(_, (work, oldest))| (!work.outgoing, *oldest));
    let unfinished = work.into_iter().map(|(place, (work, oldest))| {
        let Known { conversation, not_before, .. } = ledger::known(tree, place)?;
        walk.step();
        let since = oldest.map_or(Timestamp::default(), |(_, accepted)| accepted);
        Ok(PendingConversation { conversation, work, since, not_before })
    });
    Ok(Some(CheckFindings { last, unfinished: unfinished.collect::<Result<_, Fault>>()? }))
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
            seen(&key, record::decode::<T>(&record)?)?;
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
