//! What stands about somebody, under each of their names.

use super::{Fault, Ledger};
use crate::message::clock::Timestamp;
use crate::message::{ChatId, Echo};
use crate::store::contact::{self, ContactRecord, PersonsWords};
use crate::store::disk::records::{self, Hash};
use crate::store::disk::tree::KeyChanges;
use crate::store::parts::{self, EchoMatch};
use crate::store::{ContactChange, ContactRef, ContactState, Echoed, KnownContact, Pause, Undecided, record};

impl Ledger {
    /// What stands about somebody.
    pub(in crate::store::disk) fn contact_state(&self, peer: &ContactRef) -> Result<ContactState, Fault> {
        Ok(self.kept(peer)?.iter().fold(ContactState::default(), |standing, kept| standing.and(kept.standing)))
    }

    /// Changes it. Whether anything is different.
    pub(in crate::store::disk) fn update_contact(
        &mut self,
        peer: &ContactRef,
        change: ContactChange,
        now: Timestamp,
    ) -> Result<bool, Fault> {
        let KnownContact { chats, peer, .. } = self.chats(peer)?;
        let Some(kept) = contact::change(&peer, self.kept(&peer)?, change, now) else { return Ok(false) };
        let mut changes = KeyChanges::default();
        self.keep_standing(&mut changes, &kept)?;
        if let ContactChange::Pause(_) = change {
            for conversation in chats {
                self.hand_over(&mut changes, Hash::of_conversation(&conversation))?;
            }
            self.notices.tell(&kept.peer);
        }
        self.tree.stage(changes);
        Ok(true)
    }

    /// Takes in a message from the business's own phone.
    pub(in crate::store::disk) fn echo(
        &mut self,
        echo: &Echo,
        peer: &ContactRef,
        pause: Pause,
        now: Timestamp,
    ) -> Result<Echoed, Fault> {
        if self.tree.value(&records::name(Hash::of_message(&echo.bot, &echo.message)))?.is_some() {
            return Ok(Echoed::Ours);
        }
        for conversation in self.chats(peer)?.chats {
            let place = Hash::of_conversation(&conversation);
            let Some(mut outgoing) = self.outgoing(place)? else { continue };
            let echoed = match parts::overhear(&mut outgoing, &echo.message, echo.words.as_deref()) {
                EchoMatch::Other => continue,
                EchoMatch::Ours => return Ok(Echoed::Ours),
                EchoMatch::Settles => Echoed::Settled,
                EchoMatch::Undecided => {
                    outgoing.keep_undecided(echo, peer, pause);
                    Echoed::Undecided
                }
            };
            let mut changes = KeyChanges::default();
            self.tree.replace(&mut changes, &records::of_conversation(b'o', place), &record::write(&outgoing)?)?;
            if echoed == Echoed::Settled {
                self.end_hold_back(&mut changes, place)?;
            }
            self.tree.stage(changes);
            return Ok(echoed);
        }
        let changed = self.update_contact(peer, ContactChange::Pause(pause), now)?;
        self.recall(peer, echo.chat.as_ref(), PersonsWords::of(echo))?;
        Ok(if changed { Echoed::TakenOver } else { Echoed::Known })
    }

    /// Keeps what a person of the business wrote with what was said in the chat, once.
    fn recall(&mut self, peer: &ContactRef, chat: Option<&ChatId>, wrote: PersonsWords) -> Result<(), Fault> {
        let chats = self.chats(peer)?.chats;
        let Some(conversation) = contact::chat_of(&chats, chat) else { return Ok(()) };
        let place = Hash::of_conversation(conversation);
        if self.known(place)?.is_none() {
            return Ok(());
        }
        let newest = self.history(conversation, PersonsWords::LOOKED_AT)?;
        let Some(said) = wrote.unless_among(&newest) else { return Ok(()) };
        let mut changes = KeyChanges::default();
        self.write_said(&mut changes, place, &[record::encode(&said)?])?;
        self.tree.stage(changes);
        Ok(())
    }

    /// Pauses by an echo that turned out to be a person's.
    pub(super) fn take_over(&mut self, echo: Option<Undecided>, now: Timestamp) -> Result<(), Fault> {
        if let Some(Undecided { peer, pause, message, words, told, chat }) = echo {
            self.update_contact(&peer, ContactChange::Pause(pause), now)?;
            let told = told.or(words);
            self.recall(&peer, chat.as_ref(), PersonsWords { message, told, time: pause.since })?;
        }
        Ok(())
    }

    pub(super) fn kept(&self, peer: &ContactRef) -> Result<Vec<ContactRecord>, Fault> {
        let mut all = Vec::new();
        for name in peer.names.iter() {
            if let Some(record) = self.tree.record(&records::contact_state(Hash::of_name(&peer.bot, name)))? {
                all.push(record::decode(&record)?);
            }
        }
        Ok(all)
    }
}
