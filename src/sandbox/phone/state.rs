//! The state behind the phones, and its steps. Each step leaves it whole; the lock around it is
//! [`Phone`](super::Phone)'s.

use std::collections::{BTreeSet, HashMap};

use super::chat::{Body, Customer, CustomerId, Message, Side, Tick};
use super::timeline::{Moment, What, Why};
use super::{DotsRules, NotInbound};
use crate::message::MessageId;
use crate::message::clock::Timestamp;

#[derive(Default)]
pub(super) struct State {
    pub(super) chats: HashMap<CustomerId, Chat>,
    pub(super) order: Vec<CustomerId>,
    pub(super) places: HashMap<MessageId, Place>,
    pub(super) reactions: HashMap<MessageId, Place>,
    pub(super) timeline: Vec<Moment>,
    pub(super) lapses: BTreeSet<(Timestamp, CustomerId)>,
    pub(super) calls: u64,
}

pub(super) struct Chat {
    pub(super) customer: Customer,
    pub(super) messages: Vec<Message>,
    pub(super) dots: Option<Dots>,
    pub(super) quiet_until: Option<Timestamp>,
    pub(super) last_wrote: Option<Timestamp>,
}

pub(super) struct Dots {
    pub(super) message: MessageId,
    pub(super) until: Timestamp,
    pub(super) recording: bool,
}

#[derive(Clone)]
pub(super) struct Place {
    pub(super) customer: CustomerId,
    /// How many messages the chat has up to this one, itself included.
    pub(super) count: usize,
    pub(super) number: u64,
}

impl Chat {
    pub(super) fn new(customer: Customer) -> Self {
        Self { customer, messages: Vec::new(), dots: None, quiet_until: None, last_wrote: None }
    }
}

impl State {
    pub(super) fn enter(&mut self, at: Timestamp, customer: Option<&CustomerId>, what: What) {
        // A machine's clock can be set back; the order of what happened cannot.
        let at = self.timeline.last().map_or(at, |last| at.max(last.at));
        self.timeline.push(Moment { at, customer: customer.cloned(), what });
    }

    pub(super) fn lapse(&mut self, now: Timestamp) {
        while self.lapses.first().is_some_and(|(until, _)| *until <= now) {
            let Some((until, customer)) = self.lapses.pop_first() else { return };
            let Some(dots) = self.chats.get_mut(&customer).and_then(|chat| chat.dots.take()) else { continue };
            self.enter(until, Some(&customer), What::DotsOff { message: dots.message, why: Why::Lapsed });
        }
    }

    /// Shows the dots, unless they came on in this chat less than the cooldown ago. Returns when they will lapse; the
    /// inner none is that nothing showed, the outer one that there is no such chat.
    pub(super) fn light(
        &mut self,
        rules: DotsRules,
        customer: &CustomerId,
        message: &MessageId,
        recording: bool,
        now: Timestamp,
    ) -> Option<Option<Timestamp>> {
        let chat = self.chats.get_mut(customer)?;
        if chat.quiet_until.is_some_and(|until| now < until) {
            self.enter(now, Some(customer), What::TypingIgnored { message: message.clone() });
            return Some(None);
        }
        let until = now.plus(rules.lifetime);
        chat.quiet_until = Some(now.plus(rules.cooldown));
        // With a cooldown shorter than the lifetime, a second call prolongs the dots.
        let earlier = chat.dots.replace(Dots { message: message.clone(), until, recording });
        if let Some(earlier) = earlier {
            self.lapses.remove(&(earlier.until, customer.clone()));
        }
        self.lapses.insert((until, customer.clone()));
        self.enter(now, Some(customer), What::DotsOn { message: message.clone(), recording });
        Some(Some(until))
    }

    /// Whether there were any.
    pub(super) fn clear_dots(&mut self, customer: &CustomerId, now: Timestamp, why: Why) -> bool {
        let Some(chat) = self.chats.get_mut(customer) else { return false };
        chat.quiet_until = None;
        let Some(dots) = chat.dots.take() else { return false };
        self.lapses.remove(&(dots.until, customer.clone()));
        self.enter(now, Some(customer), What::DotsOff { message: dots.message, why });
        true
    }

    /// What the customer wrote last.
    pub(super) fn newest_of(&self, customer: &CustomerId) -> Option<MessageId> {
        let written = self.chats.get(customer)?.messages.iter().rev();
        written.filter(|message| message.from == Side::Customer).map(|message| message.id.clone()).next()
    }

    pub(super) fn put(
        &mut self,
        customer: &CustomerId,
        id: &MessageId,
        from: Side,
        body: Body,
        quotes: Option<MessageId>,
        at: Timestamp,
    ) {
        let number = self.places.len() as u64 + 1;
        let Some(chat) = self.chats.get_mut(customer) else { return };
        let place = Place { customer: customer.clone(), count: chat.messages.len() + 1, number };
        chat.messages.push(Message {
            id: id.clone(),
            number,
            from,
            at,
            body,
            quotes,
            tick: Tick::Pending,
            reaction: None,
            refused: None,
            revision: 0,
        });
        self.places.insert(id.clone(), place);
    }

    pub(super) fn find(&self, id: &MessageId) -> Option<&Message> {
        let place = self.places.get(id)?;
        self.chats.get(&place.customer)?.messages.get(place.count - 1)
    }

    pub(super) fn find_mut(&mut self, id: &MessageId) -> Option<&mut Message> {
        let place = self.places.get(id)?;
        self.chats.get_mut(&place.customer)?.messages.get_mut(place.count - 1)
    }

    pub(super) fn inbound(&self, id: &MessageId) -> Result<Place, NotInbound> {
        if let Some(place) = self.reactions.get(id) {
            return Ok(place.clone());
        }
        let place = self.places.get(id).ok_or(NotInbound::Unknown)?;
        match self.find(id).map(|message| message.from) {
            Some(Side::Customer) => Ok(place.clone()),
            Some(Side::Bot | Side::Person) => Err(NotInbound::Outgoing),
            None => Err(NotInbound::Unknown),
        }
    }

    pub(super) fn set_reaction(&mut self, to: &MessageId, emoji: &str) {
        if let Some(message) = self.find_mut(to) {
            message.reaction = Some(emoji.to_owned()).filter(|emoji| !emoji.is_empty());
            message.revision += 1;
        }
    }

    pub(super) fn number(&self, id: &MessageId) -> String {
        self.places.get(id).map_or_else(|| "(reaction)".to_owned(), |place| format!("#{}", place.number))
    }
}
