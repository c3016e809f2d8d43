//! A reply that takes longer than its lease: each part leaves once, and in order, as long as its holder lives.

use std::sync::Arc;
use std::time::Duration;

use threedots::host::config::Config;
use threedots::provider::KINDS;
use threedots::sandbox::{Calls, Failure, Fault, Upstream};
use threedots::store::disk::{Disk, MemorySettings};
use threedots::store::{Store, StoreError};
use threedots::turn::{self, Tools};
use threedots::{Part, Reply, Turn};

use crate::floods::stuck::Stuck;
use crate::world::{Setup, World};

const PARTS: usize = 60;

fn words() -> Vec<String> {
    (0..PARTS).map(|number| format!("part {number}")).collect()
}

/// A handler that has this much to say.
fn talkative(_: &Turn) -> Reply {
    Reply::Send(words().into_iter().map(Part::text).collect())
}

/// Each answer of the upstream takes so long; and the whole reply much longer than the lease.
const SEND: Duration = Duration::from_secs(12);

fn slow(upstream: Upstream) -> World {
    let setup = Setup::on(upstream, talkative);
    assert!(SEND * u32::try_from(PARTS).expect("few") > 2 * setup.worker.lease);
    let world = setup.start();
    world.sandbox.faults().add(Fault::on(Calls::Send).slow_to_answer(SEND));
    world
}

fn sends(world: &World) -> usize {
    world.calls().iter().filter(|call| call.ends_with(": send")).count()
}

/// Longer than the parts take, with all that the bot's pace adds.
const LONG: u64 = 3 * 3600;

#[tokio::test(start_paused = true)]
async fn a_reply_that_outlasts_its_lease_leaves_once_and_in_order() {
    for upstream in Upstream::ALL {
        let world = slow(upstream);
        world.write("tell me all");
        world.pass(LONG).await;
        assert_eq!(world.replies(), words(), "{}", upstream.name());
        assert_eq!(sends(&world), PARTS, "{}", upstream.name());
        assert_eq!(world.dead().await, [], "{}", upstream.name());
    }
}

#[tokio::test(start_paused = true)]
async fn so_does_one_that_is_taken_up_again_in_its_middle() {
    for upstream in Upstream::ALL {
        let world = slow(upstream);
        world.write("tell me all");
        world.pass(100).await;
        let refused = Fault::on(Calls::Send).fail(Failure::TooMany { retry_after: Some(7) }).once();
        world.sandbox.faults().add(refused);
        world.pass(LONG).await;
        assert_eq!(world.replies(), words(), "{}", upstream.name());
        assert_eq!(sends(&world), PARTS + 1, "{}", upstream.name());
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_that_stands_still_in_the_middle_of_a_send_sends_nothing_twice() {
    for upstream in Upstream::ALL {
        let world = slow(upstream);
        world.write("tell me all");
        // Some parts have left, and one is on its way.
        world.pass(100).await;
        // All timers are over at once: that of the lease, had it one, that of the send, and whatever the pace waits
        // for.
        tokio::time::advance(Duration::from_mins(10)).await;
        world.pass(LONG).await;
        assert_eq!(world.replies(), words(), "{}", upstream.name());
        assert_eq!(sends(&world), PARTS, "{}", upstream.name());
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_has_lost_the_lease_before_the_first_send_sends_nothing() {
    for upstream in Upstream::ALL {
        let setup = || Setup::on(upstream, |_: &Turn| Reply::text("hello"));
        let world = setup().build();
        let bot = setup().bot(Arc::clone(&world.provider));
        world.write("hello");
        let claim = world.store.claim(Duration::from_secs(300)).await.expect("the message");
        tokio::time::advance(Duration::from_secs(300)).await;
        let other = world.store.claim(Duration::from_secs(300)).await.expect("the message again");
        let tools = world.tools();
        let room = tools.media.take(0).await;
        let ended = turn::run(&bot, &tools, claim, room).await;
        assert_eq!(ended.expect_err("it is fenced"), StoreError::Fenced, "{}", upstream.name());
        world.pass(60).await;
        assert_eq!(world.replies(), [""; 0], "{}", upstream.name());
        drop(other);
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_loses_the_lease_right_before_a_send_sends_nothing() {
    let lease = Duration::from_mins(5);
    for upstream in Upstream::ALL {
        let setup = || Setup::on(upstream, |_: &Turn| Reply::text("hello"));
        let world = setup().build();
        world.write("hello");
        let inbound = world.store.claim(lease).await.expect("the message").messages[0].inbound.clone();
        // All that is awaited between the intent and the call takes longer than the lease.
        let store: Arc<dyn Store> =
            Arc::new(Stuck::dawdling(Disk::in_memory(world.clock, &MemorySettings::default()), lease * 2));
        store.accept(&[inbound]).await.expect("it is accepted");
        let (bot, claim) = (setup().bot(Arc::clone(&world.provider)), store.claim(lease).await.expect("it waits"));
        let tools = Tools { store: Arc::clone(&store), ..world.tools() };
        let room = tools.media.take(0).await;
        let first = tokio::spawn(async move { turn::run(&bot, &tools, claim, room).await });
        let other = store.claim(lease).await.expect("the lease has ended");
        assert!(other.outgoing.is_some(), "{}: the intent was there by then", upstream.name());
        let ended = first.await.expect("it does not panic");
        assert_eq!(ended.expect_err("it is fenced"), StoreError::Fenced, "{}", upstream.name());
        assert_eq!(sends(&world), 0, "{}", upstream.name());
        drop(other);
    }
}

#[test]
fn a_lease_that_is_too_short_for_all_the_parts_of_a_models_reply_is_refused() {
    for kind in KINDS {
        let problems = |lease: &str, max_reply: usize| {
            let model = "[[bots.shop.handler.models]]\nbase_url = \"http://127.0.0.1:1/v1\"\nmodel = \"m\"";
            let handler = format!("[bots.shop.handler]\nkind = \"llm\"\nmax_reply = {max_reply}\n{model}");
            let text = format!("[worker]\nlease = \"{lease}\"\n{}\n{handler}\n", kind.template);
            let (_, problems) = Config::parse("threedots.toml", &text, []);
            problems.into_iter().filter(|problem| problem.key == "worker.lease").collect::<Vec<_>>()
        };
        // The defaults, and what cannot be told.
        assert_eq!(problems("5m", 4000), [], "{}", kind.name);
        assert_eq!(problems("5m", 0), [], "{}", kind.name);
        let [problem] = &problems("5m", 120_000)[..] else { panic!("{}: no problem", kind.name) };
        // Linq takes 10,000 characters at a time, the others 4,096: a piece holds more than a third of that, but for
        // the marks that are closed and opened around it.
        let parts = if kind.name == "linq" { 37 } else { 89 };
        assert!(problem.text.contains(&format!("(here {parts})")), "{}: {}", kind.name, problem.text);
        assert!(problem.text.contains("handler.max_reply"), "{}", problem.text);
        assert_eq!(problems("2h", 120_000), [], "{}", kind.name);
    }
}
