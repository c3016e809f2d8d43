//! What a bot says unasked: a request for it, looked at and taken in.
//!
//! Whatever can be known to keep it from being sent is told at once, and nothing is stored then: a form that the
//! upstream has not, a limit, a closed window, a contact who has opted out. What is taken in is durable, waits in its
//! conversation behind what waits there, and is sent by the same turn and the same outbox as a reply: see
//! `src/turn/proactive.rs`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::delivery::outbox::{self, Unsendable};
use crate::handler::http::unasked::{To, Unasked, unasked};
use crate::message::clock::{Clock, Timestamp};
use crate::message::json;
use crate::message::{self, Address, BotName, ContactIds, Conversation, Part, Payload, Speaker, contact_key};
use crate::provider::Provider;
use crate::runtime::hosting::BotRegistry;
use crate::store::{
    ContactRef, Enqueued, IdempotencyKey, KnownAddress, KnownContact, NewProactive, ProactiveMessage, Receipt, Store,
    StoreError,
};

/// So many things said last are looked at for the customer's last word.
const LOOKED_AT: usize = 200;

/// So many messages may one proactive message be.
const MOST_PARTS: usize = 100;

/// The longest key, in bytes.
const LONGEST_KEY: usize = 255;

/// Takes in what bots are to say unasked.
pub struct ProactiveIntake {
    bots: BotRegistry<OutboundChannel>,
    store: Arc<dyn Store>,
    clock: Clock,
}

/// By what a bot speaks.
pub struct OutboundChannel {
    /// The upstream that carries its messages.
    pub provider: Arc<dyn Provider>,
    /// How long a medium may take to be uploaded.
    pub patience: Duration,
    /// What opens a list that questions with too many buttons become.
    pub list_button: String,
}

/// Why a proactive message was not taken in. Nothing of it stands in there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProactiveError {
    /// There is no bot of this name.
    #[error("there is no bot of this name")]
    UnknownBot,
    /// There is no such chat.
    #[error("the bot knows no chat of this name: name the contact")]
    UnknownChat,
    /// It has no key, or one that cannot be.
    #[error(
        "send a header `idempotency-key`: 1 to {LONGEST_KEY} ASCII letters, digits and signs, another for each message"
    )]
    Key,
    /// The key is that of another.
    #[error("this idempotency-key was used for something else within the last 8 days: nothing is sent for it again")]
    Taken,
    /// It is not of the form that it should have.
    #[error("{0}")]
    Form(String),
    /// The upstream does not take it.
    #[error("{0}")]
    Unsendable(String),
    /// The contact wants none of it.
    #[error("the contact has opted out of being sent things unasked")]
    OptedOut,
    /// A person answers.
    #[error("a person answers this contact, and `unless_paused` is set")]
    Paused,
    /// It cannot be taken in for now.
    #[error("{0}: send it again, with the same key")]
    Later(String),
}

impl ProactiveError {
    /// The word for it in logs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownBot => "unknown_bot",
            Self::UnknownChat => "unknown_chat",
            Self::Key => "key",
            Self::Taken => "key_taken",
            Self::Form(_) => "form",
            Self::Unsendable(_) => "unsendable",
            Self::OptedOut => "opted_out",
            Self::Paused => "paused",
            Self::Later(_) => "later",
        }
    }
}

impl fmt::Debug for ProactiveIntake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Errands")
    }
}

impl ProactiveIntake {
    /// Takes in what these bots are to say.
    pub fn new(bots: BotRegistry<OutboundChannel>, store: Arc<dyn Store>, clock: Clock) -> Self {
        Self { bots, store, clock }
    }

    /// The bot of this name.
    pub fn bot(&self, name: &str) -> Option<BotName> {
        Some(BotName::new(name)).filter(|bot| self.bots.has(bot))
    }

    /// Takes in what a body asks for, once for its key. Durable when it returns.
    ///
    /// # Errors
    /// Why it was not taken in: nothing is stored then, and the key may be used again.
    pub async fn take(&self, bot: &str, key: Option<&str>, body: &[u8]) -> Result<Receipt, ProactiveError> {
        let bot = &BotName::new(bot);
        let voice = &*self.bots.get(bot).ok_or(ProactiveError::UnknownBot)?;
        let is_fine =
            |key: &&str| !key.is_empty() && key.len() <= LONGEST_KEY && key.bytes().all(|b| b.is_ascii_graphic());
        let key = key.filter(is_fine).ok_or(ProactiveError::Key)?;
        let unasked = unasked(body).map_err(ProactiveError::Form)?;
        let Unasked { to, unless_paused, parts } = unasked;
        let asked = IdempotencyKey {
            bot: bot.clone(),
            key: key.to_owned(),
            fingerprint: fingerprint(body, to.key().as_deref())?,
        };
        // What was taken in once is answered as it was then, whatever has changed since.
        if let Some(known) = self.store.enqueued(&asked).await? {
            return match known {
                Enqueued::Taken => self.known_by_another_name(&asked, &to, body).await,
                known => receipt(known),
            };
        }
        let there = self.find(bot, voice, &to).await?;
        let peer = ContactRef::at(bot, &there.address);
        let standing = self.store.contact_state(&peer).await?;
        if standing.opted_out().is_some() {
            return Err(ProactiveError::OptedOut);
        }
        if unless_paused && standing.pause(self.clock.now()).is_some() {
            return Err(ProactiveError::Paused);
        }
        if let Some(window) = voice.provider.abilities().window
            && parts.iter().any(|part| !is_approved(part))
        {
            let heard = self.last_heard(bot, &there, &peer).await?;
            if heard.is_none_or(|heard| heard.plus(window) <= self.clock.now()) {
                return Err(ProactiveError::Unsendable(CLOSED.to_owned()));
            }
        }
        let parts = outbox::prepare(&*voice.provider, parts, &voice.list_button, voice.patience).await?.whole()?;
        if parts.len() > MOST_PARTS {
            return Err(ProactiveError::Unsendable(format!(
                "it would be more than {MOST_PARTS} messages: ask for them by turns"
            )));
        }
        let proactive = ProactiveMessage { parts, unless_paused, name: None };
        let new_proactive = NewProactive { asked, to: there.address, proactive };
        receipt(self.store.enqueue(&new_proactive).await?)
    }

    /// What was taken in under the same key for the same person, whom it called otherwise.
    async fn known_by_another_name(
        &self,
        asked: &IdempotencyKey,
        to: &To,
        body: &[u8],
    ) -> Result<Receipt, ProactiveError> {
        let mut names = vec![None];
        if let To::Contact(contact) = to
            && let Some(peer) = ContactRef::new(&asked.bot, ContactIds::written(contact).unwrap_or_default())
        {
            let KnownContact { peer, former, .. } = self.store.chats(&peer).await?;
            names.extend(peer.names().iter().chain(former.iter()).map(|name| Some(contact_key(name))));
        }
        for name in names {
            // As it was written, too: so it was kept once.
            let asked = IdempotencyKey { fingerprint: fingerprint(body, name.as_deref())?, ..asked.clone() };
            if let Some(Enqueued::Known(known)) = self.store.enqueued(&asked).await? {
                return Ok(known);
            }
        }
        Err(ProactiveError::Taken)
    }

    /// Where somebody is written to.
    async fn find(&self, bot: &BotName, voice: &OutboundChannel, to: &To) -> Result<KnownAddress, ProactiveError> {
        let contact = match to {
            To::Contact(contact) => contact.as_str(),
            To::Chat(chat) => {
                let there = self.store.resolve_address(bot, chat).await?;
                return there.filter(|there| there.address.chat.as_str() == chat).ok_or(ProactiveError::UnknownChat);
            }
        };
        // Without what people put between its digits.
        let written = message::written(contact);
        let digits = written.as_deref().ok().filter(|id| id.bytes().all(|byte| byte.is_ascii_digit()));
        let plain = digits.map(|digits| format!("+{digits}"));
        let contact = plain.as_deref().or(written.as_deref().ok()).unwrap_or_else(|| contact.trim());
        let address = voice.provider.address(contact);
        let mut names = vec![contact.to_owned()];
        if let Some(Address { chat, phone, .. }) = &address {
            names.extend(phone.iter().map(|phone| phone.as_str().to_owned()));
            names.push(chat.as_str().to_owned());
        }
        for name in &names {
            // Whom the bot has met is written to where that was.
            let there = self.store.resolve_address(bot, name).await?;
            if let Some(there) = there.filter(|there| !there.address.group) {
                return Ok(there);
            }
        }
        if let Err(why) = written {
            return Err(ProactiveError::Form(format!("the contact {why}")));
        }
        let unknown = "this is no phone number and no contact that the bot knows, or the upstream cannot write to it";
        let address = address.ok_or(ProactiveError::Unsendable(unknown.to_owned()))?;
        Ok(KnownAddress { address, heard: None })
    }

    /// When the contact last wrote.
    async fn last_heard(
        &self,
        bot: &BotName,
        there: &KnownAddress,
        peer: &ContactRef,
    ) -> Result<Option<Timestamp>, StoreError> {
        let here = Conversation { bot: bot.clone(), chat: there.address.chat.clone() };
        let mut heard = there.heard;
        let others = self.store.chats(peer).await?.chats;
        for conversation in others.into_iter().filter(|other| *other != here).chain([here.clone()]) {
            let said = self.store.history(&conversation, LOOKED_AT).await?;
            let last = said.iter().filter(|said| said.by == Speaker::Customer).map(|said| said.time).max();
            heard = heard.max(last);
        }
        Ok(heard)
    }
}

/// What a caller is told who writes too late.
const CLOSED: &str = "the contact has not written lately: until they do, the upstream takes approved templates alone";

fn receipt(enqueued: Enqueued) -> Result<Receipt, ProactiveError> {
    match enqueued {
        Enqueued::New(receipt) | Enqueued::Known(receipt) => Ok(receipt),
        Enqueued::Taken => Err(ProactiveError::Taken),
    }
}

fn is_approved(part: &Part) -> bool {
    matches!(part.payload, Payload::ApprovedTemplate { .. })
}

impl To {
    /// What stands for the contact, however the name is written; none if it is a chat, or no name.
    fn key(&self) -> Option<String> {
        match self {
            Self::Contact(contact) => message::written(contact).ok().map(|id| contact_key(&id)),
            Self::Chat(_) => None,
        }
    }
}

/// Stands for all that a body says, in whatever order its fields are, with `contact` in the place of the one in it.
fn fingerprint(body: &[u8], contact: Option<&str>) -> Result<[u8; 16], ProactiveError> {
    let mut body: Value = json::from_slice(body).map_err(|_| ProactiveError::Form("this is not JSON".into()))?;
    if let (Some(contact), Some(written)) = (contact, body.get_mut("contact")) {
        *written = contact.into();
    }
    let mut hash = Sha256::new();
    digest(&body, &mut hash);
    let mut fingerprint = [0; 16];
    fingerprint.copy_from_slice(&hash.finalize()[..16]);
    Ok(fingerprint)
}

fn digest(value: &Value, hash: &mut Sha256) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(name, _)| *name);
            hash.update(format!("{{{}", fields.len()));
            for (name, value) in fields {
                hash.update(Value::from(name.as_str()).to_string());
                digest(value, hash);
            }
        }
        Value::Array(values) => {
            hash.update(format!("[{}", values.len()));
            values.iter().for_each(|value| digest(value, hash));
        }
        other => hash.update(format!("{other},")),
    }
}

impl From<StoreError> for ProactiveError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::TooLarge { .. } | StoreError::Invalid(_) => Self::Unsendable(error.to_string()),
            StoreError::Failed(_)
            | StoreError::Full
            | StoreError::OutOfSpace { .. }
            | StoreError::Fenced
            | StoreError::Closed => Self::Later(error.to_string()),
        }
    }
}

impl From<Unsendable> for ProactiveError {
    fn from(error: Unsendable) -> Self {
        match error {
            Unsendable::Invalid(_) => Self::Unsendable(error.to_string()),
            Unsendable::Upload(_) | Unsendable::UploadTimedOut => Self::Later(error.to_string()),
        }
    }
}
