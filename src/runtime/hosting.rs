//! Many bots in one process: which there are, and what each of them may take.
//!
//! Whoever has to know the bots holds a [`BotRegistry`]. It changes while others read it: what has been taken out of it
//! goes on with what it is doing, since everybody who uses it holds it too.
//!
//! What the process has of something (turns, memory, room for what waits) is for all bots. One that takes much of it
//! may go on for as long as it leaves as much over for the others; then it waits, and they do not. So one that hangs,
//! or is flooded, has half of it at the most, two of them have a third each, and nobody has to say beforehand how much
//! is whose. Who is alone has all.

mod allowed;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use serde::{Deserialize, Serialize};

use crate::message::BotName;
pub use allowed::{HostingConfig, PrivateHosts};

/// What one bot may take at the most, besides having to leave something for the others. The `share` table of a bot's
/// configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShareConfig {
    /// How many of its turns run at the same time; 0: as many as there is room for.
    pub turns: usize,
    /// How many of its messages wait at the same time, past which its webhooks are answered with 503; 0: as many as
    /// there is room for.
    pub waiting: usize,
}

/// Whether a bot that has taken so much may take `more` of it, where so much is `left`: if it leaves as much for the
/// others as it has then, or has nothing yet.
pub fn leaves_enough(taken: u64, more: u64, left: u64) -> bool {
    taken == 0 || taken.saturating_add(more) <= left.saturating_sub(more)
}

/// Something of each bot's, by its name. A clone is the same roster.
#[derive(Debug)]
pub struct BotRegistry<T>(Arc<RwLock<HashMap<BotName, Arc<T>>>>);

impl<T> Clone for BotRegistry<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for BotRegistry<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> FromIterator<(BotName, Arc<T>)> for BotRegistry<T> {
    fn from_iter<I: IntoIterator<Item = (BotName, Arc<T>)>>(bots: I) -> Self {
        Self(Arc::new(RwLock::new(bots.into_iter().collect())))
    }
}

impl<T> BotRegistry<T> {
    /// A bot's.
    pub fn get(&self, bot: &BotName) -> Option<Arc<T>> {
        self.read().get(bot).cloned()
    }

    /// Whether there is a bot of this name.
    pub fn has(&self, bot: &BotName) -> bool {
        self.read().contains_key(bot)
    }

    /// Whether there are several.
    pub fn has_several(&self) -> bool {
        self.read().len() > 1
    }

    /// All of them, in the order of their names.
    pub fn all(&self) -> Vec<(BotName, Arc<T>)> {
        let mut all: Vec<_> = self.read().iter().map(|(bot, its)| (bot.clone(), Arc::clone(its))).collect();
        all.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        all
    }

    /// Puts a bot in, in the place of the one of its name.
    pub fn put(&self, bot: BotName, its: Arc<T>) {
        self.write().insert(bot, its);
    }

    /// Takes a bot out.
    pub fn remove(&self, bot: &BotName) {
        self.write().remove(bot);
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<BotName, Arc<T>>> {
        // Nothing in there panics half-way through a change.
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<BotName, Arc<T>>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}
