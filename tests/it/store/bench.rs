//! A store to try things on, and values to try them with.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use tempfile::TempDir;
use threedots::message::clock::{Clock, Timestamp};
use threedots::message::{
    BotName, ChatId, Contact, ContactId, Content, Conversation, DeliveryStatus, HistoryEntry, MessageId, MessageRef,
    PartKey, Speaker, Stage,
};
use threedots::store::disk::{self, Disk, EngineKind};
use threedots::store::{
    Accepted, Claim, Claims, Ending, Inbox, Maintenance, Outgoing, OutgoingPart, PartState, Seq, Settled, Settlement,
    StatusOutcome, Store, StoreError, Waiting,
};
use threedots::{Inbound, Part};
use tokio::task::JoinHandle;

/// How many messages may wait.
pub(super) const MAX_WAITING: usize = 1_200;

/// How many things said are kept.
pub(super) const HISTORY_KEPT: usize = 5;

/// Longer than anything else that a test waits for.
pub(super) const LEASE: Duration = Duration::from_hours(10_000);

/// A store whose time stands still but for `tokio::time::advance`.
pub(super) struct Bench {
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Clock,
    pub(super) disk: Option<(TempDir, disk::DiskSettings)>,
    _still: mpsc::Sender<()>,
}

impl Bench {
    pub(super) fn memory() -> Self {
        Self::memory_of(Clock::tokio(), MAX_WAITING)
    }

    pub(super) fn disk(kind: EngineKind) -> Self {
        Self::disk_of(kind, Clock::tokio(), MAX_WAITING)
    }

    /// In memory, for so many waiting messages.
    pub(super) fn memory_of(clock: Clock, max_waiting: usize) -> Self {
        let settings = disk::MemorySettings { max_waiting, history_kept: HISTORY_KEPT };
        Self { store: Arc::new(Disk::in_memory(clock, &settings)), clock, disk: None, _still: stand_still() }
    }

    /// On disk, for so many waiting messages.
    pub(super) fn disk_of(kind: EngineKind, clock: Clock, max_waiting: usize) -> Self {
        Self::disk_with(kind, clock, |settings| disk::DiskSettings { max_waiting, ..settings })
    }

    /// On disk, with other settings.
    pub(super) fn disk_with(
        kind: EngineKind,
        clock: Clock,
        with: impl FnOnce(disk::DiskSettings) -> disk::DiskSettings,
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let settings = with(settings_in(kind, &directory));
        let store = Arc::new(Disk::open(settings.clone(), clock).unwrap());
        Self { store, clock, disk: Some((directory, settings)), _still: stand_still() }
    }

    /// Closes a store on disk, and opens it again.
    pub(super) async fn restart(&mut self) {
        let (_, settings) = self.disk.as_ref().unwrap();
        self.store.close().await;
        self.store = Arc::new(Disk::open(settings.clone(), self.clock).unwrap());
    }

    /// Accepts one message.
    pub(super) async fn accept(&self, message: Inbound) -> Accepted {
        self.store.accept(&[message]).await.unwrap()[0]
    }

    /// Accepts messages that are all new.
    pub(super) async fn accept_new(&self, messages: impl IntoIterator<Item = Inbound>) -> Vec<Seq> {
        let accepted = self.store.accept(&messages.into_iter().collect::<Vec<_>>()).await.unwrap();
        accepted.into_iter().map(new).collect()
    }

    /// Claims what is ready.
    pub(super) async fn claim(&self) -> Claim {
        self.claim_for(LEASE).await
    }

    pub(super) async fn claim_for(&self, lease: Duration) -> Claim {
        within(self.store.claim(lease)).await.unwrap()
    }

    /// Whether there is nothing that could be claimed.
    pub(super) fn is_idle(&self) -> bool {
        use futures_util::FutureExt;
        self.store.claim(LEASE).now_or_never().is_none()
    }

    /// Settles a claim with everything answered.
    pub(super) async fn answer(&self, claim: Claim) {
        let endings = claim.messages.iter().map(|waiting| (waiting.seq, Ending::Answered)).collect();
        self.settle(claim, endings).await.unwrap();
    }

    /// Settles a claim with everything dead.
    pub(super) async fn bury(&self, claim: Claim) {
        let dead = || Ending::Dead { reason: "code".to_owned() };
        let endings = claim.messages.iter().map(|waiting| (waiting.seq, dead())).collect();
        self.settle(claim, endings).await.unwrap();
    }

    /// Settles a claim with everything answered, and parts that have left.
    pub(super) async fn answer_with(&self, claim: Claim, sent: &[(usize, &str)], failed: usize) {
        let endings = claim.messages.iter().map(|waiting| (waiting.seq, Ending::Answered)).collect();
        let sent = sent.iter().map(|(part, name)| (*part, MessageId::new(*name))).collect();
        let done = Settlement::Done(Settled { endings, said: Vec::new(), failure_replied: None, sent, failed });
        self.store.settle(claim, done).await.unwrap();
    }

    /// Answers a message in a chat with these parts, which leave under their words as names.
    pub(super) async fn converse(&self, chat: &str, id: &str, words: &[&str], reports_carry_key: bool) {
        self.accept(message(chat, id)).await;
        let claim = self.claim().await;
        let reply = Outgoing { reports_carry_key, ..outgoing(&claim, words) };
        self.store.intend(&claim, &reply).await.unwrap();
        let sent: Vec<_> = words.iter().copied().enumerate().collect();
        self.answer_with(claim, &sent, 0).await;
    }

    /// Notes a report about a part by its key.
    pub(super) async fn note(&self, words: &str, stage: Stage) -> StatusOutcome {
        self.store.apply_statuses(vec![report(words, Some(words), stage)]).await.unwrap()[0]
    }

    /// Notes a report about a part by the upstream's name for it.
    pub(super) async fn note_by_name(&self, name: &str, stage: Stage) -> StatusOutcome {
        self.store.apply_statuses(vec![report(name, None, stage)]).await.unwrap()[0]
    }

    /// How far a part has come, if it is known.
    pub(super) async fn stage(&self, words: &str) -> Option<Stage> {
        self.store.part(&key(words)).await.unwrap().map(|part| part.stage)
    }

    pub(super) async fn settle(&self, claim: Claim, endings: Vec<(Seq, Ending)>) -> Result<(), StoreError> {
        self.store
            .settle(
                claim,
                Settlement::Done(Settled {
                    endings,
                    said: Vec::new(),
                    failure_replied: None,
                    sent: Vec::new(),
                    failed: 0,
                }),
            )
            .await
    }

    pub(super) async fn later(&self, claim: Claim, wait: Duration) {
        self.store.settle(claim, Settlement::Later { at: self.clock.now().plus(wait) }).await.unwrap();
    }
}

/// What waits in a conversation, and what it has outgoing.
pub(super) type Unfinished = (Vec<Waiting>, Option<Outgoing>);

/// Everything that is ready in a store that nobody has open, by its chats. Looked for in a copy: what stands behind the
/// messages of a claim shows once these are settled.
pub(super) async fn unfinished(settings: &disk::DiskSettings) -> BTreeMap<String, Unfinished> {
    use futures_util::FutureExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("copy");
    copy(&settings.path, &path);
    let store = Disk::open(disk::DiskSettings { path, ..settings.clone() }, Clock::System).unwrap();
    let mut found = BTreeMap::<String, Unfinished>::new();
    while let Some(claim) = store.claim(LEASE).now_or_never() {
        let claim = claim.unwrap();
        let (messages, outgoing) = found.entry(chat(&claim).to_owned()).or_default();
        messages.extend(claim.messages.iter().cloned());
        *outgoing = outgoing.take().or_else(|| claim.outgoing.clone());
        let endings = claim.messages.iter().map(|waiting| (waiting.seq, Ending::Silent)).collect();
        let failed = claim.failed.len();
        let done =
            Settlement::Done(Settled { endings, said: Vec::new(), failure_replied: None, sent: Vec::new(), failed });
        store.settle(claim, done).await.unwrap();
    }
    store.close().await;
    found
}

pub(super) fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, target).unwrap();
        }
    }
}

/// Settings of a durable store that keep to the limits of these tests.
pub(super) fn settings_in(kind: EngineKind, directory: &TempDir) -> disk::DiskSettings {
    disk::DiskSettings {
        kind,
        path: directory.path().join("store"),
        max_waiting: MAX_WAITING,
        history_kept: HISTORY_KEPT,
        ..disk::DiskSettings::default()
    }
}

/// A store in a directory, and the time that it goes by.
pub(super) struct Place {
    pub(super) kind: EngineKind,
    pub(super) directory: TempDir,
    pub(super) clock: Clock,
}

impl Place {
    pub(super) fn new(kind: EngineKind) -> Self {
        Self { kind, directory: tempfile::tempdir().unwrap(), clock: Clock::tokio() }
    }

    pub(super) fn settings(&self) -> disk::DiskSettings {
        settings_in(self.kind, &self.directory)
    }

    pub(super) fn open(&self) -> Disk {
        Disk::open(self.settings(), self.clock).unwrap()
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.settings().path.join(name)
    }

    /// One of the engine's files.
    pub(super) fn data(&self, name: &str) -> PathBuf {
        self.file(self.kind.name()).join(name)
    }

    /// A directory beside the engine's, by what its name ends with.
    pub(super) fn beside(&self, ending: &str) -> PathBuf {
        self.file(&format!("{}{ending}", self.kind.name()))
    }

    /// A store that was filled and closed: two messages of Ann's, one of Ben's.
    pub(super) async fn filled(&self) {
        let store = self.open();
        store.accept(&[message("ann", "1"), message("ben", "2"), message("ann", "3")]).await.unwrap();
        store.close().await;
    }
}

/// Keeps tokio from moving its paused clock by itself: while one waits for the committer's thread, the runtime takes
/// itself for idle. After a minute the clock moves again, and whoever waits for nothing runs into [`within`].
fn stand_still() -> mpsc::Sender<()> {
    let (sender, stop) = mpsc::channel();
    tokio::task::spawn_blocking(move || stop.recv_timeout(Duration::from_mins(1)));
    sender
}

/// The outcome of what must not wait for ever, nor until a lease ends.
pub(super) async fn within<T>(waiting: impl Future<Output = T>) -> T {
    tokio::time::timeout(LEASE / 2, waiting).await.expect("woken in time")
}

/// Tasks that wait for a claim each, all of them waiting already.
pub(super) async fn wait_for_claims(bench: &Bench, tasks: usize) -> Vec<JoinHandle<Result<Claim, StoreError>>> {
    let wait = |_| {
        let store = bench.store.clone();
        tokio::spawn(async move { store.claim(LEASE).await })
    };
    let waiting = (0..tasks).map(wait).collect();
    let_others_run().await;
    waiting
}

/// Lets every other task run until it waits.
pub(super) async fn let_others_run() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

pub(super) fn new(accepted: Accepted) -> Seq {
    match accepted {
        Accepted::New(seq) => seq,
        Accepted::Duplicate(seq) => panic!("{seq} is a duplicate"),
    }
}

pub(super) fn conversation(chat: &str) -> Conversation {
    Conversation { bot: BotName::new("shop"), chat: ChatId::new(chat) }
}

/// A message in a chat, known by its identifier.
pub(super) fn message(chat: &str, id: &str) -> Inbound {
    message_saying(chat, id, format!("words of {id}"))
}

pub(super) fn message_saying(chat: &str, id: &str, words: String) -> Inbound {
    Inbound {
        at: reference(chat, id),
        contact: Contact::default(),
        content: Content::text(words),
        quotes: None,
        forwarded: false,
        referral: None,
        quoted: None,
        product: None,
    }
}

pub(super) fn reference(chat: &str, id: &str) -> MessageRef {
    MessageRef {
        bot: BotName::new("shop"),
        chat: ChatId::new(chat),
        group: false,
        sender: ContactId::new(chat),
        phone: None,
        aliases: Vec::new(),
        message: MessageId::new(id),
        time: Timestamp::from_secs(1_700_000_000),
    }
}

/// The key of the part with these words.
pub(super) fn key(words: &str) -> PartKey {
    PartKey::new(format!("key of {words}"))
}

/// What the upstream reports about the message that it knows by a name, and, perhaps, the words of the part.
pub(super) fn report(name: &str, words: Option<&str>, stage: Stage) -> DeliveryStatus {
    let (bot, message, key) = (BotName::new("shop"), MessageId::new(name), words.map(key));
    DeliveryStatus { bot, message, key, stage, time: Timestamp(0) }
}

/// A message in a group.
pub(super) fn group_message(group: &str, id: &str, sender: &str, phone: Option<&str>) -> Inbound {
    let mut message = message(group, id);
    message.at.group = true;
    message.at.sender = ContactId::new(sender);
    message.at.phone = phone.map(ContactId::new);
    message
}

/// A reply of some parts, none of them tried.
pub(super) fn outgoing(claim: &Claim, words: &[&str]) -> Outgoing {
    let part = |words: &&str| OutgoingPart {
        key: key(words),
        part: Part::text(*words),
        state: PartState::Waiting { attempts: 0 },
        began: Timestamp::default(),
    };
    Outgoing {
        to: reference(claim.conversation.chat.as_str(), "m"),
        turned_away: Vec::new(),
        answers: claim.messages.iter().map(|waiting| waiting.seq).collect(),
        parts: words.iter().map(part).collect(),
        failure: None,
        fallback: Some("no model answered".into()),
        left_out: None,
        reports_carry_key: true,
        makes_up_for: 0,
        announces_person: false,
        confirms_opt_out: false,
        unasked: false,
        despite_pause: false,
        undecided: Vec::new(),
    }
}

pub(super) fn said(words: &str) -> HistoryEntry {
    HistoryEntry {
        by: Speaker::Customer,
        words: words.to_owned(),
        time: Timestamp(1),
        who: None,
        transcript: false,
        told: None,
        name: None,
        message: None,
    }
}

/// The identifiers of a claim's messages.
pub(super) fn ids(claim: &Claim) -> Vec<&str> {
    claim.messages.iter().map(|waiting| waiting.inbound.at.message.as_str()).collect()
}

pub(super) fn chat(claim: &Claim) -> &str {
    claim.conversation.chat.as_str()
}
