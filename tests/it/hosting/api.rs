//! Bots that are put, shown, and taken out through the operator's API, while the process works.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use threedots::admin::telemetry::{self, LogLevel};
use threedots::{Handler, HandlerError, Reply, Turn};
use tokio::sync::{Semaphore, watch};
use tracing_subscriber::layer::SubscriberExt as _;

use super::House;
use crate::buffer::Buffer;
use crate::product::{VERIFY_TOKEN, echo, is_kept, soon};

/// Where the secrets of a bot are.
fn secrets(house: &House, bot: &str) -> BTreeSet<std::path::PathBuf> {
    let entries = fs::read_dir(house.directory.path().join("bots/.secrets").join(bot));
    entries.into_iter().flatten().map(|entry| entry.expect("an entry").path()).collect()
}

fn files(house: &House) -> BTreeSet<String> {
    let entries = fs::read_dir(house.directory.path().join("bots")).expect("a directory");
    entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect()
}

#[tokio::test]
async fn a_bot_that_is_put_answers_at_once_and_after_a_restart() {
    let house = House::open(echo()).await;
    assert_eq!(house.write("bakery", "1", "anybody there?").await, 404);
    let settings = house.settings();
    assert_eq!(house.put("bakery", &settings).await, (201, json!({ "bot": "bakery", "new": true })));
    assert_eq!(house.write("bakery", "2", "bread").await, 200);
    house.upstream.sent("You said: bread").await;
    // The one of the configuration file goes on.
    assert_eq!(house.write("shop", "3", "shoes").await, 200);
    house.upstream.sent("You said: shoes").await;
    assert_eq!(house.put("bakery", &settings).await, (200, json!({ "bot": "bakery", "new": false })));
    let (status, list) = house.ask("GET", "/v1/bots?most=1", &Value::Null).await;
    assert_eq!(status, 200);
    let bakery = json!({ "bot": "bakery", "down": false, "waiting": 0 });
    assert_eq!(list, json!({ "bots": [bakery], "next": "bakery" }));
    let (_, list) = house.ask("GET", "/v1/bots?after=bakery", &Value::Null).await;
    assert_eq!(list, json!({ "bots": [{ "bot": "shop", "down": false, "waiting": 0 }], "next": null }));
    let house = house.restart(echo()).await;
    assert_eq!(house.write("bakery", "4", "cake").await, 200);
    house.upstream.sent("You said: cake").await;
    house.product.stop().await;
}

#[tokio::test]
async fn the_tools_of_a_bot_that_is_put_are_asked_for_before_anybody_writes() {
    let house = House::open(echo()).await;
    let mut settings = house.settings();
    settings["handler"] = json!({
        "kind": "llm",
        "models": [{ "base_url": house.upstream.url("model"), "model": "m" }],
        "mcp": [{ "name": "s", "url": house.upstream.url("mcp"), "private": true }],
    });
    assert_eq!(house.put("bakery", &settings).await.0, 201);
    let begins = |seen: &crate::product::Seen| seen.json()["method"] == "initialize";
    house.upstream.until(|seen| seen.iter().any(begins)).await;
    house.product.stop().await;
}

#[tokio::test]
async fn secrets_go_in_and_never_come_out() {
    let house = House::open(echo()).await;
    let put = house.settings();
    house.put("bakery", &put).await;
    let (status, shown) = house.ask("GET", "/v1/bots/bakery", &Value::Null).await;
    assert_eq!(status, 200);
    let mut expected = put.clone();
    for key in ["access_token", "app_secret", "verify_token"] {
        expected["provider"][key] = json!({ "$secret": null });
    }
    assert_eq!(shown["settings"], expected);
    let path = house.directory.path().join("bots/bakery.toml");
    assert!(!fs::read_to_string(&path).expect("its file").contains("CANARY"));
    let mode = |path: &std::path::Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    let first = secrets(&house, "bakery");
    assert_eq!(first.len(), 3);
    assert!(first.iter().all(|secret| mode(secret) == 0o600), "nobody else may read them");
    assert_eq!(mode(&house.directory.path().join("bots/.secrets/bakery")), 0o700);
    assert_eq!(mode(&house.directory.path().join("bots/.secrets")), 0o700);
    assert_eq!(mode(&path), 0o600);
    // What was shown can be put again: the secrets stay. One that is sent anew takes the place of the old one.
    assert_eq!(house.put("bakery", &shown["settings"]).await.0, 200);
    assert_eq!(secrets(&house, "bakery"), first);
    let mut changed = shown["settings"].clone();
    changed["provider"]["access_token"] = json!({ "$secret": "CANARY-THE-SECOND" });
    assert_eq!(house.put("bakery", &changed).await.0, 200);
    let second = secrets(&house, "bakery");
    assert_eq!((second.len(), second.intersection(&first).count()), (3, 2));
    assert!(!is_kept(house.directory.path(), "CANARY-ACCESS-TOKEN"), "the old one is gone");
    house.write("bakery", "1", "bread").await;
    house.upstream.sent("You said: bread").await;
    let calls = house.upstream.seen();
    assert!(calls.iter().all(|call| call.head.contains("CANARY-THE-SECOND")), "it is used at once");
    // Another bot's cannot be taken.
    let taken = json!(format!("file:{}", second.first().expect("one").display()));
    changed["provider"]["access_token"] = taken;
    let (status, said) = house.put("cellar", &changed).await;
    assert_eq!(status, 422);
    let keys: Vec<_> = said["problems"].as_array().expect("problems").iter().map(|flaw| flaw["key"].clone()).collect();
    let expected =
        ["access_token", "app_secret", "verify_token"].map(|key| json!(format!("bots.cellar.provider.{key}")));
    assert_eq!(keys.iter().collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>());
    house.product.stop().await;
}

#[tokio::test]
async fn everything_that_is_wrong_is_told_at_once_and_nothing_is_left_of_it() {
    let house = House::open(echo()).await;
    house.put("bakery", &house.settings()).await;
    let before = (files(&house), secrets(&house, "bakery"));
    let mut wrong = house.settings();
    wrong["provider"]["phone_number_id"] = json!("+49 30 901820");
    wrong["provider"]["app_secret"] = json!("env:NO_SUCH_VARIABLE");
    wrong["turn"] = json!({ "timeout": "1h" });
    wrong["handler"] =
        json!({ "kind": "llm", "models": [{ "api_key": { "$secret": "CANARY" } }], "prompt": "no/such" });
    wrong["color"] = json!("blue");
    let (status, said) = house.put("bakery", &wrong).await;
    assert_eq!(status, 422);
    let keys: BTreeSet<_> =
        said["problems"].as_array().expect("problems").iter().map(|flaw| flaw["key"].as_str().expect("text")).collect();
    let expected = [
        "bots.bakery.color",
        "bots.bakery.handler.prompt",
        "bots.bakery.provider.app_secret",
        "bots.bakery.provider.phone_number_id",
        "worker.lease",
    ];
    assert_eq!(keys, expected.into_iter().collect(), "{said}");
    assert!(!said.to_string().contains("CANARY"));
    for (settings, status) in [
        (json!([]), 400),
        (json!({ "provider": null }), 422),
        (json!({ "provider": { "access_token": { "$secret": 5 } } }), 422),
        (json!({ "handler": { "kind": "llm", "models": [{ "api_key": "file:/etc/passwd" }] } }), 422),
        (json!({ "provider": { "access_token": { "$secret": "CANARY", "until": "now" } } }), 422),
        (json!({ "handler": { "kind": "llm", "mcp": [{ "name": "x", "command": "/bin/sh" }] } }), 422),
    ] {
        assert_eq!(house.put("bakery", &settings).await.0, status, "{settings}");
    }
    let mut unfit = house.settings();
    unfit["provider"]["access_token"] = json!({ "$secret": "CANARY\nCANARY" });
    let (status, said) = house.put("bakery", &unfit).await;
    assert_eq!((status, &said["problems"][0]["key"]), (422, &json!("bots.bakery.provider.access_token")), "{said}");
    assert!(said.to_string().contains("a line break") && !said.to_string().contains("CANARY"), "{said}");
    assert_eq!((files(&house), secrets(&house, "bakery")), before, "nothing has changed on disk");
    house.write("bakery", "1", "bread").await;
    house.upstream.sent("You said: bread").await;
    house.product.stop().await;
}

#[tokio::test]
async fn a_bot_of_the_configuration_file_and_a_name_that_is_none_are_left_alone() {
    let house = House::open(echo()).await;
    for method in ["PUT", "DELETE"] {
        let (status, said) = house.ask(method, "/v1/bots/shop", &house.settings()).await;
        assert_eq!(status, 409, "{said}");
    }
    for name in ["..", "%2e%2e", "a%2Fb", "Bakery", "ba+kery"] {
        let (status, _) = house.put(name, &house.settings()).await;
        assert_eq!(status, 400, "{name}");
    }
    assert_eq!(files(&house), BTreeSet::new());
    assert_eq!(house.ask("GET", "/v1/bots/bakery", &Value::Null).await.0, 404);
    assert_eq!(house.ask("DELETE", "/v1/bots/bakery", &Value::Null).await.0, 404);
    assert_eq!(house.ask("POST", "/v1/bots/shop", &Value::Null).await.0, 405);
    let (status, shown) = house.ask("GET", "/v1/bots/shop", &Value::Null).await;
    assert_eq!((status, shown), (200, json!({ "bot": "shop", "down": false, "waiting": 0 })));
    house.product.stop().await;
}

/// Answers when it is let: says how many it has begun.
#[derive(Clone)]
struct Gate {
    begun: Arc<watch::Sender<usize>>,
    open: Arc<Semaphore>,
}

impl Gate {
    fn shut() -> Self {
        Self { begun: Arc::new(watch::Sender::new(0)), open: Arc::new(Semaphore::new(0)) }
    }

    async fn begun(&self, turns: usize) {
        soon(self.begun.subscribe().wait_for(|begun| *begun >= turns)).await.expect("it is there");
    }
}

#[async_trait]
impl Handler for Gate {
    async fn reply(&self, turn: &Turn) -> Result<Reply, HandlerError> {
        self.begun.send_modify(|begun| *begun += 1);
        let _open = self.open.acquire().await.expect("it is never closed");
        Ok(Reply::text(format!("You said: {}", turn.text())))
    }
}

#[tokio::test]
async fn turns_that_have_begun_end_whoever_is_put_or_taken_out_meanwhile() {
    let gate = Gate::shut();
    let house = House::open(gate.clone()).await;
    house.put("bakery", &house.settings()).await;
    for number in 0..25 {
        let customer = |bot: usize| format!("120255502{:02}", 2 * number + bot);
        assert_eq!(house.write_as("shop", &customer(0), &format!("s{number}"), &format!("shoes {number}.")).await, 200);
        assert_eq!(
            house.write_as("bakery", &customer(1), &format!("b{number}"), &format!("bread {number}.")).await,
            200
        );
    }
    gate.begun(50).await;
    assert_eq!(house.put("bakery", &house.settings()).await.0, 200);
    assert_eq!(house.put("cellar", &house.settings()).await.0, 201);
    let (status, gone) = house.ask("DELETE", "/v1/bots/bakery", &Value::Null).await;
    assert_eq!((status, gone), (200, json!({ "bot": "bakery", "waiting": 25 })), "they are being answered");
    gate.open.add_permits(50);
    for number in 0..25 {
        house.upstream.sent(&format!("You said: shoes {number}.")).await;
        house.upstream.sent(&format!("You said: bread {number}.")).await;
    }
    assert_eq!(house.upstream.texts().len(), 50, "each once");
    house.product.stop().await;
}

#[tokio::test]
async fn what_waits_for_a_bot_that_is_taken_out_waits_for_its_return_also_over_a_restart() {
    let gate = Gate::shut();
    let house = House::open(gate.clone()).await;
    house.put("bakery", &house.settings()).await;
    house.write("bakery", "1", "bread").await;
    gate.begun(1).await;
    // Behind the turn that has begun.
    house.write("bakery", "2", "and cake").await;
    house.ask("DELETE", "/v1/bots/bakery", &Value::Null).await;
    assert_eq!(house.write("bakery", "3", "hello?").await, 404);
    assert_eq!((files(&house), secrets(&house, "bakery")), ([".secrets".to_owned()].into(), BTreeSet::new()));
    gate.open.add_permits(1);
    house.upstream.sent("You said: bread").await;
    let logs = Buffer::default();
    let writer = logs.clone();
    let layer = telemetry::layer(LogLevel::Warn, true, move || writer.clone());
    let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    let house = house.restart(gate.clone()).await;
    drop(guard);
    let told = logs.written();
    let told: Vec<&str> = told.lines().filter(|line| line.contains("a bot that is not there")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    for word in ["WARN", "bakery", "\"conversations\":1", "\"seconds\":90"] {
        assert!(told[0].contains(word), "{word} in {told:?}");
    }
    house.put("bakery", &house.settings()).await;
    gate.begun(2).await;
    gate.open.add_permits(1);
    house.upstream.sent("You said: and cake").await;
    house.product.stop().await;
}

#[tokio::test]
async fn the_directory_is_read_again_and_a_file_that_is_wrong_changes_nothing() {
    let house = House::open(echo()).await;
    for bot in ["bakery", "cafe", "cellar"] {
        house.put(bot, &house.settings()).await;
    }
    let path = |bot: &str| house.directory.path().join(format!("bots/{bot}.toml"));
    let text = fs::read_to_string(path("bakery")).expect("its file");
    fs::remove_file(path("cellar")).expect("it is there");
    fs::write(path("cafe"), "[provider\n").expect("a file");
    fs::write(path("bakery"), format!("{text}\n[typing]\nshow = \"nothing\"\n")).expect("a file");
    fs::write(path("deli"), &text).expect("a file");
    fs::write(path("shop"), &text).expect("a file");
    let (status, said) = house.ask("POST", "/v1/reload", &Value::Null).await;
    assert_eq!(status, 200);
    assert_eq!(
        (&said["added"], &said["changed"], &said["removed"]),
        (&json!(["deli"]), &json!(["bakery"]), &json!(["cellar"]))
    );
    let keys: BTreeSet<_> =
        said["problems"].as_array().expect("problems").iter().map(|flaw| flaw["key"].as_str().expect("text")).collect();
    assert!(
        keys.contains("bots.shop") && keys.iter().all(|key| !key.contains("bakery") && !key.contains("deli")),
        "{said}"
    );
    assert_eq!(house.write("cellar", "1", "wine").await, 404);
    for bot in ["cafe", "deli", "bakery"] {
        assert_eq!(house.write(bot, bot, bot).await, 200);
        house.upstream.sent(&format!("You said: {bot}")).await;
    }
    let read = house.upstream.seen().iter().filter(|call| call.json()["status"] == json!("read")).count();
    assert_eq!(read, 2, "the bakery shows nothing from now on");
    house.product.stop().await;
}

#[tokio::test]
async fn of_many_who_put_one_bot_at_the_same_time_one_is_the_last() {
    let house = House::open(echo()).await;
    let puts = (0..20).map(|number| {
        let mut settings = house.settings();
        settings["provider"]["verify_token"] = json!({ "$secret": format!("word-{number}") });
        let house = &house;
        async move { house.put("bakery", &settings).await.0 }
    });
    let statuses = futures_util::future::join_all(puts).await;
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1);
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 19);
    assert_eq!(secrets(&house, "bakery").len(), 3);
    assert!(!is_kept(house.directory.path(), VERIFY_TOKEN) || files(&house).len() == 2);
    let words: Vec<_> =
        (0..20).filter(|number| is_kept(&house.directory.path().join("bots"), &format!("word-{number}"))).collect();
    let is_right = async |word: usize| {
        let query = format!("hub.mode=subscribe&hub.verify_token=word-{word}&hub.challenge=5");
        let path = format!("/webhooks/bakery?{query}");
        house.product.ask(&crate::product::request("GET", &path, &[], b"")).await.status == 200
    };
    let mut right = 0;
    for word in 0..20 {
        right += usize::from(is_right(word).await);
    }
    assert_eq!(right, 1, "of {words:?}");
    house.product.stop().await;
}
