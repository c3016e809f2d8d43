//! The `provider` table of a bot's configuration with `kind = "gateway"`.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::webhook::GatewayVerifier;
use super::{Gateway, abilities};
use crate::message::ChatId;
use crate::message::clock::in_words;
use crate::message::secret::SecretRef;
use crate::provider::hosts::Hosts;
use crate::provider::signature::SigningKey512;
use crate::provider::whatsapp::limits;
use crate::provider::{GroupTyping, Provider, ProviderConfig, ProviderContext, Resolve};

/// One number behind a WhatsApp Gateway, as it is configured.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GatewayConfig {
    /// Where the gateway is: its own address, without `/api/v1`.
    pub base_url: String,
    /// Whether plain http will do for `base_url` on another machine: the key travels in clear text.
    pub plain_http: bool,
    /// The session that the number is attached to.
    pub session: String,
    /// An API key with the capability `send`. A login's token would end within minutes.
    pub access_token: SecretRef,
    /// How the key travels.
    pub credentials: KeyTransport,
    /// The secret that the webhook was registered with.
    pub webhook_secret: SecretRef,
    /// The header that carries the signature.
    pub webhook_header: String,
    /// Whether deliveries are taken that nothing is signed with.
    pub accept_unsigned: bool,
    /// What has to stand in the webhook's address as `?token=…`; empty if nothing has to.
    pub webhook_token: SecretRef,
    /// How far the time in a delivery's headers may be from ours; zero if it may be any.
    #[serde(with = "in_words")]
    pub webhook_tolerance: Duration,
    /// Whether only deliveries of this session are taken.
    pub match_session: bool,
    /// What marks messages as read.
    pub read: MarkReadBy,
    /// Whether the gateway's session has its own `presenceTyping` on.
    pub presence_typing: bool,
    /// How long the dots show if nothing takes them off.
    #[serde(with = "in_words")]
    pub typing_lifetime: Duration,
    /// How long after one start of the dots the next follows.
    #[serde(with = "in_words")]
    pub typing_refresh_every: Duration,
    /// What is shown in groups.
    pub group_typing: GroupTyping,
    /// Groups so large that dots are noise.
    pub large_groups: BTreeSet<ChatId>,
    /// Whether `@` is written as `%40` in addresses.
    pub encode_chat_id: bool,
    /// Whether a send that the gateway remembers as failed is made again, under another key.
    pub resend_failed: bool,
    /// From where media may be fetched besides the gateway: hosts, or `*.` and a domain.
    pub media_hosts: Vec<String>,
    /// How long one call may take.
    #[serde(with = "in_words")]
    pub timeout: Duration,
    /// How many messages the session sends in a minute at most; 0 if there is no limit.
    pub messages_per_minute: u32,
    /// And in an hour.
    pub messages_per_hour: u32,
}

/// How the key travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyTransport {
    /// `Authorization: Bearer …`
    Bearer,
    /// `x-api-key: …`
    XApiKey,
}

/// What marks messages as read. The gateway's own call for it shows the customer nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarkReadBy {
    /// Nothing from here: the session's own `autoRead` does, before the webhook leaves.
    AutoRead,
    /// The gateway's own count of unread messages is reset, and nothing else.
    LocalReset,
}

/// The address may hold credentials: that is refused, but not before somebody may have shown it.
impl fmt::Debug for GatewayConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GatewayConfig({})", self.session)
    }
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            base_url: String::new(),
            plain_http: false,
            session: String::new(),
            access_token: SecretRef::default(),
            credentials: KeyTransport::Bearer,
            webhook_secret: SecretRef::default(),
            webhook_header: "X-Webhook-Hmac".to_owned(),
            accept_unsigned: false,
            webhook_token: SecretRef::default(),
            webhook_tolerance: Duration::ZERO,
            match_session: true,
            read: MarkReadBy::AutoRead,
            presence_typing: false,
            typing_lifetime: Duration::from_secs(20),
            typing_refresh_every: Duration::from_secs(8),
            group_typing: GroupTyping::Show,
            large_groups: BTreeSet::new(),
            encode_chat_id: false,
            resend_failed: true,
            media_hosts: Vec::new(),
            timeout: Duration::from_secs(15),
            messages_per_minute: 20,
            messages_per_hour: 200,
        }
    }
}

impl ProviderConfig for GatewayConfig {
    const KIND: &'static str = "gateway";
    const TEMPLATE: &'static str = include_str!("../../../templates/providers/gateway.toml");
    const FREE_HANDLES: bool = false;

    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn text_limit(&self) -> usize {
        limits::TEXT
    }

    fn connect(&self, resolve: &mut Resolve<'_>, around: ProviderContext) -> Arc<dyn Provider> {
        let base_url = resolve.own_address("base_url", &self.base_url, self.plain_http);
        let is_name = !self.session.is_empty() && self.session.chars().all(|c| c.is_ascii_graphic() && c != '/');
        resolve.require(is_name, "session", "must be the session's identifier, as the gateway's dashboard shows it");
        let access_token = resolve.header_secret("access_token", &self.access_token);
        let verifier = self.verifier(resolve);
        self.check_typing(resolve);
        resolve.require(!self.timeout.is_zero(), "timeout", "must not be zero: no call would ever be answered");
        Arc::new(Gateway {
            bot: around.bot,
            media_hosts: Hosts::new(&self.media_hosts, &base_url).plain_http(self.plain_http, &base_url),
            base_url,
            session: self.session.clone(),
            match_session: self.match_session,
            access_token,
            credentials: self.credentials,
            encode_chat_id: self.encode_chat_id,
            resend_failed: self.resend_failed,
            read: self.read,
            timeout: self.timeout,
            verifier,
            abilities: abilities(self),
            transport: around.transport,
            clock: around.clock,
        })
    }
}

impl GatewayConfig {
    fn verifier(&self, resolve: &mut Resolve<'_>) -> GatewayVerifier {
        let is_set = |secret: &SecretRef| *secret != SecretRef::default();
        let secret = match (is_set(&self.webhook_secret), self.accept_unsigned) {
            (true, true) => {
                resolve.wrong("accept_unsigned", "contradicts webhook_secret: remove one of them");
                None
            }
            (false, true) => None,
            (_, false) => Some(resolve.secret("webhook_secret", &self.webhook_secret)),
        };
        let is_header = !self.webhook_header.is_empty()
            && self.webhook_header.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        resolve.require(is_header, "webhook_header", "must be the name of a header, such as \"X-Webhook-Hmac\"");
        let key = |secret: SecretString| SigningKey512::new(secret.expose_secret().as_bytes());
        GatewayVerifier {
            key: secret.map(key),
            header: self.webhook_header.clone(),
            token: is_set(&self.webhook_token).then(|| resolve.secret("webhook_token", &self.webhook_token)),
            tolerance: Some(self.webhook_tolerance).filter(|tolerance| !tolerance.is_zero()),
        }
    }

    fn check_typing(&self, resolve: &mut Resolve<'_>) {
        let fits = !self.typing_refresh_every.is_zero() && self.typing_refresh_every < self.typing_lifetime;
        resolve.require(fits, "typing_refresh_every", "must be shorter than typing_lifetime, and not zero");
        let are_groups = self.large_groups.iter().all(|chat| chat.as_str().ends_with("@g.us"));
        resolve.require(are_groups, "large_groups", "must be a list of groups, such as \"120363000000000001@g.us\"");
    }
}
