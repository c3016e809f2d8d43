//! How replies are sent.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::OnUnknown;
use crate::message::clock::in_words;
use crate::message::{Part, Payload};

/// How replies are sent. The `delivery` table of a bot's configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeliveryConfig {
    /// How long one send may take. Past that its outcome is unknown.
    #[serde(with = "in_words")]
    pub send_timeout: Duration,
    /// How long to wait for the upstream's report of a part of which nobody knows whether it was delivered, where
    /// reports carry our keys.
    #[serde(with = "in_words")]
    pub settle_window: Duration,
    /// What is done when nobody knows whether a part was delivered, and no word of it comes.
    pub on_unknown: OnUnknown,
    /// How often a part is tried before its message is dead, if `give_up_after` has passed as well.
    pub attempts: u32,
    /// How old a message is before its reply may be given up, if `attempts` have been made as well.
    #[serde(with = "in_words")]
    pub give_up_after: Duration,
    /// What the button says that opens a list, where the handler has asked for buttons and there are too many of them:
    /// 1 to 20 characters.
    pub list_button: String,
    /// What is sent instead of a reply to a customer whose last message is too old for one; nothing if none.
    pub window_template: Option<WindowTemplate>,
}

/// An approved template that may be sent when nothing else may.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowTemplate {
    /// Its name.
    pub name: String,
    /// Its language, such as `en_US`.
    pub language: String,
}

impl WindowTemplate {
    /// The message that it makes.
    pub fn part(&self) -> Part {
        let (name, language) = (self.name.clone(), self.language.clone());
        Payload::ApprovedTemplate { name, language, components: Vec::new() }.into()
    }
}

impl Default for DeliveryConfig {
    fn default() -> Self {
        Self {
            send_timeout: Duration::from_secs(20),
            settle_window: Duration::from_secs(30),
            on_unknown: OnUnknown::Resend,
            attempts: 8,
            give_up_after: Duration::from_secs(3600),
            list_button: "Options".into(),
            window_template: None,
        }
    }
}
