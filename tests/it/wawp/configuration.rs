//! A table that is wrong says so, all of it; one that is right says what the core has to know.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use threedots::message::ChatId;
use threedots::message::clock::Clock;
use threedots::provider::wawp::{WahaConfig, WawpConfig};
use threedots::provider::{
    AnyProviderConfig, GroupTyping, KINDS, KeyedBy, ProviderConfig, ReadReceipts, StopAbilities,
};

use super::{SECRET, TOKEN, connect, received_in_group, received_message, wawp};
use crate::upstream::Upstream;

fn mistakes<C: ProviderConfig>(table: &str) -> Vec<(String, String)> {
    connect::<C>(table, Upstream::answering([]), Clock::System).err().unwrap_or_default()
}

fn keys(mistakes: &[(String, String)]) -> BTreeSet<&str> {
    mistakes.iter().map(|(key, _)| key.as_str()).collect()
}

#[test]
fn an_empty_table_misses_what_has_no_default() {
    let (wawp, waha) = (mistakes::<WawpConfig>(""), mistakes::<WahaConfig>(""));
    assert_eq!(keys(&wawp), BTreeSet::from(["access_token", "instance_id", "webhook_secret"]));
    assert_eq!(keys(&waha), BTreeSet::from(["api_key", "webhook_secret"]));
}

#[test]
fn every_mistake_is_told_at_once_and_no_secret_with_it() {
    let table = format!(
        r#"
        instance_id = "fiction000001"
        access_token = "{TOKEN}"
        webhook_secret = "env:SECRET"
        url_token = "env:NO_SUCH"
        url_token_key = ""
        accept_unsigned = true
        signatures = []
        base_url = "http://user:{SECRET}@api.example"
        lead = "4s"
        typing_refresh = "20s"
        large_groups = ["120363000000000017@g.us", "12025550123@c.us", "?"]
        "#
    );
    let mistakes = mistakes::<WawpConfig>(&table);
    let expected = [
        "instance_id",
        "access_token",
        "url_token",
        "url_token_key",
        "accept_unsigned",
        "signatures",
        "base_url",
        "lead",
        "typing_refresh",
        "large_groups[1]",
        "large_groups[2]",
    ];
    assert_eq!(keys(&mistakes), BTreeSet::from(expected));
    for said in [TOKEN, SECRET, "fiction000001", "12025550123", "api.example"] {
        assert!(!format!("{mistakes:?}").contains(said), "{said} is shown");
    }
}

#[test]
fn nothing_to_vouch_for_webhooks_has_to_be_said() {
    let credentials = "instance_id = \"env:INSTANCE\"\naccess_token = \"env:TOKEN\"\n";
    let mistakes = mistakes::<WawpConfig>(credentials);
    let [(key, problem)] = mistakes.as_slice() else { panic!("{mistakes:?}") };
    assert_eq!(key, "webhook_secret");
    assert!(problem.contains("accept_unsigned = true"), "{problem}");
}

#[test]
fn other_small_mistakes_are_found_too() {
    let required = super::REQUIRED;
    for (more, key) in [
        ("signatures = [{ header = \"\" }]", "signatures[0].header"),
        ("typing_refresh = \"0s\"", "typing_refresh"),
        ("base_url = \"http://api.wawp.net\"", "base_url"),
    ] {
        assert_eq!(keys(&mistakes::<WawpConfig>(&format!("{required}{more}"))), BTreeSet::from([key]), "{more}");
    }
    let waha = "api_key = \"env:TOKEN\"\nwebhook_secret = \"env:SECRET\"\nsession = \"\"";
    assert_eq!(keys(&mistakes::<WahaConfig>(waha)), BTreeSet::from(["session"]));
}

/// A template with every commented setting in force: its provider's table.
fn uncommented(template: &str) -> toml::Table {
    let is_setting = |line: &str| {
        let name = line.split(" = ").next().expect("a first part");
        line.contains(" = ") && name.chars().all(|c| c.is_ascii_lowercase() || c == '_')
    };
    let lines = template.lines().map(|line| match line.strip_prefix("# ") {
        Some(setting) if is_setting(setting) => setting,
        _ => line,
    });
    let whole: toml::Table = lines.collect::<Vec<_>>().join("\n").parse().expect("TOML");
    let mut table = whole["bots"]["shop"]["provider"].as_table().expect("a table").clone();
    table.remove("kind").expect("it says what it is");
    table
}

fn assert_documents<C: ProviderConfig + serde::Serialize>(required: &[&str]) {
    let mut written = uncommented(C::TEMPLATE);
    let json = |config: &C| serde_json::to_value(config).expect("settings can be written down");
    let known = json(&C::default());
    let names: BTreeSet<_> = known.as_object().expect("settings").keys().cloned().collect();
    assert_eq!(written.keys().cloned().collect::<BTreeSet<_>>(), names);
    for name in required {
        assert_ne!(written.remove(*name).expect("it is filled in").as_str(), Some(""), "{name}");
    }
    let documented: C = toml::Value::Table(written).try_into().expect("the template's values are sound");
    assert_eq!(json(&documented), known);
}

#[test]
fn the_templates_show_every_setting_with_its_default() {
    assert_documents::<WawpConfig>(&["instance_id", "access_token", "webhook_secret"]);
    assert_documents::<WahaConfig>(&["api_key", "webhook_secret"]);
}

#[test]
fn both_kinds_are_in_the_table_of_kinds() {
    let names: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
    assert!(names.contains(&"wawp") && names.contains(&"waha"), "{names:?}");
}

#[test]
fn the_core_learns_how_the_dots_behave() {
    let provider = wawp("", &Upstream::answering([]));
    let abilities = provider.abilities();
    let typing = &abilities.typing;
    assert_eq!(provider.name(), "wawp");
    assert_eq!(typing.keyed_by, KeyedBy::Chat);
    assert_eq!((typing.lifetime, typing.refresh), (Duration::from_secs(20), Some(Duration::from_secs(8))));
    assert_eq!(typing.stop, Some(StopAbilities { per_second: Some(3), before_send: false }));
    assert_eq!(typing.lead, Duration::from_secs(2));
    assert!(!typing.start_marks_read && !typing.lit_on_arrival && !typing.recording);
    assert_eq!(typing.shown_in(&received_in_group()), GroupTyping::Show);
    assert_eq!((abilities.reads, abilities.text_limit), (ReadReceipts::Message, 4096));
    assert!(
        abilities.choices.is_none()
            && !abilities.places
            && !abilities.idempotent_sends
            && !abilities.statuses_carry_key
    );
}

#[test]
fn settings_change_what_the_core_learns() {
    let more = r#"
        seen = "chat"
        recording_path = "/v2/send/start-recording"
        lead = "3s"
        typing_refresh = "5s"
        typing_lifetime = "10s"
        large_groups = ["120363000000000017@g.us"]
    "#;
    let provider = wawp(more, &Upstream::answering([]));
    let abilities = provider.abilities();
    assert_eq!(abilities.reads, ReadReceipts::Chat);
    assert!(abilities.typing.recording);
    assert_eq!(abilities.typing.lead, Duration::from_secs(3));
    assert_eq!(abilities.typing.refresh, Some(Duration::from_secs(5)));
    assert_eq!(abilities.typing.lifetime, Duration::from_secs(10));
    assert_eq!(abilities.typing.large_groups, BTreeSet::from([ChatId::new("120363000000000017@g.us")]));
    assert_eq!(abilities.typing.shown_in(&received_in_group()), GroupTyping::Sparingly);
    assert_eq!(abilities.typing.shown_in(&received_message()), GroupTyping::Show);
    let skipping = wawp("group_typing = \"skip\"", &Upstream::answering([]));
    assert_eq!(skipping.abilities().typing.shown_in(&received_in_group()), GroupTyping::Skip);
}

#[test]
fn a_table_shows_neither_secrets_nor_addresses() {
    let table = format!("{}base_url = \"https://u:{SECRET}@x.example\"\n", super::REQUIRED);
    let config: WawpConfig = toml::from_str(&table).expect("a table");
    let any: &dyn AnyProviderConfig = &config;
    assert_eq!(format!("{any:?}"), "WawpConfig(…)");
    assert_eq!(format!("{:?}", WahaConfig::default()), "WahaConfig(…)");
    let unknown = toml::from_str::<WawpConfig>("acces_token = \"x\"").map(|_: WawpConfig| Value::Null);
    assert!(unknown.is_err(), "a key that does not exist is a mistake");
}
