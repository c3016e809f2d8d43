//! A private bot: nobody sees anything of it but those who are named, or have been let in by a code.

use std::sync::Arc;

use actix_web::http::header::AUTHORIZATION;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use serde_json::{Value, json};
use threedots::admin::telemetry::{self, LogLevel};
use threedots::admin::{Api, routes};
use threedots::message::BotName;
use threedots::message::clock::Clock;
use threedots::policy::gate::{GateConfig, pairing};
use threedots::provider::ReadReceipts;
use threedots::provider::health::Health;
use threedots::runtime::hosting::BotRegistry;
use threedots::sandbox::Upstream;
use threedots::store::disk::{self, Disk, EngineKind};
use threedots::store::{ContactRef, Seq, Store};
use tracing_subscriber::layer::SubscriberExt;

use crate::buffer::Buffer;
use crate::operator::{Fixed, TOKEN};
use crate::world::{BOT, Setup, World, echo};

fn private(upstream: Upstream) -> Setup {
    let mut setup = Setup::on(upstream, echo());
    setup.gate = GateConfig { private: true, ..GateConfig::default() };
    setup
}

fn api(store: &Arc<dyn Store>, clock: Clock) -> Arc<Api> {
    let bot = BotName::new(BOT);
    let healths = BotRegistry::from_iter([(bot.clone(), Arc::new(Health::new(bot, clock)))]);
    Arc::new(Api::new(Arc::clone(store), healths, Arc::new(Fixed), TOKEN.to_owned().into(), Arc::default(), clock))
}

async fn ask(api: &Arc<Api>, request: TestRequest) -> (u16, Value) {
    let app = init_service(actix_web::App::new().configure(routes(Arc::clone(api)))).await;
    let request = request.insert_header((AUTHORIZATION, format!("Bearer {TOKEN}"))).to_request();
    let answer = call_service(&app, request).await;
    let status = answer.status().as_u16();
    (status, serde_json::from_slice(&read_body(answer).await).expect("JSON, whatever it is"))
}

async fn post(api: &Arc<Api>, what: &str, body: Value) -> (u16, Value) {
    ask(api, TestRequest::post().uri(&format!("/v1/bots/{BOT}/{what}")).set_payload(body.to_string())).await
}

/// A code of the bot's.
async fn invite(world: &World) -> String {
    let (status, invited) = post(&api(&world.store, world.clock), "invite", json!({})).await;
    assert_eq!(status, 200, "{invited}");
    invited["code"].as_str().expect("a code").to_owned()
}

/// A code that is none of the bot's.
fn guess() -> String {
    pairing::code()
}

#[tokio::test(start_paused = true)]
async fn a_stranger_sees_nothing_whatever_they_write_and_the_code_lets_them_in() {
    for upstream in Upstream::ALL {
        let world = private(upstream).start();
        let code = invite(&world).await;
        for words in ["hello?", "let me in", "stop", &guess(), "BASKETCASE"] {
            world.write(words);
            world.pass(40).await;
        }
        assert_eq!(world.calls(), [""; 0], "{upstream:?}: no call of any kind");
        let seen = world.seen();
        // WhatsApp Gateway's own session marks what comes as read, where it is set to: no call of ours does.
        let reads_itself = matches!(world.provider.abilities().reads, ReadReceipts::None);
        let is_shown = |seen: &String| seen.contains("dots on") || (seen.contains("read") && !reads_itself);
        assert!(!seen.iter().any(is_shown), "{upstream:?}: {seen:?}");
        world.write(&code.to_lowercase().replace('-', " "));
        world.pass(40).await;
        assert_eq!(world.replies(), ["You have been let in."], "{upstream:?}");
        assert_eq!(world.history().await.len(), 1, "{upstream:?}: neither the code nor what was said before it");
        world.write("hello again");
        world.pass(40).await;
        assert_eq!(world.replies(), ["You have been let in.", "You said: hello again"], "{upstream:?}");

        let api = api(&world.store, world.clock);
        let (_, revoked) = post(&api, "revoke", json!({ "contact": "+1 (555) 010-0001" })).await;
        assert_eq!(revoked, json!({ "changed": true }), "{upstream:?}");
        let calls = world.calls().len();
        world.write("still there?");
        world.write(&code);
        world.pass(40).await;
        assert_eq!(world.calls().len(), calls, "{upstream:?}: {:?}", world.calls());
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_written_in_one_go_with_the_code_is_answered_from_there_on() {
    let mut setup = private(Upstream::Wawp);
    setup.gate.welcome = String::new();
    let world = setup.start();
    let code = invite(&world).await;
    for words in ["who is it?", &code, "what is new?"] {
        world.write(words);
    }
    world.pass(30).await;
    assert_eq!(world.replies(), ["You said: what is new?"], "and nothing is said of the code where nothing is to be");
}

#[tokio::test(start_paused = true)]
async fn a_code_is_good_for_one_person_once_and_not_for_ever() {
    let world = private(Upstream::Gateway).start();
    let (first, second) = (world.customer(1), world.customer(2));
    let code = invite(&world).await;
    world.write_as(&first, &code);
    world.pass(10).await;
    world.write_as(&second, &code);
    world.pass(10).await;
    assert_eq!((world.replies_to(&first).len(), world.replies_to(&second).len()), (1, 0));
    let late = invite(&world).await;
    world.pass(24 * 3600).await;
    world.write_as(&second, &late);
    world.pass(10).await;
    assert!(world.replies_to(&second).is_empty(), "a day later");
    let withdrawn = invite(&world).await;
    let api = api(&world.store, world.clock);
    let (_, members) = ask(&api, TestRequest::get().uri(&format!("/v1/bots/{BOT}/members"))).await;
    assert_eq!(members["open"].as_array().map(Vec::len), Some(1), "{members}");
    assert_eq!(members["members"].as_array().map(Vec::len), Some(1), "{members}");
    assert_eq!(members["members"][0]["names"], Value::Null, "whoever they are is not shown unasked");
    let (_, named) = ask(&api, TestRequest::get().uri(&format!("/v1/bots/{BOT}/members?show=words"))).await;
    assert!(named["members"][0]["names"].to_string().contains("15550100001"), "{named}");
    assert_eq!(
        post(&api, "revoke", json!({ "number": members["open"][0]["number"] })).await.1,
        json!({ "changed": true })
    );
    world.write_as(&second, &withdrawn);
    world.pass(10).await;
    assert!(world.replies_to(&second).is_empty(), "taken back");
}

#[tokio::test(start_paused = true)]
async fn guessing_is_bounded_by_the_hour_for_one_and_for_all() {
    let world = private(Upstream::Gateway).start();
    // At the beginning of an hour.
    world.pass(3600 - world.clock.now().0 / 1000 % 3600).await;
    let code = invite(&world).await;
    for _ in 0..pairing::MOST_BY_ONE {
        world.write(&guess());
        world.pass(5).await;
    }
    world.write(&code);
    world.pass(5).await;
    assert!(world.replies().is_empty(), "not even the right one is looked at");
    world.pass(3600).await;
    world.write(&code);
    world.pass(5).await;
    assert_eq!(world.replies().len(), 1, "an hour later it is");

    let code = invite(&world).await;
    let crowd = usize::try_from(pairing::MOST_BY_ALL / pairing::MOST_BY_ONE).expect("a few");
    world.pass(3600 - world.clock.now().0 / 1000 % 3600).await;
    for number in 0..crowd {
        let stranger = world.customer(100 + number);
        for _ in 0..pairing::MOST_BY_ONE {
            world.write_as(&stranger, &guess());
        }
    }
    world.pass(60).await;
    let other = world.customer(5000);
    world.write_as(&other, &code);
    world.pass(5).await;
    assert!(world.replies_to(&other).is_empty(), "from nobody any more in this hour");
    world.pass(3600).await;
    world.write_as(&other, &code);
    world.pass(5).await;
    assert_eq!(world.replies_to(&other).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_is_named_needs_no_code_and_who_is_blocked_has_no_use_for_one() {
    let mut setup = private(Upstream::Linq);
    setup.gate.allow = vec!["+15550100001".into()];
    setup.gate.block = vec!["+15550100007".into()];
    let world = setup.start();
    let blocked = world.customer(7);
    assert_eq!(blocked.as_str(), "15550100007");
    let code = invite(&world).await;
    world.write("hello");
    world.write_as(&blocked, &code);
    world.pass(30).await;
    assert_eq!(world.replies(), ["You said: hello"]);
    assert!(world.replies_to(&blocked).is_empty());
    let stranger = world.customer(8);
    world.write_as(&stranger, &code);
    world.pass(30).await;
    assert_eq!(world.replies_to(&stranger), ["You have been let in."], "nobody has used it up");
}

#[tokio::test(start_paused = true)]
async fn no_more_than_ten_invitations_are_open_and_none_for_a_bot_that_is_not_there() {
    let world = private(Upstream::Meta).start();
    let api = api(&world.store, world.clock);
    for number in 1..=10 {
        assert_eq!(post(&api, "invite", json!({ "for": "2h" })).await.1["number"], number);
    }
    assert_eq!(post(&api, "invite", json!({})).await.0, 409);
    assert_eq!(post(&api, "revoke", json!({ "number": 3 })).await.0, 200);
    assert_eq!(post(&api, "invite", json!({ "for": "2h" })).await.1["number"], 11);
    world.pass(2 * 3600).await;
    assert_eq!(post(&api, "invite", json!({})).await.0, 200);
    for body in [json!({ "for": "until_resumed" }), json!({ "for": "1000h" }), json!({ "until": "2h" })] {
        assert_eq!(post(&api, "invite", body).await.0, 400);
    }
    assert_eq!(post(&api, "revoke", json!({ "code": "x" })).await.0, 400);
    let elsewhere = TestRequest::post().uri("/v1/bots/other/invite");
    assert_eq!(ask(&api, elsewhere).await.0, 404);
}

/// What a process has granted the next one knows; until the person is forgotten.
#[tokio::test]
async fn who_was_let_in_stays_in_over_a_restart_until_they_are_forgotten() {
    let bot = BotName::new(BOT);
    let peer = ContactRef::named(&bot, "15550100001").expect("somebody");
    for kind in EngineKind::ALL {
        let directory = tempfile::tempdir().expect("a directory");
        let open = || {
            let settings =
                disk::DiskSettings { kind, path: directory.path().join("store"), ..disk::DiskSettings::default() };
            Arc::new(Disk::open(settings, Clock::System).expect("a store")) as Arc<dyn Store>
        };
        let store = open();
        let (_, invited) = post(&api(&store, Clock::System), "invite", json!({})).await;
        let digest = pairing::digest(&bot, invited["code"].as_str().expect("a code")).expect("one");
        store.close().await;
        let store = open();
        assert_eq!(store.redeem_invitation(&peer, [7; 32], Seq(1)).await, Ok(false), "{kind:?}");
        assert_eq!(store.redeem_invitation(&peer, digest, Seq(2)).await, Ok(true), "{kind:?}");
        store.close().await;
        let store = open();
        assert!(store.contact_state(&peer).await.expect("a standing").admitted.is_some(), "{kind:?}");
        assert_eq!(store.invitations(&bot).await, Ok(vec![]), "{kind:?}");
        assert_eq!(
            store.redeem_invitation(&peer, digest, Seq(2)).await,
            Ok(true),
            "{kind:?}: the same message, looked at again"
        );
        assert_eq!(store.redeem_invitation(&peer, digest, Seq(3)).await, Ok(false), "{kind:?}");
        let (members, next) = store.members(&bot, None, 9).await.expect("a list");
        assert_eq!((members.len(), next), (1, None), "{kind:?}");
        store.forget(&bot, "+15550100001").await.expect("forgotten");
        assert_eq!(store.contact_state(&peer).await.expect("a standing").admitted, None, "{kind:?}");
        assert_eq!(store.members(&bot, None, 9).await, Ok((vec![], None)), "{kind:?}");
        store.close().await;
        // Nothing of the code is in the files, nor of the person.
        for file in std::fs::read_dir(directory.path().join("store").join(kind.name())).expect("files") {
            let bytes = std::fs::read(file.expect("a file").path()).unwrap_or_default();
            let code = invited["code"].as_str().expect("a code");
            for secret in [code.as_bytes(), code.replace('-', "").as_bytes(), b"15550100001"] {
                assert!(!bytes.windows(secret.len()).any(|window| window == secret), "{kind:?}");
            }
        }
    }
}

#[test]
fn no_code_is_in_the_log() {
    let buffer = Buffer::default();
    let writer = buffer.clone();
    let layer = telemetry::layer(LogLevel::Trace, true, move || writer.clone());
    let code = tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.expect("a runtime").block_on(async {
            let world = private(Upstream::Meta).start();
            let code = invite(&world).await;
            for words in ["hello", &guess(), &code, "and now?"] {
                world.write(words);
                world.pass(10).await;
            }
            assert_eq!(world.replies().len(), 2);
            post(&api(&world.store, world.clock), "revoke", json!({ "contact": "15550100001" })).await;
            code
        })
    });
    let log = buffer.written();
    assert!(log.contains("\"operator.action\":\"invite\"") && log.contains("let in by a code"), "{log}");
    for secret in [code.as_str(), &code.replace('-', ""), "5550100001"] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}
