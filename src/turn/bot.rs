//! What a turn is held with: its bot, and what all turns of a process share.

use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::settings::{MergeConfig, TurnConfig};
use crate::delivery::outbox::DeliveryConfig;
use crate::delivery::pacing::Pace;
use crate::delivery::typing::Indicator;
use crate::handler::Handler;
use crate::message::BotName;
use crate::message::clock::Clock;
use crate::policy::control::Controls;
use crate::policy::failure_reply::FailureReply;
use crate::policy::gate::Gates;
use crate::policy::quiet_hours::QuietHours;
use crate::policy::takeover::PeopleConfig;
use crate::provider::Provider;
use crate::provider::health::Health;
use crate::runtime::budget::{MemoryBudget, MemoryUse};
use crate::runtime::hosting::{BotRegistry, ShareConfig};
use crate::runtime::meters::Meters;
use crate::store::Store;
use crate::turn::transcription::Transcriber;

/// A bot: one number on one provider, with its handler and its policies.
pub struct Bot {
    /// Its name.
    pub name: BotName,
    /// The upstream that carries its messages.
    pub provider: Arc<dyn Provider>,
    /// What answers.
    pub handler: Arc<dyn Handler>,
    /// Who and what is answered.
    pub gates: Gates,
    /// The words by which a customer speaks to the bot itself.
    pub controls: Arc<Controls>,
    /// What follows when a person takes over.
    pub people: PeopleConfig,
    /// The dots.
    pub indicator: Indicator,
    /// How replies are sent.
    pub delivery: DeliveryConfig,
    /// How fast it sends.
    pub pace: Arc<Pace>,
    /// When it answers nobody; none if never.
    pub quiet: Option<QuietHours>,
    /// How bursts are merged.
    pub merge: MergeConfig,
    /// How its turns are held.
    pub turn: TurnConfig,
    /// What listens to voice notes; nothing if none.
    pub transcriber: Option<Transcriber>,
    /// What the customer is told when the handler has failed; nothing if none.
    pub failure_reply: Option<FailureReply>,
    /// Whether its upstream lets it work.
    pub health: Arc<Health>,
    /// What it may take of the process.
    pub share: ShareConfig,
    /// How much of media its handlers hold.
    pub media: MemoryUse,
}

/// What a turn works with.
pub struct Tools {
    /// The durable side.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: Clock,
    /// When this process began to take webhooks, and with them the upstreams' reports.
    pub started: Instant,
    /// Where the guard's tasks are counted, so that a shutdown waits for the dots to go off.
    pub tasks: TaskTracker,
    /// Cancelled when turns must be given back.
    pub cancelled: CancellationToken,
    /// How much of media all handlers hold, in bytes.
    pub media: MemoryBudget,
    /// Who shares all this.
    pub bots: BotRegistry<Bot>,
    /// Who counts what happens.
    pub meters: Meters,
}
