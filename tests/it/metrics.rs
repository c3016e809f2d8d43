//! What is counted, read where Prometheus reads it.

mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE};
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use async_trait::async_trait;
use threedots::admin::telemetry::metrics::{Gauges, Metrics};
use threedots::admin::{Api, routes};
use threedots::message::clock::Clock;
use threedots::message::{BotName, ContentKind};
use threedots::provider::health::Health;
use threedots::provider::{ErrorCode, ProviderError};
use threedots::runtime::hosting::BotRegistry;
use threedots::runtime::meters::Meters;
use threedots::sandbox::{Calls, Draft, Failure, Fault, Mischief, WebhookFault};
use threedots::store::disk::{self, Disk};
use threedots::store::{ContactChange, ContactRef, Contacts, Maintenance, Opted, OptedBy};
use threedots::{Handler, HandlerError, Reply, Turn};

use crate::operator::Fixed;
use crate::world::{BOT, Setup, World};

const TOKEN: &str = "metrics-fe91a0d2b7c64583-not-a-secret";

/// Who counts, and where that can be read.
pub(crate) struct Counted {
    metrics: Arc<Metrics>,
}

/// Every line, by its name and labels.
pub(crate) type Lines = BTreeMap<String, f64>;

impl Counted {
    pub(crate) fn new() -> Self {
        Self { metrics: Arc::default() }
    }

    pub(crate) fn meters(&self) -> Meters {
        Meters::new(Arc::clone(&self.metrics) as _)
    }

    /// What an operator is answered.
    async fn ask(&self, world: &World, token: Option<&str>, up: bool) -> (u16, String, String) {
        let health = Arc::new(Health::new(BotName::new(BOT), Clock::tokio()));
        if !up {
            health.suffer(&ProviderError::Unauthorized { code: ErrorCode::Network("refused") });
        }
        let bots = BotRegistry::from_iter([(BotName::new(BOT), health)]);
        let (store, opens, metrics) = (Arc::clone(&world.store), TOKEN.to_owned().into(), Arc::clone(&self.metrics));
        let api = Api::new(store, bots, Arc::new(Fixed), opens, metrics, world.clock);
        let app = init_service(actix_web::App::new().configure(routes(Arc::new(api)))).await;
        let mut request = TestRequest::get().uri("/metrics");
        if let Some(token) = token {
            request = request.insert_header((AUTHORIZATION, format!("Bearer {token}")));
        }
        let answer = call_service(&app, request.to_request()).await;
        let status = answer.status().as_u16();
        let kind = answer.headers().get(CONTENT_TYPE).expect("a type").to_str().expect("text").to_owned();
        (status, kind, String::from_utf8(read_body(answer).await.to_vec()).expect("text"))
    }

    /// Everything, with nothing that waits.
    pub(crate) fn lines(&self) -> Lines {
        let nothing = Gauges {
            messages: 0,
            conversations: 0,
            oldest: Duration::ZERO,
            bots: Vec::new(),
            store_failed: false,
            out_of_space: false,
        };
        lines(&self.metrics.text(nothing))
    }

    async fn text(&self, world: &World, up: bool) -> String {
        let (status, kind, text) = self.ask(world, Some(TOKEN), up).await;
        assert_eq!((status, &*kind), (200, "application/openmetrics-text; version=1.0.0; charset=utf-8"));
        assert!(text.ends_with("# EOF\n"), "{text}");
        text
    }
}

/// The lines of a text, but for those of a histogram's buckets.
pub(crate) fn lines(text: &str) -> Lines {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.contains("_bucket{"));
    let lines = lines.map(|line| line.rsplit_once(' ').expect("a name and a number"));
    lines.map(|(name, number)| (in_order(name), number.parse().expect("a number"))).collect()
}

/// A line's name, its labels in the order of the alphabet.
fn in_order(name: &str) -> String {
    let Some((name, labels)) = name.trim_end_matches('}').split_once('{') else { return name.to_owned() };
    let labels: BTreeSet<&str> = labels.split(',').collect();
    format!("{name}{{{}}}", labels.into_iter().collect::<Vec<_>>().join(","))
}

/// Holds the lines that begin in this way against these, all of them.
pub(crate) fn assert_lines(all: &Lines, start: &str, expected: &[(&str, f64)]) {
    let found: Vec<(&str, f64)> =
        all.iter().filter(|(name, _)| name.starts_with(start)).map(|(name, number)| (&**name, *number)).collect();
    let mut expected = expected.to_vec();
    expected.sort_by(|one, other| one.0.cmp(other.0));
    assert_eq!(found, expected, "{start}");
}

/// Does what it is told.
struct Obedient;

#[async_trait]
impl Handler for Obedient {
    async fn reply(&self, turn: &Turn) -> Result<Reply, HandlerError> {
        tokio::time::sleep(Duration::from_secs(1)).await;
        match &*turn.text() {
            "silence" => Ok(Reply::Silence),
            "error" => Err(HandlerError::new("as it was told")),
            "panic" => panic!("as it was told"),
            "timeout" => std::future::pending().await,
            "person" => Ok(Reply::Handover { reason: "as it was told".into() }),
            words => Ok(Reply::text(format!("You said: {words}"))),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_may_happen_to_a_message_is_counted_once() {
    let counted = Counted::new();
    let mut setup = Setup { meters: counted.meters(), ..Setup::new(Obedient) };
    setup.gate.per_minute = 1;
    setup.gate.block = vec!["15550100666".into()];
    setup.gate.kinds = vec![ContentKind::Text];
    let world = setup.start();
    let mut number = 0;
    // Each from a customer of their own, so that no turn holds another back.
    let mut say = |words: &str| {
        number += 1;
        world.write_as(&world.customer(number), words)
    };
    for words in ["hello", "silence", "error", "panic", "timeout", "person"] {
        say(words);
    }
    world.pass(200).await;
    world.write_as(&world.customer(666), "let me in");
    world.sandbox.faults().add(WebhookFault::new(Mischief::Duplicate).once());
    say("twice");
    world.pass(10).await;
    world.sandbox.faults().add(Fault::on(Calls::Send).fail(Failure::TooMany { retry_after: Some(5) }).once());
    say("slower");
    world.pass(10).await;
    world.sandbox.faults().add(Fault::on(Calls::Send).fail(Failure::Refused).once());
    say("refused");
    world.pass(10).await;
    world.sandbox.faults().add(Fault::on(Calls::Typing).fail(Failure::Broken).once());
    say("in the dark");
    world.pass(10).await;
    world.sandbox.faults().add(Fault::on(Calls::Typing).fail(Failure::Hang).once());
    say("for ever");
    world.pass(200).await;
    // The second of a minute.
    world.write("one");
    world.pass(5).await;
    world.write("two");
    world.pass(5).await;
    assert_eq!(world.sandbox.inject("not signed").await, Some(400));
    world.sandbox.write(&world.customer, Draft::voice()).expect("a customer");
    world.pass(500).await;

    let text = counted.text(&world, true).await;
    let all = lines(&text);
    let expected: Vec<(String, f64)> = expected().into_iter().map(|(name, number)| (in_order(name), number)).collect();
    let expected: Vec<(&str, f64)> = expected.iter().map(|(name, number)| (&**name, *number)).collect();
    assert_lines(&all, "threedots_", &expected);
    for planted in [TOKEN, "1555010", "0666", "as it was told", "hello", "Customer", "Ada", "wamid"] {
        assert!(!text.contains(planted), "{planted}: {text}");
    }
}

/// What has happened above.
fn expected() -> Vec<(&'static str, f64)> {
    let mut expected = vec![
        // Each message, and three reports of each part that has left.
        (r#"threedots_webhooks_total{provider="meta",answer="ok"}"#, 16.0 + 3.0 * 9.0),
        (r#"threedots_webhooks_total{provider="meta",answer="not_understood"}"#, 1.0),
        (r#"threedots_messages_total{provider="meta",what="new"}"#, 15.0),
        (r#"threedots_messages_total{provider="meta",what="duplicate"}"#, 1.0),
        (r#"threedots_messages_turned_away_total{gate="blocked"}"#, 1.0),
        (r#"threedots_messages_turned_away_total{gate="too_many"}"#, 1.0),
        (r#"threedots_messages_turned_away_total{gate="kind"}"#, 1.0),
        (r#"threedots_messages_waiting"#, 0.0),
        (r#"threedots_conversations_waiting"#, 0.0),
        (r#"threedots_oldest_message_age_seconds"#, 0.0),
        // hello, twice, slower, in the dark, for ever, one
        (r#"threedots_turns_total{bot="shop",outcome="answered"}"#, 6.0),
        // silence, person, and the three that were turned away
        (r#"threedots_turns_total{bot="shop",outcome="silent"}"#, 5.0),
        // error, panic, timeout, refused
        (r#"threedots_turns_total{bot="shop",outcome="dead"}"#, 4.0),
        (r#"threedots_turns_total{bot="shop",outcome="later"}"#, 1.0),
        (r#"threedots_turn_duration_seconds_count{outcome="answered"}"#, 6.0),
        (r#"threedots_turn_duration_seconds_count{outcome="silent"}"#, 5.0),
        (r#"threedots_turn_duration_seconds_count{outcome="dead"}"#, 4.0),
        (r#"threedots_turn_duration_seconds_count{outcome="later"}"#, 1.0),
        // A typing call that hangs delays its reply by its own timeout; and what was slower was a turn of its own.
        // One of them waited for a typing call that hung, and had begun after `typing.delay`.
        (r#"threedots_turn_duration_seconds_sum{outcome="answered"}"#, 7.3),
        (r#"threedots_turn_duration_seconds_sum{outcome="silent"}"#, 2.0),
        (r#"threedots_turn_duration_seconds_sum{outcome="dead"}"#, 93.0),
        (r#"threedots_turn_duration_seconds_sum{outcome="later"}"#, 1.0),
        (r#"threedots_turns_given_back_total{why="rate_limited"}"#, 1.0),
        (r#"threedots_turns_running"#, 0.0),
        (r#"threedots_dead_letters_total{bot="shop"}"#, 4.0),
        (r#"threedots_handler_duration_seconds_count{result="reply"}"#, 7.0),
        (r#"threedots_handler_duration_seconds_sum{result="reply"}"#, 7.0),
        (r#"threedots_handler_duration_seconds_count{result="timeout"}"#, 1.0),
        (r#"threedots_handler_duration_seconds_sum{result="timeout"}"#, 90.0),
        // With the failure reply of three.
        (r#"threedots_provider_calls_total{provider="meta",call="send",result="ok"}"#, 9.0),
        (r#"threedots_provider_calls_total{provider="meta",call="send",result="rate_limited"}"#, 1.0),
        (r#"threedots_provider_calls_total{provider="meta",call="send",result="rejected"}"#, 1.0),
        (r#"threedots_provider_calls_total{provider="meta",call="typing",result="ok"}"#, 13.0),
        (r#"threedots_provider_calls_total{provider="meta",call="typing",result="ambiguous"}"#, 1.0),
        (r#"threedots_provider_calls_total{provider="meta",call="typing",result="unanswered"}"#, 1.0),
        (r#"threedots_bot_down{bot="shop"}"#, 0.0),
        // This store is in memory.
        (r#"threedots_store_commit_duration_seconds_count"#, 0.0),
        (r#"threedots_store_commit_duration_seconds_sum"#, 0.0),
        (r#"threedots_store_failed"#, 0.0),
        (r#"threedots_store_out_of_space"#, 0.0),
    ];
    for result in ["silence", "error", "panic", "hand_over"] {
        for line in ["count", "sum"] {
            let name = format!(r#"threedots_handler_duration_seconds_{line}{{result="{result}"}}"#);
            expected.push((name.leak(), 1.0));
        }
    }
    expected
}

#[tokio::test(start_paused = true)]
async fn how_things_stand_is_looked_up_when_somebody_asks() {
    let counted = Counted::new();
    let world = Setup { meters: counted.meters(), ..Setup::new(Obedient) }.build();
    world.write("one");
    world.pass(30).await;
    world.write("two");
    world.write_as(&world.customer(2), "three");
    world.pass(60).await;
    let all = lines(&counted.text(&world, false).await);
    for (name, number) in
        [("messages_waiting", 3.0), ("conversations_waiting", 2.0), ("oldest_message_age_seconds", 90.0)]
    {
        assert_eq!(all[&format!("threedots_{name}")], number, "{name}");
    }
    assert_eq!((all["threedots_bot_down{bot=\"shop\"}"], all["threedots_store_failed"]), (1.0, 0.0));
    world.store.close().await;
}

#[tokio::test(start_paused = true)]
async fn nobody_reads_it_without_the_token() {
    let (counted, world) = (Counted::new(), Setup::new(Obedient).build());
    for token in [None, Some("another"), Some("")] {
        let (status, _, body) = counted.ask(&world, token, true).await;
        assert_eq!(status, 401);
        assert!(!body.contains("threedots_"), "{body}");
    }
}

#[tokio::test]
async fn a_store_on_disk_tells_how_long_its_commits_take() {
    let counted = Counted::new();
    let directory = tempfile::tempdir().expect("a directory");
    let settings = disk::DiskSettings {
        path: directory.path().join("store"),
        meters: counted.meters(),
        ..disk::DiskSettings::default()
    };
    let store = Disk::open(settings, Clock::System).expect("a store");
    let peer = ContactRef::named(&BotName::new(BOT), "15550100001").expect("a name");
    for out in [true, false] {
        let opted = Opted { out, since: Clock::System.now(), by: OptedBy::Person };
        store.update_contact(&peer, ContactChange::Opt(opted)).await.expect("a change");
    }
    let commits = counted.lines()["threedots_store_commit_duration_seconds_count"];
    store.close().await;
    assert_eq!(commits, 2.0);
}
