//! Whether a bot's upstream lets it work at all. One that it does not is left alone for a while, and so is the
//! upstream.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::{error, info};

use crate::message::BotName;
use crate::message::clock::{Clock, Timestamp};
use crate::provider::ProviderError;

/// While a bot is down, this long lies between two attempts.
const PAUSE: Duration = Duration::from_secs(60);
/// While one turn tries whether the bot is up again, the others look again after this long.
const TRIAL: Duration = Duration::from_secs(5);

/// Whether a bot can work. Shared by all its turns: one refusal spares the others the attempt.
pub struct Health {
    bot: BotName,
    clock: Clock,
    state: Mutex<HealthState>,
}

#[derive(Clone, Copy, Default)]
enum HealthState {
    #[default]
    Up,
    /// Left alone until then.
    Down(Timestamp),
    /// One turn tries, and the others wait until then at the longest.
    Tried(Timestamp),
}

impl Health {
    /// The health of a bot that nothing is known to be wrong with.
    pub fn new(bot: BotName, clock: Clock) -> Self {
        Self { bot, clock, state: Mutex::default() }
    }

    /// Until when a turn has to wait; none if it may begin. After a pause a single turn may, to see how things are.
    pub fn wait(&self) -> Option<Timestamp> {
        let now = self.clock.now();
        let mut state = self.lock();
        match *state {
            HealthState::Up => None,
            HealthState::Down(until) if now < until => Some(until),
            HealthState::Tried(until) if now < until => Some(until.min(now.plus(TRIAL))),
            HealthState::Down(_) | HealthState::Tried(_) => {
                *state = HealthState::Tried(now.plus(PAUSE));
                None
            }
        }
    }

    /// Whether it is known to be down.
    pub fn is_down(&self) -> bool {
        !matches!(*self.lock(), HealthState::Up)
    }

    /// Looks at an error: if no send of this bot's can do better, the bot is down, and its operator is told. Returns
    /// until when it is left alone.
    pub fn suffer(&self, error: &ProviderError) -> Option<Timestamp> {
        let advice = match error {
            ProviderError::Unauthorized { .. } => "check its token, its permissions and its account",
            ProviderError::SessionDown { .. } => "connect its number again on the provider's side",
            _ => return None,
        };
        let until = self.clock.now().plus(PAUSE);
        *self.lock() = HealthState::Down(until);
        let (bot, seconds) = (&self.bot, PAUSE.as_secs());
        error!(%bot, code = %error.code(), "the bot is down, its messages wait: {advice}. The next attempt is in {seconds} s");
        Some(until)
    }

    /// The upstream has taken something from this bot.
    pub fn recover(&self) {
        if !matches!(std::mem::take(&mut *self.lock()), HealthState::Up) {
            info!(bot = %self.bot, "the bot is up again");
        }
    }

    fn lock(&self) -> MutexGuard<'_, HealthState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
