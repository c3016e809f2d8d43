//! Delivery: a reply's parts on their way to the upstream, each of them once.
//!
//! What is about to be sent is durable before it is sent, and what became of it is durable before the next part leaves.
//! After a crash, or after an answer that never came, a part is *unknown*: never repeated blindly, but settled by the
//! upstream's own means where it has some, else by the bot's policy ([`OnUnknown`]). A back-off is a conversation given
//! back to the store until later, so it holds back that conversation alone and keeps no task busy.

mod address;
mod changes;
mod choices;
mod format;
mod plain;
mod prepare;
mod settings;
mod shorten;
mod split;
mod unknown;

use std::time::Duration;

use tracing::{debug, warn};

use crate::delivery::pacing::Pace;
use crate::delivery::typing::{Indicator, SendPermit};
use crate::message::clock::{Clock, Timestamp, timeout_awake};
use crate::message::{MessageId, Payload, Speaker};
use crate::provider::{ErrorCode, Provider, ProviderError, Scope};
use crate::store::{
    By, Claim, ContactChange, ContactRef, Opted, OptedBy, Outgoing, OutgoingPart, PartState, Pause, Store, StoreError,
};
pub use address::{AGAIN, address, again, instead, proactive};
pub use changes::ShapeChanges;
pub use prepare::{Prepared, Shaped, Unsendable, prepare, shape};
pub use settings::{DeliveryConfig, WindowTemplate};
pub(crate) use split::most_pieces;
pub use unknown::OnUnknown;
use unknown::Unknown;

/// How a delivery ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The upstream has every part.
    Delivered,
    /// Not yet.
    Later {
        /// When to go on.
        at: Timestamp,
        /// What it waits for.
        why: HoldReason,
    },
    /// The bot cannot send at all: go on when its operator has acted.
    Down(ProviderError),
    /// The customer's last message is too old for a free-form reply.
    WindowClosed,
    /// A person has taken over: nothing more leaves.
    TakenOver {
        /// How many parts, counted from the first, had left by then.
        left: usize,
    },
    /// It was to be said unasked, and the contact has opted out of that: nothing more leaves.
    OptedOut,
    /// It will not be delivered.
    Refused {
        /// Why, in codes.
        reason: String,
    },
}

/// What a reply waits for that does not leave yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldReason {
    /// Its time, for the bot keeps to what the upstream takes.
    Pace,
    /// The upstream has asked for time.
    RateLimited,
    /// The upstream to be there again.
    Unavailable,
    /// Whether a part has been delivered.
    Unknown,
}

/// What a delivery works with.
pub struct Outbox<'a> {
    /// The upstream.
    pub provider: &'a dyn Provider,
    /// Where intents and outcomes are recorded.
    pub store: &'a dyn Store,
    /// The time.
    pub clock: &'a Clock,
    /// The bot's settings.
    pub config: &'a DeliveryConfig,
    /// Until when the customer may be sent free-form replies; none if always.
    pub open_until: Option<Timestamp>,
    /// How fast the bot sends.
    pub pace: &'a Pace,
    /// What is told of what leaves: it may take dots off.
    pub indicator: &'a Indicator,
    /// For how long the upstream's reports have been taken.
    pub listening: Duration,
}

/// What came of sending what could be sent.
#[derive(Debug)]
pub struct SendOutcome {
    /// How it ended.
    pub delivery: Delivery,
    /// The parts that have left and whose records do not say so yet, by number: the settlement does that.
    pub unrecorded: Vec<(usize, MessageId)>,
    /// How a part of which nobody knew whether it was delivered was settled, if there was one.
    pub settled_by: Option<SettledBy>,
}

/// Why nothing more was sent.
pub enum Undelivered {
    /// The store has failed, or the claim is no longer held.
    Store(StoreError),
    /// The store takes no such record. Nothing was sent: who holds the dots may send something else.
    Unrecordable(StoreError, SendPermit),
}

impl Undelivered {
    fn of(error: StoreError, dots: SendPermit) -> Self {
        match error {
            StoreError::TooLarge { .. } | StoreError::Invalid(_) => Self::Unrecordable(error, dots),
            error => Self::Store(error),
        }
    }
}

impl From<StoreError> for Undelivered {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// How a part was settled of which nobody knew whether it was delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettledBy {
    /// It was sent again with its key, which the upstream knows.
    Key,
    /// The upstream has reported it.
    Report,
    /// The upstream has not reported it, as it would have: it was sent again.
    NoReport,
    /// By the bot's policy.
    Policy,
}

impl SendOutcome {
    /// Nothing was sent, and nothing will be.
    pub fn refused(reason: String) -> Self {
        Self { delivery: Delivery::Refused { reason }, unrecorded: Vec::new(), settled_by: None }
    }
}

impl SettledBy {
    /// The word for it in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Report => "report",
            Self::NoReport => "no_report",
            Self::Policy => "policy",
        }
    }
}

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
        dots: SendPermit,
    ) -> Result<SendOutcome, Undelivered> {
        let mut run = Run::default();
        if let Some(at) = self.held_up(claim, 0).await? {
            let mut outgoing = outgoing.clone();
            outgoing.hold();
            if let Err(error) = self.store.intend(claim, &outgoing).await {
                return Err(Undelivered::of(error, dots));
            }
            dots.off().await;
            return Ok(run.ended(Delivery::Later { at, why: HoldReason::Pace }));
        }
        if let Err(error) = self.store.intend(claim, outgoing).await {
            return Err(Undelivered::of(error, dots));
        }
        for (number, part) in outgoing.parts.iter().enumerate() {
            if number > 0 && !self.is_out_of_time(part) {
                if let Some(at) = self.held_up(claim, 0).await? {
                    dots.off().await;
                    return Ok(run.ended(Delivery::Later { at, why: HoldReason::Pace }));
                }
                self.store.mark(claim, number, PartState::Sending { attempts: 0 }).await?;
            }
            if let Some(end) = self.send(claim, outgoing, number, part, 0, &mut run).await? {
                dots.off().await;
                return Ok(run.ended(end));
            }
        }
        if outgoing.parts.iter().any(clears_dots) {
            dots.cleared();
        } else {
            dots.off().await;
        }
        Ok(run.ended(Delivery::Delivered))
    }

    /// Goes on with a reply that an earlier turn, or an earlier process, has left unfinished.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn resume(
        &self,
        claim: &Claim,
        outgoing: &Outgoing,
        dots: SendPermit,
    ) -> Result<SendOutcome, StoreError> {
        let mut run = Run::default();
        let delivery = self.go_on(claim, outgoing, &mut run).await?;
        if delivery == Delivery::Delivered {
            dots.cleared()
        } else {
            dots.off().await
        }
        Ok(run.ended(delivery))
    }

    /// Sends what waits, and says how the delivery ends.
    async fn go_on(&self, claim: &Claim, outgoing: &Outgoing, run: &mut Run) -> Result<Delivery, StoreError> {
        for (number, part) in outgoing.parts.iter().enumerate() {
            let attempts = match &part.state {
                PartState::Sent { .. } => continue,
                PartState::Failed { reason } => return Ok(Delivery::Refused { reason: reason.clone() }),
                PartState::Waiting { attempts } => *attempts,
                PartState::Sending { .. } | PartState::Unknown { .. } => {
                    match self.settle_unknown(claim, number, part, run).await? {
                        Ok(attempts) => attempts,
                        Err(None) => continue,
                        Err(Some(end)) => return Ok(end),
                    }
                }
            };
            if !self.is_out_of_time(part) {
                // Those that are not waiting have left, or may have.
                let left =
                    outgoing.parts.iter().filter(|part| !matches!(part.state, PartState::Waiting { .. })).count();
                if let Some(at) = self.held_up(claim, left).await? {
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
        let error = match self.call(outgoing, part).await {
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

    /// How the delivery ends whose first parts, so many, have left, if what stands about the customer ends it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn called_off(&self, outgoing: &Outgoing, left: usize) -> Result<Option<Delivery>, StoreError> {
        let standing = self.store.contact_state(&ContactRef::of(&outgoing.to)).await?;
        let pause = standing.pause(self.clock.now());
        Ok(if pause.is_some_and(|pause| is_held_back_by(outgoing, &pause)) {
            Some(Delivery::TakenOver { left })
        } else if outgoing.unasked && standing.opted_out().is_some() {
            Some(Delivery::OptedOut)
        } else {
            None
        })
    }

    /// When a handler is to be asked, since nothing that it said could leave before; none if now.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn closed_until(&self, claim: &Claim) -> Result<Option<Timestamp>, StoreError> {
        let (chat, now) = (&claim.conversation.chat, self.clock.now());
        let sent = self.sent_before(claim, 0, now).await?;
        Ok(self.pace.reserve(chat, now, &sent).into())
    }

    /// When dots are to begin that precede what is ready for so long, since it could not leave behind them; none if
    /// now.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn closed_behind(&self, claim: &Claim, lead: Duration) -> Result<Option<Timestamp>, StoreError> {
        let (chat, now) = (&claim.conversation.chat, self.clock.now());
        let sent = self.sent_before(claim, 0, now).await?;
        Ok(self.pace.reserve_within(chat, lead, now, &sent).into())
    }

    /// Until when the next part has to wait; none if it leaves now. `left` parts that are not in the history yet may
    /// have left before this process came.
    async fn held_up(&self, claim: &Claim, left: usize) -> Result<Option<Timestamp>, StoreError> {
        let now = self.clock.now();
        let sent = self.sent_before(claim, left, now).await?;
        Ok(self.pace.book(&claim.conversation.chat, now, &sent).into())
    }

    /// When something has been sent into this conversation before, as far as the pace wants to know.
    async fn sent_before(&self, claim: &Claim, left: usize, now: Timestamp) -> Result<Vec<Timestamp>, StoreError> {
        let Some(most) = self.pace.recalls(&claim.conversation.chat, now) else { return Ok(Vec::new()) };
        let said = self.store.history(&claim.conversation, most).await?;
        let sent = said.iter().filter(|said| said.by == Speaker::Bot).map(|said| said.time);
        Ok(sent.chain(std::iter::repeat_n(now, left)).collect())
    }

    async fn call(&self, outgoing: &Outgoing, part: &OutgoingPart) -> Result<MessageId, ProviderError> {
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

    /// What an error makes of the part and of the delivery.
    fn after(&self, error: &ProviderError, attempts: u32, claim: &Claim) -> (PartState, Delivery) {
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

    /// Whether a part may no longer be sent, for it is free-form and the customer's last message too old.
    fn is_out_of_time(&self, part: &OutgoingPart) -> bool {
        let approved = matches!(part.part.payload, Payload::ApprovedTemplate { .. });
        !approved && self.open_until.is_some_and(|until| until <= self.clock.now())
    }

    /// An outage alone kills no good mail: both the attempts and the age must be there.
    fn is_enough(&self, attempts: u32, claim: &Claim) -> bool {
        let oldest = claim.messages.first().into_iter().chain(claim.proactive_messages.first());
        let oldest = oldest.map(|waiting| waiting.accepted).min();
        let age = oldest.map(|accepted| self.clock.now().since(accepted)).unwrap_or_default();
        attempts >= self.config.attempts && age >= self.config.give_up_after
    }
}

/// Whether a reply may not leave while a person answers. What is said unasked may, as a rule. What tells the customer
/// that one will, who has asked for that, may, until the person is there.
pub fn is_held_back_by(outgoing: &Outgoing, pause: &Pause) -> bool {
    !(outgoing.despite_pause || outgoing.announces_person && pause.by == By::Customer)
}

/// Whether a part takes the dots off as it arrives. A reaction is no message: they stay.
fn clears_dots(part: &OutgoingPart) -> bool {
    !matches!(part.part.payload, Payload::Reaction { .. })
}

/// Notes that the upstream sends nothing to somebody who has told it so.
///
/// # Errors
/// When the store fails.
pub async fn heed_refusal(store: &dyn Store, peer: &ContactRef, now: Timestamp) -> Result<(), StoreError> {
    let opted = Opted { out: true, since: now, by: OptedBy::Upstream };
    store.update_contact(peer, ContactChange::Opt(opted)).await.map(drop)
}

/// Nobody will ever know.
const UNKNOWN: &str = "its delivery is unknown";

/// What a run of sends has come to so far.
#[derive(Default)]
struct Run {
    unrecorded: Vec<(usize, MessageId)>,
    settled_by: Option<SettledBy>,
}

impl Run {
    fn ended(self, delivery: Delivery) -> SendOutcome {
        SendOutcome { delivery, unrecorded: self.unrecorded, settled_by: self.settled_by }
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
