//! A store that takes nothing in while it stands still, or dawdles right before a part leaves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use threedots::Inbound;
use threedots::message::clock::Timestamp;
use threedots::message::reply::Choice;
use threedots::message::{BotName, Conversation, Count, DeliveryStatus, Echo, HistoryEntry, PartKey, Renamed, Summary};
use threedots::store::disk::Disk;
use threedots::store::{
    Accepted, Backlog, Claim, Claims, ContactChange, ContactRef, ContactState, Contacts, DeadLetter, DeadLetters,
    Echoed, Enqueued, Forgotten, Histories, IdempotencyKey, Inbox, Invitation, KnownAddress, KnownContact, Maintenance,
    MayClaim, Member, NewProactive, Outgoing, Pairing, PartState, Pause, Retention, SendLog, SentPart, Seq, Settlement,
    StatusOutcome, StoreError, Swept, Waiting,
};
use tokio::sync::watch;

/// A store in memory that can be made to stand still.
pub(crate) struct Stuck {
    store: Disk,
    pub(super) stands_still: watch::Sender<bool>,
    /// How many deliveries wait for it.
    pub(super) waiting: Arc<AtomicUsize>,
    /// How long the first look takes at what stands about somebody, once something is to be sent.
    dawdles: Duration,
    intended: AtomicBool,
}

impl Stuck {
    pub(super) fn new(store: Disk) -> Self {
        let stands_still = watch::Sender::new(true);
        Self { store, stands_still, waiting: Arc::default(), dawdles: Duration::ZERO, intended: AtomicBool::new(false) }
    }

    /// One that takes in everything, and takes so long over the first look before a send.
    pub(crate) fn dawdling(store: Disk, dawdles: Duration) -> Self {
        Self { stands_still: watch::Sender::new(false), dawdles, ..Self::new(store) }
    }

    async fn wait(&self) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let _waits = Waits(Arc::clone(&self.waiting));
        self.stands_still.subscribe().wait_for(|still| !still).await.expect("its sender lives as long");
    }
}

/// Counts whoever goes away, too.
struct Waits(Arc<AtomicUsize>);

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Inbox for Stuck {
    async fn accept(&self, messages: &[Inbound]) -> Result<Vec<Accepted>, StoreError> {
        self.wait().await;
        self.store.accept(messages).await
    }

    async fn bury(&self, messages: &[(Inbound, String)]) -> Result<Vec<Accepted>, StoreError> {
        self.store.bury(messages).await
    }

    async fn enqueue(&self, new_proactive: &NewProactive) -> Result<Enqueued, StoreError> {
        self.store.enqueue(new_proactive).await
    }

    async fn enqueued(&self, asked: &IdempotencyKey) -> Result<Option<Enqueued>, StoreError> {
        self.store.enqueued(asked).await
    }

    async fn apply_statuses(&self, statuses: Vec<DeliveryStatus>) -> Result<Vec<StatusOutcome>, StoreError> {
        self.store.apply_statuses(statuses).await
    }

    async fn echo(&self, echo: &Echo, lasts: Option<Duration>) -> Result<Echoed, StoreError> {
        self.store.echo(echo, lasts).await
    }
}

#[async_trait]
impl Claims for Stuck {
    async fn claim_for(&self, lease: Duration, may: &MayClaim<'_>) -> Result<Claim, StoreError> {
        self.store.claim_for(lease, may).await
    }

    fn inherited(&self) -> Vec<Conversation> {
        self.store.inherited()
    }

    async fn arrivals(&self, claim: &Claim, after: Seq) -> Result<Vec<Waiting>, StoreError> {
        self.store.arrivals(claim, after).await
    }

    fn renew(&self, claim: &Claim) -> Result<(), StoreError> {
        self.store.renew(claim)
    }

    fn make_ready(&self, conversation: &Conversation) {
        self.store.make_ready(conversation);
    }

    async fn settle(&self, claim: Claim, settlement: Settlement) -> Result<(), StoreError> {
        self.store.settle(claim, settlement).await
    }
}

#[async_trait]
impl SendLog for Stuck {
    fn may_send(&self, claim: &Claim) -> Result<(), StoreError> {
        self.store.may_send(claim)
    }

    async fn intend(&self, claim: &Claim, outgoing: &Outgoing) -> Result<(), StoreError> {
        self.intended.store(true, Ordering::SeqCst);
        self.store.intend(claim, outgoing).await
    }

    async fn mark(&self, claim: &Claim, part: usize, state: PartState) -> Result<PartState, StoreError> {
        self.store.mark(claim, part, state).await
    }

    async fn overheard(&self, claim: &Claim) -> Result<bool, StoreError> {
        self.store.overheard(claim).await
    }

    async fn part(&self, key: &PartKey) -> Result<Option<SentPart>, StoreError> {
        self.store.part(key).await
    }

    async fn under_way(&self, key: &PartKey) -> Result<Option<(Conversation, PartState)>, StoreError> {
        self.store.under_way(key).await
    }
}

#[async_trait]
impl Contacts for Stuck {
    async fn resolve_address(&self, bot: &BotName, name: &str) -> Result<Option<KnownAddress>, StoreError> {
        self.store.resolve_address(bot, name).await
    }

    async fn contact_state(&self, peer: &ContactRef) -> Result<ContactState, StoreError> {
        if self.intended.swap(false, Ordering::SeqCst) {
            tokio::time::sleep(self.dawdles).await;
        }
        self.store.contact_state(peer).await
    }

    async fn update_contact(&self, peer: &ContactRef, change: ContactChange) -> Result<bool, StoreError> {
        self.store.update_contact(peer, change).await
    }

    async fn chats(&self, peer: &ContactRef) -> Result<KnownContact, StoreError> {
        self.store.chats(peer).await
    }

    async fn rename(&self, renamed: &Renamed) -> Result<bool, StoreError> {
        self.store.rename(renamed).await
    }

    async fn taken_over(&self, peer: &ContactRef) -> Result<Pause, StoreError> {
        self.store.taken_over(peer).await
    }
}

#[async_trait]
impl Pairing for Stuck {
    async fn invite(
        &self,
        bot: &BotName,
        digest: [u8; 32],
        until: Timestamp,
    ) -> Result<Option<Invitation>, StoreError> {
        self.store.invite(bot, digest, until).await
    }

    async fn redeem_invitation(&self, peer: &ContactRef, digest: [u8; 32], by: Seq) -> Result<bool, StoreError> {
        self.store.redeem_invitation(peer, digest, by).await
    }

    async fn invitations(&self, bot: &BotName) -> Result<Vec<Invitation>, StoreError> {
        self.store.invitations(bot).await
    }

    async fn withdraw(&self, bot: &BotName, number: u64) -> Result<bool, StoreError> {
        self.store.withdraw(bot, number).await
    }

    async fn members(
        &self,
        bot: &BotName,
        after: Option<String>,
        most: usize,
    ) -> Result<(Vec<Member>, Option<String>), StoreError> {
        self.store.members(bot, after, most).await
    }
}

#[async_trait]
impl Histories for Stuck {
    async fn history(&self, conversation: &Conversation, most: usize) -> Result<Vec<HistoryEntry>, StoreError> {
        self.store.history(conversation, most).await
    }

    async fn count(&self, counts: Vec<Count>) -> Result<Option<usize>, StoreError> {
        self.store.count(counts).await
    }

    async fn summary(&self, conversation: &Conversation) -> Result<Option<Summary>, StoreError> {
        self.store.summary(conversation).await
    }

    async fn summarise(&self, conversation: &Conversation, summary: &Summary) -> Result<(), StoreError> {
        self.store.summarise(conversation, summary).await
    }

    async fn transcribe(&self, claim: &Claim, message: Seq, words: &str) -> Result<(), StoreError> {
        self.store.transcribe(claim, message, words).await
    }

    async fn choose(&self, claim: &Claim, message: Seq, choice: &Choice) -> Result<(), StoreError> {
        self.store.choose(claim, message, choice).await
    }
}

#[async_trait]
impl DeadLetters for Stuck {
    async fn dead(&self, after: Option<Seq>, most: usize) -> Result<Vec<DeadLetter>, StoreError> {
        self.store.dead(after, most).await
    }

    async fn replay(&self, letter: Seq) -> Result<Option<Conversation>, StoreError> {
        self.store.replay(letter).await
    }

    async fn discard(&self, letter: Seq) -> Result<bool, StoreError> {
        self.store.discard(letter).await
    }
}

#[async_trait]
impl Maintenance for Stuck {
    fn share(&self, bot: &BotName, waiting: Option<usize>) {
        self.store.share(bot, waiting);
    }

    fn waiting(&self, bot: &BotName) -> usize {
        self.store.waiting(bot)
    }

    async fn forget(&self, bot: &BotName, contact: &str) -> Result<Forgotten, StoreError> {
        self.store.forget(bot, contact).await
    }

    async fn sweep(&self, retention: &Retention) -> Result<Swept, StoreError> {
        self.store.sweep(retention).await
    }

    fn backlog(&self) -> Backlog {
        self.store.backlog()
    }

    fn failure(&self) -> Option<String> {
        self.store.failure()
    }

    fn is_out_of_space(&self) -> bool {
        self.store.is_out_of_space()
    }

    async fn close(&self) {
        self.store.close().await;
    }
}
