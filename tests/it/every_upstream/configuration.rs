//! The configuration of every kind of provider: its template shows every setting and its default, and `check` finds
//! what is missing in each.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;
use threedots::host::config::{Config, default_with};
use threedots::provider::{AnyProviderConfig, KINDS, ProviderKind};

/// The settings of a provider, whichever it is.
fn settings(provider: &dyn AnyProviderConfig) -> Value {
    let any = provider.as_any();
    macro_rules! first {
        ($($config:ty),*) => {
            None$(.or_else(|| any.downcast_ref::<$config>().map(serde_json::to_value)))*
        };
    }
    use threedots::provider::{gateway, linq, meta, nxcloud, wawp};
    let written = first!(
        meta::MetaConfig,
        nxcloud::NxCloudConfig,
        wawp::WawpConfig,
        wawp::WahaConfig,
        gateway::GatewayConfig,
        linq::LinqConfig
    );
    written.unwrap_or_else(|| panic!("name {} here", provider.kind())).expect("settings can be written down")
}

/// A template with every commented setting in force. One that stands there already shows another way to write it.
fn uncommented(template: &str) -> String {
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let name = |line: &str| {
        let (name, _) = line.split_once(" = ")?;
        let is_name = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        is_name.then(|| name.to_owned())
    };
    seen.extend(template.lines().filter_map(name));
    let lines = template.lines().map(|line| match line.strip_prefix("# ") {
        Some(setting) if name(setting).is_some_and(|name| seen.insert(name)) => setting,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The `provider` of a bot with this table, and the names in the table.
fn read(table: &str) -> (Value, BTreeSet<String>) {
    let text = format!("{table}\n[bots.shop.handler]\nkind = \"demo\"\n");
    let (config, problems) = Config::parse("threedots.toml", &text, []);
    assert_eq!(problems, [], "{table}");
    let table: toml::Table = table.parse().expect("TOML");
    let table = table["bots"]["shop"]["provider"].as_table().expect("a table");
    let names = table.keys().filter(|name| *name != "kind").cloned().collect();
    (settings(&**config.bots["shop"].provider.as_ref().expect("a provider")), names)
}

#[test]
fn the_template_of_every_kind_shows_every_setting_with_its_default() {
    for kind in KINDS {
        let (documented, shown) = read(&uncommented(kind.template));
        let (known, _) = read(kind.template);
        assert_eq!(documented, known, "{}: what is shown is not what holds", kind.name);
        let known: BTreeSet<String> = known.as_object().expect("a table").keys().cloned().collect();
        assert_eq!(shown, known, "{}: the settings that are shown, and those that there are", kind.name);
    }
}

/// The environment variables that a template names.
fn variables(template: &str) -> Vec<&str> {
    let lines = template.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once("\"env:")?.1.split('"').next()).collect()
}

/// One bot of each kind, named as its kind is.
fn one_of_each() -> String {
    let bot = |kind: &ProviderKind| {
        let provider = kind.template.replace("[bots.shop.provider]", &format!("[bots.{}.provider]", kind.name));
        format!("{provider}\n[bots.{}.handler]\nkind = \"demo\"\n", kind.name)
    };
    KINDS.iter().map(bot).collect::<Vec<_>>().join("\n")
}

/// A value that no error may show.
const SECRET: &str = "aGVsbG8tY2FuYXJ5LXNlY3JldC0wMTIzNDU2Nzg5";

fn check(text: &str, env: &BTreeSet<&str>) -> (Option<i32>, String) {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("threedots.toml"), text).expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_threedots"));
    command.arg("check").current_dir(directory.path()).env_clear();
    command.envs(env.iter().map(|name| (name, SECRET)));
    let output = command.output().expect("it runs");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).expect("text"))
}

#[test]
fn one_bot_of_each_kind_is_a_sound_configuration_and_every_missing_secret_is_told() {
    let text = one_of_each();
    let all: BTreeSet<&str> = KINDS.iter().flat_map(|kind| variables(kind.template)).collect();
    let sound = format!("threedots.toml: {} bot(s), no problem\n", KINDS.len());
    assert_eq!(check(&text, &all), (Some(0), sound));

    let missing: Vec<(&str, &str)> = KINDS.iter().map(|kind| (kind.name, variables(kind.template)[0])).collect();
    let mut some = all.clone();
    some.retain(|name| !missing.iter().any(|(_, gone)| gone == name));
    let (status, said) = check(&text, &some);
    assert_eq!(status, Some(1));
    assert_eq!(said.lines().count(), KINDS.len(), "{said}");
    for (kind, name) in missing {
        let told = |line: &str| line.contains(&format!("bots.{kind}.provider.")) && line.contains(name);
        assert!(said.lines().any(told), "{kind}, {name}: {said}");
    }
    assert!(!said.contains(SECRET), "{said}");
}

#[test]
fn init_writes_a_sound_configuration_for_every_kind() {
    for kind in KINDS {
        let directory = tempfile::tempdir().expect("a directory");
        let mut command = Command::new(env!("CARGO_BIN_EXE_threedots"));
        let init = command.args(["init", "--provider", kind.name]).current_dir(directory.path());
        assert!(init.status().expect("it runs").success());
        let text = std::fs::read_to_string(directory.path().join("threedots.toml")).expect("it was written");
        assert_eq!(text, default_with(&kind));
        let env = variables(kind.template).into_iter().collect();
        assert_eq!(check(&text, &env), (Some(0), "threedots.toml: 1 bot(s), no problem\n".into()), "{}", kind.name);
    }
}
