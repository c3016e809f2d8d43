//! Invitations to private bots, and who has taken one up.

use std::ops::Bound;

use super::ledger::Ledger;
use crate::message::BotName;
use crate::message::clock::Timestamp;
use crate::store::invitations::Invitations;
use crate::store::{ContactChange, ContactRef, Member, Seq};

impl Ledger {
    /// A bot's invitations.
    pub(super) fn invitations(&mut self, bot: &BotName) -> &mut Invitations {
        self.invitations.entry(bot.clone()).or_insert_with(|| Invitations::of(bot))
    }

    /// Takes an invitation up, and lets somebody in.
    pub(super) fn redeem_invitation(&mut self, peer: &ContactRef, digest: &[u8; 32], by: Seq, now: Timestamp) -> bool {
        let found = self.invitations(peer.bot()).redeem_invitation(digest, by, now);
        if found {
            self.update_contact(peer, ContactChange::Admit, now);
        }
        found
    }

    /// Those who are let in to a bot.
    pub(super) fn members(&self, bot: &BotName, after: Option<String>, most: usize) -> (Vec<Member>, Option<String>) {
        let first =
            after.map_or(Bound::Included((bot.clone(), String::new())), |name| Bound::Excluded((bot.clone(), name)));
        let mut members = Vec::new();
        for ((of, name), kept) in self.standings.range((first, Bound::Unbounded)).take_while(|((of, _), _)| of == bot) {
            // Under each of the names stands the same.
            if let Some(since) =
                kept.standing.admitted.filter(|_| of == bot && kept.peer.names.iter().next() == Some(name))
            {
                let names = kept.peer.names.iter().map(str::to_owned).collect();
                members.push(Member { names, since });
            }
            if members.len() >= most {
                return (members, Some(name.clone()));
            }
        }
        (members, None)
    }
}
