//! The operator's API from the other side: for the command line, while a server has the store.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::Url;

use super::Admin;
use super::pairing::{Invited, MembersView, Revoked, Withdrawn};
use super::views::{ApiError, ContactView, EnqueuedView, Letter, Letters, LettersChanged, PageQuery, PauseFor, Whom};
use crate::message::json;
use crate::runtime::http::{Body, Call, CallError, Transport};
use crate::store::{Forgotten, Seq};

/// How long an answer may take. What is erased is also taken out of the files, which takes as long as they are.
const PATIENCE: Duration = Duration::from_secs(60);
const PATIENCE_FOR_ERASURE: Duration = Duration::from_secs(3600);
/// The longest answer, in bytes: a hundred letters, words and all.
const LONGEST: u64 = 256 << 20;

/// An operator who asks the threedots that has the store.
pub struct RemoteAdmin {
    transport: Arc<dyn Transport>,
    address: SocketAddr,
    token: SecretString,
}

impl RemoteAdmin {
    /// Asks the API that listens on `address`.
    pub fn new(transport: Arc<dyn Transport>, address: SocketAddr, token: SecretString) -> Self {
        // Whoever listens on every address listens on this machine's own.
        let host = match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip => ip,
        };
        Self { transport, address: SocketAddr::new(host, address.port()), token }
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ApiError> {
        read(self.call("GET", path, None, Body::Empty, PATIENCE).await?)
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        patience: Duration,
    ) -> Result<T, ApiError> {
        let body = serde_json::to_vec(body).map_err(|_| ApiError::new(400, "this has no form in JSON"))?;
        read(self.call("POST", path, None, Body::Json(body.into()), patience).await?)
    }

    async fn call(
        &self,
        method: &'static str,
        path: &str,
        key: Option<&str>,
        body: Body,
        timeout: Duration,
    ) -> Result<Value, ApiError> {
        let address = self.address;
        let url: Url = format!("http://{address}/v1/{path}").parse().map_err(|_| ApiError::new(404, "no such path"))?;
        let token = format!("Bearer {}", self.token.expose_secret());
        let mut headers = vec![("authorization".into(), token)];
        headers.extend(key.map(|key| ("idempotency-key".into(), key.to_owned())));
        let call = Call { method, url, headers, body, timeout, in_clear: false };
        let unreachable = |error: CallError| {
            let advice = match error {
                CallError::NotSent(_) | CallError::Unaskable(_) | CallError::Unfit(_) => {
                    "is it still starting, or was it started with another `operator` table? It must be an address of \
                     this machine's own, such as 127.0.0.1, for this command"
                }
                _ => "what was asked may have been done all the same",
            };
            ApiError::new(503, format!("the running threedots, by its operator's API on {address}: {error}: {advice}"))
        };
        let answer = self.transport.call(call).await.map_err(unreachable)?;
        let status = answer.status;
        let body = tokio::time::timeout(timeout, answer.bytes(LONGEST)).await;
        let body = body.unwrap_or(Err(CallError::Unanswered("timed out"))).map_err(unreachable)?;
        let stranger =
            || ApiError::new(503, format!("what answers on {address} is not the operator's API of threedots"));
        let body: Value = json::from_slice(&body).map_err(|_| stranger())?;
        match (status, body["error"].as_str()) {
            (200 | 202, _) => Ok(body),
            // What was done before the store could not go on.
            (503, Some(_)) if body["done"].is_array() => Ok(body),
            (401, Some(_)) => {
                Err(ApiError::new(401, "the running threedots has another `operator.token`: use that one"))
            }
            (_, Some(text)) => Err(ApiError::new(status, text.to_owned())),
            (_, None) => Err(stranger()),
        }
    }
}

/// What somebody has put into a path, as it stands there.
fn segment(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

fn read<T: DeserializeOwned>(body: Value) -> Result<T, ApiError> {
    let other = "the running threedots answers in another form: use the command of its own version";
    json::from_value(body).map_err(|_| ApiError::new(503, other))
}

#[async_trait]
impl Admin for RemoteAdmin {
    async fn dead(&self, page: &PageQuery) -> Result<Letters, ApiError> {
        let after = page.after.map_or_else(String::new, |after| format!("&after={after}"));
        let show = if page.words { "&show=words" } else { "" };
        self.get(&format!("dead?most={}{after}{show}", page.most)).await
    }

    async fn letter(&self, letter: Seq) -> Result<Letter, ApiError> {
        self.get(&format!("dead/{letter}")).await
    }

    async fn replay(&self, letters: &[Seq]) -> Result<LettersChanged, ApiError> {
        self.post("dead/replay", &json!({ "letters": letters }), PATIENCE).await
    }

    async fn discard(&self, letters: &[Seq]) -> Result<LettersChanged, ApiError> {
        self.post("dead/discard", &json!({ "letters": letters }), PATIENCE).await
    }

    async fn pause(&self, whom: &Whom, PauseFor { lasts }: PauseFor) -> Result<ContactView, ApiError> {
        let mut body = json!({ "bot": whom.bot, "contact": whom.contact });
        if let Some(lasts) = lasts {
            body["for"] = json!(lasts);
        }
        self.post("conversations/pause", &body, PATIENCE).await
    }

    async fn resume(&self, whom: &Whom) -> Result<ContactView, ApiError> {
        self.post("conversations/resume", whom, PATIENCE).await
    }

    async fn send(&self, bot: &str, key: &str, body: &Value) -> Result<EnqueuedView, ApiError> {
        let (path, body) = (format!("bots/{}/messages", segment(bot)), Body::Json(body.to_string().into()));
        read(self.call("POST", &path, Some(key), body, PATIENCE).await?)
    }

    async fn invite(&self, bot: &str, lasts: PauseFor) -> Result<Invited, ApiError> {
        self.post(&format!("bots/{}/invite", segment(bot)), &lasts, PATIENCE).await
    }

    async fn members(&self, bot: &str, after: Option<String>) -> Result<MembersView, ApiError> {
        let after = after.map_or_else(String::new, |after| format!("&after={}", segment(&after)));
        self.get(&format!("bots/{}/members?show=words{after}", segment(bot))).await
    }

    async fn revoke(&self, bot: &str, what: &Revoked) -> Result<Withdrawn, ApiError> {
        self.post(&format!("bots/{}/revoke", segment(bot)), what, PATIENCE).await
    }

    async fn forget(&self, whom: &Whom) -> Result<Forgotten, ApiError> {
        self.post("forget", whom, PATIENCE_FOR_ERASURE).await
    }

    async fn close(&self) {}
}
