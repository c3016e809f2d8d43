//! A store that forgets everything when it is dropped.
//!
//! For tests, and for trying out a handler. It keeps to the same rules as the durable stores, down to the form and
//! the limits of its records, so that what works here works there.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde::de::DeserializeOwned;

use super::record::{self, Arrival};
use super::schedule::{Held, Schedule};
use super::{
    Accepted, Backlog, Claim, DEDUPLICATED_FOR, DeadLetter, Ending, Forgotten, Noted, Outgoing, PartState, Retention,
    SentPart, Seq, Settlement, Store, StoreError, Swept, Waiting,
};
use crate::clock::{Clock, Timestamp};
use crate::handler::Said;
use crate::message::{BotName, Conversation, DeliveryStatus, Inbound, MessageId, PartKey};

/// The limits of a [`Memory`].
#[derive(Clone, Debug)]
pub struct Settings {
    /// How many messages may wait, all conversations together.
    pub max_waiting: usize,
    /// How many things said are kept of each conversation.
    pub history_kept: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_waiting: 100_000, history_kept: 200 }
    }
}

/// A store in memory.
pub struct Memory {
    clock: Clock,
    history_kept: usize,
    schedule: Arc<Schedule>,
    ledger: Mutex<Ledger>,
}

impl Memory {
    /// An empty store.
    pub fn new(clock: Clock, settings: Settings) -> Self {
        let schedule = Schedule::new(clock, settings.max_waiting);
        Self { clock, history_kept: settings.history_kept, schedule, ledger: Mutex::default() }
    }

    fn ledger(&self) -> Result<MutexGuard<'_, Ledger>, StoreError> {
        // Nothing in here panics half-way through a change.
        let ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        self.schedule.running()?;
        Ok(ledger)
    }

    /// The ledger, if the claim still holds; while it is locked, nobody loads what is about to change.
    fn under<'a>(&'a self, claim: &'a Claim, now: Timestamp) -> Result<(&'a Held, MutexGuard<'a, Ledger>), StoreError> {
        let held = claim.lease.held(&self.schedule)?;
        let ledger = self.ledger()?;
        self.schedule.check(held, now)?;
        Ok((held, ledger))
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory")
    }
}

#[async_trait]
impl Store for Memory {
    async fn accept(&self, messages: Vec<Inbound>) -> Result<Vec<Accepted>, StoreError> {
        let accepted = self.clock.now();
        let arrivals: Vec<Arrival> = messages.into_iter().map(|inbound| Arrival { accepted, inbound }).collect();
        let records: Vec<Vec<u8>> = arrivals.iter().map(record::encode).collect::<Result<_, _>>()?;
        let mut ledger = self.ledger()?;
        ledger.expire(accepted);
        let mut answers = Vec::with_capacity(arrivals.len());
        let mut new = Vec::new();
        let mut seen = HashMap::new();
        for (Arrival { inbound, .. }, record) in arrivals.into_iter().zip(records) {
            let conversation = inbound.at.conversation();
            let mark = (inbound.at.bot, inbound.at.message);
            if let Some(seq) = seen.get(&mark).or_else(|| ledger.marks.get(&mark)) {
                answers.push(Accepted::Duplicate(*seq));
            } else {
                let seq = Seq(ledger.last.0 + new.len() as u64 + 1);
                answers.push(Accepted::New(seq));
                seen.insert(mark.clone(), seq);
                new.push((seq, mark, conversation, record));
            }
        }
        self.schedule.admit(new.len())?;
        for (seq, mark, conversation, record) in new {
            ledger.last = seq;
            ledger.expiry.push_back((accepted, mark.clone()));
            ledger.marks.insert(mark, seq);
            ledger.known(&conversation).messages.insert(seq, record);
            self.schedule.add(&conversation, 1, accepted);
        }
        Ok(answers)
    }

    async fn claim(&self, lease: Duration) -> Result<Claim, StoreError> {
        loop {
            let lease = self.schedule.claim(lease).await?;
            let conversation = lease.held(&self.schedule)?.conversation.clone();
            let mut ledger = self.ledger()?;
            let known = ledger.known(&conversation);
            let messages: Vec<Waiting> = known.waiting()?;
            let outgoing = known.outgoing.as_deref().map(decode).transpose()?;
            let failure_replied = known.failure_replied;
            if !messages.is_empty() || outgoing.is_some() {
                return Ok(Claim { conversation, messages, outgoing, failure_replied, failed: Vec::new(), lease });
            }
        }
    }

    async fn intend(&self, claim: &Claim, outgoing: &Outgoing) -> Result<(), StoreError> {
        let record = record::encode(outgoing)?;
        let (held, mut ledger) = self.under(claim, self.clock.now())?;
        ledger.known(&held.conversation).outgoing = Some(record);
        self.schedule.intended(held);
        Ok(())
    }

    async fn mark(&self, claim: &Claim, part: usize, state: PartState) -> Result<PartState, StoreError> {
        let (held, mut ledger) = self.under(claim, self.clock.now())?;
        let known = ledger.known(&held.conversation);
        let mut outgoing: Option<Outgoing> = known.outgoing.as_deref().map(decode).transpose()?;
        let record = record::encode(super::marked(outgoing.as_mut(), part, state.clone())?)?;
        known.outgoing = Some(record);
        Ok(state)
    }

    async fn settle(&self, claim: Claim, settlement: Settlement) -> Result<(), StoreError> {
        let now = self.clock.now();
        match settlement {
            Settlement::Later { at } => {
                let (held, _ledger) = self.under(&claim, now)?;
                self.schedule.later(held, at, now);
            }
            Settlement::Done { endings, said, failure_replied, .. } => {
                let said: Vec<Vec<u8>> = said.iter().map(record::encode).collect::<Result<_, _>>()?;
                let (held, mut ledger) = self.under(&claim, now)?;
                let ended = ledger.end(&held.conversation, endings, now)?;
                let known = ledger.known(&held.conversation);
                known.outgoing = None;
                known.failure_replied = failure_replied.or(known.failure_replied);
                known.said.extend(said);
                let trimmed = known.said.len().saturating_sub(self.history_kept);
                known.said.drain(..trimmed);
                self.schedule.done(held, ended, now);
            }
        }
        Ok(())
    }

    async fn history(&self, conversation: &Conversation, most: usize) -> Result<Vec<Said>, StoreError> {
        let ledger = self.ledger()?;
        let Some(known) = ledger.conversations.get(conversation) else { return Ok(Vec::new()) };
        let older = known.said.len().saturating_sub(most);
        known.said.iter().skip(older).map(|record| decode(record)).collect()
    }

    async fn dead(&self, after: Option<Seq>, most: usize) -> Result<Vec<DeadLetter>, StoreError> {
        let first = after.map_or(0, |seq| seq.0.saturating_add(1));
        Ok(self.ledger()?.dead.range(Seq(first)..).take(most).map(|(_, letter)| letter.clone()).collect())
    }

    async fn note(&self, _: &DeliveryStatus) -> Result<Noted, StoreError> {
        todo!("on its way")
    }

    async fn part(&self, _: &PartKey) -> Result<Option<SentPart>, StoreError> {
        todo!("on its way")
    }

    async fn replay(&self, _: Seq) -> Result<Option<Conversation>, StoreError> {
        todo!("on its way")
    }

    async fn discard(&self, _: Seq) -> Result<bool, StoreError> {
        todo!("on its way")
    }

    async fn forget(&self, _: &BotName, _: &str) -> Result<Forgotten, StoreError> {
        todo!("on its way")
    }

    async fn sweep(&self, _: &Retention) -> Result<Swept, StoreError> {
        todo!("on its way")
    }

    fn backlog(&self) -> Backlog {
        todo!("on its way")
    }

    fn failure(&self) -> Option<String> {
        None
    }

    async fn close(&self) {
        self.schedule.stop(StoreError::Closed);
        *self.ledger.lock().unwrap_or_else(PoisonError::into_inner) = Ledger::default();
    }
}

#[derive(Default)]
struct Ledger {
    /// The number given last.
    last: Seq,
    marks: HashMap<Mark, Seq>,
    /// The marks in the order in which they were set.
    expiry: VecDeque<(Timestamp, Mark)>,
    conversations: HashMap<Conversation, Known>,
    dead: BTreeMap<Seq, DeadLetter>,
}

/// What a message is known by.
type Mark = (BotName, MessageId);

#[derive(Default)]
struct Known {
    messages: BTreeMap<Seq, Vec<u8>>,
    outgoing: Option<Vec<u8>>,
    failure_replied: Option<Timestamp>,
    said: VecDeque<Vec<u8>>,
}

impl Ledger {
    fn known(&mut self, conversation: &Conversation) -> &mut Known {
        self.conversations.entry(conversation.clone()).or_default()
    }

    /// Forgets the marks that have lived long enough.
    fn expire(&mut self, now: Timestamp) {
        while let Some((_, mark)) = self.expiry.pop_front_if(|(set, _)| now.since(*set) >= DEDUPLICATED_FOR) {
            self.marks.remove(&mark);
        }
    }

    /// Ends messages of a conversation. Says how many there were.
    fn end(
        &mut self,
        conversation: &Conversation,
        endings: Vec<(Seq, Ending)>,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let mut ended = 0;
        for (seq, ending) in endings {
            let Some(record) = self.known(conversation).messages.remove(&seq) else { continue };
            ended += 1;
            if let Ending::Dead { reason } = ending {
                let message = decode::<Arrival>(&record)?.numbered(seq);
                self.dead.insert(seq, DeadLetter { message, reason, since: now });
            }
        }
        Ok(ended)
    }
}

impl Known {
    fn waiting(&self) -> Result<Vec<Waiting>, StoreError> {
        self.messages.iter().map(|(seq, record)| Ok(decode::<Arrival>(record)?.numbered(*seq))).collect()
    }
}

/// Reads what `record::encode` had read back.
fn decode<T: DeserializeOwned>(record: &[u8]) -> Result<T, StoreError> {
    record::decode(record).map_err(|_| StoreError::Invalid("a record cannot be read"))
}
