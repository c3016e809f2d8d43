//! Throws away what has lived long enough, a little at a time.

use super::age::KEPT_ALONE_EVERY;
use super::{Fault, Ledger};
use crate::message::HistoryEntry;
use crate::message::clock::Timestamp;
use crate::store::contact::ContactRecord;
use crate::store::disk::committer::Moment;
use crate::store::disk::records::{self, Hash};
use crate::store::disk::tree::KeyChanges;
use crate::store::parts::Trace;
use crate::store::record;
use crate::store::{DeadLetter, Retention, Swept};

/// How many records are looked at in one step.
const STEP: usize = 200;

/// So many changes end a step, too: each is a key, and a long record has many.
const MOST_CHANGES: usize = 4 * STEP;

/// Where the sweep goes on: at which key.
pub(super) struct Cursor(Vec<u8>);

impl Default for Cursor {
    fn default() -> Self {
        Self(b"c".to_vec())
    }
}

impl Ledger {
    /// One step of the sweep.
    pub(in crate::store::disk) fn sweep(&mut self, retention: &Retention, moment: Moment) -> Result<Swept, Fault> {
        let now = moment.now;
        let mut swept = Swept::default();
        let mut changes = KeyChanges::default();
        for _ in 0..STEP {
            if swept.round || changes.len() >= MOST_CHANGES {
                break;
            }
            let kind = self.cursor.0[0];
            let Some(key) = self.tree.next_stem(&self.cursor.0, &[kind + 1])? else {
                self.cursor.0 = match kind {
                    b'c' => b"p".to_vec(),
                    b'p' => b"q".to_vec(),
                    b'q' => b"x".to_vec(),
                    _ => {
                        swept.round = true;
                        b"c".to_vec()
                    }
                };
                continue;
            };
            let looked_through = match kind {
                b'c' => self.sweep_conversation(&mut changes, &key, retention, now, &mut swept)?,
                b'p' => self.sweep_part(&mut changes, &key, retention, now, &mut swept)?,
                b'q' => self.sweep_standing(&mut changes, &key, now)?,
                _ => self.sweep_letter(&mut changes, &key, retention, now, &mut swept)?,
            };
            if looked_through {
                self.cursor.0 = records::behind(&key);
            }
        }
        // Where nobody writes, time passes too.
        self.keep_age(&mut changes, moment.aged, KEPT_ALONE_EVERY)?;
        self.tree.stage(changes);
        Ok(swept)
    }

    /// Whether this conversation is done with; else it goes on in the next step.
    fn sweep_conversation(
        &self,
        changes: &mut KeyChanges,
        key: &[u8],
        retention: &Retention,
        now: Timestamp,
        swept: &mut Swept,
    ) -> Result<bool, Fault> {
        let place = records::hash(&key[1..])?;
        let Some(known) = self.known(place)? else { return Ok(true) };
        let mut last_word = known.since.max(known.failure_replied.unwrap_or_default());
        if let Some(newest) = self.newest(b'h', place)?
            && let Some(record) = self.tree.record(&records::said(place, newest))?
        {
            last_word = last_word.max(record::decode::<HistoryEntry>(&record)?.time);
        }
        if now.since(last_word) < retention.history || self.has_work(place)? {
            return Ok(true);
        }
        // The newest goes last, so that a long history may go in several steps.
        for said in self.tree.stems(&records::of_conversation(b'h', place))? {
            if changes.len() >= MOST_CHANGES {
                return Ok(false);
            }
            self.tree.take_out(changes, &said)?;
        }
        self.tree.take_out(changes, &records::of_conversation(b's', place))?;
        self.listed(place, &known)?.into_iter().for_each(|key| changes.remove(key));
        self.tree.take_out(changes, key)?;
        swept.conversations += 1;
        Ok(true)
    }

    fn sweep_part(
        &self,
        changes: &mut KeyChanges,
        key: &[u8],
        retention: &Retention,
        now: Timestamp,
        swept: &mut Swept,
    ) -> Result<bool, Fault> {
        let Some(record) = self.tree.record(key)? else { return Ok(true) };
        match record::decode(&record)? {
            Trace::Sent(part) if now.since(part.sent) >= retention.sent => {
                self.forget_part(changes, key, &part)?;
                swept.sent += 1;
            }
            // Of something that was not said in the end.
            Trace::Outgoing(part) if self.state(&part)?.is_none() => drop(self.tree.take_out(changes, key)?),
            Trace::Sent(_) | Trace::Outgoing(_) => {}
        }
        Ok(true)
    }

    /// A pause that lasts until somebody ends it stays, however long that takes.
    fn sweep_standing(&self, changes: &mut KeyChanges, key: &[u8], now: Timestamp) -> Result<bool, Fault> {
        if let Some(record) = self.tree.record(key)?
            && record::decode::<ContactRecord>(&record)?.standing.is_over(now)
        {
            self.tree.take_out(changes, key)?;
        }
        Ok(true)
    }

    fn sweep_letter(
        &self,
        changes: &mut KeyChanges,
        key: &[u8],
        retention: &Retention,
        now: Timestamp,
        swept: &mut Swept,
    ) -> Result<bool, Fault> {
        if let Some(record) = self.tree.record(key)?
            && now.since(record::decode::<DeadLetter>(&record)?.since) >= retention.dead
        {
            self.tree.take_out(changes, key)?;
            swept.dead += 1;
        }
        Ok(true)
    }

    pub(super) fn has_work(&self, place: Hash) -> Result<bool, Fault> {
        for kind in *b"mof" {
            if self.tree.any(&records::of_conversation(kind, place))? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
