//! The 24-hour window: after it, a customer is sent nothing but an approved template.

use super::TurnRun;
use crate::message::clock::Timestamp;
use crate::message::{HistoryEntry, Speaker};
use crate::store::{Claim, ContactRef, StoreError};

/// Why a reply was not sent.
pub(super) const CLOSED: &str = "the customer's last message is too old for a free-form reply";

/// So many things said last are looked at for the customer's last word.
const LOOKED_AT: usize = 200;

impl TurnRun<'_> {
    /// Until when the customer may be sent free-form replies: so long after their last message, waiting or answered.
    pub(super) fn window(&self, claim: &Claim, history: &[HistoryEntry]) -> Option<Timestamp> {
        let window = self.bot.provider.abilities().window?;
        let waiting = claim.messages.iter().map(|waiting| waiting.inbound.at.time);
        let said = history.iter().filter(|said| said.by == Speaker::Customer).map(|said| said.time);
        waiting.chain(said).max().map(|last| last.plus(window))
    }

    /// Whether no free-form reply may be sent any more.
    pub(super) fn is_closed(&self) -> bool {
        self.open_until.is_some_and(|until| until <= self.tools.clock.now())
    }

    /// Until when somebody may be sent free-form messages unasked: whoever has never written may not, where there is
    /// such a window.
    pub(super) async fn open_to(&self, claim: &Claim, peer: &ContactRef) -> Result<Option<Timestamp>, StoreError> {
        if self.bot.provider.abilities().window.is_none() {
            return Ok(None);
        }
        let history = self.history(claim, peer, LOOKED_AT).await?;
        let has_written = !claim.messages.is_empty() || history.iter().any(|said| said.by == Speaker::Customer);
        Ok(if has_written { self.window(claim, &history) } else { Some(Timestamp::default()) })
    }
}
