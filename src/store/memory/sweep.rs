//! Throws away what has lived long enough, a little at a time.

use std::ops::Bound;

use super::ledger::{Known, Ledger, decode};
use crate::message::clock::Timestamp;
use crate::message::{BotName, Conversation, HistoryEntry, PartKey};
use crate::store::parts::Trace;
use crate::store::{Retention, Seq, StoreError, Swept};

/// How much is looked at in one step.
const STEP: usize = 200;

/// What was looked at last.
#[derive(Clone)]
pub(super) enum Cursor {
    Conversations(Option<Conversation>),
    Parts(Option<PartKey>),
    Standings(Option<(BotName, String)>),
    Dead(Option<Seq>),
}

impl Default for Cursor {
    fn default() -> Self {
        Self::Conversations(None)
    }
}

impl Ledger {
    /// One step of the sweep.
    pub(super) fn sweep(&mut self, retention: &Retention, now: Timestamp) -> Result<Swept, StoreError> {
        let mut swept = Swept::default();
        for _ in 0..STEP {
            self.cursor = match std::mem::take(&mut self.cursor) {
                Cursor::Conversations(after) => match next(&self.conversations, after) {
                    None => Cursor::Parts(None),
                    Some((conversation, known)) => {
                        let old = known.work().is_nothing() && now.since(known.last_word()?) >= retention.history;
                        if old {
                            self.conversations.remove(&conversation);
                            let Conversation { bot, chat } = &conversation;
                            self.people.retain(|(of, _), listed| of != bot || listed != chat);
                            swept.conversations += 1;
                        }
                        Cursor::Conversations(Some(conversation))
                    }
                },
                Cursor::Parts(after) => match next(&self.parts, after) {
                    None => Cursor::Standings(None),
                    Some((key, trace)) => {
                        if let Trace::Sent(part) = trace
                            && now.since(part.sent) >= retention.sent
                        {
                            let name = part.message.clone().map(|message| (part.conversation.bot.clone(), message));
                            self.parts.remove(&key);
                            if let Some(name) = name
                                && self.names.get(&name) == Some(&key)
                            {
                                self.names.remove(&name);
                            }
                            swept.sent += 1;
                        }
                        Cursor::Parts(Some(key))
                    }
                },
                Cursor::Standings(after) => match next(&self.standings, after) {
                    None => Cursor::Dead(None),
                    Some((name, kept)) => {
                        // A pause that lasts until somebody ends it stays, however long that takes.
                        if kept.standing.is_over(now) {
                            self.standings.remove(&name);
                        }
                        Cursor::Standings(Some(name))
                    }
                },
                Cursor::Dead(after) => match next(&self.dead, after) {
                    None => {
                        swept.round = true;
                        Cursor::Conversations(None)
                    }
                    Some((seq, letter)) => {
                        if now.since(letter.since) >= retention.dead {
                            self.dead.remove(&seq);
                            swept.dead += 1;
                        }
                        Cursor::Dead(Some(seq))
                    }
                },
            };
            if swept.round {
                break;
            }
        }
        Ok(swept)
    }
}

impl Known {
    /// When something last happened here.
    fn last_word(&self) -> Result<Timestamp, StoreError> {
        let said = self.said.back().map(|record| decode::<HistoryEntry>(record)).transpose()?;
        Ok(self.since.max(self.failure_replied.unwrap_or_default()).max(said.map(|said| said.time).unwrap_or_default()))
    }
}

/// The first entry behind a key.
fn next<K: Ord + Clone, V>(map: &std::collections::BTreeMap<K, V>, after: Option<K>) -> Option<(K, &V)> {
    let first = after.map_or(Bound::Unbounded, Bound::Excluded);
    map.range((first, Bound::Unbounded)).next().map(|(key, value)| (key.clone(), value))
}
