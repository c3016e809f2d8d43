//! Claims turns and runs them: so many at once, each in its own task and span, none after the stop.

mod shares;

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, error, info, info_span, warn};

use crate::message::clock::{Clock, Timestamp, in_words};
use crate::message::{BotName, ContactId, Conversation, MessageId, MessageRef};
use crate::runtime::budget::{MemoryBudget, Share};
use crate::runtime::hosting::BotRegistry;
use crate::runtime::meters::{Fact, Meters};
use crate::store::{Claim, Ending, LONGEST_CLAIM, MOST_RECALLED_BYTES, Settled, Settlement, Store, StoreError};
use crate::turn::{self, Bot, Tools, TurnOutcome, TurnReport};
use shares::Shares;

/// How turns are worked off. The `worker` table of the configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorkerConfig {
    /// How many turns run at the same time, over all bots.
    pub turns: usize,
    /// How long one turn may hold its conversation without a sign of life: it begins anew with everything that the turn
    /// writes down, so with every part that it sends. Must be longer than any bot's handler and sends may take.
    #[serde(with = "in_words")]
    pub lease: Duration,
    /// At a shutdown, how long turns may go on before they are given back.
    #[serde(with = "in_words")]
    pub grace: Duration,
    /// How many bytes of messages and of what was said before all turns hold, as they are stored. Past that, the next
    /// turn waits for the end of another.
    pub memory: u64,
    /// How many bytes of media all handlers hold that have fetched some into memory. Past that, a fetch waits for
    /// others, and fails if that takes too long.
    pub media_memory: u64,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self {
            turns: 10_000,
            lease: Duration::from_secs(300),
            grace: Duration::from_secs(10),
            memory: 64 << 20,
            media_memory: 64 << 20,
        }
    }
}

/// The longest turn, in bytes as it is stored: a claim, and what was said before.
pub(crate) const LONGEST_TURN: u64 = (LONGEST_CLAIM + MOST_RECALLED_BYTES) as u64;
/// So often may a turn panic outside its handler, or fail to be recorded, before its messages are dead letters.
const MOST_CRASHES: u32 = 3;
/// How long turns have for giving back what they hold, dots off included, once their time is up.
const GIVE_BACK: Duration = Duration::from_secs(8);

/// Claims turns and runs them.
pub struct Worker {
    bots: BotRegistry<Bot>,
    shares: Arc<Shares>,
    tools: Tools,
    config: WorkerConfig,
    permits: Arc<Semaphore>,
    memory: MemoryBudget,
    turns: TaskTracker,
    stopped: CancellationToken,
    crashes: Mutex<HashMap<Conversation, Crashes>>,
}

/// How often a conversation's turns could not be ended, and whether the pause for the last one has been made.
#[derive(Default)]
struct Crashes {
    count: u32,
    paused: bool,
}

/// A turn that runs, for as long as this is there.
struct RunningTurn<'a>(&'a Meters);

impl<'a> RunningTurn<'a> {
    fn of(worker: &'a Worker) -> Self {
        worker.tools.meters.tell(Fact::Running(true));
        Self(&worker.tools.meters)
    }
}

impl Drop for RunningTurn<'_> {
    fn drop(&mut self) {
        self.0.tell(Fact::Running(false));
    }
}

impl Worker {
    /// A worker for these bots.
    pub fn new(
        bots: BotRegistry<Bot>,
        store: Arc<dyn Store>,
        clock: Clock,
        config: WorkerConfig,
        meters: Meters,
    ) -> Arc<Self> {
        let cancelled = CancellationToken::new();
        let memory = MemoryBudget::new(config.memory);
        Arc::new(Self {
            shares: Shares::new(&memory),
            tools: Tools {
                store,
                clock,
                started: Instant::now(),
                tasks: TaskTracker::new(),
                cancelled,
                media: MemoryBudget::new(config.media_memory),
                bots: bots.clone(),
                meters,
            },
            bots,
            permits: Arc::new(Semaphore::new(config.turns)),
            memory,
            config,
            turns: TaskTracker::new(),
            stopped: CancellationToken::new(),
            crashes: Mutex::default(),
        })
    }

    /// Runs turns until [`Worker::stop`] is called.
    ///
    /// # Errors
    /// When the store has failed: nothing can be done without it.
    pub async fn run(self: Arc<Self>) -> Result<(), StoreError> {
        loop {
            let next = async {
                // Closed never, and so never an error.
                let permit = Arc::clone(&self.permits).acquire_owned().await.ok();
                // How long it all is shows when it has been loaded. Who holds a claim waits for no memory, and so for
                // nobody else: its lease would run out.
                let mut room = self.memory.take(LONGEST_TURN).await;
                let claim = self.claim().await?;
                room.shrink((claim.size + MOST_RECALLED_BYTES) as u64);
                Ok((permit, room, claim))
            };
            let Some(next) = self.stopped.run_until_cancelled(next).await else { return Ok(()) };
            let (permit, mut room, claim) = match next {
                Ok(next) => next,
                Err(StoreError::Closed) if self.stopped.is_cancelled() => return Ok(()),
                Err(error) => return Err(error),
            };
            let worker = Arc::clone(&self);
            let (place, memory) = self.shares.enter(&claim.conversation.bot);
            room.count_for(&memory);
            let number = claim.messages.last().or(claim.proactive_messages.first()).map(|waiting| waiting.seq.0);
            let number = number.unwrap_or_default();
            let span = info_span!("turn", turn.bot = %claim.conversation.bot, turn.seq = number);
            let serve = async move {
                let running = RunningTurn::of(&worker);
                worker.serve(claim, room).await;
                drop((running, permit, place));
            };
            self.turns.spawn(serve.instrument(span));
        }
    }

    /// Claims a conversation of a bot that may have one more.
    async fn claim(&self) -> Result<Claim, StoreError> {
        let may = |bot: &BotName| self.shares.may(bot, &self.bots, &self.permits, &self.memory);
        loop {
            let mut rings = pin!(self.shares.bell().rings());
            // Before anybody is asked, so that no change after that goes unnoticed.
            rings.as_mut().enable();
            tokio::select! {
                claim = self.tools.store.claim_for(self.config.lease, &may) => return claim,
                () = rings => {}
            }
        }
    }

    /// The roster has changed: a bot that was not there may have messages waiting.
    pub fn look_again(&self) {
        self.shares.look_again();
    }

    /// Takes dots off that an earlier process may have left behind in a bot's conversations, where nobody has been at
    /// work since. Waits for nothing.
    pub fn take_off_inherited(&self, bot: &Bot) {
        for Conversation { bot: name, chat } in self.tools.store.inherited() {
            if name == bot.name {
                let (sender, message) = (ContactId::new(chat.as_str()), MessageId::new(""));
                let at = MessageRef {
                    bot: name,
                    chat,
                    group: false,
                    sender,
                    phone: None,
                    aliases: Vec::new(),
                    message,
                    time: Timestamp(0),
                };
                bot.indicator.may_show_since(&at, self.tools.started);
                bot.indicator.settle(&self.tools.tasks, &at);
            }
        }
    }

    /// Takes no more turns, lets those that run finish, gives back those that take too long, and waits for every
    /// indicator to go off: at most the configured grace and some seconds.
    pub async fn stop(&self) {
        self.stopped.cancel();
        self.turns.close();
        self.tools.tasks.close();
        if timeout(self.config.grace, self.turns.wait()).await.is_err() {
            info!(turns = self.turns.len(), "the grace is over: giving turns back");
        }
        self.tools.cancelled.cancel();
        let all_off = async {
            self.turns.wait().await;
            self.tools.tasks.wait().await;
        };
        if timeout(GIVE_BACK, all_off).await.is_err() {
            warn!(turns = self.turns.len(), dots = self.tools.tasks.len(), "not all turns could be given back in time");
        }
    }

    /// Runs one turn and writes its log line.
    async fn serve(&self, claim: Claim, room: Share) {
        let began = Instant::now();
        let conversation = claim.conversation.clone();
        // Taken out of the roster right now, it is not asked; its messages wait for its return.
        let Some(bot) = self.bots.get(&conversation.bot) else { return };
        let claim = match self.pause_after_crash(claim).await {
            Ok(Some(claim)) => claim,
            Ok(None) => return,
            Err(error) => return self.after_store(Err(error)),
        };
        // The handler's panics are caught in the turn. One that arrives here is ours, or a provider's.
        let ended = AssertUnwindSafe(turn::run(&bot, &self.tools, claim, room)).catch_unwind().await;
        let took = began.elapsed();
        let outcome = match ended {
            Ok(Ok(report)) => {
                self.crashes().remove(&conversation);
                log(&report, took);
                self.count(&bot, &report);
                report.outcome.as_str()
            }
            Ok(Err(error)) => {
                self.note_crash(conversation);
                self.after_store(Err(error));
                "unrecorded"
            }
            Err(_) => {
                self.note_crash(conversation);
                error!("a turn has panicked");
                "panicked"
            }
        };
        self.tools.meters.tell(Fact::Turn { bot: &bot.name, outcome, took });
    }

    fn count(&self, bot: &Bot, report: &TurnReport) {
        let (bot, meters) = (&bot.name, &self.tools.meters);
        for (gate, count) in &report.turned_away {
            meters.tell(Fact::TurnedAway { gate: gate.as_str(), count: *count });
        }
        if let Some(why) = report.later {
            meters.tell(Fact::GivenBack { why: why.as_str() });
        }
        if report.dead > 0 {
            meters.tell(Fact::Died { bot, count: report.dead });
        }
    }

    /// A conversation whose turn could not be ended waits before the next one, and is dead after some of them.
    async fn pause_after_crash(&self, claim: Claim) -> Result<Option<Claim>, StoreError> {
        let crashes = match self.crashes().get_mut(&claim.conversation) {
            Some(crashes) if crashes.count >= MOST_CRASHES || !crashes.paused => {
                crashes.paused = true;
                crashes.count
            }
            _ => return Ok(Some(claim)),
        };
        let settlement = if crashes >= MOST_CRASHES {
            self.crashes().remove(&claim.conversation);
            let dead = Ending::Dead { reason: "its turn could not be ended, again and again".into() };
            let endings: Vec<_> = claim
                .messages
                .iter()
                .chain(&claim.proactive_messages)
                .map(|waiting| (waiting.seq, dead.clone()))
                .collect();
            self.tools.meters.tell(Fact::Died { bot: &claim.conversation.bot, count: endings.len() });
            Settlement::Done(Settled { endings, said: Vec::new(), failure_replied: None, sent: Vec::new(), failed: 0 })
        } else {
            Settlement::Later { at: self.tools.clock.now().plus(Duration::from_secs(1 << crashes)) }
        };
        self.tools.store.settle(claim, settlement).await?;
        Ok(None)
    }

    fn note_crash(&self, conversation: Conversation) {
        let mut all = self.crashes();
        let crashes = all.entry(conversation).or_default();
        crashes.count += 1;
        crashes.paused = false;
    }

    fn crashes(&self) -> MutexGuard<'_, HashMap<Conversation, Crashes>> {
        self.crashes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn after_store(&self, result: Result<(), StoreError>) {
        match result {
            Ok(()) => {}
            Err(StoreError::Fenced) => warn!("a turn took longer than its lease, and another has taken over"),
            // The claim loop meets the same error and ends the process: no need to do it twice.
            Err(error) => error!(%error, "a turn could not be recorded"),
        }
    }
}

/// The turn's one log line.
fn log(report: &TurnReport, total: Duration) {
    let milliseconds = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let turned_away: Vec<String> =
        report.turned_away.iter().map(|(gate, count)| format!("{}={count}", gate.as_str())).collect();
    let dead = report.outcome == TurnOutcome::Dead;
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                turn.outcome = report.outcome.as_str(),
                turn.reason = report.reason.as_deref(),
                turn.messages = report.messages,
                turn.parts = report.parts,
                turn.turned_away = (!turned_away.is_empty()).then(|| turned_away.join(" ")),
                turn.retries = (report.retries > 0).then_some(report.retries),
                turn.restarts = (report.restarts > 0).then_some(report.restarts),
                turn.transcribed = (report.transcribed > 0).then_some(report.transcribed),
                turn.settled_by = report.settled_by,
                turn.handler_ms = report.handler.map(milliseconds),
                turn.total_ms = milliseconds(total),
                "turn"
            )
        };
    }
    if dead { line!(warn) } else { line!(info) }
}
