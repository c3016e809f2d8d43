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
//! await and no spawn. And **only a [`Quiet`] may send**: it can be had in one way, by waiting until no start is in
//! flight, so a start that lands after the reply and lights the dots again is a type error and not a race.
//!
//! A start is never cut short by us: a call that is abandoned half-way may still arrive. It has its own short
//! timeout instead, one call is in flight at most, and nothing here is ever retried by the HTTP client.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::task::TaskTracker;
use tracing::{Instrument, debug, warn};

use crate::clock::in_words;
use crate::handler::{Presence, PresenceRequest};
use crate::message::MessageRef;
use crate::provider::{Activity, Provider, ProviderError};

/// After so many failures in a row nobody tries again: a dead chat costs three calls, not one at every tick.
const MOST_FAILURES: u32 = 3;
/// How long the dots stay off in a beat: long enough to be seen.
const BEAT: Duration = Duration::from_millis(1500);

/// What the customer sees while a bot works. The `typing` table of a bot's configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TypingConfig {
    /// What is shown.
    pub show: Show,
    /// How long one read or typing call may take. A reply waits for such a call no longer than this.
    #[serde(with = "in_words")]
    pub call_timeout: Duration,
    /// How long the dots may be kept on for one turn, whatever happens.
    #[serde(with = "in_words")]
    pub cap: Duration,
}

impl Default for TypingConfig {
    fn default() -> Self {
        Self { show: Show::Typing, call_timeout: Duration::from_secs(3), cap: Duration::from_secs(120) }
    }
}

/// What the customer sees while a bot works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Show {
    /// That the message was read, and the dots.
    Typing,
    /// That the message was read.
    Read,
    /// Nothing.
    Nothing,
}

/// Lights the dots for `message` and keeps them lit until the guard says otherwise.
///
/// The first call is made even if the answer is there at once: on some upstreams it is what marks the message as read.
pub fn show(tasks: &TaskTracker, provider: &Arc<dyn Provider>, config: &TypingConfig, message: &MessageRef) -> Dots {
    let (presence, requests) = Presence::channel();
    let (phase, phases) = watch::channel(Phase::Lit);
    let (rest, at_rest) = oneshot::channel();
    let lead = Instant::now() + provider.abilities().typing.lead;
    let task = Task {
        provider: Arc::clone(provider),
        message: message.clone(),
        activity: Activity::Typing,
        end: Instant::now() + config.cap,
        config: config.clone(),
        phases,
        requests,
        lit: false,
        failures: 0,
        starts: 0,
    };
    let task = tasks.spawn(task.run(rest).in_current_span());
    Dots { guard: Guard { phase, task }, at_rest, presence, lead }
}

/// The hold on the task. Dropped, it lets go: the task then takes the dots off by itself.
struct Guard {
    phase: watch::Sender<Phase>,
    task: JoinHandle<()>,
}

impl Guard {
    async fn off(self) {
        drop(self.phase);
        // An error means that the task has panicked: nothing is left to wait for.
        let _ = self.task.await;
    }
}

/// The dots are on, or about to be. Dropped, they are taken off.
#[must_use = "dropping this takes the dots off"]
pub struct Dots {
    guard: Guard,
    at_rest: oneshot::Receiver<()>,
    presence: Presence,
    lead: Instant,
}

impl Dots {
    /// The handler's hand on the dots.
    pub fn presence(&self) -> Presence {
        self.presence.clone()
    }

    /// Lets no further start out and waits for the one in flight: at most one call's timeout, and at least as long
    /// as the upstream wants dots to precede a message.
    pub async fn quiet(self) -> Quiet {
        sleep_until(self.lead).await;
        self.guard.phase.send_replace(Phase::Quiet);
        // An error means that the task has ended, which is as quiet as it gets.
        let _ = self.at_rest.await;
        Quiet { guard: self.guard }
    }

    /// Takes the dots off and waits until they are, so that the conversation's next turn finds none: at most the
    /// timeouts of the call in flight and of the one that takes them off.
    pub async fn off(self) {
        self.guard.off().await;
    }
}

/// No start is in flight, and none will follow: the licence to send. Dropped, the dots are taken off.
#[must_use = "dropping this takes the dots off"]
pub struct Quiet {
    guard: Guard,
}

impl Quiet {
    /// The reply was delivered, and took the dots off.
    pub fn cleared(self) {
        self.guard.phase.send_replace(Phase::Cleared);
    }

    /// The reply was not delivered: takes the dots off and waits until they are.
    pub async fn off(self) {
        self.guard.off().await;
    }
}

/// How far a turn has come. A dropped sender is the fourth phase: ended, without a delivered reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Lit,
    Quiet,
    Cleared,
}

/// The one that lights the dots and takes them off.
struct Task {
    provider: Arc<dyn Provider>,
    message: MessageRef,
    config: TypingConfig,
    activity: Activity,
    end: Instant,
    phases: watch::Receiver<Phase>,
    requests: mpsc::Receiver<PresenceRequest>,
    lit: bool,
    failures: u32,
    starts: u32,
}

impl Task {
    async fn run(mut self, rest: oneshot::Sender<()>) {
        match self.config.show {
            Show::Typing => self.keep_lit().await,
            Show::Read => self.mark_read().await,
            Show::Nothing => {}
        }
        // From here on no start is in flight: the guard may let the reply go.
        let _ = rest.send(());
        let cleared = self.phases.wait_for(|phase| *phase == Phase::Cleared).await.is_ok();
        if !cleared {
            self.take_off().await;
        }
    }

    /// Lights the dots again and again until it is enough, or hopeless.
    async fn keep_lit(&mut self) {
        if !self.provider.abilities().typing.start_marks_read {
            self.mark_read().await;
            if !self.wanted() {
                return;
            }
        }
        while self.start().await {
            let abilities = &self.provider.abilities().typing;
            let next = match abilities.refresh {
                Some(refresh) if self.starts <= abilities.max_refreshes => Instant::now() + refresh,
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

    /// Makes one start call; says whether another may ever follow.
    async fn start(&mut self) -> bool {
        self.starts += 1;
        let started = self.provider.start_typing(&self.message, self.activity);
        match timeout(self.config.call_timeout, started).await {
            Ok(Ok(())) => {
                self.lit = true;
                self.failures = 0;
                return true;
            }
            Ok(Err(error)) => {
                // One without an answer may have lit them.
                self.lit |= matches!(error, ProviderError::Ambiguous { .. });
                self.failures += 1;
                debug!(typing.error = %error, typing.failures = self.failures, "the dots could not be lit");
                if is_hopeless(&error) {
                    return false;
                }
            }
            Err(_) => {
                self.lit = true;
                self.failures += 1;
                debug!(typing.failures = self.failures, "a typing call timed out");
            }
        }
        if self.failures == MOST_FAILURES {
            warn!(typing.failures = self.failures, "the dots fail again and again: no more for this turn");
        }
        self.failures < MOST_FAILURES
    }

    /// Waits for the next start and serves the handler's requests; says whether dots are wanted after that.
    async fn wait(&mut self, next: Instant) -> bool {
        loop {
            let request = tokio::select! {
                biased;
                // An error means that the guard was dropped.
                _ = self.phases.wait_for(|phase| *phase != Phase::Lit) => return false,
                Some(request) = self.requests.recv() => request,
                () = sleep_until(next) => return true,
            };
            let abilities = &self.provider.abilities().typing;
            match request {
                PresenceRequest::Beat if abilities.stop.is_some() => {
                    self.take_off().await;
                    let off = Instant::now() + BEAT;
                    let still_wanted = tokio::select! {
                        _ = self.phases.wait_for(|phase| *phase != Phase::Lit) => false,
                        () = sleep_until(off) => true,
                    };
                    return still_wanted;
                }
                PresenceRequest::Pause => {
                    self.take_off().await;
                    return false;
                }
                PresenceRequest::Recording if abilities.recording && self.activity != Activity::Recording => {
                    self.activity = Activity::Recording;
                    return true;
                }
                PresenceRequest::Typing if self.activity != Activity::Typing => {
                    self.activity = Activity::Typing;
                    return true;
                }
                // This upstream has no such thing, or shows it already.
                _ => {}
            }
        }
    }

    async fn mark_read(&self) {
        match timeout(self.config.call_timeout, self.provider.mark_read(&self.message)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!(read.error = %error, "the message could not be marked as read"),
            Err(_) => debug!("a read call timed out"),
        }
    }

    /// Takes the dots off, if they may be on and the upstream can: at most once for each time that they were lit.
    async fn take_off(&mut self) {
        if self.provider.abilities().typing.stop.is_none() || !std::mem::take(&mut self.lit) {
            return;
        }
        match timeout(self.config.call_timeout, self.provider.stop_typing(&self.message)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(typing.error = %error, "the dots could not be taken off: they will lapse"),
            Err(_) => warn!("the call that takes the dots off timed out: they will lapse"),
        }
    }

    fn wanted(&self) -> bool {
        // A closed channel is a dropped guard.
        self.phases.has_changed().is_ok() && *self.phases.borrow() == Phase::Lit
    }
}

/// Whether the same call would fail in the same way a refresh later.
fn is_hopeless(error: &ProviderError) -> bool {
    match error {
        ProviderError::Rejected { .. }
        | ProviderError::WindowClosed { .. }
        | ProviderError::Unauthorized { .. }
        | ProviderError::SessionDown { .. }
        | ProviderError::Unsupported { .. } => true,
        ProviderError::RateLimited { .. } | ProviderError::Transient { .. } | ProviderError::Ambiguous { .. } => false,
    }
}
