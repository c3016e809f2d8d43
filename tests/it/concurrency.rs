//! Many at once, through real sockets and into a store on disk: once, and in order.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;
use threedots::host::Running;
use threedots::host::config::Config;
use threedots::sandbox::Draft;
use threedots::{App, Reply, Turn};
use tokio::task::JoinSet;

use crate::real::account::Account;
use crate::real::load::{batch, write};
use crate::real::until;
use crate::real::upstream::Upstream;

/// The product in this process, with a handler that says what it was told, and counts.
async fn start(upstream: &Upstream, directory: &TempDir) -> (Running, Arc<AtomicUsize>) {
    let text = upstream.config(directory.path(), "kind = \"custom\"", "");
    let (config, problems) = Config::parse("a test", &text, []);
    assert_eq!(problems, []);
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let handler = move |turn: &Turn| {
        counter.fetch_add(1, Ordering::SeqCst);
        Reply::text(turn.text())
    };
    (App::new(config).unwrap().handler(handler).start().await.unwrap(), calls)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_deliveries_of_one_message_at_once_are_one_turn() {
    let (upstream, directory) = (Upstream::start(), TempDir::new().unwrap());
    let (running, calls) = start(&upstream, &directory).await;
    let (sandbox, customer) = (&upstream.sandbox, upstream.customer(0));
    for round in 1..=3 {
        let message = write(sandbox, &customer, &format!("0:{round}"), &format!("wamid.round-{round}"));
        let body = batch(sandbox, &[message]).to_string();
        let mut deliveries = JoinSet::new();
        for _ in 0..100 {
            let (sandbox, body) = (Arc::clone(sandbox), body.clone());
            deliveries.spawn(async move { sandbox.inject(body).await });
        }
        assert_eq!(deliveries.join_all().await, [Some(200); 100]);
    }
    // What comes behind them in the same conversation is answered behind them.
    sandbox.write(&customer, Draft::text("0:4")).unwrap();
    let phone = sandbox.phone();
    until("the last answer", || phone.replies(&customer).iter().any(|reply| reply.body.words().contains("0:4"))).await;
    running.stop().await;
    let account = Account::of(phone, &[customer]);
    assert_eq!(account.disorder(), [""; 0]);
    let answered: Vec<_> = account.arrivals.iter().flat_map(|arrival| &arrival.answers).collect();
    assert_eq!(answered.len(), 4);
    assert_eq!(calls.load(Ordering::SeqCst), account.arrivals.len());
    upstream.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_messages_of_ten_senders_in_one_webhook_are_answered_in_each_senders_order() {
    let (upstream, directory) = (Upstream::start(), TempDir::new().unwrap());
    let (running, _) = start(&upstream, &directory).await;
    let customers: Vec<_> = (0..10).map(|who| upstream.customer(who)).collect();
    let mut taken = Vec::new();
    for round in 0..4 {
        // The senders take turns: none has two messages side by side.
        let messages = (0..30).map(|place| {
            let (who, number) = (place % 10, round * 3 + place / 10 + 1);
            write(&upstream.sandbox, &customers[who], &format!("{who}:{number}"), &format!("wamid.{who}-{number}"))
        });
        let messages: Vec<_> = messages.collect();
        let webhook = batch(&upstream.sandbox, &messages).to_string();
        taken.push(upstream.sandbox.inject(webhook).await);
    }
    assert_eq!(taken, [Some(200); 4]);
    let account = || Account::of(upstream.sandbox.phone(), &customers);
    let answered = || account().arrivals.iter().map(|arrival| arrival.answers.len()).sum::<usize>();
    until("all answers", || answered() >= 120).await;
    running.stop().await;
    assert_eq!(answered(), 120);
    assert_eq!(account().disorder(), [""; 0]);
    upstream.stop().await;
}
