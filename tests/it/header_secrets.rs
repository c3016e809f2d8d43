//! Secrets that no header of HTTP can carry: refused where they are read, by key, and not in the middle of a turn.

use std::path::Path;

use threedots::handler::llm::{Llm, LlmConfig, Model, ModelConfig};
use threedots::host::config::Config;
use threedots::message::BotName;
use threedots::message::clock::Clock;
use threedots::provider::health::Health;
use threedots::provider::meta::{Meta, MetaSettings};
use threedots::provider::{Activity, ErrorCode, Provider, ProviderError};
use threedots::runtime::http::Client;

use crate::product::NUMBER;

/// What no header can carry, and the word for it.
const UNFIT: [(&str, &str); 6] = [
    ("CANARY\nCANARY", "a line break"),
    ("CANARY\r\nX-Other: CANARY", "a line break"),
    ("CANARY\u{0}", "a control character"),
    ("CANARY\u{7f}X", "a control character"),
    ("CANARY-s\u{e9}cret", "not ASCII"),
    ("\u{feff}CANARY", "an invisible character"),
];

/// A configuration in which each of these keys names the file `secret`, and all others a file that is right.
fn configuration(directory: &Path) -> String {
    let file = |name: &str| format!("\"file:{}/{name}\"", directory.display());
    let (odd, right) = (file("secret"), file("right"));
    let llm = format!(
        "kind = \"llm\"\nmodels = [{{ model = \"m\", api_key = {odd} }}]\n\
         mcp = [{{ name = \"x\", url = \"https://mcp.example\", token = {odd} }}]"
    );
    let webhook = format!("webhook_secret = {odd}");
    let mut text = format!("[bots.meta.transcription]\napi_key = {odd}\n");
    for (bot, settings) in [
        (
            "meta",
            format!("phone_number_id = \"{NUMBER}\"\naccess_token = {odd}\napp_secret = {odd}\nverify_token = {odd}"),
        ),
        (
            "nxcloud",
            format!("access_key = {odd}\naccess_secret = {odd}\nappkey = {odd}\nbusiness_phone = \"15550100001\""),
        ),
        ("wawp", format!("instance_id = {odd}\naccess_token = {odd}\ncredentials = \"headers\"\n{webhook}")),
        ("waha", format!("api_key = {odd}\nbase_url = \"https://waha.example\"\n{webhook}")),
        (
            "gateway",
            format!("access_token = {odd}\nsession = \"one\"\nbase_url = \"https://gateway.example\"\n{webhook}"),
        ),
        ("linq", format!("api_key = {odd}\nwebhook_secret = {right}")),
    ] {
        let handler = if bot == "waha" { &llm } else { "kind = \"demo\"" };
        text += &format!("[bots.{bot}.provider]\nkind = \"{bot}\"\n{settings}\n[bots.{bot}.handler]\n{handler}\n");
    }
    text
}

/// The keys that travel in headers, each once.
const IN_HEADERS: [&str; 10] = [
    "bots.gateway.provider.access_token",
    "bots.linq.provider.api_key",
    "bots.meta.provider.access_token",
    "bots.meta.transcription.api_key",
    "bots.nxcloud.provider.access_key",
    "bots.waha.handler.mcp[0].token",
    "bots.waha.handler.models[0].api_key",
    "bots.waha.provider.api_key",
    "bots.wawp.provider.access_token",
    "bots.wawp.provider.instance_id",
];

fn problems(directory: &Path) -> Vec<(String, String)> {
    let (config, problems) = Config::load_text("threedots.toml", &configuration(directory), [], &[]);
    assert_eq!(problems, []);
    let found = threedots::App::new(config).err().map(|found| found.0).unwrap_or_default();
    let mut found: Vec<_> = found.into_iter().map(|problem| (problem.key, problem.text)).collect();
    found.sort();
    found
}

#[test]
fn each_is_told_by_its_key_and_a_secret_that_signs_may_hold_anything() {
    let directory = tempfile::tempdir().expect("a directory");
    let write = |name: &str, secret: &str| std::fs::write(directory.path().join(name), secret).expect("a file");
    write("right", &format!("whsec_{}\n", "QUJD".repeat(10)));
    for secret in ["a right one", " a right one with a line break at its end \r\n"] {
        write("secret", secret);
        assert_eq!(problems(directory.path()), []);
    }
    for (secret, what) in UNFIT {
        write("secret", secret);
        let found = problems(directory.path());
        let keys: Vec<&str> = found.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, IN_HEADERS, "{secret:?}");
        for (key, text) in &found {
            assert!(text.contains(what) && text.contains("put the secret there alone"), "{key}: {text}");
            assert!(!text.contains("CANARY"), "{text}");
        }
    }
}

#[test]
fn a_program_that_hands_a_key_over_itself_is_told_before_any_turn() {
    let around = || {
        crate::llm::around_models(vec![Model {
            config: ModelConfig { base_url: "https://model.example/v1".into(), ..ModelConfig::default() },
            api_key: Some("CANARY\nCANARY".to_owned().into()),
        }])
    };
    let Err(problems) = Llm::new(LlmConfig::default(), around()) else { panic!("it is refused") };
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].key, "models[0].api_key");
    assert!(problems[0].problem.contains("a line break") && !problems[0].problem.contains("CANARY"));
}

#[tokio::test]
async fn an_upstream_that_cannot_be_asked_is_a_bot_that_is_down() {
    let secret = |text: &str| text.to_owned().into();
    let settings = MetaSettings::new(NUMBER, secret("CANARY\nCANARY"), secret("x"), secret("x"));
    let meta = Meta::new(BotName::new("shop"), settings, Client::new().expect("a client"), Clock::System);
    let error =
        meta.start_typing(&crate::canaries::messages()[0].at, Activity::Typing).await.expect_err("no such header");
    assert!(matches!(error, ProviderError::Unauthorized { code: ErrorCode::Network(_) }), "{error:?}");
    assert!(error.to_string().contains("a header holds what no header can"), "{error}");
    let health = Health::new(BotName::new("shop"), Clock::System);
    assert!(health.suffer(&error).is_some() && health.is_down());

    // A medium's type is its own, and takes no bot down.
    let settings = MetaSettings::new(NUMBER, secret("token"), secret("x"), secret("x"));
    let meta = Meta::new(BotName::new("shop"), settings, Client::new().expect("a client"), Clock::System);
    let error = meta.upload_media(vec![7].into(), "image/png\n").await.expect_err("no such type");
    assert!(matches!(error, ProviderError::Rejected { .. }), "{error:?}");
}
