//! A configuration's text: one TOML file with the environment over it, and where in it each key stands.

use std::collections::HashMap;
use std::fmt::Write;

use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;
use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::problem::Problem;

/// Environment variables with this prefix are configuration: `THREEDOTS_SERVER__LISTEN` is `server.listen`.
const PREFIX: &str = "THREEDOTS_";

/// The text, taken apart, and what is wrong with it so far.
pub(super) struct Source<'a> {
    file: &'a str,
    text: &'a str,
    table: Table,
    overlaid: HashMap<String, String>,
    pub(super) problems: Vec<Problem>,
}

impl<'a> Source<'a> {
    /// Takes `text`, which `file` holds, apart, and lays the environment over it.
    pub(super) fn new(file: &'a str, text: &'a str, env: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut source =
            Self { file, text, table: Table::new(), overlaid: HashMap::new(), problems: Vec::new() };
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
        let line = error.span().map_or(1, |span| line_of(self.text, span.start));
        let place = format!("{}:{line}", self.file);
        // Its first line: the others quote the file, and a file can hold what it should not.
        let what = error.message().lines().next().unwrap_or("not TOML").to_owned();
        self.problems.push(Problem { key: String::new(), place, text: what });
    }

    fn overlay(&mut self, path: &[String], value: &str, variable: &str) {
        let Some((last, tables)) = path.split_last() else { return };
        let mut table = &mut self.table;
        for name in tables {
            let entry = table.entry(name.clone()).or_insert_with(|| Value::Table(Table::new()));
            let Value::Table(inner) = entry else {
                let text = format!("`{name}` is no table, so nothing can stand in it: unset the variable");
                let place = format!("environment variable {variable}");
                self.problems.push(Problem { key: path.join("."), place, text });
                return;
            };
            table = inner;
        }
        // What reads as a TOML value is one; everything else is text.
        let parsed = format!("v = {value}").parse::<Table>().ok().and_then(|mut table| table.remove("v"));
        table.insert(last.clone(), parsed.unwrap_or_else(|| Value::String(value.to_owned())));
        self.overlaid.insert(path.join("."), variable.to_owned());
    }

    /// Takes the table at the top level that is called `name`.
    pub(super) fn take(&mut self, name: &str) -> Table {
        let taken = self.table.remove(name);
        self.table_or_problem(name, taken)
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
                self.problem(key, "must be a table");
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
    pub(super) fn read<T: DeserializeOwned + Default>(&mut self, at: &str, mut table: Table) -> T {
        loop {
            let error = match serde_path_to_error::deserialize(Value::Table(table.clone())) {
                Ok(settings) => return settings,
                Err(error) => error,
            };
            let path: Vec<Segment> = error.path().iter().cloned().collect();
            let key = path.iter().fold(at.to_owned(), |mut key, segment| {
                // Writing to a text cannot fail.
                let _ = match segment {
                    Segment::Map { key: name } => write!(key, ".{name}"),
                    Segment::Seq { index } => write!(key, "[{index}]"),
                    Segment::Enum { .. } | Segment::Unknown => Ok(()),
                };
                key
            });
            let text = error.inner().message().lines().next().unwrap_or_default().to_owned();
            self.problem(&key, &text);
            let first = path.iter().find_map(|segment| match segment {
                Segment::Map { key } => Some(key),
                _ => None,
            });
            if first.is_none_or(|first| table.remove(first).is_none()) {
                return T::default();
            }
        }
    }

    /// Notes something that is wrong with a key.
    pub(super) fn problem(&mut self, key: &str, text: &str) {
        let problem = Problem { key: key.to_owned(), place: self.place(key), text: text.to_owned() };
        self.problems.push(problem);
    }

    /// Where a key stands: the variable that set it, or the line in the file; for one that is nowhere, the line of
    /// the table that it is missing from.
    pub(super) fn place(&self, key: &str) -> String {
        if let Some(variable) = self.overlaid.get(key) {
            return format!("environment variable {variable}");
        }
        let at = DeTable::parse(self.text).ok().and_then(|root| {
            let mut found = None;
            let mut table = Some(root.get_ref().clone());
            for name in key.split(['.', '[']) {
                let Some((spanned, value)) = table.as_ref().and_then(|table| table.get_key_value(name)) else { break };
                found = Some(spanned.span().start);
                let inner = match value.get_ref() {
                    DeValue::Table(inner) => Some(inner.clone()),
                    _ => None,
                };
                table = inner;
            }
            found
        });
        match at {
            Some(at) => format!("{}:{}", self.file, line_of(self.text, at)),
            None => self.file.to_owned(),
        }
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}
