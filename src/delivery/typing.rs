//! The typing guard: the dots are on while somebody works on an answer, and at no other time.
//!
//! ```text
//!  show() ──▶ Dots ──quiet().await──▶ Quiet ──cleared()──▶ the reply took the dots off
//!              │                        │
//!              └────── dropped ─────────┴──▶ the task takes them off, where the upstream has a call for that
//! ```
//!
//! Two ideas carry it. **The task that lights the dots is the one that takes them off**: the guard only tells it
//! "enough", so dropping it at any point (an early return, a panic, an abort, a lost `select!`) needs no runtime, no
//! await and no spawn. And **only a [`SendPermit`] may send**: it can be had in one way, by waiting until no start is
//! in flight, so a start that lands after the reply and lights the dots again is a type error and not a race.
//!
//! A start is never cut short by us: a call that is abandoned half-way may still arrive. It has its own short
//! timeout instead, one call is in flight at most, and nothing here is ever retried by the HTTP client.

mod chats;
mod leftover;
mod settings;
mod stops;

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::task::TaskTracker;
use tracing::{Instrument, debug, warn};

use crate::handler::{Presence, PresenceRequest};
use crate::message::MessageRef;
use crate::provider::health::Health;
use crate::provider::{Activity, ErrorCode, GroupTyping, KeyedBy, Provider, ProviderError, ReadReceipts};
use chats::Chats;
use settings::LONGEST_LEAD;
pub use settings::{Show, TypingConfig};
use stops::{MOST_TRIES, Stops};

/// After so many failures in a row nobody tries again: a dead chat costs three calls, not one at every tick.
const MOST_FAILURES: u32 = 3;
/// A handler that has worked for so long is certainly at work.
const SURELY_AT_WORK: Duration = Duration::from_secs(2);

/// A bot's indicator: what shows it, in which way, and how often it was taken off lately.
pub struct Indicator {
    provider: Arc<dyn Provider>,
    config: TypingConfig,
    health: Arc<Health>,
    stops: Arc<Stops>,
}

impl Indicator {
    /// The indicator of one bot.
    pub fn new(provider: Arc<dyn Provider>, config: TypingConfig, health: Arc<Health>) -> Self {
        let stops = Stops { provider: Arc::clone(&provider), chats: Chats::new(), call_timeout: config.call_timeout };
        Self { provider, config, health, stops: Arc::new(stops) }
    }

    /// Lights the dots for `message` and keeps them lit until the guard says otherwise.
    ///
    /// The first call is made even if the answer is there at once: on some upstreams it is what marks the message as
    /// read. Where no call takes the dots off again, they are lit after [`TypingConfig::delay`], and what is decided
    /// before that is marked as read without them.
    pub fn show(&self, tasks: &TaskTracker, message: &MessageRef) -> Dots {
        self.light(tasks, message, Activity::Typing, true)
    }

    fn light(&self, tasks: &TaskTracker, message: &MessageRef, activity: Activity, is_answer: bool) -> Dots {
        let (presence, requests) = Presence::channel();
        let (wish, wishes) = watch::channel(TypingCommand { phase: Phase::Lit, since: Instant::now(), newer: None });
        let (rest, at_rest) = oneshot::channel();
        let (tried, is_tried) = oneshot::channel();
        let abilities = &self.provider.abilities().typing;
        if is_answer && abilities.lit_on_arrival {
            self.stops.lit(message);
        }
        let task = TypingTask {
            shown: abilities.shown_in(message),
            is_answer,
            lit: is_answer && abilities.lit_on_arrival,
            provider: Arc::clone(&self.provider),
            message: message.clone(),
            config: self.config.clone(),
            health: Arc::clone(&self.health),
            stops: Arc::clone(&self.stops),
            activity,
            lights_at: Instant::now() + self.config.delay,
            end: Instant::now() + self.config.cap,
            wishes,
            requests,
            led: None,
            recorded: None,
            off_until: None,
            failures: 0,
            hopeless: false,
            starts: 0,
        };
        tasks.spawn(task.run(rest, tried).in_current_span());
        Dots { guard: Guard { wish, is_tried }, at_rest, presence }
    }

    /// Lights the dots for something that answers no message of this moment, where the upstream wants them to precede
    /// every text; none where it does not, or where nothing is shown. Nothing is marked as read.
    pub fn precede(&self, tasks: &TaskTracker, message: &MessageRef, activity: Activity) -> Option<Dots> {
        let abilities = &self.provider.abilities().typing;
        let wanted = !abilities.lead.is_zero() && abilities.keyed_by == KeyedBy::Chat && !abilities.start_marks_read;
        let shows = self.config.show == Show::Typing && abilities.shown_in(message) == GroupTyping::Show;
        (wanted && shows)
            .then(|| self.light(tasks, message, if abilities.recording { activity } else { Activity::Typing }, false))
    }
}

/// The hold on the task. Dropped, it lets go: the task then takes the dots off by itself.
struct Guard {
    wish: watch::Sender<TypingCommand>,
    is_tried: oneshot::Receiver<()>,
}

impl Guard {
    /// Waits for the first try to take the dots off. If it fails, the others follow behind the turn.
    async fn off(self) {
        drop(self.wish);
        // An error means that the task has ended: nothing is left to wait for.
        let _ = self.is_tried.await;
    }
}

/// The dots are on, or about to be. Dropped, they are taken off.
#[must_use = "dropping this takes the dots off"]
pub struct Dots {
    guard: Guard,
    at_rest: oneshot::Receiver<()>,
    presence: Presence,
}

impl Dots {
    /// The handler's hand on the dots.
    pub fn presence(&self) -> Presence {
        self.presence.clone()
    }

    /// A newer message has come, and the answer will be to that one: it is marked as read, and the dots are its own
    /// from now on, without having gone off in between.
    pub fn turn_to(&self, message: &MessageRef) {
        self.guard.wish.send_modify(|wish| wish.newer = Some(message.clone()));
    }

    /// Lets no further start out and waits for the one in flight: at most one call's timeout. And at least as long as
    /// the upstream wants dots to precede a message, or a beat or "recording" to be seen that was asked for. Asked for
    /// at the last moment, "recording" is a start of its own before that, unless the one in flight took half its time.
    pub async fn quiet(self) -> SendPermit {
        self.guard.wish.send_modify(|wish| (wish.phase, wish.since) = (Phase::Quiet, Instant::now()));
        // An error means that the task has ended, which is as quiet as it gets.
        let _ = self.at_rest.await;
        SendPermit { guard: Some(self.guard) }
    }

    /// Ends a turn that says nothing. Takes the dots off and waits until they are, or the upstream has refused that
    /// once, so that the conversation's next turn finds none: at most the timeouts of the call in flight and of the one
    /// that takes them off. The message was read, and is marked so if no call has done that yet.
    pub async fn off(self) {
        self.guard.wish.send_modify(|wish| wish.phase = Phase::Over);
        self.guard.off().await;
    }

    /// Ends a turn that somebody else goes on with: the same, and a message that has not been marked as read is left
    /// so.
    pub async fn abandon(self) {
        self.guard.off().await;
    }
}

/// No start is in flight, and none will follow: the licence to send. Dropped, the dots are taken off.
#[must_use = "dropping this takes the dots off"]
pub struct SendPermit {
    guard: Option<Guard>,
}

impl SendPermit {
    /// For what no dots precede: what no handler was asked for in this turn.
    pub(crate) fn never_shown() -> Self {
        Self { guard: None }
    }

    /// The reply was delivered, and took the dots off.
    pub fn cleared(self) {
        if let Some(guard) = self.guard {
            guard.wish.send_modify(|wish| wish.phase = Phase::Cleared);
        }
    }

    /// The reply was not delivered: takes the dots off and waits until they are, or the upstream has refused that once.
    pub async fn off(self) {
        if let Some(guard) = self.guard {
            guard.off().await;
        }
    }
}

/// What the guard wants of the task.
struct TypingCommand {
    phase: Phase,
    /// Since when it has come so far.
    since: Instant,
    /// The message that the dots are for now, if it is not the first.
    newer: Option<MessageRef>,
}

/// How far a turn has come. A dropped sender is the last phase: ended, without a delivered reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Lit,
    Quiet,
    Cleared,
    /// Decided without a reply: the sender is dropped right behind.
    Over,
}

impl TypingCommand {
    /// Whether dots for this message are no longer what is wanted.
    fn is_other_than(&self, message: &MessageRef) -> bool {
        self.phase != Phase::Lit || self.newer.as_ref().is_some_and(|newer| newer.message != message.message)
    }
}

/// The one that lights the dots and takes them off.
struct TypingTask {
    provider: Arc<dyn Provider>,
    message: MessageRef,
    config: TypingConfig,
    health: Arc<Health>,
    stops: Arc<Stops>,
    shown: GroupTyping,
    /// Whether a message is answered, which then counts as read.
    is_answer: bool,
    activity: Activity,
    /// From when on dots are lit that no call takes off.
    lights_at: Instant,
    end: Instant,
    wishes: watch::Receiver<TypingCommand>,
    requests: mpsc::Receiver<PresenceRequest>,
    /// Whether they may be on.
    lit: bool,
    /// From when on a reply may follow the dots.
    led: Option<Instant>,
    /// From when on "recording" has been seen.
    recorded: Option<Instant>,
    /// The end of a beat.
    off_until: Option<Instant>,
    failures: u32,
    /// Whether no other start may ever follow.
    hopeless: bool,
    starts: u32,
}

impl TypingTask {
    async fn run(mut self, rest: oneshot::Sender<()>, tried: oneshot::Sender<()>) {
        loop {
            match self.config.show {
                Show::Typing => self.keep_lit().await,
                Show::Read => self.mark_read().await,
                Show::Nothing => {}
            }
            match self.next_wish().await {
                // Not once the guard was dropped: nobody is going to answer that one in this turn.
                Some(newer) if self.wishes.has_changed().is_ok() => self.turn_to(newer),
                _ => break,
            }
        }
        // A closed channel is a dropped guard.
        if self.wishes.has_changed().is_ok() && self.phase() != Phase::Over {
            self.precede_the_reply().await;
        }
        // From here on no start is in flight: the guard may let the reply go.
        let _ = rest.send(());
        let cleared = self.wishes.wait_for(|wish| wish.phase == Phase::Cleared).await.is_ok();
        if !cleared {
            self.take_off_at_last(tried).await;
        }
    }

    /// Waits until it is enough, or there is a newer message to light the dots for, and returns that.
    async fn next_wish(&mut self) -> Option<MessageRef> {
        let message = &self.message;
        let wish = self.wishes.wait_for(|wish| wish.is_other_than(message)).await;
        wish.ok().filter(|wish| wish.phase == Phase::Lit)?.newer.clone()
    }

    /// From now on the dots are for a newer message.
    fn turn_to(&mut self, newer: MessageRef) {
        let abilities = &self.provider.abilities().typing;
        self.shown = abilities.shown_in(&newer);
        if abilities.lit_on_arrival {
            self.stops.lit(&newer);
            self.lit = true;
        }
        self.message = newer;
        self.activity = Activity::Typing;
        self.recorded = None;
        self.end = Instant::now() + self.config.cap;
        self.starts = 0;
    }

    /// Lights the dots again and again until it is enough, or hopeless.
    async fn keep_lit(&mut self) {
        let (marks_read, lead) = {
            let abilities = &self.provider.abilities().typing;
            (abilities.start_marks_read && self.shown == GroupTyping::Show, !abilities.lead.is_zero())
        };
        if !marks_read && self.is_answer {
            self.mark_read().await;
        }
        if !self.is_worth_lighting().await {
            if marks_read && self.was_read() {
                self.mark_read().await;
            }
            return;
        }
        let begins = match self.shown {
            // A reply that is there already is announced only where that marks the message as read, or where dots
            // have to precede it.
            GroupTyping::Show => marks_read || self.is_wanted(lead),
            GroupTyping::Sparingly => !self.lit && self.wait(Instant::now() + SURELY_AT_WORK).await,
            GroupTyping::Skip => false,
        };
        if !begins || self.hopeless {
            return;
        }
        while let Some(pause) = self.start().await {
            let abilities = &self.provider.abilities().typing;
            let next = match abilities.refresh {
                Some(refresh) if self.shown == GroupTyping::Show && self.starts <= abilities.max_refreshes => {
                    Instant::now() + refresh.max(pause)
                }
                _ => self.end,
            };
            if !self.wait(next.min(self.end)).await {
                return;
            }
            if Instant::now() >= self.end {
                self.take_off().await;
                return;
            }
        }
    }

    /// Waits, where no call takes the dots off again, until it is likely that something follows them; says whether it
    /// is.
    async fn is_worth_lighting(&mut self) -> bool {
        let stays = self.provider.abilities().typing.stop.is_none() && self.shown == GroupTyping::Show;
        !stays || self.lit || self.config.delay.is_zero() || self.wait(self.lights_at).await
    }

    /// Whether the message counts as read although no dots were lit for it: not if a newer one takes its place, nor if
    /// the turn was cut off, which is then another's to show. The newest is the one that was read.
    fn was_read(&mut self) -> bool {
        let (phase, newer) = (self.phase(), self.wishes.borrow().newer.clone());
        let is_open = self.wishes.has_changed().is_ok();
        let turns = phase == Phase::Lit && newer.as_ref().is_some_and(|newer| newer.message != self.message.message);
        if let Some(newer) = newer.filter(|_| !turns) {
            self.message = newer;
        }
        !turns && (is_open || phase == Phase::Over)
    }

    fn phase(&self) -> Phase {
        self.wishes.borrow().phase
    }

    /// Makes one start call. Says how long the upstream wants to be left alone after it; none if no other start may
    /// ever follow.
    async fn start(&mut self) -> Option<Duration> {
        let pause = self.try_to_start().await;
        self.hopeless = pause.is_none();
        pause
    }

    async fn try_to_start(&mut self) -> Option<Duration> {
        self.starts += 1;
        self.stops.make_way(&self.message).await;
        let started = self.provider.start_typing(&self.message, self.activity);
        let error = match timeout(self.config.call_timeout, started).await {
            Ok(Ok(())) => {
                let lead = self.provider.abilities().typing.lead.min(LONGEST_LEAD);
                self.led.get_or_insert_with(|| Instant::now() + lead);
                if self.activity == Activity::Recording {
                    self.recorded.get_or_insert_with(|| Instant::now() + self.config.beat);
                }
                self.is_lit();
                self.failures = 0;
                return Some(Duration::ZERO);
            }
            Ok(Err(error)) => error,
            Err(_) => ProviderError::Ambiguous { code: ErrorCode::Network("timed out") },
        };
        // One without an answer may have lit them. Where they are noise, what is not certain is not taken off either.
        if matches!(error, ProviderError::Ambiguous { .. }) && self.shown == GroupTyping::Show {
            self.is_lit();
        }
        self.failures += 1;
        debug!(typing.error = %error, typing.failures = self.failures, "the dots could not be lit");
        if matches!(error, ProviderError::SessionDown { .. }) {
            self.health.suffer(&error);
        }
        if self.failures == MOST_FAILURES {
            warn!(typing.failures = self.failures, "the dots fail again and again: no more for this turn");
        }
        let pause = after(&error)?;
        (self.failures < MOST_FAILURES).then_some(pause)
    }

    /// Waits for the next start and serves the handler's requests; says whether dots are wanted after that, for this
    /// message.
    async fn wait(&mut self, mut next: Instant) -> bool {
        loop {
            let message = &self.message;
            let request = tokio::select! {
                biased;
                // An error means that the guard was dropped.
                _ = self.wishes.wait_for(|wish| wish.is_other_than(message)) => return false,
                Some(request) = self.requests.recv() => request,
                () = sleep_until(next) => return true,
            };
            let (abilities, changed) = (&self.provider.abilities().typing, self.activity);
            match request {
                PresenceRequest::Beat => {
                    if self.beat().await {
                        next = self.off_until.unwrap_or(next);
                    }
                    continue;
                }
                PresenceRequest::Pause => {
                    self.take_off().await;
                    return false;
                }
                PresenceRequest::Recording if abilities.recording => self.activity = Activity::Recording,
                PresenceRequest::Typing => self.activity = Activity::Typing,
                // This upstream has no such thing.
                PresenceRequest::Recording => {}
            }
            if self.activity != changed && self.starts > 0 && !self.is_off() {
                return true;
            }
        }
    }

    /// What comes between the last start and the reply: a beat that was asked for, or the rest of one; else the lead,
    /// and a stop where the upstream wants one.
    async fn precede_the_reply(&mut self) {
        while let Ok(request) = self.requests.try_recv() {
            match request {
                PresenceRequest::Beat => {
                    self.beat().await;
                }
                PresenceRequest::Recording if self.may_still_record() => {
                    self.activity = Activity::Recording;
                    self.start().await;
                }
                PresenceRequest::Recording | PresenceRequest::Typing | PresenceRequest::Pause => {}
            }
        }
        let until = if self.is_off() { self.off_until } else { self.led.max(self.recorded).filter(|_| self.lit) };
        if let Some(until) = until {
            tokio::select! {
                // An error means that the guard was dropped: there is no reply to wait with.
                _ = self.wishes.wait_for(|wish| wish.phase == Phase::Cleared) => return,
                () = sleep_until(until) => {}
            }
        }
        if self.provider.abilities().typing.stop.is_some_and(|stop| stop.before_send) {
            self.take_off_once().await;
        }
    }

    /// Whether "recording" may take the place of "typing" although the reply is there: only where that is certain to
    /// work, and does not keep the reply for much longer than a call may take.
    fn may_still_record(&self) -> bool {
        let can = self.provider.abilities().typing.recording && self.shown == GroupTyping::Show;
        let is_new = self.activity != Activity::Recording && self.lit && self.failures == 0 && !self.hopeless;
        let waits = self.wishes.borrow().since.elapsed();
        can && is_new && Instant::now() < self.end && waits < self.config.call_timeout / 2
    }

    /// Takes the dots off for a moment, if they are on and the upstream can. Whether a beat has begun.
    async fn beat(&mut self) -> bool {
        let begins = self.lit && self.provider.abilities().typing.stop.is_some();
        if begins {
            self.take_off_once().await;
            self.off_until = Some(Instant::now() + self.config.beat);
        }
        begins
    }

    fn is_off(&self) -> bool {
        !self.lit && self.off_until.is_some_and(|until| Instant::now() < until)
    }

    async fn mark_read(&self) {
        if self.provider.abilities().reads == ReadReceipts::None {
            return;
        }
        match timeout(self.config.call_timeout, self.provider.mark_read(&self.message)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!(read.error = %error, "the message could not be marked as read"),
            Err(_) => debug!("a read call timed out"),
        }
    }

    fn is_lit(&mut self) {
        self.lit = true;
        self.stops.lit(&self.message);
    }

    /// Whether there are dots to be taken off, and a call for that; then they count as off.
    fn may_take_off(&mut self) -> bool {
        self.stops.exist() && std::mem::take(&mut self.lit)
    }

    /// Takes the dots off for the time being: what fails is not repeated, since a start or a reply follows.
    async fn take_off_once(&mut self) {
        if self.may_take_off() {
            self.stops.begin(&self.message, 1).go().await;
            self.lit = self.stops.chats.is_lit(&self.message.chat);
        }
    }

    /// Takes the dots off while the work goes on. A reply that is there does not wait for another try.
    async fn take_off(&mut self) {
        if !self.may_take_off() {
            return;
        }
        let (stops, message) = (Arc::clone(&self.stops), self.message.clone());
        let mut stopping = stops.begin(&message, MOST_TRIES);
        while let Some(at) = stopping.go().await {
            tokio::select! {
                biased;
                () = self.reply_is_there() => {
                    self.lit = true;
                    return;
                }
                () = sleep_until(at) => {}
            }
        }
    }

    /// Takes the dots off: nobody is going to answer in this turn.
    async fn take_off_at_last(&mut self, tried: oneshot::Sender<()>) {
        if !self.may_take_off() {
            return;
        }
        self.stops.chats.doubt(&self.message.chat);
        let mut stopping = self.stops.begin(&self.message, MOST_TRIES);
        let next = stopping.go().await;
        // Whoever has waited for it may have gone.
        let _ = tried.send(());
        if let Some(at) = next {
            sleep_until(at).await;
            stopping.all().await;
        }
    }

    /// Waits until there is a reply to be sent; for ever, if the guard is dropped.
    async fn reply_is_there(&mut self) {
        let is_there = self.wishes.wait_for(|wish| wish.phase != Phase::Lit).await.is_ok();
        // A closed channel is a dropped guard.
        if !is_there || self.wishes.has_changed().is_err() {
            pending::<()>().await;
        }
    }

    /// Whether somebody works on a reply, or holds one back that dots have to precede.
    fn is_wanted(&self, lead: bool) -> bool {
        let phase = self.phase();
        // A closed channel is a dropped guard.
        self.wishes.has_changed().is_ok() && (phase == Phase::Lit || lead && phase == Phase::Quiet)
    }
}

/// How long the upstream wants to be left alone after an error; none if the same call would fail in the same way later.
fn after(error: &ProviderError) -> Option<Duration> {
    match error {
        ProviderError::RateLimited { retry_after, .. } => Some(retry_after.unwrap_or_default()),
        ProviderError::Transient { .. } | ProviderError::Ambiguous { .. } => Some(Duration::ZERO),
        ProviderError::Rejected { .. }
        | ProviderError::WindowClosed { .. }
        | ProviderError::OptedOut { .. }
        | ProviderError::Unauthorized { .. }
        | ProviderError::SessionDown { .. }
        | ProviderError::Unsupported { .. } => None,
    }
}
