//! Who may deliver: signatures of every kind that Wawp may have, and tokens in the address.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use threedots::message::clock::Clock;
use threedots::provider::wawp::WawpConfig;
use threedots::provider::{Method, Provider, WebhookError, WebhookRequest};

use super::{REQUIRED, SECRET, URL_TOKEN, connect, env, mac, post, signed, wawp};
use crate::upstream::Upstream;

const BODY: &[u8] = br#"{"event":"message","session":"default","engine":"WEBJS"}"#;

/// The signature of [`BODY`] with the key `my-secret-key`, computed apart from this code.
const VECTOR: &str = "46270e6ad829217a54d67026afb4ef20e76d3a4ea36d64b140834b5fb3e8b83a";

/// Of the same with SHA-512, as WAHA's documentation prints it.
pub(crate) const VECTOR_512: &str = "208f8a55dde9e05519e898b10b89bf0d0b3b0fdf11fdbf09b6b90476301b98d8097c462b2b17a6ce93b6b47a136cf2e78a33a63f6752c2c1631777076153fa89";

/// Wawp with the vectors' key.
fn with_key(more: &str) -> std::sync::Arc<dyn Provider> {
    let config: WawpConfig = toml::from_str(&format!("{REQUIRED}{more}")).expect("a table");
    let env = |name: &str| if name == "SECRET" { Some("my-secret-key".to_owned()) } else { env(name) };
    let around = threedots::provider::ProviderContext {
        bot: threedots::message::BotName::new("bakery"),
        transport: Upstream::answering([]),
        clock: Clock::System,
    };
    threedots::provider::AnyProviderConfig::connect(&config, &env, around).expect("a sound table")
}

fn verdict(provider: &dyn Provider, request: &WebhookRequest) -> Result<(), WebhookError> {
    provider.receive(request).map(drop)
}

#[test]
fn the_vector_is_vouched_for() {
    let provider = with_key("");
    assert_eq!(verdict(&*provider, &post(BODY, "", &[("x-wawp-signature", VECTOR)])), Ok(()));
    assert_eq!(verdict(&*provider, &post(BODY, "", &[("x-wawp-signature", &VECTOR.to_uppercase())])), Ok(()));
}

#[test]
fn waha_s_own_signature_is_one_line_of_configuration_away() {
    let provider = with_key(r#"signatures = [{ header = "X-Webhook-Hmac", algorithm = "sha512" }]"#);
    assert_eq!(verdict(&*provider, &post(BODY, "", &[("X-Webhook-Hmac", VECTOR_512)])), Ok(()));
    let other = post(BODY, "", &[("X-Webhook-Hmac", VECTOR)]);
    assert_eq!(verdict(&*provider, &other), Err(WebhookError::WrongSignature));
}

#[test]
fn what_is_not_signed_or_not_by_us_is_refused_before_anybody_looks_into_it() {
    let provider = wawp("", &Upstream::answering([]));
    let verdict = |request: &WebhookRequest| verdict(&*provider, request);
    let with = |header: &str| post(BODY, "", &[("X-Wawp-Signature", header)]);
    let ours = hex::encode(mac(SECRET, BODY));
    assert_eq!(verdict(&with(&ours)), Ok(()));
    // Not JSON at all: it would be malformed if somebody looked.
    assert_eq!(verdict(&post(b"\xff{", "", &[])), Err(WebhookError::Unsigned));
    assert_eq!(verdict(&post(b"\xff{", "", &[("X-Wawp-Signature", &ours)])), Err(WebhookError::WrongSignature));
    assert_eq!(verdict(&signed(b"\xff{")), Err(WebhookError::Malformed));
    let mut tampered = BODY.to_vec();
    tampered[3] ^= 1;
    let foreign = hex::encode(mac("another secret", BODY));
    for request in [
        post(&tampered, "", &[("X-Wawp-Signature", &ours)]),
        with(&foreign),
        with(&ours[..62]),
        with(&format!("{ours}00")),
        with(&format!("sha256={ours}")),
        with(""),
        with("no hexadecimal digits"),
        with(SECRET),
    ] {
        assert_eq!(verdict(&request), Err(WebhookError::WrongSignature));
    }
    // Of two, neither is trusted.
    let twice = post(BODY, "", &[("X-Wawp-Signature", &foreign), ("X-Wawp-Signature", &ours)]);
    assert_eq!(verdict(&twice), Err(WebhookError::Unsigned));
    let elsewhere = post(BODY, &format!("secret={SECRET}"), &[("X-Signature", &ours)]);
    assert_eq!(verdict(&elsewhere), Err(WebhookError::Unsigned));
}

#[test]
fn there_is_no_handshake() {
    let request = WebhookRequest { method: Method::Get, ..signed(BODY) };
    assert_eq!(verdict(&*wawp("", &Upstream::answering([])), &request), Err(WebhookError::WrongMethod));
}

#[test]
fn every_way_to_sign_can_be_configured_and_one_that_is_right_is_enough() {
    let provider = wawp(
        r#"
        [[signatures]]
        header = "X-First"
        encoding = "base64"
        [[signatures]]
        header = "X-Second"
        algorithm = "plain"
        prefix = "Bearer "
        [[signatures]]
        header = "X-Third"
        prefix = "sha256="
        "#,
        &Upstream::answering([]),
    );
    let base64 = BASE64_STANDARD.encode(mac(SECRET, BODY));
    let hex = hex::encode(mac(SECRET, BODY));
    let (bearer, prefixed) = (format!("Bearer {SECRET}"), format!("sha256={hex}"));
    for right in [("X-First", &*base64), ("X-Second", &bearer), ("X-Third", &prefixed)] {
        assert_eq!(verdict(&*provider, &post(BODY, "", &[right])), Ok(()), "{}", right.0);
        let beside_a_wrong_one = [("X-Third", "sha256=00"), ("X-First", "AAAA"), right];
        let beside_a_wrong_one: Vec<_> = match right.0 {
            "X-First" => vec![beside_a_wrong_one[0], right],
            _ => vec![beside_a_wrong_one[1], right],
        };
        assert_eq!(verdict(&*provider, &post(BODY, "", &beside_a_wrong_one)), Ok(()), "{}", right.0);
    }
    for wrong in [("X-First", &*hex), ("X-Second", SECRET), ("X-Second", "Bearer "), ("X-Third", &hex)] {
        assert_eq!(verdict(&*provider, &post(BODY, "", &[wrong])), Err(WebhookError::WrongSignature), "{}", wrong.0);
    }
}

#[test]
fn a_token_in_the_address_is_as_good() {
    let upstream = Upstream::answering([]);
    let both = wawp("url_token = \"env:URL_TOKEN\"", &upstream);
    let alone = "instance_id = \"env:INSTANCE\"\naccess_token = \"env:TOKEN\"\nurl_token = \"env:URL_TOKEN\"\n";
    let alone = connect::<WawpConfig>(&format!("{alone}url_token_key = \"k\""), upstream.clone(), Clock::System);
    let alone = alone.expect("a token is enough");
    let encoded: String = url::form_urlencoded::byte_serialize(URL_TOKEN.as_bytes()).collect();
    for (provider, key) in [(&both, "secret"), (&alone, "k")] {
        let verdict = |query: &str| verdict(&**provider, &post(BODY, query, &[]));
        assert_eq!(verdict(&format!("{key}={encoded}")), Ok(()));
        assert_eq!(verdict(&format!("a=b&{key}={encoded}&c")), Ok(()));
        assert_eq!(verdict(""), Err(WebhookError::Unsigned));
        assert_eq!(verdict(&format!("{key}=")), Err(WebhookError::Unsigned));
        assert_eq!(verdict(&format!("other={encoded}")), Err(WebhookError::Unsigned));
        assert_eq!(verdict(&format!("{key}={encoded}x")), Err(WebhookError::WrongSignature));
        assert_eq!(verdict(&format!("{key}={encoded}&{key}=x")), Err(WebhookError::Unsigned));
    }
    assert_eq!(verdict(&*both, &signed(BODY)), Ok(()), "the signature still counts");
    assert_eq!(verdict(&*alone, &signed(BODY)), Err(WebhookError::Unsigned), "no secret, no signature");
}

#[test]
fn whoever_says_so_accepts_what_nothing_vouches_for() {
    let table = "instance_id = \"env:INSTANCE\"\naccess_token = \"env:TOKEN\"\naccept_unsigned = true";
    let open = connect::<WawpConfig>(table, Upstream::answering([]), Clock::System).expect("an explicit choice");
    assert_eq!(verdict(&*open, &post(BODY, "", &[])), Ok(()));
}
