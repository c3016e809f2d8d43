//! A summary that could not be made is not asked for in every turn: each costs time and money, and what fails now fails
//! in a minute, too.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::message::Conversation;

const FIRST: Duration = Duration::from_secs(5 * 60);
const LONGEST: Duration = Duration::from_secs(6 * 60 * 60);
/// So many conversations are remembered: 100 kB.
const MOST: usize = 2048;

/// The conversations of which no summary is asked for, for now. It is in memory: a restart asks again.
#[derive(Default)]
pub(super) struct SummaryPauses {
    hasher: RandomState,
    pauses: Mutex<HashMap<u64, SummaryPause>>,
}

#[derive(Clone, Copy)]
struct SummaryPause {
    until: Instant,
    length: Duration,
}

impl SummaryPauses {
    /// Whether a summary may be asked for.
    pub(super) fn is_due(&self, conversation: &Conversation) -> bool {
        let now = Instant::now();
        self.with(conversation, |pauses, key| pauses.get(&key).is_none_or(|pause| pause.until <= now))
    }

    /// A summary could not be made: the pause after that is twice as long as the one before.
    pub(super) fn failed(&self, conversation: &Conversation) {
        let now = Instant::now();
        self.with(conversation, |pauses, key| {
            if pauses.len() >= MOST && !pauses.contains_key(&key) {
                // Who has waited longest since: it is asked once more, at the worst.
                let first = pauses.iter().min_by_key(|(_, pause)| pause.until).map(|(first, _)| *first);
                first.map(|first| pauses.remove(&first));
            }
            let length = pauses.get(&key).map_or(FIRST, |pause| (pause.length * 2).min(LONGEST));
            pauses.insert(key, SummaryPause { until: now + length, length });
        });
    }

    /// One was made.
    pub(super) fn succeeded(&self, conversation: &Conversation) {
        self.with(conversation, |pauses, key| pauses.remove(&key));
    }

    fn with<T>(&self, conversation: &Conversation, then: impl FnOnce(&mut HashMap<u64, SummaryPause>, u64) -> T) -> T {
        then(&mut self.pauses.lock().unwrap_or_else(PoisonError::into_inner), self.hasher.hash_one(conversation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{BotName, ChatId};

    fn conversation(number: usize) -> Conversation {
        Conversation { bot: BotName::new("shop"), chat: ChatId::new(number.to_string()) }
    }

    #[tokio::test(start_paused = true)]
    async fn the_pauses_grow_and_end_and_a_success_ends_them() {
        let (pauses, one) = (SummaryPauses::default(), conversation(1));
        assert!(pauses.is_due(&one));
        for minutes in [5, 10, 20, 40, 80, 160, 320, 360, 360] {
            pauses.failed(&one);
            tokio::time::advance(Duration::from_secs(minutes * 60 - 1)).await;
            assert!(!pauses.is_due(&one), "{minutes}");
            assert!(pauses.is_due(&conversation(2)));
            tokio::time::advance(Duration::from_secs(1)).await;
            assert!(pauses.is_due(&one), "{minutes}");
        }
        pauses.succeeded(&one);
        pauses.failed(&one);
        tokio::time::advance(FIRST).await;
        assert!(pauses.is_due(&one));
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_are_remembered_and_no_more() {
        let pauses = SummaryPauses::default();
        for number in 0..MOST + 10 {
            pauses.failed(&conversation(number));
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert_eq!(pauses.pauses.lock().expect("nobody panics in here").len(), MOST);
        assert!(pauses.is_due(&conversation(0)) && !pauses.is_due(&conversation(MOST)));
    }
}
