//! Parts that the upstream had taken, and has reported since as failed.

use tracing::warn;

use crate::delivery::outbox;
use crate::message::{MediaSource, Part, Payload};
use crate::provider::ProviderError;
use crate::store::{Claim, ContactRef, FailedPart, Settled, StoreError};
use crate::turn::{TurnOutcome, TurnReport, TurnRun};

/// So often is something sent in the place of what had failed.
const MOST_TIMES: usize = 3;

impl TurnRun<'_> {
    /// Tells the operator, and takes what follows for the bot as a whole: one that may not send is down.
    pub(in crate::turn) async fn look_at_failed(&self, claim: &Claim) -> Result<(), StoreError> {
        for failed in &claim.failed {
            let error = self.bot.provider.reported(failed.code);
            warn!(part.key = failed.sent.key.as_str(), %error, "the provider could not deliver a part that it had taken");
            self.bot.health.suffer(&error);
            if matches!(error, ProviderError::OptedOut { .. }) {
                let (store, now) = (&*self.tools.store, self.tools.clock.now());
                outbox::heed_refusal(store, &ContactRef::of(&failed.sent.to), now).await?;
            }
        }
        Ok(())
    }

    /// Sends again what can still reach the customer in another form, or once the bot may send again.
    pub(in crate::turn) async fn redeliver(self, claim: Claim) -> Result<TurnReport, StoreError> {
        self.look_at_failed(&claim).await?;
        let failed = claim.failed.len();
        let parts = claim.failed.iter().filter_map(|failed| self.instead_of(failed));
        let reports_carry_key = self.bot.provider.abilities().statuses_carry_key;
        let Some(outgoing) = outbox::again(parts.collect(), failed, reports_carry_key) else {
            let reason = "nothing makes up for a failed part".into();
            return self
                .settle(claim, TurnOutcome::Silent, Some(reason), Settled { failed, ..Settled::default() })
                .await;
        };
        self.send_unanswered(claim, outgoing).await
    }

    /// What is sent in the place of a failed part: a medium as a link, for example, or the same again once a bot that
    /// was not allowed to send is; nothing where the customer cannot be reached at all.
    fn instead_of(&self, failed: &FailedPart) -> Option<(FailedPart, Part)> {
        // Whatever fails again and again is left at that.
        if failed.sent.key.as_str().matches(outbox::AGAIN).count() >= MOST_TIMES {
            return None;
        }
        let unasked = failed.sent.unasked;
        let instead = match self.bot.provider.reported(failed.code) {
            ProviderError::Unauthorized { .. } => failed.sent.part.clone(),
            ProviderError::OptedOut { .. } => return None,
            ProviderError::WindowClosed { .. } if unasked => return None,
            ProviderError::WindowClosed { .. } => self.bot.delivery.window_template.as_ref()?.part(),
            _ => as_link(&failed.sent.part)?,
        };
        Some((failed.clone(), instead))
    }
}

/// A medium as words and its address, if it has one.
fn as_link(part: &Part) -> Option<Part> {
    let Payload::Media(media) = &part.payload else { return None };
    let MediaSource::Link(link) = &media.source else { return None };
    let words = media.caption.iter().chain([link]).map(String::as_str).collect::<Vec<_>>().join("\n");
    Some(Part { quote: part.quote, ..Part::text(words) })
}
