//! Placeholder of the lease.
use crate::message::Conversation;

/// A lease on a conversation.
#[derive(Debug)]
pub struct Lease {
    #[allow(dead_code)]
    conversation: Conversation,
}
