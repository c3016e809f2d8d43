//! A configuration's text: one TOML file with the environment over it, and where in it each key stands.

use std::collections::HashMap;

use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;
use toml::{Table, Value};

use super::places;
use super::problem::{NO_TABLE, Problem};
use crate::provider::ReadError;

/// Environment variables with this prefix are configuration: `THREEDOTS_SERVER__LISTEN` is `server.listen`.
pub(super) const PREFIX: &str = "THREEDOTS_";

/// The text, taken apart, and what is wrong with it so far.
pub(super) struct ConfigSource<'a> {
    file: &'a str,
    text: &'a str,
    /// What its keys begin with in the configuration, dot included.
    base: String,
    table: Table,
    overlaid: HashMap<String, Overlaid>,
    pub(super) problems: Vec<Problem>,
}

/// What an environment variable says about a key.
struct Overlaid {
    variable: String,
    value: String,
}

impl<'a> ConfigSource<'a> {
    /// Takes `text`, which `file` holds, apart, and lays the environment over it.
    pub(super) fn new(file: &'a str, text: &'a str, env: impl IntoIterator<Item = (String, String)>) -> Self {
        Self::based(String::new(), file, text, env)
    }

    /// The same with the text of one bot's own file, and what of the environment is about that bot.
    pub(super) fn of_bot(
        name: &str,
        file: &'a str,
        text: &'a str,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        Self::based(format!("bots.{name}."), file, text, env)
    }

    fn based(base: String, file: &'a str, text: &'a str, env: impl IntoIterator<Item = (String, String)>) -> Self {
        let (table, overlaid, problems) = (Table::new(), HashMap::new(), Vec::new());
        let mut source = Self { file, text, base, table, overlaid, problems };
        match text.parse() {
            Ok(table) => source.table = table,
            Err(error) => source.not_toml(&error),
        }
        for (variable, value) in env {
            if let Some(name) = variable.strip_prefix(PREFIX) {
                let path: Vec<String> = name.split("__").map(str::to_lowercase).collect();
                source.overlay(&path, &value, &variable);
            }
        }
        source
    }

    fn not_toml(&mut self, error: &toml::de::Error) {
        let line = error.span().map_or(1, |span| places::line_of(self.text, span.start));
        let place = format!("{}:{line}", self.file);
        // Its first line: the others quote the file, and a file can hold what it should not.
        let what = error.message().lines().next().unwrap_or("not TOML").to_owned();
        self.problems.push(Problem { key: String::new(), place, text: what });
    }

    fn overlay(&mut self, path: &[String], value: &str, variable: &str) {
        let own = self.base.matches('.').count();
        let Some((last, tables)) = path.get(own..).and_then(<[String]>::split_last) else { return };
        let mut table = &mut self.table;
        for name in tables {
            let entry = table.entry(name.clone()).or_insert_with(|| Value::Table(Table::new()));
            let Value::Table(inner) = entry else {
                let text = format!("`{name}` is no table, so nothing can stand in it: unset the variable");
                self.problems.push(Problem { key: path.join("."), place: of_variable(variable), text });
                return;
            };
            table = inner;
        }
        // What reads as a TOML value is one; everything else is text.
        let parsed = format!("v = {value}").parse::<Table>().ok().and_then(|mut table| table.remove("v"));
        table.insert(last.clone(), parsed.unwrap_or_else(|| Value::String(value.to_owned())));
        self.overlaid.insert(path.join("."), Overlaid { variable: variable.to_owned(), value: value.to_owned() });
    }

    /// Takes the table at the top level that is called `name`.
    pub(super) fn take(&mut self, name: &str) -> Table {
        let taken = self.table.remove(name);
        self.table_or_problem(name, taken)
    }

    /// Takes all that there is.
    pub(super) fn take_all(&mut self) -> Table {
        std::mem::take(&mut self.table)
    }

    /// Reads the table at the top level that is called `name` into settings.
    pub(super) fn section<T: DeserializeOwned + Default>(&mut self, name: &str) -> T {
        let table = self.take(name);
        self.read(name, table)
    }

    /// Takes a table out of another, which stands at `at`.
    pub(super) fn take_from(&mut self, table: &mut Table, at: &str, name: &str) -> Table {
        let taken = table.remove(name);
        self.table_or_problem(&format!("{at}.{name}"), taken)
    }

    fn table_or_problem(&mut self, key: &str, value: Option<Value>) -> Table {
        match value {
            Some(Value::Table(table)) => table,
            None => Table::new(),
            Some(_) => {
                self.problem(key, NO_TABLE);
                Table::new()
            }
        }
    }

    /// Takes a text at the top level.
    pub(super) fn take_text(&mut self, name: &str) -> Option<String> {
        match self.table.remove(name)? {
            Value::String(text) => Some(text),
            _ => {
                self.problem(name, "must be a text in quotes");
                None
            }
        }
    }

    /// Says of every key that is still there that nobody knows it.
    pub(super) fn finish(&mut self) {
        let left: Vec<String> = self.table.keys().cloned().collect();
        for key in left {
            self.problem(&key, "is no setting: remove it, or correct its name");
        }
    }

    /// Reads a table, which stands at `at`, into settings. A setting that is wrong is noted and left at its default,
    /// so that the next one is looked at too.
    pub(super) fn read<T: DeserializeOwned + Default>(&mut self, at: &str, table: Table) -> T {
        let read = |table| serde_path_to_error::deserialize(Value::Table(table));
        self.read_with(at, table, read).unwrap_or_default()
    }

    /// The same, with a reader of the caller's; none if it takes not even an empty table.
    pub(super) fn read_with<T>(
        &mut self,
        at: &str,
        mut table: Table,
        read: impl Fn(Table) -> Result<T, ReadError>,
    ) -> Option<T> {
        // The list elements that were taken out: those behind them have moved up.
        let mut taken: Vec<(String, usize)> = Vec::new();
        loop {
            let error = match read(table.clone()) {
                Ok(settings) => return Some(settings),
                Err(error) => error,
            };
            let path: Vec<Segment> = error.path().iter().cloned().collect();
            let key = key_of(at, &path, &taken);
            let text = plainly(error.inner().message());
            // In the environment nobody writes quotes: what reads as a number can be meant as text.
            let meant = self.overlaid.get(&key).filter(|_| text == A_TEXT).map(|overlaid| overlaid.value.clone());
            if let (Some(meant), Some(value)) = (meant, value_at(&mut table, &path)) {
                *value = Value::String(meant);
                continue;
            }
            self.problem(&key, &text);
            // Where it says nothing of the place, or what is missing is a part of it: what stands around it.
            let Some(out) =
                (1..=path.len()).rev().map(|length| &path[..length]).find(|path| take_out(&mut table, path))
            else {
                return read(Table::new()).ok();
            };
            if let Some((Segment::Seq { .. }, _)) = out.split_last()
                && let Some((list, number)) = key_of(at, out, &taken).trim_end_matches(']').rsplit_once('[')
            {
                taken.push((list.to_owned(), number.parse().unwrap_or_default()));
            }
        }
    }

    /// Notes something that is wrong with a key.
    pub(super) fn problem(&mut self, key: &str, text: &str) {
        let problem = Problem { key: key.to_owned(), place: self.place(key), text: text.to_owned() };
        self.problems.push(problem);
    }

    /// Whether there is something wrong with a key, or with an element of the list that it is.
    pub(super) fn is_noted(&self, key: &str) -> bool {
        self.problems.iter().any(|problem| problem.key == key || problem.is_in_list(key))
    }

    /// Where a key stands: the variable that set it, or the line in the file; for one that is nowhere, the place of
    /// the table that it is missing from.
    pub(super) fn place(&self, key: &str) -> String {
        let in_file = key.strip_prefix(&self.base).and_then(|key| places::longest(self.text, key));
        let in_file = in_file.map(|(length, line)| (self.base.len() + length, line));
        for end in places::ends(key).rev() {
            let beginning = &key[..end];
            if let Some(overlaid) = self.overlaid.get(beginning) {
                return of_variable(&overlaid.variable);
            }
            if let Some((_, line)) = in_file.filter(|(length, _)| *length >= end) {
                return format!("{}:{line}", self.file);
            }
            let inside = |known: &&String| known.strip_prefix(beginning).is_some_and(|rest| rest.starts_with('.'));
            if let Some(overlaid) = self.overlaid.keys().filter(inside).min().and_then(|key| self.overlaid.get(key)) {
                return of_variable(&overlaid.variable);
            }
        }
        self.file.to_owned()
    }
}

fn of_variable(variable: &str) -> String {
    format!("environment variable {variable}")
}

/// The key that a path leads to, with the numbers that list elements had before others were taken out.
fn key_of(at: &str, path: &[Segment], taken: &[(String, usize)]) -> String {
    path.iter().fold(at.to_owned(), |key, segment| match segment {
        Segment::Map { key: name } => format!("{key}.{name}"),
        Segment::Seq { index } => {
            let mut before: Vec<_> = taken.iter().filter(|(list, _)| *list == key).map(|(_, number)| *number).collect();
            before.sort_unstable();
            let number = before.into_iter().fold(*index, |number, gone| number + usize::from(gone <= number));
            format!("{key}[{number}]")
        }
        Segment::Enum { .. } | Segment::Unknown => key,
    })
}

/// What a path leads to.
fn value_at<'t>(table: &'t mut Table, path: &[Segment]) -> Option<&'t mut Value> {
    let (first, rest) = path.split_first()?;
    let Segment::Map { key } = first else { return None };
    rest.iter().try_fold(table.get_mut(key)?, |value, segment| match (segment, value) {
        (Segment::Map { key }, Value::Table(table)) => table.get_mut(key),
        (Segment::Seq { index }, Value::Array(list)) => list.get_mut(*index),
        _ => None,
    })
}

/// Takes out what a path leads to. Whether there was anything.
fn take_out(table: &mut Table, path: &[Segment]) -> bool {
    match path.split_last() {
        Some((Segment::Map { key }, [])) => table.remove(key).is_some(),
        Some((Segment::Map { key }, outer)) => match value_at(table, outer) {
            Some(Value::Table(table)) => table.remove(key).is_some(),
            _ => false,
        },
        Some((Segment::Seq { index }, outer)) => match value_at(table, outer) {
            Some(Value::Array(list)) if *index < list.len() => {
                list.remove(*index);
                true
            }
            _ => false,
        },
        _ => false,
    }
}

const A_TEXT: &str = "must be a text in quotes";

/// What serde says, in words for an operator, and without the value that it quotes: that may be a secret which was
/// put in the wrong place.
fn plainly(message: &str) -> String {
    let message = message.lines().next().unwrap_or_default();
    let expected = message.rsplit_once("expected ").map_or("", |(_, expected)| expected);
    let choice = expected.trim_start_matches("one of ").replace('`', "").replace(" or ", ", ");
    if message.starts_with("unknown field") {
        return format!("is no setting: remove it, or correct its name (there are: {choice})");
    }
    if message.starts_with("unknown variant") {
        return format!("is not known: use one of {}", choice);
    }
    if !message.starts_with("invalid ") {
        return message.to_owned();
    }
    match expected {
        "a string" | "path string" => A_TEXT.into(),
        "a boolean" => "must be true or false".into(),
        "usize" | "u64" | "u32" => "must be a whole number, and not negative".into(),
        "a sequence" => "must be a list, such as [\"…\", \"…\"]".into(),
        other if other.starts_with("struct ") => NO_TABLE.into(),
        other => format!("must be {other}"),
    }
}
