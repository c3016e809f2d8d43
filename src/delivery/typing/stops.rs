//! Taking dots off: at most one call that is accepted, at most three tries within two seconds, within the upstream's
//! limit for the chat, and none once something else lights or clears the chat.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, warn};

use super::chats::{Chats, StopSlot, Ticket};
use crate::message::MessageRef;
use crate::provider::{ErrorCode, Provider, ProviderError};

/// So often is it tried.
pub(super) const MOST_TRIES: u32 = 3;
/// How long after the first try the last one may begin.
const WINDOW: Duration = Duration::from_millis(1900);
/// After so long, counted from the first try, one without an answer is given up, so that another can follow in time.
const PATIENCE: Duration = Duration::from_millis(1800);
/// The pause after the first try; twice as long after the second.
const FIRST_PAUSE: Duration = Duration::from_millis(400);
/// A start waits no longer than this for a call in flight that takes the same chat's dots off.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Takes the dots of a bot's chats off.
pub(super) struct Stops {
    pub(super) provider: Arc<dyn Provider>,
    pub(super) chats: Arc<Chats>,
    pub(super) call_timeout: Duration,
}

impl Stops {
    /// Whether there is a call that takes dots off.
    pub(super) fn exist(&self) -> bool {
        self.provider.abilities().typing.stop.is_some()
    }

    /// Has whoever is about to take the chat's dots off let it be, for a start is about to leave, and waits for such a
    /// call in flight.
    pub(super) async fn make_way(&self, message: &MessageRef) {
        if self.exist()
            && let Some(landed) = self.chats.starts(&message.chat)
        {
            // One that hangs keeps no start.
            let _ = timeout(LONGEST_WAIT.min(self.call_timeout), landed).await;
        }
    }

    /// The dots were lit, or may have been.
    pub(super) fn lit(&self, message: &MessageRef) {
        let typing = &self.provider.abilities().typing;
        if typing.stop.is_some() {
            self.chats.light(&message.chat, Instant::now() + self.longest());
        }
    }

    /// How long dots may show that nothing takes off. What an upstream says is a rule of thumb: one call too many does
    /// less harm than one too few.
    pub(super) fn longest(&self) -> Duration {
        self.provider.abilities().typing.lifetime * 3 / 2
    }

    /// Begins to take off the dots that the message's chat shows now.
    pub(super) fn begin<'a>(&'a self, message: &'a MessageRef, tries: u32) -> Stopping<'a> {
        let ticket = self.chats.ticket(&message.chat);
        self.under(ticket, message, tries)
    }

    /// The same, for somebody who has the right to since a while.
    pub(super) fn under<'a>(&'a self, ticket: Ticket, message: &'a MessageRef, tries: u32) -> Stopping<'a> {
        Stopping { stops: self, message, ticket, most: tries, made: 0, first: None }
    }
}

/// The dots of a chat on their way off.
pub(super) struct Stopping<'a> {
    stops: &'a Stops,
    message: &'a MessageRef,
    ticket: Ticket,
    most: u32,
    made: u32,
    /// When the first try was made.
    first: Option<Instant>,
}

impl Drop for Stopping<'_> {
    fn drop(&mut self) {
        self.stops.chats.leave(&self.message.chat, self.ticket);
    }
}

impl Stopping<'_> {
    /// Tries until the dots are off, or nothing more is to be tried.
    pub(super) async fn all(&mut self) {
        while let Some(at) = self.go().await {
            sleep_until(at).await;
        }
    }

    /// Makes one try, as soon as the upstream's limit allows it. Returns when the next one is due; none if none is.
    pub(super) async fn go(&mut self) -> Option<Instant> {
        let (stops, chat) = (self.stops, &self.message.chat);
        let per_second = stops.provider.abilities().typing.stop?.per_second;
        let mut flight = loop {
            match stops.chats.room(chat, self.ticket, per_second) {
                StopSlot::Now(flight) => break flight,
                StopSlot::At(at) if self.is_in_time(at) => sleep_until(at).await,
                StopSlot::Behind(landed) => landed.await,
                StopSlot::At(_) | StopSlot::Never => return None,
            }
        };
        let now = Instant::now();
        let first = *self.first.get_or_insert(now);
        self.made += 1;
        let patience = if self.made < self.most { first + PATIENCE - now } else { stops.call_timeout };
        let call = stops.provider.stop_typing(self.message);
        let error = match timeout(patience.min(stops.call_timeout), call).await {
            Ok(Ok(())) => {
                flight.is_off();
                return None;
            }
            Ok(Err(error)) => error,
            Err(_) => ProviderError::Ambiguous { code: ErrorCode::Network("timed out") },
        };
        let next = self.next(&error, first);
        // Whoever tries once alone leaves the rest to the end of the turn.
        let is_tried_again = next.is_some() || self.most == 1 && may_pass(&error);
        if is_tried_again {
            debug!(typing.error = %error, typing.tries = self.made, "the dots could not be taken off yet");
        } else {
            flight.is_off();
            warn!(typing.error = %error, typing.tries = self.made, "the dots could not be taken off: they will lapse");
        }
        drop(flight);
        if next.is_some() {
            stops.chats.wait(chat, self.ticket);
        }
        next
    }

    /// When it is worth another try; none if it is not.
    fn next(&self, error: &ProviderError, first: Instant) -> Option<Instant> {
        let now = Instant::now();
        let asked = match error {
            ProviderError::RateLimited { retry_after, .. } => retry_after.unwrap_or_default(),
            _ => Duration::ZERO,
        };
        let (last, pause) = (first + WINDOW, FIRST_PAUSE * self.made);
        let is_due = may_pass(error) && self.made < self.most && now < last && now + asked <= last;
        is_due.then(|| (now + pause.max(asked)).min(last))
    }

    fn is_in_time(&self, at: Instant) -> bool {
        self.first.is_none_or(|first| at <= first + WINDOW)
    }
}

/// Whether the same call may succeed a moment later.
fn may_pass(error: &ProviderError) -> bool {
    matches!(
        error,
        ProviderError::RateLimited { .. } | ProviderError::Transient { .. } | ProviderError::Ambiguous { .. }
    )
}
