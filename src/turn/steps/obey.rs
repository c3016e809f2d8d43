//! A control word: what it orders is done, and said if the bot is set to.

use crate::message::Part;
use crate::policy::control::ControlCommand;
use crate::store::{By, Claim, StoreError};
use crate::turn::interrupt::GivenCommand;
use crate::turn::{TurnReport, TurnRun};

impl TurnRun<'_> {
    /// Ends whatever waits, up to the control word, and says so if the bot is set to.
    pub(in crate::turn) async fn obey(
        mut self,
        mut claim: Claim,
        given: GivenCommand,
    ) -> Result<TurnReport, StoreError> {
        let GivenCommand { order, seq } = given;
        // What came after it is for another turn.
        claim.messages.retain(|waiting| waiting.seq <= seq);
        let batch = self.pass_gates(&claim.messages);
        self.report.reason = Some(order.reason().to_owned());
        if order == ControlCommand::Human {
            self.pause_by(&claim, By::Customer).await?;
        }
        let told = batch.as_ref().filter(|batch| batch.newest().seq == seq);
        let (Some(batch), Some(words)) = (told, self.bot.controls.reply(order)) else {
            return self.keep_silent(claim, batch.as_ref()).await;
        };
        let mut outgoing = batch.outgoing(vec![Part::text(words)], None, 0, self.bot);
        outgoing.announces_person = order == ControlCommand::Human;
        outgoing.confirms_opt_out = order == ControlCommand::OptOut;
        self.send_unanswered(claim, outgoing).await
    }
}
