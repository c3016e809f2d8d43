//! The table of a bot: its template, its defaults, and every mistake told with its key.

use std::time::Duration;

use threedots::message::clock::Clock;
use threedots::provider::gateway::GatewayConfig;
use threedots::provider::{AnyProviderConfig, KINDS, ProviderConfig};
use toml::{Table, Value};

use super::{SECRET, TOKEN, config, connect, signing};
use crate::upstream::Upstream;

const REQUIRED: [&str; 5] = ["kind", "base_url", "session", "access_token", "webhook_secret"];

/// The keys that are wrong, and what is said about them.
fn problems(config: &GatewayConfig) -> Vec<(String, String)> {
    connect(config, Upstream::answering([]), Clock::System).err().unwrap_or_default()
}

fn keys(config: &GatewayConfig) -> Vec<String> {
    problems(config).into_iter().map(|(key, _)| key).collect()
}

#[test]
fn the_template_shows_every_setting_with_its_default() {
    let is_setting = |line: &str| {
        let name = line.split(" = ").next().expect("a first part");
        line.contains(" = ") && name.chars().all(|c| c.is_ascii_lowercase() || c == '_')
    };
    let lines = GatewayConfig::TEMPLATE.lines();
    let text: Vec<&str> =
        lines.map(|line| line.strip_prefix("# ").filter(|line| is_setting(line)).unwrap_or(line)).collect();
    let whole: Table = text.join("\n").parse().expect("TOML");
    let shown = whole["bots"]["shop"]["provider"].as_table().expect("a table").clone();
    let defaults = Table::try_from(GatewayConfig::default()).expect("a table");
    let names = |table: &Table| table.keys().filter(|key| *key != "kind").cloned().collect::<Vec<_>>();
    assert_eq!(names(&shown), names(&defaults));
    for (key, default) in defaults.iter().filter(|(key, _)| !REQUIRED.contains(&key.as_str())) {
        assert_eq!(shown[key], *default, "{key}");
    }
    assert_eq!(shown["kind"], Value::from("gateway"));
}

#[test]
fn the_template_needs_nothing_but_its_secrets() {
    let whole: Table = GatewayConfig::TEMPLATE.parse().expect("TOML");
    let mut table = whole["bots"]["shop"]["provider"].as_table().expect("a table").clone();
    table.remove("kind");
    let config: GatewayConfig = table.try_into().expect("a table of the gateway's");
    let said = problems(&config);
    let keys: Vec<&str> = said.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["access_token", "webhook_secret"], "their places are empty here");
    assert!(KINDS.iter().any(|kind| kind.name == "gateway" && kind.template == GatewayConfig::TEMPLATE));
}

#[test]
fn everything_that_is_missing_is_told_at_once() {
    assert_eq!(keys(&GatewayConfig::default()), ["base_url", "session", "access_token", "webhook_secret"]);
}

#[test]
fn everything_that_is_wrong_is_told_at_once_and_nothing_is_quoted() {
    let text = "base_url = \"http://canary-user:canary-pass@gateway.example\"\nsession = \"canary/session\"\n\
                access_token = \"canary-token\"\nwebhook_secret = \"canary-secret\"\naccept_unsigned = true\n\
                webhook_token = \"canary-word\"\nwebhook_header = \"X-Canary: no\"\ntyping_refresh_every = \"20s\"\n\
                large_groups = [\"canary-number@s.whatsapp.net\"]\ntimeout = \"0s\"";
    let config: GatewayConfig = toml::from_str(text).expect("a table");
    let said = problems(&config);
    let keys: Vec<&str> = said.iter().map(|(key, _)| key.as_str()).collect();
    let all = [
        "base_url",
        "session",
        "access_token",
        "accept_unsigned",
        "webhook_header",
        "webhook_token",
        "typing_refresh_every",
        "large_groups",
        "timeout",
    ];
    assert_eq!(keys, all);
    assert!(said.iter().all(|(_, text)| !text.to_lowercase().contains("canary")), "{said:?}");
}

#[test]
fn deliveries_are_signed_or_it_is_said_that_they_are_not() {
    assert_eq!(keys(&config("")), ["webhook_secret"]);
    assert_eq!(keys(&config("accept_unsigned = true")), [""; 0]);
    assert_eq!(keys(&signing("")), [""; 0]);
    assert_eq!(keys(&signing("accept_unsigned = true")), ["accept_unsigned"]);
}

#[test]
fn a_refresh_comes_before_the_dots_have_lapsed() {
    for (more, good) in [
        ("typing_refresh_every = \"19s\"", true),
        ("typing_refresh_every = \"20s\"", false),
        ("typing_refresh_every = \"0s\"", false),
        ("typing_lifetime = \"8s\"", false),
        ("typing_lifetime = \"9s\"", true),
    ] {
        assert_eq!(keys(&signing(more)).is_empty(), good, "{more}");
    }
}

#[test]
fn an_unknown_word_is_an_error() {
    for wrong in
        ["credentials = \"basic\"", "read = \"blue_ticks\"", "group_typing = \"loud\"", "tippen = true", "timeout = 15"]
    {
        assert!(toml::from_str::<GatewayConfig>(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn the_time_of_a_call_is_what_the_core_reckons_with() {
    assert_eq!(AnyProviderConfig::timeout(&signing("timeout = \"9s\"")), Duration::from_secs(9));
}

#[test]
fn a_table_shows_no_secret_and_no_address() {
    let text = "base_url = \"https://canary-user:canary-pass@gateway.example\"\naccess_token = \"canary-token\"\n\
                webhook_secret = \"canary-secret\"\nlarge_groups = [\"120363000000000001@g.us\"]";
    let config: GatewayConfig = toml::from_str(text).expect("a table");
    let shown = format!("{config:?} {:?}", signing(""));
    for private in ["canary", "gateway.example", "120363000000000001", TOKEN, SECRET] {
        assert!(!shown.contains(private), "{shown}");
    }
}
