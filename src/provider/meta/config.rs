//! The `provider` table of a bot's configuration with `kind = "meta"`.

use std::fmt;
use std::time::Duration;

use secrecy::SecretString;
use serde::de::value::StrDeserializer;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{AppSecret, MetaSettings};
use crate::clock::{Timestamp, in_words};
use crate::http::is_private_enough;
use crate::secret::SecretRef;

/// One number on Meta's Cloud API, as it is configured.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetaConfig {
    /// The number's identifier in Meta's dashboard; not the phone number itself.
    pub phone_number_id: String,
    /// A system user's token with the right `whatsapp_business_messaging`.
    pub access_token: SecretRef,
    /// The app's secret; a list while one takes over from another.
    pub app_secret: AppSecrets,
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
}

/// The address may hold credentials: that is refused, but not before somebody may have shown it.
impl fmt::Debug for MetaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MetaConfig({})", self.phone_number_id)
    }
}

/// One secret, or several with their ends.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum AppSecrets {
    /// One.
    One(SecretRef),
    /// Several: a webhook is authentic if any of them says so.
    Several(Vec<EndingSecret>),
}

impl<'de> Deserialize<'de> for AppSecrets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrSeveral)
    }
}

/// A list is several secrets, whatever else may be wrong with it; everything else is one.
struct OneOrSeveral;

impl<'de> Visitor<'de> for OneOrSeveral {
    type Value = AppSecrets;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"env:NAME\" or \"file:PATH\", or a list such as [{ secret = \"env:NEW\" }]")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<AppSecrets, E> {
        SecretRef::deserialize(StrDeserializer::new(text)).map(AppSecrets::One)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<AppSecrets, A::Error> {
        let mut secrets = Vec::new();
        while let Some(secret) = list.next_element()? {
            secrets.push(secret);
        }
        Ok(AppSecrets::Several(secrets))
    }
}

/// A secret that may have an end.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndingSecret {
    /// The secret.
    pub secret: SecretRef,
    /// From when on it is no longer accepted: `2026-12-31`, or a time such as `2026-12-31T12:00:00Z`.
    #[serde(default)]
    pub until: Option<String>,
}

impl Default for MetaConfig {
    fn default() -> Self {
        // One place for the defaults: the settings.
        let nothing = SecretString::default;
        let settings = MetaSettings::new("", nothing(), nothing(), nothing());
        Self {
            phone_number_id: String::new(),
            access_token: SecretRef::default(),
            app_secret: AppSecrets::One(SecretRef::default()),
            verify_token: SecretRef::default(),
            base_url: settings.base_url.as_str().trim_end_matches('/').to_owned(),
            graph_version: settings.graph_version,
            media_hosts: settings.media_hosts,
            timeout: settings.send_timeout,
            typing_refresh: true,
            typing_refresh_every: settings.typing_refresh.unwrap_or_default(),
            typing_refreshes: settings.typing_max_refreshes,
        }
    }
}

impl MetaConfig {
    /// The settings that this describes, its secrets fetched.
    ///
    /// # Errors
    /// Every key that is wrong, and what to do about it.
    pub fn resolve(&self, env: &dyn Fn(&str) -> Option<String>) -> Result<MetaSettings, Vec<(String, String)>> {
        let mut problems = Vec::new();
        let mut wrong = |key: &str, problem: String| problems.push((key.to_owned(), problem));
        let mut fetch = |key: &str, secret: &SecretRef| {
            secret.resolve(env).unwrap_or_else(|problem| {
                wrong(key, problem);
                SecretString::default()
            })
        };
        let access_token = fetch("access_token", &self.access_token);
        let verify_token = fetch("verify_token", &self.verify_token);
        let secrets: Vec<_> = match &self.app_secret {
            AppSecrets::One(secret) => vec![(fetch("app_secret", secret), None)],
            AppSecrets::Several(secrets) => {
                let each = secrets.iter().enumerate().map(|(number, ending)| {
                    let secret = fetch(&format!("app_secret[{number}].secret"), &ending.secret);
                    (secret, ending.until.as_deref())
                });
                each.collect()
            }
        };
        let app_secrets = secrets.into_iter().enumerate().map(|(number, (secret, until))| {
            let until = until.map(|until| {
                end(until).unwrap_or_else(|| {
                    let key = format!("app_secret[{number}].until");
                    wrong(&key, "is no date: write for example \"2026-12-31\"".into());
                    Timestamp(0)
                })
            });
            AppSecret { secret, until }
        });
        let app_secrets: Vec<_> = app_secrets.collect();
        if app_secrets.is_empty() {
            wrong("app_secret", "is an empty list: nothing could ever be verified".into());
        }
        if self.phone_number_id.is_empty() || !self.phone_number_id.chars().all(|c| c.is_ascii_digit()) {
            wrong("phone_number_id", "must be the digits under \"Phone number ID\" in Meta's dashboard".into());
        }
        let version = self.graph_version.strip_prefix('v').and_then(|number| number.parse::<f32>().ok());
        if version.is_none() {
            wrong("graph_version", "must look like \"v25.0\"".into());
        }
        if self.typing_refresh && self.typing_refresh_every < Duration::from_secs(25) {
            wrong("typing_refresh_every", "must be 25s or more: inside 25 s a second call shows nothing".into());
        }
        let base_url = Url::parse(&self.base_url).ok().filter(is_private_enough);
        let mut settings =
            MetaSettings::new(&*self.phone_number_id, access_token, SecretString::default(), verify_token);
        match base_url {
            Some(base_url) => settings.base_url = base_url,
            None => wrong("base_url", "must be an https address without a user name: the token travels there".into()),
        }
        settings.app_secrets = app_secrets;
        settings.graph_version.clone_from(&self.graph_version);
        settings.media_hosts.clone_from(&self.media_hosts);
        settings.send_timeout = self.timeout;
        settings.typing_refresh = self.typing_refresh.then_some(self.typing_refresh_every);
        settings.typing_max_refreshes = self.typing_refreshes;
        if problems.is_empty() { Ok(settings) } else { Err(problems) }
    }
}

/// A day ends at its end, a time at itself.
fn end(until: &str) -> Option<Timestamp> {
    let day = || {
        let day = until.parse::<jiff::civil::Date>().ok()?.tomorrow().ok()?;
        Some(day.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    };
    let time = until.parse::<jiff::Timestamp>().ok().or_else(day)?;
    u64::try_from(time.as_millisecond()).ok().map(Timestamp)
}
