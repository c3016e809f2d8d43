//! What a conversation's history gains by a turn, and what a turn finds in it.

use super::TurnRun;
use crate::message::clock::Timestamp;
use crate::message::{ContactId, ContactIds, HistoryEntry, Inbound, MessageId, Quoted, Speaker, rendering};
use crate::store::{Claim, ContactRef, Outgoing, PartState, Seq, StoreError, Waiting};

impl TurnRun<'_> {
    /// What was said in the conversation, and in the others that were had with the same person: to somebody who had
    /// never written something may have been said by the phone number, whom the upstream then calls otherwise.
    pub(super) async fn history(
        &self,
        claim: &Claim,
        peer: &ContactRef,
        most: usize,
    ) -> Result<Vec<HistoryEntry>, StoreError> {
        let store = &self.tools.store;
        let mut history = store.history(&claim.conversation, most).await?;
        for other in store.chats(peer).await?.chats.into_iter().filter(|other| *other != claim.conversation) {
            let said = store.history(&other, most).await?;
            if !said.is_empty() {
                history.extend(said);
                history.sort_by_key(|said| said.time);
            }
        }
        history.drain(..history.len().saturating_sub(most));
        put_in_order(&mut history);
        Ok(history)
    }

    /// The upstream's names for the parts of a reply that have left. `unrecorded` are those that the store does not
    /// know.
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
pub(super) fn said(
    claim: &Claim,
    outgoing: &Outgoing,
    named: &[(usize, MessageId)],
    now: Timestamp,
) -> Vec<HistoryEntry> {
    let mut said = heard(claim, |seq| outgoing.answers.contains(&seq));
    for (number, part) in outgoing.parts.iter().enumerate() {
        let payload = &part.part.payload;
        let words = payload.words().map_or_else(|| format!("[{}]", payload.name()), str::to_owned);
        let message = named.iter().find(|(named, _)| *named == number).map(|(_, message)| message.clone());
        said.push(HistoryEntry {
            by: Speaker::Bot,
            words,
            time: now,
            who: None,
            name: None,
            message,
            transcript: false,
            told: None,
        });
    }
    said
}

/// What the history gains by the customer's messages.
pub(super) fn heard(claim: &Claim, counts: impl Fn(Seq) -> bool) -> Vec<HistoryEntry> {
    claim
        .messages
        .iter()
        .filter(|waiting| counts(waiting.seq))
        .map(|waiting| HistoryEntry::heard(&waiting.inbound))
        .collect()
}

/// Adds the words of messages that are quoted, or that a reaction, a vote, an edit or a revocation is about, and who
/// wrote them, where the upstream has not told that and the history, or a message that waits as well, has it.
pub(super) fn look_up_quotes(messages: &mut [Waiting], history: &[HistoryEntry]) {
    for number in 0..messages.len() {
        let inbound = &messages[number].inbound;
        let Some(id) = inbound.quotes.as_ref().or_else(|| inbound.content.about()) else { continue };
        let known = inbound.quoted.clone().unwrap_or_default();
        let said = history.iter().rfind(|said| said.message.as_ref() == Some(id)).map(of_history);
        let found = said.or_else(|| {
            let beside = messages.iter().find(|beside| beside.inbound.at.message == *id)?;
            Some(of_message(&beside.inbound))
        });
        let found = found.unwrap_or_default();
        let mut quoted = Quoted {
            words: known.words.or(found.words),
            by_us: known.by_us.or(found.by_us),
            sender: known.sender.or(found.sender),
            name: known.name.or(found.name),
        };
        if quoted.by_us == Some(true) {
            (quoted.sender, quoted.name) = (None, None);
        }
        if quoted.name.is_none() {
            quoted.name = quoted.sender.as_ref().and_then(|sender| name_of(sender, messages, history));
        }
        messages[number].inbound.quoted = quoted.if_anything();
    }
}

fn of_history(said: &HistoryEntry) -> Quoted {
    Quoted {
        words: Some(rendering::without_context(&said.words).to_owned()),
        by_us: Some(said.by != Speaker::Customer),
        sender: said.who.clone(),
        name: said.name.clone(),
    }
}

fn of_message(inbound: &Inbound) -> Quoted {
    Quoted {
        words: Some(rendering::content(&inbound.content)),
        by_us: Some(false),
        sender: Some(inbound.at.sender.clone()),
        name: inbound.contact.name.clone(),
    }
}

/// The name that a member shows, if a message of theirs waits or is part of the history.
fn name_of(sender: &ContactId, messages: &[Waiting], history: &[HistoryEntry]) -> Option<String> {
    let waiting = messages.iter().map(|waiting| &waiting.inbound);
    let mut named = waiting.filter(|inbound| inbound.contact.name.is_some());
    let own = named.find(|inbound| ContactIds::of_writer(&inbound.at).has(sender.as_str()));
    own.and_then(|inbound| inbound.contact.name.clone()).or_else(|| {
        let theirs = ContactIds::known_as(sender.as_str());
        let mut said = history.iter().rev().filter(|said| said.name.is_some());
        said.find(|said| said.who.as_ref().is_some_and(|who| theirs.has(who.as_str())))?.name.clone()
    })
}

/// Puts what a person of the business wrote behind what it answers: a customer's message enters the history once its
/// turn has ended, and a person may have been quicker. Both times are of the upstream's clock.
pub(super) fn put_in_order(history: &mut [HistoryEntry]) {
    let is_early = |one: &HistoryEntry, next: &HistoryEntry| {
        one.by == Speaker::Person && next.by == Speaker::Customer && next.time <= one.time
    };
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
    use crate::message::{BotName, ChatId, Contact, Content, MessageRef};

    fn said(by: Speaker, words: &str, time: u64) -> HistoryEntry {
        let (time, words) = (Timestamp(time), words.into());
        HistoryEntry { by, words, time, who: None, name: None, message: None, transcript: false, told: None }
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

    fn waiting(message: &str, sender: &str, content: Content) -> Waiting {
        let at = MessageRef {
            bot: BotName::new("shop"),
            chat: ChatId::new("group@g.us"),
            group: true,
            sender: ContactId::new(sender),
            phone: None,
            aliases: Vec::new(),
            message: MessageId::new(message),
            time: Timestamp(1),
        };
        let inbound = Inbound {
            at,
            contact: Contact::default(),
            content,
            quotes: None,
            forwarded: false,
            quoted: None,
            referral: None,
            product: None,
        };
        Waiting { seq: Seq(1), inbound, accepted: Timestamp(1), replayed: false, proactive: None }
    }

    #[test]
    fn what_a_message_is_about_and_who_wrote_it_are_looked_up() {
        let named = |by, words: &str, message: &str| HistoryEntry {
            message: Some(MessageId::new(message)),
            ..said(by, words, 1)
        };
        let anns = HistoryEntry {
            who: Some(ContactId::new("15550100002@s.whatsapp.net")),
            name: Some("Ann".into()),
            ..named(Speaker::Customer, "[forwarded]\nI want pizza", "of ann")
        };
        let history = [named(Speaker::Bot, "Red or blue?", "of us"), anns];
        let id = |message: &str| MessageId::new(message);
        let quoting = |message: &str, quoted: Option<Quoted>| {
            let mut waiting = waiting("quoting", "me@lid", Content::text("yes"));
            (waiting.inbound.quotes, waiting.inbound.quoted) = (Some(id(message)), quoted);
            waiting
        };
        let told = Quoted {
            words: Some("told".into()),
            by_us: Some(false),
            sender: Some(ContactId::new("15550100002:7@c.us")),
            name: None,
        };
        let mut messages = [
            waiting("a", "bob@lid", Content::Reaction { message: id("of us"), emoji: Some("👍".into()) }),
            waiting("b", "bob@lid", Content::Revoke { message: id("of ann") }),
            waiting("c", "bob@lid", Content::Vote { message: id("unknown"), options: Vec::new() }),
            waiting("d", "bob@lid", Content::Edit { message: id("e"), content: Box::new(Content::text("new")) }),
            waiting("e", "bob@lid", Content::text("old")),
            quoting("of ann", None),
            quoting("elsewhere", Some(told)),
        ];
        look_up_quotes(&mut messages, &history);
        let line = |at: usize| rendering::message(&messages[at].inbound);
        assert_eq!(line(0), "[about your message: \"Red or blue?\"]\n[reaction 👍]");
        assert_eq!(line(1), "[about Ann: \"I want pizza\"]\n[revoke]");
        assert_eq!(line(2), "[vote for nothing]");
        assert_eq!(line(3), "[about their own earlier message: \"old\"]\n[edit] new");
        assert_eq!(line(5), "[in reply to Ann: \"I want pizza\"]\nyes");
        assert_eq!(line(6), "[in reply to Ann: \"told\"]\nyes");
        assert_eq!(messages[4].inbound.quoted, None);
        assert_eq!(messages[0].inbound.quoted.as_ref().map(|quoted| &quoted.sender), Some(&None));
    }
}
