//! What is read out of a delivery, and what is left in it.

use serde_json::{Value, json};
use threedots::message::clock::Timestamp;
use threedots::message::{ContactId, Inbound};
use threedots::provider::{Events, Ignored, WebhookError};

use super::fixtures::fixture;
use super::{RECEIVED, deliver, events, gateway_on, signed};
use crate::upstream::Upstream;

/// A fixture with something changed.
fn changed(name: &str, change: impl FnOnce(&mut Value)) -> Events {
    let mut body: Value = serde_json::from_slice(&fixture(name)).expect("JSON");
    change(&mut body);
    deliver(body.to_string().as_bytes()).expect("a delivery of the gateway's form")
}

fn only(events: Events) -> Inbound {
    assert_eq!(events.ignored, Ignored::default());
    let [message] = events.messages.try_into().expect("one message");
    message
}

#[test]
fn what_is_no_object_is_refused() {
    for body in ["", "[]", "7", "{", "null", "\"message\""] {
        assert_eq!(deliver(body.as_bytes()).err(), Some(WebhookError::Malformed), "{body}");
    }
}

#[test]
fn an_event_that_makes_no_sense_is_counted_and_the_request_is_good() {
    let broken: [fn(&mut Value); 9] = [
        |body| body["event"] = Value::Null,
        |body| body["event"] = json!({}),
        |body| body["payload"] = json!("text"),
        |body| body["payload"] = Value::Null,
        |body| body["payload"]["chatJid"] = json!(""),
        |body| body["payload"]["waMessageId"] = Value::Null,
        |body| body["payload"]["type"] = json!([]),
        |body| body["payload"]["body"] = Value::Null,
        |body| body["payload"]["type"] = json!("location"),
    ];
    for (number, change) in broken.into_iter().enumerate() {
        let events = changed("text", change);
        assert!(events.messages.is_empty());
        assert_eq!(events.ignored, Ignored { malformed: 1, ..Ignored::default() }, "number {number}");
    }
    for name in ["reaction", "edited", "revoked"] {
        let events = changed(name, |body| body["payload"]["targetId"] = Value::Null);
        assert!(events.messages.is_empty() && events.ignored.malformed == 1, "{name}");
    }
}

#[test]
fn a_sender_of_a_group_has_to_be_named() {
    let events = changed("text_in_group", |body| {
        body["payload"]["senderJid"] = Value::Null;
        body["payload"]["senderLid"] = Value::Null;
    });
    assert!(events.messages.is_empty() && events.ignored.malformed == 1);
}

#[test]
fn a_phone_number_is_read_out_of_an_address_that_is_one() {
    let number = |sender: &str| {
        let chat = "120363000000000001@g.us";
        let message = only(changed("text_in_group", |body| {
            body["payload"]["chatJid"] = json!(chat);
            body["payload"]["senderJid"] = json!(sender);
        }));
        message.at.phone
    };
    let known = Some(ContactId::new("628111111111"));
    assert_eq!(number("628111111111@s.whatsapp.net"), known);
    assert_eq!(number("628111111111:7@s.whatsapp.net"), known);
    assert_eq!(number("628111111111@c.us"), known);
    for none in ["123456000000001@lid", "628111111111@s.whatsapp.net.example", "@s.whatsapp.net", "x1@c.us"] {
        assert_eq!(number(none), None, "{none}");
    }
}

#[test]
fn a_message_is_as_old_as_it_says_however_late_it_comes() {
    assert_eq!(only(deliver(&fixture("text")).expect("a delivery")).at.time, Timestamp(1_767_225_599_000));
    for nothing in [json!(0), json!(-62_135_596_800_000_i64), json!("soon"), Value::Null] {
        let message = only(changed("text", |body| body["payload"]["timestamp"] = nothing.clone()));
        assert_eq!(message.at.time, Timestamp(1_767_225_600_250), "the envelope's time instead of {nothing}");
    }
    let message = only(changed("text", |body| {
        body["payload"]["timestamp"] = Value::Null;
        body["timestamp"] = Value::Null;
    }));
    assert_eq!(message.at.time, RECEIVED);
}

#[test]
fn another_session_is_none_of_ours_unless_any_will_do() {
    let body = fixture("other_session");
    let not_ours = Ignored { not_ours: 1, ..Ignored::default() };
    assert_eq!(deliver(&body).expect("a delivery").ignored, not_ours);
    let any = gateway_on("match_session = false", Upstream::answering([]));
    assert_eq!(any.receive(&signed(&body)).map(events).expect("a delivery").messages.len(), 1);
    let unnamed = changed("text", |body| body["session"] = Value::Null);
    assert_eq!(unnamed.messages.len(), 1);
}

#[test]
fn a_receipt_with_a_broken_name_in_it_is_read_for_the_others() {
    let events = changed("status_read", |body| {
        body["payload"]["messageIds"] = json!(["3EB0A", 7, "", null, "3EB0B"]);
    });
    let names: Vec<&str> = events.statuses.iter().map(|status| status.message.as_str()).collect();
    assert_eq!(names, ["3EB0A", "3EB0B"]);
    assert_eq!(events.ignored.malformed, 3);
    let events = changed("status_read", |body| body["payload"]["messageIds"] = json!("3EB0A"));
    assert!(events.statuses.is_empty() && events.ignored.malformed == 1);
}

#[test]
fn what_the_bots_own_phone_says_never_becomes_a_message() {
    for name in ["own_message", "own_message_among_others", "own_reaction"] {
        assert!(deliver(&fixture(name)).expect("a delivery").messages.is_empty(), "{name}");
    }
    let events = changed("own_message", |body| body["payload"]["fromMe"] = Value::Null);
    assert!(events.messages.is_empty() && events.echoes.len() == 1, "its event says so too");
}

#[test]
fn a_number_may_come_as_text_and_the_other_way_round() {
    let message = only(changed("location", |body| {
        body["payload"]["location"] = json!({ "latitude": "-6.2", "longitude": "106.8" });
        body["payload"]["waMessageId"] = json!(77);
        body["payload"]["timestamp"] = json!("1767225599000");
    }));
    assert_eq!(message.at.message.as_str(), "77");
    assert_eq!(message.at.time, Timestamp(1_767_225_599_000));
}

#[test]
fn a_type_that_nobody_could_read_again_is_counted() {
    let mut deep = json!({});
    for _ in 0..100 {
        deep = json!([deep]);
    }
    let events = changed("unknown_type", |body| body["payload"]["hologram"] = deep);
    assert!(events.messages.is_empty() && events.ignored.malformed == 1);
}

#[test]
fn nothing_of_a_delivery_shows_in_its_debug_output() {
    for name in ["text_in_group", "contact", "document_kept", "edited"] {
        let shown = format!("{:?} {:?}", signed(&fixture(name)), deliver(&fixture(name)).expect("a delivery"));
        for private in
            ["628111111111", "120363000000000001", "3EB0EXAMPLE", "Ana Example", "Jamie", "token=", "promised"]
        {
            assert!(!shown.contains(private), "{shown}");
        }
    }
}

#[test]
fn what_a_person_of_the_business_sends_without_words_is_told() {
    for (caption, told) in [(None, "[image"), (Some("Your cake"), "] Your cake")] {
        let events = changed("image", |body| {
            body["payload"]["fromMe"] = json!(true);
            body["payload"]["body"] = json!(caption);
        });
        let [echo] = &events.echoes[..] else { panic!("an echo") };
        assert_eq!(echo.words.as_deref(), caption);
        let words = echo.told.as_deref().expect("what it is");
        assert!(words.starts_with("[image") && words.contains(told), "{words}");
    }
}
