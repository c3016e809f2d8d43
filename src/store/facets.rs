//! What a store does: eight traits, and all of them together.

use std::time::Duration;

use async_trait::async_trait;

use super::{
    Accepted, Backlog, Claim, ContactChange, ContactRef, ContactState, DeadLetter, Echoed, Enqueued, Forgotten,
    IdempotencyKey, Invitation, KnownAddress, KnownContact, MayClaim, Member, NewProactive, Outgoing, PartState, Pause,
    Retention, SentPart, Seq, Settlement, StatusOutcome, StoreError, Swept, Waiting,
};
use crate::message::clock::Timestamp;
use crate::message::reply::Choice;
use crate::message::{
    BotName, Conversation, Count, DeliveryStatus, Echo, HistoryEntry, Inbound, PartKey, Renamed, Summary,
};

/// What comes in, each at most once.
#[async_trait]
pub trait Inbox: Send + Sync + 'static {
    /// Takes in messages, each at most once. Durable when it returns; all of them, or none on an error.
    ///
    /// The answers stand in the order of the messages. A message is known by its bot and its identifier, for at
    /// least as long as the upstreams go on repeating themselves.
    async fn accept(&self, messages: &[Inbound]) -> Result<Vec<Accepted>, StoreError>;

    /// Keeps messages that could not be read, or not be kept as they are, as dead letters, each at most once and for
    /// its reason. The answers stand in their order. Durable when it returns; all of them, or none on an error.
    async fn bury(&self, messages: &[(Inbound, String)]) -> Result<Vec<Accepted>, StoreError>;

    /// Takes in something that is to be said unasked, at most once for its key: what it says is known for as long as a
    /// message is. It waits in its conversation behind what waits there, but no hold-back keeps it, unless a reply is
    /// on its way. Durable when it returns, whatever the answer.
    async fn enqueue(&self, new_proactive: &NewProactive) -> Result<Enqueued, StoreError>;

    /// What [`Inbox::enqueue`] would say of a proactive message that is known by its key; none if it is not. What
    /// is known is durable when it returns.
    async fn enqueued(&self, asked: &IdempotencyKey) -> Result<Option<Enqueued>, StoreError>;

    /// Takes in what an upstream reports about messages of ours: by our key if a report carries it, else by the
    /// upstream's name for the message. The answers stand in the order of the reports; all of them count, or none on
    /// an error.
    ///
    /// - Of a part that is outgoing and not known to have left, any report but a failure says that the upstream has it:
    ///   it is [`PartState::Sent`] from now on. A failure makes it [`PartState::Failed`]. Either way the conversation,
    ///   if it is held back, is ready at once.
    /// - A part that has left moves forward, and never back. The first report that it has failed puts it into
    ///   [`Claim::failed`] and makes the conversation ready, as a message does: a hold-back goes on.
    /// - A part that has been delivered has not failed, and one that has failed is not delivered, whatever else is
    ///   reported.
    ///
    /// Takes effect at once. When it returns, the reports are durable if one of them settles a part or says that it has
    /// failed; else they are made so right behind. A report about nothing that is known is no error.
    async fn apply_statuses(&self, statuses: Vec<DeliveryStatus>) -> Result<Vec<StatusOutcome>, StoreError>;

    /// Takes in a message that was sent from the business's own phone. Unless it is one of ours, a person has taken
    /// over, for so long after it was written, or until somebody has the bot go on if none is given.
    ///
    /// A part of ours is known by the upstream's name for it, where reports go by that, and while its reply is on its
    /// way. An echo that comes while a part is being sent may be that part's: it is decided when the upstream's answer
    /// is there, before anything else can leave. Of a part that may have been delivered, an echo with the same words
    /// says that it was.
    ///
    /// Takes effect at once; durable when it returns.
    async fn echo(&self, echo: &Echo, lasts: Option<Duration>) -> Result<Echoed, StoreError>;
}

/// What is to be done, and who does it.
#[async_trait]
pub trait Claims: Send + Sync + 'static {
    /// Waits until a conversation has something to do that nobody else is doing, and leases it. A lease is how long a
    /// claim may go on without a sign of life: each of the claim's writes begins it anew.
    ///
    /// Of a long queue the claim holds the oldest messages, [`MOST_CLAIMED`](super::MOST_CLAIMED) and
    /// [`MOST_CLAIMED_BYTES`](super::MOST_CLAIMED_BYTES) at the most; the others go on waiting, and are for the claims
    /// that follow.
    ///
    /// Cancel-safe. A bot's conversations are served in the order in which they became ready; the bots take turns. One
    /// of which `may` says no is passed over, and goes on waiting. Whoever waits here and says otherwise later asks
    /// again. All who claim from one store say the same.
    async fn claim_for(&self, lease: Duration, may: &MayClaim<'_>) -> Result<Claim, StoreError>;

    /// The same for all bots.
    async fn claim(&self, lease: Duration) -> Result<Claim, StoreError> {
        self.claim_for(lease, &|_| true).await
    }

    /// The conversations that were ready when the store was opened, and have not been claimed since: an earlier process
    /// may have been at work on them when it ended.
    fn inherited(&self) -> Vec<Conversation>;

    /// Waits until something has come into a claimed conversation whose number is over `after`, and returns it: some of
    /// what waits, oldest first. Waits for ever if nothing comes.
    ///
    /// Cancel-safe.
    async fn arrivals(&self, claim: &Claim, after: Seq) -> Result<Vec<Waiting>, StoreError>;

    /// Begins a claim's lease anew, as each of its writes does: for whoever is at work and writes nothing meanwhile.
    /// [`StoreError::Fenced`] if it has ended.
    fn renew(&self, claim: &Claim) -> Result<(), StoreError>;

    /// Ends a conversation's hold-back, if it is held back: it is ready at once. Not durable: the next start knows of
    /// the hold-back again.
    fn make_ready(&self, conversation: &Conversation);

    /// Ends a claim. Takes effect at once, and is made durable right behind.
    async fn settle(&self, claim: Claim, settlement: Settlement) -> Result<(), StoreError>;
}

/// What is sent, recorded before and after.
#[async_trait]
pub trait SendLog: Send + Sync + 'static {
    /// Says whether a claim's part may leave now: the last look before every call that sends, with nothing awaited
    /// between it and the call. [`StoreError::Fenced`] if the lease has ended: then somebody else may be sending.
    ///
    /// From then on the store gives the conversation to nobody else, however long the call takes and whatever the clock
    /// does, until the claim's next write, which says what came of the call, or until the claim is dropped. The caller
    /// bounds the call.
    fn may_send(&self, claim: &Claim) -> Result<(), StoreError>;

    /// Records what is about to be sent. Durable when it returns. Replaces what the conversation had outgoing.
    async fn intend(&self, claim: &Claim, outgoing: &Outgoing) -> Result<(), StoreError>;

    /// Records what became of one part of what is outgoing, and returns what now holds. Durable when it returns.
    ///
    /// Only forward: a part of which the upstream has said meanwhile that it has it stays [`PartState::Sent`], whatever
    /// the caller believes, and so does one that has failed.
    async fn mark(&self, claim: &Claim, part: usize, state: PartState) -> Result<PartState, StoreError>;

    /// Whether an echo has come since a conversation was claimed that may be of a part which is being sent. Whoever is
    /// about to send, and has not yet, marks the part as waiting first: then it is known whose the echo is.
    async fn overheard(&self, claim: &Claim) -> Result<bool, StoreError>;

    /// What is known of a part that has left, once its reply is settled, and for as long as it is kept.
    async fn part(&self, key: &PartKey) -> Result<Option<SentPart>, StoreError>;

    /// Whose part is on its way out, or waits for that, and how far it has come.
    async fn under_way(&self, key: &PartKey) -> Result<Option<(Conversation, PartState)>, StoreError>;
}

/// Who is who, and what stands about them.
#[async_trait]
pub trait Contacts: Send + Sync + 'static {
    /// Where a chat of this name is written to, or the person who goes by it: a phone number, with or without a plus,
    /// or one of the upstream's own identifiers. None if nobody of that name has written.
    async fn resolve_address(&self, bot: &BotName, name: &str) -> Result<Option<KnownAddress>, StoreError>;

    /// What stands about somebody, whatever is being said: under any of their names, in any form of a number. Where two
    /// say otherwise, an opt-out counts, and the longer pause.
    async fn contact_state(&self, peer: &ContactRef) -> Result<ContactState, StoreError>;

    /// Changes what stands about somebody, under every name of theirs that is known. Whether anything is different
    /// then. A pause ends the hold-back of the chat that goes by one of the names. Takes effect at once; durable when
    /// it returns.
    async fn update_contact(&self, peer: &ContactRef, change: ContactChange) -> Result<bool, StoreError>;

    /// What chats there are with somebody, by every name that is known of theirs, and by what names: a number may have
    /// two forms, and a person a chat for each of their names.
    async fn chats(&self, peer: &ContactRef) -> Result<KnownContact, StoreError>;

    /// Takes in that somebody has a new number or identifier: what was said with them, what stands about them and the
    /// summary go on under it, and whoever is forgotten by one of the names is forgotten by both. Under what they are
    /// not called any longer nothing stays but an opt-out: the next one who is called so is somebody else. Whether
    /// anything was known, and this was not. Durable when it returns.
    async fn rename(&self, renamed: &Renamed) -> Result<bool, StoreError>;

    /// Waits until a person answers somebody in the bot's place, and returns the pause; at once if that is so. Waits
    /// for ever if it never comes to that.
    ///
    /// Cancel-safe.
    async fn taken_over(&self, peer: &ContactRef) -> Result<Pause, StoreError>;
}

/// Who is let in to a private bot.
#[async_trait]
pub trait Pairing: Send + Sync + 'static {
    /// Keeps an invitation to a bot, good until then, under the digest of its code. None if
    /// [`MOST_INVITATIONS`](super::MOST_INVITATIONS) of the bot are open. Durable when it returns.
    async fn invite(&self, bot: &BotName, digest: [u8; 32], until: Timestamp)
    -> Result<Option<Invitation>, StoreError>;

    /// Takes up the invitation of this digest by a message, and lets whoever wrote it in: both, or neither. Whether
    /// there is such an invitation; for the same message again, if it was taken up by that. Durable when it returns.
    async fn redeem_invitation(&self, peer: &ContactRef, digest: [u8; 32], by: Seq) -> Result<bool, StoreError>;

    /// A bot's invitations that are open.
    async fn invitations(&self, bot: &BotName) -> Result<Vec<Invitation>, StoreError>;

    /// Takes an invitation back that is open. Whether there was one. Durable when it returns.
    async fn withdraw(&self, bot: &BotName, number: u64) -> Result<bool, StoreError>;

    /// Those who are let in to a bot, `most` at most, behind the place where an earlier list ended; and where this one
    /// ends, if there may be more.
    async fn members(
        &self,
        bot: &BotName,
        after: Option<String>,
        most: usize,
    ) -> Result<(Vec<Member>, Option<String>), StoreError>;
}

/// What was said and found out in conversations, and what is counted.
#[async_trait]
pub trait Histories: Send + Sync + 'static {
    /// The newest `most` things that were said in a conversation, oldest first: fewer, if they would take more than
    /// [`MOST_RECALLED_BYTES`](super::MOST_RECALLED_BYTES).
    async fn history(&self, conversation: &Conversation, most: usize) -> Result<Vec<HistoryEntry>, StoreError>;

    /// Adds to all of these counters, or to none: says which one, by its place, would be over its limit. One that is
    /// not there begins at zero, and none goes below. Two of the same name that end at another time are two. Durable
    /// when it returns.
    async fn count(&self, counts: Vec<Count>) -> Result<Option<usize>, StoreError>;

    /// The summary of a conversation, if there is one: its own, or that of another with the same person, whichever is
    /// newer.
    async fn summary(&self, conversation: &Conversation) -> Result<Option<Summary>, StoreError>;

    /// Keeps the summary of a conversation, in the place of the one before; of one that is not known, nothing is kept.
    /// It goes when the conversation's history goes. Whoever is forgotten takes the summaries of all the bot's groups
    /// along: nobody can say whose words are in those. Durable when it returns.
    async fn summarise(&self, conversation: &Conversation, summary: &Summary) -> Result<(), StoreError>;

    /// Keeps what is said in a voice note or a sound file that waits, with the message: it comes along with every later
    /// claim, as a dead letter too, and goes with it. Of one that does not wait any longer, nothing is kept. Durable
    /// when it returns.
    async fn transcribe(&self, claim: &Claim, message: Seq, words: &str) -> Result<(), StoreError>;

    /// Keeps with a waiting message that its words choose this option of the conversation's open question: so it is for
    /// every later claim, as a dead letter too, whatever is asked meanwhile. Of one that does not wait any longer, or
    /// is no text, nothing is kept. Durable when it returns.
    async fn choose(&self, claim: &Claim, message: Seq, choice: &Choice) -> Result<(), StoreError>;
}

/// What was not answered, for the operator.
#[async_trait]
pub trait DeadLetters: Send + Sync + 'static {
    /// Dead letters in the order of their numbers, beginning after `after`, `most` at most.
    async fn dead(&self, after: Option<Seq>, most: usize) -> Result<Vec<DeadLetter>, StoreError>;

    /// Makes a dead letter wait again, as if it had just been accepted, behind what waits in its conversation: it goes
    /// through a whole turn. None if there is no such letter. Durable when it returns.
    async fn replay(&self, letter: Seq) -> Result<Option<Conversation>, StoreError>;

    /// Throws a dead letter away. Whether there was one. Durable when it returns.
    async fn discard(&self, letter: Seq) -> Result<bool, StoreError>;
}

/// The store as a whole.
#[async_trait]
pub trait Maintenance: Send + Sync + 'static {
    /// How many messages of a bot's may wait at the same time; 0: as many as leave room for the other bots that were
    /// named here; none: it is there no longer. Not durable: who opens the store says it.
    fn share(&self, bot: &BotName, waiting: Option<usize>);

    /// How many messages of a bot's wait.
    fn waiting(&self, bot: &BotName) -> usize;

    /// Erases a person from a bot's data: their direct conversation, whatever of theirs waits or is dead, what they
    /// said in groups, and the marks of their messages. `contact` is a phone number, with or without a plus, or one of
    /// the upstream's own identifiers. Then compacts, so that nothing of it can be found in the files; data that was
    /// moved aside as damaged is left to the operator. Durable when it returns. A claim that somebody holds on such a
    /// conversation, or on a group in which something of the person's was to be done, is fenced. Writes wait meanwhile.
    ///
    /// What others said of the person, and a reply in a group that answers somebody else, is not theirs.
    async fn forget(&self, bot: &BotName, contact: &str) -> Result<Forgotten, StoreError>;

    /// Throws away some of what has lived long enough, in a step that is short enough for others not to notice. Call it
    /// again and again: it goes round and round over all that is kept.
    async fn sweep(&self, retention: &Retention) -> Result<Swept, StoreError>;

    /// How much waits.
    fn backlog(&self) -> Backlog;

    /// Why the store takes nothing in any longer, if it does not. It never recovers from that by itself.
    fn failure(&self) -> Option<String>;

    /// Whether the disk has too little room for anything new, which is refused with [`StoreError::OutOfSpace`] until
    /// there is more.
    fn is_out_of_space(&self) -> bool;

    /// Makes everything durable and lets go of the data. Every later call fails with [`StoreError::Closed`].
    async fn close(&self);
}

/// The durable side of everything: all facets of one store. Whoever needs one of them asks for that one.
pub trait Store: Inbox + Claims + SendLog + Contacts + Pairing + Histories + DeadLetters + Maintenance {}

impl<T: Inbox + Claims + SendLog + Contacts + Pairing + Histories + DeadLetters + Maintenance> Store for T {}
