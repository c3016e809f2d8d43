//! The `provider` table of a bot's configuration with `kind = "meta"`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{Meta, MetaSettings};
use crate::message::clock::in_words;
use crate::message::secret::SecretRef;
use crate::provider::secrets::Secrets;
use crate::provider::whatsapp::{limits, rates};
use crate::provider::{Provider, ProviderConfig, ProviderContext, Resolve};

/// One number on Meta's Cloud API, as it is configured.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetaConfig {
    /// The number's identifier in Meta's dashboard; not the phone number itself.
    pub phone_number_id: String,
    /// A system user's token with the right `whatsapp_business_messaging`.
    pub access_token: SecretRef,
    /// The app's secret; a list while one takes over from another.
    pub app_secret: Secrets,
    /// The word that Meta shows in the handshake: yours to choose.
    pub verify_token: SecretRef,
    /// Where Meta's Graph API is.
    pub base_url: String,
    /// The version of the Graph API.
    pub graph_version: String,
    /// From where media may be fetched with the token: hosts, or `*.` and a domain.
    pub media_hosts: Vec<String>,
    /// How long one call may take.
    #[serde(with = "in_words")]
    pub timeout: Duration,
    /// Whether the dots are lit again when they have lapsed and the handler is still at work.
    pub typing_refresh: bool,
    /// How long after one start of the dots the next may follow; 25 s at the least.
    #[serde(with = "in_words")]
    pub typing_refresh_every: Duration,
    /// How many times they are lit again for one message.
    pub typing_refreshes: u32,
    /// How many messages the number sends in a second at most; 0 if there is no limit.
    pub messages_per_second: u32,
    /// How long a message to one customer takes out of that customer's limit; zero if there is none.
    #[serde(with = "in_words")]
    pub pair_every: Duration,
    /// How many messages one customer may be sent ahead of that.
    pub pair_burst: u32,
}

/// The address may hold credentials: that is refused, but not before somebody may have shown it.
impl fmt::Debug for MetaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MetaConfig({})", self.phone_number_id)
    }
}

impl Default for MetaConfig {
    fn default() -> Self {
        // One place for the defaults: the settings.
        let nothing = SecretString::default;
        let settings = MetaSettings::new("", nothing(), nothing(), nothing());
        Self {
            phone_number_id: String::new(),
            access_token: SecretRef::default(),
            app_secret: Secrets::default(),
            verify_token: SecretRef::default(),
            base_url: settings.base_url.as_str().trim_end_matches('/').to_owned(),
            graph_version: settings.graph_version,
            media_hosts: settings.media_hosts,
            timeout: settings.send_timeout,
            typing_refresh: true,
            typing_refresh_every: settings.typing_refresh.unwrap_or_default(),
            typing_refreshes: settings.typing_max_refreshes,
            messages_per_second: settings.messages_per_second,
            pair_every: settings.pair_every,
            pair_burst: settings.pair_burst,
        }
    }
}

impl ProviderConfig for MetaConfig {
    const KIND: &'static str = "meta";
    const TEMPLATE: &'static str = include_str!("../../../templates/providers/meta.toml");
    const FREE_HANDLES: bool = false;

    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn text_limit(&self) -> usize {
        limits::TEXT
    }

    fn connect(&self, resolve: &mut Resolve<'_>, around: ProviderContext) -> Arc<dyn Provider> {
        Arc::new(Meta::new(around.bot, self.settings(resolve), around.transport, around.clock))
    }
}

impl MetaConfig {
    /// The settings that this describes, its secrets fetched.
    pub fn settings(&self, resolve: &mut Resolve<'_>) -> MetaSettings {
        let access_token = resolve.header_secret("access_token", &self.access_token);
        let verify_token = resolve.secret("verify_token", &self.verify_token);
        let app_secrets = self.app_secret.resolve("app_secret", resolve);
        let is_number = !self.phone_number_id.is_empty() && self.phone_number_id.chars().all(|c| c.is_ascii_digit());
        let problem = "must be the digits under \"Phone number ID\" in Meta's dashboard";
        resolve.require(is_number, "phone_number_id", problem);
        let version = self.graph_version.strip_prefix('v').and_then(|number| number.parse::<f32>().ok());
        resolve.require(version.is_some(), "graph_version", "must look like \"v25.0\"");
        let is_late = !self.typing_refresh || self.typing_refresh_every >= Duration::from_secs(25);
        let problem = "must be 25s or more: inside 25 s a second call shows nothing";
        resolve.require(is_late, "typing_refresh_every", problem);
        rates::require_burst(resolve, self.pair_burst);
        let mut settings =
            MetaSettings::new(&*self.phone_number_id, access_token, SecretString::default(), verify_token);
        settings.base_url = resolve.address("base_url", &self.base_url);
        settings.app_secrets = app_secrets;
        settings.graph_version.clone_from(&self.graph_version);
        settings.media_hosts.clone_from(&self.media_hosts);
        settings.send_timeout = self.timeout;
        settings.typing_refresh = self.typing_refresh.then_some(self.typing_refresh_every);
        settings.typing_max_refreshes = self.typing_refreshes;
        settings.messages_per_second = self.messages_per_second;
        settings.pair_every = self.pair_every;
        settings.pair_burst = self.pair_burst;
        settings
    }
}
