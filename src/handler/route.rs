//! Several handlers for one bot: the first route that fits a turn says which of them answers it.

mod when;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tracing::debug;
use unicode_segmentation::UnicodeSegmentation;

use super::{Handler, HandlerError, Turn};
use crate::message::{Content, ContentKind, Reply};
pub use when::{Day, Hours};

/// When which handler answers. One entry of a bot's `routes`; the first that fits is taken.
///
/// Of the conditions that are given all have to hold; of what stands in one of them, any. A turn that answers several
/// messages has what any of them has.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RouteConfig {
    /// The handler, by its name among the bot's `handlers`.
    pub handler: String,
    /// Words, or several in a row, that occur in what the customer wrote, or said in a voice note that was transcribed:
    /// whole ones, in large or small letters.
    pub words: Vec<String>,
    /// Kinds of message.
    pub kinds: Vec<ContentKind>,
    /// Identifiers of buttons and rows that were tapped. One that ends in `*` stands for all that begin like it.
    pub buttons: Vec<String>,
    /// Hours of the day, such as `"09:00-17:30"`; `"22:00-06:00"` lasts over midnight. When the turn begins counts.
    pub hours: Vec<Hours>,
    /// Days of the week.
    pub days: Vec<Day>,
    /// The time zone of hours and days, by its IANA name; UTC if none is given.
    pub time_zone: Option<String>,
    /// So many of a hundred customers: always the same ones.
    pub percent: Option<u8>,
}

/// Which handler answers: a handler itself.
pub struct Router {
    routes: Vec<Route>,
    otherwise: Arc<dyn Handler>,
}

/// A route, ready to be tried.
pub struct Route {
    config: RouteConfig,
    /// In small letters, each word by word.
    words: Vec<Vec<String>>,
    time_zone: TimeZone,
    handler: Arc<dyn Handler>,
}

impl Route {
    /// A route to this handler.
    ///
    /// # Errors
    /// What cannot be used of it: the setting, and what to do.
    pub fn new(config: RouteConfig, handler: Arc<dyn Handler>) -> Result<Self, Vec<(&'static str, String)>> {
        let mut problems = Vec::new();
        let zone = config.time_zone.as_deref().unwrap_or("UTC");
        let time_zone = TimeZone::get(zone).unwrap_or_else(|_| {
            problems
                .push(("time_zone", format!("`{zone}` is no time zone: write an IANA name such as \"Europe/Berlin\"")));
            TimeZone::UTC
        });
        if config.percent.is_some_and(|percent| percent > 100) {
            problems.push(("percent", "is more than all of them: 100 at the most".into()));
        }
        let words: Vec<Vec<String>> = config.words.iter().map(|words| words_of(words)).collect();
        if words.iter().any(Vec::is_empty) {
            problems.push(("words", "holds an entry without a word: remove it".into()));
        }
        if problems.is_empty() { Ok(Self { config, words, time_zone, handler }) } else { Err(problems) }
    }

    fn fits(&self, turn: &Turn) -> bool {
        let RouteConfig { kinds, buttons, hours, days, percent, .. } = &self.config;
        let holds = |list_is_empty: bool, any: &dyn Fn() -> bool| list_is_empty || any();
        let now = || turn.now.in_zone(&self.time_zone);
        holds(kinds.is_empty(), &|| turn.messages.iter().any(|message| kinds.contains(&message.content.kind())))
            && holds(buttons.is_empty(), &|| turn.messages.iter().any(|message| is_tapped(buttons, &message.content)))
            && holds(self.words.is_empty(), &|| {
                turn.messages.iter().flat_map(|message| message.content.written_and_said()).any(|text| {
                    let text = words_of(text);
                    self.words.iter().any(|words| text.windows(words.len()).any(|window| window == words))
                })
            })
            && holds(hours.is_empty(), &|| hours.iter().any(|hours| hours.contain(&now())))
            && holds(days.is_empty(), &|| days.iter().any(|day| day.is(&now())))
            && percent.is_none_or(|percent| share(turn) < percent)
    }
}

impl Router {
    /// The first of `routes` that fits; else `otherwise`.
    pub fn new(routes: Vec<Route>, otherwise: Arc<dyn Handler>) -> Self {
        Self { routes, otherwise }
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Router({} routes)", self.routes.len())
    }
}

#[async_trait]
impl Handler for Router {
    fn start(&self) {
        self.routes.iter().for_each(|route| route.handler.start());
        self.otherwise.start();
    }

    async fn reply(&self, turn: &Turn) -> Result<Reply, HandlerError> {
        match self.routes.iter().enumerate().find(|(_, route)| route.fits(turn)) {
            Some((number, route)) => {
                debug!(route.number = number, route.handler = route.config.handler, "routed");
                route.handler.reply(turn).await
            }
            None => self.otherwise.reply(turn).await,
        }
    }
}

fn words_of(text: &str) -> Vec<String> {
    text.unicode_words().map(str::to_lowercase).collect()
}

fn is_tapped(buttons: &[String], content: &Content) -> bool {
    let Content::Choice { id, .. } = content else { return false };
    buttons.iter().any(|button| match button.strip_suffix('*') {
        Some(beginning) => id.starts_with(beginning),
        None => id == button,
    })
}

/// Where among a hundred a customer stands: always at the same place with the same bot.
fn share(turn: &Turn) -> u8 {
    let sender = turn.newest().map(|message| message.at.sender.as_str()).unwrap_or_default();
    let hash = Sha256::new().chain_update(turn.bot.as_str()).chain_update([0]).chain_update(sender).finalize();
    let number = u16::from_be_bytes([hash[0], hash[1]]);
    // 65,536 is no multiple of 100, and nobody can tell.
    u8::try_from(number % 100).unwrap_or_default()
}
