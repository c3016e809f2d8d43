//! Delivery: a reply's parts on their way to the upstream, each of them once.
//!
//! What is about to be sent is durable before it is sent, and what became of it is durable before the next part
//! leaves. After a crash, or after an answer that never came, a part is *unknown*: never repeated blindly, but by
//! the bot's policy ([`OnUnknown`]). A back-off is a conversation given back to the store until later, so it holds
//! back that conversation alone and keeps no task busy.

mod plain;
mod split;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use tracing::{debug, warn};

use crate::clock::{Clock, Timestamp, in_words};
use crate::handler::Speaker;
use crate::message::{MediaSource, MessageId, Part, PartKey, Payload};
use crate::pace::{Pace, Slot};
use crate::provider::{Code, InvalidPart, Provider, ProviderError, Scope};
use crate::store::{Claim, Outgoing, OutgoingPart, PartState, Store, StoreError, Waiting};
use crate::typing::Quiet;

/// How replies are sent. The `delivery` table of a bot's configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeliveryConfig {
    /// How long one send may take. Past that its outcome is unknown.
    #[serde(with = "in_words")]
    pub send_timeout: Duration,
    /// What is done when nobody knows whether a part was delivered.
    pub on_unknown: OnUnknown,
    /// How often a part is tried before its message is dead, if `give_up_after` has passed as well.
    pub attempts: u32,
    /// How old a message is before its reply may be given up, if `attempts` have been made as well.
    #[serde(with = "in_words")]
    pub give_up_after: Duration,
}

impl Default for DeliveryConfig {
    fn default() -> Self {
        Self {
            send_timeout: Duration::from_secs(20),
            on_unknown: OnUnknown::Resend,
            attempts: 8,
            give_up_after: Duration::from_secs(3600),
        }
    }
}

/// What is done with a part that may have been delivered, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnUnknown {
    /// Send it again, after a back-off: the customer may see it twice.
    Resend,
    /// Never send it again: the customer may not see it at all, and the message becomes a dead letter.
    Drop,
}

/// How a delivery ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The upstream has every part.
    Delivered,
    /// Not yet: go on at this time.
    Later(Timestamp),
    /// The bot cannot send at all: go on when its operator has acted.
    Down(ProviderError),
    /// It will not be delivered.
    Refused {
        /// Why, in codes.
        reason: String,
    },
}

/// Turns a handler's parts into ones that the upstream takes: what it has no form for written out, long texts split,
/// media in hand uploaded.
///
/// # Errors
/// When a part breaks one of the upstream's limits, or a medium cannot be uploaded.
pub async fn prepare(provider: &dyn Provider, parts: Vec<Part>, patience: Duration) -> Result<Vec<Part>, Unsendable> {
    let mut ready = Vec::with_capacity(parts.len());
    for part in parts {
        let part = plain::written_out(part, provider.abilities());
        match part.payload {
            Payload::Text { body } => {
                let pieces = split::split(&body, provider.abilities().text_limit);
                let first = ready.len();
                ready.extend(pieces.into_iter().map(Part::text));
                ready[first..].iter_mut().take(1).for_each(|piece| piece.quote = part.quote);
            }
            payload => ready.push(Part { payload, quote: part.quote }),
        }
    }
    if ready.is_empty() {
        return Err(InvalidPart("the reply is empty".into()).into());
    }
    ready.iter().try_for_each(|part| provider.check(part))?;
    for part in &mut ready {
        if let Payload::Media(media) = &mut part.payload
            && let MediaSource::Bytes { data, mime } = &media.source
        {
            let uploaded = timeout(patience, provider.upload_media(data.clone(), mime)).await;
            media.source = MediaSource::Uploaded(uploaded.map_err(|_| Unsendable::UploadTimedOut)??);
        }
    }
    Ok(ready)
}

/// Why a handler's reply cannot be sent as it is.
#[derive(Debug, thiserror::Error)]
pub enum Unsendable {
    /// The handler's doing.
    #[error("the reply breaks a limit of the provider's: {0}")]
    Invalid(#[from] InvalidPart),
    /// The upstream's doing.
    #[error("a medium could not be uploaded: {0}")]
    Upload(#[from] ProviderError),
    /// Nobody knows whose doing.
    #[error("a medium could not be uploaded in time")]
    UploadTimedOut,
}

/// Gives the parts their keys and the address they go to: ready to be recorded once it says what it answers.
pub fn address(newest: &Waiting, parts: Vec<Part>) -> Outgoing {
    let name = |part: usize| format!("{}{:x}-{}-{part}", PartKey::PREFIX, newest.accepted.0, newest.seq);
    let parts = parts.into_iter().enumerate().map(|(number, part)| OutgoingPart {
        key: PartKey::new(name(number)),
        part,
        state: if number == 0 { PartState::Sending { attempts: 0 } } else { PartState::Waiting { attempts: 0 } },
    });
    Outgoing {
        to: newest.inbound.at.clone(),
        answers: vec![newest.seq],
        turned_away: Vec::new(),
        parts: parts.collect(),
        failure: None,
        reports_carry_key: false,
    }
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
    /// How fast the bot sends.
    pub pace: &'a Pace,
}

impl Outbox<'_> {
    /// Records the intent, then sends the parts in order.
    ///
    /// # Errors
    /// When the store fails. Whatever was sent by then is recorded, or unknown.
    pub async fn deliver(&self, claim: &Claim, outgoing: &Outgoing, dots: Quiet) -> Result<Delivery, StoreError> {
        if let Some(at) = self.held_up(claim, 0).await? {
            let mut outgoing = outgoing.clone();
            outgoing.parts.iter_mut().for_each(|part| part.state = PartState::Waiting { attempts: 0 });
            self.store.intend(claim, &outgoing).await?;
            dots.off().await;
            return Ok(Delivery::Later(at));
        }
        self.store.intend(claim, outgoing).await?;
        for (number, part) in outgoing.parts.iter().enumerate() {
            if number > 0 {
                if let Some(at) = self.held_up(claim, 0).await? {
                    dots.off().await;
                    return Ok(Delivery::Later(at));
                }
                self.store.mark(claim, number, PartState::Sending { attempts: 0 }).await?;
            }
            if let Some(end) = self.send(claim, outgoing, number, part, 0).await? {
                dots.off().await;
                return Ok(end);
            }
        }
        dots.cleared();
        Ok(Delivery::Delivered)
    }

    /// Goes on with a reply that an earlier turn, or an earlier process, has left unfinished.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn resume(&self, claim: &Claim, outgoing: &Outgoing) -> Result<Delivery, StoreError> {
        for (number, part) in outgoing.parts.iter().enumerate() {
            let attempts = match &part.state {
                PartState::Sent { .. } => continue,
                PartState::Failed { reason } => return Ok(Delivery::Refused { reason: reason.clone() }),
                PartState::Waiting { attempts } => *attempts,
                // Still marked as being sent: the process ended in between, and nobody knows how the send did.
                PartState::Sending { attempts } | PartState::Unknown { attempts } => {
                    let attempts = attempts + u32::from(matches!(part.state, PartState::Sending { .. }));
                    warn!(part.key = part.key.as_str(), policy = ?self.config.on_unknown, "a part's delivery is unknown");
                    if self.config.on_unknown == OnUnknown::Drop {
                        return Ok(Delivery::Refused { reason: "its delivery is unknown".into() });
                    }
                    attempts
                }
            };
            // Those that are not waiting have left, or may have.
            let left = outgoing.parts.iter().filter(|part| !matches!(part.state, PartState::Waiting { .. })).count();
            if let Some(at) = self.held_up(claim, left).await? {
                return Ok(Delivery::Later(at));
            }
            self.store.mark(claim, number, PartState::Sending { attempts }).await?;
            if let Some(end) = self.send(claim, outgoing, number, part, attempts).await? {
                return Ok(end);
            }
        }
        Ok(Delivery::Delivered)
    }

    /// Sends one part and records what came of it; says how the delivery ends, if it ends here.
    async fn send(
        &self,
        claim: &Claim,
        outgoing: &Outgoing,
        number: usize,
        part: &OutgoingPart,
        attempts: u32,
    ) -> Result<Option<Delivery>, StoreError> {
        let error = match self.call(outgoing, part).await {
            // The settlement that follows the last part records it just as well, with one write less.
            Ok(_) if number + 1 == outgoing.parts.len() => return Ok(None),
            Ok(message) => {
                self.store.mark(claim, number, PartState::Sent { message }).await?;
                return Ok(None);
            }
            Err(error) => error,
        };
        let attempts = attempts + 1;
        debug!(part.key = part.key.as_str(), part.attempts = attempts, %error, "a part was not sent");
        let (state, end) = self.after(&error, attempts, claim);
        self.store.mark(claim, number, state).await?;
        Ok(Some(end))
    }

    /// Until when the next part has to wait; none if it leaves now. `left` parts that are not in the history yet may
    /// have left before this process came.
    async fn held_up(&self, claim: &Claim, left: usize) -> Result<Option<Timestamp>, StoreError> {
        let (conversation, now) = (&claim.conversation, self.clock.now());
        let mut sent = Vec::new();
        if let Some(most) = self.pace.recalls(&conversation.chat, now) {
            let said = self.store.history(conversation, most).await?;
            sent.extend(said.iter().filter(|said| said.by == Speaker::Bot).map(|said| said.time));
            sent.extend(std::iter::repeat_n(now, left));
        }
        match self.pace.book(&conversation.chat, now, &sent) {
            Slot::Now => Ok(None),
            Slot::At(at) => Ok(Some(at)),
        }
    }

    async fn call(&self, outgoing: &Outgoing, part: &OutgoingPart) -> Result<MessageId, ProviderError> {
        let sent = self.provider.send(&outgoing.to, &part.part, &part.key);
        let sent = timeout(self.config.send_timeout, sent).await;
        sent.unwrap_or(Err(ProviderError::Ambiguous { code: Code::Network("timed out") }))
    }

    /// What an error makes of the part and of the delivery.
    fn after(&self, error: &ProviderError, attempts: u32, claim: &Claim) -> (PartState, Delivery) {
        let waiting = PartState::Waiting { attempts };
        let refused = |reason: String| (PartState::Failed { reason: reason.clone() }, Delivery::Refused { reason });
        match error {
            ProviderError::Unauthorized { .. } | ProviderError::SessionDown { .. } => {
                (waiting, Delivery::Down(error.clone()))
            }
            ProviderError::Rejected { .. } | ProviderError::WindowClosed { .. } | ProviderError::Unsupported { .. } => {
                refused(error.to_string())
            }
            ProviderError::Ambiguous { .. } if self.config.on_unknown == OnUnknown::Drop => {
                refused("its delivery is unknown".into())
            }
            _ if self.is_enough(attempts, claim) => refused(format!("given up after {attempts} attempts: {error}")),
            ProviderError::Ambiguous { .. } => {
                (PartState::Unknown { attempts }, Delivery::Later(self.clock.now().plus(back_off(error, attempts))))
            }
            ProviderError::RateLimited { retry_after, scope, .. } => {
                let now = self.clock.now();
                let open = self.pace.throttled(*scope, *retry_after, &claim.conversation.chat, now);
                (waiting, Delivery::Later(open.max(now.plus(back_off(error, attempts)))))
            }
            ProviderError::Transient { .. } => {
                (waiting, Delivery::Later(self.clock.now().plus(back_off(error, attempts))))
            }
        }
    }

    /// An outage alone kills no good mail: both the attempts and the age must be there.
    fn is_enough(&self, attempts: u32, claim: &Claim) -> bool {
        let oldest = claim.messages.first().map(|waiting| waiting.accepted);
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
