//! One turn as it runs: what it works with, what it has learnt, and how it ends.

use super::batch::Batch;
use super::decide::{Due, Facts, Learned, Lookup};
use super::replayed::once_each;
use super::{Bot, GiveBackReason, Tools, TurnOutcome, TurnReport, history, pairing};
use crate::delivery::outbox::Outbox;
use crate::message::HistoryEntry;
use crate::message::clock::Timestamp;
use crate::policy::gate::Members;
use crate::runtime::budget::Share;
use crate::store::{Claim, ContactRef, Ending, Seq, Settled, Settlement, StoreError};

/// A turn that is under way.
pub(super) struct TurnRun<'a> {
    pub(super) bot: &'a Bot,
    pub(super) tools: &'a Tools,
    pub(super) report: TurnReport,
    /// Until when the customer may be sent free-form replies; none if always.
    pub(super) open_until: Option<Timestamp>,
    /// What could not be transcribed in this turn.
    pub(super) unheard: Vec<Seq>,
    /// Who of those whose messages wait has been let in, if the bot is private.
    pub(super) members: Members,
    /// What it answers, once the gates have been asked.
    pub(super) batch: Batch,
    /// What was said before, once that has been read.
    pub(super) history: Vec<HistoryEntry>,
    /// The memory that it takes, with what was said before: given back at its end.
    room: Share,
}

impl<'a> TurnRun<'a> {
    /// Begins a turn: who has been let in, what the customer may see already, what an answer in words chooses, and who
    /// wants nothing sent unasked is found out before anything is decided.
    pub(super) async fn begin(
        bot: &'a Bot,
        tools: &'a Tools,
        claim: &mut Claim,
        room: Share,
    ) -> Result<Self, StoreError> {
        let members = pairing::members(bot, tools, &claim.messages).await?;
        let (batch, history, unheard) = (Batch::default(), Vec::new(), Vec::new());
        let report = TurnReport::of(claim);
        let turn = Self { bot, tools, report, open_until: None, unheard, members, batch, history, room };
        turn.note_leftover(claim);
        if claim.question.is_some() {
            Box::pin(turn.read_choices(claim)).await?;
        }
        turn.apply_preferences(claim).await?;
        Ok(turn)
    }

    /// What is known before anything is looked up.
    pub(super) async fn facts(&self, claim: &mut Claim) -> Result<Facts, StoreError> {
        let is_proactive_alone = claim.messages.is_empty() && claim.outgoing.is_none() && claim.failed.is_empty();
        let is_paused = !is_proactive_alone && self.pause(claim).await?.is_some();
        Ok(Facts { is_paused, command: self.command(claim), ..Facts::default() })
    }

    /// Looks up what [`decide`](super::decide::decide) needs next.
    pub(super) async fn learn(
        &mut self,
        lookup: Lookup,
        claim: &mut Claim,
        facts: &mut Facts,
    ) -> Result<(), StoreError> {
        match lookup {
            Lookup::Health => facts.down_until = Learned::Known(self.bot.health.wait()),
            Lookup::Code => facts.code = Learned::Known(self.let_in(claim).await?),
            Lookup::Due => facts.due = Learned::Known(self.due(claim)),
            Lookup::Window => {
                self.recall(claim).await?;
                facts.is_closed = Learned::Known(self.is_closed());
                let quiet = self.bot.quiet.as_ref();
                facts.quiet = quiet.and_then(|quiet| quiet.night(self.tools.clock.now()));
            }
            Lookup::Pace => facts.held_until = Learned::Known(self.outbox().closed_until(claim).await?),
        }
        Ok(())
    }

    /// Which messages are to be answered now. What came behind a proactive message is left for later.
    fn due(&mut self, claim: &mut Claim) -> Due {
        if let Some(proactive) = claim.proactive_messages.first() {
            claim.messages.retain(|waiting| waiting.seq < proactive.seq);
        }
        if let Some(until) = self.bot.merge.wait_for_quiet(&claim.messages, self.tools.clock.now()) {
            return Due::Later(until);
        }
        match self.pass_gates(&claim.messages) {
            Some(batch) => {
                self.batch = batch;
                Due::Now
            }
            None => Due::Nothing,
        }
    }

    /// Reads what was said before, and gives back the memory that it does not take.
    async fn recall(&mut self, claim: &mut Claim) -> Result<(), StoreError> {
        let contact = ContactRef::of(&self.batch.newest().inbound.at);
        let history = self.history(claim, &contact, self.bot.turn.history).await?;
        history::look_up_quotes(&mut claim.messages, &history);
        history::look_up_quotes(&mut self.batch.admitted, &history);
        self.history = once_each(history, claim);
        self.room.shrink(claim.size as u64 + self.history.iter().map(HistoryEntry::size).sum::<u64>());
        self.open_until = self.window(claim, &self.history);
        Ok(())
    }

    /// Ends the turn: records what became of the messages.
    pub(super) async fn settle(
        mut self,
        claim: Claim,
        outcome: TurnOutcome,
        reason: Option<String>,
        settled: Settled,
    ) -> Result<TurnReport, StoreError> {
        (self.report.outcome, self.report.reason) = (outcome, reason);
        // Whoever has sent something has used it up.
        self.bot.pace.release(&claim.conversation.chat);
        self.settle_dots(&claim, &settled.endings);
        let is_dead = |(_, ending): &&(Seq, Ending)| matches!(ending, Ending::Dead { .. });
        self.report.dead = settled.endings.iter().filter(is_dead).count();
        self.tools.store.settle(claim, Settlement::Done(settled)).await?;
        Ok(self.report)
    }

    pub(super) async fn give_back(
        mut self,
        claim: Claim,
        at: Timestamp,
        why: GiveBackReason,
    ) -> Result<TurnReport, StoreError> {
        (self.report.outcome, self.report.later) = (TurnOutcome::Later, Some(why));
        self.report.reason = Some(why.reason().to_owned());
        self.leave_dots(&claim, at, why);
        self.tools.store.settle(claim, Settlement::Later { at }).await?;
        Ok(self.report)
    }

    pub(super) fn outbox(&self) -> Outbox<'_> {
        Outbox {
            provider: &*self.bot.provider,
            store: &*self.tools.store,
            clock: &self.tools.clock,
            config: &self.bot.delivery,
            open_until: self.open_until,
            pace: &self.bot.pace,
            indicator: &self.bot.indicator,
            listening: self.tools.started.elapsed(),
        }
    }
}
