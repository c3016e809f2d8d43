//! A language model in this process, by OpenAI's wire: it says what it was told, or does what it was told to do.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::{Data, Json};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::account::{Place, Word};
use super::{Dice, PATIENCE};

/// So many parts has a long answer.
const PARTS: usize = 3;
/// Two such do not go into one message.
const PART: usize = 2500;

/// A language model that says what it was told, by all messages that have not been answered yet.
///
/// If the newest of them has one of these words, it does this instead:
///
/// | word | what it does |
/// |---|---|
/// | `long` | answers with more than goes into one message |
/// | `busy` | answers 503 if it was asked as the model `moody` |
/// | `refuse` | answers 400 |
/// | `stall` | answers when nobody waits any longer |
pub(crate) struct Model {
    /// How long an answer takes at the most, in milliseconds.
    pub(crate) slowness: AtomicU64,
    /// While true, whoever says "hold" has no answer.
    pub(crate) holds: watch::Sender<bool>,
    /// How many are waiting for one.
    pub(crate) held: AtomicUsize,
    calls: AtomicU64,
}

impl Model {
    pub(super) fn new() -> Self {
        Self {
            slowness: AtomicU64::new(30),
            holds: watch::Sender::new(false),
            held: AtomicUsize::new(0),
            calls: AtomicU64::new(0),
        }
    }
}

/// `POST /v1/chat/completions`
pub(super) async fn complete(model: Data<Model>, asked: Json<Value>) -> HttpResponse {
    let messages = asked["messages"].as_array().unwrap();
    let by_customer = messages.iter().rev().take_while(|message| message["role"] == "user");
    // What was said in a row is one line of the model's, and a line of text each.
    let lines = by_customer.flat_map(|message| message["content"].as_str().unwrap().lines().rev());
    // `12:39` is the time of day there, and the 39th of customer 12 everywhere else.
    let mut told: Vec<&str> = lines.filter(|line| !line.starts_with("[clock ")).collect();
    let newest = told[0];
    told.reverse();
    let words = told.join(" ");
    if words.contains("hold") && *model.holds.borrow() {
        model.held.fetch_add(1, Ordering::SeqCst);
        let _ = model.holds.subscribe().wait_for(|holds| !holds).await;
        model.held.fetch_sub(1, Ordering::SeqCst);
    }
    let answer = model.calls.fetch_add(1, Ordering::Relaxed);
    let pause = Dice::new(answer).up_to(model.slowness.load(Ordering::Relaxed));
    tokio::time::sleep(Duration::from_millis(pause)).await;
    let is_told = |what: &str| newest.split_whitespace().any(|word| word == what);
    let is_moody = asked["model"] == "moody";
    if is_told("refuse") {
        return HttpResponse::BadRequest().json(json!({ "error": { "message": "no" } }));
    }
    if is_moody && is_told("busy") {
        return HttpResponse::ServiceUnavailable().json(json!({ "error": { "message": "later" } }));
    }
    if is_told("stall") {
        tokio::time::sleep(PATIENCE).await;
    }
    let parts = if is_told("long") { PARTS } else { 1 };
    let content = match &*Word::all(&words) {
        [] => words,
        words => say(&Word::listed(words), answer, parts),
    };
    HttpResponse::Ok().json(json!({ "choices": [{ "message": { "content": content } }] }))
}

/// The words of an answer, in each of its parts.
fn say(words: &str, answer: u64, parts: usize) -> String {
    let part = |part: usize| {
        let words = format!("{words} {}", Place { answer, part, parts });
        if parts == 1 { words } else { format!("{:.<PART$}", words + " ") }
    };
    (1..=parts).map(part).collect::<Vec<_>>().join("\n\n")
}
