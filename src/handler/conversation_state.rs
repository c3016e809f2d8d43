//! What a handler keeps beyond its turns. The store keeps it: no handler reaches that by itself.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::message::Conversation;

/// What a handler keeps beyond its turns, and beyond the process.
#[async_trait]
pub trait ConversationState: Send + Sync + 'static {
    /// Adds to all of these counters, or to none: says which one, by its place, would be over its limit. One that is
    /// not there begins at zero, and none goes below. Durable when it returns.
    ///
    /// # Errors
    /// When nothing can be kept, and nobody knows what was counted before.
    async fn count(&self, counts: Vec<Count>) -> Result<Option<usize>, ConversationStateError>;

    /// The summary of a conversation, if there is one.
    ///
    /// # Errors
    /// When it cannot be had.
    async fn summary(&self, conversation: &Conversation) -> Result<Option<Summary>, ConversationStateError>;

    /// Keeps the summary of a conversation, in the place of the one before. It goes with the conversation's history,
    /// and with the person whose conversation it is.
    ///
    /// # Errors
    /// When it cannot be kept.
    async fn summarise(&self, conversation: &Conversation, summary: Summary) -> Result<(), ConversationStateError>;
}

/// What was said in a conversation, in short.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The words.
    pub words: String,
    /// The time of the last thing said that is in it.
    pub until: Timestamp,
}

/// A customer's words are in it.
impl std::fmt::Debug for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Summary(…)")
    }
}

/// Something to add to a counter.
#[derive(Clone, PartialEq, Eq)]
pub struct Count {
    /// The counter's name. It may hold a person's: it is kept as a hash.
    pub name: String,
    /// How much is added; less than nothing takes away.
    pub by: i64,
    /// How far the counter may go, if adding is to have a limit.
    pub most: Option<u64>,
    /// When the counter ends: it is forgotten in the hour after that.
    pub until: Timestamp,
}

/// The name may hold a person's.
impl std::fmt::Debug for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Count({})", self.by)
    }
}

impl Count {
    /// What a counter that stands at `now` comes to; nothing if that is over the limit.
    pub fn added_to(&self, now: u64) -> Option<u64> {
        let sum = now.saturating_add_signed(self.by);
        (self.by <= 0 || self.most.is_none_or(|most| sum <= most)).then_some(sum)
    }
}

/// Nothing can be kept: why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nothing can be kept: {0}")]
pub struct ConversationStateError(pub String);

/// A notebook that is there later: handlers are made before the store is opened.
#[derive(Default)]
pub struct LateState(OnceLock<Arc<dyn ConversationState>>);

impl LateState {
    /// Says which one it is. Only the first word counts.
    pub fn is(&self, conversation_state: Arc<dyn ConversationState>) {
        drop(self.0.set(conversation_state));
    }

    fn now(&self) -> Result<&dyn ConversationState, ConversationStateError> {
        self.0
            .get()
            .map(|conversation_state| &**conversation_state)
            .ok_or_else(|| ConversationStateError("the store is not open yet".into()))
    }
}

#[async_trait]
impl ConversationState for LateState {
    async fn count(&self, counts: Vec<Count>) -> Result<Option<usize>, ConversationStateError> {
        self.now()?.count(counts).await
    }

    async fn summary(&self, conversation: &Conversation) -> Result<Option<Summary>, ConversationStateError> {
        self.now()?.summary(conversation).await
    }

    async fn summarise(&self, conversation: &Conversation, summary: Summary) -> Result<(), ConversationStateError> {
        self.now()?.summarise(conversation, summary).await
    }
}
