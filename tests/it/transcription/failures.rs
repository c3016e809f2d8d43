//! When nobody finds out what is said: the handler is asked all the same, and the customer waits no longer than is set.

use std::time::Duration;

use futures_util::future;
use threedots::admin::telemetry::{self, LogLevel};
use threedots::runtime::http::CallError;
use threedots::sandbox::{Calls, Failure, Fault, Upstream};
use threedots::turn::transcription::TranscriptionConfig;
use tracing_subscriber::layer::SubscriberExt;

use super::{Answered, Server, answered, config, heard, says_what_it_heard, setup, speak, with};
use crate::buffer::Buffer;

/// An answer, and the word of it in the log.
type Case = (fn() -> Answered, &'static str);

const UNHEARD: &str = "voice unheard / before: []";
const SECRET: &str = "WORDS OF THE SERVER";

/// Which replies came of a voice note, the seconds in which the server was asked, and what was logged about it.
async fn unheard(config: TranscriptionConfig, answer: fn() -> Answered) -> (Vec<String>, Vec<u64>, Vec<String>) {
    let buffer = Buffer::default();
    let writer = buffer.clone();
    let layer = telemetry::layer(LogLevel::Info, false, move || writer.clone());
    let _logs = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    let server = Server::new(move |_| async move { answer() });
    let world = with(Upstream::Meta, config, &server, says_what_it_heard).start();
    speak(&world);
    world.pass(120).await;
    let lines =
        buffer.written().lines().filter(|line| line.contains("was not transcribed")).map(str::to_owned).collect();
    (world.replies(), server.seconds(), lines)
}

#[tokio::test(start_paused = true)]
async fn what_may_pass_is_tried_three_times_and_then_the_handler_is_asked_without() {
    let cases: [Case; 4] = [
        (|| answered(500, &[], SECRET), "HTTP 500"),
        (|| answered(429, &[], SECRET), "HTTP 429"),
        (|| Err(CallError::NotSent("cannot connect")), "cannot be reached"),
        (|| Err(CallError::Unanswered("connection lost")), "did not answer"),
    ];
    for (answer, why) in cases {
        let (replies, seconds, lines) = unheard(config(), answer).await;
        assert_eq!((replies, seconds), (vec![UNHEARD.into()], vec![0, 1, 3]), "{why}");
        let [line] = &lines[..] else { panic!("one line: {lines:?}") };
        assert!(line.contains(why) && !line.contains("WORDS"), "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_pass_is_tried_once() {
    let cases: [Case; 6] = [
        (|| answered(401, &[], SECRET), "HTTP 401"),
        (|| answered(400, &[], SECRET), "HTTP 400"),
        (|| answered(302, &[("location", "https://evil.example")], ""), "HTTP 302"),
        (|| answered(200, &[], SECRET), "not understood"),
        (|| answered(200, &[], "{\"words\": \"none\"}"), "not understood"),
        (|| answered(200, &[], &"x".repeat(65 << 10)), "too long"),
    ];
    for (answer, why) in cases {
        let (replies, seconds, lines) = unheard(config(), answer).await;
        assert_eq!((replies, seconds), (vec![UNHEARD.into()], vec![0]), "{why}");
        assert!(lines[0].contains(why) && !lines[0].contains("WORDS"), "{lines:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_or_lasts_too_long_goes_to_no_server() {
    let small = TranscriptionConfig { max_bytes: 500, ..config() };
    let short = TranscriptionConfig { longest: Duration::from_secs(1), ..config() };
    for (config, why) in [(small, "larger than the limit"), (short, "lasts too long")] {
        let (replies, seconds, lines) = unheard(config, || heard("never")).await;
        assert_eq!((replies, seconds), (vec![UNHEARD.into()], vec![]), "{why}");
        assert!(lines[0].contains(why), "{lines:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_asks_for_time_is_given_it_while_there_is_time() {
    let server = Server::new(|number| async move {
        match number {
            1 => answered(429, &[("retry-after", "7")], ""),
            _ => heard("thank you"),
        }
    });
    let world = setup(Upstream::Meta, &server).start();
    speak(&world);
    world.pass(60).await;
    assert_eq!(world.replies(), ["voice saying thank you / before: []"]);
    assert_eq!(server.seconds(), [0, 7]);
    let (replies, seconds, _) = unheard(config(), || answered(429, &[("retry-after", "600")], "")).await;
    assert_eq!((replies, seconds), (vec![UNHEARD.into()], vec![0]), "that is longer than the customer waits");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_takes_the_set_time_and_no_more() {
    let server = Server::new(|_| future::pending());
    let mut setup = setup(Upstream::Waha, &server);
    setup.merge.quiet = Duration::from_secs(1);
    let world = setup.start();
    for _ in 0..5 {
        speak(&world);
    }
    world.pass(100).await;
    assert_eq!(
        world.replies(),
        ["voice unheard, voice unheard, voice unheard, voice unheard, voice unheard / before: []"]
    );
    let reply = world.seen().into_iter().find(|seen| seen.contains("reply:"));
    assert!(reply.is_some_and(|reply| reply.starts_with("31 s: ")), "{:?}", world.seen());
    assert!(!world.phone().dots_showing(&world.customer));
}

#[tokio::test(start_paused = true)]
async fn a_medium_that_the_upstream_does_not_hand_out_is_answered_without_its_words() {
    let server = Server::after(0);
    let world = setup(Upstream::Meta, &server).start();
    world.sandbox.faults().add(Fault::on(Calls::Media).fail(Failure::Broken));
    speak(&world);
    world.pass(100).await;
    assert_eq!(world.replies(), [UNHEARD]);
    assert_eq!(server.asked().len(), 0);
    // One that only needs a moment is given it.
    let world = setup(Upstream::Meta, &server).start();
    world.sandbox.faults().add(Fault::on(Calls::Media).fail(Failure::Broken).times(2));
    speak(&world);
    world.pass(100).await;
    assert_eq!(world.replies(), ["voice saying words 1 / before: []"]);
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_note_that_cannot_be_heard_does_not_keep_the_others_from_it() {
    let server = Server::new(|number| async move {
        if number == 2 { answered(400, &[], "") } else { heard(&format!("words {number}")) }
    });
    let mut setup = setup(Upstream::Meta, &server);
    setup.merge.quiet = Duration::from_secs(1);
    let world = setup.start();
    for _ in 0..3 {
        speak(&world);
    }
    world.pass(60).await;
    assert_eq!(world.replies(), ["voice saying words 1, voice unheard, voice saying words 3 / before: []"]);
    assert_eq!(server.asked().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_note_in_which_nothing_is_said_is_not_asked_about_again() {
    let server = Server::new(|_| async { heard(" ") });
    let world = with(Upstream::Meta, config(), &server, super::Moody(std::sync::Mutex::new(2))).start();
    speak(&world);
    world.pass(60).await;
    assert_eq!(world.replies(), ["voice saying  / before: []"]);
    assert_eq!(server.asked().len(), 1);
    assert_eq!(world.history().await[0].words, "[voice]", "there is nothing to be remembered");
}
