//! WAHA, from outside: what it says otherwise than Wawp.

mod calls;
mod deliveries;

use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha512;
use threedots::message::clock::Clock;
use threedots::provider::wawp::WahaConfig;
use threedots::provider::{Provider, WebhookRequest};
use threedots::runtime::http::Transport;

use crate::upstream::Upstream;
use crate::wawp::{SECRET, connect, events, post};

/// What everybody has to fill in.
const REQUIRED: &str = r#"
    api_key = "env:TOKEN"
    webhook_secret = "env:SECRET"
"#;

/// WAHA with `more` settings.
fn waha(more: &str, upstream: &Arc<Upstream>) -> Arc<dyn Provider> {
    connect::<WahaConfig>(&format!("{REQUIRED}{more}"), upstream.clone(), Clock::tokio()).expect("a sound table")
}

/// A number on WAHA as a configuration without any extras has it.
#[allow(dead_code, reason = "for the suite over all providers")]
pub(crate) fn provider(transport: Arc<dyn Transport>, clock: Clock) -> Arc<dyn Provider> {
    connect::<WahaConfig>(REQUIRED, transport, clock).expect("a sound table")
}

fn mac(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha512>::new_from_slice(secret.as_bytes()).expect("any length will do");
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

/// An authentic delivery, with all the headers that WAHA sends.
pub(crate) fn signed(body: &[u8]) -> WebhookRequest {
    let headers = [
        ("X-Webhook-Request-Id", "01k0fiction"),
        ("X-Webhook-Timestamp", "1767225600200"),
        ("X-Webhook-Hmac", &*mac(SECRET, body)),
        ("X-Webhook-Hmac-Algorithm", "sha512"),
    ];
    post(body, "", &headers)
}

/// What an authentic delivery comes to, for the suite over all providers.
pub(crate) fn receives(body: &[u8]) -> threedots::provider::Events {
    events(&*waha("", &Upstream::answering([])), &signed(body)).expect("a delivery of WAHA's form")
}
