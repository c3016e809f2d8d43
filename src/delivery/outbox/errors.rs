//! What an upstream's error makes of a part and of its delivery.

use std::time::Duration;

use super::unknown::{self, Unknown};
use super::{Delivery, HoldReason, Outbox, UNKNOWN};
use crate::provider::{ProviderError, Scope};
use crate::store::{Claim, PartState};

impl Outbox<'_> {
    /// What an error makes of the part and of the delivery.
    pub(super) fn after(&self, error: &ProviderError, attempts: u32, claim: &Claim) -> (PartState, Delivery) {
        let now = self.clock.now();
        let waiting = PartState::Waiting { attempts };
        let refused = |reason: String| (PartState::Failed { reason: reason.clone() }, Delivery::Refused { reason });
        let back_off = now.plus(back_off(error, attempts));
        match error {
            ProviderError::Unauthorized { .. } | ProviderError::SessionDown { .. } => {
                (waiting, Delivery::Down(error.clone()))
            }
            ProviderError::WindowClosed { .. } => (waiting, Delivery::WindowClosed),
            ProviderError::Rejected { .. } | ProviderError::Unsupported { .. } | ProviderError::OptedOut { .. } => {
                refused(error.to_string())
            }
            _ if self.is_enough(attempts, claim) => refused(format!("given up after {attempts} attempts: {error}")),
            ProviderError::Ambiguous { .. } => {
                let state = PartState::Unknown { attempts, since: now };
                match unknown::decide(self.provider.abilities(), self.config, now, self.listening, now) {
                    Unknown::SendAgain => (state, Delivery::Later { at: back_off, why: HoldReason::Unknown }),
                    Unknown::WaitUntil(at) => (state, Delivery::Later { at, why: HoldReason::Unknown }),
                    Unknown::GiveUp => refused(UNKNOWN.into()),
                }
            }
            ProviderError::RateLimited { retry_after, scope, .. } => {
                let open = self.pace.throttled(*scope, *retry_after, &claim.conversation.chat, now);
                (waiting, Delivery::Later { at: open.max(back_off), why: HoldReason::RateLimited })
            }
            ProviderError::Transient { .. } => {
                (waiting, Delivery::Later { at: back_off, why: HoldReason::Unavailable })
            }
        }
    }

    /// An outage alone kills no good mail: both the attempts and the age must be there.
    fn is_enough(&self, attempts: u32, claim: &Claim) -> bool {
        let oldest = claim.messages.first().into_iter().chain(claim.proactive_messages.first());
        let oldest = oldest.map(|waiting| waiting.accepted).min();
        let age = oldest.map(|accepted| self.clock.now().since(accepted)).unwrap_or_default();
        attempts >= self.config.attempts && age >= self.config.give_up_after
    }
}

/// How long to wait before the next attempt, after so many.
fn back_off(error: &ProviderError, attempts: u32) -> Duration {
    let exponent = attempts.saturating_sub(1).min(16);
    let growing = |base: u64, factor: u64, most: u64| Duration::from_secs((base * factor.pow(exponent)).min(most));
    match error {
        ProviderError::RateLimited { retry_after, scope, .. } => {
            let growing = match scope {
                // Meta's own advice for one customer's limit: 4^n seconds.
                Scope::Pair => growing(1, 4, 256),
                Scope::Number => growing(1, 2, 60),
                Scope::Account => growing(60, 2, 900),
            };
            retry_after.map_or(growing, |asked| asked.max(Duration::from_millis(100)))
        }
        _ => growing(1, 2, 60),
    }
}
