//! Somebody is let in to a private bot by a code.

use crate::message::Part;
use crate::policy::gate::TurnedAway;
use crate::store::{Claim, Seq, StoreError};
use crate::turn::{Batch, TurnReport, TurnRun};

const LET_IN: &str = "let in by a code";

impl TurnRun<'_> {
    /// Says so to somebody who has been let in, if the bot is set to. The code is no part of what was said, and what
    /// they wrote before it stays unseen.
    pub(in crate::turn) async fn welcome(mut self, mut claim: Claim, by: Seq) -> Result<TurnReport, StoreError> {
        claim.messages.retain(|waiting| waiting.seq <= by);
        self.report.reason = Some(LET_IN.to_owned());
        let before = claim.messages.len() - 1;
        if before > 0 {
            self.report.turned_away.insert(TurnedAway::NotAllowed, before);
        }
        let turned_away: Vec<Seq> = claim.messages.iter().map(|waiting| waiting.seq).collect();
        let (Some(words), Some(code)) = (self.bot.gates.welcome(), claim.messages.last().cloned()) else {
            return self.keep_silent(claim, None).await;
        };
        let batch = Batch { admitted: vec![code], turned_away: Vec::new() };
        let mut outgoing = batch.outgoing(vec![Part::text(words)], None, 0, self.bot);
        (outgoing.answers, outgoing.turned_away) = (Vec::new(), turned_away);
        self.send_unanswered(claim, outgoing).await
    }
}
