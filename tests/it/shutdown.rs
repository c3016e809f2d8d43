//! SIGTERM and the real binary: it ends in time, forgets nothing, says nothing twice, and makes room for the next.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use threedots::sandbox::{Calls, CustomerId, Draft, Fault};

use crate::real::binary::Home;
use crate::real::load::Load;
use crate::real::upstream::Upstream;
use crate::real::{Dice, PATIENCE, until};

/// What a stop may take besides its grace: to give turns back, and to end what is on the wire.
const SOME_SECONDS: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_under_load_loses_nothing_and_repeats_nothing() {
    let (mut dice, seed) = Dice::seeded();
    let upstream = Upstream::start();
    let home = Home::new(&upstream, "worker.grace = \"1s\"");
    let phone = upstream.sandbox.phone();
    // Every send is in flight for a while, and every tenth turn hangs until the process has gone.
    let slow_sends = Fault::on(Calls::Send).slow_to_answer(Duration::from_millis(200));
    upstream.sandbox.faults().add(slow_sends);
    upstream.model.holds.send_replace(true);
    let mut load = Load::start(&upstream, &mut dice, 20, 4, 100, |word| {
        Draft::text(format!("{word}{}", if word.number % 10 == 5 { " hold" } else { "" }))
    });
    let mut binary = home.start_and_wait().await;
    let held = || upstream.model.held.load(Ordering::SeqCst);
    until("turns that hang, and others that do not", || held() >= 5 && phone.timeline().len() > 500).await;
    let began = Instant::now();
    binary.signal("TERM");
    let status = binary.ended().await;
    let took = began.elapsed();
    assert_eq!(status.code(), Some(0), "SEED={seed}");
    assert!(took < Duration::from_secs(1) + SOME_SECONDS, "SEED={seed}: it took {took:?}");
    let left = upstream.account(&load.customers).unanswered().len();
    assert!(left >= 5, "SEED={seed}: nothing was left to do");

    upstream.model.holds.send_replace(false);
    let _binary = home.start_and_wait().await;
    load.end().await;
    let deadline = Instant::now() + PATIENCE;
    while !upstream.account(&load.customers).unanswered().is_empty() {
        let waiting = upstream.account(&load.customers).unanswered();
        assert!(Instant::now() < deadline, "SEED={seed}: acknowledged and never answered: {waiting:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let account = upstream.account(&load.customers);
    assert_eq!(account.disorder(), [""; 0], "SEED={seed}");
    let twice = account.doubles();
    assert!(twice.is_empty(), "SEED={seed}: sent twice: {twice:?}");
    for customer in &load.customers {
        assert!(!phone.dots_showing(customer), "SEED={seed}: dots are left");
    }
    home.check_log(&load.customers);
    println!(
        "SIGTERM took {} ms; {left} messages were left; {} acknowledged, all answered once",
        took.as_millis(),
        account.acknowledged.len()
    );
    upstream.stop().await;
}

/// A customer whose turn hangs.
async fn hang(upstream: &Upstream) -> CustomerId {
    upstream.model.holds.send_replace(true);
    let customer = upstream.customer(0);
    upstream.sandbox.write(&customer, Draft::text("0:1 hold")).unwrap();
    until("a turn that hangs", || upstream.model.held.load(Ordering::SeqCst) == 1).await;
    customer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_it_at_once() {
    for (first, second) in [("TERM", "TERM"), ("INT", "TERM"), ("TERM", "INT")] {
        let upstream = Upstream::start();
        let home = Home::new(&upstream, "worker.grace = \"10m\"\nworker.lease = \"20m\"");
        let mut binary = home.start_and_wait().await;
        let customer = hang(&upstream).await;
        binary.signal(first);
        until("the first signal", || home.log().contains("stopping")).await;
        assert!(binary.is_running());
        let began = Instant::now();
        binary.signal(second);
        assert_eq!(binary.ended().await.code(), Some(0));
        assert!(began.elapsed() < SOME_SECONDS, "it took {:?}", began.elapsed());

        upstream.model.holds.send_replace(false);
        let _binary = home.start_and_wait().await;
        until("the answer", || !upstream.sandbox.phone().replies(&customer).is_empty()).await;
        upstream.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_process_ends_quickly_although_connections_are_open() {
    let upstream = Upstream::start();
    let home = Home::new(&upstream, "worker.grace = \"10m\"\nworker.lease = \"20m\"");
    let mut binary = home.start_and_wait().await;
    // The upstream's connections stay open behind this.
    let customer = upstream.customer(0);
    upstream.sandbox.write(&customer, Draft::text("0:1")).unwrap();
    until("the answer", || !upstream.sandbox.phone().replies(&customer).is_empty()).await;
    let statuses = || upstream.sandbox.phone().story().iter().any(|line| line.contains("webhook delivered"));
    until("its status", statuses).await;
    let began = Instant::now();
    binary.signal("TERM");
    assert_eq!(binary.ended().await.code(), Some(0));
    let took = began.elapsed();
    println!("SIGTERM while idle took {} ms", took.as_millis());
    assert!(took < Duration::from_secs(4), "it took {took:?}");
    upstream.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_the_same_data_is_refused_and_the_first_goes_on() {
    let upstream = Upstream::start();
    let home = Home::new(&upstream, "");
    let _first = home.start_and_wait().await;
    let mut second = home.start_with(&[("THREEDOTS_SERVER__LISTEN", "127.0.0.1:0")]);
    assert_eq!(second.ended().await.code(), Some(1));
    let log = home.log();
    let complaint = log.lines().find(|line| line.contains("another process")).expect("a complaint");
    assert!(complaint.contains(home.store().to_str().unwrap()), "{complaint}");
    let customer = upstream.customer(0);
    upstream.sandbox.write(&customer, Draft::text("0:1")).unwrap();
    until("the answer", || !upstream.sandbox.phone().replies(&customer).is_empty()).await;
    upstream.stop().await;
}
