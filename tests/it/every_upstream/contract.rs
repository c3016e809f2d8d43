//! One contract for all providers, on their real wires: who is let in, what is passed over, and what trouble does.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use threedots::admin::telemetry::{self, LogLevel};
use threedots::message::clock::Clock;
use threedots::provider::{Events, Method, Provider, Received, WebhookError, WebhookRequest};
use threedots::sandbox::{
    Calls, Courier, Customer, Draft, Failure, Fault, Mischief, Sandbox, SandboxSettings, Upstream, WebhookFault,
};
use tracing_subscriber::layer::SubscriberExt;

use crate::buffer::Buffer;
use crate::world::{self, Setup, World, echo};

/// A webhook: its address, its headers, its body.
type Webhook = (String, Vec<(String, String)>, Bytes);

/// Takes webhooks and keeps them.
#[derive(Default)]
struct Kept(Mutex<Vec<Webhook>>);

#[async_trait]
impl Courier for Kept {
    async fn post(&self, url: &str, headers: Vec<(String, String)>, body: Bytes) -> Option<u16> {
        self.0.lock().expect("no test panics in here").push((url.to_owned(), headers, body));
        Some(200)
    }
}

/// A provider, and a delivery that its upstream has signed: a customer's message.
pub(super) struct Delivered {
    pub(super) provider: Arc<dyn Provider>,
    pub(super) request: WebhookRequest,
}

impl Delivered {
    pub(super) async fn by(upstream: Upstream) -> Self {
        let (clock, kept) = (Clock::tokio(), Arc::new(Kept::default()));
        let settings = SandboxSettings { seed: Some(7), ..SandboxSettings::of(upstream) };
        let sandbox = Sandbox::new(settings, clock, Arc::clone(&kept) as Arc<dyn Courier>);
        let customer = Customer::new("15550100001", "Ada");
        sandbox.phone().add(customer.clone());
        sandbox.write(&customer.id, Draft::text("hello")).expect("a customer");
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (url, headers, body) = kept.0.lock().expect("no test panics in here").remove(0);
        let request = WebhookRequest {
            method: Method::Post,
            query: url.split_once('?').map(|(_, query)| query.to_owned()).unwrap_or_default(),
            headers: headers.iter().map(|(name, value)| (&**name, &**value)).collect(),
            body,
            received: clock.now(),
        };
        Self { provider: world::provider(&sandbox, clock), request }
    }

    fn with_body(&self, body: impl Into<Bytes>) -> Result<Events, WebhookError> {
        let request = WebhookRequest { body: body.into(), ..self.request.clone() };
        match self.provider.receive(&request)? {
            Received::Events(events) => Ok(events),
            Received::Challenge(_) => panic!("a delivery is no handshake"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_delivery_is_let_in_as_it_was_signed_and_in_no_other_form() {
    for upstream in Upstream::ALL {
        let name = upstream.name();
        let delivered = Delivered::by(upstream).await;
        let body = delivered.request.body.clone();
        let events = delivered.with_body(body.clone()).expect("it is authentic");
        assert_eq!(events.messages.len(), 1, "{name}");
        assert_eq!(events.messages[0].content.words(), Some("hello"), "{name}");
        for at in [0, body.len() / 3, body.len() / 2, body.len() - 1] {
            let mut tampered = body.to_vec();
            tampered[at] ^= 1;
            assert_eq!(delivered.with_body(tampered).err(), Some(WebhookError::WrongSignature), "{name}, byte {at}");
        }
        // Nobody looks into a body before its signature is right: what is no JSON at all is refused for that alone.
        for nonsense in [&b"{"[..], b"", b"\xff\xfe"] {
            let refused = delivered.with_body(nonsense).err();
            assert_eq!(refused, Some(WebhookError::WrongSignature), "{name}");
        }
        let unsigned =
            WebhookRequest { headers: Default::default(), query: String::new(), ..delivered.request.clone() };
        let refused = delivered.provider.receive(&unsigned).err();
        assert!(matches!(refused, Some(WebhookError::Unsigned)), "{name}: {refused:?}");
    }
}

/// Signed deliveries of things that no upstream sends, or not yet.
const UNKNOWN: [&str; 5] = [
    r#"{"event":"tea.ready","event_type":"tea.ready","event_id":"evt_1","id":"evt_1","payload":{"leaves":3},"data":{"leaves":3}}"#,
    r#"{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"tea","value":{"leaves":3}}]}]}"#,
    r#"{"field":"tea_update","value":{"leaves":3}}"#,
    r#"{"event":"message","payload":{"id":"x","type":"tea","leaves":3}}"#,
    "{}",
];

#[tokio::test(start_paused = true)]
async fn what_is_not_known_is_accepted_and_passed_over() {
    for upstream in Upstream::ALL {
        let world = Setup::on(upstream, echo()).start();
        for body in UNKNOWN {
            assert_eq!(world.sandbox.inject(body).await, Some(200), "{}: {body}", upstream.name());
        }
        world.pass(30).await;
        assert!(world.calls().is_empty(), "{}", upstream.name());
    }
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_comes_again_is_answered_once() {
    for upstream in Upstream::ALL {
        let world = Setup::on(upstream, echo()).start();
        world.sandbox.faults().add(WebhookFault::new(Mischief::Duplicate));
        for words in ["one", "two", "three"] {
            world.write(words);
            world.pass(20).await;
        }
        let replies = world.replies();
        assert_eq!(replies, ["You said: one", "You said: two", "You said: three"], "{}", upstream.name());
    }
}

#[tokio::test(start_paused = true)]
async fn the_news_of_our_own_messages_start_no_turn() {
    for upstream in Upstream::ALL {
        let world = Setup::on(upstream, echo()).start();
        world.write("hello");
        world.pass(100).await;
        assert_eq!(world.replies(), ["You said: hello"], "{}", upstream.name());
    }
}

/// What the fixtures of every upstream are called that must never start a turn.
const NOT_TO_BE_ANSWERED: [&str; 7] = ["own_", "echo", "status", "broadcast", "newsletter", "unknown_event", "session"];

#[tokio::test]
async fn whatever_is_no_customers_message_is_none_in_any_upstreams_form() {
    type Receives = fn(&[u8]) -> Events;
    let subjects: [(&str, Receives); 6] = [
        ("meta", |body| crate::meta::receives(body)),
        ("nxcloud", |body| crate::nxcloud::receives(body)),
        ("wawp", |body| crate::wawp::receives(body)),
        ("waha", |body| crate::waha::receives(body)),
        ("gateway", |body| crate::gateway::receives(body)),
        ("linq", |body| crate::linq::receives(body)),
    ];
    let named: Vec<&str> = subjects.iter().map(|(name, _)| *name).collect();
    let upstreams: Vec<&str> = Upstream::ALL.into_iter().map(Upstream::name).collect();
    assert_eq!(named, upstreams);
    for (name, receives) in subjects {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
        let mut seen = (0, 0);
        for file in std::fs::read_dir(&folder).expect("the fixtures") {
            let file = file.expect("readable").path();
            let fixture = file.file_stem().expect("a name").to_string_lossy().into_owned();
            let events = receives(&std::fs::read(&file).expect("readable"));
            if NOT_TO_BE_ANSWERED.iter().any(|start| fixture.starts_with(start)) {
                assert!(events.messages.is_empty(), "{name}/{fixture}");
                seen.0 += 1;
            } else if fixture == "text" {
                assert_eq!(events.messages.len(), 1, "{name}/{fixture}");
                seen.1 += 1;
            }
        }
        assert!(seen.0 >= 3 && seen.1 == 1, "{name}: {seen:?}");
    }
}

/// A world, and all that it logs.
pub(super) fn logged(upstream: Upstream, level: LogLevel) -> (World, Buffer, tracing::subscriber::DefaultGuard) {
    let buffer = Buffer::default();
    let writer = buffer.clone();
    let layer = telemetry::layer(level, true, move || writer.clone());
    let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    (Setup::on(upstream, echo()).start(), buffer, guard)
}

#[tokio::test(start_paused = true)]
async fn a_token_that_has_died_stops_the_bot_and_its_operator_is_told() {
    for upstream in Upstream::ALL {
        let (world, logs, _guard) = logged(upstream, LogLevel::Info);
        let fault = world.sandbox.faults().add(Fault::on(Calls::Send).fail(Failure::Token));
        world.write("hello");
        world.pass(20).await;
        let other = world.customer(2);
        let calls = world.calls().len();
        world.write_as(&other, "me too");
        world.pass(20).await;
        assert_eq!(world.calls().len(), calls, "{}: nobody else tries", upstream.name());
        let written = logs.written();
        let told: Vec<&str> = written.lines().filter(|line| line.contains("ERROR")).collect();
        assert_eq!(told.len(), 1, "{}: {written}", upstream.name());
        assert!(told[0].contains("the bot is down") && told[0].contains("check its token"), "{}", told[0]);
        world.sandbox.faults().remove(fault);
        world.pass(300).await;
        assert_eq!(world.replies(), ["You said: hello"], "{}", upstream.name());
        assert_eq!(world.replies_to(&other), ["You said: me too"], "{}", upstream.name());
        assert!(logs.written().contains("the bot is up again"), "{}", upstream.name());
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_down_is_not_hammered_and_loses_nothing() {
    for upstream in Upstream::ALL.into_iter().filter(|upstream| ["wawp", "waha", "gateway"].contains(&upstream.name()))
    {
        let (world, logs, _guard) = logged(upstream, LogLevel::Info);
        let fault = world.sandbox.faults().add(Fault::on(Calls::Any).fail(Failure::SessionDown));
        world.write("hello");
        world.pass(50).await;
        let calls = world.calls();
        let typing = calls.iter().filter(|call| call.contains("typing")).count();
        let sends = calls.iter().filter(|call| call.ends_with("send")).count();
        assert!(typing <= 1 && sends <= 1, "{}: {calls:?}", upstream.name());
        assert!(logs.written().contains("connect its number again"), "{}", upstream.name());
        world.pass(600).await;
        let calls = world.calls();
        assert!(calls.len() <= 4 + 2 * 11, "{}: {calls:?}", upstream.name());
        world.sandbox.faults().remove(fault);
        world.pass(120).await;
        assert_eq!(world.replies(), ["You said: hello"], "{}", upstream.name());
        assert!(world.dead().await.is_empty(), "{}", upstream.name());
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_is_waited_out() {
    for upstream in Upstream::ALL {
        let world = Setup::on(upstream, echo()).start();
        let limit = Failure::TooMany { retry_after: Some(17) };
        world.sandbox.faults().add(Fault::on(Calls::Send).fail(limit).once());
        world.write("hello");
        world.pass(100).await;
        let calls = world.calls();
        let sends: Vec<u64> = calls.iter().filter(|call| call.ends_with("send")).map(|call| second(call)).collect();
        assert_eq!(sends.len(), 2, "{}: {calls:?}", upstream.name());
        assert_eq!(sends[1] - sends[0], 17, "{}: {calls:?}", upstream.name());
        assert_eq!(world.replies(), ["You said: hello"], "{}", upstream.name());
    }
}

fn second(call: &str) -> u64 {
    call.split_once(' ').expect("it begins with a second").0.parse().expect("a number")
}

#[tokio::test(start_paused = true)]
async fn a_broken_proxys_page_is_survived() {
    for upstream in Upstream::ALL {
        let world = Setup::on(upstream, echo()).start();
        world.sandbox.faults().add(Fault::on(Calls::Any).fail(Failure::Broken).times(3));
        world.write("hello");
        world.pass(300).await;
        assert_eq!(world.replies(), ["You said: hello"], "{}", upstream.name());
        assert!(world.dead().await.is_empty(), "{}", upstream.name());
    }
}

#[tokio::test(start_paused = true)]
async fn read_and_typing_calls_that_hang_delay_a_reply_by_no_more_than_their_bound() {
    for upstream in Upstream::ALL {
        let world = Setup::on(upstream, echo()).start();
        world.sandbox.faults().add(Fault::on(Calls::Typing).fail(Failure::Hang));
        world.write("hello");
        world.pass(100).await;
        let calls = world.calls();
        let send = calls.iter().find(|call| call.ends_with("send")).expect("a send");
        let abilities = world.provider.abilities();
        // One call's three seconds; two where a start has to precede the reply whatever became of the read call.
        let bound = if abilities.typing.lead.is_zero() { 3 } else { 6 };
        assert!(second(send) <= bound, "{}: {calls:?}", upstream.name());
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_goes_wrong_nothing_private_is_logged() {
    use Failure::{Broken, Hang, Refused, Reset, SessionDown, Token, TooMany, TooManyToOne, Undeliverable, Unknown};
    let failures =
        [Broken, Hang, Refused, Reset, SessionDown, Token, TooMany { retry_after: None }, TooManyToOne, Undeliverable];
    for upstream in Upstream::ALL {
        let (world, logs, _guard) = logged(upstream, LogLevel::Trace);
        for failure in failures.into_iter().chain([Unknown]) {
            world.sandbox.faults().add(Fault::on(Calls::Any).fail(failure).times(3));
            world.write("words-for-nobody-else");
            world.pass(200).await;
        }
        world.sandbox.inject("{\"words\":\"words-for-nobody-else\"}").await;
        let settings = world.sandbox.settings();
        let told = logs.written();
        assert!(told.lines().count() > 20, "{}: {told}", upstream.name());
        let private = [
            "words-for-nobody-else",
            "15550100001",
            "Ada",
            &settings.access_token,
            &settings.app_secret,
            &settings.display_phone_number,
        ];
        for secret in private {
            assert!(!told.contains(secret), "{}: {secret} in {told}", upstream.name());
        }
    }
}
