//! What is worth counting: told where it happens, and counted by whoever wants to.
//!
//! The modules know this and no library of metrics. `telemetry::metrics` is one that counts.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::message::BotName;

/// Something that has happened. Its words are from small sets that the source has: nobody's names, numbers or words are
/// among them, but for the names of bots.
#[derive(Clone, Copy, Debug)]
pub enum Fact<'a> {
    /// A webhook of a bot's was answered.
    Webhook {
        /// The bot's provider.
        provider: &'static str,
        /// With what, in a word.
        answer: &'static str,
    },
    /// Messages have come in.
    Messages {
        /// By which provider.
        provider: &'static str,
        /// `new`, `duplicate`, `unkept` for those that the store cannot hold, or `unread` for those that became dead
        /// letters as they came.
        what: &'static str,
        /// How many.
        count: usize,
    },
    /// A turn runs, or no longer runs.
    Running(bool),
    /// A turn has ended.
    Turn {
        /// Whose.
        bot: &'a BotName,
        /// How, in a word.
        outcome: &'static str,
        /// After how long.
        took: Duration,
    },
    /// A gate has turned messages away.
    TurnedAway {
        /// Which one.
        gate: &'static str,
        /// How many.
        count: usize,
    },
    /// A turn was given back until later.
    GivenBack {
        /// Why, in a word.
        why: &'static str,
    },
    /// Messages have become dead letters.
    Died {
        /// Of which bot.
        bot: &'a BotName,
        /// How many.
        count: usize,
    },
    /// A handler was asked.
    Handler {
        /// What came of it, in a word.
        result: &'static str,
        /// How long it took, repetitions included.
        took: Duration,
    },
    /// An upstream was called.
    Call {
        /// Which one.
        provider: &'static str,
        /// For what: `read`, `typing`, `stop` or `send`.
        call: &'static str,
        /// What came of it, in a word.
        result: &'static str,
    },
    /// The store has made a group of writes durable.
    Commit {
        /// In so long.
        took: Duration,
    },
    /// A turn has come to a step of the ladder of models.
    Step {
        /// Which one.
        step: LadderStep,
        /// What has led there, in a word.
        cause: &'static str,
    },
    /// A model was asked, and it is known what that has cost.
    Spent {
        /// By which bot.
        bot: &'a BotName,
        /// Tokens of what it was told.
        read: u64,
        /// Tokens of its answer.
        written: u64,
        /// By the prices in the configuration; zero without.
        money: f64,
    },
    /// A model was not asked, since a day's budget is used up.
    OverBudget {
        /// Which limit has been reached, in a word.
        limit: &'static str,
    },
    /// A model has had a tool called.
    Tool {
        /// What came of it, in a word.
        result: &'static str,
    },
}

/// A step of the ladder of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LadderStep {
    /// A model, by its place, counted from 0.
    Model(usize),
    /// The canned reply.
    Canned,
    /// A person.
    Human,
}

/// Counts what has happened.
pub trait MetricsSink: Send + Sync + 'static {
    /// Counts this. It is in the way of a message: nothing here may wait.
    fn add(&self, fact: Fact<'_>);
}

/// Where what happens is told; to nobody, by default.
#[derive(Clone, Default)]
pub struct Meters(Option<Arc<dyn MetricsSink>>);

impl Meters {
    /// Tells `tally`.
    pub fn new(tally: Arc<dyn MetricsSink>) -> Self {
        Self(Some(tally))
    }

    /// Tells that this has happened.
    pub fn tell(&self, fact: Fact<'_>) {
        if let Some(tally) = &self.0 {
            tally.add(fact);
        }
    }

    /// Whether anybody counts.
    pub fn is_counted(&self) -> bool {
        self.0.is_some()
    }
}

impl fmt::Debug for Meters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_counted() { "Meters" } else { "Meters(nobody)" })
    }
}
