//! Secrets: named in the configuration, held where they are used, shown nowhere.

use std::collections::VecDeque;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::time::Instant;

/// Where a secret is: `env:NAME` or `file:PATH`. A configuration file holds no secret itself.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "SecretSource")]
pub struct SecretRef(String);

/// What may stand in a configuration. A number is taken too: refused by the parser, it would be quoted.
#[derive(Deserialize)]
#[serde(untagged)]
enum SecretSource {
    Text(String),
    Other(IgnoredAny),
}

impl From<SecretSource> for SecretRef {
    fn from(written: SecretSource) -> Self {
        match written {
            SecretSource::Text(text) => Self(text),
            SecretSource::Other(IgnoredAny) => Self("?".into()),
        }
    }
}

impl SecretRef {
    /// The place that `text` names, if it is one and not just text.
    pub fn named(text: &str) -> Option<Self> {
        (text.starts_with("env:") || text.starts_with("file:")).then(|| Self(text.to_owned()))
    }

    /// The environment variable that it names, if it names one.
    pub fn variable(&self) -> Option<&str> {
        self.0.strip_prefix("env:")
    }

    /// Fetches a secret that travels in a header of HTTP, as tokens and keys do: one that no header can carry is
    /// refused.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve), and what stands in the secret that cannot.
    pub fn resolve_for_header(&self, env: &dyn Fn(&str) -> Option<String>) -> Result<SecretString, String> {
        let secret = self.resolve(env)?;
        unfit_for_header(secret.expose_secret()).map_or(Ok(secret), |what| {
            Err(format!(
                "holds {what}, which no HTTP header can carry: put the secret there alone, as it was given to you"
            ))
        })
    }

    /// Fetches the secret. `env` looks up environment variables.
    ///
    /// # Errors
    /// What to do about it, without a word of the secret or of what stands in its place.
    pub fn resolve(&self, env: &dyn Fn(&str) -> Option<String>) -> Result<SecretString, String> {
        let secret = if let Some(name) = self.0.strip_prefix("env:") {
            env(name).ok_or_else(|| format!("the environment variable {name} is not set: set it"))?
        } else if let Some(path) = self.0.strip_prefix("file:") {
            let secret = std::fs::read_to_string(Path::new(path));
            secret.map_err(|error| format!("the file {path} cannot be read: {}", error.kind()))?
        } else if self.0.is_empty() {
            return Err("is missing: give the place of the secret as \"env:NAME\" or \"file:PATH\"".into());
        } else {
            // What stands there is probably the secret itself.
            return Err("is not \"env:NAME\" or \"file:PATH\": move the secret to such a place".into());
        };
        match secret.trim() {
            "" => Err("names a place that is empty: put the secret there".into()),
            secret => Ok(secret.to_owned().into()),
        }
    }
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretRef(…)")
    }
}

impl Default for SecretRef {
    /// One that resolves to an error which says that it is missing.
    fn default() -> Self {
        Self(String::new())
    }
}
/// What of a secret no header of HTTP can carry; none if it can carry all of it.
pub fn unfit_for_header(secret: &str) -> Option<&'static str> {
    secret.chars().find_map(|character| match character {
        ' '..='~' | '\t' => None,
        '\r' | '\n' => Some("a line break"),
        '\u{feff}' | '\u{200b}'..='\u{200f}' | '\u{2060}' => Some("an invisible character"),
        character if character.is_control() => Some("a control character"),
        _ => Some("a character that is not ASCII"),
    })
}

/// Whether two tokens are the same, without telling by the time it takes how long ours is or where they differ.
pub fn same_token(theirs: &str, ours: &str) -> bool {
    Sha256::digest(theirs).ct_eq(&Sha256::digest(ours)).into()
}

/// How many wrong secrets are looked at in one second: past that none is, not even the right one, else guessing would
/// be as fast as ever.
#[derive(Debug)]
pub struct Guesses {
    most: usize,
    /// When the last wrong ones came.
    wrong: VecDeque<Instant>,
}

impl Guesses {
    /// So many are looked at in one second.
    pub fn in_a_second(most: usize) -> Self {
        Self { most, wrong: VecDeque::new() }
    }

    /// Whether one more may be looked at.
    pub fn may(&mut self) -> bool {
        let now = Instant::now();
        while self.wrong.pop_front_if(|then| now.duration_since(*then) >= Duration::from_secs(1)).is_some() {}
        self.wrong.len() < self.most
    }

    /// One was wrong.
    pub fn wrong(&mut self) {
        self.wrong.push_back(Instant::now());
    }

    /// Whether none was wrong in the last second.
    pub fn is_calm(&mut self) -> bool {
        self.may() && self.wrong.is_empty()
    }
}

/// The token in an `authorization` header that shows one.
pub fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Text that nobody can guess: 256 bits from the system, in hexadecimal digits.
///
/// # Panics
/// When the system has no randomness to give, which is no system to keep secrets on.
pub fn random() -> String {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the system's randomness");
    hex::encode(bytes)
}

/// A word in hexadecimal digits that is made of `purpose` and `from`: the same after a restart, another for each
/// purpose, and as hard to guess as what it is made of.
pub fn derived<'a>(purpose: &'a str, from: impl IntoIterator<Item = &'a str>) -> String {
    let mut digest = Sha256::new();
    for text in std::iter::once(purpose).chain(from) {
        digest.update((text.len() as u64).to_be_bytes());
        digest.update(text);
    }
    hex::encode(digest.finalize())
}
