//! What stands about somebody.

use super::ledger::Ledger;
use crate::clock::Timestamp;
use crate::message::Echo;
use crate::store::parts::{self, Overheard};
use crate::store::standing::{self, Kept};
use crate::store::{Change, Echoed, KnownContact, Pause, Peer, Standing, StoreError, Undecided, record};

impl Ledger {
    /// What stands about somebody.
    pub(super) fn standing(&self, peer: &Peer) -> Standing {
        self.kept(peer).fold(Standing::default(), |standing, kept| standing.and(kept.standing))
    }

    /// Changes it. Whether anything is different.
    pub(super) fn stand(&mut self, peer: &Peer, change: Change, now: Timestamp) -> bool {
        let KnownContact { chats, peer, .. } = self.chats(peer);
        let Some(kept) = standing::change(&peer, self.kept(&peer).cloned().collect(), change, now) else {
            return false;
        };
        self.keep_standing(&kept);
        if let Change::Pause(_) = change {
            // The person may ask something else.
            for conversation in chats {
                if let Some(known) = self.conversations.get_mut(&conversation) {
                    known.question = None;
                }
            }
            self.notices.tell(&kept.peer);
        }
        true
    }

    /// Takes in a message from the business's own phone.
    pub(super) fn echo(
        &mut self,
        echo: &Echo,
        peer: &Peer,
        pause: Pause,
        now: Timestamp,
    ) -> Result<Echoed, StoreError> {
        if self.names.contains_key(&(echo.bot.clone(), echo.message.clone())) {
            return Ok(Echoed::Ours);
        }
        for conversation in self.chats(peer).chats {
            let Some(known) = self.conversations.get_mut(&conversation) else { continue };
            let Some(mut outgoing) = known.outgoing()? else { continue };
            let overheard = parts::overhear(&mut outgoing, &echo.message, echo.words.as_deref());
            let echoed = match overheard {
                Overheard::Other => continue,
                Overheard::Ours => return Ok(Echoed::Ours),
                Overheard::Settles => Echoed::Settled,
                Overheard::Undecided => {
                    outgoing.keep_undecided(echo, peer, pause);
                    Echoed::Undecided
                }
            };
            known.outgoing = Some(record::write(&outgoing)?);
            return Ok(echoed);
        }
        let changed = self.stand(peer, Change::Pause(pause), now);
        Ok(if changed { Echoed::TakenOver } else { Echoed::Known })
    }

    /// Pauses by an echo that turned out to be a person's.
    pub(super) fn take_over(&mut self, echo: Option<Undecided>, now: Timestamp) {
        if let Some(Undecided { peer, pause, .. }) = echo {
            self.stand(&peer, Change::Pause(pause), now);
        }
    }

    pub(super) fn kept<'a>(&'a self, peer: &'a Peer) -> impl Iterator<Item = &'a Kept> {
        peer.names.iter().filter_map(|name| self.standings.get(&(peer.bot.clone(), name.to_owned())))
    }
}
