//! Asking the handler: in time, again where an error may pass, and anew where a newer message changes the question.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::warn;

use crate::delivery::outbox;
use crate::delivery::typing::Dots;
use crate::handler::{Presence, Turn};
use crate::message::{HistoryEntry, MediaKind, Part, Payload, Reply};
use crate::runtime::meters::Fact;
use crate::store::{Claim, ContactRef, StoreError};
use crate::turn::history::look_up_quotes;
use crate::turn::interrupt::{Interruption, MOST_RESTARTS, interruption};
use crate::turn::replayed::once_each;
use crate::turn::steps::answer::Answer;
use crate::turn::upstream::{ROOM_PATIENCE, Upstream};
use crate::turn::{Batch, GiveBackReason, TurnRun};

/// How long to wait before a handler is asked again whose error may pass; twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

impl TurnRun<'_> {
    /// Asks the handler for a reply to what has been said, however often that becomes more meanwhile.
    pub(in crate::turn) async fn answer(
        &mut self,
        claim: &mut Claim,
        batch: &mut Batch,
        mut history: Vec<HistoryEntry>,
        dots: &Dots,
    ) -> Result<Answer, StoreError> {
        loop {
            // Each go has the time of a whole turn.
            self.tools.store.renew(claim)?;
            let (bot, tools, may_restart) = (self.bot, self.tools, self.report.restarts < MOST_RESTARTS);
            let interruption = tokio::select! {
                biased;
                answer = self.listen_and_ask(claim, batch, history, dots.presence()) => Err(answer?),
                interruption = interruption(bot, tools, claim, may_restart) => Ok(interruption?),
            };
            // Whatever follows is about the messages with what is said in them.
            batch.tell(claim);
            let interruption = match interruption {
                Ok(interruption) => interruption,
                Err(answer) => return Ok(answer),
            };
            // What takes the handler's place is rare: boxed, it takes no room where thousands of turns wait.
            let end = match interruption {
                Interruption::Order => Some(GiveBackReason::ControlWord),
                Interruption::TakenOver => Some(GiveBackReason::Person),
                Interruption::More(arrived) => Box::pin(self.absorb(claim, batch, arrived, dots)).await?,
            };
            if let Some(why) = end {
                return Ok(Answer::GivenBack(why));
            }
            self.report.restarts += 1;
            let peer = ContactRef::of(&batch.newest().inbound.at);
            history = once_each(self.history(claim, &peer, self.bot.turn.history).await?, claim);
            look_up_quotes(&mut claim.messages, &history);
            look_up_quotes(&mut batch.admitted, &history);
            self.open_until = self.window(claim, &history);
        }
    }

    /// Has what was spoken transcribed, and asks the handler: both in the time that a handler has.
    async fn listen_and_ask(
        &mut self,
        claim: &Claim,
        batch: &mut Batch,
        history: Vec<HistoryEntry>,
        presence: Presence,
    ) -> Result<Answer, StoreError> {
        let deadline = Instant::now() + self.bot.turn.timeout;
        if self.is_spoken(batch) {
            let tools = self.tools;
            tokio::select! {
                biased;
                () = tools.cancelled.cancelled() => return Ok(Answer::GivenBack(GiveBackReason::ShuttingDown)),
                // It takes no room where thousands of turns wait for their handlers.
                listened = Box::pin(self.listen(claim, batch, deadline)) => listened?,
            }
        }
        Ok(self.ask(claim, batch, history, presence, deadline).await)
    }

    /// Calls the handler and makes its reply ready to send. Whatever the handler does (answer, fail, hang, panic),
    /// this returns, in time.
    async fn ask(
        &mut self,
        claim: &Claim,
        batch: &Batch,
        history: Vec<HistoryEntry>,
        presence: Presence,
        deadline: Instant,
    ) -> Answer {
        let began = Instant::now();
        // Cancels on every way out of here, this future's own end by drop included.
        let cancelled = self.tools.cancelled.child_token();
        let _cancels = cancelled.clone().drop_guard();
        let upstream = Arc::new(Upstream {
            provider: Arc::clone(&self.bot.provider),
            limit: self.bot.turn.media_limit,
            memory: self.tools.media.clone(),
            tally: self.tools.bots.has_several().then(|| self.bot.media.clone()),
            patience: ROOM_PATIENCE,
            list_button: self.bot.delivery.list_button.clone(),
        });
        let turn = Turn {
            id: batch.newest().name(),
            bot: self.bot.name.clone(),
            contact: batch.newest().inbound.contact.clone(),
            messages: batch.admitted.iter().map(|waiting| waiting.inbound.clone()).collect(),
            history,
            now: self.tools.clock.now(),
            deadline,
            cancelled,
            presence,
            media: Arc::clone(&upstream) as _,
            fits: upstream,
        };
        let mut pause = FIRST_PAUSE;
        let reply = loop {
            // A panic ends the turn, not the worker; nothing that the handler shares with others is ours to judge.
            let reply = AssertUnwindSafe(self.bot.handler.reply(&turn)).catch_unwind();
            let reply = tokio::select! {
                biased;
                () = self.tools.cancelled.cancelled() => return Answer::GivenBack(GiveBackReason::ShuttingDown),
                reply = timeout_at(deadline, reply) => reply,
            };
            let may_pass = matches!(&reply, Ok(Ok(Err(error))) if error.may_pass());
            if !may_pass || Instant::now() + pause >= deadline {
                break reply;
            }
            self.report.retries += 1;
            tokio::select! {
                () = self.tools.cancelled.cancelled() => return Answer::GivenBack(GiveBackReason::ShuttingDown),
                () = sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            }
        };
        let (result, reply) = match reply {
            Ok(Ok(Ok(Reply::Send(parts)))) => ("reply", Ok((parts, None))),
            Ok(Ok(Ok(Reply::Fallback { parts, reason }))) => ("fallback", Ok((parts, Some(reason)))),
            Ok(Ok(Ok(Reply::Silence))) => ("silence", Err(Answer::Silence)),
            Ok(Ok(Ok(Reply::Handover { reason }))) => ("hand_over", Err(Answer::HandOver(reason))),
            Ok(Ok(Err(error))) => ("error", Err(Answer::Failed(format!("the handler failed: {error}")))),
            Ok(Err(_)) => ("panic", Err(Answer::Failed("the handler panicked".into()))),
            Err(_) => ("timeout", Err(Answer::Failed("the handler took too long".into()))),
        };
        let took = began.elapsed();
        self.report.handler = Some(took);
        self.tools.meters.tell(Fact::Handler { result, took });
        let (parts, fallback) = match reply {
            Ok(reply) => reply,
            Err(answer) => return answer,
        };
        // It may have to be uploaded first.
        if is_spoken(&parts) {
            turn.presence.recording();
        }
        let delivery = &self.bot.delivery;
        let prepared = outbox::prepare(&*self.bot.provider, parts, &delivery.list_button, delivery.send_timeout);
        match self.holding(claim, prepared).await {
            Ok(prepared) => {
                if let Some(why) = &prepared.left_out {
                    warn!(why, "a part of a reply was left out, for the provider takes it in no form");
                }
                Answer::Send(prepared, fallback)
            }
            Err(error) => Answer::Failed(fallback.map_or_else(|| error.to_string(), |why| format!("{why}; {error}"))),
        }
    }

    /// Keeps the claim while uploads go on, however many there are: each of them ends by itself.
    async fn holding<T>(&self, claim: &Claim, uploads: impl Future<Output = T>) -> T {
        let mut uploads = pin!(uploads);
        loop {
            // If it was lost, the next write says so.
            drop(self.tools.store.renew(claim));
            if let Ok(done) = timeout(self.bot.delivery.send_timeout, &mut uploads).await {
                return done;
            }
        }
    }
}

/// Whether the first that the customer gets is a voice note.
fn is_spoken(parts: &[Part]) -> bool {
    matches!(parts.first().map(|part| &part.payload), Some(Payload::Media(media)) if media.kind == MediaKind::Voice)
}
