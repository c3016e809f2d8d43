//! What a bot may name that is put over the operator's API: neither the operator's environment nor what only this
//! machine can reach, unless the configuration says so.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use threedots::runtime::http::{Body, Bounded, Call, CallError, Client, Transport};

use super::House;
use super::directory::check;
use crate::http_handler::addresses::{Inward, canary};
use crate::product::echo;

/// Puts a bot, and says which keys were refused.
async fn refused(house: &House, settings: &Value) -> (u16, BTreeSet<String>, String) {
    let (status, said) = house.put("bakery", settings).await;
    let problems = said["problems"].as_array().cloned().unwrap_or_default();
    let keys = problems.iter().map(|problem| problem["key"].as_str().expect("text").to_owned());
    (status, keys.collect(), said.to_string())
}

fn keys<const N: usize>(keys: [&str; N]) -> BTreeSet<String> {
    keys.iter().map(|key| format!("bots.bakery.{key}")).collect()
}

#[tokio::test]
async fn no_variable_can_be_named_unless_the_configuration_allows_it() {
    // Both are there, since cargo sets one and everybody the other.
    let (allowed, other) = ("env:CARGO_MANIFEST_DIR", "env:PATH");
    let house = House::open(echo()).await;
    let mut settings = house.settings();
    settings["provider"]["access_token"] = json!(allowed);
    let (status, found, said) = refused(&house, &settings).await;
    assert_eq!((status, found), (422, keys(["provider.access_token"])), "{said}");
    assert!(said.contains("hosting.env") && said.contains("$secret"), "what to do: {said}");

    let house = House::hosting(echo(), "[hosting]\nenv = [\"CARGO_MANIFEST_*\"]\nprivate = true\n").await;
    let mut settings = house.settings();
    settings["provider"]["access_token"] = json!(allowed);
    assert_eq!(refused(&house, &settings).await.0, 201);
    for name in [other, "env:OPERATOR_TOKEN", "env:NOT_THERE", "env:", "env: PATH", "ENV:PATH", " env:PATH"] {
        settings["provider"]["access_token"] = json!(name);
        let (status, found, said) = refused(&house, &settings).await;
        assert_eq!((status, found), (422, keys(["provider.access_token"])), "{name}: {said}");
    }
    // Wherever a secret can stand.
    settings["provider"]["access_token"] = json!(allowed);
    settings["provider"]["app_secret"] = json!([{ "secret": other }]);
    settings["transcription"] = json!({ "api_key": other });
    settings["handlers"] = json!({ "sales": { "kind": "http", "url": "https://bots.example/", "secret": other } });
    settings["routes"] = json!([{ "handler": "sales", "words": ["price"] }]);
    settings["handler"] = json!({
        "kind": "llm",
        "instructions": "env: production. Be kind.",
        "models": [{ "api_key": other }],
        "tools": [{ "name": "a", "description": "b", "url": "https://bots.example/", "secret": other }],
        "mcp": [{ "name": "a", "url": "https://bots.example/", "token": other }],
    });
    let expected = keys([
        "provider.app_secret[0].secret",
        "transcription.api_key",
        "handlers.sales.secret",
        "handler.models[0].api_key",
        "handler.tools[0].secret",
        "handler.mcp[0].token",
    ]);
    let (status, found, said) = refused(&house, &settings).await;
    assert_eq!((status, found), (422, expected), "{said}");
    house.product.stop().await;
}

#[tokio::test]
async fn no_address_leads_to_this_machine_or_its_network_unless_the_configuration_allows_it() {
    let house = House::hosting(echo(), "").await;
    let settings = house.settings();
    let (status, found, said) = refused(&house, &settings).await;
    assert_eq!((status, found), (422, keys(["provider.base_url"])), "{said}");
    assert!(said.contains("hosting.private"), "what to do: {said}");
    let mut public = settings.clone();
    public["provider"].as_object_mut().expect("a table").remove("base_url");
    assert_eq!(refused(&house, &public).await.0, 201);
    for host in [
        "http://127.0.0.1:9",
        "https://127.0.0.1",
        "https://2130706433",
        "https://0x7f.1",
        "https://[::1]",
        "https://[::ffff:169.254.169.254]",
        "https://169.254.169.254",
        "https://10.0.0.7",
        "http://localhost:3000",
        "https://localhost",
        "https://localhost.",
        "https://a.localhost",
        "https://redis",
        "https://metadata.google.internal",
        "http://waha.example",
    ] {
        let provider = |kind: &str, more: Value| {
            let mut provider = json!({ "kind": kind, "base_url": host });
            provider.as_object_mut().expect("a table").extend(more.as_object().expect("a table").clone());
            provider
        };
        let secret = json!({ "$secret": "a-secret" });
        let others = [
            ("wawp", json!({ "instance_id": "A1", "access_token": secret, "webhook_secret": secret })),
            ("waha", json!({ "session": "default", "api_key": secret, "webhook_secret": secret, "plain_http": true })),
            (
                "gateway",
                json!({ "session": "s1", "access_token": secret, "webhook_secret": secret, "plain_http": true }),
            ),
            ("nxcloud", json!({ "access_key": secret, "access_secret": secret })),
            ("linq", json!({ "api_key": secret })),
        ];
        for (kind, more) in others {
            let settings = json!({ "provider": provider(kind, more), "handler": { "kind": "demo" } });
            let (status, found, said) = refused(&house, &settings).await;
            assert!(status == 422 && found.contains("bots.bakery.provider.base_url"), "{kind} {host}: {said}");
        }
        let mut settings = public.clone();
        settings["transcription"] = json!({ "base_url": host });
        settings["handlers"] = json!({ "sales": { "kind": "http", "url": host, "private": true } });
        settings["routes"] = json!([{ "handler": "sales", "words": ["price"] }]);
        settings["handler"] = json!({
            "kind": "llm",
            "models": [{ "base_url": host, "plain_http": true }],
            "tools": [{ "name": "a", "description": "b", "url": host, "private": true }],
            "mcp": [{ "name": "a", "url": host, "private": true }],
        });
        let everywhere = keys([
            "transcription.base_url",
            "handlers.sales.url",
            "handler.models[0].base_url",
            "handler.tools[0].url",
            "handler.mcp[0].url",
        ]);
        let (status, found, said) = refused(&house, &settings).await;
        assert_eq!((status, found), (422, everywhere), "{host}: {said}");
    }
    // Without an address it is WAHA's default, which is on this machine.
    let waha = json!({ "kind": "waha", "session": "default", "api_key": { "$secret": "a" }, "webhook_secret": { "$secret": "b" } });
    let (status, found, said) = refused(&house, &json!({ "provider": waha, "handler": { "kind": "demo" } })).await;
    assert_eq!((status, found.contains("bots.bakery.provider.base_url")), (422, true), "{said}");
    house.product.stop().await;
}

#[tokio::test]
async fn a_name_that_leads_inward_is_not_reached_unless_the_configuration_allows_it() {
    let (port, arrived) = canary().await;
    let bounded = |allowed: bool| {
        let public = Client::public_only(Arc::new(Inward)).expect("a client");
        Bounded::new(Arc::new(move |_| allowed), Client::new().expect("a client"), public)
    };
    let call = |url: &str| Call {
        method: "GET",
        url: url.parse().expect("an address"),
        headers: Vec::new(),
        body: Body::Empty,
        timeout: Duration::from_secs(5),
        in_clear: true,
    };
    for url in [format!("https://bots.example:{port}/"), format!("http://127.0.0.1:{port}/")] {
        let answer = bounded(false).call(call(&url)).await.err();
        assert!(matches!(answer, Some(CallError::NotSent(_))), "{url}: {answer:?}");
    }
    assert_eq!(arrived.load(Ordering::Relaxed), 0);
    drop(bounded(true).call(call(&format!("http://127.0.0.1:{port}/"))).await);
    assert_eq!(arrived.load(Ordering::Relaxed), 1);
}

const MARK: &str = "# Put over the operator's API: it may name what the [hosting] table of the configuration allows.\n";
const BOT: &str = "[provider]\nkind = \"meta\"\nphone_number_id = \"109900000000001\"\naccess_token = \"env:T\"\n\
                   app_secret = \"env:T\"\nverify_token = \"env:T\"\n[handler]\nkind = \"demo\"\n";

#[test]
fn what_was_put_is_held_to_it_after_a_restart_too_and_what_the_operator_wrote_is_not() {
    let put = format!("{MARK}{BOT}");
    let refused = |said: &str| {
        ["access_token", "app_secret", "verify_token"].iter().zip(5..).all(|(key, line)| {
            said.contains(&format!("bots/bakery.toml:{line}: bots.bakery.provider.{key}: names a variable"))
        }) && said.lines().count() == 3
    };
    assert_eq!(check(&[("bakery.toml", BOT)], "", &[]).0, Some(0), "the operator's own");
    let (status, said) = check(&[("bakery.toml", &put)], "", &[]);
    assert!(status == Some(1) && refused(&said), "{said}");
    let allow = |names: &str| format!("[hosting]\nenv = [{names}]\n");
    assert_eq!(check(&[("bakery.toml", &put)], &allow("\"T\""), &[]).0, Some(0));
    let (status, said) = check(&[("bakery.toml", &put)], &allow("\"META_*\""), &[]);
    assert!(status == Some(1) && refused(&said), "{said}");
    // The operator's token is nobody's.
    let token = format!("[operator]\ntoken = \"env:OP\"\n{}", allow("\"*\""));
    let op = [("OP", "0123456789abcdef0123456789abcdef")];
    assert_eq!(check(&[("bakery.toml", &put)], &token, &op).0, Some(0));
    let (status, said) = check(&[("bakery.toml", &put.replace("env:T", "env:OP"))], &token, &op);
    assert!(status == Some(1) && refused(&said) && !said.contains(op[0].1), "{said}");
    // One that an older version wrote is known by its secrets, and never stops working in silence.
    let old = BOT.replacen("env:T", "file:bots/.secrets/bakery/0a1b", 1);
    let (status, said) = check(&[("bakery.toml", &old)], "", &[]);
    assert_eq!(status, Some(1));
    assert!(said.contains("bots/bakery.toml:5: bots.bakery.provider.app_secret: names a variable"), "{said}");
    // Another place is the operator's.
    let own = BOT.replacen("env:T", "file:bots/.secrets/cafe/0a1b", 1);
    let (_, said) = check(&[("bakery.toml", &own)], "", &[]);
    assert!(!said.contains("names a variable"), "{said}");
}

#[test]
fn what_it_allows_has_to_be_meant() {
    for (table, problem) in [
        ("[hosting]\nenv = [\"env:META_*\"]\n", "threedots.toml:2: hosting.env[0]: is no variable's name"),
        ("[hosting]\nprivate = [\"http://waha:3000\"]\n", "threedots.toml:2: hosting.private[0]: is no host"),
        ("[hosting]\nprivate = \"waha\"\n", "threedots.toml:2: hosting.private: must be true, false, or a list"),
        ("[hosting]\nnames = []\n", "threedots.toml:2: hosting.names: is no setting"),
    ] {
        // Behind the line of the top level that `check` writes.
        let (status, said) = check(&[], table, &[]);
        assert_eq!(status, Some(1), "{table}");
        assert!(said.replace("toml:3", "toml:2").contains(problem), "{said}");
    }
}

#[tokio::test]
async fn a_name_is_no_longer_than_a_file_can_bear() {
    let house = House::open(echo()).await;
    let (longest, longer) = ("a".repeat(128), "a".repeat(129));
    assert_eq!(house.put(&longest, &house.settings()).await.0, 201);
    for name in [longer.clone(), "a".repeat(300)] {
        let (status, said) = house.put(&name, &house.settings()).await;
        assert_eq!(status, 400, "{said}");
        assert!(said["error"].as_str().expect("text").contains("128 at the most"), "{said}");
    }
    house.product.stop().await;
    let (status, said) = check(&[(&format!("{longer}.toml"), BOT)], "", &[]);
    assert!(status == Some(1) && said.contains("128 at the most"), "{said}");
    let main = BOT.replace("[provider]", &format!("[bots.{longer}.provider]"));
    let (status, said) = check(&[], &main.replace("[handler]", &format!("[bots.{longer}.handler]")), &[]);
    assert!(status == Some(1) && said.contains("128 at the most"), "{said}");
}
