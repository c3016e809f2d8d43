//! The token in the webhook's address, and callbacks that nobody signs.

use serde_json::{Value, json};
use threedots::provider::{WebhookError, WebhookRequest};
use threedots::runtime::http::Headers;

use super::{ACCESS_SECRET, RECEIVED, events, post, receiver, signed_with};

const BODY: &[u8] = br#"{"messages":[]}"#;
const SHOWN: &str = "token=fictional+token%2F%2B%26%3D1";

fn refusal(signing: &str, request: &WebhookRequest, query: &str) -> Option<WebhookError> {
    let config: Value = json!({ "callback_signing": signing, "token": "env:TOKEN" });
    let request = WebhookRequest { query: query.into(), ..request.clone() };
    events(receiver(config).receive(&request)).err()
}

fn unsigned() -> WebhookRequest {
    post(BODY, Headers::default(), RECEIVED)
}

#[test]
fn whoever_does_not_show_the_token_stays_out_signed_or_not() {
    let wrong = [
        "",
        "token",
        "token=",
        "token=fictional",
        "token=fictional+token%2F%2B%26%3D12",
        "Token=fictional+token%2F%2B%26%3D1",
        "x=fictional+token%2F%2B%26%3D1",
        "token=fictional+token%2F%2B%26%3D1&token=fictional+token%2F%2B%26%3D1",
        "token=x&token=fictional+token%2F%2B%26%3D1",
    ];
    let good = signed_with(ACCESS_SECRET, RECEIVED, BODY);
    for signing in ["required", "optional", "off"] {
        for query in wrong {
            for request in [&good, &unsigned()] {
                assert_eq!(refusal(signing, request, query), Some(WebhookError::WrongToken), "{signing} {query}");
            }
        }
        assert_eq!(refusal(signing, &good, SHOWN), None, "{signing}");
        assert_eq!(refusal(signing, &good, &format!("utm=1&{SHOWN}&x")), None, "{signing}");
    }
}

#[test]
fn the_token_replaces_a_signature_only_where_none_is_required() {
    assert_eq!(refusal("required", &unsigned(), SHOWN), Some(WebhookError::Unsigned));
    assert_eq!(refusal("optional", &unsigned(), SHOWN), None);
    assert_eq!(refusal("off", &unsigned(), SHOWN), None);
}

#[test]
fn an_optional_signature_that_is_there_has_to_be_right() {
    let wrong = signed_with("another secret", RECEIVED, BODY);
    assert_eq!(refusal("optional", &wrong, SHOWN), Some(WebhookError::WrongSignature));
    let partial = post(BODY, [("sign", "00")].into_iter().collect(), RECEIVED);
    assert_eq!(refusal("optional", &partial, SHOWN), Some(WebhookError::Unsigned));
    assert_eq!(refusal("off", &wrong, SHOWN), None);
}

#[test]
fn what_nobody_signed_has_to_be_of_nxclouds_form_all_the_same() {
    let broken = post(b"\xff", Headers::default(), RECEIVED);
    assert_eq!(refusal("off", &broken, SHOWN), Some(WebhookError::Malformed));
    assert_eq!(refusal("off", &broken, ""), Some(WebhookError::WrongToken));
}
