//! The `provider` table of a bot's configuration with `kind = "waha"`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::limits;
use super::super::line::{Dialect, Manners, Seen, WawpSession};
use super::super::verifier::{Algorithm, Encoding, Signature, Trust, WawpVerifier};
use super::Waha;
use crate::message::clock::in_words;
use crate::message::secret::SecretRef;
use crate::provider::hosts::Hosts;
use crate::provider::{GroupTyping, Provider, ProviderConfig, ProviderContext, Resolve};

/// One session of a WAHA, as it is configured.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WahaConfig {
    /// The key that WAHA was started with, or one of its own making.
    pub api_key: SecretRef,
    /// The key in the session's webhook under `hmac`; empty if there is none.
    pub webhook_secret: SecretRef,
    /// A token in the webhook's own address; empty if there is none. It is as good as a signature.
    pub url_token: SecretRef,
    /// The query parameter that carries it.
    pub url_token_key: String,
    /// Whether webhooks are accepted that nothing vouches for.
    pub accept_unsigned: bool,
    /// The session's name. Webhooks of another session are left out.
    pub session: String,
    /// Where WAHA is.
    pub base_url: String,
    /// Whether plain http will do for `base_url` on another machine: the key travels in clear text.
    pub plain_http: bool,
    /// What a read call names.
    pub seen: Seen,
    /// Whether texts and places go out under names that follow from our own.
    pub own_message_ids: bool,
    /// Whether the dots are taken off by a call before a message leaves.
    pub stop_before_send: bool,
    /// Whether `message.any` is read as well as `message`: it alone tells of what a person writes on the phone.
    pub message_any: bool,
    /// From where media may be fetched besides `base_url`, without the key: hosts, or `*.` and a domain.
    pub media_hosts: Vec<String>,
    /// How long one call may take.
    #[serde(with = "in_words")]
    pub timeout: Duration,
    /// How long the dots should have shown before the text comes; 3 s at most.
    #[serde(with = "in_words")]
    pub lead: Duration,
    /// How long after one start of the dots the next follows.
    #[serde(with = "in_words")]
    pub typing_refresh: Duration,
    /// How long they show if nothing takes them off.
    #[serde(with = "in_words")]
    pub typing_lifetime: Duration,
    /// What is shown in groups.
    pub group_typing: GroupTyping,
    /// The groups of 200 people and more.
    pub large_groups: Vec<String>,
    /// How many messages the number sends in a minute at most; 0 if there is no limit.
    pub messages_per_minute: u32,
}

impl fmt::Debug for WahaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WahaConfig(…)")
    }
}

impl Default for WahaConfig {
    fn default() -> Self {
        Self {
            api_key: SecretRef::default(),
            webhook_secret: SecretRef::default(),
            url_token: SecretRef::default(),
            url_token_key: "secret".to_owned(),
            accept_unsigned: false,
            session: "default".to_owned(),
            base_url: "http://localhost:3000".to_owned(),
            plain_http: false,
            seen: Seen::Message,
            own_message_ids: false,
            stop_before_send: false,
            message_any: true,
            media_hosts: Vec::new(),
            timeout: Duration::from_secs(15),
            lead: Duration::from_secs(2),
            typing_refresh: Duration::from_secs(8),
            typing_lifetime: Duration::from_secs(10),
            group_typing: GroupTyping::Show,
            large_groups: Vec::new(),
            messages_per_minute: 0,
        }
    }
}

impl ProviderConfig for WahaConfig {
    const KIND: &'static str = "waha";
    const TEMPLATE: &'static str = include_str!("../../../../templates/providers/waha.toml");
    const FREE_HANDLES: bool = false;

    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn text_limit(&self) -> usize {
        limits::TEXT
    }

    fn connect(&self, resolve: &mut Resolve<'_>, around: ProviderContext) -> Arc<dyn Provider> {
        let signature = Signature {
            header: "X-Webhook-Hmac".to_owned(),
            algorithm: Algorithm::Sha512,
            encoding: Encoding::Hex,
            prefix: String::new(),
        };
        let trust = Trust {
            webhook_secret: &self.webhook_secret,
            signatures: &[signature],
            url_token: &self.url_token,
            url_token_key: &self.url_token_key,
            accept_unsigned: self.accept_unsigned,
            algorithm_header: Some("X-Webhook-Hmac-Algorithm"),
        };
        let manners = Manners {
            seen: self.seen,
            recording: true,
            stop_before_send: self.stop_before_send,
            lead: self.lead,
            typing_refresh: self.typing_refresh,
            typing_lifetime: self.typing_lifetime,
            group_typing: self.group_typing,
            large_groups: &self.large_groups,
            messages_per_minute: self.messages_per_minute,
        };
        resolve.require(!self.session.is_empty(), "session", "is empty: write the session's name, such as \"default\"");
        let base_url = resolve.own_address("base_url", &self.base_url, self.plain_http);
        Arc::new(WawpSession {
            bot: around.bot,
            verifier: WawpVerifier::new(&trust, resolve),
            any: self.message_any,
            media_hosts: Hosts::new(&self.media_hosts, &base_url).plain_http(self.plain_http, &base_url),
            abilities: manners.abilities(Waha::TAKES, resolve),
            dialect: Waha {
                own_host: Hosts::new(&[], &base_url).plain_http(self.plain_http, &base_url),
                base_url,
                api_key: resolve.header_secret("api_key", &self.api_key),
                session: self.session.clone(),
                seen: self.seen,
                own_message_ids: self.own_message_ids,
                timeout: self.timeout,
            },
            transport: around.transport,
            clock: around.clock,
        })
    }
}
