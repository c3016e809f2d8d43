//! How many bytes of bodies are in memory at the same time, from their first byte to their answer.
//!
//! One half of the memory is for the first 64 KiB of every body, which nearly all deliveries fit into; the other is for
//! what is longer. So those who send much keep out one another and not the others. A quarter of the first half is for
//! bodies that are complete: they are handled at once, and whoever begins and does not end keeps none of them out.
//!
//! What a sender says of a body's length reserves nothing: room is made for what has arrived, twice as much at the
//! most.
//! Where there is none left, bodies that have been on their way for half a second give way, and of those first the ones
//! of the peer that holds the most in such bodies: a delivery of an upstream is here by then, also one that comes
//! through a proxy, as all others may. Whoever is cut off is told so, and an upstream delivers again.

mod slow;

use std::cell::Cell;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::StreamExt;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::BODY_LIMIT;
use crate::runtime::budget::{Bell, MemoryBudget, MemoryUse, Share};
use crate::runtime::hosting::leaves_enough;
use slow::{Half, SlowBodies, SlowBody};

/// How much of a body is out of the half that is for everybody, in bytes.
const SMALL: usize = 64 << 10;

/// What of that half is for complete bodies, as a part of it.
const FOR_COMPLETE: u64 = 4;

/// So long a body is read, up to [`SMALL`] bytes of it, before room is asked for: most are complete by then. What
/// comes in
/// such a moment is no more than the network carries in it.
const MOMENT: Duration = Duration::from_millis(20);

/// A request takes no less than this, whatever the length of its body: its head and its connection's buffers, in bytes.
const REQUEST: usize = 4 << 10;

/// For how many bytes room is made at first, and then; past that for twice as many each time.
const STEPS: [usize; 4] = [1 << 10, REQUEST, 16 << 10, SMALL];

/// How long a request waits for room. Longer than a burst takes to be handled, and short of what an upstream waits for.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often whoever waits looks whether somebody has become slow.
const GLANCE: Duration = Duration::from_millis(50);

/// How much gives way at once, as a part of a half: others wait, too.
const AT_ONCE: u64 = 8;

/// How long nothing of a body may come, whatever its own time.
const STALL: Duration = Duration::from_secs(5);

/// How many requests wait for room. A connection that nobody reads from may hold 160 KiB in its server's buffers.
const MOST_WAITING: usize = 256;

/// What one peer's slow bodies may hold, as a part of the memory: a quarter.
const PEERS_PART: u64 = 4;

/// The memory for bodies.
pub(super) struct Intake {
    small: MemoryBudget,
    large: MemoryBudget,
    half: u64,
    waiting: Semaphore,
    /// For those whose bodies are complete.
    waiting_complete: Semaphore,
    unfinished: Mutex<SlowBodies>,
}

/// How much of the memory for bodies one bot's take.
#[derive(Clone, Debug, Default)]
pub struct Bodies {
    small: MemoryUse,
    large: MemoryUse,
}

/// What one body takes. Dropped, it is given back.
pub(super) struct BodyAllowance<'a> {
    intake: &'a Intake,
    number: u64,
    /// Whose it is; none if nobody else's come in.
    bodies: Option<Bodies>,
    cut: CancellationToken,
    is_complete: bool,
    small: Option<Share>,
    large: Option<Share>,
    /// How many bytes there is room for.
    capacity: usize,
}

/// Why a body was not read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum IntakeError {
    /// There is no room.
    Crowded,
    /// It comes too slowly.
    Slow,
    /// It is longer than any may be.
    TooLong,
    /// Its connection broke off.
    BrokeOff,
}

impl Intake {
    /// Memory of so many bytes.
    pub(super) fn new(bytes: u64) -> Self {
        let half = bytes / 2;
        let (small, large) = (MemoryBudget::new(half), MemoryBudget::new(half));
        let [waiting, waiting_complete] = [MOST_WAITING; 2].map(Semaphore::new);
        Self { small, large, half, waiting, waiting_complete, unfinished: Mutex::default() }
    }

    /// Lets a body in that comes from `peer`, with no room yet. `bodies` is what its bot has already, where there
    /// are others.
    pub(super) fn enter(&self, peer: Option<IpAddr>, bodies: Option<Bodies>) -> BodyAllowance<'_> {
        let cut = CancellationToken::new();
        let number = self.unfinished().enter(SlowBody::new(peer, bodies.clone(), cut.clone()));
        BodyAllowance { intake: self, number, bodies, cut, is_complete: false, small: None, large: None, capacity: 0 }
    }

    fn budget(&self, half: Half) -> &MemoryBudget {
        match half {
            Half::Small => &self.small,
            Half::Large => &self.large,
        }
    }

    fn unfinished(&self) -> MutexGuard<'_, SlowBodies> {
        self.unfinished.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bodies {
    fn tally(&self, half: Half) -> &MemoryUse {
        match half {
            Half::Small => &self.small,
            Half::Large => &self.large,
        }
    }

    fn is(&self, other: &Self) -> bool {
        self.small.is(&other.small)
    }
}

impl BodyAllowance<'_> {
    /// Reads a body to its end. `declared` is what its sender says of its length.
    pub(super) async fn fill(&mut self, mut body: Payload, declared: Option<usize>) -> Result<Bytes, IntakeError> {
        let (mut whole, cut, began) = (BytesMut::new(), self.cut.clone(), Instant::now());
        loop {
            let (asks, is_owed) = (began + MOMENT, self.capacity < whole.len());
            let chunk = tokio::select! {
                biased;
                () = cut.cancelled() => return Err(IntakeError::Slow),
                chunk = timeout(STALL, body.next()) => chunk.map_err(|_| IntakeError::Slow)?,
                () = sleep_until(asks), if is_owed => {
                    self.widen(whole.len(), declared).await?;
                    continue;
                }
            };
            let Some(chunk) = chunk else { break };
            let chunk = chunk.map_err(|_| IntakeError::BrokeOff)?;
            let length = whole.len() + chunk.len();
            if length > BODY_LIMIT {
                return Err(IntakeError::TooLong);
            }
            if length > self.capacity && (length > SMALL || Instant::now() >= asks) {
                self.widen(length, declared).await?;
                whole.reserve(self.capacity - whole.len());
            }
            whole.extend_from_slice(&chunk);
        }
        self.settle(whole.len()).await?;
        Ok(whole.freeze())
    }

    /// Makes room for `length` bytes of a body.
    async fn widen(&mut self, length: usize, declared: Option<usize>) -> Result<(), IntakeError> {
        self.is_complete = declared == Some(length);
        let most = declared.unwrap_or(BODY_LIMIT).clamp(length, BODY_LIMIT).max(STEPS[0]);
        let step = STEPS.into_iter().find(|step| length <= *step);
        let capacity = step.unwrap_or_else(|| length.next_power_of_two()).min(most);
        self.hold(Half::Small, capacity.min(SMALL)).await?;
        if capacity > SMALL {
            self.admit(most - SMALL).await?;
            self.hold(Half::Large, capacity - SMALL).await?;
        }
        self.capacity = capacity;
        self.intake.unfinished().bound_peer(self.number, 2 * self.intake.half / PEERS_PART);
        Ok(())
    }

    /// The body is so long and no longer, and is handled now.
    async fn settle(&mut self, length: usize) -> Result<(), IntakeError> {
        if let Some(large) = &mut self.large {
            large.shrink(length.saturating_sub(SMALL) as u64);
        }
        self.is_complete = true;
        self.hold(Half::Small, length.clamp(REQUEST, SMALL)).await?;
        self.intake.unfinished().leave(self.number);
        Ok(())
    }

    /// Waits until the whole of a long body will have room besides those that were let in before it and are not
    /// slow: of
    /// bodies that hold a part each and wait for the next, none would ever end. The newest goes first: those who wait
    /// for longer are the ones who hold everything up.
    async fn admit(&mut self, whole: usize) -> Result<(), IntakeError> {
        if self.large.is_some() {
            return Ok(());
        }
        let (intake, number) = (self.intake, self.number);
        let whole = (whole as u64).min(intake.half);
        let fair = |bodies: &Bodies, expected: u64, whole: u64, left: u64| {
            leaves_enough(bodies.large.bytes() + expected, whole, left)
        };
        // What others will still come to is as good as taken.
        let missing = || {
            let expected = intake.unfinished().expected(None);
            whole.saturating_sub(intake.large.left().saturating_sub(expected))
        };
        let take = || intake.unfinished().admit(number, whole, intake.large.left(), fair).then_some(());
        // Nothing rings when somebody has become slow.
        self.wait(None, Half::Large, whole, missing, take).await
    }

    /// Holds `bytes` of one half.
    async fn hold(&mut self, half: Half, bytes: usize) -> Result<(), IntakeError> {
        let held = match half {
            Half::Small => &self.small,
            Half::Large => &self.large,
        };
        let more = (bytes as u64).saturating_sub(held.as_ref().map_or(0, Share::bytes));
        if more == 0 {
            return Ok(());
        }
        let (budget, bodies) = (self.intake.budget(half), self.bodies.clone());
        // A long body's bot was asked about the whole of it.
        let fair = bodies.as_ref().filter(|_| half == Half::Small).map(|bodies| bodies.tally(half));
        let kept = match half {
            Half::Small if !self.is_complete => self.intake.half / FOR_COMPLETE,
            _ => 0,
        };
        let missing = || (more + kept).saturating_sub(budget.left());
        let take = || if missing() == 0 { budget.try_take_for(fair, more) } else { None };
        let mut share = self.wait(Some(budget.bell()), half, more, missing, take).await?;
        if let (Half::Large, Some(bodies)) = (half, &bodies) {
            share.count_for(&bodies.large);
        }
        let held = match half {
            Half::Small => &mut self.small,
            Half::Large => &mut self.large,
        };
        match held {
            Some(held) => held.join(share),
            None => *held = Some(share),
        }
        let held = held.as_ref().map_or(0, Share::bytes);
        self.intake.unfinished().holds(self.number, half, held);
        Ok(())
    }

    /// Waits until `take` gives something, and has those who are slow give way meanwhile: it takes `bytes`, of which
    /// so many
    /// are `missing`.
    async fn wait<T>(
        &self,
        bell: Option<&Bell>,
        half: Half,
        bytes: u64,
        missing: impl Fn() -> u64,
        take: impl Fn() -> Option<T>,
    ) -> Result<T, IntakeError> {
        if let Some(taken) = take() {
            return Ok(taken);
        }
        let intake = self.intake;
        let places = if self.is_complete { &intake.waiting_complete } else { &intake.waiting };
        let _place = places.try_acquire().map_err(|_| IntakeError::Crowded)?;
        intake.unfinished().waits(self.number, true);
        let until = Instant::now() + PATIENCE;
        let taken = loop {
            let silence = Bell::default();
            let mut rings = pin!(bell.unwrap_or(&silence).rings());
            // Before the look at what is left, so that no change after it goes unnoticed.
            rings.as_mut().enable();
            let taken = Cell::new(None);
            let has_taken = || {
                let some = take();
                let is_some = some.is_some();
                taken.set(some);
                is_some
            };
            if bell.unwrap_or(&silence).ask(has_taken) {
                break taken.take().ok_or(IntakeError::Crowded);
            }
            if Instant::now() >= until {
                break Err(IntakeError::Crowded);
            }
            let missing = missing();
            intake.unfinished().make_way(self.number, half, bytes.max(intake.half / AT_ONCE), missing);
            tokio::select! {
                () = self.cut.cancelled() => break Err(IntakeError::Slow),
                () = rings => {}
                () = sleep(GLANCE) => {}
            }
        };
        intake.unfinished().waits(self.number, false);
        taken
    }
}

impl Drop for BodyAllowance<'_> {
    fn drop(&mut self) {
        self.intake.unfinished().leave(self.number);
    }
}
