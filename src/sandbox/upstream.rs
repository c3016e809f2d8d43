//! The upstreams that a sandbox can be: one wire for each, spoken from the upstream's own side.
//!
//! A [`Wire`] knows paths, bodies, errors and signatures. What all upstreams share stands elsewhere: the phone, the
//! trouble to order, the way of webhooks, the statuses' time table.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::draft::Draft;
use super::fault::Failure;
use super::ids::Ids;
use super::phone::{Call, Customer, CustomerId, DotsRules, Side};
use super::settings::SandboxSettings;
use super::{Sandbox, gateway, linq, meta, nxcloud, waha, wawp};
use crate::message::MessageId;
use crate::message::clock::Timestamp;

/// An upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Upstream {
    /// Meta's Cloud API.
    #[default]
    Meta,
    /// NXCloud, which passes Meta's on.
    NxCloud,
    /// Wawp, in front of a WAHA of its own.
    Wawp,
    /// WAHA: WhatsApp Web on a server of one's own.
    Waha,
    /// WhatsApp Gateway.
    Gateway,
    /// Linq's Partner API V3.
    Linq,
}

impl Upstream {
    /// All of them, in the order in which the page offers them.
    pub const ALL: [Self; 6] = [Self::Meta, Self::NxCloud, Self::Wawp, Self::Waha, Self::Gateway, Self::Linq];

    /// The word for it in configurations and addresses, such as `meta`.
    pub fn name(self) -> &'static str {
        self.wire().name()
    }

    /// What people call it.
    pub fn title(self) -> &'static str {
        self.wire().title()
    }

    /// What is special about its read receipts and its dots, in a sentence or two.
    pub fn habits(self) -> &'static str {
        self.wire().habits()
    }

    pub(super) fn wire(self) -> &'static dyn Wire {
        match self {
            Self::Meta => &meta::Meta,
            Self::NxCloud => &nxcloud::NxCloud,
            Self::Wawp => &wawp::Wawp,
            Self::Waha => &waha::Waha,
            Self::Gateway => &gateway::Gateway,
            Self::Linq => &linq::Linq,
        }
    }
}

/// One upstream's wire, from the upstream's own side.
///
/// Nothing here may be shared with the product's side: two sides that share their parser share its mistakes.
pub(super) trait Wire: Send + Sync {
    /// The word for it in configurations and addresses.
    fn name(&self) -> &'static str;

    /// What people call it.
    fn title(&self) -> &'static str;

    /// What is special about it, for the page: a sentence or two on its read receipts and its dots.
    fn habits(&self) -> &'static str;

    /// How its dots behave on the phone.
    fn dots(&self) -> DotsRules;

    /// A new message's name.
    fn message_id(&self, ids: &Ids, customer: &Customer, from: Side) -> MessageId;

    /// What a call asks for, and whom it is about, before anybody judges it.
    fn asks(&self, sandbox: &Sandbox, request: &UpstreamRequest) -> Asked;

    /// Does what a call asks for, and answers. A send that is not `deliverable` is taken, and reported as failed later.
    fn perform(
        &self,
        sandbox: &Arc<Sandbox>,
        request: &UpstreamRequest,
        deliverable: bool,
    ) -> Result<UpstreamAnswer, Denial>;

    /// What an ordered failure looks like to the caller, in this upstream's own words.
    fn trouble(&self, sandbox: &Sandbox, failure: Failure) -> Denial;

    /// The body of the webhook that carries a customer's message.
    fn message(&self, sandbox: &Sandbox, written: &Written<'_>) -> Bytes;

    /// The body of the webhook that carries the news of a message of the bot's; none if this upstream does not tell.
    fn status(&self, sandbox: &Sandbox, news: &News<'_>) -> Option<Bytes>;

    /// The body of the webhook that carries a message from the business's own number; none if this upstream does not
    /// tell.
    fn echo(&self, sandbox: &Sandbox, echoed: &Echoed<'_>) -> Option<Bytes>;

    /// The headers of a webhook with this body that leaves now, its signature among them.
    fn headers(&self, sandbox: &Sandbox, body: &[u8]) -> Vec<(String, String)>;

    /// What the upstream does by itself when a customer's message arrives, before its webhook goes out.
    fn on_arrival(&self, sandbox: &Arc<Sandbox>, customer: &CustomerId, message: &MessageId);

    /// The `provider` table of a bot with this upstream, as TOML, without its head. The upstream's API is below
    /// `base_url`; secrets are [`ACCESS_TOKEN`], [`WEBHOOK_SECRET`] and [`ACCOUNT_ID`].
    fn provider_table(&self, settings: &SandboxSettings, base_url: &str) -> String;
}

/// What [`SandboxSettings::provider_table`] calls the token: no environment has such a name.
pub(super) const ACCESS_TOKEN: &str = "sandbox access token";
/// What [`SandboxSettings::provider_table`] calls the secret of webhooks.
pub(super) const WEBHOOK_SECRET: &str = "sandbox webhook secret";
/// What it calls that secret where the upstream writes it as Standard Webhooks do, `whsec_` and base64.
pub(super) const SIGNING_SECRET: &str = "sandbox signing secret";
/// What [`SandboxSettings::provider_table`] calls the account, where that counts as a secret.
pub(super) const ACCOUNT_ID: &str = "sandbox account id";

/// What a call asks for.
pub(super) struct Asked {
    pub(super) call: Call,
    pub(super) about: Option<CustomerId>,
}

/// Something that a customer sent.
pub(super) struct Written<'a> {
    pub(super) customer: &'a Customer,
    pub(super) id: &'a MessageId,
    pub(super) draft: &'a Draft,
    /// Whose message it quotes.
    pub(super) quoted_from: Option<Side>,
    pub(super) at: Timestamp,
}

/// A message from the business's own number.
pub(super) struct Echoed<'a> {
    pub(super) customer: &'a Customer,
    pub(super) id: &'a MessageId,
    pub(super) words: &'a str,
    pub(super) at: Timestamp,
}

/// The news of one message of the bot's.
pub(super) struct News<'a> {
    pub(super) customer: &'a Customer,
    pub(super) id: &'a MessageId,
    /// `sent`, `delivered`, `read` or `failed`.
    pub(super) status: &'static str,
    /// The bot's own name for it.
    pub(super) key: Option<&'a str>,
    /// Why it failed, if it did: the upstream's code.
    pub(super) error: Option<i64>,
    pub(super) at: Timestamp,
}

/// How far a message of the bot's comes.
#[derive(Clone, Copy)]
pub(super) enum Course {
    /// To the customer's eyes.
    Whole,
    /// It is reported as sent, and no further.
    SentOnly,
    /// Not at all, for a reason with this code.
    Failed(i64),
}

/// A call to the upstream, as it arrived.
#[derive(Clone)]
pub struct UpstreamRequest {
    /// `GET`, `POST`, `PUT` or `DELETE`.
    pub method: String,
    /// The path, with or without the part up to `/graph` under which the sandbox serves it, and the query.
    pub path_and_query: String,
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl UpstreamRequest {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The path as the upstream knows it, and the query.
    pub(super) fn target(&self) -> (&str, &str) {
        let path = &self.path_and_query[self.mount().len()..];
        path.split_once('?').unwrap_or((path, ""))
    }

    /// Where the sandbox serves the upstream's API: `/graph`, `/linq/graph`, or nothing.
    pub(super) fn mount(&self) -> &str {
        let path = &*self.path_and_query;
        // At the top, or below one name.
        let at = path.find("/graph/").filter(|at| !path[..*at].trim_start_matches('/').contains('/'));
        at.map_or("", |at| &path[..at + "/graph".len()])
    }

    /// The address of a path of the upstream's, as the caller can reach it.
    pub(super) fn address_of(&self, path: &str) -> String {
        format!("http://{}{}{path}", self.header("host").unwrap_or("127.0.0.1"), self.mount())
    }

    /// The body, if it is JSON.
    pub(super) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

impl fmt::Debug for UpstreamRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UpstreamRequest({}, {} bytes)", self.method, self.body.len())
    }
}

/// What becomes of a call.
#[derive(Clone)]
pub enum UpstreamAnswer {
    /// An answer.
    Whole {
        /// The HTTP status.
        status: u16,
        /// The headers, `content-type` among them.
        headers: Vec<(String, String)>,
        /// The body.
        body: Bytes,
    },
    /// None: the connection is to be broken off.
    Reset,
}

impl UpstreamAnswer {
    pub(super) fn json(status: u16, value: &Value) -> Self {
        Self::new(status, "application/json; charset=UTF-8", Bytes::from(value.to_string()))
    }

    pub(super) fn new(status: u16, content_type: &str, body: Bytes) -> Self {
        Self::Whole { status, headers: vec![("content-type".to_owned(), content_type.to_owned())], body }
    }

    /// Nothing but a status, such as 204.
    pub(super) fn empty(status: u16) -> Self {
        Self::Whole { status, headers: Vec::new(), body: Bytes::new() }
    }

    /// The same, with another header.
    pub(super) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        if let Self::Whole { headers, .. } = &mut self {
            headers.push((name.to_owned(), value.into()));
        }
        self
    }
}

impl fmt::Debug for UpstreamAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole { status, body, .. } => write!(f, "UpstreamAnswer({status}, {} bytes)", body.len()),
            Self::Reset => f.write_str("UpstreamAnswer(reset)"),
        }
    }
}

/// A call that is refused.
pub(super) struct Denial {
    /// The HTTP status.
    pub(super) status: u16,
    /// The upstream's code; none if the answer has none.
    pub(super) code: Option<i64>,
    pub(super) answer: UpstreamAnswer,
}

impl Denial {
    /// A page of HTML instead of an error, as a broken proxy gives it.
    pub(super) fn page(status: u16) -> Self {
        let page = Bytes::from_static(b"<!DOCTYPE html><html><body><h1>Error</h1></body></html>");
        Self { status, code: None, answer: UpstreamAnswer::new(status, "text/html; charset=utf-8", page) }
    }
}
