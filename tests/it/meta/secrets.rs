//! One app secret takes over from another; and no secret shows itself.

use std::time::Duration;

use threedots::message::BotName;
use threedots::message::clock::Clock;
use threedots::provider::meta::{Meta, MetaSettings};
use threedots::provider::{Provider, SigningSecret, WebhookError};

use super::upstream::Upstream;
use super::{SECRET, TOKEN, VERIFY_TOKEN, post_with, settings, signature};

const BODY: &[u8] = br#"{"object":"whatsapp_business_account","entry":[]}"#;

fn with_secrets(secrets: Vec<SigningSecret>, clock: Clock) -> Meta {
    let settings = MetaSettings { app_secrets: secrets, ..settings() };
    Meta::new(BotName::new("bakery"), settings, Upstream::answering([]), clock)
}

fn accepts(meta: &Meta, secret: &str) -> bool {
    match meta.receive(&post_with(BODY, &signature(secret, BODY))) {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error, WebhookError::WrongSignature);
            false
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_old_secret_is_good_until_its_end_and_not_a_moment_longer() {
    let clock = Clock::tokio();
    let until = clock.now().plus(Duration::from_secs(60));
    let old = SigningSecret { secret: "old".into(), until: Some(until) };
    let meta = with_secrets(vec![SigningSecret { secret: "new".into(), until: None }, old], clock);
    assert!(accepts(&meta, "new") && accepts(&meta, "old"));
    tokio::time::advance(Duration::from_millis(59_999)).await;
    assert!(accepts(&meta, "new") && accepts(&meta, "old"));
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(accepts(&meta, "new"));
    assert!(!accepts(&meta, "old"));
}

#[test]
fn without_a_secret_nothing_is_accepted() {
    let meta = with_secrets(Vec::new(), Clock::System);
    assert!(!accepts(&meta, "") && !accepts(&meta, SECRET));
}

#[test]
fn an_empty_secret_vouches_for_nothing() {
    let meta = with_secrets(vec![SigningSecret { secret: "".into(), until: None }], Clock::System);
    assert!(!accepts(&meta, ""));
}

#[test]
fn the_settings_show_no_secret() {
    let mut settings = settings();
    settings.base_url = "https://user:fictional-password@graph.example".parse().expect("an address");
    let shown = format!("{settings:?} {:?}", settings.app_secrets);
    for secret in [SECRET, TOKEN, VERIFY_TOKEN, "fictional-password"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
