//! Which bots there are, changed while they work: what is asked for, and what is said about it.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::views::ApiError;
use crate::message::BotName;

/// Whoever can change which bots there are. One change at a time; none touches what another bot is doing, and a bot's
/// own turns that have begun end as they began.
#[async_trait]
pub trait BotHosting: Send + Sync + 'static {
    /// A bot's settings, without its secrets; none if they do not stand in a file of its own.
    async fn settings(&self, bot: &BotName) -> Result<Option<Map<String, Value>>, HostError>;

    /// Has a bot work with these settings, from the next webhook and the next turn on. Durable when it returns. Whether
    /// there was none of its name.
    async fn put(&self, bot: &BotName, settings: Map<String, Value>) -> Result<bool, HostError>;

    /// Has a bot work no longer. What waits for it goes on waiting. Durable when it returns. Whether there was one.
    async fn remove(&self, bot: &BotName) -> Result<bool, HostError>;

    /// Reads the directory of bots again.
    async fn reload(&self) -> Result<Reloaded, HostError>;
}

/// Why the bots stay as they are.
#[derive(Clone, Debug)]
pub enum HostError {
    /// It cannot be done.
    Refused(ApiError),
    /// These settings are wrong.
    Wrong(Vec<Flaw>),
}

impl From<ApiError> for HostError {
    fn from(refusal: ApiError) -> Self {
        Self::Refused(refusal)
    }
}

/// Something that is wrong with a setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flaw {
    /// The setting, such as `bots.shop.provider.access_token`.
    pub key: String,
    /// What is wrong, and what to do.
    pub problem: String,
}

/// What has come of reading the directory again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// Bots that are new.
    pub added: Vec<BotName>,
    /// Bots whose files say something else than before.
    pub changed: Vec<BotName>,
    /// Bots whose files are gone.
    pub removed: Vec<BotName>,
    /// What is wrong in the directory. A bot with a problem goes on as it was.
    pub problems: Vec<Flaw>,
}

/// A page of bots, in the order of their names.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Bots {
    /// The bots.
    pub bots: Vec<Hosted>,
    /// Where the next page begins, if there is one: its `after`.
    pub next: Option<BotName>,
}

/// A bot, as it stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Hosted {
    /// Its name.
    pub bot: BotName,
    /// Whether it cannot work at present.
    pub down: bool,
    /// How many of its messages wait for an answer.
    pub waiting: usize,
    /// Its settings, with `{"$secret": null}` in the place of each secret, if they were asked for and stand in a file
    /// of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<Map<String, Value>>,
}

/// What has become of a bot.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Put {
    /// Its name.
    pub bot: BotName,
    /// Whether there was none of its name before.
    pub new: bool,
}

/// What is left of a bot.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Removed {
    /// Its name.
    pub bot: BotName,
    /// How many of its messages wait for its return.
    pub waiting: usize,
}
