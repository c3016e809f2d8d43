//! Invitations to private bots, and who has taken one up.

use super::{Fault, Ledger};
use crate::message::BotName;
use crate::message::clock::Timestamp;
use crate::store::contact::ContactRecord;
use crate::store::disk::records::{self, Hash, LAST};
use crate::store::disk::tree::KeyChanges;
use crate::store::invitations::Invitations;
use crate::store::{ContactChange, ContactRef, Invitation, Member, Seq, StoreError, record};

/// So many names are looked at for one list.
const LOOKED_AT: usize = 1000;

impl Ledger {
    /// Keeps an invitation.
    pub(in crate::store::disk) fn invite(
        &mut self,
        bot: &BotName,
        digest: [u8; 32],
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Option<Invitation>, Fault> {
        let mut invitations = self.invitations(bot)?;
        let Some(invitation) = invitations.add(digest, until, now) else { return Ok(None) };
        self.keep(&invitations)?;
        Ok(Some(invitation))
    }

    /// Takes an invitation up, and lets somebody in.
    pub(in crate::store::disk) fn redeem_invitation(
        &mut self,
        peer: &ContactRef,
        digest: &[u8; 32],
        by: Seq,
        now: Timestamp,
    ) -> Result<bool, Fault> {
        let mut invitations = self.invitations(peer.bot())?;
        if !invitations.redeem_invitation(digest, by, now) {
            return Ok(false);
        }
        self.keep(&invitations)?;
        self.update_contact(peer, ContactChange::Admit, now)?;
        Ok(true)
    }

    /// Takes an invitation back.
    pub(in crate::store::disk) fn withdraw(&mut self, bot: &BotName, number: u64) -> Result<bool, Fault> {
        let mut invitations = self.invitations(bot)?;
        let was_open = invitations.withdraw(number);
        if was_open {
            self.keep(&invitations)?;
        }
        Ok(was_open)
    }

    /// A bot's invitations.
    pub(in crate::store::disk) fn invitations(&self, bot: &BotName) -> Result<Invitations, Fault> {
        match self.tree.record(&records::invitations(Hash::of_name(bot, "")))? {
            Some(record) => Ok(record::decode(&record)?),
            None => Ok(Invitations::of(bot)),
        }
    }

    fn keep(&mut self, invitations: &Invitations) -> Result<(), Fault> {
        let mut changes = KeyChanges::default();
        let key = records::invitations(Hash::of_name(&invitations.bot, ""));
        self.tree.replace(&mut changes, &key, &record::write(invitations)?)?;
        changes.insert(LAST.to_vec(), &self.last.0.to_be_bytes());
        self.tree.stage(changes);
        Ok(())
    }

    /// Those who are let in to a bot.
    pub(in crate::store::disk) fn members(
        &self,
        bot: &BotName,
        after: Option<&str>,
        most: usize,
    ) -> Result<(Vec<Member>, Option<String>), Fault> {
        const UNKNOWN: StoreError = StoreError::Invalid("no list has ended there");
        let first = match after {
            Some(after) => {
                let place: [u8; 16] = hex::decode(after).ok().and_then(|place| place.try_into().ok()).ok_or(UNKNOWN)?;
                records::behind(&records::contact_state(Hash(place)))
            }
            None => b"q".to_vec(),
        };
        let mut members = Vec::new();
        for (looked_at, entry) in self.tree.records_between(&first, b"r").enumerate() {
            let (key, record) = entry?;
            let ContactRecord { peer, standing } = record::decode(&record)?;
            // Under each of the names stands the same.
            let is_first =
                peer.names.iter().next().map(|name| records::contact_state(Hash::of_name(bot, name))).as_ref()
                    == Some(&key);
            if let Some(since) = standing.admitted.filter(|_| peer.bot == *bot && is_first) {
                members.push(Member { names: peer.names.iter().map(str::to_owned).collect(), since });
            }
            if members.len() >= most || looked_at + 1 >= LOOKED_AT {
                return Ok((members, Some(hex::encode(&key[1..]))));
            }
        }
        Ok((members, None))
    }
}
