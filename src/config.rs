//! The configuration: the sum of small tables that live beside what they configure.
//!
//! One TOML file, the environment over it, secrets by reference. `templates/threedots.toml` is the commented default,
//! compiled in and written by `threedots init`; a test holds it against the defaults in the code. Unknown keys are
//! errors, and so are contradictions; all problems are reported at once, before anything starts.

mod places;
mod problem;
mod source;

use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use toml::Table;

use crate::callbacks::CallbacksConfig;
use crate::control::ControlConfig;
use crate::failure::FailureReplyConfig;
use crate::gate::GateConfig;
use crate::handler::http::HttpConfig;
use crate::handler::llm::LlmConfig;
use crate::handler::route::RouteConfig;
use crate::operator::OperatorConfig;
use crate::outbox::DeliveryConfig;
use crate::people::PeopleConfig;
use crate::provider::{AnyProviderConfig, KINDS, Kind};
use crate::quiet::QuietConfig;
use crate::store::{DEDUPLICATED_FOR, Retention, StoreConfig};
use crate::telemetry::LogConfig;
use crate::turn::{MergeConfig, TurnConfig};
use crate::typing::TypingConfig;
use crate::webhook::{self, ServerConfig};
use crate::worker::{LONGEST_TURN, WorkerConfig};
use problem::NO_TABLE;
pub use problem::{Problem, Problems};
use source::Source;

/// The commented default, as `threedots init` writes it: its bot is on Meta's Cloud API.
pub const DEFAULT: &str = include_str!("../templates/threedots.toml");

/// The commented default with a bot on another provider.
pub fn default_with(kind: &Kind) -> String {
    let bounds = DEFAULT.find("[bots.shop.provider]").zip(DEFAULT.find("[bots.shop.handler]"));
    let (from, to) = bounds.expect("the default has these tables, in this order");
    format!("{}{}\n{}", &DEFAULT[..from], kind.template, &DEFAULT[to..])
}

/// A whole configuration.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Where webhooks arrive.
    pub server: ServerConfig,
    /// Where messages are kept.
    pub store: StoreConfig,
    /// How long it is kept.
    pub retention: Retention,
    /// Where the operator's API is.
    pub operator: OperatorConfig,
    /// Where handlers come back to.
    pub callbacks: CallbacksConfig,
    /// How turns are worked off.
    pub worker: WorkerConfig,
    /// What is logged.
    pub log: LogConfig,
    /// A directory with templates that replace those compiled in.
    pub templates: Option<PathBuf>,
    /// The bots, by their names.
    pub bots: BTreeMap<String, BotConfig>,
    /// Where each key stands, for problems that are found later.
    places: Places,
}

/// One bot.
#[derive(Clone, Debug, Default)]
pub struct BotConfig {
    /// The upstream that carries its messages, by the `kind` in its table; none if that could not be read.
    pub provider: Option<Arc<dyn AnyProviderConfig>>,
    /// What answers.
    pub handler: HandlerConfig,
    /// What else can answer, by name.
    pub handlers: BTreeMap<String, HandlerConfig>,
    /// When which of those does.
    pub routes: Vec<RouteConfig>,
    /// Whom and what it answers.
    pub gate: GateConfig,
    /// The words by which a customer speaks to the bot itself.
    pub control: ControlConfig,
    /// What follows when a person takes over.
    pub people: PeopleConfig,
    /// When it answers nobody.
    pub quiet: QuietConfig,
    /// How bursts are merged.
    pub merge: MergeConfig,
    /// How its turns are held.
    pub turn: TurnConfig,
    /// The dots.
    pub typing: TypingConfig,
    /// How replies are sent.
    pub delivery: DeliveryConfig,
    /// What a customer is told when the handler has failed.
    pub failure_reply: FailureReplyConfig,
}

impl BotConfig {
    /// All that may answer.
    pub fn all_handlers(&self) -> impl Iterator<Item = &HandlerConfig> {
        self.handlers.values().chain([&self.handler])
    }
}

/// A handler, by the `kind` in a bot's `handler` table.
#[derive(Clone, Debug, Default)]
pub enum HandlerConfig {
    /// `kind = "demo"`
    #[default]
    Demo,
    /// `kind = "llm"`
    Llm(Box<LlmConfig>),
    /// `kind = "http"`
    Http(HttpConfig),
    /// `kind = "custom"`: the one that a program of yours gives to [`App::handler`](crate::App::handler).
    Custom,
}

/// Where each key stands. The file may hold what it should not: neither is ever shown.
#[derive(Clone, Default)]
struct Places {
    file: String,
    text: String,
    env: Vec<(String, String)>,
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Places(…)")
    }
}

impl Config {
    /// Reads a configuration file, with the environment over it. Whatever is wrong is noted and left at its default,
    /// so that the rest can be looked at too.
    ///
    /// `more` are kinds of provider besides [`KINDS`].
    pub fn load(path: &Path, env: impl IntoIterator<Item = (String, String)>, more: &[Kind]) -> (Self, Vec<Problem>) {
        let file = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse_with(&file, &text, env, more),
            Err(error) => {
                let text = match error.kind() {
                    ErrorKind::NotFound => "is not there: `threedots init` writes a first one".into(),
                    kind => format!("cannot be read ({kind}): name a TOML file, in UTF-8, that you may read"),
                };
                (Self::default(), vec![Problem { key: String::new(), place: file, text }])
            }
        }
    }

    /// Reads a configuration from text; `file` is what problems call it.
    pub fn parse(file: &str, text: &str, env: impl IntoIterator<Item = (String, String)>) -> (Self, Vec<Problem>) {
        Self::parse_with(file, text, env, &[])
    }

    fn parse_with(
        file: &str,
        text: &str,
        env: impl IntoIterator<Item = (String, String)>,
        more: &[Kind],
    ) -> (Self, Vec<Problem>) {
        let kinds: Vec<Kind> = KINDS.iter().chain(more).copied().collect();
        let (mut source, config) = Self::read(file, text, env, &kinds);
        if config.bots.is_empty() && source.problems.is_empty() {
            source.problem("bots", "there is no bot: add a table such as [bots.shop]");
        }
        (config, source.problems)
    }

    fn read<'a>(
        file: &'a str,
        text: &'a str,
        env: impl IntoIterator<Item = (String, String)>,
        kinds: &[Kind],
    ) -> (Source<'a>, Self) {
        // No more of the environment than is ours; and in order, so that a table comes before what stands in it.
        let mut env: Vec<_> = env.into_iter().filter(|(name, _)| name.starts_with(source::PREFIX)).collect();
        env.sort_unstable();
        let mut source = Source::new(file, text, env.iter().cloned());
        let mut config = Self {
            places: Places { file: file.to_owned(), text: text.to_owned(), env },
            templates: source.take_text("templates").map(PathBuf::from),
            ..Self::default()
        };
        config.server = source.section("server");
        config.store = source.section("store");
        config.retention = source.section("retention");
        config.operator = source.section("operator");
        config.callbacks = source.section("callbacks");
        config.worker = source.section("worker");
        config.log = source.section("log");
        for (name, bot) in source.take("bots") {
            let at = format!("bots.{name}");
            let toml::Value::Table(table) = bot else {
                source.problem(&at, NO_TABLE);
                continue;
            };
            if name.is_empty()
                || !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
            {
                source.problem(&at, "is part of an address: use lower-case letters, digits, `-` and `_`");
            }
            let bot = read_bot(&mut source, &at, table, kinds);
            check_bot(&mut source, &at, &bot);
            config.bots.insert(name, bot);
        }
        check(&mut source, &config);
        source.finish();
        (source, config)
    }

    /// A problem with a key of this configuration, for whoever finds it after reading.
    pub fn problem(&self, key: &str, text: impl Into<String>) -> Problem {
        let Places { file, text: source, env } = &self.places;
        let place = Source::new(file, source, env.iter().cloned()).place(key);
        Problem { key: key.to_owned(), place, text: text.into() }
    }
}

fn read_bot(source: &mut Source<'_>, at: &str, mut table: Table, kinds: &[Kind]) -> BotConfig {
    let mut provider = source.take_from(&mut table, at, "provider");
    let provider_at = format!("{at}.provider");
    let names: Vec<&str> = kinds.iter().map(|kind| kind.name).collect();
    let kind = take_kind(source, &mut provider, &provider_at, &names.join(", "));
    let kind = kind.and_then(|name| kinds.iter().find(|kind| kind.name == name));
    let provider = kind.and_then(|kind| source.read_with(&provider_at, provider, kind.read));
    let handler = source.take_from(&mut table, at, "handler");
    let handler = read_handler(source, &format!("{at}.handler"), handler);
    let mut handlers = BTreeMap::new();
    for (name, handler) in source.take_from(&mut table, at, "handlers") {
        let at = format!("{at}.handlers.{name}");
        match handler {
            toml::Value::Table(handler) => drop(handlers.insert(name, read_handler(source, &at, handler))),
            _ => source.problem(&at, NO_TABLE),
        }
    }
    let routes = read_routes(source, &format!("{at}.routes"), table.remove("routes"));
    let mut read = |name: &str| (format!("{at}.{name}"), source.take_from(&mut table, at, name));
    let (gate, control, people) = (read("gate"), read("control"), read("people"));
    let (quiet, merge, turn) = (read("quiet"), read("merge"), read("turn"));
    let (typing, delivery, failure_reply) = (read("typing"), read("delivery"), read("failure_reply"));
    for key in table.keys() {
        source.problem(&format!("{at}.{key}"), "is no setting: remove it, or correct its name");
    }
    BotConfig {
        provider,
        handler,
        handlers,
        routes,
        gate: source.read(&gate.0, gate.1),
        control: source.read(&control.0, control.1),
        people: source.read(&people.0, people.1),
        quiet: source.read(&quiet.0, quiet.1),
        merge: source.read(&merge.0, merge.1),
        turn: source.read(&turn.0, turn.1),
        typing: source.read(&typing.0, typing.1),
        delivery: source.read(&delivery.0, delivery.1),
        failure_reply: source.read(&failure_reply.0, failure_reply.1),
    }
}

fn read_handler(source: &mut Source<'_>, at: &str, mut table: Table) -> HandlerConfig {
    match take_kind(source, &mut table, at, "demo, llm, http, custom").as_deref() {
        Some("llm") => HandlerConfig::Llm(Box::new(source.read(at, table))),
        Some("http") => HandlerConfig::Http(source.read(at, table)),
        Some(kind) => {
            for key in table.keys() {
                source.problem(&format!("{at}.{key}"), &format!("is no setting of the {kind} handler: remove it"));
            }
            if kind == "custom" { HandlerConfig::Custom } else { HandlerConfig::Demo }
        }
        None => HandlerConfig::Demo,
    }
}

fn read_routes(source: &mut Source<'_>, at: &str, routes: Option<toml::Value>) -> Vec<RouteConfig> {
    let routes = match routes {
        None => Vec::new(),
        Some(toml::Value::Array(routes)) => routes,
        Some(_) => {
            source.problem(at, &format!("must be a list: write [[{at}]]"));
            Vec::new()
        }
    };
    let tables = routes.into_iter().enumerate().map(|(number, route)| (format!("{at}[{number}]"), route));
    let read = tables.map(|(at, route)| match route {
        toml::Value::Table(route) => source.read(&at, route),
        _ => {
            source.problem(&at, NO_TABLE);
            RouteConfig::default()
        }
    });
    read.collect()
}

/// Takes the `kind` out of a table, if it is one of `known`.
fn take_kind(source: &mut Source<'_>, table: &mut Table, at: &str, known: &str) -> Option<String> {
    match table.remove("kind") {
        Some(toml::Value::String(kind)) if known.split(", ").any(|word| word == kind) => Some(kind),
        // All of the table could not be read.
        None if source.is_noted(at) => None,
        found => {
            let what = if found.is_some() { "is not known" } else { "is missing" };
            source.problem(&format!("{at}.kind"), &format!("{what}: use one of {known}"));
            None
        }
    }
}

/// Settings that contradict each other, or under which nothing would happen.
fn check(source: &mut Source<'_>, config: &Config) {
    let Config { server, store, retention, operator, callbacks, worker, .. } = config;
    let port = server.listen.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    if port.is_none() && !source.is_noted("server.listen") {
        source.problem("server.listen", "must be an address and a port, such as \"127.0.0.1:8080\"");
    }
    if operator.address().is_none() && !source.is_noted("operator.listen") {
        source.problem("operator.listen", "must be an IP address and a port, such as \"127.0.0.1:8081\"");
    }
    if callbacks.address().is_none() && !source.is_noted("callbacks.listen") {
        source.problem("callbacks.listen", "must be an IP address and a port, such as \"127.0.0.1:8082\"");
    }
    if !callbacks.has_usable_url() && !source.is_noted("callbacks.url") {
        source.problem(
            "callbacks.url",
            "must be an address without a slash at its end, such as \"https://bots.example\"",
        );
    }
    // Half of it is for what is longer than usual, and has to hold one of the longest.
    if server.body_memory < 2 * webhook::BODY_LIMIT as u64 && !source.is_noted("server.body_memory") {
        source.problem("server.body_memory", "has no room for the largest deliveries: 8388608 at the least");
    }
    for (key, kept) in [("retention.sent", retention.sent), ("retention.dead", retention.dead)] {
        if kept < Duration::from_hours(1) && !source.is_noted(key) {
            source.problem(key, "is too short for anybody to act on it: 1h at the least");
        }
    }
    for (key, zero) in [
        ("server.body_timeout", server.body_timeout.is_zero()),
        ("server.store_timeout", server.store_timeout.is_zero()),
        ("server.connections", server.connections == 0),
        ("store.max_waiting", store.max_waiting == 0),
        ("worker.turns", worker.turns == 0),
    ] {
        must_not_be_zero(source, key, zero);
    }
    if worker.memory < LONGEST_TURN && !source.is_noted("worker.memory") {
        source.problem("worker.memory", &format!("has no room for the longest turn: {LONGEST_TURN} at the least"));
    }
    let largest = config.bots.iter().map(|(name, bot)| (name, bot.turn.media_limit)).max_by_key(|(_, limit)| *limit);
    if let Some((name, limit)) = largest.filter(|(_, limit)| worker.media_memory < *limit) {
        let text = format!(
            "has no room for a medium as large as bots.{name}.turn.media_limit lets through: {limit} at the least"
        );
        source.problem("worker.media_memory", &text);
    }
    let Some((name, longest)) =
        config.bots.iter().map(|(name, bot)| (name, longest_turn(bot))).max_by_key(|(_, longest)| *longest)
    else {
        return;
    };
    if worker.lease <= longest {
        let text = format!(
            "is not longer than a turn of bots.{name} may take ({} s: its turn.timeout, three times with restarts, two delivery.send_timeout, \
             three typing.call_timeout, and its pauses): raise it, or lower those",
            longest.as_secs()
        );
        source.problem("worker.lease", &text);
    }
}

/// Typing before, the handler, its reply's upload and send, and typing's end.
fn longest_turn(bot: &BotConfig) -> Duration {
    let around = bot.typing.call_timeout.saturating_mul(3).saturating_add(bot.delivery.send_timeout.saturating_mul(2));
    bot.turn.longest(&bot.merge).saturating_add(around).saturating_add(bot.typing.longest_pause())
}

fn check_bot(source: &mut Source<'_>, at: &str, bot: &BotConfig) {
    for (key, zero) in [
        ("turn.timeout", bot.turn.timeout.is_zero()),
        ("typing.call_timeout", bot.typing.call_timeout.is_zero()),
        ("delivery.send_timeout", bot.delivery.send_timeout.is_zero()),
        ("delivery.attempts", bot.delivery.attempts == 0),
        ("gate.per_minute", bot.gate.per_minute == 0),
        ("gate.kinds", bot.gate.kinds.is_empty()),
    ] {
        must_not_be_zero(source, &format!("{at}.{key}"), zero);
    }
    for (number, route) in bot.routes.iter().enumerate() {
        let key = format!("{at}.routes[{number}].handler");
        if !bot.handlers.contains_key(&route.handler) && !source.is_noted(&key) {
            let known = bot.handlers.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            source.problem(
                &key,
                &format!("names no handler of the bot's: use one of [{at}.handlers.…] (there are: {known})"),
            );
        }
    }
    for name in bot.handlers.keys().filter(|name| !bot.routes.iter().any(|route| route.handler == **name)) {
        source.problem(&format!("{at}.handlers.{name}"), "is in no route: remove it, or add one to [[routes]]");
    }
    for list in bot.control.unusable() {
        source.problem(&format!("{at}.control.{list}"), "holds a word without a letter or a digit: remove it");
    }
    if bot.gate.max_age > DEDUPLICATED_FOR {
        // A message that is repeated later than that would be taken for a new one, and answered again.
        source.problem(&format!("{at}.gate.max_age"), "is longer than a message is known for: 192h at the most");
    }
    if bot.provider.as_ref().is_some_and(|provider| bot.delivery.send_timeout < provider.timeout()) {
        let text = "is shorter than the provider's own `timeout`: a send that is still answered would count as unknown";
        source.problem(&format!("{at}.delivery.send_timeout"), text);
    }
    let named = bot.handlers.iter().map(|(name, handler)| (format!("{at}.handlers.{name}"), handler));
    for (at, handler) in named.chain([(format!("{at}.handler"), &bot.handler)]) {
        let models = format!("{at}.models");
        if let HandlerConfig::Llm(llm) = handler
            && llm.models.is_empty()
            && !source.is_noted(&models)
        {
            source.problem(&models, &format!("is empty: add at least one [[{models}]]"));
        }
    }
}

fn must_not_be_zero(source: &mut Source<'_>, key: &str, zero: bool) {
    // A list can be empty because what stood in it could not be read.
    if zero && !source.is_noted(key) {
        source.problem(key, "must not be zero or empty: nothing would ever be answered");
    }
}
