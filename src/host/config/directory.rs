//! A directory of bots: a file `NAME.toml` for each, with the tables that stand under `[bots.NAME]` elsewhere.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::bot::{NAME, is_name};
use super::problem::Problem;
use super::source::PREFIX;

/// What the operator's API writes at the top of a bot's file.
const PUT: &str = "\
# Put over the operator's API: it may name what the [hosting] table of the configuration allows.
# To make it a file of your own, take these lines out and move its secrets out of the directory .secrets.
";

/// The directory with the secrets of bots that were put over the operator's API, beside their files.
const SECRETS: &str = ".secrets";

/// A bot's own file.
#[derive(Clone)]
pub struct BotFile {
    /// The bot.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// What is in it.
    pub text: String,
}

impl BotFile {
    /// Whether a bot may have this name.
    ///
    /// # Errors
    /// What to do, in words that follow the name's key.
    pub fn may_be_for(bot: &str) -> Result<(), &'static str> {
        if is_name(bot) { Ok(()) } else { Err(NAME) }
    }

    /// The text of a file for settings that came over the operator's API; none if they have no form in TOML.
    pub fn text_of_put(settings: &Table) -> Option<String> {
        toml::to_string(settings).ok().map(|settings| format!("{PUT}{settings}"))
    }

    /// Whether it was put over the operator's API, and not written by the operator: its first line says so. Versions
    /// that wrote no such line are known by the secrets that they keep for the bot.
    pub fn is_put(&self) -> bool {
        let first = PUT.lines().next().unwrap_or_default();
        self.text.lines().next() == Some(first)
            || self.text.parse().is_ok_and(|table| self.names_own_secret(&Value::Table(table)))
    }

    fn names_own_secret(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => {
                let directory = text.strip_prefix("file:").and_then(|path| Path::new(path).parent());
                directory.is_some_and(|directory| directory.ends_with(Path::new(SECRETS).join(&self.name)))
            }
            Value::Array(list) => list.iter().any(|value| self.names_own_secret(value)),
            Value::Table(table) => table.values().any(|value| self.names_own_secret(value)),
            _ => false,
        }
    }

    /// Where the secrets of a bot are that came over the operator's API.
    pub fn secrets_in(directory: &Path, bot: &str) -> PathBuf {
        directory.join(SECRETS).join(bot)
    }

    /// Where a bot's file is in a directory.
    pub fn path_in(directory: &Path, bot: &str) -> PathBuf {
        directory.join(format!("{bot}.toml"))
    }

    /// The files in a directory, in the order of the bots' names, and what is wrong with others. What begins with a dot
    /// is nobody's business.
    pub fn all_in(directory: &Path) -> (Vec<Self>, Vec<Problem>) {
        let (mut files, mut problems) = (Vec::new(), Vec::new());
        let entries = std::fs::read_dir(directory).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let entries = entries.unwrap_or_else(|error| {
            let text = format!("cannot be read ({}): name a directory that you may read", error.kind());
            problems.push(Problem { key: "bots_dir".into(), place: directory.display().to_string(), text });
            Vec::new()
        });
        let mut paths: Vec<_> = entries.into_iter().map(|entry| entry.path()).filter(|path| !is_hidden(path)).collect();
        paths.sort_unstable();
        for path in paths {
            let place = path.display().to_string();
            let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
            let is_toml = path.extension().is_some_and(|ending| ending == "toml");
            if !is_toml {
                let text = "is no bot's file: call it NAME.toml, or have its name begin with a dot".into();
                problems.push(Problem { key: String::new(), place, text });
            } else if !is_name(&name) {
                problems.push(Problem { key: format!("bots.{name}"), place, text: NAME.into() });
            } else {
                match std::fs::read_to_string(&path) {
                    Ok(text) => files.push(Self { name, path, text }),
                    Err(error) => {
                        let text = format!("cannot be read ({}): it must be TOML, in UTF-8", error.kind());
                        problems.push(Problem { key: format!("bots.{name}"), place, text });
                    }
                }
            }
        }
        (files, problems)
    }

    /// Whether an environment variable is about this bot.
    pub(super) fn is_meant(&self, variable: &str) -> bool {
        let mut parts = variable.strip_prefix(PREFIX).unwrap_or_default().split("__").map(str::to_lowercase);
        parts.next().is_some_and(|first| first == "bots") && parts.next().is_some_and(|name| name == self.name)
    }
}

impl fmt::Debug for BotFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // It may hold what it should not.
        f.debug_struct("BotFile").field("name", &self.name).field("path", &self.path).finish_non_exhaustive()
    }
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}
