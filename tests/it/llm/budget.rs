//! What is spent in a day: hard limits, however many turns go on at the same time, and across a restart.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use threedots::handler::llm::{BudgetConfig, Llm, LlmConfig, ModelConfig};
use threedots::handler::{ConversationState, Presence};
use threedots::message::clock::{Clock, Timestamp};
use threedots::message::{BotName, ChatId, Contact, ContactId, Content, MessageId, MessageRef};
use threedots::store::Store;
use threedots::store::disk::{self, Disk};
use threedots::{Handler, Inbound, Reply, Turn};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::stub::{Does, Stub};
use super::{made_with, patient, say};
use crate::turns::Nothing;
use crate::world::Setup;

/// A turn of a contact's, the like of which there may be many at the same time: in as many groups.
pub(super) fn turn(contact: &str, number: usize, now: Timestamp) -> Turn {
    let at = MessageRef {
        bot: BotName::new("shop"),
        chat: ChatId::new(format!("group {number}")),
        group: true,
        sender: ContactId::new(contact),
        phone: None,
        aliases: Vec::new(),
        message: MessageId::new(format!("message {number}")),
        time: now,
    };
    let message = Inbound {
        at,
        contact: Contact::default(),
        content: Content::Text { body: "hello".into() },
        quotes: None,
        forwarded: false,
        referral: None,
        quoted: None,
        product: None,
    };
    Turn {
        id: format!("turn {number}"),
        bot: BotName::new("shop"),
        contact: Contact::default(),
        messages: vec![message],
        history: Vec::new(),
        now,
        deadline: Instant::now() + Duration::from_secs(600),
        cancelled: CancellationToken::new(),
        presence: Presence::channel().0,
        media: Arc::new(Nothing),
        fits: Arc::new(Nothing),
    }
}

/// Each answer costs 250 tokens, as the server says.
async fn stub() -> Stub {
    Stub::always(Does::Costs("Yes", 50, 200)).await
}

fn handler(stub: &Stub, budget: BudgetConfig, conversation_state: Arc<dyn ConversationState>) -> Llm {
    let config = LlmConfig { budget, max_tokens: 200, retry_for: Duration::ZERO, ..LlmConfig::default() };
    let model = ModelConfig { input_price: 1000.0, output_price: 2000.0, ..patient(&stub.base_url) };
    made_with(config, vec![model], conversation_state)
}

fn open(directory: &Path) -> Arc<dyn Store> {
    let settings = disk::DiskSettings { path: directory.to_owned(), ..disk::DiskSettings::default() };
    Arc::new(Disk::open(settings, Clock::System).expect("a store"))
}

/// How many of the replies are the model's, how many the limit's, and how many are silence.
async fn ask(llm: &Llm, contact: &str, turns: usize, now: Timestamp) -> (usize, usize, usize) {
    let turns: Vec<Turn> = (0..turns).map(|number| turn(contact, number, now)).collect();
    let replies = join_all(turns.iter().map(|turn| llm.reply(turn))).await;
    let (mut answered, mut limited, mut silent) = (0, 0, 0);
    for reply in replies {
        match reply.expect("a reply") {
            reply if reply == Reply::text("Yes") => answered += 1,
            Reply::Send(_) => limited += 1,
            _ => silent += 1,
        }
    }
    (answered, limited, silent)
}

#[tokio::test]
async fn a_hundred_turns_of_one_contact_at_once_stay_within_its_tokens_also_after_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let stub = stub().await;
    let budget = BudgetConfig { contact_tokens: 5_000, ..BudgetConfig::default() };
    let now = Clock::System.now();
    let store = open(directory.path());
    let llm = handler(&stub, budget.clone(), Arc::new(Arc::clone(&store)));
    let (answered, limited, silent) = ask(&llm, "ada", 100, now).await;
    let spent = stub.requests().len() * 250;
    assert_eq!((answered, limited), (stub.requests().len(), 1), "told once");
    assert!(answered > 0 && spent <= 5_000, "{answered} calls, {spent} tokens");
    assert_eq!(answered + limited + silent, 100);
    // What was set aside and not needed can be spent after all, to the last token that a call may cost.
    while ask(&llm, "ada", 1, now).await.0 > 0 {}
    let (before, spent) = (stub.requests().len(), stub.requests().len() * 250);
    assert!(spent <= 5_000 && spent > 5_000 - 2 * 450, "{spent} tokens");
    // Another contact has its own.
    assert_eq!(ask(&llm, "bob", 1, now).await.0, 1);
    store.close().await;
    let store = open(directory.path());
    let llm = handler(&stub, budget, Arc::new(Arc::clone(&store)));
    assert_eq!(ask(&llm, "ada", 100, now).await, (0, 0, 100), "nothing is left, and it has been said");
    assert_eq!(stub.requests().len(), before + 1);
    // Until midnight.
    let tomorrow = now.plus(Duration::from_hours(24));
    assert!(ask(&llm, "ada", 1, tomorrow).await.0 == 1);
    store.close().await;
}

#[tokio::test]
async fn a_server_that_says_that_a_word_has_cost_millions_does_not_spend_the_day() {
    for (read, written) in [(u64::MAX / 4, 200), (50, u64::MAX / 4), (4_000_000_000, 4_000_000_000), (2, 90_000)] {
        let directory = tempfile::tempdir().expect("a directory");
        let store = open(directory.path());
        let stub = Stub::scripted(move |_, number| match number {
            1 => Does::Costs("Yes", read, written),
            _ => Does::Costs("Yes", 50, 200),
        })
        .await;
        let budget = BudgetConfig { bot_tokens: 20_000, bot_money: 20.0, ..BudgetConfig::default() };
        let llm = handler(&stub, budget, Arc::new(Arc::clone(&store)));
        let now = Clock::System.now();
        for number in 0..5 {
            assert_eq!(ask(&llm, "ada", 1, now).await.0, 1, "call {number} after {read} and {written}");
        }
        store.close().await;
    }
}

#[tokio::test]
async fn money_is_counted_by_the_price_of_each_model_for_contact_and_bot() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    let stub = stub().await;
    // A call costs 0.05 + 0.4; before it is made, up to 0.4 and what there is to read.
    let budget = BudgetConfig { bot_money: 1.7, contact_money: 1.0, every_time: true, ..BudgetConfig::default() };
    let llm = handler(&stub, budget, Arc::new(Arc::clone(&store)));
    let now = Clock::System.now();
    let mut answered = Vec::new();
    for contact in ["ada", "bob", "eve", "ida"] {
        let (calls, limited, silent) = ask(&llm, contact, 20, now).await;
        assert_eq!((calls + limited, silent), (20, 0), "it is said every time");
        answered.push(calls);
    }
    let spent = |calls: usize| 0.45 * calls as f64;
    assert!(answered.iter().all(|calls| spent(*calls) <= 1.0), "{answered:?}");
    assert!(spent(answered.iter().sum()) <= 1.7, "{answered:?}");
    assert_eq!(answered[3], 0, "the bot has nothing left: {answered:?}");
    store.close().await;
}

#[tokio::test]
async fn thoughts_are_paid_for_where_no_server_says_what_they_cost() {
    let now = Clock::System.now();
    let mut answered = Vec::new();
    let thought = "hm ".repeat(150);
    let in_words = json!({ "content": format!("<think>{thought}</think>Yes") });
    let beside = json!({ "content": "Yes", "reasoning_content": thought });
    for delta in [json!({ "content": "Yes" }), in_words, beside] {
        let directory = tempfile::tempdir().expect("a directory");
        let store = open(directory.path());
        let choice = json!({ "delta": delta, "finish_reason": "stop" });
        let stub = Stub::always(Does::Sends(vec![json!({ "choices": [choice] })])).await;
        let budget = BudgetConfig { contact_tokens: 3_000, ..BudgetConfig::default() };
        let llm = handler(&stub, budget, Arc::new(Arc::clone(&store)));
        let mut turns = 0;
        while turns < 40 && ask(&llm, "ada", 1, now).await.0 > 0 {
            turns += 1;
        }
        answered.push(turns);
        store.close().await;
    }
    assert!(answered[1..].iter().all(|turns| (1..answered[0]).contains(turns)), "{answered:?}");
}

#[tokio::test]
async fn an_answer_is_gone_on_with_for_as_long_as_there_is_something_to_pay_with() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    let says = |words: &str, reason: &str| {
        let usage = json!({ "prompt_tokens": 50, "completion_tokens": 200 });
        let choice = json!({ "delta": { "content": words }, "finish_reason": reason });
        Does::Sends(vec![json!({ "choices": [choice] }), json!({ "choices": [], "usage": usage })])
    };
    let stub = Stub::scripted(move |asked, _| match asked.to_string().contains("We are open.") {
        false => says("We are open. On Satur", "length"),
        true => says("On Saturdays, too.", "stop"),
    });
    let (stub, limit) = (stub.await, 1_400);
    let budget = BudgetConfig { contact_tokens: limit, ..BudgetConfig::default() };
    let llm = handler(&stub, budget, Arc::new(Arc::clone(&store)));
    let (mut whole, mut half) = (0, 0);
    for number in 0..10 {
        match llm.reply(&turn("ada", number, Clock::System.now())).await.expect("a reply") {
            reply if reply == Reply::text("We are open. On Saturdays, too.") => whole += 1,
            reply if reply == Reply::text("We are open.") => half += 1,
            _ => {}
        }
    }
    let calls = stub.requests().len();
    assert!(whole > 0 && calls == 2 * whole + half, "{whole} whole, {half} half: {calls} calls");
    assert!(calls as u64 * 250 <= limit, "{calls} calls");
    store.close().await;
}

#[tokio::test]
async fn a_call_that_nobody_answered_costs_nothing_and_one_that_broke_off_all_that_it_might() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    let budget = BudgetConfig { contact_tokens: 1_000, ..BudgetConfig::default() };
    let now = Clock::System.now();
    let refusing = Stub::always(Does::Refuses(500, None)).await;
    let llm = handler(&refusing, budget.clone(), Arc::new(Arc::clone(&store)));
    for _ in 0..20 {
        ask(&llm, "ada", 1, now).await;
    }
    assert_eq!(refusing.requests().len(), 20);
    let breaking = Stub::always(Does::HangsUp("Half")).await;
    let llm = handler(&breaking, budget, Arc::new(Arc::clone(&store)));
    for _ in 0..20 {
        ask(&llm, "ada", 1, now).await;
    }
    assert!((1..5).contains(&breaking.requests().len()), "{}", breaking.requests().len());
    store.close().await;
}

#[tokio::test]
async fn without_a_limit_nothing_is_counted_and_nothing_is_asked_about_it() {
    let stub = Stub::start().await;
    let llm = handler(&stub, BudgetConfig::default(), Arc::new(threedots::handler::LateState::default()));
    let world = Setup::new(llm).start();
    say(&world, "hello").await;
    assert_eq!(world.replies(), ["Answer 1"]);
    assert_eq!(stub.requests()[0]["stream_options"], Value::Null);
}
