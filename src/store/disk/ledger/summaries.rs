//! What was said in conversations, in short.

use super::{Fault, Ledger};
use crate::message::{Conversation, Summary};
use crate::store::disk::records::{self, Hash};
use crate::store::disk::tree::KeyChanges;
use crate::store::{ContactRef, record};

impl Ledger {
    /// The summary of a conversation.
    pub(in crate::store::disk) fn summary(&self, conversation: &Conversation) -> Result<Option<Summary>, Fault> {
        let mut chats = vec![conversation.clone()];
        if let Some(known) = self.known(Hash::of_conversation(conversation))?.filter(|known| !known.people.is_empty())
            && let Some(peer) = ContactRef::new(&conversation.bot, known.names())
        {
            chats.extend(self.chats(&peer)?.chats);
        }
        let mut newest = None::<Summary>;
        for chat in chats {
            let key = records::of_conversation(b's', Hash::of_conversation(&chat));
            let Some(record) = self.tree.record(&key)? else { continue };
            let found: Summary = record::decode(&record)?;
            if newest.as_ref().is_none_or(|newest| newest.until < found.until) {
                newest = Some(found);
            }
        }
        Ok(newest)
    }

    /// Keeps it, in the place of the one before.
    pub(in crate::store::disk) fn summarise(
        &mut self,
        conversation: &Conversation,
        record: &[u8],
    ) -> Result<(), Fault> {
        let place = Hash::of_conversation(conversation);
        // Of one that is not known, it would never be swept out.
        if self.known(place)?.is_some() {
            let mut changes = KeyChanges::default();
            self.tree.replace(&mut changes, &records::of_conversation(b's', place), record)?;
            self.tree.stage(changes);
        }
        Ok(())
    }
}
