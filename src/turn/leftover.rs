//! Dots that show although no turn holds them: a turn that neither answers nor lights any takes them off as it ends.
//!
//! Nothing of this is recorded. That a conversation was ready when the store was opened says that a process which died
//! may have lit its dots; a message that has just arrived, that the upstream may have; a part that is reported as
//! failed, that nothing took them off.

use std::time::Duration;

use super::{GiveBackReason, TurnRun};
use crate::message::MessageRef;
use crate::message::clock::Timestamp;
use crate::store::{Claim, Ending, Seq};

/// Whoever is given back for no longer than this is served again before anybody minds the dots.
const SOON: Duration = Duration::from_secs(1);

impl TurnRun<'_> {
    /// Notes what the customer may see although this turn has not lit it.
    pub(super) fn note_leftover(&self, claim: &Claim) {
        let (indicator, now) = (&self.bot.indicator, self.tools.clock.now());
        if let Some(at) = chat(claim).filter(|_| claim.inherited) {
            indicator.may_show_since(at, self.tools.started);
        }
        if let Some(newest) = claim.messages.iter().rfind(|waiting| !waiting.replayed) {
            indicator.arrived(&newest.inbound.at, now.since(newest.accepted));
        }
        for failed in &claim.failed {
            indicator.never_arrived(&failed.sent.to, &failed.sent.key, now.since(failed.sent.sent));
        }
    }

    /// The turn ends here: nothing is left to show, unless something that is claimed is for the turn that follows.
    pub(super) fn settle_dots(&self, claim: &Claim, endings: &[(Seq, Ending)]) {
        let mut all = claim.messages.iter().chain(&claim.proactive_messages);
        if all.all(|waiting| endings.iter().any(|(seq, _)| *seq == waiting.seq)) {
            self.take_off_leftover(claim);
        }
    }

    /// The turn is given back until `at`: nobody is at work before that.
    pub(super) fn leave_dots(&self, claim: &Claim, at: Timestamp, why: GiveBackReason) {
        if why != GiveBackReason::MoreMayCome && at > self.tools.clock.now().plus(SOON) {
            self.take_off_leftover(claim);
        }
    }

    fn take_off_leftover(&self, claim: &Claim) {
        if let Some(at) = chat(claim) {
            self.bot.indicator.settle(&self.tools.tasks, at);
        }
    }
}

/// A message in the chat of what is claimed.
fn chat(claim: &Claim) -> Option<&MessageRef> {
    let waiting = claim.messages.last().or(claim.proactive_messages.last()).map(|waiting| &waiting.inbound.at);
    let outgoing = claim.outgoing.as_ref().map(|outgoing| &outgoing.to);
    waiting.or(outgoing).or(claim.failed.last().map(|failed| &failed.sent.to))
}
