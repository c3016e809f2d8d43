//! What one number on Meta's Cloud API is configured with.

use std::fmt;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use crate::provider::SigningSecret;
use crate::provider::whatsapp::rates;

/// One number on Meta's Cloud API. [`MetaSettings::new`] has the defaults.
#[derive(Clone)]
pub struct MetaSettings {
    /// The number's identifier in Meta's dashboard; not the phone number itself.
    pub phone_number_id: String,
    /// A system user's token with the right `whatsapp_business_messaging`. Meta's "temporary" ones die within a day.
    pub access_token: SecretString,
    /// The app's secret, with which webhooks are signed; several while one takes over from another.
    pub app_secrets: Vec<SigningSecret>,
    /// The word that Meta shows in the handshake, chosen by the operator.
    pub verify_token: SecretString,
    /// Where Meta's Graph API is. Default: `https://graph.facebook.com`.
    pub base_url: Url,
    /// The version of the Graph API. Default: `v25.0`, which Meta serves until 2028-07-29.
    pub graph_version: String,
    /// From where media may be fetched with the token: a host, or `*.` and a domain for all hosts below it; either
    /// with `:port` where that is not the scheme's own. `base_url` is always one of them.
    /// Default: `lookaside.fbsbx.com`, `*.fbsbx.com`, `*.fbcdn.net`.
    pub media_hosts: Vec<String>,
    /// How long one call may take, its answer included. Uploads get a second more for each 256 KiB. Default: 15 s.
    pub send_timeout: Duration,
    /// How long after one start of the indicator the next may follow, or none for a single start. Inside 25 s a
    /// second start shows nothing, so a shorter time counts as 25 s. Default: 26 s.
    pub typing_refresh: Option<Duration>,
    /// How many times the indicator may be started again for one message. Default: 4.
    pub typing_max_refreshes: u32,
    /// How many messages the number sends in a second at most; 0 if there is no limit. Default: 80, Meta's limit.
    pub messages_per_second: u32,
    /// How long a message to one customer takes out of that customer's limit; zero if there is none. Default: 6 s.
    pub pair_every: Duration,
    /// How many messages one customer may be sent ahead of that. Default: 45.
    pub pair_burst: u32,
}

impl MetaSettings {
    /// Settings with a single secret, and the default for everything that has one.
    pub fn new(
        phone_number_id: impl Into<String>,
        access_token: SecretString,
        app_secret: SecretString,
        verify_token: SecretString,
    ) -> Self {
        Self {
            phone_number_id: phone_number_id.into(),
            access_token,
            app_secrets: vec![SigningSecret { secret: app_secret, until: None }],
            verify_token,
            base_url: Url::parse("https://graph.facebook.com").expect("a constant that is an address"),
            graph_version: "v25.0".to_owned(),
            media_hosts: ["lookaside.fbsbx.com", "*.fbsbx.com", "*.fbcdn.net"].map(str::to_owned).to_vec(),
            send_timeout: Duration::from_secs(15),
            typing_refresh: Some(Duration::from_secs(26)),
            typing_max_refreshes: 4,
            messages_per_second: rates::PER_SECOND,
            pair_every: rates::PAIR_EVERY,
            pair_burst: rates::PAIR_BURST,
        }
    }
}

/// The address may hold credentials and everything else is secret or of no use in a log.
impl fmt::Debug for MetaSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MetaSettings({})", self.phone_number_id)
    }
}
