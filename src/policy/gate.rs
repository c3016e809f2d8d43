//! The gates: policies that may end a turn before anyone sees "read" or "typing".
//!
//! In this order: too old, not a kind that the bot answers, blocked, not allowed, too many. Whoever is turned away
//! sees nothing at all; the message ends as silent, with the gate's word in the turn's log line.

pub mod pairing;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::message::clock::{Timestamp, in_words};
use crate::message::{ContactId, ContactIds, ContentKind, MessageRef, NotAContact, contact_key, written};
use crate::store::{Seq, Waiting};

/// Whom and what a bot answers. The `gate` table of a bot's configuration.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GateConfig {
    /// How late a message may come, by the upstream's clock. After an outage Meta repeats up to 7 days of messages.
    /// What has come in time and has waited with us since is answered, however long that took. One that an operator has
    /// had replayed may be older.
    #[serde(with = "in_words")]
    pub max_age: Duration,
    /// The kinds of message that are answered.
    pub kinds: Vec<ContentKind>,
    /// If not empty, only these people are answered: phone numbers with their country codes, however they are written,
    /// or the upstream's own identifiers.
    pub allow: Vec<String>,
    /// These people are not answered.
    pub block: Vec<String>,
    /// Whether only those are answered whom `allow` names, or who have been let in by a code (`threedots pair new`).
    pub private: bool,
    /// What somebody is told who has been let in; nothing if empty.
    pub welcome: String,
    /// How many messages of one sender are answered in one minute. It also ends a loop of two bots.
    pub per_minute: u32,
}

impl GateConfig {
    /// What stands on the lists and names nobody: which list, the place in it, and why. `handles` says whether the
    /// upstream knows people by names of any kind, such as short codes.
    pub fn unusable(&self, handles: bool) -> Vec<(&'static str, usize, NotAContact)> {
        let lists = [("allow", &self.allow), ("block", &self.block)];
        let entries =
            lists.iter().flat_map(|(name, list)| list.iter().enumerate().map(|(place, entry)| (*name, place, entry)));
        let wrong = entries.filter_map(|(name, place, entry)| {
            let why = ContactIds::written(entry).err()?;
            (!(handles && is_handle(entry, why))).then_some((name, place, why))
        });
        wrong.collect()
    }
}

/// Whether what is no number with a country code may be a short code, or a name that somebody gives themselves.
fn is_handle(entry: &str, why: NotAContact) -> bool {
    let entry = entry.trim();
    let is_short_code = (3..=8).contains(&entry.len()) && entry.bytes().all(|byte| byte.is_ascii_digit());
    match why {
        NotAContact::Unknown => entry.chars().any(char::is_alphanumeric),
        NotAContact::National => is_short_code && !entry.starts_with('0'),
        NotAContact::NoNumber => false,
    }
}

impl Default for GateConfig {
    fn default() -> Self {
        Self {
            max_age: Duration::from_secs(600),
            kinds: ContentKind::ANSWERED.to_vec(),
            allow: Vec::new(),
            block: Vec::new(),
            private: false,
            welcome: "You have been let in.".into(),
            per_minute: 20,
        }
    }
}

/// The lists are people's phone numbers.
impl fmt::Debug for GateConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { max_age, kinds, allow, block, private, welcome: _, per_minute } = self;
        let (allow, block) = (allow.len(), block.len());
        let private = if *private { "private, " } else { "" };
        write!(
            f,
            "GateConfig({max_age:?}, {kinds:?}, {private}{allow} allowed, {block} blocked, {per_minute} a minute)"
        )
    }
}

/// Why a message was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TurnedAway {
    /// It is older than the bot answers.
    TooOld,
    /// The bot does not answer its kind.
    Kind,
    /// Its sender is on the block list.
    Blocked,
    /// Its sender is not on the allow list, and has not been let in.
    NotAllowed,
    /// Its sender writes too much.
    TooMany,
}

impl TurnedAway {
    /// The word for it in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooOld => "too_old",
            Self::Kind => "kind",
            Self::Blocked => "blocked",
            Self::NotAllowed => "not_allowed",
            Self::TooMany => "too_many",
        }
    }
}

/// Who has been let in to a private bot, and by what names the lists may know them, of those who are asked about.
#[derive(Default)]
pub struct Members {
    admitted: HashSet<ContactId>,
    names: HashMap<ContactId, HashSet<String>>,
}

impl Members {
    /// Adds somebody.
    pub fn add(&mut self, sender: ContactId) {
        self.admitted.insert(sender);
    }

    /// Notes by what names somebody is known, or was, whatever their messages say.
    pub fn know<'a>(&mut self, sender: &ContactId, names: impl Iterator<Item = &'a str>) {
        self.names.entry(sender.clone()).or_default().extend(names.map(contact_key));
    }

    /// Adds all of these.
    pub fn extend(&mut self, others: Self) {
        self.admitted.extend(others.admitted);
        self.names.extend(others.names);
    }

    /// Whether somebody is one of them.
    pub fn has(&self, sender: &ContactId) -> bool {
        self.admitted.contains(sender)
    }

    fn is_listed(&self, list: &HashSet<String>, at: &MessageRef) -> bool {
        let said = [&at.sender].into_iter().chain(&at.phone).chain(&at.aliases);
        let known = self.names.get(&at.sender).into_iter().flatten();
        !list.is_empty()
            && (said.map(|id| contact_key(id.as_str())).any(|key| list.contains(&key))
                || known.into_iter().any(|key| list.contains(key)))
    }
}

/// The gates of one bot.
pub struct Gates {
    config: GateConfig,
    allow: HashSet<String>,
    block: HashSet<String>,
    admitted: Mutex<Admitted>,
}

impl Gates {
    /// The gates that `config` describes.
    pub fn new(config: GateConfig) -> Self {
        let key = |person: &String| {
            let person = written(person).map_or_else(|_| Cow::from(person.trim()), Cow::from);
            contact_key(&person)
        };
        let people = |list: &[String]| list.iter().map(key).collect();
        Self { allow: people(&config.allow), block: people(&config.block), config, admitted: Mutex::default() }
    }

    /// Whether it asks who has been let in.
    pub fn is_private(&self) -> bool {
        self.config.private
    }

    /// What somebody is told who has been let in; none if nothing.
    pub fn welcome(&self) -> Option<&str> {
        Some(self.config.welcome.as_str()).filter(|words| !words.is_empty())
    }

    /// Whether it names people on a list.
    pub fn has_lists(&self) -> bool {
        !self.allow.is_empty() || !self.block.is_empty()
    }

    /// Whether a message may be what lets its sender in: from somebody alone with the bot who needs that, and who is
    /// not to be kept out.
    pub fn may_knock(&self, waiting: &Waiting, members: &Members) -> bool {
        let at = &waiting.inbound.at;
        let is_listed = |list| members.is_listed(list, at);
        !at.group && !self.is_too_old(waiting) && !is_listed(&self.block) && !is_listed(&self.allow)
    }

    fn is_too_old(&self, waiting: &Waiting) -> bool {
        !waiting.replayed && waiting.accepted.since(waiting.inbound.at.time) > self.config.max_age
    }

    /// Lets a message pass, or says why not. Asked again about the same message, it answers the same. `members` are
    /// those who have been let in.
    ///
    /// # Errors
    /// The first gate that turned it away.
    pub fn admit(&self, waiting: &Waiting, members: &Members) -> Result<(), TurnedAway> {
        let at = &waiting.inbound.at;
        if self.is_too_old(waiting) {
            return Err(TurnedAway::TooOld);
        }
        if !self.config.kinds.contains(&waiting.inbound.content.kind()) {
            return Err(TurnedAway::Kind);
        }
        if members.is_listed(&self.block, at) {
            return Err(TurnedAway::Blocked);
        }
        let is_member = self.config.private && members.has(&at.sender);
        if (self.config.private || !self.allow.is_empty()) && !is_member && !members.is_listed(&self.allow, at) {
            return Err(TurnedAway::NotAllowed);
        }
        let mut admitted = self.admitted.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = ContactId::new(contact_key(at.sender.as_str()));
        if admitted.allows(&sender, waiting.seq, waiting.accepted, self.config.per_minute) {
            Ok(())
        } else {
            Err(TurnedAway::TooMany)
        }
    }
}

const MINUTE: Duration = Duration::from_secs(60);
/// So many senders are remembered before those who have been quiet for a minute are swept out.
const SWEEP_AT: usize = 1024;
/// Of more senders in one minute than this, nobody is remembered: each is counted anew. That is some 30 MB.
const MOST_SENDERS: usize = 100_000;

/// Who was admitted in the last minute.
#[derive(Default)]
struct Admitted {
    senders: HashMap<ContactId, VecDeque<(Seq, Timestamp)>>,
    sweep_at: usize,
}

impl Admitted {
    fn allows(&mut self, sender: &ContactId, seq: Seq, at: Timestamp, per_minute: u32) -> bool {
        if self.senders.len() >= self.sweep_at.max(SWEEP_AT) {
            self.senders.retain(|_, admitted| admitted.back().is_some_and(|(_, last)| at.since(*last) < MINUTE));
            if self.senders.len() >= MOST_SENDERS {
                self.senders = HashMap::new();
            }
            self.sweep_at = (self.senders.len() * 2).min(MOST_SENDERS);
        }
        let admitted = self.senders.entry(sender.clone()).or_default();
        if admitted.iter().any(|(known, _)| *known == seq) {
            return true;
        }
        while admitted.front().is_some_and(|(_, first)| at.since(*first) >= MINUTE) {
            admitted.pop_front();
        }
        let room = admitted.len() < per_minute as usize;
        if room {
            admitted.push_back((seq, at));
        }
        room
    }
}
