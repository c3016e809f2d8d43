//! What a sandbox is set up with.

use std::fmt;
use std::time::Duration;

use super::linq::signing_secret;
use super::phone::DotsRules;
use super::upstream::{ACCESS_TOKEN, ACCOUNT_ID, SIGNING_SECRET, Upstream, WEBHOOK_SECRET};

/// The account, the number and the habits of a sandbox's upstream. [`SandboxSettings::of`] has each upstream's own.
#[derive(Clone)]
pub struct SandboxSettings {
    /// Which upstream it is.
    pub upstream: Upstream,
    /// The id of the bot's number, as it stands in the paths of Meta's calls.
    pub phone_number_id: String,
    /// The digits of the bot's number.
    pub display_phone_number: String,
    /// The id of the business account, as it stands in webhooks; of the instance, the session or the app, where the
    /// upstream has such.
    pub account_id: String,
    /// The token that calls must carry.
    pub access_token: String,
    /// The secret that webhooks are signed with.
    pub app_secret: String,
    /// Where the upstream's API is, as a bot can reach it: addresses in webhooks are below it.
    pub api_url: String,
    /// Where webhooks go.
    pub webhook_url: String,
    /// The bot's name on the customers' phones.
    pub bot_name: String,
    /// How long the dots show if nothing takes them off. Meta: 25 s.
    pub typing_lifetime: Duration,
    /// For how long after the dots came on another typing call shows nothing. Seen on a real number: 25 s.
    pub typing_cooldown: Duration,
    /// Whether the upstream marks messages as read by itself, where it can: WhatsApp Gateway does.
    pub auto_read: bool,
    /// Whether the upstream shows the dots by itself when it has marked a message as read, where it can. Default: no.
    pub presence_typing: bool,
    /// Whether the upstream tells of the bot's messages as it does of a person's, where it can: WhatsApp Gateway, for
    /// who has asked for the event `message.from_me`. Default: no.
    pub own_echoes: bool,
    /// Whether it takes messages only as often as the real upstream does. Default: no.
    pub limits: bool,
    /// When the bot's messages are reported on.
    pub statuses: StatusDelays,
    /// When a webhook that was not taken is sent again.
    pub retries: RetrySchedule,
    /// How long a webhook may take before it counts as unanswered.
    pub webhook_patience: Duration,
    /// Decides every identifier that the sandbox gives out: the same seed, the same identifiers. None takes it from the
    /// clock, so that a store which outlives the sandbox never meets an identifier twice.
    pub seed: Option<u64>,
}

impl SandboxSettings {
    /// The settings of an upstream, its dots' lifetime among them.
    pub fn of(upstream: Upstream) -> Self {
        let DotsRules { lifetime, cooldown } = upstream.wire().dots();
        Self {
            upstream,
            phone_number_id: "106540352242922".to_owned(),
            display_phone_number: "12125550199".to_owned(),
            account_id: "102290129340398".to_owned(),
            access_token: "sandbox-access-token".to_owned(),
            app_secret: "sandbox-app-secret".to_owned(),
            api_url: "http://127.0.0.1:3333/graph".to_owned(),
            webhook_url: "http://127.0.0.1:8080/webhook".to_owned(),
            bot_name: "Demo bot".to_owned(),
            typing_lifetime: lifetime,
            typing_cooldown: cooldown,
            auto_read: true,
            presence_typing: false,
            own_echoes: false,
            limits: false,
            statuses: StatusDelays::default(),
            retries: RetrySchedule::default(),
            webhook_patience: Duration::from_secs(20),
            seed: None,
        }
    }

    /// The `provider` table of a bot that has this sandbox for its upstream, as TOML without its head. The upstream's
    /// API is below `base_url`. Its secrets stand in the environment under names that [`Self::secret`] knows.
    pub fn provider_table(&self, base_url: &str) -> String {
        self.upstream.wire().provider_table(self, base_url)
    }

    /// Looks up a secret of [`Self::provider_table`].
    pub fn secret(&self, name: &str) -> Option<String> {
        match name {
            ACCESS_TOKEN => Some(self.access_token.clone()),
            WEBHOOK_SECRET => Some(self.app_secret.clone()),
            SIGNING_SECRET => Some(signing_secret(&self.app_secret)),
            ACCOUNT_ID => Some(self.account_id.clone()),
            _ => None,
        }
    }
}

impl Default for SandboxSettings {
    /// Meta's.
    fn default() -> Self {
        Self::of(Upstream::Meta)
    }
}

impl fmt::Debug for SandboxSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SandboxSettings(…)")
    }
}

/// How long after a send each status is reported; none if it never is.
#[derive(Clone, Copy, Debug)]
pub struct StatusDelays {
    /// The upstream has it.
    pub sent: Option<Duration>,
    /// The phone has it.
    pub delivered: Option<Duration>,
    /// The customer has seen it.
    pub read: Option<Duration>,
}

impl Default for StatusDelays {
    fn default() -> Self {
        Self {
            sent: Some(Duration::from_millis(100)),
            delivered: Some(Duration::from_millis(400)),
            read: Some(Duration::from_millis(1500)),
        }
    }
}

/// How a webhook that was not taken is repeated: after `first`, then after twice as long each time, up to `longest`,
/// until it is taken.
#[derive(Clone, Copy, Debug)]
pub struct RetrySchedule {
    /// The first pause.
    pub first: Duration,
    /// No pause is longer.
    pub longest: Duration,
}

impl Default for RetrySchedule {
    fn default() -> Self {
        Self { first: Duration::from_secs(1), longest: Duration::from_secs(60) }
    }
}

impl RetrySchedule {
    /// The pause after the attempt of this number, counted from 1.
    pub(super) fn pause(&self, attempt: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(attempt.saturating_sub(1));
        self.first.saturating_mul(doubled).min(self.longest)
    }
}
