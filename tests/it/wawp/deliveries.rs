//! What is wrong with a delivery spoils nothing else, and names come out as calls take them.

use serde_json::{Value, json};
use threedots::message::clock::Timestamp;
use threedots::message::{Content, Inbound, MediaKind, Stage};
use threedots::provider::WebhookError;

use super::{RECEIVED, deliver};

fn event(name: &str, payload: &Value) -> Vec<u8> {
    let me = json!({ "id": "12025550100@c.us", "lid": "90000000000100@lid" });
    json!({ "id": "evt_01", "timestamp": 1_767_225_600_123_u64, "event": name, "me": me, "payload": payload })
        .to_string()
        .into()
}

/// A text message with some fields changed.
fn text(changes: &Value) -> Value {
    let mut payload = json!({
        "id": "false_12025550123@c.us_3EB0AA",
        "timestamp": 1_767_225_600,
        "from": "12025550123@c.us",
        "fromMe": false,
        "body": "hello",
    });
    let fields = payload.as_object_mut().expect("an object");
    fields.extend(changes.as_object().expect("an object").clone());
    payload
}

fn read(changes: &Value) -> Option<Inbound> {
    let mut events = deliver(&event("message", &text(changes))).expect("a delivery");
    events.messages.pop()
}

#[test]
fn what_is_no_object_is_refused() {
    for body in [&b"[]"[..], b"", b"hello", b"\xff\xfe", b"{\"event\":", b"null", b"7"] {
        assert_eq!(deliver(body).err(), Some(WebhookError::Malformed));
    }
}

#[test]
fn an_authentic_object_that_makes_no_sense_is_counted() {
    let bodies = [
        json!({}),
        json!({ "event": "message" }),
        json!({ "event": "message", "payload": 7 }),
        json!({ "event": "message", "payload": {} }),
        json!({ "event": "message", "payload": { "id": 1 } }),
        json!({ "event": "message.ack", "payload": { "id": "true_1@c.us_A" } }),
        json!({ "event": "message.revoked", "payload": { "after": null } }),
        json!({ "event": "message.reaction", "payload": text(&json!({ "reaction": { "text": "x" } })) }),
    ];
    for body in bodies {
        let events = deliver(body.to_string().as_bytes()).expect("an object");
        assert_eq!(events.ignored.malformed, 1, "{body}");
        assert!(events.messages.is_empty() && events.statuses.is_empty(), "{body}");
    }
}

#[test]
fn what_an_engine_adds_may_be_of_any_depth_and_form() {
    let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
    for data in [deep.as_str(), "7", "\"words\"", "[]", "{\"id\":7,\"type\":{}}"] {
        let body = String::from_utf8(event("message", &text(&json!({ "_data": "HERE" })))).expect("text");
        let events = deliver(body.replace("\"HERE\"", data).as_bytes()).expect("a delivery");
        assert_eq!(events.messages.len(), 1, "{}", &data[..data.len().min(20)]);
    }
}

#[test]
fn a_name_is_written_as_calls_take_it() {
    let cases = [
        ("12025550123@c.us", "12025550123@c.us", Some("12025550123")),
        ("12025550123@s.whatsapp.net", "12025550123@c.us", Some("12025550123")),
        ("12025550123:17@s.whatsapp.net", "12025550123@c.us", Some("12025550123")),
        ("+1 202 555 0123", "12025550123@c.us", Some("12025550123")),
        ("12025550123", "12025550123@c.us", Some("12025550123")),
        ("90000000000123@lid", "90000000000123@lid", None),
        ("90000000000123:3@lid", "90000000000123@lid", None),
    ];
    for (from, chat, phone) in cases {
        let at = read(&json!({ "from": from })).expect("a message").at;
        assert_eq!((at.chat.as_str(), at.sender.as_str()), (chat, chat), "{from}");
        assert_eq!(at.phone.as_ref().map(|phone| phone.as_str()), phone, "{from}");
        assert!(!at.group);
    }
    let taken_apart = json!({ "server": "c.us", "user": "12025550123", "_serialized": "12025550123@c.us" });
    assert_eq!(read(&json!({ "from": taken_apart })).expect("a message").at.chat.as_str(), "12025550123@c.us");
    // The message's own name says it as well.
    assert_eq!(read(&json!({ "from": null })).expect("a message").at.chat.as_str(), "12025550123@c.us");
}

#[test]
fn a_groups_message_has_the_group_for_its_chat_and_its_writer_for_its_sender() {
    let group = "120363000000000017@g.us";
    for key in ["participant", "author"] {
        let at = read(&json!({ "from": group, key: "12025550147:2@s.whatsapp.net" })).expect("a message").at;
        assert!(at.group);
        assert_eq!((at.chat.as_str(), at.sender.as_str()), (group, "12025550147@c.us"));
        assert_eq!(at.phone.expect("a number").as_str(), "12025550147");
    }
    let id = format!("false_{group}_3EB0AA_90000000000123@lid");
    let at = read(&json!({ "from": group, "id": id })).expect("a message").at;
    assert_eq!((at.sender.as_str(), at.phone), ("90000000000123@lid", None));
    assert!(read(&json!({ "from": group })).is_none(), "nobody knows who wrote it");
}

#[test]
fn a_messages_name_is_found_wherever_an_engine_puts_it() {
    let whole = "false_12025550123@c.us_3EB0AA";
    let cases = [
        json!({ "id": whole }),
        json!({ "id": { "id": "3EB0AA", "_serialized": whole } }),
        json!({ "id": { "id": whole } }),
        json!({ "id": null, "_data": { "id": { "_serialized": whole } } }),
        json!({ "id": null, "key": { "id": whole } }),
        json!({ "id": null, "message_id": whole }),
    ];
    for case in cases {
        assert_eq!(read(&case).expect("a message").at.message.as_str(), whole, "{case}");
    }
    assert!(read(&json!({ "id": null })).is_none());
}

#[test]
fn a_message_without_a_word_on_whose_it_is_goes_by_its_name() {
    assert!(read(&json!({ "fromMe": null })).is_some());
    assert!(read(&json!({ "fromMe": null, "id": "true_12025550123@c.us_3EB0AA" })).is_none());
    assert!(read(&json!({ "fromMe": "true" })).is_none());
    assert!(read(&json!({ "source": "api" })).is_none(), "what the API has sent is nobody's message");
}

#[test]
fn a_time_is_the_messages_own_to_the_millisecond() {
    let cases = [
        (json!(1_767_225_600), 1_767_225_600_000),
        (json!(1_767_225_600.853), 1_767_225_600_853),
        (json!("1767225600"), 1_767_225_600_000),
        (json!(1_767_225_600_853_u64), 1_767_225_600_853),
        // None that makes sense: the envelope's.
        (json!(null), 1_767_225_600_123),
        (json!(-5), 1_767_225_600_123),
        (json!("soon"), 1_767_225_600_123),
    ];
    for (written, time) in cases {
        assert_eq!(read(&json!({ "timestamp": written })).expect("a message").at.time, Timestamp(time), "{written}");
    }
    let bare = json!({ "event": "message", "payload": text(&json!({ "timestamp": null })) });
    let events = deliver(bare.to_string().as_bytes()).expect("a delivery");
    assert_eq!(events.messages[0].at.time, RECEIVED, "neither has one");
}

#[test]
fn a_medium_without_the_engines_word_is_known_by_its_mime_type() {
    let cases = [
        ("image/png", MediaKind::Image),
        ("image/webp", MediaKind::Sticker),
        ("video/mp4", MediaKind::Video),
        ("audio/ogg; codecs=opus", MediaKind::Voice),
        ("audio/mpeg", MediaKind::Audio),
        ("application/pdf", MediaKind::Document),
        ("", MediaKind::Document),
    ];
    for (mime, kind) in cases {
        let media = json!({ "hasMedia": true, "media": { "url": null, "mimetype": mime } });
        let Content::Media(media) = read(&media).expect("a message").content else { panic!("{mime} is a medium") };
        assert_eq!(media.kind, kind, "{mime}");
    }
    let message = read(&json!({ "hasMedia": false, "media": {} })).expect("a message");
    assert_eq!(message.content, Content::text("hello"), "an empty object is no medium");
}

#[test]
fn an_edit_and_what_it_edits_have_two_names_whatever_the_engine_says() {
    let edit = |id: &str, edited: &str| {
        let payload = text(&json!({ "id": id, "editedMessageId": edited }));
        deliver(&event("message.edited", &payload)).expect("a delivery").messages.pop().expect("an edit")
    };
    let names = |message: &Inbound| {
        let Content::Edit { message: edited, .. } = &message.content else { panic!("it is an edit") };
        (message.at.message.as_str().to_owned(), edited.as_str().to_owned())
    };
    let (whole, act) = ("false_12025550123@c.us_3EB0AA", "false_12025550123@c.us_3EB0BB");
    assert_eq!(names(&edit(act, "3EB0AA")), (act.to_owned(), whole.to_owned()));
    assert_eq!(names(&edit(act, whole)), (act.to_owned(), whole.to_owned()));
    assert_eq!(names(&edit(whole, "3EB0AA")), (format!("{whole}#evt_01"), whole.to_owned()));
}

#[test]
fn a_status_is_read_by_its_word_and_else_by_its_number() {
    let stage = |fields: Value| {
        let mut payload = json!({ "id": "true_12025550123@c.us_3EB0AA", "fromMe": true });
        payload.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
        deliver(&event("message.ack", &payload)).expect("a delivery").statuses.pop().map(|status| status.stage)
    };
    let cases = [
        ("ERROR", -1, Some(Stage::Failed(None))),
        ("PENDING", 0, None),
        ("SERVER", 1, Some(Stage::Sent)),
        ("DEVICE", 2, Some(Stage::Delivered)),
        ("READ", 3, Some(Stage::Read)),
        ("PLAYED", 4, Some(Stage::Played)),
        ("SOMETHING", 5, None),
    ];
    for (word, number, expected) in cases {
        assert_eq!(stage(json!({ "ackName": word, "ack": number })), expected, "{word}");
        assert_eq!(stage(json!({ "ack": number })), expected, "{number}");
    }
    assert_eq!(stage(json!({ "ackName": "READ", "fromMe": false })), None, "it is their message that we have read");
}

#[test]
fn a_place_comes_before_the_picture_of_it() {
    let place = json!({ "body": "/9j/4AAQ", "location": { "latitude": "37.5", "longitude": -122.25 } });
    let content = read(&place).expect("a message").content;
    assert_eq!(content, Content::Location { latitude: 37.5, longitude: -122.25, name: None, address: None, url: None });
    let broken = json!({ "location": { "latitude": "north" } });
    assert_eq!(
        read(&broken).expect("a message").content,
        Content::text("hello"),
        "what there is beside it still counts"
    );
}
