//! What each bot has of the worker's turns and of its memory, so that none takes what the others need.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;
use tracing::warn;

use crate::message::BotName;
use crate::runtime::budget::{Bell, MemoryBudget, MemoryUse};
use crate::runtime::hosting::{BotRegistry, leaves_enough};
use crate::turn::Bot;

/// What each bot has taken.
pub(super) struct Shares {
    taken: Mutex<HashMap<BotName, Taken>>,
    /// Bots that messages wait for, and that nobody knows: each is told of once.
    unknown: Mutex<HashSet<BotName>>,
    /// The memory's: also rung when a turn is over.
    bell: Arc<Bell>,
}

#[derive(Default)]
struct Taken {
    turns: usize,
    memory: MemoryUse,
}

/// One turn of a bot's. Dropped, the turn is over.
pub(super) struct BotSlot {
    bot: BotName,
    shares: Arc<Shares>,
}

impl Shares {
    pub(super) fn new(memory: &MemoryBudget) -> Arc<Self> {
        Arc::new(Self { taken: Mutex::default(), unknown: Mutex::default(), bell: Arc::clone(memory.bell()) })
    }

    /// Rings when a bot that had to wait may have one more.
    pub(super) fn bell(&self) -> &Bell {
        &self.bell
    }

    /// Whether a bot may have one more turn. Whoever asks holds a permit for it already, and the memory.
    pub(super) fn may(
        &self,
        bot: &BotName,
        bots: &BotRegistry<Bot>,
        permits: &Semaphore,
        memory: &MemoryBudget,
    ) -> bool {
        let may = || {
            let Some(known) = bots.get(bot) else {
                self.miss(bot);
                return false;
            };
            let (most, has_others) = (known.share.turns, bots.has_several());
            if most == 0 && !has_others {
                return true;
            }
            let taken = self.taken();
            let Some(taken) = taken.get(bot) else { return true };
            let left = permits.available_permits() as u64 + 1;
            let leaves = || leaves_enough(taken.turns as u64, 1, left) && memory.is_fair(&taken.memory);
            (most == 0 || taken.turns < most) && (!has_others || leaves())
        };
        self.bell.ask(may)
    }

    /// A bot has one more turn.
    pub(super) fn enter(self: &Arc<Self>, bot: &BotName) -> (BotSlot, MemoryUse) {
        let mut all = self.taken();
        let taken = all.entry(bot.clone()).or_default();
        taken.turns += 1;
        (BotSlot { bot: bot.clone(), shares: Arc::clone(self) }, taken.memory.clone())
    }

    /// The bots are others now.
    pub(super) fn look_again(&self) {
        self.bell.ring();
    }

    fn miss(&self, bot: &BotName) {
        if self.unknown.lock().unwrap_or_else(PoisonError::into_inner).insert(bot.clone()) {
            warn!("messages wait for a bot that is not in the configuration: they stay where they are until it is");
        }
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<BotName, Taken>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for BotSlot {
    fn drop(&mut self) {
        let mut all = self.shares.taken();
        if let Some(taken) = all.get_mut(&self.bot) {
            taken.turns -= 1;
            if taken.turns == 0 {
                all.remove(&self.bot);
            }
        }
        drop(all);
        self.shares.bell.ring();
    }
}
