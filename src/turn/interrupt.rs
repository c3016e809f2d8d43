//! What changes in the middle of a turn: a control word or a person ends it, and other messages may begin it anew.

use std::future::pending;

use super::choice::with_choices;
use super::pairing::members;
use super::person::taken_over;
use super::{Attempt, Batch, Bot, Done, GiveBackReason, OnNewMessage, Tools, TurnOutcome, TurnReport, history};
use crate::delivery::typing::Dots;
use crate::message::Part;
use crate::policy::control::ControlCommand;
use crate::policy::gate::{Members, TurnedAway};
use crate::store::{By, Claim, Ending, MOST_CLAIMED, Outgoing, Seq, StoreError, Waiting};

/// So often does a turn's handler begin anew. A constant writer is answered all the same.
pub(super) const MOST_RESTARTS: u32 = 2;

/// Why a handler is cancelled.
pub(super) enum Interruption {
    /// A control word has come.
    Order,
    /// A person has taken over.
    TakenOver,
    /// More has come that is to be answered together with what the handler was at work on.
    More(Vec<Waiting>),
}

/// A control word, and which message it is.
#[derive(Clone, Copy)]
pub(super) struct GivenCommand {
    order: ControlCommand,
    seq: Seq,
}

impl GivenCommand {
    /// What it is called in logs.
    pub(super) fn reason(self) -> &'static str {
        self.order.reason()
    }
}

/// Waits for what changes what the handler should do.
pub(super) async fn interruption(
    bot: &Bot,
    tools: &Tools,
    claim: &Claim,
    may_restart: bool,
) -> Result<Interruption, StoreError> {
    tokio::select! {
        biased;
        taken_over = taken_over(tools, claim) => taken_over.map(|()| Interruption::TakenOver),
        message = message(bot, tools, claim, may_restart) => message,
    }
}

/// Waits for a message that changes what the handler should do; for ever if none can.
async fn message(bot: &Bot, tools: &Tools, claim: &Claim, may_restart: bool) -> Result<Interruption, StoreError> {
    // What has come behind something that is to be said unasked is for a turn after that.
    let may_restart =
        may_restart && bot.turn.on_new_message == OnNewMessage::Restart && claim.proactive_messages.is_empty();
    let Some(last) = claim.messages.last().filter(|_| may_restart || !bot.controls.is_empty()) else {
        return pending().await;
    };
    let mut last = last.seq;
    loop {
        let arrived = tools.store.arrivals(claim, last).await?;
        last = arrived.last().map_or(last, |waiting| waiting.seq);
        let read = with_choices(claim, arrived.clone());
        let members = members(bot, tools, &read).await?;
        if read.iter().any(|waiting| bot.obeys(waiting, &members).is_some()) {
            return Ok(Interruption::Order);
        }
        if may_restart && read.iter().any(|waiting| bot.gates.admit(waiting, &members).is_ok()) {
            return Ok(Interruption::More(arrived));
        }
    }
}

impl Bot {
    /// What a message orders, if it is a control word of somebody whom the bot answers. One that says too much may
    /// still say "stop".
    fn obeys(&self, waiting: &Waiting, members: &Members) -> Option<ControlCommand> {
        let order = self.controls.order(&waiting.inbound)?;
        matches!(self.gates.admit(waiting, members), Ok(()) | Err(TurnedAway::TooMany)).then_some(order)
    }
}

impl Attempt<'_> {
    /// The last control word that waits; what is outgoing answers those before it.
    pub(super) fn order(&self, claim: &Claim, outgoing: Option<&Outgoing>) -> Option<GivenCommand> {
        if self.bot.controls.is_empty() {
            return None;
        }
        let is_dealt_with = |seq: &Seq| {
            outgoing.is_some_and(|outgoing| outgoing.answers.contains(seq) || outgoing.turned_away.contains(seq))
        };
        let fresh = claim.messages.iter().rev().filter(|waiting| !is_dealt_with(&waiting.seq));
        fresh
            .filter_map(|waiting| {
                Some(GivenCommand { order: self.bot.obeys(waiting, &self.members)?, seq: waiting.seq })
            })
            .next()
    }

    /// Ends whatever waits, up to the control word, and says so if the bot is set to.
    pub(super) async fn obey(mut self, mut claim: Claim, given: GivenCommand) -> Result<TurnReport, StoreError> {
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

    /// Leaves unsent what has not left of a reply, all but its first parts, so many. A control word, or what is said to
    /// a person, is for the next turn.
    pub(super) async fn call_off(
        self,
        claim: Claim,
        outgoing: &Outgoing,
        left: usize,
        why: &str,
    ) -> Result<TurnReport, StoreError> {
        let parts = outgoing.parts.iter().take(left).cloned().collect();
        let left = Outgoing { parts, ..outgoing.clone() };
        let ending = match outgoing.failure.as_ref().or(outgoing.fallback.as_ref()) {
            Some(reason) => Ending::Dead { reason: reason.clone() },
            None if left.parts.is_empty() => Ending::Silent,
            None => Ending::Answered,
        };
        let answered = outgoing.answers.iter().map(|seq| (*seq, ending.clone()));
        let turned_away = outgoing.turned_away.iter().map(|seq| (*seq, Ending::Silent));
        let endings = answered.chain(turned_away).collect();
        let named = self.named(&left, &[]).await?;
        let said = history::said(&claim, &left, &named, self.tools.clock.now());
        let done = Done { endings, said, failed: outgoing.makes_up_for, ..Done::default() };
        self.settle(claim, TurnOutcome::Silent, Some(why.to_owned()), done).await
    }

    /// Takes what has come into the turn, together with what comes while it is not quiet yet. Says why the turn is
    /// given back instead, if it is.
    pub(super) async fn absorb(
        &mut self,
        claim: &mut Claim,
        batch: &mut Batch,
        mut arrived: Vec<Waiting>,
        dots: &Dots,
    ) -> Result<Option<GiveBackReason>, StoreError> {
        while arrived.len() < MOST_CLAIMED
            && let Some(until) = self.bot.merge.wait_for_quiet(&arrived, self.tools.clock.now())
        {
            let last = arrived.last().map_or(Seq::default(), |waiting| waiting.seq);
            tokio::select! {
                () = self.tools.cancelled.cancelled() => return Ok(Some(GiveBackReason::ShuttingDown)),
                () = self.tools.clock.sleep_until(until) => {}
                more = self.tools.store.arrivals(claim, last) => arrived.extend(more?),
            }
        }
        self.members.extend(members(self.bot, self.tools, &arrived).await?);
        if arrived.iter().any(|waiting| self.bot.obeys(waiting, &self.members).is_some()) {
            return Ok(Some(GiveBackReason::ControlWord));
        }
        if self.pause(claim).await?.is_some() {
            return Ok(Some(GiveBackReason::Person));
        }
        self.read_choices_in(claim, &mut arrived).await?;
        if let Some(more) = self.pass_gates(&arrived) {
            batch.admitted.extend(more.admitted);
            batch.turned_away.extend(more.turned_away);
            dots.turn_to(&batch.newest().inbound.at);
        }
        claim.messages.extend(arrived);
        self.report.messages = claim.messages.len();
        Ok(None)
    }
}
