//! Reads everything that a store holds, as far as that is possible, and says what cannot be read.
//!
//! What is damaged hides what stands next to it, so the data is read in many small ranges: each from its beginning up
//! to where it cannot be read, and then from its end.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::de::DeserializeOwned;

use super::engine::{KeyValue, KvEngine};
use super::fault::Fault;
use super::ledger::{self, Known};
use super::records::{self, Hash, is_chunked, without_chunk};
use super::tree::{behind, join};
use crate::message::{HistoryEntry, Summary};
use crate::store::contact::ContactRecord;
use crate::store::invitations::Invitations;
use crate::store::parts::Trace;
use crate::store::record::{self, Arrival};
use crate::store::{DeadLetter, FailedPart, Outgoing};

/// What there is of everything, in the order in which it is told.
const KINDS: [(u8, &str); 18] = [
    (b'c', "conversations"),
    (b'm', "messages that wait"),
    (b'o', "replies on their way"),
    (b'f', "parts that failed"),
    (b'p', "parts of replies"),
    (b'h', "things said"),
    (b's', "summaries"),
    (b'x', "dead letters"),
    (b'd', "marks of accepted messages"),
    (b'e', "marks by the hour"),
    (b'i', "upstreams' names of parts"),
    (b'q', "pauses and the like, by name"),
    (b'n', "counters"),
    (b'w', "bots' invitations"),
    (b'a', "names of whom conversations are with"),
    (b'l', "the last number"),
    (b't', "the marks' clock"),
    (b'v', "the version"),
];

/// So many errors in a row, and the rest of a range is given up.
const PATIENCE: usize = 16;

/// What a store holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreReport {
    tallies: BTreeMap<u8, KindCount>,
    /// Pairs that the engine counts and nobody has seen.
    missing: u64,
    /// Pairs that are of no kind that is known.
    strange: u64,
    /// Conversations that lack what is known of them.
    nameless: u64,
}

/// How much there is of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct KindCount {
    whole: u64,
    damaged: u64,
}

/// Something that can be read: its kind, the pairs that it is made of, and which conversation it belongs to.
pub(super) struct WholeRecord {
    pub(super) kind: u8,
    pub(super) pairs: Vec<KeyValue>,
    /// What is known of the conversation, where nothing else says so.
    pub(super) known: Option<Known>,
}

impl StoreReport {
    /// How many of a kind can be read, by the kind's name.
    pub fn whole(&self, name: &str) -> u64 {
        let kind = KINDS.iter().find(|(_, known)| *known == name);
        kind.and_then(|(kind, _)| self.tallies.get(kind)).map_or(0, |tally| tally.whole)
    }

    /// How many things of all kinds cannot be read, or are missing.
    pub fn damaged(&self) -> u64 {
        self.tallies.values().map(|tally| tally.damaged).sum::<u64>() + self.missing + self.strange + self.nameless
    }

    /// What is wrong, in a line; nothing, if nothing is.
    pub fn trouble(&self) -> Option<String> {
        (self.damaged() > 0).then(|| self.troubles().join(", "))
    }

    fn troubles(&self) -> Vec<String> {
        let damaged = KINDS.iter().filter_map(|(kind, name)| match self.tallies.get(kind)?.damaged {
            0 => None,
            damaged => Some(format!("{name}: {damaged} cannot be read")),
        });
        let others = [
            (self.nameless, "conversations of which nothing is known"),
            (self.strange, "entries of no known kind"),
            (self.missing, "entries are gone"),
        ];
        damaged
            .chain(others.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")))
            .collect()
    }

    fn tally(&mut self, kind: u8) -> &mut KindCount {
        self.tallies.entry(kind).or_default()
    }
}

impl fmt::Display for StoreReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, name) in &KINDS[..15] {
            let tally = self.tallies.get(kind).copied().unwrap_or_default();
            writeln!(f, "{:>12}  {name}", tally.whole)?;
        }
        match self.troubles()[..] {
            [] => write!(f, "nothing is damaged"),
            ref troubles => write!(f, "damaged: {}", troubles.join("; ")),
        }
    }
}

/// Reads everything, and hands over what is whole. Calls `progress` every now and then.
pub(super) fn examine(engine: &dyn KvEngine, progress: &dyn Fn(), found: &mut dyn FnMut(WholeRecord)) -> StoreReport {
    let mut examination = Examination::default();
    for kind in 0..=u8::MAX {
        // The others have one key each, or none.
        let many = is_chunked(kind) || matches!(kind, b'a' | b'd' | b'e' | b'i' | b'n');
        if !many {
            examination.range(engine, kind, &[kind], behind(&[kind]).as_deref(), found);
            continue;
        }
        for second in 0..=u8::MAX {
            let first = [kind, second];
            let first = if second == 0 { &first[..1] } else { &first[..] };
            let end = if second == u8::MAX { behind(&[kind]) } else { Some(vec![kind, second + 1]) };
            examination.range(engine, kind, first, end.as_deref(), found);
            progress();
        }
    }
    let Examination { mut report, seen, at_work, known } = examination;
    report.nameless = at_work.difference(&known).count() as u64;
    if report.damaged() == 0
        && let Ok(Some(count)) = engine.count()
    {
        report.missing = count.saturating_sub(seen);
    }
    report
}

#[derive(Default)]
struct Examination {
    report: StoreReport,
    /// How many pairs there were.
    seen: u64,
    /// The conversations that have something to do, and those of which something is known.
    at_work: HashSet<Hash>,
    known: HashSet<Hash>,
}

impl Examination {
    fn range(
        &mut self,
        engine: &dyn KvEngine,
        kind: u8,
        first: &[u8],
        end: Option<&[u8]>,
        found: &mut dyn FnMut(WholeRecord),
    ) {
        let read = catch_unwind(AssertUnwindSafe(|| read(engine, first, end)));
        let (pairs, errors) = read.unwrap_or_else(|_| (Vec::new(), 1));
        self.seen += pairs.len() as u64;
        if errors > 0 {
            self.report.tally(kind).damaged += errors;
        }
        let mut rest = &pairs[..];
        while let Some((pair, _)) = rest.split_first() {
            // Only the chunks of one record begin alike and are two bytes longer.
            let stem = if is_chunked(kind) { without_chunk(&pair.0).ok() } else { None };
            let together = rest.iter().take_while(|next| stem.is_some() && without_chunk(&next.0).ok() == stem).count();
            let (record, others) = rest.split_at(together.max(1));
            rest = others;
            self.record(kind, stem, record, found);
        }
    }

    fn record(&mut self, kind: u8, stem: Option<&[u8]>, pairs: &[KeyValue], found: &mut dyn FnMut(WholeRecord)) {
        if !KINDS.iter().any(|(known, _)| *known == kind) {
            self.report.strange += 1;
            return;
        }
        let read = match stem {
            Some(stem) => join(&chunks(pairs)).ok_or(Fault::damaged("a chunk is missing")).and_then(|record| {
                let of = records::hash(stem.get(1..).unwrap_or_default());
                understand(kind, stem, &record).map(|known| (of.ok(), known))
            }),
            None => understand_value(kind, &pairs[0]).map(|()| (None, None)),
        };
        let Ok((of, known)) = read else {
            self.report.tally(kind).damaged += 1;
            return;
        };
        self.report.tally(kind).whole += 1;
        match (kind, of) {
            (b'c', Some(of)) => drop(self.known.insert(of)),
            (b'm' | b'o' | b'f', Some(of)) => drop(self.at_work.insert(of)),
            _ => {}
        }
        found(WholeRecord { kind, pairs: pairs.to_vec(), known });
    }
}

/// The pairs of a range, and how many could not be read.
fn read(engine: &dyn KvEngine, first: &[u8], end: Option<&[u8]>) -> (Vec<KeyValue>, u64) {
    let (mut pairs, errors, whole) = walk(engine.range(first, end).into_iter().flatten());
    if whole {
        return (pairs, errors);
    }
    let last = pairs.last().map(|(key, _)| key.clone());
    let backwards = engine.range(first, end).into_iter().flat_map(Iterator::rev);
    let beyond = backwards.take_while(|pair| !pair.as_ref().is_ok_and(|(key, _)| Some(key) <= last.as_ref()));
    let (mut others, _, _) = walk(beyond);
    others.reverse();
    pairs.append(&mut others);
    (pairs, errors)
}

/// Reads until there are no more pairs, or too many errors; says which.
fn walk(pairs: impl Iterator<Item = Result<KeyValue, Fault>>) -> (Vec<KeyValue>, u64, bool) {
    let (mut read, mut errors, mut in_a_row) = (Vec::new(), 0, 0);
    for pair in pairs {
        match pair {
            Ok(pair) => {
                read.push(pair);
                in_a_row = 0;
            }
            Err(_) => {
                errors += 1;
                in_a_row += 1;
            }
        }
        if in_a_row >= PATIENCE {
            return (read, errors, false);
        }
    }
    (read, errors, true)
}

fn chunks(pairs: &[KeyValue]) -> Vec<(u16, Vec<u8>)> {
    let number = |key: &[u8]| key.last_chunk().map_or(0, |number| u16::from_be_bytes(*number));
    pairs.iter().map(|(key, value)| (number(key), value.clone())).collect()
}

/// Whether a record says what its kind says, and stands where it belongs. What it tells of its conversation.
fn understand(kind: u8, stem: &[u8], record: &[u8]) -> Result<Option<Known>, Fault> {
    let conversation = match kind {
        b'c' => {
            let known: Known = record::decode(record)?;
            known.conversation
        }
        b'm' => {
            let Arrival { inbound, accepted, .. } = record::decode(record)?;
            let conversation = inbound.at.conversation();
            at_home(stem, &conversation)?;
            let mut known = Known::new(conversation, accepted);
            known.meet(&inbound.at);
            return Ok(Some(known));
        }
        b'o' => record::decode::<Outgoing>(record)?.to.conversation(),
        b'f' => record::decode::<FailedPart>(record)?.sent.conversation,
        b'h' => return decode::<HistoryEntry>(record),
        b's' => return decode::<Summary>(record),
        b'x' => return decode::<DeadLetter>(record),
        b'q' => return decode::<ContactRecord>(record),
        b'w' => return decode::<Invitations>(record),
        _ => return decode::<Trace>(record),
    };
    at_home(stem, &conversation)?;
    Ok((kind != b'c').then(|| Known::new(conversation, crate::message::clock::Timestamp::default())))
}

fn decode<T: DeserializeOwned>(record: &[u8]) -> Result<Option<Known>, Fault> {
    record::decode::<T>(record)?;
    Ok(None)
}

/// Whether a record stands under its conversation.
fn at_home(stem: &[u8], conversation: &crate::message::Conversation) -> Result<(), Fault> {
    if stem.get(1..17) == Some(&Hash::of_conversation(conversation).0) {
        Ok(())
    } else {
        Err(Fault::damaged("a record is in the wrong place"))
    }
}

fn understand_value(kind: u8, (key, value): &KeyValue) -> Result<(), Fault> {
    match kind {
        b'd' => ledger::read_mark(value).map(drop),
        b'e' => records::hash(key.get(5..).unwrap_or_default()).map(drop),
        b'a' | b'i' => records::hash(value).map(drop),
        b'l' | b'n' | b't' => records::number(value).map(drop),
        b'v' => records::format(value).map(drop),
        _ => Err(Fault::damaged("it is not whole")),
    }
}
