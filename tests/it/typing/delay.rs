//! Where no call takes the dots off again: they are lit after a delay, and what is decided before that is marked as
//! read without them. One call either way.

use std::time::Duration;

use threedots::delivery::typing::{Show, TypingConfig};
use threedots::provider::TypingAbilities;
use tokio::time::sleep;
use tokio_util::task::TaskTracker;

use super::{Upstream, indicator, message, message_named, over, seconds, show, show_with};

/// As on Meta: a start marks as read, and nothing takes it off.
fn stays(typing: &mut TypingAbilities) {
    typing.start_marks_read = true;
    typing.stop = None;
    typing.recording = false;
    typing.refresh = Some(Duration::from_secs(26));
}

async fn ms(ms: u64) {
    sleep(Duration::from_millis(ms)).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_within_the_delay_waits_for_the_read_receipt_and_for_nothing_else() {
    for (works, call) in [(0, "0 s: read"), (200, "0 s: read"), (400, "0 s: start")] {
        let (tasks, upstream) = (TaskTracker::new(), Upstream::new(stays));
        let dots = show(&tasks, &upstream);
        ms(works).await;
        let asked = tokio::time::Instant::now();
        let quiet = dots.quiet().await;
        assert_eq!(asked.elapsed(), Duration::ZERO, "after {works} ms");
        upstream.note("send");
        quiet.cleared();
        seconds(60).await;
        over(tasks).await;
        assert_eq!(upstream.calls(), [call, "0 s: send"], "after {works} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_ends_without_a_reply_is_marked_as_read_once_and_nothing_follows() {
    for (works, calls) in [
        (0, &["0 s: read"][..]),
        (200, &["0 s: read"]),
        (400, &["0 s: start"]),
        (30_000, &["0 s: start", "26 s: start"]),
    ] {
        let (tasks, upstream) = (TaskTracker::new(), Upstream::new(stays));
        let dots = show(&tasks, &upstream);
        ms(works).await;
        dots.off().await;
        seconds(120).await;
        over(tasks).await;
        assert_eq!(upstream.calls(), calls, "after {works} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_is_cut_off_within_the_delay_shows_nothing() {
    // Dropped, by an abort for example; given back for somebody else to go on with; dropped with the reply in hand.
    for how in ["dropped", "abandoned", "dropped on the way to a reply"] {
        let (tasks, upstream) = (TaskTracker::new(), Upstream::new(stays));
        let dots = show(&tasks, &upstream);
        ms(100).await;
        match how {
            "dropped" => drop(dots),
            "abandoned" => dots.abandon().await,
            _ => drop(Box::pin(dots.quiet())),
        }
        seconds(60).await;
        over(tasks).await;
        assert_eq!(upstream.calls(), [""; 0], "{how}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_one_call_names_the_newest_of_a_burst_and_the_delay_does_not_begin_anew() {
    for (ends, calls) in [(200, ["0 s: read newest"]), (290, ["0 s: read newest"]), (310, ["0 s: start newest"])] {
        for replies in [false, true] {
            let (tasks, upstream) = (TaskTracker::new(), Upstream::naming(stays));
            let dots = show(&tasks, &upstream);
            ms(100).await;
            dots.turn_to(&message_named("newer"));
            ms(50).await;
            dots.turn_to(&message_named("newest"));
            ms(ends - 150).await;
            if replies {
                dots.quiet().await.cleared()
            } else {
                dots.off().await
            }
            over(tasks).await;
            assert_eq!(upstream.calls(), calls, "{replies}, after {ends} ms");
        }
    }
    // The newest comes and the answer with it.
    let (tasks, upstream) = (TaskTracker::new(), Upstream::naming(stays));
    let dots = show(&tasks, &upstream);
    ms(100).await;
    dots.turn_to(&message_named("newest"));
    dots.quiet().await.cleared();
    over(tasks).await;
    assert_eq!(upstream.calls(), ["0 s: read newest"]);
}

#[tokio::test(start_paused = true)]
async fn dots_that_are_lit_turn_to_a_newer_message_at_once() {
    let (tasks, upstream) = (TaskTracker::new(), Upstream::naming(stays));
    let dots = show(&tasks, &upstream);
    seconds(5).await;
    dots.turn_to(&message_named("newest"));
    ms(1).await;
    assert_eq!(upstream.calls(), ["0 s: start message", "5 s: start newest"]);
    dots.quiet().await.cleared();
    over(tasks).await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_hands_the_chat_over_within_the_delay_lights_nothing() {
    let (tasks, upstream) = (TaskTracker::new(), Upstream::new(stays));
    let dots = show(&tasks, &upstream);
    ms(100).await;
    dots.presence().pause();
    seconds(60).await;
    dots.off().await;
    over(tasks).await;
    assert_eq!(upstream.calls(), ["0 s: read"]);
}

#[tokio::test(start_paused = true)]
async fn a_receipt_that_hangs_delays_the_reply_by_its_own_timeout_at_most() {
    let (tasks, upstream) = (TaskTracker::new(), Upstream::new(stays));
    upstream.reads_take(60);
    let dots = show(&tasks, &upstream);
    let began = tokio::time::Instant::now();
    dots.quiet().await.cleared();
    assert_eq!(began.elapsed(), Duration::from_secs(3));
    over(tasks).await;
}

#[tokio::test(start_paused = true)]
async fn no_delay_lights_them_at_once_and_where_a_call_takes_them_off_there_is_none() {
    let at_once = TypingConfig { delay: Duration::ZERO, ..TypingConfig::default() };
    let (tasks, upstream) = (TaskTracker::new(), Upstream::new(stays));
    show_with(&tasks, &upstream, &at_once).quiet().await.cleared();
    over(tasks).await;
    assert_eq!(upstream.calls(), ["0 s: start"]);

    let late = TypingConfig { delay: Duration::from_secs(5), ..TypingConfig::default() };
    let (tasks, upstream) = (TaskTracker::new(), Upstream::new(|_| {}));
    let dots = show_with(&tasks, &upstream, &late);
    seconds(1).await;
    dots.off().await;
    over(tasks).await;
    assert_eq!(upstream.calls(), ["0 s: read", "0 s: start", "1 s: stop"]);
}

#[tokio::test(start_paused = true)]
async fn a_bot_that_shows_the_read_mark_alone_shows_it_at_once() {
    let read = TypingConfig { show: Show::Read, ..TypingConfig::default() };
    let (tasks, upstream) = (TaskTracker::new(), Upstream::new(stays));
    let dots = show_with(&tasks, &upstream, &read);
    ms(1).await;
    assert_eq!(upstream.calls(), ["0 s: read"]);
    dots.off().await;
    over(tasks).await;
    assert_eq!(upstream.calls(), ["0 s: read"]);
}

#[tokio::test(start_paused = true)]
async fn an_upstream_whose_start_does_not_mark_as_read_is_told_of_the_reading_at_once() {
    let apart = |typing: &mut TypingAbilities| {
        stays(typing);
        typing.start_marks_read = false;
    };
    for (works, calls) in [(100, &["0 s: read"][..]), (500, &["0 s: read", "0 s: start"])] {
        let (tasks, upstream) = (TaskTracker::new(), Upstream::new(apart));
        let dots = indicator(&upstream, &TypingConfig::default()).show(&tasks, &message());
        ms(works).await;
        dots.off().await;
        over(tasks).await;
        assert_eq!(upstream.calls(), calls);
    }
}
