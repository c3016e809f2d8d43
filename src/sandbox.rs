//! The sandbox: the providers' other side, on loopback, and a phone to look at it with.
//!
//! It speaks an upstream's real wire from the other end: signed webhooks go out, and read, typing, send and media
//! calls come in, with the upstream's own answers, error bodies and limits. A newcomer tries threedots against it
//! without an account; tests and benchmarks take it for their upstream. Nothing on the product's side knows.
//!
//! - [`Sandbox::write`] is the customer's thumb: a [`Draft`] becomes a message and a webhook.
//! - [`Sandbox::handle`] is the upstream's API, over plain values, without a socket.
//! - [`Phone`] is what the customer sees, and keeps the timeline of what happened.
//! - [`Faults`] is trouble to order.
//!
//! ```
//! use std::sync::Arc;
//! use async_trait::async_trait;
//! use bytes::Bytes;
//! use threedots::message::clock::Clock;
//! use threedots::sandbox::{Courier, Sandbox, SandboxSettings};
//!
//! struct Webhook;
//!
//! #[async_trait]
//! impl Courier for Webhook {
//!     async fn post(&self, _url: &str, _headers: Vec<(String, String)>, _body: Bytes) -> Option<u16> {
//!         Some(200) // where a bot would take the message
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let sandbox = Sandbox::new(SandboxSettings::default(), Clock::tokio(), Arc::new(Webhook));
//! let ada = sandbox.new_customer("Ada");
//! sandbox.write(&ada, "hello".into()).unwrap();
//! sandbox.phone().wait_for(|phone| phone.story().len() == 2).await;
//! assert!(sandbox.phone().story()[1].ends_with("webhook message #1: 200"));
//! # sandbox.shutdown().await;
//! # }
//! ```
//!
//! It imports nothing of the product's side but the clock and the opaque message id: two sides that share their
//! parser share its mistakes.

mod calls;
mod delivery;
mod draft;
mod fault;
mod gateway;
mod ids;
mod limits;
mod linq;
mod media;
mod meta;
mod nxcloud;
mod page;
pub mod phone;
mod server;
mod settings;
mod signing;
mod takeover;
mod upstream;
mod waha;
mod wawp;
mod web;

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
pub use draft::Draft;
pub use fault::{AnyFault, Calls, Failure, Fault, FaultId, Faults, Mischief, WebhookFault};
pub use page::{Page, PageError};
pub use phone::{Customer, CustomerId, Phone};
pub use server::{configure, on_connect};
pub use settings::{RetrySchedule, SandboxSettings, StatusDelays};
pub use takeover::OperatorAccess;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
pub use upstream::{Upstream, UpstreamAnswer, UpstreamRequest};

use phone::Side;
use upstream::{Echoed, Written};

use crate::message::MessageId;
use crate::message::clock::{Clock, Timestamp};

/// Carries webhooks away. The app's makes an HTTP call; a test's hands them to the product in the same process.
#[async_trait]
pub trait Courier: Send + Sync + 'static {
    /// POSTs a webhook. Returns the status of the answer, or none if there was no answer.
    async fn post(&self, url: &str, headers: Vec<(String, String)>, body: Bytes) -> Option<u16>;
}

/// An upstream, and the phones of its customers.
pub struct Sandbox {
    settings: SandboxSettings,
    clock: Clock,
    phone: Phone,
    faults: Faults,
    media: media::MediaStore,
    ids: ids::Ids,
    courier: Arc<dyn Courier>,
    held: Mutex<Option<delivery::Webhook>>,
    limits: limits::Limits,
    /// The answers to sends that carried a key, where the upstream gives the same answer to the same key.
    keyed: Mutex<HashMap<String, UpstreamAnswer>>,
    operator: OnceLock<OperatorAccess>,
    runtime: Handle,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Sandbox {
    /// A sandbox without customers. Its tasks run on the tokio runtime that this is called in.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn new(settings: SandboxSettings, clock: Clock, courier: Arc<dyn Courier>) -> Arc<Self> {
        let rules = phone::DotsRules { lifetime: settings.typing_lifetime, cooldown: settings.typing_cooldown };
        let ids = ids::Ids::new(settings.seed.unwrap_or(clock.now().0));
        Arc::new(Self {
            settings,
            clock,
            phone: Phone::new(clock, rules),
            faults: Faults::default(),
            media: media::MediaStore::default(),
            ids,
            courier,
            held: Mutex::new(None),
            limits: limits::Limits::default(),
            keyed: Mutex::default(),
            operator: OnceLock::new(),
            runtime: Handle::current(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        })
    }

    /// What it was set up with.
    pub fn settings(&self) -> &SandboxSettings {
        &self.settings
    }

    /// The customers' phones.
    pub fn phone(&self) -> &Phone {
        &self.phone
    }

    /// The trouble in force.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Gives somebody a phone and a number: an invented one, out of those that are kept free for that.
    pub fn new_customer(&self, name: &str) -> CustomerId {
        // 98 numbers in each area code: 555-0101 to 555-0198.
        let free = (0..).map(|n: u64| format!("1{}555{:04}", 212 + n / 98, 101 + n % 98)).map(CustomerId::new);
        let mut free = free.filter(|id| self.phone.customer(id).is_none());
        let id = free.next().expect("numbers do not run out");
        self.phone.add(Customer::new(id.as_str(), name));
        id
    }

    /// A customer sends something: it stands in the chat, and a webhook goes out. Returns its id.
    ///
    /// # Errors
    /// When there is no such customer.
    pub fn write(self: &Arc<Self>, customer: &CustomerId, draft: Draft) -> Result<MessageId, UnknownCustomer> {
        let customer = self.phone.customer(customer).ok_or(UnknownCustomer)?;
        let wire = self.settings.upstream.wire();
        let id = wire.message_id(&self.ids, &customer, Side::Customer);
        let draft = draft.with_medium(|mime, bytes| {
            let medium = self.ids.medium();
            self.media.keep(medium.clone(), mime, bytes, media::Origin::Customer, self.clock.now());
            medium
        });
        let quoted_from = draft.quotes.as_ref().and_then(|quoted| self.phone.message(quoted)).map(|quoted| quoted.from);
        let at = match draft.reaction_to() {
            Some((to, emoji)) => self.phone.customer_reacts(&customer.id, &id, to, emoji),
            None => self.phone.customer_writes(&customer.id, &id, draft.body(), draft.quotes.clone()),
        };
        let at = at.ok_or(UnknownCustomer)?;
        wire.on_arrival(self, &customer.id, &id);
        let body = wire.message(self, &Written { customer: &customer, id: &id, draft: &draft, quoted_from, at });
        self.deliver(delivery::Webhook::message(id.clone(), body));
        Ok(id)
    }

    /// A person writes to a customer on the business's own phone: it stands in the chat, and where the upstream tells
    /// of that a webhook goes out. Returns its id.
    ///
    /// # Errors
    /// When there is no such customer.
    pub fn write_as_person(self: &Arc<Self>, customer: &CustomerId, words: &str) -> Result<MessageId, UnknownCustomer> {
        let customer = self.phone.customer(customer).ok_or(UnknownCustomer)?;
        let wire = self.settings.upstream.wire();
        let id = wire.message_id(&self.ids, &customer, Side::Person);
        let at = self.phone.person_writes(&customer.id, &id, words).ok_or(UnknownCustomer)?;
        let body = wire.echo(self, &Echoed { customer: &customer, id: &id, words, at });
        if let Some(body) = body {
            self.deliver(delivery::Webhook::echo(id.clone(), body));
        }
        Ok(id)
    }

    /// Tells of a message of the bot's as if anybody had written it, where that is a habit of the upstream's.
    fn echo_own(self: &Arc<Self>, customer: &Customer, id: &MessageId) {
        let Some(message) = self.phone.message(id).filter(|_| self.settings.own_echoes) else { return };
        let echoed = Echoed { customer, id, words: message.body.words(), at: message.at };
        if let Some(body) = self.settings.upstream.wire().echo(self, &echoed) {
            self.deliver(delivery::Webhook::echo(id.clone(), body));
        }
    }

    /// Signs `body` and posts it once, whatever it is. Returns the status of the answer.
    pub async fn inject(&self, body: impl Into<Bytes>) -> Option<u16> {
        self.attempt(&delivery::Webhook::injected(body.into())).await
    }

    /// Ends everything that is under way, and returns when nothing is.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Ends when [`shutdown`](Self::shutdown) begins.
    pub fn stopping(&self) -> impl Future<Output = ()> + Send + use<> {
        self.stop.clone().cancelled_owned()
    }

    /// The answer that a send with this key got before, or else what `send` answers, to be remembered if it is one of
    /// success.
    fn once(
        &self,
        key: Option<&str>,
        send: impl FnOnce() -> Result<UpstreamAnswer, upstream::Denial>,
    ) -> Result<UpstreamAnswer, upstream::Denial> {
        let known = |key| self.keyed.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned();
        if let Some(answer) = key.and_then(known) {
            return Ok(answer);
        }
        let answer = send()?;
        if let Some(key) = key {
            self.keyed.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned(), answer.clone());
        }
        Ok(answer)
    }

    /// Runs `task` until it ends or the sandbox does, whoever waits for it.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        let task = async move {
            stop.run_until_cancelled_owned(task).await;
        };
        self.tasks.spawn_on(task, &self.runtime);
    }

    /// Shows the dots in a customer's chat, where calls name the chat, or that a voice message is being `recording`.
    fn light(self: &Arc<Self>, customer: &CustomerId, recording: bool) {
        if let Some(until) = self.phone.start_typing_in(customer, recording) {
            self.watch_lapse(until);
        }
    }

    /// Makes it known, at the right time, that dots have lapsed.
    fn watch_lapse(self: &Arc<Self>, until: Timestamp) {
        let sandbox = Arc::clone(self);
        self.spawn(async move {
            // More than once if the machine's clock is set back meanwhile.
            while sandbox.clock.now() < until {
                sandbox.clock.sleep_until(until).await;
            }
            sandbox.phone.lapse();
        });
    }
}

/// Sleeps, if there is anything to sleep: a timer of no time still takes a tick.
async fn pause(delay: Duration) {
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sandbox(…)")
    }
}

/// No customer of the sandbox's has this id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sandbox knows no such customer")]
pub struct UnknownCustomer;
