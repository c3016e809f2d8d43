//! Invitations to a private bot: codes that are good for once.

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use super::Seq;
use crate::message::BotName;
use crate::message::clock::Timestamp;

/// So many of a bot's invitations may be open at the same time.
pub const MOST_INVITATIONS: usize = 10;

/// An invitation that nobody has taken up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// Its number, of those of the bot.
    pub number: u64,
    /// When it was made.
    pub made: Timestamp,
    /// Until when it is good.
    pub until: Timestamp,
}

/// Somebody who was let in.
#[derive(Clone, PartialEq, Eq)]
pub struct Member {
    /// The names that they are known by.
    pub names: Vec<String>,
    /// Since when.
    pub since: Timestamp,
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Member(…)")
    }
}

/// What is kept of a bot's invitations.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Invitations {
    pub(super) bot: BotName,
    /// The number that was given last.
    last: u64,
    all: Vec<InvitationRecord>,
}

#[derive(Clone, Serialize, Deserialize)]
struct InvitationRecord {
    number: u64,
    digest: [u8; 32],
    made: Timestamp,
    until: Timestamp,
    /// By which message it was taken up: after a crash that message is looked at again.
    #[serde(default)]
    used: Option<Seq>,
}

impl Invitations {
    /// None yet.
    pub(super) fn of(bot: &BotName) -> Self {
        Self { bot: bot.clone(), last: 0, all: Vec::new() }
    }

    /// Adds one, and gives its number; none if there are too many.
    pub(super) fn add(&mut self, digest: [u8; 32], until: Timestamp, now: Timestamp) -> Option<Invitation> {
        self.all.retain(|kept| now < kept.until);
        if self.all.iter().filter(|kept| kept.used.is_none()).count() >= MOST_INVITATIONS {
            return None;
        }
        self.last += 1;
        self.all.push(InvitationRecord { number: self.last, digest, made: now, until, used: None });
        Some(Invitation { number: self.last, made: now, until })
    }

    /// Takes one up by a message; again by the same message, if that is looked at again. Whether there is such a one.
    ///
    /// All are compared, and each as a whole: how long it takes tells nothing about any.
    pub(super) fn redeem_invitation(&mut self, digest: &[u8; 32], by: Seq, now: Timestamp) -> bool {
        let mut found = None;
        for (place, kept) in self.all.iter().enumerate() {
            if bool::from(kept.digest.ct_eq(digest)) {
                found = Some(place);
            }
        }
        let Some(kept) = found.and_then(|place| self.all.get_mut(place)) else { return false };
        if now >= kept.until || kept.used.is_some_and(|used| used != by) {
            return false;
        }
        kept.used = Some(by);
        true
    }

    /// Takes one back. Whether it was open.
    pub(super) fn withdraw(&mut self, number: u64) -> bool {
        let known = self.all.len();
        self.all.retain(|kept| kept.number != number || kept.used.is_some());
        self.all.len() < known
    }

    /// Those that are open.
    pub(super) fn open(&self, now: Timestamp) -> Vec<Invitation> {
        let open = self.all.iter().filter(|kept| kept.used.is_none() && now < kept.until);
        open.map(|kept| Invitation { number: kept.number, made: kept.made, until: kept.until }).collect()
    }
}
