//! The one loop in which parts leave, each recorded before and after.

use tracing::{debug, warn};

use super::unknown::{self, Unknown};
use super::{Delivery, HoldReason, Outbox, SendOutcome, SettledBy, UNKNOWN, Undelivered, clears_dots, heed_refusal};
use crate::delivery::typing::SendPermit;
use crate::message::MessageId;
use crate::message::clock::timeout_awake;
use crate::provider::{ErrorCode, ProviderError};
use crate::store::{Claim, ContactRef, Outgoing, OutgoingPart, PartState, StoreError};

impl Outbox<'_> {
    /// Records the intent, then sends the parts in order.
    ///
    /// # Errors
    /// When the store fails: whatever was sent by then is recorded, or unknown. When it takes no such record: nothing
    /// was sent, and something else may be.
    pub async fn deliver(
        &self,
        claim: &Claim,
        outgoing: &Outgoing,
        permit: SendPermit,
    ) -> Result<SendOutcome, Undelivered> {
        let held_until = self.held_up(claim, 0).await?;
        let recorded = if held_until.is_some() {
            let mut waiting = outgoing.clone();
            waiting.hold();
            self.store.intend(claim, &waiting).await
        } else {
            self.store.intend(claim, outgoing).await
        };
        if let Err(error) = recorded {
            return Err(Undelivered::of(error, permit));
        }
        let mut run = Run::new(permit);
        let delivery = match held_until {
            Some(at) => Delivery::Later { at, why: HoldReason::Pace },
            None => self.send_parts(claim, outgoing, Begun::Now, &mut run).await?,
        };
        Ok(run.ended(delivery, outgoing).await)
    }

    /// Goes on with what is recorded: what an earlier turn, or an earlier process, has left unfinished, or what waits
    /// to be sent for the first time.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn resume(
        &self,
        claim: &Claim,
        outgoing: &Outgoing,
        permit: SendPermit,
    ) -> Result<SendOutcome, StoreError> {
        let mut run = Run::new(permit);
        let delivery = self.send_parts(claim, outgoing, Begun::Before, &mut run).await?;
        Ok(run.ended(delivery, outgoing).await)
    }

    /// Sends what has not left, in order, each part marked before; says how the delivery ends.
    async fn send_parts(
        &self,
        claim: &Claim,
        outgoing: &Outgoing,
        begun: Begun,
        run: &mut Run,
    ) -> Result<Delivery, StoreError> {
        for (number, part) in outgoing.parts.iter().enumerate() {
            let is_marked = begun == Begun::Now && number == 0;
            let attempts = match &part.state {
                PartState::Sent { .. } => continue,
                PartState::Failed { reason } => return Ok(Delivery::Refused { reason: reason.clone() }),
                PartState::Waiting { attempts } => *attempts,
                PartState::Sending { attempts } if is_marked => *attempts,
                PartState::Sending { .. } | PartState::Unknown { .. } => {
                    match self.settle_unknown(claim, number, part, run).await? {
                        Ok(attempts) => attempts,
                        Err(None) => continue,
                        Err(Some(end)) => return Ok(end),
                    }
                }
            };
            if !is_marked && !self.is_out_of_time(part) {
                if let Some(at) = self.held_up(claim, begun.left_before(outgoing)).await? {
                    return Ok(Delivery::Later { at, why: HoldReason::Pace });
                }
                let state = self.store.mark(claim, number, PartState::Sending { attempts }).await?;
                if let PartState::Sent { .. } = state {
                    continue;
                }
            }
            if let Some(end) = self.send(claim, outgoing, number, part, attempts, run).await? {
                return Ok(end);
            }
        }
        if run.settled_by.is_none() && outgoing.parts.iter().any(|part| matches!(part.state, PartState::Sent { .. })) {
            run.settled_by = outgoing.reports_carry_key.then_some(SettledBy::Report);
        }
        Ok(Delivery::Delivered)
    }

    /// Decides about a part of which nobody knows whether it was delivered. Says after how many attempts it is to be
    /// sent again; or else how the delivery ends, if it does not go on with the next part.
    async fn settle_unknown(
        &self,
        claim: &Claim,
        number: usize,
        part: &OutgoingPart,
        run: &mut Run,
    ) -> Result<Result<u32, Option<Delivery>>, StoreError> {
        let now = self.clock.now();
        let (attempts, since) = match part.state {
            PartState::Unknown { attempts, since } => (attempts, since),
            // Still marked as being sent: the process ended in between, and nobody knows how the send did.
            PartState::Sending { attempts } => (attempts + 1, now),
            _ => return Ok(Err(None)),
        };
        let (key, policy) = (part.key.as_str(), self.config.on_unknown);
        Ok(match unknown::decide(self.provider.abilities(), self.config, since, self.listening, now) {
            Unknown::SendAgain => {
                run.settled_by = Some(self.settled_by());
                warn!(part.key = key, ?policy, settled_by = self.settled_by().as_str(), "a part is sent again");
                Ok(attempts)
            }
            Unknown::WaitUntil(at) => {
                match self.store.mark(claim, number, PartState::Unknown { attempts, since }).await? {
                    PartState::Sent { .. } => Err(None),
                    _ => Err(Some(Delivery::Later { at, why: HoldReason::Unknown })),
                }
            }
            Unknown::GiveUp => Err(Some(Delivery::Refused { reason: UNKNOWN.into() })),
        })
    }

    /// How a part is settled that is sent again.
    fn settled_by(&self) -> SettledBy {
        let abilities = self.provider.abilities();
        match (abilities.idempotent_sends, abilities.statuses_carry_key) {
            (true, _) => SettledBy::Key,
            (false, true) => SettledBy::NoReport,
            (false, false) => SettledBy::Policy,
        }
    }

    /// Sends one part and records what came of it; says how the delivery ends, if it ends here.
    async fn send(
        &self,
        claim: &Claim,
        outgoing: &Outgoing,
        number: usize,
        part: &OutgoingPart,
        attempts: u32,
        run: &mut Run,
    ) -> Result<Option<Delivery>, StoreError> {
        if self.is_out_of_time(part) {
            return Ok(Some(Delivery::WindowClosed));
        }
        if self.store.overheard(claim).await? {
            // What has been written before this part leaves is not this part, unless it has left in an earlier attempt.
            self.store.mark(claim, number, PartState::Waiting { attempts }).await?;
            if let PartState::Sent { .. } = self.store.mark(claim, number, PartState::Sending { attempts }).await? {
                return Ok(None);
            }
        }
        if let Some(end) = self.called_off(outgoing, number).await? {
            self.store.mark(claim, number, PartState::Waiting { attempts }).await?;
            return Ok(Some(end));
        }
        // The last look before it leaves, after all that was awaited; nothing is awaited between this and the call.
        self.store.may_send(claim)?;
        let error = match self.call(outgoing, part, &run.permit).await {
            // The settlement that follows the last part records it just as well, with one write less.
            Ok(message) if number + 1 == outgoing.parts.len() => {
                run.unrecorded.push((number, message));
                return Ok(None);
            }
            Ok(message) => {
                self.store.mark(claim, number, PartState::Sent { message }).await?;
                return Ok(None);
            }
            Err(error) => error,
        };
        if matches!(error, ProviderError::OptedOut { .. }) {
            heed_refusal(self.store, &ContactRef::of(&outgoing.to), self.clock.now()).await?;
        }
        let attempts = attempts + 1;
        debug!(part.key = part.key.as_str(), part.attempts = attempts, %error, "a part was not sent");
        let (state, end) = self.after(&error, attempts, claim);
        // The upstream's report may have overtaken its answer.
        match self.store.mark(claim, number, state).await? {
            PartState::Sent { .. } => {
                run.settled_by = Some(SettledBy::Report);
                Ok(None)
            }
            _ => Ok(Some(end)),
        }
    }

    /// The one place where something leaves. Nothing does without a permit.
    async fn call(
        &self,
        outgoing: &Outgoing,
        part: &OutgoingPart,
        _permit: &SendPermit,
    ) -> Result<MessageId, ProviderError> {
        self.indicator.sends(&outgoing.to);
        let sent = match outgoing.confirms_opt_out {
            true => self.provider.confirm_opt_out(&outgoing.to, &part.part, &part.key),
            false => self.provider.send(&outgoing.to, &part.part, &part.key),
        };
        let sent = timeout_awake(self.config.send_timeout, sent).await;
        if matches!(sent, Ok(Ok(_))) && clears_dots(part) {
            self.indicator.sent(&outgoing.to, &part.key);
        }
        sent.unwrap_or(Err(ProviderError::Ambiguous { code: ErrorCode::Network("timed out") }))
    }
}

/// A run of sends: the permit for it, and what it has come to so far.
struct Run {
    permit: SendPermit,
    unrecorded: Vec<(usize, MessageId)>,
    settled_by: Option<SettledBy>,
}

impl Run {
    fn new(permit: SendPermit) -> Self {
        Self { permit, unrecorded: Vec::new(), settled_by: None }
    }

    /// Ends the run, and with it the permit: what was delivered has taken the dots off, or they are taken off now.
    async fn ended(self, delivery: Delivery, outgoing: &Outgoing) -> SendOutcome {
        if delivery == Delivery::Delivered && outgoing.parts.iter().any(clears_dots) {
            self.permit.cleared();
        } else {
            self.permit.off().await;
        }
        SendOutcome { delivery, unrecorded: self.unrecorded, settled_by: self.settled_by }
    }
}

/// When the first part of what is sent was marked as being sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Begun {
    /// By the intent of this very run: it is sent at once.
    Now,
    /// Earlier, if at all: nobody knows what became of it.
    Before,
}

impl Begun {
    /// How many parts may have left that the pace of this process does not know of.
    fn left_before(self, outgoing: &Outgoing) -> usize {
        match self {
            Self::Now => 0,
            // Those that are not waiting have left, or may have.
            Self::Before => {
                outgoing.parts.iter().filter(|part| !matches!(part.state, PartState::Waiting { .. })).count()
            }
        }
    }
}
