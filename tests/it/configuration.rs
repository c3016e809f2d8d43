//! The configuration, through the real command: what is documented is what holds, and what is wrong is all told.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use threedots::admin::OperatorConfig;
use threedots::delivery::outbox::DeliveryConfig;
use threedots::handler::http::HttpConfig;
use threedots::handler::llm::{LlmConfig, McpConfig, ModelConfig, ToolConfig};
use threedots::host::config::{BotConfig, Config, DEFAULT, HandlerConfig};
use threedots::provider::KINDS;
use threedots::provider::meta::MetaConfig;
use threedots::turn::transcription::TranscriptionConfig;

const SECRETS: [(&str, &str); 3] =
    [("META_ACCESS_TOKEN", "a token"), ("META_APP_SECRET", "a secret"), ("META_VERIFY_TOKEN", "a word")];

/// Runs the command in `directory`, with nothing in its environment but `env`.
pub(crate) fn threedots(directory: &Path, arguments: &[&str], env: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_threedots"));
    command.args(arguments).current_dir(directory).env_clear().envs(env.iter().copied());
    command.output().expect("the command runs")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

/// What `check` says of a file with this text.
fn check(text: &str, env: &[(&str, &str)]) -> (Option<i32>, String) {
    let directory = directory();
    std::fs::write(directory.path().join("threedots.toml"), text).expect("a file");
    let output = threedots(directory.path(), &["check"], env);
    (output.status.code(), stdout(&output) + &stderr(&output))
}

#[test]
fn init_writes_the_default_and_leaves_a_file_alone_that_is_there() {
    let directory = directory();
    let path = directory.path().join("threedots.toml");
    let output = threedots(directory.path(), &["init"], &[]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(std::fs::read_to_string(&path).expect("it was written"), DEFAULT);
    std::fs::write(&path, "mine").expect("a file");
    let output = threedots(directory.path(), &["init"], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).starts_with("threedots.toml: is there already"), "{}", stderr(&output));
    assert_eq!(std::fs::read_to_string(&path).expect("it is there"), "mine");
    let elsewhere = threedots(directory.path(), &["init", "--config", "no/such/directory.toml"], &[]);
    assert_eq!(elsewhere.status.code(), Some(1));
}

#[test]
fn there_is_nothing_wrong_with_the_default_once_its_secrets_are_there() {
    assert_eq!(check(DEFAULT, &SECRETS), (Some(0), "threedots.toml: 1 bot(s), no problem\n".into()));
    let (status, said) = check(DEFAULT, &SECRETS[1..]);
    assert_eq!(status, Some(1));
    let line = line_of(DEFAULT, "access_token = ");
    let text = "the environment variable META_ACCESS_TOKEN is not set: set it";
    assert_eq!(said, format!("threedots.toml:{line}: bots.shop.provider.access_token: {text}\n"));
}

fn line_of(text: &str, start: &str) -> usize {
    let mut lines = text.lines().enumerate().filter(|(_, line)| line.starts_with(start));
    let (line, _) = lines.next().unwrap_or_else(|| panic!("no line starts with {start}"));
    assert!(lines.next().is_none(), "two lines start with {start}");
    line + 1
}

/// The default with every commented setting in force.
fn uncommented() -> String {
    let is_setting = |line: &str| {
        let name = line.split(" = ").next().expect("a first part");
        let named = line.contains(" = ") && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        named || line.starts_with('[')
    };
    let lines = DEFAULT.lines().map(|line| match line.strip_prefix("# ") {
        // The other way to write a setting that stands there already: its own test is below.
        Some(setting) if setting.starts_with("app_secret = ") => line,
        Some(setting) if is_setting(setting) => setting,
        _ => line,
    });
    // The settings below it are the llm handler's.
    lines.collect::<Vec<_>>().join("\n").replace("\nkind = \"demo\"", "\nkind = \"llm\"")
}

fn json(settings: &impl serde::Serialize) -> Value {
    serde_json::to_value(settings).expect("settings can be written down")
}

fn meta_of(bot: &BotConfig) -> &MetaConfig {
    let provider = bot.provider.as_ref().expect("a provider");
    provider.as_any().downcast_ref().expect("it is Meta's")
}

/// Every table of the configuration by its key: as the uncommented default has it, and as the code has it.
fn tables() -> Vec<(&'static str, Value, Value)> {
    let text = uncommented();
    let (config, problems) = Config::parse("threedots.toml", &text, []);
    assert_eq!(problems, [], "the uncommented default is sound");
    let (known, bot, known_bot) = (Config::default(), &config.bots["shop"], BotConfig::default());
    let meta = meta_of(bot);
    let HandlerConfig::Llm(llm) = &bot.handler else { panic!("it is the llm handler's") };
    let HandlerConfig::Http(http) = &bot.handlers["sales"] else { panic!("it is over HTTP") };
    let known_http = HttpConfig { url: http.url.clone(), secret: http.secret.clone(), ..HttpConfig::default() };
    let [route] = bot.routes.as_slice() else { panic!("there is one route") };
    // What everybody has to fill in has no default; nor have the examples of what is off by default.
    let filled = MetaConfig {
        phone_number_id: meta.phone_number_id.clone(),
        access_token: meta.access_token.clone(),
        app_secret: meta.app_secret.clone(),
        verify_token: meta.verify_token.clone(),
        ..MetaConfig::default()
    };
    let [model] = llm.models.as_slice() else { panic!("there is one model") };
    let known_model = ModelConfig { api_key: model.api_key.clone(), ..ModelConfig::default() };
    let [tool] = llm.tools.as_slice() else { panic!("there is one tool") };
    let known_tool = ToolConfig {
        name: tool.name.clone(),
        description: tool.description.clone(),
        parameters: tool.parameters.clone(),
        url: tool.url.clone(),
        secret: tool.secret.clone(),
        ..ToolConfig::default()
    };
    let [mcp] = llm.mcp.as_slice() else { panic!("there is one MCP server") };
    let (name, url, token) = (mcp.name.clone(), mcp.url.clone(), mcp.token.clone());
    let known_mcp = McpConfig { name, url, token, ..McpConfig::default() };
    let (models, tools, mcps) = (llm.models.clone(), llm.tools.clone(), llm.mcp.clone());
    let known_llm = LlmConfig { models, tools, mcp: mcps, ..LlmConfig::default() };
    let transcription = bot.transcription.as_ref().expect("it is shown");
    let known_transcription = TranscriptionConfig { api_key: transcription.api_key.clone(), ..Default::default() };
    let window_template = bot.delivery.window_template.clone();
    let known_delivery = DeliveryConfig { window_template, ..known_bot.delivery.clone() };
    let known_operator = OperatorConfig { token: config.operator.token.clone(), ..OperatorConfig::default() };
    vec![
        ("server", json(&config.server), json(&known.server)),
        ("store", json(&config.store), json(&known.store)),
        ("retention", json(&config.retention), json(&known.retention)),
        ("operator", json(&config.operator), json(&known_operator)),
        ("hosting", json(&config.hosting), json(&known.hosting)),
        ("callbacks", json(&config.callbacks), json(&known.callbacks)),
        ("worker", json(&config.worker), json(&known.worker)),
        ("log", json(&config.log), json(&known.log)),
        ("bots.shop.provider", json(meta), json(&filled)),
        ("bots.shop.handler", json(llm), json(&known_llm)),
        ("bots.shop.handler.models", json(model), json(&known_model)),
        ("bots.shop.handler.budget", json(&llm.budget), json(&known_llm.budget)),
        ("bots.shop.handler.mcp", json(mcp), json(&known_mcp)),
        ("bots.shop.handler.tools", json(tool), json(&known_tool)),
        ("bots.shop.handlers.sales", json(http), json(&known_http)),
        // Each of its conditions is off by default.
        ("bots.shop.routes", json(route), json(route)),
        ("bots.shop.gate", json(&bot.gate), json(&known_bot.gate)),
        ("bots.shop.control", json(&bot.control), json(&known_bot.control)),
        ("bots.shop.people", json(&bot.people), json(&known_bot.people)),
        ("bots.shop.quiet", json(&bot.quiet), json(&known_bot.quiet)),
        ("bots.shop.merge", json(&bot.merge), json(&known_bot.merge)),
        ("bots.shop.turn", json(&bot.turn), json(&known_bot.turn)),
        ("bots.shop.transcription", json(transcription), json(&known_transcription)),
        ("bots.shop.typing", json(&bot.typing), json(&known_bot.typing)),
        ("bots.shop.delivery", json(&bot.delivery), json(&known_delivery)),
        ("bots.shop.failure_reply", json(&bot.failure_reply), json(&known_bot.failure_reply)),
        ("bots.shop.share", json(&bot.share), json(&known_bot.share)),
    ]
}

#[test]
fn what_the_default_shows_is_what_holds_without_it() {
    for (table, documented, known) in tables() {
        assert_eq!(documented, known, "{table}");
    }
}

#[test]
fn the_default_shows_every_setting_and_no_other() {
    let text = uncommented();
    let written: toml::Table = text.parse().expect("TOML");
    let (mut tables_seen, mut tops) = (0, BTreeSet::new());
    for (key, _, known) in tables() {
        let mut names = key.split('.');
        let top = names.next().expect("a name");
        tops.insert(top.to_owned());
        let table = names.fold(written.get(top), |table, name| table?.get(name)).unwrap_or_else(|| panic!("no {key}"));
        let table = table.as_array().map_or(table, |list| &list[0]).as_table().expect("a table");
        let written: BTreeSet<_> = table.keys().filter(|name| *name != "kind" || top != "bots").cloned().collect();
        let known: BTreeSet<_> = known.as_object().expect("settings").keys().cloned().collect();
        assert_eq!(written, known, "{key}");
        tables_seen += 1;
    }
    tops.extend(["templates".into(), "bots_dir".into()]);
    assert_eq!(written.keys().cloned().collect::<BTreeSet<_>>(), tops);
    let of_a_bot = written["bots"]["shop"].as_table().expect("a bot").len();
    // The bot's tables, the eight others, and the four tables inside the handler's.
    assert_eq!(tables_seen, of_a_bot + 8 + 4);
}

#[test]
fn the_defaults_other_way_to_write_the_app_secret_works() {
    let list = DEFAULT.lines().find_map(|line| line.strip_prefix("# app_secret = ")).expect("it is shown");
    let text = DEFAULT.replace("\napp_secret = \"env:META_APP_SECRET\"", &format!("\napp_secret = {list}"));
    let env = [SECRETS[0], SECRETS[2], ("NEW_SECRET", "new"), ("OLD_SECRET", "old")];
    assert_eq!(check(&text, &env), (Some(0), "threedots.toml: 1 bot(s), no problem\n".into()));
    let (status, said) = check(&text, &env[..3]);
    assert_eq!(status, Some(1));
    assert!(said.contains("bots.shop.provider.app_secret[1].secret: the environment variable OLD_SECRET"), "{said}");
}

/// A configuration in which much is wrong. What stands in it as a secret must never be shown.
const WRONG: &str = r#"templates = "templates"
telemetry = true

[server]
listen = "everywhere"
body_timeout = "10 LITERAL-SECRETS"
connection = 5

[store]
kind = "LITERAL-SECRET"
max_waiting = "LITERAL-SECRET"

[worker]
lease = "30s"
turns = 0

[log]
level = 3

[bots.shop.provider]
kind = "meta"
phone_number_id = "+49 30 901820"
access_token = "LITERAL-SECRET"
app_secret = "env:NO_SUCH_VARIABLE"
verify_token = 7315550
base_url = "http://user:LITERAL-SECRET@graph.example"
graph_version = "25"
media_hosts = "LITERAL-SECRET"
typing_refresh_every = "5s"

[bots.shop.handler]
kind = "llm"
prompt = "prompts/broken.txt"
canned_reply = "replies/unknown-value.txt"
time_zone = "Mars/Olympus"

[bots.shop.handlers.sales]
kind = "http"
url = "http://169.254.169.254/?LITERAL-SECRET"
secret = "env:PATH"

[bots.shop.handlers.unused]
kind = "demo"

[[bots.shop.routes]]
handler = "sails"
languages = ["de"]

[[bots.shop.routes]]
handler = "sales"
percent = 101

[bots.shop.gate]
kinds = ["smell", "text", "taste"]
per_minute = 0
allow = ["+49 170 1234567", "somebody"]
block = ["0170 1234567"]

[bots.shop.control]
human = ["a person", "?!"]

[bots.shop.tpying]
show = "typing"

[bots.shop.typing]
delay = "2m"

[bots.shop.delivery]
list_button = "More than twenty characters"

[bots.shop.failure_reply]
template = "replies/none.txt"
enabled = "LITERAL-SECRET"

[bots.pigeons.provider]
kind = "pigeon"

[bots.pigeons.handler]
kind = "oracle"

[bots."Bad Name".provider]
kind = "meta"
phone_number_id = "1"
access_token = "file:/no/such/file"
app_secret = [{ secret = "LITERAL-SECRET", until = "LITERAL-SECRET" }, { secret = "env:PATH" }]
verify_token = "env:EMPTY"

[bots."Bad Name".handler]
kind = "demo"
prompt = "x"

[bots.models.handler]
kind = "llm"

[[bots.models.handler.models]]
base_url = "http://models.example/?key=LITERAL-SECRET"
model = ""
api_key = "LITERAL-SECRET"
tiemout = "4s"

[[bots.models.handler.models]]
api_key = 7315551
timeout = 3

[bots.models.provider]
"#;

/// Everything that is wrong with [`WRONG`]: the key, the beginning of the line that it stands on or the variable, and
/// a word of what to do.
const FOUND: [(&str, &str, &str); 58] = [
    ("bots.shop.typing.delay", "delay = ", "shorter than typing.cap"),
    ("templates", "templates = ", "template prompts/broken.txt: syntax error (line 2)"),
    ("telemetry", "telemetry = ", "remove it"),
    ("server.listen", "listen = ", "such as \"127.0.0.1:8080\""),
    ("server.body_timeout", "body_timeout = ", "write for example \"26s\""),
    (
        "server.connection",
        "connection = ",
        "correct its name (there are: listen, body_timeout, connections, backlog, body_memory, store_timeout)",
    ),
    ("server.listne", "THREEDOTS_SERVER__LISTNE", "correct its name"),
    ("store.kind", "kind = \"LITERAL", "use one of memory, sled, redb"),
    ("store.max_waiting", "max_waiting = ", "must be a whole number"),
    ("store.history", "THREEDOTS_STORE__HISTORY", "must be a whole number"),
    ("worker.lease", "lease = ", "raise it, or lower those"),
    ("worker.turns", "turns = ", "must not be zero"),
    ("log.level", "level = ", ""),
    ("bots.shop.provider.phone_number_id", "phone_number_id = \"+", "must be the digits"),
    ("bots.shop.provider.access_token", "access_token = \"L", "move the secret"),
    ("bots.shop.provider.app_secret", "app_secret = \"", "NO_SUCH_VARIABLE is not set: set it"),
    ("bots.shop.provider.verify_token", "verify_token = 7", "move the secret"),
    ("bots.shop.provider.base_url", "base_url = \"http://u", "must be an https address"),
    ("bots.shop.provider.graph_version", "graph_version", "must look like \"v25.0\""),
    ("bots.shop.provider.media_hosts", "media_hosts", "must be a list"),
    ("bots.shop.provider.typing_refresh_every", "typing_refresh_every", "must be 25s or more"),
    ("bots.shop.handler.models", "[bots.shop.handler]", "add at least one [[bots.shop.handler.models]]"),
    ("bots.shop.handler.canned_reply", "canned_reply", "correct the value's name"),
    ("bots.shop.handler.time_zone", "time_zone", "write an IANA name"),
    ("callbacks.listen", "THREEDOTS_CALLBACKS__LISTEN", "such as \"127.0.0.1:8082\""),
    ("bots.shop.handlers.sales.url", "url = \"http://1", "set `private = true`"),
    ("bots.shop.handlers.sales.secret", "secret = \"env:P", "PATH is not set: set it"),
    ("bots.shop.handlers.unused", "[bots.shop.handlers.unused]", "is in no route"),
    ("bots.shop.routes[0].handler", "handler = \"sails\"", "there are: sales, unused"),
    ("bots.shop.routes[0].languages", "languages = ", "is no condition any longer"),
    ("bots.shop.routes[1].percent", "percent = 101", "100 at the most"),
    ("bots.shop.gate.kinds[0]", "kinds = ", "use one of text, image"),
    ("bots.shop.gate.kinds[2]", "kinds = ", "use one of text, image"),
    ("bots.shop.gate.per_minute", "per_minute = ", "must not be zero"),
    ("bots.shop.gate.allow[1]", "allow = ", "is no phone number"),
    ("bots.shop.gate.block[0]", "block = ", "without its country code"),
    ("bots.shop.control.human", "human = ", "without a letter"),
    ("bots.shop.tpying", "[bots.shop.tpying]", "correct its name"),
    ("bots.shop.turn.timeout", "THREEDOTS_BOTS__SHOP__TURN__TIMEOUT", "write for example \"26s\""),
    ("bots.shop.delivery.list_button", "list_button = ", "1 to 20 characters"),
    ("bots.shop.failure_reply.template", "template = ", "or name another"),
    ("bots.shop.failure_reply.enabled", "enabled = ", "must be true or false"),
    ("bots.pigeons.provider.kind", "kind = \"pigeon\"", "use one of meta"),
    ("bots.pigeons.handler.kind", "kind = \"oracle\"", "use one of demo, llm, http, custom"),
    ("bots.Bad Name", "[bots.\"Bad Name\".provider]", "use lower-case letters"),
    ("bots.Bad Name.provider.access_token", "access_token = \"file", "cannot be read"),
    ("bots.Bad Name.provider.app_secret[0].secret", "app_secret = [", "move the secret"),
    ("bots.Bad Name.provider.app_secret[0].until", "app_secret = [", "write for example \"2026-12-31\""),
    ("bots.Bad Name.provider.app_secret[1].secret", "app_secret = [", "PATH is not set: set it"),
    ("bots.Bad Name.provider.verify_token", "verify_token = \"env:E", "put the secret there"),
    ("bots.Bad Name.handler.prompt", "prompt = \"x\"", "remove it"),
    ("bots.models.handler.models[0].base_url", "base_url = \"http://m", "must be an https address"),
    ("bots.models.handler.models[0].model", "model = ", "name the model"),
    ("bots.models.handler.models[0].api_key", "api_key = \"L", "move the secret"),
    ("bots.models.handler.models[0].tiemout", "tiemout", "correct its name"),
    ("bots.models.handler.models[1].api_key", "api_key = 7", "move the secret"),
    ("bots.models.handler.models[1].timeout", "timeout = 3", "write for example \"26s\""),
    ("bots.models.provider.kind", "[bots.models.provider]", "use one of meta"),
];

#[test]
fn everything_that_is_wrong_is_told_at_once_with_its_place_and_what_to_do_and_no_secret() {
    let directory = directory();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).expect("a file");
    write("threedots.toml", WRONG);
    for folder in ["templates", "templates/prompts", "templates/replies"] {
        std::fs::create_dir(directory.path().join(folder)).expect("a directory");
    }
    write("templates/prompts/broken.txt", "Be kind.\n{% if %}\n");
    write("templates/replies/unknown-value.txt", "Dear {{ custommer }}");
    let env = [
        ("EMPTY", ""),
        ("THREEDOTS_SERVER__LISTNE", "127.0.0.1:1"),
        ("THREEDOTS_CALLBACKS__LISTEN", "here"),
        ("THREEDOTS_STORE__HISTORY", "many LITERAL-SECRETs"),
        ("THREEDOTS_BOTS__SHOP__TURN__TIMEOUT", "ages"),
    ];
    for command in ["check", "serve"] {
        let output = threedots(directory.path(), &[command], &env);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(stdout(&output), "", "{command} starts nothing");
        let said = stderr(&output);
        for secret in ["LITERAL-SECRET", "7315550", "7315551"] {
            assert!(!said.contains(secret), "a secret is shown:\n{said}");
        }
        let mut said: BTreeSet<&str> = said.lines().collect();
        for (key, place, word) in FOUND {
            let place = if place.starts_with("THREEDOTS_") {
                format!("environment variable {place}")
            } else {
                format!("threedots.toml:{}", line_of(WRONG, place))
            };
            let start = format!("{place}: {key}: ");
            let line = said.iter().find(|line| line.starts_with(&start) && line.contains(word)).copied();
            let line = line.unwrap_or_else(|| panic!("no line {start}…{word}… in\n{said:#?}"));
            said.remove(line);
        }
        assert!(said.is_empty(), "said besides:\n{said:#?}");
        let kept = std::fs::read_dir(directory.path()).expect("a directory").count();
        assert_eq!(kept, 2, "the file and its templates are all there is");
    }
}

#[test]
fn what_is_wrong_with_a_models_tools_and_budget_is_told_with_its_place() {
    let text = format!(
        "{}\n{}",
        DEFAULT.split("[bots.shop.handler]").next().expect("what is above it"),
        r#"[bots.shop.handler]
kind = "llm"
summary_prompt = "prompts/none.txt"
max_tokens = 0
budget = { contact_money = 1.0, bot_money = -1.0, reply = "replies/none.txt" }
[[bots.shop.handler.models]]
stall = "0s"
output_price = 2.5
body = { temperature = 0.3, max_tokens = 5 }
[[bots.shop.handler.models]]
base_url = "https://models.example/v1/responses?LITERAL-SECRET"
key_header = "Host"
body = { stream = false }
input_price = 1.0
output_price = 1.0
[[bots.shop.handler.models]]
base_url = "http://model.internal/v1"
input_price = 1.0
output_price = 1.0
[[bots.shop.handler.tools]]
name = "two words"
url = "https://169.254.169.254/latest"
parameters = { type = "array" }
[[bots.shop.handler.tools]]
name = "twice"
description = "The first."
url = "https://tools.example"
secret = "env:NO_SUCH_SECRET"
[[bots.shop.handler.tools]]
name = "inside"
description = "One in the network."
url = "http://10.0.0.7/tool"
private = true
timeout = "0s"
parameters = "{"
secret = "env:SHORT_SECRET"
"#
    );
    let (status, said) = check(&text, &[&SECRETS[..], &[("SHORT_SECRET", "whsec_c2hvcnQ=")]].concat());
    assert_eq!(status, Some(1));
    let said: Vec<&str> = said.lines().collect();
    let found = [
        ("summary_prompt", "summary_prompt = ", "there is none of this name"),
        ("budget.bot_money", "budget = ", "zero or more"),
        ("budget.reply", "budget = ", "there is none of this name"),
        ("models[0].stall", "stall = ", "must not be zero"),
        ("max_tokens", "max_tokens = 0", "must be 1 or more"),
        ("models[0].body.max_tokens", "body = { temp", "token_parameter"),
        ("models[1].base_url", "base_url = \"https://models", "leave out /responses"),
        ("models[1].key_header", "key_header = ", "name another one"),
        ("models[1].body.stream", "body = { stream", "leave it out"),
        ("models[2].base_url", "base_url = \"http://model", "plain_http = true"),
        ("models[0].input_price", "[[bots.shop.handler.models]]", "is missing"),
        ("tools[0].name", "name = \"two", "letters, digits"),
        ("tools[0].description", "[[", "say what the tool does"),
        ("tools[0].url", "url = \"https://169", "set `private = true`"),
        ("tools[0].parameters", "parameters = { t", "begin with type = \"object\""),
        ("tools[1].secret", "secret = \"env:NO", "NO_SUCH_SECRET is not set"),
        ("tools[2].timeout", "timeout = \"0s", "must not be zero"),
        ("tools[2].parameters", "parameters = \"{", "is no JSON"),
        ("tools[2].secret", "secret = \"env:SH", "openssl rand"),
    ];
    for (key, line, words) in found {
        let told = said.iter().find(|told| told.contains(&format!(": bots.shop.handler.{key}: ")));
        let told = told.unwrap_or_else(|| panic!("nothing of {key} in {said:#?}"));
        assert!(told.contains(words), "{told}");
        // What is missing is told of the table that it is missing from.
        if !line.starts_with("[[") {
            let line = line_of(&text, line);
            assert!(told.starts_with(&format!("threedots.toml:{line}: ")), "{told}");
        }
    }
    assert_eq!(said.len(), found.len(), "{said:#?}");
    assert!(!said.iter().any(|told| told.contains("LITERAL-SECRET")), "{said:#?}");
}

#[test]
fn what_is_wrong_with_mcp_servers_and_with_transcription_is_told_with_its_line() {
    let begin = DEFAULT.find("[bots.shop.handler]").expect("the handler's table");
    let end = DEFAULT.find("[bots.shop.gate]").expect("the gate's table");
    let (before, after) = (&DEFAULT[..begin], &DEFAULT[end..]);
    let text = format!(
        r#"{before}[bots.shop.handler]
kind = "llm"
[[bots.shop.handler.models]]
[[bots.shop.handler.mcp]]
name = "two words"
url = "http://tools.example/mcp?key=LITERAL-SECRET"
timeout = "0s"
[[bots.shop.handler.mcp]]
name = "nowhere"
[[bots.shop.handler.mcp]]
name = "process"
command = "no-such-program-LITERAL-SECRET"
env = {{ STOCK_KEY = "env:NO_SUCH_KEY" }}
[[bots.shop.handler.mcp]]
name = "both"
command = "sh"
url = "https://tools.example/both"
token = "env:NO_SUCH_TOKEN"
[[bots.shop.handler.mcp]]
name = "mixed"
command = "/bin/sh"
private = true
may = ["dance"]
[bots.shop.transcription]
base_url = "http://10.0.0.7/v1?LITERAL-SECRET"
model = ""
api_key = "LITERAL-SECRET"
language = "german"
kinds = ["voice", "image"]
timeout = "90s"
max_bytes = 100000000
longest = "0s"
speed = 2
{after}"#
    );
    let (status, said) = check(&text, &[&SECRETS[..], &[("PATH", "/usr/bin:/bin")]].concat());
    assert_eq!(status, Some(1));
    assert!(!said.contains("LITERAL-SECRET"), "{said}");
    let said: Vec<&str> = said.lines().collect();
    let found = [
        ("handler.mcp[0].name", "name = \"two", "letters, digits"),
        ("handler.mcp[0].url", "url = \"http://tools", "set `private = true`"),
        ("handler.mcp[0].timeout", "timeout = \"0s", "must not be zero"),
        ("handler.mcp[1].url", "", "give the server's address, or its program"),
        ("handler.mcp[2].command", "command = \"no", "or a name that is in PATH"),
        ("handler.mcp[2].env.STOCK_KEY", "env = ", "NO_SUCH_KEY is not set"),
        ("handler.mcp[3].command", "command = \"sh", "one or the other"),
        ("handler.mcp[3].token", "token = \"env:NO", "NO_SUCH_TOKEN is not set"),
        ("handler.mcp[4].private", "private = true", "without a `url`"),
        ("handler.mcp[4].may[0]", "may = ", "use one of beat, handover"),
        ("transcription.base_url", "base_url = \"http://10", "https address, or one on this machine"),
        ("transcription.model", "model = \"\"", "name the model"),
        ("transcription.api_key", "api_key = ", "move the secret"),
        ("transcription.language", "language = ", "in two letters"),
        ("transcription.kinds", "kinds = [\"voice\", \"image", "voice, audio or both"),
        ("transcription.timeout", "timeout = \"90s", "leaves the handler no time"),
        ("transcription.longest", "longest = ", "must not be zero"),
        ("transcription.speed", "speed = ", "correct its name"),
    ];
    for (key, line, words) in found {
        let told = said.iter().find(|told| told.contains(&format!(": bots.shop.{key}: ")));
        let told = told.unwrap_or_else(|| panic!("nothing of {key} in {said:#?}"));
        assert!(told.contains(words), "{told}");
        if !line.is_empty() {
            let line = line_of(&text, line);
            assert!(told.starts_with(&format!("threedots.toml:{line}: ")), "{told}");
        }
    }
    let memory = "bots.shop.transcription.max_bytes lets through: 100000000 at the least";
    assert!(said.iter().any(|told| told.contains(": worker.media_memory: ") && told.contains(memory)), "{said:#?}");
    assert_eq!(said.len(), found.len() + 1, "{said:#?}");
}

#[test]
fn what_is_no_toml_is_told_with_its_line_and_without_a_word_of_it() {
    let texts = [
        ("[bots.shop]\nprovider.access_token = LITERAL-SECRET\n", 2),
        ("[bots.shop]\nprovider.access_token = \"LITERAL-SECRET\" \"x\"\n", 2),
        ("[bots.shop]\nprovider.access_token = \"LITERAL-SECRET\nx = 1\n", 2),
        ("a = 1\n[bots.shop\nprovider.access_token = \"LITERAL-SECRET\"\n", 2),
        ("b.access_token = \"LITERAL-SECRET\"\nb.access_token = \"LITERAL-SECRET\"\n", 2),
        ("[server]\n\n\nlisten = 1.2.3\n", 4),
    ];
    for (text, line) in texts {
        let (status, said) = check(text, &[]);
        assert_eq!(status, Some(1));
        assert!(said.starts_with(&format!("threedots.toml:{line}: ")), "{text}{said}");
        assert!(!said.contains("LITERAL") && !said.contains("1.2.3"), "{said}");
    }
}

#[test]
fn without_a_file_or_a_bot_it_says_where_to_begin() {
    let output = threedots(directory().path(), &["check"], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr(&output), "threedots.toml: is not there: `threedots init` writes a first one\n");
    let (_, said) = check("", &[]);
    assert_eq!(said, "threedots.toml: bots: there is no bot: add a table such as [bots.shop], or set `bots_dir`\n");
}

#[test]
fn the_environment_lies_over_the_file_and_needs_no_quotes() {
    let over = |variable: &str, value: &str| {
        let (config, problems) = Config::parse("threedots.toml", DEFAULT, [(variable.to_owned(), value.to_owned())]);
        assert_eq!(problems, [], "{variable}");
        config
    };
    assert_eq!(over("THREEDOTS_SERVER__LISTEN", "[::1]:80").server.listen, "[::1]:80");
    assert_eq!(over("THREEDOTS_STORE__HISTORY", "7").store.history, 7);
    assert_eq!(
        over("THREEDOTS_BOTS__SHOP__GATE__BLOCK", "[\"+1 555 010 0001\"]").bots["shop"].gate.block,
        ["+1 555 010 0001"]
    );
    assert!(!over("THREEDOTS_BOTS__SHOP__FAILURE_REPLY__ENABLED", "false").bots["shop"].failure_reply.enabled);
    // It reads as a number, and is none.
    let config = over("THREEDOTS_BOTS__SHOP__PROVIDER__PHONE_NUMBER_ID", "0049123");
    let meta = meta_of(&config.bots["shop"]);
    assert_eq!(meta.phone_number_id, "0049123");
    let config = over("THREEDOTS_BOTS__SHOP__PROVIDER__PHONE_NUMBER_ID", "49123");
    let meta = meta_of(&config.bots["shop"]);
    assert_eq!(meta.phone_number_id, "49123");
}

#[test]
fn what_a_variable_lacks_is_told_of_the_variable() {
    let (status, said) = check(DEFAULT, &[&SECRETS[..], &[("THREEDOTS_BOTS__NEW__HANDLER__KIND", "demo")]].concat());
    assert_eq!(status, Some(1));
    let place = "environment variable THREEDOTS_BOTS__NEW__HANDLER__KIND";
    let kinds = KINDS.map(|kind| kind.name).join(", ");
    assert_eq!(said, format!("{place}: bots.new.provider.kind: is missing: use one of {kinds}\n"));
    let variable = "THREEDOTS_BOTS__SHOP__PROVIDER__KIND__OF";
    let (_, said) = check(DEFAULT, &[&SECRETS[..], &[(variable, "1")]].concat());
    let text = "`kind` is no table, so nothing can stand in it: unset the variable";
    assert_eq!(said, format!("environment variable {variable}: bots.shop.provider.kind.of: {text}\n"));
}

#[test]
fn memory_without_room_for_the_largest_is_a_problem() {
    let mut text = DEFAULT.to_owned();
    for (shown, set) in [
        ("# body_memory = 33554432", "body_memory = 8388607"),
        ("# store_timeout = \"10s\"", "store_timeout = \"0s\""),
        ("# memory = 67108864", "memory = 1000000"),
        ("# media_memory = 67108864", "media_memory = 16777215"),
    ] {
        assert!(text.contains(shown), "{shown}");
        text = text.replace(shown, set);
    }
    let (status, said) = check(&text, &SECRETS);
    let problems = [
        "server.store_timeout: must not be zero",
        "server.body_memory: has no room for the largest deliveries: 8388608 at the least",
        "worker.memory: has no room for the longest turn: 3276800 at the least",
        "worker.media_memory: has no room for a medium as large as bots.shop.turn.media_limit lets through: 16777216",
    ];
    assert_eq!((status, said.lines().count()), (Some(1), problems.len()), "{said}");
    for problem in problems {
        assert!(said.contains(problem), "{problem}: {said}");
    }
}
