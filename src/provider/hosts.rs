//! Where a medium may be fetched from: the address comes out of a webhook or an answer, and must not lead anywhere
//! else.

use url::{Origin, Url};

use crate::runtime::http::reach::is_local_name;
use crate::runtime::http::{is_plain_http, is_private_enough};

/// Hosts, and domains whose hosts are all allowed; each with a port if it is not the scheme's own.
pub(crate) struct Hosts {
    patterns: Vec<(String, Option<u16>)>,
    /// Where plain http will do although it is another machine.
    in_clear: Option<Origin>,
}

impl Hosts {
    pub(crate) fn new(patterns: &[String], base_url: &Url) -> Self {
        let pattern = |pattern: &String| match pattern.rsplit_once(':').map(|(host, port)| (host, port.parse())) {
            Some((host, Ok(port))) => (host.to_ascii_lowercase(), Some(port)),
            _ => (pattern.to_ascii_lowercase(), None),
        };
        let base = base_url.host_str().map(|host| (host.to_owned(), base_url.port_or_known_default()));
        Self { patterns: patterns.iter().map(pattern).chain(base).collect(), in_clear: None }
    }

    /// With `plain_http`, plain http will do for `base_url`, its own port, and nothing else.
    pub(crate) fn plain_http(self, plain_http: bool, base_url: &Url) -> Self {
        Self { in_clear: plain_http.then(|| base_url.origin()), ..self }
    }

    /// Whether plain http will do for `url` although it may be another machine.
    pub(crate) fn in_clear(&self, url: &Url) -> bool {
        is_plain_http(url) && self.in_clear.as_ref() == Some(&url.origin())
    }

    pub(crate) fn allow(&self, url: &Url) -> bool {
        let Some(host) = url.host_str() else { return false };
        let is = |(pattern, port): &(String, Option<u16>)| {
            let same_host = match pattern.strip_prefix('*') {
                Some(domain) => domain.starts_with('.') && host.len() > domain.len() && host.ends_with(domain),
                None => host == pattern,
            };
            let same_port = match port {
                Some(port) => url.port_or_known_default() == Some(*port),
                // None written means the scheme's own.
                None => url.port().is_none(),
            };
            same_host && same_port
        };
        self.in_clear(url) || (is_private_enough(url) && self.patterns.iter().any(is))
    }
}

/// Whether `url` may lead somewhere out there: https on its own port, and a name with a dot in it that is not one of a
/// local network's. A name that somebody lets point into our network is not seen through.
pub(crate) fn is_public(url: &Url) -> bool {
    let Some(url::Host::Domain(name)) = url.host() else { return false };
    !is_local_name(name) && url.scheme() == "https" && url.port().is_none() && is_private_enough(url)
}
