//! What stands about somebody.

use super::ledger::{Ledger, decode};
use crate::message::clock::Timestamp;
use crate::message::{ChatId, Echo, HistoryEntry};
use crate::store::contact::{self, ContactRecord, PersonsWords};
use crate::store::parts::{self, EchoMatch};
use crate::store::{
    ContactChange, ContactRef, ContactState, Echoed, KnownContact, Pause, StoreError, Undecided, record,
};

impl Ledger {
    /// What stands about somebody.
    pub(super) fn contact_state(&self, peer: &ContactRef) -> ContactState {
        self.kept(peer).fold(ContactState::default(), |standing, kept| standing.and(kept.standing))
    }

    /// Changes it. Whether anything is different.
    pub(super) fn update_contact(&mut self, peer: &ContactRef, change: ContactChange, now: Timestamp) -> bool {
        let KnownContact { chats, peer, .. } = self.chats(peer);
        let Some(kept) = contact::change(&peer, self.kept(&peer).cloned().collect(), change, now) else {
            return false;
        };
        self.keep_standing(&kept);
        if let ContactChange::Pause(_) = change {
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
        peer: &ContactRef,
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
                EchoMatch::Other => continue,
                EchoMatch::Ours => return Ok(Echoed::Ours),
                EchoMatch::Settles => Echoed::Settled,
                EchoMatch::Undecided => {
                    outgoing.keep_undecided(echo, peer, pause);
                    Echoed::Undecided
                }
            };
            known.outgoing = Some(record::write(&outgoing)?);
            return Ok(echoed);
        }
        let changed = self.update_contact(peer, ContactChange::Pause(pause), now);
        self.recall(peer, echo.chat.as_ref(), PersonsWords::of(echo))?;
        Ok(if changed { Echoed::TakenOver } else { Echoed::Known })
    }

    /// Keeps what a person of the business wrote with what was said in the chat, once.
    fn recall(&mut self, peer: &ContactRef, chat: Option<&ChatId>, wrote: PersonsWords) -> Result<(), StoreError> {
        let chats = self.chats(peer).chats;
        let Some(conversation) = contact::chat_of(&chats, chat) else { return Ok(()) };
        let Some(known) = self.conversations.get_mut(conversation) else { return Ok(()) };
        let newest = known.said.len().saturating_sub(PersonsWords::LOOKED_AT);
        let newest: Vec<HistoryEntry> =
            known.said.iter().skip(newest).map(|said| decode(said)).collect::<Result<_, _>>()?;
        if let Some(said) = wrote.unless_among(&newest) {
            known.said.push_back(record::encode(&said)?);
        }
        Ok(())
    }

    /// Lets what is too old of what was said go.
    pub(super) fn trim(&mut self, peer: &ContactRef, history_kept: usize) {
        for conversation in self.chats(peer).chats {
            if let Some(known) = self.conversations.get_mut(&conversation) {
                let trimmed = known.said.len().saturating_sub(history_kept);
                known.said.drain(..trimmed);
            }
        }
    }

    /// Pauses by an echo that turned out to be a person's.
    pub(super) fn take_over(&mut self, echo: Option<Undecided>, now: Timestamp) -> Result<(), StoreError> {
        if let Some(Undecided { peer, pause, message, words, told, chat }) = echo {
            self.update_contact(&peer, ContactChange::Pause(pause), now);
            let told = told.or(words);
            self.recall(&peer, chat.as_ref(), PersonsWords { message, told, time: pause.since })?;
        }
        Ok(())
    }

    pub(super) fn kept<'a>(&'a self, peer: &'a ContactRef) -> impl Iterator<Item = &'a ContactRecord> {
        peer.names.iter().filter_map(|name| self.standings.get(&(peer.bot.clone(), name.to_owned())))
    }
}
