//! What a conversation's history gains by a turn, and what a turn finds in it.

use super::Attempt;
use crate::clock::Timestamp;
use crate::handler::{Said, Speaker};
use crate::message::{MessageId, Quoted, rendering};
use crate::store::{Claim, Outgoing, PartState, Seq, StoreError, Waiting};

impl Attempt<'_> {
    /// The upstream's names for the parts of a reply that have left. `unrecorded` are those that the store does not know.
    pub(super) async fn named(
        &self,
        outgoing: &Outgoing,
        unrecorded: &[(usize, MessageId)],
    ) -> Result<Vec<(usize, MessageId)>, StoreError> {
        let mut named = unrecorded.to_vec();
        for (number, part) in outgoing.parts.iter().enumerate() {
            if named.iter().all(|(known, _)| *known != number)
                && let Some((_, PartState::Sent { message })) = self.tools.store.under_way(&part.key).await?
            {
                named.push((number, message));
            }
        }
        Ok(named)
    }
}

/// What the history gains by a reply, of whose parts so many have names.
pub(super) fn said(claim: &Claim, outgoing: &Outgoing, named: &[(usize, MessageId)], now: Timestamp) -> Vec<Said> {
    let mut said = heard(claim, |seq| outgoing.answers.contains(&seq));
    for (number, part) in outgoing.parts.iter().enumerate() {
        let payload = &part.part.payload;
        let words = payload.words().map_or_else(|| format!("[{}]", payload.name()), str::to_owned);
        let message = named.iter().find(|(named, _)| *named == number).map(|(_, message)| message.clone());
        said.push(Said { by: Speaker::Bot, words, time: now, who: None, name: None, message, transcript: false });
    }
    said
}

/// What the history gains by the customer's messages.
pub(super) fn heard(claim: &Claim, counts: impl Fn(Seq) -> bool) -> Vec<Said> {
    let heard = claim.messages.iter().filter(|waiting| counts(waiting.seq)).map(|Waiting { inbound, .. }| {
        let (content, at) = (&inbound.content, &inbound.at);
        let transcript = content.transcript().is_some_and(|said| !said.is_empty());
        let words = match transcript {
            true => content.written_and_said().collect::<Vec<_>>().join("\n"),
            false => rendering::content(content),
        };
        Said {
            by: Speaker::Customer,
            words: rendering::with_context(inbound, words),
            time: at.time,
            who: at.group.then(|| at.sender.clone()),
            name: at.group.then(|| rendering::speaker(inbound)),
            message: Some(at.message.clone()),
            transcript,
        }
    });
    heard.collect()
}

/// Adds the words of quoted messages, where the upstream has not told them and the history, or a message that waits as
/// well, has them.
pub(super) fn look_up_quotes(messages: &mut [Waiting], history: &[Said]) {
    for number in 0..messages.len() {
        let inbound = &messages[number].inbound;
        let Some(id) = &inbound.quotes else { continue };
        if inbound.quoted.as_ref().is_some_and(|quoted| quoted.words.is_some()) {
            continue;
        }
        let said = history.iter().rfind(|said| said.message.as_ref() == Some(id));
        let words = |said: &Said| rendering::without_context(&said.words).to_owned();
        let found = said.map(|said| (words(said), said.by != Speaker::Customer)).or_else(|| {
            let beside = messages.iter().find(|beside| beside.inbound.at.message == *id)?;
            Some((rendering::content(&beside.inbound.content), false))
        });
        if let Some((words, by_us)) = found {
            messages[number].inbound.quoted = Some(Quoted { words: Some(words), by_us: Some(by_us) });
        }
    }
}

/// Puts what a person of the business wrote behind what it answers: a customer's message enters the history once its turn
/// has ended, and a person may have been quicker. Both times are of the upstream's clock.
pub(super) fn put_in_order(history: &mut [Said]) {
    let is_early =
        |one: &Said, next: &Said| one.by == Speaker::Person && next.by == Speaker::Customer && next.time <= one.time;
    for first in (0..history.len()).rev() {
        let mut at = first;
        while at + 1 < history.len() && is_early(&history[at], &history[at + 1]) {
            history.swap(at, at + 1);
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(by: Speaker, words: &str, time: u64) -> Said {
        Said { by, words: words.into(), time: Timestamp(time), who: None, name: None, message: None, transcript: false }
    }

    #[test]
    fn what_a_person_wrote_stands_behind_what_it_answers() {
        use Speaker::{Bot, Customer, Person};
        let rows = [said(Customer, "a", 1), said(Bot, "b", 9), said(Person, "d", 5), said(Person, "e", 6)];
        let rows = rows.into_iter().chain([said(Customer, "c", 4), said(Customer, "f", 7), said(Bot, "g", 2)]);
        let mut history: Vec<_> = rows.collect();
        put_in_order(&mut history);
        let words: String = history.iter().map(|said| said.words.as_str()).collect();
        assert_eq!(words, "abcdefg");
    }
}
