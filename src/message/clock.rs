//! The time of day, and one place to read it.
//!
//! Lifetimes, back-offs and windows run on [`Clock`], so that a test which pauses tokio's clock pauses all of them.

use std::pin::pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Zoned;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};

/// Milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// From the whole seconds that most upstreams send.
    pub fn from_secs(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// How long ago `earlier` was; zero if it lies in the future.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// The date and time in UTC as RFC 3339 writes them, to the second.
    pub fn to_utc(self) -> String {
        let seconds = i64::try_from(self.0 / 1000).unwrap_or(i64::MAX);
        jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX).to_string()
    }

    /// This moment as a clock on a wall in `time_zone` shows it.
    pub fn in_zone(self, time_zone: &TimeZone) -> Zoned {
        let time = i64::try_from(self.0).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
        time.unwrap_or_default().to_zoned(time_zone.clone())
    }

    /// This moment, `later` on.
    pub fn plus(self, later: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(later.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// Where the time comes from.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    /// The machine's clock: right across a laptop's sleep and a corrected clock.
    System,
    /// Starts at a given time and moves with tokio's clock, which a test can pause.
    Tokio {
        /// What the clock showed at `started`.
        epoch: Timestamp,
        /// The moment it was started.
        started: Instant,
    },
    /// Like that one, and somebody sets it, as an operator or a time server sets the machine's: for tests.
    Set {
        /// What the clock showed at `started`, unless somebody had set it.
        epoch: Timestamp,
        /// The moment it was started.
        started: Instant,
        /// By how many milliseconds it was set forward, or back.
        by: &'static AtomicI64,
    },
}

impl Clock {
    /// A clock that starts now and then follows tokio's.
    pub fn tokio() -> Self {
        Self::Tokio { epoch: system_now(), started: Instant::now() }
    }

    /// A clock that starts now, follows tokio's, and can be set by so many milliseconds.
    pub fn that_can_be_set() -> (Self, &'static AtomicI64) {
        let by: &'static AtomicI64 = Box::leak(Box::default());
        (Self::Set { epoch: system_now(), started: Instant::now(), by }, by)
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => system_now(),
            Self::Tokio { epoch, started } => epoch.plus(started.elapsed()),
            Self::Set { epoch, started, by } => {
                Timestamp(epoch.plus(started.elapsed()).0.saturating_add_signed(by.load(Ordering::SeqCst)))
            }
        }
    }

    /// Sleeps until `at`; returns at once if that has passed.
    pub async fn sleep_until(&self, at: Timestamp) {
        tokio::time::sleep(at.since(self.now())).await;
    }
}

/// A timer that fires so long after its time did not run: the process stood still.
const STALLED: Duration = Duration::from_secs(1);
/// What has come meanwhile has so long to be noticed.
const COMING_TO: Duration = Duration::from_secs(5);

/// Waits for `future`, for `limit` at the most. If the process as a whole stood still meanwhile (stopped, or starved),
/// the answer may have come and waits to be read: then it has a moment more.
///
/// # Errors
/// When the time is over.
pub async fn timeout_awake<F: Future>(limit: Duration, future: F) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    let mut due = Instant::now() + limit;
    loop {
        let late = match timeout_at(due, &mut future).await {
            Ok(output) => return Ok(output),
            Err(elapsed) if due.elapsed() < STALLED => return Err(elapsed),
            Err(_) => limit.min(COMING_TO),
        };
        due = Instant::now() + late;
    }
}

fn system_now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}

/// Reads and writes a [`Duration`] as people write it in a configuration: `"500ms"`, `"26s"`, `"10m"`, `"1h 30m"`,
/// `"90d"`. A day is 24 hours.
///
/// For `#[serde(with = "crate::message::clock::in_words")]`.
pub mod in_words {
    use std::time::Duration;

    use jiff::{SignedDuration, Span, SpanRelativeTo};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Reads a duration.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        // What stands there is not quoted: it may be a secret that was put in the wrong place.
        let wrong = || D::Error::custom("is no duration: write for example \"26s\" or \"10m\"");
        let text = String::deserialize(deserializer).map_err(|_| wrong())?;
        let span = text.parse::<Span>().map_err(|_| wrong())?;
        // How long a month or a year is depends on when it begins: neither is taken.
        let span = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
        Duration::try_from(span).map_err(|_| wrong())
    }

    /// Writes a duration.
    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        let span = SignedDuration::try_from(*duration).unwrap_or(SignedDuration::MAX);
        serializer.collect_str(&format_args!("{span:#}"))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::oneshot;
    use tokio::time::{Instant, advance, sleep};

    use super::timeout_awake;

    const LIMIT: Duration = Duration::from_secs(20);

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_came_while_the_process_stood_still_is_noticed() {
        let (answer, answered) = oneshot::channel();
        let waiting = tokio::spawn(timeout_awake(LIMIT, answered));
        sleep(Duration::from_secs(5)).await;
        advance(Duration::from_mins(10)).await;
        // Whoever reads it comes to a moment later, too.
        sleep(Duration::from_secs(1)).await;
        assert!(answer.send("here").is_ok());
        assert_eq!(waiting.await.ok().and_then(Result::ok), Some(Ok("here")));
    }

    #[tokio::test(start_paused = true)]
    async fn no_answer_is_waited_for_any_longer_than_its_time_and_a_moment() {
        let began = Instant::now();
        assert!(timeout_awake(LIMIT, std::future::pending::<()>()).await.is_err());
        assert_eq!(began.elapsed(), LIMIT);
        let waiting = tokio::spawn(timeout_awake(LIMIT, std::future::pending::<()>()));
        sleep(Duration::from_secs(5)).await;
        advance(Duration::from_mins(10)).await;
        assert!(waiting.await.is_ok_and(|ended| ended.is_err()));
        assert_eq!(began.elapsed(), Duration::from_secs(20 + 5 + 600 + 5));
    }
}
