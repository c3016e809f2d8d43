//! The operator's hand: who may use it, what it shows, what it changes, and what the log says of that.

mod command;
mod listener;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::http::Method;
use actix_web::http::header::AUTHORIZATION;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use async_trait::async_trait;
use futures_util::FutureExt;
use serde_json::{Map, Value, json};
use threedots::admin::telemetry::{self, LogLevel};
use threedots::admin::{Api, ApiError, BotHosting, HostError, Reloaded, routes};
use threedots::delivery::outbox;
use threedots::message::clock::Clock;
use threedots::message::{BotName, Content, Inbound, MessageId, MessageRef, Stage};
use threedots::policy::gate::GateConfig;
use threedots::provider::health::Health;
use threedots::provider::{ErrorCode, ProviderError};
use threedots::runtime::hosting::BotRegistry;
use threedots::store::disk::{Disk, MemorySettings};
use threedots::store::housekeeping;
use threedots::store::{Accepted, DeadLetter, Ending, Retention, Settled, Settlement, Store};
use threedots::{Handler, HandlerError, Part, Reply, Turn};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::layer::SubscriberExt;

use crate::buffer::Buffer;
use crate::canaries;
use crate::world::{BOT, Setup, World};

/// As an operator would make one.
pub(crate) const TOKEN: &str = "fictional-operator-token-0123456789";

/// Every route there is, and some that there are not.
const ROUTES: [(&str, &str); 25] = [
    ("GET", "/v1/dead"),
    ("GET", "/v1/dead/1"),
    ("POST", "/v1/dead/replay"),
    ("POST", "/v1/dead/discard"),
    ("POST", "/v1/forget"),
    ("POST", "/v1/conversations/pause"),
    ("POST", "/v1/conversations/resume"),
    ("POST", "/v1/conversations/1/pause"),
    ("POST", "/v1/conversations/1/resume"),
    ("GET", "/v1/parts/3d-1"),
    ("GET", "/v1/state"),
    ("GET", "/v1/bots"),
    ("GET", "/v1/bots/shop"),
    ("PUT", "/v1/bots/shop"),
    ("DELETE", "/v1/bots/shop"),
    ("POST", "/v1/reload"),
    ("POST", "/v1/bots/shop/messages"),
    ("POST", "/v1/bots/shop/invite"),
    ("GET", "/v1/bots/shop/members"),
    ("POST", "/v1/bots/shop/revoke"),
    ("DELETE", "/v1/dead"),
    ("OPTIONS", "/v1/state"),
    ("GET", "/"),
    ("GET", "/healthz"),
    ("POST", "/webhooks/shop"),
];

/// What the API answers.
struct Answered {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Value,
}

async fn ask(api: &Arc<Api>, method: &str, path: &str, authorization: Option<&str>, body: &str) -> Answered {
    let app = init_service(actix_web::App::new().configure(routes(Arc::clone(api)))).await;
    let mut request = TestRequest::with_uri(path)
        .method(Method::from_bytes(method.as_bytes()).expect("a method"))
        .set_payload(body.to_owned());
    if let Some(authorization) = authorization {
        request = request.insert_header((AUTHORIZATION, authorization));
    }
    let answer = call_service(&app, request.to_request()).await;
    let headers = answer.headers().iter();
    let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().expect("text").to_owned())).collect();
    let status = answer.status().as_u16();
    let body = read_body(answer).await;
    Answered { status, headers, body: serde_json::from_slice(&body).expect("JSON, whatever it is") }
}

/// With the token.
async fn get(api: &Arc<Api>, path: &str) -> (u16, Value) {
    let answer = ask(api, "GET", path, Some(&format!("Bearer {TOKEN}")), "").await;
    (answer.status, answer.body)
}

async fn post(api: &Arc<Api>, path: &str, body: Value) -> (u16, Value) {
    let answer = ask(api, "POST", path, Some(&format!("Bearer {TOKEN}")), &body.to_string()).await;
    (answer.status, answer.body)
}

fn api_of(store: &Arc<dyn Store>) -> Arc<Api> {
    let health = Arc::new(Health::new(BotName::new(BOT), Clock::tokio()));
    api_with(store, health)
}

fn api_with(store: &Arc<dyn Store>, health: Arc<Health>) -> Arc<Api> {
    let bots = BotRegistry::from_iter([(BotName::new(BOT), health)]);
    Arc::new(Api::new(
        Arc::clone(store),
        bots,
        Arc::new(Fixed),
        TOKEN.to_owned().into(),
        Arc::default(),
        Clock::tokio(),
    ))
}

/// The bots are what they are.
pub(crate) struct Fixed;

#[async_trait]
impl BotHosting for Fixed {
    async fn settings(&self, _: &BotName) -> Result<Option<Map<String, Value>>, HostError> {
        Ok(None)
    }

    async fn put(&self, _: &BotName, _: Map<String, Value>) -> Result<bool, HostError> {
        Err(ApiError::new(409, "no").into())
    }

    async fn remove(&self, _: &BotName) -> Result<bool, HostError> {
        Err(ApiError::new(409, "no").into())
    }

    async fn reload(&self) -> Result<Reloaded, HostError> {
        Err(ApiError::new(409, "no").into())
    }
}

/// Panics at every word of poison, until somebody has mended it.
struct Fragile(Arc<AtomicBool>);

#[async_trait]
impl Handler for Fragile {
    async fn reply(&self, turn: &Turn) -> Result<Reply, HandlerError> {
        assert!(!turn.text().contains("poison") || self.0.load(Ordering::SeqCst), "poison");
        Ok(Reply::text(format!("You said: {}", turn.text())))
    }
}

/// A world with a fragile handler, and what mends it.
fn fragile() -> (World, Arc<AtomicBool>) {
    let mended = Arc::new(AtomicBool::new(false));
    let world = Setup::new(Fragile(Arc::clone(&mended))).start();
    (world, mended)
}

#[tokio::test(start_paused = true)]
async fn without_the_token_everything_is_401_and_says_nothing() {
    let (world, _) = fragile();
    world.write("poison");
    world.pass(100).await;
    let api = api_of(&world.store);
    let wrong = [None, Some("Bearer wrong"), Some("Basic dGhlOm9wZXJhdG9y"), Some(TOKEN)];
    for authorization in wrong {
        for (method, path) in ROUTES {
            world.pass(1).await;
            let Answered { status, headers, body } = ask(&api, method, path, authorization, "{\"letters\":[1]}").await;
            assert_eq!(status, 401, "{method} {path}");
            assert_eq!(body, json!({ "error": "show the operator's token: `authorization: Bearer …`" }));
            assert_eq!(headers["www-authenticate"], "Bearer");
            assert_eq!(headers["cache-control"], "no-store");
            assert!(!headers.contains_key("set-cookie"));
        }
    }
    assert_eq!(world.dead().await.len(), 1, "nothing was changed");
    // With it, what is there is there, and nothing else.
    for (method, path) in &ROUTES[..20] {
        let status = ask(&api, method, path, Some(&format!("Bearer {TOKEN}")), "?").await.status;
        assert!(matches!(status, 200 | 400 | 404 | 409), "{status} {path}");
    }
    for (method, path) in &ROUTES[20..] {
        let status = ask(&api, method, path, Some(&format!("Bearer {TOKEN}")), "?").await.status;
        assert!(matches!(status, 404 | 405), "{status} {path}");
    }
}

#[tokio::test(start_paused = true)]
async fn wrong_tokens_are_looked_at_ten_times_a_second_and_no_more() {
    let store: Arc<dyn Store> = Arc::new(Disk::in_memory(Clock::tokio(), &MemorySettings::default()));
    let api = api_of(&store);
    let mut statuses = BTreeMap::new();
    for number in 0..100 {
        let authorization = format!("Bearer {number}");
        let status = ask(&api, "GET", "/v1/state", Some(&authorization), "").await.status;
        *statuses.entry(status).or_insert(0) += 1;
    }
    assert_eq!(statuses, BTreeMap::from([(401, 10), (429, 90)]));
    assert_eq!(get(&api, "/v1/state").await.0, 429);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(get(&api, "/v1/state").await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn a_poison_message_delays_nobody_ends_dead_and_is_answered_once_the_handler_is_mended() {
    let (world, mended) = fragile();
    let neighbours: Vec<_> = (50..70).map(|number| world.customer(number)).collect();
    world.write("poison");
    for neighbour in &neighbours {
        world.write_as(neighbour, "hello");
    }
    world.pass(5).await;
    for neighbour in &neighbours {
        assert_eq!(world.replies_to(neighbour), ["You said: hello"], "not delayed by the poison");
    }
    world.write("and then?");
    world.pass(5).await;
    assert_eq!(world.replies().last().map(String::as_str), Some("You said: and then?"), "nor its own conversation");
    assert_eq!(world.replies().len(), 2, "the failure reply, and an answer to the next");

    let api = api_of(&world.store);
    let (_, listed) = get(&api, "/v1/dead").await;
    let letters = listed["letters"].as_array().expect("a list");
    assert_eq!((letters.len(), &letters[0]["reason"]), (1, &json!("the handler panicked")));
    let number = letters[0]["letter"].as_u64().expect("a number");

    // Not mended yet: it dies again, under another number.
    assert_eq!(post(&api, "/v1/dead/replay", json!({ "letters": [number] })).await.1["done"], json!([number]));
    world.pass(5).await;
    let again = get(&api, "/v1/dead").await.1["letters"][0]["letter"].as_u64().expect("a number");
    assert!(again > number);

    // Hours later, when no new message of that age would be answered.
    world.pass(3 * 3600).await;
    mended.store(true, Ordering::SeqCst);
    let calls = world.calls().len();
    let answer = post(&api, "/v1/dead/replay", json!({ "letters": [again, again, 999] })).await;
    assert_eq!(answer, (200, json!({ "done": [again], "unknown": [999] })));
    world.pass(5).await;
    assert_eq!(world.replies().last().map(String::as_str), Some("You said: poison"));
    let calls: Vec<_> = world.calls().split_off(calls);
    assert!(calls[0].ends_with("read") && calls[1].ends_with("send"), "a whole turn: {calls:?}");
    assert_eq!(get(&api, "/v1/dead").await.1, json!({ "letters": [], "next": null }));
    let (status, _) = get(&api, &format!("/v1/dead/{again}")).await;
    assert_eq!(status, 404);
    world.pass(3600).await;
    assert_eq!(world.replies().iter().filter(|reply| *reply == "You said: poison").count(), 1, "and once");
}

#[tokio::test(start_paused = true)]
async fn letters_are_shown_page_by_page_and_gone_when_they_are_discarded() {
    let gate = GateConfig { per_minute: 1000, ..GateConfig::default() };
    let world = Setup { gate, ..Setup::new(Fragile(Arc::default())) }.start();
    for _ in 0..5 {
        world.write("poison");
        world.pass(2).await;
    }
    let api = api_of(&world.store);
    let numbers = |page: &Value| -> Vec<u64> {
        page["letters"].as_array().expect("a list").iter().filter_map(|letter| letter["letter"].as_u64()).collect()
    };
    let all = numbers(&get(&api, "/v1/dead").await.1);
    assert_eq!(all.len(), 5);
    let (_, first) = get(&api, "/v1/dead?most=2").await;
    assert_eq!((numbers(&first), &first["next"]), (all[..2].to_vec(), &json!(all[1])));
    let (_, second) = get(&api, &format!("/v1/dead?most=2&after={}", all[1])).await;
    assert_eq!(numbers(&second), all[2..4]);
    let (_, last) = get(&api, &format!("/v1/dead?most=2&after={}", all[3])).await;
    assert_eq!((numbers(&last), &last["next"]), (all[4..].to_vec(), &Value::Null));
    let answer = post(&api, "/v1/dead/discard", json!({ "letters": [all[0], all[3]] })).await;
    assert_eq!(answer, (200, json!({ "done": [all[0], all[3]], "unknown": [] })));
    assert_eq!(numbers(&get(&api, "/v1/dead").await.1), [all[1], all[2], all[4]]);
    let answer = post(&api, "/v1/dead/discard", json!({ "letters": [all[0]] })).await;
    assert_eq!(answer, (200, json!({ "done": [], "unknown": [all[0]] })));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_of_its_form_is_refused_and_not_quoted() {
    let store: Arc<dyn Store> = Arc::new(Disk::in_memory(Clock::tokio(), &MemorySettings::default()));
    let api = api_of(&store);
    let many = format!("{{\"letters\":{:?}}}", vec![1; 1001]);
    let cases = [
        ("GET", "/v1/dead?most=0", "", 400),
        ("GET", "/v1/dead?most=1001", "", 400),
        ("GET", "/v1/dead?most=101&show=words", "", 400),
        ("GET", "/v1/dead?after=CANARY", "", 400),
        ("GET", "/v1/dead?show=CANARY", "", 400),
        ("GET", "/v1/dead?CANARY=1", "", 400),
        ("GET", "/v1/dead/CANARY", "", 404),
        ("GET", "/v1/dead/1", "", 404),
        ("GET", "/v1/dead/0", "", 404),
        ("GET", "/v1/dead/18446744073709551615", "", 404),
        ("GET", "/v1/parts/CANARY", "", 404),
        ("GET", "/v1/parts/1?CANARY", "", 400),
        ("GET", "/v1/CANARY", "", 404),
        ("GET", "/v1/dead/1/CANARY", "", 404),
        ("PUT", "/v1/dead/replay", "CANARY", 405),
        ("GET", "/v1/forget", "", 405),
        ("POST", "/v1/dead/replay", "", 400),
        ("POST", "/v1/dead/replay", "{\"letters\":[]}", 400),
        ("POST", "/v1/dead/replay", "{\"letters\":[\"CANARY\"]}", 400),
        ("POST", "/v1/dead/discard", "{\"letters\":[-1]}", 400),
        ("POST", "/v1/dead/discard", &many, 400),
        ("POST", "/v1/forget", "{\"bot\":\"shop\"}", 400),
        ("POST", "/v1/forget", "{\"bot\":\"shop\",\"contact\":\" + \"}", 400),
        ("POST", "/v1/forget", "{\"bot\":\"\",\"contact\":\"CANARY\"}", 400),
        ("POST", "/v1/forget", "{\"bot\":\"shop\",\"contact\":\"1\",\"CANARY\":1}", 400),
        ("GET", "/v1/conversations/pause", "", 405),
        ("POST", "/v1/conversations/pause", "", 400),
        ("POST", "/v1/conversations/pause", "{\"bot\":\"shop\",\"contact\":\"+\"}", 400),
        ("POST", "/v1/conversations/pause", "{\"bot\":\"shop\",\"contact\":\"the CANARY\"}", 400),
        ("POST", "/v1/conversations/pause", "{\"bot\":\"shop\",\"contact\":\"0176 1234567\"}", 400),
        ("POST", "/v1/conversations/resume", "{\"bot\":\"shop\",\"contact\":\"the CANARY\"}", 400),
        ("POST", "/v1/conversations/pause", "{\"bot\":\"CANARY\",\"contact\":\"1\"}", 404),
        ("POST", "/v1/conversations/pause", "{\"bot\":\"shop\",\"contact\":\"1\",\"for\":\"CANARY\"}", 400),
        ("POST", "/v1/conversations/pause", "{\"bot\":\"shop\",\"contact\":\"1\",\"for\":\"0s\"}", 400),
        ("POST", "/v1/conversations/resume", "{\"bot\":\"shop\",\"contact\":\"1\",\"for\":\"1h\"}", 400),
        ("POST", "/v1/conversations/CANARY/pause", "", 404),
        ("POST", "/v1/conversations/7/pause", "{\"for\":\"CANARY\"}", 400),
        ("POST", "/v1/conversations/7/resume", "", 404),
        ("POST", "/v1/conversations/7/CANARY", "", 404),
        ("POST", "/v1/conversations/7/pause/CANARY", "", 404),
        ("POST", "/v1/dead/7/pause", "", 404),
    ];
    for (method, path, body, status) in cases {
        let answer = ask(&api, method, path, Some(&format!("Bearer {TOKEN}")), body).await;
        assert_eq!(answer.status, status, "{method} {path} {body}: {}", answer.body);
        assert!(answer.body["error"].is_string() && !answer.body.to_string().contains("CANARY"), "{}", answer.body);
        assert_eq!(answer.headers.contains_key("allow"), status == 405);
    }
    let huge = " ".repeat(257 << 10);
    assert_eq!(ask(&api, "POST", "/v1/forget", Some(&format!("Bearer {TOKEN}")), &huge).await.status, 413);
    store.close().await;
    for (path, body) in
        [("dead/replay", json!({ "letters": [1, 2] })), ("forget", json!({ "bot": "b", "contact": "1" }))]
    {
        let (status, body) = post(&api, &format!("/v1/{path}"), body).await;
        assert_eq!((status, &body["error"]), (503, &json!("the store is closed")));
    }
    assert_eq!(get(&api, "/v1/dead").await, (503, json!({ "error": "the store is closed" })));
}

/// A store with one dead letter of each kind that a delivery full of canaries makes.
async fn canaries_store() -> Arc<dyn Store> {
    let store: Arc<dyn Store> = Arc::new(Disk::in_memory(Clock::tokio(), &MemorySettings::default()));
    store.accept(&canaries::messages()).await.expect("room");
    while let Some(claim) = store.claim(Duration::from_secs(60)).now_or_never() {
        let claim = claim.expect("a claim");
        let dead = |seq| (seq, Ending::Dead { reason: "a reason".into() });
        let endings = claim.messages.iter().map(|waiting| dead(waiting.seq)).collect();
        let done =
            Settlement::Done(Settled { endings, said: Vec::new(), failure_replied: None, sent: Vec::new(), failed: 0 });
        store.settle(claim, done).await.expect("settled");
    }
    store
}

#[test]
fn nobodys_words_are_shown_unless_they_are_asked_for_and_none_are_logged() {
    let buffer = Buffer::default();
    let writer = buffer.clone();
    let layer = telemetry::layer(LogLevel::Trace, true, move || writer.clone());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.expect("a runtime").block_on(async {
            let store = canaries_store().await;
            let api = api_of(&store);
            let (_, listed) = get(&api, "/v1/dead").await;
            let letters = listed["letters"].as_array().expect("a list").clone();
            let numbers: Vec<_> = letters.iter().map(|letter| letter["letter"].clone()).collect();
            assert!(letters.len() >= 6, "{listed}");
            assert_eq!(canaries::found(&listed.to_string()), [""; 0]);
            let fields: Vec<_> = letters[0].as_object().expect("a letter").keys().cloned().collect();
            assert_eq!(fields, ["accepted", "bot", "kind", "letter", "reason", "since"]);
            let (_, shown) = get(&api, "/v1/dead?show=words").await;
            assert!(shown.to_string().contains(canaries::WORDS) && shown.to_string().contains(canaries::PHONE));
            let (_, letter) = get(&api, &format!("/v1/dead/{}", numbers[0])).await;
            assert!(letter["message"]["phone"].is_string(), "{letter}");

            // Whatever is put where, and whatever is done.
            post(&api, "/v1/dead/discard", json!({ "letters": [numbers[0], 12345] })).await;
            post(&api, "/v1/dead/replay", json!({ "letters": [numbers[1], numbers[2]] })).await;
            // A bot's name is nobody's.
            let whom =
                [(canaries::PHONE, BOT, 400), (BOT, canaries::PHONE, 200), (canaries::NAME, canaries::USER, 200)];
            for (bot, contact, status) in whom {
                assert_eq!(post(&api, "/v1/forget", json!({ "bot": bot, "contact": contact })).await.0, status);
            }
            let path: String = url::form_urlencoded::byte_serialize(canaries::WORDS.as_bytes()).collect();
            for path in [format!("/{path}"), format!("/v1/parts/{path}"), format!("/v1/dead?{path}")] {
                assert!(matches!(get(&api, &path).await.0, 400 | 404));
            }
            ask(&api, "GET", "/v1/dead", Some(&format!("Bearer {}", canaries::TOKEN)), "").await;
            assert_eq!(get(&api, "/v1/dead").await.1["letters"], json!([]));
        });
    });
    let written = buffer.written();
    assert_eq!(canaries::found(&written), [""; 0], "{written}");
    assert!(!written.contains(TOKEN));
    let lines = written.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let audit: Vec<Value> = lines.filter(|line| line["message"] == "audit").collect();
    let actions: Vec<_> = audit.iter().map(|line| line["operator.action"].as_str().expect("an action")).collect();
    assert_eq!(actions, ["discard", "replay", "forget", "forget", "forget"]);
    assert_eq!((&audit[0]["operator.letters"], &audit[0]["operator.unknown"]), (&json!("1"), &json!(1)));
    assert_eq!(audit[1]["operator.letters"], json!("2 3"));
    // A bot that is none may be a person.
    let bots: Vec<_> = audit[2..].iter().map(|line| &line["operator.bot"]).collect();
    assert_eq!(bots, [&Value::Null, &json!(BOT), &Value::Null]);
    assert!(audit[3]["dead"].as_u64() > Some(0) && audit[3]["waiting"].as_u64() > Some(0), "{}", audit[3]);
}

#[tokio::test(start_paused = true)]
async fn a_person_is_forgotten_by_a_number_as_people_write_it() {
    let (world, _) = fragile();
    world.write("poison");
    let other = world.customer(51);
    world.write_as(&other, "poison");
    world.pass(5).await;
    let api = api_of(&world.store);
    let whom = |contact: &str| json!({ "bot": BOT, "contact": contact });
    assert_eq!(post(&api, "/v1/forget", whom("+1 555 999-9999")).await.1["dead"], 0);
    let (status, forgotten) = post(&api, "/v1/forget", whom("+1 (555) 010-0001")).await;
    assert_eq!((status, &forgotten["dead"], &forgotten["conversations"]), (200, &json!(1), &json!(1)), "{forgotten}");
    assert_eq!(world.dead().await.len(), 1, "the other's is there");
    let again = post(&api, "/v1/forget", whom("15550100001")).await.1;
    assert!(again.as_object().expect("counts").values().all(|count| *count == 0), "{again}");
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_read_is_shown_as_it_came_is_not_replayed_and_can_be_dropped() {
    let (world, _) = fragile();
    let api = api_of(&world.store);
    let content = Content::Unknown { what: DeadLetter::UNREAD.into(), raw: "{\"id\":7,\"text\":[\"hello\"]}".into() };
    world.write("poison");
    world.pass(5).await;
    let other = world.dead().await[0].message.clone();
    let inbound = Inbound { content, ..other.inbound.clone() };
    let inbound = Inbound { at: MessageRef { message: MessageId::new("unread-1"), ..inbound.at }, ..inbound };
    let buried = world.store.bury(&[(inbound, "it could not be read".into())]).await.expect("the store works");
    let Accepted::New(seq) = buried[0] else { panic!("{buried:?}") };
    let (_, list) = get(&api, "/v1/dead").await;
    assert_eq!((&list["letters"][1]["unread"], &list["letters"][0]["unread"]), (&json!(true), &Value::Null), "{list}");
    assert!(!list.to_string().contains("hello"), "{list}");
    let (_, shown) = get(&api, &format!("/v1/dead/{seq}?show=words")).await;
    assert!(shown["message"]["content"].to_string().contains("hello"), "{shown}");
    let named = json!({ "letters": [seq, other.seq, 900] });
    let (status, changed) = post(&api, "/v1/dead/replay", named).await;
    let expected = json!({ "done": [other.seq], "unread": [seq], "unknown": [900] });
    assert_eq!((status, changed), (200, expected));
    let (_, changed) = post(&api, "/v1/dead/discard", json!({ "letters": [seq] })).await;
    assert_eq!(changed["done"], json!([seq]));
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_hangs_up_leaves_nothing_half_done() {
    let (world, _) = fragile();
    world.write("poison");
    world.pass(5).await;
    let api = api_of(&world.store);
    let number = world.dead().await[0].message.seq;
    let request = json!({ "letters": [number] });
    // As far as it comes without waiting for anything.
    assert!(post(&api, "/v1/dead/discard", request).now_or_never().is_none());
    api.end().await;
    assert_eq!(world.dead().await, []);
}

#[tokio::test(start_paused = true)]
async fn the_state_tells_what_waits_who_is_down_and_whether_the_store_has_failed() {
    let world = Setup::new(Fragile(Arc::default())).build();
    let health = Arc::new(Health::new(BotName::new(BOT), world.clock));
    let api = api_with(&world.store, Arc::clone(&health));
    let state = |messages: usize, conversations: usize, down: bool| {
        json!({
            "waiting": { "messages": messages, "conversations": conversations },
            "bots": [{ "bot": BOT, "down": down }],
            "store_failure": null,
        })
    };
    assert_eq!(get(&api, "/v1/state").await, (200, state(0, 0, false)));
    world.write("one");
    world.write("two");
    world.write_as(&world.customer(51), "three");
    world.pass(1).await;
    health.suffer(&ProviderError::Unauthorized { code: ErrorCode::Upstream(190) });
    assert_eq!(get(&api, "/v1/state").await, (200, state(3, 2, true)));
    health.recover();
    assert_eq!(get(&api, "/v1/state").await, (200, state(3, 2, false)));
}

#[tokio::test(start_paused = true)]
async fn a_part_is_found_by_its_key() {
    let world = Setup::new(Fragile(Arc::default())).build();
    world.write("hello");
    world.pass(1).await;
    let claim = world.store.claim(Duration::from_secs(60)).await.expect("something waits");
    let outgoing = outbox::address(&claim.messages[0], vec![Part::text("the words of the bot")], 0, true);
    world.store.intend(&claim, &outgoing).await.expect("intended");
    let (key, seq) = (outgoing.parts[0].key.clone(), claim.messages[0].seq);
    let sent = vec![(0, MessageId::new("wamid.SENT"))];
    let endings = vec![(seq, Ending::Answered)];
    let done = Settlement::Done(Settled { endings, said: Vec::new(), failure_replied: None, sent, failed: 0 });
    world.store.settle(claim, done).await.expect("settled");
    let api = api_of(&world.store);
    let path = format!("/v1/parts/{}", key.as_str());
    let (status, part) = get(&api, &path).await;
    assert_eq!((status, &part["stage"], &part["code"], &part["bot"]), (200, &json!("sent"), &Value::Null, &json!(BOT)));
    assert!(!part.to_string().contains("words") && !part.to_string().contains("wamid"), "{part}");
    let (_, shown) = get(&api, &format!("{path}?show=words")).await;
    assert_eq!((&shown["words"], &shown["upstream"]), (&json!("the words of the bot"), &json!("wamid.SENT")));
    let status = threedots::message::DeliveryStatus {
        bot: BotName::new(BOT),
        message: MessageId::new("wamid.SENT"),
        key: Some(key),
        stage: Stage::Failed(Some(131_026)),
        time: world.clock.now(),
    };
    world.store.apply_statuses(vec![status]).await.expect("noted");
    let (_, part) = get(&api, &path).await;
    assert_eq!((&part["stage"], &part["code"]), (&json!("failed"), &json!(131_026)));
}

#[tokio::test(start_paused = true)]
async fn what_was_kept_for_long_enough_is_thrown_away_by_itself() {
    let world = Setup::new(Fragile(Arc::default())).build();
    let mut world = world;
    world.work();
    let hour = Duration::from_secs(3600);
    let retention = Retention { history: hour * 2, sent: hour, dead: hour * 3 };
    let (store, stopped) = (Arc::clone(&world.store), CancellationToken::new());
    let until = stopped.clone();
    let housekeeping = tokio::spawn(async move { housekeeping::run(&*store, &retention, &until).await });
    for number in 100..600 {
        world.write_as(&world.customer(number), "poison");
    }
    world.pass(3 * 3600 - 60).await;
    assert_eq!(world.dead().await.len(), 500);
    world.pass(3 * 60).await;
    assert_eq!(world.dead().await.len(), 0);
    stopped.cancel();
    housekeeping.await.expect("it ends when it is told to");
}

#[tokio::test(start_paused = true)]
async fn a_conversation_is_paused_and_goes_on_by_the_contact_or_by_one_of_its_letters() {
    let (world, _) = fragile();
    world.write("poison");
    world.pass(100).await;
    let letter = world.dead().await[0].message.seq;
    let api = api_of(&world.store);
    let body = json!({ "bot": BOT, "contact": "+1 555 010-0001" });
    let (pause, resume) = ("/v1/conversations/pause", "/v1/conversations/resume");
    assert_eq!(post(&api, resume, body.clone()).await.1, json!({ "paused": false, "until": null, "changed": false }));
    let paused = json!({ "paused": true, "until": null, "changed": true });
    assert_eq!(post(&api, pause, body.clone()).await, (200, paused));
    world.write("one");
    world.pass(100).await;
    assert_eq!(world.replies().len(), 1, "only that the bot could not answer");
    assert_eq!(post(&api, pause, body.clone()).await.1["changed"], true, "it is newer");
    // By the letter's number, it is the same conversation.
    let resumed = json!({ "paused": false, "until": null, "changed": true });
    assert_eq!(post(&api, &format!("/v1/conversations/{letter}/resume"), json!({})).await, (200, resumed));
    world.write("two");
    world.pass(100).await;
    assert_eq!(world.replies().last().map(String::as_str), Some("You said: two"));
    let (status, answer) = post(&api, &format!("/v1/conversations/{letter}/pause"), json!({ "for": "2h" })).await;
    assert_eq!((status, &answer["paused"]), (200, &json!(true)));
    assert!(answer["until"].is_string(), "{answer}");
    world.write("three");
    world.pass(100).await;
    assert_eq!(world.replies().len(), 2);
    world.pass(7200).await;
    world.write("four");
    world.pass(100).await;
    assert_eq!(world.replies().last().map(String::as_str), Some("You said: four"));
}
