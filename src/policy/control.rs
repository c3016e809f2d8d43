//! Control words: what a customer says to the bot itself, and not to its handler.
//!
//! They do not queue. A word that comes while a handler is at work cancels it, and one that comes while a reply waits
//! to be sent calls the rest of that off. Whatever had come before the word in its conversation ends with it.

mod languages;
mod plain;

use serde::{Deserialize, Serialize};

use crate::message::{Content, Inbound, OptOutWords};
pub use languages::Language;
use plain::plain;

/// Which words a bot obeys. The `control` table of a bot's configuration.
///
/// A message is such a word if it says nothing else. Capital letters, accents, spaces, and marks around it and in it
/// (`/stop`, "Stop!", `opt-out` for "opt out", `desabonner` for "désabonner") do not matter. A tap on a button counts
/// by what the button said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ControlConfig {
    /// Words that stop what the bot is about to say.
    pub stop: Vec<String>,
    /// What the customer is told then; nothing if empty.
    pub stop_reply: String,
    /// Words that ask for a person: the bot keeps silent from then on, as its `people` table says.
    pub human: Vec<String>,
    /// What the customer is told then; nothing if empty.
    pub human_reply: String,
    /// Words by which somebody opts out: they stop what the bot is about to say, and nothing is sent to that person
    /// unasked from then on. What they ask is answered all the same. Before them all other words come to nothing.
    pub opt_out: Vec<String>,
    /// What the customer is told then; nothing if empty.
    pub opt_out_reply: String,
    /// Words by which somebody opts in again.
    pub opt_in: Vec<String>,
    /// What the customer is told then; nothing if empty.
    pub opt_in_reply: String,
    /// Languages whose usual words count besides those, such as "stop" and "unsubscribe".
    pub opt_out_languages: Vec<Language>,
}

impl ControlConfig {
    /// The lists, by the names of their settings, that hold something that cannot be a control word.
    pub fn unusable(&self) -> impl Iterator<Item = &'static str> {
        let lists =
            [("stop", &self.stop), ("human", &self.human), ("opt_out", &self.opt_out), ("opt_in", &self.opt_in)];
        lists.into_iter().filter(|(_, words)| words.iter().any(|word| plain(word).is_empty())).map(|(name, _)| name)
    }
}

impl Default for ControlConfig {
    fn default() -> Self {
        Self {
            stop: vec!["stop".into()],
            stop_reply: String::new(),
            human: Vec::new(),
            human_reply: String::new(),
            opt_out: Vec::new(),
            opt_out_reply: String::new(),
            opt_in: Vec::new(),
            opt_in_reply: String::new(),
            opt_out_languages: Vec::new(),
        }
    }
}

/// What is longer, in bytes, is more than a word: most messages need not be looked at letter by letter.
const LONGEST: usize = 1024;

/// What a customer wants of the bot itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlCommand {
    /// To say no more.
    Stop,
    /// To let a person answer.
    Human,
    /// To send nothing unasked.
    OptOut,
    /// To send things unasked again.
    OptIn,
}

impl ControlCommand {
    /// What it is called in logs.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Stop => "stopped by the customer",
            Self::Human => "handed over: the customer asked for a person",
            Self::OptOut => "the customer has opted out",
            Self::OptIn => "the customer has opted in",
        }
    }
}

/// The control words of one bot.
#[derive(Clone, Debug)]
pub struct Controls {
    config: ControlConfig,
    /// In the form in which they are compared.
    words: Vec<(String, ControlCommand)>,
    /// The upstream's own.
    upstream: OptOutWords,
}

impl Controls {
    /// The words that `config` names.
    pub fn new(config: ControlConfig) -> Self {
        let words = |list: &[String], order| list.iter().map(|word| (plain(word), order)).collect::<Vec<_>>();
        let usual = |words: fn(Language) -> &'static [&'static str]| -> Vec<String> {
            config.opt_out_languages.iter().flat_map(|language| words(*language)).map(|word| (*word).into()).collect()
        };
        // The first that fits counts: an opt-out stops the bot as well.
        let mut words = [
            words(&config.opt_out, ControlCommand::OptOut),
            words(&usual(Language::opt_out), ControlCommand::OptOut),
            words(&config.opt_in, ControlCommand::OptIn),
            words(&usual(Language::opt_in), ControlCommand::OptIn),
            words(&config.stop, ControlCommand::Stop),
            words(&config.human, ControlCommand::Human),
        ]
        .concat();
        // It would be found in whatever has neither letters nor digits.
        words.retain(|(word, _)| !word.is_empty());
        Self { config, words, upstream: OptOutWords::NONE }
    }

    /// The same, and those by which the upstream itself takes somebody for opted out. They come before all others.
    pub fn and_of_upstream(self, upstream: OptOutWords) -> Self {
        Self { upstream, ..self }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty() && self.upstream == OptOutWords::NONE
    }

    /// What a message orders, if it is a control word, of the bot's or of its upstream's.
    pub fn order(&self, message: &Inbound) -> Option<ControlCommand> {
        match &message.content {
            Content::Text { body } if !message.at.group && self.upstream.are(body) => Some(ControlCommand::OptOut),
            _ => self.own_order(message),
        }
    }

    /// What a message orders by the bot's own words.
    pub fn own_order(&self, message: &Inbound) -> Option<ControlCommand> {
        let said = match &message.content {
            Content::Text { body } => body,
            Content::Choice { title, .. } => title,
            _ => return None,
        };
        if said.len() > LONGEST {
            return None;
        }
        let said = plain(said);
        self.words.iter().find(|(word, _)| said == *word).map(|(_, order)| *order)
    }

    /// What the customer is told who has given this order; none if nothing.
    pub fn reply(&self, order: ControlCommand) -> Option<&str> {
        let words = match order {
            ControlCommand::Stop => &self.config.stop_reply,
            ControlCommand::Human => &self.config.human_reply,
            ControlCommand::OptOut => &self.config.opt_out_reply,
            ControlCommand::OptIn => &self.config.opt_in_reply,
        };
        Some(words.as_str()).filter(|words| !words.is_empty())
    }
}
