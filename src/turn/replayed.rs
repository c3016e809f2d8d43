//! What was said once and is in the history twice: a message that was answered by a fallback, or for a part, is in it,
//! and again once it has been replayed.

use super::history::heard;
use crate::message::{HistoryEntry, Speaker};
use crate::store::Claim;

/// The history without what waits for an answer again, and of what the customer has said with each message where it was
/// answered last.
pub(super) fn once_each(mut history: Vec<HistoryEntry>, claim: &Claim) -> Vec<HistoryEntry> {
    let waits = |said: &HistoryEntry| {
        let replayed = claim.messages.iter().filter(|waiting| waiting.replayed);
        let mut at_that_time = replayed.filter(|waiting| waiting.inbound.at.time == said.time).peekable();
        at_that_time.peek().is_some() && heard(claim, |_| true).iter().any(|waiting| is_same(waiting, said))
    };
    let is_again = |number: usize, said: &HistoryEntry| history[number + 1..].iter().any(|later| is_same(said, later));
    let of_customer = history.iter().enumerate().filter(|(_, said)| said.by == Speaker::Customer);
    let twice = of_customer.filter(|(number, said)| is_again(*number, said) || waits(said));
    let twice: Vec<usize> = twice.map(|(number, _)| number).collect();
    for number in twice.into_iter().rev() {
        history.remove(number);
    }
    history
}

/// Whether it is the same message of the customer's.
fn is_same(one: &HistoryEntry, other: &HistoryEntry) -> bool {
    match (&one.message, &other.message) {
        (Some(one), Some(other)) => one == other,
        // One of them was kept before messages' names were.
        _ => one.time == other.time && one.by == other.by && one.who == other.who && one.words == other.words,
    }
}
