//! The groups in which Linq refused to show that somebody types: not asked again for some hours.
//!
//! Kept in memory alone: after a restart each costs one call more.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::message::ChatId;
use crate::message::clock::Timestamp;

/// So many are remembered: past that, the one that would be forgotten first is.
const MOST: usize = 4096;

/// The chats that are left alone, each until a time.
pub(super) struct Silent {
    until: Mutex<HashMap<ChatId, Timestamp>>,
    pause: Duration,
}

impl Silent {
    pub(super) fn new(pause: Duration) -> Self {
        Self { until: Mutex::default(), pause }
    }

    pub(super) fn holds(&self, chat: &ChatId, now: Timestamp) -> bool {
        self.lock().get(chat).is_some_and(|until| now < *until)
    }

    pub(super) fn add(&self, chat: &ChatId, now: Timestamp) {
        let mut chats = self.lock();
        if chats.len() >= MOST {
            chats.retain(|_, until| now < *until);
        }
        if chats.len() >= MOST
            && let Some(first) = chats.iter().min_by_key(|(_, until)| **until).map(|(chat, _)| chat.clone())
        {
            chats.remove(&first);
        }
        chats.insert(chat.clone(), now.plus(self.pause));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ChatId, Timestamp>> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
