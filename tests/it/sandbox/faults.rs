//! Trouble to order.

use std::collections::BTreeMap;

use threedots::sandbox::{Calls, Failure, Fault, SandboxSettings};
use tokio::time::Instant;

use super::*;

async fn handle(world: &World, body: &Value) -> UpstreamAnswer {
    world.sandbox.handle(post("messages", body)).await
}

#[tokio::test(start_paused = true)]
async fn each_failure_has_its_own_answer_and_no_effect() {
    let world = World::quiet();
    let message = world.ada_writes("hello").await;
    let failures = [
        (Failure::TooMany { retry_after: Some(7) }, (429, 130_429)),
        (Failure::TooManyToOne, (400, 131_056)),
        (Failure::Unknown, (500, 131_000)),
        (Failure::Token, (401, 190)),
    ];
    for (failure, expected) in failures {
        world.sandbox.faults().add(Fault::on(Calls::Any).times(2).fail(failure));
        assert_eq!(code(&world.type_for(&message).await), expected);
        assert_eq!(code(&world.send("hi").await), expected);
    }
    assert!(!world.sandbox.phone().dots_showing(&world.ada));
    assert!(world.sandbox.phone().replies(&world.ada).is_empty());
    assert_eq!(world.send("hi").await.0, 200, "all faults are used up");
}

#[tokio::test(start_paused = true)]
async fn too_many_can_say_when_to_come_back() {
    let world = World::quiet();
    for retry_after in [Some(7), None] {
        world.sandbox.faults().add(Fault::on(Calls::Any).once().fail(Failure::TooMany { retry_after }));
        let UpstreamAnswer::Whole { headers, .. } = handle(&world, &text("hi")).await else { panic!() };
        let value = headers.iter().find(|(name, _)| name == "retry-after").map(|(_, value)| value.parse().unwrap());
        assert_eq!(value, retry_after);
    }
}

#[tokio::test(start_paused = true)]
async fn a_broken_upstream_answers_with_a_page() {
    let world = World::quiet();
    world.sandbox.faults().add(Fault::on(Calls::Any).once().fail(Failure::Broken));
    let UpstreamAnswer::Whole { status, headers, body } = handle(&world, &text("hi")).await else { panic!() };
    assert_eq!((status, headers[0].1.as_str()), (500, "text/html; charset=utf-8"));
    assert!(body.starts_with(b"<!DOCTYPE html>"));
}

#[tokio::test(start_paused = true)]
async fn a_fault_on_typing_leaves_sends_alone_and_the_other_way_round() {
    let world = World::quiet();
    let message = world.ada_writes("hello").await;
    let fault = world.sandbox.faults().add(Fault::on(Calls::Typing).fail(Failure::Token));
    assert_eq!(world.type_for(&message).await.0, 401);
    assert_eq!(world.read(&message).await.0, 401);
    assert_eq!(world.send("hi").await.0, 200);
    world.sandbox.faults().remove(fault);
    world.sandbox.faults().add(Fault::on(Calls::Send).fail(Failure::Token));
    assert_eq!(world.type_for(&message).await.0, 200);
    assert_eq!(world.send("hi").await.0, 401);
    world.sandbox.faults().clear();
    assert_eq!(world.send("hi").await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn a_reset_after_the_effect_has_delivered() {
    let world = World::quiet();
    world.ada_writes("hello").await;
    world.sandbox.faults().add(Fault::on(Calls::Send).once().fail(Failure::Reset).after_effect());
    assert!(matches!(handle(&world, &text("hi")).await, UpstreamAnswer::Reset));
    assert_eq!(world.sandbox.phone().replies(&world.ada).len(), 1);
    world.sandbox.faults().add(Fault::on(Calls::Send).once().fail(Failure::Reset));
    assert!(matches!(handle(&world, &text("hi")).await, UpstreamAnswer::Reset));
    assert_eq!(world.sandbox.phone().replies(&world.ada).len(), 1, "a reset before the effect has not");
    assert_eq!(world.sandbox.phone().story().last().unwrap(), "0.000 call 2: no answer");
}

#[tokio::test(start_paused = true)]
async fn an_error_after_the_effect_has_delivered_and_its_statuses_follow() {
    let world = World::with(SandboxSettings::default());
    world.ada_writes("hello").await;
    world.sandbox.faults().add(Fault::on(Calls::Send).once().fail(Failure::Unknown).after_effect());
    assert_eq!(code(&world.send("hi").await), (500, 131_000));
    assert_eq!(world.sandbox.phone().replies(&world.ada).len(), 1);
    seconds(5.0).await;
    assert_eq!(world.letterbox.statuses().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_slow_upstream_acts_late_and_answers_later() {
    let world = World::quiet();
    let message = world.ada_writes("hello").await;
    let second = Duration::from_secs(1);
    world.sandbox.faults().add(Fault::on(Calls::Typing).once().slow_to_act(2 * second).slow_to_answer(3 * second));
    let started = Instant::now();
    world.type_for(&message).await;
    assert_eq!(started.elapsed(), 5 * second);
    assert_eq!(
        world.sandbox.phone().story()[2..],
        ["0.000 call 1: read and typing", "2.000 read #1", "2.000 dots on, for #1", "5.000 call 1: ok"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_gives_up_does_not_stop_the_effect() {
    let world = World::quiet();
    let message = world.ada_writes("hello").await;
    world.sandbox.faults().add(Fault::on(Calls::Typing).once().slow_to_act(Duration::from_secs(3)));
    let call = tokio::time::timeout(Duration::from_secs(1), world.type_for(&message));
    assert!(call.await.is_err());
    assert!(!world.sandbox.phone().dots_showing(&world.ada));
    seconds(2.1).await;
    assert!(world.sandbox.phone().dots_showing(&world.ada));
    assert_eq!(world.sandbox.phone().story().last().unwrap(), "3.000 call 1: no answer");
}

#[tokio::test(start_paused = true)]
async fn a_hanging_upstream_never_answers_and_has_delivered_only_if_told_to() {
    let world = World::quiet();
    world.ada_writes("hello").await;
    for (fault, replies) in [
        (Fault::on(Calls::Send).once().fail(Failure::Hang), 0),
        (Fault::on(Calls::Send).once().fail(Failure::Hang).after_effect(), 1),
    ] {
        world.sandbox.faults().add(fault);
        assert!(tokio::time::timeout(Duration::from_secs(3600), world.send("hi")).await.is_err());
        assert_eq!(world.sandbox.phone().replies(&world.ada).len(), replies);
        seconds(0.1).await;
        assert!(world.sandbox.phone().story().last().unwrap().ends_with(": no answer"), "once the caller gave up");
    }
    world.sandbox.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn an_undeliverable_message_is_taken_and_reported_as_failed() {
    let world = World::with(SandboxSettings::default());
    let message = world.ada_writes("hello").await;
    world.type_for(&message).await;
    world.sandbox.faults().add(Fault::on(Calls::Send).once().fail(Failure::Undeliverable));
    let mut body = text("hi");
    body["biz_opaque_callback_data"] = json!("key-1");
    assert_eq!(world.call(&body).await.0, 200);
    assert!(world.sandbox.phone().replies(&world.ada).is_empty());
    assert!(world.sandbox.phone().dots_showing(&world.ada), "what never arrives takes no dots off");
    seconds(5.0).await;
    let statuses = world.letterbox.statuses();
    assert_eq!(statuses.len(), 1);
    assert_eq!((&statuses[0]["status"], &statuses[0]["errors"][0]["code"]), (&json!("failed"), &json!(131_026)));
    assert_eq!(statuses[0]["biz_opaque_callback_data"], "key-1");
}

#[tokio::test(start_paused = true)]
async fn delays_of_several_faults_add_up_and_the_first_failure_counts() {
    let world = World::quiet();
    let second = Duration::from_secs(1);
    let used_up = world.sandbox.faults().add(Fault::on(Calls::Any).once().slow_to_act(second));
    let lasting = world.sandbox.faults().add(Fault::on(Calls::Any).slow_to_act(second).fail(Failure::Token));
    world.sandbox.faults().add(Fault::on(Calls::Any).fail(Failure::Unknown));
    let started = Instant::now();
    assert_eq!(world.send("hi").await.0, 401);
    assert_eq!(started.elapsed(), 2 * second);
    assert!(!world.sandbox.faults().is_active(used_up));
    assert!(world.sandbox.faults().is_active(lasting));
}

#[tokio::test(start_paused = true)]
async fn faults_with_a_share_strike_so_many_calls_and_one_of_them_each() {
    let world = World::quiet();
    world.ada_writes("hello").await;
    let faults = world.sandbox.faults();
    faults.add(Fault::on(Calls::Send).share(20).fail(Failure::Refused));
    faults.add(Fault::on(Calls::Send).share(30).fail(Failure::Token));
    let mut met = BTreeMap::new();
    for _ in 0..1000 {
        *met.entry(world.send("hi").await.0).or_insert(0) += 1;
    }
    let near = |met: i32, expected: i32| (met - expected).abs() < 40;
    assert!(near(met[&400], 200) && near(met[&401], 300) && near(met[&200], 500), "{met:?}");
    faults.clear();
    faults.add(Fault::on(Calls::Send).share(100).once().fail(Failure::Token));
    assert_eq!(world.send("hi").await.0, 401);
    assert_eq!(world.send("hi").await.0, 200, "one is used up by the call that it strikes");
}
