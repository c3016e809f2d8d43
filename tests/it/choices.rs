//! Where buttons and lists are written out, what the customer writes comes back as a choice.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use threedots::handler::route::{Route, RouteConfig, Router};
use threedots::ingress::proactive::{OutboundChannel, ProactiveIntake};
use threedots::message::clock::Timestamp;
use threedots::message::reply::Choice;
use threedots::message::{
    BotName, ChatId, Contact, ContactId, Content, Inbound, MessageId, MessageRef, Part, Question,
};
use threedots::runtime::hosting::BotRegistry;
use threedots::sandbox::{Draft, Upstream};
use threedots::turn::OnNewMessage;
use threedots::{Handler, HandlerError, Reply, Turn};

use crate::world::{BOT, Setup, World};

/// Where questions are written out.
const WITHOUT_BUTTONS: [Upstream; 4] = [Upstream::Wawp, Upstream::Waha, Upstream::Gateway, Upstream::Linq];

/// Asks for a colour when it is told to, and a size for a colour; says what it was told else. Keeps what it was told.
#[derive(Clone, Default)]
struct Shop {
    told: Arc<Mutex<Vec<Content>>>,
    /// How long it works.
    works: Duration,
    /// Whether it fails on choices.
    fails: Arc<Mutex<bool>>,
}

#[async_trait]
impl Handler for Shop {
    async fn reply(&self, turn: &Turn) -> Result<Reply, HandlerError> {
        tokio::time::sleep(self.works).await;
        let contents: Vec<Content> = turn.messages.iter().map(|message| message.content.clone()).collect();
        let is_choice = contents.iter().any(|content| matches!(content, Content::Choice { .. }));
        self.told.lock().expect("no test panics in here").extend(contents);
        if is_choice && *self.fails.lock().expect("no test panics in here") {
            return Err(HandlerError::new("told to"));
        }
        Ok(match turn.text().as_str() {
            "colours" => Reply::buttons("Which colour?", [("b", "Blue"), ("r", "Red")]),
            "sizes" => Reply::buttons("Which size?", [("s", "Small"), ("l", "Large")]).and(Part::text("Until six.")),
            "silence" => Reply::silence(),
            other => Reply::text(format!("You said: {other}")),
        })
    }
}

impl Shop {
    fn last(&self) -> Content {
        self.told.lock().expect("no test panics in here").last().expect("it was asked").clone()
    }
}

fn chosen(id: &str, title: &str, written: &str) -> Content {
    Content::Choice { id: id.into(), title: title.into(), written: Some(written.into()), description: None }
}

async fn say(world: &World, words: &str) {
    world.write(words);
    world.pass(60).await;
}

fn newest_reply(world: &World) -> MessageId {
    world.phone().replies(&world.customer).last().expect("a reply").id.clone()
}

#[tokio::test(start_paused = true)]
async fn a_number_a_label_or_either_in_a_quoting_message_is_a_choice() {
    for upstream in WITHOUT_BUTTONS {
        let name = upstream.name();
        for written in ["2", "2.", "(2)", "٢", "RED", "réd", "red."] {
            for quotes in [false, true] {
                let shop = Shop::default();
                let world = Setup::on(upstream, shop.clone()).start();
                say(&world, "colours").await;
                assert_eq!(world.replies(), ["Which colour?\n\n1. Blue\n2. Red"], "{name}");
                let draft = Draft::text(written);
                let draft = if quotes { draft.quoting(&newest_reply(&world)) } else { draft };
                world.sandbox.write(&world.customer, draft).expect("a customer");
                world.pass(60).await;
                assert_eq!(shop.last(), chosen("r", "Red", written), "{name}, quoting: {quotes}");
                // The handler's words are the label, and so is the history.
                assert_eq!(world.replies().last().expect("a reply"), "You said: Red", "{name}");
                let history: Vec<String> = world.history().await.into_iter().map(|said| said.words).collect();
                assert_eq!(history[2..], ["Red", "You said: Red"], "{name}");
                // Something else was said since.
                say(&world, "1").await;
                assert_eq!(shop.last(), Content::text("1"), "{name}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_exact_answer_or_quotes_something_else_stays_what_it_is() {
    for upstream in WITHOUT_BUTTONS {
        let shop = Shop::default();
        let world = Setup::on(upstream, shop.clone()).start();
        say(&world, "hello").await;
        let hello = newest_reply(&world);
        for said in ["3", "reddish", "the red", "2 please", "no"] {
            say(&world, "colours").await;
            say(&world, said).await;
            assert_eq!(shop.last(), Content::text(said), "{}", upstream.name());
        }
        say(&world, "colours").await;
        world.sandbox.write(&world.customer, Draft::text("2").quoting(&hello)).expect("a customer");
        world.pass(60).await;
        assert_eq!(shop.last(), Content::text("2"), "{}", upstream.name());
    }
}

#[tokio::test(start_paused = true)]
async fn the_newest_question_counts_until_something_is_said_or_a_day_has_gone_by() {
    for upstream in WITHOUT_BUTTONS {
        let name = upstream.name();
        let shop = Shop::default();
        let world = Setup::on(upstream, shop.clone()).start();
        say(&world, "colours").await;
        say(&world, "sizes").await;
        say(&world, "2").await;
        assert_eq!(shop.last(), chosen("l", "Large", "2"), "{name}: what stands below the question ends nothing");
        say(&world, "colours").await;
        say(&world, "silence").await;
        world.pass(23 * 3600).await;
        say(&world, "1").await;
        assert_eq!(shop.last(), chosen("b", "Blue", "1"), "{name}: silence ends nothing");
        say(&world, "colours").await;
        world.pass(24 * 3600).await;
        say(&world, "1").await;
        assert_eq!(shop.last(), Content::text("1"), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_written_before_the_question_is_no_answer_to_it() {
    for upstream in WITHOUT_BUTTONS {
        let shop = Shop { works: Duration::from_secs(10), ..Shop::default() };
        let world = Setup::on(upstream, shop.clone()).start();
        world.write("colours");
        world.pass(5).await;
        say(&world, "2").await;
        assert_eq!(shop.last(), Content::text("2"), "{}", upstream.name());
    }
}

#[tokio::test(start_paused = true)]
async fn in_a_burst_each_message_is_looked_at() {
    for on_new_message in [OnNewMessage::Queue, OnNewMessage::Restart] {
        let shop = Shop { works: Duration::from_secs(2), ..Shop::default() };
        let mut setup = Setup::on(Upstream::Waha, shop.clone());
        setup.merge.quiet = Duration::from_secs(1);
        setup.turn.on_new_message = on_new_message;
        let world = setup.start();
        say(&world, "colours").await;
        world.write("hm");
        world.pass_ms(400).await;
        world.write("1");
        world.pass_ms(400).await;
        world.write("no, red");
        // While the handler is at work.
        world.pass_ms(2_500).await;
        world.write("Red");
        world.pass(60).await;
        let told = shop.told.lock().expect("no test panics in here").clone();
        assert!(told.contains(&chosen("b", "Blue", "1")) && told.contains(&Content::text("no, red")));
        // With `wait`, it is for the next turn, before which something was said.
        let restarts = on_new_message == OnNewMessage::Restart;
        assert_eq!(shop.last(), if restarts { chosen("r", "Red", "Red") } else { Content::text("Red") });
    }
}

#[tokio::test(start_paused = true)]
async fn routes_by_button_fire() {
    for upstream in WITHOUT_BUTTONS {
        let config = RouteConfig { handler: "red".into(), buttons: vec!["r*".into()], ..RouteConfig::default() };
        let red: Arc<dyn Handler> = Arc::new(|_: &Turn| Reply::text("It is red."));
        let route = Route::new(config, red).unwrap_or_else(|problems| panic!("{problems:?}"));
        let world = Setup::on(upstream, Router::new(vec![route], Arc::new(Shop::default()))).start();
        say(&world, "colours").await;
        say(&world, "2)").await;
        assert_eq!(world.replies().last().expect("a reply"), "It is red.", "{}", upstream.name());
    }
}

#[tokio::test(start_paused = true)]
async fn a_choice_survives_the_process_and_is_one_still_when_it_is_replayed() {
    let shop = Shop::default();
    *shop.fails.lock().expect("no test panics in here") = true;
    let mut world = Setup::on(Upstream::Wawp, shop.clone()).start();
    say(&world, "colours").await;
    world.restart(Setup::on(Upstream::Wawp, shop.clone())).await;
    say(&world, "2").await;
    assert_eq!(shop.last(), chosen("r", "Red", "2"));
    // The failure reply has ended the question. What is replayed was an answer to it all the same.
    let dead = world.dead().await;
    let [letter] = &dead[..] else { panic!("{} dead letters", dead.len()) };
    assert_eq!(letter.message.inbound.content, chosen("r", "Red", "2"));
    say(&world, "1").await;
    assert_eq!(shop.last(), Content::text("1"));
    *shop.fails.lock().expect("no test panics in here") = false;
    world.store.replay(letter.message.seq).await.expect("a store in memory");
    world.pass(60).await;
    assert_eq!(shop.last(), chosen("r", "Red", "2"));
}

#[tokio::test(start_paused = true)]
async fn a_question_that_is_asked_unasked_is_answered_too_and_ends_the_one_before() {
    for upstream in WITHOUT_BUTTONS {
        let name = upstream.name();
        let shop = Shop::default();
        let world = Setup::on(upstream, shop.clone()).start();
        say(&world, "colours").await;
        let voice = OutboundChannel {
            provider: Arc::clone(&world.provider),
            patience: Duration::from_secs(20),
            list_button: "Options".into(),
        };
        let bots = BotRegistry::from_iter([(BotName::new(BOT), Arc::new(voice))]);
        let proactive_messages = ProactiveIntake::new(bots, Arc::clone(&world.store), world.clock);
        let take = async |key: &str, part: serde_json::Value| {
            let body = json!({ "contact": "+1 555 010 0001", "parts": [part] }).to_string();
            proactive_messages
                .take(BOT, Some(key), body.as_bytes())
                .await
                .unwrap_or_else(|refused| panic!("{name}: {refused}"));
            world.pass(60).await;
        };
        let buttons = json!([{ "id": "y", "title": "Yes" }, { "id": "n", "title": "No" }]);
        take("1", json!({ "type": "buttons", "text": "Shall we call?", "buttons": buttons })).await;
        say(&world, "no").await;
        assert_eq!(shop.last(), chosen("n", "No", "no"), "{name}");
        say(&world, "colours").await;
        take("2", json!({ "type": "text", "text": "We close at six." })).await;
        say(&world, "2").await;
        assert_eq!(shop.last(), Content::text("2"), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_there_are_buttons_a_list_that_is_too_long_is_answered_by_number() {
    for upstream in [Upstream::Meta, Upstream::NxCloud] {
        let told: Arc<Mutex<Vec<Content>>> = Arc::default();
        let keeps = Arc::clone(&told);
        let many = move |turn: &Turn| {
            keeps.lock().expect("no test panics in here").push(turn.messages[0].content.clone());
            Reply::buttons("Which?", (1..=12).map(|number| (format!("id-{number}"), format!("Colour {number}"))))
        };
        let world = Setup::on(upstream, many).start();
        say(&world, "colours").await;
        say(&world, "12").await;
        let told = told.lock().expect("no test panics in here").last().expect("it was asked").clone();
        assert_eq!(told, chosen("id-12", "Colour 12", "12"), "{}", upstream.name());
    }
}

fn question() -> Question {
    let choices = ["Blue", "Red"].map(|title| Choice { id: title.to_lowercase(), title: title.into() });
    Question {
        choices: choices.into(),
        messages: vec![MessageId::new("true_120@g.us_3EB0A1")],
        asked: Timestamp(1_000),
        of: Some(ContactId::new("ann")),
    }
}

#[test]
fn in_a_group_whoever_was_asked_answers_or_whoever_quotes_the_question() {
    let question = question();
    let answer = |sender: &str, quotes: Option<&str>, accepted: u64| {
        let message = Inbound {
            at: MessageRef {
                bot: BotName::new(BOT),
                chat: ChatId::new("120@g.us"),
                group: true,
                sender: ContactId::new(sender),
                phone: None,
                aliases: Vec::new(),
                message: MessageId::new("m"),
                time: Timestamp(0),
            },
            contact: Contact::default(),
            content: Content::text("2"),
            quotes: quotes.map(MessageId::new),
            forwarded: false,
            referral: None,
            quoted: None,
            product: None,
        };
        question.answered_by(&message, Timestamp(accepted)).map(|choice| choice.id.as_str())
    };
    assert_eq!(answer("ann", None, 2_000), Some("red"));
    assert_eq!(answer("ben", None, 2_000), None, "nobody asked Ben");
    assert_eq!(answer("ben", Some("3EB0A1"), 2_000), Some("red"));
    assert_eq!(answer("ann", Some("true_120@g.us_3EB0A2"), 2_000), None);
    assert_eq!(answer("ann", None, 1_000), None, "no later than the question");
    assert_eq!(answer("ann", None, 1_000 + 24 * 3_600_000 - 1), Some("red"));
    assert_eq!(answer("ann", None, 1_000 + 24 * 3_600_000), None);
}
