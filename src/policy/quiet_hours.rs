//! Quiet hours: the time of day in which a bot answers nobody.

use std::sync::Arc;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Span, Zoned};
use minijinja::context;
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::message::Inbound;
use crate::message::clock::Timestamp;
use crate::runtime::templates::Templates;

/// When a bot is quiet. The `quiet` table of a bot's configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QuietConfig {
    /// When it begins, by the clock on the wall, such as `22:00`. Empty, as is `to`: never.
    pub from: String,
    /// When it ends, on the next day if that is earlier.
    pub to: String,
    /// Where that clock hangs: an IANA name such as `Europe/Berlin`.
    pub time_zone: String,
    /// The template of what is said instead of an answer, once in each of those times for a conversation. If empty,
    /// messages wait until it is over, and are answered then.
    pub template: String,
}

impl Default for QuietConfig {
    fn default() -> Self {
        Self { from: String::new(), to: String::new(), time_zone: "UTC".into(), template: String::new() }
    }
}

/// A bot's quiet hours.
pub struct QuietHours {
    from: Time,
    to: Time,
    time_zone: TimeZone,
    reply: Option<(Arc<Templates>, String)>,
}

/// One stretch of quiet hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuietPeriod {
    /// When it began.
    pub began: Timestamp,
    /// When it is over.
    pub ends: Timestamp,
}

impl QuietHours {
    /// The quiet hours that `config` describes; none if there are none.
    ///
    /// # Errors
    /// The settings that make no sense, and what to do about each.
    pub fn new(config: &QuietConfig, templates: &Arc<Templates>) -> Result<Option<Self>, Vec<(String, String)>> {
        let mut problems = Vec::new();
        let mut note = |key: &str, text: &str| problems.push((key.to_owned(), text.to_owned()));
        let time_zone = TimeZone::get(&config.time_zone);
        if time_zone.is_err() {
            note("time_zone", "is no time zone: write an IANA name such as \"Europe/Berlin\"");
        }
        let reply = Some(&config.template).filter(|template| !template.is_empty());
        if let Some(Err(error)) = reply.map(|template| templates.render(template, context! { contact => "", to => "" }))
        {
            note("template", &error.to_string());
        }
        let [from, to] = [("from", &config.from), ("to", &config.to)].map(|(key, written)| {
            let read = Time::strptime("%H:%M", written).ok();
            if read.is_none() && !written.is_empty() {
                note(key, "is no time of day: write for example \"22:00\"");
            }
            read
        });
        match (from, to) {
            (Some(from), Some(to)) if from == to => note("to", "is when it begins: nothing would ever be quiet"),
            (Some(_), None) if config.to.is_empty() => note("to", "is missing: say when it ends"),
            (None, Some(_)) if config.from.is_empty() => note("from", "is missing: say when it begins"),
            _ => {}
        }
        match (from, to, time_zone) {
            _ if !problems.is_empty() => Err(problems),
            (Some(from), Some(to), Ok(time_zone)) => {
                let reply = reply.map(|template| (Arc::clone(templates), template.clone()));
                Ok(Some(Self { from, to, time_zone, reply }))
            }
            _ => Ok(None),
        }
    }

    /// The quiet hours in which a time lies, if it does.
    pub fn night(&self, now: Timestamp) -> Option<QuietPeriod> {
        let now = now.in_zone(&self.time_zone);
        let (today, time) = (now.date(), now.time());
        let (day, over_midnight) = (Span::new().days(1), self.from > self.to);
        let (began, ends) = match (over_midnight, time >= self.from, time < self.to) {
            (false, true, true) => (today, today),
            (true, true, _) => (today, today.checked_add(day).ok()?),
            (true, _, true) => (today.checked_sub(day).ok()?, today),
            _ => return None,
        };
        let at = |day: jiff::civil::Date, time: Time| {
            timestamp(&day.to_datetime(time).to_zoned(self.time_zone.clone()).ok()?)
        };
        Some(QuietPeriod { began: at(began, self.from)?, ends: at(ends, self.to)? })
    }

    /// What is said instead of an answer to `message`; none if it waits.
    pub fn words(&self, message: &Inbound) -> Option<String> {
        let (templates, template) = self.reply.as_ref()?;
        let (contact, to) =
            (message.contact.name.as_deref().unwrap_or_default(), self.to.strftime("%H:%M").to_string());
        let words = templates.render(template, context! { contact, to });
        words.inspect_err(|error| warn!(%error, "no reply in quiet hours")).ok().filter(|words| !words.is_empty())
    }
}

fn timestamp(zoned: &Zoned) -> Option<Timestamp> {
    u64::try_from(zoned.timestamp().as_millisecond()).ok().map(Timestamp)
}
