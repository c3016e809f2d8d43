//! What a bot says unasked, over the operator's API: to whom it may be said, once for its key, in its turn.

mod lead;
mod once;
mod refused;

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::AUTHORIZATION;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use async_trait::async_trait;
use serde_json::{Value, json};
use threedots::admin::{Api, routes};
use threedots::ingress::proactive::{OutboundChannel, ProactiveIntake};
use threedots::message::clock::Clock;
use threedots::message::{BotName, Speaker};
use threedots::policy::control::ControlConfig;
use threedots::policy::quiet_hours::QuietConfig;
use threedots::provider::Provider;
use threedots::provider::health::Health;
use threedots::runtime::hosting::BotRegistry;
use threedots::sandbox::{Calls, Failure, Fault, Upstream};
use threedots::store::{ContactChange, ContactRef, Opted, OptedBy, Pause, Store};
use threedots::{Handler, HandlerError, Reply, Turn};

use crate::operator::{Fixed, TOKEN};
use crate::world::{BOT, Setup, World, echo};

/// As an operator would write the first customer's number.
const ADA: &str = "+1 (555) 010-0001";

fn api(store: &Arc<dyn Store>, provider: &Arc<dyn Provider>, clock: Clock) -> Arc<Api> {
    let bot = BotName::new(BOT);
    let (patience, list_button) = (Duration::from_secs(20), "Options".into());
    let voice = OutboundChannel { provider: Arc::clone(provider), patience, list_button };
    let proactive_messages =
        ProactiveIntake::new(BotRegistry::from_iter([(bot.clone(), Arc::new(voice))]), Arc::clone(store), clock);
    let healths = BotRegistry::from_iter([(bot.clone(), Arc::new(Health::new(bot, clock)))]);
    Arc::new(
        Api::new(Arc::clone(store), healths, Arc::new(Fixed), TOKEN.to_owned().into(), Arc::default(), clock)
            .with_proactive(proactive_messages),
    )
}

fn api_of(world: &World) -> Arc<Api> {
    api(&world.store, &world.provider, world.clock)
}

async fn ask(api: &Arc<Api>, request: TestRequest) -> (u16, Value) {
    let app = init_service(actix_web::App::new().configure(routes(Arc::clone(api)))).await;
    let request = request.insert_header((AUTHORIZATION, format!("Bearer {TOKEN}"))).to_request();
    let answer = call_service(&app, request).await;
    let status = answer.status().as_u16();
    (status, serde_json::from_slice(&read_body(answer).await).expect("JSON, whatever it is"))
}

async fn send(api: &Arc<Api>, key: &str, body: &Value) -> (u16, Value) {
    let request = TestRequest::post().uri(&format!("/v1/bots/{BOT}/messages"));
    ask(api, request.insert_header(("idempotency-key", key)).set_payload(body.to_string())).await
}

async fn get(api: &Arc<Api>, path: &str) -> (u16, Value) {
    ask(api, TestRequest::get().uri(path)).await
}

async fn post(api: &Arc<Api>, path: &str, body: &Value) -> (u16, Value) {
    ask(api, TestRequest::post().uri(path).set_payload(body.to_string())).await
}

/// How far each part has come.
async fn stages(api: &Arc<Api>, taken: &Value) -> Vec<String> {
    let mut stages = Vec::new();
    for part in taken["parts"].as_array().expect("parts") {
        let (_, part) = get(api, part["path"].as_str().expect("a path")).await;
        stages.push(part["stage"].as_str().unwrap_or("none").to_owned());
    }
    stages
}

/// A handler that thinks for ten seconds and says what it was told of the conversation before.
struct Recalls;

#[async_trait]
impl Handler for Recalls {
    async fn reply(&self, turn: &Turn) -> Result<Reply, HandlerError> {
        tokio::time::sleep(Duration::from_secs(10)).await;
        let by_us = turn.history.iter().filter(|said| said.by == Speaker::Bot);
        let words: Vec<&str> = by_us.map(|said| said.words.as_str()).collect();
        Ok(Reply::text(format!("{} after {words:?}", turn.text())))
    }
}

fn peer() -> ContactRef {
    ContactRef::named(&BotName::new(BOT), "15550100001").expect("somebody")
}

async fn opt_out(world: &World) {
    let opted = Opted { out: true, since: world.clock.now(), by: OptedBy::Person };
    world.store.update_contact(&peer(), ContactChange::Opt(opted)).await.expect("the store works");
}

async fn pause(world: &World) {
    let pause = Pause { since: world.clock.now(), until: None, by: threedots::store::By::Phone };
    world.store.update_contact(&peer(), ContactChange::Pause(pause)).await.expect("the store works");
}

fn templated() -> Value {
    json!({ "type": "approved_template", "name": "order_shipped", "language": "en_US" })
}

#[tokio::test(start_paused = true)]
async fn whom_the_bot_knows_is_told_and_no_handler_is_asked_and_dots_precede_it_where_they_have_to() {
    for upstream in Upstream::ALL {
        let world = Setup::on(upstream, Recalls).start();
        let api = api_of(&world);
        world.write("hello");
        world.pass(30).await;
        let calls = world.calls().len();
        let said = json!({ "contact": ADA, "parts": [{ "type": "text", "text": "it has left" }, { "type": "text", "text": "and will be there soon" }] });
        let (status, taken) = send(&api, "order-17", &said).await;
        assert_eq!((status, taken["parts"].as_array().map(Vec::len)), (202, Some(2)), "{upstream:?}: {taken}");
        world.pass(20).await;
        assert_eq!(world.replies(), ["hello after []", "it has left", "and will be there soon"], "{upstream:?}");
        let more: Vec<_> = world.calls().split_off(calls);
        let kinds: Vec<_> = more.iter().filter_map(|call| call.split_once(": ")).map(|(_, kind)| kind).collect();
        let leads = !world.provider.abilities().typing.lead.is_zero();
        let expected = if leads { &["typing", "send", "send"][..] } else { &["send", "send"] };
        assert_eq!(kinds, expected, "{upstream:?}: {more:?}");
        for stage in stages(&api, &taken).await {
            assert!(["sent", "delivered", "read"].contains(&stage.as_str()), "{upstream:?}: {stage}");
        }
        world.write("thanks");
        world.pass(30).await;
        let told = "thanks after [\"hello after []\", \"it has left\", \"and will be there soon\"]";
        assert_eq!(world.replies().last().map(String::as_str), Some(told), "{upstream:?}");
        assert_eq!(world.store.backlog().messages, 0, "{upstream:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_has_never_written_is_reached_as_the_upstream_allows_and_what_was_said_is_known_when_they_write() {
    for upstream in Upstream::ALL {
        let world = Setup::on(upstream, Recalls).start();
        let api = api_of(&world);
        let text = json!({ "contact": ADA, "text": "a parcel is waiting for you" });
        let (status, refused) = send(&api, "parcel-1", &text).await;
        let expected = if world.provider.abilities().window.is_some() {
            assert_eq!(status, 422, "{upstream:?}: {refused}");
            assert!(refused["error"].as_str().is_some_and(|why| why.contains("approved templates")), "{refused}");
            let (status, taken) = send(&api, "parcel-1", &json!({ "contact": ADA, "parts": [templated()] })).await;
            assert_eq!(status, 202, "{upstream:?}: {taken}");
            "[approved_template]"
        } else {
            assert_eq!(status, 202, "{upstream:?}: {refused}");
            "a parcel is waiting for you"
        };
        world.pass(10).await;
        assert_eq!(world.replies().len(), 1, "{upstream:?}: {:?}", world.dead().await);
        world.write("which one?");
        world.pass(30).await;
        let told = format!("which one? after [{expected:?}]");
        assert_eq!(world.replies().last(), Some(&told), "{upstream:?}");
        // From now on they are written to where they write from.
        let (status, _) = send(&api, "parcel-2", &json!({ "contact": ADA, "text": "the blue one" })).await;
        assert_eq!(status, 202, "{upstream:?}");
        world.pass(10).await;
        assert_eq!(world.replies().last().map(String::as_str), Some("the blue one"), "{upstream:?}");
        let said: Vec<_> = world.history().await.into_iter().map(|said| said.words).collect();
        assert_eq!(said.last().map(String::as_str), Some("the blue one"), "{upstream:?}: {said:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn it_waits_for_the_turn_that_goes_on_and_comes_before_what_is_written_later() {
    for upstream in Upstream::ALL {
        let world = Setup::on(upstream, Recalls).start();
        let api = api_of(&world);
        world.write("one");
        world.pass(3).await;
        let (status, taken) = send(&api, "k", &json!({ "contact": ADA, "text": "a word from us" })).await;
        assert_eq!(status, 202, "{upstream:?}: {taken}");
        world.write("two");
        world.pass(1).await;
        assert_eq!(stages(&api, &taken).await, ["waiting"], "{upstream:?}");
        world.pass(60).await;
        let expected = ["one after []", "a word from us", "two after [\"one after []\", \"a word from us\"]"];
        assert_eq!(world.replies(), expected, "{upstream:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_person_who_answers_holds_it_back_only_if_that_is_asked_for() {
    let world = Setup::on(Upstream::Gateway, echo()).start();
    let api = api_of(&world);
    world.write("hello");
    world.pass(5).await;
    pause(&world).await;
    world.write("are you there?");
    let (status, _) = send(&api, "notice", &json!({ "contact": ADA, "text": "we close at six" })).await;
    assert_eq!(status, 202);
    world.pass(5).await;
    assert_eq!(world.replies(), ["You said: hello", "we close at six"], "and the bot answers nothing");
    let kind = json!({ "contact": ADA, "text": "how did you like it?", "unless_paused": true });
    let (status, refused) = send(&api, "survey", &kind).await;
    assert_eq!((status, &refused["error"]), (403, &json!("a person answers this contact, and `unless_paused` is set")));
    world.store.update_contact(&peer(), ContactChange::Resume).await.expect("the store works");
    // Taken in, and the person comes back before it can leave.
    world.sandbox.faults().add(Fault::on(Calls::Send).fail(Failure::Broken).once());
    let (status, taken) = send(&api, "survey", &kind).await;
    assert_eq!(status, 202, "a key that was refused is as good as new: {taken}");
    world.pass_ms(10).await;
    pause(&world).await;
    world.pass(60).await;
    assert_eq!(world.replies().len(), 2);
    let (_, part) = get(&api, taken["parts"][0]["path"].as_str().expect("a path")).await;
    assert_eq!((&part["stage"], &part["reason"]), (&json!("failed"), &json!("a person has taken over")));
}

#[tokio::test(start_paused = true)]
async fn whoever_opts_out_is_sent_nothing_unasked_not_even_what_was_taken_in_before() {
    for upstream in Upstream::ALL {
        let mut setup = Setup::on(upstream, echo());
        setup.control = ControlConfig { opt_out: vec!["leave me alone".into()], ..ControlConfig::default() };
        let world = setup.start();
        let api = api_of(&world);
        world.write("hello");
        world.pass(5).await;
        world.sandbox.faults().add(Fault::on(Calls::Send).fail(Failure::TooMany { retry_after: Some(20) }).once());
        let said = json!({ "contact": ADA, "parts": [{ "type": "text", "text": "an offer" }] });
        let (status, taken) = send(&api, "offer", &said).await;
        assert_eq!(status, 202, "{upstream:?}");
        world.pass(5).await;
        world.write("Leave me alone!");
        world.pass(100).await;
        assert_eq!(world.replies(), ["You said: hello"], "{upstream:?}");
        let (_, part) = get(&api, taken["parts"][0]["path"].as_str().expect("a path")).await;
        assert_eq!(
            (&part["stage"], &part["reason"]),
            (&json!("failed"), &json!("the contact has opted out")),
            "{upstream:?}"
        );
        let (status, refused) = send(&api, "offer-2", &said).await;
        assert_eq!(status, 403, "{upstream:?}: {refused}");
        // The first one is what it was: whoever asks again is told the same.
        assert_eq!(send(&api, "offer", &said).await, (202, taken), "{upstream:?}");
        let (_, listed) = get(&api, "/v1/dead").await;
        assert_eq!(listed["letters"].as_array().map(Vec::len), Some(1), "{upstream:?}: {listed}");
    }
}

#[tokio::test(start_paused = true)]
async fn quiet_hours_keep_answers_and_not_what_was_asked_for() {
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).time();
    let written = |time: jiff::civil::Time| time.strftime("%H:%M").to_string();
    let (from, to) = (now.wrapping_sub(jiff::Span::new().minutes(1)), now.wrapping_add(jiff::Span::new().hours(1)));
    let mut setup = Setup::new(echo());
    setup.quiet =
        QuietConfig { from: written(from), to: written(to), time_zone: "UTC".into(), template: String::new() };
    let world = setup.start();
    let api = api_of(&world);
    world.write("anybody awake?");
    world.pass(60).await;
    assert!(world.replies().is_empty());
    let (status, taken) = send(&api, "alarm", &json!({ "contact": ADA, "text": "your door is open" })).await;
    assert_eq!(status, 202, "what waits for the morning opens the window as well: {taken}");
    world.pass(5).await;
    assert_eq!(world.replies(), ["your door is open"]);
    world.pass(3700).await;
    assert_eq!(world.replies(), ["your door is open", "You said: anybody awake?"]);
}

#[tokio::test(start_paused = true)]
async fn what_fails_is_a_dead_letter_and_leaves_when_it_is_replayed_but_for_what_had_left() {
    for upstream in Upstream::ALL {
        let world = Setup::on(upstream, echo()).start();
        let api = api_of(&world);
        world.write("hello");
        world.pass(5).await;
        let text = |text: &str| json!({ "type": "text", "text": text });
        world.sandbox.faults().add(Fault::on(Calls::Send).slow_to_answer(Duration::from_secs(2)));
        let said = json!({ "contact": ADA, "parts": [text("first"), text("second"), text("third")] });
        let (_, taken) = send(&api, "three", &said).await;
        world.pass_ms(2500).await;
        world.sandbox.faults().clear();
        let refused = world.sandbox.faults().add(Fault::on(Calls::Send).fail(Failure::Refused));
        world.pass(60).await;
        let so_far = world.replies();
        assert!(so_far.len() < 4, "{upstream:?}: {so_far:?}");
        let (_, listed) = get(&api, "/v1/dead?show=words").await;
        let letter = listed["letters"][0].clone();
        assert_eq!(letter["letter"], taken["message"], "{upstream:?}: {listed}");
        assert_eq!(
            letter["parts"],
            json!(taken["parts"].as_array().expect("parts").iter().map(|part| &part["key"]).collect::<Vec<_>>())
        );
        assert_eq!(letter["message"]["words"], "first\nsecond\nthird");
        assert_eq!(stages(&api, &taken).await[2], "failed", "{upstream:?}");
        let said: Vec<_> = world.history().await.into_iter().skip(1).map(|said| said.words).collect();
        assert_eq!(said, so_far, "{upstream:?}: what has left is known to have been said");
        world.sandbox.faults().remove(refused);
        let (status, _) = post(&api, "/v1/dead/replay", &json!({ "letters": [taken["message"]] })).await;
        assert_eq!(status, 200);
        world.pass(60).await;
        assert_eq!(world.replies(), ["You said: hello", "first", "second", "third"], "{upstream:?}");
        for stage in stages(&api, &taken).await {
            assert!(["sent", "delivered", "read"].contains(&stage.as_str()), "{upstream:?}: {stage}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn it_keeps_the_pace() {
    let world = Setup::on(Upstream::Linq, echo()).start();
    let api = api_of(&world);
    world.write("hello");
    world.pass(5).await;
    for number in 0..40 {
        let said = json!({ "contact": ADA, "text": format!("number {number}") });
        assert_eq!(send(&api, &format!("n{number}"), &said).await.0, 202);
    }
    world.pass(50).await;
    // Linq takes 30 in a minute from one line to one person.
    assert_eq!(world.replies().len(), 30);
    world.pass(60).await;
    assert_eq!(world.replies().len(), 41);
    let refused = world.sandbox.phone().story().into_iter().filter(|line| line.contains("429")).count();
    assert_eq!(refused, 0, "and the upstream need not ask for it");
}
