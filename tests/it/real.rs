//! The real thing: the binary as a child process, on a real socket, with a sandbox and a language model on another.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

pub(crate) mod account;
pub(crate) mod binary;
pub(crate) mod load;
pub(crate) mod model;
pub(crate) mod operator;
pub(crate) mod upstream;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long anything may take that does happen in the end, on the slowest machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Numbers that look like chance, and are the same for the same seed.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A seed out of the environment, or out of the clock. Prints it: with it a run can be repeated, though not to
    /// the microsecond.
    pub(crate) fn seeded() -> (Self, u64) {
        let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let seed = std::env::var("SEED").map_or(u64::try_from(clock).unwrap(), |seed| seed.parse().unwrap());
        println!("SEED={seed}");
        (Self::new(seed), seed)
    }

    /// One of the numbers from 0 to `most`.
    pub(crate) fn up_to(&mut self, most: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % (most + 1)
    }

    pub(crate) fn millis(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.up_to(most - least))
    }
}

/// Waits until `holds` does; says `what` it waited for if that never comes.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
