//! What a handler keeps beyond its turns. The store keeps it: no handler reaches that by itself.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;

use crate::message::{Conversation, Count, Summary};
use crate::store::{Histories, Store};

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

/// Nothing can be kept: why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nothing can be kept: {0}")]
pub struct ConversationStateError(pub String);

/// The state that is there later: handlers are made before the store is opened.
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

#[async_trait]
impl ConversationState for Arc<dyn Store> {
    async fn count(&self, counts: Vec<Count>) -> Result<Option<usize>, ConversationStateError> {
        Histories::count(&**self, counts).await.map_err(|error| ConversationStateError(error.to_string()))
    }

    async fn summary(&self, conversation: &Conversation) -> Result<Option<Summary>, ConversationStateError> {
        Histories::summary(&**self, conversation).await.map_err(|error| ConversationStateError(error.to_string()))
    }

    async fn summarise(&self, conversation: &Conversation, summary: Summary) -> Result<(), ConversationStateError> {
        Histories::summarise(&**self, conversation, &summary)
            .await
            .map_err(|error| ConversationStateError(error.to_string()))
    }
}
