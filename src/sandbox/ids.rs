//! Identifiers that look like the upstream's and repeat with the seed.

use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::message::MessageId;

/// Gives out identifiers, none of them twice.
pub(super) struct Ids {
    seed: u64,
    given: AtomicU64,
}

impl Ids {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, given: AtomicU64::new(0) }
    }

    /// A message id: `wamid.` and base64, padding and all.
    pub(super) fn message(&self) -> MessageId {
        let mut bytes = Vec::with_capacity(25);
        // The real ones begin with these bytes too; then the count, which makes them differ, then noise.
        bytes.extend_from_slice(&[0x1d, 0x05]);
        let count = self.next();
        bytes.extend_from_slice(&count.to_be_bytes()[4..]);
        for word in 0..2 {
            bytes.extend_from_slice(&mix(self.seed ^ mix(count.wrapping_mul(2) + word)).to_be_bytes());
        }
        MessageId::new(format!("wamid.{}", STANDARD.encode(bytes)))
    }

    /// A UUID of the sort that is random.
    pub(super) fn uuid(&self) -> String {
        let count = self.next();
        let high = mix(self.seed ^ mix(count.wrapping_mul(2)));
        let low = mix(self.seed ^ mix(count.wrapping_mul(2) + 1));
        let (high, low) = (high & !0xf000 | 0x4000, low >> 2 | 1 << 63);
        let (low_high, low_low) = (low >> 48, low & 0xffff_ffff_ffff);
        format!("{:08x}-{:04x}-{:04x}-{low_high:04x}-{low_low:012x}", high >> 32, high >> 16 & 0xffff, high & 0xffff)
    }

    /// The id of a medium: digits.
    pub(super) fn medium(&self) -> String {
        let count = self.next();
        format!("{}{count:06}", 1_000_000_000 + mix(self.seed ^ count) % 9_000_000_000)
    }

    /// A word that cannot be guessed from the others, for addresses and traces.
    pub(super) fn token(&self) -> String {
        let count = self.next();
        format!("{:016x}{count:x}", mix(self.seed ^ mix(count)))
    }

    fn next(&self) -> u64 {
        self.given.fetch_add(1, Ordering::Relaxed)
    }
}

/// One step of splitmix64: a bijection that spreads neighbouring numbers far apart.
pub(super) fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
