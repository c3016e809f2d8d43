//! The `provider` table of a bot's configuration with `kind = "wawp"`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::limits::{self, Takes};
use super::super::line::{Dialect, Manners, Seen, WawpSession};
use super::super::verifier::{Signature, Trust, WawpVerifier};
use super::Wawp;
use crate::message::clock::in_words;
use crate::message::secret::SecretRef;
use crate::provider::hosts::Hosts;
use crate::provider::{GroupTyping, Provider, ProviderConfig, ProviderContext, Resolve};

/// One number on Wawp, as it is configured.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WawpConfig {
    /// The instance's identifier in Wawp's dashboard. Half of the credentials.
    pub instance_id: SecretRef,
    /// The account's token.
    pub access_token: SecretRef,
    /// The secret that was given to Wawp with the webhook (its field `hmac`); empty if there is none.
    pub webhook_secret: SecretRef,
    /// The signatures that are looked for. One that is right is enough.
    pub signatures: Vec<Signature>,
    /// A token in the webhook's own address; empty if there is none. It is as good as a signature.
    pub url_token: SecretRef,
    /// The query parameter that carries it.
    pub url_token_key: String,
    /// Whether webhooks are accepted that nothing vouches for.
    pub accept_unsigned: bool,
    /// Where calls carry the credentials.
    pub credentials: CredentialsIn,
    /// Where Wawp is.
    pub base_url: String,
    /// What the words of a text are called.
    pub text_field: TextField,
    /// How a medium is described.
    pub media_style: MediaStyle,
    /// What a read call names.
    pub seen: Seen,
    /// The path that shows "recording"; empty if there is none: then it is "typing".
    pub recording_path: String,
    /// Whether `message.any` is read as well as `message`: it alone tells of what a person writes on the phone.
    pub message_any: bool,
    /// From where media may be fetched besides `base_url`, without credentials: hosts, or `*.` and a domain.
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

/// Where calls carry the credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialsIn {
    /// In the JSON body, as Wawp's tables have it.
    Body,
    /// In the address, as Wawp's samples have it: it may stand in the logs of whatever lies between.
    Query,
    /// In headers, as Wawp's Python SDK has it.
    Headers,
}

/// What the words of a text are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextField {
    /// `message`, as Wawp's page has it.
    Message,
    /// `text`, as WAHA has it.
    Text,
}

impl TextField {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Text => "text",
        }
    }
}

/// How a medium is described.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaStyle {
    /// `"file[url]": …`, with the brackets in the key, as Wawp's pages have it.
    Brackets,
    /// `"file": { "url": … }`, as Wawp's MCP server has it.
    Nested,
}

impl fmt::Debug for WawpConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WawpConfig(…)")
    }
}

impl Default for WawpConfig {
    fn default() -> Self {
        Self {
            instance_id: SecretRef::default(),
            access_token: SecretRef::default(),
            webhook_secret: SecretRef::default(),
            signatures: vec![Signature::default()],
            url_token: SecretRef::default(),
            url_token_key: "secret".to_owned(),
            accept_unsigned: false,
            credentials: CredentialsIn::Body,
            base_url: "https://api.wawp.net".to_owned(),
            text_field: TextField::Message,
            media_style: MediaStyle::Brackets,
            seen: Seen::Message,
            recording_path: String::new(),
            message_any: true,
            media_hosts: vec!["*.wawp.net".to_owned()],
            timeout: Duration::from_secs(15),
            lead: Duration::from_secs(2),
            typing_refresh: Duration::from_secs(8),
            typing_lifetime: Duration::from_secs(20),
            group_typing: GroupTyping::Show,
            large_groups: Vec::new(),
            messages_per_minute: 0,
        }
    }
}

impl ProviderConfig for WawpConfig {
    const KIND: &'static str = "wawp";
    const TEMPLATE: &'static str = include_str!("../../../../templates/providers/wawp.toml");
    const FREE_HANDLES: bool = false;

    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn text_limit(&self) -> usize {
        limits::TEXT
    }

    fn connect(&self, resolve: &mut Resolve<'_>, around: ProviderContext) -> Arc<dyn Provider> {
        let takes: Takes = Wawp::TAKES;
        let recording: Vec<_> = self.recording_path.split('/').filter(|s| !s.is_empty()).map(str::to_owned).collect();
        let recording = (!recording.is_empty()).then_some(recording);
        let trust = Trust {
            webhook_secret: &self.webhook_secret,
            signatures: &self.signatures,
            url_token: &self.url_token,
            url_token_key: &self.url_token_key,
            accept_unsigned: self.accept_unsigned,
            algorithm_header: None,
        };
        let manners = Manners {
            seen: self.seen,
            recording: recording.is_some(),
            stop_before_send: false,
            lead: self.lead,
            typing_refresh: self.typing_refresh,
            typing_lifetime: self.typing_lifetime,
            group_typing: self.group_typing,
            large_groups: &self.large_groups,
            messages_per_minute: self.messages_per_minute,
        };
        let base_url = resolve.address("base_url", &self.base_url);
        let secret = match self.credentials {
            CredentialsIn::Headers => Resolve::header_secret,
            CredentialsIn::Body | CredentialsIn::Query => Resolve::secret,
        };
        Arc::new(WawpSession {
            bot: around.bot,
            verifier: WawpVerifier::new(&trust, resolve),
            any: self.message_any,
            media_hosts: Hosts::new(&self.media_hosts, &base_url),
            abilities: manners.abilities(takes, resolve),
            dialect: Wawp {
                base_url,
                instance_id: secret(resolve, "instance_id", &self.instance_id),
                access_token: secret(resolve, "access_token", &self.access_token),
                credentials: self.credentials,
                text_field: self.text_field,
                media_style: self.media_style,
                seen: self.seen,
                recording,
                timeout: self.timeout,
            },
            transport: around.transport,
            clock: around.clock,
        })
    }
}
