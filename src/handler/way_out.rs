//! Calls to somebody else's code: where they may go, and how the other side knows who calls.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::sign::RequestSigningKey;
use crate::message::clock::Timestamp;
use crate::runtime::http::names::{InLane, LookupLane, Names};
use crate::runtime::http::reach::{self, Lookup};
use crate::runtime::http::{Body, Bounded, Call, Client, ClientError, MayCall, Shared, Transport};

/// The ways out that a handler may take.
#[derive(Clone)]
pub struct Egress {
    /// To wherever the operator says.
    pub anywhere: Arc<dyn Transport>,
    /// To the public internet alone.
    pub public: Arc<dyn Transport>,
    /// To language models.
    pub models: Shared,
}

impl Egress {
    /// Those to the world. Connects to nothing yet.
    ///
    /// # Errors
    /// When the machine's TLS roots cannot be read.
    pub fn open() -> Result<Self, ClientError> {
        Self::looking_up(Names::system())
    }

    /// The same, where `lookup` says what a name leads to.
    ///
    /// # Errors
    /// When the machine's TLS roots cannot be read.
    pub fn looking_up(lookup: Arc<dyn Lookup>) -> Result<Self, ClientError> {
        let anywhere = Client::looking_up(Arc::clone(&lookup))?;
        Ok(Self { anywhere, public: Client::public_only(Arc::clone(&lookup))?, models: Shared::looking_up(lookup) })
    }

    /// The same ways for one bot: names that do not resolve hold up its own calls, and not those of others.
    #[must_use]
    pub fn of_one_bot(&self) -> Self {
        let lane = LookupLane::default();
        let in_lane =
            |transport: &Arc<dyn Transport>| -> Arc<dyn Transport> { InLane::new(Arc::clone(transport), lane.clone()) };
        Self {
            anywhere: in_lane(&self.anywhere),
            public: in_lane(&self.public),
            models: self.models.in_lane(lane.clone()),
        }
    }

    /// The same for a bot that was put over the operator's API: to the public internet, and to where `may_call` says.
    #[must_use]
    pub fn bounded(&self, may_call: MayCall) -> Self {
        let Self { anywhere, public, models } = self;
        let bounded = Bounded::new(Arc::clone(&may_call), Arc::clone(anywhere), Arc::clone(public));
        let bounded: Arc<dyn Transport> = Arc::new(bounded);
        Self { anywhere: Arc::clone(&bounded), public: bounded, models: models.bounded(may_call) }
    }
}

/// A setting that cannot be used: its key, and what to do.
pub(super) type SettingProblem = (&'static str, String);

/// One address, the way to it, and the key that what goes there is signed with.
pub(super) struct WayOut {
    url: Url,
    key: Option<RequestSigningKey>,
    pub(super) transport: Arc<dyn Transport>,
    private: bool,
}

/// The address in `url`, if a call may go there: https and public, or whatever it is if it is `private`.
pub(super) fn address(url: &str, private: bool) -> Result<Url, SettingProblem> {
    let url = Url::parse(url).ok().filter(|url| match private {
        true => matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none(),
        false => reach::may_be_public(url),
    });
    let problem = if private {
        "must be an http or https address, without credentials"
    } else {
        "must be an https address in the public internet; for one on this machine or in its network, set `private = true`"
    };
    url.ok_or_else(|| ("url", problem.into()))
}

impl WayOut {
    /// The way to `url`; what goes there is signed if there is a `secret`.
    pub(super) fn new(
        url: &str,
        secret: Option<&SecretString>,
        private: bool,
        ways_out: &Egress,
    ) -> Result<Self, Vec<SettingProblem>> {
        let url = address(url, private);
        let key = secret.map(RequestSigningKey::new).transpose().map_err(|problem| ("secret", problem));
        let transport = Arc::clone(if private { &ways_out.anywhere } else { &ways_out.public });
        let url = url.and_then(|url| match transport.refuses(&url) {
            Some(problem) => Err(("url", problem.into())),
            None => Ok(url),
        });
        match (url, key) {
            (Ok(url), Ok(key)) => Ok(Self { url, key, transport, private }),
            (url, key) => Err(url.err().into_iter().chain(key.err()).collect()),
        }
    }

    /// A call with this body: known to the other side as `id`, however often it is made, and answered within `left`.
    pub(super) fn call(
        &self,
        id: &str,
        now: Timestamp,
        left: Duration,
        accept: &str,
        body: Vec<u8>,
        timeout: Duration,
    ) -> Call {
        let mut headers = vec![
            ("webhook-id".into(), id.to_owned()),
            ("idempotency-key".into(), id.to_owned()),
            ("webhook-timestamp".into(), (now.0 / 1000).to_string()),
            ("threedots-deadline-ms".into(), left.as_millis().to_string()),
            ("accept".into(), accept.to_owned()),
        ];
        if let Some(key) = &self.key {
            headers.push(("webhook-signature".into(), key.sign(id, now, &body)));
        }
        let url = self.url.clone();
        Call { method: "POST", url, headers, body: Body::Json(body.into()), timeout, in_clear: self.private }
    }
}
