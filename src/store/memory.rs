//! A store that forgets everything when it is dropped.
//!
//! For tests, and for trying out a handler. It keeps to the same rules as the durable stores, down to the form and
//! the limits of its records, so that what works here works there.

mod contact_state;
mod contacts;
mod counts;
mod invitations;
mod ledger;
mod parts;
mod people;
mod proactive;
mod sweep;

use std::collections::HashMap;
use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::age::AgeClock;
use super::allowance::Allowance;
use super::record::{self, Arrival};
use super::schedule::{HeldConversation, Schedule};
use super::{
    Accepted, Backlog, Claim, ContactChange, ContactRef, ContactState, DeadLetter, Echoed, Enqueued, Forgotten,
    IdempotencyKey, Invitation, KnownAddress, KnownContact, MOST_RECALLED_BYTES, MayClaim, Member, NewProactive,
    Outgoing, PartState, Pause, Retention, SentPart, Seq, Settled, Settlement, StatusOutcome, Store, StoreError, Swept,
    Waiting,
};
use crate::message::clock::{Clock, Timestamp};
use crate::message::reply::Choice;
use crate::message::{
    BotName, Conversation, Count, DeliveryStatus, Echo, HistoryEntry, Inbound, PartKey, Renamed, Summary,
};
use ledger::{Ledger, decode};
use proactive::apart;

/// The limits of a [`Memory`].
#[derive(Clone, Debug)]
pub struct MemorySettings {
    /// How many messages may wait, all conversations together.
    pub max_waiting: usize,
    /// How many things said are kept of each conversation.
    pub history_kept: usize,
}

impl Default for MemorySettings {
    fn default() -> Self {
        Self { max_waiting: 100_000, history_kept: 200 }
    }
}

/// A store in memory.
pub struct Memory {
    clock: Clock,
    /// By which marks age.
    age: AgeClock,
    history_kept: usize,
    schedule: Arc<Schedule>,
    ledger: Mutex<Ledger>,
}

impl Memory {
    /// An empty store.
    pub fn new(clock: Clock, settings: MemorySettings) -> Self {
        let schedule = Schedule::new(clock, settings.max_waiting);
        let age = AgeClock::from(clock.now());
        Self { clock, age, history_kept: settings.history_kept, schedule, ledger: Mutex::default() }
    }

    /// Does as if the process had died, and another had opened the store: no claim holds any longer, and what was ready
    /// then counts as left by an earlier process. For tests.
    pub fn reopen(&self) {
        self.schedule.reopen();
    }

    fn ledger(&self) -> Result<MutexGuard<'_, Ledger>, StoreError> {
        // Nothing in here panics half-way through a change.
        let ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        self.schedule.running()?;
        Ok(ledger)
    }

    /// The ledger, if the claim still holds; while it is locked, nobody loads what is about to change.
    fn under<'a>(&'a self, claim: &'a Claim) -> Result<(&'a HeldConversation, MutexGuard<'a, Ledger>), StoreError> {
        let held = claim.lease.held(&self.schedule)?;
        let ledger = self.ledger()?;
        self.schedule.check(held, Instant::now())?;
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
    async fn accept(&self, messages: &[Inbound]) -> Result<Vec<Accepted>, StoreError> {
        let accepted = self.clock.now();
        let encode = |message| record::encode(&Arrival::new(message, accepted));
        let records: Vec<Vec<u8>> = messages.iter().map(encode).collect::<Result<_, _>>()?;
        let (aged, mut ledger) = (self.age.now(), self.ledger()?);
        ledger.expire(aged);
        let mut answers = Vec::with_capacity(messages.len());
        let mut new = Vec::new();
        let mut seen = HashMap::new();
        for (Inbound { at, .. }, record) in messages.iter().zip(records) {
            let mark = (at.bot.clone(), at.message.clone());
            if let Some(seq) = seen.get(&mark).or_else(|| ledger.marks.get(&mark)) {
                answers.push(Accepted::Duplicate(*seq));
            } else {
                let seq = Seq(ledger.last.0 + new.len() as u64 + 1);
                answers.push(Accepted::New(seq));
                seen.insert(mark.clone(), seq);
                new.push((seq, mark, at, record));
            }
        }
        self.schedule.admit(&new.iter().map(|(_, _, at, _)| &at.bot).collect::<Vec<_>>())?;
        for (seq, mark, at, record) in new {
            ledger.last = seq;
            ledger.expiry.push_back((aged, mark.clone()));
            ledger.marks.insert(mark, seq);
            ledger.add(seq, at, record, accepted);
            self.schedule.add(&at.conversation(), 1, accepted);
        }
        Ok(answers)
    }

    async fn bury(&self, messages: &[(Inbound, String)]) -> Result<Vec<Accepted>, StoreError> {
        let now = self.clock.now();
        let records = messages.iter().map(|(message, _)| record::encode(&Arrival::new(message, now)));
        let records: Vec<Vec<u8>> = records.collect::<Result<_, _>>()?;
        let mut ledger = self.ledger()?;
        let aged = self.age.now();
        ledger.expire(aged);
        let mut answers = Vec::with_capacity(messages.len());
        for ((Inbound { at, .. }, reason), record) in messages.iter().zip(records) {
            let mark = (at.bot.clone(), at.message.clone());
            if let Some(seq) = ledger.marks.get(&mark) {
                answers.push(Accepted::Duplicate(*seq));
                continue;
            }
            let seq = Seq(ledger.last.0 + 1);
            let message = ledger::decode::<Arrival>(&record)?.numbered(seq);
            ledger.last = seq;
            ledger.expiry.push_back((aged, mark.clone()));
            ledger.marks.insert(mark, seq);
            ledger.dead.insert(seq, DeadLetter { message, reason: reason.clone(), since: now, unread: true });
            answers.push(Accepted::New(seq));
        }
        Ok(answers)
    }

    async fn enqueue(&self, new_proactive: &NewProactive) -> Result<Enqueued, StoreError> {
        let now = self.clock.now();
        let (aged, mut ledger) = (self.age.now(), self.ledger()?);
        ledger.expire(aged);
        if let Some(known) = ledger.enqueued(&new_proactive.asked) {
            return Ok(known);
        }
        self.schedule.admit(&[&new_proactive.asked.bot])?;
        let (receipt, conversation) = ledger.enqueue(new_proactive, now, aged)?;
        self.schedule.enqueue(&conversation, now);
        Ok(Enqueued::New(receipt))
    }

    async fn enqueued(&self, asked: &IdempotencyKey) -> Result<Option<Enqueued>, StoreError> {
        let mut ledger = self.ledger()?;
        ledger.expire(self.age.now());
        Ok(ledger.enqueued(asked))
    }

    async fn resolve_address(&self, bot: &BotName, name: &str) -> Result<Option<KnownAddress>, StoreError> {
        self.ledger()?.resolve_address(bot, name)
    }

    async fn under_way(&self, key: &PartKey) -> Result<Option<(Conversation, PartState)>, StoreError> {
        self.ledger()?.under_way(key)
    }

    async fn claim_for(&self, lease: Duration, may: &MayClaim<'_>) -> Result<Claim, StoreError> {
        loop {
            let lease = self.schedule.claim(lease, may).await?;
            let held = lease.held(&self.schedule)?;
            let (conversation, inherited) = (held.conversation.clone(), held.inherited);
            let ledger = self.ledger()?;
            let Some(known) = ledger.conversations.get(&conversation).filter(|known| !known.work().is_nothing()) else {
                continue;
            };
            let mut size = known.outgoing.as_ref().map_or(0, Vec::len);
            let (waiting, failed) = (known.first_waiting(Seq(0), &mut size)?, known.first_failed(&mut size)?);
            let (messages, proactive_messages) = apart(waiting);
            let (outgoing, failure_replied) = (known.outgoing()?, known.failure_replied);
            let question = known.question.clone();
            return Ok(Claim {
                conversation,
                messages,
                proactive_messages,
                outgoing,
                question,
                failure_replied,
                failed,
                inherited,
                size,
                lease,
            });
        }
    }

    fn share(&self, bot: &BotName, waiting: Option<usize>) {
        self.schedule.share(bot, waiting);
    }

    fn inherited(&self) -> Vec<Conversation> {
        self.schedule.inherited()
    }

    fn waiting(&self, bot: &BotName) -> usize {
        self.schedule.waiting(bot)
    }

    async fn arrivals(&self, claim: &Claim, after: Seq) -> Result<Vec<Waiting>, StoreError> {
        let held = claim.lease.held(&self.schedule)?;
        loop {
            let (_, heard) = self.schedule.arrivals(held)?;
            let mut heard = pin!(heard.notified());
            heard.as_mut().enable();
            let arrived = match self.ledger()?.conversations.get(&held.conversation) {
                Some(known) => apart(known.first_waiting(after, &mut 0)?).0,
                None => Vec::new(),
            };
            if !arrived.is_empty() {
                return Ok(arrived);
            }
            heard.await;
        }
    }

    fn may_send(&self, claim: &Claim) -> Result<(), StoreError> {
        self.schedule.may_send(claim.lease.held(&self.schedule)?)
    }

    fn renew(&self, claim: &Claim) -> Result<(), StoreError> {
        self.schedule.check(claim.lease.held(&self.schedule)?, Instant::now())
    }

    fn make_ready(&self, conversation: &Conversation) {
        self.schedule.make_ready(conversation, self.clock.now());
    }

    async fn transcribe(&self, claim: &Claim, message: Seq, words: &str) -> Result<(), StoreError> {
        let now = self.clock.now();
        let (held, mut ledger) = self.under(claim)?;
        if let Some(record) = ledger.known(&held.conversation, now).messages.get_mut(&message) {
            let mut arrival: Arrival<'_> = decode(record)?;
            arrival.transcribe(words);
            *record = record::encode(&arrival)?;
        }
        Ok(())
    }

    async fn choose(&self, claim: &Claim, message: Seq, choice: &Choice) -> Result<(), StoreError> {
        let now = self.clock.now();
        let (held, mut ledger) = self.under(claim)?;
        if let Some(record) = ledger.known(&held.conversation, now).messages.get_mut(&message) {
            let mut arrival: Arrival<'_> = decode(record)?;
            arrival.choose(choice);
            *record = record::encode(&arrival)?;
        }
        Ok(())
    }

    async fn intend(&self, claim: &Claim, outgoing: &Outgoing) -> Result<(), StoreError> {
        let now = self.clock.now();
        let record = record::encode(outgoing)?;
        let (held, mut ledger) = self.under(claim)?;
        ledger.intend(&held.conversation, outgoing, record, now)?;
        self.schedule.intended(held);
        Ok(())
    }

    async fn mark(&self, claim: &Claim, part: usize, state: PartState) -> Result<PartState, StoreError> {
        let now = self.clock.now();
        let (held, mut ledger) = self.under(claim)?;
        ledger.mark(&held.conversation, part, state, now)
    }

    async fn apply_statuses(&self, statuses: Vec<DeliveryStatus>) -> Result<Vec<StatusOutcome>, StoreError> {
        let now = self.clock.now();
        let mut ledger = self.ledger()?;
        let mut note = |status| {
            let (noted, stir) = ledger.apply_statuses(status, now)?;
            self.schedule.stir(&stir, now);
            Ok(noted)
        };
        statuses.iter().map(&mut note).collect()
    }

    async fn contact_state(&self, peer: &ContactRef) -> Result<ContactState, StoreError> {
        Ok(self.ledger()?.contact_state(peer))
    }

    async fn update_contact(&self, peer: &ContactRef, change: ContactChange) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let mut ledger = self.ledger()?;
        let changed = ledger.update_contact(peer, change, now);
        if changed && matches!(change, ContactChange::Pause(_)) {
            self.schedule.hand_over(&ledger.chats(peer).chats, now);
        }
        Ok(changed)
    }

    async fn chats(&self, peer: &ContactRef) -> Result<KnownContact, StoreError> {
        Ok(self.ledger()?.chats(peer))
    }

    async fn rename(&self, renamed: &Renamed) -> Result<bool, StoreError> {
        self.ledger()?.rename(renamed, self.history_kept, self.clock.now())
    }

    async fn invite(
        &self,
        bot: &BotName,
        digest: [u8; 32],
        until: Timestamp,
    ) -> Result<Option<Invitation>, StoreError> {
        Ok(self.ledger()?.invitations(bot).add(digest, until, self.clock.now()))
    }

    async fn redeem_invitation(&self, peer: &ContactRef, digest: [u8; 32], by: Seq) -> Result<bool, StoreError> {
        Ok(self.ledger()?.redeem_invitation(peer, &digest, by, self.clock.now()))
    }

    async fn invitations(&self, bot: &BotName) -> Result<Vec<Invitation>, StoreError> {
        Ok(self.ledger()?.invitations(bot).open(self.clock.now()))
    }

    async fn withdraw(&self, bot: &BotName, number: u64) -> Result<bool, StoreError> {
        Ok(self.ledger()?.invitations(bot).withdraw(number))
    }

    async fn members(
        &self,
        bot: &BotName,
        after: Option<String>,
        most: usize,
    ) -> Result<(Vec<Member>, Option<String>), StoreError> {
        Ok(self.ledger()?.members(bot, after, most))
    }

    async fn taken_over(&self, peer: &ContactRef) -> Result<Pause, StoreError> {
        let notices = Arc::clone(&self.ledger()?.notices);
        let ear = notices.listen(peer);
        loop {
            let mut heard = pin!(ear.heard.notified());
            heard.as_mut().enable();
            if let Some(pause) = self.ledger()?.contact_state(peer).pause(self.clock.now()) {
                return Ok(pause);
            }
            heard.await;
        }
    }

    async fn echo(&self, echo: &Echo, lasts: Option<Duration>) -> Result<Echoed, StoreError> {
        let now = self.clock.now();
        let Some((peer, pause)) = Pause::by_echo(echo, lasts) else { return Ok(Echoed::Known) };
        let mut ledger = self.ledger()?;
        let echoed = ledger.echo(echo, &peer, pause, now)?;
        ledger.trim(&peer, self.history_kept);
        // Before anybody else looks at the ledger.
        self.schedule.heed(echoed, &ledger.chats(&peer).chats, now);
        Ok(echoed)
    }

    async fn overheard(&self, claim: &Claim) -> Result<bool, StoreError> {
        self.schedule.is_undecided(claim.lease.held(&self.schedule)?)
    }

    async fn part(&self, key: &PartKey) -> Result<Option<SentPart>, StoreError> {
        Ok(self.ledger()?.parts.get(key).and_then(|trace| trace.clone().sent()))
    }

    async fn settle(&self, claim: Claim, settlement: Settlement) -> Result<(), StoreError> {
        let now = self.clock.now();
        match settlement {
            Settlement::Later { at } => {
                let (held, _ledger) = self.under(&claim)?;
                self.schedule.later(held, at, now);
            }
            Settlement::Done(Settled { endings, said, failure_replied, sent, failed }) => {
                let said: Vec<Vec<u8>> = said.iter().map(record::encode).collect::<Result<_, _>>()?;
                let (held, mut ledger) = self.under(&claim)?;
                let (ended, keys) = ledger.end(&held.conversation, endings, now)?;
                ledger.close_outgoing(&held.conversation, &sent, failed, now)?;
                keys.iter().for_each(|key| ledger.lose(&held.conversation, key));
                let known = ledger.known(&held.conversation, now);
                known.failure_replied = failure_replied.or(known.failure_replied);
                known.said.extend(said);
                let trimmed = known.said.len().saturating_sub(self.history_kept);
                known.said.drain(..trimmed);
                let failed = known.work().failed;
                self.schedule.done(held, ended, failed, now);
            }
        }
        Ok(())
    }

    async fn history(&self, conversation: &Conversation, most: usize) -> Result<Vec<HistoryEntry>, StoreError> {
        let ledger = self.ledger()?;
        let Some(known) = ledger.conversations.get(conversation) else { return Ok(Vec::new()) };
        let mut allowance = Allowance::new(most, MOST_RECALLED_BYTES);
        let newest = known.said.iter().rev().take_while(|record| allowance.takes(record.len())).count();
        known.said.iter().skip(known.said.len() - newest).map(|record| decode(record)).collect()
    }

    async fn count(&self, counts: Vec<Count>) -> Result<Option<usize>, StoreError> {
        Ok(self.ledger()?.count(counts, self.clock.now()))
    }

    async fn summary(&self, conversation: &Conversation) -> Result<Option<Summary>, StoreError> {
        Ok(self.ledger()?.summary(conversation))
    }

    async fn summarise(&self, conversation: &Conversation, summary: &Summary) -> Result<(), StoreError> {
        if let Some(known) = self.ledger()?.conversations.get_mut(conversation) {
            known.summary = Some(summary.clone());
        }
        Ok(())
    }

    async fn dead(&self, after: Option<Seq>, most: usize) -> Result<Vec<DeadLetter>, StoreError> {
        let first = after.map_or(0, |seq| seq.0.saturating_add(1));
        Ok(self.ledger()?.dead.range(Seq(first)..).take(most).map(|(_, letter)| letter.clone()).collect())
    }

    async fn replay(&self, letter: Seq) -> Result<Option<Conversation>, StoreError> {
        let now = self.clock.now();
        let mut ledger = self.ledger()?;
        let Some(letter) = ledger.dead.get(&letter).cloned() else { return Ok(None) };
        if letter.unread {
            return Err(StoreError::Invalid(DeadLetter::NOTHING_TO_REPLAY));
        }
        self.schedule.admit(&[&letter.message.inbound.at.bot])?;
        ledger.dead.remove(&letter.message.seq);
        let arrival = Arrival::again(letter, now);
        let record = record::write(&arrival)?;
        ledger.last = Seq(ledger.last.0 + 1);
        let (seq, at) = (ledger.last, &arrival.inbound.at);
        ledger.add(seq, at, record, now);
        let conversation = at.conversation();
        ledger.expect(&conversation, &arrival.numbered(seq).keys());
        self.schedule.add(&conversation, 1, now);
        Ok(Some(conversation))
    }

    async fn discard(&self, letter: Seq) -> Result<bool, StoreError> {
        Ok(self.ledger()?.dead.remove(&letter).is_some())
    }

    async fn forget(&self, bot: &BotName, contact: &str) -> Result<Forgotten, StoreError> {
        let now = self.clock.now();
        let mut ledger = self.ledger()?;
        let (forgotten, changed) = ledger.forget(bot, contact)?;
        for (conversation, work) in changed {
            self.schedule.reset(&conversation, work, now);
        }
        Ok(forgotten)
    }

    async fn sweep(&self, retention: &Retention) -> Result<Swept, StoreError> {
        self.ledger()?.sweep(retention, self.clock.now())
    }

    fn backlog(&self) -> Backlog {
        self.schedule.backlog()
    }

    fn failure(&self) -> Option<String> {
        None
    }

    fn is_out_of_space(&self) -> bool {
        false
    }

    async fn close(&self) {
        self.schedule.stop(StoreError::Closed);
        *self.ledger.lock().unwrap_or_else(PoisonError::into_inner) = Ledger::default();
    }
}
