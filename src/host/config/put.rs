//! What may not stand in the settings of a bot that was put over the operator's API: references to the environment
//! beyond what is allowed, and commands. Addresses are judged where they are made ways out of.

use toml::{Table, Value};

use super::{Config, Problem};

impl Config {
    /// Says which variables of the environment a bot may name that was put over the operator's API. The operator's own
    /// token is nobody's, whatever the patterns say.
    pub fn may_name(&self) -> impl Fn(&str) -> bool + Send + Sync + 'static {
        let token = self.operator.token.as_ref().and_then(|token| token.variable()).map(str::to_owned);
        let hosting = self.hosting.clone();
        move |variable| hosting.may_name(variable) && token.as_deref() != Some(variable)
    }

    /// What the settings of such a bot may not name.
    pub fn objections(&self, bot: &str, settings: &Table) -> Vec<Problem> {
        let (may_name, mut texts) = (self.may_name(), Vec::new());
        for (key, value) in settings {
            collect(format!("bots.{bot}.{key}"), value, &mut texts);
        }
        let found = texts.into_iter().filter_map(|(key, text)| {
            let variable = text.strip_prefix("env:").filter(|name| is_one_word(name));
            let problem = match variable {
                _ if is_command(&key) => COMMAND,
                Some(name) if !may_name(name) => VARIABLE,
                _ => return None,
            };
            Some(self.problem(&key, problem))
        });
        found.collect()
    }
}

const COMMAND: &str =
    "is a command of this machine's, which cannot be named over the API: write the bot's file yourself";
const VARIABLE: &str = "names a variable of the environment that hosting.env does not allow to a bot that is put over the API: \
    send {\"$secret\": \"…\"} in its place, or add the variable's name to hosting.env in the configuration";

/// Every text below `key`, with its own key.
fn collect<'v>(key: String, value: &'v Value, texts: &mut Vec<(String, &'v str)>) {
    match value {
        Value::String(text) => texts.push((key, text)),
        Value::Table(table) => table.iter().for_each(|(name, value)| collect(format!("{key}.{name}"), value, texts)),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(number, value)| collect(format!("{key}[{number}]"), value, texts));
        }
        _ => {}
    }
}

/// Whether something is run as a process that stands there.
fn is_command(key: &str) -> bool {
    let server = key.strip_suffix("].command").and_then(|server| server.rsplit_once(".mcp["));
    server.is_some_and(|(_, number)| number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether it can be a variable's name, and not the beginning of a sentence.
fn is_one_word(name: &str) -> bool {
    !name.is_empty() && !name.contains(char::is_whitespace)
}
