//! How often an upstream takes a message.

use std::time::Duration;

/// How often an upstream takes a message. What is over that it refuses, so the core does not send it before its time.
///
/// Messages alone count: no read receipt, no indicator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SendLimits {
    /// From the bot's number, over all chats. All of them hold.
    pub number: Vec<Rate>,
    /// From the bot's number into one chat. All of them hold.
    pub pair: Vec<Rate>,
}

/// So many messages in so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// At most `most` in any stretch of `per`.
    Window {
        /// How many.
        most: u32,
        /// In how long.
        per: Duration,
    },
    /// One in `every`, and up to `burst` at once: what is sent ahead of its time has to be made up for by silence.
    Bucket {
        /// How long one takes.
        every: Duration,
        /// How many at once.
        burst: u32,
    },
}

impl Rate {
    /// At most `most` in any stretch of `per`; none if either is zero, which stands for "no limit" in a configuration.
    pub fn window(most: u32, per: Duration) -> Option<Self> {
        (most > 0 && !per.is_zero()).then_some(Self::Window { most, per })
    }

    /// One in `every`, with up to `burst` at once; none if `every` is zero.
    pub fn bucket(every: Duration, burst: u32) -> Option<Self> {
        (!every.is_zero()).then_some(Self::Bucket { every, burst: burst.max(1) })
    }

    /// After how long of silence nothing of it is used up any longer.
    pub fn memory(&self) -> Duration {
        match *self {
            Self::Window { per, .. } => per,
            Self::Bucket { every, burst } => every.saturating_mul(burst),
        }
    }

    /// How many messages use it up.
    pub fn at_once(&self) -> u32 {
        match *self {
            Self::Window { most, .. } => most,
            Self::Bucket { burst, .. } => burst,
        }
    }
}
