//! Webhooks on their way to the bot: signed, repeated until taken, and now and then doubled or out of order.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout};

use super::fault::Mischief;
use super::phone::Customer;
use super::upstream::{Course, News};
use super::{Sandbox, pause};
use crate::message::MessageId;

/// A webhook that is held back goes by itself after this long, so that the last one of a test or a demo is not lost.
const LONGEST_HOLD: Duration = Duration::from_secs(10);

/// One webhook.
#[derive(Clone)]
pub(super) struct Webhook {
    event: &'static str,
    about: Option<MessageId>,
    body: Bytes,
}

impl Webhook {
    /// Carries a customer's message.
    pub(super) fn message(id: MessageId, body: Bytes) -> Self {
        Self { event: "message", about: Some(id), body }
    }

    /// Carries the status of a message of the bot's.
    pub(super) fn status(status: &'static str, id: MessageId, body: Bytes) -> Self {
        Self { event: status, about: Some(id), body }
    }

    /// Carries a message from the business's own number.
    pub(super) fn echo(id: MessageId, body: Bytes) -> Self {
        Self { event: "echo", about: Some(id), body }
    }

    /// Carries what somebody made up.
    pub(super) fn injected(body: Bytes) -> Self {
        Self { event: "injected", about: None, body }
    }

    fn is_message(&self) -> bool {
        self.event == "message"
    }
}

impl Sandbox {
    /// Sends a webhook on its way.
    pub(super) fn deliver(self: &Arc<Self>, webhook: Webhook) {
        let is_message = webhook.is_message();
        {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            if held.is_none() && self.faults.for_webhook(Mischief::HoldBack, is_message) {
                *held = Some(webhook.clone());
                drop(held);
                self.release_in_the_end(webhook);
                return;
            }
        }
        if self.faults.for_webhook(Mischief::Duplicate, is_message) {
            self.spawn(Arc::clone(self).repeat_until_taken(webhook.clone()));
        }
        self.spawn(Arc::clone(self).repeat_until_taken(webhook));
    }

    /// Sends the statuses of one message of the bot's, each at its time. `key` is the bot's own name for it.
    pub(super) fn report(self: &Arc<Self>, customer: &Customer, id: &MessageId, key: Option<String>, course: Course) {
        let delays = self.settings.statuses;
        let steps = match course {
            Course::Whole => vec![("sent", delays.sent), ("delivered", delays.delivered), ("read", delays.read)],
            Course::SentOnly => vec![("sent", delays.sent)],
            Course::Failed(_) => vec![("failed", delays.sent)],
        };
        let error = if let Course::Failed(code) = course { Some(code) } else { None };
        for (status, delay) in steps.into_iter().filter_map(|(status, delay)| Some((status, delay?))) {
            let (sandbox, customer, id, key) = (Arc::clone(self), customer.clone(), id.clone(), key.clone());
            self.spawn(async move {
                pause(delay).await;
                let (customer, key, at) = (&customer, key.as_deref(), sandbox.clock.now());
                let news = News { customer, id: &id, status, key, error, at };
                if let Some(body) = sandbox.settings.upstream.wire().status(&sandbox, &news) {
                    sandbox.deliver(Webhook::status(status, id, body));
                }
            });
        }
    }

    async fn repeat_until_taken(self: Arc<Self>, webhook: Webhook) {
        for attempt in 1.. {
            let status = self.attempt(&webhook).await;
            if attempt == 1 {
                self.release_held_by(&webhook);
            }
            if status == Some(200) {
                return;
            }
            tokio::time::sleep(self.settings.retries.pause(attempt)).await;
        }
    }

    /// Signs and posts a webhook once.
    pub(super) async fn attempt(&self, webhook: &Webhook) -> Option<u16> {
        let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        headers.extend(self.settings.upstream.wire().headers(self, &webhook.body));
        let started = Instant::now();
        let post = self.courier.post(&self.settings.webhook_url, headers, webhook.body.clone());
        let status = timeout(self.settings.webhook_patience, post).await.ok().flatten();
        self.phone.webhook_answered(webhook.about.as_ref(), webhook.event, status, started.elapsed());
        status
    }

    /// Lets go what was held back until one like `gone` had gone.
    fn release_held_by(self: &Arc<Self>, gone: &Webhook) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.as_ref().is_some_and(|held| held.is_message() == gone.is_message() && held.about != gone.about)
            && let Some(webhook) = held.take()
        {
            self.spawn(Arc::clone(self).repeat_until_taken(webhook));
        }
    }

    fn release_in_the_end(self: &Arc<Self>, webhook: Webhook) {
        let sandbox = Arc::clone(self);
        self.spawn(async move {
            tokio::time::sleep(LONGEST_HOLD).await;
            let mut held = sandbox.held.lock().unwrap_or_else(PoisonError::into_inner);
            if held.as_ref().is_some_and(|held| held.about == webhook.about && held.event == webhook.event) {
                *held = None;
                sandbox.spawn(Arc::clone(&sandbox).repeat_until_taken(webhook));
            }
        });
    }
}
