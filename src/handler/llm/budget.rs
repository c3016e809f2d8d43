//! What may be spent in a day: set aside before a call, and settled after it.
//!
//! The counters are the notebook's, which adds to all of them or to none, durably: that holds for any number of turns
//! at the same time, and across a restart. What a crash leaves set aside stays spent until midnight.

use std::sync::Arc;

use jiff::tz::TimeZone;

use super::completion::Unanswered;
use super::config::{BudgetConfig, ModelConfig, Unusable};
use super::wire::Usage;
use crate::handler::{ConversationState, ConversationStateError, Turn};
use crate::message::clock::Timestamp;
use crate::message::{Count, contact_key};

/// Parts of a unit of money: prices are for a million tokens, so that a token costs whole ones.
const PARTS: f64 = 1_000_000.0;

/// The budget of a bot.
pub(super) struct SpendingLimits {
    config: BudgetConfig,
    time_zone: TimeZone,
    conversation_state: Arc<dyn ConversationState>,
}

/// Tokens and money.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cost {
    tokens: u64,
    /// In parts of a unit.
    money: u64,
}

/// What was set aside for a call.
pub(super) struct SetAside {
    cost: Cost,
    until: Timestamp,
}

/// A limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    ContactTokens,
    ContactMoney,
    BotTokens,
    BotMoney,
}

impl Limit {
    /// What it limits; also the end of its counter's name.
    fn what(self) -> &'static str {
        match self {
            Self::ContactTokens => "tokens of the contact",
            Self::ContactMoney => "money of the contact",
            Self::BotTokens => "tokens of the bot",
            Self::BotMoney => "money of the bot",
        }
    }

    /// The word for it in metrics.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::ContactTokens => "contact_tokens",
            Self::ContactMoney => "contact_money",
            Self::BotTokens => "bot_tokens",
            Self::BotMoney => "bot_money",
        }
    }

    fn is_money(self) -> bool {
        matches!(self, Self::ContactMoney | Self::BotMoney)
    }
}

/// Why nothing is set aside.
#[derive(Debug, thiserror::Error)]
pub(super) enum SpendingRefusal {
    /// The limit of which this is the counter has been reached.
    #[error("the day's budget is used up: {}", .0.what())]
    UsedUp(Limit),
    /// Nobody knows what was spent.
    #[error(transparent)]
    Unknown(#[from] ConversationStateError),
}

impl SpendingLimits {
    /// Everything that cannot be used is added to `problems`.
    pub(super) fn new(
        config: BudgetConfig,
        models: &[&ModelConfig],
        time_zone: TimeZone,
        conversation_state: Arc<dyn ConversationState>,
        problems: &mut Vec<Unusable>,
    ) -> Self {
        for (key, money) in [("contact_money", config.contact_money), ("bot_money", config.bot_money)] {
            if !money.is_finite() || money < 0.0 {
                problems.push(Unusable::new(format!("budget.{key}"), "must be zero or more"));
            }
        }
        for (number, model) in models.iter().enumerate() {
            for (key, price) in [("input_price", model.input_price), ("output_price", model.output_price)] {
                let problem = if !price.is_finite() || price < 0.0 {
                    "must be zero or more"
                } else if price == 0.0 && (config.contact_money > 0.0 || config.bot_money > 0.0) {
                    "is missing: without it, nobody knows what is spent of the budget's money"
                } else {
                    continue;
                };
                problems.push(Unusable::new(format!("models[{number}].{key}"), problem));
            }
        }
        Self { config, time_zone, conversation_state }
    }

    /// Whether there is any limit.
    pub(super) fn is_limited(&self) -> bool {
        let BudgetConfig { contact_tokens, bot_tokens, contact_money, bot_money, .. } = &self.config;
        *contact_tokens > 0 || *bot_tokens > 0 || *contact_money > 0.0 || *bot_money > 0.0
    }

    /// Sets aside what a call may cost that has so many tokens to read, and may write so many.
    pub(super) async fn set_aside(
        &self,
        turn: &Turn,
        model: &ModelConfig,
        most: Usage,
    ) -> Result<Option<SetAside>, SpendingRefusal> {
        if !self.is_limited() {
            return Ok(None);
        }
        let cost = cost(model, most);
        let until = self.midnight(turn.now);
        let counters = self.counters(turn);
        let counts = counters.iter().map(|counter| Count {
            by: signed(counter.of(cost)),
            most: Some(counter.most).filter(|most| *most > 0),
            ..counter.count(until)
        });
        match self.conversation_state.count(counts.collect()).await? {
            None => Ok(Some(SetAside { cost, until })),
            // By its place among them.
            Some(place) => {
                Err(SpendingRefusal::UsedUp(counters.get(place).map_or(Limit::BotMoney, |counter| counter.limit)))
            }
        }
    }

    /// Settles what was set aside: `used` is what the call has cost, or why nobody knows.
    pub(super) async fn settle(
        &self,
        turn: &Turn,
        model: &ModelConfig,
        set_aside: SetAside,
        used: Result<Usage, Unanswered>,
    ) -> Result<(), ConversationStateError> {
        let used = match used {
            Ok(used) => cost(model, used),
            // It never began to answer.
            Err(Unanswered::Unreachable | Unanswered::Status(_) | Unanswered::TakesNoTools | Unanswered::Unpaid) => {
                Cost::default()
            }
            // It may have been at work up to its limit.
            Err(_) => return Ok(()),
        };
        let counts = self.counters(turn).map(|counter| Count {
            by: signed(counter.of(used)) - signed(counter.of(set_aside.cost)),
            ..counter.count(set_aside.until)
        });
        self.conversation_state.count(counts.into()).await.map(drop)
    }

    /// Whether the customer is to be told that the limit has been reached.
    pub(super) async fn is_to_be_told(&self, turn: &Turn) -> Result<bool, ConversationStateError> {
        if self.config.every_time {
            return Ok(true);
        }
        let name = format!("{}/told", contact(turn));
        let told = Count { name, by: 1, most: Some(1), until: self.midnight(turn.now) };
        Ok(self.conversation_state.count(vec![told]).await?.is_none())
    }

    fn counters(&self, turn: &Turn) -> [Counter; 4] {
        let BudgetConfig { contact_tokens, bot_tokens, contact_money, bot_money, .. } = &self.config;
        let (contact, bot) = (contact(turn), format!("budget/{}", turn.bot));
        let counter = |of: &str, limit: Limit, most| Counter { name: format!("{of}/{}", limit.what()), limit, most };
        [
            counter(&contact, Limit::ContactTokens, *contact_tokens),
            counter(&contact, Limit::ContactMoney, parts(*contact_money)),
            counter(&bot, Limit::BotTokens, *bot_tokens),
            counter(&bot, Limit::BotMoney, parts(*bot_money)),
        ]
    }

    /// The end of a day.
    fn midnight(&self, now: Timestamp) -> Timestamp {
        let next = now.in_zone(&self.time_zone).tomorrow().and_then(|tomorrow| tomorrow.start_of_day());
        let next = next.map_or(i64::MAX, |next| next.timestamp().as_millisecond());
        Timestamp(u64::try_from(next).unwrap_or(u64::MAX))
    }
}

/// One limit, and what it is held against.
struct Counter {
    name: String,
    limit: Limit,
    /// None, if zero.
    most: u64,
}

impl Counter {
    fn of(&self, cost: Cost) -> u64 {
        if self.limit.is_money() { cost.money } else { cost.tokens }
    }

    fn count(&self, until: Timestamp) -> Count {
        Count { name: self.name.clone(), by: 0, most: None, until }
    }
}

/// The contact whose turn it is: in a group, who wrote last.
fn contact(turn: &Turn) -> String {
    let sender = turn.newest().map(|message| contact_key(message.at.sender.as_str())).unwrap_or_default();
    format!("budget/{}/{sender}", turn.bot)
}

/// What it has cost, in units of money.
pub(super) fn money(model: &ModelConfig, used: Usage) -> f64 {
    cost(model, used).money as f64 / PARTS
}

fn cost(model: &ModelConfig, used: Usage) -> Cost {
    // Whole parts, rounded up: the limit is held against no less than what is paid.
    let money = (used.read as f64 * model.input_price + used.written as f64 * model.output_price).ceil();
    Cost { tokens: used.read.saturating_add(used.written), money: money as u64 }
}

fn parts(money: f64) -> u64 {
    (money * PARTS) as u64
}

fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}
