//! From what a configuration says to what a provider works with: secrets fetched, addresses read, mistakes noted.

use secrecy::SecretString;
use url::Url;

use crate::http::is_private_enough;
use crate::secret::SecretRef;

/// Reads a table's values, and notes what is wrong with them instead of stopping at the first.
pub struct Resolve<'a> {
    env: &'a dyn Fn(&str) -> Option<String>,
    problems: Vec<(String, String)>,
}

impl<'a> Resolve<'a> {
    /// Looks secrets up with `env`.
    pub fn new(env: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { env, problems: Vec::new() }
    }

    /// Notes that `key` is wrong, and what to do about it: in words that follow the key.
    pub fn wrong(&mut self, key: &str, problem: impl Into<String>) {
        self.problems.push((key.to_owned(), problem.into()));
    }

    /// Notes `problem` with `key` unless it `holds`.
    pub fn require(&mut self, holds: bool, key: &str, problem: &str) {
        if !holds {
            self.wrong(key, problem);
        }
    }

    /// The secret that `key` names.
    pub fn secret(&mut self, key: &str, secret: &SecretRef) -> SecretString {
        secret.resolve(self.env).unwrap_or_else(|problem| {
            self.wrong(key, problem);
            SecretString::default()
        })
    }

    /// The secret that `key` names, if it names one.
    pub fn optional_secret(&mut self, key: &str, secret: Option<&SecretRef>) -> Option<SecretString> {
        secret.map(|secret| self.secret(key, secret))
    }

    /// The upstream's address: https, or on this machine, for credentials travel there.
    pub fn address(&mut self, key: &str, address: &str) -> Url {
        Url::parse(address).ok().filter(is_private_enough).unwrap_or_else(|| {
            let problem = "must be an https address without a user name: the token travels there";
            self.wrong(key, problem);
            Url::parse("https://invalid.invalid").expect("a constant that is an address")
        })
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// Every key that is wrong, and what to do about it.
    pub fn finish(self) -> Result<(), Vec<(String, String)>> {
        if self.problems.is_empty() { Ok(()) } else { Err(self.problems) }
    }
}
