//! Invitations to private bots, as the operator sees them.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tracing::info;

use super::LocalAdmin;
use super::views::{ApiError, PauseFor};
use crate::message::BotName;
use crate::policy::gate::pairing;
use crate::store::{ContactChange, Invitation, MOST_INVITATIONS, Member};

/// How long an invitation is good, if nothing else is said, and at the most.
const USUAL: Duration = Duration::from_hours(24);
const LONGEST: Duration = Duration::from_hours(8 * 24);

/// So many members does one list have.
const PAGE: usize = 100;

/// A code that lets somebody in. Nobody can be shown it again.
#[derive(Clone, Serialize, Deserialize)]
pub struct Invited {
    /// What the person sends to the bot.
    pub code: String,
    /// The number of the invitation.
    pub number: u64,
    /// Until when it is good, in UTC.
    pub until: String,
}

impl std::fmt::Debug for Invited {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Invited({}, …)", self.number)
    }
}

/// Who is let in to a bot, and who may be.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MembersView {
    /// The invitations that nobody has taken up.
    pub open: Vec<InvitationView>,
    /// Those who are in.
    pub members: Vec<LetIn>,
    /// Where the next page begins, if there may be one: its `after`.
    pub next: Option<String>,
}

/// An invitation that nobody has taken up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitationView {
    /// Its number.
    pub number: u64,
    /// When it was made, in UTC.
    pub made: String,
    /// Until when it is good, in UTC.
    pub until: String,
}

/// Somebody who is in.
#[derive(Clone, Serialize, Deserialize)]
pub struct LetIn {
    /// Since when, in UTC.
    pub since: String,
    /// By what names they are known, if that was asked for: any of them is a `contact`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
}

impl std::fmt::Debug for LetIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LetIn({}, …)", self.since)
    }
}

/// What is taken back.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Revoked {
    /// That somebody is in: a phone number, or an identifier of the upstream's.
    Contact(String),
    /// An invitation that is open, by its number.
    Number(u64),
}

impl std::fmt::Debug for Revoked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Revoked(…)")
    }
}

/// Whether something was taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawn {
    /// Whether there was such a one.
    pub changed: bool,
}

impl LocalAdmin {
    pub(super) async fn make_invitation(&self, bot: &str, lasts: PauseFor) -> Result<Invited, ApiError> {
        let bot = &self.bot(bot)?;
        let lasts = match lasts.lasts {
            None => USUAL,
            Some(lasts) => lasts
                .duration()
                .filter(|lasts| *lasts <= LONGEST)
                .ok_or(ApiError::new(400, "an invitation is good for 192h at the most"))?,
        };
        let code = pairing::code();
        let digest = pairing::digest(bot, &code).ok_or(ApiError::new(503, "no code was made"))?;
        let until = self.clock.now().plus(lasts);
        let made = self.store.invite(bot, digest, until).await;
        self.note("invite", bot, made.as_ref().ok().and_then(|made| made.map(|made| made.number)));
        let full = format!("{MOST_INVITATIONS} invitations are open: revoke one first, or wait until one has ended");
        let Invitation { number, .. } = made?.ok_or(ApiError::new(409, full))?;
        Ok(Invited { code, number, until: until.to_utc() })
    }

    pub(super) async fn list_members(
        &self,
        bot: &str,
        after: Option<String>,
        words: bool,
    ) -> Result<MembersView, ApiError> {
        let bot = &self.bot(bot)?;
        let open = self.store.invitations(bot).await?.into_iter();
        let open = open.map(|Invitation { number, made, until }| InvitationView {
            number,
            made: made.to_utc(),
            until: until.to_utc(),
        });
        let (members, next) = self.store.members(bot, after, PAGE).await?;
        let members = members.into_iter().map(|Member { names, since }| LetIn {
            since: since.to_utc(),
            names: if words { names } else { Vec::new() },
        });
        Ok(MembersView { open: open.collect(), members: members.collect(), next })
    }

    pub(super) async fn take_back(&self, bot: &str, what: &Revoked) -> Result<Withdrawn, ApiError> {
        let bot = &self.bot(bot)?;
        let changed = match what {
            Revoked::Number(number) => self.store.withdraw(bot, *number).await,
            Revoked::Contact(contact) => {
                let peer = self.peer(bot, contact).await?;
                self.store.update_contact(&peer, ContactChange::Expel).await
            }
        };
        let number = match what {
            Revoked::Number(number) => Some(*number),
            Revoked::Contact(_) => None,
        };
        self.note("revoke", bot, number);
        Ok(Withdrawn { changed: changed? })
    }

    fn note(&self, action: &str, bot: &BotName, number: Option<u64>) {
        info!(operator.action = action, operator.bot = bot.as_str(), operator.invitation = number, "audit");
    }
}
