//! The flow of a turn, as the upstream and the customer see it: exact calls, in order, to the second.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use threedots::delivery::outbox::{OnUnknown, WindowTemplate};
use threedots::handler::{Handler, HandlerError};
use threedots::message::{BotName, ChatId, ContentKind, Conversation, Media, MediaKind, MediaSource};
use threedots::sandbox::{Calls, Draft, Failure, Fault, Mischief, StatusDelays, Upstream, WebhookFault};
use threedots::store::{Ending, Settled, Settlement};
use threedots::turn::{self};
use threedots::{Part, Reply, Turn};

use crate::world::{BOT, Setup, World, echo};

/// A handler that thinks for so long and then does what it is told.
struct Thinks(u64, Then);

#[derive(Clone, Copy)]
enum Then {
    Answer,
    Silence,
    Fail,
    Panic,
    Hang,
}

#[async_trait]
impl Handler for Thinks {
    async fn reply(&self, turn: &Turn) -> Result<Reply, HandlerError> {
        tokio::time::sleep(Duration::from_secs(self.0)).await;
        match self.1 {
            Then::Answer => Ok(Reply::text(format!("You said: {}", turn.text()))),
            Then::Silence => Ok(Reply::silence()),
            Then::Fail => Err(HandlerError::new("told to")),
            Then::Panic => panic!("told to"),
            Then::Hang => std::future::pending().await,
        }
    }
}

const SORRY: &str =
    "reply: Sorry, Ada, something went wrong on our side and I could not answer. Please try again in a little while.";

async fn after_one_message(setup: Setup) -> World {
    let world = setup.start();
    world.write("hello");
    world.pass(400).await;
    world
}

#[tokio::test(start_paused = true)]
async fn a_reply_takes_one_typing_call_and_one_send() {
    let world = after_one_message(Setup::new(Thinks(5, Then::Answer))).await;
    assert_eq!(world.calls(), ["0 s: read and typing", "5 s: send"]);
    assert_eq!(
        world.seen(),
        ["0 s: wrote", "0 s: read", "0 s: dots on", "5 s: reply: You said: hello", "5 s: dots off: reply"]
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_there_at_once_still_marks_the_message_as_read_first() {
    let world = after_one_message(Setup::new(echo())).await;
    assert_eq!(world.calls(), ["0 s: read", "0 s: send"]);
}

#[tokio::test(start_paused = true)]
async fn long_work_lights_the_dots_again_after_their_cooldown_four_times_at_most() {
    let mut setup = Setup::new(Thinks(200, Then::Answer));
    setup.turn.timeout = Duration::from_secs(250);
    setup.worker.lease = Duration::from_secs(600);
    setup.typing.cap = Duration::from_secs(300);
    let world = after_one_message(setup).await;
    assert_eq!(
        world.calls(),
        [
            "0 s: read and typing",
            "26 s: read and typing",
            "52 s: read and typing",
            "78 s: read and typing",
            "104 s: read and typing",
            "200 s: send"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn the_cap_ends_the_dots_whatever_the_handler_does() {
    let mut setup = Setup::new(Thinks(80, Then::Answer));
    setup.typing.cap = Duration::from_secs(40);
    let world = after_one_message(setup).await;
    assert_eq!(world.calls(), ["0 s: read and typing", "26 s: read and typing", "80 s: send"]);
}

#[tokio::test(start_paused = true)]
async fn silence_sends_nothing_and_lets_the_dots_lapse() {
    let world = after_one_message(Setup::new(Thinks(2, Then::Silence))).await;
    assert_eq!(world.calls(), ["0 s: read and typing"]);
    assert_eq!(world.seen(), ["0 s: wrote", "0 s: read", "0 s: dots on", "25 s: dots off: lapsed"]);
    assert!(world.dead().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_error_sends_the_failure_reply_and_leaves_a_dead_letter() {
    let world = after_one_message(Setup::new(Thinks(2, Then::Fail))).await;
    assert_eq!(world.calls(), ["0 s: read and typing", "2 s: send"]);
    assert_eq!(world.seen()[3..], [format!("2 s: {SORRY}"), "2 s: dots off: reply".to_owned()]);
    assert_eq!(world.dead().await[0].reason, "the handler failed: told to");
}

#[tokio::test(start_paused = true)]
async fn a_panic_sends_the_failure_reply_and_leaves_a_dead_letter() {
    let world = after_one_message(Setup::new(Thinks(2, Then::Panic))).await;
    assert_eq!(world.calls(), ["0 s: read and typing", "2 s: send"]);
    assert_eq!(world.dead().await[0].reason, "the handler panicked");
}

#[tokio::test(start_paused = true)]
async fn a_timeout_sends_the_failure_reply_and_leaves_a_dead_letter() {
    let mut setup = Setup::new(Thinks(0, Then::Hang));
    setup.turn.timeout = Duration::from_secs(30);
    let world = after_one_message(setup).await;
    assert_eq!(world.calls(), ["0 s: read and typing", "26 s: read and typing", "30 s: send"]);
    assert_eq!(world.dead().await[0].reason, "the handler took too long");
}

#[tokio::test(start_paused = true)]
async fn a_failure_reply_comes_once_an_hour() {
    let world = after_one_message(Setup::new(Thinks(1, Then::Fail))).await;
    world.write("again");
    world.pass(400).await;
    assert_eq!(world.replies().len(), 1);
    world.pass(3600).await;
    world.write("and again");
    world.pass(400).await;
    assert_eq!(world.replies().len(), 2);
    assert_eq!(world.dead().await.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_failure_reply_can_be_switched_off() {
    let mut setup = Setup::new(Thinks(1, Then::Fail));
    setup.failure_reply.enabled = false;
    let world = after_one_message(setup).await;
    assert_eq!(world.calls(), ["0 s: read and typing"]);
    assert_eq!(world.seen().last().map(String::as_str), Some("25 s: dots off: lapsed"));
}

#[tokio::test(start_paused = true)]
async fn an_aborted_turn_makes_no_further_call_and_is_taken_up_again() {
    let mut world = Setup::new(Thinks(10, Then::Answer)).build();
    let bot = Setup::new(Thinks(100, Then::Answer)).bot(Arc::clone(&world.provider));
    world.write("hello");
    let claim = world.store.claim(Duration::from_secs(300)).await.expect("the message");
    let tools = world.tools();
    let (tasks, room) = (tools.tasks.clone(), tools.media.take(0).await);
    let turn = tokio::spawn(async move { turn::run(&bot, &tools, claim, room).await });
    world.pass(20).await;
    turn.abort();
    world.pass(1).await;
    assert_eq!(tasks.len(), 0, "nobody keeps the dots on");
    world.pass(30).await;
    assert_eq!(world.calls(), ["0 s: read and typing"], "no refresh in second 26");
    world.work();
    world.pass(60).await;
    assert_eq!(world.calls(), ["0 s: read and typing", "51 s: read and typing", "61 s: send"]);
    assert_eq!(world.replies(), ["You said: hello"]);
}

#[tokio::test(start_paused = true)]
async fn a_rejected_send_is_not_repeated_and_leaves_a_dead_letter() {
    let sends = |_: &Turn| {
        let source = MediaSource::Uploaded("4711".into());
        Reply::media(Media { kind: MediaKind::Image, source, caption: None, filename: None })
    };
    let world = after_one_message(Setup::new(sends)).await;
    assert_eq!(world.dead().await[0].reason, "the provider refused (code 131009)");
    assert_eq!(world.seen(), ["0 s: wrote", "0 s: read"]);
}

#[tokio::test(start_paused = true)]
async fn a_bot_that_may_not_send_keeps_its_messages_and_leaves_its_upstream_alone() {
    let world = Setup::new(Thinks(2, Then::Answer)).start();
    world.sandbox.faults().add(Fault::on(Calls::Send).fail(Failure::Token).once());
    world.write("hello");
    world.pass(30).await;
    let other = world.customer(2);
    world.write_as(&other, "me too");
    world.pass(10).await;
    assert_eq!(world.calls(), ["0 s: read and typing", "2 s: send"], "one refusal spares the others the attempt");
    world.pass(60).await;
    assert_eq!(world.replies(), ["You said: hello"]);
    assert_eq!(world.replies_to(&other), ["You said: me too"]);
    assert!(world.dead().await.is_empty());
}

/// A world in which nothing is reported of what is sent.
fn without_reports(mut setup: Setup) -> World {
    setup.sandbox.statuses = StatusDelays { sent: None, delivered: None, read: None };
    setup.start()
}

#[tokio::test(start_paused = true)]
async fn a_send_without_an_answer_that_is_not_reported_either_is_sent_again_after_the_window() {
    let world = without_reports(Setup::new(Thinks(2, Then::Answer)));
    world.sandbox.faults().add(Fault::on(Calls::Send).fail(Failure::Hang).once());
    world.write("hello");
    world.pass(400).await;
    // Fifteen seconds until nobody waits for the answer any longer, and thirty for a report.
    assert_eq!(world.calls(), ["0 s: read and typing", "2 s: send", "47 s: send"]);
    assert_eq!(world.replies(), ["You said: hello"]);
}

#[tokio::test(start_paused = true)]
async fn a_send_without_an_answer_that_is_reported_is_not_sent_again() {
    for failure in [Failure::Reset, Failure::Hang, Failure::Broken, Failure::Unknown] {
        let world = Setup::new(Thinks(2, Then::Answer)).start();
        world.sandbox.faults().add(Fault::on(Calls::Send).fail(failure).after_effect().once());
        world.write("hello");
        world.pass(400).await;
        assert_eq!(world.calls(), ["0 s: read and typing", "2 s: send"], "{failure:?}");
        assert_eq!(world.replies(), ["You said: hello"]);
        assert!(world.dead().await.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_report_that_came_while_no_process_was_there_is_awaited_by_the_next() {
    let mut setup = Setup::new(Thinks(2, Then::Answer));
    setup.sandbox.statuses = StatusDelays { sent: None, delivered: Some(Duration::from_secs(110)), read: None };
    let mut world = setup.start();
    world.sandbox.faults().add(Fault::on(Calls::Send).fail(Failure::Reset).after_effect().once());
    world.write("hello");
    world.pass(12).await;
    world.worker.stop().await;
    world.pass(90).await;
    world.restart(Setup::new(Thinks(2, Then::Answer))).await;
    world.pass(400).await;
    assert_eq!(world.replies(), ["You said: hello"]);
    assert_eq!(world.calls(), ["0 s: read and typing", "2 s: send"]);
}

#[tokio::test(start_paused = true)]
async fn a_report_may_overtake_the_answer_and_the_parts_go_on_in_order() {
    let world = Setup::new(|_: &Turn| Reply::text("one").and(Part::text("two"))).start();
    // The first send is done at once, and its answer gets lost ten seconds later: the report was here long before.
    let slow = Fault::on(Calls::Send).slow_to_answer(Duration::from_secs(10)).fail(Failure::Reset).after_effect();
    world.sandbox.faults().add(slow.once());
    world.write("hello");
    world.pass(400).await;
    assert_eq!(world.replies(), ["one", "two"]);
    assert_eq!(world.calls(), ["0 s: read", "0 s: send", "10 s: send"]);
}

#[tokio::test(start_paused = true)]
async fn a_send_without_an_answer_is_given_up_if_the_policy_says_so_but_not_before_its_report_is_due() {
    for (policy, given_up) in [(OnUnknown::Drop, 47), (OnUnknown::Hold, 3617)] {
        let mut setup = Setup::new(Thinks(2, Then::Answer));
        setup.delivery.on_unknown = policy;
        let world = without_reports(setup);
        world.sandbox.faults().add(Fault::on(Calls::Send).fail(Failure::Hang).once());
        world.write("hello");
        world.pass(given_up - 1).await;
        assert!(world.dead().await.is_empty(), "{policy:?}");
        world.pass(2).await;
        assert_eq!(world.dead().await[0].reason, "its delivery is unknown");
        assert_eq!(world.calls(), ["0 s: read and typing", "2 s: send"]);
    }
}

#[tokio::test(start_paused = true)]
async fn word_of_a_held_part_that_comes_late_still_settles_it() {
    let mut setup = Setup::new(Thinks(2, Then::Answer));
    setup.delivery.on_unknown = OnUnknown::Hold;
    setup.sandbox.statuses = StatusDelays { sent: Some(Duration::from_secs(900)), delivered: None, read: None };
    let world = setup.start();
    world.sandbox.faults().add(Fault::on(Calls::Send).fail(Failure::Reset).after_effect().once());
    world.write("hello");
    world.pass(2000).await;
    assert_eq!(world.replies(), ["You said: hello"]);
    assert_eq!(world.calls(), ["0 s: read and typing", "2 s: send"]);
    assert!(world.dead().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_send_without_an_answer_is_repeated_with_its_key_where_the_upstream_knows_keys() {
    for upstream in [Upstream::Gateway, Upstream::Linq] {
        let world = without_reports(Setup::on(upstream, Thinks(2, Then::Answer)));
        let lost = Fault::on(Calls::Send).fail(Failure::Reset).after_effect().times(3);
        world.sandbox.faults().add(lost);
        world.write("hello");
        world.pass(400).await;
        assert_eq!(world.replies(), ["You said: hello"], "{}", upstream.name());
        assert_eq!(world.calls().iter().filter(|call| call.ends_with("send")).count(), 4, "{}", upstream.name());
    }
}

#[tokio::test(start_paused = true)]
async fn after_the_window_the_handler_is_not_asked_and_nobody_sees_anything() {
    let mut setup = Setup::new(Thinks(2, Then::Answer));
    setup.gate.max_age = Duration::from_hours(48);
    let world = setup.build();
    world.write("hello");
    world.pass(24 * 3600 + 1).await;
    let worker = tokio::spawn(Arc::clone(&world.worker).run());
    world.pass(60).await;
    assert!(world.calls().is_empty());
    assert_eq!(world.dead().await[0].reason, "the customer's last message is too old for a free-form reply");
    worker.abort();
}

#[tokio::test(start_paused = true)]
async fn after_the_window_the_bots_template_takes_the_replys_place() {
    let mut setup = Setup::new(Thinks(2, Then::Answer));
    setup.gate.max_age = Duration::from_hours(48);
    setup.delivery.window_template = Some(WindowTemplate { name: "hello_again".into(), language: "en_US".into() });
    let mut world = setup.build();
    world.write("hello");
    world.pass(24 * 3600 + 1).await;
    world.work();
    world.pass(60).await;
    assert_eq!(world.calls(), ["86401 s: send"]);
    assert_eq!(world.replies(), ["hello_again"]);
    assert!(world.dead().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_window_that_closes_while_a_reply_waits_is_seen_before_the_upstream_says_so() {
    let mut setup = Setup::new(Thinks(2, Then::Answer));
    setup.delivery.window_template = Some(WindowTemplate { name: "hello_again".into(), language: "en_US".into() });
    setup.delivery.give_up_after = Duration::from_hours(48);
    let world = setup.start();
    let limit = Failure::TooMany { retry_after: Some(25 * 3600) };
    // A day is the longest that anybody is waited for.
    world.sandbox.faults().add(Fault::on(Calls::Send).fail(limit).once());
    world.write("hello");
    world.pass(26 * 3600).await;
    assert_eq!(world.replies(), ["hello_again"]);
    assert_eq!(world.calls().len(), 3, "{:?}", world.calls());
}

/// Fails so often with an error that may pass, and answers then.
struct Recovers(AtomicUsize);

#[async_trait]
impl Handler for Recovers {
    async fn reply(&self, turn: &Turn) -> Result<Reply, HandlerError> {
        let left = self.0.load(Ordering::SeqCst);
        if left == 0 {
            return Ok(Reply::text(format!("You said: {}", turn.text())));
        }
        self.0.store(left - 1, Ordering::SeqCst);
        Err(HandlerError::temporary("the model is busy"))
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_that_may_pass_is_asked_about_again_while_the_dots_stay_on() {
    let world = after_one_message(Setup::new(Recovers(AtomicUsize::new(5)))).await;
    // After 1, 2, 4, 8 and 16 seconds.
    assert_eq!(world.calls(), ["0 s: read and typing", "26 s: read and typing", "31 s: send"]);
    assert_eq!(world.replies(), ["You said: hello"]);
}

#[tokio::test(start_paused = true)]
async fn an_error_that_does_not_pass_in_the_handlers_time_is_a_failure_like_any_other() {
    let mut setup = Setup::new(Recovers(AtomicUsize::new(100)));
    setup.turn.timeout = Duration::from_secs(20);
    let world = after_one_message(setup).await;
    assert_eq!(world.calls(), ["0 s: read and typing", "15 s: send"]);
    assert_eq!(world.dead().await[0].reason, "the handler failed: the model is busy");
}

#[tokio::test(start_paused = true)]
async fn a_medium_that_fails_after_all_goes_out_as_a_link() {
    let sends = |turn: &Turn| {
        let source = MediaSource::Link("https://shop.example/tea.jpg".into());
        let caption = Some(format!("Tea for {}", turn.text()));
        Reply::media(Media { kind: MediaKind::Image, source, caption, filename: None })
    };
    let world = Setup::new(sends).start();
    world.sandbox.faults().add(Fault::on(Calls::Send).fail(Failure::Undeliverable).once());
    world.write("two");
    world.pass(60).await;
    assert_eq!(world.replies(), ["Tea for two\nhttps://shop.example/tea.jpg"]);
    assert_eq!(world.calls(), ["0 s: read", "0 s: send", "0 s: send"]);
}

#[tokio::test(start_paused = true)]
async fn words_that_fail_after_all_are_not_sent_again() {
    let world = Setup::new(echo()).start();
    world.sandbox.faults().add(Fault::on(Calls::Send).fail(Failure::Undeliverable).once());
    world.write("hello");
    world.pass(60).await;
    assert!(world.replies().is_empty());
    assert_eq!(world.calls().len(), 2, "{:?}", world.calls());
    world.write("are you there?");
    world.pass(60).await;
    assert_eq!(world.replies(), ["You said: are you there?"]);
}

#[tokio::test(start_paused = true)]
async fn a_rate_limited_send_waits_as_long_as_it_is_told_and_so_does_whatever_the_number_sends() {
    let world = Setup::new(echo()).start();
    world.sandbox.faults().add(Fault::on(Calls::Send).fail(Failure::TooMany { retry_after: Some(17) }).once());
    world.write("hello");
    world.pass(1).await;
    let other = world.customer(2);
    world.write_as(&other, "me too");
    world.pass(1).await;
    assert!(world.replies().is_empty() && world.replies_to(&other).is_empty());
    world.pass(400).await;
    assert_eq!(
        (world.replies(), world.replies_to(&other)),
        (vec!["You said: hello".into()], vec!["You said: me too".into()])
    );
    // Nothing of the other's handler would have been heard before: it was not asked, and its customer saw no dots.
    assert_eq!(world.calls()[2..], ["17 s: send", "17 s: read", "17 s: send"]);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_gives_the_turn_back_and_the_next_start_answers_it() {
    let mut setup = Setup::new(Thinks(40, Then::Answer));
    setup.worker.grace = Duration::from_secs(5);
    let world = setup.start();
    world.write("hello");
    world.pass(10).await;
    world.worker.stop().await;
    assert_eq!(world.calls(), ["0 s: read and typing"]);
    world.pass(100).await;
    assert_eq!(world.calls(), ["0 s: read and typing"], "nothing lights the dots again");
    assert!(!world.phone().dots_showing(&world.customer));
    let claim = world.store.claim(Duration::from_secs(60)).await.expect("the message still waits");
    assert_eq!(claim.messages.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_lets_a_turn_finish_that_is_quick() {
    let world = Setup::new(Thinks(8, Then::Answer)).start();
    world.write("hello");
    world.pass(2).await;
    world.worker.stop().await;
    assert_eq!(world.calls(), ["0 s: read and typing", "8 s: send"]);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_is_in_flight_arrives_before_the_reply_leaves() {
    let world = Setup::new(Thinks(27, Then::Answer)).start();
    world.write("hello");
    world.pass(20).await;
    // The refresh leaves in second 26, takes effect two seconds later: after the answer is there.
    world.sandbox.faults().add(Fault::on(Calls::Typing).slow_to_act(Duration::from_secs(2)));
    world.pass(400).await;
    assert_eq!(world.calls(), ["0 s: read and typing", "26 s: read and typing", "28 s: send"]);
    let seen = world.seen();
    assert_eq!(seen[4..], ["28 s: read", "28 s: dots on", "28 s: reply: You said: hello", "28 s: dots off: reply"]);
}

#[tokio::test(start_paused = true)]
async fn a_typing_call_that_hangs_delays_the_reply_by_its_own_timeout_at_most() {
    let world = Setup::new(echo()).start();
    world.sandbox.faults().add(Fault::on(Calls::Typing).fail(Failure::Hang));
    world.write("hello");
    world.pass(400).await;
    assert_eq!(world.calls(), ["0 s: read", "3 s: send"]);
}

#[tokio::test(start_paused = true)]
async fn three_failing_typing_calls_are_enough() {
    let world = Setup::new(Thinks(85, Then::Answer)).start();
    world.sandbox.faults().add(Fault::on(Calls::Typing).fail(Failure::Broken));
    world.write("hello");
    world.pass(400).await;
    assert_eq!(world.calls(), ["0 s: read and typing", "26 s: read and typing", "52 s: read and typing", "85 s: send"]);
    assert_eq!(world.replies(), ["You said: hello"]);
}

#[tokio::test(start_paused = true)]
async fn a_typing_call_that_is_refused_for_good_is_the_last() {
    let world = Setup::new(Thinks(60, Then::Answer)).start();
    world.sandbox.faults().add(Fault::on(Calls::Typing).fail(Failure::Token));
    world.write("hello");
    world.pass(400).await;
    assert_eq!(world.calls(), ["0 s: read and typing", "60 s: send"]);
}

#[tokio::test(start_paused = true)]
async fn what_arrives_during_a_turn_becomes_the_next_one_together() {
    let world = Setup::new(Thinks(10, Then::Answer)).start();
    world.write("one");
    world.pass(2).await;
    world.write("two");
    world.pass(2).await;
    world.write("three");
    world.pass(400).await;
    assert_eq!(world.replies(), ["You said: one", "You said: two\nthree"]);
    // The second turn's dots stand under the newest member of the burst: one call, and it marks both as read.
    assert_eq!(world.calls(), ["0 s: read and typing", "10 s: send", "10 s: read and typing", "20 s: send"]);
}

#[tokio::test(start_paused = true)]
async fn a_quiet_window_makes_one_turn_of_a_burst_and_is_bounded_for_a_constant_writer() {
    let mut setup = Setup::new(echo());
    setup.merge.quiet = Duration::from_secs(4);
    let world = setup.start();
    for _ in 0..8 {
        world.write("and");
        world.pass(3).await;
    }
    world.pass(400).await;
    let replies = world.replies();
    assert_eq!(replies.len(), 2, "{replies:?}");
    assert_eq!(replies[0].matches("and").count(), 7, "five quiet windows are twenty seconds: seven messages");
    assert_eq!(replies[1].matches("and").count(), 1);
}

#[tokio::test(start_paused = true)]
async fn whoever_is_turned_away_sees_nothing() {
    let mut setup = Setup::new(echo());
    setup.gate.block = vec!["+15550100001".into()];
    let world = after_one_message(setup).await;
    assert!(world.calls().is_empty());
    assert!(world.dead().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_allow_list_lets_only_its_own_in() {
    let mut setup = Setup::new(echo());
    setup.gate.allow = vec!["+15550100002".into()];
    let world = setup.start();
    world.write("hello");
    let other = world.customer(2);
    // This customer's number is 15550100002.
    world.write_as(&other, "hello");
    world.pass(30).await;
    assert!(world.replies().is_empty());
    assert_eq!(world.replies_to(&other).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn messages_that_come_late_are_not_answered_and_those_that_have_waited_with_us_are() {
    let mut world = Setup::new(echo()).build();
    let number = world.sandbox.settings().phone_number_id.clone();
    let mut late = serde_json::json!({
        "object": "whatsapp_business_account",
        "entry": [{ "id": "1", "changes": [{ "field": "messages", "value": {
            "messaging_product": "whatsapp",
            "metadata": { "display_phone_number": "1", "phone_number_id": number },
            "messages": [{ "from": world.customer.as_str(), "id": "wamid.late", "type": "text",
                           "timestamp": "0", "text": { "body": "are you there?" } }],
        } }] }],
    });
    let written = world.clock.now().0 / 1000 - 601;
    late["entry"][0]["changes"][0]["value"]["messages"][0]["timestamp"] = written.to_string().into();
    assert_eq!(world.sandbox.inject(late.to_string()).await, Some(200));
    world.write("hello");
    world.pass(3600).await;
    world.work();
    world.pass(60).await;
    assert_eq!(world.replies(), ["You said: hello"], "what was acknowledged in time is answered, however late");
}

#[tokio::test(start_paused = true)]
async fn an_old_message_that_is_replayed_is_answered() {
    let world = Setup::new(echo()).build();
    world.write("hello");
    let claim = world.store.claim(Duration::from_secs(60)).await.expect("a store in memory");
    let seq = claim.messages[0].seq;
    let endings = vec![(seq, Ending::Dead { reason: "code".to_owned() })];
    let done =
        Settlement::Done(Settled { endings, said: Vec::new(), failure_replied: None, sent: Vec::new(), failed: 0 });
    world.store.settle(claim, done).await.expect("a store in memory");
    world.pass(3_600).await;
    assert!(world.store.replay(seq).await.expect("a store in memory").is_some());
    let worker = tokio::spawn(Arc::clone(&world.worker).run());
    world.pass(60).await;
    assert_eq!(world.replies().len(), 1);
    worker.abort();
}

#[tokio::test(start_paused = true)]
async fn two_bots_that_answer_each_other_stop_by_themselves() {
    let mut setup = Setup::new(echo());
    setup.gate.per_minute = 5;
    let world = setup.start();
    let mut answered = 0;
    for _ in 0..40 {
        // The customer is a bot too: it answers whatever it gets.
        world.write("pong");
        world.pass(1).await;
        let replies = world.replies().len();
        if replies == answered {
            break;
        }
        answered = replies;
    }
    assert_eq!(answered, 5);
}

#[tokio::test(start_paused = true)]
async fn a_long_reply_goes_out_in_parts_and_resumes_at_the_one_that_failed() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let story = move |_: &Turn| {
        counter.fetch_add(1, Ordering::Relaxed);
        Reply::text((0..400).map(|number| format!("This is sentence number {number}. ")).collect::<String>())
    };
    let world = Setup::new(story).start();
    world.sandbox.faults().add(Fault::on(Calls::Send).slow_to_answer(Duration::from_secs(1)).once());
    world.write("hello");
    world.pass_ms(500).await;
    world.sandbox.faults().add(Fault::on(Calls::Send).fail(Failure::TooManyToOne).once());
    world.pass(400).await;
    assert_eq!(world.calls(), ["0 s: read", "0 s: send", "1 s: send", "7 s: send", "13 s: send"]);
    let numbers = |text: &str| -> Vec<usize> {
        text.split_whitespace().filter_map(|word| word.trim_end_matches('.').parse().ok()).collect()
    };
    assert_eq!(numbers(&world.replies().join(" ")), (0..400).collect::<Vec<_>>(), "whole, once, and in order");
    assert_eq!(asked.load(Ordering::Relaxed), 1, "a reply that is on its way asks no handler again");
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_delivered_twice_at_the_same_time_is_answered_once() {
    let world = Setup::new(Thinks(1, Then::Answer)).start();
    world.sandbox.faults().add(WebhookFault::new(Mischief::Duplicate));
    world.write("hello");
    world.pass(400).await;
    assert_eq!(world.replies(), ["You said: hello"]);
}

#[tokio::test(start_paused = true)]
async fn what_a_gate_turned_away_is_no_part_of_the_conversation() {
    let mut setup = Setup::new(Thinks(1, Then::Silence));
    setup.gate.kinds = vec![ContentKind::Text];
    setup.merge.quiet = Duration::from_secs(2);
    let world = setup.start();
    world.write("hello");
    world.sandbox.write(&world.customer, Draft::image(Some("a picture of me"))).expect("a customer");
    world.pass(60).await;
    let customer = world.phone().customer(&world.customer).expect("the customer");
    let conversation = Conversation { bot: BotName::new(BOT), chat: ChatId::new(customer.user_id) };
    let said = world.store.history(&conversation, 10).await.expect("the history");
    assert_eq!(said.iter().map(|said| said.words.as_str()).collect::<Vec<_>>(), ["hello"]);
}
