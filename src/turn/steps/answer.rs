//! What follows when the handler has been asked.

use crate::delivery::outbox::{Prepared, SendOutcome, Undelivered};
use crate::delivery::typing::{Dots, SendPermit};
use crate::message::Part;
use crate::store::{Claim, Outgoing, StoreError};
use crate::turn::takeover::taken_over;
use crate::turn::{Batch, GiveBackReason, TurnReport, TurnRun};

/// What came of asking the handler.
pub(in crate::turn) enum Answer {
    /// Something to send, and why it is no answer, if it only takes the place of one.
    Send(Prepared, Option<String>),
    Silence,
    /// A person is to answer, for this reason.
    HandOver(String),
    /// The turn is given back.
    GivenBack(GiveBackReason),
    Failed(String),
}

impl TurnRun<'_> {
    /// Asks the handler inside the guard, and ends the turn by what came of it.
    pub(in crate::turn) async fn ask_and_answer(mut self, mut claim: Claim) -> Result<TurnReport, StoreError> {
        let (mut batch, history) = (std::mem::take(&mut self.batch), std::mem::take(&mut self.history));
        let dots = self.bot.indicator.show(&self.tools.tasks, &batch.newest().inbound.at);
        let answer = self.answer(&mut claim, &mut batch, history, &dots).await?;
        // What follows the handler's work is boxed: thousands of turns may wait for their handlers.
        Box::pin(self.end(claim, &batch, answer, dots)).await
    }

    /// Ends the turn by what came of asking. Whoever holds a [`SendPermit`] may send; nobody else can.
    async fn end(self, claim: Claim, batch: &Batch, answer: Answer, dots: Dots) -> Result<TurnReport, StoreError> {
        let why = match answer {
            Answer::Send(reply, fallback) => match self.permit(&claim, dots).await? {
                Some(permit) => {
                    let left_out = reply.left_out;
                    let outgoing = Outgoing { left_out, fallback, ..batch.outgoing(reply.parts, None, 0, self.bot) };
                    return self.deliver(claim, batch, outgoing, permit).await;
                }
                None => GiveBackReason::Person,
            },
            // Nothing follows: no dots are lit for it, and nobody waits until they have been seen.
            Answer::Failed(reason) if self.failure_words(&claim, batch).is_none() => {
                dots.off().await;
                return self.bury(claim, batch, reason).await;
            }
            Answer::Failed(reason) => match self.permit(&claim, dots).await? {
                Some(permit) => return self.fail(claim, batch, reason, permit).await,
                None => GiveBackReason::Person,
            },
            Answer::Silence => {
                dots.off().await;
                return self.keep_silent(claim, Some(batch)).await;
            }
            Answer::HandOver(reason) => {
                dots.off().await;
                return self.hand_over(claim, batch, reason).await;
            }
            // A control word ends what had been read. Whoever else goes on with it marks it.
            Answer::GivenBack(why @ GiveBackReason::ControlWord) => {
                dots.off().await;
                why
            }
            Answer::GivenBack(why) => {
                dots.abandon().await;
                why
            }
        };
        let now = self.tools.clock.now();
        self.give_back(claim, now, why).await
    }

    /// The licence to send; none if a person takes over first. Dropped on their way to being quiet, the dots go off.
    async fn permit(&self, claim: &Claim, dots: Dots) -> Result<Option<SendPermit>, StoreError> {
        tokio::select! {
            biased;
            taken_over = taken_over(self.tools, claim) => taken_over.map(|()| None),
            permit = dots.quiet() => Ok(Some(permit)),
        }
    }

    /// There is no reply to be had: says so to the customer, if the bot is set to and it is time, and leaves dead
    /// letters in any case.
    async fn fail(
        self,
        claim: Claim,
        batch: &Batch,
        reason: String,
        dots: SendPermit,
    ) -> Result<TurnReport, StoreError> {
        match self.failure_words(&claim, batch) {
            Some(words) => {
                let outgoing = batch.outgoing(vec![Part::text(words)], Some(reason), 0, self.bot);
                self.deliver(claim, batch, outgoing, dots).await
            }
            None => {
                dots.off().await;
                self.bury(claim, batch, reason).await
            }
        }
    }

    /// What the customer is told of a failure, if the bot is set to and it is time.
    fn failure_words(&self, claim: &Claim, batch: &Batch) -> Option<String> {
        let reply = self.bot.failure_reply.as_ref()?;
        let is_due = reply.is_due(claim.failure_replied, self.tools.clock.now());
        if is_due { reply.words(&batch.newest().inbound) } else { None }
    }

    /// Sends, and settles by what came of it.
    async fn deliver(
        self,
        claim: Claim,
        batch: &Batch,
        outgoing: Outgoing,
        dots: SendPermit,
    ) -> Result<TurnReport, StoreError> {
        let (now, mut outgoing) = (self.tools.clock.now(), outgoing);
        outgoing.parts.iter_mut().take(1).for_each(|part| part.begin(now));
        let sent = match self.outbox().deliver(&claim, &outgoing, dots).await {
            Ok(sent) => sent,
            Err(Undelivered::Store(error)) => return Err(error),
            // What cannot be recorded is the handler's doing, and will not be recorded tomorrow.
            Err(Undelivered::Unrecordable(error, dots)) if outgoing.failure.is_none() => {
                return Box::pin(self.fail(claim, batch, format!("the reply cannot be recorded: {error}"), dots)).await;
            }
            Err(Undelivered::Unrecordable(error, dots)) => {
                dots.off().await;
                SendOutcome::refused(error.to_string())
            }
        };
        self.close(claim, outgoing, sent).await
    }
}
