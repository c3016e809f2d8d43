//! How often an upstream takes a message, as it keeps to it itself: what is over that is refused.
//!
//! Only with [`SandboxSettings::limits`](super::SandboxSettings::limits).

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use super::Sandbox;
use super::fault::Failure;
use super::phone::CustomerId;
use crate::message::clock::Timestamp;

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// Meta takes so many in a second from one number.
const META_PER_SECOND: usize = 80;
/// A message to one customer is worth 6 s, and 45 such are lent.
const META_WORTH: u64 = 6 * SECOND;
const META_LENT: u64 = 45 * META_WORTH;
/// The gateway takes so many from one session.
const GATEWAY: [(usize, u64); 2] = [(20, MINUTE), (200, HOUR)];

/// What has been sent lately.
#[derive(Default)]
pub(super) struct Limits(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    /// By the whole number, oldest first.
    number: VecDeque<Timestamp>,
    /// What each customer's messages have borrowed, in milliseconds, and when that was.
    borrowed: HashMap<CustomerId, (u64, Timestamp)>,
}

impl Sandbox {
    /// Meta's word on one more message to this customer: nothing, if it takes it.
    pub(super) fn meta_refuses(&self, customer: &CustomerId) -> Option<Failure> {
        if !self.settings.limits {
            return None;
        }
        let now = self.clock.now();
        let mut counts = self.limits.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Counts { number, borrowed } = &mut *counts;
        number.retain(|sent| now.0 < sent.0 + SECOND);
        if number.len() >= META_PER_SECOND {
            return Some(Failure::TooMany { retry_after: None });
        }
        let (owed, at) = borrowed.get(customer).copied().unwrap_or((0, now));
        let owed = owed.saturating_sub(now.0.saturating_sub(at.0)) + META_WORTH;
        if owed > META_LENT {
            return Some(Failure::TooManyToOne);
        }
        borrowed.insert(customer.clone(), (owed, now));
        number.push_back(now);
        None
    }

    /// In how many seconds the gateway takes one more message of its session's; none if it takes it now.
    pub(super) fn gateway_refuses(&self) -> Option<u64> {
        if !self.settings.limits {
            return None;
        }
        let now = self.clock.now();
        let mut counts = self.limits.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = &mut counts.number;
        number.retain(|sent| now.0 < sent.0 + HOUR);
        let waits = GATEWAY.iter().filter_map(|(most, stretch)| {
            let oldest = number.len().checked_sub(*most).and_then(|place| number.get(place))?;
            (oldest.0 + stretch).checked_sub(now.0).filter(|wait| *wait > 0)
        });
        let wait = waits.max().map(|wait| wait.div_ceil(SECOND));
        if wait.is_none() {
            number.push_back(now);
        }
        wait
    }
}
