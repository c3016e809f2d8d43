//! kill -9 of the real binary, under load and as it starts: what was acknowledged is answered, and answered once.
//!
//! That holds for a part too whose send was in flight at a kill, of which no record could be made any more: the next
//! process awaits the upstream's report of it.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod bot;
mod killing;
mod mixed;
mod proactive;

use std::sync::Arc;
use std::time::{Duration, Instant};

use threedots::sandbox::{Calls, Failure, Fault, Mischief, Sandbox, WebhookFault};

use crate::real::binary::Home;
use crate::real::load::{Load, plainly};
use crate::real::upstream::Upstream;
use crate::real::{Dice, PATIENCE};
use killing::{kill, plan};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_answered_once_whenever_the_process_is_killed() {
    kill_again_and_again(20, "sled", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_answered_once_by_an_upstream_in_trouble_too() {
    kill_again_and_again(10, "sled", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_answered_once_with_redb_too() {
    kill_again_and_again(10, "redb", false).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: the same with 200 kills"]
async fn what_was_acknowledged_is_answered_once_after_200_kills() {
    kill_again_and_again(200, "sled", false).await;
}

/// Makes some of the sends fail, again and again: of ten that do, four have been delivered all the same and nobody is
/// told, two have not and nobody is told, two get a bare 500, and two are too many.
async fn make_trouble(sandbox: Arc<Sandbox>, mut dice: Dice) {
    let sends = || Fault::on(Calls::Send).once();
    for number in 0.. {
        let fault = match number % 5 {
            0 | 1 => sends().fail(Failure::Reset).after_effect(),
            2 => sends().fail(Failure::Reset),
            3 => sends().fail(Failure::Broken),
            _ => sends().fail(Failure::TooMany { retry_after: Some(1) }),
        };
        sandbox.faults().add(fault);
        tokio::time::sleep(dice.millis(20, 200)).await;
    }
}

/// `trouble` is whether the upstream is in it.
async fn kill_again_and_again(kills: usize, store: &'static str, trouble: bool) {
    let (mut dice, seed) = Dice::seeded();
    let upstream = Upstream::start();
    let home = Home::new(&upstream, "").with("THREEDOTS_STORE__KIND", store);
    // A report comes within moments here.
    let home = home.with("THREEDOTS_BOTS__SHOP__DELIVERY__SETTLE_WINDOW", "5s");
    let phone = upstream.sandbox.phone();
    // Every webhook comes twice at the same time, and each of the two until it is taken.
    upstream.sandbox.faults().add(WebhookFault::new(Mischief::Duplicate));
    let mut load = Load::start(&upstream, &mut dice, 10, 4, 120, plainly);

    let trouble =
        trouble.then(|| tokio::spawn(make_trouble(Arc::clone(&upstream.sandbox), Dice::new(dice.up_to(u64::MAX - 1)))));
    let started = Instant::now();
    let plan = plan(kills, &mut dice);
    let start_up = kill(&home, &[&upstream], &plan, &mut dice).await;
    let mut binary = home.start_and_wait().await;
    load.end().await;
    if let Some(trouble) = trouble {
        trouble.abort();
        upstream.sandbox.faults().clear();
    }
    let account = || upstream.account(&load.customers);
    let deadline = Instant::now() + PATIENCE;
    while !account().unanswered().is_empty() {
        let waiting = account().unanswered();
        assert!(Instant::now() < deadline, "SEED={seed}: acknowledged and never answered: {waiting:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let taken = started.elapsed();

    // Everything is settled: the next process has nothing left to say.
    binary.signal("TERM");
    assert!(binary.ended().await.success());
    let said = account().arrivals.len();
    let mut binary = home.start_and_wait().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    binary.signal("TERM");
    assert!(binary.ended().await.success());

    let account = account();
    assert_eq!(account.arrivals.len(), said, "SEED={seed}: something was answered again after everything was settled");
    assert_eq!(account.disorder(), [""; 0], "SEED={seed}");
    let doubles = account.doubles();
    assert!(doubles.is_empty(), "SEED={seed}: {doubles:?}");
    for customer in &load.customers {
        assert!(!phone.dots_showing(customer), "SEED={seed}: dots are left");
    }
    home.check_log(&load.customers);
    let early = plan.iter().filter(|when| when.is_early()).count();
    println!(
        "{store}: {kills} kills in {} s, {early} of them at the start (which takes {} ms): {} messages acknowledged, all \
         answered, in {} parts; doubled in flight: {}; out of order: 0; failed starts: 0",
        taken.as_secs(),
        start_up.as_millis(),
        account.acknowledged.len(),
        account.arrivals.len() - doubles.len(),
        doubles.len(),
    );
    assert!(account.acknowledged.len() > kills, "there was no load");
    upstream.stop().await;
}
