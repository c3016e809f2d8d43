//! One turn with the model: it says something, or has tools called and then says something, so many times at the most.

use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::model::{Asked, Said};
use super::wire::{Line, Offer};
use super::{Llm, RESERVE};
use crate::handler::Turn;

/// How a turn with the model ends.
pub(super) enum End {
    /// With an answer.
    Words(String),
    /// A tool has asked for a person: why.
    Handover(String),
    /// No model has answered.
    Nothing,
}

impl Llm {
    /// Asks, and calls what the model wants called, until it answers.
    pub(super) async fn converse(&self, turn: &Turn, mut messages: Vec<Line<'_>>) -> End {
        let tools = self.toolbox.offers();
        let mut rung = 0;
        for step in 0..=self.max_steps {
            let may_call = step < self.max_steps;
            let Some(said) = self.ask(turn, &messages, &tools, may_call, &mut rung).await else { return End::Nothing };
            if said.calls.is_empty() {
                return End::Words(said.words);
            }
            if !may_call {
                break;
            }
            let results = self.toolbox.call(turn, &said.calls).await;
            if let Some(reason) = results.handover {
                return End::Handover(reason);
            }
            messages.push(Line::wants(said.words, said.calls));
            messages.extend(results.told.into_iter().map(|(call, words)| Line::result(call, words)));
        }
        warn!(llm.steps = self.max_steps, "the model goes on calling tools, and is not asked any longer");
        End::Nothing
    }

    /// Goes down the ladder, from `rung` on, until a model answers. One that has given way in a turn is not asked again
    /// in it.
    async fn ask(
        &self,
        turn: &Turn,
        messages: &[Line<'_>],
        tools: &[Offer],
        may_call: bool,
        rung: &mut usize,
    ) -> Option<Said> {
        let asked = Asked { messages, tools, may_call, max_tokens: self.max_tokens };
        while let Some(model) = self.rungs.get(*rung) {
            let name = &model.config.model;
            let left = turn.deadline.saturating_duration_since(Instant::now() + RESERVE);
            if left.is_zero() {
                warn!(llm.model = name, llm.rung = *rung, "the turn's time is up: no further model is asked");
                return None;
            }
            if let Some(rest) = model.rests() {
                let seconds = rest.as_secs();
                info!(llm.model = name, llm.rung = *rung, llm.rest_s = seconds, "a model rests, and is not asked");
            } else {
                match model.ask(&asked, left).await {
                    Ok(said) => {
                        let (messages, calls) = (messages.len(), said.calls.len());
                        debug!(
                            llm.model = name,
                            llm.rung = *rung,
                            llm.messages = messages,
                            llm.calls = calls,
                            "a model answered"
                        );
                        return Some(said);
                    }
                    Err(why) => warn!(llm.model = name, llm.rung = *rung, %why, "a model did not answer"),
                }
            }
            *rung += 1;
        }
        None
    }
}
