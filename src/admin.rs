//! The operator's hand: dead letters and what becomes of them, the erasure of a person, which bots there are, how
//! things stand.
//!
//! HTTP on a listener of its own, apart from the webhooks'. There is none without a token. JSON in and out:
//!
//! | request | answer |
//! |---|---|
//! | `GET /v1/dead?after=SEQ&most=N` | [`Letters`]: behind `after`, `most` at most (100; up to 1,000); nobody's words and numbers, unless `&show=words` (up to 100) |
//! | `GET /v1/dead/{letter}` | [`Letter`], words and all |
//! | `POST /v1/dead/replay` with `{"letters": [SEQ, …]}` | [`LettersChanged`]: they wait again, each for a whole turn |
//! | `POST /v1/dead/discard` with `{"letters": [SEQ, …]}` | [`LettersChanged`]: they are gone |
//! | `POST /v1/forget` with `{"bot": "…", "contact": "…"}` | [`Forgotten`]: how much was erased |
//! | `POST /v1/conversations/pause` with `{"bot": "…", "contact": "…", "for": "2h"}` | [`ContactView`]: a person answers in it, the bot does not; without `for` until it is resumed |
//! | `POST /v1/conversations/resume` with `{"bot": "…", "contact": "…"}` | [`ContactView`]: the bot answers again |
//! | `POST /v1/conversations/{letter}/pause` with `{"for": "2h"}` or nothing, `…/{letter}/resume` | the same, for the conversation that a dead letter stands in |
//! | `POST /v1/bots/{bot}/messages` with `{"contact": "…", "text": "…"}` | 202 and [`EnqueuedView`]: the bot says so, unasked |
//! | `POST /v1/bots/{bot}/invite` with `{"for": "24h"}` or nothing | [`Invited`]: a code that lets somebody in to a private bot, once, who sends it to the bot; it is shown this once |
//! | `GET /v1/bots/{bot}/members?after=…` | [`MembersView`]: the invitations that are open, and who is in; by name only with `&show=words` |
//! | `POST /v1/bots/{bot}/revoke` with `{"contact": "…"}` or `{"number": N}` | [`Withdrawn`]: somebody is in no longer, or an invitation is good no longer |
//! | `GET /v1/parts/{key}` | [`PartOfReply`]: what became of a part of a reply, by its key in the log; what it says with `?show=words` |
//! | `GET /v1/bots?after=BOT&most=N` | [`Bots`]: behind `after`, `most` at most (100; up to 1,000) |
//! | `GET /v1/bots/{bot}` | [`Hosted`]: how it stands, and its settings without its secrets |
//! | `PUT /v1/bots/{bot}` with its tables as JSON | [`Put`]: it works with these from now on; 201 if it is new |
//! | `DELETE /v1/bots/{bot}` | [`Removed`]: it works no longer; what waits for it goes on waiting |
//! | `POST /v1/reload` | [`Reloaded`]: the directory of bots was read again |
//! | `GET /metrics` | what has been counted, in the text format of OpenMetrics: METRICS.md says what there is |
//! | `GET /v1/state` | [`StatusView`]: what waits, which bots are down, whether the store has failed |
//!
//! What a bot is to say unasked is a handler's whole answer, `text` or `parts`, as `openapi.json` has them; `contact`
//! is a phone number or an identifier of the upstream's, and `chat` in its place a chat that the bot knows, such as a
//! group. With `"unless_paused": true` it is not said while a person answers. It needs a header `idempotency-key`: for
//! 8 days the same message under the same key is answered in the same way, and sent once. 202 says that it is durable.
//!
//! Every request carries `authorization: Bearer TOKEN`. What is refused is answered with `{"error": "…"}`:
//!
//! | status | why |
//! |---|---|
//! | 400 | the parameters or the body are not of this form, or the contact is no phone number and no identifier |
//! | 401 | no token, or another one: whatever else is asked |
//! | 403 | whom it is for has opted out of what is said unasked, or a person answers and it is to be left unsaid then |
//! | 404 | no such route, letter, part, bot or chat |
//! | 405 | another method's route |
//! | 408, 413 | a body that takes over 5 s, or is larger than 256 KiB; with a message for a bot over 30 s, and 24 MiB |
//! | 409 | the `idempotency-key` was used for something else: to mend the body would change nothing about that; the bot stands in the configuration file, or there is no `bots_dir`; ten invitations are open |
//! | 422 | the upstream does not take it: a limit of its, a form that it has not, or more than an approved template for somebody who has not written lately; or these settings are wrong: `problems` says of each `key` what the `problem` is, as `threedots check` does |
//! | 429 | there were ten wrong tokens within a second: for the rest of it no token is looked at |
//! | 503 | the store cannot do it; of several letters, [`LettersChanged`] says which were done |
//!
//! In the settings of a bot, `{"$secret": "…"}` stands where a secret goes: it is kept in a file of its own that only
//! threedots may read, and never shown. What is shown in its place, `{"$secret": null}`, keeps it when it is put again.
//! Files and commands of this machine cannot be named; variables of the environment, as `"env:NAME"`, and addresses of
//! this machine's network only as far as the `hosting` table of the configuration allows
//! ([`HostingConfig`](crate::runtime::hosting::HostingConfig)), also after a restart.
//!
//! A conversation is named in the body, or by the number of a dead letter: no phone number stands in an address, which
//! proxies log. Each replay, discard, pause, resumption, erasure, message, invitation, revocation and change of a bot
//! writes one line of the log (`audit`), in numbers. A caller who hangs up in the middle changes nothing about that.

mod api;
mod door;
mod host;
mod local;
mod pairing;
mod remote;
mod route;
pub mod telemetry;
mod views;

use std::net::SocketAddr;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::message::secret::SecretRef;
use crate::store::{Forgotten, Seq};
pub use api::{Api, routes};
pub use host::{BotHosting, Bots, Flaw, HostError, Hosted, Put, Reloaded, Removed};
pub use local::LocalAdmin;
pub use pairing::{InvitationView, Invited, LetIn, MembersView, Revoked, Withdrawn};
pub use remote::RemoteAdmin;
pub use views::{
    ApiError, BotState, ContactView, EnqueuedView, Letter, Letters, LettersChanged, PageQuery, PartOfReply, PauseFor,
    Private, SentAt, StatusView, Waits, Whom,
};

/// Where the operator's API is. The `operator` table of the configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OperatorConfig {
    /// Address and port to listen on. TLS ends in front of threedots, if the address is not this machine's own.
    pub listen: String,
    /// What a caller has to show; 32 bytes at the least. Without one there is no listener.
    pub token: Option<SecretRef>,
}

impl Default for OperatorConfig {
    fn default() -> Self {
        Self { listen: "127.0.0.1:8081".into(), token: None }
    }
}

/// The length of the shortest token that is taken, in bytes: nobody guesses 32 random ones.
const SHORTEST_TOKEN: usize = 32;

impl OperatorConfig {
    /// The address, if it is one.
    pub fn address(&self) -> Option<SocketAddr> {
        self.listen.parse().ok()
    }

    /// Fetches the token, if there is one. `env` looks up environment variables.
    ///
    /// # Errors
    /// What to do about it, without a word of the token.
    pub fn token(&self, env: &dyn Fn(&str) -> Option<String>) -> Result<Option<SecretString>, String> {
        let Some(token) = &self.token else { return Ok(None) };
        let token = token.resolve(env)?;
        let is_sendable = token.expose_secret().bytes().all(|byte| byte.is_ascii_graphic());
        if token.expose_secret().len() < SHORTEST_TOKEN || !is_sendable {
            return Err(format!(
                "must be {SHORTEST_TOKEN} or more ASCII letters, digits and signs: `openssl rand -hex 32` makes one"
            ));
        }
        Ok(Some(token))
    }
}

/// What an operator can do to a store: one that this process has open ([`LocalAdmin`]), or another's ([`RemoteAdmin`]).
#[async_trait]
pub trait Admin: Send + Sync {
    /// Dead letters, in the order of their numbers.
    async fn dead(&self, page: &PageQuery) -> Result<Letters, ApiError>;

    /// One dead letter, words and all.
    async fn letter(&self, letter: Seq) -> Result<Letter, ApiError>;

    /// Makes dead letters wait again.
    async fn replay(&self, letters: &[Seq]) -> Result<LettersChanged, ApiError>;

    /// Throws dead letters away.
    async fn discard(&self, letters: &[Seq]) -> Result<LettersChanged, ApiError>;

    /// Has a person answer somebody, and the bot keep silent.
    async fn pause(&self, whom: &Whom, pause: PauseFor) -> Result<ContactView, ApiError>;

    /// Has the bot answer again.
    async fn resume(&self, whom: &Whom) -> Result<ContactView, ApiError>;

    /// Has a bot say something unasked, once for a key: `body` is that of `POST /v1/bots/{bot}/messages`.
    async fn send(&self, bot: &str, key: &str, body: &Value) -> Result<EnqueuedView, ApiError>;

    /// Makes a code that lets somebody in to a private bot, once.
    async fn invite(&self, bot: &str, lasts: PauseFor) -> Result<Invited, ApiError>;

    /// Who is let in to a private bot, by name, behind the place where an earlier list ended; and who may be.
    async fn members(&self, bot: &str, after: Option<String>) -> Result<MembersView, ApiError>;

    /// Takes an invitation back, or has somebody be in no longer.
    async fn revoke(&self, bot: &str, what: &Revoked) -> Result<Withdrawn, ApiError>;

    /// Erases a person.
    async fn forget(&self, whom: &Whom) -> Result<Forgotten, ApiError>;

    /// Makes everything durable, and lets go of what it holds.
    async fn close(&self);
}
