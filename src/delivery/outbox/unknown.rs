//! What is done with a part of which nobody knows whether it was delivered.
//!
//! By the idempotency key where the upstream has one: the same key again doubles nothing. By the echo of our key in the
//! upstream's reports where they carry it: whatever is reported has left, and what is not reported within the window
//! has not, if somebody has listened for as long. By the bot's policy in all other cases. Never by a blind retry.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::DeliveryConfig;
use crate::message::clock::Timestamp;
use crate::provider::Abilities;

/// What is done with a part that may have been delivered, or not, and of which no word comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnUnknown {
    /// Send it again: the customer may see it twice.
    Resend,
    /// Never send it again: the customer may not see it at all, and the message becomes a dead letter.
    Drop,
    /// Wait for word of it until `give_up_after`, where the upstream's reports carry our keys; then drop it.
    Hold,
}

/// What to do with a part whose delivery is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    /// Send it, with the same key.
    SendAgain,
    /// Word of it may still come until then.
    WaitUntil(Timestamp),
    /// Nobody will ever know.
    GiveUp,
}

/// Decides about a part that has been unknown `since` then, when reports have been taken for as long as `listening`.
pub(super) fn decide(
    abilities: &Abilities,
    config: &DeliveryConfig,
    since: Timestamp,
    listening: Duration,
    now: Timestamp,
) -> Unknown {
    if abilities.idempotent_sends {
        return Unknown::SendAgain;
    }
    // What the upstream reported while nobody was there to hear it, it brings again.
    let heard_out = now.plus(config.settle_window.saturating_sub(listening));
    let word_until = |window: Duration| since.plus(window).max(heard_out);
    let awaited = match config.on_unknown {
        _ if !abilities.statuses_carry_key => None,
        OnUnknown::Hold => Some(word_until(config.give_up_after)),
        OnUnknown::Resend | OnUnknown::Drop => Some(word_until(config.settle_window)),
    };
    match (awaited, config.on_unknown) {
        (Some(until), _) if now < until => Unknown::WaitUntil(until),
        (_, OnUnknown::Resend) => Unknown::SendAgain,
        (_, OnUnknown::Drop | OnUnknown::Hold) => Unknown::GiveUp,
    }
}
