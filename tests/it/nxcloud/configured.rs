//! The configuration: what the commented table shows is what holds, and what is wrong is all told without a secret.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use threedots::host::config::Config;
use threedots::message::clock::Clock;
use threedots::provider::nxcloud::NxCloudConfig;
use threedots::provider::{AnyProviderConfig, ProviderConfig};

use super::{ACCESS_KEY, ACCESS_SECRET, APPKEY, NUMBER, TOKEN, config, connected};
use crate::upstream::Upstream;

const REQUIRED: [&str; 4] = ["business_phone", "access_key", "access_secret", "appkey"];

/// The commented table with every setting in force.
fn uncommented() -> String {
    let is_setting = |line: &str| {
        let name = line.split(" = ").next().expect("a first part");
        line.contains(" = ") && name.chars().all(|c| c.is_ascii_lowercase() || c == '_')
    };
    let lines = NxCloudConfig::TEMPLATE.lines();
    let setting = |line| str::strip_prefix(line, "# ").filter(|line| is_setting(line)).unwrap_or(line);
    lines.map(setting).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_commented_table_shows_every_setting_with_what_holds_without_it() {
    let text = uncommented() + "\n[bots.shop.handler]\nkind = \"demo\"\n";
    let (read, problems) = Config::parse("threedots.toml", &text, []);
    assert_eq!(problems, [], "the uncommented table is sound");
    let provider = read.bots["shop"].provider.as_ref().expect("a provider");
    let read: &NxCloudConfig = provider.as_any().downcast_ref().expect("it is NXCloud's");
    let mut shown = serde_json::to_value(read).expect("it can be written down");
    let mut known = serde_json::to_value(NxCloudConfig::default()).expect("it can be written down");
    for key in REQUIRED {
        assert_ne!(shown[key].take(), known[key].take(), "{key} is filled in");
    }
    assert_eq!(shown, known);
    let table: toml::Table = uncommented().parse().expect("TOML");
    let written = table["bots"]["shop"]["provider"].as_table().expect("a table");
    let written: BTreeSet<_> = written.keys().filter(|key| *key != "kind").collect();
    assert_eq!(written, known.as_object().expect("a table").keys().collect());
    for inner in ["callback_headers", "paths", "actions"] {
        let written = table["bots"]["shop"]["provider"][inner].as_table().expect("a table");
        let written: BTreeSet<_> = written.keys().collect();
        assert_eq!(written, known[inner].as_object().expect("a table").keys().collect(), "{inner}");
    }
}

/// The keys that are wrong, each with a word of what is said of it.
fn wrong(changes: Value) -> Vec<(String, String)> {
    let connected = connected(&config(changes), Upstream::answering([]), Clock::System);
    connected.err().unwrap_or_default()
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let found = wrong(json!({
        "business_phone": "the bakery's",
        "access_key": "LITERAL-SECRET",
        "access_secret": "env:NO_SUCH_VARIABLE",
        "appkey": "",
        "callback_secret": "env:NO_SUCH_SECRET",
        "token": "env:SHORT",
        "base_url": "http://user:LITERAL-SECRET@nxcloud.example",
        "biz_type": "",
        "paths": { "send": "api/wa/mt", "upload_media": "" },
        "actions": { "get_media": "get media" },
        "callback_headers": { "sign": "" },
        "own_number_fields": [],
        "message_id_fields": [],
        "quote_field": " ",
        "typing_refresh_every": "24s",
    }));
    let expected = [
        ("business_phone", "digits"),
        ("paths.send", "slash"),
        ("paths.upload_media", "slash"),
        ("actions.get_media", "one word"),
        ("callback_headers.sign", "one word"),
        ("biz_type", "one word"),
        ("quote_field", "one word"),
        ("own_number_fields", "at least one"),
        ("message_id_fields", "at least one"),
        ("typing_refresh_every", "25s or more"),
        ("access_secret", "NO_SUCH_VARIABLE is not set"),
        ("access_key", "move the secret"),
        ("callback_secret", "NO_SUCH_SECRET is not set"),
        ("token", "16 random characters"),
        ("base_url", "https"),
        ("appkey", "is missing"),
    ];
    for (key, word) in expected {
        assert!(found.iter().any(|(k, text)| k == key && text.contains(word)), "no {key} … {word} in {found:#?}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    let shown = format!("{found:?}");
    assert!(!shown.contains("LITERAL-SECRET") && !shown.contains("guess me"), "{shown}");
}

#[test]
fn an_open_door_is_a_mistake() {
    for signing in ["off", "optional"] {
        let [(key, text)] = wrong(json!({ "callback_signing": signing })).try_into().expect("one problem");
        assert_eq!(key, "callback_signing");
        assert!(text.contains("token"), "{text}");
        assert_eq!(wrong(json!({ "callback_signing": signing, "token": "env:TOKEN" })), []);
        // One mistake, not two.
        let [(key, _)] = wrong(json!({ "callback_signing": signing, "token": "env:NO" })).try_into().expect("one");
        assert_eq!(key, "token");
    }
    assert_eq!(wrong(json!({ "token": "env:TOKEN" })), []);
}

#[test]
fn a_number_may_be_written_as_people_write_it() {
    for number in ["+1 (202) 555-0100", "12025550100"] {
        assert_eq!(wrong(json!({ "business_phone": number })), []);
    }
    for number in ["", "+", "12025550100x"] {
        assert_eq!(wrong(json!({ "business_phone": number })).len(), 1, "{number}");
    }
}

#[test]
fn a_setting_that_there_is_not_is_no_setting() {
    for (key, value) in
        [("acess_key", json!("env:X")), ("paths", json!({ "sned": "/x" })), ("callback_signing", json!("no"))]
    {
        assert!(serde_json::from_value::<NxCloudConfig>(json!({ key: value })).is_err(), "{key}");
    }
}

#[test]
fn the_configuration_shows_nothing() {
    let config = config(json!({
        "base_url": "https://user:fictional-password@nxcloud.example",
        "token": "env:TOKEN",
    }));
    let shown = format!("{config:?} {:?}", &config as &dyn AnyProviderConfig);
    for private in [NUMBER, ACCESS_KEY, ACCESS_SECRET, APPKEY, TOKEN, "fictional-password", "nxcloud.example"] {
        assert!(!shown.contains(private), "{shown}");
    }
}
