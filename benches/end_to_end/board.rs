//! What happened to which message, and when: shared by the load and the stubs.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

/// One message's way. Nanoseconds since the board was made; 0 is never.
#[derive(Default)]
struct Record {
    posted: AtomicU64,
    acknowledged: AtomicU64,
    typing: AtomicU64,
    reply: AtomicU64,
}

/// All messages of a run. A message is known by its number and sent by a sender who has no other one in flight.
pub(crate) struct Board {
    epoch: Instant,
    records: Vec<Record>,
    next: AtomicUsize,
    /// The message that each sender waits for a reply to, plus one.
    waiting_for: Vec<AtomicUsize>,
    free: Mutex<VecDeque<usize>>,
    /// How many more messages may be in flight.
    room: Semaphore,
    strays: AtomicUsize,
    refused: AtomicUsize,
}

/// A message that is about to be posted.
#[derive(Clone, Copy)]
pub(crate) struct Ticket {
    pub(crate) message: usize,
    pub(crate) sender: usize,
}

/// The messages from one number up to, and without, another.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    pub(crate) from: usize,
    pub(crate) to: usize,
}

impl Span {
    pub(crate) fn len(self) -> usize {
        self.to - self.from
    }
}

impl Board {
    pub(crate) fn new(messages: usize, senders: usize) -> Self {
        Self {
            epoch: Instant::now(),
            records: (0..messages).map(|_| Record::default()).collect(),
            next: AtomicUsize::new(0),
            waiting_for: (0..senders).map(|_| AtomicUsize::new(0)).collect(),
            free: Mutex::default(),
            room: Semaphore::new(0),
            strays: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
        }
    }

    /// Begins a phase of so many messages, from so many senders, with so many in flight.
    pub(crate) fn begin(&self, messages: usize, senders: usize, in_flight: usize) -> Span {
        assert!(in_flight <= senders && senders <= self.waiting_for.len(), "one message in flight for each sender");
        *self.free() = (0..senders).collect();
        self.room.add_permits(in_flight);
        let from = self.next.load(Relaxed);
        assert!(from + messages <= self.records.len(), "the board has room for the whole run");
        Span { from, to: from + messages }
    }

    /// Waits until everything that was in flight has its reply.
    pub(crate) async fn end(&self, in_flight: usize, patience: Duration) -> Result<(), String> {
        let permits = u32::try_from(in_flight).map_err(|error| error.to_string())?;
        match tokio::time::timeout(patience, self.room.acquire_many(permits)).await {
            Ok(Ok(all)) => {
                all.forget();
                Ok(())
            }
            _ => Err(format!("{} messages have no reply", in_flight - self.room.available_permits())),
        }
    }

    /// The next message of a phase, once there is room; none at its end.
    pub(crate) async fn take(&self, span: Span) -> Option<Ticket> {
        if self.next.load(Relaxed) >= span.to {
            return None;
        }
        let room = self.room.acquire().await.ok()?;
        let message = self.next.fetch_update(Relaxed, Relaxed, |next| (next < span.to).then_some(next + 1)).ok()?;
        room.forget();
        let sender = self.free().pop_front()?;
        self.waiting_for[sender].store(message + 1, Relaxed);
        Some(Ticket { message, sender })
    }

    pub(crate) fn posted(&self, message: usize) {
        self.note(message, |record| &record.posted);
    }

    /// The product has answered the webhook.
    pub(crate) fn answered(&self, ticket: Ticket, status: u16) {
        if status == 200 {
            self.note(ticket.message, |record| &record.acknowledged);
        } else {
            self.refused.fetch_add(1, Relaxed);
            self.reply(ticket.sender);
        }
    }

    /// A typing call for a message has arrived.
    pub(crate) fn typing(&self, message: usize) {
        self.note(message, |record| &record.typing);
    }

    /// A reply to a sender has arrived.
    pub(crate) fn reply(&self, sender: usize) {
        let message = self.waiting_for.get(sender).map_or(0, |message| message.swap(0, Relaxed));
        if message == 0 {
            return self.stray();
        }
        self.note(message - 1, |record| &record.reply);
        self.free().push_back(sender);
        self.room.add_permits(1);
    }

    /// Something has arrived that should not have.
    pub(crate) fn stray(&self) {
        self.strays.fetch_add(1, Relaxed);
    }

    /// Calls that nobody waited for, and replies that are no answers.
    pub(crate) fn strays(&self) -> usize {
        self.strays.load(Relaxed)
    }

    /// Webhooks that were not answered with 200.
    pub(crate) fn refused(&self) -> usize {
        self.refused.load(Relaxed)
    }

    pub(crate) fn typing_calls(&self, span: Span) -> usize {
        self.of(span).filter(|record| record.typing.load(Relaxed) > 0).count()
    }

    /// How long after its webhook each message was acknowledged, sorted.
    pub(crate) fn to_acknowledgement(&self, span: Span) -> Vec<Duration> {
        self.after_post(span, |record| &record.acknowledged)
    }

    /// How long after its webhook each message had its dots, sorted.
    pub(crate) fn to_typing(&self, span: Span) -> Vec<Duration> {
        self.after_post(span, |record| &record.typing)
    }

    /// How long after its webhook each message had its reply, sorted.
    pub(crate) fn to_reply(&self, span: Span) -> Vec<Duration> {
        self.after_post(span, |record| &record.reply)
    }

    /// Acknowledgements a second, from the first webhook to the last acknowledgement.
    pub(crate) fn acknowledgements_a_second(&self, span: Span) -> f64 {
        self.a_second(span, |record| &record.acknowledged)
    }

    /// Replies a second, from the first webhook to the last reply.
    pub(crate) fn replies_a_second(&self, span: Span) -> f64 {
        self.a_second(span, |record| &record.reply)
    }

    fn after_post(&self, span: Span, event: impl Fn(&Record) -> &AtomicU64) -> Vec<Duration> {
        let times = self.of(span).map(|record| (event(record).load(Relaxed), record.posted.load(Relaxed)));
        let happened = times.filter(|(event, _)| *event > 0);
        let mut all: Vec<_> = happened.map(|(event, post)| Duration::from_nanos(event.saturating_sub(post))).collect();
        all.sort_unstable();
        all
    }

    fn a_second(&self, span: Span, event: impl Fn(&Record) -> &AtomicU64) -> f64 {
        let first = self.of(span).map(|record| record.posted.load(Relaxed)).filter(|at| *at > 0).min();
        let last = self.of(span).map(|record| event(record).load(Relaxed)).max();
        let took = last.unwrap_or_default().saturating_sub(first.unwrap_or_default());
        span.len() as f64 / Duration::from_nanos(took).as_secs_f64()
    }

    fn of(&self, span: Span) -> impl Iterator<Item = &Record> {
        self.records[span.from..span.to].iter()
    }

    fn note(&self, message: usize, event: impl Fn(&Record) -> &AtomicU64) {
        let now = u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX);
        match self.records.get(message) {
            Some(record) => event(record).store(now, Relaxed),
            None => self.stray(),
        }
    }

    fn free(&self) -> MutexGuard<'_, VecDeque<usize>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
