//! Thousands of deliveries that nobody wrote by hand: forged ones, and broken ones with a good signature.

use proptest::prelude::*;
use serde_json::{Value, json};
use threedots::Inbound;
use threedots::provider::{Provider, WebhookError};

use super::fixtures::{fixture, names};
use super::{SECRET, deliver, delivery_of, ids, meta, post_with, signature, text_message};

/// A payload, whole.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop::sample::select(names()).prop_map(|name| fixture(&name))
}

/// What may come over a body on its way.
#[derive(Clone, Debug)]
enum Damage {
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index, usize),
    Insert(prop::sample::Index, Vec<u8>),
    Double(prop::sample::Index, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let odd = prop::sample::select(vec![
        &b"\""[..],
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"null",
        b"\\ud83d",
        b"\\u0000",
        b"\xff",
        b"1e999",
        b"-",
        b"\\",
    ]);
    prop_oneof![
        (any::<prop::sample::Index>(), 1_u8..=255).prop_map(|(at, bits)| Damage::Flip(at, bits)),
        (any::<prop::sample::Index>(), 1_usize..40).prop_map(|(at, length)| Damage::Cut(at, length)),
        (any::<prop::sample::Index>(), odd).prop_map(|(at, odd)| Damage::Insert(at, odd.to_vec())),
        (any::<prop::sample::Index>(), 1_usize..200).prop_map(|(at, length)| Damage::Double(at, length)),
    ]
}

fn inflict(body: &mut Vec<u8>, damage: &Damage) {
    if body.is_empty() {
        return;
    }
    let length = body.len();
    match damage {
        Damage::Flip(at, bits) => body[at.index(length)] ^= bits,
        Damage::Cut(at, much) => drop(body.drain(at.index(length)..(at.index(length) + much).min(length))),
        Damage::Insert(at, odd) => drop(body.splice(at.index(length)..at.index(length), odd.iter().copied())),
        Damage::Double(at, much) => {
            let piece = body[at.index(length)..(at.index(length) + much).min(length)].to_vec();
            body.splice(at.index(length)..at.index(length), piece);
        }
    }
}

/// Any JSON value, and those that hurt.
fn odd_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(json!("")),
        Just(json!("messages")),
    ];
    leaf.prop_recursive(8, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec(("[a-z_]{0,8}", inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Every value in `whole`, itself included.
fn count(whole: &Value) -> usize {
    1 + match whole {
        Value::Array(values) => values.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0,
    }
}

/// Puts `odd` in the place of one value in `whole`, counted from the front.
fn replace(whole: &mut Value, mut place: usize, odd: &Value) {
    if place == 0 {
        *whole = odd.clone();
        return;
    }
    place -= 1;
    let inner: Vec<&mut Value> = match whole {
        Value::Array(values) => values.iter_mut().collect(),
        Value::Object(fields) => fields.values_mut().collect(),
        _ => return,
    };
    for value in inner {
        let size = count(value);
        if place < size {
            return replace(value, place, odd);
        }
        place -= size;
    }
}

/// It is read, or is malformed; and what was read can be written down and read again.
fn is_dealt_with(body: &[u8]) -> Result<(), TestCaseError> {
    match deliver(body) {
        Ok(events) => {
            for message in &events.messages {
                let record = serde_json::to_string(message).expect("a message can be written");
                let read: Result<Inbound, _> = serde_json::from_str(&record);
                prop_assert!(read.is_ok(), "it cannot be read again: {:?}", read.err());
            }
        }
        Err(error) => prop_assert_eq!(error, WebhookError::Malformed),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn a_forged_delivery_is_always_refused(
        body in payload(),
        damages in prop::collection::vec(damage(), 1..4),
        other_secret in "[a-z_]{0,20}",
        how in 0..4,
    ) {
        let right = signature(SECRET, &body);
        let (mut forged, mut header) = (body.clone(), right.clone());
        match how {
            0 => damages.iter().for_each(|damage| inflict(&mut forged, damage)),
            1 => header = signature(&other_secret, &body),
            2 => header = format!("sha256={}", hex::encode(&body[..32])),
            _ => {
                let mut bytes = header.into_bytes();
                damages.iter().for_each(|damage| inflict(&mut bytes, damage));
                header = String::from_utf8_lossy(&bytes).into_owned();
            }
        }
        prop_assume!(forged != body || !header.eq_ignore_ascii_case(&right));
        let refused = meta().receive(&post_with(&forged, &header)).err();
        prop_assert_eq!(refused, Some(WebhookError::WrongSignature));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn a_damaged_body_with_a_good_signature_is_dealt_with(
        body in payload(),
        damages in prop::collection::vec(damage(), 1..6),
    ) {
        let mut body = body;
        damages.iter().for_each(|damage| inflict(&mut body, damage));
        is_dealt_with(&body)?;
    }

    #[test]
    fn a_value_in_the_place_of_another_is_dealt_with(
        body in payload(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), odd_value()), 1..4),
    ) {
        let mut whole: Value = serde_json::from_slice(&body).expect("a fixture is JSON");
        for (place, odd) in &changes {
            let place = place.index(count(&whole));
            replace(&mut whole, place, odd);
        }
        is_dealt_with(whole.to_string().as_bytes())?;
    }

    #[test]
    fn whatever_stands_between_them_the_other_messages_arrive(odd in odd_value()) {
        let body = delivery_of(&[&text_message("wamid.1", "one"), &odd.to_string(), &text_message("wamid.3", "three")]);
        let events = deliver(body.as_bytes()).expect("a delivery of Meta's form");
        let ids = ids(&events);
        prop_assert_eq!((ids.first().copied(), ids.last().copied()), (Some("wamid.1"), Some("wamid.3")));
        prop_assert_eq!(ids.len() + events.ignored.malformed + events.echoes.len(), 3);
    }
}
