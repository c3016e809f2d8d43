//! The labels: words that the source has, and the names of bots.

use std::fmt::{self, Write};

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};

use crate::message::BotName;
use crate::runtime::meters::LadderStep;

/// A set of labels that are all words.
macro_rules! words {
    ($($set:ident { $($label:ident),+ })+) => {
        $(
            #[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
            pub(super) struct $set {
                $(pub(super) $label: &'static str,)+
            }
        )+
    };
}

words! {
    Answer { provider, answer }
    Came { provider, what }
    Gate { gate }
    Outcome { outcome }
    Why { why }
    Result { result }
    Call { provider, call, result }
    Limit { limit }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct BotLabel {
    bot: NameLabel,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct TurnOf {
    pub(super) bot: NameLabel,
    pub(super) outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Direction {
    pub(super) bot: NameLabel,
    pub(super) direction: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct StepLabel {
    pub(super) step: LadderLabel,
    pub(super) cause: &'static str,
}

impl BotLabel {
    pub(super) fn new(bot: &BotName) -> Self {
        Self { bot: bot.into() }
    }
}

/// A bot's name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct NameLabel(BotName);

impl From<&BotName> for NameLabel {
    fn from(bot: &BotName) -> Self {
        Self(bot.clone())
    }
}

impl EncodeLabelValue for NameLabel {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        encoder.write_str(self.0.as_str())
    }
}

/// A step's place on the ladder.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct LadderLabel(LadderStep);

impl From<LadderStep> for LadderLabel {
    fn from(step: LadderStep) -> Self {
        Self(step)
    }
}

impl EncodeLabelValue for LadderLabel {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        match self.0 {
            LadderStep::Model(0) => encoder.write_str("model"),
            LadderStep::Model(number) => write!(encoder, "fallback_{number}"),
            LadderStep::Canned => encoder.write_str("canned_reply"),
            LadderStep::Human => encoder.write_str("human"),
        }
    }
}
