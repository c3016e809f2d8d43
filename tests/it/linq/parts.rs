//! A message of several parts: nothing of it is lost, and each answer finds what it answers.

use serde_json::{Value, json};
use threedots::message::{Content, MessageId, MessageRef, Part, PartKey, Payload};

use super::fixtures::fixture;
use super::{deliver, linq};
use crate::upstream::{Given, Upstream};

#[test]
fn every_medium_is_a_message_and_the_words_go_with_the_first() {
    let events = deliver(&fixture("several_media")).expect("a delivery");
    let said: Vec<_> =
        events.messages.iter().map(|message| (message.content.kind().as_str(), message.content.words())).collect();
    assert_eq!(said, [("image", Some("All of these\nby Friday")), ("video", None), ("document", None)]);
    let ids: Vec<_> = events.messages.iter().map(|message| message.at.message.as_str()).collect();
    let id = "11111111-2222-4333-8444-000000000012";
    assert_eq!(ids, [id.to_owned(), format!("{id}#2"), format!("{id}#4")]);
    assert!(events.messages.iter().all(|message| message.at.time == events.messages[0].at.time));
}

#[test]
fn what_cannot_be_read_spoils_none_of_its_neighbours() {
    let events = deliver(&fixture("unknown_part_among_others")).expect("a delivery");
    assert_eq!(events.messages[0].content, Content::text("See?"));
    assert_eq!((events.ignored.other, events.ignored.malformed), (1, 1));
}

#[test]
fn a_part_is_kept_as_it_came_only_as_deep_as_it_can_be_kept() {
    let nested = |levels: usize| (0..levels).fold(json!(7), |inner, _| json!([inner]));
    let delivered = |levels| {
        let mut payload: Value = serde_json::from_slice(&fixture("unknown_part")).expect("JSON");
        payload["data"]["parts"][0]["value"] = nested(levels);
        deliver(payload.to_string().as_bytes()).expect("a delivery")
    };
    assert_eq!(delivered(60).messages.len(), 1);
    assert_eq!((delivered(90).messages.len(), delivered(90).ignored.malformed), (0, 1));
}

/// The call that answers `to`, quoting it.
async fn quoting(to: MessageRef) -> Value {
    let upstream = Upstream::answering([Given::json(202, &json!({}))]);
    let part = Part { quote: true, ..Part::text("Yes") };
    linq(&upstream).send(&to, &part, &PartKey::new("1")).await.expect("sent");
    upstream.seen()[0].body["message"]["reply_to"].clone()
}

#[tokio::test]
async fn an_answer_to_a_part_quotes_that_part() {
    let events = deliver(&fixture("several_media")).expect("a delivery");
    let id = "11111111-2222-4333-8444-000000000012";
    assert_eq!(quoting(events.messages[0].at.clone()).await, json!({ "message_id": id }));
    assert_eq!(quoting(events.messages[1].at.clone()).await, json!({ "message_id": id, "part_index": 2 }));
}

#[tokio::test]
async fn an_answer_to_an_edit_or_a_reaction_quotes_the_message_itself() {
    for (name, id) in
        [("edit", "11111111-2222-4333-8444-000000000001"), ("reaction", "11111111-2222-4333-8444-000000000030")]
    {
        let events = deliver(&fixture(name)).expect("a delivery");
        assert_eq!(quoting(events.messages[0].at.clone()).await, json!({ "message_id": id }), "{name}");
    }
}

#[tokio::test]
async fn a_reaction_to_a_part_names_the_part() {
    let events = deliver(&fixture("several_media")).expect("a delivery");
    let upstream = Upstream::answering([Given::json(202, &json!({}))]);
    let part = Payload::Reaction { message: None, emoji: "👍".into() }.into();
    let sent = linq(&upstream).send(&events.messages[2].at, &part, &PartKey::new("1")).await;
    assert_eq!(sent, Ok(MessageId::new("1")));
    let call = &upstream.seen()[0];
    assert!(call.url.ends_with("/v3/messages/11111111-2222-4333-8444-000000000012/reactions"), "{}", call.url);
    assert_eq!(call.body, json!({ "operation": "add", "type": "like", "part_index": 4 }));
}
