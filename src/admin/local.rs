//! What the operator does to a store that is open in this process, and the line of the log that says so.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use tracing::{info, warn};

use super::Admin;
use super::pairing::{Invited, MembersView, Revoked, Withdrawn};
use super::views::{
    ApiError, ContactView, EnqueuedView, Letter, Letters, LettersChanged, NO_BOT, PageQuery, PartOfReply, PauseFor,
    Whom,
};
use crate::ingress::proactive::{ProactiveError, ProactiveIntake};
use crate::message::clock::{Clock, Timestamp};
use crate::message::{self, BotName, ContactIds, NotAContact, PartKey};
use crate::provider::health::Health;
use crate::runtime::hosting::BotRegistry;
use crate::store::{Backlog, By, ContactChange, ContactRef, DeadLetter, Forgotten, Pause, Seq, Store};

/// An operator with the store before him.
pub struct LocalAdmin {
    pub(super) store: Arc<dyn Store>,
    /// Their names may be logged. Anything else that stands in their place may be a person's.
    pub(super) bots: BotRegistry<Health>,
    pub(super) clock: Clock,
}

/// What is done with dead letters.
#[derive(Clone, Copy)]
enum Fate {
    Replay,
    Discard,
}

impl LocalAdmin {
    /// A desk at this store, which is kept for `bots`.
    pub fn new(store: Arc<dyn Store>, bots: BotRegistry<Health>, clock: Clock) -> Self {
        Self { store, bots, clock }
    }

    /// How many messages of a bot's wait.
    pub fn waiting(&self, bot: &BotName) -> usize {
        self.store.waiting(bot)
    }

    /// What became of a part of a reply.
    ///
    /// # Errors
    /// When it is not known (any longer), or the store fails.
    pub async fn part(&self, key: &PartKey, words: bool) -> Result<PartOfReply, ApiError> {
        if let Some(part) = self.store.part(key).await? {
            return Ok(PartOfReply::of(part, words));
        }
        if let Some((conversation, state)) = self.store.under_way(key).await? {
            return Ok(PartOfReply::under_way(key, conversation.bot, &state));
        }
        // What was to be said unasked, and is dead, is known by the number in its parts' names.
        let letter = key.as_str().rsplit('-').nth(1).and_then(|number| number.parse().ok()).map(Seq);
        let letter = match letter {
            Some(letter) => self.dead_letter(letter).await.ok(),
            None => None,
        };
        let part = letter.and_then(|letter| PartOfReply::dead(key, letter, words));
        part.ok_or(ApiError::new(404, "no such part is known (any longer)"))
    }

    /// Takes in what a bot is to say unasked.
    ///
    /// # Errors
    /// Why it was not taken in.
    pub async fn take_in(
        &self,
        proactive_messages: &ProactiveIntake,
        bot: &str,
        key: Option<&str>,
        body: &[u8],
    ) -> Result<EnqueuedView, ApiError> {
        let taken = proactive_messages.take(bot, key, body).await;
        info!(
            operator.action = "send",
            operator.bot = proactive_messages.bot(bot).as_ref().map(BotName::as_str),
            operator.message = taken.as_ref().ok().map(|receipt| receipt.seq.0),
            operator.parts = taken.as_ref().ok().map(|receipt| receipt.parts),
            operator.error = taken.as_ref().err().map(ProactiveError::code),
            "audit"
        );
        Ok(EnqueuedView::of(&taken?))
    }

    /// How much waits.
    pub fn backlog(&self) -> Backlog {
        self.store.backlog()
    }

    /// Why the store takes nothing in any longer, if it does not.
    pub fn failure(&self) -> Option<String> {
        self.store.failure()
    }

    /// Whether the disk has too little room for anything new.
    pub fn is_out_of_space(&self) -> bool {
        self.store.is_out_of_space()
    }

    async fn change(&self, letters: &[Seq], fate: Fate) -> LettersChanged {
        let mut changed = LettersChanged::default();
        for letter in letters.iter().copied().collect::<BTreeSet<_>>() {
            let found = match fate {
                Fate::Replay if self.is_unread(letter).await => {
                    changed.unread.push(letter);
                    continue;
                }
                Fate::Replay => self.store.replay(letter).await.map(|conversation| conversation.is_some()),
                Fate::Discard => self.store.discard(letter).await,
            };
            match found {
                Ok(true) => changed.done.push(letter),
                Ok(false) => changed.unknown.push(letter),
                Err(error) => {
                    changed.error = Some(error.to_string());
                    break;
                }
            }
        }
        let action = match fate {
            Fate::Replay => "replay",
            Fate::Discard => "discard",
        };
        info!(
            operator.action = action,
            operator.letters = numbers(&changed.done),
            operator.unknown = changed.unknown.len(),
            operator.unread = (!changed.unread.is_empty()).then_some(changed.unread.len()),
            operator.error = changed.error,
            "audit"
        );
        changed
    }
}

impl LocalAdmin {
    /// Has a person answer in the conversation that a dead letter stands in.
    ///
    /// # Errors
    /// When there is no such letter, or the store fails.
    pub async fn pause_at(&self, letter: Seq, pause: PauseFor) -> Result<ContactView, ApiError> {
        let peer = self.peer_at(letter).await?;
        self.update_contact(&peer, self.begin(pause)).await
    }

    /// Has the bot answer again in the conversation that a dead letter stands in.
    ///
    /// # Errors
    /// When there is no such letter, or the store fails.
    pub async fn resume_at(&self, letter: Seq) -> Result<ContactView, ApiError> {
        let peer = self.peer_at(letter).await?;
        self.update_contact(&peer, ContactChange::Resume).await
    }

    /// Whether there is nothing in a letter that could be replayed.
    async fn is_unread(&self, letter: Seq) -> bool {
        self.dead_letter(letter).await.is_ok_and(|letter| letter.unread)
    }

    async fn peer_at(&self, letter: Seq) -> Result<ContactRef, ApiError> {
        let letter = self.dead_letter(letter).await?;
        if letter.unread && letter.message.inbound.at.sender.as_str() == DeadLetter::NOBODY {
            return Err(ApiError::new(404, "this message could not be read, and neither could whose it is"));
        }
        Ok(ContactRef::of(&letter.message.inbound.at))
    }

    async fn dead_letter(&self, letter: Seq) -> Result<DeadLetter, ApiError> {
        let after = letter.0.checked_sub(1).map(Seq);
        let found = self.store.dead(after, 1).await?.pop().filter(|found| found.message.seq == letter);
        found.ok_or(ApiError::new(404, "there is no such dead letter (any longer)"))
    }

    /// Whom an operator means, who may write a phone number as people do. A bot that does not exist pauses nobody, and
    /// the operator would never know.
    async fn known(&self, Whom { bot, contact }: &Whom) -> Result<ContactRef, ApiError> {
        let bot = self.bot(bot)?;
        self.peer(&bot, contact).await
    }

    /// Whom a contact names: by a number or an identifier, or by whatever else the bot knows a chat by.
    pub(super) async fn peer(&self, bot: &BotName, contact: &str) -> Result<ContactRef, ApiError> {
        let ids = match ContactIds::written(contact) {
            Ok(ids) => ids,
            Err(_) if self.store.resolve_address(bot, contact).await?.is_some() => ContactIds::known_as(contact),
            Err(why) => return Err(not_a_contact(why)),
        };
        ContactRef::new(bot, ids).ok_or(not_a_contact(NotAContact::Unknown))
    }

    /// The bot of this name.
    pub(super) fn bot(&self, name: &str) -> Result<BotName, ApiError> {
        Some(BotName::new(name.trim())).filter(|bot| self.bots.has(bot)).ok_or(NO_BOT)
    }

    fn loggable<'a>(&self, bot: &'a BotName) -> Option<&'a str> {
        self.bots.has(bot).then(|| bot.as_str())
    }

    fn begin(&self, PauseFor { lasts }: PauseFor) -> ContactChange {
        let since = self.clock.now();
        let until = lasts.and_then(|lasts| lasts.until(since));
        ContactChange::Pause(Pause { since, until, by: By::Operator })
    }

    async fn update_contact(&self, peer: &ContactRef, change: ContactChange) -> Result<ContactView, ApiError> {
        let changed = self.store.update_contact(peer, change).await;
        let action = if change == ContactChange::Resume { "resume" } else { "pause" };
        info!(
            operator.action = action,
            operator.bot = self.loggable(peer.bot()),
            operator.changed = changed.as_ref().ok(),
            operator.error = changed.as_ref().err().map(ToString::to_string),
            "audit"
        );
        let changed = changed?;
        let pause = self.store.contact_state(peer).await?.pause(self.clock.now());
        let until = pause.and_then(|pause| pause.until).map(Timestamp::to_utc);
        Ok(ContactView { paused: pause.is_some(), until, changed })
    }
}

fn numbers(letters: &[Seq]) -> String {
    letters.iter().map(Seq::to_string).collect::<Vec<_>>().join(" ")
}

/// Said of a contact that is none. Nothing of it stands in there.
fn not_a_contact(why: NotAContact) -> ApiError {
    ApiError::new(400, format!("the contact {why}"))
}

#[async_trait]
impl Admin for LocalAdmin {
    async fn dead(&self, page: &PageQuery) -> Result<Letters, ApiError> {
        let letters = self.store.dead(page.after, page.most).await?;
        let next = letters.last().filter(|_| letters.len() == page.most).map(|letter| letter.message.seq);
        Ok(Letters { letters: letters.into_iter().map(|letter| Letter::of(letter, page.words)).collect(), next })
    }

    async fn letter(&self, letter: Seq) -> Result<Letter, ApiError> {
        Ok(Letter::of(self.dead_letter(letter).await?, true))
    }

    async fn replay(&self, letters: &[Seq]) -> Result<LettersChanged, ApiError> {
        Ok(self.change(letters, Fate::Replay).await)
    }

    async fn discard(&self, letters: &[Seq]) -> Result<LettersChanged, ApiError> {
        Ok(self.change(letters, Fate::Discard).await)
    }

    async fn pause(&self, whom: &Whom, pause: PauseFor) -> Result<ContactView, ApiError> {
        self.update_contact(&self.known(whom).await?, self.begin(pause)).await
    }

    async fn resume(&self, whom: &Whom) -> Result<ContactView, ApiError> {
        self.update_contact(&self.known(whom).await?, ContactChange::Resume).await
    }

    async fn send(&self, _: &str, _: &str, _: &Value) -> Result<EnqueuedView, ApiError> {
        Err(ApiError::new(
            503,
            "threedots is not running, and nothing would be sent: start it, with an `operator.token`",
        ))
    }

    async fn invite(&self, bot: &str, lasts: PauseFor) -> Result<Invited, ApiError> {
        self.make_invitation(bot, lasts).await
    }

    async fn members(&self, bot: &str, after: Option<String>) -> Result<MembersView, ApiError> {
        self.list_members(bot, after, true).await
    }

    async fn revoke(&self, bot: &str, what: &Revoked) -> Result<Withdrawn, ApiError> {
        self.take_back(bot, what).await
    }

    async fn forget(&self, whom: &Whom) -> Result<Forgotten, ApiError> {
        let bot = BotName::new(whom.bot.trim());
        if bot.as_str().is_empty() || whom.contact.trim().trim_start_matches('+').is_empty() {
            return Err(ApiError::new(400, "name the bot and the contact"));
        }
        let logged = self.loggable(&bot);
        let written = message::written(&whom.contact);
        let contact = written.as_deref().unwrap_or_else(|_| whom.contact.trim());
        let forgotten = self.store.forget(&bot, contact).await;
        match &forgotten {
            Ok(Forgotten { conversations, waiting, outgoing, said, sent, dead }) => info!(
                operator.action = "forget",
                operator.bot = logged,
                conversations,
                waiting,
                outgoing,
                said,
                sent,
                dead,
                "audit"
            ),
            Err(error) => warn!(operator.action = "forget", operator.bot = logged, operator.error = %error, "audit"),
        }
        let forgotten = forgotten?;
        match written {
            // Whoever is called by a name that is none for us may be in the store all the same.
            Err(why) if forgotten == Forgotten::default() => Err(not_a_contact(why)),
            _ => Ok(forgotten),
        }
    }

    async fn close(&self) {
        self.store.close().await;
    }
}
