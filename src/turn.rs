//! One turn, top to bottom.
//!
//! ```text
//! gates ──▶ read + typing ──▶ handler, in the guard ──▶ intent ──▶ send ──▶ settle
//! ```

mod ask;
mod choice;
mod failed;
mod history;
mod interrupt;
mod leftover;
mod listen;
mod night;
mod pairing;
mod person;
mod precede;
mod proactive;
mod replayed;
mod report;
mod settings;
pub mod transcription;
mod upstream;
mod window;
mod wishes;
pub mod worker;

use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::delivery::outbox::{self, Delivery, DeliveryConfig, Outbox, Prepared, SendOutcome, SettledBy, Undelivered};
use crate::delivery::pacing::Pace;
use crate::delivery::typing::{Dots, Indicator, SendPermit};
use crate::handler::Handler;
use crate::message::clock::{Clock, Timestamp};
use crate::message::{BotName, HistoryEntry, MessageId, Part};
use crate::policy::control::Controls;
use crate::policy::failure_reply::FailureReply;
use crate::policy::gate::{Gates, Members};
use crate::policy::quiet_hours::QuietHours;
use crate::policy::takeover::PeopleConfig;
use crate::provider::Provider;
use crate::provider::health::Health;
use crate::runtime::budget::{MemoryBudget, MemoryUse, Share};
use crate::runtime::hosting::{BotRegistry, ShareConfig};
use crate::runtime::meters::Meters;
use crate::store::{Claim, ContactRef, Ending, Outgoing, Seq, Settlement, Store, StoreError, Waiting};
use crate::turn::transcription::Transcriber;
use person::A_PERSON;
use precede::Preceded;
use proactive::OPTED_OUT;
pub use report::{GiveBackReason, TurnOutcome, TurnReport};
pub use settings::{MergeConfig, OnNewMessage, TurnConfig};
use window::CLOSED;

/// A bot: one number on one provider, with its handler and its policies.
pub struct Bot {
    /// Its name.
    pub name: BotName,
    /// The upstream that carries its messages.
    pub provider: Arc<dyn Provider>,
    /// What answers.
    pub handler: Arc<dyn Handler>,
    /// Who and what is answered.
    pub gates: Gates,
    /// The words by which a customer speaks to the bot itself.
    pub controls: Arc<Controls>,
    /// What follows when a person takes over.
    pub people: PeopleConfig,
    /// The dots.
    pub indicator: Indicator,
    /// How replies are sent.
    pub delivery: DeliveryConfig,
    /// How fast it sends.
    pub pace: Arc<Pace>,
    /// When it answers nobody; none if never.
    pub quiet: Option<QuietHours>,
    /// How bursts are merged.
    pub merge: MergeConfig,
    /// How its turns are held.
    pub turn: TurnConfig,
    /// What listens to voice notes; nothing if none.
    pub transcriber: Option<Transcriber>,
    /// What the customer is told when the handler has failed; nothing if none.
    pub failure_reply: Option<FailureReply>,
    /// Whether its upstream lets it work.
    pub health: Arc<Health>,
    /// What it may take of the process.
    pub share: ShareConfig,
    /// How much of media its handlers hold.
    pub media: MemoryUse,
}

/// What a turn works with.
pub struct Tools {
    /// The durable side.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: Clock,
    /// When this process began to take webhooks, and with them the upstreams' reports.
    pub started: Instant,
    /// Where the guard's tasks are counted, so that a shutdown waits for the dots to go off.
    pub tasks: TaskTracker,
    /// Cancelled when turns must be given back.
    pub cancelled: CancellationToken,
    /// How much of media all handlers hold, in bytes.
    pub media: MemoryBudget,
    /// Who shares all this.
    pub bots: BotRegistry<Bot>,
    /// Who counts what happens.
    pub meters: Meters,
}

/// Holds one turn: answers everything that is claimed of what the conversation has waiting. `room` is the memory that
/// it takes, with [`MOST_RECALLED_BYTES`](crate::store::MOST_RECALLED_BYTES) for what was said before: it is given back
/// as far as it turns out not to be needed, and at the end.
///
/// # Errors
/// When the store fails, or the claim's lease has ended. Nothing is lost by it: what was not settled is claimed again.
pub async fn run(bot: &Bot, tools: &Tools, mut claim: Claim, mut room: Share) -> Result<TurnReport, StoreError> {
    let now = tools.clock.now();
    let members = pairing::members(bot, tools, &claim.messages).await?;
    let mut attempt =
        Attempt { bot, tools, report: TurnReport::of(&claim), open_until: None, unheard: Vec::new(), members };
    attempt.note_leftover(&claim);
    if claim.question.is_some() {
        Box::pin(attempt.read_choices(&mut claim)).await?;
    }
    attempt.heed_wishes(&claim).await?;
    if !Attempt::has_proactive_alone(&claim) && attempt.pause(&mut claim).await?.is_some() {
        return Box::pin(attempt.stand_aside(claim)).await;
    }
    if let Some(until) = bot.health.wait() {
        return attempt.give_back(claim, until, GiveBackReason::BotDown).await;
    }
    if let Some(outgoing) = claim.outgoing.take() {
        return match attempt.order(&claim, Some(&outgoing)) {
            Some(given) if !outgoing.unasked => {
                let left = person::sent(&outgoing);
                Box::pin(attempt.call_off(claim, &outgoing, left, given.reason())).await
            }
            _ => Box::pin(attempt.resume(claim, outgoing)).await,
        };
    }
    if !claim.failed.is_empty() {
        return Box::pin(attempt.make_up_for_failed(claim)).await;
    }
    if let Some(by) = attempt.let_in(&claim).await? {
        return Box::pin(attempt.welcome(claim, by)).await;
    }
    if let Some(given) = attempt.order(&claim, None) {
        return Box::pin(attempt.obey(claim, given)).await;
    }
    if Attempt::proactive_is_first(&claim) {
        return Box::pin(attempt.send_proactive(claim)).await;
    }
    Attempt::stop_at_proactive(&mut claim);
    if let Some(until) = bot.merge.wait_for_quiet(&claim.messages, now) {
        return attempt.give_back(claim, until, GiveBackReason::MoreMayCome).await;
    }
    let Some(mut batch) = attempt.pass_gates(&claim.messages) else {
        return Box::pin(attempt.keep_silent(claim, None)).await;
    };

    let history = attempt.history(&claim, &ContactRef::of(&batch.newest().inbound.at), bot.turn.history).await?;
    history::look_up_quotes(&mut claim.messages, &history);
    history::look_up_quotes(&mut batch.admitted, &history);
    let history = replayed::once_each(history, &claim);
    room.shrink(claim.size as u64 + history.iter().map(HistoryEntry::size).sum::<u64>());
    attempt.open_until = attempt.window(&claim, &history);
    if attempt.is_closed() {
        return Box::pin(attempt.window_closed(claim, &batch)).await;
    }
    if let Some(night) = attempt.night() {
        if !claim.proactive_messages.is_empty() {
            return Box::pin(attempt.send_proactive(claim)).await;
        }
        return Box::pin(attempt.keep_quiet(claim, &batch, night)).await;
    }
    if let Some(until) = attempt.outbox().closed_until(&claim).await? {
        return attempt.give_back(claim, until, GiveBackReason::Closed).await;
    }
    let dots = bot.indicator.show(&tools.tasks, &batch.newest().inbound.at);
    let answer = attempt.answer(&mut claim, &mut batch, history, &dots).await?;
    // What follows the handler's work, or takes its place, is boxed: thousands of turns may wait for their handlers.
    Box::pin(attempt.end(claim, &batch, answer, dots)).await
}

/// What a settlement records.
#[derive(Default)]
struct Done {
    endings: Vec<(Seq, Ending)>,
    said: Vec<HistoryEntry>,
    failure_replied: Option<Timestamp>,
    unrecorded: Vec<(usize, MessageId)>,
    /// How many of the claim's failed parts have been dealt with.
    failed: usize,
}

/// What a turn answers, and what ends along with it.
struct Batch {
    /// One at the least.
    admitted: Vec<Waiting>,
    turned_away: Vec<Seq>,
}

/// What came of asking the handler.
enum Answer {
    /// Something to send, and why it is no answer, if it only takes the place of one.
    Send(Prepared, Option<String>),
    Silence,
    /// A person is to answer, for this reason.
    HandOver(String),
    /// The turn is given back.
    GivenBack(GiveBackReason),
    Failed(String),
}

struct Attempt<'a> {
    bot: &'a Bot,
    tools: &'a Tools,
    report: TurnReport,
    /// Until when the customer may be sent free-form replies; none if always.
    open_until: Option<Timestamp>,
    /// What could not be transcribed in this turn.
    unheard: Vec<Seq>,
    /// Who of those whose messages wait has been let in, if the bot is private.
    members: Members,
}

impl Attempt<'_> {
    /// What the gates let through; none if they let nothing through.
    fn pass_gates(&mut self, messages: &[Waiting]) -> Option<Batch> {
        let (mut admitted, mut turned_away) = (Vec::with_capacity(messages.len()), Vec::new());
        for waiting in messages {
            match self.bot.gates.admit(waiting, &self.members) {
                Ok(()) => admitted.push(waiting.clone()),
                Err(gate) => {
                    *self.report.turned_away.entry(gate).or_default() += 1;
                    turned_away.push(waiting.seq);
                }
            }
        }
        if admitted.is_empty() { None } else { Some(Batch { admitted, turned_away }) }
    }

    /// Ends the turn by what came of asking. Whoever holds a [`SendPermit`] may send; nobody else can.
    async fn end(self, claim: Claim, batch: &Batch, answer: Answer, dots: Dots) -> Result<TurnReport, StoreError> {
        let why = match answer {
            Answer::Send(reply, fallback) => match self.quiet(&claim, dots).await? {
                Some(quiet) => {
                    let left_out = reply.left_out;
                    let outgoing = Outgoing { left_out, fallback, ..batch.outgoing(reply.parts, None, 0, self.bot) };
                    return self.deliver(claim, batch, outgoing, quiet).await;
                }
                None => GiveBackReason::Person,
            },
            // Nothing follows: no dots are lit for it, and nobody waits until they have been seen.
            Answer::Failed(reason) if self.failure_words(&claim, batch).is_none() => {
                dots.off().await;
                return self.bury(claim, batch, reason).await;
            }
            Answer::Failed(reason) => match self.quiet(&claim, dots).await? {
                Some(quiet) => return self.fail(claim, batch, reason, quiet).await,
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
    async fn quiet(&self, claim: &Claim, dots: Dots) -> Result<Option<SendPermit>, StoreError> {
        tokio::select! {
            biased;
            taken_over = person::taken_over(self.tools, claim) => taken_over.map(|()| None),
            quiet = dots.quiet() => Ok(Some(quiet)),
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

    /// Goes on where an earlier turn, or an earlier process, stopped while it was sending.
    async fn resume(mut self, claim: Claim, outgoing: Outgoing) -> Result<TurnReport, StoreError> {
        if outgoing.unasked {
            self.open_until = self.open_to(&claim, &ContactRef::of(&outgoing.to)).await?;
        } else if self.bot.provider.abilities().window.is_some() {
            // Only the window asks what was said.
            let history = self.tools.store.history(&claim.conversation, self.bot.turn.history).await?;
            self.open_until = self.window(&claim, &history);
        }
        self.send_waiting(claim, outgoing).await
    }

    /// Sends what no handler was asked for: all of it waits at first.
    async fn send_unanswered(self, claim: Claim, mut outgoing: Outgoing) -> Result<TurnReport, StoreError> {
        outgoing.hold();
        self.tools.store.intend(&claim, &outgoing).await?;
        self.send_waiting(claim, outgoing).await
    }

    /// Sends what is recorded already, after the dots that the upstream wants before every text.
    async fn send_waiting(self, claim: Claim, outgoing: Outgoing) -> Result<TurnReport, StoreError> {
        let dots = match self.precede(&claim, &outgoing).await? {
            Preceded::Ready(dots) => dots,
            Preceded::NotYet(at, why) => return self.give_back(claim, at, why).await,
        };
        let sent = self.outbox().resume(&claim, &outgoing, dots).await?;
        self.close(claim, outgoing, sent).await
    }

    /// Ends the turn by what became of its reply.
    async fn close(mut self, claim: Claim, outgoing: Outgoing, sent: SendOutcome) -> Result<TurnReport, StoreError> {
        let now = self.tools.clock.now();
        let SendOutcome { delivery, unrecorded, settled_by } = sent;
        let failed = outgoing.makes_up_for;
        self.report.messages = outgoing.answers.len();
        self.report.parts = outgoing.parts.len();
        self.report.settled_by = settled_by.map(SettledBy::as_str);
        if matches!(delivery, Delivery::Delivered | Delivery::Refused { .. } | Delivery::WindowClosed) {
            self.bot.health.recover();
        }
        let reason = match (delivery, outgoing.failure.clone()) {
            (Delivery::Later { at, why }, _) => return self.give_back(claim, at, GiveBackReason::Held(why)).await,
            (Delivery::Down(error), _) => {
                let until = self.bot.health.suffer(&error).unwrap_or(now);
                return self.give_back(claim, until, GiveBackReason::BotDown).await;
            }
            (Delivery::TakenOver { left }, _) if !outgoing.unasked => {
                return Box::pin(self.call_off(claim, &outgoing, left, A_PERSON)).await;
            }
            (Delivery::TakenOver { .. }, _) => A_PERSON.to_owned(),
            (Delivery::OptedOut, _) => OPTED_OUT.to_owned(),
            (Delivery::WindowClosed, _) if !outgoing.unasked && self.template_may_follow(&outgoing) => {
                return Box::pin(self.send_template(claim, outgoing)).await;
            }
            (Delivery::Delivered, None) => {
                let named = self.named(&outgoing, &unrecorded).await?;
                let (endings, said) = (answered(&outgoing), history::said(&claim, &outgoing, &named, now));
                let done = Done { endings, said, unrecorded, failed, ..Done::default() };
                let reason = outgoing.fallback.or(outgoing.left_out).or(self.report.reason.take());
                return self.settle(claim, TurnOutcome::Answered, reason, done).await;
            }
            (Delivery::WindowClosed, failure) => {
                failure.map_or(CLOSED.to_owned(), |failure| format!("{failure}; {CLOSED}"))
            }
            (Delivery::Delivered, Some(failure)) => failure,
            (Delivery::Refused { reason }, None) => match &outgoing.fallback {
                Some(fallback) => format!("{fallback}; and the reply in the place of an answer was not sent: {reason}"),
                None => reason,
            },
            (Delivery::Refused { reason }, Some(failure)) => {
                format!("{failure}; and the failure reply was not sent: {reason}")
            }
        };
        if outgoing.unasked {
            return Box::pin(self.leave_unsaid(claim, outgoing, unrecorded, reason)).await;
        }
        let failure_replied = outgoing.failure.is_some().then_some(now);
        let endings = endings(&outgoing, Some(&reason));
        let done = Done { endings, failure_replied, unrecorded, failed, ..Done::default() };
        self.settle(claim, TurnOutcome::Dead, Some(reason), done).await
    }

    /// Says nothing. What was said to a bot that kept silent is part of the conversation; what was turned away is not.
    async fn keep_silent(self, claim: Claim, batch: Option<&Batch>) -> Result<TurnReport, StoreError> {
        let endings = claim.messages.iter().map(|waiting| (waiting.seq, Ending::Silent)).collect();
        let said = batch.map_or_else(Vec::new, |batch| {
            history::heard(&claim, |seq| batch.admitted.iter().any(|waiting| waiting.seq == seq))
        });
        let (reason, failed) = (self.report.reason.clone(), claim.failed.len());
        self.settle(claim, TurnOutcome::Silent, reason, Done { endings, said, failed, ..Done::default() }).await
    }

    async fn settle(
        mut self,
        claim: Claim,
        outcome: TurnOutcome,
        reason: Option<String>,
        done: Done,
    ) -> Result<TurnReport, StoreError> {
        (self.report.outcome, self.report.reason) = (outcome, reason);
        // Whoever has sent something has used it up.
        self.bot.pace.release(&claim.conversation.chat);
        let Done { endings, said, failure_replied, unrecorded: sent, failed } = done;
        self.settle_dots(&claim, &endings);
        self.report.dead = endings.iter().filter(|(_, ending)| matches!(ending, Ending::Dead { .. })).count();
        self.tools.store.settle(claim, Settlement::Done { endings, said, failure_replied, sent, failed }).await?;
        Ok(self.report)
    }

    async fn give_back(mut self, claim: Claim, at: Timestamp, why: GiveBackReason) -> Result<TurnReport, StoreError> {
        (self.report.outcome, self.report.later) = (TurnOutcome::Later, Some(why));
        self.report.reason = Some(why.reason().to_owned());
        self.leave_dots(&claim, at, why);
        self.tools.store.settle(claim, Settlement::Later { at }).await?;
        Ok(self.report)
    }

    fn outbox(&self) -> Outbox<'_> {
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

impl Batch {
    fn newest(&self) -> &Waiting {
        self.admitted.last().expect("a batch is made of one message or more")
    }

    fn outgoing(&self, parts: Vec<Part>, failure: Option<String>, first: usize, bot: &Bot) -> Outgoing {
        Outgoing {
            answers: self.admitted.iter().map(|waiting| waiting.seq).collect(),
            turned_away: self.turned_away.clone(),
            failure,
            ..outbox::address(self.newest(), parts, first, bot.provider.abilities().statuses_carry_key)
        }
    }
}

/// The answered messages end as answered, or dead; those that a gate turned away end along with them.
fn endings(outgoing: &Outgoing, dead: Option<&str>) -> Vec<(Seq, Ending)> {
    let ending = dead.map_or(Ending::Answered, |reason| Ending::Dead { reason: reason.to_owned() });
    let answered = outgoing.answers.iter().map(|seq| (*seq, ending.clone()));
    answered.chain(outgoing.turned_away.iter().map(|seq| (*seq, Ending::Silent))).collect()
}

/// The answered messages end as answered. If something was left out of the reply, the newest is a dead letter all the
/// same, and all of them are if it only took the place of an answer: so its operator sees what the customer has not
/// got, and can ask again.
fn answered(outgoing: &Outgoing) -> Vec<(Seq, Ending)> {
    let mut endings = endings(outgoing, outgoing.fallback.as_deref());
    if outgoing.fallback.is_none()
        && let Some(why) = &outgoing.left_out
        && let Some(newest) = outgoing.answers.last()
    {
        let reason = format!("{LEFT_OUT}: {why}");
        endings.iter_mut().filter(|(seq, _)| seq == newest).for_each(|(_, ending)| {
            *ending = Ending::Dead { reason: reason.clone() };
        });
    }
    endings
}

/// Why a message is a dead letter although it was answered.
const LEFT_OUT: &str = "answered, but for what was left out of the reply";
