//! How often WhatsApp's Cloud API takes a message (Meta's pages on throughput and on pair rate limits).

use std::time::Duration;

use crate::provider::{Rate, Resolve, SendLimits};

/// So many messages go from a number in a second, before Meta raises it by itself; coming in or going out.
pub(crate) const PER_SECOND: u32 = 80;
/// From a number to one customer one message goes in this time.
pub(crate) const PAIR_EVERY: Duration = Duration::from_secs(6);
/// And so many ahead of their time.
pub(crate) const PAIR_BURST: u32 = 45;

/// The limits of a number.
pub(crate) fn sends(per_second: u32, pair_every: Duration, pair_burst: u32) -> SendLimits {
    SendLimits {
        number: Rate::window(per_second, Duration::from_secs(1)).into_iter().collect(),
        pair: Rate::bucket(pair_every, pair_burst).into_iter().collect(),
    }
}

/// Notes a burst that would let nothing through.
pub(crate) fn require_burst(resolve: &mut Resolve<'_>, burst: u32) {
    resolve.require(burst > 0, "pair_burst", "must be 1 or more: with pair_every = \"0s\" there is no limit");
}
