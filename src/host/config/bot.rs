//! One bot's tables.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use toml::Table;

use super::must_not_be_zero;
use super::problem::NO_TABLE;
use super::source::ConfigSource;
use crate::delivery::outbox::{DeliveryConfig, most_pieces};
use crate::delivery::typing::TypingConfig;
use crate::handler::http::HttpConfig;
use crate::handler::llm::LlmConfig;
use crate::handler::route::RouteConfig;
use crate::policy::control::ControlConfig;
use crate::policy::failure_reply::FailureReplyConfig;
use crate::policy::gate::GateConfig;
use crate::policy::quiet_hours::QuietConfig;
use crate::policy::takeover::PeopleConfig;
use crate::provider::{AnyProviderConfig, ProviderKind};
use crate::runtime::hosting::ShareConfig;
use crate::store::DEDUPLICATED_FOR;
use crate::turn::transcription::TranscriptionConfig;
use crate::turn::{MergeConfig, TurnConfig};

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
    /// How voice notes are transcribed; not at all if none.
    pub transcription: Option<TranscriptionConfig>,
    /// The dots.
    pub typing: TypingConfig,
    /// How replies are sent.
    pub delivery: DeliveryConfig,
    /// What a customer is told when the handler has failed.
    pub failure_reply: FailureReplyConfig,
    /// What it may take of the process.
    pub share: ShareConfig,
    /// Whether it was put over the operator's API: then it may name no more than [`hosting`](super::Config::hosting)
    /// allows.
    pub put: bool,
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

/// Reads the bot `name` out of its table, and looks at it by itself.
pub(super) fn read(source: &mut ConfigSource<'_>, name: &str, table: Table, kinds: &[ProviderKind]) -> BotConfig {
    let at = format!("bots.{name}");
    if !is_name(name) {
        source.problem(&at, NAME);
    }
    let bot = read_bot(source, &at, table, kinds);
    check_bot(source, &at, &bot);
    bot
}

/// The longest name of a bot: it is part of addresses, and of names of files.
const LONGEST_NAME: usize = 128;

/// Whether a bot may have this name.
pub(super) fn is_name(name: &str) -> bool {
    (1..=LONGEST_NAME).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
}

/// Said of one that it may not have.
pub(super) const NAME: &str = "is part of an address: use lower-case letters, digits, `-` and `_`, 128 at the most";

fn read_bot(source: &mut ConfigSource<'_>, at: &str, mut table: Table, kinds: &[ProviderKind]) -> BotConfig {
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
    let transcription = table.remove("transcription").map(|table| {
        let at = format!("{at}.transcription");
        match table {
            toml::Value::Table(table) => source.read(&at, table),
            _ => {
                source.problem(&at, NO_TABLE);
                TranscriptionConfig::default()
            }
        }
    });
    let mut read = |name: &str| (format!("{at}.{name}"), source.take_from(&mut table, at, name));
    let (gate, control, people) = (read("gate"), read("control"), read("people"));
    let (quiet, merge, turn) = (read("quiet"), read("merge"), read("turn"));
    let (typing, delivery, failure_reply) = (read("typing"), read("delivery"), read("failure_reply"));
    let share = read("share");
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
        transcription,
        typing: source.read(&typing.0, typing.1),
        delivery: source.read(&delivery.0, delivery.1),
        failure_reply: source.read(&failure_reply.0, failure_reply.1),
        share: source.read(&share.0, share.1),
        put: false,
    }
}

fn read_handler(source: &mut ConfigSource<'_>, at: &str, mut table: Table) -> HandlerConfig {
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

fn read_routes(source: &mut ConfigSource<'_>, at: &str, routes: Option<toml::Value>) -> Vec<RouteConfig> {
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
        toml::Value::Table(mut route) => {
            if route.remove("languages").is_some() {
                source.problem(&format!("{at}.languages"), NO_LANGUAGES);
            }
            source.read(&at, route)
        }
        _ => {
            source.problem(&at, NO_TABLE);
            RouteConfig::default()
        }
    });
    read.collect()
}

/// Said of a condition that there was once.
const NO_LANGUAGES: &str = "is no condition any longer, for a short message does not tell its language: remove it, and the \
                            route if it has no other. A language model (`kind = \"llm\"`) answers in the customer's own; \
                            `words` and `buttons` can tell handlers apart";

/// Takes the `kind` out of a table, if it is one of `known`.
fn take_kind(source: &mut ConfigSource<'_>, table: &mut Table, at: &str, known: &str) -> Option<String> {
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

/// Into how many parts the longest reply may be split that a model of the bot's may give, as far as that is bounded.
pub(super) fn most_parts(bot: &BotConfig) -> u32 {
    let Some(limit) = bot.provider.as_ref().map(|provider| provider.text_limit()) else { return 1 };
    let longest = bot.all_handlers().filter_map(|handler| match handler {
        HandlerConfig::Llm(llm) => Some(llm.max_reply),
        HandlerConfig::Demo | HandlerConfig::Http(_) | HandlerConfig::Custom => None,
    });
    longest.max().map_or(1, |longest| most_pieces(longest, limit).try_into().unwrap_or(u32::MAX))
}

/// Typing before, the handler, its reply's upload and the sends of its parts, and typing's end.
pub(super) fn longest_turn(bot: &BotConfig) -> Duration {
    let sends = bot.delivery.send_timeout.saturating_mul(most_parts(bot).saturating_add(1));
    let around = bot.typing.call_timeout.saturating_mul(4).saturating_add(sends);
    bot.turn.longest(&bot.merge).saturating_add(around).saturating_add(bot.typing.longest_pause())
}

fn check_bot(source: &mut ConfigSource<'_>, at: &str, bot: &BotConfig) {
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
    if let Some(transcription) = &bot.transcription
        && transcription.timeout >= bot.turn.timeout
    {
        let text = "leaves the handler no time: it has to be shorter than turn.timeout";
        source.problem(&format!("{at}.transcription.timeout"), text);
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
    if bot.typing.delay >= bot.typing.cap {
        let text = "leaves the dots no time: it has to be shorter than typing.cap";
        source.problem(&format!("{at}.typing.delay"), text);
    }
    if !(1..=20).contains(&bot.delivery.list_button.trim().chars().count()) {
        source.problem(&format!("{at}.delivery.list_button"), "must have 1 to 20 characters: WhatsApp takes no more");
    }
    // Only on Linq may people be called anything at all.
    let handles = bot.provider.as_ref().is_some_and(|provider| provider.has_free_handles());
    for (list, place, why) in bot.gate.unusable(handles) {
        source.problem(&format!("{at}.gate.{list}[{place}]"), &why.to_string());
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
