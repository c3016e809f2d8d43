//! What holds for deliveries beyond the single payload: who is meant, how many there may be, what is kept.

use serde_json::{Value, json};
use threedots::Inbound;
use threedots::message::{Content, Stage};

use super::fixtures::{fixture, names};
use super::{NUMBER, RECEIVED, deliver, delivery_of, ids, text_message};

/// A delivery with this `value` in it.
fn value(value: &Value) -> Vec<u8> {
    let mut value = value.clone();
    value["metadata"] = json!({ "display_phone_number": "12025550100", "phone_number_id": NUMBER });
    json!({ "entry": [{ "changes": [{ "field": "messages", "value": value }] }] }).to_string().into_bytes()
}

#[test]
fn a_message_survives_being_written_down_and_read_again() {
    for name in names() {
        for message in deliver(&fixture(&name)).expect("a delivery of Meta's form").messages {
            let record = serde_json::to_string(&message).expect("it can be written");
            let read: Inbound = serde_json::from_str(&record).expect("it can be read");
            assert_eq!(read, message, "{name}");
        }
    }
}

#[test]
fn the_conversation_is_the_persons_whether_the_phone_number_shows_or_not() {
    let chat = |name| deliver(&fixture(name)).expect("a delivery").messages[0].at.conversation();
    assert_eq!(chat("text"), chat("text_without_phone"));
    assert_eq!(chat("text"), chat("text_empty_phone"));
    assert_ne!(chat("text"), chat("text_in_group"));
}

#[test]
fn two_thousand_messages_in_one_delivery_all_arrive_in_order() {
    let messages: Vec<String> = (0..2000).map(|n| text_message(&format!("wamid.{n}"), "hello")).collect();
    let body = delivery_of(&messages.iter().map(String::as_str).collect::<Vec<_>>());
    let events = deliver(body.as_bytes()).expect("a delivery");
    assert_eq!(ids(&events), (0..2000).map(|n| format!("wamid.{n}")).collect::<Vec<_>>());
    assert_eq!(events.ignored.malformed, 0);
}

#[test]
fn contacts_are_matched_by_name_and_not_by_position() {
    let events = deliver(&fixture("batch")).expect("a delivery");
    let names: Vec<_> = events.messages.iter().map(|message| message.contact.name.as_deref()).collect();
    assert_eq!(names, [Some("Anna Example"), Some("Ben Example"), Some("Anna Example"), Some("Anna Example")]);
}

#[test]
fn a_contact_fills_in_what_the_message_does_not_say() {
    let contacts = json!([
        { "wa_id": "12025550147", "user_id": "US.FICTION00000000000147", "profile": { "name": "Ben Example" } },
        { "wa_id": "12025550123", "user_id": "US.FICTION00000000000123", "profile": { "name": "Anna Example" } },
    ]);
    let by_phone = json!({ "id": "wamid.1", "from": "12025550123", "type": "text", "text": { "body": "1" } });
    let by_id =
        json!({ "id": "wamid.2", "from_user_id": "US.FICTION00000000000147", "type": "text", "text": { "body": "2" } });
    let nobody = json!({ "id": "wamid.3", "from": "", "type": "text", "text": { "body": "3" } });
    let events = deliver(&value(&json!({ "contacts": contacts, "messages": [by_phone, by_id, nobody] }))).expect("ok");
    let [first, second] = events.messages.as_slice() else { panic!("two messages have a sender") };
    assert_eq!(first.at.sender.as_str(), "US.FICTION00000000000123");
    assert_eq!(second.at.phone.as_ref().map(|phone| phone.as_str()), Some("12025550147"));
    assert_eq!(second.contact.name.as_deref(), Some("Ben Example"));
    assert_eq!(events.ignored.malformed, 1, "the third could be anybody's");
}

#[test]
fn a_message_that_names_nobody_belongs_to_the_only_contact() {
    let contacts = json!([{ "wa_id": "", "user_id": "US.FICTION00000000000123" }]);
    let message = json!({ "id": "wamid.1", "from": "", "type": "text", "text": { "body": "hello" } });
    let events = deliver(&value(&json!({ "contacts": contacts, "messages": [message] }))).expect("a delivery");
    assert_eq!(events.messages[0].at.sender.as_str(), "US.FICTION00000000000123");
    assert_eq!(events.messages[0].at.phone, None);
}

#[test]
fn an_identifier_in_the_place_of_a_phone_number_is_not_taken_for_one() {
    let message = json!({ "id": "wamid.1", "from": "US.13", "type": "text", "text": { "body": "hello" } });
    let events = deliver(&value(&json!({ "messages": [message] }))).expect("a delivery");
    assert_eq!(events.messages[0].at.sender.as_str(), "US.13");
    assert_eq!(events.messages[0].at.phone, None);
}

#[test]
fn a_phone_number_is_its_digits() {
    let message = json!({ "id": "wamid.1", "from": "+1 (202) 555-0123", "type": "text", "text": { "body": "hello" } });
    let events = deliver(&value(&json!({ "messages": [message] }))).expect("a delivery");
    assert_eq!(events.messages[0].at.phone.as_ref().map(|phone| phone.as_str()), Some("12025550123"));
}

#[test]
fn numbers_may_stand_in_quotes_and_texts_may_come_as_numbers() {
    let message = json!({
        "id": 7, "from": 12_025_550_123_u64, "timestamp": 1_767_225_600.0, "type": "location",
        "location": { "latitude": "37.5", "longitude": "-122", "name": 42, "address": "" },
    });
    let events = deliver(&value(&json!({ "messages": [message] }))).expect("a delivery");
    let at = &events.messages[0].at;
    assert_eq!((at.message.as_str(), at.sender.as_str(), at.time.0), ("7", "12025550123", 1_767_225_600_000));
    let place =
        Content::Location { latitude: 37.5, longitude: -122.0, name: Some("42".into()), address: None, url: None };
    assert_eq!(events.messages[0].content, place);
}

#[test]
fn a_message_without_a_readable_time_is_as_old_as_its_delivery() {
    for time in [json!(null), json!(""), json!("yesterday"), json!(-5), json!([1])] {
        let message =
            json!({ "id": "wamid.1", "from": "1", "timestamp": time, "type": "text", "text": { "body": "x" } });
        let events = deliver(&value(&json!({ "messages": [message] }))).expect("a delivery");
        assert_eq!(events.messages[0].at.time, RECEIVED, "{time}");
    }
}

#[test]
fn a_status_without_our_key_is_known_by_the_upstreams_name_alone() {
    let events = deliver(&fixture("status_failed_without_reason")).expect("a delivery");
    assert_eq!((&events.statuses[0].key, &events.statuses[0].stage), (&None, &Stage::Failed(None)));
}

#[test]
fn statuses_with_contacts_beside_them_are_not_messages() {
    let events = deliver(&fixture("status_read")).expect("a delivery");
    assert_eq!((events.messages.len(), events.statuses.len()), (0, 1));
}

#[test]
fn history_never_becomes_messages() {
    let events = deliver(&fixture("history")).expect("a delivery");
    assert!(events.messages.is_empty());
    assert_eq!(events.ignored.other, 1);
}

#[test]
fn what_a_person_of_the_business_writes_under_a_picture_is_part_of_its_echo() {
    let events = deliver(&fixture("echo_with_caption")).expect("a delivery");
    assert_eq!(events.echoes[0].words.as_deref(), Some("Your cake"));
}

#[test]
fn what_we_wrote_from_another_device_is_an_echo_and_no_message() {
    for name in ["echo", "own_message"] {
        let events = deliver(&fixture(name)).expect("a delivery");
        assert_eq!((events.messages.len(), events.echoes.len()), (0, 1), "{name}");
    }
}

#[test]
fn messages_for_another_number_are_not_ours() {
    let events = deliver(&fixture("other_number")).expect("a delivery");
    assert!(events.messages.is_empty());
    assert_eq!(events.ignored.not_ours, 1);
}

#[test]
fn another_product_of_metas_is_of_no_use_to_a_bot() {
    let events = deliver(br#"{"object":"page","entry":[{"messaging":[]}]}"#).expect("a delivery");
    assert_eq!(events.ignored.other, 1);
}

#[test]
fn what_a_person_of_the_business_sends_without_words_is_told() {
    let mut body: Value = serde_json::from_slice(&fixture("echo_with_caption")).expect("JSON");
    for (caption, told) in [(json!("Your cake"), "[image] Your cake"), (json!(null), "[image]")] {
        body["entry"][0]["changes"][0]["value"]["message_echoes"][0]["image"]["caption"] = caption;
        let events = deliver(body.to_string().as_bytes()).expect("a delivery");
        assert_eq!(events.echoes[0].told.as_deref(), Some(told));
    }
}
