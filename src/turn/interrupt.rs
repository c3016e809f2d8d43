//! What changes in the middle of a turn: a control word or a person ends it, and other messages may begin it anew.

use std::future::pending;

use super::choice::with_choices;
use super::pairing::members;
use super::takeover::taken_over;
use super::{Batch, Bot, GiveBackReason, OnNewMessage, Tools, TurnRun};
use crate::delivery::typing::Dots;
use crate::policy::control::ControlCommand;
use crate::policy::gate::{Members, TurnedAway};
use crate::store::{Claim, MOST_CLAIMED, Seq, StoreError, Waiting};

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GivenCommand {
    pub(super) order: ControlCommand,
    pub(super) seq: Seq,
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

impl TurnRun<'_> {
    /// The last control word that waits; what is outgoing answers those before it.
    pub(super) fn command(&self, claim: &Claim) -> Option<GivenCommand> {
        if self.bot.controls.is_empty() {
            return None;
        }
        let is_dealt_with = |seq: &Seq| {
            claim
                .outgoing
                .as_ref()
                .is_some_and(|outgoing| outgoing.answers.contains(seq) || outgoing.turned_away.contains(seq))
        };
        let fresh = claim.messages.iter().rev().filter(|waiting| !is_dealt_with(&waiting.seq));
        fresh
            .filter_map(|waiting| {
                Some(GivenCommand { order: self.bot.obeys(waiting, &self.members)?, seq: waiting.seq })
            })
            .next()
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
