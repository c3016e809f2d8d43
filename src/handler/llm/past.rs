//! What a model is given of a conversation's past: a summary of what is long ago, and the newest things said.
//!
//! What is said is given as it is, up to the token budget. When it no longer fits, all but the newest half a budget is
//! summarised, along with the summary before: so a model is asked for a summary once in a while, and not in every turn.

use tracing::{debug, warn};

use super::Llm;
use super::budget::SpendingRefusal;
use super::cut;
use super::model::ModelRequest;
use super::steps::Ladder;
use super::tokens::{self, Tokens};
use super::voice;
use super::wire::ChatMessage;
use crate::handler::Turn;
use crate::message::{Conversation, HistoryEntry, Speaker, Summary, rendering};
use crate::runtime::templates::TemplateError;

/// So many times the budget is summarised at once, at the most; what is older than that is left out.
const MOST_SUMMARISED: usize = 8;

/// What there was before a turn.
pub(super) struct Past<'a> {
    pub(super) summary: Option<String>,
    pub(super) said: &'a [HistoryEntry],
}

impl Llm {
    /// What a model is given of the past. `rung` is where the ladder begins, and how far down it went.
    pub(super) async fn past<'a>(&self, turn: &'a Turn, rung: &mut usize) -> Result<Past<'a>, TemplateError> {
        let budget = self.history_tokens;
        let Some(conversation) = turn.newest().map(|message| message.at.conversation()) else {
            return Ok(Past { summary: None, said: &[] });
        };
        if self.summary_tokens == 0 || budget == 0 {
            return Ok(Past { summary: None, said: within(&self.tokens, budget, &turn.history) });
        }
        let summary = self.conversation_state.summary(&conversation).await.unwrap_or_else(|error| {
            warn!(%error, "what was said before could not be had: the model is given the rest");
            None
        });
        let unsummarised = after(summary.as_ref(), &turn.history);
        let said = within(&self.tokens, budget, unsummarised);
        if fits(&self.tokens, budget, unsummarised) == unsummarised.len() {
            return Ok(Past { summary: summary.map(|summary| summary.words), said });
        }
        if !self.summary_pauses.is_due(&conversation) {
            return Ok(Past { summary: summary.map(|summary| summary.words), said });
        }
        let newest = within(&self.tokens, budget / 2, unsummarised);
        let older = &unsummarised[..unsummarised.len() - newest.len()];
        match self.summarise(turn, &conversation, summary.as_ref(), older, rung).await? {
            Some(words) => Ok(Past { summary: Some(words), said: newest }),
            None => Ok(Past { summary: summary.map(|summary| summary.words), said }),
        }
    }

    /// Has a model summarise what was said, and keeps that.
    async fn summarise(
        &self,
        turn: &Turn,
        conversation: &Conversation,
        before: Option<&Summary>,
        said: &[HistoryEntry],
        rung: &mut usize,
    ) -> Result<Option<String>, TemplateError> {
        let Some(until) = said.last().map(|said| said.time) else { return Ok(None) };
        let mut text = before.map(|before| format!("[Before that: {}]\n", before.words)).unwrap_or_default();
        let most = self.history_tokens.saturating_mul(MOST_SUMMARISED);
        for said in within(&self.tokens, most, said) {
            let by = match said.by {
                Speaker::Customer => "Customer",
                Speaker::Bot => "Bot",
                Speaker::Person => "Colleague",
            };
            text.push_str(&rendering::spoken(by, &voice::told(said)));
            text.push('\n');
        }
        let messages = [ChatMessage::system(self.prompter.summary(&turn.bot)?), ChatMessage::user(text)];
        let (max_tokens, counted) = (self.summary_tokens, self.budget.is_limited());
        let asked = ModelRequest { messages: &messages, tools: &[], may_call: false, max_tokens, counted };
        // Who cannot summarise may still answer: only a ladder that has held is gone on from where it held.
        // Nor is anybody waited for: the customer waits for an answer.
        let (mut lower, mut ladder) = (*rung, Ladder::from(*rung, self.rungs.len()));
        let answer = self.ask_once(turn, &asked, &mut ladder, &mut lower).await;
        if lower < self.rungs.len() {
            *rung = lower;
        }
        let words = match answer {
            Ok(Ok(said)) if !said.words.is_empty() && !said.refused => {
                if said.is_cut {
                    cut::shown(&said.words)
                } else {
                    said.words
                }
            }
            Ok(_) | Err(SpendingRefusal::UsedUp(_) | SpendingRefusal::Unknown(_)) => {
                self.summary_pauses.failed(conversation);
                warn!(
                    "what was said before could not be summarised: some of it is left out, and that is not tried in each turn"
                );
                return Ok(None);
            }
        };
        self.summary_pauses.succeeded(conversation);
        debug!(llm.summarised = said.len(), "what was said before was summarised");
        let summary = Summary { words: words.clone(), until };
        if let Err(error) = self.conversation_state.summarise(conversation, summary).await {
            warn!(%error, "a summary could not be kept: it is made again in the next turn");
        }
        Ok(Some(words))
    }
}

/// What is not in the summary yet.
fn after<'a>(summary: Option<&Summary>, history: &'a [HistoryEntry]) -> &'a [HistoryEntry] {
    let Some(Summary { until, .. }) = summary else { return history };
    // By its last thing said, if that is still there: times of the upstream's clock and of ours may be out of order.
    let last = history.iter().rposition(|said| said.time == *until);
    let last = last.or_else(|| history.iter().rposition(|said| said.time < *until));
    last.map_or(history, |last| &history[last + 1..])
}

/// How many of the newest things said fit into `budget` tokens.
fn fits(tokens: &Tokens, budget: usize, history: &[HistoryEntry]) -> usize {
    let mut left = budget as u64;
    // Most conversations are so short that nothing need be counted.
    if history.iter().map(|said| tokens::at_most(&voice::told(said)) + tokens::OF_FRAME).sum::<u64>() <= left {
        return history.len();
    }
    let fits = history.iter().rev().take_while(|said| {
        let cost = tokens.of(&voice::told(said)) + tokens::OF_FRAME;
        left.checked_sub(cost).map(|rest| left = rest).is_some()
    });
    fits.count()
}

/// The newest things said that fit into `budget` tokens. Where that is not all, they do not begin with the bot's own
/// words: nobody knows what those answered.
fn within<'a>(tokens: &Tokens, budget: usize, history: &'a [HistoryEntry]) -> &'a [HistoryEntry] {
    let mut kept = &history[history.len() - fits(tokens, budget, history)..];
    if kept.len() == history.len() {
        return kept;
    }
    while let [HistoryEntry { by: Speaker::Bot | Speaker::Person, .. }, rest @ ..] = kept {
        kept = rest;
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::clock::Timestamp;

    fn said(by: Speaker, words: &str, time: u64) -> HistoryEntry {
        let (time, words) = (Timestamp(time), words.into());
        HistoryEntry { by, words, time, who: None, name: None, message: None, transcript: false, told: None }
    }

    #[test]
    fn what_is_kept_is_the_newest_that_fits_and_begins_with_the_customer() {
        use Speaker::{Bot, Customer};
        let history = [said(Customer, "one", 1), said(Bot, "two", 2), said(Customer, "three", 3), said(Bot, "four", 4)];
        let tokens = Tokens::default();
        // Each is a token and its frame.
        for (budget, kept) in [(0, 0), (9, 0), (10, 2), (15, 2), (19, 2), (20, 4)] {
            assert_eq!(within(&tokens, budget, &history).len(), kept, "{budget}");
        }
    }

    #[test]
    fn what_is_in_the_summary_is_not_given_again() {
        let history: Vec<HistoryEntry> = [3, 5, 4, 6].map(|time| said(Speaker::Customer, "word", time)).into();
        let after = |until| {
            let summary = Summary { words: String::new(), until: Timestamp(until) };
            super::after(Some(&summary), &history).len()
        };
        assert_eq!((after(1), after(3), after(5), after(4), after(6), after(9)), (4, 3, 2, 1, 0, 0));
        assert_eq!(super::after(None, &history).len(), 4);
    }
}
