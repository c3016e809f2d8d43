//! What a customer is told when the handler has failed.
//!
//! On upstreams without a call that takes the dots off, a message is the only thing that does; and every message is
//! billed. So it is on by default, and rare.

use std::sync::Arc;
use std::time::Duration;

use minijinja::context;
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::message::clock::{Timestamp, in_words};
use crate::message::{Contact, Inbound};
use crate::runtime::templates::{TemplateError, Templates};

/// What a customer is told when the handler has failed. The `failure_reply` table of a bot's configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FailureReplyConfig {
    /// Whether anything is said at all.
    pub enabled: bool,
    /// At most one in this time for one conversation.
    #[serde(with = "in_words")]
    pub every: Duration,
    /// The template of the words.
    pub template: String,
}

impl Default for FailureReplyConfig {
    fn default() -> Self {
        Self { enabled: true, every: Duration::from_secs(3600), template: "replies/failure.txt".into() }
    }
}

/// A failure reply that has been found to render.
pub struct FailureReply {
    templates: Arc<Templates>,
    template: String,
    every: Duration,
}

impl FailureReply {
    /// The reply that `config` describes.
    ///
    /// # Errors
    /// When its template does not render.
    pub fn new(config: &FailureReplyConfig, templates: &Arc<Templates>) -> Result<Self, TemplateError> {
        let reply = Self { templates: Arc::clone(templates), template: config.template.clone(), every: config.every };
        reply.render(&Contact::default())?;
        Ok(reply)
    }

    /// Whether enough time has passed since the last one.
    pub fn is_due(&self, last: Option<Timestamp>, now: Timestamp) -> bool {
        last.is_none_or(|last| now.since(last) >= self.every)
    }

    /// The words, for whoever wrote `message`.
    pub fn words(&self, message: &Inbound) -> Option<String> {
        let words = self.render(&message.contact);
        words.inspect_err(|error| warn!(%error, "no failure reply")).ok().filter(|words| !words.is_empty())
    }

    fn render(&self, contact: &Contact) -> Result<String, TemplateError> {
        self.templates.render(&self.template, context! { contact => contact.name.as_deref().unwrap_or_default() })
    }
}
