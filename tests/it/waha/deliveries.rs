//! Webhooks in.

use threedots::message::BotName;
use threedots::message::clock::Clock;
use threedots::provider::wawp::WahaConfig;
use threedots::provider::{AnyProviderConfig, Provider, ProviderContext, WebhookError};

use super::{REQUIRED, mac, signed, waha};
use crate::upstream::Upstream;
use crate::upstream::view;
use crate::wawp::{SECRET, events, fixture, fixtures, post};

#[test]
fn every_delivery_reads_as_its_snapshot_says() {
    let provider = waha("", &Upstream::answering([]));
    for name in fixtures("waha") {
        let events = events(&*provider, &signed(&fixture("waha", &name))).expect("a delivery of WAHA's form");
        insta::with_settings!({ sort_maps => true }, { insta::assert_json_snapshot!(name, view(&events)) });
    }
}

#[test]
fn a_delivery_for_another_session_is_not_ours() {
    let body = fixture("waha", "other_session");
    let ours = events(&*waha("", &Upstream::answering([])), &signed(&body)).expect("a delivery");
    assert_eq!((ours.messages.len(), ours.ignored.not_ours), (0, 1));
    let theirs = waha("session = \"other\"", &Upstream::answering([]));
    let theirs = events(&*theirs, &signed(&body)).expect("a delivery");
    assert_eq!((theirs.messages.len(), theirs.ignored.not_ours), (1, 0));
}

/// WAHA's documentation prints this signature for this body and this key.
#[test]
fn the_documented_vector_is_vouched_for() {
    const BODY: &[u8] = br#"{"event":"message","session":"default","engine":"WEBJS"}"#;
    const VECTOR: &str = "208f8a55dde9e05519e898b10b89bf0d0b3b0fdf11fdbf09b6b90476301b98d8097c462b2b17a6ce93b6b47a136cf2e78a33a63f6752c2c1631777076153fa89";
    let config: WahaConfig = toml::from_str(REQUIRED).expect("a table");
    let around =
        ProviderContext { bot: BotName::new("bakery"), transport: Upstream::answering([]), clock: Clock::System };
    let provider = config.connect_with("my-secret-key", around);
    for headers in [
        vec![("X-Webhook-Hmac", VECTOR)],
        vec![("X-Webhook-Hmac", VECTOR), ("X-Webhook-Hmac-Algorithm", "sha512")],
        vec![("X-Webhook-Hmac", VECTOR), ("X-Webhook-Hmac-Algorithm", "SHA512")],
    ] {
        assert!(provider.receive(&post(BODY, "", &headers)).is_ok(), "{headers:?}");
    }
    let mut tampered = BODY.to_vec();
    tampered[3] ^= 1;
    let refused = provider.receive(&post(&tampered, "", &[("X-Webhook-Hmac", VECTOR)]));
    assert_eq!(refused.err(), Some(WebhookError::WrongSignature));
}

trait ConnectWith {
    fn connect_with(&self, secret: &str, around: ProviderContext) -> std::sync::Arc<dyn Provider>;
}

impl ConnectWith for WahaConfig {
    fn connect_with(&self, secret: &str, around: ProviderContext) -> std::sync::Arc<dyn Provider> {
        AnyProviderConfig::connect(self, &|_| Some(secret.to_owned()), around).expect("a sound table")
    }
}

#[test]
fn a_signature_that_calls_itself_by_another_name_is_none_of_ours() {
    let provider = waha("", &Upstream::answering([]));
    let body = fixture("waha", "text");
    let with = |headers: &[(&str, &str)]| provider.receive(&post(&body, "", headers)).map(drop);
    let right = mac(SECRET, &body);
    assert_eq!(with(&[("X-Webhook-Hmac", &right)]), Ok(()));
    for algorithm in ["sha256", "md5", "none", ""] {
        let headers = [("X-Webhook-Hmac", &*right), ("X-Webhook-Hmac-Algorithm", algorithm)];
        assert_eq!(with(&headers), Err(WebhookError::WrongSignature), "{algorithm}");
    }
    assert_eq!(with(&[]), Err(WebhookError::Unsigned));
    assert_eq!(with(&[("X-Webhook-Hmac", &right[..126])]), Err(WebhookError::WrongSignature));
    assert_eq!(with(&[("X-Webhook-Hmac", &mac("another", &body))]), Err(WebhookError::WrongSignature));
    // The header that says when is not signed: nobody relies on it.
    let late = [("X-Webhook-Hmac", &*right), ("X-Webhook-Timestamp", "1")];
    assert_eq!(with(&late), Ok(()));
}
