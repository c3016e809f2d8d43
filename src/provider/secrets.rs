//! Secrets with which webhooks are signed: one, or several while one takes over from another.

use std::fmt;

use secrecy::SecretString;
use serde::de::value::StrDeserializer;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::Resolve;
use crate::message::clock::Timestamp;
use crate::message::secret::SecretRef;

/// One secret, or several with their ends.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Secrets {
    /// One.
    One(SecretRef),
    /// Several: a webhook is authentic if any of them says so.
    Several(Vec<EndingSecret>),
}

impl Default for Secrets {
    /// One that is missing.
    fn default() -> Self {
        Self::One(SecretRef::default())
    }
}

impl<'de> Deserialize<'de> for Secrets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrSeveral)
    }
}

/// A list is several secrets, whatever else may be wrong with it; everything else is one.
struct OneOrSeveral;

impl<'de> Visitor<'de> for OneOrSeveral {
    type Value = Secrets;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"env:NAME\" or \"file:PATH\", or a list such as [{ secret = \"env:NEW\" }]")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Secrets, E> {
        SecretRef::deserialize(StrDeserializer::new(text)).map(Secrets::One)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Secrets, A::Error> {
        let mut secrets = Vec::new();
        while let Some(secret) = list.next_element()? {
            secrets.push(secret);
        }
        Ok(Secrets::Several(secrets))
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

/// A secret in hand, and when it ends.
#[derive(Clone, Debug)]
pub struct SigningSecret {
    /// The secret. An empty one verifies nothing.
    pub secret: SecretString,
    /// From when on it is no longer accepted; none if it stays.
    pub until: Option<Timestamp>,
}

impl Secrets {
    /// The secrets that `key` names.
    pub(crate) fn resolve(&self, key: &str, resolve: &mut Resolve<'_>) -> Vec<SigningSecret> {
        let several = match self {
            Self::One(secret) => return vec![SigningSecret { secret: resolve.secret(key, secret), until: None }],
            Self::Several(several) => several,
        };
        resolve.require(!several.is_empty(), key, "is an empty list: nothing could ever be verified");
        let mut secrets = Vec::with_capacity(several.len());
        for (number, ending) in several.iter().enumerate() {
            let secret = resolve.secret(&format!("{key}[{number}].secret"), &ending.secret);
            let until = ending.until.as_deref().map(end);
            if until == Some(None) {
                resolve.wrong(&format!("{key}[{number}].until"), "is no date: write for example \"2026-12-31\"");
            }
            secrets.push(SigningSecret { secret, until: until.flatten() });
        }
        secrets
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
