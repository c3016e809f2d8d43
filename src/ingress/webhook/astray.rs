//! Webhooks that reach no bot, or are refused: their operator is told of each kind once a minute, however many come.
//!
//! What stands in a path is a stranger's. It is shown if a bot could have it for a name, and so many kinds are told
//! apart that a stranger fills neither the memory nor the log.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use crate::message::BotName;
use crate::provider::Elsewhere;

/// How long after one line the next of its kind may follow.
const PAUSE: Duration = Duration::from_secs(60);

/// So many kinds are told apart; the others are one.
const MOST_KINDS: usize = 16;

/// A name with so many digits is not shown.
const MOST_DIGITS: usize = 7;

/// The longest name that is shown, in bytes.
const LONGEST_NAME: usize = 64;

/// What has been told lately.
#[derive(Default)]
pub(super) struct UnknownPaths {
    /// By the name in the path; none for a path that names no bot.
    unknown: Once<Option<BotName>>,
    elsewhere: Once<(BotName, Elsewhere)>,
    /// By the bot, and why.
    refused: Once<(BotName, String)>,
}

impl UnknownPaths {
    /// A webhook came to this path: there is no such bot.
    pub(super) fn nobody(&self, name: Option<&str>) {
        let name = name.filter(|name| may_be_shown(name)).map(BotName::new);
        let Some((name, times)) = self.unknown.tell(name) else { return };
        let name = match &name {
            Some(Some(name)) => name.as_str(),
            Some(None) => "a name that no bot can have",
            None => "one of many other names",
        };
        warn!(
            webhook.bot = name,
            webhook.status = 404,
            webhook.times = times,
            "a webhook came for a bot that is not there: add it to the configuration, or correct the address that its \
             provider has (…/webhooks/NAME of the bot); or somebody tries addresses"
        );
    }

    /// A webhook of a bot was refused, whoever may have sent it.
    pub(super) fn refused(&self, bot: &BotName, status: u16, why: &str) {
        let Some((kind, times)) = self.refused.tell((bot.clone(), why.to_owned())) else { return };
        match kind {
            Some(_) => warn!(
                webhook.bot = %bot,
                webhook.status = status,
                webhook.refused = why,
                webhook.times = times,
                "a webhook was refused"
            ),
            None => warn!(webhook.times = times, "webhooks of several bots were refused, for several reasons"),
        }
    }

    /// An authentic delivery to a bot is meant for another number.
    pub(super) fn other_number(&self, bot: &BotName, elsewhere: Elsewhere) {
        let Some((kind, times)) = self.elsewhere.tell((bot.clone(), elsewhere)) else { return };
        let elsewhere = kind.map(|(_, elsewhere)| elsewhere);
        let digits = elsewhere.as_ref().and_then(|elsewhere| elsewhere.digits.as_ref());
        warn!(
            webhook.bot = %bot,
            webhook.setting = elsewhere.as_ref().map(|elsewhere| elsewhere.setting),
            webhook.theirs = digits.map(|digits| format!("…{}", digits.theirs)),
            webhook.ours = digits.map(|digits| format!("…{}", digits.ours)),
            webhook.times = times,
            "a delivery is meant for another number than this bot's, and was left out: correct that setting of the bot's \
             provider, or add a bot for that number and give its deliveries that bot's address"
        );
    }
}

/// Whether a bot could be called so: then it is not something that somebody wants in our log.
fn may_be_shown(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    // So many digits may be somebody's phone number.
    let digits = name.chars().filter(char::is_ascii_digit).count();
    (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(fits) && digits < MOST_DIGITS
}

/// Tells of each kind once in a while.
struct Once<K>(Mutex<HashMap<Option<K>, Told>>);

struct Told {
    at: Instant,
    /// How often it has come since.
    untold: u64,
}

impl<K> Default for Once<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash + Clone> Once<K> {
    /// Whether it is time to tell of this kind, and how often it has come since it was told last, this time included.
    /// The inner none is all the kinds that are too many.
    fn tell(&self, kind: K) -> Option<(Option<K>, u64)> {
        let (mut all, now) = (self.0.lock().unwrap_or_else(PoisonError::into_inner), Instant::now());
        let mut kind = Some(kind);
        if !all.contains_key(&kind) && all.len() >= MOST_KINDS {
            all.retain(|kind, told| kind.is_none() || now < told.at + PAUSE);
            if all.len() >= MOST_KINDS {
                kind = None;
            }
        }
        match all.get_mut(&kind) {
            Some(told) if now < told.at + PAUSE => {
                told.untold += 1;
                None
            }
            Some(told) => {
                let times = std::mem::take(&mut told.untold) + 1;
                told.at = now;
                Some((kind, times))
            }
            None => {
                all.insert(kind.clone(), Told { at: now, untold: 0 });
                Some((kind, 1))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_kind_is_told_once_a_minute_with_how_often_it_came() {
        let once = Once::default();
        assert_eq!(once.tell("one"), Some((Some("one"), 1)));
        assert_eq!(once.tell("two"), Some((Some("two"), 1)));
        for _ in 0..5 {
            assert_eq!(once.tell("one"), None);
        }
        tokio::time::advance(PAUSE).await;
        assert_eq!(once.tell("one"), Some((Some("one"), 6)));
        assert_eq!(once.tell("two"), Some((Some("two"), 1)));
    }

    #[tokio::test(start_paused = true)]
    async fn many_kinds_are_one_and_take_no_more_room() {
        let once = Once::default();
        let told = (0..10_000).filter(|kind| once.tell(*kind).is_some()).count();
        assert_eq!(told, MOST_KINDS + 1);
        assert_eq!(once.0.lock().expect("nobody panics in here").len(), MOST_KINDS + 1);
        tokio::time::advance(PAUSE).await;
        assert_eq!(once.tell(20_000), Some((Some(20_000), 1)), "there is room again");
        assert_eq!(once.tell(0), Some((Some(0), 1)));
    }

    #[test]
    fn a_name_is_shown_that_a_bot_could_have() {
        for (name, shown) in [
            ("shop-2_b", true),
            ("15550100001", false),
            ("", false),
            ("Shop", false),
            ("a b", false),
            ("a\nb", false),
            ("ä", false),
        ] {
            assert_eq!(may_be_shown(name), shown, "{name}");
        }
        assert!(may_be_shown(&"a".repeat(LONGEST_NAME)) && !may_be_shown(&"a".repeat(LONGEST_NAME + 1)));
    }
}
