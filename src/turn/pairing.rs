//! Who is let in to a private bot, and how: by a code that its operator has given them.
//!
//! Whoever is not in sees nothing, whatever they write, but for the one message that says a code that is good.

use super::{Bot, Tools, TurnRun};
use crate::message::clock::Timestamp;
use crate::message::{Content, Count, contact_key};
use crate::policy::gate::Members;
use crate::policy::gate::pairing::{MOST_BY_ALL, MOST_BY_ONE, digest};
use crate::store::{Claim, ContactRef, KnownContact, Seq, StoreError, Waiting};

const HOUR: u64 = 3_600_000;

/// Who of those who wrote these has been let in, and by what names they are known, if either is asked.
pub(super) async fn members(bot: &Bot, tools: &Tools, waiting: &[Waiting]) -> Result<Members, StoreError> {
    let mut members = Members::default();
    if bot.gates.has_lists() {
        for Waiting { inbound, .. } in waiting {
            let KnownContact { peer, former, .. } = tools.store.chats(&ContactRef::writer(&inbound.at)).await?;
            members.know(&inbound.at.sender, peer.names().iter().chain(former.iter()));
        }
    }
    if bot.gates.is_private() {
        for waiting in waiting {
            let at = &waiting.inbound.at;
            if !members.has(&at.sender) && tools.store.contact_state(&ContactRef::writer(at)).await?.admitted.is_some()
            {
                members.add(at.sender.clone());
            }
        }
    }
    Ok(members)
}

impl TurnRun<'_> {
    /// The first message that says a code which is good. Whoever wrote it is in from then on.
    pub(super) async fn let_in(&self, claim: &Claim) -> Result<Option<Seq>, StoreError> {
        if !self.bot.gates.is_private() {
            return Ok(None);
        }
        for waiting in &claim.messages {
            if self.bot.gates.may_knock(waiting, &self.members) && self.is_let_in(waiting).await? {
                return Ok(Some(waiting.seq));
            }
        }
        Ok(None)
    }

    async fn is_let_in(&self, waiting: &Waiting) -> Result<bool, StoreError> {
        let (bot, at) = (&self.bot.name, &waiting.inbound.at);
        let Content::Text { body } = &waiting.inbound.content else { return Ok(false) };
        let Some(digest) = digest(bot, body) else { return Ok(false) };
        // Whoever is in may only be here again after a crash, with the code that let them in.
        if !self.members.has(&at.sender) {
            let hour = self.tools.clock.now().0 / HOUR;
            let until = Timestamp((hour + 1) * HOUR);
            let count = |name: String, most| Count { name, by: 1, most: Some(most), until };
            let one = count(format!("pairing {bot} {}", contact_key(at.sender.as_str())), MOST_BY_ONE);
            let all = count(format!("pairing {bot}"), MOST_BY_ALL);
            if self.tools.store.count(vec![one, all]).await?.is_some() {
                return Ok(false);
            }
        }
        self.tools.store.redeem_invitation(&ContactRef::of(at), digest, waiting.seq).await
    }
}
