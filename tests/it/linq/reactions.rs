//! Reactions of ours: iMessage's six, any other emoji, and taking one away.

use serde_json::{Value, json};
use threedots::message::{MessageId, Payload};
use threedots::provider::{ErrorCode, ProviderError};

use super::{MESSAGE, key, linq, received_message};
use crate::upstream::{Given, Seen, Upstream};

async fn react(emoji: &str, answers: Vec<Given>) -> (Result<MessageId, ProviderError>, Vec<Seen>) {
    let upstream = Upstream::answering(answers);
    let part = Payload::Reaction { message: None, emoji: emoji.into() }.into();
    (linq(&upstream).send(&received_message(), &part, &key()).await, upstream.seen())
}

fn done() -> Given {
    Given::json(202, &json!({ "status": "accepted", "message": "Reaction processed", "trace_id": "fiction" }))
}

fn bodies(calls: &[Seen]) -> Vec<Value> {
    calls.iter().map(|call| call.body.clone()).collect()
}

#[tokio::test]
async fn every_emoji_has_its_reaction() {
    let known = [
        ("❤️", "love"),
        ("❤", "love"),
        ("👍", "like"),
        ("👎", "dislike"),
        ("😂", "laugh"),
        ("‼️", "emphasize"),
        ("‼", "emphasize"),
        ("❓", "question"),
    ];
    for (emoji, name) in known {
        let (sent, calls) = react(emoji, vec![done()]).await;
        assert_eq!(sent, Ok(MessageId::new(key().as_str())), "Linq has no name for a reaction");
        assert_eq!(bodies(&calls), [json!({ "operation": "add", "type": name })], "{emoji}");
    }
    for emoji in ["🥐", "👍🏽", "❤️‍🔥"] {
        let (_, calls) = react(emoji, vec![done()]).await;
        assert_eq!(bodies(&calls), [json!({ "operation": "add", "type": "custom", "custom_emoji": emoji })]);
    }
}

fn shown(reactions: [Value; 2]) -> Given {
    let parts = reactions.map(|reactions| json!({ "type": "text", "value": "x", "reactions": reactions }));
    Given::json(200, &json!({ "id": MESSAGE, "parts": parts }))
}

#[tokio::test]
async fn taking_a_reaction_away_names_the_one_that_is_there() {
    let mine = |kind: &str, emoji: Value| json!({ "type": kind, "is_me": true, "custom_emoji": emoji });
    let theirs = json!({ "type": "love", "is_me": false });
    let message = shown([
        json!([theirs, mine("like", Value::Null)]),
        json!([mine("custom", json!("🥐")), mine("sticker", Value::Null)]),
    ]);
    let (sent, calls) = react("", vec![message, done(), done()]).await;
    assert!(sent.is_ok());
    assert_eq!(
        (calls[0].method, calls[0].url.as_str()),
        ("GET", &*format!("https://api.linqapp.com/api/partner/v3/messages/{MESSAGE}"))
    );
    assert_eq!(
        bodies(&calls[1..]),
        [
            json!({ "operation": "remove", "type": "like", "part_index": 0 }),
            json!({ "operation": "remove", "type": "custom", "custom_emoji": "🥐", "part_index": 1 }),
        ]
    );
}

#[tokio::test]
async fn where_there_is_none_of_ours_there_is_nothing_to_take_away() {
    for message in [shown([json!([]), Value::Null]), Given::body(200, ""), Given::json(200, &json!({ "parts": null }))]
    {
        let (sent, calls) = react("", vec![message]).await;
        assert!(sent.is_ok() && calls.len() == 1);
    }
}

#[tokio::test]
async fn a_message_that_is_gone_takes_no_reaction() {
    let gone = || Given::json(404, &json!({ "success": false, "error": { "status": 404, "code": 2002 } }));
    for emoji in ["👍", ""] {
        let (sent, _) = react(emoji, vec![gone()]).await;
        assert_eq!(sent, Err(ProviderError::Rejected { code: ErrorCode::Upstream(2002) }));
    }
}

#[tokio::test]
async fn a_reaction_may_be_repeated() {
    let (sent, _) = react("👍", vec![Given::body(503, "")]).await;
    assert_eq!(sent, Err(ProviderError::Transient { code: ErrorCode::Status(503) }));
}
