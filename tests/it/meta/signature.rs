//! The signature, against vectors that were computed apart from this code.

use threedots::provider::{Provider, WebhookError};

use super::{meta, post_with};

const COMPACT: &str = r#"{"object":"whatsapp_business_account","entry":[]}"#;
const SPACED: &str = r#"{"object": "whatsapp_business_account", "entry": []}"#;
const ESCAPED: &str = r#"{"text":"\u00e4\u00f6\u00e5 \ud83d\ude00 a\/b"}"#;
const DECODED: &str = r#"{"text":"äöå 😀 a/b"}"#;

const VECTORS: [(&str, &str); 4] = [
    (COMPACT, "dec6a680679a968e7e0319355b23599cbfc54502c0784668e9618baa0c633756"),
    (SPACED, "56cbbaf4961c6cfdae48b7f116c047e5eb513d2c931baae63a2bc1afd26f803a"),
    (ESCAPED, "0f27a07aa7b485276cf9c9834bf7d5cdbe52e385307d10ba7b45227b51a03da5"),
    (DECODED, "9e0748a8fc05c183c38b6b7ba2bce368f5c3cb4cdfad3a7c8babd24eaf4c67eb"),
];

#[test]
fn a_body_is_vouched_for_by_its_own_signature_alone() {
    for (body, _) in VECTORS {
        for (signed, digits) in VECTORS {
            let answer = meta().receive(&post_with(body.as_bytes(), &format!("sha256={digits}")));
            if body == signed {
                assert!(answer.is_ok(), "{body} with its own signature");
            } else {
                assert_eq!(answer.err(), Some(WebhookError::WrongSignature), "{body} with the signature of {signed}");
            }
        }
    }
}

#[test]
fn a_digest_in_upper_case_is_the_same_digest() {
    let (body, digits) = VECTORS[0];
    assert!(meta().receive(&post_with(body.as_bytes(), &format!("sha256={}", digits.to_uppercase()))).is_ok());
}
