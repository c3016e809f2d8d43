//! Who says that they want nothing sent to them unasked is heeded before anything else, whatever becomes of the
//! message: while a person answers, and where no gate lets it through.

use super::TurnRun;
use crate::policy::control::ControlCommand;
use crate::store::{Claim, ContactChange, ContactRef, Opted, OptedBy, StoreError};

impl TurnRun<'_> {
    /// Notes what the waiting messages say about that, in their order. What the upstream's own words say was noted as
    /// they came in.
    pub(super) async fn apply_preferences(&self, claim: &Claim) -> Result<(), StoreError> {
        for waiting in &claim.messages {
            let out = match self.bot.controls.own_order(&waiting.inbound) {
                Some(ControlCommand::OptOut) => true,
                Some(ControlCommand::OptIn) => false,
                Some(ControlCommand::Stop | ControlCommand::Human) | None => continue,
            };
            let opted = Opted { out, since: waiting.inbound.at.time, by: OptedBy::Person };
            self.tools
                .store
                .update_contact(&ContactRef::writer(&waiting.inbound.at), ContactChange::Opt(opted))
                .await?;
        }
        Ok(())
    }
}
