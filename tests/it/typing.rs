//! The typing guard alone, on an upstream that has a call for taking the dots off.

mod delay;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use threedots::delivery::typing::{Dots, Indicator, Show, TypingConfig};
use threedots::message::clock::{Clock, Timestamp};
use threedots::message::{
    Address, BotName, ChatId, ContactId, MediaRef, MessageId, MessageRef, OptOutWords, Part, PartKey,
};
use threedots::provider::health::Health;
use threedots::provider::{
    Abilities, Activity, CaptionLimits, ErrorCode, GroupTyping, InvalidPart, KeyedBy, Provider, ProviderError,
    ReadReceipts, Received, Scope, SendLimits, StopAbilities, TypingAbilities, WebhookError, WebhookRequest,
};
use threedots::runtime::http::Download;
use tokio::time::{Instant, sleep};
use tokio_util::task::TaskTracker;

/// An upstream keyed by chat: it remembers what it was asked, and when.
struct Upstream {
    abilities: Abilities,
    calls: Mutex<Vec<String>>,
    began: Instant,
    /// How long a start takes, and what it comes to.
    start: Mutex<(Duration, Result<(), ProviderError>)>,
    /// How long a read call takes.
    read: Mutex<Duration>,
    /// Whether it remembers the message of a call as well.
    names: bool,
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
                limits: SendLimits::default(),
                text_limit: 4096,
                captions: CaptionLimits { length: 1024, never_on: &[] },
                choices: None,
                places: true,
                marks: true,
                idempotent_sends: false,
                statuses_carry_key: false,
                window: None,
                opt_out_words: OptOutWords::NONE,
                acknowledgement: "ok".into(),
            },
            calls: Mutex::default(),
            began: Instant::now(),
            start: Mutex::new((Duration::ZERO, Ok(()))),
            read: Mutex::default(),
            names: false,
        })
    }

    /// One that remembers which message a call names.
    fn naming(change: impl FnOnce(&mut TypingAbilities)) -> Arc<Self> {
        let mut upstream = Self::new(change);
        Arc::get_mut(&mut upstream).expect("nobody else holds it").names = true;
        upstream
    }

    fn reads_take(&self, seconds: u64) {
        *self.read.lock().expect("no test panics in here") = Duration::from_secs(seconds);
    }

    fn note_about(&self, call: &str, message: &MessageRef) {
        match self.names {
            true => self.note(&format!("{call} {}", message.message.as_str())),
            false => self.note(call),
        }
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

    async fn mark_read(&self, message: &MessageRef) -> Result<(), ProviderError> {
        self.note_about("read", message);
        let takes = *self.read.lock().expect("no test panics in here");
        sleep(takes).await;
        Ok(())
    }

    async fn start_typing(&self, message: &MessageRef, activity: Activity) -> Result<(), ProviderError> {
        self.note_about(if activity == Activity::Recording { "recording" } else { "start" }, message);
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

    fn address(&self, _: &str) -> Option<Address> {
        None
    }

    async fn send(&self, _: &MessageRef, _: &Part, _: &PartKey) -> Result<MessageId, ProviderError> {
        self.note("send");
        Ok(MessageId::new("sent"))
    }

    async fn confirm_opt_out(&self, to: &MessageRef, part: &Part, key: &PartKey) -> Result<MessageId, ProviderError> {
        self.send(to, part, key).await
    }

    fn reported(&self, code: Option<i64>) -> ProviderError {
        ProviderError::Rejected { code: code.map_or(ErrorCode::Local("reported as failed"), ErrorCode::Upstream) }
    }

    async fn fetch_media(&self, _: &MediaRef, _: u64) -> Result<Download, ProviderError> {
        Err(ProviderError::Unsupported { code: ErrorCode::Local("no media here") })
    }

    async fn upload_media(&self, _: Bytes, _: &str) -> Result<String, ProviderError> {
        Err(ProviderError::Unsupported { code: ErrorCode::Local("no media here") })
    }
}

fn message() -> MessageRef {
    message_in("chat", false)
}

fn message_named(name: &str) -> MessageRef {
    MessageRef { message: MessageId::new(name), ..message() }
}

fn message_in(chat: &str, group: bool) -> MessageRef {
    MessageRef {
        bot: BotName::new("shop"),
        chat: ChatId::new(chat),
        group,
        sender: ContactId::new("sender"),
        phone: None,
        aliases: Vec::new(),
        message: MessageId::new("message"),
        time: Timestamp(0),
    }
}

fn show(tasks: &TaskTracker, upstream: &Arc<Upstream>) -> Dots {
    show_with(tasks, upstream, &TypingConfig::default())
}

fn show_with(tasks: &TaskTracker, upstream: &Arc<Upstream>, config: &TypingConfig) -> Dots {
    indicator(upstream, config).show(tasks, &message())
}

fn indicator(upstream: &Arc<Upstream>, config: &TypingConfig) -> Indicator {
    let health = Arc::new(Health::new(BotName::new("shop"), Clock::tokio()));
    Indicator::new(Arc::clone(upstream) as _, config.clone(), health)
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
    upstream.starts_come_to(0, Err(ProviderError::Transient { code: ErrorCode::Status(503) }));
    let dots = show(&tasks, &upstream);
    seconds(100).await;
    dots.off().await;
    assert_eq!(upstream.calls(), ["0 s: read", "0 s: start", "8 s: start", "16 s: start"], "three are enough");
}

#[tokio::test(start_paused = true)]
async fn refusals_that_will_not_pass_end_the_attempts_at_once() {
    let code = ErrorCode::Status(400);
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
    let failure = Err(ProviderError::Transient { code: ErrorCode::Status(503) });
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
    let config = TypingConfig { beat: Duration::from_millis(1500), ..TypingConfig::default() };
    let dots = show_with(&tasks, &upstream, &config);
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
    let config = TypingConfig { beat: Duration::from_millis(1500), ..TypingConfig::default() };
    let dots = show_with(&tasks, &upstream, &config);
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

#[tokio::test(start_paused = true)]
async fn a_beat_right_before_the_reply_is_seen_before_the_reply() {
    let (tasks, upstream) = (TaskTracker::new(), Upstream::new(|_| {}));
    let config = TypingConfig { beat: Duration::from_secs(2), ..TypingConfig::default() };
    let dots = show_with(&tasks, &upstream, &config);
    seconds(3).await;
    // A search that has found nothing, asked for twice: one pause, and then the words.
    dots.presence().beat();
    dots.presence().beat();
    let quiet = dots.quiet().await;
    upstream.note("send");
    quiet.cleared();
    over(tasks).await;
    assert_eq!(upstream.calls(), ["0 s: read", "0 s: start", "3 s: stop", "5 s: send"]);
}

#[tokio::test(start_paused = true)]
async fn beats_in_a_row_are_one_beat() {
    let (tasks, upstream) = (TaskTracker::new(), Upstream::new(|_| {}));
    let config = TypingConfig { beat: Duration::from_secs(2), ..TypingConfig::default() };
    let dots = show_with(&tasks, &upstream, &config);
    seconds(1).await;
    (0..5).for_each(|_| dots.presence().beat());
    seconds(6).await;
    dots.quiet().await.cleared();
    over(tasks).await;
    assert_eq!(upstream.calls(), ["0 s: read", "0 s: start", "1 s: stop", "3 s: start"]);
}

#[tokio::test(start_paused = true)]
async fn where_dots_have_to_precede_a_message_they_do_even_if_the_answer_is_there_at_once() {
    let (tasks, upstream) = (TaskTracker::new(), Upstream::new(|typing| typing.lead = Duration::from_secs(2)));
    let quiet = show(&tasks, &upstream).quiet().await;
    upstream.note("send");
    quiet.cleared();
    over(tasks).await;
    assert_eq!(upstream.calls(), ["0 s: read", "0 s: start", "2 s: send"]);
}

#[tokio::test(start_paused = true)]
async fn dots_that_could_not_be_lit_hold_no_reply_back() {
    let (tasks, upstream) = (TaskTracker::new(), Upstream::new(|typing| typing.lead = Duration::from_secs(2)));
    upstream.starts_come_to(0, Err(ProviderError::Transient { code: ErrorCode::Status(503) }));
    let quiet = show(&tasks, &upstream).quiet().await;
    upstream.note("send");
    quiet.cleared();
    over(tasks).await;
    assert_eq!(upstream.calls(), ["0 s: read", "0 s: start", "0 s: send"]);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_with_a_reply_for_dots_that_are_not_shown() {
    for show in [Show::Read, Show::Nothing] {
        let (tasks, upstream) = (TaskTracker::new(), Upstream::new(|typing| typing.lead = Duration::from_secs(2)));
        let config = TypingConfig { show, ..TypingConfig::default() };
        let quiet = show_with(&tasks, &upstream, &config).quiet().await;
        upstream.note("send");
        quiet.cleared();
        over(tasks).await;
        assert_eq!(upstream.calls().last().map(String::as_str), Some("0 s: send"));
    }
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_wants_a_stop_before_a_send_gets_exactly_one() {
    for delivered in [true, false] {
        let (tasks, upstream) = (
            TaskTracker::new(),
            Upstream::new(|typing| typing.stop = Some(StopAbilities { per_second: None, before_send: true })),
        );
        let dots = show(&tasks, &upstream);
        seconds(3).await;
        let quiet = dots.quiet().await;
        upstream.note("send");
        if delivered {
            quiet.cleared()
        } else {
            quiet.off().await
        }
        over(tasks).await;
        assert_eq!(upstream.calls(), ["0 s: read", "0 s: start", "3 s: stop", "3 s: send"]);
    }
}

#[tokio::test(start_paused = true)]
async fn dots_that_the_upstream_lit_by_itself_are_taken_off_even_if_ours_never_came_on() {
    let (tasks, upstream) = (TaskTracker::new(), Upstream::new(|typing| typing.lit_on_arrival = true));
    upstream.starts_come_to(0, Err(ProviderError::SessionDown { code: ErrorCode::Status(501) }));
    let dots = show(&tasks, &upstream);
    seconds(3).await;
    dots.off().await;
    assert_eq!(upstream.calls(), ["0 s: read", "0 s: start", "3 s: stop"]);
}

#[tokio::test(start_paused = true)]
async fn a_group_is_shown_what_the_upstream_allows() {
    for (groups, calls) in [
        (GroupTyping::Show, vec!["0 s: read", "0 s: start", "8 s: start", "10 s: send"]),
        (GroupTyping::Sparingly, vec!["0 s: read", "2 s: start", "10 s: send"]),
        (GroupTyping::Skip, vec!["0 s: read", "10 s: send"]),
    ] {
        let (tasks, upstream) = (TaskTracker::new(), Upstream::new(|typing| typing.groups = groups));
        let dots = indicator(&upstream, &TypingConfig::default()).show(&tasks, &message_in("group", true));
        seconds(10).await;
        let quiet = dots.quiet().await;
        upstream.note("send");
        quiet.cleared();
        over(tasks).await;
        assert_eq!(upstream.calls(), calls, "{groups:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn in_a_large_group_only_who_is_certainly_at_work_is_shown_and_only_what_certainly_shows_is_taken_off() {
    let large = |typing: &mut TypingAbilities| typing.large_groups = [ChatId::new("crowd")].into();
    let crowd = message_in("crowd", true);
    // An answer within two seconds: nothing flickers.
    let (tasks, upstream) = (TaskTracker::new(), Upstream::new(large));
    let dots = indicator(&upstream, &TypingConfig::default()).show(&tasks, &crowd);
    seconds(1).await;
    dots.quiet().await.cleared();
    over(tasks).await;
    assert_eq!(upstream.calls(), ["0 s: read"]);
    // A start of which nobody knows whether it was seen: no stop. One that was: one stop.
    let unknown = Err(ProviderError::Ambiguous { code: ErrorCode::Network("timed out") });
    for (start, stops) in [(unknown, 0), (Ok(()), 1)] {
        let (tasks, upstream) = (TaskTracker::new(), Upstream::new(large));
        upstream.starts_come_to(0, start);
        let dots = indicator(&upstream, &TypingConfig::default()).show(&tasks, &crowd);
        seconds(5).await;
        dots.off().await;
        over(tasks).await;
        assert_eq!(upstream.calls().iter().filter(|call| call.ends_with("stop")).count(), stops);
    }
}

#[tokio::test(start_paused = true)]
async fn stops_keep_to_their_limit_chat_by_chat() {
    let limited = |typing: &mut TypingAbilities| {
        typing.stop = Some(StopAbilities { per_second: Some(3), before_send: false });
    };
    let (tasks, upstream) = (TaskTracker::new(), Upstream::new(limited));
    let indicator = indicator(&upstream, &TypingConfig::default());
    let stops =
        |upstream: &Upstream| upstream.calls().into_iter().filter(|call| call.ends_with("stop")).collect::<Vec<_>>();
    // Five turns of one chat end without a reply, one after the other.
    for _ in 0..5 {
        let dots = indicator.show(&tasks, &message());
        sleep(Duration::from_millis(10)).await;
        dots.off().await;
    }
    assert_eq!(stops(&upstream), ["0 s: stop", "0 s: stop", "0 s: stop", "1 s: stop", "1 s: stop"]);
    // One of another chat is not held back by those.
    let other = indicator.show(&tasks, &message_in("another", false));
    sleep(Duration::from_millis(1)).await;
    other.off().await;
    assert_eq!(stops(&upstream).len(), 6);
    assert!(upstream.began.elapsed() < Duration::from_millis(1100));
    // Several that show at once are taken off by one call.
    sleep(Duration::from_secs(1)).await;
    let all: Vec<Dots> = (0..10).map(|_| indicator.show(&tasks, &message())).collect();
    sleep(Duration::from_millis(10)).await;
    drop(all);
    over(tasks).await;
    assert_eq!(stops(&upstream).len(), 7);
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_asks_for_time_gets_it() {
    let (tasks, upstream) = (TaskTracker::new(), Upstream::new(|_| {}));
    let code = ErrorCode::Status(429);
    let retry_after = Some(Duration::from_secs(30));
    upstream.starts_come_to(0, Err(ProviderError::RateLimited { retry_after, scope: Scope::Number, code }));
    let dots = show(&tasks, &upstream);
    seconds(40).await;
    dots.off().await;
    assert_eq!(upstream.calls(), ["0 s: read", "0 s: start", "30 s: start"]);
}

#[tokio::test(start_paused = true)]
async fn where_read_receipts_are_the_upstreams_own_business_no_call_is_made() {
    let mut upstream = Upstream::new(|_| {});
    Arc::get_mut(&mut upstream).expect("nobody else holds it").abilities.reads = ReadReceipts::None;
    let tasks = TaskTracker::new();
    let dots = show(&tasks, &upstream);
    seconds(1).await;
    dots.off().await;
    assert_eq!(upstream.calls(), ["0 s: start", "1 s: stop"]);
}
