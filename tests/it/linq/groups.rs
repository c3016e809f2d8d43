//! The dots: what the calls are, and what a group that refuses them is remembered for.

use std::time::Duration;

use serde_json::{Value, json};
use threedots::message::clock::Clock;
use threedots::message::{ChatId, MessageRef};
use threedots::provider::{
    Activity, ErrorCode, GroupTyping, KeyedBy, Provider, ProviderError, ReadReceipts, StopAbilities,
};

use super::{CHAT, connect, linq, received_message};
use crate::upstream::{Given, Upstream};

fn group(chat: &str) -> MessageRef {
    MessageRef { chat: ChatId::new(chat), group: true, ..received_message() }
}

fn forbidden(code: Option<i64>) -> Given {
    let error = json!({ "status": 403, "code": code, "message": "Group chats are not supported" });
    Given::json(403, &json!({ "success": false, "error": error }))
}

async fn start(provider: &dyn Provider, at: &MessageRef) -> Result<(), ProviderError> {
    provider.start_typing(at, Activity::Typing).await
}

fn refused(code: ErrorCode) -> Result<(), ProviderError> {
    Err(ProviderError::Unsupported { code })
}

#[test]
fn groups_show_nothing_unless_they_are_to_be_tried() {
    let shown = |more: &Value| {
        let provider = connect(more, Upstream::answering([]), Clock::System);
        let typing = &provider.abilities().typing;
        (typing.shown_in(&received_message()), typing.shown_in(&group("g")))
    };
    assert_eq!(shown(&json!({})), (GroupTyping::Show, GroupTyping::Skip));
    assert_eq!(shown(&json!({ "group_typing": "try" })), (GroupTyping::Show, GroupTyping::Show));
}

#[tokio::test(start_paused = true)]
async fn a_group_that_refuses_is_left_alone_for_six_hours() {
    let upstream = Upstream::answering([forbidden(None), Given::body(204, ""), Given::body(204, "")]);
    let provider = connect(&json!({ "group_typing": "try" }), upstream.clone(), Clock::tokio());
    assert_eq!(start(&*provider, &group("g1")).await, refused(ErrorCode::Status(403)));
    for _ in 0..3 {
        assert!(matches!(
            start(&*provider, &group("g1")).await,
            Err(ProviderError::Unsupported { code: ErrorCode::Local(_) })
        ));
        assert!(matches!(provider.stop_typing(&group("g1")).await, Err(ProviderError::Unsupported { .. })));
    }
    assert_eq!(upstream.seen().len(), 1, "nobody asks again");
    assert_eq!(start(&*provider, &group("g2")).await, Ok(()), "another group is another matter");
    tokio::time::advance(Duration::from_secs(6 * 3600)).await;
    assert_eq!(start(&*provider, &group("g1")).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn how_long_is_the_operators_to_choose() {
    let upstream = Upstream::answering([forbidden(None), Given::body(204, "")]);
    let settings = json!({ "group_typing": "try", "group_typing_pause": "10m" });
    let provider = connect(&settings, upstream.clone(), Clock::tokio());
    assert!(start(&*provider, &group("g1")).await.is_err());
    tokio::time::advance(Duration::from_secs(600)).await;
    assert_eq!(start(&*provider, &group("g1")).await, Ok(()));
}

#[tokio::test]
async fn a_refusal_for_another_reason_says_nothing_about_groups() {
    for code in [2004, 2008, 2024, 2026, 2027] {
        let upstream = Upstream::answering([forbidden(Some(code)), Given::body(204, "")]);
        let provider = connect(&json!({ "group_typing": "try" }), upstream, Clock::System);
        let said = start(&*provider, &group("g1")).await;
        assert!(!matches!(said, Ok(()) | Err(ProviderError::Unsupported { .. })), "{code}: {said:?}");
        assert_eq!(start(&*provider, &group("g1")).await, Ok(()), "{code}");
    }
}

#[tokio::test]
async fn the_refusal_that_linqs_page_shows_for_a_group_is_remembered() {
    let upstream = Upstream::answering([forbidden(Some(2005)), Given::body(204, "")]);
    let provider = connect(&json!({ "group_typing": "try" }), upstream.clone(), Clock::System);
    assert_eq!(start(&*provider, &group("g1")).await, refused(ErrorCode::Upstream(2005)));
    for _ in 0..3 {
        assert!(matches!(start(&*provider, &group("g1")).await, Err(ProviderError::Unsupported { .. })));
    }
    assert_eq!(upstream.seen().len(), 1, "nobody asks again");
    // What the key may do is another matter in a chat with one person.
    let upstream = Upstream::answering([forbidden(Some(2005))]);
    let said = start(&*linq(&upstream), &received_message()).await;
    assert_eq!(said, Err(ProviderError::Unauthorized { code: ErrorCode::Upstream(2005) }));
}

#[tokio::test]
async fn a_chat_with_one_person_is_never_taken_for_one_without_dots() {
    let upstream = Upstream::answering([forbidden(None), Given::body(204, "")]);
    let provider = linq(&upstream);
    assert_eq!(
        start(&*provider, &received_message()).await,
        Err(ProviderError::Unauthorized { code: ErrorCode::Status(403) })
    );
    assert_eq!(start(&*provider, &received_message()).await, Ok(()));
}

#[tokio::test]
async fn the_memory_of_refusing_groups_has_an_end() {
    let upstream = Upstream::answering((0..4098).map(|_| forbidden(None)));
    let provider = connect(&json!({ "group_typing": "try" }), upstream.clone(), Clock::System);
    for number in 0..4097 {
        assert!(start(&*provider, &group(&format!("g{number}"))).await.is_err());
    }
    let last = group("g4096");
    assert!(start(&*provider, &last).await.is_err());
    assert_eq!(upstream.seen().len(), 4097, "the last one is remembered");
    // One of the first had to make room for it.
    for number in 0..4096 {
        let _ = start(&*provider, &group(&format!("g{number}"))).await;
        if upstream.seen().len() == 4098 {
            return;
        }
    }
    panic!("all of them are remembered");
}

#[test]
fn its_abilities_are_linqs() {
    let provider = linq(&Upstream::answering([]));
    let abilities = provider.abilities();
    assert_eq!((provider.name(), abilities.reads, abilities.text_limit), ("linq", ReadReceipts::Chat, 10_000));
    assert!(abilities.idempotent_sends && !abilities.statuses_carry_key);
    assert!(abilities.choices.is_none() && !abilities.places);
    let typing = &abilities.typing;
    assert_eq!(typing.keyed_by, KeyedBy::Chat);
    assert_eq!((typing.lifetime, typing.refresh), (Duration::from_secs(60), Some(Duration::from_secs(45))));
    assert_eq!(typing.stop, Some(StopAbilities { per_second: Some(3), before_send: false }));
    assert!(!typing.start_marks_read && !typing.lit_on_arrival && !typing.recording);
    assert_eq!(typing.lead, Duration::ZERO);
}

#[test]
fn its_abilities_follow_the_settings() {
    let settings = json!({ "typing_lifetime": "85s", "typing_refresh": "60s", "text_limit": 900, "voice_memos": true });
    let provider = connect(&settings, Upstream::answering([]), Clock::System);
    let abilities = provider.abilities();
    assert_eq!(abilities.typing.lifetime, Duration::from_secs(85));
    assert_eq!(abilities.typing.refresh, Some(Duration::from_secs(60)));
    assert_eq!(abilities.text_limit, 900);
    assert!(!abilities.idempotent_sends, "a voice memo carries no key");
}

#[tokio::test]
async fn any_status_of_success_will_do() {
    for status in [200, 201, 202, 204] {
        let answers = (0..3).map(|_| Given::body(status, ""));
        let upstream = Upstream::answering(answers);
        let provider = linq(&upstream);
        let at = received_message();
        assert_eq!(provider.mark_read(&at).await, Ok(()));
        assert_eq!(provider.start_typing(&at, Activity::Recording).await, Ok(()));
        assert_eq!(provider.stop_typing(&at).await, Ok(()));
        let calls: Vec<_> =
            upstream.seen().iter().map(|call| (call.method, call.url.clone(), call.body.clone())).collect();
        let chat = format!("https://api.linqapp.com/api/partner/v3/chats/{CHAT}");
        let (read, typing) = (format!("{chat}/read"), format!("{chat}/typing"));
        assert_eq!(
            calls,
            [("POST", read, Value::Null), ("POST", typing.clone(), Value::Null), ("DELETE", typing, Value::Null)]
        );
    }
}
