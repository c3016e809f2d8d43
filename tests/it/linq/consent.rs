//! Who has opted out at Linq, and who answers from our side: by the wire, and from the message to the phone.

use serde_json::{Value, json};
use threedots::message::clock::Timestamp;
use threedots::message::{BotName, MarketingPreference};
use threedots::sandbox::phone::Body;
use threedots::sandbox::{Customer, Upstream};
use threedots::store::{By, ContactRef, ContactState};
use threedots::{Handler, HandlerError, Reply, Turn};

use super::{CHAT, deliver};
use crate::world::{BOT, Setup, World, echo};

/// A message in the newer form.
fn said(words: &str, status: Option<(&str, &str)>) -> Value {
    let mut chat = json!({ "id": CHAT, "is_group": false });
    if let Some((status, updated)) = status {
        chat["health_status"] = json!({ "status": status, "updated_at": updated });
    }
    let data = json!({
        "id": "11111111-2222-4333-8444-0000000000aa",
        "direction": "inbound",
        "chat": chat,
        "sender_handle": { "handle": "+12025550147", "is_me": false },
        "parts": [{ "type": "text", "value": words }],
        "sent_at": "2026-02-05T19:31:12Z",
    });
    json!({ "event_type": "message.received", "event_id": "e1", "created_at": "2026-02-05T19:31:13Z", "data": data })
}

fn wishes(event: &Value) -> Vec<MarketingPreference> {
    deliver(event.to_string().as_bytes()).expect("a delivery").wishes
}

/// What the delivery says in the end: whether the person has opted out.
fn out(event: &Value) -> Option<bool> {
    let wishes = wishes(event);
    assert!(wishes.iter().all(|wish| wish.by_rule && wish.chat.as_ref().is_some_and(|chat| chat.as_str() == CHAT)));
    wishes.last().map(|wish| wish.opts_out)
}

#[test]
fn linqs_own_words_are_an_opt_out_and_any_other_message_ends_it() {
    for word in ["STOP", " UNSUBSCRIBE ", "OPTOUT", "CANCEL", "END", "QUIT", "opt out", "Opt-Out", "optOUT"] {
        assert_eq!(out(&said(word, None)), Some(true), "{word}");
        // Linq looks at a chat's health now and then, and at the words at once.
        assert_eq!(out(&said(word, Some(("HEALTHY", "2026-02-01T00:00:00Z")))), Some(true), "{word}");
    }
    for words in ["stop", "Cancel", "please STOP", "END of story", "hello", "opt"] {
        assert_eq!(out(&said(words, None)), Some(false), "{words}");
        assert_eq!(out(&said(words, Some(("AT_RISK", "2026-02-01T00:00:00Z")))), Some(false), "{words}");
    }
}

#[test]
fn what_linq_finds_counts_unless_it_is_older_than_the_message() {
    assert_eq!(out(&said("leave me alone", Some(("OPTED_OUT", "2026-02-05T19:31:12.5Z")))), Some(true));
    assert_eq!(out(&said("leave me alone", Some(("OPTED_OUT", "")))), Some(true), "it says nothing of when");
    assert_eq!(out(&said("hello again", Some(("OPTED_OUT", "2026-02-05T19:20:00Z")))), Some(false));
    // Of a message of ours, and in an event of which nothing else is read.
    let mut ours = said("Goodbye", Some(("OPTED_OUT", "2026-02-05T19:20:00Z")));
    ours["event_type"] = json!("message.delivered");
    ours["data"]["direction"] = json!("outbound");
    let told = wishes(&ours);
    assert_eq!((told.len(), told[0].opts_out, told[0].time), (1, true, Timestamp(1_770_319_200_000)));
}

#[test]
fn a_group_is_never_held_back() {
    let mut event = said("STOP", Some(("OPTED_OUT", "2026-02-05T19:31:12.5Z")));
    event["data"]["chat"]["is_group"] = json!(true);
    assert_eq!(wishes(&event), []);
}

#[test]
fn a_message_from_our_side_is_a_persons_unless_it_goes_by_our_key() {
    let sent = |key: Value, older: bool| {
        let parts = json!([{ "type": "text", "value": "This is Ben" }]);
        let id = "11111111-2222-4333-8444-0000000000bb";
        let data = match older {
            true => json!({
                "chat_id": CHAT, "is_from_me": true, "from": "+12025550100", "recipient_phone": "+12025550147",
                "message": { "id": id, "parts": parts, "idempotency_key": key, "sent_at": "2026-02-05T19:31:12Z" },
            }),
            false => json!({
                "id": id, "direction": "outbound", "chat": { "id": CHAT, "is_group": false }, "parts": parts,
                "sender_handle": { "handle": "+12025550100", "is_me": true },
                "idempotency_key": key, "sent_at": "2026-02-05T19:31:12Z",
            }),
        };
        let event = json!({ "event_type": "message.sent", "event_id": "e2", "created_at": "2026-02-05T19:31:13Z", "data": data });
        deliver(event.to_string().as_bytes()).expect("a delivery")
    };
    for older in [false, true] {
        for key in [json!(null), json!("a-crm-17")] {
            let events = sent(key, older);
            let [echo] = &events.echoes[..] else { panic!("an echo") };
            assert_eq!(echo.chat.as_ref().map(|chat| chat.as_str()), Some(CHAT));
            assert_eq!((echo.words.as_deref(), echo.time), (Some("This is Ben"), Timestamp(1_770_319_872_000)));
            assert_eq!(echo.phone.as_ref().map(|phone| phone.as_str()), older.then_some("+12025550147"));
        }
        let ours = sent(json!("3d-19c2f1-7-0"), older);
        assert_eq!((ours.echoes.len(), ours.statuses.len()), (0, 1));
    }
}

async fn contact_state(world: &World) -> ContactState {
    let bot = BotName::new(BOT);
    let there =
        world.store.resolve_address(&bot, "15550100001").await.expect("the store works").expect("they have written");
    world.store.contact_state(&ContactRef::at(&bot, &there.address)).await.expect("the store works")
}

async fn opted_out(world: &World) -> bool {
    contact_state(world).await.opted_out().is_some()
}

#[tokio::test(start_paused = true)]
async fn whoever_opts_out_is_told_so_although_linq_holds_everything_else_back() {
    for word in ["STOP", "unsubscribe", "CANCEL"] {
        let mut setup = Setup::on(Upstream::Linq, echo());
        setup.control.opt_out = vec!["stop".into(), "unsubscribe".into()];
        setup.control.opt_out_reply = "You will hear nothing more from us.".into();
        let world = setup.start();
        world.write(word);
        world.pass(60).await;
        assert_eq!(world.replies(), ["You will hear nothing more from us."], "{word}");
        assert!(opted_out(&world).await, "{word}");
        assert_eq!(world.dead().await, [], "{word}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_word_of_linqs_is_obeyed_and_asks_no_handler_and_the_next_message_is_the_way_back() {
    let world = Setup::on(Upstream::Linq, echo()).start();
    world.write("CANCEL");
    world.pass(60).await;
    assert_eq!((world.replies().len(), world.dead().await.len()), (0, 0));
    assert!(opted_out(&world).await);
    world.write("hello");
    world.pass(60).await;
    assert_eq!(world.replies(), ["You said: hello"]);
    assert!(!opted_out(&world).await, "Linq sends again, and so does the bot");
    // In small letters it is a message like any other.
    world.write("cancel my order");
    world.pass(60).await;
    assert_eq!(world.replies().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_the_person_has_said_to_the_bot_stands_when_linq_sends_again() {
    let mut setup = Setup::on(Upstream::Linq, echo());
    setup.control.opt_out = vec!["stop".into()];
    setup.control.opt_in = vec!["start".into()];
    let world = setup.start();
    world.write("STOP");
    world.pass(60).await;
    world.write("When do you open?");
    world.pass(60).await;
    assert!(opted_out(&world).await, "a question changes nothing about it");
    assert_eq!(world.replies(), ["You said: When do you open?"]);
    world.write("start");
    world.pass(60).await;
    assert!(!opted_out(&world).await);
}

/// Takes the next message for a reason to opt out, behind the bot's back.
struct Overtaken;

#[async_trait::async_trait]
impl Handler for Overtaken {
    async fn reply(&self, turn: &Turn) -> Result<Reply, HandlerError> {
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        Ok(Reply::text(turn.text()))
    }
}

#[tokio::test(start_paused = true)]
async fn an_opt_out_that_only_an_answer_of_linqs_tells_of_stands_too() {
    let world = Setup::on(Upstream::Linq, Overtaken).start();
    world.write("hello");
    world.pass(1).await;
    // The webhook that tells of this gets lost.
    let id = threedots::message::MessageId::new("lost");
    world.phone().customer_writes(&world.customer, &id, Body::Text("STOP".into()), None);
    world.pass(60).await;
    let dead = world.dead().await;
    assert_eq!(dead[0].reason, "the contact has opted out at the provider (code 2024)");
    assert!(opted_out(&world).await);
    world.write("still there?");
    world.pass(60).await;
    assert!(!opted_out(&world).await);
    assert_eq!(world.replies(), ["still there?"]);
}

#[tokio::test(start_paused = true)]
async fn a_person_who_answers_with_another_client_takes_over_and_the_bots_own_messages_do_not() {
    for version in ["", "?version=2025-01-01"] {
        let mut setup = Setup::on(Upstream::Linq, echo());
        setup.sandbox.webhook_url.push_str(version);
        let world = setup.start();
        world.write("one");
        world.pass(60).await;
        assert_eq!(contact_state(&world).await.paused, None, "{version}: its own answer is no person's");
        world.write_as_person("This is Ben");
        world.pass(5).await;
        assert_eq!(
            contact_state(&world).await.pause(world.clock.now()).map(|pause| pause.by),
            Some(By::Phone),
            "{version}"
        );
        world.write("two");
        world.pass(60).await;
        assert_eq!(world.replies(), ["You said: one"], "{version}");
    }
}

#[tokio::test(start_paused = true)]
async fn in_a_group_the_words_are_words() {
    let world = Setup::on(Upstream::Linq, echo()).start();
    let member = Customer { group: Some("bakers".into()), ..Customer::new("15550100009", "Bob") };
    world.phone().add(member.clone());
    world.write_as(&member.id, "CANCEL");
    world.pass(60).await;
    assert_eq!(world.replies_to(&member.id), ["You said: CANCEL"]);
}
