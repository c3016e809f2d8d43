//! The configuration: the sum of small tables that live beside what they configure.
//!
//! One TOML file, the environment over it, secrets by reference. `templates/threedots.toml` is the commented default,
//! compiled in and written by `threedots init`; a test holds it against the defaults in the code. Unknown keys are
//! errors, and so are contradictions; all problems are reported at once, before anything starts.

mod bot;
mod directory;
mod places;
mod problem;
mod put;
mod source;

use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::admin::OperatorConfig;
use crate::admin::telemetry::LogConfig;
use crate::handler::callbacks::CallbacksConfig;
use crate::ingress::webhook::{self, ServerConfig};
use crate::provider::{KINDS, ProviderKind};
use crate::runtime::hosting::HostingConfig;
use crate::store::{Retention, StoreConfig};
use crate::turn::worker::{LONGEST_TURN, WorkerConfig};
pub use bot::{BotConfig, HandlerConfig};
use bot::{longest_turn, most_parts};
pub use directory::BotFile;
use problem::NO_TABLE;
pub(crate) use problem::join;
pub use problem::{Problem, Problems};
use source::ConfigSource;

/// The commented default, as `threedots init` writes it: its bot is on Meta's Cloud API.
pub const DEFAULT: &str = include_str!("../../templates/threedots.toml");

/// The commented default with a bot on another provider.
pub fn default_with(kind: &ProviderKind) -> String {
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
    /// What bots may name that are put over the operator's API.
    pub hosting: HostingConfig,
    /// Where handlers come back to.
    pub callbacks: CallbacksConfig,
    /// How turns are worked off.
    pub worker: WorkerConfig,
    /// What is logged.
    pub log: LogConfig,
    /// A directory with templates that replace those compiled in.
    pub templates: Option<PathBuf>,
    /// A directory with a file for each of more bots.
    pub bots_dir: Option<PathBuf>,
    /// The bots, by their names.
    pub bots: BTreeMap<String, BotConfig>,
    /// Where all that stands, for problems that are found later and bots that come later.
    origin: Origin,
}

/// Where a configuration comes from. The files may hold what they should not: none is ever shown.
#[derive(Clone, Default)]
struct Origin {
    /// Where each key stands.
    places: Places,
    /// The same for those of the bots that have files of their own.
    files: BTreeMap<String, Places>,
    /// What lies over files that are read later.
    overlay: Vec<(String, String)>,
    /// What a bot's provider may be.
    kinds: Vec<ProviderKind>,
}

/// A text, and what lies over it.
#[derive(Clone, Default)]
struct Places {
    file: String,
    text: String,
    env: Vec<(String, String)>,
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Origin(…)")
    }
}

impl Config {
    /// Reads a configuration file and the directory of bots that it names, with the environment over them. Whatever is
    /// wrong is noted and left at its default, so that the rest can be looked at too.
    ///
    /// `more` are kinds of provider besides [`KINDS`].
    pub fn load(
        path: &Path,
        env: impl IntoIterator<Item = (String, String)>,
        more: &[ProviderKind],
    ) -> (Self, Vec<Problem>) {
        let file = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Self::load_text(&file, &text, env, more),
            Err(error) => {
                let text = match error.kind() {
                    ErrorKind::NotFound => "is not there: `threedots init` writes a first one".into(),
                    kind => format!("cannot be read ({kind}): name a TOML file, in UTF-8, that you may read"),
                };
                (Self::default(), vec![Problem { key: String::new(), place: file, text }])
            }
        }
    }

    /// The same with a configuration file's text; `file` is what problems call it.
    pub fn load_text(
        file: &str,
        text: &str,
        env: impl IntoIterator<Item = (String, String)>,
        more: &[ProviderKind],
    ) -> (Self, Vec<Problem>) {
        let env = ours(env);
        let directory = ConfigSource::new(file, text, env.iter().cloned()).take_text("bots_dir");
        let found = directory.map(|directory| BotFile::all_in(Path::new(&directory)));
        let (files, unreadable) = found.unwrap_or_default();
        // What of the environment is about a bot that has a file of its own lies over that.
        let (theirs, ours): (Vec<_>, Vec<_>) =
            env.into_iter().partition(|(name, _)| files.iter().any(|file| file.is_meant(name)));
        let (mut config, mut problems) = Self::parse_with(file, text, ours, more);
        problems.extend(unreadable);
        config.origin.overlay = theirs;
        for file in files {
            let (one, found) = config.with(&file);
            problems.extend(found);
            config.bots.extend(one.bots);
            config.origin.files.extend(one.origin.files);
        }
        (config, problems)
    }

    /// Reads a configuration from text; `file` is what problems call it. No directory is read.
    pub fn parse(file: &str, text: &str, env: impl IntoIterator<Item = (String, String)>) -> (Self, Vec<Problem>) {
        Self::parse_with(file, text, ours(env), &[])
    }

    fn parse_with(file: &str, text: &str, env: Vec<(String, String)>, more: &[ProviderKind]) -> (Self, Vec<Problem>) {
        let kinds: Vec<ProviderKind> = KINDS.iter().chain(more).copied().collect();
        let (mut source, config) = Self::read(file, text, env, kinds);
        if config.bots.is_empty() && config.bots_dir.is_none() && source.problems.is_empty() {
            source.problem("bots", "there is no bot: add a table such as [bots.shop], or set `bots_dir`");
        }
        (config, source.problems)
    }

    fn read<'a>(
        file: &'a str,
        text: &'a str,
        env: Vec<(String, String)>,
        kinds: Vec<ProviderKind>,
    ) -> (ConfigSource<'a>, Self) {
        let mut source = ConfigSource::new(file, text, env.iter().cloned());
        let places = Places { file: file.to_owned(), text: text.to_owned(), env };
        let mut config = Self {
            templates: source.take_text("templates").map(PathBuf::from),
            bots_dir: source.take_text("bots_dir").map(PathBuf::from),
            ..Self::default()
        };
        config.server = source.section("server");
        config.store = source.section("store");
        config.retention = source.section("retention");
        config.operator = source.section("operator");
        config.hosting = source.section("hosting");
        config.callbacks = source.section("callbacks");
        config.worker = source.section("worker");
        config.log = source.section("log");
        for (name, table) in source.take("bots") {
            match table {
                toml::Value::Table(table) => {
                    let bot = bot::read(&mut source, &name, table, &kinds);
                    config.bots.insert(name, bot);
                }
                _ => source.problem(&format!("bots.{name}"), NO_TABLE),
            }
        }
        check(&mut source, &config);
        for (key, text) in config.misfits() {
            if !source.is_noted(key) {
                source.problem(key, &text);
            }
        }
        source.finish();
        config.origin = Origin { places, kinds, ..Origin::default() };
        (source, config)
    }

    /// The same process with one bot, which has a file of its own; what is wrong with it is noted and left at its
    /// default.
    pub fn with(&self, file: &BotFile) -> (Self, Vec<Problem>) {
        let BotFile { name, path, text } = file;
        let path = path.display().to_string();
        let env: Vec<_> = self.origin.overlay.iter().filter(|(name, _)| file.is_meant(name)).cloned().collect();
        let mut source = ConfigSource::of_bot(name, &path, text, env.iter().cloned());
        let table = source.take_all();
        let put = file.is_put().then(|| table.clone());
        let mut bot = bot::read(&mut source, name, table, &self.origin.kinds);
        bot.put = put.is_some();
        if self.bots.contains_key(name) && !self.origin.files.contains_key(name) {
            let text = format!("stands in {} as well: take one of the two out", self.origin.places.file);
            source.problem(&format!("bots.{name}"), &text);
        }
        let mut problems = source.problems;
        let mut config = self.process();
        config.bots.insert(name.clone(), bot);
        config.origin.files.insert(name.clone(), Places { file: path, text: text.clone(), env });
        problems.extend(config.misfits().into_iter().map(|(key, text)| self.problem(key, text)));
        problems.extend(put.iter().flat_map(|settings| config.objections(name, settings)));
        (config, problems)
    }

    /// All but the bots.
    fn process(&self) -> Self {
        let Origin { places, overlay, kinds, .. } = &self.origin;
        Self {
            server: self.server.clone(),
            store: self.store.clone(),
            retention: self.retention.clone(),
            operator: self.operator.clone(),
            hosting: self.hosting.clone(),
            callbacks: self.callbacks.clone(),
            worker: self.worker.clone(),
            log: self.log.clone(),
            templates: self.templates.clone(),
            bots_dir: self.bots_dir.clone(),
            bots: BTreeMap::new(),
            origin: Origin {
                places: places.clone(),
                overlay: overlay.clone(),
                kinds: kinds.clone(),
                files: BTreeMap::new(),
            },
        }
    }

    /// All but the bots that have files of their own.
    pub fn without_files(&self) -> Self {
        let bots = self.bots.iter().filter(|(bot, _)| !self.origin.files.contains_key(*bot));
        Self { bots: bots.map(|(bot, its)| (bot.clone(), its.clone())).collect(), ..self.process() }
    }

    /// The files of the bots that have one of their own.
    pub fn files(&self) -> impl Iterator<Item = BotFile> + '_ {
        let files = self.origin.files.iter();
        files.map(|(name, Places { file, text, .. })| BotFile {
            name: name.clone(),
            path: file.into(),
            text: text.clone(),
        })
    }

    /// A problem with a key of this configuration, for whoever finds it after reading.
    pub fn problem(&self, key: &str, text: impl Into<String>) -> Problem {
        let bot = key.strip_prefix("bots.").map(|rest| rest.split(['.', '[']).next().unwrap_or(rest));
        let file = bot.and_then(|bot| self.origin.files.get_key_value(bot));
        let place = match file {
            Some((bot, Places { file, text, env })) => {
                ConfigSource::of_bot(bot, file, text, env.iter().cloned()).place(key)
            }
            None => {
                let Places { file, text, env } = &self.origin.places;
                ConfigSource::new(file, text, env.iter().cloned()).place(key)
            }
        };
        Problem { key: key.to_owned(), place, text: text.into() }
    }

    /// What of the process's settings does not fit its bots.
    fn misfits(&self) -> Vec<(&'static str, String)> {
        let (worker, mut misfits) = (&self.worker, Vec::new());
        let limits = self.bots.iter().flat_map(|(name, bot)| {
            let heard = bot.transcription.as_ref().map_or(0, |transcription| transcription.max_bytes);
            [(name, "turn.media_limit", bot.turn.media_limit), (name, "transcription.max_bytes", heard)]
        });
        // Of equals the first.
        let largest = limits.rev().max_by_key(|(_, _, limit)| *limit);
        if let Some((name, key, limit)) = largest.filter(|(_, _, limit)| worker.media_memory < *limit) {
            let text =
                format!("has no room for a medium as large as bots.{name}.{key} lets through: {limit} at the least");
            misfits.push(("worker.media_memory", text));
        }
        let longest = self.bots.iter().map(|(name, bot)| (name, longest_turn(bot))).max_by_key(|(_, longest)| *longest);
        if let Some((name, longest)) = longest.filter(|(_, longest)| worker.lease <= *longest) {
            let text = format!(
                "is not longer than a turn of bots.{name} may take ({} s: its turn.timeout, three times with restarts, a \
                 delivery.send_timeout for an upload and for each of the parts that handler.max_reply may be split into \
                 (here {}), four typing.call_timeout, and its pauses): raise it, or lower those",
                longest.as_secs(),
                self.bots.get(name).map_or(1, most_parts)
            );
            misfits.push(("worker.lease", text));
        }
        misfits
    }
}

/// No more of the environment than is ours; and in order, so that a table comes before what stands in it.
fn ours(env: impl IntoIterator<Item = (String, String)>) -> Vec<(String, String)> {
    let mut env: Vec<_> = env.into_iter().filter(|(name, _)| name.starts_with(source::PREFIX)).collect();
    env.sort_unstable();
    env
}

/// Settings that contradict each other, or under which nothing would happen.
fn check(source: &mut ConfigSource<'_>, config: &Config) {
    let Config { server, store, retention, operator, hosting, callbacks, worker, .. } = config;
    for (key, text) in hosting.unusable() {
        source.problem(&format!("hosting.{key}"), text);
    }
    if !hosting.is_empty() && config.bots_dir.is_none() {
        source.problem("hosting", "means nothing without `bots_dir`: set that too, or remove it");
    }
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
        ("server.backlog", server.backlog == 0),
        ("store.max_waiting", store.max_waiting == 0),
        ("worker.turns", worker.turns == 0),
    ] {
        must_not_be_zero(source, key, zero);
    }
    if worker.memory < LONGEST_TURN && !source.is_noted("worker.memory") {
        source.problem("worker.memory", &format!("has no room for the longest turn: {LONGEST_TURN} at the least"));
    }
}

fn must_not_be_zero(source: &mut ConfigSource<'_>, key: &str, zero: bool) {
    // A list can be empty because what stood in it could not be read.
    if zero && !source.is_noted(key) {
        source.problem(key, "must not be zero or empty: nothing would ever be answered");
    }
}
