//! Where a model is asked, and how its key is shown there.

use async_openai::config::Config;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::config::{ModelConfig, Unusable};
use crate::message::secret::unfit_for_header;
use crate::runtime::http::{HeaderMap, HeaderName, HeaderValue, is_plain_http, is_private_enough};

const CALL: &str = "/chat/completions";
/// What other calls' addresses end in: whoever writes one of them has copied the wrong line.
const OTHER_CALLS: [&str; 6] = ["/completions", "/responses", "/messages", "/embeddings", "/models", "/chat"];

/// One model's address, as the library beneath wants it.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    url: Url,
    headers: HeaderMap,
    /// The library wants one. It is in the headers.
    no_key: SecretString,
}

impl Endpoint {
    /// # Errors
    /// What is wrong with the settings, each with its key in the model's table.
    pub(super) fn new(config: &ModelConfig, key: Option<&SecretString>) -> Result<Self, Vec<Unusable>> {
        let url = address(config).map_err(|problem| Unusable::new("base_url", problem));
        let headers = headers(config, key, url.as_ref().ok());
        match (url, headers) {
            (Ok(url), Ok(headers)) => Ok(Self { url, headers, no_key: String::new().into() }),
            (url, headers) => Err(url.err().into_iter().chain(headers.err()).collect()),
        }
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }
}

impl Config for Endpoint {
    fn headers(&self) -> HeaderMap {
        self.headers.clone()
    }

    fn url(&self, _path: &str) -> String {
        self.url.as_str().to_owned()
    }

    fn query(&self) -> Vec<(&str, &str)> {
        Vec::new()
    }

    fn api_base(&self) -> &str {
        self.url.as_str()
    }

    fn api_key(&self) -> &SecretString {
        &self.no_key
    }
}

/// The address that is called: the setting's, lengthened where it does not lead to the call yet.
fn address(config: &ModelConfig) -> Result<Url, String> {
    let elsewhere = "must be an https address, or one on this machine: conversations travel there";
    let mut url = Url::parse(&config.base_url).map_err(|_| elsewhere.to_owned())?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold credentials: they belong into api_key".into());
    }
    if !(is_private_enough(&url) || (config.plain_http && is_plain_http(&url))) {
        let hint =
            if is_plain_http(&url) { ", or set plain_http = true if it is inside a network of your own" } else { "" };
        return Err(format!("{elsewhere}{hint}"));
    }
    if url.fragment().is_some() {
        return Err("must not have a fragment: leave out what begins with \"#\"".into());
    }
    let path = url.path().trim_end_matches('/').to_owned();
    if path.ends_with(CALL) {
        url.set_path(&path);
    } else if let Some(other) = OTHER_CALLS.iter().find(|other| path.ends_with(*other)) {
        return Err(format!("is the address of another call: leave out {other}, and {CALL} is added"));
    } else {
        url.set_path(&format!("{path}{CALL}"));
    }
    Ok(url)
}

fn headers(config: &ModelConfig, key: Option<&SecretString>, url: Option<&Url>) -> Result<HeaderMap, Unusable> {
    let mut headers = HeaderMap::new();
    let is_azure = url.is_some_and(|url| url.query_pairs().any(|(name, _)| name == "api-version"));
    let (name, bearer) = match config.key_header.as_str() {
        "" if is_azure => ("api-key", false),
        "" => ("authorization", true),
        name => (name, false),
    };
    let unusable = || Unusable::new("key_header", "must be a header's name, such as \"x-api-key\"");
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unusable())?;
    if OURS.contains(&name.as_str()) {
        return Err(Unusable::new("key_header", "is a header that the call itself needs: name another one"));
    }
    // Some servers want a key in any case.
    let key = key.map_or("none", |key| key.expose_secret());
    let value = if bearer { format!("Bearer {key}") } else { key.to_owned() };
    let value = HeaderValue::from_str(&value).map_err(|_| {
        let what = unfit_for_header(key).unwrap_or("something");
        Unusable::new("api_key", format!("holds {what}, which no HTTP header can carry"))
    });
    let mut value = value?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(headers)
}

/// What the call's own headers are.
const OURS: [&str; 7] =
    ["host", "content-type", "content-length", "transfer-encoding", "connection", "accept", "user-agent"];

#[cfg(test)]
mod tests {
    use super::*;

    fn at(base_url: &str) -> ModelConfig {
        ModelConfig { base_url: base_url.into(), ..ModelConfig::default() }
    }

    #[test]
    fn the_call_is_added_to_the_path_unless_it_stands_there() {
        for (base_url, called) in [
            ("https://a.example/v1", "https://a.example/v1/chat/completions"),
            ("https://a.example/v1///", "https://a.example/v1/chat/completions"),
            ("https://a.example", "https://a.example/chat/completions"),
            (" http://127.0.0.1:8080/v1/ ", "http://127.0.0.1:8080/v1/chat/completions"),
            ("https://a.example/v1/chat/completions", "https://a.example/v1/chat/completions"),
            ("https://a.example/v1/chat/completions/", "https://a.example/v1/chat/completions"),
            ("https://a.example/d/x?api-version=1", "https://a.example/d/x/chat/completions?api-version=1"),
            ("https://a.example/d/x/?a=1&b=%20", "https://a.example/d/x/chat/completions?a=1&b=%20"),
            ("https://a.example/d/chat/completions?a=1", "https://a.example/d/chat/completions?a=1"),
        ] {
            assert_eq!(address(&at(base_url)).map(String::from).as_deref(), Ok(called), "{base_url}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_what_to_write() {
        for (base_url, problem) in [
            ("", "must be an https address"),
            ("a.example/v1", "must be an https address"),
            ("ftp://a.example", "must be an https address"),
            ("http://a.example/v1", "set plain_http = true"),
            ("https://me:secret@a.example/v1", "they belong into api_key"),
            ("https://me@a.example/v1", "they belong into api_key"),
            ("https://a.example/v1#chat", "leave out what begins with \"#\""),
            ("https://a.example/v1/responses", "leave out /responses"),
            ("https://a.example/v1/completions/", "leave out /completions"),
            ("https://a.example/v1/chat", "leave out /chat"),
        ] {
            let refused = address(&at(base_url)).expect_err(base_url);
            assert!(refused.contains(problem) && !refused.contains("secret"), "{base_url}: {refused}");
        }
        let plain = ModelConfig { plain_http: true, ..at("http://model.internal:8000/v1") };
        assert_eq!(address(&plain).map(String::from).as_deref(), Ok("http://model.internal:8000/v1/chat/completions"));
        let with_word = ModelConfig { plain_http: true, ..at("http://me:secret@model.internal/v1") };
        assert!(address(&with_word).is_err());
    }

    #[test]
    fn the_key_stands_in_one_header() {
        let key = SecretString::from("k");
        let shown = |config: ModelConfig| {
            let headers = Endpoint::new(&config, Some(&key)).map(|endpoint| endpoint.headers());
            headers.map(|headers| {
                let shown =
                    |(name, value): (&HeaderName, &HeaderValue)| format!("{name}: {}", value.to_str().unwrap_or("?"));
                headers.iter().map(shown).collect::<Vec<_>>()
            })
        };
        let plain = at("https://a.example/v1");
        let azure = at("https://a.example/openai/deployments/x?api-version=2024-10-21");
        let named = |config: &ModelConfig, name: &str| ModelConfig { key_header: name.into(), ..config.clone() };
        assert_eq!(shown(plain.clone()).as_deref(), Ok(&["authorization: Bearer k".to_owned()][..]));
        assert_eq!(shown(azure.clone()).as_deref(), Ok(&["api-key: k".to_owned()][..]));
        assert_eq!(shown(named(&azure, "X-Gateway-Key")).as_deref(), Ok(&["x-gateway-key: k".to_owned()][..]));
        for wrong in ["with space", "Host", "content-type", "ü"] {
            let problems = shown(named(&plain, wrong)).expect_err(wrong);
            assert_eq!(problems[0].key, "key_header", "{wrong}");
        }
    }
}
