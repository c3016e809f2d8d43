//! Many bots in one process: files of their own, bots that come and go while others work, and nobody takes what the
//! others need.

mod allowed;
mod api;
mod directory;
mod shares;

use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};
use threedots::Handler;

use crate::operator::TOKEN;
use crate::product::{NUMBER, Product, SECRET, Setup, Upstream, VERIFY_TOKEN, delivery, request, signature, text};

/// A product with an operator, and a directory for bots, which is empty at first.
struct House {
    directory: tempfile::TempDir,
    upstream: Upstream,
    product: Product,
}

impl House {
    async fn open(handler: impl Handler) -> Self {
        Self::with(handler, "").await
    }

    /// The same with more settings. Bots that are put may call the upstream, which is on this machine.
    async fn with(handler: impl Handler, more: &str) -> Self {
        let (directory, upstream) = (tempfile::tempdir().expect("a directory"), Upstream::content().await);
        std::fs::create_dir(directory.path().join("bots")).expect("a directory");
        let product = Self::start(directory.path(), &upstream, handler, &allowing(&upstream, more)).await;
        Self { directory, upstream, product }
    }

    /// The same with a `hosting` table of the test's own.
    async fn hosting(handler: impl Handler, hosting: &str) -> Self {
        let (directory, upstream) = (tempfile::tempdir().expect("a directory"), Upstream::content().await);
        std::fs::create_dir(directory.path().join("bots")).expect("a directory");
        let product = Self::start(directory.path(), &upstream, handler, hosting).await;
        Self { directory, upstream, product }
    }

    async fn start(directory: &Path, upstream: &Upstream, handler: impl Handler, more: &str) -> Product {
        let token = directory.join("operator_token");
        std::fs::write(&token, TOKEN).expect("a writable directory");
        let operator = format!("[operator]\nlisten = \"127.0.0.1:0\"\ntoken = \"file:{}\"\n", token.display());
        let callbacks = "[callbacks]\nlisten = \"127.0.0.1:0\"\n";
        let top = format!("bots_dir = \"{}/bots\"", directory.display());
        let setup = Setup { top, more: format!("{operator}{callbacks}{more}"), ..Setup::new(upstream) };
        Product::start(directory, &setup, handler).await
    }

    /// Ends the process, and starts another.
    async fn restart(self, handler: impl Handler) -> Self {
        let Self { directory, upstream, product } = self;
        product.stop().await;
        let product = Self::start(directory.path(), &upstream, handler, &allowing(&upstream, "")).await;
        Self { directory, upstream, product }
    }

    fn operator(&self) -> SocketAddr {
        self.product.operator.expect("there is a token")
    }

    async fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let authorization = format!("Bearer {TOKEN}");
        let request = request(method, path, &[("authorization", &authorization)], body.as_bytes());
        let mut line = crate::product::Line::open(self.operator()).await;
        line.send(&request).await;
        let answer = line.response().await.expect("an answer");
        (answer.status, serde_json::from_slice(&answer.body).expect("JSON"))
    }

    async fn put(&self, bot: &str, settings: &Value) -> (u16, Value) {
        self.ask("PUT", &format!("/v1/bots/{bot}"), settings).await
    }

    /// The settings of a bot on this upstream whose secrets are sent along.
    fn settings(&self) -> Value {
        json!({
            "provider": {
                "kind": "meta", "phone_number_id": NUMBER, "base_url": self.upstream.url("graph"),
                "access_token": { "$secret": "CANARY-ACCESS-TOKEN" },
                "app_secret": { "$secret": SECRET },
                "verify_token": { "$secret": VERIFY_TOKEN },
            },
            "handler": { "kind": "custom" },
            "gate": { "per_minute": 1_000_000 },
        })
    }

    /// Delivers a message to a bot, and says what the answer was.
    async fn write(&self, bot: &str, id: &str, words: &str) -> u16 {
        self.write_as(bot, crate::product::CUSTOMER, id, words).await
    }

    async fn write_as(&self, bot: &str, customer: &str, id: &str, words: &str) -> u16 {
        let mut message = text(id, words);
        message["from"] = json!(customer);
        let body = delivery(&[message]).replace(crate::product::CUSTOMER, customer);
        let headers = [("x-hub-signature-256", signature(SECRET, body.as_bytes()))];
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.product.ask(&request("POST", &format!("/webhooks/{bot}"), &headers, body.as_bytes())).await.status
    }
}

/// Settings by which bots that are put may call the upstream.
fn allowing(upstream: &Upstream, more: &str) -> String {
    let url: url::Url = upstream.url("").parse().expect("an address");
    let host = format!("{}:{}", url.host_str().expect("a host"), url.port().expect("a port"));
    format!("[hosting]\nprivate = [\"{host}\"]\n{more}")
}
