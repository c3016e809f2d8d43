//! How often dots may be taken off: some upstreams count these calls, chat by chat.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::message::ChatId;

const SECOND: Duration = Duration::from_secs(1);
/// So many chats are remembered before those of more than a second ago are swept out.
const SWEEP_AT: usize = 1024;

/// The calls of the last second, chat by chat.
#[derive(Default)]
pub(super) struct Stops(Mutex<HashMap<ChatId, Recent>>);

#[derive(Default)]
struct Recent {
    calls: VecDeque<Instant>,
    /// Somebody waits for room already.
    awaited: bool,
}

impl Stops {
    /// Waits until one more call keeps within `per_second`. False if somebody else waits for that already: one call
    /// takes off the dots of both.
    pub(super) async fn room(&self, chat: &ChatId, per_second: u32) -> bool {
        let Some(free) = self.take(chat, per_second) else { return false };
        let Err(free) = free else { return true };
        sleep_until(free).await;
        let mut all = self.lock();
        let recent = all.entry(chat.clone()).or_default();
        recent.awaited = false;
        recent.calls.push_back(Instant::now());
        true
    }

    /// Takes room now, or says from when on there will be some; none if somebody waits for it.
    fn take(&self, chat: &ChatId, per_second: u32) -> Option<Result<(), Instant>> {
        let now = Instant::now();
        let mut all = self.lock();
        if all.len() >= SWEEP_AT {
            all.retain(|_, recent| recent.awaited || recent.calls.back().is_some_and(|last| now < *last + SECOND));
        }
        let recent = all.entry(chat.clone()).or_default();
        if recent.awaited {
            return None;
        }
        while recent.calls.front().is_some_and(|first| *first + SECOND <= now) {
            recent.calls.pop_front();
        }
        let over = recent.calls.len().checked_sub(per_second.max(1) as usize);
        match over.and_then(|over| recent.calls.get(over)) {
            Some(blocking) => {
                recent.awaited = true;
                Some(Err(*blocking + SECOND))
            }
            None => {
                recent.calls.push_back(now);
                Some(Ok(()))
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ChatId, Recent>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
