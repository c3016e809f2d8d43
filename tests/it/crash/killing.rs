//! When processes are killed, and the killing.

use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::select_all;

use crate::real::binary::Home;
use crate::real::upstream::Upstream;
use crate::real::{Dice, PATIENCE};

/// When a process is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// Some milliseconds after its start.
    Started,
    /// While it opens the store.
    Opening,
    /// At any time.
    AtWork,
    /// Right after it has answered a webhook with 200.
    Acknowledged,
    /// Right after one of its sends has reached the upstream.
    Sent,
    /// After longer than slow handlers take, and than a report is awaited in these tests.
    Late,
}

impl When {
    pub(super) fn is_early(self) -> bool {
        matches!(self, Self::Started | Self::Opening)
    }
}

/// When each process is killed. A third of them early, three of these in a row: what one that was killed leaves behind
/// must not add up either.
pub(super) fn plan(kills: usize, dice: &mut Dice) -> Vec<When> {
    let mut plan = vec![When::AtWork, When::Opening, When::Opening, When::Opening];
    let early = [When::Started, When::Opening].into_iter().cycle().take(kills.div_ceil(3) - 3);
    let late = [When::Acknowledged, When::Sent, When::AtWork].into_iter().cycle();
    let mut rest: Vec<When> = early.chain(late).take(kills - plan.len()).collect();
    for last in (1..rest.len()).rev() {
        rest.swap(last, usize::try_from(dice.up_to(last as u64)).unwrap());
    }
    plan.append(&mut rest);
    plan
}

/// Starts the binary and kills it, by plan. Returns how long its latest start took.
pub(super) async fn kill(home: &Home, upstreams: &[&Upstream], plan: &[When], dice: &mut Dice) -> Duration {
    let mut start_up = Duration::ZERO;
    for (number, when) in plan.iter().enumerate() {
        let began = Instant::now();
        let mut binary = home.start();
        match when {
            When::Started => tokio::time::sleep(dice.millis(1, 30)).await,
            When::Opening => {
                while !binary.has_open("store.lock") && began.elapsed() < PATIENCE {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                let half = u64::try_from(start_up.as_millis() / 2).unwrap();
                tokio::time::sleep(dice.millis(0, half)).await;
            }
            When::AtWork | When::Acknowledged | When::Sent | When::Late => {
                assert!(binary.is_ready().await, "start {} failed: {}", number + 1, home.tail());
                start_up = began.elapsed();
                let (least, most) = if *when == When::Late { (6000, 7000) } else { (20, 800) };
                tokio::time::sleep(dice.millis(least, most)).await;
            }
        }
        match when {
            When::Acknowledged => {
                select_all(upstreams.iter().map(|upstream| upstream.next_acknowledgment().boxed())).await;
            }
            When::Sent => {
                select_all(upstreams.iter().map(|upstream| upstream.next_reply().boxed())).await;
            }
            When::Started | When::Opening | When::AtWork | When::Late => {}
        }
        binary.kill();
    }
    start_up
}
