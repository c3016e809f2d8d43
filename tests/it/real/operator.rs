//! The operator of a binary that runs: what it has left undone, and what it has sent.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use threedots::runtime::http::{Body, Call, Client, Transport};

use super::account::Word;
use super::binary::Home;

const TOKEN: &str = "fictional-operator-token-0123456789";
/// As many letters as one page may have with words.
const PAGE: usize = 100;

/// Somebody with the token.
pub(crate) struct Operator {
    client: Arc<Client>,
    port: u16,
}

/// A dead letter.
pub(crate) struct Letter {
    pub(crate) number: u64,
    pub(crate) bot: String,
    pub(crate) reason: String,
    pub(crate) word: Word,
}

/// A part of a reply.
pub(crate) struct Part {
    pub(crate) bot: String,
    pub(crate) text: String,
}

impl Operator {
    pub(crate) fn new(port: u16) -> Self {
        Self { client: Client::new().unwrap(), port }
    }

    /// The operator's table in the configuration.
    pub(crate) fn table(&self, home: &Home) -> String {
        let token = home.path().join("operator");
        std::fs::write(&token, TOKEN).unwrap();
        format!("\n[operator]\nlisten = \"127.0.0.1:{}\"\ntoken = \"file:{}\"\n", self.port, token.display())
    }

    async fn get(&self, path: &str) -> Value {
        let call = Call {
            method: "GET",
            url: format!("http://127.0.0.1:{}{path}", self.port).parse().unwrap(),
            headers: vec![("authorization".into(), format!("Bearer {TOKEN}"))],
            body: Body::Empty,
            timeout: Duration::from_secs(30),
            in_clear: false,
        };
        let answer = self.client.call(call).await.unwrap();
        assert_eq!(answer.status, 200, "{path}");
        serde_json::from_slice(&answer.bytes(16 << 20).await.unwrap()).unwrap()
    }

    /// What a request is answered with that is known by its key; nothing if nobody answers.
    pub(crate) async fn post(&self, path: &str, key: &str, body: &Value) -> Option<(u16, Value)> {
        let call = Call {
            method: "POST",
            url: format!("http://127.0.0.1:{}{path}", self.port).parse().unwrap(),
            headers: vec![
                ("authorization".into(), format!("Bearer {TOKEN}")),
                ("idempotency-key".into(), key.to_owned()),
            ],
            body: Body::Json(body.to_string().into()),
            timeout: Duration::from_secs(30),
            in_clear: false,
        };
        let answer = self.client.call(call).await.ok()?;
        let status = answer.status;
        Some((status, serde_json::from_slice(&answer.bytes(1 << 20).await.ok()?).ok()?))
    }

    /// Whether nothing waits for an answer, and nothing is to be sent.
    pub(crate) async fn sees_nothing_waiting(&self) -> bool {
        let waiting = &self.get("/v1/state").await["waiting"];
        waiting["messages"] == 0 && waiting["conversations"] == 0
    }

    /// All dead letters.
    pub(crate) async fn letters(&self) -> Vec<Letter> {
        let (mut letters, mut next) = (Vec::new(), Value::from(0));
        while !next.is_null() {
            let page = self.get(&format!("/v1/dead?show=words&most={PAGE}&after={next}")).await;
            letters.extend(page["letters"].as_array().unwrap().iter().map(letter));
            next = page["next"].clone();
        }
        letters
    }

    /// What was sent under these keys.
    pub(crate) async fn parts<'k>(&self, keys: impl Iterator<Item = &'k str>) -> BTreeMap<&'k str, Part> {
        let mut parts = BTreeMap::new();
        for key in keys {
            let part = self.get(&format!("/v1/parts/{key}?show=words")).await;
            let text = |field: &str| part[field].as_str().unwrap().to_owned();
            parts.insert(key, Part { bot: text("bot"), text: text("words") });
        }
        parts
    }
}

fn letter(letter: &Value) -> Letter {
    let text = |field: &str| letter[field].as_str().unwrap().to_owned();
    let words = Word::all(letter["message"]["words"].as_str().unwrap());
    Letter { number: letter["letter"].as_u64().unwrap(), bot: text("bot"), reason: text("reason"), word: words[0] }
}

/// The numbers that `threedots dead list` lists.
pub(crate) fn listed(home: &Home) -> Vec<u64> {
    let (mut listed, mut next) = (Vec::new(), Value::from(0));
    while !next.is_null() {
        let output = Command::new(env!("CARGO_BIN_EXE_threedots"))
            .args(["dead", "list", "--json", "--most", "1000", "--after", &next.to_string()])
            .current_dir(home.path())
            .env_clear()
            .envs(home.over())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let page: Value = serde_json::from_slice(&output.stdout).unwrap();
        listed.extend(page["letters"].as_array().unwrap().iter().map(|letter| letter["letter"].as_u64().unwrap()));
        next = page["next"].clone();
    }
    listed
}
