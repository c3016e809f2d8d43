//! What a bot may name that was put over the operator's API. Whoever can put bots is not to be whoever has this
//! machine: its environment, and what only it can reach.

use std::fmt;

use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// What bots may name that are put over the operator's API. The `hosting` table of the configuration. Bots of the
/// configuration file, and of files that the operator wrote, may name everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HostingConfig {
    /// The variables of the environment that they may name as `env:NAME`; `*` stands for any characters.
    pub env: Vec<String>,
    /// The hosts on this machine or in its network, and in plain http, that they may call.
    pub private: PrivateHosts,
}

/// Hosts that are not public.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum PrivateHosts {
    /// All of them, or none.
    All(bool),
    /// These: each with its port if it is not the scheme's own, as in `waha.internal:3000`; `*` stands for any
    /// characters.
    Named(Vec<String>),
}

impl Default for PrivateHosts {
    fn default() -> Self {
        Self::All(false)
    }
}

impl<'de> Deserialize<'de> for PrivateHosts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AllOrNamed)
    }
}

struct AllOrNamed;

impl<'de> Visitor<'de> for AllOrNamed {
    type Value = PrivateHosts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true, false, or a list of hosts, such as [\"waha.internal:3000\"]")
    }

    fn visit_bool<E: serde::de::Error>(self, all: bool) -> Result<PrivateHosts, E> {
        Ok(PrivateHosts::All(all))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<PrivateHosts, A::Error> {
        let mut hosts = Vec::new();
        while let Some(host) = list.next_element()? {
            hosts.push(host);
        }
        Ok(PrivateHosts::Named(hosts))
    }
}

impl HostingConfig {
    /// Whether such a bot may name this variable of the environment.
    pub fn may_name(&self, variable: &str) -> bool {
        self.env.iter().any(|pattern| matches(pattern, variable))
    }

    /// Whether such a bot may call this address although it may not be public.
    pub fn may_call(&self, url: &Url) -> bool {
        let hosts = match &self.private {
            PrivateHosts::All(all) => return *all,
            PrivateHosts::Named(hosts) => hosts,
        };
        let Some(host) = url.host_str() else { return false };
        let host = host.trim_end_matches('.');
        hosts.iter().any(|pattern| {
            let pattern = pattern.to_ascii_lowercase();
            match with_port(&pattern) {
                Some((name, port)) => {
                    let actual = url.port_or_known_default().map(|port| port.to_string()).unwrap_or_default();
                    matches(name, host) && matches(port, &actual)
                }
                // None written means the scheme's own.
                None => url.port().is_none() && matches(&pattern, host),
            }
        })
    }

    /// What cannot be meant: a key of the table, and what to do.
    pub fn unusable(&self) -> Vec<(String, &'static str)> {
        let mut found = Vec::new();
        for (number, pattern) in self.env.iter().enumerate() {
            if pattern.is_empty() || pattern.starts_with("env:") || pattern.contains(['=', '$', ' ']) {
                found.push((
                    format!("env[{number}]"),
                    "is no variable's name: write it as \"META_*\", without \"env:\"",
                ));
            }
        }
        if let PrivateHosts::Named(hosts) = &self.private {
            for (number, pattern) in hosts.iter().enumerate() {
                let host = with_port(pattern).map_or(pattern.as_str(), |(host, _)| host);
                let is_host = host.contains('*') || Host::parse(host).is_ok();
                if !is_host || host.contains('/') {
                    found.push((format!("private[{number}]"), "is no host: write it as \"waha.internal:3000\""));
                }
            }
        }
        found
    }

    /// Whether it allows anything.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A pattern's host and port, if it has a port.
fn with_port(pattern: &str) -> Option<(&str, &str)> {
    let is_port = |port: &str| port == "*" || (!port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()));
    // The colons of an address in brackets are its own.
    let is_whole = |host: &str| host.ends_with(']') || !host.starts_with('[');
    pattern.rsplit_once(':').filter(|(host, port)| is_port(port) && is_whole(host))
}

/// Whether `text` is of this pattern, in which `*` stands for any characters, or none.
fn matches(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let Some(last) = pieces.next_back() else { return rest.is_empty() };
    for piece in pieces {
        let Some((_, behind)) = rest.split_once(piece) else { return false };
        rest = behind;
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters_and_nothing_else_does() {
        for (pattern, text, is) in [
            ("META_*", "META_APP_SECRET", true),
            ("META_*", "META_", true),
            ("META_*", "META", false),
            ("META_*", "XMETA_A", false),
            ("META", "META", true),
            ("META", "META_A", false),
            ("*", "", true),
            ("*_KEY", "A_KEY", true),
            ("*_KEY", "A_KEYS", false),
            ("A*B*C", "AxxBxxC", true),
            ("A*B*C", "AC", false),
            ("A*A", "A", false),
            ("A?", "AB", false),
            ("", "A", false),
        ] {
            assert_eq!(matches(pattern, text), is, "{pattern} {text}");
        }
    }

    #[test]
    fn a_host_is_allowed_with_its_port() {
        let config = |hosts: &[&str]| {
            let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
            HostingConfig { private: PrivateHosts::Named(hosts), ..HostingConfig::default() }
        };
        for (pattern, url, is) in [
            ("waha.internal:3000", "http://waha.internal:3000/api", true),
            ("waha.internal:3000", "http://WAHA.internal.:3000/api", true),
            ("waha.internal:3000", "http://waha.internal/", false),
            ("waha.internal", "http://waha.internal:3000/", false),
            ("waha.internal", "http://waha.internal/", true),
            ("waha.internal:443", "https://waha.internal/", true),
            ("waha-*.internal:*", "http://waha-7.internal:9/", true),
            ("*.internal", "https://waha.internal.example/", false),
            ("127.0.0.1:9004", "http://2130706433:9004/", true),
            ("127.0.0.1:9004", "http://127.0.0.2:9004/", false),
            ("[::1]:9004", "http://[::1]:9004/", true),
            ("[::1]", "http://[::1]/", true),
            ("[::1]", "http://[::2]/", false),
        ] {
            let config = config(&[pattern]);
            assert_eq!(config.unusable(), []);
            assert_eq!(config.may_call(&Url::parse(url).expect("an address")), is, "{pattern} {url}");
        }
        for wrong in ["", "http://waha.internal", "waha internal", "waha/api"] {
            assert_eq!(config(&[wrong]).unusable().len(), 1, "{wrong:?}");
        }
        let any = Url::parse("http://127.0.0.1:1/").expect("an address");
        assert!(!HostingConfig::default().may_call(&any));
        assert!(HostingConfig { private: PrivateHosts::All(true), ..HostingConfig::default() }.may_call(&any));
    }
}
