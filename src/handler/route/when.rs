//! Hours and days.

use std::fmt;
use std::str::FromStr;

use jiff::Zoned;
use jiff::civil::{Time, Weekday};
use serde::{Deserialize, Serialize};

/// A stretch of the day: from its first minute up to its last, without that one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hours {
    from: Time,
    to: Time,
}

impl Hours {
    /// Whether a moment lies in them.
    pub(super) fn contain(&self, moment: &Zoned) -> bool {
        let time = moment.time();
        if self.from <= self.to { self.from <= time && time < self.to } else { self.from <= time || time < self.to }
    }
}

impl FromStr for Hours {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "is not of the form \"09:00-17:30\"";
        let (from, to) = text.split_once('-').ok_or(FORM)?;
        let time = |text: &str| {
            let (hour, minute) = text.trim().split_once(':').ok_or(FORM)?;
            // Until midnight is until the day's first moment, seen from the day before.
            let hour = hour.parse::<i8>().map_err(|_| FORM)?;
            let hour = if (hour, minute) == (24, "00") { 0 } else { hour };
            let minute = minute.parse::<i8>().map_err(|_| FORM)?;
            Time::new(hour, minute, 0, 0).map_err(|_| FORM)
        };
        let (from, to) = (time(from)?, time(to)?);
        if from == to { Err("is no stretch of time: its ends are the same") } else { Ok(Self { from, to }) }
    }
}

impl TryFrom<String> for Hours {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Hours> for String {
    fn from(hours: Hours) -> Self {
        hours.to_string()
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to } = self;
        write!(f, "{:02}:{:02}-{:02}:{:02}", from.hour(), from.minute(), to.hour(), to.minute())
    }
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

impl Day {
    /// Whether a moment lies in it.
    pub(super) fn is(self, moment: &Zoned) -> bool {
        let day = match moment.weekday() {
            Weekday::Monday => Self::Mon,
            Weekday::Tuesday => Self::Tue,
            Weekday::Wednesday => Self::Wed,
            Weekday::Thursday => Self::Thu,
            Weekday::Friday => Self::Fri,
            Weekday::Saturday => Self::Sat,
            Weekday::Sunday => Self::Sun,
        };
        self == day
    }
}
