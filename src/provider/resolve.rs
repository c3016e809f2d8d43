//! From what a configuration says to what a provider works with: secrets fetched, addresses read, mistakes noted.

use std::sync::Arc;

use secrecy::SecretString;
use url::Url;

use crate::message::secret::SecretRef;
use crate::runtime::http::{Transport, is_plain_http, is_private_enough};

/// Reads a table's values, and notes what is wrong with them instead of stopping at the first.
pub struct Resolve<'a> {
    env: &'a dyn Fn(&str) -> Option<String>,
    /// The way that calls will take, which may not lead everywhere.
    way: Option<Arc<dyn Transport>>,
    problems: Vec<(String, String)>,
}

impl<'a> Resolve<'a> {
    /// Looks secrets up with `env`.
    pub fn new(env: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { env, way: None, problems: Vec::new() }
    }

    /// Notes addresses that no call by this way can be made to.
    #[must_use]
    pub fn by(self, way: Arc<dyn Transport>) -> Self {
        Self { way: Some(way), ..self }
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

    /// The same for a secret that travels in a header of HTTP.
    pub fn header_secret(&mut self, key: &str, secret: &SecretRef) -> SecretString {
        secret.resolve_for_header(self.env).unwrap_or_else(|problem| {
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
        let problem = match Url::parse(address).ok().filter(is_private_enough) {
            Some(url) => return self.within_reach(key, url),
            None => "must be an https address without a user name: the token travels there",
        };
        self.wrong(key, problem);
        nowhere()
    }

    fn within_reach(&mut self, key: &str, url: Url) -> Url {
        let Some(problem) = self.way.as_ref().and_then(|way| way.refuses(&url)) else { return url };
        self.wrong(key, problem);
        nowhere()
    }

    /// The same for an upstream that may be inside a network of one's own: plain http too, if `plain_http` is set.
    pub fn own_address(&mut self, key: &str, address: &str, plain_http: bool) -> Url {
        match Url::parse(address).ok().filter(is_plain_http) {
            Some(url) if plain_http => self.within_reach(key, url),
            Some(url) if !is_private_enough(&url) => {
                let problem = "must be an https address: the token travels there; \
                               or set plain_http = true if it is inside a network of your own";
                self.wrong(key, problem);
                nowhere()
            }
            _ => self.address(key, address),
        }
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// Every key that is wrong, and what to do about it.
    pub fn finish(self) -> Result<(), Vec<(String, String)>> {
        if self.problems.is_empty() { Ok(()) } else { Err(self.problems) }
    }
}

/// Stands where an address should: a configuration with a problem is not run.
fn nowhere() -> Url {
    Url::parse("https://invalid.invalid").expect("a constant that is an address")
}
