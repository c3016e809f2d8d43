//! Messages that come in the middle of a turn: control words, and what has the handler begin anew.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use threedots::handler::{Handler, HandlerError};
use threedots::message::{BotName, ChatId, Conversation};
use threedots::sandbox::{Calls, Draft, Failure, Fault, Upstream};
use threedots::turn::OnNewMessage;
use threedots::{Part, Reply, Turn};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::world::{BOT, Setup, World, echo};

/// A handler that thinks for so many seconds, and notes how each time ended.
#[derive(Clone)]
struct Thinker {
    seconds: u64,
    ends: Arc<Mutex<Vec<String>>>,
}

/// Notes that the work on something was cut short.
struct CutShort<'a>(&'a Thinker, String, Instant);

impl Drop for CutShort<'_> {
    fn drop(&mut self) {
        let how = if self.2.elapsed() < Duration::from_secs(self.0.seconds) { "cut short" } else { "done" };
        self.0.ends.lock().expect("nobody panics in here").push(format!("{}: {how}", self.1));
    }
}

impl Thinker {
    fn new(seconds: u64) -> Self {
        Self { seconds, ends: Arc::default() }
    }

    fn ends(&self) -> Vec<String> {
        self.ends.lock().expect("nobody panics in here").clone()
    }
}

#[async_trait]
impl Handler for Thinker {
    async fn reply(&self, turn: &Turn) -> Result<Reply, HandlerError> {
        let text = turn.text().replace('\n', " + ");
        let _end = CutShort(self, text.clone(), Instant::now());
        tokio::time::sleep(Duration::from_secs(self.seconds)).await;
        Ok(Reply::text(text))
    }
}

fn restarting(upstream: Upstream, handler: impl Handler) -> Setup {
    let mut setup = Setup::on(upstream, handler);
    setup.turn.on_new_message = OnNewMessage::Restart;
    setup
}

/// Whatever was said by whom, as the next turn's handler is told.
async fn history(world: &World) -> Vec<String> {
    let customer = world.phone().customer(&world.customer).expect("the customer");
    let conversation = Conversation { bot: BotName::new(BOT), chat: ChatId::new(customer.user_id) };
    let history = world.store.history(&conversation, 100).await.expect("the history");
    history.iter().map(|said| format!("{:?}: {}", said.by, said.words)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_message_in_the_middle_of_a_turn_has_the_handler_begin_anew_with_both() {
    let thinker = Thinker::new(10);
    let world = restarting(Upstream::Meta, thinker.clone()).start();
    world.write("one");
    world.pass(4).await;
    world.write("two");
    world.pass(100).await;
    assert_eq!(thinker.ends(), ["one: cut short", "one + two: done"]);
    assert_eq!(world.replies(), ["one + two"]);
    // The dots are the newer message's from then on.
    assert_eq!(world.calls(), ["0 s: read and typing", "4 s: read and typing", "14 s: send"]);
    assert_eq!(history(&world).await, ["Customer: one", "Customer: two", "Bot: one + two"]);
}

#[tokio::test(start_paused = true)]
async fn the_dots_do_not_go_off_in_between_where_a_chat_has_them() {
    for upstream in [Upstream::Wawp, Upstream::Waha, Upstream::Gateway, Upstream::Linq] {
        let world = restarting(upstream, Thinker::new(10)).start();
        world.write("one");
        world.pass(4).await;
        world.write("two");
        world.pass(100).await;
        assert_eq!(world.replies(), ["one + two"], "{upstream:?}");
        let off: Vec<_> = world.seen().into_iter().filter(|seen| seen.contains("dots off")).collect();
        assert_eq!(off, ["14 s: dots off: reply"], "{upstream:?}: {:#?}", world.seen());
        let calls = world.calls();
        assert!(!calls.iter().any(|call| call.ends_with("stop")), "{upstream:?}: {calls:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_begins_anew_twice_at_the_most_and_the_rest_waits_for_the_next_turn() {
    let thinker = Thinker::new(10);
    let world = restarting(Upstream::Meta, thinker.clone()).start();
    for message in ["one", "two", "three", "four", "five"] {
        world.write(message);
        world.pass(4).await;
    }
    world.pass(100).await;
    assert_eq!(
        thinker.ends(),
        ["one: cut short", "one + two: cut short", "one + two + three: done", "four + five: done"]
    );
    assert_eq!(world.replies(), ["one + two + three", "four + five"]);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_begins_anew_has_all_of_its_time_again() {
    let thinker = Thinker::new(60);
    let world = restarting(Upstream::Meta, thinker.clone()).start();
    world.write("one");
    world.pass(50).await;
    world.write("two");
    world.pass(200).await;
    assert_eq!(world.replies(), ["one + two"]);
    assert_eq!(world.dead().await, []);
}

#[tokio::test(start_paused = true)]
async fn a_burst_in_the_middle_of_a_turn_is_one_interruption_where_there_is_a_quiet_window() {
    let thinker = Thinker::new(10);
    let mut setup = restarting(Upstream::Meta, thinker.clone());
    setup.merge.quiet = Duration::from_secs(2);
    let world = setup.start();
    world.write("one");
    world.pass(5).await;
    for message in ["two", "three", "four"] {
        world.write(message);
        world.pass(1).await;
    }
    world.pass(100).await;
    assert_eq!(thinker.ends(), ["one: cut short", "one + two + three + four: done"]);
    // Two seconds of quiet before each beginning.
    assert_eq!(world.calls(), ["2 s: read and typing", "9 s: read and typing", "19 s: send"]);
}

#[tokio::test(start_paused = true)]
async fn nothing_begins_anew_once_the_reply_is_being_sent() {
    let thinker = Thinker::new(2);
    let world = restarting(Upstream::Meta, thinker.clone()).start();
    world.sandbox.faults().add(Fault::on(Calls::Send).slow_to_act(Duration::from_secs(5)).once());
    world.write("one");
    world.pass(4).await;
    world.write("two");
    world.pass(100).await;
    assert_eq!(thinker.ends(), ["one: done", "two: done"]);
    assert_eq!(world.replies(), ["one", "two"]);
}

#[tokio::test(start_paused = true)]
async fn whoever_is_not_answered_interrupts_nobody() {
    let thinker = Thinker::new(10);
    let mut setup = restarting(Upstream::Meta, thinker.clone());
    setup.gate.per_minute = 1;
    let world = setup.start();
    world.write("one");
    world.pass(4).await;
    world.write("two");
    world.write("three");
    world.pass(100).await;
    assert_eq!(thinker.ends(), ["one: done"]);
    assert_eq!(world.calls(), ["0 s: read and typing", "10 s: send"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_queued_does_not_interrupt() {
    let thinker = Thinker::new(10);
    let world = Setup::new(thinker.clone()).start();
    world.write("one");
    world.pass(4).await;
    world.write("two");
    world.pass(100).await;
    assert_eq!(thinker.ends(), ["one: done", "two: done"]);
}

/// A handler that waits until it is told that nobody waits for its reply.
struct Obedient(Mutex<Option<DropGuard>>);

#[async_trait]
impl Handler for Obedient {
    async fn reply(&self, turn: &Turn) -> Result<Reply, HandlerError> {
        let (cancelled, guard) = (turn.cancelled.clone(), self.0.lock().expect("nobody panics in here").take());
        tokio::spawn(async move {
            cancelled.cancelled().await;
            drop(guard);
        });
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn stop_cancels_the_handler_and_takes_the_dots_off() {
    for upstream in Upstream::ALL {
        let told = CancellationToken::new();
        let world = Setup::on(upstream, Obedient(Mutex::new(Some(told.clone().drop_guard())))).start();
        let stops = world.provider.abilities().typing.stop.is_some();
        world.write("one");
        world.pass(4).await;
        world.write("Stop!");
        world.pass(3).await;
        assert!(told.is_cancelled(), "{upstream:?}: the handler was not told");
        assert_eq!(world.phone().dots_showing(&world.customer), !stops, "{upstream:?}");
        world.pass(300).await;
        assert!(world.replies().is_empty(), "{upstream:?}");
        let calls = world.calls();
        let stopped = calls.iter().filter(|call| call.ends_with("stop")).count();
        assert_eq!(stopped, usize::from(stops), "{upstream:?}: {calls:?}");
        assert_eq!(world.store.backlog().messages, 0, "{upstream:?}: something still waits");
        assert_eq!(world.dead().await, [], "{upstream:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_stops_the_bot_is_told_so_if_it_is_set_to() {
    let mut setup = Setup::new(Thinker::new(10));
    setup.control.stop_reply = "I have stopped.".into();
    let world = setup.start();
    world.write("one");
    world.pass(4).await;
    world.write("/STOP");
    world.pass(100).await;
    assert_eq!(world.calls(), ["0 s: read and typing", "4 s: send"]);
    assert_eq!(world.replies(), ["I have stopped."]);
    assert_eq!(history(&world).await, ["Customer: one", "Customer: /STOP", "Bot: I have stopped."]);
}

#[tokio::test(start_paused = true)]
async fn what_comes_after_the_word_is_answered() {
    let thinker = Thinker::new(10);
    let world = Setup::new(thinker.clone()).start();
    world.write("one");
    world.pass(4).await;
    world.write("stop");
    world.write("rather this");
    world.pass(100).await;
    assert_eq!(thinker.ends(), ["one: cut short", "rather this: done"]);
    assert_eq!(world.replies(), ["rather this"]);
}

#[tokio::test(start_paused = true)]
async fn stop_calls_off_what_waits_to_be_sent_without_waiting_for_it() {
    let mut setup = Setup::new(|turn: &Turn| match turn.text().as_str() {
        "long" => Reply::text("1").and(Part::text("2")).and(Part::text("3")),
        other => Reply::text(other.to_owned()),
    });
    setup.control.stop_reply = "I have stopped.".into();
    let world = setup.start();
    world.sandbox.faults().add(Fault::on(Calls::Send).fail(Failure::TooManyToOne).times(4));
    world.write("long");
    world.pass(60).await;
    assert!(world.replies().is_empty(), "it waits, for minutes by now");
    world.sandbox.faults().clear();
    world.write("stop");
    world.pass(300).await;
    assert_eq!(world.replies(), ["I have stopped."]);
    assert_eq!(world.dead().await, []);
    assert_eq!(world.store.backlog().messages, 0);
}

#[tokio::test(start_paused = true)]
async fn parts_that_had_left_are_part_of_the_conversation() {
    let world = Setup::new(|_: &Turn| Reply::text("1").and(Part::text("2"))).start();
    let sends = Arc::clone(&world.sandbox);
    world.write("long");
    // The first part leaves, and the second is refused for a long time.
    while world.replies().is_empty() {
        sends.faults().clear();
        sends.faults().add(Fault::on(Calls::Send).slow_to_answer(Duration::from_secs(2)).once());
        world.pass(1).await;
    }
    sends.faults().add(Fault::on(Calls::Send).fail(Failure::TooMany { retry_after: Some(500) }));
    world.pass(10).await;
    world.write("stop");
    world.pass(10).await;
    sends.faults().clear();
    world.pass(1000).await;
    assert_eq!(world.replies(), ["1"]);
    assert_eq!(history(&world).await, ["Customer: long", "Bot: 1", "Customer: stop"]);
}

#[tokio::test(start_paused = true)]
async fn a_tap_on_a_button_counts_by_what_it_said_and_a_sentence_does_not() {
    let thinker = Thinker::new(1);
    let mut setup = Setup::new(thinker.clone());
    setup.control.human = vec!["A person".into()];
    setup.control.human_reply = "Somebody will be with you.".into();
    let world = setup.start();
    world.write("please do not stop");
    world.pass(10).await;
    world.write("a person?");
    world.pass(10).await;
    assert_eq!(world.replies(), ["please do not stop", "Somebody will be with you."]);
}

#[tokio::test(start_paused = true)]
async fn somebody_whom_the_bot_does_not_answer_stops_nothing_and_is_told_nothing() {
    let mut setup = Setup::new(echo());
    setup.control.stop_reply = "I have stopped.".into();
    let world = setup.build();
    let blocked = world.customer(3);
    let mut setup = Setup::new(echo());
    setup.control.stop_reply = "I have stopped.".into();
    setup.gate.block = vec![blocked.as_str().to_owned()];
    let mut world = world;
    world.restart(setup).await;
    world.write_as(&blocked, "stop");
    world.pass(100).await;
    assert!(world.replies_to(&blocked).is_empty());
    assert_eq!(world.store.backlog().messages, 0);
}

#[tokio::test(start_paused = true)]
async fn a_picture_with_the_word_below_it_is_no_order() {
    let world = Setup::new(echo()).start();
    world.sandbox.write(&world.customer, Draft::image(Some("stop"))).expect("a customer of this sandbox");
    world.pass(100).await;
    assert_eq!(world.replies(), ["You said: stop"]);
}
