//! kill -9 of the real binary while bots are asked to say things: what was answered with 202 is on the phone once, in
//! order, however often it was asked for, and between answers to what customers write.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use threedots::sandbox::{CustomerId, Mischief, Upstream as Kind, WebhookFault};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::killing::{kill, plan};
use crate::real::binary::Home;
use crate::real::load::{Load, plainly};
use crate::real::operator::Operator;
use crate::real::upstream::{Upstream, config, free_port};
use crate::real::{Dice, PATIENCE};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_in_to_be_said_is_said_once_whenever_the_process_is_killed() {
    say_and_kill(10, "sled").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_in_to_be_said_is_said_once_with_redb_too() {
    say_and_kill(10, "redb").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: the same with 200 kills"]
async fn what_was_taken_in_to_be_said_is_said_once_after_200_kills() {
    say_and_kill(200, "sled").await;
}

/// Has a bot say one thing after the other to somebody, each asked for twice at the same time, and again until both are
/// answered. Returns what was said.
async fn say(
    operator: Arc<Operator>,
    bot: &'static str,
    (who, customer): (usize, CustomerId),
    stop: CancellationToken,
) -> Vec<String> {
    let mut said = Vec::new();
    while !stop.is_cancelled() {
        let text = format!("errand {who}-{}", said.len());
        let (key, body) =
            (text.replace(' ', "-"), json!({ "contact": format!("+{}", customer.as_str()), "text": text }));
        let path = format!("/v1/bots/{bot}/messages");
        loop {
            let ask = || operator.post(&path, &key, &body);
            match tokio::join!(ask(), ask()) {
                (Some((202, one)), Some((202, other))) => {
                    assert_eq!(one, other, "{text}: two answers");
                    break;
                }
                // It is starting, or being killed; or nobody has written yet.
                (one, other) => {
                    for (status, body) in [one, other].into_iter().flatten() {
                        assert!(matches!(status, 202 | 422 | 503), "{text}: {status} {body}");
                    }
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        said.push(text);
    }
    said
}

async fn say_and_kill(kills: usize, store: &'static str) {
    let (mut dice, seed) = Dice::seeded();
    let (port, operator) = (free_port(), Arc::new(Operator::new(free_port())));
    // One reports what it was sent by our keys, and has a window; the other knows our keys.
    let upstreams = [Kind::Meta, Kind::Linq].map(|kind| Upstream::of(kind, kind.name(), port));
    let home = Home::empty(port);
    let mut text = config(home.path(), port, "") + &operator.table(&home);
    for upstream in &upstreams {
        upstream.sandbox.faults().add(WebhookFault::new(Mischief::Duplicate));
        text += &upstream.tables(home.path(), &upstream.handler(&["echo"], ""));
    }
    home.configure(&text);
    let home = ["META", "LINQ"].into_iter().fold(home.with("THREEDOTS_STORE__KIND", store), |home, bot| {
        home.with(format!("THREEDOTS_BOTS__{bot}__DELIVERY__SETTLE_WINDOW"), "5s")
    });
    let mut loads = Vec::new();
    let (stop, mut sayers) = (CancellationToken::new(), JoinSet::new());
    for (number, upstream) in upstreams.iter().enumerate() {
        let load = Load::start(upstream, &mut dice, 4, 0, 200, plainly);
        for (who, customer) in load.customers.iter().cloned().enumerate() {
            let (operator, stop) = (Arc::clone(&operator), stop.clone());
            sayers.spawn(
                async move { ((number, who), say(operator, upstream_name(number), (who, customer), stop).await) },
            );
        }
        loads.push(load);
    }
    let started = Instant::now();
    let plan = plan(kills, &mut dice);
    kill(&home, &upstreams.each_ref(), &plan, &mut dice).await;
    let mut binary = home.start_and_wait().await;
    stop.cancel();
    let mut said = BTreeMap::new();
    while let Some(ended) = sayers.join_next().await {
        let (whom, texts) = ended.unwrap();
        said.insert(whom, texts);
    }
    for load in &mut loads {
        load.end().await;
    }
    let deadline = Instant::now() + PATIENCE;
    while !operator.sees_nothing_waiting().await {
        assert!(Instant::now() < deadline, "SEED={seed}: something waits for ever");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    binary.signal("TERM");
    assert!(binary.ended().await.success());
    for (number, (upstream, load)) in upstreams.iter().zip(&loads).enumerate() {
        let bot = upstream.bot;
        for (who, customer) in load.customers.iter().enumerate() {
            let replies = upstream.sandbox.phone().replies(customer);
            let proactive_messages =
                replies.iter().map(|reply| reply.body.words()).filter(|words| words.starts_with("errand "));
            assert_eq!(
                proactive_messages.collect::<Vec<_>>(),
                said[&(number, who)],
                "SEED={seed}: {bot}, customer {who}"
            );
        }
        let account = upstream.account(&load.customers);
        assert!(account.unanswered().is_empty() && account.doubles().is_empty(), "SEED={seed}: {bot}");
        home.check_log(&load.customers);
    }
    let all: usize = said.values().map(Vec::len).sum();
    println!(
        "{store}: {kills} kills in {} s: {all} taken in, each said once and in order",
        started.elapsed().as_secs()
    );
    assert!(all > kills, "nothing was said");
    for upstream in upstreams {
        upstream.stop().await;
    }
}

fn upstream_name(number: usize) -> &'static str {
    [Kind::Meta, Kind::Linq][number].name()
}
