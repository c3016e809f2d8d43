//! A bot that its upstream does not let send is left alone for a while, and its upstream is too.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::error;

use crate::clock::Timestamp;
use crate::message::BotName;
use crate::provider::Code;

/// While a bot may not send, this long lies between two attempts.
pub(super) const BARRED_FOR: Duration = Duration::from_secs(60);
/// Whether a bot may send at all. Shared by all its turns: one refusal spares the others the attempt.
#[derive(Default)]
pub struct Barred(Mutex<Option<Timestamp>>);

impl Barred {
    pub(super) fn until(&self, now: Timestamp) -> Option<Timestamp> {
        self.lock().filter(|until| now < *until)
    }

    pub(super) fn bar(&self, bot: &BotName, code: Code, until: Timestamp) {
        error!(%bot, %code, "the provider does not let this bot send: check its token, its permissions and its account. \
            Its messages wait; the next attempt is in {} s", BARRED_FOR.as_secs());
        *self.lock() = Some(until);
    }

    pub(super) fn lift(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
