//! Bodies that have not arrived yet, and which of them give way to others.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Bodies;

/// A body that has been read for so long, and has not ended, is slow; for each MiB that it holds it has one more
/// second.
const SLOW: Duration = Duration::from_millis(500);
const BYTES_IN_A_MILLISECOND: u64 = 1 << 10;

/// How often it is looked for bodies that give way.
const PAUSE: Duration = Duration::from_millis(20);

/// A half of the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Half {
    /// For the first bytes of every body.
    Small,
    /// For what is longer.
    Large,
}

/// A body on its way.
pub(super) struct SlowBody {
    peer: Option<IpAddr>,
    bodies: Option<Bodies>,
    cut: CancellationToken,
    /// Since when it is read.
    began: Instant,
    /// Since when it waits for room, which is no fault of its sender's.
    waits: Option<Instant>,
    small: u64,
    large: u64,
    /// How much of the large half it will come to; none if it has not been let in there.
    whole: Option<u64>,
    /// What it waits to be let in with.
    wants: Option<u64>,
}

/// All of them, in the order in which they began.
#[derive(Default)]
pub(super) struct SlowBodies {
    next: u64,
    bodies: BTreeMap<u64, SlowBody>,
    /// Those that were let into the large half, and those that wait for that.
    long: BTreeSet<u64>,
    /// When it was looked for bodies that give way.
    looked: Option<Instant>,
}

impl SlowBody {
    pub(super) fn new(peer: Option<IpAddr>, bodies: Option<Bodies>, cut: CancellationToken) -> Self {
        let (peer, began) = (peer.map(one_peer), Instant::now());
        Self { peer, bodies, cut, began, waits: None, small: 0, large: 0, whole: None, wants: None }
    }

    fn is_slow(&self) -> bool {
        let has = SLOW + Duration::from_millis((self.small + self.large) / BYTES_IN_A_MILLISECOND);
        self.waits.is_none() && self.began.elapsed() >= has && !self.cut.is_cancelled()
    }

    fn held(&self, half: Half) -> u64 {
        match half {
            Half::Small => self.small,
            Half::Large => self.large,
        }
    }

    /// What is still to come to the large half; whoever is slow has no claim to it.
    fn expected(&self) -> u64 {
        match self.whole {
            Some(whole) if !self.is_slow() && !self.cut.is_cancelled() => whole.saturating_sub(self.large),
            _ => 0,
        }
    }

    fn is_of(&self, bodies: &Bodies) -> bool {
        self.bodies.as_ref().is_some_and(|other| other.is(bodies))
    }
}

impl SlowBodies {
    pub(super) fn enter(&mut self, body: SlowBody) -> u64 {
        self.next += 1;
        self.bodies.insert(self.next, body);
        self.next
    }

    pub(super) fn leave(&mut self, number: u64) {
        self.bodies.remove(&number);
        self.long.remove(&number);
    }

    pub(super) fn holds(&mut self, number: u64, half: Half, bytes: u64) {
        if let Some(body) = self.bodies.get_mut(&number) {
            match half {
                Half::Small => body.small = bytes,
                Half::Large => body.large = bytes,
            }
        }
    }

    pub(super) fn waits(&mut self, number: u64, waits: bool) {
        let Some(body) = self.bodies.get_mut(&number) else { return };
        let now = Instant::now();
        match (waits, body.waits.take()) {
            (true, _) => body.waits = Some(now),
            (false, Some(since)) => body.began += now - since,
            (false, None) => {}
        }
        if !waits {
            body.wants = None;
        }
    }

    /// What is still to come to the large half, of one bot's or of all.
    pub(super) fn expected(&self, of: Option<&Bodies>) -> u64 {
        let long = self.long.iter().filter_map(|number| self.bodies.get(number));
        let bodies = long.filter(|body| of.is_none_or(|of| body.is_of(of)));
        bodies.map(SlowBody::expected).sum()
    }

    /// Lets a body into the large half, of which so much is `left`, if the `whole` of it fits besides what those are
    /// expected to come to that were let in, and no newer one waits that fits. `fair` says whether a bot may take so
    /// much
    /// more, that has so much more to come, where so much is left.
    pub(super) fn admit(
        &mut self,
        number: u64,
        whole: u64,
        left: u64,
        fair: impl Fn(&Bodies, u64, u64, u64) -> bool,
    ) -> bool {
        let left = left.saturating_sub(self.expected(None));
        let fits = |body: &SlowBody, whole: u64| {
            let is_fair = |bodies: &Bodies| fair(bodies, self.expected(Some(bodies)), whole, left);
            whole <= left && body.bodies.as_ref().is_none_or(is_fair)
        };
        let newer = self.long.range(number + 1..).rev().filter_map(|number| self.bodies.get(number));
        let newer = newer.filter_map(|body| Some((body, body.wants?)));
        let may = self.bodies.get(&number).is_some_and(|body| fits(body, whole))
            && !newer.into_iter().any(|(body, wants)| fits(body, wants));
        if let Some(body) = self.bodies.get_mut(&number) {
            (body.whole, body.wants) = if may { (Some(whole), None) } else { (None, Some(whole)) };
            self.long.insert(number);
        }
        may
    }

    /// Has slow bodies give way to one that waits for some of a half, where so much is missing there: `bytes` of
    /// them, of
    /// the peer that holds the most in them, the oldest first. One that waits only for its own bot to hold less has no
    /// other bot's give way.
    pub(super) fn make_way(&mut self, number: u64, half: Half, bytes: u64, missing: u64) {
        let now = Instant::now();
        if self.looked.is_some_and(|looked| now.duration_since(looked) < PAUSE) {
            return;
        }
        self.looked = Some(now);
        let Some(waiting) = self.bodies.get(&number) else { return };
        let whose = waiting.bodies.as_ref().filter(|_| missing == 0);
        let mine = |body: &&SlowBody| whose.is_none_or(|whose| body.is_of(whose));
        let holding = || self.bodies.values().filter(|body| body.held(half) > 0).filter(mine);
        // What was told to is on its way out.
        let leaving: u64 = holding().filter(|body| body.cut.is_cancelled()).map(|body| body.held(half)).sum();
        let Some(wanted) = bytes.max(missing).checked_sub(leaving).filter(|wanted| *wanted > 0) else { return };
        let mut of_peers: HashMap<Option<IpAddr>, u64> = HashMap::new();
        for body in holding().filter(|body| body.is_slow()) {
            *of_peers.entry(body.peer).or_default() += body.held(half);
        }
        let Some((peer, _)) = of_peers.into_iter().max_by_key(|(_, held)| *held) else { return };
        let mut freed = 0;
        for body in holding().filter(|body| body.peer == peer && body.is_slow()) {
            if freed >= wanted {
                break;
            }
            freed += body.held(half);
            body.cut.cancel();
        }
    }

    /// Cuts the oldest slow bodies of a body's peer for as long as they hold more than `most` bytes.
    pub(super) fn bound_peer(&self, number: u64, most: u64) {
        let Some(body) = self.bodies.get(&number).filter(|body| body.is_slow()) else { return };
        let slow = || self.bodies.values().filter(|other| other.peer == body.peer && other.is_slow());
        let mut held: u64 = slow().map(|body| body.small + body.large).sum();
        for body in slow() {
            if held <= most {
                break;
            }
            body.cut.cancel();
            held -= body.small + body.large;
        }
    }
}

/// What counts as one peer: of an IPv6 address its network, which belongs to one customer.
fn one_peer(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address => address,
    }
}
