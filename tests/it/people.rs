//! A person takes over: by the phone, by the handler, by a word, by the operator's hand.

mod race;

use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use threedots::message::clock::Clock;
use threedots::message::{BotName, ContentKind};
use threedots::policy::control::Language;
use threedots::policy::takeover::{Lasting, PeopleConfig};
use threedots::sandbox::{Calls, Failure, Fault, Upstream};
use threedots::store::{By, ContactChange, ContactRef, Pause};
use threedots::{Handler, HandlerError, Part, Reply, Turn};
use tokio::time::sleep;

use crate::world::{BOT, Setup, World, echo};

/// The upstreams that tell of what is written on the business's own phone.
const TELLING: [Upstream; 5] = [Upstream::Meta, Upstream::Gateway, Upstream::Wawp, Upstream::Waha, Upstream::Linq];

fn peer() -> ContactRef {
    ContactRef::named(&BotName::new(BOT), "+1 555 010 0001".replace(' ', "").as_str()).expect("somebody")
}

async fn pause(world: &World) -> Option<Pause> {
    let bot = BotName::new(BOT);
    // Linq knows the chat by a name of its own.
    let there = world.store.resolve_address(&bot, "15550100001").await.expect("the store works");
    let peer = there.map_or_else(peer, |there| ContactRef::at(&bot, &there.address));
    world.store.contact_state(&peer).await.expect("the store works").pause(world.clock.now())
}

async fn resume(world: &World) {
    world.store.update_contact(&peer(), ContactChange::Resume).await.expect("the store works");
}

/// What was said, as the next turn's handler is told.
async fn history(world: &World) -> Vec<String> {
    world.history().await.iter().map(|said| format!("{:?}: {}", said.by, said.words)).collect()
}

/// A handler that thinks for ten seconds.
fn slow() -> Thinking {
    Thinking(Duration::from_secs(10))
}

/// A handler that thinks for so long, and says everything back.
struct Thinking(Duration);

#[async_trait]
impl Handler for Thinking {
    async fn reply(&self, turn: &Turn) -> Result<Reply, HandlerError> {
        sleep(self.0).await;
        Ok(Reply::text(turn.text()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_from_the_phone_silences_a_bot_that_is_thinking_and_takes_its_dots_off() {
    for upstream in TELLING {
        let world = Setup::on(upstream, slow()).start();
        world.write("one");
        world.pass(4).await;
        assert!(world.phone().dots_showing(&world.customer), "{upstream:?}");
        world.write_as_person("I am here");
        world.pass(1).await;
        let stops = world.provider.abilities().typing.stop.is_some();
        assert_eq!(world.phone().dots_showing(&world.customer), !stops, "{upstream:?}");
        let calls = world.calls().len();
        world.write("two");
        world.pass(100).await;
        assert!(world.replies().is_empty(), "{upstream:?}");
        assert!(!world.phone().dots_showing(&world.customer), "{upstream:?}");
        assert_eq!(world.calls().len(), calls, "{upstream:?}: nothing is shown: {:?}", world.calls());
        assert_eq!(world.store.backlog().messages, 0, "{upstream:?}");
        assert_eq!(world.dead().await, [], "{upstream:?}");
        let said = ["Person: I am here", "Customer: one", "Customer: two"];
        assert_eq!(history(&world).await, said, "{upstream:?}");
        // Twelve hours later the bot answers again, and knows what was said.
        world.pass(12 * 3600).await;
        world.write("three");
        world.pass(100).await;
        assert_eq!(world.replies(), ["three"], "{upstream:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_from_the_phone_between_the_answer_and_the_send_keeps_the_reply_back() {
    for upstream in TELLING {
        let world = Setup::on(upstream, Thinking(Duration::from_millis(500))).start();
        // The reply is there soon, and waits for a typing call that is not answered yet.
        world.sandbox.faults().add(Fault::on(Calls::Typing).slow_to_answer(Duration::from_secs(2)).once());
        world.write("one");
        world.pass(1).await;
        world.write_as_person("I am here");
        world.pass(100).await;
        assert!(world.replies().is_empty(), "{upstream:?}: {:#?}", world.phone().story());
        assert!(!world.phone().dots_showing(&world.customer), "{upstream:?}");
        assert_eq!(world.store.backlog().messages, 0, "{upstream:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_from_the_phone_calls_off_what_waits_to_be_sent() {
    for upstream in TELLING {
        let world = Setup::on(upstream, echo()).start();
        world.sandbox.faults().add(Fault::on(Calls::Send).fail(Failure::TooManyToOne).times(3));
        world.write("one");
        world.pass(1).await;
        world.write_as_person("I am here");
        world.pass(600).await;
        assert!(world.replies().is_empty(), "{upstream:?}");
        assert_eq!(world.store.backlog().messages, 0, "{upstream:?}");
        assert_eq!(world.dead().await, [], "{upstream:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_person_who_has_written_first_keeps_the_bot_silent_from_the_first_message_on() {
    for upstream in TELLING {
        let world = Setup::on(upstream, echo()).start();
        world.write_as_person("good morning");
        world.pass(1).await;
        world.write("hello");
        world.pass(100).await;
        assert_eq!(world.calls(), <[String; 0]>::default(), "{upstream:?}");
        assert_eq!(pause(&world).await.map(|pause| pause.by), Some(By::Phone), "{upstream:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_of_several_parts_ends_where_the_person_came_in() {
    let world = Setup::on(Upstream::Gateway, |_: &Turn| Reply::text("1").and(Part::text("2"))).start();
    world.sandbox.faults().add(Fault::on(Calls::Send).slow_to_answer(Duration::from_secs(2)).once());
    world.write("one");
    world.pass(1).await;
    // While the first part is being sent, nobody knows yet whose this is.
    world.write_as_person("I am here");
    world.pass(100).await;
    assert_eq!(world.replies(), ["1"]);
    assert_eq!(history(&world).await, ["Person: I am here", "Customer: one", "Bot: 1"]);
}

#[tokio::test(start_paused = true)]
async fn the_echo_of_a_reply_of_ours_pauses_nothing_even_if_it_overtakes_the_answer() {
    let mut setup = Setup::on(Upstream::Gateway, |turn: &Turn| Reply::text(turn.text()).and(Part::text("2")));
    setup.sandbox.own_echoes = true;
    let world = setup.start();
    world.sandbox.faults().add(Fault::on(Calls::Send).slow_to_answer(Duration::from_secs(2)).times(3));
    // Of this one nobody ever learns whether it was sent, but by its echo.
    world.sandbox.faults().add(Fault::on(Calls::Send).fail(Failure::Reset).after_effect().once());
    for words in ["one", "three"] {
        world.write(words);
        world.pass(60).await;
    }
    assert_eq!(world.replies(), ["one", "2", "three", "2"]);
    assert_eq!(pause(&world).await, None);
}

#[tokio::test(start_paused = true)]
async fn where_messages_from_the_phone_take_nothing_over_the_bot_goes_on() {
    let mut setup = Setup::on(Upstream::Gateway, slow());
    setup.people.echoes = false;
    let world = setup.start();
    world.write("one");
    world.pass(4).await;
    world.write_as_person("I am here");
    world.pass(100).await;
    assert_eq!(world.replies(), ["one"]);
}

#[tokio::test(start_paused = true)]
async fn a_handover_leaves_the_conversation_to_a_person() {
    let mut setup = Setup::new(|turn: &Turn| match turn.text().as_str() {
        "angry" => Reply::Handover { reason: "anger".into() },
        other => Reply::text(other.to_owned()),
    });
    setup.people = PeopleConfig { pause: Lasting::UntilResumed, ..PeopleConfig::default() };
    let world = setup.start();
    world.write("angry");
    world.pass(10).await;
    world.write("hello?");
    world.pass(90 * 24 * 3600).await;
    world.write("hello?");
    world.pass(100).await;
    assert!(world.replies().is_empty());
    assert_eq!(pause(&world).await.map(|pause| (pause.by, pause.until)), Some((By::Handler, None)));
    resume(&world).await;
    world.write("hello!");
    world.pass(100).await;
    assert_eq!(world.replies(), ["hello!"]);
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_a_person_is_told_that_one_comes_and_nothing_else() {
    let mut setup = Setup::new(slow());
    setup.control.human = vec!["human".into()];
    setup.control.human_reply = "Somebody will be with you.".into();
    let world = setup.start();
    world.write("one");
    world.pass(4).await;
    world.write("Human!");
    world.pass(4).await;
    world.write("two");
    world.pass(4).await;
    world.write("human");
    world.pass(100).await;
    assert_eq!(world.replies(), ["Somebody will be with you."]);
    assert_eq!(pause(&world).await.map(|pause| pause.by), Some(By::Customer));
    assert_eq!(world.store.backlog().messages, 0);
}

#[tokio::test(start_paused = true)]
async fn that_a_person_comes_is_not_said_once_the_person_is_there() {
    let mut setup = Setup::new(echo());
    setup.control.human = vec!["human".into()];
    setup.control.human_reply = "Somebody will be with you.".into();
    let world = setup.start();
    world.sandbox.faults().add(Fault::on(Calls::Send).fail(Failure::TooManyToOne).times(2));
    world.write("human");
    world.pass(1).await;
    world.write_as_person("I am here");
    world.pass(600).await;
    assert!(world.replies().is_empty());
    assert_eq!(world.store.backlog().messages, 0);
}

/// Whether nothing may be sent to the customer unasked.
async fn opted_out(world: &World) -> bool {
    world.store.contact_state(&peer()).await.expect("the store works").opted_out().is_some()
}

#[tokio::test(start_paused = true)]
async fn who_opts_out_is_noted_told_so_and_answered_when_they_ask() {
    let mut setup = Setup::new(echo());
    setup.control.opt_out_languages = vec![Language::De];
    setup.control.opt_out_reply = "Sie bekommen nichts mehr.".into();
    setup.control.opt_in_reply = "Willkommen zurück.".into();
    let world = setup.start();
    world.write("Abmelden!");
    world.pass(100).await;
    assert!(opted_out(&world).await);
    world.write("Wann habt ihr offen?");
    world.pass(100).await;
    assert!(opted_out(&world).await, "a question changes nothing about it");
    world.write("START");
    world.pass(100).await;
    assert!(!opted_out(&world).await);
    let replies = ["Sie bekommen nichts mehr.", "You said: Wann habt ihr offen?", "Willkommen zurück."];
    assert_eq!(world.replies(), replies);
}

#[tokio::test(start_paused = true)]
async fn who_opts_out_writes_the_word_as_people_write_it_and_whoever_says_more_does_not() {
    const WRITTEN: [(&str, bool); 16] = [
        ("cancelar suscripcion", true),
        ("Cancelar Suscripcio\u{301}n.", true),
        ("cancelarsuscripcion", true),
        ("DESABONNER", true),
        ("se desabonner!", true),
        ("desinscription", true),
        ("optout", true),
        ("Opt-Out", true),
        ("STOPALL", true),
        ("stop all 🛑", true),
        ("ＳＴＯＰ", true),
        ("I want to stop all deliveries to my old address", false),
        ("how do I opt out of the newsletter?", false),
        ("quiero cancelar suscripcion y comprar otra", false),
        ("bus stop", false),
        ("stop 2", false),
    ];
    // Linq acts on such words itself.
    for upstream in Upstream::ALL.into_iter().filter(|upstream| *upstream != Upstream::Linq) {
        let mut setup = Setup::on(upstream, echo());
        setup.control.opt_out_languages = vec![Language::En, Language::Es, Language::Fr];
        setup.control.opt_out_reply = "You are out.".into();
        let world = setup.start();
        for (number, (words, out)) in WRITTEN.into_iter().enumerate() {
            let customer = world.customer(number);
            world.write_as(&customer, words);
            world.pass(30).await;
            let reply = if out { "You are out.".to_owned() } else { format!("You said: {words}") };
            assert_eq!(world.replies_to(&customer), [reply], "{}: {words}", upstream.name());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_opt_out_counts_whoever_answers_and_whether_or_not_anybody_does() {
    let mut setup = Setup::new(echo());
    setup.control.opt_out = vec!["unsubscribe".into()];
    setup.control.opt_out_reply = "Done.".into();
    setup.gate.kinds = vec![ContentKind::Image];
    let world = setup.start();
    world.write_as_person("I am here");
    world.pass(1).await;
    world.write("unsubscribe");
    world.pass(100).await;
    assert!(opted_out(&world).await);
    assert!(world.replies().is_empty());
    assert_eq!(world.store.backlog().messages, 0);
}

#[tokio::test(start_paused = true)]
async fn without_such_words_stop_only_stops_the_bot() {
    let world = Setup::new(echo()).start();
    world.write("stop");
    world.pass(100).await;
    assert!(!opted_out(&world).await);
}

#[tokio::test(start_paused = true)]
async fn what_people_choose_in_whatsapps_own_menu_counts_in_the_order_in_which_they_chose() {
    let world = Setup::new(echo()).start();
    let now = world.clock.now().0 / 1000;
    let tell = async |value: &str, category: &str, at: u64| {
        let wish = json!({ "wa_id": "15550100001", "category": category, "value": value, "timestamp": at });
        let metadata = json!({ "phone_number_id": "106540352242922", "display_phone_number": "12125550199" });
        let value = json!({ "messaging_product": "whatsapp", "metadata": metadata, "user_preferences": [wish] });
        let change = json!({ "field": "user_preferences", "value": value });
        let body = json!({ "object": "whatsapp_business_account", "entry": [{ "id": "1", "changes": [change] }] });
        assert_eq!(world.sandbox.inject(body.to_string()).await, Some(200));
    };
    tell("stop", "something_else", now).await;
    assert!(!opted_out(&world).await);
    tell("stop", "marketing_messages", now).await;
    assert!(opted_out(&world).await);
    tell("resume", "marketing_messages", now - 60).await;
    assert!(opted_out(&world).await, "that was before");
    tell("resume", "marketing_messages", now + 60).await;
    assert!(!opted_out(&world).await);
}

#[tokio::test(start_paused = true)]
async fn a_pause_survives_the_process() {
    let mut world = Setup::new(echo()).start();
    world.write_as_person("I am here");
    world.pass(1).await;
    world.restart(Setup::new(echo())).await;
    world.write("one");
    world.pass(100).await;
    assert!(world.replies().is_empty());
}

#[test]
fn what_is_no_time_is_no_pause() {
    for wrong in ["0s", "soon", ""] {
        let text = format!("[bots.shop.people]\npause = \"{wrong}\"");
        let (_, problems) = threedots::host::config::Config::parse("bots.toml", &text, []);
        let found = problems.iter().find(|problem| problem.key == "bots.shop.people.pause").expect(wrong);
        assert_eq!(found.text, "is no duration: write for example \"2h\", or \"until_resumed\"");
        assert_eq!(found.place, "bots.toml:2");
    }
    let text = "[bots.shop.people]\npause = \"until_resumed\"";
    let (config, _) = threedots::host::config::Config::parse("bots.toml", text, []);
    assert_eq!(config.bots["shop"].people.pause, Lasting::UntilResumed);
    assert_eq!(Lasting::UntilResumed.until(Clock::tokio().now()), None);
}

/// An event of WhatsApp Web's, as WAHA and Wawp deliver it.
fn event(world: &World, name: &str, payload: &serde_json::Value) -> String {
    let session = &world.sandbox.settings().account_id;
    json!({ "id": "evt_1", "session": session, "event": name, "payload": payload }).to_string()
}

#[tokio::test(start_paused = true)]
async fn a_message_that_comes_by_two_events_is_answered_once() {
    for upstream in [Upstream::Wawp, Upstream::Waha] {
        let world = Setup::on(upstream, echo()).start();
        let (chat, id) = ("15550100001@c.us", "false_15550100001@c.us_3EB0AA");
        let payload = json!({ "id": id, "from": chat, "fromMe": false, "source": "app", "body": "hello" });
        for name in ["message", "message.any", "message"] {
            assert_eq!(world.sandbox.inject(event(&world, name, &payload)).await, Some(200), "{upstream:?}");
        }
        world.pass(30).await;
        assert_eq!(world.replies(), ["You said: hello"], "{upstream:?}");
        // So is what a person writes on the phone: told of again by the other event, it pauses nothing anew.
        let (id, now) = ("true_15550100001@c.us_3EB0BB", world.clock.now().0 / 1000);
        let payload =
            json!({ "id": id, "to": chat, "fromMe": true, "source": "app", "timestamp": now, "body": "I am here" });
        world.sandbox.inject(event(&world, "message.any", &payload)).await;
        assert_eq!(pause(&world).await.map(|pause| pause.by), Some(By::Phone), "{upstream:?}");
        world.pass(30).await;
        resume(&world).await;
        world.sandbox.inject(event(&world, "message", &payload)).await;
        assert_eq!(pause(&world).await, None, "{upstream:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_bot_itself_has_sent_takes_nothing_over_whatever_the_engine_says_of_it() {
    for upstream in [Upstream::Wawp, Upstream::Waha] {
        let world = Setup::on(upstream, echo()).start();
        world.write("hello");
        world.pass(30).await;
        let reply = world.phone().replies(&world.customer).pop().expect("a reply").id;
        for source in ["api", "app"] {
            let to = "15550100001@c.us";
            let own =
                json!({ "id": reply.as_str(), "to": to, "fromMe": true, "source": source, "body": "You said: hello" });
            for name in ["message.any", "message"] {
                assert_eq!(world.sandbox.inject(event(&world, name, &own)).await, Some(200));
                assert_eq!(pause(&world).await, None, "{upstream:?}: {name}, {source}");
            }
        }
        world.write("and?");
        world.pass(30).await;
        assert_eq!(world.replies().len(), 2, "{upstream:?}");
    }
}
