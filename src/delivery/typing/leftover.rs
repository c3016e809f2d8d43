//! Dots that no turn of this process holds: those of a process that died, those that an upstream has lit by itself
//! under a message which nobody answers, and those whose reply was taken and never arrived.
//!
//! They are marked here as they are met, and [`Indicator::settle`] takes off what shows as a turn ends. A start or a
//! reply that comes before that makes them the business of whoever sends it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::stops::MOST_TRIES;
use super::{Indicator, Show};
use crate::message::{MessageRef, PartKey};
use crate::provider::GroupTyping;

impl Indicator {
    /// The chat of `message` may show the dots of a process that ended before `began`.
    pub fn may_show_since(&self, message: &MessageRef, began: Instant) {
        self.may_show(message, began + self.stops.longest());
    }

    /// A message has arrived, so long ago: some upstreams light the dots then.
    pub fn arrived(&self, message: &MessageRef, ago: Duration) {
        if self.provider.abilities().typing.lit_on_arrival {
            self.mark(message, Instant::now() + self.stops.longest().saturating_sub(ago));
        }
    }

    /// A part that answered `message` was taken, so long ago, and never arrived: the dots that it should have taken off
    /// show on, unless something came after it. What an earlier process has sent may have been the last.
    pub fn never_arrived(&self, message: &MessageRef, key: &PartKey, ago: Duration) {
        if Instant::now().checked_sub(ago).is_some_and(|sent| sent >= self.stops.chats.since()) {
            self.stops.chats.uncover(&message.chat, key);
        } else {
            self.may_show(message, Instant::now() + self.stops.longest().saturating_sub(ago));
        }
    }

    /// A turn of ours may have lit the dots that show until then, if it ever does that.
    fn may_show(&self, message: &MessageRef, until: Instant) {
        let shown = self.provider.abilities().typing.shown_in(message);
        if self.config.show == Show::Typing && shown == GroupTyping::Show {
            self.mark(message, until);
        }
    }

    fn mark(&self, message: &MessageRef, until: Instant) {
        if self.stops.exist() && Instant::now() < until {
            self.stops.chats.light(&message.chat, until);
        }
    }

    /// A message is about to leave for a chat: dots that are about to be taken off there are its own to clear.
    pub fn sends(&self, message: &MessageRef) {
        self.stops.chats.sends(&message.chat);
    }

    /// A message was accepted that takes the dots off as it arrives.
    pub fn sent(&self, message: &MessageRef, key: &PartKey) {
        self.stops.chats.sent(&message.chat, key);
    }

    /// Nothing follows for now in the chat of `message`: takes off the dots that may show there, within the upstream's
    /// limit, and not more than so many in a second over all chats. Waits for nothing.
    pub fn settle(&self, tasks: &TaskTracker, message: &MessageRef) {
        let Some((at, ticket)) = self.stops.chats.book(&message.chat) else { return };
        let (stops, message) = (Arc::clone(&self.stops), message.clone());
        let take_off = async move {
            sleep_until(at).await;
            stops.under(ticket, &message, MOST_TRIES).all().await;
        };
        tasks.spawn(take_off.in_current_span());
    }

    /// The same indicator, with what is known of the dots by the one that it replaces.
    #[must_use]
    pub fn after(mut self, before: &Self) -> Self {
        let (provider, call_timeout) = (Arc::clone(&self.stops.provider), self.stops.call_timeout);
        let chats = Arc::clone(&before.stops.chats);
        self.stops = Arc::new(super::Stops { provider, chats, call_timeout });
        self
    }
}
