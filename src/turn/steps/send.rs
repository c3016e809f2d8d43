//! Sending what no handler was asked for in this turn, and the dots before it.
//!
//! Dots precede what answers nothing of this moment, on upstreams that want them before every text.
//!
//! What a handler answers has its turn's dots, also if it is held back after them. What is said unasked, and what is
//! sent in the place of a part that failed after all, has them shown for as long as the upstream wants them to precede
//! a text, by the same guard. What has been tried already is not announced again. Nor is what the bot itself says to a
//! control word or a code, or in quiet hours: whoever says "stop" sees no dots begin.

use crate::delivery::typing::SendPermit;
use crate::message::clock::Timestamp;
use crate::message::{MediaKind, Payload};
use crate::provider::Activity;
use crate::store::{Claim, Outgoing, PartState, StoreError};
use crate::turn::takeover::taken_over;
use crate::turn::{GiveBackReason, TurnReport, TurnRun};

/// What came of showing dots first.
enum Preceded {
    /// It may leave.
    Ready(SendPermit),
    /// The turn is given back until then.
    NotYet(Timestamp, GiveBackReason),
}

impl TurnRun<'_> {
    /// Sends what no handler was asked for: all of it waits at first.
    pub(super) async fn send_unanswered(self, claim: Claim, mut outgoing: Outgoing) -> Result<TurnReport, StoreError> {
        outgoing.hold();
        self.tools.store.intend(&claim, &outgoing).await?;
        self.send_waiting(claim, outgoing).await
    }

    /// Sends what is recorded already, after the dots that the upstream wants before every text.
    pub(super) async fn send_waiting(self, claim: Claim, outgoing: Outgoing) -> Result<TurnReport, StoreError> {
        let dots = match self.precede(&claim, &outgoing).await? {
            Preceded::Ready(dots) => dots,
            Preceded::NotYet(at, why) => return self.give_back(claim, at, why).await,
        };
        let sent = self.outbox().resume(&claim, &outgoing, dots).await?;
        self.close(claim, outgoing, sent).await
    }

    /// The licence to send what is outgoing, once dots have preceded it if it is to have any.
    async fn precede(&self, claim: &Claim, outgoing: &Outgoing) -> Result<Preceded, StoreError> {
        let never = Ok(Preceded::Ready(SendPermit::never_shown()));
        let lead = self.bot.provider.abilities().typing.lead;
        if lead.is_zero() || !is_announced(outgoing) || self.outbox().called_off(outgoing, 0).await?.is_some() {
            return never;
        }
        // Nobody sees dots behind which nothing could leave.
        if let Some(at) = self.outbox().closed_behind(claim, lead).await? {
            return Ok(Preceded::NotYet(at, GiveBackReason::Closed));
        }
        let Some(dots) = self.bot.indicator.precede(&self.tools.tasks, &outgoing.to, activity(outgoing)) else {
            return never;
        };
        if outgoing.despite_pause {
            return Ok(Preceded::Ready(dots.quiet().await));
        }
        // Dropped on their way to being quiet, the dots go off.
        tokio::select! {
            biased;
            taken_over = taken_over(self.tools, claim) => {
                taken_over?;
                Ok(Preceded::NotYet(self.tools.clock.now(), GiveBackReason::Person))
            }
            quiet = dots.quiet() => Ok(Preceded::Ready(quiet)),
        }
    }
}

/// Whether it comes by itself, nothing of it has been tried, and it is a message of its own.
fn is_announced(outgoing: &Outgoing) -> bool {
    let is_fresh = outgoing.parts.iter().all(|part| matches!(part.state, PartState::Waiting { attempts: 0 }));
    let reacts = matches!(first(outgoing), None | Some(Payload::Reaction { .. }));
    (outgoing.unasked || outgoing.makes_up_for > 0) && is_fresh && !reacts
}

fn activity(outgoing: &Outgoing) -> Activity {
    match first(outgoing) {
        Some(Payload::Media(media)) if media.kind == MediaKind::Voice => Activity::Recording,
        _ => Activity::Typing,
    }
}

fn first(outgoing: &Outgoing) -> Option<&Payload> {
    outgoing.parts.first().map(|part| &part.part.payload)
}
