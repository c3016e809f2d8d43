//! The `provider` table of a bot's configuration with `kind = "nxcloud"`.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use super::names::{Actions, CallbackHeaders, Paths, require_word};
use super::webhook::NxcloudVerifier;
use super::{LIFETIME, NxCloud, abilities};
use crate::message::clock::in_words;
use crate::message::secret::SecretRef;
use crate::provider::hosts::Hosts;
use crate::provider::whatsapp::sender::phone;
use crate::provider::whatsapp::{limits, rates};
use crate::provider::{Provider, ProviderConfig, ProviderContext, Resolve};

/// The shortest token in the webhook's address, in characters.
const SHORTEST_TOKEN: usize = 16;

/// One number on NXCloud, as it is configured.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NxCloudConfig {
    /// The number, with its country's code.
    pub business_phone: String,
    /// Names the account, in every call.
    pub access_key: SecretRef,
    /// Signs every call.
    pub access_secret: SecretRef,
    /// Names the application.
    pub appkey: SecretRef,
    /// Whether callbacks have to be signed.
    pub callback_signing: Signing,
    /// With what callbacks are signed, if not with `access_secret`.
    pub callback_secret: SecretRef,
    /// A word in the webhook's address, as `?token=…`; empty if there is none.
    pub token: SecretRef,
    /// How old a callback's signature may be; zero if that does not matter.
    #[serde(with = "in_words")]
    pub callback_tolerance: Duration,
    /// The headers of a signed callback.
    pub callback_headers: CallbackHeaders,
    /// Where a callback names the number it is for: the first of these fields that is there.
    pub own_number_fields: Vec<String>,
    /// By what our calls name a message: the first of these fields that it has.
    pub message_id_fields: Vec<String>,
    /// Where NXCloud's API is.
    pub base_url: String,
    /// WhatsApp, among NXCloud's kinds of business.
    pub biz_type: String,
    /// The path of each call.
    pub paths: Paths,
    /// The `action` of each call.
    pub actions: Actions,
    /// Whether a customer's number is sent with a plus in front.
    pub plus: bool,
    /// The field that names a customer whose number is not known.
    pub user_id_field: String,
    /// The field of `context` that names the message which is quoted.
    pub quote_field: String,
    /// The `type` of a reaction, and of the object beside it.
    pub reaction_type: String,
    /// Whether an upload names the application too.
    pub upload_appkey: bool,
    /// What a callback is answered with, beside 200. NXCloud's pages do not say; its sister product wants `success`.
    pub acknowledgement: String,
    /// From where media may be fetched: hosts, or `*.` and a domain; if empty, from anywhere out there.
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

/// The address may hold credentials, and a phone number is nobody's business.
impl fmt::Debug for NxCloudConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NxCloudConfig(…)")
    }
}

/// Whether callbacks have to be signed. NXCloud signs them if the application is configured so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signing {
    /// All of them.
    Required,
    /// One that says that it is signed has to be signed rightly.
    Optional,
    /// No signature is looked at.
    Off,
}

impl Default for NxCloudConfig {
    fn default() -> Self {
        let words = |words: [&str; 2]| words.map(str::to_owned).to_vec();
        Self {
            business_phone: String::new(),
            access_key: SecretRef::default(),
            access_secret: SecretRef::default(),
            appkey: SecretRef::default(),
            callback_signing: Signing::Required,
            callback_secret: SecretRef::default(),
            token: SecretRef::default(),
            callback_tolerance: Duration::ZERO,
            callback_headers: CallbackHeaders::default(),
            own_number_fields: words(["business_phone", "merchant_phone"]),
            message_id_fields: words(["meta_message_id", "id"]),
            base_url: "https://api2.nxcloud.com".to_owned(),
            biz_type: "2".to_owned(),
            paths: Paths::default(),
            actions: Actions::default(),
            plus: false,
            user_id_field: "recipient".to_owned(),
            quote_field: "message_id".to_owned(),
            reaction_type: "reaction".to_owned(),
            upload_appkey: false,
            acknowledgement: "success".into(),
            media_hosts: Vec::new(),
            timeout: Duration::from_secs(15),
            typing_refresh: true,
            typing_refresh_every: Duration::from_secs(26),
            typing_refreshes: 4,
            messages_per_second: rates::PER_SECOND,
            pair_every: rates::PAIR_EVERY,
            pair_burst: rates::PAIR_BURST,
        }
    }
}

impl ProviderConfig for NxCloudConfig {
    const KIND: &'static str = "nxcloud";
    const TEMPLATE: &'static str = include_str!("../../../templates/providers/nxcloud.toml");
    const FREE_HANDLES: bool = false;

    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn text_limit(&self) -> usize {
        limits::TEXT
    }

    fn connect(&self, resolve: &mut Resolve<'_>, around: ProviderContext) -> Arc<dyn Provider> {
        let own = phone(&self.business_phone);
        resolve.require(own.is_some(), "business_phone", "must be the number in digits, its country's code first");
        self.check_words(resolve);
        let late = !self.typing_refresh || self.typing_refresh_every >= LIFETIME;
        let problem = "must be 25s or more: inside 25 s a second call shows nothing";
        resolve.require(late, "typing_refresh_every", problem);
        rates::require_burst(resolve, self.pair_burst);
        let access_secret = resolve.secret("access_secret", &self.access_secret);
        let access_key = resolve.header_secret("access_key", &self.access_key);
        let callback_secret = resolve.optional_secret("callback_secret", given(&self.callback_secret));
        let token = resolve.optional_secret("token", given(&self.token));
        let too_short = |token: &str| !token.is_empty() && token.chars().count() < SHORTEST_TOKEN;
        let guessable = token.as_ref().is_some_and(|token| too_short(token.expose_secret()));
        resolve.require(!guessable, "token", "can be guessed: take 16 random characters or more");
        let proven = self.callback_signing == Signing::Required || given(&self.token).is_some();
        let problem = "lets anybody in who finds the webhook's address: require signatures, or set a token as well";
        resolve.require(proven, "callback_signing", problem);
        let verifier = NxcloudVerifier {
            signing: self.callback_signing,
            headers: self.callback_headers.clone(),
            access_key: access_key.clone(),
            secret: callback_secret.unwrap_or_else(|| access_secret.clone()),
            tolerance: Some(self.callback_tolerance).filter(|tolerance| !tolerance.is_zero()),
            token,
        };
        let base_url = resolve.address("base_url", &self.base_url);
        Arc::new(NxCloud {
            bot: around.bot,
            own: own.unwrap_or_default(),
            access_key,
            access_secret,
            appkey: resolve.secret("appkey", &self.appkey),
            verifier,
            media_hosts: Hosts::new(&self.media_hosts, &base_url),
            base_url,
            abilities: abilities(self),
            config: self.clone(),
            transport: around.transport,
            clock: around.clock,
            clock_offset: AtomicI64::new(0),
        })
    }
}

impl NxCloudConfig {
    /// Notes the names and paths that could not be any.
    fn check_words(&self, resolve: &mut Resolve<'_>) {
        self.paths.check(resolve);
        self.actions.check(resolve);
        self.callback_headers.check(resolve);
        let words = [
            ("biz_type", &self.biz_type),
            ("user_id_field", &self.user_id_field),
            ("quote_field", &self.quote_field),
            ("reaction_type", &self.reaction_type),
        ];
        for (key, word) in words {
            require_word(resolve, key, word);
        }
        for (key, list) in
            [("own_number_fields", &self.own_number_fields), ("message_id_fields", &self.message_id_fields)]
        {
            resolve.require(!list.is_empty(), key, "must name at least one field");
        }
    }
}

/// A secret that may be left out, if it is not.
fn given(secret: &SecretRef) -> Option<&SecretRef> {
    Some(secret).filter(|secret| **secret != SecretRef::default())
}
