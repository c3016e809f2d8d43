//! What a turn answers.

use super::{Bot, TurnRun};
use crate::delivery::outbox;
use crate::message::Part;
use crate::store::{Ending, Outgoing, Seq, Waiting};

/// What a turn answers, and what ends along with it.
#[derive(Default)]
pub(super) struct Batch {
    /// One at the least, once the gates have been asked.
    pub(super) admitted: Vec<Waiting>,
    pub(super) turned_away: Vec<Seq>,
}

impl TurnRun<'_> {
    /// What the gates let through; none if they let nothing through.
    pub(super) fn pass_gates(&mut self, messages: &[Waiting]) -> Option<Batch> {
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
}

impl Batch {
    pub(super) fn newest(&self) -> &Waiting {
        self.admitted.last().expect("a batch is made of one message or more")
    }

    pub(super) fn outgoing(&self, parts: Vec<Part>, failure: Option<String>, first: usize, bot: &Bot) -> Outgoing {
        Outgoing {
            answers: self.admitted.iter().map(|waiting| waiting.seq).collect(),
            turned_away: self.turned_away.clone(),
            failure,
            ..outbox::address(self.newest(), parts, first, bot.provider.abilities().statuses_carry_key)
        }
    }
}

/// The answered messages end as answered, or dead; those that a gate turned away end along with them.
pub(super) fn endings(outgoing: &Outgoing, dead: Option<&str>) -> Vec<(Seq, Ending)> {
    let ending = dead.map_or(Ending::Answered, |reason| Ending::Dead { reason: reason.to_owned() });
    let answered = outgoing.answers.iter().map(|seq| (*seq, ending.clone()));
    answered.chain(outgoing.turned_away.iter().map(|seq| (*seq, Ending::Silent))).collect()
}

/// The answered messages end as answered. If something was left out of the reply, the newest is a dead letter all the
/// same, and all of them are if it only took the place of an answer: so its operator sees what the customer has not
/// got, and can ask again.
pub(super) fn answered(outgoing: &Outgoing) -> Vec<(Seq, Ending)> {
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
