//! What stands about somebody whatever is being said: that a person answers them, and the bot does not.
//!
//! It belongs to the chat by each name that it has, not to a conversation's messages: a person may write to a customer
//! first, by the phone number, whom the bot then meets under another identifier.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::{Claim, DEDUPLICATED_FOR, Outgoing, Undecided};
use crate::message::clock::Timestamp;
use crate::message::{
    Address, BotName, ChatId, ContactId, ContactIds, Conversation, Echo, HistoryEntry, MarketingPreference, MessageId,
    MessageRef, Speaker,
};

/// Whom a bot's chat is with, by every name that is known: the chat's own and, unless it is a group, the person's.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactRef {
    pub(super) bot: BotName,
    /// One at the least.
    pub(super) names: ContactIds,
}

impl ContactRef {
    /// Whom a bot knows by these names; nobody, if there are none.
    pub fn new(bot: &BotName, names: ContactIds) -> Option<Self> {
        (!names.is_empty()).then(|| Self { bot: bot.clone(), names })
    }

    /// Whom a bot knows by this phone number or identifier, as an upstream writes it; nobody, if it says nothing.
    pub fn named(bot: &BotName, name: &str) -> Option<Self> {
        Self::new(bot, ContactIds::known_as(name))
    }

    /// Whom the chat of a message is with.
    pub fn of(at: &MessageRef) -> Self {
        Self { bot: at.bot.clone(), names: ContactIds::of_chat(at) }
    }

    /// Whom a bot writes to at an address.
    pub fn at(bot: &BotName, address: &Address) -> Self {
        Self { bot: bot.clone(), names: ContactIds::at(address) }
    }

    /// The person who wrote a message, in a group or not.
    pub fn writer(at: &MessageRef) -> Self {
        Self { bot: at.bot.clone(), names: ContactIds::of_writer(at) }
    }

    /// Whom a claimed conversation is with. Nobody, if it holds nothing.
    pub fn of_claim(claim: &Claim) -> Option<Self> {
        let newest = claim.messages.last().or(claim.proactive_messages.last()).map(|waiting| &waiting.inbound.at);
        let outgoing = claim.outgoing.as_ref().map(|outgoing| &outgoing.to);
        let failed = claim.failed.last().map(|failed| &failed.sent.to);
        [newest, outgoing, failed].into_iter().flatten().map(Self::of).reduce(Self::joined)
    }

    /// To whom a message of the business's own went, if the upstream says so.
    pub fn of_echo(echo: &Echo) -> Option<Self> {
        Self::known_by(&echo.bot, echo.chat.as_ref(), echo.phone.as_ref())
    }

    /// Who has said what they want to be sent, if the upstream says so.
    pub fn of_wish(wish: &MarketingPreference) -> Option<Self> {
        Self::known_by(&wish.bot, wish.chat.as_ref(), wish.phone.as_ref())
    }

    fn known_by(bot: &BotName, chat: Option<&ChatId>, phone: Option<&ContactId>) -> Option<Self> {
        let mut names = ContactIds::default();
        chat.iter().for_each(|chat| names.add(chat.as_str()));
        phone.iter().for_each(|phone| names.add(phone.as_str()));
        Self::new(bot, names)
    }

    /// The names, in every form that they have.
    pub fn names(&self) -> &ContactIds {
        &self.names
    }

    /// Whose bot it is.
    pub fn bot(&self) -> &BotName {
        &self.bot
    }

    /// The conversation that one of the names is the chat of. What else is known of whom it is with,
    /// [`Contacts::chats`](super::Contacts::chats) says.
    pub fn conversations(&self) -> impl Iterator<Item = Conversation> {
        let chat = |name| Conversation { bot: self.bot.clone(), chat: ChatId::new(name) };
        self.names.iter().map(chat)
    }

    /// The same, known by the names of `other` too.
    pub(super) fn joined(mut self, other: Self) -> Self {
        self.names.merge(&other.names);
        self
    }
}

/// The names may be phone numbers.
impl fmt::Debug for ContactRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Peer({}, …)", self.bot)
    }
}

/// What is known of who somebody is.
#[derive(Clone, PartialEq, Eq)]
pub struct KnownContact {
    /// The conversations with them.
    pub chats: Vec<Conversation>,
    /// All that they are known by.
    pub peer: ContactRef,
    /// What they were known by, and are no longer.
    pub former: ContactIds,
}

impl fmt::Debug for KnownContact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KnownContact({} chats, …)", self.chats.len())
    }
}

/// A person answers, and the bot does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Since when.
    pub since: Timestamp,
    /// Until when; none if until somebody has the bot go on.
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// Who has brought it about.
    pub by: By,
}

/// Who has brought it about that a person answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The customer, by asking for a person.
    Customer,
    /// The handler, by handing over.
    Handler,
    /// The operator.
    Operator,
    /// A person, by writing from the business's own phone.
    Phone,
}

impl By {
    /// The word for it in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Handler => "handler",
            Self::Operator => "operator",
            Self::Phone => "phone",
        }
    }
}

impl Pause {
    /// Whether it lasts.
    pub fn lasts(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// What follows if a message from the business's own phone is a person's, and about whom; none if it does not say.
    pub(super) fn by_echo(echo: &Echo, lasts: Option<Duration>) -> Option<(ContactRef, Self)> {
        let until = lasts.map(|lasts| echo.time.plus(lasts));
        Some((ContactRef::of_echo(echo)?, Self { since: echo.time, until, by: By::Phone }))
    }

    /// Of two pauses: the end of the one that ends later, with who began the newer one.
    fn and(self, other: Self) -> Self {
        let newer = if other.since >= self.since { other } else { self };
        let until = self.until.zip(other.until).map(|(one, other)| one.max(other));
        Self { until, ..newer }
    }
}

/// What stands about somebody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContactState {
    /// The pause that was made last, over or not.
    pub paused: Option<Pause>,
    /// When the bot was last told to go on.
    pub resumed: Option<Timestamp>,
    /// What the person has last said about being sent things unasked.
    pub opted: Option<Opted>,
    /// Since when the person is let in to a private bot.
    pub admitted: Option<Timestamp>,
}

/// Whether somebody wants to be sent things unasked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opted {
    /// Whether they do not.
    pub out: bool,
    /// Since when, by the upstream's clock.
    pub since: Timestamp,
    /// Who says so.
    #[serde(default)]
    pub by: OptedBy,
}

/// Who says whether somebody wants to be sent things unasked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptedBy {
    /// The person.
    #[default]
    Person,
    /// The upstream, which holds back what is for that person by a rule of its own. It ends what it has brought about,
    /// and nothing that the person has said.
    Upstream,
}

impl Opted {
    /// What holds after `self` if `other` is said.
    fn and(self, other: Self) -> Self {
        let is_earlier = self.since > other.since;
        match (self.out, other.out) {
            // The person has said it as well: then it is for the person to end it.
            (true, true) if other.by == OptedBy::Person => Self { by: OptedBy::Person, ..self },
            (true, true) | (false, false) => self,
            _ if is_earlier => self,
            (true, false) if self.by == OptedBy::Person && other.by == OptedBy::Upstream => self,
            _ => other,
        }
    }
}

/// How what stands about somebody changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContactChange {
    /// A person answers from now on. It makes no pause shorter, and what was written on the phone before the bot was
    /// last told to go on pauses nothing.
    Pause(Pause),
    /// The bot answers again.
    Resume,
    /// The person opts out, or in again. What was said later stays.
    Opt(Opted),
    /// The person is let in.
    Admit,
    /// The person is not in any longer.
    Expel,
}

impl ContactState {
    /// The pause that lasts now, if one does.
    pub fn pause(&self, now: Timestamp) -> Option<Pause> {
        self.paused.filter(|pause| pause.lasts(now))
    }

    /// Since when the person is to be sent nothing unasked; none if they may.
    pub fn opted_out(&self) -> Option<Timestamp> {
        self.opted.filter(|opted| opted.out).map(|opted| opted.since)
    }

    /// Whether there is nothing left that matters.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        // For as long as upstreams may repeat what had begun an earlier pause.
        let resumed = self.resumed.is_some_and(|resumed| now.since(resumed) < DEDUPLICATED_FOR);
        self.pause(now).is_none() && !resumed && self.opted_out().is_none() && self.admitted.is_none()
    }

    /// Whether a pause comes of a message that was written before the bot was last told to go on: it may be repeated.
    fn is_stale(&self, pause: Pause) -> bool {
        pause.by == By::Phone && self.resumed.is_some_and(|resumed| is_before(pause.since, resumed))
    }

    /// What stands about somebody of whom both are known.
    pub(super) fn and(self, other: Self) -> Self {
        let paused = match (self.paused, other.paused) {
            (Some(one), Some(other)) => Some(one.and(other)),
            (one, other) => one.or(other),
        };
        // Somebody who has opted out by one of their names is sent nothing by the other, until they say otherwise
        // themselves.
        let both = || [self.opted, other.opted].into_iter().flatten();
        let by_person = both().any(|opted| opted.out && opted.by == OptedBy::Person);
        let opted = both().max_by_key(|opted| (opted.out, opted.since));
        let opted = opted.map(|opted| if by_person { Opted { by: OptedBy::Person, ..opted } } else { opted });
        let admitted = [self.admitted, other.admitted].into_iter().flatten().min();
        Self { paused, resumed: self.resumed.max(other.resumed), opted, admitted }
    }

    /// The same, after a change.
    pub(super) fn changed(self, change: ContactChange, now: Timestamp) -> Self {
        match change {
            ContactChange::Pause(pause) if !pause.lasts(now) || self.is_stale(pause) => self,
            ContactChange::Pause(pause) => {
                let paused = self.pause(now).map_or(pause, |known| known.and(pause));
                Self { paused: Some(paused), ..self }
            }
            ContactChange::Resume if self.pause(now).is_none() => self,
            ContactChange::Resume => Self { paused: None, resumed: Some(now), ..self },
            ContactChange::Admit => Self { admitted: self.admitted.or(Some(now)), ..self },
            ContactChange::Expel => Self { admitted: None, ..self },
            ContactChange::Opt(opted) => match self.opted {
                Some(known) => Self { opted: Some(known.and(opted)), ..self },
                None if !opted.out => self,
                None => Self { opted: Some(opted), ..self },
            },
        }
    }
}

impl Outgoing {
    /// Keeps an echo until it is known whose it is; once.
    pub(super) fn keep_undecided(&mut self, echo: &Echo, peer: &ContactRef, pause: Pause) {
        if self.undecided.iter().all(|known| known.message != echo.message) {
            let Echo { message, words, told, chat, .. } = echo.clone();
            self.undecided.push(Undecided { message, words, told, chat, peer: peer.clone(), pause });
        }
    }
}

/// What a person of the business wrote from its own phone.
pub(super) struct PersonsWords {
    pub(super) message: MessageId,
    /// What it says.
    pub(super) told: Option<String>,
    pub(super) time: Timestamp,
}

impl PersonsWords {
    /// So many of the newest things said are looked at: upstreams repeat what they tell.
    pub(super) const LOOKED_AT: usize = 50;

    pub(super) fn of(echo: &Echo) -> Self {
        let told = echo.told.as_ref().or(echo.words.as_ref()).cloned();
        Self { message: echo.message.clone(), told, time: echo.time }
    }

    /// What the history gains by it: nothing if it says nothing, or is among the newest things said.
    pub(super) fn unless_among(self, newest: &[HistoryEntry]) -> Option<HistoryEntry> {
        let Self { message, told, time } = self;
        let words = told.filter(|words| !words.is_empty())?;
        if newest.iter().any(|said| said.message.as_ref() == Some(&message)) {
            return None;
        }
        let message = Some(message);
        Some(HistoryEntry {
            by: Speaker::Person,
            words,
            time,
            who: None,
            name: None,
            message,
            transcript: false,
            told: None,
        })
    }
}

/// The chat that somebody's words stand in, of those of its customer: the named one, or the one that there is.
pub(super) fn chat_of<'a>(chats: &'a [Conversation], named: Option<&ChatId>) -> Option<&'a Conversation> {
    let stands = |chat: &&Conversation| named == Some(&chat.chat);
    chats.iter().find(stands).or_else(|| chats.first())
}

/// By whole seconds: most upstreams tell no more.
fn is_before(one: Timestamp, other: Timestamp) -> bool {
    one.0 / 1000 < other.0 / 1000
}

/// What is kept under each name of a peer.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct ContactRecord {
    pub(super) peer: ContactRef,
    pub(super) standing: ContactState,
}

/// Puts together what is kept under the names of `peer`, and makes a change to it. None if nothing is different.
pub(super) fn change(
    peer: &ContactRef,
    kept: Vec<ContactRecord>,
    change: ContactChange,
    now: Timestamp,
) -> Option<ContactRecord> {
    let known = kept.iter().fold(ContactState::default(), |standing, kept| standing.and(kept.standing));
    let standing = known.changed(change, now);
    let peer = kept.into_iter().fold(peer.clone(), |peer, kept| peer.joined(kept.peer));
    (standing != known).then_some(ContactRecord { peer, standing })
}

/// Who waits to hear that a person has taken over, by the names of those whom the waiting turn is about.
#[derive(Default)]
pub(super) struct Notices(Mutex<HashMap<ContactName, Vec<Arc<Notify>>>>);

type ContactName = (BotName, String);

/// An ear for one peer. Dropped, it leaves nothing behind.
pub(super) struct EchoListener<'a> {
    notices: &'a Notices,
    names: Vec<ContactName>,
    pub(super) heard: Arc<Notify>,
}

impl Notices {
    /// Listens for news of `peer`.
    pub(super) fn listen(&self, peer: &ContactRef) -> EchoListener<'_> {
        let names: Vec<ContactName> = peer.names.iter().map(|name| (peer.bot.clone(), name.to_owned())).collect();
        let heard = Arc::new(Notify::new());
        let mut all = self.all();
        for name in &names {
            all.entry(name.clone()).or_default().push(Arc::clone(&heard));
        }
        EchoListener { notices: self, names, heard }
    }

    /// Tells whoever listens for `peer`.
    pub(super) fn tell(&self, peer: &ContactRef) {
        let all = self.all();
        let named = peer.names.iter().filter_map(|name| all.get(&(peer.bot.clone(), name.to_owned())));
        named.flatten().for_each(|heard| heard.notify_waiters());
    }

    fn all(&self) -> MutexGuard<'_, HashMap<ContactName, Vec<Arc<Notify>>>> {
        // Nothing in here panics half-way through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for EchoListener<'_> {
    fn drop(&mut self) {
        let mut all = self.notices.all();
        for name in &self.names {
            let Some(ears) = all.get_mut(name) else { continue };
            ears.retain(|heard| !Arc::ptr_eq(heard, &self.heard));
            if ears.is_empty() {
                all.remove(name);
            }
        }
    }
}
