//! One turn with the model: it says something, or has tools called and then says something, so many times at the most.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};

use super::budget::{SpendingRefusal, money};
use super::completion::{Passing, Said, Unanswered};
use super::join::joined;
use super::model::{ModelRequest, RemainingChances, Rung};
use super::wire::{Beside, ChatMessage, Usage};
use super::{Llm, RESERVE};
use crate::handler::{ConversationStateError, Turn};
use crate::runtime::meters::{Fact, LadderStep};

/// How a turn with the model ends.
pub(super) enum End {
    /// With an answer.
    Words(String),
    /// A tool has asked for a person: why.
    Handover(String),
    /// No model has answered, for this cause, in a word.
    Nothing(&'static str),
    /// There is no budget left to ask one.
    UsedUp,
}

/// How long models are left alone that failed in a way that may pass, before they are asked again; twice as long each
/// time.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// So often are they asked again, at the most.
const MOST_ROUNDS: usize = 6;

/// Which models are still worth asking in one step of a turn.
pub(super) struct Ladder {
    /// Those, the first one first.
    open: Vec<usize>,
    /// Those whose answers were spoilt once, and may have been paid for.
    spoilt: Vec<usize>,
    /// Whether all of them have been asked once.
    again: bool,
}

impl Ladder {
    /// From one rung on.
    pub(super) fn from(first: usize, end: usize) -> Self {
        Self { open: (first..end).collect(), spoilt: Vec::new(), again: false }
    }

    fn gave_way(&mut self, number: usize, why: Unanswered) {
        let is_open = match why.passing() {
            Passing::Never => false,
            Passing::Perhaps => true,
            Passing::PerhapsOnce if self.spoilt.contains(&number) => false,
            Passing::PerhapsOnce => {
                self.spoilt.push(number);
                true
            }
        };
        if is_open {
            self.open.push(number);
        }
    }
}

/// A pause that is a quarter longer or shorter, so that those who failed together do not come back together.
fn spread(pause: Duration) -> Duration {
    let chance = RandomState::new().hash_one(()) % 1000;
    pause.mul_f64(0.75 + chance as f64 / 2000.0)
}

impl Llm {
    /// Asks, and calls what the model wants called, until it answers.
    ///
    /// # Errors
    /// When nobody knows what has been spent.
    pub(super) async fn converse(
        &self,
        turn: &Turn,
        messages: Vec<ChatMessage<'_>>,
        rung: &mut usize,
    ) -> Result<End, ConversationStateError> {
        let mut messages = joined(messages);
        let toolbox = self.toolbox.open().await;
        let tools = toolbox.offers();
        for step in 0..=self.max_steps {
            let may_call = step < self.max_steps;
            let (max_tokens, counted) = (self.max_tokens, self.budget.is_limited());
            let asked = ModelRequest { messages: &messages, tools: &tools, may_call, max_tokens, counted };
            let said = match self.ask(turn, &asked, rung).await {
                Ok(Ok(said)) => said,
                Ok(Err(cause)) => return Ok(End::Nothing(cause)),
                Err(SpendingRefusal::Unknown(error)) => return Err(error),
                Err(why @ SpendingRefusal::UsedUp(_)) => {
                    warn!(%why, "no model is asked");
                    return Ok(End::UsedUp);
                }
            };
            if said.calls.is_empty() {
                let words = if said.is_cut { self.finished(turn, &asked, said, *rung).await } else { said.words };
                return Ok(End::Words(words));
            }
            if !may_call {
                break;
            }
            let results = toolbox.call(turn, &said.calls, &self.meters).await;
            if let Some(reason) = results.handover {
                return Ok(End::Handover(reason));
            }
            messages.push(ChatMessage::wants(said.words, said.calls, Beside { by: *rung, fields: said.beside }));
            messages.extend(results.told.into_iter().map(|(call, words)| ChatMessage::result(call, words)));
        }
        warn!(llm.steps = self.max_steps, "the model goes on calling tools, and is not asked any longer");
        Ok(End::Nothing("too_many_steps"))
    }

    /// Goes down the ladder, from `rung` on, until a model answers; else it says in a word why the last one did not.
    /// Once the ladder is through, those that failed in a way that may pass are asked again, after a pause that grows,
    /// and not before their rest is over: while there is time, and so often at the most.
    pub(super) async fn ask(
        &self,
        turn: &Turn,
        asked: &ModelRequest<'_>,
        rung: &mut usize,
    ) -> Result<Result<Said, &'static str>, SpendingRefusal> {
        let mut ladder = Ladder::from(*rung, self.rungs.len());
        let mut answer = self.ask_once(turn, asked, &mut ladder, rung).await?;
        let until = turn.deadline.min(Instant::now() + self.retry_for);
        let mut pause = FIRST_PAUSE;
        for _ in 0..MOST_ROUNDS {
            let Err(cause) = answer else { break };
            let rests = ladder.open.iter().map(|number| self.rungs[*number].rests().unwrap_or_default());
            let Some(shortest) = rests.min() else { break };
            let wait = shortest.max(spread(pause));
            if Instant::now() + wait + RESERVE >= until {
                break;
            }
            sleep(wait).await;
            pause *= 2;
            ladder.again = true;
            self.step(LadderStep::Model(ladder.open[0]), cause);
            answer = self.ask_once(turn, asked, &mut ladder, rung).await?;
        }
        Ok(answer)
    }

    /// Goes down what is open of the ladder, once. One that has given way is not asked again unless that may pass.
    pub(super) async fn ask_once(
        &self,
        turn: &Turn,
        asked: &ModelRequest<'_>,
        ladder: &mut Ladder,
        rung: &mut usize,
    ) -> Result<Result<Said, &'static str>, SpendingRefusal> {
        let mut cause = "no_model";
        let mut open = std::mem::take(&mut ladder.open).into_iter().peekable();
        while let Some(number) = open.next() {
            let model = &self.rungs[number];
            let name = &model.config.model;
            *rung = number;
            let left = turn.deadline.saturating_duration_since(Instant::now() + RESERVE);
            if left.is_zero() {
                warn!(llm.model = name, llm.rung = number, "the turn's time is up: no further model is asked");
                return Ok(Err("out_of_time"));
            }
            if let Some(rest) = model.rests() {
                let seconds = rest.as_secs();
                info!(llm.model = name, llm.rung = number, llm.rest_s = seconds, "a model rests, and is not asked");
                cause = "resting";
                ladder.open.push(number);
            } else {
                // Whoever is left has to do without tools, if it must.
                let is_again = ladder.again;
                let chance = RemainingChances { is_last: number + 1 == self.rungs.len() || is_again, is_again };
                match self.pay_for(turn, model, asked, left, chance).await? {
                    Ok(said) if self.guard.is_given_away_by(&said) => {
                        warn!(
                            llm.model = name,
                            llm.rung = number,
                            "a model gave its instructions away: its answer is not used"
                        );
                        cause = "gave_away";
                    }
                    Ok(said) => {
                        if said.refused {
                            info!(
                                llm.model = name,
                                llm.rung = number,
                                "a model refused to answer: its words are the answer"
                            );
                        }
                        let (lines, calls) = (asked.messages.len(), said.calls.len());
                        debug!(
                            llm.model = name,
                            llm.rung = number,
                            llm.lines = lines,
                            llm.calls = calls,
                            "a model answered"
                        );
                        return Ok(Ok(said));
                    }
                    Err(why) => {
                        warn!(llm.model = name, llm.rung = number, %why, "a model did not answer");
                        cause = why.word();
                        ladder.gave_way(number, why);
                    }
                }
            }
            if let Some(next) = open.peek() {
                self.step(LadderStep::Model(*next), cause);
            }
        }
        *rung = self.rungs.len();
        Ok(Err(cause))
    }

    /// Asks one model, within the budget.
    async fn pay_for(
        &self,
        turn: &Turn,
        model: &Rung,
        asked: &ModelRequest<'_>,
        left: Duration,
        chance: RemainingChances,
    ) -> Result<Result<Said, Unanswered>, SpendingRefusal> {
        if !asked.counted {
            let answer = model.ask(asked, left, chance).await;
            if let Some(used) = answer.as_ref().ok().and_then(|said| said.usage) {
                self.spent(turn, model, used);
            }
            return Ok(answer);
        }
        let most =
            Usage { read: asked.tokens(&self.tokens, model.config.image_tokens), written: asked.max_tokens.into() };
        let set_aside = self.budget.set_aside(turn, &model.config, most).await;
        if let Err(SpendingRefusal::UsedUp(limit)) = &set_aside {
            self.meters.tell(Fact::OverBudget { limit: limit.word() });
        }
        let set_aside = set_aside?;
        let answer = model.ask(asked, left, chance).await;
        if let Some(set_aside) = set_aside {
            // Not every server says what it was.
            let used = answer.as_ref().map_err(|why| *why).map(|said| {
                let calls = said.calls.iter().map(|call| call.tokens(&self.tokens));
                let words = self.tokens.of(&said.words) + self.tokens.of(&said.besides);
                let counted = Usage { read: most.read, written: words + calls.sum::<u64>() };
                match said.usage {
                    Some(usage) if usage.is_believable(most) => usage,
                    Some(Usage { read, written }) => {
                        let name = &model.config.model;
                        warn!(
                            llm.model = name,
                            read,
                            written,
                            "a model's server says that a call has cost what it cannot have: it is counted by its words"
                        );
                        counted
                    }
                    None => counted,
                }
            });
            if let Ok(used) = used {
                self.spent(turn, model, used);
            }
            // What cannot be settled stays set aside: the answer is there, and the customer need not wait.
            if let Err(error) = self.budget.settle(turn, &model.config, set_aside, used).await {
                warn!(%error, "what a call has cost could not be counted: what was set aside for it stays spent");
            }
        }
        Ok(answer)
    }

    fn spent(&self, turn: &Turn, model: &Rung, used: Usage) {
        let money = money(&model.config, used);
        self.meters.tell(Fact::Spent { bot: &turn.bot, read: used.read, written: used.written, money });
    }
}
