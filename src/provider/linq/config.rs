//! The `provider` table of a bot's configuration with `kind = "linq"`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use super::webhook::{LegacyKey, Rules, decoded};
use super::{Linq, limits};
use crate::message::clock::in_words;
use crate::message::secret::SecretRef;
use crate::provider::{Provider, ProviderConfig, ProviderContext, Resolve, Secrets, SigningSecret};

/// One line on Linq's Partner API V3, as it is configured.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LinqConfig {
    /// The key of the Partner API.
    pub api_key: SecretRef,
    /// The webhook subscription's `signing_secret`; a list while one takes over from another.
    pub webhook_secret: Secrets,
    /// The bot's line, as Linq writes it; empty if it serves whatever its webhook subscription brings.
    pub number: String,
    /// Where the Partner API is, without `/v3`.
    pub base_url: String,
    /// From where media may be fetched: hosts, or `*.` and a domain. The key is never sent there.
    pub media_hosts: Vec<String>,
    /// How long one call may take.
    #[serde(with = "in_words")]
    pub timeout: Duration,
    /// How far a signature's time may lie from now, in the past or the future.
    #[serde(with = "in_words")]
    pub webhook_tolerance: Duration,
    /// Whether the older, deprecated signature is accepted as well.
    pub legacy_signature: bool,
    /// What the older signature's key is.
    pub legacy_key: LegacyKey,
    /// Whether the dots are tried in groups.
    pub group_typing: GroupTypingPolicy,
    /// For how long a group is left alone that has refused them.
    #[serde(with = "in_words")]
    pub group_typing_pause: Duration,
    /// How long the dots show if nothing takes them off.
    #[serde(with = "in_words")]
    pub typing_lifetime: Duration,
    /// How long after one start of the dots the next follows.
    #[serde(with = "in_words")]
    pub typing_refresh: Duration,
    /// The service that messages should go out by.
    pub preferred_service: PreferredService,
    /// The longest text that goes out as one message, in characters.
    pub text_limit: usize,
    /// Whether a voice note goes out as a voice memo with a bubble of its own, and not as a sound file.
    pub voice_memos: bool,
    /// How many messages one person is sent in `pair_period` at most; 0 if there is no limit.
    pub pair_messages: u32,
    /// In how long.
    #[serde(with = "in_words")]
    pub pair_period: Duration,
}

/// What is shown in groups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupTypingPolicy {
    /// Nothing: Linq's stop-typing page says that groups refuse it.
    #[default]
    Skip,
    /// The dots, unless the group refuses them: newer pages say that groups have them.
    Try,
}

/// The service that messages should go out by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PreferredService {
    /// Linq decides.
    #[default]
    Auto,
    /// iMessage.
    IMessage,
    /// RCS.
    Rcs,
    /// SMS.
    Sms,
}

impl PreferredService {
    pub(super) fn on_the_wire(self) -> Option<&'static str> {
        match self {
            Self::Auto => None,
            Self::IMessage => Some("iMessage"),
            Self::Rcs => Some("RCS"),
            Self::Sms => Some("SMS"),
        }
    }
}

/// The address may hold credentials, and the number is one.
impl fmt::Debug for LinqConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinqConfig(…)")
    }
}

impl Default for LinqConfig {
    fn default() -> Self {
        Self {
            api_key: SecretRef::default(),
            webhook_secret: Secrets::default(),
            number: String::new(),
            base_url: "https://api.linqapp.com/api/partner".into(),
            media_hosts: vec!["*.linqapp.com".into()],
            timeout: Duration::from_secs(15),
            webhook_tolerance: Duration::from_secs(300),
            legacy_signature: false,
            legacy_key: LegacyKey::Full,
            group_typing: GroupTypingPolicy::Skip,
            group_typing_pause: Duration::from_secs(6 * 3600),
            typing_lifetime: Duration::from_secs(60),
            typing_refresh: Duration::from_secs(45),
            preferred_service: PreferredService::Auto,
            text_limit: limits::TEXT,
            voice_memos: false,
            pair_messages: 30,
            pair_period: Duration::from_secs(60),
        }
    }
}

impl ProviderConfig for LinqConfig {
    const KIND: &'static str = "linq";
    const TEMPLATE: &'static str = include_str!("../../../templates/providers/linq.toml");

    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn text_limit(&self) -> usize {
        self.text_limit
    }

    fn connect(&self, resolve: &mut Resolve<'_>, around: ProviderContext) -> Arc<dyn Provider> {
        let api_key = resolve.header_secret("api_key", &self.api_key);
        let secrets = self.secrets(resolve);
        let base_url = resolve.address("base_url", &self.base_url);
        let digits = self.number.strip_prefix('+').unwrap_or("?");
        let is_number = self.number.is_empty() || digits.len() >= 7 && digits.bytes().all(|c| c.is_ascii_digit());
        resolve.require(is_number, "number", "must be the line's number with its plus, such as \"+12025550100\"");
        let lasts = self.typing_refresh > Duration::ZERO && self.typing_refresh <= self.typing_lifetime;
        resolve.require(lasts, "typing_refresh", "must be more than 0s and no longer than typing_lifetime");
        let is_limit = (1..=limits::TEXT).contains(&self.text_limit);
        resolve.require(is_limit, "text_limit", "must be 1 to 10000: Linq takes no longer text");
        Arc::new(Linq::new(self, api_key, &secrets, base_url, around))
    }
}

impl LinqConfig {
    pub(super) fn rules(&self) -> Rules {
        Rules { tolerance: self.webhook_tolerance, legacy: self.legacy_signature.then_some(self.legacy_key) }
    }

    /// The signing secrets, each good for a signature that is accepted.
    fn secrets(&self, resolve: &mut Resolve<'_>) -> Vec<SigningSecret> {
        let secrets = self.webhook_secret.resolve("webhook_secret", resolve);
        let any_will_do = self.legacy_signature && self.legacy_key == LegacyKey::Full;
        for (number, secret) in secrets.iter().enumerate() {
            // One that is missing is noted already.
            if any_will_do || secret.secret.expose_secret().is_empty() || decoded(secret).is_some() {
                continue;
            }
            let key = match self.webhook_secret {
                Secrets::One(_) => "webhook_secret".to_owned(),
                Secrets::Several(_) => format!("webhook_secret[{number}].secret"),
            };
            let problem =
                "is not what Linq calls signing_secret: \"whsec_\" and base64, shown once with the subscription";
            resolve.wrong(&key, problem);
        }
        secrets
    }
}
