//! The `provider` table: its defaults, its mistakes, and what it never shows.

use std::time::Duration;

use serde_json::{Value, json};
use threedots::message::BotName;
use threedots::message::clock::{Clock, Timestamp};
use threedots::provider::linq::LinqConfig;
use threedots::provider::{AnyProviderConfig, KINDS, Provider, ProviderConfig, ProviderContext, WebhookError};

use super::{KEY, SECRET, SIGNED, config, post, signature};
use crate::upstream::Upstream;

const NEW: &str = "whsec_bmV3LXNlY3JldC12YWx1ZQ==";
const OLD: &str = "whsec_b2xkLXNlY3JldC12YWx1ZQ==";

fn env(name: &str) -> Option<String> {
    match name {
        "NEW" => Some(NEW.into()),
        "OLD" => Some(OLD.into()),
        "PLAIN" => Some("a secret, not base64".into()),
        other => super::env(other),
    }
}

fn connect(more: &Value) -> Result<std::sync::Arc<dyn Provider>, Vec<(String, String)>> {
    let around =
        ProviderContext { bot: BotName::new("bakery"), transport: Upstream::answering([]), clock: Clock::System };
    AnyProviderConfig::connect(&config(more), &env, around)
}

fn problems(more: &Value) -> Vec<(String, String)> {
    connect(more).err().unwrap_or_default()
}

#[test]
fn the_documented_table_is_the_default_in_every_setting() {
    let template = LinqConfig::TEMPLATE;
    let other_way = |line: &&str| !line.contains("webhook_secret = [");
    let is_setting = |line: &str| {
        let name = line.split(" = ").next().unwrap_or_default();
        line.contains(" = ") && name.chars().all(|c| c.is_ascii_lowercase() || c == '_')
    };
    let uncommented: Vec<&str> = template
        .lines()
        .filter(other_way)
        .map(|line| line.strip_prefix("# ").filter(|setting| is_setting(setting)).unwrap_or(line))
        .collect();
    let whole: toml::Table = uncommented.join("\n").parse().expect("TOML");
    let mut table = whole["bots"]["shop"]["provider"].as_table().expect("a table").clone();
    assert_eq!(table.remove("kind"), Some("linq".into()));
    let documented: LinqConfig = toml::Value::Table(table.clone()).try_into().expect("it is read");
    let filled = LinqConfig {
        api_key: documented.api_key.clone(),
        webhook_secret: documented.webhook_secret.clone(),
        ..LinqConfig::default()
    };
    let json = |config: &LinqConfig| serde_json::to_value(config).expect("it can be written down");
    assert_eq!(json(&documented), json(&filled));
    let known = json(&filled).as_object().expect("a table").keys().cloned().collect::<Vec<_>>();
    let mut shown = table.keys().cloned().collect::<Vec<_>>();
    shown.sort();
    let mut known = known;
    known.sort();
    assert_eq!(shown, known, "the template shows every setting and no other");
}

#[test]
fn linq_is_among_the_kinds() {
    assert!(KINDS.iter().any(|kind| kind.name == "linq" && kind.template == LinqConfig::TEMPLATE));
}

#[test]
fn every_mistake_is_reported_with_its_key() {
    let wrong = json!({
        "api_key": "env:MISSING",
        "webhook_secret": "env:PLAIN",
        "number": "12025550177",
        "base_url": "http://linq.example",
        "typing_refresh": "61s",
        "text_limit": 10_001,
    });
    let problems = problems(&wrong);
    let keys: Vec<&str> = problems.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["api_key", "webhook_secret", "base_url", "number", "typing_refresh", "text_limit"]);
    let shown = format!("{problems:?}");
    for private in ["a secret, not base64", "linq.example", "2025550177"] {
        assert!(!shown.contains(private), "{shown}");
    }
}

#[test]
fn each_setting_has_its_bounds() {
    let key = |more: Value| problems(&more).first().map(|(key, _)| key.clone());
    assert_eq!(key(json!({})), None);
    for number in ["+12025550100", ""] {
        assert_eq!(key(json!({ "number": number })), None, "{number}");
    }
    for number in ["+1202", "+1 202 555 0100", "bakery", "+"] {
        assert_eq!(key(json!({ "number": number })).as_deref(), Some("number"), "{number}");
    }
    assert_eq!(key(json!({ "typing_refresh": "0s" })).as_deref(), Some("typing_refresh"));
    assert_eq!(key(json!({ "typing_refresh": "60s" })), None);
    assert_eq!(key(json!({ "text_limit": 0 })).as_deref(), Some("text_limit"));
    assert_eq!(key(json!({ "webhook_secret": [] })).as_deref(), Some("webhook_secret"));
    let several = json!({ "webhook_secret": [{ "secret": "env:NEW" }, { "secret": "env:PLAIN", "until": "soon" }] });
    let keys: Vec<String> = problems(&several).into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["webhook_secret[1].until", "webhook_secret[1].secret"]);
}

#[test]
fn a_secret_of_another_form_is_good_for_the_older_signature_alone() {
    let plain = |more: Value| {
        let mut settings = json!({ "webhook_secret": "env:PLAIN" });
        settings.as_object_mut().expect("a table").extend(more.as_object().expect("a table").clone());
        problems(&settings).len()
    };
    assert_eq!(plain(json!({ "legacy_signature": true })), 0);
    assert_eq!(plain(json!({ "legacy_signature": true, "legacy_key": "decoded" })), 1);
    assert_eq!(plain(json!({})), 1);
}

#[test]
fn one_secret_takes_over_from_another() {
    let both = json!({ "webhook_secret": [{ "secret": "env:NEW" }, { "secret": "env:OLD", "until": "2026-02-05T19:31:20Z" }] });
    let provider = connect(&both).expect("a sound configuration");
    let verdict = |secret: &str, received: Timestamp| {
        let timestamp = (received.0 / 1000).to_string();
        let signature = signature(secret, "m1", &timestamp, b"{}");
        let headers = [("webhook-id", "m1"), ("webhook-timestamp", &*timestamp), ("webhook-signature", &*signature)];
        provider.receive(&post(b"{}", &headers, received)).err()
    };
    let (before, after) = (Timestamp(1_770_319_879_999), Timestamp(1_770_319_880_000));
    assert_eq!((verdict(NEW, before), verdict(OLD, before)), (None, None));
    assert_eq!((verdict(NEW, after), verdict(OLD, after)), (None, Some(WebhookError::WrongSignature)));
    assert_eq!(verdict(SECRET, before), Some(WebhookError::WrongSignature));
}

#[test]
fn without_a_secret_nothing_is_accepted() {
    let around =
        ProviderContext { bot: BotName::new("bakery"), transport: Upstream::answering([]), clock: Clock::System };
    let mut resolve = threedots::provider::Resolve::new(&|_| None);
    let provider = ProviderConfig::connect(&config(&json!({ "legacy_signature": true })), &mut resolve, around);
    assert_eq!(resolve.finish().expect_err("both secrets are missing").len(), 2);
    let empty = "whsec_";
    let signature = signature(empty, "m1", "1770319873", b"{}");
    let headers = [("webhook-id", "m1"), ("webhook-timestamp", "1770319873"), ("webhook-signature", &*signature)];
    assert_eq!(provider.receive(&post(b"{}", &headers, SIGNED)).err(), Some(WebhookError::WrongSignature));
}

#[test]
fn a_configuration_shows_nothing_of_itself() {
    let config = LinqConfig {
        number: "+12025550100".into(),
        base_url: "https://user:fictional-password@linq.example".into(),
        ..config(&json!({}))
    };
    let shown = format!("{config:?}");
    for private in ["12025550100", "fictional-password", "linq.example", KEY, SECRET, "env:"] {
        assert!(!shown.contains(private), "{shown}");
    }
    assert_eq!(ProviderConfig::timeout(&config), Duration::from_secs(15));
}

#[test]
fn a_setting_that_nobody_knows_is_refused() {
    let table = json!({ "api_key": "env:KEY", "webhook_secret": "env:SECRET", "override_optout": true });
    assert!(serde_json::from_value::<LinqConfig>(table).is_err());
}
