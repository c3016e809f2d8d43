//! The typing guard alone, on an upstream that has a call for taking the dots off.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use threedots::clock::Timestamp;
use threedots::http::Download;
use threedots::message::{BotName, ChatId, ContactId, MediaRef, MessageId, MessageRef, Part, PartKey};
use threedots::provider::{
    Abilities, Activity, Code, GroupTyping, InvalidPart, KeyedBy, Provider, ProviderError, ReadReceipts, Received,
    StopAbilities, TypingAbilities, WebhookError, WebhookRequest,
};
use threedots::typing::{self, Show, TypingConfig};
use tokio::time::{Instant, sleep};
use tokio_util::task::TaskTracker;

/// An upstream keyed by chat: it remembers what it was asked, and when.
struct Upstream {
    abilities: Abilities,
    calls: Mutex<Vec<String>>,
    began: Instant,
    /// How long a start takes, and what it comes to.
    start: Mutex<(Duration, Result<(), ProviderError>)>,
}

impl Upstream {
    fn new(change: impl FnOnce(&mut TypingAbilities)) -> Arc<Self> {
        let mut typing = TypingAbilities {
            keyed_by: KeyedBy::Chat,
            lifetime: Duration::from_secs(20),
            refresh: Some(Duration::from_secs(8)),
            max_refreshes: u32::MAX,
            start_marks_read: false,
            lit_on_arrival: false,
            stop: Some(StopAbilities { per_second: None, before_send: false }),
            recording: true,
            lead: Duration::ZERO,
            groups: GroupTyping::Show,
            large_groups: BTreeSet::new(),
        };
        change(&mut typing);
        Arc::new(Self {
            abilities: Abilities {
                typing,
                reads: ReadReceipts::Message,
                text_limit: 4096,
                choices: true,
                places: true,
                idempotent_sends: false,
                statuses_carry_key: false,
            },
            calls: Mutex::default(),
            began: Instant::now(),
            start: Mutex::new((Duration::ZERO, Ok(()))),
        })
    }

    fn starts_come_to(&self, takes: u64, result: Result<(), ProviderError>) {
        *self.start.lock().expect("no test panics in here") = (Duration::from_secs(takes), result);
    }

    fn note(&self, call: &str) {
        let call = format!("{} s: {call}", self.began.elapsed().as_secs());
        self.calls.lock().expect("no test panics in here").push(call);
    }

    fn calls(&self) -> Vec<String> {
        self.calls.lock().expect("no test panics in here").clone()
    }
}

#[async_trait]
impl Provider for Upstream {
    fn name(&self) -> &'static str {
        "test"
    }

    fn abilities(&self) -> &Abilities {
        &self.abilities
    }

    fn receive(&self, _: &WebhookRequest) -> Result<Received, WebhookError> {
        Err(WebhookError::WrongMethod)
    }

    async fn mark_read(&self, _: &MessageRef) -> Result<(), ProviderError> {
        self.note("read");
        Ok(())
    }

    async fn start_typing(&self, _: &MessageRef, activity: Activity) -> Result<(), ProviderError> {
        self.note(if activity == Activity::Recording { "recording" } else { "start" });
        let (takes, result) = self.start.lock().expect("no test panics in here").clone();
        sleep(takes).await;
        result
    }

    async fn stop_typing(&self, _: &MessageRef) -> Result<(), ProviderError> {
        self.note("stop");
        Ok(())
    }

    fn check(&self, _: &Part) -> Result<(), InvalidPart> {
        Ok(())
    }

    async fn send(&self, _: &MessageRef, _: &Part, _: &PartKey) -> Result<MessageId, ProviderError> {
        self.note("send");
        Ok(MessageId::new("sent"))
    }

    async fn fetch_media(&self, _: &MediaRef, _: u64) -> Result<Download, ProviderError> {
        Err(ProviderError::Unsupported { code: Code::Local("no media here") })
    }

    async fn upload_media(&self, _: Bytes, _: &str) -> Result<String, ProviderError> {
        Err(ProviderError::Unsupported { code: Code::Local("no media here") })
    }
}

fn message() -> MessageRef {
    MessageRef {
        bot: BotName::new("shop"),
        chat: ChatId::new("chat"),
        group: false,
        sender: ContactId::new("sender"),
        phone: None,
        message: MessageId::new("message"),
        time: Timestamp(0),
    }
}

fn show(tasks: &TaskTracker, upstream: &Arc<Upstream>) -> typing::Dots {
    show_with(tasks, upstream, &TypingConfig::default())
}

fn show_with(tasks: &TaskTracker, upstream: &Arc<Upstream>, config: &TypingConfig) -> typing::Dots {
    let provider: Arc<dyn Provider> = Arc::clone(upstream) as _;
    typing::show(tasks, &provider, config, &message())
}

async fn seconds(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
}

/// Waits for the guard's task to end, however long that takes.
async fn over(tasks: TaskTracker) {
    tasks.close();
    tasks.wait().await;
}

#[tokio::test(start_paused = true)]
async fn a_delivered_reply_needs_no_stop() {
    let (tasks, upstream) = (TaskTracker::new(), Upstream::new(|_| {}));
    let dots = show(&tasks, &upstream);
    seconds(10).await;
    let quiet = dots.quiet().await;
    upstream.note("send");
    quiet.cleared();
    over(tasks).await;
    assert_eq!(upstream.calls(), ["0 s: read", "0 s: start", "8 s: start", "10 s: send"]);
}

#[tokio::test(start_paused = true)]
async fn a_send_that_failed_is_followed_by_exactly_one_stop() {
    let (tasks, upstream) = (TaskTracker::new(), Upstream::new(|_| {}));
    let dots = show(&tasks, &upstream);
    seconds(1).await;
    let quiet = dots.quiet().await;
    upstream.note("send, in vain");
    quiet.off().await;
    assert_eq!(upstream.calls(), ["0 s: read", "0 s: start", "1 s: send, in vain", "1 s: stop"]);
    over(tasks).await;
    assert_eq!(upstream.calls().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_guard_at_any_point_takes_the_dots_off_once() {
    for quiet_first in [false, true] {
        let (tasks, upstream) = (TaskTracker::new(), Upstream::new(|_| {}));
        let dots = show(&tasks, &upstream);
        seconds(3).await;
        if quiet_first {
            drop(dots.quiet().await);
        } else {
            drop(dots);
        }
        over(tasks).await;
        assert_eq!(upstream.calls(), ["0 s: read", "0 s: start", "3 s: stop"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_and_an_abort_take_the_dots_off() {
    for abort in [false, true] {
        let (tasks, upstream) = (TaskTracker::new(), Upstream::new(|_| {}));
        let dots = show(&tasks, &upstream);
        let work = tokio::spawn(async move {
            let _dots = dots;
            seconds(3).await;
            if abort {
                std::future::pending::<()>().await;
            }
            std::panic::resume_unwind(Box::new("the handler's"));
        });
        seconds(3).await;
        work.abort();
        assert!(work.await.is_err());
        over(tasks).await;
        assert_eq!(upstream.calls(), ["0 s: read", "0 s: start", "3 s: stop"]);
    }
}

#[tokio::test]
async fn dropping_the_guard_needs_no_runtime() {
    let (tasks, upstream) = (TaskTracker::new(), Upstream::new(|typing| typing.start_marks_read = true));
    let dots = show(&tasks, &upstream);
    std::thread::spawn(move || drop(dots)).join().expect("no panic outside a runtime");
    over(tasks).await;
    assert_eq!(upstream.calls().last().map(String::as_str), Some("0 s: stop"));
}

#[tokio::test(start_paused = true)]
async fn a_start_in_flight_lands_before_the_guard_is_quiet() {
    let (tasks, upstream) = (TaskTracker::new(), Upstream::new(|_| {}));
    upstream.starts_come_to(2, Ok(()));
    let dots = show(&tasks, &upstream);
    seconds(1).await;
    let quiet = dots.quiet().await;
    upstream.note("quiet");
    quiet.cleared();
    over(tasks).await;
    assert_eq!(upstream.calls(), ["0 s: read", "0 s: start", "2 s: quiet"]);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_timed_out_may_have_landed_and_is_taken_off() {
    let (tasks, upstream) = (TaskTracker::new(), Upstream::new(|_| {}));
    upstream.starts_come_to(60, Ok(()));
    let dots = show(&tasks, &upstream);
    seconds(1).await;
    dots.off().await;
    assert_eq!(upstream.calls(), ["0 s: read", "0 s: start", "3 s: stop"]);
}

#[tokio::test(start_paused = true)]
async fn dots_that_never_came_on_are_not_taken_off() {
    let (tasks, upstream) = (TaskTracker::new(), Upstream::new(|_| {}));
    upstream.starts_come_to(0, Err(ProviderError::Transient { code: Code::Status(503) }));
    let dots = show(&tasks, &upstream);
    seconds(100).await;
    dots.off().await;
    assert_eq!(upstream.calls(), ["0 s: read", "0 s: start", "8 s: start", "16 s: start"], "three are enough");
}

#[tokio::test(start_paused = true)]
async fn refusals_that_will_not_pass_end_the_attempts_at_once() {
    let code = Code::Status(400);
    for error in [
        ProviderError::Unauthorized { code },
        ProviderError::Rejected { code },
        ProviderError::SessionDown { code },
        ProviderError::Unsupported { code },
        ProviderError::WindowClosed { code },
    ] {
        let (tasks, upstream) = (TaskTracker::new(), Upstream::new(|_| {}));
        upstream.starts_come_to(0, Err(error));
        let dots = show(&tasks, &upstream);
        seconds(100).await;
        dots.off().await;
        assert_eq!(upstream.calls(), ["0 s: read", "0 s: start"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_success_forgives_earlier_failures() {
    let (tasks, upstream) = (TaskTracker::new(), Upstream::new(|_| {}));
    let failure = Err(ProviderError::Transient { code: Code::Status(503) });
    upstream.starts_come_to(0, failure.clone());
    let dots = show(&tasks, &upstream);
    seconds(9).await;
    upstream.starts_come_to(0, Ok(()));
    seconds(8).await;
    upstream.starts_come_to(0, failure);
    seconds(60).await;
    dots.off().await;
    let starts = upstream.calls().iter().filter(|call| call.ends_with("start")).count();
    assert_eq!(starts, 6, "two failures, a success, three failures: {:?}", upstream.calls());
}

#[tokio::test(start_paused = true)]
async fn the_cap_takes_the_dots_off_while_the_work_goes_on() {
    let (tasks, upstream) = (TaskTracker::new(), Upstream::new(|_| {}));
    let config = TypingConfig { cap: Duration::from_secs(20), ..TypingConfig::default() };
    let dots = show_with(&tasks, &upstream, &config);
    seconds(100).await;
    dots.quiet().await.cleared();
    over(tasks).await;
    assert_eq!(upstream.calls(), ["0 s: read", "0 s: start", "8 s: start", "16 s: start", "20 s: stop"]);
}

#[tokio::test(start_paused = true)]
async fn a_beat_takes_the_dots_off_for_a_moment() {
    let (tasks, upstream) = (TaskTracker::new(), Upstream::new(|_| {}));
    let dots = show(&tasks, &upstream);
    let presence = dots.presence();
    seconds(2).await;
    presence.beat();
    seconds(4).await;
    dots.quiet().await.cleared();
    over(tasks).await;
    assert_eq!(upstream.calls(), ["0 s: read", "0 s: start", "2 s: stop", "3 s: start"]);
}

#[tokio::test(start_paused = true)]
async fn a_reply_in_the_middle_of_a_beat_lights_nothing_and_stops_nothing() {
    let (tasks, upstream) = (TaskTracker::new(), Upstream::new(|_| {}));
    let dots = show(&tasks, &upstream);
    let presence = dots.presence();
    seconds(2).await;
    presence.beat();
    seconds(1).await;
    dots.quiet().await.off().await;
    assert_eq!(upstream.calls(), ["0 s: read", "0 s: start", "2 s: stop"]);
}

#[tokio::test(start_paused = true)]
async fn a_handler_can_show_that_it_records_and_that_somebody_else_takes_over() {
    let (tasks, upstream) = (TaskTracker::new(), Upstream::new(|_| {}));
    let dots = show(&tasks, &upstream);
    let presence = dots.presence();
    seconds(1).await;
    presence.recording();
    seconds(1).await;
    presence.typing();
    seconds(1).await;
    presence.pause();
    seconds(30).await;
    dots.off().await;
    assert_eq!(upstream.calls(), ["0 s: read", "0 s: start", "1 s: recording", "2 s: start", "3 s: stop"]);
}

#[tokio::test(start_paused = true)]
async fn what_an_upstream_does_not_have_is_not_asked_of_it() {
    let (tasks, upstream) = (
        TaskTracker::new(),
        Upstream::new(|typing| (typing.stop, typing.recording, typing.refresh) = (None, false, None)),
    );
    let dots = show(&tasks, &upstream);
    let presence = dots.presence();
    presence.beat();
    presence.recording();
    seconds(60).await;
    presence.pause();
    dots.off().await;
    assert_eq!(upstream.calls(), ["0 s: read", "0 s: start"]);
}

#[tokio::test(start_paused = true)]
async fn the_lead_counts_the_handlers_own_time() {
    for (works, quiet_at) in [(1, 3), (5, 5)] {
        let (tasks, upstream) = (TaskTracker::new(), Upstream::new(|typing| typing.lead = Duration::from_secs(3)));
        let dots = show(&tasks, &upstream);
        seconds(works).await;
        let quiet = dots.quiet().await;
        upstream.note("send");
        quiet.cleared();
        over(tasks).await;
        assert_eq!(upstream.calls().last(), Some(&format!("{quiet_at} s: send")));
    }
}

#[tokio::test(start_paused = true)]
async fn a_bot_can_show_the_read_mark_alone_or_nothing() {
    for (show, calls) in [(Show::Read, vec!["0 s: read"]), (Show::Nothing, vec![])] {
        let (tasks, upstream) = (TaskTracker::new(), Upstream::new(|_| {}));
        let dots = show_with(&tasks, &upstream, &TypingConfig { show, ..TypingConfig::default() });
        seconds(60).await;
        dots.off().await;
        assert_eq!(upstream.calls(), calls);
    }
}
