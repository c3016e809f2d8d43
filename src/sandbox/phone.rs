//! The customers' phones: what stands in each chat, the ticks, the dots, and everything that happened.
//!
//! It knows no wire: the upstreams' sides of the sandbox tell it what took effect, and it keeps the rules of what a
//! person then sees. Those rules are the oracle of the product's tests, so each is written down where it is kept.

mod chat;
mod state;
mod timeline;

use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use chat::{Body, Choice, Customer, CustomerId, Frame, Message, Refused, Row, Section, Side, Source, Tick};
use state::{Chat, Place, State};
pub use timeline::{Call, Moment, What, Why};
use tokio::sync::watch;

use crate::message::MessageId;
use crate::message::clock::{Clock, Timestamp};

/// How the dots behave on the upstream.
#[derive(Clone, Copy, Debug)]
pub struct DotsRules {
    /// How long they show if nothing takes them off.
    pub lifetime: Duration,
    /// For how long after they came on another typing call shows nothing.
    pub cooldown: Duration,
}

/// All customers' phones.
pub struct Phone {
    clock: Clock,
    rules: DotsRules,
    started: Timestamp,
    state: Mutex<State>,
    changes: watch::Sender<u64>,
}

impl Phone {
    /// Phones that nobody has yet.
    pub fn new(clock: Clock, rules: DotsRules) -> Self {
        let state = Mutex::new(State::default());
        Self { clock, rules, started: clock.now(), state, changes: watch::Sender::new(0) }
    }

    /// Everything that happened, in order. Dots that have lapsed stand in it at the time when they did.
    pub fn timeline(&self) -> Vec<Moment> {
        self.open().timeline.clone()
    }

    /// The timeline without its first `skip` moments.
    pub fn timeline_after(&self, skip: usize) -> Vec<Moment> {
        self.open().timeline.get(skip..).map(<[Moment]>::to_vec).unwrap_or_default()
    }

    /// When the phones were made: the zero of [`story`](Self::story).
    pub fn started(&self) -> Timestamp {
        self.started
    }

    /// The part of the timeline that `customer` could see.
    pub fn seen(&self, customer: &CustomerId) -> Vec<Moment> {
        let seen = |moment: &&Moment| moment.customer.as_ref() == Some(customer) && moment.what.is_visible();
        self.open().timeline.iter().filter(seen).cloned().collect()
    }

    /// The timeline in plain words, one line a moment, with the seconds since the start and with numbers for messages.
    ///
    /// For assertions and snapshots: nothing in it differs between two runs with the same events.
    pub fn story(&self) -> Vec<String> {
        let state = self.open();
        let line = |moment: &Moment| {
            let at = moment.at.since(self.started);
            let what = moment.what.tell(|id| state.number(id));
            format!("{}.{:03} {what}", at.as_secs(), at.subsec_millis())
        };
        state.timeline.iter().map(line).collect()
    }

    /// Whether `customer` sees the dots now.
    pub fn dots_showing(&self, customer: &CustomerId) -> bool {
        self.dots_until(customer).is_some()
    }

    /// Whether the dots that `customer` sees now say "recording".
    pub fn recording_showing(&self, customer: &CustomerId) -> bool {
        self.open().chats.get(customer).and_then(|chat| chat.dots.as_ref()).is_some_and(|dots| dots.recording)
    }

    /// When the dots that `customer` sees now will lapse; none if there are none.
    pub fn dots_until(&self, customer: &CustomerId) -> Option<Timestamp> {
        self.open().chats.get(customer)?.dots.as_ref().map(|dots| dots.until)
    }

    /// The messages in `customer`'s chat, oldest first.
    pub fn messages(&self, customer: &CustomerId) -> Vec<Message> {
        self.open().chats.get(customer).map(|chat| chat.messages.clone()).unwrap_or_default()
    }

    /// The bot's messages in `customer`'s chat, oldest first. Reactions are no messages.
    pub fn replies(&self, customer: &CustomerId) -> Vec<Message> {
        self.messages(customer).into_iter().filter(|message| message.from == Side::Bot).collect()
    }

    /// The tick on a message of the customer's.
    pub fn tick(&self, message: &MessageId) -> Option<Tick> {
        self.message(message).map(|message| message.tick)
    }

    /// A message, by the upstream's name for it.
    pub fn message(&self, id: &MessageId) -> Option<Message> {
        self.open().find(id).cloned()
    }

    /// Whose chat a message stands in.
    pub fn chat_of(&self, id: &MessageId) -> Option<CustomerId> {
        let state = self.open();
        state.places.get(id).or_else(|| state.reactions.get(id)).map(|place| place.customer.clone())
    }

    /// All customers, in the order in which they came.
    pub fn customers(&self) -> Vec<Customer> {
        let state = self.open();
        state.order.iter().filter_map(|id| state.chats.get(id)).map(|chat| chat.customer.clone()).collect()
    }

    /// A customer.
    pub fn customer(&self, id: &CustomerId) -> Option<Customer> {
        self.open().chats.get(id).map(|chat| chat.customer.clone())
    }

    /// The first customer for whom `holds` does.
    pub fn find_customer(&self, holds: impl Fn(&Customer) -> bool) -> Option<Customer> {
        let state = self.open();
        let mut customers = state.order.iter().filter_map(|id| state.chats.get(id)).map(|chat| &chat.customer);
        customers.find(|customer| holds(customer)).cloned()
    }

    /// When `customer` last wrote.
    pub fn last_wrote(&self, customer: &CustomerId) -> Option<Timestamp> {
        self.open().chats.get(customer).and_then(|chat| chat.last_wrote)
    }

    /// Counts up at every change.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Waits until `holds` does. It is asked again after every change.
    pub fn wait_for(&self, holds: impl Fn(&Phone) -> bool) -> impl Future<Output = ()> {
        let mut changes = self.changes();
        async move {
            while !holds(self) {
                // The sender lives in `self`, so it cannot have gone.
                let _ = changes.changed().await;
            }
        }
    }

    /// Gives a new customer a phone. One with the same id is replaced in name only: the chat stays.
    pub fn add(&self, customer: Customer) {
        self.change(|state, _| {
            let id = customer.id.clone();
            match state.chats.get_mut(&id) {
                Some(chat) => chat.customer = customer,
                None => {
                    state.order.push(id.clone());
                    state.chats.insert(id, Chat::new(customer));
                }
            }
        });
    }

    /// `customer` sends a message. Returns when; none if there is no such customer.
    pub fn customer_writes(
        &self,
        customer: &CustomerId,
        id: &MessageId,
        body: Body,
        quotes: Option<MessageId>,
    ) -> Option<Timestamp> {
        self.change(|state, now| {
            state.chats.get_mut(customer)?.last_wrote = Some(now);
            state.put(customer, id, Side::Customer, body, quotes, now);
            state.enter(now, Some(customer), What::CustomerWrote { message: id.clone() });
            Some(now)
        })
    }

    /// `customer` reacts to a message. Returns when; none if there is no such customer.
    pub fn customer_reacts(
        &self,
        customer: &CustomerId,
        id: &MessageId,
        to: &MessageId,
        emoji: &str,
    ) -> Option<Timestamp> {
        self.change(|state, now| {
            let chat = state.chats.get_mut(customer)?;
            chat.last_wrote = Some(now);
            let place = Place { customer: customer.clone(), count: chat.messages.len(), number: 0 };
            state.reactions.insert(id.clone(), place);
            state.set_reaction(to, emoji);
            state.enter(now, Some(customer), What::CustomerWrote { message: id.clone() });
            Some(now)
        })
    }

    /// The bot's webhook answered, or did not, for a customer's message: the first 200 gives it its tick.
    pub fn webhook_answered(
        &self,
        message: Option<&MessageId>,
        event: &'static str,
        status: Option<u16>,
        took: Duration,
    ) {
        self.change(|state, now| {
            let place = message.and_then(|id| state.places.get(id).or_else(|| state.reactions.get(id)));
            let customer = place.map(|place| place.customer.clone());
            if event == "message"
                && let Some(message) = message.and_then(|id| state.find_mut(id))
            {
                if status == Some(200) {
                    message.tick = message.tick.max(Tick::Sent);
                }
                if message.tick >= Tick::Sent {
                    message.refused = None;
                } else {
                    message.refused = Some(status.into());
                }
                message.revision += 1;
            }
            let what = What::WebhookAnswered { message: message.cloned(), event, status, took };
            state.enter(now, customer.as_ref(), what);
        });
    }

    /// The customer sees that `id` has been read, and with it every earlier message of that chat.
    ///
    /// # Errors
    /// When there is no such message, or it is the bot's own.
    pub fn mark_read(&self, id: &MessageId) -> Result<CustomerId, NotInbound> {
        self.change(|state, now| {
            let place = state.inbound(id)?;
            let chat = state.chats.get_mut(&place.customer).ok_or(NotInbound::Unknown)?;
            let earlier = chat.messages.iter_mut().take(place.count).rev();
            let unread = earlier.filter(|message| message.from == Side::Customer);
            for message in unread.take_while(|message| message.tick != Tick::Read) {
                message.tick = Tick::Read;
                message.refused = None;
                message.revision += 1;
            }
            state.enter(now, Some(&place.customer), What::MarkedRead { message: id.clone() });
            Ok(place.customer)
        })
    }

    /// The dots come on for `id`, unless they came on in this chat less than the cooldown ago and no reply has
    /// come since. Returns when they will lapse; none if nothing showed.
    ///
    /// That a reply ends the cooldown is the strict reading: a typing call that comes after its reply must show.
    ///
    /// # Errors
    /// When there is no such message, or it is the bot's own.
    pub fn start_typing(&self, id: &MessageId) -> Result<Option<Timestamp>, NotInbound> {
        self.change(|state, now| {
            let customer = state.inbound(id)?.customer;
            state.light(self.rules, &customer, id, false, now).ok_or(NotInbound::Unknown)
        })
    }

    /// The dots come on in `customer`'s chat, or say from now on that a voice message is being `recording`. Returns
    /// when they will lapse; none if nothing showed, which is so before the customer has written anything.
    pub fn start_typing_in(&self, customer: &CustomerId, recording: bool) -> Option<Timestamp> {
        self.change(|state, now| {
            let newest = state.newest_of(customer)?;
            state.light(self.rules, customer, &newest, recording, now)?
        })
    }

    /// A call takes the dots off in `customer`'s chat. Whether there were any.
    pub fn stop_typing(&self, customer: &CustomerId) -> bool {
        self.change(|state, now| state.clear_dots(customer, now, Why::Stopped))
    }

    /// The customer sees that everything in the chat has been read. Whether there was anything.
    pub fn mark_chat_read(&self, customer: &CustomerId) -> bool {
        let newest = self.open().newest_of(customer);
        newest.is_some_and(|newest| self.mark_read(&newest).is_ok())
    }

    /// A message reaches `customer` that a person wrote on the business's own phone. The dots stay: on that phone
    /// nobody knows of them. Returns when; none if there is no such customer.
    pub fn person_writes(&self, customer: &CustomerId, id: &MessageId, words: &str) -> Option<Timestamp> {
        self.change(|state, now| {
            state.chats.get(customer)?;
            state.put(customer, id, Side::Person, Body::Text(words.to_owned()), None, now);
            state.enter(now, Some(customer), What::PersonWrote { message: id.clone() });
            Some(now)
        })
    }

    /// A message of the bot's reaches `customer`, and takes the dots off.
    pub fn bot_writes(
        &self,
        customer: &CustomerId,
        id: &MessageId,
        body: Body,
        quotes: Option<MessageId>,
        key: Option<String>,
    ) {
        self.change(|state, now| {
            if !state.chats.contains_key(customer) {
                return;
            }
            let (kind, text) = (body.kind().to_owned(), body.words().to_owned());
            state.put(customer, id, Side::Bot, body, quotes.clone(), now);
            state.enter(now, Some(customer), What::Reply { message: id.clone(), key, kind, text, quotes });
            state.clear_dots(customer, now, Why::Reply);
        });
    }

    /// The bot reacts to a message of `customer`'s; an empty `emoji` takes its reaction away. The dots stay.
    pub fn bot_reacts(&self, customer: &CustomerId, to: &MessageId, emoji: &str) {
        self.change(|state, now| {
            state.set_reaction(to, emoji);
            state.enter(now, Some(customer), What::Reacted { message: to.clone(), emoji: emoji.to_owned() });
        });
    }

    /// Enters something into the timeline.
    pub fn enter(&self, customer: Option<&CustomerId>, what: What) {
        self.change(|state, now| state.enter(now, customer, what));
    }

    /// Enters a call that has come in, and returns its number.
    pub fn called(&self, customer: Option<&CustomerId>, what: Call) -> u64 {
        self.change(|state, now| {
            state.calls += 1;
            let call = state.calls;
            state.enter(now, customer, What::Called { call, what });
            call
        })
    }

    /// Takes off all dots whose time is over. Every look at the phone does this too: calling it only makes the
    /// change known to those who wait for one.
    pub fn lapse(&self) {
        self.change(|_, _| ());
    }

    /// Tells those who wait for changes to look again.
    pub fn touch(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    fn open(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let entered = state.timeline.len();
        state.lapse(self.clock.now());
        if state.timeline.len() != entered {
            self.touch();
        }
        state
    }

    fn change<R>(&self, change: impl FnOnce(&mut State, Timestamp) -> R) -> R {
        let mut state = self.open();
        // Under the lock, so that the timeline never runs backwards.
        let now = self.clock.now();
        let result = change(&mut state, now);
        drop(state);
        self.touch();
        result
    }
}

/// A message that cannot be marked as read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotInbound {
    /// There is no such message.
    Unknown,
    /// The bot wrote it itself.
    Outgoing,
}
