//! The handshake.

use bytes::Bytes;
use threedots::provider::{Method, Provider, Received, WebhookError, WebhookRequest};
use threedots::runtime::http::Headers;

use super::{RECEIVED, meta, settings};

fn ask(query: &str) -> Result<String, WebhookError> {
    ask_with(query, Headers::default())
}

fn ask_with(query: &str, headers: Headers) -> Result<String, WebhookError> {
    let (query, body) = (query.to_owned(), Bytes::new());
    match meta().receive(&WebhookRequest { method: Method::Get, query, headers, body, received: RECEIVED })? {
        Received::Challenge(challenge) => Ok(challenge),
        Received::Events(_) => panic!("a handshake is no delivery"),
    }
}

const TOKEN: &str = "hub.verify_token=fictional%20verify%2Btoken";

#[test]
fn the_challenge_comes_back_as_it_was_sent() {
    assert_eq!(ask(&format!("hub.mode=subscribe&hub.challenge=1158201444&{TOKEN}")).as_deref(), Ok("1158201444"));
    let odd = format!("{TOKEN}&hub.challenge=%3Cb%3E%20%22007%22&hub.mode=subscribe&else=1");
    assert_eq!(ask(&odd).as_deref(), Ok("<b> \"007\""));
}

#[test]
fn the_keys_and_the_token_may_be_percent_encoded() {
    let query = "hub%2Emode=subscribe&hub%2Echallenge=7&hub%2Everify_token=fictional+verify%2btoken";
    assert_eq!(ask(query).as_deref(), Ok("7"));
}

#[test]
fn a_handshake_needs_no_signature() {
    let headers = [("X-Hub-Signature-256", "sha256=0")].into_iter().collect();
    assert_eq!(ask_with(&format!("hub.mode=subscribe&hub.challenge=1&{TOKEN}"), headers).as_deref(), Ok("1"));
}

#[test]
fn a_wrong_token_is_refused() {
    for token in ["wrong", "fictional", "fictional%20verify%2Btoken%20", "FICTIONAL%20VERIFY%2BTOKEN", "%00"] {
        let query = format!("hub.mode=subscribe&hub.challenge=1&hub.verify_token={token}");
        assert_eq!(ask(&query), Err(WebhookError::WrongToken), "{token}");
    }
}

#[test]
fn a_wrong_mode_is_refused() {
    for mode in ["unsubscribe", "SUBSCRIBE", "subscribe%20"] {
        let query = format!("hub.mode={mode}&hub.challenge=1&{TOKEN}");
        assert_eq!(ask(&query), Err(WebhookError::WrongToken), "{mode}");
    }
}

#[test]
fn a_handshake_with_a_field_missing_empty_or_doubled_is_malformed() {
    let queries = [
        String::new(),
        format!("hub.mode=subscribe&{TOKEN}"),
        format!("hub.challenge=1&{TOKEN}"),
        "hub.mode=subscribe&hub.challenge=1".to_owned(),
        "hub.mode=subscribe&hub.challenge=1&hub.verify_token=".to_owned(),
        format!("hub.mode=subscribe&hub.challenge=1&{TOKEN}&{TOKEN}"),
        format!("hub_mode=subscribe&hub_challenge=1&{TOKEN}"),
        "%ff%fe&=&&==".to_owned(),
    ];
    for query in queries {
        assert_eq!(ask(&query), Err(WebhookError::Malformed), "{query}");
    }
}

#[test]
fn an_empty_verify_token_lets_nobody_in() {
    let mut settings = settings();
    settings.verify_token = "".into();
    let meta = super::meta_on(settings, super::Upstream::answering([]));
    let query = "hub.mode=subscribe&hub.challenge=1&hub.verify_token=".to_owned();
    let (headers, body) = (Headers::default(), Bytes::new());
    let request = WebhookRequest { method: Method::Get, query, headers, body, received: RECEIVED };
    assert_eq!(meta.receive(&request).err(), Some(WebhookError::Malformed));
}
