//! Delivery: a reply's parts on their way to the upstream, each of them once.
//!
//! What is about to be sent is durable before it is sent, and what became of it is durable before the next part leaves.
//! After a crash, or after an answer that never came, a part is *unknown*: never repeated blindly, but settled by the
//! upstream's own means where it has some, else by the bot's policy ([`OnUnknown`]). A back-off is a conversation given
//! back to the store until later, so it holds back that conversation alone and keeps no task busy.

mod address;
mod changes;
mod choices;
mod errors;
mod format;
mod outcome;
mod plain;
mod prepare;
mod send;
mod settings;
mod shorten;
mod split;
mod unknown;

use std::time::Duration;

use crate::delivery::pacing::Pace;
use crate::delivery::typing::Indicator;
use crate::message::clock::{Clock, Timestamp};
use crate::message::{Payload, Speaker};
use crate::provider::Provider;
use crate::store::{
    By, Claim, ContactChange, ContactRef, Contacts, Opted, OptedBy, Outgoing, OutgoingPart, Pause, Store, StoreError,
};
pub use address::{AGAIN, address, again, instead, proactive};
pub use changes::ShapeChanges;
pub use outcome::{Delivery, HoldReason, SendOutcome, SettledBy, Undelivered};
pub use prepare::{Prepared, Shaped, Unsendable, prepare, shape};
pub use settings::{DeliveryConfig, WindowTemplate};
pub(crate) use split::most_pieces;
pub use unknown::OnUnknown;

/// What a delivery works with. Nothing leaves without a [`SendPermit`](crate::delivery::typing::SendPermit), which
/// nobody can make but the guard, and a turn for what no dots precede:
///
/// ```
/// # use threedots::delivery::{outbox::{Outbox, SendOutcome}, typing::SendPermit};
/// # use threedots::store::{Claim, Outgoing, StoreError};
/// async fn send(
///     outbox: &Outbox<'_>,
///     claim: &Claim,
///     outgoing: &Outgoing,
///     permit: SendPermit,
/// ) -> Result<SendOutcome, StoreError> {
///     outbox.resume(claim, outgoing, permit).await
/// }
/// ```
///
/// Without one, it does not compile:
///
/// ```compile_fail
/// # use threedots::delivery::{outbox::{Outbox, SendOutcome}, typing::SendPermit};
/// # use threedots::store::{Claim, Outgoing, StoreError};
/// async fn send(outbox: &Outbox<'_>, claim: &Claim, outgoing: &Outgoing) -> Result<SendOutcome, StoreError> {
///     outbox.resume(claim, outgoing, SendPermit { guard: None }).await
/// }
/// ```
///
/// ```compile_fail
/// # use threedots::delivery::{outbox::{Outbox, SendOutcome}, typing::SendPermit};
/// # use threedots::store::{Claim, Outgoing, StoreError};
/// async fn send(outbox: &Outbox<'_>, claim: &Claim, outgoing: &Outgoing) -> Result<SendOutcome, StoreError> {
///     outbox.resume(claim, outgoing, SendPermit::never_shown()).await
/// }
/// ```
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

impl Outbox<'_> {
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

    /// Whether a part may no longer be sent, for it is free-form and the customer's last message too old.
    fn is_out_of_time(&self, part: &OutgoingPart) -> bool {
        let approved = matches!(part.part.payload, Payload::ApprovedTemplate { .. });
        !approved && self.open_until.is_some_and(|until| until <= self.clock.now())
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
pub async fn heed_refusal(store: &dyn Contacts, peer: &ContactRef, now: Timestamp) -> Result<(), StoreError> {
    let opted = Opted { out: true, since: now, by: OptedBy::Upstream };
    store.update_contact(peer, ContactChange::Opt(opted)).await.map(drop)
}

/// Nobody will ever know.
const UNKNOWN: &str = "its delivery is unknown";
