//! A bot's settings as JSON, and the same as they stand in its file: secrets go in, and never come out.

use secrecy::SecretString;
use serde_json::{Map, Number, Value, json};
use toml::Table;

use super::files::{Draft, Files};
use crate::admin::Flaw;
use crate::host::config::BotFile;

/// What stands in the place of a secret.
const SECRET: &str = "$secret";

/// What a bot's file is to hold. Secrets are taken into `draft`, or kept as they are in the file `before`.
pub(super) fn table(
    settings: Map<String, Value>,
    before: Option<&BotFile>,
    draft: &mut Draft<'_>,
) -> Result<Table, Vec<Flaw>> {
    let before = before.and_then(|before| before.text.parse().ok()).map(toml::Value::Table);
    let mut reader = SettingsReader { before, draft, flaws: Vec::new() };
    let table = reader.object(&mut Vec::new(), settings);
    if reader.flaws.is_empty() { Ok(table) } else { Err(reader.flaws) }
}

/// What a bot's file holds, for its operator.
pub(super) fn shown(file: &BotFile, files: &Files) -> Option<Map<String, Value>> {
    let table: Table = file.text.parse().ok()?;
    match show(toml::Value::Table(table), &|text| files.is_secret(&file.name, text)) {
        Value::Object(settings) => Some(settings),
        _ => None,
    }
}

fn show(value: toml::Value, is_secret: &impl Fn(&str) -> bool) -> Value {
    match value {
        toml::Value::String(text) if is_secret(&text) => json!({ SECRET: null }),
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => Number::from_f64(number).map_or(Value::Null, Value::Number),
        toml::Value::Boolean(truth) => truth.into(),
        toml::Value::Datetime(time) => Value::String(time.to_string()),
        toml::Value::Array(list) => list.into_iter().map(|value| show(value, is_secret)).collect(),
        toml::Value::Table(table) => {
            Value::Object(table.into_iter().map(|(key, value)| (key, show(value, is_secret))).collect())
        }
    }
}

/// A step on the way to a setting.
enum PathStep {
    Key(String),
    Place(usize),
}

struct SettingsReader<'a, 'f> {
    before: Option<toml::Value>,
    draft: &'a mut Draft<'f>,
    flaws: Vec<Flaw>,
}

impl SettingsReader<'_, '_> {
    fn object(&mut self, at: &mut Vec<PathStep>, object: Map<String, Value>) -> Table {
        let mut table = Table::new();
        for (key, value) in object {
            at.push(PathStep::Key(key.clone()));
            if let Some(value) = self.value(at, value) {
                table.insert(key, value);
            }
            at.pop();
        }
        table
    }

    fn value(&mut self, at: &mut Vec<PathStep>, value: Value) -> Option<toml::Value> {
        match value {
            Value::Null => self.flaw(at, "is null: leave it out"),
            Value::Bool(truth) => Some(truth.into()),
            Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(number), _) => Some(number.into()),
                (None, Some(number)) => Some(number.into()),
                _ => self.flaw(at, "is too large a number"),
            },
            // It may name any file of this machine's. What stands there already is no exception: beside another address
            // it would be sent there.
            Value::String(text) if text.starts_with("file:") => {
                self.flaw(at, "names a file, which cannot be done here: send {\"$secret\": \"…\"} in its place")
            }
            Value::String(text) => Some(text.into()),
            Value::Array(list) => {
                let mut values = Vec::with_capacity(list.len());
                for (place, value) in list.into_iter().enumerate() {
                    at.push(PathStep::Place(place));
                    values.extend(self.value(at, value));
                    at.pop();
                }
                Some(toml::Value::Array(values))
            }
            Value::Object(mut object) => match object.remove(SECRET) {
                Some(secret) if object.is_empty() => self.secret(at, secret),
                Some(_) => self.flaw(at, "has something beside its \"$secret\": take it out"),
                None => Some(toml::Value::Table(self.object(at, object))),
            },
        }
    }

    fn secret(&mut self, at: &[PathStep], secret: Value) -> Option<toml::Value> {
        match secret {
            Value::String(secret) => Some(self.draft.add(SecretString::from(secret)).into()),
            Value::Null => {
                let files = self.draft.files();
                let known = self.known(at).filter(|known| files.is_secret(self.draft.bot(), known)).map(str::to_owned);
                match known {
                    Some(known) => Some(known.into()),
                    None => self.flaw(at, "has no secret to be kept: send it"),
                }
            }
            _ => self.flaw(at, "is no secret: \"$secret\" must be a text, or null to keep the one that is there"),
        }
    }

    /// The text that stands there already.
    fn known(&self, at: &[PathStep]) -> Option<&str> {
        let before = at.iter().try_fold(self.before.as_ref()?, |value, step| match step {
            PathStep::Key(key) => value.get(key.as_str()),
            PathStep::Place(place) => value.get(*place),
        });
        before?.as_str()
    }

    fn flaw<T>(&mut self, at: &[PathStep], problem: &str) -> Option<T> {
        let key = at.iter().fold(String::new(), |key, step| match step {
            PathStep::Key(name) if key.is_empty() => name.clone(),
            PathStep::Key(name) => format!("{key}.{name}"),
            PathStep::Place(place) => format!("{key}[{place}]"),
        });
        self.flaws.push(Flaw { key, problem: problem.to_owned() });
        None
    }
}
